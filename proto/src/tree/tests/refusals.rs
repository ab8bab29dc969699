//! Everything next to a valid proof is refused.

use alloc::string::String;
use alloc::vec;
use std::format;

use super::*;
use crate::hash::{empty_root, leaf_hash, node_hash};

/// Small trees of every kind of shape.
const SIZES: [usize; 8] = [1, 2, 3, 4, 6, 7, 8, 13];

#[test]
fn refuses_an_index_that_the_tree_has_not() {
    let tree = reference::leaves(5);
    let proof = inclusion_proof(4, &tree);
    for outside in [5, 6, 8, 1 << 62, i64::MAX as u64] {
        let refused = proof.verify(&tree[4], index(outside), &head(&tree));
        assert_eq!(refused, Err(InclusionError::IndexOutsideTree { index: index(outside), size: size(5) }));
        assert!(InclusionPlan::new(index(outside), size(5)).is_err());
    }
    let empty = InclusionProof::new(vec![]).unwrap();
    let refused = empty.verify(&empty_root(), index(0), &TreeHead::empty());
    assert_eq!(refused.map_err(|e| e.code()), Err("inclusion-index-outside-tree"));
    assert!(InclusionPlan::new(index(0), size(0)).is_err());
}

#[test]
fn the_only_entry_of_a_tree_needs_no_hashes_and_takes_none() {
    let tree = reference::leaves(1);
    let only = TreeHead { size: size(1), root: tree[0] };
    assert_eq!(InclusionProof::new(vec![]).unwrap().verify(&tree[0], index(0), &only), Ok(()));
    let longer = InclusionProof::new(vec![tree[0]]).unwrap();
    let refused = longer.verify(&tree[0], index(0), &only);
    assert_eq!(refused, Err(InclusionError::Length { got: 1, expected: 0 }));
}

#[test]
fn refuses_proofs_of_more_hashes_than_any_tree_needs() {
    for got in [64, 65, 1_000_000] {
        assert_eq!(InclusionProof::new(vec![empty_root(); got]), Err(InclusionError::TooLong { got }));
        assert_eq!(ConsistencyProof::new(vec![empty_root(); got]), Err(ConsistencyError::TooLong { got }));
    }
    assert!(InclusionProof::new(vec![empty_root(); 63]).is_ok());
    assert!(ConsistencyProof::new(vec![empty_root(); 63]).is_ok());
}

#[test]
fn refuses_every_proof_that_is_too_short_or_too_long() {
    let leaves = reference::leaves(33);
    for count in 1..=leaves.len() {
        let tree = &leaves[..count];
        for at in 0..count {
            let right = inclusion_proof(at, tree);
            for wrong in wrong_lengths(right.hashes()) {
                let got = wrong.len();
                let refused =
                    InclusionProof::new(wrong).unwrap().verify(&tree[at], index(at as u64), &head(tree));
                assert_eq!(refused, Err(InclusionError::Length { got, expected: right.hashes().len() }));
            }
            let old = head(&tree[..at + 1]);
            let right = consistency_proof(at + 1, tree);
            for wrong in wrong_lengths(right.hashes()) {
                let got = wrong.len();
                let refused = ConsistencyProof::new(wrong).unwrap().verify(&old, &head(tree));
                assert_eq!(refused, Err(ConsistencyError::Length { got, expected: right.hashes().len() }));
            }
        }
    }
}

/// Every truncation, at either end, and one more hash, at either end.
fn wrong_lengths(hashes: &[Hash]) -> Vec<Vec<Hash>> {
    let more = leaf_hash(b"more");
    let mut wrong: Vec<Vec<Hash>> = (0..hashes.len()).map(|length| hashes[..length].to_vec()).collect();
    wrong.extend((1..=hashes.len()).map(|start| hashes[start..].to_vec()));
    wrong.push([hashes, &[more]].concat());
    wrong.push([&[more], hashes].concat());
    wrong.push([hashes, hashes.last().map(core::slice::from_ref).unwrap_or(&[more])].concat());
    wrong
}

