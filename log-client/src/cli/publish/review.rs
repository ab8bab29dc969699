//! `indelible publish review`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::record::body::{
    Coverage, Findings, Independence, MAX_PERIOD_S, ReviewBody, ReviewKind, ReviewResult, Severity,
};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::read_policy;
use super::super::publication::PublicationArgs;
use super::named::NamedRecords;
use super::{RecordArgs, Said, hash, publish};
use crate::publish::Body;

/// Say on the record what you examined and what you found
///
/// A review stands on the reviewer's own channel and names records of others. One that fails is as easy to publish
/// as one that passes.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish review --record agent-1.2.tar.gz.tlog-proof --kind rebuild --result pass \\
      --report report.pdf --paid-by 'Vendor Example AG' --access source \\
      --channel-name reviewer.example/rebuilds --key reviewer.key --policy policy.txt")]
pub(in crate::cli) struct ReviewArgs {
    /// Proof file of a record that was reviewed; may be given more than once
    #[arg(long = "record", value_name = "PROOFFILE", required = true)]
    records: Vec<PathBuf>,
    /// rebuild, source-audit, rules-semantic, fp-test, data-processing or process-audit
    #[arg(long, value_parser = parse_kind)]
    kind: ReviewKind,
    /// pass, pass-with-findings, fail or inconclusive
    #[arg(long, value_parser = parse_result)]
    result: ReviewResult,
    /// The report; its hash goes into the record
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// Who paid for the review
    #[arg(long, value_name = "NAME")]
    paid_by: String,
    /// What the reviewer had access to, in one word
    #[arg(long, value_name = "WORD")]
    access: String,
    /// The reviewer is under a non-disclosure agreement
    #[arg(long)]
    nda: bool,
    /// How many files there were to read
    #[arg(long, value_name = "N", requires = "files_read")]
    files: Option<u64>,
    /// How many of them were read
    #[arg(long, value_name = "N", requires = "files")]
    files_read: Option<u64>,
    /// How many findings there are
    #[arg(long, value_name = "N", requires_all = ["worst", "findings_file"])]
    findings: Option<u64>,
    /// The gravest finding: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity, requires = "findings")]
    worst: Option<Severity>,
    /// List of the findings; its hash goes into the record
    #[arg(long, value_name = "FILE", requires = "findings")]
    findings_file: Option<PathBuf>,
    /// Seconds for which the review counts
    #[arg(long, value_name = "SECS", default_value_t = 180 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    expires_in: u64,
    /// File for the proof [default: REPORT.tlog-proof]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: ReviewArgs, console: Console) -> Result<Exit, Failure> {
    let policy = read_policy(args.log.policy())?;
    let named = NamedRecords::read(&args.records, &policy)?;
    let findings = match (args.findings, args.worst, &args.findings_file) {
        (Some(count), Some(max), Some(file)) => Some(Findings { count, max, sha256: hash(file, console)? }),
        _ => None,
    };
    let body = ReviewBody {
        records: named.ids(),
        kind: args.kind,
        result: args.result,
        coverage: args.files.zip(args.files_read).map(|(files, read)| Coverage { files, read }),
        findings,
        independence: Independence { paid_by: args.paid_by, access: args.access, nda: args.nda },
        report: hash(&args.report, console)?,
    };
    let out = args.out.unwrap_or_else(|| {
        let mut name = args.report.clone().into_os_string();
        name.push(".tlog-proof");
        name.into()
    });
    let said = Said { subject: named.artifacts()?, body: Body::Review(body), lifetime_s: args.expires_in };
    publish(args.log, args.record, said, &[out], console)
}

fn parse_kind(text: &str) -> Result<ReviewKind, String> {
    ReviewKind::parse(text).ok_or_else(|| "see --help for the kinds".to_owned())
}

fn parse_result(text: &str) -> Result<ReviewResult, String> {
    ReviewResult::parse(text).ok_or_else(|| "pass, pass-with-findings, fail or inconclusive".to_owned())
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text).ok_or_else(|| "info, low, medium, high or critical".to_owned())
}
