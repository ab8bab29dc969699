//! `indelible bundle`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indelible_proto::bundle_tree::{BundleProof, BundleProofError, BundleTree, InBundle, MAX_PROOF_FILES};
use indelible_proto::hash::Hash;
use indelible_proto::proof::LogProof;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::TreeHead;
use indicatif::{ProgressBar, ProgressStyle};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{
    files_failure, hashing_bar, key_failure, now, read_input, read_policy, trusted_channel, write_failure,
};
use crate::bundle::{SourceError, bundle_from, bundle_of_record, hash_listing};
use crate::durable::{self, Access};
use crate::files::hash_regular_file;
use crate::keys::parse_record_vkey;
use crate::verify::Trust;

/// `indelible bundle …`
#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    Root(RootArgs),
    Prove(ProveArgs),
    Verify(VerifyArgs),
}

/// Compute the root of a bundle: of a directory, an archive, or a listing
///
/// The root is the one that a rules record has. An archive (.tar, .tar.gz, .tgz, .zip) has the root of the
/// directory it unpacks to, and is not unpacked for it. A listing is what sha256sum prints, sorted by path; it
/// may have ten million lines. It is read line by line and not kept: memory grows by 16 to 32 bytes for each file and
/// each folder, by which paths that differ in case only are found and refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible bundle root rules/
  indelible bundle root rules-2026.11.tar.gz --folder rules
  cd rules && find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2 | \\
      indelible bundle root --listing -")]
pub(super) struct RootArgs {
    /// Directory or archive
    #[arg(required_unless_present = "listing")]
    source: Option<PathBuf>,
    /// Take this folder of the source as the bundle; an archive must then have nothing beside it
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// Read a listing instead; - is standard input
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["source", "folder"])]
    listing: Option<PathBuf>,
}

/// Prove that files are in a bundle, or that a path is not, without the rest of it
///
/// Writes a small text file to stand beside the bundle's record. One proof can have up to 4,096 files; it is
/// shorter than a proof for each.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible bundle prove rules/ windows/a.yml linux.yml --out two.bundle-proof
  indelible bundle prove rules.tar.gz --absent windows/evil.yml --out no-evil.bundle-proof")]
pub(super) struct ProveArgs {
    /// Directory or archive that is the whole bundle
    source: PathBuf,
    /// Paths in the bundle
    #[arg(required_unless_present = "absent", value_name = "PATH")]
    paths: Vec<String>,
    /// Prove that the bundle has no file with this path
    #[arg(long, value_name = "PATH", conflicts_with = "paths")]
    absent: Option<String>,
    /// Take this folder of the source as the bundle
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// File to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Verify that files are in a bundle, or that a path is not, offline
///
/// Which bundle, is said by its record (--record, which is verified first) or by root and number of files from
/// a record verified before. The files are read below --dir by their paths in the bundle; without any, all
/// that the proof names are.
///
/// With --record the record is judged by its proof, the policy and whom you trust, and by nothing else: no
/// client.toml is read, nothing is remembered or compared with what is, no channel file is looked at. Whether the
/// record leads back behind a newer one, was withdrawn, is under keys whose change waits, or has the reviews you ask
/// for, is therefore not checked, and the output says so. To have all of that checked, run `indelible verify` on the
/// whole bundle, or verify its record so and pass --root and --files.
///
/// Exit codes: 0 verified; 10 the record is out of date; 20 refused; 40 could not decide; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible bundle verify windows/a.yml --dir rules --proof two.bundle-proof \\
      --record rules.tlog-proof --policy policy.txt --key vendor.vkey
  indelible bundle verify --absent windows/evil.yml --proof no-evil.bundle-proof \\
      --root 36bf2ae0… --files 181")]
pub(super) struct VerifyArgs {
    /// Paths in the bundle; each file must be there below --dir and be proved
    #[arg(value_name = "FILE")]
    paths: Vec<String>,
    /// Directory that the paths start from
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Verify that the bundle has no file with this path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["paths", "dir"])]
    absent: Option<String>,
    /// The bundle proof
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
    /// Root of the bundle, from a record that is verified
    #[arg(long, value_name = "HEX", requires = "files", required_unless_present = "record")]
    root: Option<String>,
    /// How many files the bundle has, from the same record
    #[arg(long, value_name = "N", requires = "root")]
    files: Option<u64>,
    /// The .tlog-proof of the bundle's record, to be verified first
    #[arg(long, value_name = "FILE", requires = "policy", conflicts_with_all = ["root", "files"])]
    record: Option<PathBuf>,
    /// Which logs and witnesses count
    #[arg(long, value_name = "FILE", requires = "record")]
    policy: Option<PathBuf>,
    /// Proof file of the vendor's channel
    #[arg(long, value_name = "PROOFFILE", requires = "record", conflicts_with = "keys")]
    channel: Option<String>,
    /// Verifier key of the vendor, or a file with it; one of those given has to have signed
    #[arg(long = "key", value_name = "VKEY", requires = "record")]
    keys: Vec<String>,
}

