//! Why a journal can't be opened or written.

use std::path::PathBuf;

use crate::kind::LogKind;
use crate::storage::DiskError;

/// What is wrong with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The header is cut short or its hash does not fit.
    #[error("the segment's header is damaged")]
    Header,
    /// A whole header of a format this version does not know.
    #[error("the segment has a format this version does not know")]
    Version,
    /// The header names another generation than the file's name does.
    #[error("the file's name is not the generation in its header, {generation}")]
    Name {
        /// Generation in the header.
        generation: u64,
    },
    /// The records do not lead to the segment that follows.
    #[error("records are missing between here and the next segment")]
    Gap,
    /// An unreadable record with readable ones of later appends after it.
    #[error("the record is damaged, records written later follow it")]
    Unreadable,
    /// A whole record that does not follow the one before it.
    #[error("the record does not follow the one before it")]
    Misplaced,
    /// A whole record whose payload this version does not know.
    #[error("the record's payload is not one this version writes")]
    Payload,
    /// The file is shorter or longer than it was made.
    #[error("the segment's file ends here, it was made with {capacity} bytes")]
    Length {
        /// Length it was made with, in bytes.
        capacity: u64,
    },
    /// A batch that does not begin where the one before it ended.
    #[error("the batch does not begin where the one before it ended")]
    BatchOrder,
}

impl Damage {
    /// The stable name of this damage.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Header => "segment-header",
            Self::Version => "segment-version",
            Self::Name { .. } => "segment-name",
            Self::Gap => "segment-gap",
            Self::Unreadable => "record-unreadable",
            Self::Misplaced => "record-misplaced",
            Self::Payload => "record-payload",
            Self::Length { .. } => "segment-length",
            Self::BatchOrder => "batch-order",
        }
    }
}

/// Why the journal can't be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system refused a file operation. After an append it is unknown whether the append was written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The directory is not there or has no segment.
    #[error("there is no journal in {}", dir.display())]
    Missing {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// A segment is not as it was written.
    #[error("{} is damaged at byte {offset}: {damage}", path.display())]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Offset from the start of the file in bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// The journal belongs to another log.
    #[error("{} belongs to a log of another origin", path.display())]
    OtherOrigin {
        /// The segment file.
        path: PathBuf,
    },
    /// The journal belongs to a log of another kind.
    #[error("{} belongs to a log of kind {got}, not {expected}", path.display())]
    OtherKind {
        /// The segment file.
        path: PathBuf,
        /// The kind the segment names.
        got: LogKind,
        /// The kind asked for.
        expected: LogKind,
    },
    /// The system gave no random bytes for a new segment.
    #[error("the system gives no random bytes")]
    Random,
    /// A write failed before; nothing more is written.
    #[error("a write to the journal failed before")]
    Poisoned,
}

impl JournalError {
    /// Whether what is stored is not this log's journal as it was written, whoever reads it and whenever.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::OtherOrigin { .. }
            | Self::OtherKind { .. } => true,
            Self::Disk(_) | Self::Random | Self::Poisoned => false,
        }
    }

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.code(),
            Self::Missing { .. } => "journal-missing",
            Self::Damaged { damage, .. } => damage.code(),
            Self::OtherOrigin { .. } => "journal-other-origin",
            Self::OtherKind { .. } => "journal-other-kind",
            Self::Random => "no-random-bytes",
            Self::Poisoned => "journal-poisoned",
        }
    }
}
