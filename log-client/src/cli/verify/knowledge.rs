//! What is known of channels: remembered, and extended by channel files that were given.

use std::path::{Path, PathBuf};

use indelible_proto::channel_file::{ChannelFile, ChannelFileRefusal};
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy, VerifiedCheckpoint};
use indelible_proto::record::{Chain, ChannelName, RecordId, SignedRecord};
use indelible_proto::size::TreeSize;

use super::super::console::chain;
use super::super::exit::{Exit, Failure};
use super::super::inputs::{OpenState, read_input, save_evidence, state_failure};
use crate::channel::{KnownChannel, LearnError};
use crate::state::StateError;
use crate::verify::{Comparison, Knowledge, TrustedTime, compare};

/// What a next step says to whoever has a channel file that teaches nothing.
pub(in crate::cli) const ANOTHER_FILE: &str = "get the channel's newest file again, from another place too; if it stays so, install nothing and ask the vendor";

/// A channel file that was given.
#[derive(Debug)]
pub(in crate::cli) struct GivenFile {
    path: PathBuf,
    file: ChannelFile,
}

impl GivenFile {
    /// Reads a channel file.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, Failure> {
        let next = "name a .tlog-channel file; indelible update-state fetches them";
        let bytes = read_input(path, ChannelFile::MAX_BYTES, "a channel file", next)?;
        let file = ChannelFile::parse(&bytes).map_err(|error| {
            let message = format!("{} is not a channel file: {error}", path.display());
            Failure::refused(error.code(), message, ANOTHER_FILE)
        })?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// A channel file that came in another file.
    pub(in crate::cli) fn inside(path: &Path, file: ChannelFile) -> Self {
        Self { path: path.to_owned(), file }
    }

    /// The checkpoint in it, not verified.
    pub(in crate::cli) fn note(&self) -> &SignedNote {
        self.file.note()
    }

    /// Where it was read.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// The channel it is of.
    pub(in crate::cli) fn channel(&self) -> &ChannelName {
        self.file.channel()
    }

    /// What is known with it.
    pub(in crate::cli) fn learn(
        &self,
        known: Option<&KnownChannel>,
        genesis: RecordId,
        policy: &Policy,
        time: TrustedTime,
    ) -> Result<(KnownChannel, VerifiedCheckpoint), Failure> {
        KnownChannel::learn(known, genesis, &self.file, policy, time)
            .map_err(|error| learn_failure(&self.path.display().to_string(), &error))
    }

    /// Whether it ends before what is known, and has nothing else. One that ends where that does may show that
    /// there was nothing newer at a later time.
    fn is_older_than(&self, known: &KnownChannel) -> bool {
        let is_known = |record: &SignedRecord| known.record(record.record_id()).is_some();
        let behind = |chain| {
            let newest = self.file.newest(chain).map(SignedRecord::record_id);
            newest != known.state().chain_head(chain).map(|head| head.record)
        };
        self.file.records().iter().all(is_known) && (behind(Chain::Publish) || behind(Chain::Recovery))
    }
}

/// How a channel file that teaches nothing ends a run.
pub(in crate::cli) fn learn_failure(from: &str, error: &LearnError) -> Failure {
    let next = match error {
        LearnError::File(ChannelFileRefusal::Behind { .. }) => {
            "get a newer channel file; if there is none, the log or the mirror hides records"
        }
        LearnError::File(ChannelFileRefusal::Fork { .. }) => {
            "keep this file and the state directory, install nothing, and ask the vendor: the channel has two histories"
        }
        LearnError::TooMany | LearnError::TooLong => "ask the vendor to go on with a new channel",
        LearnError::File(_) => ANOTHER_FILE,
    };
    Failure::refused(error.code(), format!("{from}: {error}"), next)
}

/// What is learned during one verdict, to be remembered after it.
pub(in crate::cli) struct Learning<'a> {
    pub(in crate::cli) files: &'a [GivenFile],
    pub(in crate::cli) policy: &'a Policy,
    pub(in crate::cli) state: Option<&'a OpenState>,
    pub(in crate::cli) time: TrustedTime,
    /// The note that the artifact came with.
    pub(in crate::cli) note: &'a SignedNote,
    /// What is about to be remembered, and goes before what is.
    pub(in crate::cli) ahead: &'a [(KnownChannel, VerifiedCheckpoint)],
    pub(in crate::cli) learned: Vec<(KnownChannel, VerifiedCheckpoint)>,
}

