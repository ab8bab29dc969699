//! From a request's bytes to a checkpoint that its log has signed.
//!
//! Everything here depends on the request and the list of known logs only, so it runs before, and outside
//! of, any lock. What follows is in [`crate::decide`].

use indelible_proto::checkpoint::{Checkpoint, CheckpointError, Origin};
use indelible_proto::note::{NoteSignature, SignedNote, VerifierKey};
use indelible_proto::size::TreeSize;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::AddCheckpointRequest;

use crate::logs::KnownLog;
use crate::refusal::Refusal;

/// A well-formed request, nothing verified.
#[derive(Clone, Debug)]
pub struct Request {
    old: TreeSize,
    proof: ConsistencyProof,
    note: SignedNote,
    origin: Origin,
    statement: Statement,
}

/// What the checkpoint states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A tree that can be.
    Possible(Checkpoint),
    /// A tree of size zero with another root than the empty tree's. No checkpoint at all, but the protocol
    /// wants it told apart from malformed ones, after the signature and the old size were checked.
    EmptyWithRoot,
}

impl Statement {
    /// The size the checkpoint states.
    pub fn size(&self) -> TreeSize {
        match self {
            Self::Possible(checkpoint) => checkpoint.head().size,
            Self::EmptyWithRoot => TreeSize::ZERO,
        }
    }
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let AddCheckpointRequest { old, proof, note } =
            AddCheckpointRequest::parse(body).map_err(|error| Refusal::Malformed { code: error.code() })?;
        let malformed = |error: CheckpointError| Refusal::Malformed { code: error.code() };
        let (origin, statement) = match Checkpoint::parse(note.text()) {
            Ok(checkpoint) => (checkpoint.origin().clone(), Statement::Possible(checkpoint)),
            Err(CheckpointError::EmptyTreeRoot) => {
                let first_line = note.text().split('\n').next().unwrap_or_default();
                (Origin::parse(first_line).map_err(malformed)?, Statement::EmptyWithRoot)
            }
            Err(error) => return Err(malformed(error)),
        };
        Ok(Self { old, proof, note, origin, statement })
    }

    /// The log that the checkpoint says it is of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Checks all that can be checked without knowing what was cosigned before: that `log` signed the
    /// checkpoint, that it has no extension lines, and that the old size is not above its size. `own` is
    /// the witness's own key.
    ///
    /// # Errors
    /// The first of these checks that fails.
    pub fn authenticate(self, log: &KnownLog, own: &VerifierKey) -> Result<Submission, Refusal> {
        let verified = log.key().verify_note(&self.note).map_err(Refusal::BadSignature)?;
        let log_signature = verified.ok_or(Refusal::Unsigned)?.into_signature();
        if matches!(&self.statement, Statement::Possible(checkpoint) if !checkpoint.extensions().is_empty()) {
            return Err(Refusal::Extensions);
        }
        let size = self.statement.size();
        if self.old > size {
            return Err(Refusal::OldAboveSize { old: self.old, size });
        }
        // A line in our name that does not verify is a line of nobody: anyone can append one.
        let own_cosignature = own.verify_note(&self.note).ok().flatten();
        let own_time = own_cosignature.and_then(|cosignature| cosignature.timestamp());
        let Self { old, proof, note, origin: _, statement } = self;
        Ok(Submission { old, proof, note, statement, log_signature, own_time })
    }
}

/// A request whose checkpoint the log has signed.
#[derive(Clone, Debug)]
pub struct Submission {
    old: TreeSize,
    proof: ConsistencyProof,
    note: SignedNote,
    statement: Statement,
    log_signature: NoteSignature,
    own_time: Option<UnixSeconds>,
}

impl Submission {
    /// The size the submitter believes was cosigned last; at most the checkpoint's.
    pub fn old(&self) -> TreeSize {
        self.old
    }

    /// What is to show that the tree grew from the old size by appending only.
    pub fn proof(&self) -> &ConsistencyProof {
        &self.proof
    }

    /// The note as it came, unverified lines and all. Keep it as evidence, never as state.
    pub fn raw_note(&self) -> &SignedNote {
        &self.note
    }

    /// What the checkpoint states.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The verified signature line of the log.
    pub fn log_signature(&self) -> &NoteSignature {
        &self.log_signature
    }

    /// When this witness cosigned this very checkpoint, if it comes with a valid cosignature of ours.
    pub fn own_time(&self) -> Option<UnixSeconds> {
        self.own_time
    }
}
