//! The wrapper against trees of `rs_merkle` itself, and against forgeries that it believes when it is asked
//! directly.

use alloc::format;
use alloc::vec;

use proptest::prelude::*;
use rs_merkle::MerkleTree;

use super::*;
use crate::size::TreeSize;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(format!("leaf {number}").as_bytes())).collect()
}

fn foreign(leaves: &[Hash]) -> MerkleTree<Rfc6962> {
    MerkleTree::from_leaves(&leaves.iter().map(|leaf| *leaf.as_bytes()).collect::<Vec<_>>())
}

fn head(tree: &MerkleTree<Rfc6962>, size: u64) -> TreeHead {
    TreeHead { size: TreeSize::new(size).unwrap(), root: Hash::from_bytes(tree.root().unwrap()) }
}

fn hashes(tree: &MerkleTree<Rfc6962>, indices: &[u64]) -> Vec<Hash> {
    let indices: Vec<usize> = indices.iter().map(|index| *index as usize).collect();
    tree.proof(&indices).proof_hashes().iter().map(|hash| Hash::from_bytes(*hash)).collect()
}

fn at(leaves: &[Hash], indices: &[u64]) -> Vec<(u64, Hash)> {
    indices.iter().map(|index| (*index, leaves[*index as usize])).collect()
}

/// Whether `rs_merkle` alone accepts it.
fn believed(head: &TreeHead, leaves: &[(u64, Hash)], hashes: &[Hash]) -> bool {
    let proof = MerkleProof::<Rfc6962>::new(hashes.iter().map(|hash| *hash.as_bytes()).collect());
    let indices: Vec<usize> = leaves.iter().map(|(index, _)| *index as usize).collect();
    let leaves: Vec<_> = leaves.iter().map(|(_, leaf)| *leaf.as_bytes()).collect();
    proof.verify(*head.root.as_bytes(), &indices, &leaves, head.size.get() as usize)
}

#[test]
fn every_subset_of_every_small_tree_is_proved_as_rs_merkle_proves_it() {
    for size in 1..=9u64 {
        let leaves = leaves(size);
        let tree = foreign(&leaves);
        let head = head(&tree, size);
        for subset in 1..1u64 << size {
            let indices: Vec<u64> = (0..size).filter(|index| subset >> index & 1 == 1).collect();
            let hashes = hashes(&tree, &indices);
            assert_eq!(positions(&indices, size).len(), hashes.len(), "{indices:?} of {size}");
            assert_eq!(verify(&head, &at(&leaves, &indices), &hashes), Ok(()), "{indices:?} of {size}");
        }
    }
}

/// Two true leaves and three hashes of the forger's choice, and anything is in the tree.
#[test]
fn an_index_named_three_times_proves_nothing() {
    for size in [2u64, 3, 5, 7, 8, 100, 300] {
        let leaves = leaves(size);
        let tree = foreign(&leaves);
        let head = head(&tree, size);
        let evil = leaf_hash(b"evil");
        let mut forged = vec![evil; 3];
        forged.extend(hashes(&tree, &[0]).into_iter().skip(1));
        let claim = [(0, leaves[0]), (0, leaves[1]), (0, evil)];
        assert!(believed(&head, &claim, &forged), "the forgery is no longer one for {size} leaves");
        assert_eq!(verify(&head, &claim, &forged), Err(BundleProofError::Order), "{size} leaves");
    }
}

#[test]
fn an_index_beyond_the_tree_proves_nothing() {
    let mut aliases = 0;
    for size in 1..=64u64 {
        let leaves = leaves(size);
        let tree = foreign(&leaves);
        let head = head(&tree, size);
        for index in (0..size).chain([7_999]) {
            for wrong in size..size.saturating_add(70).max(index + 1) {
                let claim = [(wrong, leaves[(index % size) as usize])];
                let hashes = hashes(&tree, &[index % size]);
                aliases += u64::from(believed(&head, &claim, &hashes));
                assert!(verify(&head, &claim, &hashes).is_err(), "index {wrong} of {size}");
            }
        }
    }
    assert!(aliases > 0, "rs_merkle believes no index beyond the tree any more");
}

