//! Why a log can't be opened, refuses to sign, or stopped.

use std::path::PathBuf;

use indelible_client::durable::DurableError;
use indelible_proto::checkpoint::CheckpointError;
use indelible_proto::hash::Hash;
use indelible_proto::note::NoteError;
use indelible_proto::record::{AdmissionError, RecordError};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::RightEdgeError;
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::DecodeError;

use crate::index::IndexError;
use crate::journal::JournalError;
use crate::storage::DiskError;
use crate::tree_reader::{ReadError, StoredError};

/// What to do about stored data that is not as the log wrote it.
const RESTORE: &str = "the stored data is damaged or incomplete: keep it, list all that is wrong with indelible-server fsck, \
     and restore undamaged data that is at least as new, or make the log again from a mirror with indelible-server import";

/// Why a log can't be created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no data directory. Opening never makes one: an empty log under a used key would be a fork.
    #[error("there is no log in {}; {RESTORE}", dir.display())]
    Missing {
        /// The data directory.
        dir: PathBuf,
    },
    /// Something is there already, and creating touches nothing that exists.
    #[error("{} exists already", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The directory is in use by another process, or can't be locked.
    #[error(
        "cannot have the data for this process alone: {0}; if a server runs on it, stop it or leave the log to it"
    )]
    Lock(#[from] DurableError),
    /// The system refused a file operation.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The journal can't be opened.
    #[error("{0}{next}", next = next_if(.0.is_damage()))]
    Journal(#[from] JournalError),
    /// A tile or bundle before the journal's entries is missing or damaged.
    #[error("{0}{next}", next = next_if(.0.is_damage()))]
    Tree(#[from] ReadError),
    /// The stored tree breaks off before the journal begins.
    #[error(
        "tiles and bundles are complete up to entry {integrated}, the journal begins only at {first}; {RESTORE}"
    )]
    Gap {
        /// Up to where tiles and bundles are complete.
        integrated: TreeSize,
        /// The journal's first entry.
        first: LeafIndex,
    },
    /// The tiles do not lead to the root the snapshot names.
    #[error("the tiles lead to root {got} at size {size}, they were written for {expected}; {RESTORE}")]
    TilesDiffer {
        /// The integrated size.
        size: TreeSize,
        /// The root over the tiles.
        got: Hash,
        /// The root they were written for.
        expected: Hash,
    },
    /// A journal batch is not made of entries.
    #[error("the journal's batch at entry {first} is not made of entries: {source}; {RESTORE}")]
    Batch {
        /// The batch's first entry.
        first: LeafIndex,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A stored entry is not a record.
    #[error("stored entry {index} is not a record: {source}; {RESTORE}")]
    Record {
        /// Its index.
        index: LeafIndex,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A stored record does not follow its channel's record before it.
    #[error("stored entry {index} does not follow the records before it: {source}; {RESTORE}")]
    Admission {
        /// Its index.
        index: LeafIndex,
        /// The rule it breaks.
        source: AdmissionError,
    },
    /// The first checkpoint can't be made, or the tree is too large to go on.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Going on would sign a second history of this log.
    #[error("refusing to sign: {0}")]
    RefuseToSign(#[from] Refusal),
}

impl OpenError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "log-missing",
            Self::Exists { .. } => "log-exists",
            Self::Lock(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Tree(error) => error.code(),
            Self::Gap { .. } => "stored-gap",
            Self::TilesDiffer { .. } => "tiles-differ",
            Self::Batch { .. } => "journal-batch",
            Self::Record { source, .. } => source.code(),
            Self::Admission { source, .. } => source.code(),
            Self::Sign(error) => error.code(),
            Self::RefuseToSign(refusal) => refusal.code(),
        }
    }

    /// Whether going on would mean to sign a second history of this log: from data that lacks something or is
    /// damaged, or beside another process. The programs have an exit code of their own for it: starting again does not
    /// help.
    pub fn refuses_to_sign(&self) -> bool {
        match self {
            Self::RefuseToSign(_)
            | Self::Lock(DurableError::Locked { .. })
            | Self::Missing { .. }
            | Self::Gap { .. }
            | Self::TilesDiffer { .. }
            | Self::Batch { .. }
            | Self::Record { .. }
            | Self::Admission { .. } => true,
            Self::Disk(error) | Self::Journal(JournalError::Disk(error)) => error.is_taken_over(),
            Self::Journal(error) => error.is_damage(),
            Self::Tree(error) => error.is_damage(),
            Self::Exists { .. } | Self::Lock(_) | Self::Sign(_) => false,
        }
    }
}

fn next_if(damaged: bool) -> String {
    if damaged { format!("; {RESTORE}") } else { String::new() }
}

impl From<StoredError> for OpenError {
    fn from(error: StoredError) -> Self {
        Self::Tree(error.into())
    }
}

/// Why nothing may be signed from what is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The stored entries do not lead to a root this log has signed.
    #[error(
        "the stored entries lead to root {got} at size {size}, but {expected} was signed; the data is damaged: \
         keep it, and restore an undamaged copy that is at least as new"
    )]
    RootDiffers {
        /// The signed size.
        size: TreeSize,
        /// The root over the stored entries.
        got: Hash,
        /// The signed root.
        expected: Hash,
    },
    /// The journal ends without a checkpoint of its last entry.
    #[error("the journal has no signed checkpoint of its last entry, {size} entries in all; {RESTORE}")]
    CheckpointMissing {
        /// How many entries there are.
        size: TreeSize,
    },
    /// The newest checkpoint in the journal is not one of this key and origin.
    #[error(
        "the newest stored checkpoint is not signed by this log's key: {reason}; log.key or the data is of another log: \
         put together what belongs together"
    )]
    CheckpointForeign {
        /// What is wrong with it.
        reason: CheckpointFault,
    },
    /// The snapshot knows of a larger signed tree than the journal: its end is lost.
    #[error(
        "a tree of {known} entries was signed, but the journal ends at {stored}; the data is incomplete: \
         restore the newest data"
    )]
    JournalBehind {
        /// The signed size that is known.
        known: TreeSize,
        /// Where the journal ends.
        stored: TreeSize,
    },
    /// The published checkpoint is larger than what is stored: the data is an old copy.
    #[error(
        "the published checkpoint has {published} entries, but the stored log only {stored}; the data is an \
         old copy: restore the newest data, and if another server runs with this key, it has them"
    )]
    PublishedAhead {
        /// Size of the published checkpoint.
        published: TreeSize,
        /// Size of the stored tree.
        stored: TreeSize,
    },
    /// The published checkpoint has another root than the stored tree had at that size.
    #[error(
        "the published checkpoint has root {published} at size {size}, the stored tree has {stored}; there are \
         two histories: keep both, and restore the published one"
    )]
    PublishedDiffers {
        /// Size of the published checkpoint.
        size: TreeSize,
        /// Its root.
        published: Hash,
        /// The stored tree's root at that size.
        stored: Hash,
    },
    /// The clock went back: it is wrong, or the machine is an old image of itself.
    #[error(
        "the clock says {now}, but the newest checkpoint was signed at {signed_at}: set the clock right and \
         start again; if it is right, the machine or its data was restored from elsewhere: restore the newest data"
    )]
    ClockBehind {
        /// When the newest checkpoint was signed.
        signed_at: UnixSeconds,
        /// What the clock says.
        now: UnixSeconds,
    },
    /// The published checkpoint is not one of this log, so it says nothing about what was published.
    #[error(
        "{} is not a checkpoint signed by this log: {reason}; restore it from any reader's copy",
        path.display()
    )]
    PublishedUnreadable {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: CheckpointFault,
    },
}

