//! `indelible publish head`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::record::Chain;
use indelible_proto::record::body::{HeadBody, MAX_HEAD_PERIOD_S};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::publication::PublicationArgs;
use super::named::installable;
use super::{Place, RecordArgs, Said};
use crate::publish::Body;

/// Say that the channel has nothing newer, and renew a record's expiry
///
/// For quiet times: clients hold back what has expired, since somebody may be hiding a newer record from them. What was
/// withdrawn is not renewed: by a withdrawal that was published from here, or that `update-state` has heard of.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish head --record agent-1.2.tar.gz.tlog-proof --out agent.head.tlog-proof \\
      --channel-name vendor.example/agent --key publish.key --policy policy.txt")]
pub(in crate::cli) struct HeadArgs {
    /// Proof file of the release or rules that stay the newest
    #[arg(long = "record", value_name = "PROOFFILE")]
    renewed: PathBuf,
    /// Seconds for which this holds
    #[arg(long, value_name = "SECS", default_value_t = 3 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_HEAD_PERIOD_S))]
    expires_in: u64,
    /// File for the proof
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: HeadArgs, console: Console) -> Result<Exit, Failure> {
    let place = Place::open(args.log, args.record)?;
    let record = installable(&args.renewed, &place)?.record_id();
    // Where the recovery chain stands is filled in when the place is known.
    let body = Body::Head(HeadBody { record, recovery: None });
    let said = Said { subject: Vec::new(), body, lifetime_s: args.expires_in };
    place.publish(Chain::Publish, said, &[args.out], console)
}