#[test]
fn refuses_every_flipped_bit_of_an_inclusion_proof() {
    for count in SIZES {
        let tree = reference::leaves(count);
        let head = head(&tree);
        for at in 0..count {
            let proof = inclusion_proof(at, &tree);
            let (leaf, at) = (tree[at], index(at as u64));
            assert_eq!(proof.verify(&leaf, at, &head), Ok(()));
            for flipped in flips_of_hashes(proof.hashes()) {
                assert!(InclusionProof::new(flipped).unwrap().verify(&leaf, at, &head).is_err());
            }
            for root in flips(head.root) {
                assert!(proof.verify(&leaf, at, &TreeHead { root, ..head }).is_err());
            }
            for leaf in flips(leaf) {
                assert!(proof.verify(&leaf, at, &head).is_err());
            }
            for bit in 0..63 {
                assert!(proof.verify(&leaf, index(at.get() ^ (1 << bit)), &head).is_err());
            }
            // Another size is only told from this one where the way to the root is another.
            for bit in 0..63 {
                let other = size(count as u64 ^ (1 << bit));
                let same_way =
                    other.contains(at) && way(at.get(), other.get()) == way(at.get(), count as u64);
                let verified = proof.verify(&leaf, at, &TreeHead { size: other, ..head });
                assert_eq!(verified.is_ok(), same_way, "{at} of {count}, then of {other}");
            }
        }
    }
}

/// On which side each sibling is, from the root down.
fn way(index: u64, size: u64) -> String {
    if size == 1 {
        return String::new();
    }
    let k = size.next_power_of_two() / 2;
    if index < k { format!("r{}", way(index, k)) } else { format!("l{}", way(index - k, size - k)) }
}

#[test]
fn refuses_every_flipped_bit_of_a_consistency_proof() {
    for count in SIZES {
        let tree = reference::leaves(count);
        let new = head(&tree);
        for old_count in 1..=count {
            let old = head(&tree[..old_count]);
            let proof = consistency_proof(old_count, &tree);
            assert_eq!(proof.verify(&old, &new), Ok(()));
            for flipped in flips_of_hashes(proof.hashes()) {
                assert!(ConsistencyProof::new(flipped).unwrap().verify(&old, &new).is_err());
            }
            for root in flips(old.root) {
                assert!(proof.verify(&TreeHead { root, ..old }, &new).is_err());
            }
            for root in flips(new.root) {
                assert!(proof.verify(&old, &TreeHead { root, ..new }).is_err());
            }
            for bit in 0..63 {
                for (m, n) in [
                    (old.size.get() ^ (1 << bit), new.size.get()),
                    (old.size.get(), new.size.get() ^ (1 << bit)),
                ] {
                    let same_use = m != 0 && m <= n && use_of(m, n) == use_of(old.size.get(), new.size.get());
                    let (old, new) = (TreeHead { size: size(m), ..old }, TreeHead { size: size(n), ..new });
                    assert_eq!(
                        proof.verify(&old, &new).is_ok(),
                        same_use,
                        "{old_count} {count} then {m} {n}"
                    );
                }
            }
        }
    }
}

/// How a proof's hashes, numbered, make up the old root and the new root.
fn use_of(old: u64, new: u64) -> (String, String) {
    fn walk(old: u64, new: u64, whole: bool, next: &mut usize) -> (String, String) {
        if old == new {
            let start = if whole { "old".into() } else { number(next) };
            return (start.clone(), start);
        }
        let k = new.next_power_of_two() / 2;
        if old <= k {
            let (a, b) = walk(old, k, whole, next);
            return (a, format!("({b} {})", number(next)));
        }
        let (a, b) = walk(old - k, new - k, false, next);
        let left = number(next);
        (format!("({left} {a})"), format!("({left} {b})"))
    }
    fn number(next: &mut usize) -> String {
        *next += 1;
        format!("{next}")
    }
    walk(old, new, true, &mut 0)
}

fn flips(hash: Hash) -> impl Iterator<Item = Hash> {
    (0..256).map(move |bit| {
        let mut bytes = *hash.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Hash::from_bytes(bytes)
    })
}

