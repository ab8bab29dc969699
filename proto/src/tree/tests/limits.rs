//! Trees up to the largest: nothing overflows, and proofs hold.

use super::*;
use crate::hash::{leaf_hash, node_hash};

/// A tree whose entries are all equal but one, so that any of its nodes can be computed.
struct MarkedTree {
    marked: u64,
    /// The hash of a complete subtree without the marked leaf, by level.
    plain: Vec<Hash>,
}

impl MarkedTree {
    fn new(marked: u64) -> Self {
        let first = leaf_hash(b"plain");
        let plain =
            core::iter::successors(Some(first), |node| Some(node_hash(node, node))).take(64).collect();
        Self { marked, plain }
    }

    fn leaf(&self, index: u64) -> Hash {
        if index == self.marked { leaf_hash(b"marked") } else { self.plain[0] }
    }

    /// The tree hash of `count` leaves from `start` on, by the definition.
    fn root(&self, start: u64, count: u64) -> Hash {
        if count == 1 {
            return self.leaf(start);
        }
        if count.is_power_of_two() && !(start..start + count).contains(&self.marked) {
            return self.plain[count.ilog2() as usize];
        }
        let k = (count - 1).ilog2();
        node_hash(&self.root(start, 1 << k), &self.root(start + (1 << k), count - (1 << k)))
    }

    fn head(&self, count: u64) -> TreeHead {
        TreeHead { size: size(count), root: self.root(0, count) }
    }

    fn nodes(&self, nodes: &[NodeId]) -> Vec<Hash> {
        nodes.iter().map(|node| self.root(node.first_leaf(), node.leaf_count())).collect()
    }
}

/// 2^k-1, 2^k and 2^k+1 for every k, as far as they are sizes above zero.
fn sizes() -> Vec<u64> {
    let around = (0..=63).flat_map(|k| [(1u64 << k) - 1, 1 << k, (1 << k) + 1]);
    let mut sizes: Vec<u64> = around.filter(|n| *n > 0 && *n <= TreeSize::MAX.get()).collect();
    sizes.dedup();
    sizes
}

/// Positions in `1..=count` where shapes change.
fn positions(count: u64) -> Vec<u64> {
    let middle = count.next_power_of_two() / 2;
    let wanted = [1, 2, 3, middle.saturating_sub(1), middle, middle + 1, count / 3, count - 1, count];
    wanted.into_iter().filter(|n| (1..=count).contains(n)).collect()
}

#[test]
fn roots_at_every_power_of_two() {
    for count in sizes() {
        let tree = MarkedTree::new(count / 2);
        let plan = RootPlan::new(size(count));
        assert_eq!(plan.nodes().len(), count.count_ones() as usize);
        assert_eq!(plan.finish(&tree.nodes(plan.nodes())), Ok(tree.head(count)), "{count}");
    }
}

#[test]
fn inclusion_at_every_power_of_two() {
    for count in sizes() {
        for at in positions(count).into_iter().map(|position| position - 1) {
            let tree = MarkedTree::new(at);
            let plan = InclusionPlan::new(index(at), size(count)).unwrap();
            assert!(plan.nodes().len() <= 124);
            let proof = plan.finish(&tree.nodes(plan.nodes())).unwrap();
            let head = tree.head(count);
            assert_eq!(proof.verify(&tree.leaf(at), index(at), &head), Ok(()), "{at} of {count}");
            for other in
                [at ^ 1, at.saturating_sub(1), at + 1, count, count - 1].into_iter().filter(|i| *i != at)
            {
                assert!(proof.verify(&tree.leaf(at), index(other), &head).is_err(), "{other} of {count}");
            }
        }
    }
}

#[test]
fn consistency_at_every_power_of_two() {
    let mut too_long = 0;
    for count in sizes() {
        for old in positions(count) {
            let tree = MarkedTree::new(old - 1);
            let plan = ConsistencyPlan::new(size(old), size(count)).unwrap();
            let nodes = tree.nodes(plan.nodes());
            let proof = match plan.finish(&nodes) {
                Ok(proof) => proof,
                Err(error) => {
                    assert_eq!(error, ConsistencyError::TooLong { got: 64 });
                    assert!(count > 1 << 62, "{old} to {count}");
                    too_long += 1;
                    continue;
                }
            };
            let (old, new) = (tree.head(old), tree.head(count));
            assert_eq!(proof.verify(&old, &new), Ok(()), "{old:?} to {count}");
            let without_mark = MarkedTree::new(u64::MAX);
            assert!(proof.verify(&without_mark.head(old.size.get()), &new).is_err());
            assert!(proof.verify(&old, &without_mark.head(count)).is_err());
        }
    }
    assert!(too_long > 0, "the limit of 63 hashes has been reached");
}

#[test]
fn proofs_are_as_long_as_their_sizes_say_at_every_power_of_two() {
    for count in sizes() {
        for position in positions(count) {
            for length in [0, 1, 62, 63] {
                let hashes = alloc::vec![leaf_hash(b""); length];
                let head = MarkedTree::new(0).head(count);
                let old = MarkedTree::new(1).head(position);
                let inclusion = InclusionProof::new(hashes.clone()).unwrap();
                let is_only_entry = count == 1 && length == 0;
                let verified = inclusion.verify(&leaf_hash(b"marked"), index(position - 1), &head);
                assert_eq!(verified.is_ok(), is_only_entry);
                assert!(ConsistencyProof::new(hashes).unwrap().verify(&old, &head).is_err());
            }
        }
    }
}

#[test]
fn the_largest_tree_takes_no_more_entries() {
    let tree = MarkedTree::new(TreeSize::MAX.get() - 1);
    let almost = size(TreeSize::MAX.get() - 1);
    let nodes = tree.nodes(&Frontier::node_ids(almost));
    let mut frontier = Frontier::from_nodes(almost, &nodes).unwrap();
    frontier.append(tree.leaf(tree.marked)).unwrap();
    assert_eq!(frontier.head(), tree.head(TreeSize::MAX.get()));
    let before = frontier.clone();
    assert_eq!(frontier.append(tree.leaf(0)), Err(FrontierError::Full));
    assert_eq!(frontier, before);
}

#[test]
fn an_append_joins_subtrees_at_every_power_of_two() {
    for count in sizes().into_iter().filter(|count| *count < TreeSize::MAX.get()) {
        let tree = MarkedTree::new(count);
        let mut frontier =
            Frontier::from_nodes(size(count), &tree.nodes(&Frontier::node_ids(size(count)))).unwrap();
        frontier.append(tree.leaf(count)).unwrap();
        assert_eq!(frontier.head(), tree.head(count + 1));
    }
}

#[test]
fn a_node_ends_at_the_largest_size_at_most() {
    for level in 0..=62 {
        let last = (TreeSize::MAX.get() >> level) - 1;
        let node = NodeId::new(level, last).unwrap();
        assert!(node.first_leaf() + node.leaf_count() <= TreeSize::MAX.get());
        assert!(node.within(TreeSize::MAX));
        for index in [last + 1, u64::MAX >> 1, u64::MAX] {
            assert_eq!(NodeId::new(level, index), Err(NodeError { level, index }));
        }
    }
    for level in [63, 64, 65, 255] {
        assert_eq!(NodeId::new(level, 0), Err(NodeError { level, index: 0 }));
    }
}
