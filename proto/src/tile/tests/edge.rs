//! The right edge of a growing log.

use proptest::prelude::*;

use super::*;

#[test]
fn an_edge_has_the_root_and_the_partial_tiles_of_its_tree() {
    let leaves = reference::leaves(600);
    let mut edge = RightEdge::new();
    for count in 0..=leaves.len() {
        let tree = &leaves[..count];
        assert_eq!(edge.root(), reference::root(tree), "{count}");
        assert_eq!(edge.size(), size(count as u64));
        assert_eq!(edge.partial(0), &tree[count / 256 * 256..]);
        let above: Vec<Hash> = tree.as_chunks::<256>().0.iter().map(|tile| reference::root(tile)).collect();
        assert_eq!(edge.partial(1), above);
        assert!((2..=255).all(|level| edge.partial(level).is_empty()));
        let named: Vec<TileId> = edge.partial_tiles().map(|(id, _)| id).collect();
        assert_eq!(named, RightEdge::partial_ids(edge.size()).collect::<Vec<_>>());
        if let Some(leaf) = leaves.get(count) {
            edge.append(*leaf).unwrap();
        }
    }
}

#[test]
fn appends_report_every_full_tile_once_and_in_order() {
    let leaves = reference::leaves(70_000);
    let mut edge = RightEdge::new();
    let mut full = Vec::new();
    for (at, leaf) in leaves.iter().enumerate() {
        let completed = edge.append(*leaf).unwrap();
        let expected = usize::from(at % 256 == 255) + usize::from(at == 65_535);
        assert_eq!(completed.len(), expected, "{at}");
        full.extend(completed);
    }
    let (level_0, level_1): (Vec<_>, Vec<_>) = full.into_iter().partition(|(id, _)| id.level() == 0);
    for (index, (id, tile)) in level_0.iter().enumerate() {
        assert_eq!(*id, tile_id(0, index as u64, 256));
        assert_eq!(tile.hashes(), &leaves[index * 256..][..256]);
    }
    let roots: Vec<Hash> = level_0.iter().map(|(_, tile)| reference::root(tile.hashes())).collect();
    assert_eq!(level_0.len(), 273);
    assert_eq!(level_1, [(tile_id(1, 0, 256), Tile::new(roots[..256].to_vec()).unwrap())]);
    assert_eq!(edge.partial(1), &roots[256..]);
    assert_eq!(edge.partial(2), [reference::root(&roots[..256])]);
    assert_eq!(edge.root(), reference::root(&leaves));
}

#[test]
fn tiles_hold_what_tlog_tiles_reads_into_them() {
    use core::cell::RefCell;

    struct Stored(RefCell<Vec<tlog_tiles::Hash>>);

    impl tlog_tiles::HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|index| self.0.borrow()[*index as usize]).collect())
        }
    }

    let stored = Stored(RefCell::default());
    let mut edge = RightEdge::new();
    let mut tiles = Vec::new();
    for at in 0..1100u64 {
        let entry = at.to_be_bytes();
        let hashes = tlog_tiles::stored_hashes(at, &entry, &stored).unwrap();
        stored.0.borrow_mut().extend(hashes);
        tiles.extend(edge.append(crate::hash::leaf_hash(&entry)).unwrap());
    }
    tiles.extend(edge.partial_tiles());
    let theirs = tlog_tiles::Tile::new_tiles(8, 0, 1100);
    assert_eq!(theirs.len(), tiles.len());
    for theirs in theirs {
        let id = TileId::for_size(theirs.level(), theirs.level_index(), edge.size()).unwrap();
        assert_eq!(u32::from(id.width().get()), theirs.width());
        let ours = tiles.iter().find(|(ours, _)| *ours == id).map(|(_, tile)| tile.encode());
        assert_eq!(ours, Some(theirs.read_data(&stored).unwrap()));
    }
}

/// The partial tiles of a tree of `count` entries with made-up hashes.
fn partials(count: u64) -> Vec<Vec<Hash>> {
    let hashes = reference::leaves(256);
    (0..8).map(|level| hashes[..(count >> (8 * level)) as usize % 256].to_vec()).collect()
}

