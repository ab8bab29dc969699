//! Roots and proofs against implementations written by others.

use core::cell::RefCell;
use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;

/// Some indices of a tree of `count` entries: the ends, around the middle, around tile borders.
fn some_indices(count: usize) -> Vec<usize> {
    let middle = count.next_power_of_two() / 2;
    let mut wanted =
        std::vec![0, 1, middle.saturating_sub(1), middle, 254, 255, 256, 257, 511, 512, 1023, 1024];
    wanted.extend([count / 3, count.saturating_sub(2), count - 1]);
    wanted.retain(|at| *at < count);
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn entry(at: usize) -> [u8; 8] {
    (at as u64).to_be_bytes()
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn agrees_with_ct_merkle() {
    let leaves = reference::leaves(1100);
    for count in notable_sizes() {
        let tree = &leaves[..count];
        let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
        (0..count).for_each(|at| theirs.push(entry(at)));
        let root = theirs.root();
        assert_eq!(root.as_bytes().as_slice(), head(tree).root.as_bytes());
        for at in some_indices(count) {
            let ours = inclusion_proof(at, tree);
            assert_eq!(theirs.prove_inclusion(at).as_bytes(), bytes(ours.hashes()), "{at} of {count}");
            assert_eq!(ours.verify(&tree[at], index(at as u64), &head(tree)), Ok(()));
            let old = at + 1;
            let ours = consistency_proof(old, tree);
            let proof = theirs.prove_consistency(count - old);
            assert_eq!(proof.as_bytes(), bytes(ours.hashes()), "{old} to {count}");
            assert_eq!(ours.verify(&head(&tree[..old]), &head(tree)), Ok(()));
        }
    }
}

/// Stores nodes by the numbers tlog_tiles gives them.
#[derive(Default)]
struct StoredHashes(RefCell<HashMap<u64, tlog_tiles::Hash>>);

impl tlog_tiles::HashReader for StoredHashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let stored = self.0.borrow();
        Ok(indexes.iter().map(|index| stored[index]).collect())
    }
}

impl StoredHashes {
    fn of(count: usize) -> Self {
        let stored = Self::default();
        for at in 0..count as u64 {
            let hashes = tlog_tiles::stored_hashes(at, &at.to_be_bytes(), &stored).unwrap();
            let first = tlog_tiles::stored_hash_index(0, at);
            stored.0.borrow_mut().extend((first..).zip(hashes));
        }
        stored
    }
}

fn from_tlog(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash::from_bytes(hash.0)).collect()
}

fn to_tlog(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(*hash.as_bytes())).collect()
}

#[test]
fn agrees_with_tlog_tiles() {
    let leaves = reference::leaves(1100);
    let stored = StoredHashes::of(1100);
    for count in notable_sizes() {
        let tree = &leaves[..count];
        let n = count as u64;
        let root = tlog_tiles::tree_hash(n, &stored).unwrap();
        assert_eq!(&root.0, head(tree).root.as_bytes());
        for at in some_indices(count) {
            let ours = inclusion_proof(at, tree);
            let theirs = tlog_tiles::prove_record(n, at as u64, &stored).unwrap();
            assert_eq!(from_tlog(&theirs), ours.hashes(), "{at} of {count}");
            let leaf = tlog_tiles::Hash(*tree[at].as_bytes());
            tlog_tiles::check_record(&to_tlog(ours.hashes()), n, root, at as u64, leaf).unwrap();

            let old = at as u64 + 1;
            let ours = consistency_proof(at + 1, tree);
            let theirs = tlog_tiles::prove_tree(n, old, &stored).unwrap();
            assert_eq!(from_tlog(&theirs), ours.hashes(), "{old} to {count}");
            let old_root = tlog_tiles::tree_hash(old, &stored).unwrap();
            tlog_tiles::check_tree(&to_tlog(ours.hashes()), n, root, old, old_root).unwrap();
        }
    }
}

/// rs_merkle with the node prefix of RFC 6962; leaves are given to it hashed.
#[derive(Clone)]
struct Rfc6962;

impl rs_merkle::Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        *crate::hash::sha256(&[&[0x01], data].concat()).as_bytes()
    }
}

#[test]
fn agrees_with_rs_merkle() {
    let leaves: Vec<[u8; 32]> = reference::leaves(1100).iter().map(|leaf| *leaf.as_bytes()).collect();
    let hashes = reference::leaves(1100);
    for count in notable_sizes() {
        let theirs = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&leaves[..count]);
        let tree = &hashes[..count];
        assert_eq!(theirs.root().as_ref(), Some(head(tree).root.as_bytes()));
        for at in some_indices(count) {
            let proof = theirs.proof(&[at]);
            let ours: Vec<[u8; 32]> =
                inclusion_proof(at, tree).hashes().iter().map(|h| *h.as_bytes()).collect();
            assert_eq!(proof.proof_hashes(), ours, "{at} of {count}");
            assert!(proof.verify(*head(tree).root.as_bytes(), &[at], &[leaves[at]], count));
        }
    }
}

proptest! {
    #[test]
    fn any_proof_of_any_tree_verifies(count in 1usize..1200, at in any::<prop::sample::Index>()) {
        let tree = reference::leaves(count);
        let at = at.index(count);
        prop_assert_eq!(inclusion_proof(at, &tree).verify(&tree[at], index(at as u64), &head(&tree)), Ok(()));
        let old = head(&tree[..at + 1]);
        prop_assert_eq!(consistency_proof(at + 1, &tree).verify(&old, &head(&tree)), Ok(()));
    }

    #[test]
    fn made_up_proofs_are_refused_without_a_panic(
        old in 0..=TreeSize::MAX.get(), new in 0..=TreeSize::MAX.get(), at in 0..=TreeSize::MAX.get(),
        shift in 0u32..63, length in 0usize..=63,
    ) {
        let (old, new, at) = (old >> shift, new >> shift, at >> shift);
        let (leaf, hashes) = (crate::hash::leaf_hash(b"leaf"), reference::leaves(length));
        let root = crate::hash::leaf_hash(b"made up");
        let new = TreeHead { size: size(new), root };
        let inclusion = InclusionProof::new(hashes.clone()).unwrap();
        prop_assert!(inclusion.verify(&leaf, index(at), &new).is_err());
        let old = TreeHead { size: size(old), root: crate::hash::leaf_hash(b"made up too") };
        prop_assert!(ConsistencyProof::new(hashes).unwrap().verify(&old, &new).is_err());
    }
}
