//! The note a witness last cosigned: its whole memory of a log, and what it serves.

use indelible_proto::checkpoint::{Checkpoint, CheckpointError};
use indelible_proto::note::{NoteError, SignedNote, VerifierKey};
use indelible_proto::time::UnixSeconds;

use crate::decide::Holding;
use crate::logs::KnownLog;

/// A note with exactly two lines, both verified: the log's signature and our cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    note: SignedNote,
    checkpoint: Checkpoint,
    time: UnixSeconds,
}

impl Held {
    /// Checks a note made or loaded by the witness with key `own`; the same check before a note is
    /// written as after it was read.
    ///
    /// # Errors
    /// [`HeldError`], by what is wrong.
    pub fn verify(note: SignedNote, log: &KnownLog, own: &VerifierKey) -> Result<Self, HeldError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin() != log.origin() {
            return Err(HeldError::OtherOrigin);
        }
        let log_signed = log.key().verify_note(&note).map_err(HeldError::LogSignature)?;
        log_signed.ok_or(HeldError::Unsigned)?;
        let cosigned = own.verify_note(&note).map_err(HeldError::Cosignature)?;
        let time = cosigned.and_then(|cosignature| cosignature.timestamp()).ok_or(HeldError::NotCosigned)?;
        if note.signatures().len() != 2 {
            return Err(HeldError::Lines { got: note.signatures().len() });
        }
        Ok(Self { note, checkpoint, time })
    }

    /// The bytes to store and to serve.
    pub fn encode(&self) -> Vec<u8> {
        self.note.encode()
    }

    /// The note.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// When it was cosigned.
    pub fn time(&self) -> UnixSeconds {
        self.time
    }

    /// Tree and time, as [`crate::decide`] wants them.
    pub fn holding(&self) -> Holding {
        Holding::Cosigned(self.checkpoint.head(), self.time)
    }
}

/// Why a note cannot be one that this witness cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeldError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// The text is not a checkpoint.
    #[error("not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of another log.
    #[error("the checkpoint is of another log")]
    OtherOrigin,
    /// No signature of the log.
    #[error("no signature by the log's key")]
    Unsigned,
    /// The log's signature is wrong.
    #[error("the log's signature does not verify")]
    LogSignature(#[source] NoteError),
    /// No cosignature of the witness.
    #[error("no cosignature by this witness")]
    NotCosigned,
    /// The witness's cosignature is wrong.
    #[error("this witness's cosignature does not verify")]
    Cosignature(#[source] NoteError),
    /// More lines than the two that are verified.
    #[error("{got} signature lines where there are two")]
    Lines {
        /// How many there are.
        got: usize,
    },
}