pub(super) fn run(command: BundleCommand, console: Console) -> Result<Exit, Failure> {
    match command {
        BundleCommand::Root(args) => root(&args, console),
        BundleCommand::Prove(args) => prove(&args, console),
        BundleCommand::Verify(args) => verify(&args, console),
    }
}

fn root(args: &RootArgs, console: Console) -> Result<Exit, Failure> {
    let (head, dir_hash1, bytes) = match (&args.listing, &args.source) {
        (Some(listing), _) => {
            let digest = root_of_listing(listing, console)?;
            (digest.head, digest.dir_hash1, None)
        }
        (None, Some(source)) => {
            let tree = read_bundle(source, args.folder.as_deref(), console)?;
            (tree.head(), tree.dir_hash1(), Some(tree.bytes()))
        }
        (None, None) => return Err(Failure::usage("no-source", "nothing to compute a root of", "name one")),
    };
    let mut output = Output::line(format!("root      {}", head.root))
        .with("root", head.root.to_hex())
        .with("files", head.size.get())
        .with("dirHash1", dir_hash1.to_hex());
    output.lines.push(format!("files     {}", head.size));
    if let Some(bytes) = bytes {
        output.lines.push(format!("bytes     {bytes}"));
        output = output.with("bytes", bytes);
    }
    output.lines.push(format!("dirHash1  {dir_hash1}"));
    // Not a result: its word for success is one that must not stand here.
    console.report(output.with("outcome", "computed").with("exit", Exit::Verified.code()));
    Ok(Exit::Verified)
}

fn root_of_listing(
    path: &Path,
    console: Console,
) -> Result<indelible_proto::bundle_tree::ListingDigest, Failure> {
    let bar = listing_bar(console, path);
    let mut progress = |bytes| bar.inc(bytes);
    let digest = match path == Path::new("-") {
        true => hash_listing(&mut BufReader::new(std::io::stdin().lock()), &mut progress),
        false => File::open(path)
            .map_err(Into::into)
            .and_then(|file| hash_listing(&mut BufReader::new(file), &mut progress)),
    };
    bar.finish_and_clear();
    digest.map_err(|error| {
        let message = format!("{}: {}", path.display(), chain(&error));
        match error {
            crate::bundle::ListingFileError::Read(_) => {
                Failure::undecided(error.code(), message, "make the listing readable")
            }
            _ => Failure::usage(
                error.code(),
                message,
                "make the listing with: find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2",
            ),
        }
    })
}

/// Long listings take minutes; a pipe does not say how long it is.
fn listing_bar(console: Console, path: &Path) -> ProgressBar {
    if console.is_json() {
        return ProgressBar::hidden();
    }
    let total = path.metadata().map(|metadata| metadata.len()).ok().filter(|bytes| *bytes > 0);
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "reading {wide_bar} {bytes}/{total_bytes} {eta}"),
        None => (ProgressBar::new_spinner(), "reading {bytes} {elapsed}"),
    };
    ProgressStyle::with_template(template).map_or(bar.clone(), |style| bar.with_style(style))
}