impl Learning<'_> {
    /// What is known of the channel that `genesis` opened.
    pub(in crate::cli) fn of(&mut self, name: &ChannelName, genesis: RecordId) -> Result<Knowledge, Failure> {
        let ahead = self.ahead.iter().rev().map(|(known, _)| known).find(|known| known.name() == name);
        let mut known = match (ahead, self.state) {
            (Some(known), _) => Some(known.clone()),
            (None, None) => None,
            (None, Some(state)) => match state.state.known_channel(name) {
                Ok(known) => known,
                Err(error) => return Ok(damaged(&error)),
            },
        };
        if let Some(other) = known.as_ref().map(|known| known.state().genesis()).filter(|id| *id != genesis) {
            let message = format!(
                "what is remembered of channel {name} is of one that record {other} opened, not {genesis}"
            );
            return Ok(Knowledge::Damaged { code: "known-channel-other-genesis", message });
        }
        for given in self.files.iter().filter(|given| given.channel() == name) {
            check_for_fork(given.note(), self.policy, self.state, Some(self.note))?;
            if known.as_ref().is_some_and(|known| given.is_older_than(known)) {
                continue;
            }
            let (after, checkpoint) = given.learn(known.as_ref(), genesis, self.policy, self.time)?;
            self.learned.push((after.clone(), checkpoint));
            known = Some(after);
        }
        Ok(known.map_or(Knowledge::Nothing, |known| Knowledge::Channel(Box::new(known))))
    }
}

fn damaged(error: &StateError) -> Knowledge {
    Knowledge::Damaged { code: error.code(), message: chain(error) }
}

/// Compares a channel file's checkpoint with the one remembered of its log, and with that of an artifact. Asked
/// before anything else of the file: what the log signed counts as its word, whatever else is wrong.
pub(in crate::cli) fn check_for_fork(
    checkpoint: &SignedNote,
    policy: &Policy,
    state: Option<&OpenState>,
    note: Option<&SignedNote>,
) -> Result<(), Failure> {
    let Ok(seen) = policy.verify_log_signature(checkpoint) else {
        return Ok(());
    };
    let held = state.map(|state| state.state.checkpoint(seen.checkpoint().origin(), policy)).transpose();
    let held = held.map_err(|error| state_failure(&error))?.flatten();
    let of_artifact = note.and_then(|note| policy.verify_log_signature(note).ok());
    for held in [held, of_artifact].into_iter().flatten() {
        let Comparison::Fork(evidence) = compare(&held, &seen) else {
            continue;
        };
        let dir = state.map_or_else(|| PathBuf::from("."), OpenState::evidence_dir);
        return Err(fork_failure(&seen, seen.head().size, &evidence, &dir));
    }
    Ok(())
}

/// How a log that has signed two histories ends a run. The evidence is kept.
pub(in crate::cli) fn fork_failure(
    seen: &LogSigned,
    size: TreeSize,
    evidence: &ForkEvidence,
    dir: &Path,
) -> Failure {
    let saved = match save_evidence(dir, evidence) {
        Ok(path) => format!("the evidence is in {}", path.display()),
        Err(failure) => format!("the evidence could not be saved: {}", failure.message),
    };
    let origin = seen.checkpoint().origin();
    Failure {
        exit: Exit::Evidence,
        code: "log-forked",
        message: format!("the log {origin} has signed two different trees of size {size}; {saved}"),
        next: "install nothing from this log; give the evidence file to its operator, its witnesses and the vendor"
            .to_owned(),
    }
}

/// Remembers what was learned.
pub(in crate::cli) fn remember_learned(
    state: &OpenState,
    learned: &[(KnownChannel, VerifiedCheckpoint)],
    policy: &Policy,
) -> Result<(), StateError> {
    // Of each channel only the last says everything.
    for (at, (known, checkpoint)) in learned.iter().enumerate() {
        state.state.remember_checkpoint(checkpoint, policy)?;
        let later = learned.iter().skip(at.saturating_add(1)).any(|(later, _)| later.name() == known.name());
        if !later {
            state.state.remember_known(known)?;
        }
    }
    Ok(())
}