impl Refusal {
    /// The stable name of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootDiffers { .. } => "root-differs-from-signed",
            Self::CheckpointMissing { .. } => "signed-checkpoint-missing",
            Self::CheckpointForeign { .. } => "signed-checkpoint-foreign",
            Self::JournalBehind { .. } => "journal-behind-signed",
            Self::PublishedAhead { .. } => "published-ahead",
            Self::PublishedDiffers { .. } => "published-differs",
            Self::PublishedUnreadable { .. } => "published-unreadable",
            Self::ClockBehind { .. } => "clock-behind",
        }
    }
}

/// Why a note is not a checkpoint of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// Not a signed note, or one whose signature by this log is not valid.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// No signature by this log's key.
    #[error("it has no signature by this log's key")]
    Unsigned,
    /// Not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of another origin.
    #[error("it is of another origin")]
    OtherOrigin,
}

/// Why a checkpoint can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The tree can't have more entries.
    #[error(transparent)]
    Tree(#[from] RightEdgeError),
    /// No checkpoint can be made of the tree head.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No note can be made of the checkpoint.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl SignError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tree(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Note(error) => error.code(),
        }
    }
}

/// Why the sequencer stopped by itself. What is on disk is known only after the next start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// An append to the journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A tile, a bundle or the snapshot could not be written, or not be synced.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Tiles and bundles are not written any more, because of a failure before.
    #[error("tiles and bundles are not written any more")]
    Unwritten,
    /// The stored tree could not be read.
    #[error(transparent)]
    Tree(#[from] ReadError),
    /// The index can't be made again.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A checkpoint could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The entries do not lead to the head that was about to be signed.
    #[error(
        "the entries lead to another head than the one about to be signed ({own} and {planned} entries): something in \
         memory is damaged; nothing was signed. Check the machine's memory before this log is started again"
    )]
    SelfCheck {
        /// How many entries the second look came to.
        own: TreeSize,
        /// How many the plan has.
        planned: TreeSize,
    },
    /// A thread of the sequencer ended unexpectedly.
    #[error("a thread of the sequencer panicked")]
    Panicked,
}

impl SequencerError {
    /// Whether it stopped because another process has taken the log over.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Self::Disk(error) | Self::Journal(JournalError::Disk(error)) if error.is_taken_over())
    }

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::Unwritten => "unwritten",
            Self::Tree(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::SelfCheck { .. } => "self-check-failed",
            Self::Panicked => "sequencer-panicked",
        }
    }
}
