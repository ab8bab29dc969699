//! Checking a note against a policy.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Policy;
use crate::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::note::{KeyName, NoteError, SignedNote, VerifiedSignature, VerifierKey};
use crate::time::UnixSeconds;
use crate::tree::TreeHead;

/// Why a note does not satisfy a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A line of a log or witness of the policy does not verify.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is not a checkpoint.
    #[error("not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// No log of the policy signed the note.
    #[error("no log of the policy signed the note")]
    NoLogSignature,
    /// A log of the policy signed, but the origin is not that log's name.
    #[error("the origin is not the name of the log that signed")]
    OriginMismatch,
    /// Signed by a log, but the witnesses that cosigned are not enough.
    #[error("the {cosigners} cosigning witnesses of the policy are not enough for its quorum")]
    QuorumNotMet {
        /// How many witnesses of the policy cosigned.
        cosigners: usize,
    },
}

impl PolicyError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::NoLogSignature => "no-log-signature",
            Self::OriginMismatch => "origin-mismatch",
            Self::QuorumNotMet { .. } => "quorum-not-met",
        }
    }
}

/// A checkpoint that a log of the policy signed. Whether witnesses saw it has not been asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSigned {
    checkpoint: Checkpoint,
    note: SignedNote,
    log_key: VerifierKey,
}

impl LogSigned {
    /// What the log states.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Size and root the log states.
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }

    /// The note as it came, lines of unknown keys included.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The key whose signature was verified.
    pub fn log_key(&self) -> &VerifierKey {
        &self.log_key
    }
}

/// A witness of the policy whose cosignature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CosignedBy {
    /// Its name in the policy.
    pub witness: String,
    /// Its key's name.
    pub key_name: KeyName,
    /// When it says it cosigned; the newest time if it cosigned more than once.
    pub time: UnixSeconds,
}

/// A checkpoint that a log of the policy signed and a quorum of its witnesses cosigned. Made only by
/// [`Policy::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    signed: LogSigned,
    cosigners: Vec<CosignedBy>,
}

impl VerifiedCheckpoint {
    /// What the log states.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.signed.checkpoint
    }

    /// Size and root the log states.
    pub fn head(&self) -> TreeHead {
        self.signed.head()
    }

    /// Which log states it.
    pub fn origin(&self) -> &Origin {
        self.signed.checkpoint.origin()
    }

    /// The note as it came, lines of unknown keys included.
    pub fn note(&self) -> &SignedNote {
        &self.signed.note
    }

    /// The log's key whose signature was verified.
    pub fn log_key(&self) -> &VerifierKey {
        &self.signed.log_key
    }

    /// Every witness of the policy that cosigned, each once, in the policy's order; those the quorum
    /// does not need included.
    pub fn cosigners(&self) -> &[CosignedBy] {
        &self.cosigners
    }
}

impl Policy {
    /// Checks the log's signature and the checkpoint, not the witnesses.
    pub fn verify_log_signature(&self, note: &SignedNote) -> Result<LogSigned, PolicyError> {
        // Every log's key is looked at: a line of any known key that does not verify spoils the note.
        let mut signers = Vec::new();
        for log in &self.logs {
            if log.key.verify_note(note)?.is_some() {
                signers.push(&log.key);
            }
        }
        if signers.is_empty() {
            return Err(PolicyError::NoLogSignature);
        }
        let checkpoint = Checkpoint::parse(note.text())?;
        let origin = checkpoint.origin().as_str();
        let log_key = signers.into_iter().find(|key| key.name().as_str() == origin);
        let log_key = log_key.ok_or(PolicyError::OriginMismatch)?.clone();
        Ok(LogSigned { checkpoint, note: note.clone(), log_key })
    }

    /// The witnesses that cosigned the note, each once, by their places in [`Policy::witnesses`]. Asks
    /// neither for the log's signature nor for the quorum.
    pub fn verified_cosignatures(
        &self,
        note: &SignedNote,
    ) -> Result<Vec<(usize, VerifiedSignature)>, PolicyError> {
        let mut cosignatures = Vec::new();
        for (place, witness) in self.witnesses.iter().enumerate() {
            if let Some(verified) = witness.key.verify_note(note)? {
                cosignatures.push((place, verified));
            }
        }
        Ok(cosignatures)
    }

    /// Checks the log's signature, the checkpoint, every known cosignature, and the quorum.
    ///
    /// How old the cosignatures are is the caller's question; [`VerifiedCheckpoint::cosigners`] has their
    /// times.
    pub fn verify(&self, note: &SignedNote) -> Result<VerifiedCheckpoint, PolicyError> {
        let signed = self.verify_log_signature(note)?;
        let cosignatures = self.verified_cosignatures(note)?;
        let places: Vec<usize> = cosignatures.iter().map(|(place, _)| *place).collect();
        if !self.quorum_met(&places) {
            return Err(PolicyError::QuorumNotMet { cosigners: places.len() });
        }
        let cosigners = cosignatures.iter().filter_map(|(place, cosignature)| {
            let witness = self.witnesses.get(*place)?;
            let (name, time) = (witness.name.to_string(), cosignature.timestamp()?);
            Some(CosignedBy { witness: name, key_name: witness.key.name().clone(), time })
        });
        Ok(VerifiedCheckpoint { cosigners: cosigners.collect(), signed })
    }
}

#[cfg(test)]
mod tests;
