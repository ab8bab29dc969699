//! `indelible carry`: over an air gap in one file. What both sides have in common is here: the exporter judges a
//! carry by what its importer remembers, with the code that the importer runs.

mod export;
mod import;
mod receipt;

use std::path::Path;

use clap::Subcommand;
use indelible_proto::channel_file::ChannelFile;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy, PolicyError, VerifiedCheckpoint};
use indelible_proto::record::Chain;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::{Clock, OpenState, SHOW_PROGRESS_FROM_BYTES, state_failure};
use super::update_state::Followed;
use super::verify::{GivenFile, Judge, Learning, fork_failure};
use crate::carry::{Manifest, NotFollowing, find_gap, follows};
use crate::channel::KnownChannel;
use crate::files::ArtifactDigest;
use crate::verify::{Comparison, Knowledge, TrustedTime, compare};

#[derive(Debug, Subcommand)]
pub(super) enum CarryCommand {
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Receipt(receipt::ReceiptArgs),
}

pub(super) fn run(command: &CarryCommand, console: Console, clock: Clock) -> Result<Exit, Failure> {
    match command {
        CarryCommand::Export(args) => export::run(args, console, clock),
        CarryCommand::Import(args) => import::run(args, console, clock),
        CarryCommand::Receipt(args) => receipt::run(args, console),
    }
}

/// What an importer has to know to judge a carry, and what an exporter takes for it.
struct Importer<'a> {
    policy: &'a Policy,
    followed: &'a [Followed],
    state: &'a OpenState,
    time: TrustedTime,
}

/// What is to be remembered of a carry that was judged good.
struct Learned {
    checkpoint: VerifiedCheckpoint,
    channels: Vec<(KnownChannel, VerifiedCheckpoint)>,
    /// How many records of each channel of the carry were new.
    fresh: Vec<usize>,
}

/// What a next step says to whoever has a carry that does not go on where their memory ends.
const NEW_CARRY: &str = "run: indelible carry receipt; have a carry made with --since and that file";
const COPY_AGAIN: &str = "copy the file again; if it stays so, have it made again";

