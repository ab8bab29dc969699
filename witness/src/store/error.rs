//! What can be wrong with the state directory.

use std::path::{Path, PathBuf};

use indelible_client::durable::DurableError;

use crate::held::HeldError;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something of the state is missing or is not what this witness wrote.
    #[error("damaged witness state: {}: {reason}", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// What is wrong with the note in it, if that is it.
        source: Option<HeldError>,
    },
    /// Another process has the state open.
    #[error("another process is using the witness state {}", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
    },
    /// The system refused to read or write.
    #[error(transparent)]
    File(DurableError),
    /// A thread ended in the middle of a change; the process must be restarted.
    #[error("the witness state was left in the middle of a change")]
    Interrupted,
}

impl StoreError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "state-damaged",
            Self::InUse { .. } => "state-in-use",
            Self::File(error) => error.code(),
            Self::Interrupted => "state-interrupted",
        }
    }

    pub(super) fn damaged(path: &Path, reason: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), reason, source: None }
    }

    pub(super) fn bad_note(path: &Path, source: HeldError) -> Self {
        let reason = "the note is not one this witness has cosigned";
        Self::Damaged { path: path.to_owned(), reason, source: Some(source) }
    }
}

impl From<DurableError> for StoreError {
    fn from(error: DurableError) -> Self {
        match error {
            DurableError::Locked { dir } => Self::InUse { dir },
            error => Self::File(error),
        }
    }
}
