//! `indelible carry export`.
//!
//! The importer's memory is made again in a directory beside the file, from its receipt and from what this client
//! knows of the channels; the carry is judged by it with the importer's own code. So what is written is what the
//! importer will take, as far as the receipt tells.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::proof::LogProof;
use indelible_proto::tree::{ConsistencyProof, TreeHead};
use indicatif::ProgressBar;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{
    Clock, OpenState, files_failure, read_input, read_policy, state_dir, state_failure,
};
use super::super::publication::runtime;
use super::super::update_state::{self, Followed, Update};
use super::super::verify::{Judge, TrustArgs, config_failure, fork_failure, hash, read_proof};
use super::{Importer, Learned, copying_bar, not_the_log, report_channels};
use crate::carry::{
    CarryError, CarryWriter, MAX_ARTIFACTS, Manifest, Placed, Receipt, ReceiptChannel, Staging,
};
use crate::channel::{KnownChannel, fetch_channel};
use crate::client_config::ClientConfig;
use crate::fetch::{CHECKPOINT_PATH, Source};
use crate::files::{ArtifactDigest, artifact_name};
use crate::log_client::LogClient;
use crate::verify::TrustedTime;
use crate::watch::Comparison;

/// Put artifacts, their proofs and what channels said since into one file, for an air gap
///
/// Run it on a machine that reaches the log. It follows every channel that the client's file names, as
/// `update-state` does, and takes of each what the importer does not know: all of it without --since. Artifacts are
/// files, or rules as directories or archives, with their .tlog-proof beside them; without any the carry brings
/// withdrawals, changes of keys and reviews alone. All of it is verified before it is written, by what --since says the importer remembers.
///
/// Client files on both sides have to name the same channels and reviewers.
///
/// Exit codes: 0 written; 10 hold or 20 refused, as the importer would: nothing is written; 30 the log has signed two
/// histories, and the evidence is written to a file; 40 not everything could be read; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible carry export agent-1.2.deb sigma/ --config client.toml --out update.carry
  indelible carry export agent-1.3.deb --config client.toml --out update.carry \\
      --since /media/usb/that-machine.carry-receipt")]