fn prove(args: &ProveArgs, console: Console) -> Result<Exit, Failure> {
    let tree = read_bundle(&args.source, args.folder.as_deref(), console)?;
    let proof = match &args.absent {
        Some(path) => tree.prove_absent(path),
        None => tree.prove_present(&args.paths.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    let proof = proof.map_err(|error| unprovable(&tree, args, error))?;
    let bytes = proof.encode();
    durable::create_new(&args.out, &bytes, Access::Public).map_err(|error| write_failure(&error))?;
    let head = tree.head();
    let mut output = Output::line(format!("{}: {} bytes", args.out.display(), bytes.len()))
        .with("proof", args.out.display().to_string())
        .with("proofBytes", bytes.len())
        .with("root", head.root.to_hex())
        .with("files", head.size.get());
    output.lines.push(format!("  root   {}", head.root));
    output.lines.push(format!("  files  {}", head.size));
    console.report(output.with("outcome", "proved").with("exit", Exit::Verified.code()));
    Ok(Exit::Verified)
}

/// Why the bundle does not give the proof that is wanted.
fn unprovable(tree: &BundleTree, args: &ProveArgs, error: BundleProofError) -> Failure {
    let missing = || args.paths.iter().find(|path| tree.prove_present(&[path]).is_err());
    match error {
        BundleProofError::NoSuchFile | BundleProofError::Path(_) if args.absent.is_none() => {
            let path = missing().map_or("", String::as_str);
            let next = "name paths as the bundle has them, without the directory's own name";
            Failure::usage(error.code(), format!("{path}: {error}"), next)
        }
        BundleProofError::IsPresent => {
            let path = args.absent.as_deref().unwrap_or_default();
            Failure::refused(error.code(), format!("{path}: {error}"), "prove that it is there instead")
        }
        BundleProofError::FileCount { .. } => {
            let next = format!("make several proofs of {MAX_PROOF_FILES} files, or send the whole listing");
            Failure::usage(error.code(), error, next)
        }
        error => Failure::usage(error.code(), error, "name a path as a bundle has it"),
    }
}

fn verify(args: &VerifyArgs, console: Console) -> Result<Exit, Failure> {
    let head = bundle_head(args)?;
    let next = "get the bundle proof again from where the files came from";
    let bytes = read_input(&args.proof, BundleProof::MAX_BYTES, "a bundle proof", next)?;
    let refused = |error: BundleProofError| {
        let message = format!("not in this bundle: {}: {error}", args.proof.display());
        Failure::refused(error.code(), message, format!("{next}; if it stays so, do not use them"))
    };
    let proof = BundleProof::parse(&bytes).map_err(refused)?;
    let mut output = match &args.absent {
        Some(path) => {
            let absent = proof.verify_absent(&head, path).map_err(refused)?;
            Output::line(format!("verified: the bundle has no file {}", absent.path()))
                .with("absent", absent.path())
        }
        None => {
            let proven = proof.verify_present(&head).map_err(refused)?;
            let paths: Vec<&str> = match args.paths.is_empty() {
                true => proven.lines().iter().map(|line| line.path.as_str()).collect(),
                false => args.paths.iter().map(String::as_str).collect(),
            };
            for path in &paths {
                compare(&args.dir, path, &proven)?;
            }
            let mut output = Output::default().with("verified", paths.clone());
            output.lines.extend(paths.iter().map(|path| format!("verified: {path}")));
            output
        }
    };
    output.lines.push(format!("  bundle  {}, {} files", head.root, head.size));
    let from = match &args.record {
        Some(record) => format!("the record in {}, which is verified", record.display()),
        None => "the command line; it must be from a record that is verified".to_owned(),
    };
    output.lines.push(format!("  from    {from}"));
    let open: &[&str] = if args.record.is_some() { &NOT_CHECKED } else { &[] };
    output.lines.extend(open.iter().map(|what| format!("  not checked: {what}")));
    let output =
        output.with("root", head.root.to_hex()).with("files", head.size.get()).with("notChecked", open);
    console.result(Exit::Verified, output.with("recordVerified", args.record.is_some()));
    Ok(Exit::Verified)
}

/// What the record's proof alone cannot show, and this command asks nobody else.
const NOT_CHECKED: [&str; 4] = [
    "whether a newer record of the channel was verified here before",
    "whether a later record withdraws this one, or changed the channel's keys",
    "the reviews, the platform, the engine and the age that a client.toml asks for",
    "the checkpoint against the one that is remembered of the log",
];

/// The file on disk is the one that was proved.
fn compare(dir: &Path, path: &str, proven: &InBundle) -> Result<(), Failure> {
    const NEXT: &str = "do not use the file; get it and its proof again";
    let Some(line) = proven.line(path) else {
        let message = format!("{path}: the proof says nothing about this file");
        let next = "name files by their paths in the bundle, and say with --dir where those start";
        return Err(Failure::refused("bundle-file-not-proved", message, next));
    };
    let file = hash_regular_file(&dir.join(path)).map_err(|error| files_failure(&error))?;
    if file.sha256 != line.sha256 {
        let message =
            format!("tampered: {path} has SHA-256 {}, the bundle's has {}", file.sha256, line.sha256);
        return Err(Failure::refused("bundle-file-mismatch", message, NEXT));
    }
    Ok(())
}

/// The bundle that is trusted: from the record, or from the command line.
fn bundle_head(args: &VerifyArgs) -> Result<TreeHead, Failure> {
    if let (Some(record), Some(policy)) = (&args.record, &args.policy) {
        let policy = read_policy(policy)?;
        let next = "get the record's .tlog-proof again";
        let bytes = read_input(record, LogProof::MAX_BYTES, "a log proof", next)?;
        let proof = LogProof::parse(&bytes).map_err(|error| {
            let message = format!("not logged: {} is not a log proof: {error}", record.display());
            Failure::refused(error.code(), message, next)
        })?;
        let keys = args.keys.iter().map(|key| parse_record_vkey(key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| key_failure(&error))?;
        let trust = match &args.channel {
            Some(channel) => Trust::Channel(Box::new(trusted_channel(channel, &policy, None, |_| Ok(()))?)),
            None if keys.is_empty() => Trust::Nobody,
            None => Trust::Keys(keys),
        };
        return bundle_of_record(&proof, &policy, &trust, now()?).map_err(|reason| Failure {
            exit: reason.outcome.into(),
            code: reason.code,
            message: format!("{}: {}", record.display(), reason.message),
            next: reason.next,
        });
    }
    let root = args.root.as_deref().and_then(Hash::parse_hex);
    let size = args.files.and_then(|files| TreeSize::new(files).ok());
    match (root, size) {
        (Some(root), Some(size)) => Ok(TreeHead { size, root }),
        _ => Err(Failure::usage(
            "bundle-root-form",
            "--root is not 64 lower-case hexadecimal digits, or --files is no number of files",
            "copy bundle.root and bundle.files from the verified record",
        )),
    }
}

/// The bundle in a directory or an archive, of which a folder may be named.
pub(super) fn read_bundle(
    source: &Path,
    folder: Option<&str>,
    console: Console,
) -> Result<BundleTree, Failure> {
    let bar = hashing_bar(console, source);
    let tree = bundle_from(source, folder, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    tree.map_err(|error| match &error {
        SourceError::Directory(error) => files_failure(error),
        _ if error.is_passing() => {
            Failure::undecided(error.code(), chain(&error), "make it readable, and let nothing write to it")
        }
        SourceError::Archive(_) => {
            let next = "pack it again, plain files only, or unpack it and name the directory";
            Failure::usage(error.code(), chain(&error), next)
        }
    })
}
