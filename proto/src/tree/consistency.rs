//! Consistency proofs, RFC 6962, section 2.1.2.

use alloc::vec::Vec;

use super::path::{PathShape, climb, climb_left_only, climb_right_edge};
use super::plan::{RangePlan, split};
use super::{MAX_PROOF_HASHES, NodeId, TreeHead};
use crate::hash::Hash;
use crate::size::TreeSize;

/// Why a consistency proof is refused or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsistencyError {
    /// The older tree is larger than the newer.
    #[error("the old tree has {old} entries, the new one only {new}")]
    Shrinks {
        /// Size of the old tree.
        old: TreeSize,
        /// Size of the new tree.
        new: TreeSize,
    },
    /// A tree without entries has another root than the empty tree's.
    #[error("a tree without entries has another root than the hash of nothing")]
    EmptyRoot,
    /// More hashes than any tree asks for.
    #[error("{got} hashes, a proof has at most {MAX_PROOF_HASHES}")]
    TooLong {
        /// How many were given.
        got: usize,
    },
    /// Not the number of hashes that the sizes ask for.
    #[error("{got} hashes, the tree sizes ask for {expected}")]
    Length {
        /// How many the proof has.
        got: usize,
        /// How many it must have.
        expected: usize,
    },
    /// Trees of one size have different roots.
    #[error("trees of one size have different roots")]
    RootsDiffer,
    /// The hashes do not make up the old tree.
    #[error("the proof does not lead to the root of the old tree")]
    OldRootMismatch,
    /// The hashes make up the old tree but not the new one.
    #[error("the proof does not lead to the root of the new tree")]
    NewRootMismatch,
    /// A plan was finished with another number of hashes than it asked for.
    #[error("{got} node hashes, the plan asks for {expected}")]
    NodeCount {
        /// How many were given.
        got: usize,
        /// How many are needed.
        expected: usize,
    },
}

impl ConsistencyError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shrinks { .. } => "consistency-shrinks",
            Self::EmptyRoot => "consistency-empty-root",
            Self::TooLong { .. } => "consistency-proof-too-long",
            Self::Length { .. } => "consistency-proof-length",
            Self::RootsDiffer => "consistency-roots-differ",
            Self::OldRootMismatch => "consistency-old-root-mismatch",
            Self::NewRootMismatch => "consistency-new-root-mismatch",
            Self::NodeCount { .. } => "consistency-node-count",
        }
    }
}

/// The hashes that make up an old tree and those that make a new one of it; at most 63.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof(Vec<Hash>);

impl ConsistencyProof {
    /// A proof of these hashes, which may still prove nothing. Refuses more than [`MAX_PROOF_HASHES`], the
    /// limit of c2sp.org/tlog-witness; only into trees above `2^62` entries would some proofs have one more.
    pub fn new(hashes: Vec<Hash>) -> Result<Self, ConsistencyError> {
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(ConsistencyError::TooLong { got: hashes.len() });
        }
        Ok(Self(hashes))
    }

    /// The hashes, in the order of RFC 6962.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Succeeds if the entries of the tree of `old` are the first entries of the tree of `new`.
    ///
    /// The empty tree is a prefix of every tree and trees of one size are consistent if their roots are
    /// equal; in both cases the proof must be empty. Both heads must be trusted as a whole: the sizes
    /// decide how many hashes the proof must have, but a proof does not confirm a size.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<(), ConsistencyError> {
        if old.size > new.size {
            return Err(ConsistencyError::Shrinks { old: old.size, new: new.size });
        }
        if !old.is_possible() || !new.is_possible() {
            return Err(ConsistencyError::EmptyRoot);
        }
        let expected = expected_length(old.size, new.size);
        let wrong_length = ConsistencyError::Length { got: self.0.len(), expected };
        if self.0.len() != expected {
            return Err(wrong_length);
        }
        if old.size == new.size {
            return if old.root == new.root { Ok(()) } else { Err(ConsistencyError::RootsDiffer) };
        }
        if old.size.is_zero() {
            return Ok(());
        }

        // The way starts at the last complete subtree of the old tree: its whole root or the first hash.
        let (start, siblings) = if old.size.get().is_power_of_two() {
            (old.root, self.0.as_slice())
        } else {
            let (first, siblings) = self.0.split_first().ok_or(wrong_length)?;
            (*first, siblings)
        };
        let level = old.size.get().trailing_zeros();
        let last = old.size.get().saturating_sub(1);
        let shape = PathShape::new(last, new.size.get().saturating_sub(1));
        let lower = shape.lower.saturating_sub(level as usize);
        let (lower, upper) = siblings.split_at_checked(lower).ok_or(wrong_length)?;
        let index = last >> level;
        if climb_right_edge(climb_left_only(start, index, lower), upper) != old.root {
            return Err(ConsistencyError::OldRootMismatch);
        }
        if climb_right_edge(climb(start, index, lower), upper) != new.root {
            return Err(ConsistencyError::NewRootMismatch);
        }
        Ok(())
    }
}

/// How many hashes a proof between these sizes has; `old` is at most `new`.
fn expected_length(old: TreeSize, new: TreeSize) -> usize {
    if old == new || old.is_zero() {
        return 0;
    }
    let shape = PathShape::new(old.get().saturating_sub(1), new.get().saturating_sub(1));
    let start = usize::from(!old.get().is_power_of_two());
    // The last leaf of the old tree is `level` steps below the subtree that the way starts at, and joins
    // the right edge of the larger tree above it.
    let level = old.get().trailing_zeros() as usize;
    shape.len().saturating_sub(level).saturating_add(start)
}

/// Which nodes a consistency proof is made from.
#[derive(Clone, Debug)]
pub struct ConsistencyPlan(RangePlan);

impl ConsistencyPlan {
    /// The plan for a proof from `old` to `new` entries. Refuses an `old` above `new`.
    pub fn new(old: TreeSize, new: TreeSize) -> Result<Self, ConsistencyError> {
        if old > new {
            return Err(ConsistencyError::Shrinks { old, new });
        }
        let mut plan = RangePlan::default();
        if old == new || old.is_zero() {
            return Ok(Self(plan));
        }
        // The recursion SUBPROOF of RFC 6962 from the root down: keep the half with the end of the old
        // tree, note the other, until the half ends where the old tree ends.
        let (mut start, mut end) = (0, new.get());
        let mut siblings = Vec::with_capacity(MAX_PROOF_HASHES);
        while end != old.get() {
            let middle = start + split(end - start);
            if old.get() <= middle {
                siblings.push((middle, end));
                end = middle;
            } else {
                siblings.push((start, middle));
                start = middle;
            }
        }
        // A verifier has the old root, so the old tree itself is left out.
        if start != 0 {
            siblings.push((start, end));
        }
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
    pub fn finish(&self, hashes: &[Hash]) -> Result<ConsistencyProof, ConsistencyError> {
        let expected = self.nodes().len();
        let proof =
            self.0.combine(hashes).ok_or(ConsistencyError::NodeCount { got: hashes.len(), expected })?;
        ConsistencyProof::new(proof)
    }
}
