//! The Merkle tree of RFC 6962, section 2.1: heads, right edges, proofs.
//!
//! A tree of `n` entries is made of complete subtrees, one for every bit of `n`, largest first.
//! Everything here is said in terms of such subtrees ([`NodeId`]), because they never change once they
//! exist and are exactly what tiles store. Code that needs hashes of a tree comes in two halves: a plan
//! names the nodes it needs, the caller gets their hashes from anywhere, and `finish` combines them.
//!
//! Verification trusts nothing it is given: a proof must have exactly the number of hashes its sizes ask
//! for, which is checked before anything is hashed.

mod consistency;
mod frontier;
mod inclusion;
mod path;
mod plan;
mod root;

pub use consistency::{ConsistencyError, ConsistencyPlan, ConsistencyProof};
pub use frontier::{Frontier, FrontierError};
pub use inclusion::{InclusionError, InclusionPlan, InclusionProof};
pub use root::RootPlan;

use crate::hash::{Hash, empty_root};
use crate::size::TreeSize;

/// The most hashes an inclusion or consistency proof can have: the height of the largest tree.
pub const MAX_PROOF_HASHES: usize = 63;

/// The largest level of a complete subtree: a tree of at most `2^63-1` entries has none of `2^63`.
const MAX_LEVEL: u8 = 62;

/// The size and root of a tree. It proves nothing by itself: see
/// [`VerifiedCheckpoint`](crate::policy::VerifiedCheckpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// How many entries the tree has.
    pub size: TreeSize,
    /// The Merkle tree hash over them.
    pub root: Hash,
}

impl TreeHead {
    /// The head of the tree without entries.
    pub fn empty() -> Self {
        Self { size: TreeSize::ZERO, root: empty_root() }
    }

    /// Whether this is either the empty tree with its one possible root, or not an empty tree.
    pub fn is_possible(&self) -> bool {
        !self.size.is_zero() || self.root == empty_root()
    }
}

/// A complete subtree that no tree of at most `2^63-1` entries has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tree has a complete subtree of level {level} and index {index}")]
pub struct NodeError {
    /// The refused level.
    pub level: u8,
    /// The refused index.
    pub index: u64,
}

impl NodeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "node-out-of-range"
    }
}

/// A complete subtree: the `2^level` leaves from `index << level` on. Ordered by level, then index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    level: u8,
    index: u64,
}

impl NodeId {
    /// The subtree, if a tree of at most [`TreeSize::MAX`] entries has it.
    pub const fn new(level: u8, index: u64) -> Result<Self, NodeError> {
        // The comparison says `(index + 1) << level <= 2^63 - 1` without computing it.
        if level > MAX_LEVEL || index >= TreeSize::MAX.get() >> level {
            return Err(NodeError { level, index });
        }
        Ok(Self { level, index })
    }

    /// Base-2 logarithm of the number of leaves, `0..=62`.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Position among the subtrees of this level.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Index of the first leaf.
    pub const fn first_leaf(self) -> u64 {
        self.index << self.level
    }

    /// How many leaves.
    pub const fn leaf_count(self) -> u64 {
        1 << self.level
    }

    /// Whether the tree of `size` entries contains the whole subtree.
    pub const fn within(self, size: TreeSize) -> bool {
        self.index < size.get() >> self.level
    }
}

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;
