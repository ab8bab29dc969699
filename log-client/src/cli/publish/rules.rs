//! `indelible publish rules`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::record::body::{Bundle, Delta, Engine, MAX_PERIOD_S, RulesBody};

use indelible_proto::record::{Chain, Platform, Predicate, Subject};
use indelible_proto::tree::TreeHead;

use super::super::bundle::read_bundle;
use super::super::console::{Console, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::files_failure;
use super::super::publication::PublicationArgs;
use super::{Place, RecordArgs, Said, hash, of_channel, proved_record};
use crate::bundle::{Changes, Format, changes_between, changes_since};
use crate::files::{artifact_name, proof_path};
use crate::publish::{Body, delta};

/// Publish a directory of detection rules, or an archive of it
///
/// Hashes every regular file below DIR into one tree, so that users can check the whole directory or a
/// single rule, and writes the proof beside it as DIR.tlog-proof. The record says how many files were added,
/// changed and removed since the rules that were published before from here.
///
/// An archive (.tar, .tar.gz, .tgz, .zip) is published as the directory it unpacks to, and is not unpacked for it:
/// users verify the archive, another archive of the same files, or the directory. To publish an archive as a file, by
/// its own hash, use `publish release`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible publish rules sigma/ --channel-name vendor.example/rules/sigma \\
      --version 2026.07.01 --format sigma --key publish.key --policy policy.txt
  indelible publish rules sigma.tar.gz --folder sigma --from-file rules.toml
      (docs/config/publish.toml is a sample of rules.toml)")]
pub(in crate::cli) struct RulesArgs {
    /// Directory or archive with the rules: regular files only
    #[arg(value_name = "DIR|ARCHIVE")]
    dir: PathBuf,
    /// Take this folder of the archive as the bundle; the archive must then have nothing beside it
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// What the rules are written in, like sigma or yara
    #[arg(long)]
    format: String,
    /// Platform the rules are for, OS/ARCH or OS/ARCH/VARIANT like linux/amd64; clients of other ones refuse them
    #[arg(long, value_parser = Platform::parse)]
    platform: Option<Platform>,
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
    /// The rules before, as a directory, an archive or the listing that sha256sum prints, where this machine did not publish them
    #[arg(long, value_name = "DIR|ARCHIVE|LISTING", requires = "from")]
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
    let folder = args.folder.as_deref();
    if folder.is_some() && args.dir.is_dir() {
        let message = format!("{} is a directory, --folder is for archives", args.dir.display());
        return Err(Failure::usage("folder-of-no-archive", message, "name the folder itself"));
    }
    let tree = read_bundle(&args.dir, folder, console)?;
    let name = artifact_name(&args.dir).map_err(|error| files_failure(&error))?;
    let proof = proof_path(&args.dir).map_err(|error| files_failure(&error))?;
    let tests = args.tests.map(|file| hash(&file, console)).transpose()?;
    let mut place = Place::open(args.log, args.record)?;
    let named = args.previous.as_deref().zip(args.from.as_deref());
    let count = named.is_none() && !args.no_delta;
    let kept = place.publication.rules_delta(&place.channel, &tree, count, console)?;
    let delta = match named {
        Some((previous, from)) => {
            let earlier = Earlier::read(previous, folder, &tree, console)?;
            Some(delta_since(&earlier, from, &place)?)
        }
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
    let subject = vec![Subject { platform: args.platform, ..Subject::of_tree(name, tree.dir_hash1()) }];
    let said = Said { subject, body: Body::Rules(body), lifetime_s: args.expires_in };
    place.publish(Chain::Publish, said, &[proof], console)
}

/// The rules before: what they are, and what changed since.
struct Earlier<'a> {
    path: &'a Path,
    head: TreeHead,
    changes: Changes,
}

impl<'a> Earlier<'a> {
    /// Reads a directory, an archive or a listing.
    fn read(
        path: &'a Path,
        folder: Option<&str>,
        tree: &BundleTree,
        console: Console,
    ) -> Result<Self, Failure> {
        let is_dir = path.is_dir();
        if is_dir || Format::of(path).is_some() {
            let earlier = read_bundle(path, folder.filter(|_| !is_dir), console)?;
            return Ok(Self { path, head: earlier.head(), changes: changes_between(&earlier, tree) });
        }
        let file = File::open(path).map_err(|error| {
            Failure::usage("file-missing", format!("{}: {error}", path.display()), AS_PUBLISHED)
        })?;
        let (digest, changes) = changes_since(&mut BufReader::new(file), tree).map_err(|error| {
            Failure::usage(error.code(), format!("{}: {}", path.display(), chain(&error)), AS_PUBLISHED)
        })?;
        Ok(Self { path, head: digest.head, changes })
    }
}

/// What changed since `earlier`, which has to be the bundle of the record in the proof file `from`.
fn delta_since(earlier: &Earlier<'_>, from: &Path, place: &Place) -> Result<Delta, Failure> {
    let record = proved_record(from, place.publication.policy())?;
    of_channel(&record, from, &place.channel)?;
    let Predicate::Rules(_, RulesBody { bundle, .. }) = &record.statement().predicate else {
        let message = format!("{} is not of rules", from.display());
        return Err(Failure::usage("record-of-no-bundle", message, AS_PUBLISHED));
    };
    let head = earlier.head;
    if head.root != bundle.root || head.size.get() != bundle.files {
        let message = format!(
            "{} has root {} and {} files, the record has root {} and {}",
            earlier.path.display(),
            head.root,
            head.size,
            bundle.root,
            bundle.files
        );
        return Err(Failure::usage("listing-of-other-bundle", message, AS_PUBLISHED));
    }
    Ok(delta(record.record_id(), earlier.changes))
}

const AS_PUBLISHED: &str = "name the rules that the proof file is of, as they were published";
