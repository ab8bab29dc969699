//! `indelible carry import`.
//!
//! In this order: everything but the artifacts is judged; the artifacts are unpacked into a directory beside the
//! one they are to appear in; what is remembered is locked, and everything is judged by it, the artifacts too; they
//! appear, all at once; what was learned is remembered, the carry's checkpoint before all. Killed anywhere, it can be
//! run again: the checkpoint that is remembered is then the one the carry starts from, or its own, and both go on.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::policy::Policy;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{Clock, OpenState, read_policy, state_dir, state_failure};
use super::super::update_state::Followed;
use super::super::verify::{Judge, TrustArgs, config_failure, hash, remember_learned};
use super::{COPY_AGAIN, Importer, Learned, copying_bar, receipt, report_channels};
use crate::carry::{Carried, CarryError, CarryReader, Placed, Staging};
use crate::channel::WitnessTimes;
use crate::client_config::ClientConfig;
use crate::durable::DurableError;
use crate::files::{ArtifactDigest, PROOF_EXTENSION};
use crate::state::StateError;
use crate::verify::TrustedTime;

/// Verify what came over an air gap, and unpack it
///
/// Opens no connection. The log has to have grown out of the tree that is remembered, no record of a channel may be
/// missing, and every artifact has to verify as `indelible verify` would: otherwise nothing is unpacked and nothing is
/// remembered. Artifacts appear in DIR, each with its proof beside it, for `indelible guard` or `verify` to judge
/// again when they are installed: only then is it asked whether they are older than what was installed last. The same
/// file can be imported again; an older one is refused.
///
/// Exit codes: 0 imported; 10 hold; 20 refused: damaged, older than what is remembered, a gap, or an artifact that
/// does not verify; 30 the log has signed two histories, and the evidence is written to a file; 40 could not decide;
/// 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible carry import /media/usb/agent.carry --config client.toml --out agent/ \\
      --receipt /media/usb/this-machine.carry-receipt
  indelible guard --config client.toml agent/agent-1.2.deb -- dpkg -i agent/agent-1.2.deb")]
pub(in crate::cli) struct ImportArgs {
    /// The file that `carry export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File with policy, state directory, channels and reviewers; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Directory for the artifacts: a new one, or one that is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// File for what is remembered afterwards, for the next `carry export --since`; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Directory of what is remembered [default: the one in --config]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Show every check of every artifact
    #[arg(long)]
    explain: bool,
}

/// Where artifacts are unpacked first, in the staging directory.
const FILES: &str = "files";

pub(super) fn run(args: &ImportArgs, console: Console, clock: Clock) -> Result<Exit, Failure> {
    let config = ClientConfig::load(&args.config).map_err(|error| config_failure(&error))?;
    let policy = read_policy(&config.policy)?;
    let dir = state_dir(args.state.clone().or_else(|| config.state.clone()))?;
    let followed = Followed::all(&config)?;
    let now = clock()?;
    let judge = Judge::new(&TrustArgs::of_file(&args.config, &dir, args.explain), now)?;
    let (file, bytes) = open(&args.file)?;
    let bar = copying_bar(console, "unpacking", bytes);
    let (carry, reader) =
        CarryReader::open(BufReader::new(bar.wrap_read(file))).map_err(|e| unusable(&args.file, &e))?;
    let open_state = || {
        let state = OpenState::open(&dir)?;
        let floor = state.state.time_floor().map_err(|error| state_failure(&error))?;
        Ok::<_, Failure>((state, TrustedTime::new(now, floor)))
    };
    // What will be refused in the end is refused before gigabytes are copied.
    let (state, time) = open_state()?;
    Importer { policy: &policy, followed: &followed, state: &state, time }.learn(&carry)?;
    drop(state);

    let staging = Staging::beside(&args.out).map_err(|error| not_staged(&args.out, &error))?;
    let mut unpack = |path: &str, content: &mut dyn Read| staging.write(FILES, path, content);
    let carried = reader.unpack(&mut unpack).map_err(|error| unusable(&args.file, &error))?;
    bar.finish_and_clear();
    let digests = staged(&staging, &carried, console)?;

    let (state, time) = open_state()?;
    let importer = Importer { policy: &policy, followed: &followed, state: &state, time };
    let learned = importer.learn(&carry)?;
    let mut gravest = Exit::Verified;
    for (Carried { name, proof }, digest) in carried.iter().zip(&digests) {
        let judged = importer.judge(&judge, name, digest, proof, &learned)?;
        gravest = gravest.graver(judged.exit);
        if judged.exit != Exit::Verified || args.explain {
            console.result(judged.exit, judged.output);
        }
    }
    if gravest != Exit::Verified {
        let line = "nothing was unpacked and nothing is remembered, as not every artifact was verified";
        console.result(gravest, Output::line(line).with("imported", false));
        return Ok(gravest);
    }
    if !carried.is_empty() {
        place(&staging, &args.out)?;
    }
    remember(&state, &learned, &policy, time).map_err(|error| state_failure(&error))?;
    let mut output = Output::line(format!("imported: {}", args.file.display())).with("imported", true);
    for carried in &carried {
        output.lines.push(format!("  artifact   {}", args.out.join(&carried.name).display()));
    }
    let names: Vec<&str> = carried.iter().map(|carried| carried.name.as_str()).collect();
    output = report_channels(output.with("artifacts", names), &carry, &learned);
    if let Some(path) = &args.receipt {
        let held = state.state.checkpoint(learned.checkpoint.origin(), &policy);
        let held = held.map_err(|error| state_failure(&error))?;
        receipt::write(&receipt::receipt(&state, &followed, held.as_ref())?, path)?;
        output.lines.push(format!("  receipt    {}", path.display()));
        output = output.with("receipt", path.display().to_string());
    }
    console.result(Exit::Verified, output);
    Ok(Exit::Verified)
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let next = "name the file that carry export wrote";
    if !path.is_file() {
        let what = if path.exists() { "not a regular file" } else { "no such file" };
        return Err(Failure::usage("file-missing", format!("{}: {what}", path.display()), next));
    }
    let opened = File::open(path).and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    });
    opened.map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::undecided("file-unreadable", message, "make the file readable")
    })
}

