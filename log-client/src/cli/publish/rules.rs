//! `indelible publish rules`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::record::body::{Bundle, Delta, Engine, MAX_PERIOD_S, RulesBody};

use indelible_proto::record::{Chain, Predicate, Subject};

use super::super::console::{Console, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{files_failure, hashing_bar};
use super::super::publication::PublicationArgs;
use super::{Place, RecordArgs, Said, hash, proved_record};
use crate::bundle::{changes_between, changes_since};
use crate::files::{artifact_name, hash_directory, proof_path};
use crate::publish::{Body, delta};

/// Publish a directory of detection rules
///
/// Hashes every regular file below DIR into one tree, so that users can check the whole directory or a
/// single rule, and writes the proof beside it as DIR.tlog-proof. The record says how many files were added,
/// changed and removed since the rules that were published before from here.
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
    /// Do not count what changed since the rules before
    #[arg(long, conflicts_with = "previous")]
    no_delta: bool,
    /// The rules before, as a directory or as the listing that sha256sum prints, where this machine did not publish them
    #[arg(long, value_name = "DIR|LISTING", requires = "from")]
    previous: Option<PathBuf>,
    /// Proof file of the rules before
    #[arg(long, value_name = "PROOFFILE", requires = "previous")]
    from: Option<PathBuf>,
    /// Results of the tests that the rules passed; the file's hash goes into the record
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Seconds for which the record is fresh
    #[arg(long, value_name = "SECS", default_value_t = 3 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    expires_in: u64,
    /// Version that is published
    #[arg(long, value_name = "V")]
    version: String,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: RulesArgs, console: Console) -> Result<Exit, Failure> {
    let bar = hashing_bar(console, &args.dir);
    let tree =
        hash_directory(&args.dir, &mut |bytes| bar.inc(bytes)).map_err(|error| files_failure(&error))?;
    bar.finish_and_clear();
    let name = artifact_name(&args.dir).map_err(|error| files_failure(&error))?;
    let proof = proof_path(&args.dir).map_err(|error| files_failure(&error))?;
    let tests = args.tests.map(|file| hash(&file, console)).transpose()?;
    let place = Place::open(args.log, args.record)?;
    let named = args.previous.as_deref().zip(args.from.as_deref());
    let kept = place.publication.rules_delta(&place.channel, &tree, named.is_none() && !args.no_delta)?;
    let delta = match named {
        Some((previous, from)) => Some(delta_since(previous, from, &tree, &place)?),
        None => kept,
    };
    let (min, max) = (args.engine_min, args.engine_max);
    let body = RulesBody {
        version: args.version,
        format: args.format,
        engine: args.engine.map(|name| Engine { name, min, max }),
        bundle: Bundle { root: tree.root(), files: tree.files().len() as u64, bytes: tree.bytes() },
        delta,
        tests,
    };
    let subject = vec![Subject { name, sha256: None, dir_hash1: Some(tree.dir_hash1()) }];
    let said = Said { subject, body: Body::Rules(body), lifetime_s: args.expires_in };
    place.publish(Chain::Publish, said, &[proof], console)
}

/// What changed since the bundle at `previous`, which has to be the one of the record in the proof file `from`.
fn delta_since(previous: &Path, from: &Path, tree: &BundleTree, place: &Place) -> Result<Delta, Failure> {
    const NEXT: &str = "name the rules that the proof file is of, as they were published";
    let record = proved_record(from, place.publication.policy())?;
    let of_rules = match &record.statement().predicate {
        Predicate::Rules(common, body) if common.channel == place.channel => Some(body.bundle),
        _ => None,
    };
    let bundle = of_rules.ok_or_else(|| {
        let message = format!("{} is not of rules of channel {}", from.display(), place.channel);
        Failure::usage("record-of-no-bundle", message, NEXT)
    })?;
    let (head, changes) = if previous.is_dir() {
        let earlier = hash_directory(previous, &mut |_| {}).map_err(|error| files_failure(&error))?;
        (earlier.head(), changes_between(&earlier, tree))
    } else {
        let file = File::open(previous).map_err(|error| {
            Failure::usage("file-missing", format!("{}: {error}", previous.display()), NEXT)
        })?;
        let (digest, changes) = changes_since(&mut BufReader::new(file), tree).map_err(|error| {
            Failure::usage(error.code(), format!("{}: {}", previous.display(), chain(&error)), NEXT)
        })?;
        (digest.head, changes)
    };
    if head.root != bundle.root || head.size.get() != bundle.files {
        let message = format!(
            "{} has root {} and {} files, the record has root {} and {}",
            previous.display(),
            head.root,
            head.size,
            bundle.root,
            bundle.files
        );
        return Err(Failure::usage("listing-of-other-bundle", message, NEXT));
    }
    Ok(delta(record.record_id(), changes))
}
