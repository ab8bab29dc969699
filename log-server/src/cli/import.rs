//! `indelible-server import`: what it is told, what it prints, how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::keys::KeyAlgorithm;
use indelible_proto::checkpoint::Origin;
use indelible_proto::policy::Policy;

use super::report::{Report, UNREAD};
use super::trust::{Trust, Usage};
use super::{parse_origin, witnessing};
use crate::config::{Config, DEFAULT_LISTEN};
use crate::import::{Identify, Import, ImportError, is_policy_of};
use crate::init::{Draft, NewLog, NewWitness, parse_url};
use crate::kind::LogKind;
use crate::run::load_key;

/// Copy a log that serves c2sp.org/tlog-tiles, ours or not, into a new directory.
///
/// Either into a new log, with --origin: it gets a new key and has the source's entries; its witnesses meet it
/// as a log they never saw. Or into the same log again, after its disk was lost, with --key and --policy: it
/// keeps origin and key, and what the mirror published is published again. Take the newest mirror there is: a
/// log that witnesses have seen larger refuses to start.
///
/// Everything fetched is compared with the signed checkpoint before anything becomes a log, and read back and
/// checked as fsck does. An interrupted import goes on when the same command is run again.
///
/// Exit codes: 0 imported, 1 refused or failed, 2 wrong usage, 40 the source could not be read: run it again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible-server import https://old.example.org /srv/log --kind raw --log-key 'old.example.org+8a0b…+AW…' \\
      --origin log.example.org/new --witness 'w1.example.org+…+BM… https://w1.example.org'
  indelible-server import https://mirror.example.org /srv/log --kind records --key log.key --policy policy.txt")]
#[command(group = clap::ArgGroup::new("identity").args(["origin", "key"]).required(true))]
#[command(group = clap::ArgGroup::new("import-witnessing").args(["witness", "no_witnesses"]))]
pub(super) struct ImportArgs {
    /// Where the log is served: its URL, or that of a mirror.
    url: String,
    /// Directory of the log to be; it may exist, but no log in it.
    dir: PathBuf,
    /// What the log stores; records must be admissible, one after the other.
    #[arg(long, value_enum)]
    kind: LogKind,
    #[command(flatten)]
    trust: Trust,
    /// Make a new log with this identity and a new key.
    #[arg(long, value_parser = parse_origin)]
    origin: Option<Origin>,
    /// What the new log signs its checkpoints with, for all time.
    #[arg(long, value_enum, default_value_t, conflicts_with = "key")]
    algorithm: KeyAlgorithm,
    /// Make the same log again, with its secret key in this file; needs --policy, which becomes its policy.
    #[arg(long, value_name = "FILE", requires = "policy")]
    key: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long, default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where clients reach the new log; http://LISTEN if not given.
    #[arg(long, value_name = "URL", value_parser = parse_url, conflicts_with = "key")]
    public_url: Option<String>,
    /// A witness of the new log: its verifier key and its address in one argument. Repeat for each.
    #[arg(long, value_name = "VKEY URL", value_parser = NewWitness::parse, conflicts_with = "key")]
    witness: Vec<NewWitness>,
    /// How many of the witnesses must cosign; more than half if not given.
    #[arg(long, value_name = "K", requires = "witness", conflicts_with_all = ["no_witnesses", "key"])]
    quorum: Option<usize>,
    /// Make a log without witnesses, which its readers must trust alone.
    #[arg(long, conflicts_with = "key")]
    no_witnesses: bool,
    /// Print findings and the result as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let needed = "--log-key or --policy is needed: whose checkpoints are believed?";
    let policy = args.trust.policy()?.ok_or_else(|| Usage::new(&needed))?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let source = Source::http(&args.url, &HttpClient::new(Timeouts::default())?);
    let report = Report::new("import", args.json);
    let (draft, identify) = draft(args, &policy)?;
    let dir = &args.dir;
    let import = Import { source, policy: &policy, dir: dir.clone(), draft: &draft, identify };
    match import.run(&report, runtime.handle().clone()) {
        Ok(imported) => {
            let size = imported.head.size;
            report.imported(size, imported.reused, &draft.signer.verifier().encode())?;
            eprintln!("made {}; start it with: indelible-server run {0}", dir.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            report.failed(error.code(), &error)?;
            Ok(ExitCode::from(exit_code(&error)))
        }
    }
}

fn exit_code(error: &ImportError) -> u8 {
    if error.is_passing() { UNREAD } else { super::FAILED }
}

/// The log to be.
fn draft(args: &ImportArgs, policy: &Policy) -> anyhow::Result<(Draft, Identify)> {
    if let Some(origin) = &args.origin {
        let new = NewLog {
            dir: args.dir.clone(),
            origin: origin.clone(),
            kind: args.kind,
            algorithm: args.algorithm,
            listen: args.listen,
            public_url: args.public_url.clone(),
            witnessing: witnessing(args.no_witnesses, args.witness.clone(), args.quorum),
        };
        return Ok((Draft::of(&new)?, Identify::New));
    }
    let path = args.key.as_ref().ok_or_else(|| Usage::new(&"--origin or --key is needed"))?;
    let key = load_key(path.clone())?;
    if !is_policy_of(policy, key.verifier()) {
        let what =
            format!("the policy must have exactly one log line, with this log's key {}", key.verifier());
        return Err(Usage::new(&what).into());
    }
    let text = args.trust.policy_text()?;
    let config = Config::new(key.verifier().name().as_str().to_owned(), args.kind, args.listen);
    Ok((Draft::with_key(key, text, config)?, Identify::Same))
}
