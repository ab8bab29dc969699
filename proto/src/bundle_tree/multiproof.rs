//! Proofs that several leaves are in one tree, shorter than one inclusion proof for each.
//!
//! The hashes are those that the way from the leaves to the root asks for and that it does not meet itself:
//! level by level from the leaves up, left to right in each. For a single leaf that is the path of RFC 6962.
//!
//! The check is done by `rs_merkle`. Left to itself it believes whoever chooses the indices: it takes an index
//! twice, one beyond the tree, and hashes it has no use for. [`verify`] therefore lets it see only indices that
//! are strictly increasing and inside a tree of the size the caller knows, as many leaves as indices, and
//! exactly the hashes that belong to them. The tree without leaves, for which it has no root, has no proofs.

use alloc::vec::Vec;

use rs_merkle::{Hasher, MerkleProof};

use super::{BundleProofError, BundleTree};
use crate::hash::{Hash, leaf_hash, node_hash};
use crate::tree::TreeHead;

/// Most files in one proof. Checking takes time in the square of it, here about a tenth of a second; whoever
/// has more files to prove sends the listing.
pub const MAX_PROOF_FILES: usize = 4096;

/// RFC 6962 for `rs_merkle`, whose own hashers do not tell leaves from nodes.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; Hash::LEN];

    fn hash(data: &[u8]) -> Self::Hash {
        *leaf_hash(data).as_bytes()
    }

    /// A node without a right sibling goes up unchanged.
    fn concat_and_hash(left: &Self::Hash, right: Option<&Self::Hash>) -> Self::Hash {
        right
            .map_or(*left, |right| *node_hash(&Hash::from_bytes(*left), &Hash::from_bytes(*right)).as_bytes())
    }
}

/// A node of the tree in which a last node without a sibling goes up: level, position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) level: usize,
    pub(super) index: u64,
}

/// Where the hashes of a proof of `indices` stand in a tree of `size` leaves, in the proof's order. The
/// indices are strictly increasing and below `size`.
pub(super) fn positions(indices: &[u64], size: u64) -> Vec<Position> {
    let mut positions = Vec::new();
    let mut known = indices.to_vec();
    let (mut width, mut level) = (size, 0);
    while width > 1 {
        let mut at = 0;
        while let Some(index) = known.get(at).copied() {
            let sibling = index ^ 1;
            let both_known = known.get(at.saturating_add(1)) == Some(&sibling);
            if !both_known && sibling < width {
                positions.push(Position { level, index: sibling });
            }
            at = at.saturating_add(if both_known { 2 } else { 1 });
        }
        known.iter_mut().for_each(|index| *index >>= 1);
        known.dedup();
        width = width.div_ceil(2);
        level = level.saturating_add(1);
    }
    positions
}

/// Succeeds if the tree of `head` has each of these leaves at its index.
///
/// `head` must come from what is signed, never from who made the proof.
pub(super) fn verify(
    head: &TreeHead,
    leaves: &[(u64, Hash)],
    hashes: &[Hash],
) -> Result<(), BundleProofError> {
    let size = head.size.get();
    let files = usize::try_from(size).ok().filter(|files| (1..=BundleTree::MAX_FILES).contains(files));
    let files = files.ok_or(BundleProofError::BundleSize { size: head.size })?;
    if leaves.is_empty() || leaves.len() > MAX_PROOF_FILES {
        return Err(BundleProofError::FileCount { got: leaves.len() });
    }
    if !leaves.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(BundleProofError::Order);
    }
    if let Some((index, _)) = leaves.iter().find(|(index, _)| *index >= size) {
        return Err(BundleProofError::OutsideBundle { index: *index, size: head.size });
    }
    let indices: Vec<u64> = leaves.iter().map(|(index, _)| *index).collect();
    let expected = positions(&indices, size).len();
    if hashes.len() != expected {
        return Err(BundleProofError::HashCount { got: hashes.len(), expected });
    }
    let proof = MerkleProof::<Rfc6962>::new(hashes.iter().map(|hash| *hash.as_bytes()).collect());
    let indices: Vec<usize> = indices.iter().filter_map(|index| usize::try_from(*index).ok()).collect();
    let leaves: Vec<_> = leaves.iter().map(|(_, leaf)| *leaf.as_bytes()).collect();
    match proof.verify(*head.root.as_bytes(), &indices, &leaves, files) {
        true => Ok(()),
        false => Err(BundleProofError::RootMismatch),
    }
}

#[cfg(test)]
mod tests;
