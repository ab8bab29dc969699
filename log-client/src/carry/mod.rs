//! What is carried over an air gap in one file: artifacts with their proofs, what channels said since, and a
//! proof that the log has only grown since the last time.
//!
//! The format is in `docs/records.md`, section 8: written by [`CarryWriter`], read by [`CarryReader`], which
//! accepts exactly what the writer writes. Both work on streams: artifacts may be larger than memory. How the
//! carry's tree stands to the remembered one is decided by [`follows()`], and where the records of a channel leave
//! a gap is found by [`find_gap`]. A [`Receipt`] tells whoever exports what the importer remembers.
//!
//! Nothing read here is believed: the digest at the end finds damage, not lies. Signatures, proofs, channels and
//! artifacts are checked by the same code that checks them when they come by themselves.

mod follows;
mod names;
mod read;
mod receipt;
mod staging;
mod write;

use std::io;

use indelible_proto::bundle_tree::PathError;
use indelible_proto::channel_file::{ChannelFile, ChannelFileError};
use indelible_proto::note::{NoteError, SignedNote};
use indelible_proto::proof::ProofError;
use indelible_proto::tree::{ConsistencyError, ConsistencyProof, TreeHead};
use indelible_proto::wire::DecodeErrorKind;

use crate::durable::DurableError;

pub use follows::{Following, Gap, NotFollowing, find_gap, follows};
pub use names::NameClash;
pub use read::{Carried, CarryReader};
pub use receipt::{Receipt, ReceiptChannel, ReceiptError};
pub use staging::{Placed, Staging};
pub use write::CarryWriter;

/// The first line.
const HEADER: &str = "indelible-carry/v1";

/// Most artifacts of one carry, as many as `guard` takes at once: each is judged before anything is unpacked.
pub const MAX_ARTIFACTS: u64 = 1024;
/// Most channel files of one carry: 16 channels of as many records as a client keeps of one.
pub const MAX_CHANNEL_FILES: u64 = 256;
/// Most bytes of all channel files together, which are held in memory: 1 KiB for each of so many records.
pub const MAX_CHANNEL_BYTES: u64 = 256 * 1024 * 1024;
/// Longest line: two paths of the longest, and what is around them.
const MAX_LINE_BYTES: u64 = 4096;

/// What a carry says before its artifacts; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The tree that the importer is taken to remember; the empty one if nothing.
    pub since: TreeHead,
    /// That the tree of the checkpoint grew out of it.
    pub proof: ConsistencyProof,
    /// The log's newest checkpoint.
    pub note: SignedNote,
    /// What channels said since, those of one channel together, in the order they follow on each other.
    pub channel_files: Vec<ChannelFile>,
}

/// Why a file is no carry that can be used. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// The first line is another one.
    #[error("not a carry: the first line is not {HEADER}")]
    NotOne,
    /// The system refused to read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// A line is missing, or is not what its place demands.
    #[error("{kind} at byte {at}")]
    Layout {
        /// Offset from the start of the file.
        at: u64,
        /// What is wrong there.
        kind: DecodeErrorKind,
    },
    /// More of something than there may be, or none of what there must be.
    #[error("{got} {what}, at most {max} are allowed")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are said to be.
        got: u64,
        /// The most there may be.
        max: u64,
    },
    /// An artifact without files.
    #[error("artifact {name:?} has no files")]
    NoFiles {
        /// The artifact.
        name: String,
    },
    /// A name or path that no file may have.
    #[error("{name:?} is no name for a file here: {error}")]
    Name {
        /// The name or path.
        name: String,
        /// Why not.
        error: PathError,
    },
    /// A path that is not the artifact's own.
    #[error("{path:?} is neither the artifact {artifact:?} nor in it")]
    Outside {
        /// The path.
        path: String,
        /// The artifact.
        artifact: String,
    },
    /// Something that does not come after what is before it, twice the same for example.
    #[error("{name:?} does not come after the one before it")]
    Order {
        /// What.
        name: String,
    },
    /// Two names that cannot stand in one directory.
    #[error(transparent)]
    Clash(#[from] NameClash),
    /// Not a consistency proof.
    #[error(transparent)]
    Consistency(#[from] ConsistencyError),
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not a channel file.
    #[error("channel file {position} is none: {error}")]
    ChannelFile {
        /// Which one, counted from 0.
        position: u64,
        /// Why not.
        error: ChannelFileError,
    },
    /// Not a log proof.
    #[error("the proof of {name:?} is none: {error}")]
    Proof {
        /// The artifact.
        name: String,
        /// Why not.
        error: ProofError,
    },
    /// The digest at the end is not that of the bytes before it.
    #[error("damaged: its last line is not the digest of what is before it")]
    Damaged,
    /// What was read cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] DurableError),
    /// The system refused to write.
    #[error("cannot be written")]
    NotWritten(#[source] io::Error),
    /// A file could not be copied into the carry.
    #[error("cannot copy {path:?} into the carry")]
    NotCopied {
        /// The file's path in the carry.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl CarryError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOne => "carry-not-one",
            Self::Read(_) => "carry-unreadable",
            Self::Layout { kind, .. } => kind.code(),
            Self::Count { .. } => "carry-count",
            Self::NoFiles { .. } => "carry-no-files",
            Self::Name { error, .. } => error.code(),
            Self::Outside { .. } => "carry-path-outside",
            Self::Order { .. } => "carry-order",
            Self::Clash(_) => "carry-name-clash",
            Self::Consistency(error) => error.code(),
            Self::Note(error) => error.code(),
            Self::ChannelFile { error, .. } => error.code(),
            Self::Proof { error, .. } => error.code(),
            Self::Damaged => "carry-damaged",
            Self::Unpack(error) => error.code(),
            Self::NotWritten(_) => "carry-not-written",
            Self::NotCopied { .. } => "carry-not-copied",
        }
    }
}

#[cfg(test)]
mod tests;
