//! Inclusion proofs, RFC 6962, section 2.1.1.

use alloc::vec::Vec;

use super::path::{PathShape, climb, climb_right_edge};
use super::plan::{RangePlan, split};
use super::{MAX_PROOF_HASHES, NodeId, TreeHead};
use crate::hash::Hash;
use crate::size::{LeafIndex, TreeSize};

/// Why an inclusion proof is refused or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InclusionError {
    /// The tree has no entry at the index.
    #[error("a tree of {size} entries has none at index {index}")]
    IndexOutsideTree {
        /// The index asked about.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// More hashes than any tree asks for.
    #[error("{got} hashes, a proof has at most {MAX_PROOF_HASHES}")]
    TooLong {
        /// How many were given.
        got: usize,
    },
    /// Not the number of hashes that index and size ask for.
    #[error("{got} hashes, index and tree size ask for {expected}")]
    Length {
        /// How many the proof has.
        got: usize,
        /// How many it must have.
        expected: usize,
    },
    /// The hashes do not lead from the leaf to the root.
    #[error("the proof does not lead to the root of the tree")]
    RootMismatch,
    /// A plan was finished with another number of hashes than it asked for.
    #[error("{got} node hashes, the plan asks for {expected}")]
    NodeCount {
        /// How many were given.
        got: usize,
        /// How many are needed.
        expected: usize,
    },
}

impl InclusionError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IndexOutsideTree { .. } => "inclusion-index-outside-tree",
            Self::TooLong { .. } => "inclusion-proof-too-long",
            Self::Length { .. } => "inclusion-proof-length",
            Self::RootMismatch => "inclusion-root-mismatch",
            Self::NodeCount { .. } => "inclusion-node-count",
        }
    }
}

/// The siblings on the way from a leaf to the root, the leaf's first; at most 63.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof(Vec<Hash>);

impl InclusionProof {
    /// A proof of these hashes, which may still prove nothing. Refuses more than [`MAX_PROOF_HASHES`].
    pub fn new(hashes: Vec<Hash>) -> Result<Self, InclusionError> {
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(InclusionError::TooLong { got: hashes.len() });
        }
        Ok(Self(hashes))
    }

    /// The hashes, the leaf's sibling first.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Succeeds if the tree of `head` has an entry of this leaf hash at `index`.
    ///
    /// `head` must be trusted as a whole. The size decides how many hashes the proof must have, but some
    /// neighbouring sizes ask for the same way to the same root, so a proof does not confirm a size.
    pub fn verify(&self, leaf: &Hash, index: LeafIndex, head: &TreeHead) -> Result<(), InclusionError> {
        let size = head.size;
        if !size.contains(index) {
            return Err(InclusionError::IndexOutsideTree { index, size });
        }
        let shape = PathShape::new(index.get(), size.get().saturating_sub(1));
        let wrong_length = InclusionError::Length { got: self.0.len(), expected: shape.len() };
        if self.0.len() != shape.len() {
            return Err(wrong_length);
        }
        let (lower, upper) = self.0.split_at_checked(shape.lower).ok_or(wrong_length)?;
        let root = climb_right_edge(climb(*leaf, index.get(), lower), upper);
        if root == head.root { Ok(()) } else { Err(InclusionError::RootMismatch) }
    }
}

/// Which nodes an inclusion proof is made from.
#[derive(Clone, Debug)]
pub struct InclusionPlan(RangePlan);

impl InclusionPlan {
    /// The plan for the entry at `index` of a tree of `size` entries, which must have it.
    pub fn new(index: LeafIndex, size: TreeSize) -> Result<Self, InclusionError> {
        if !size.contains(index) {
            return Err(InclusionError::IndexOutsideTree { index, size });
        }
        // The recursion PATH of RFC 6962 from the root down: keep the half with the leaf, note the other.
        let (mut start, mut end) = (0, size.get());
        let mut siblings = Vec::with_capacity(MAX_PROOF_HASHES);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index.get() < middle {
                siblings.push((middle, end));
                end = middle;
            } else {
                siblings.push((start, middle));
                start = middle;
            }
        }
        let mut plan = RangePlan::default();
        for (start, end) in siblings.into_iter().rev() {
            plan.push(start, end);
        }
        Ok(Self(plan))
    }

    /// The nodes whose hashes [`Self::finish`] wants, in order; at most 124.
    pub fn nodes(&self) -> &[NodeId] {
        self.0.nodes()
    }

    /// The proof from the hashes of [`Self::nodes`]. Refuses any other number of them, and does not check
    /// them: verify the proof.
    pub fn finish(&self, hashes: &[Hash]) -> Result<InclusionProof, InclusionError> {
        let expected = self.nodes().len();
        let proof =
            self.0.combine(hashes).ok_or(InclusionError::NodeCount { got: hashes.len(), expected })?;
        InclusionProof::new(proof)
    }
}
