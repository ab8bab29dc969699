//! `indelible submit`.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::hash::leaf_hash;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{MAX_RECORD_BYTES, SignedRecord};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::read_input;
use super::publication::{LogArgs, Publication};
use crate::durable;
use crate::publish::{Gap, batch_of, gaps, in_order};

/// Most records of one run: each is kept in memory.
const MAX_RECORDS: usize = 100_000;

/// Hand signed records in, and get their proofs
///
/// For records that were signed elsewhere, one or a whole directory of them. Each is sent after those that it names, up
/// to 256 in one request; each proof is verified and written beside its record. A record that is refused is reported and
/// does not stop the others. Interrupted, run it again: what has its proof already is not sent again,
/// and what is in the log is answered with its proof.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible submit agent.leaf --proof agent-1.2.tar.gz.tlog-proof --policy policy.txt
  indelible submit records/ --policy policy.txt")]
pub(super) struct SubmitArgs {
    /// Files with a signed record each, or directories of files that end in .leaf
    #[arg(required = true, value_name = "LEAF|DIR")]
    records: Vec<PathBuf>,
    /// File for the proof, if there is one record [default: LEAF.tlog-proof]
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

struct Leaf {
    path: PathBuf,
    record: SignedRecord,
}

pub(super) fn run(args: SubmitArgs, console: Console) -> Result<Exit, Failure> {
    let mut leaves = Vec::new();
    for path in paths(&args.records)? {
        leaves.push(Leaf { record: read(&path)?, path });
    }
    if leaves.is_empty() {
        return Err(Failure::usage(
            "no-records",
            "there is no record to hand in",
            "name files that end in .leaf",
        ));
    }
    if args.proof.is_some() && leaves.len() > 1 {
        let message = format!("--proof names one file, there are {} records", leaves.len());
        return Err(Failure::usage("too-many-records", message, "leave --proof out"));
    }
    let leaves = in_order(leaves, |leaf| &leaf.record);
    let publication = Publication::open(args.log.into(), &[], None)?;
    match <[Leaf; 1]>::try_from(leaves) {
        Ok([leaf]) => submit_one(&publication, leaf, args.proof, console),
        Err(leaves) => submit_all(&publication, leaves, console),
    }
}

fn submit_one(
    publication: &Publication,
    leaf: Leaf,
    proof: Option<PathBuf>,
    console: Console,
) -> Result<Exit, Failure> {
    let unwritten = publication.submit(leaf.record)?;
    let proofs = [proof.unwrap_or_else(|| beside(&leaf.path))];
    let (published, _) = publication.conclude(unwritten, &proofs)?;
    console.result(Exit::Verified, publication.report(&published, &proofs));
    Ok(Exit::Verified)
}

fn submit_all(publication: &Publication, leaves: Vec<Leaf>, console: Console) -> Result<Exit, Failure> {
    let gaps = tell_gaps(&leaves, console);
    let (total, bar) = (leaves.len(), bar(console, leaves.len()));
    let (proved, leaves): (Vec<Leaf>, Vec<Leaf>) =
        leaves.into_iter().partition(|leaf| has_proof(leaf, publication.policy()));
    bar.inc(proved.len() as u64);
    let (paths, records): (Vec<PathBuf>, Vec<SignedRecord>) =
        leaves.into_iter().map(|leaf| (leaf.path, leaf.record)).unzip();
    let mut paths = paths.into_iter();
    let mut waiting = publication.adopt_all(records)?;
    let (mut exit, mut refused) = (Exit::Verified, 0usize);
    while !waiting.is_empty() {
        let rest = waiting.split_off(batch_of(&waiting).clamp(1, waiting.len()));
        let batch = std::mem::replace(&mut waiting, rest);
        let mut published = Vec::with_capacity(batch.len());
        for (end, path) in publication.submit_batch(batch)?.into_iter().zip(&mut paths) {
            match end {
                Ok(record) => published.push((record, beside(&path))),
                Err(failure) => {
                    exit = exit.graver(failure.exit);
                    refused = refused.saturating_add(1);
                    let message = format!("{}: {}", path.display(), failure.message);
                    bar.suspend(|| console.failure(&Failure { message, ..failure }));
                }
            }
            bar.inc(1);
        }
        publication.conclude_batch(&published)?;
        for (record, proof) in &published {
            let report = publication.report(record, std::slice::from_ref(proof));
            bar.suspend(|| console.report(report));
        }
    }
    bar.finish_and_clear();
    let done = total.saturating_sub(refused);
    let line = match refused {
        0 => format!("published: {done} records"),
        _ => format!("published: {done} records; not published: {refused}"),
    };
    let output = Output::line(line).with("records", done).with("notPublished", refused);
    console.result(exit, output.with("already", proved.len()).with("gaps", gaps));
    Ok(exit)
}

/// Whether an earlier run has left this record's proof, and it holds.
fn has_proof(leaf: &Leaf, policy: &Policy) -> bool {
    let Ok(Some(bytes)) = durable::read(&beside(&leaf.path), LogProof::MAX_BYTES) else {
        return false;
    };
    let record = leaf.record.encode();
    LogProof::parse(&bytes).is_ok_and(|proof| {
        proof.extra() == Some(&record[..]) && proof.verify(&leaf_hash(&record), policy).is_ok()
    })
}

/// Says which records are missing between those that are there, and gives the same for programs.
fn tell_gaps(leaves: &[Leaf], console: Console) -> Vec<Value> {
    let told = gaps(leaves.iter().map(|leaf| &leaf.record)).into_iter().map(|gap| {
        let Gap { channel, chain, first, last } = gap;
        let chain = chain.as_str();
        console.remark(&format!(
            "not among these are records {first} to {last} of the {chain} chain of {channel}; what follows them is \
             refused unless the log has them"
        ));
        json!({ "channel": channel.as_str(), "chain": chain, "first": first, "last": last })
    });
    told.collect()
}

fn paths(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for path in named {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let unreadable = |error: std::io::Error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Failure::undecided("directory-unreadable", message, "make the directory readable")
        };
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "leaf") {
                paths.push(path);
            }
        }
    }
    if paths.len() > MAX_RECORDS {
        let message = format!("{} records, at most {MAX_RECORDS} can be handed in at once", paths.len());
        return Err(Failure::usage("too-many-records", message, "hand them in in several runs"));
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<SignedRecord, Failure> {
    const NEXT: &str = "name a file that indelible sign wrote";
    let bytes = read_input(path, MAX_RECORD_BYTES, "a record", NEXT)?;
    SignedRecord::parse(&bytes).map_err(|error| {
        Failure::usage(error.code(), format!("{} is not a record: {}", path.display(), chain(&error)), NEXT)
    })
}

fn beside(leaf: &Path) -> PathBuf {
    let mut name = leaf.as_os_str().to_owned();
    name.push(".tlog-proof");
    name.into()
}

/// A bar where there is something to wait for and somebody who watches.
fn bar(console: Console, records: usize) -> ProgressBar {
    if console.is_json() || records < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(records as u64);
    match ProgressStyle::with_template("{wide_bar} {pos}/{len} records {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
