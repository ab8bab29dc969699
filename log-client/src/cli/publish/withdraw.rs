//! `indelible publish withdraw`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::record::Chain;
use indelible_proto::record::body::{Advisory, WithdrawAction, WithdrawBody, WithdrawReason};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::read_policy;
use super::super::publication::PublicationArgs;
use super::{RecordArgs, Said, hash, named_records, proved_record, publish_on};
use crate::publish::Body;

/// Take earlier records of the channel back
///
/// Nothing is deleted: clients that have the channel's newest records refuse what is withdrawn. With --safe they
/// may go back to that earlier record, and to no other.
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
    let policy = read_policy(args.log.policy())?;
    let named = named_records(&args.records, &policy)?;
    let action = match (&args.safe, args.uninstall) {
        (Some(safe), _) => WithdrawAction::Rollback { safe: proved_record(safe, &policy)?.record_id() },
        (None, true) => WithdrawAction::Uninstall,
        (None, false) => WithdrawAction::Stop,
    };
    let advisory = match (args.advisory_uri, args.advisory_file) {
        (Some(uri), Some(file)) => Some(Advisory { uri, sha256: hash(&file, console)? }),
        _ => None,
    };
    let body = WithdrawBody { records: named.records, reason: args.reason, action, advisory };
    let said = Said { subject: named.subject, body: Body::Withdraw(body), lifetime_s: 0 };
    let chain = if args.recovery { Chain::Recovery } else { Chain::Publish };
    let out = args.out.unwrap_or_else(|| beside(&args.records));
    publish_on(chain, args.log, args.record, said, &[out], console)
}

fn beside(records: &[PathBuf]) -> PathBuf {
    records.first().map_or_else(PathBuf::new, |first| first.with_extension("withdrawn.tlog-proof"))
}

fn parse_reason(text: &str) -> Result<WithdrawReason, String> {
    WithdrawReason::parse(text).ok_or_else(|| "defective, malicious, key-compromise or legal".to_owned())
}
