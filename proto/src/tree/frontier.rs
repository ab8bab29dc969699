//! The right edge of a tree: what it takes to append to it.

use alloc::vec::Vec;

use super::plan::{fold_subtrees, subtrees};
use super::{MAX_LEVEL, NodeId, TreeHead};
use crate::hash::{Hash, empty_root, node_hash};
use crate::size::TreeSize;

/// One more than [`MAX_LEVEL`].
const LEVELS: usize = MAX_LEVEL as usize + 1;

/// Why a right edge cannot be made or appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// Not one hash for every complete subtree of the size.
    #[error("{got} node hashes, the tree size asks for {expected}")]
    NodeCount {
        /// How many were given.
        got: usize,
        /// How many are needed.
        expected: usize,
    },
    /// The tree has `2^63-1` entries already.
    #[error("the tree has reached its largest size")]
    Full,
}

impl FrontierError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NodeCount { .. } => "frontier-node-count",
            Self::Full => "frontier-full",
        }
    }
}

/// The hashes of the complete subtrees a tree is made of. Two kilobytes, whatever the size of the tree.
#[derive(Clone)]
pub struct Frontier {
    size: TreeSize,
    /// By level; only the levels of the bits set in `size` mean anything.
    by_level: [Hash; LEVELS],
}

impl Frontier {
    /// The edge of the tree without entries.
    pub fn new() -> Self {
        Self { size: TreeSize::ZERO, by_level: [empty_root(); LEVELS] }
    }

    /// How many entries the tree has.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The nodes [`Self::from_nodes`] wants for a tree of `size`, largest subtree first.
    pub fn node_ids(size: TreeSize) -> Vec<NodeId> {
        let mut nodes = Vec::with_capacity(size.get().count_ones() as usize);
        subtrees(0, size.get(), &mut nodes);
        nodes
    }

    /// The edge of a tree of `size` entries from the hashes of [`Self::node_ids`]. Refuses any other
    /// number of hashes.
    pub fn from_nodes(size: TreeSize, nodes: &[Hash]) -> Result<Self, FrontierError> {
        let expected = size.get().count_ones() as usize;
        if nodes.len() != expected {
            return Err(FrontierError::NodeCount { got: nodes.len(), expected });
        }
        let mut frontier = Self::new();
        frontier.size = size;
        let slots = frontier.by_level.iter_mut().enumerate().filter(|(level, _)| has_level(size, *level));
        for ((_, slot), node) in slots.zip(nodes.iter().rev()) {
            *slot = *node;
        }
        Ok(frontier)
    }

    /// The hashes of [`Self::node_ids`] of this size, largest subtree first.
    pub fn nodes(&self) -> Vec<Hash> {
        let levels = self.by_level.iter().enumerate().rev();
        levels.filter(|(level, _)| has_level(self.size, *level)).map(|(_, node)| *node).collect()
    }

    /// Appends an entry by its leaf hash; one node hash on average.
    pub fn append(&mut self, leaf: Hash) -> Result<(), FrontierError> {
        self.append_visiting(leaf, |_, _| ())
    }

    /// Appends an entry and reports every subtree it completes with its level, the leaf itself first.
    pub(crate) fn append_visiting(
        &mut self,
        leaf: Hash,
        mut completed: impl FnMut(u8, &Hash),
    ) -> Result<(), FrontierError> {
        let size = self.size.plus(1).map_err(|_| FrontierError::Full)?;
        let mut node = leaf;
        for (level, slot) in (0..=MAX_LEVEL).zip(&mut self.by_level) {
            completed(level, &node);
            if !has_level(self.size, usize::from(level)) {
                *slot = node;
                break;
            }
            node = node_hash(slot, &node);
        }
        self.size = size;
        Ok(())
    }

    /// The root of the tree; at most 62 node hashes.
    pub fn root(&self) -> Hash {
        fold_subtrees(&self.nodes()).unwrap_or_else(empty_root)
    }

    /// Size and root of the tree.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.nodes() == other.nodes()
    }
}

impl Eq for Frontier {}

impl core::fmt::Debug for Frontier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Frontier").field("size", &self.size).field("nodes", &self.nodes()).finish()
    }
}

/// Whether a tree of `size` has a complete subtree of this level at its right edge.
fn has_level(size: TreeSize, level: usize) -> bool {
    (size.get() >> level) & 1 == 1
}
