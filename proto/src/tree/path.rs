//! The way from a leaf to the root, which both kinds of proof follow.

use crate::hash::{Hash, node_hash};

/// How many siblings a leaf meets on its way to the root. On the lower part it may meet them on either
/// side, as the bits of its index say; from where it joins the right edge of the tree on, all of them are
/// on the left.
#[derive(Clone, Copy)]
pub(super) struct PathShape {
    /// Siblings on either side: the height up to which the leaf and the last leaf differ, at most 63.
    pub(super) lower: usize,
    /// Siblings on the left, at most 62.
    pub(super) upper: usize,
}

impl PathShape {
    /// The shape for the leaf at `index` of a tree whose last leaf is at `last`, both below `2^63`.
    pub(super) fn new(index: u64, last: u64) -> Self {
        let lower = u64::BITS.saturating_sub((index ^ last).leading_zeros());
        let upper = index.checked_shr(lower).unwrap_or_default().count_ones();
        Self { lower: lower as usize, upper: upper as usize }
    }

    /// Siblings altogether.
    pub(super) fn len(self) -> usize {
        self.lower.saturating_add(self.upper)
    }
}

/// Hashes `node` with siblings from the bottom up; a set bit of `index`, lowest first, says that the
/// sibling is on the left.
pub(super) fn climb(node: Hash, index: u64, siblings: &[Hash]) -> Hash {
    let mut bits = index;
    siblings.iter().fold(node, |node, sibling| {
        let is_right_child = bits & 1 == 1;
        bits >>= 1;
        if is_right_child { node_hash(sibling, &node) } else { node_hash(&node, sibling) }
    })
}

/// Like [`climb`], but leaves out the siblings on the right: the same way in the tree that ends with this
/// node.
pub(super) fn climb_left_only(node: Hash, index: u64, siblings: &[Hash]) -> Hash {
    let mut bits = index;
    siblings.iter().fold(node, |node, sibling| {
        let is_right_child = bits & 1 == 1;
        bits >>= 1;
        if is_right_child { node_hash(sibling, &node) } else { node }
    })
}

/// Hashes `node` with siblings that are all on the left.
pub(super) fn climb_right_edge(node: Hash, siblings: &[Hash]) -> Hash {
    siblings.iter().fold(node, |node, sibling| node_hash(sibling, &node))
}
