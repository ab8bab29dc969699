//! `indelible publish withdraw`.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::record::body::{Advisory, WithdrawAction, WithdrawBody, WithdrawReason};
use indelible_proto::record::{Chain, RecordId};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::publication::PublicationArgs;
use super::named::{NamedRecords, installable};
use super::{Place, RecordArgs, Said, hash};
use crate::publish::Body;

/// Take earlier records of the channel back
///
/// Nothing is deleted: clients that have the channel's newest records refuse what is withdrawn. With --safe they
/// may go back to that earlier record, and to no other; it has to be a release or rules that no withdrawal names that was
/// published from here, or that `update-state` has heard of.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible publish withdraw --record agent-1.2.tar.gz.tlog-proof --reason defective \\
      --safe agent-1.1.tar.gz.tlog-proof --channel-name vendor.example/agent \\
      --key publish.key --policy policy.txt
  indelible publish withdraw --record agent-1.2.tar.gz.tlog-proof --reason malicious --uninstall \\
      --recovery --channel-name vendor.example/agent --key recovery.key --policy policy.txt")]
pub(in crate::cli) struct WithdrawArgs {
    /// Proof file of a record to withdraw; may be given more than once
    #[arg(long = "record", value_name = "PROOFFILE", required = true)]
    records: Vec<PathBuf>,
    /// Why: defective, malicious, key-compromise or legal
    #[arg(long, value_parser = parse_reason)]
    reason: WithdrawReason,
    /// Proof file of the record to go back to; without it and --uninstall, clients only stop installing
    #[arg(long, value_name = "PROOFFILE", conflicts_with = "uninstall")]
    safe: Option<PathBuf>,
    /// Whoever has it installed should remove it
    #[arg(long)]
    uninstall: bool,
    /// Where to read about it
    #[arg(long, value_name = "URI", requires = "advisory_file")]
    advisory_uri: Option<String>,
    /// What is there; its hash goes into the record
    #[arg(long, value_name = "FILE", requires = "advisory_uri")]
    advisory_file: Option<PathBuf>,
    /// Sign with the recovery keys, on the recovery chain
    #[arg(long)]
    recovery: bool,
    /// File for the proof [default: FIRST RECORD'S PROOFFILE with .withdrawn before its ending]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: WithdrawArgs, console: Console) -> Result<Exit, Failure> {
    let place = Place::open(args.log, args.record)?;
    let named = NamedRecords::of_channel(&args.records, place.publication.policy(), &place.channel)?;
    let (records, subject) = (named.ids(), named.artifacts()?);
    let action = match (&args.safe, args.uninstall) {
        (Some(safe), _) => WithdrawAction::Rollback { safe: safe_record(safe, &records, &place)? },
        (None, true) => WithdrawAction::Uninstall,
        (None, false) => WithdrawAction::Stop,
    };
    let advisory = match (args.advisory_uri, args.advisory_file) {
        (Some(uri), Some(file)) => Some(Advisory { uri, sha256: hash(&file, console)? }),
        _ => None,
    };
    let body = WithdrawBody { records, reason: args.reason, action, advisory };
    let said = Said { subject, body: Body::Withdraw(body), lifetime_s: 0 };
    let chain = if args.recovery { Chain::Recovery } else { Chain::Publish };
    let out = args.out.unwrap_or_else(|| beside(&args.records));
    place.publish(chain, said, &[out], console)
}

/// The record to go back to.
fn safe_record(file: &Path, withdrawn: &[RecordId], place: &Place) -> Result<RecordId, Failure> {
    let safe = installable(file, place)?.record_id();
    if withdrawn.contains(&safe) {
        let message = format!("{} is of a record that is withdrawn here", file.display());
        return Err(Failure::usage("record-withdrawn", message, "name the proof of another one"));
    }
    Ok(safe)
}

fn beside(records: &[PathBuf]) -> PathBuf {
    records.first().map_or_else(PathBuf::new, |first| first.with_extension("withdrawn.tlog-proof"))
}

fn parse_reason(text: &str) -> Result<WithdrawReason, String> {
    WithdrawReason::parse(text).ok_or_else(|| "defective, malicious, key-compromise or legal".to_owned())
}
