//! What plans have in common: ranges of leaves, cut into complete subtrees and put together again.

use alloc::vec::Vec;

use super::NodeId;
use crate::hash::{Hash, node_hash};

/// Ranges of leaves whose tree hashes are wanted, as complete subtrees.
#[derive(Clone, Debug, Default)]
pub(super) struct RangePlan {
    nodes: Vec<NodeId>,
    /// How many of `nodes`, in order, make up each range.
    counts: Vec<usize>,
}

impl RangePlan {
    /// Adds the leaves from `start` up to `end`. `start` must be a multiple of the largest power of two in
    /// `end - start`, as it is for every range the recursion of RFC 6962 visits.
    pub(super) fn push(&mut self, start: u64, end: u64) {
        let before = self.nodes.len();
        subtrees(start, end.saturating_sub(start), &mut self.nodes);
        self.counts.push(self.nodes.len().saturating_sub(before));
    }

    /// All subtrees, range after range, each range from left to right.
    pub(super) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The tree hash of each range, from the hashes of [`Self::nodes`]; `None` if there are not exactly as
    /// many.
    pub(super) fn combine(&self, hashes: &[Hash]) -> Option<Vec<Hash>> {
        if hashes.len() != self.nodes.len() {
            return None;
        }
        let mut rest = hashes;
        let mut combined = Vec::with_capacity(self.counts.len());
        for count in &self.counts {
            let (range, after) = rest.split_at_checked(*count)?;
            combined.push(fold_subtrees(range)?);
            rest = after;
        }
        Some(combined)
    }
}

/// Appends the complete subtrees of `count` leaves from `start` on, largest first.
pub(super) fn subtrees(start: u64, count: u64, nodes: &mut Vec<NodeId>) {
    let mut at = start;
    let mut left = count;
    while let Some(level) = left.checked_ilog2() {
        nodes.push(NodeId { level: level as u8, index: at >> level });
        at |= 1 << level;
        left ^= 1 << level;
    }
}

/// The tree hash over complete subtrees of falling size; `None` without any.
pub(super) fn fold_subtrees(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

/// Where RFC 6962 splits a tree of `count >= 2` leaves: the largest power of two below `count`.
pub(super) fn split(count: u64) -> u64 {
    1 << count.saturating_sub(1).checked_ilog2().unwrap_or_default()
}
