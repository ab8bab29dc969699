//! RFC 6962, section 2.1, word for word and slow: what the tests compare with.

use alloc::vec;
use alloc::vec::Vec;

use super::NodeId;
use crate::hash::{Hash, empty_root, leaf_hash, node_hash};

/// The leaf hashes of a tree whose entries all differ.
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&(index as u64).to_be_bytes())).collect()
}

/// MTH(D[n])
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D[n])
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if index < k { (path(index, left), root(right)) } else { (path(index - k, right), root(left)) };
    path.push(sibling);
    path
}

/// PROOF(m, D[n])
pub(crate) fn consistency(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(old, leaves, true)
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if old <= k {
        (subproof(old, left, whole), root(right))
    } else {
        (subproof(old - k, right, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// The hashes of nodes that the tree has.
pub(crate) fn nodes(ids: &[NodeId], leaves: &[Hash]) -> Vec<Hash> {
    let leaves_of = |id: &NodeId| id.first_leaf() as usize..(id.first_leaf() + id.leaf_count()) as usize;
    ids.iter().map(|id| root(&leaves[leaves_of(id)])).collect()
}

/// The largest power of two smaller than `count`.
fn split(count: usize) -> usize {
    let mut k = 1;
    while k * 2 < count {
        k *= 2;
    }
    k
}
