//! Every tree of at most 64 entries, against the definitions of RFC 6962.

use super::*;

const LARGEST: usize = 64;

#[test]
fn a_frontier_has_the_root_of_its_tree_at_every_size() {
    let leaves = reference::leaves(LARGEST);
    let mut frontier = Frontier::new();
    for count in 0..=LARGEST {
        let tree = &leaves[..count];
        assert_eq!(frontier.head(), head(tree), "{count}");
        assert_eq!(frontier.nodes(), reference::nodes(&Frontier::node_ids(frontier.size()), tree), "{count}");
        if let Some(leaf) = leaves.get(count) {
            frontier.append(*leaf).unwrap();
        }
    }
}

#[test]
fn a_frontier_made_from_nodes_goes_on_like_the_one_that_grew() {
    let leaves = reference::leaves(2 * LARGEST);
    let mut grown = Frontier::new();
    for leaf in &leaves {
        let mut made = Frontier::from_nodes(grown.size(), &grown.nodes()).unwrap();
        assert_eq!(made, grown);
        made.append(*leaf).unwrap();
        grown.append(*leaf).unwrap();
        assert_eq!(made.head(), grown.head());
    }
}

#[test]
fn a_root_plan_gives_the_head() {
    let leaves = reference::leaves(LARGEST);
    for count in 0..=LARGEST {
        let tree = &leaves[..count];
        let plan = RootPlan::new(size(count as u64));
        assert_eq!(plan.finish(&reference::nodes(plan.nodes(), tree)), Ok(head(tree)));
    }
}

#[test]
fn inclusion_proofs_are_those_of_the_rfc_and_verify() {
    let leaves = reference::leaves(LARGEST);
    for count in 1..=LARGEST {
        let tree = &leaves[..count];
        for at in 0..count {
            let proof = inclusion_proof(at, tree);
            assert_eq!(proof.hashes(), reference::path(at, tree), "{at} of {count}");
            assert_eq!(proof.verify(&tree[at], index(at as u64), &head(tree)), Ok(()), "{at} of {count}");
        }
    }
}

#[test]
fn an_inclusion_proof_holds_for_no_other_index_and_no_other_leaf() {
    let leaves = reference::leaves(33);
    for count in 1..=leaves.len() {
        let tree = &leaves[..count];
        for at in 0..count {
            let proof = inclusion_proof(at, tree);
            for other in (0..leaves.len()).filter(|other| *other != at) {
                assert!(proof.verify(&tree[at], index(other as u64), &head(tree)).is_err());
                assert!(proof.verify(&leaves[other], index(at as u64), &head(tree)).is_err());
            }
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_the_rfc_and_verify() {
    let leaves = reference::leaves(LARGEST);
    for count in 1..=LARGEST {
        let tree = &leaves[..count];
        for old in 1..=count {
            let proof = consistency_proof(old, tree);
            assert_eq!(proof.hashes(), reference::consistency(old, tree), "{old} to {count}");
            assert_eq!(proof.verify(&head(&tree[..old]), &head(tree)), Ok(()), "{old} to {count}");
        }
    }
}

#[test]
fn a_consistency_proof_holds_for_no_tree_with_another_entry_in_it() {
    let leaves = reference::leaves(20);
    for count in 1..=leaves.len() {
        for old in 1..=count {
            let proof = consistency_proof(old, &leaves[..count]);
            for changed in 0..old {
                let mut other = leaves.clone();
                other[changed] = crate::hash::leaf_hash(b"another entry");
                assert!(proof.verify(&head(&other[..old]), &head(&leaves[..count])).is_err());
                assert!(proof.verify(&head(&leaves[..old]), &head(&other[..count])).is_err());
            }
        }
    }
}

#[test]
fn everything_is_consistent_with_the_empty_tree_by_an_empty_proof() {
    let leaves = reference::leaves(9);
    for count in 0..=leaves.len() {
        let proof = consistency_proof(0, &leaves[..count]);
        assert!(proof.hashes().is_empty());
        assert_eq!(proof.verify(&TreeHead::empty(), &head(&leaves[..count])), Ok(()));
    }
}

#[test]
fn a_node_is_within_the_trees_that_reach_its_last_leaf() {
    for level in 0..5 {
        for at in 0..8 {
            let node = NodeId::new(level, at).unwrap();
            let end = node.first_leaf() + node.leaf_count();
            assert!(node.within(size(end)) && !node.within(size(end - 1)), "{node:?}");
        }
    }
}