impl Importer<'_> {
    /// Judges everything of a carry but its artifacts.
    fn learn(&self, carry: &Manifest) -> Result<Learned, Failure> {
        let signed = self.policy.verify_log_signature(&carry.note).map_err(|error| not_the_log(&error))?;
        let held = self.state.state.checkpoint(signed.checkpoint().origin(), self.policy);
        let held = held.map_err(|error| state_failure(&error))?;
        follows(carry, &signed, held.as_ref()).map_err(|error| self.not_following(&signed, &error))?;
        let checkpoint = self.policy.verify(&carry.note).map_err(|error| not_the_log(&error))?;
        let (mut channels, mut fresh) = (Vec::new(), Vec::new());
        for files in carry.channel_files.chunk_by(|one, other| one.channel() == other.channel()) {
            fresh.push(self.follow(files, &carry.note, &signed, &mut channels)?);
        }
        Ok(Learned { checkpoint, channels, fresh })
    }

    /// Follows one channel through its files.
    fn follow(
        &self,
        files: &[ChannelFile],
        note: &SignedNote,
        newest: &LogSigned,
        learned: &mut Vec<(KnownChannel, VerifiedCheckpoint)>,
    ) -> Result<usize, Failure> {
        let Some(name) = files.first().map(ChannelFile::channel) else { return Ok(0) };
        let Some(channel) = self.followed.iter().find(|followed| followed.name == *name) else {
            let message =
                format!("the carry has records of channel {name}, which the client's file does not name");
            let next = "add the channel to the client's file if it is to count";
            return Err(Failure::refused("carry-channel-not-configured", message, next));
        };
        for file in files {
            self.check_within(newest, file.note())?;
        }
        let known = self.state.state.known_channel(name).map_err(|error| state_failure(&error))?;
        if let Some(gap) = find_gap(known.as_ref(), files) {
            return Err(Failure::refused(gap.code(), format!("the carry: {gap}"), NEW_CARRY));
        }
        let inside = |file: &ChannelFile| GivenFile::inside(Path::new("the carry"), file.clone());
        let files: Vec<GivenFile> = files.iter().map(inside).collect();
        let (policy, state, time) = (self.policy, Some(self.state), self.time);
        let mut learning =
            Learning { files: &files, policy, state, time, note, ahead: &[], learned: Vec::new() };
        let after = match learning.of(name, channel.genesis)? {
            Knowledge::Channel(known) => known.records().count(),
            Knowledge::Nothing => 0,
            Knowledge::Damaged { code, message } => {
                let next = "restore the file, or delete it to start afresh";
                return Err(Failure::undecided(code, message, next));
            }
        };
        learned.append(&mut learning.learned);
        Ok(after.saturating_sub(known.map_or(0, |known| known.records().count())))
    }

    /// Judges an artifact whose content was hashed, by what the carry says as well.
    fn judge(
        &self,
        judge: &Judge,
        name: &str,
        digest: &ArtifactDigest,
        proof: &indelible_proto::proof::LogProof,
        learned: &Learned,
    ) -> Result<super::verify::Judged, Failure> {
        let judged = judge.rehearse(Path::new(name), digest, proof, self.state, &learned.channels)?;
        if judged.exit == Exit::Verified {
            let signed = self.policy.verify_log_signature(learned.checkpoint.note());
            let signed = signed.map_err(|error| not_the_log(&error))?;
            self.check_within(&signed, proof.note())?;
        }
        Ok(judged)
    }

    /// Nothing in a carry is newer than its checkpoint: that is what its importer remembers, and the next carry
    /// starts from.
    fn check_within(&self, newest: &LogSigned, note: &SignedNote) -> Result<(), Failure> {
        let seen = self.policy.verify_log_signature(note).map_err(|error| not_the_log(&error))?;
        match compare(newest, &seen) {
            Comparison::Same | Comparison::Smaller => Ok(()),
            Comparison::Fork(evidence) => {
                Err(fork_failure(&seen, seen.head().size, &evidence, &self.state.evidence_dir()))
            }
            Comparison::Larger | Comparison::OtherKey | Comparison::OtherLog => {
                let message = format!(
                    "the carry's newest checkpoint is of size {}, and something in it is of another log, or later",
                    newest.head().size
                );
                Err(Failure::refused("carry-checkpoint-not-newest", message, "have the carry made again"))
            }
        }
    }

    fn not_following(&self, seen: &LogSigned, error: &NotFollowing) -> Failure {
        let message = format!("the carry: {error}");
        match error {
            NotFollowing::Fork { size, evidence } => {
                fork_failure(seen, *size, evidence, &self.state.evidence_dir())
            }
            NotFollowing::OtherKey { .. } => {
                let next = "find out from the log's operator which of its keys is right before you go on";
                Failure::undecided(error.code(), message, next)
            }
            NotFollowing::Rollback { .. } => {
                let next = "import the newest carry; what is remembered stays as it is";
                Failure::refused(error.code(), message, next)
            }
            NotFollowing::Unproven { .. } => Failure::refused(error.code(), message, COPY_AGAIN),
            NotFollowing::Missing { .. } | NotFollowing::MovedOn { .. } => {
                let next = format!("import the carries in between in their order, or {NEW_CARRY}");
                Failure::refused(error.code(), message, next)
            }
        }
    }
}

fn not_the_log(error: &PolicyError) -> Failure {
    let message = format!("a checkpoint in the carry does not count under the policy: {error}");
    let next = "find out whether carry and policy are of the same log; get the policy from its operator";
    Failure::refused(error.code(), message, next)
}

/// What was learned of channels, for people and programs.
fn report_channels(output: Output, carry: &Manifest, learned: &Learned) -> Output {
    let mut output = output;
    let mut channels: Vec<Value> = Vec::new();
    let names = carry.channel_files.chunk_by(|one, other| one.channel() == other.channel());
    for (files, fresh) in names.zip(&learned.fresh) {
        let Some(name) = files.first().map(ChannelFile::channel) else { continue };
        let known = learned.channels.iter().rev().map(|(known, _)| known).find(|known| known.name() == name);
        let seq = known.map(|known| known.state().seq());
        let recovery = known.and_then(|known| known.state().chain_head(Chain::Recovery)).map(|head| head.seq);
        output.lines.push(format!("  channel    {name}: {fresh} new records"));
        channels.push(
            json!({ "channel": name.as_str(), "newRecords": fresh, "seq": seq, "recoverySeq": recovery }),
        );
    }
    let size = learned.checkpoint.head().size;
    output.lines.push(format!("  log        {}, size {size}", learned.checkpoint.origin()));
    output
        .with("origin", learned.checkpoint.origin().as_str())
        .with("treeSize", size.get())
        .with("channels", channels)
}

/// A bar for copying so many bytes: only on a terminal, only for people, only if it takes long enough to be read.
fn copying_bar(console: Console, what: &'static str, bytes: u64) -> ProgressBar {
    if console.is_json() || bytes < SHOW_PROGRESS_FROM_BYTES {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes).with_message(what);
    match ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