/// Writes the proofs beside the artifacts, and hashes what was unpacked as it is on disk now.
fn staged(staging: &Staging, carried: &[Carried], console: Console) -> Result<Vec<ArtifactDigest>, Failure> {
    let mut digests = Vec::new();
    for Carried { name, proof } in carried {
        let bytes = proof.encode();
        let written = staging.write(FILES, &format!("{name}.{PROOF_EXTENSION}"), &mut bytes.as_slice());
        written.map_err(|error| not_staged(&staging.path(FILES), &error))?;
        digests.push(hash(&staging.path(FILES).join(name), None, Some(proof), console)?);
    }
    Ok(digests)
}

fn place(staging: &Staging, out: &Path) -> Result<(), Failure> {
    match staging.place(FILES, out) {
        Ok(Placed::New | Placed::Already) => Ok(()),
        Ok(Placed::InTheWay) => {
            let message = format!("{} has something else in it than this carry", out.display());
            Err(Failure::usage(
                "carry-out-in-the-way",
                message,
                "pass --out with a directory that is not there yet",
            ))
        }
        Err(error) => Err(not_staged(out, &error)),
    }
}

/// The checkpoint goes first: what channels were proved in is older, and would not be what a carry goes on from.
fn remember(
    state: &OpenState,
    learned: &Learned,
    policy: &Policy,
    time: TrustedTime,
) -> Result<(), StateError> {
    state.state.remember_checkpoint(&learned.checkpoint, policy)?;
    remember_learned(state, &learned.channels, policy)?;
    match WitnessTimes::of(&learned.checkpoint, policy, time).quorum {
        Some(vouched) => state.state.raise_time_floor(vouched),
        None => Ok(()),
    }
}

/// How a carry that cannot be used ends a run.
fn unusable(path: &Path, error: &CarryError) -> Failure {
    let message = format!("{}: {}", path.display(), chain(error));
    match error {
        CarryError::Read(_) => {
            Failure::undecided(error.code(), message, "copy the file to a disk that can be read")
        }
        CarryError::Unpack(error) => not_staged(path, error),
        CarryError::NotOne => Failure::usage(error.code(), message, "name the file that carry export wrote"),
        _ => Failure::refused(error.code(), message, COPY_AGAIN),
    }
}

fn not_staged(path: &Path, error: &DurableError) -> Failure {
    let next = match error {
        DurableError::Locked { .. } => "wait for the other import to end",
        _ => "make room and the directory writable; then run it again, which does no harm",
    };
    Failure::undecided(error.code(), format!("{}: {}", path.display(), chain(error)), next)
}
