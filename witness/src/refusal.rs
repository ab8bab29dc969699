//! Why the witness does not cosign, and the one mapping to HTTP.

use axum::http::StatusCode;
use indelible_proto::note::NoteError;
use indelible_proto::size::TreeSize;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::ConsistencyError;

/// Why a request gets no cosignature. In the order in which the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a request of the protocol, or its note or checkpoint is not one.
    #[error("malformed request: {code}")]
    Malformed {
        /// The stable name of what was wrong.
        code: &'static str,
    },
    /// No known log has this origin.
    #[error("unknown log")]
    UnknownOrigin,
    /// No signature by the log's key.
    #[error("the checkpoint has no signature by the log's key")]
    Unsigned,
    /// A line with the log key's name and id does not verify.
    #[error("the log's signature does not verify: {0}")]
    BadSignature(NoteError),
    /// The checkpoint has extension lines. The protocol lets a log write them, but a cosignature would
    /// cover lines this witness knows nothing about.
    #[error("checkpoints with extension lines are not cosigned")]
    Extensions,
    /// The old size is above the checkpoint's.
    #[error("old size {old} is above the checkpoint's size {size}")]
    OldAboveSize {
        /// The old size of the request.
        old: TreeSize,
        /// The size of the checkpoint.
        size: TreeSize,
    },
    /// A cosignature of this witness exists that its state does not know: the state is an old copy.
    #[error(
        "refusing to sign: a cosignature by this witness is newer than its state, which must be an old copy"
    )]
    StateBehind,
    /// The log was halted by [`Refusal::StateBehind`] before.
    #[error("refusing to sign: this log is halted until an operator has restored the witness's state")]
    Halted,
    /// The old size is not that of the latest cosigned checkpoint.
    #[error("the latest cosigned checkpoint has size {held}")]
    OtherSize {
        /// Size of the latest cosigned checkpoint, zero if there is none.
        held: TreeSize,
        /// Whether the checkpoint has that very size and another root: the log has signed two trees.
        fork: Fork,
    },
    /// Size zero with another root than the empty tree's.
    #[error("size 0 with a root that is not the empty tree's")]
    EmptyTreeRoot,
    /// The size of the latest cosigned checkpoint with another root: the log has signed two trees.
    #[error("the latest cosigned checkpoint has the same size and another root")]
    OtherRoot,
    /// The proof does not show that the tree grew by appending only.
    #[error("the consistency proof does not verify: {0}")]
    BadProof(ConsistencyError),
    /// The clock is before a time the witness has signed.
    #[error("refusing to sign: the clock says {now}, which is before {not_before}, the last time signed")]
    ClockBehind {
        /// What the clock says.
        now: UnixSeconds,
        /// The last time signed for this log.
        not_before: UnixSeconds,
    },
    /// The clock is implausibly far after every time the witness has signed.
    #[error(
        "refusing to sign: the clock says {now}, implausibly far ahead; the latest plausible time is {not_after}"
    )]
    ClockAhead {
        /// What the clock says.
        now: UnixSeconds,
        /// The latest time that would have been signed.
        not_after: UnixSeconds,
    },
    /// The new state could not be written; the old one stands.
    #[error("refusing to sign: the new state cannot be stored")]
    NotStored,
    /// The witness does not know what its state on disk is, and is stopping.
    #[error("refusing to sign: the witness is stopping after a failed write")]
    Stopped,
}

/// Whether a checkpoint contradicts the latest cosigned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// One size, two roots, both signed by the log.
    Yes,
    /// Not shown.
    NotShown,
}

/// What a refused checkpoint with a valid log signature says about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// The log has signed statements that cannot both be true.
    Fork,
    /// The proof failed; the proof may be at fault and not the log.
    Unproved,
}

impl Refusal {
    /// The stable name of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { code } => code,
            Self::UnknownOrigin => "unknown-origin",
            Self::Unsigned => "unsigned",
            Self::BadSignature(error) => error.code(),
            Self::Extensions => "extensions",
            Self::OldAboveSize { .. } => "old-above-size",
            Self::StateBehind => "state-behind",
            Self::Halted => "halted",
            Self::OtherSize { .. } => "other-size",
            Self::EmptyTreeRoot => "empty-tree-root",
            Self::OtherRoot => "other-root",
            Self::BadProof(error) => error.code(),
            Self::ClockBehind { .. } => "clock-behind",
            Self::ClockAhead { .. } => "clock-ahead",
            Self::NotStored => "not-stored",
            Self::Stopped => "stopped",
        }
    }

    /// The HTTP status, as c2sp.org/tlog-witness assigns it; 503 where the fault is the witness's own.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed { .. } | Self::Extensions | Self::OldAboveSize { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownOrigin => StatusCode::NOT_FOUND,
            Self::Unsigned | Self::BadSignature(_) => StatusCode::FORBIDDEN,
            Self::OtherSize { .. } => StatusCode::CONFLICT,
            Self::EmptyTreeRoot | Self::OtherRoot | Self::BadProof(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::StateBehind
            | Self::Halted
            | Self::ClockBehind { .. }
            | Self::ClockAhead { .. }
            | Self::NotStored
            | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the refused checkpoint says about the log, if anything.
    pub fn suspicion(&self) -> Option<Suspicion> {
        match self {
            Self::OtherSize { fork: Fork::Yes, .. } | Self::EmptyTreeRoot | Self::OtherRoot => {
                Some(Suspicion::Fork)
            }
            Self::BadProof(_) => Some(Suspicion::Unproved),
            Self::Malformed { .. }
            | Self::UnknownOrigin
            | Self::Unsigned
            | Self::BadSignature(_)
            | Self::Extensions
            | Self::OldAboveSize { .. }
            | Self::StateBehind
            | Self::Halted
            | Self::OtherSize { fork: Fork::NotShown, .. }
            | Self::ClockBehind { .. }
            | Self::ClockAhead { .. }
            | Self::NotStored
            | Self::Stopped => None,
        }
    }
}