#[test]
fn another_number_of_hashes_or_leaves_proves_nothing() {
    for size in [1u64, 2, 3, 7, 8, 100] {
        let leaves = leaves(size);
        let tree = foreign(&leaves);
        let head = head(&tree, size);
        let indices: Vec<u64> = (0..size).step_by(3).collect();
        let (claim, good) = (at(&leaves, &indices), hashes(&tree, &indices));
        assert_eq!(verify(&head, &claim, &good), Ok(()));
        let more = [&good[..], &[leaf_hash(b"junk")]].concat();
        assert!(believed(&head, &claim, &more), "junk at the end is no longer believed");
        let expected = good.len();
        assert_eq!(
            verify(&head, &claim, &more),
            Err(BundleProofError::HashCount { got: expected + 1, expected })
        );
        if let Some((_, fewer)) = good.split_last() {
            assert!(matches!(verify(&head, &claim, fewer), Err(BundleProofError::HashCount { .. })));
        }
        assert_eq!(verify(&head, &[], &good), Err(BundleProofError::FileCount { got: 0 }));
        assert!(verify(&head, &claim[1..], &good).is_err());
    }
}

#[test]
fn another_size_proves_nothing_where_it_asks_for_other_hashes() {
    let leaves = leaves(7);
    let tree = foreign(&leaves);
    for size in (1..=20).filter(|size| *size != 7) {
        let claimed = head(&tree, size);
        for index in 0..7u64 {
            let claim = at(&leaves, &[index]);
            let hashes = hashes(&tree, &[index]);
            // Some sizes ask for the same way; the size is therefore never taken from a proof.
            let same_way = positions(&[index], size) == positions(&[index], 7);
            let result = verify(&claimed, &claim, &hashes);
            assert_eq!(result.is_ok(), same_way && index < size, "index {index} of {size}");
        }
    }
}

#[test]
fn the_empty_tree_and_too_large_ones_have_no_proofs() {
    let leaf = leaf_hash(b"x");
    for (size, root) in [(0, crate::hash::empty_root()), (0, leaf), (10_000_001, leaf), (u64::MAX >> 1, leaf)]
    {
        let head = TreeHead { size: TreeSize::new(size).unwrap(), root };
        let refused = Err(BundleProofError::BundleSize { size: head.size });
        assert_eq!(verify(&head, &[(0, leaf)], &[]), refused);
        assert_eq!(verify(&head, &[], &[]), refused);
    }
}

#[test]
fn refuses_one_leaf_more_than_the_limit() {
    let leaves = leaves(MAX_PROOF_FILES as u64 + 1);
    let tree = foreign(&leaves);
    let head = head(&tree, MAX_PROOF_FILES as u64 + 1);
    let most: Vec<u64> = (1..=MAX_PROOF_FILES as u64).collect();
    assert_eq!(verify(&head, &at(&leaves, &most), &hashes(&tree, &most)), Ok(()));
    let all: Vec<u64> = (0..=MAX_PROOF_FILES as u64).collect();
    let refused = Err(BundleProofError::FileCount { got: MAX_PROOF_FILES + 1 });
    assert_eq!(verify(&head, &at(&leaves, &all), &[]), refused);
}

proptest! {
    #[test]
    fn any_indices_of_any_tree_are_proved(size in 1u64..400, seed in proptest::collection::vec(any::<u64>(), 1..40)) {
        let leaves = leaves(size);
        let tree = foreign(&leaves);
        let mut indices: Vec<u64> = seed.iter().map(|number| number % size).collect();
        indices.sort_unstable();
        indices.dedup();
        let hashes = hashes(&tree, &indices);
        prop_assert_eq!(positions(&indices, size).len(), hashes.len());
        prop_assert_eq!(verify(&head(&tree, size), &at(&leaves, &indices), &hashes), Ok(()));
    }

    /// Nothing made up is accepted, and nothing panics.
    #[test]
    fn what_is_made_up_is_refused(
        size in 0u64..40,
        claims in proptest::collection::vec((0u64..50, 0u64..60), 0..8),
        count in 0usize..12,
    ) {
        let leaves = leaves(60);
        let claim: Vec<(u64, Hash)> = claims.iter().map(|(index, leaf)| (*index, leaves[*leaf as usize])).collect();
        let head = TreeHead { size: TreeSize::new(size).unwrap(), root: leaf_hash(b"another root") };
        prop_assert!(verify(&head, &claim, &leaves[..count]).is_err());
    }
}
