//! Tests of the tree: small trees in full, other implementations, the largest trees, refusals.

mod limits;
mod oracles;
mod refusals;
mod small;

use alloc::vec::Vec;

use super::*;
use crate::hash::Hash;
use crate::size::LeafIndex;

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

fn index(index: u64) -> LeafIndex {
    LeafIndex::new(index).unwrap()
}

fn head(leaves: &[Hash]) -> TreeHead {
    TreeHead { size: size(leaves.len() as u64), root: reference::root(leaves) }
}

/// Made by our plan from the nodes of the tree.
fn inclusion_proof(at: usize, leaves: &[Hash]) -> InclusionProof {
    let plan = InclusionPlan::new(index(at as u64), size(leaves.len() as u64)).unwrap();
    plan.finish(&reference::nodes(plan.nodes(), leaves)).unwrap()
}

/// Made by our plan from the nodes of the larger tree.
fn consistency_proof(old: usize, leaves: &[Hash]) -> ConsistencyProof {
    let plan = ConsistencyPlan::new(size(old as u64), size(leaves.len() as u64)).unwrap();
    plan.finish(&reference::nodes(plan.nodes(), leaves)).unwrap()
}

/// Sizes around powers of two and around full tiles.
fn notable_sizes() -> Vec<usize> {
    let around_powers = (0..=10).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1]);
    let mut sizes: Vec<usize> =
        around_powers.chain([100, 511, 767, 768, 769, 1100]).filter(|n| *n > 0).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}