#[test]
fn one_append_can_fill_a_tile_at_seven_levels() {
    let count = (1 << 56) - 1;
    let mut edge = RightEdge::from_partials(size(count), partials(count)).unwrap();
    let full = edge.append(crate::hash::leaf_hash(b"last")).unwrap();
    let ids: Vec<TileId> = full.iter().map(|(id, _)| *id).collect();
    let expected: Vec<TileId> =
        (0..7).map(|level| tile_id(level, (1 << (48 - 8 * level)) - 1, 256)).collect();
    assert_eq!(ids, expected);
    for pair in full.windows(2) {
        assert_eq!(pair[1].1.hashes().last(), Some(&reference::root(pair[0].1.hashes())));
    }
    assert_eq!(edge.partial(7), [edge.root()]);
    assert!((0..7).all(|level| edge.partial(level).is_empty()));
}

#[test]
fn the_largest_tree_takes_no_more_entries() {
    let count = TreeSize::MAX.get() - 1;
    let mut edge = RightEdge::from_partials(size(count), partials(count)).unwrap();
    assert_eq!(edge.append(crate::hash::leaf_hash(b"last")), Ok(vec![]));
    assert_eq!(edge.size(), TreeSize::MAX);
    let before = edge.clone();
    assert_eq!(edge.append(crate::hash::leaf_hash(b"one more")), Err(RightEdgeError::Full));
    assert_eq!(edge, before);
}

#[test]
fn refuses_partial_tiles_of_another_width() {
    let count = (3 << 16) + 5;
    assert!(RightEdge::from_partials(size(count), partials(count)).is_ok());
    for level in 0..8 {
        let mut wrong = partials(count);
        let expected = wrong[level].len();
        wrong[level].push(crate::hash::empty_root());
        let refused = RightEdgeError::PartialWidth { level: level as u8, got: expected + 1, expected };
        assert_eq!(RightEdge::from_partials(size(count), wrong.clone()), Err(refused));
        if expected > 0 {
            wrong[level].truncate(expected - 1);
            let refused = RightEdgeError::PartialWidth { level: level as u8, got: expected - 1, expected };
            assert_eq!(RightEdge::from_partials(size(count), wrong), Err(refused));
        }
    }
    let missing = RightEdgeError::PartialWidth { level: 2, got: 0, expected: 3 };
    assert_eq!(RightEdge::from_partials(size(count), partials(count)[..2].to_vec()), Err(missing));
    let mut too_many = partials(count);
    too_many.push(vec![]);
    assert_eq!(RightEdge::from_partials(size(count), too_many), Err(RightEdgeError::LevelCount { got: 9 }));
    // A full tile is not a partial one.
    let full = RightEdge::from_partials(size(256), vec![reference::leaves(256)]);
    assert_eq!(full, Err(RightEdgeError::PartialWidth { level: 0, got: 256, expected: 0 }));
}

#[test]
fn empty_levels_at_the_end_may_be_left_out() {
    let short = RightEdge::from_partials(size(5), vec![reference::leaves(5)]).unwrap();
    assert_eq!(short, RightEdge::from_partials(size(5), partials(5)).unwrap());
    assert_eq!(RightEdge::from_partials(size(0), vec![]), Ok(RightEdge::new()));
}

proptest! {
    #[test]
    fn an_edge_made_from_partial_tiles_goes_on_like_the_one_that_grew(count in 0usize..2000, more in 0usize..600) {
        let leaves = reference::leaves(count + more);
        let mut grown = RightEdge::new();
        for leaf in &leaves[..count] {
            grown.append(*leaf).unwrap();
        }
        let tiles: Vec<Vec<Hash>> = (0..8).map(|level| grown.partial(level).to_vec()).collect();
        let mut made = RightEdge::from_partials(grown.size(), tiles).unwrap();
        prop_assert_eq!(&made, &grown);
        prop_assert_eq!(made.root(), reference::root(&leaves[..count]));
        for leaf in &leaves[count..] {
            prop_assert_eq!(made.append(*leaf), grown.append(*leaf));
        }
        prop_assert_eq!(made.head(), grown.head());
    }
}
