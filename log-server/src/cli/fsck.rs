//! `indelible-server fsck`: what it is told.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};

use super::report::Report;
use super::trust::{Trust, Usage};
use crate::fsck::Fsck;
use crate::kind::LogKind;

/// Recompute a log from its entries and list everything that is damaged.
///
/// TARGET is the directory of a log, whether it runs or not, or the URL of any log that serves
/// c2sp.org/tlog-tiles, ours or not. Nothing is written, and a running log is not disturbed.
///
/// Every finding is printed as it is found: the file, what is the matter, what was expected and found, and
/// what to do. Exit codes: 0 all is well, 1 something is damaged, 2 wrong usage, 40 something could not be
/// read, so nothing is known about it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible-server fsck /var/lib/indelible/log
  indelible-server fsck https://log.example.org --policy policy.txt --kind records
  indelible-server fsck https://log.example.org --log-key 'log.example.org/main+8a0b…+AW…' --json")]
pub(super) struct FsckArgs {
    /// Directory or URL of the log.
    target: String,
    #[command(flatten)]
    trust: Trust,
    /// What the log behind a URL stores; records are parsed and replayed. Of a directory it is known.
    #[arg(long, value_enum)]
    kind: Option<LogKind>,
    /// Print findings and the result as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn fsck(args: &FsckArgs) -> anyhow::Result<ExitCode> {
    let is_url = args.target.starts_with("http://") || args.target.starts_with("https://");
    let policy = args.trust.policy()?;
    let report = Report::new("fsck", args.json);
    let fsck = Fsck::new(&report);
    let checked = if is_url {
        let policy = policy.ok_or_else(|| {
            Usage::new(&"a URL needs --log-key or --policy: whose checkpoints are believed?")
        })?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        let client = HttpClient::new(Timeouts::default())?;
        let source = Source::http(&args.target, &client);
        let kind = args.kind.unwrap_or(LogKind::Raw);
        fsck.published(source, &policy, kind, runtime.handle().clone())
    } else {
        if policy.is_some() || args.kind.is_some() {
            return Err(
                Usage::new(&"the directory of a log says itself its key, its policy and its kind").into()
            );
        }
        fsck.directory(Path::new(&args.target))
    };
    report.end(&checked)
}
