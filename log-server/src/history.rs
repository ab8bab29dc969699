//! Is a checkpoint this log once signed part of what it stores now?
//!
//! If not, the stored data is an old copy or another history, and signing from it would fork the log. The
//! question is asked of the published checkpoint, of what witnesses hold, and of what other places serve.

use std::fmt;

use indelible_client::planted::{self, Bug};
use indelible_proto::tree::{ConsistencyError, TreeHead};

use crate::tree_reader::{ReadError, TreeReader};

/// Where a checkpoint of this log was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundAt {
    /// In the file of the published checkpoint.
    Published,
    /// With the witness of this name in the policy.
    Witness(String),
    /// At an address of the settings.
    Url(String),
}

impl fmt::Display for FoundAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => f.write_str("the published checkpoint"),
            Self::Url(url) => write!(f, "the checkpoint at {}", url.escape_debug()),
            Self::Witness(name) => write!(f, "the checkpoint held by witness {}", name.escape_debug()),
        }
    }
}

/// Why a checkpoint is not known to be part of the stored log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// It is larger than the stored log: the data is an old or incomplete copy.
    #[error(
        "{found_at}, signed by this log, has {found} entries, but the stored log only {stored}: the data \
         directory is an old or incomplete copy, and signing from it would fork the log. Stop, and restore the \
         newest data; if another server runs with this key, it has them"
    )]
    Ahead {
        /// Where the larger checkpoint is.
        found_at: FoundAt,
        /// How many entries it has.
        found: u64,
        /// How many entries the newest signed head of the stored log has.
        stored: u64,
    },
    /// It has another root than the stored log had at that size: there are two histories.
    #[error(
        "{found_at}, signed by this log, contradicts the stored tree at {found} entries: the log has forked, \
         or the data directory belongs to another history. Stop, keep both for analysis, and restore the data \
         that was published"
    )]
    Contradiction {
        /// Where the contradicting checkpoint is.
        found_at: FoundAt,
        /// How many entries it has.
        found: u64,
        /// What the proof between the two showed.
        source: ConsistencyError,
    },
    /// The stored tree could not be read; nothing is known.
    #[error("cannot read the tree to compare {found_at} with it")]
    Tree {
        /// What was to be compared.
        found_at: FoundAt,
        /// What went wrong.
        source: ReadError,
    },
}

impl HistoryError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ahead { .. } => "data-behind-signed",
            Self::Contradiction { .. } => "data-contradicts-signed",
            Self::Tree { .. } => "tree-unreadable",
        }
    }

    /// Whether going on would mean to sign a second history of this log.
    pub fn refuses_to_sign(&self) -> bool {
        match self {
            Self::Ahead { .. } | Self::Contradiction { .. } => true,
            Self::Tree { .. } => false,
        }
    }
}

/// Checks that `found`, which this log signed, is part of the tree with the head `stored`. Blocking.
pub fn check_part_of(
    tree: &TreeReader,
    stored: &TreeHead,
    found: &TreeHead,
    found_at: &FoundAt,
) -> Result<(), HistoryError> {
    if found.size > stored.size {
        if planted::has(Bug::AcceptStaleCopy) {
            return Ok(());
        }
        let (found, stored) = (found.size.get(), stored.size.get());
        return Err(HistoryError::Ahead { found_at: found_at.clone(), found, stored });
    }
    let proof = tree.consistency(found.size, stored.size);
    let proof = proof.map_err(|source| HistoryError::Tree { found_at: found_at.clone(), source })?;
    proof.verify(found, stored).map_err(|source| HistoryError::Contradiction {
        found_at: found_at.clone(),
        found: found.size.get(),
        source,
    })
}
