//! Trees of awkward sizes: roots, proofs, tiles and bundles, and that none of them ever changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use indelible_proto::tile::{BundleId, ResourcePath, TileId, TileWidth};
use indelible_proto::tree::TreeHead;

use super::*;

#[test]
fn a_new_log_has_a_signed_empty_tree() {
    let log = TestLog::raw();
    let sequencer = log.open();
    assert_eq!(signed_head(&sequencer.handle()), TreeHead::empty());
    assert_eq!(sequencer.handle().tree().signed_size(), TreeSize::ZERO);
    assert!(sequencer.handle().tree().entry(index(0)).unwrap().is_none());
}

#[test]
fn one_entry_at_a_time_gives_every_size_its_root_and_proofs() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let tree = handle.tree();
    let mut heads = vec![TreeHead::empty()];
    for number in 0..70 {
        assert_eq!(submit_one(&handle, raw(number)), sequenced(number, number, Occurrence::First));
        let head = signed_head(&handle);
        assert_eq!(head, head_of(number + 1));
        heads.push(head);
        for old in &heads {
            tree.consistency(old.size, head.size).unwrap().verify(old, &head).unwrap();
        }
        for at in 0..=number {
            let proof = tree.inclusion(index(at), head.size).unwrap();
            proof.verify(&entry(at).leaf_hash(), index(at), &head).unwrap();
        }
    }
}

/// Sizes around every border between partial and full, at two levels.
const SIZES: [u64; 13] = [1, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_792, 66_000];

#[test]
fn sizes_around_full_tiles_have_the_roots_of_the_frontier_and_proofs_between_each_other() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let tree = handle.tree();
    let mut frontier = Frontier::new();
    let mut heads: Vec<TreeHead> = Vec::new();
    for to in SIZES {
        let from = frontier.size().get();
        for number in from..to {
            frontier.append(entry(number).leaf_hash()).unwrap();
        }
        submit_range(&handle, from..to);
        let head = signed_head(&handle);
        assert_eq!(head, frontier.head());
        for old in &heads {
            assert_eq!(tree.head(old.size).unwrap(), *old);
            tree.consistency(old.size, head.size).unwrap().verify(old, &head).unwrap();
            for at in [0, old.size.get() / 2, old.size.get() - 1] {
                let proof = tree.inclusion(index(at), old.size).unwrap();
                proof.verify(&entry(at).leaf_hash(), index(at), old).unwrap();
            }
        }
        for at in [0, to / 3, to - 1] {
            assert_eq!(tree.entry(index(at)).unwrap(), Some(entry(at)));
            assert_eq!(tree.leaf_hash(index(at)).unwrap(), Some(entry(at).leaf_hash()));
            let proof = tree.inclusion(index(at), head.size).unwrap();
            proof.verify(&entry(at).leaf_hash(), index(at), &head).unwrap();
        }
        assert!(tree.entry(index(to)).unwrap().is_none());
        assert!(tree.inclusion(index(0), size(to + 1)).is_err());
        heads.push(head);
    }
    drop(sequencer);
    let sequencer = log.open();
    assert_eq!(Some(&signed_head(&sequencer.handle())), heads.last());
}

/// Every tile and bundle that the tree has, of every width.
fn everything(tree: &TreeReader) -> BTreeMap<String, Bytes> {
    let mut all = BTreeMap::new();
    for place in 0..4 {
        for width in (1..=256).filter_map(TileWidth::new) {
            for level in 0..3 {
                let id = TileId::new(level, place, width).unwrap();
                all.extend(tree.tile(&id).unwrap().map(|bytes| (id.path(), bytes)));
            }
            let id = BundleId::new(place, width).unwrap();
            all.extend(tree.bundle(&id).unwrap().map(|bytes| (id.path(), bytes)));
        }
    }
    all
}

#[test]
fn what_was_served_once_is_served_with_the_same_bytes_for_ever() {
    let log = TestLog::raw();
    let mut sequencer = log.open();
    let mut before: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut from = 0;
    for (round, to) in [1, 100, 255, 256, 257, 300, 512, 700].into_iter().enumerate() {
        submit_range(&sequencer.handle(), from..to);
        from = to;
        let now = everything(&sequencer.handle().tree());
        for (path, bytes) in &before {
            assert_eq!(now.get(path), Some(bytes), "{path} at size {to}");
        }
        assert!(now.len() > before.len());
        before = now;
        if round % 2 == 1 {
            drop(sequencer);
            sequencer = log.open();
            assert_eq!(everything(&sequencer.handle().tree()), before, "after a restart at size {to}");
        }
    }
}

#[test]
fn only_full_tiles_and_bundles_are_files() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..600);
    drop(sequencer);
    let mut files = Vec::new();
    let mut dirs = vec![log.data().join("tile")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.push(path.strip_prefix(log.data()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    assert_eq!(files, ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"]);
    for file in files {
        assert!(ResourcePath::parse(&file).is_ok());
    }
}

#[test]
fn proofs_hold_for_every_head_seen_while_the_log_grows() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let reader = {
        let handle = handle.clone();
        thread::spawn(move || {
            let mut proofs = 0;
            loop {
                let head = handle.signed().borrow().checkpoint.head();
                if !head.size.is_zero() {
                    let at = proofs % head.size.get();
                    let tree = handle.tree();
                    let proof = tree.inclusion(index(at), head.size).unwrap();
                    let leaf = tree.entry(index(at)).unwrap().unwrap().leaf_hash();
                    proof.verify(&leaf, index(at), &head).unwrap();
                    proofs += 1;
                }
                if head.size.get() == 3000 {
                    return proofs;
                }
            }
        })
    };
    for from in (0..3000).step_by(10) {
        submit_range(&handle, from..from + 10);
    }
    assert!(reader.join().unwrap() > 100);
}