pub(in crate::cli) struct ExportArgs {
    /// Files or directories, each with its .tlog-proof beside it
    #[arg(value_name = "ARTIFACT")]
    artifacts: Vec<PathBuf>,
    /// File with policy, state directory, channels and reviewers; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// File to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the importer remembers: the file that `carry import --receipt` or `carry receipt` wrote there
    /// [default: nothing]
    #[arg(long, value_name = "RECEIPT")]
    since: Option<PathBuf>,
    /// Log or mirror to read from [default: the URL in the policy]
    #[arg(long, value_name = "URL|DIR")]
    from: Option<String>,
    /// Directory of what is remembered on this side [default: the one in --config]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// An artifact on its way.
struct Going {
    path: PathBuf,
    name: String,
    digest: ArtifactDigest,
    proof: LogProof,
}

/// Names in the staging directory.
const STATE: &str = "state";
const CARRY: &str = "carry";

pub(super) fn run(args: &ExportArgs, console: Console, clock: Clock) -> Result<Exit, Failure> {
    if args.artifacts.len() as u64 > MAX_ARTIFACTS {
        let message = format!("{} artifacts, at most {MAX_ARTIFACTS} fit in one carry", args.artifacts.len());
        return Err(Failure::usage("too-many-artifacts", message, "make several, one after the other"));
    }
    if args.out.exists() {
        let message = format!("{} exists already", args.out.display());
        return Err(Failure::usage("file-exists", message, "choose another name for --out"));
    }
    let config = ClientConfig::load(&args.config).map_err(|error| config_failure(&error))?;
    let policy = read_policy(&config.policy)?;
    let followed = Followed::all(&config)?;
    let receipt = args.since.as_deref().map(read_receipt).transpose()?;
    let going = going(&args.artifacts, console)?;
    let dir = state_dir(args.state.clone().or_else(|| config.state.clone()))?;
    let source = update_state::source(args.from.as_deref(), &policy)?;
    follow_here(&policy, &dir, clock, &source, &followed, console)?;

    let staging = Staging::beside(&args.out).map_err(|error| not_written(&args.out, &error))?;
    let state = importer_state(&staging, &dir, &policy, &followed, receipt.as_ref())?;
    let now = clock()?;
    let floor = state.state.time_floor().map_err(|error| state_failure(&error))?;
    let importer =
        Importer { policy: &policy, followed: &followed, state: &state, time: TrustedTime::new(now, floor) };
    let carry = gather(&importer, &source, receipt.as_ref())?;
    let learned = importer.learn(&carry)?;
    let judge = Judge::new(&TrustArgs::of_file(&args.config, &staging.path(STATE), false), now)?;
    let mut gravest = Exit::Verified;
    for artifact in &going {
        let judged = importer.judge(&judge, &artifact.name, &artifact.digest, &artifact.proof, &learned)?;
        gravest = gravest.graver(judged.exit);
        if judged.exit != Exit::Verified {
            console.result(judged.exit, judged.output);
        }
    }
    if gravest != Exit::Verified {
        let line = "not written, as the importer would not take it";
        console.result(gravest, Output::line(line).with("written", false));
        return Ok(gravest);
    }
    write(&staging, &args.out, &carry, &going, console)?;
    console.result(Exit::Verified, report(args, &carry, &going, &learned));
    Ok(Exit::Verified)
}

fn report(args: &ExportArgs, carry: &Manifest, going: &[Going], learned: &Learned) -> Output {
    let names: Vec<&str> = going.iter().map(|artifact| artifact.name.as_str()).collect();
    let mut output = Output::line(format!("written: {}", args.out.display())).with("written", true);
    output.lines.extend(names.iter().map(|name| format!("  artifact   {name}")));
    let since = carry.since.size.get();
    let goes_on = if since == 0 {
        "for a machine that remembers nothing".to_owned()
    } else {
        format!("from size {since}")
    };
    output.lines.push(format!("  goes on    {goes_on}"));
    let output =
        output.with("carry", args.out.display().to_string()).with("artifacts", names).with("since", since);
    report_channels(output, carry, learned)
}

fn read_receipt(path: &Path) -> Result<Receipt, Failure> {
    let next = "name the file that carry import --receipt, or carry receipt, wrote on the importer's side";
    let bytes = read_input(path, Receipt::MAX_BYTES, "a receipt", next)?;
    Receipt::parse(&bytes).map_err(|error| {
        Failure::usage(error.code(), format!("{} is not a receipt: {error}", path.display()), next)
    })
}

/// The artifacts with their proofs, hashed, by name.
fn going(paths: &[PathBuf], console: Console) -> Result<Vec<Going>, Failure> {
    let mut going = Vec::new();
    for path in paths {
        let name = artifact_name(path).map_err(|error| files_failure(&error))?;
        let proof = read_proof(path, None);
        let digest = hash(path, None, proof.as_ref().ok(), console)?;
        let proof = proof?;
        going.push(Going { path: path.clone(), name, digest, proof });
    }
    going.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(going)
}

/// Follows the channels on this side, where what the importer knows is found as well.
fn follow_here(
    policy: &Policy,
    dir: &Path,
    clock: Clock,
    source: &Source,
    followed: &[Followed],
    console: Console,
) -> Result<(), Failure> {
    let (policy, dir, sources) = (policy.clone(), dir.to_owned(), vec![source.clone()]);
    let update = Update { policy, dir, clock, files: Vec::new(), sources };
    let bar = update_state::bar(console, followed.len());
    for channel in followed {
        bar.set_message(channel.name.to_string());
        update.follow(channel, &bar)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the importer remembers, made again in the staging directory. Evidence is kept on this side.
fn importer_state(
    staging: &Staging,
    dir: &Path,
    policy: &Policy,
    followed: &[Followed],
    receipt: Option<&Receipt>,
) -> Result<OpenState, Failure> {
    let state = OpenState::open(&staging.path(STATE))?;
    let here = OpenState::open(dir)?;
    let failed = |error| state_failure(&error);
    if let Some(floor) = here.state.time_floor().map_err(failed)? {
        state.state.raise_time_floor(floor).map_err(failed)?;
    }
    let Some(receipt) = receipt else {
        return Ok(state.with_evidence_in(here.evidence_dir()));
    };
    if let Some(note) = &receipt.note {
        let checkpoint = policy.verify(note).map_err(|error| not_the_log(&error))?;
        state.state.remember_checkpoint(&checkpoint, policy).map_err(failed)?;
    }
    for channel in &receipt.channels {
        let Some(ours) = followed.iter().find(|followed| followed.name == channel.name) else { continue };
        if ours.genesis != channel.genesis {
            let (name, theirs) = (&channel.name, channel.genesis);
            let message = format!(
                "the importer has channel {name} as opened by record {theirs}, the client's file here says {}",
                ours.genesis
            );
            let next = "find out from the vendor which record opened the channel";
            return Err(Failure::refused("channel-pinned-otherwise", message, next));
        }
        if let Some(known) = known_there(&here, channel)? {
            state.state.remember_known(&known).map_err(failed)?;
        }
    }
    Ok(state.with_evidence_in(here.evidence_dir()))
}

/// The importer's knowledge of a channel, as a part of ours.
fn known_there(here: &OpenState, channel: &ReceiptChannel) -> Result<Option<KnownChannel>, Failure> {
    let Some(newest) = channel.publish else { return Ok(None) };
    let known = here.state.known_channel(&channel.name).map_err(|error| state_failure(&error))?;
    let there = known.and_then(|known| known.up_to(newest.record, channel.recovery.map(|head| head.record)));
    there.map(Some).ok_or_else(|| {
        let (name, seq, record) = (&channel.name, newest.seq, newest.record);
        let message = format!("the importer knows record {record} of channel {name}, seq {seq}, and the log does not show it");
        let next = "read from the log itself, not from an older mirror; if it stays so, keep the receipt, install nothing, and ask the vendor: the channel has two histories";
        Failure::refused("carry-receipt-unknown-record", message, next)
    })
}

/// Everything of the carry but the artifacts, as the log tells it.
fn gather(importer: &Importer<'_>, source: &Source, receipt: Option<&Receipt>) -> Result<Manifest, Failure> {
    let runtime = runtime()?;
    let mut followed: Vec<&Followed> = importer.followed.iter().collect();
    followed.sort_by(|one, other| one.name.cmp(&other.name));
    let mut channel_files = Vec::new();
    for Followed { name, genesis } in followed {
        let known = importer.state.state.known_channel(name).map_err(|error| state_failure(&error))?;
        let mut page = |file: &_, _: &_, _: &_| {
            channel_files.push(Clone::clone(file));
            true
        };
        let (policy, time) = (importer.policy, importer.time);
        let read = runtime.block_on(fetch_channel(source, name, *genesis, known, policy, time, &mut page));
        read.map_err(|error| update_state::fetch_failure(&error))?;
    }
    // The newest of all is read last, so that nothing in the carry is newer.
    let client = LogClient::new(source.clone());
    let bytes = runtime.block_on(client.checkpoint()).map_err(|error| unread(error.code(), &error))?;
    let note = SignedNote::parse(&bytes).map_err(|error| match source.web_page(CHECKPOINT_PATH, &bytes) {
        Some(page) => unread(page.code(), &page),
        None => unread(error.code(), &error),
    })?;
    let newest = importer.policy.verify_log_signature(&note).map_err(|error| not_the_log(&error))?;
    let held = receipt.and_then(|receipt| receipt.note.as_ref());
    let held = held.map(|note| importer.policy.verify_log_signature(note)).transpose();
    let held = held.map_err(|error| not_the_log(&error))?;
    let since = held.as_ref().map_or(TreeHead::empty(), LogSigned::head);
    let proof = match &held {
        Some(held) => runtime.block_on(consistency(&client, held, &newest, importer))?,
        None => nothing_between(),
    };
    Ok(Manifest { since, proof, note, channel_files })
}

/// That the log's tree grew out of the one the importer remembers; if it did not, that is evidence.
async fn consistency(
    client: &LogClient,
    held: &LogSigned,
    newest: &LogSigned,
    importer: &Importer<'_>,
) -> Result<ConsistencyProof, Failure> {
    let (old, new) = (held.head(), newest.head());
    if held.checkpoint().origin() != newest.checkpoint().origin() {
        let message = format!("the receipt is of log {}", held.checkpoint().origin());
        let next = "make a carry for each log by itself, each with its own client's file";
        return Err(Failure::usage("carry-other-log", message, next));
    }
    if old.size > new.size {
        let message = format!(
            "the importer remembers a tree of size {}, the log shows one of size {}",
            old.size, new.size
        );
        let next =
            "read from the log itself, not from an older mirror; if it stays so, the log has lost entries";
        return Err(Failure::refused("carry-rollback", message, next));
    }
    match Comparison::of(held, newest) {
        Comparison::Agree => {}
        Comparison::Contradict(evidence) => {
            return Err(fork_failure(newest, old.size, &evidence, &importer.state.evidence_dir()));
        }
        Comparison::Open(open) => {
            let nodes = client.nodes(open.nodes(), open.size()).await;
            let nodes = nodes.map_err(|error| unread(error.code(), &error))?;
            if let Some(evidence) = open.finish(&nodes).map_err(|error| unread("wrong-tiles", &error))? {
                return Err(fork_failure(newest, old.size, &evidence, &importer.state.evidence_dir()));
            }
        }
    }
    client.consistency(old.size, new.size).await.map_err(|error| unread(error.code(), &error))
}

fn nothing_between() -> ConsistencyProof {
    ConsistencyProof::new(Vec::new()).expect("invariant: a proof may have no hashes")
}

/// Writes the carry, whole or not at all.
fn write(
    staging: &Staging,
    out: &Path,
    carry: &Manifest,
    going: &[Going],
    console: Console,
) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot write {}: {error}", out.display());
        Failure::undecided("carry-not-written", message, "make room and the directory writable")
    };
    let size = |artifact: &Going| match &artifact.digest {
        ArtifactDigest::File(file) | ArtifactDigest::Archive { file, .. } => file.bytes,
        ArtifactDigest::Directory(tree) => tree.bytes(),
    };
    let bar = copying_bar(console, "writing", going.iter().map(size).sum());
    let file = File::create(staging.path(CARRY)).map_err(failed)?;
    let writer = CarryWriter::start(BufWriter::new(file), carry, going.len() as u64);
    let mut writer = writer.map_err(|error| unwritten(&error))?;
    for artifact in going {
        copy(&mut writer, artifact, &bar)?;
    }
    let file = writer.finish().map_err(|error| unwritten(&error))?;
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    bar.finish_and_clear();
    match staging.place(CARRY, out) {
        Ok(Placed::New | Placed::Already) => Ok(()),
        Ok(Placed::InTheWay) => {
            let message = format!("{} has come to be there meanwhile", out.display());
            Err(Failure::usage("file-exists", message, "choose another name for --out"))
        }
        Err(error) => Err(not_written(out, &error)),
    }
}

/// Copies one artifact, which has to be what was judged.
fn copy(
    writer: &mut CarryWriter<BufWriter<File>>,
    artifact: &Going,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let Going { path, name, digest, proof } = artifact;
    let (files, expected): (Vec<_>, Vec<_>) = match digest {
        ArtifactDigest::File(file) | ArtifactDigest::Archive { file, .. } => {
            (vec![(name.clone(), file.bytes)], vec![file.sha256])
        }
        ArtifactDigest::Directory(tree) => {
            let files = tree.files().iter();
            files.map(|file| ((format!("{name}/{}", file.path), file.bytes), file.sha256)).unzip()
        }
    };
    let place = |at: usize| match digest {
        ArtifactDigest::File(_) | ArtifactDigest::Archive { .. } => path.clone(),
        ArtifactDigest::Directory(tree) => {
            path.join(tree.files().get(at).map_or("", |file| file.path.as_str()))
        }
    };
    let mut open = |at| Ok(bar.wrap_read(File::open(place(at))?));
    let written = writer.artifact(name, proof, &files, &mut open).map_err(|error| unwritten(&error))?;
    let unchanged = written.iter().map(|digest| digest.sha256).eq(expected);
    if !unchanged {
        let message = format!("{}: changed while it was read", path.display());
        return Err(Failure::undecided(
            "artifact-changed",
            message,
            "run it again when nothing writes there",
        ));
    }
    Ok(())
}

fn unread(code: &'static str, error: &dyn std::error::Error) -> Failure {
    let next = "check the URL or directory, and run it again; nothing was written";
    Failure::undecided(code, chain(error), next)
}

fn unwritten(error: &CarryError) -> Failure {
    match error {
        CarryError::NotWritten(_) | CarryError::NotCopied { .. } => {
            Failure::undecided(error.code(), chain(error), "make room, and the artifacts readable")
        }
        _ => Failure::usage(error.code(), chain(error), "rename what is in the way, or make several carries"),
    }
}

fn not_written(path: &Path, error: &crate::durable::DurableError) -> Failure {
    let next = "make room and the directory writable, or wait for the other export to end";
    Failure::undecided(error.code(), format!("{}: {}", path.display(), chain(error)), next)
}