fn flips_of_hashes(hashes: &[Hash]) -> impl Iterator<Item = Vec<Hash>> + '_ {
    (0..hashes.len()).flat_map(move |at| {
        flips(hashes[at]).map(move |flipped| {
            let mut hashes = hashes.to_vec();
            hashes[at] = flipped;
            hashes
        })
    })
}

#[test]
fn refuses_proofs_with_two_hashes_swapped() {
    for count in SIZES {
        let tree = reference::leaves(count);
        for at in 0..count {
            let right = inclusion_proof(at, &tree);
            for i in 1..right.hashes().len() {
                let mut hashes = right.hashes().to_vec();
                hashes.swap(i - 1, i);
                let wrong = InclusionProof::new(hashes).unwrap();
                let refused = wrong.verify(&tree[at], index(at as u64), &head(&tree));
                assert_eq!(refused, Err(InclusionError::RootMismatch));
            }
            let right = consistency_proof(at + 1, &tree);
            for i in 1..right.hashes().len() {
                let mut hashes = right.hashes().to_vec();
                hashes.swap(i - 1, i);
                let wrong = ConsistencyProof::new(hashes).unwrap();
                assert!(wrong.verify(&head(&tree[..at + 1]), &head(&tree)).is_err());
            }
        }
    }
}

#[test]
fn an_interior_node_is_no_entry_and_an_entry_no_interior_node() {
    // The tree of two over the nodes of a tree of four has the same root, if nodes could be leaves.
    let tree = reference::leaves(4);
    let node = node_hash(&tree[0], &tree[1]);
    let proof = InclusionProof::new(vec![node_hash(&tree[2], &tree[3])]).unwrap();
    assert!(proof.verify(&node, index(0), &head(&tree)).is_err());
    // An entry of 64 bytes that are two child hashes does not hash to their node.
    let entry = [*tree[0].as_bytes(), *tree[1].as_bytes()].concat();
    let smaller = TreeHead { size: size(2), root: reference::root(&tree) };
    assert_eq!(proof.verify(&leaf_hash(&entry), index(0), &smaller), Err(InclusionError::RootMismatch));
    // A leaf hash without the leaf prefix is another hash.
    let unprefixed = crate::hash::sha256(&0u64.to_be_bytes());
    let proof = inclusion_proof(0, &tree);
    assert_eq!(proof.verify(&unprefixed, index(0), &head(&tree)), Err(InclusionError::RootMismatch));
}

#[test]
fn refuses_a_new_tree_smaller_than_the_old() {
    let tree = reference::leaves(5);
    let proof = ConsistencyProof::new(vec![]).unwrap();
    let shrinks = ConsistencyError::Shrinks { old: size(5), new: size(4) };
    assert_eq!(proof.verify(&head(&tree), &head(&tree[..4])), Err(shrinks));
    assert_eq!(ConsistencyPlan::new(size(5), size(4)).map(|_| ()), Err(shrinks));
    assert!(proof.verify(&head(&tree), &TreeHead::empty()).is_err());
}

#[test]
fn refuses_two_roots_of_one_size() {
    let tree = reference::leaves(5);
    let other = TreeHead { root: leaf_hash(b"other"), ..head(&tree) };
    let proof = ConsistencyProof::new(vec![]).unwrap();
    assert_eq!(proof.verify(&head(&tree), &other), Err(ConsistencyError::RootsDiffer));
    assert_eq!(proof.verify(&head(&tree), &head(&tree)), Ok(()));
    let longer = ConsistencyProof::new(vec![tree[0]]).unwrap();
    assert_eq!(
        longer.verify(&head(&tree), &head(&tree)),
        Err(ConsistencyError::Length { got: 1, expected: 0 })
    );
}

