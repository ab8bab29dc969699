//! A tree's head from the nodes of its right edge.

use alloc::vec::Vec;

use super::{Frontier, FrontierError, NodeId, TreeHead};
use crate::hash::Hash;
use crate::size::TreeSize;

/// Which nodes make up a tree, and how to get its head from them.
#[derive(Clone, Debug)]
pub struct RootPlan {
    size: TreeSize,
    nodes: Vec<NodeId>,
}

impl RootPlan {
    /// The plan for a tree of `size` entries; nothing is needed for the empty one.
    pub fn new(size: TreeSize) -> Self {
        Self { size, nodes: Frontier::node_ids(size) }
    }

    /// The nodes whose hashes [`Self::finish`] wants, in order; at most 63.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The head of the tree with these node hashes. Refuses any other number of them.
    pub fn finish(&self, hashes: &[Hash]) -> Result<TreeHead, FrontierError> {
        Ok(Frontier::from_nodes(self.size, hashes)?.head())
    }
}
