//! `indelible publish rules`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::record::Subject;
use indelible_proto::record::body::{Bundle, Engine, MAX_PERIOD_S, RulesBody};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::{files_failure, hashing_bar};
use super::super::publication::LogArgs;
use super::{RecordArgs, Said, publish};
use crate::files::{artifact_name, hash_directory, proof_path};
use crate::publish::Body;

/// Publish a directory of detection rules
///
/// Hashes every regular file below DIR into one tree, so that users can check the whole directory or a
/// single rule, and writes the proof beside it as DIR.tlog-proof.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish rules sigma/ --channel-name vendor.example/rules/sigma \\
      --version 2026.07.01 --format sigma --key publish.key --policy policy.txt")]
pub(in crate::cli) struct RulesArgs {
    /// Directory with the rules: regular files only
    dir: PathBuf,
    /// What the rules are written in, like sigma or yara
    #[arg(long)]
    format: String,
    /// Engine the rules are for
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Oldest version of the engine that can read them
    #[arg(long, value_name = "V", requires = "engine")]
    engine_min: Option<String>,
    /// Newest version of the engine that can read them
    #[arg(long, value_name = "V", requires = "engine")]
    engine_max: Option<String>,
    /// Seconds for which the record is fresh
    #[arg(long, value_name = "SECS", default_value_t = 3 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    expires_in: u64,
    /// Version that is published
    #[arg(long, value_name = "V")]
    version: String,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(args: RulesArgs, console: Console) -> Result<Exit, Failure> {
    let bar = hashing_bar(console, &args.dir);
    let tree =
        hash_directory(&args.dir, &mut |bytes| bar.inc(bytes)).map_err(|error| files_failure(&error))?;
    bar.finish_and_clear();
    let name = artifact_name(&args.dir).map_err(|error| files_failure(&error))?;
    let proof = proof_path(&args.dir).map_err(|error| files_failure(&error))?;
    let (min, max) = (args.engine_min, args.engine_max);
    let body = RulesBody {
        version: args.version,
        format: args.format,
        engine: args.engine.map(|name| Engine { name, min, max }),
        bundle: Bundle { root: tree.root(), files: tree.files().len() as u64, bytes: tree.bytes() },
        delta: None,
        tests: None,
    };
    let subject = vec![Subject { name, sha256: None, dir_hash1: Some(tree.dir_hash1()) }];
    publish(
        args.log,
        args.record,
        Said { subject, body: Body::Rules(body), lifetime_s: args.expires_in },
        &[proof],
        console,
    )
}
