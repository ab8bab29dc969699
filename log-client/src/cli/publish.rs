//! `indelible publish`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indelible_proto::hash::Hash;
use indelible_proto::record::body::{Bundle, Engine, MAX_PERIOD_S, ReleaseBody, RulesBody, Source};
use indelible_proto::record::{ChannelName, MAX_SUBJECTS, Subject};

use super::console::Console;
use super::exit::{Exit, Failure};
use super::inputs::{files_failure, hashing_bar};
use super::publication::{LogArgs, Publication};
use crate::files::{artifact_name, hash_directory, hash_file, proof_path};
use crate::publish::{Body, Draft};

#[derive(Debug, Subcommand)]
pub(super) enum PublishCommand {
    Release(ReleaseArgs),
    Rules(RulesArgs),
}

/// The channel, the keys, and for how long the record is fresh.
#[derive(Debug, Args)]
#[group(skip)]
struct RecordArgs {
    /// Name of the channel
    #[arg(long, value_name = "NAME", value_parser = ChannelName::parse, required_unless_present = "channel", conflicts_with = "channel")]
    channel_name: Option<ChannelName>,
    /// Proof file of the channel, as `channel create` wrote it, in place of its name
    #[arg(long, value_name = "PROOFFILE")]
    channel: Option<String>,
    /// Secret key file of a key of the channel; more than once if the channel wants more signatures
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Version that is published
    #[arg(long, value_name = "V")]
    version: String,
}

/// Publish a software release
///
/// Hashes the files, signs one record about all of them, hands it to the log, verifies the proof that comes
/// back, and writes it beside each file as FILE.tlog-proof. Interrupted or out of time, run it again: it
/// goes on with the same record.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish release agent-1.2.tar.gz --channel-name vendor.example/agent \\
      --version 1.2 --key publish.key --policy policy.txt")]
pub(super) struct ReleaseArgs {
    /// Files of the release
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Package URL of what is released
    #[arg(long, value_name = "PURL")]
    purl: Option<String>,
    /// Where the source is
    #[arg(long, value_name = "URI", requires = "source_commit")]
    source_uri: Option<String>,
    /// Git commit the release was built from
    #[arg(long, value_name = "COMMIT", requires = "source_uri")]
    source_commit: Option<String>,
    /// Bill of materials; its hash goes into the record
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Build provenance; its hash goes into the record
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
    /// Seconds for which the record is fresh
    #[arg(long, value_name = "SECS", default_value_t = 30 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    expires_in: u64,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Publish a directory of detection rules
///
/// Hashes every regular file below DIR into one tree, so that users can check the whole directory or a
/// single rule, and writes the proof beside it as DIR.tlog-proof.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish rules sigma/ --channel-name vendor.example/rules/sigma \\
      --version 2026.07.01 --format sigma --key publish.key --policy policy.txt")]
pub(super) struct RulesArgs {
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
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(command: PublishCommand, console: Console) -> Result<Exit, Failure> {
    match command {
        PublishCommand::Release(args) => release(args, console),
        PublishCommand::Rules(args) => rules(args, console),
    }
}

fn release(args: ReleaseArgs, console: Console) -> Result<Exit, Failure> {
    if args.files.len() > MAX_SUBJECTS {
        let message = format!("{} files, one record names at most {MAX_SUBJECTS}", args.files.len());
        return Err(Failure::usage("too-many-files", message, "publish a directory, or several releases"));
    }
    let mut subject = Vec::new();
    let mut proofs = Vec::new();
    for file in &args.files {
        let name = artifact_name(file).map_err(|error| files_failure(&error))?;
        subject.push(Subject { name, sha256: Some(hash(file, console)?), dir_hash1: None });
        proofs.push(proof_path(file).map_err(|error| files_failure(&error))?);
    }
    let digest = |file: Option<PathBuf>| file.map(|file| hash(&file, console)).transpose();
    let source = args.source_uri.zip(args.source_commit);
    let body = ReleaseBody {
        version: args.record.version.clone(),
        purl: args.purl,
        source: source.map(|(uri, git_commit)| Source { uri, git_commit }),
        provenance: digest(args.provenance)?,
        sbom: digest(args.sbom)?,
    };
    publish(args.log, args.record, (subject, Body::Release(body), args.expires_in), &proofs, console)
}

fn rules(args: RulesArgs, console: Console) -> Result<Exit, Failure> {
    let bar = hashing_bar(console, &args.dir);
    let tree =
        hash_directory(&args.dir, &mut |bytes| bar.inc(bytes)).map_err(|error| files_failure(&error))?;
    bar.finish_and_clear();
    let name = artifact_name(&args.dir).map_err(|error| files_failure(&error))?;
    let proof = proof_path(&args.dir).map_err(|error| files_failure(&error))?;
    let (min, max) = (args.engine_min, args.engine_max);
    let body = RulesBody {
        version: args.record.version.clone(),
        format: args.format,
        engine: args.engine.map(|name| Engine { name, min, max }),
        bundle: Bundle { root: tree.root(), files: tree.files().len() as u64, bytes: tree.bytes() },
        delta: None,
        tests: None,
    };
    let subject = vec![Subject { name, sha256: None, dir_hash1: Some(tree.dir_hash1()) }];
    publish(args.log, args.record, (subject, Body::Rules(body), args.expires_in), &[proof], console)
}

fn publish(
    log: LogArgs,
    record: RecordArgs,
    (subject, body, lifetime_s): (Vec<Subject>, Body, u64),
    proofs: &[PathBuf],
    console: Console,
) -> Result<Exit, Failure> {
    let publication = Publication::open(log, &record.keys)?;
    let (channel, genesis) = publication.channel(record.channel.as_deref(), record.channel_name)?;
    let draft = Draft { channel, subject, body, lifetime_s };
    let Some(published) = publication.publish(&draft, genesis, console)? else {
        return Ok(Exit::Verified);
    };
    publication.conclude(&published, proofs)?;
    console.result(Exit::Verified, publication.report(&published, proofs));
    Ok(Exit::Verified)
}

fn hash(file: &Path, console: Console) -> Result<Hash, Failure> {
    let bar = hashing_bar(console, file);
    let digest = hash_file(file, &mut |bytes| bar.inc(bytes)).map_err(|error| files_failure(&error))?;
    bar.finish_and_clear();
    Ok(digest.sha256)
}