#[test]
fn refuses_a_proof_from_the_empty_tree_and_empty_trees_of_another_root() {
    let tree = reference::leaves(5);
    let empty = ConsistencyProof::new(vec![]).unwrap();
    let longer = ConsistencyProof::new(vec![tree[0]]).unwrap();
    assert_eq!(
        longer.verify(&TreeHead::empty(), &head(&tree)),
        Err(ConsistencyError::Length { got: 1, expected: 0 })
    );
    let odd = TreeHead { size: size(0), root: tree[0] };
    assert!(!odd.is_possible());
    assert_eq!(empty.verify(&odd, &head(&tree)), Err(ConsistencyError::EmptyRoot));
    assert_eq!(empty.verify(&odd, &odd), Err(ConsistencyError::EmptyRoot));
    assert_eq!(empty.verify(&TreeHead::empty(), &odd), Err(ConsistencyError::EmptyRoot));
}

#[test]
fn says_which_root_a_consistency_proof_misses() {
    let tree = reference::leaves(7);
    let proof = consistency_proof(3, &tree);
    let (old, new) = (head(&tree[..3]), head(&tree));
    let other = leaf_hash(b"other");
    assert_eq!(proof.verify(&TreeHead { root: other, ..old }, &new), Err(ConsistencyError::OldRootMismatch));
    assert_eq!(proof.verify(&old, &TreeHead { root: other, ..new }), Err(ConsistencyError::NewRootMismatch));
}

#[test]
fn plans_take_exactly_the_nodes_they_ask_for() {
    let tree = reference::leaves(11);
    let plan = InclusionPlan::new(index(3), size(11)).unwrap();
    let nodes = reference::nodes(plan.nodes(), &tree);
    let expected = nodes.len();
    for wrong in wrong_lengths(&nodes) {
        let got = wrong.len();
        assert_eq!(plan.finish(&wrong), Err(InclusionError::NodeCount { got, expected }));
    }
    let plan = ConsistencyPlan::new(size(5), size(11)).unwrap();
    let nodes = reference::nodes(plan.nodes(), &tree);
    let expected = nodes.len();
    for wrong in wrong_lengths(&nodes) {
        let got = wrong.len();
        assert_eq!(plan.finish(&wrong), Err(ConsistencyError::NodeCount { got, expected }));
    }
    let plan = RootPlan::new(size(11));
    let nodes = reference::nodes(plan.nodes(), &tree);
    for wrong in wrong_lengths(&nodes) {
        let got = wrong.len();
        let refused = FrontierError::NodeCount { got, expected: 3 };
        assert_eq!(plan.finish(&wrong), Err(refused));
        assert_eq!(Frontier::from_nodes(size(11), &wrong), Err(refused));
    }
}

#[test]
fn error_codes_are_stable() {
    let (got, expected) = (0, 0);
    let inclusion = [
        (InclusionError::IndexOutsideTree { index: index(0), size: size(0) }, "inclusion-index-outside-tree"),
        (InclusionError::TooLong { got }, "inclusion-proof-too-long"),
        (InclusionError::Length { got, expected }, "inclusion-proof-length"),
        (InclusionError::RootMismatch, "inclusion-root-mismatch"),
        (InclusionError::NodeCount { got, expected }, "inclusion-node-count"),
    ];
    assert!(inclusion.iter().all(|(error, code)| error.code() == *code));
    let consistency = [
        (ConsistencyError::Shrinks { old: size(1), new: size(0) }, "consistency-shrinks"),
        (ConsistencyError::EmptyRoot, "consistency-empty-root"),
        (ConsistencyError::TooLong { got }, "consistency-proof-too-long"),
        (ConsistencyError::Length { got, expected }, "consistency-proof-length"),
        (ConsistencyError::RootsDiffer, "consistency-roots-differ"),
        (ConsistencyError::OldRootMismatch, "consistency-old-root-mismatch"),
        (ConsistencyError::NewRootMismatch, "consistency-new-root-mismatch"),
        (ConsistencyError::NodeCount { got, expected }, "consistency-node-count"),
    ];
    assert!(consistency.iter().all(|(error, code)| error.code() == *code));
    assert_eq!(FrontierError::NodeCount { got, expected }.code(), "frontier-node-count");
    assert_eq!(FrontierError::Full.code(), "frontier-full");
    assert_eq!(NodeError { level: 63, index: 0 }.code(), "node-out-of-range");
}
