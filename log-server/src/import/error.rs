//! Why nothing was imported.

use std::io;
use std::path::PathBuf;

use indelible_client::durable::DurableError;
use indelible_proto::checkpoint::CheckpointError;
use indelible_proto::policy::{PolicyError, PolicyFileError};

use crate::fsck::FsckError;
use crate::init::InitError;
use crate::journal::JournalError;
use crate::sequencer::SignError;
use crate::storage::DiskError;

/// Why nothing was imported. The directory has no log that can be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The new log can't be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The source has no checkpoint to go by.
    #[error(transparent)]
    Source(#[from] FsckError),
    /// The key is not that of the source.
    #[error(
        "the key is that of {key}, but the source's checkpoint is signed by {log}; a new log takes --origin"
    )]
    OtherKey {
        /// The verifier key of the key that was given.
        key: String,
        /// That of the source.
        log: String,
    },
    /// What the source serves is not what its checkpoint says. The listener has heard what.
    #[error("{from} does not serve the tree that its checkpoint signs; nothing was imported")]
    Refused {
        /// The source.
        from: String,
    },
    /// The source did not answer. The listener has heard what it did not answer.
    #[error("{from} could not be read to its end; run the same command again, it goes on with what it has")]
    Unread {
        /// The source.
        from: String,
    },
    /// What was written does not read back as a sound log.
    #[error("{} is not what was copied; check the disk, delete it, and import again", dir.display())]
    NotClean {
        /// Where it is.
        dir: PathBuf,
    },
    /// Something that was just computed is missing.
    #[error("the copy is not complete; delete the directory and import again")]
    Incomplete,
    /// The policy is refused.
    #[error("{file} of the new log would be refused")]
    Policy {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        source: PolicyFileError,
    },
    /// The origin is refused.
    #[error("the origin is refused")]
    Origin(#[from] CheckpointError),
    /// A checkpoint can't be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The source's checkpoint can't be published.
    #[error("the source's checkpoint can't be published again")]
    Note(#[source] PolicyError),
    /// A file can't be written, or another import is at work.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// The system refused a file operation.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What an earlier attempt left can't be deleted.
    #[error("cannot delete {}", path.display())]
    Delete {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal can't be made.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl ImportError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Init(_) => "import-init",
            Self::Source(error) => error.code(),
            Self::OtherKey { .. } => "import-other-key",
            Self::Refused { .. } => "import-refused",
            Self::Unread { .. } => "import-unread",
            Self::NotClean { .. } => "import-not-clean",
            Self::Incomplete => "import-incomplete",
            Self::Policy { source, .. } => source.code(),
            Self::Origin(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::Note(error) => error.code(),
            Self::Durable(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::Delete { .. } => "import-delete",
            Self::Journal(error) => error.code(),
        }
    }

    /// Whether the same command may well succeed when it is run again.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unread { .. } => true,
            Self::Source(error) => !error.is_damage(),
            _ => false,
        }
    }
}
