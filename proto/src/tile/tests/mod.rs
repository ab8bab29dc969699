//! Tests of tiles: their paths, their bytes, the nodes in them, the edge that writes them.

mod edge;
mod paths;
mod sets;

use alloc::vec;

use super::*;
use crate::tree::reference;

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

fn width(width: u16) -> TileWidth {
    TileWidth::new(width).unwrap()
}

fn tile_id(level: u8, index: u64, width: u16) -> TileId {
    TileId::new(level, index, self::width(width)).unwrap()
}

fn bundle_id(index: u64, width: u16) -> BundleId {
    BundleId::new(index, self::width(width)).unwrap()
}

#[test]
fn a_width_is_1_to_256() {
    assert_eq!(TileWidth::new(0), None);
    assert_eq!(TileWidth::new(257), None);
    assert_eq!(TileWidth::new(u16::MAX), None);
    assert_eq!(TileWidth::new(1).map(TileWidth::get), Some(1));
    assert_eq!(TileWidth::new(256), Some(TileWidth::FULL));
    assert!(TileWidth::FULL.is_full() && !width(255).is_full());
}

#[test]
fn a_tile_survives_its_bytes_at_every_width() {
    let leaves = reference::leaves(256);
    for count in 1..=256 {
        let tile = Tile::new(leaves[..usize::from(count)].to_vec()).unwrap();
        let bytes = tile.encode();
        assert_eq!(bytes.len(), usize::from(count) * 32);
        let parsed = Tile::parse(&tile_id(0, 7, count), &bytes).unwrap();
        assert_eq!(parsed, tile);
        assert_eq!(parsed.encode(), bytes);
        assert_eq!(parsed.hashes(), &leaves[..usize::from(count)]);
    }
}

#[test]
fn refuses_bytes_of_another_length_than_the_width_says() {
    for count in [1, 2, 5, 255, 256] {
        let expected = usize::from(count) * 32;
        let wrong = [0, 1, expected - 32, expected - 1, expected + 1, expected + 32, 8191, 8192, 8193, 16384];
        for got in wrong.into_iter().filter(|got| *got != expected) {
            let refused = Tile::parse(&tile_id(0, 0, count), &vec![7; got]);
            assert_eq!(refused, Err(TileError::Length { got, expected }));
        }
    }
}

#[test]
fn refuses_every_truncation_of_a_tile() {
    let bytes = vec![7; TILE_MAX_BYTES];
    for length in 0..TILE_MAX_BYTES {
        assert!(Tile::parse(&tile_id(0, 0, 256), &bytes[..length]).is_err());
    }
    assert!(Tile::parse(&tile_id(0, 0, 256), &bytes).is_ok());
}

#[test]
fn a_tile_has_1_to_256_hashes() {
    let hash = crate::hash::empty_root();
    assert_eq!(Tile::new(vec![]), Err(TileError::Width { got: 0 }));
    assert_eq!(Tile::new(vec![hash; 257]), Err(TileError::Width { got: 257 }));
    assert!(Tile::new(vec![hash; 256]).is_ok());
}

#[test]
fn a_node_of_a_tile_is_the_root_of_its_hashes() {
    let leaves = reference::leaves(256);
    for count in [1, 2, 3, 100, 128, 255, 256] {
        let tile = Tile::new(leaves[..count].to_vec()).unwrap();
        for height in 0..=8 {
            let each = 1 << height;
            for group in 0..=256 / each {
                let expected = leaves[..count].get(group * each..(group + 1) * each).map(reference::root);
                assert_eq!(tile.node(height as u8, group as u64), expected, "{count} {height} {group}");
            }
        }
        assert_eq!(tile.node(9, 0), None);
        assert_eq!(tile.node(255, 0), None);
        assert_eq!(tile.node(8, u64::MAX), None);
        assert_eq!(tile.node(0, u64::MAX), None);
    }
}

#[test]
fn a_tree_of_70_000_entries_has_the_tiles_of_the_specification() {
    let size = size(70_000);
    let tiles: Vec<TileId> = tiles_of_size(size).collect();
    let expected =
        [tile_id(0, 272, 256), tile_id(0, 273, 112), tile_id(1, 0, 256), tile_id(1, 1, 17), tile_id(2, 0, 1)];
    assert_eq!(tiles, expected);
    assert_eq!(BundleId::for_size(273, size), Some(bundle_id(273, 112)));
    assert_eq!(BundleId::for_size(274, size), None);
}

#[test]
fn a_tree_of_256_entries_has_a_full_tile_and_one_above_it() {
    let tiles: Vec<TileId> = tiles_of_size(size(256)).collect();
    assert_eq!(tiles, [tile_id(0, 0, 256), tile_id(1, 0, 1)]);
    assert_eq!(tiles_of_size(size(0)).count(), 0);
}

#[test]
fn the_largest_tree_has_tiles_at_8_levels() {
    let tiles: Vec<TileId> = tiles_of_size(TreeSize::MAX).collect();
    assert_eq!(tiles.first(), Some(&tile_id(0, (1 << 55) - 2, 256)));
    assert_eq!(tiles.get(1), Some(&tile_id(0, (1 << 55) - 1, 255)));
    assert_eq!(tiles.last(), Some(&tile_id(7, 0, 127)));
    assert_eq!(tiles.len(), 15);
    for level in 8..=63 {
        assert_eq!(TileId::for_size(level, 0, TreeSize::MAX), None);
        assert!(!tile_id(level, 0, 1).within(TreeSize::MAX));
    }
    assert_eq!(TileId::for_size(0, u64::MAX, TreeSize::MAX), None);
    assert_eq!(TileId::for_size(255, 0, TreeSize::MAX), None);
}

#[test]
fn a_tile_is_within_the_trees_that_have_its_last_hash() {
    for (tile, first_size) in [
        (tile_id(0, 0, 1), 1),
        (tile_id(0, 0, 255), 255),
        (tile_id(0, 0, 256), 256),
        (tile_id(0, 3, 7), 775),
        (tile_id(1, 0, 1), 256),
        (tile_id(1, 0, 256), 1 << 16),
        (tile_id(2, 1, 3), (256 + 3) << 16),
        (tile_id(7, 0, 127), 127 << 56),
    ] {
        assert!(tile.within(size(first_size)), "{tile:?}");
        assert!(tile.within(TreeSize::MAX), "{tile:?}");
        assert!(!tile.within(size(first_size - 1)), "{tile:?}");
    }
    assert!(bundle_id(3, 7).within(size(775)) && !bundle_id(3, 7).within(size(774)));
}

#[test]
fn an_entry_is_in_the_bundle_that_the_log_has() {
    let entry = |index| LeafIndex::new(index).unwrap();
    assert_eq!(BundleId::of_entry(entry(0), size(1)), Ok((bundle_id(0, 1), 0)));
    assert_eq!(BundleId::of_entry(entry(255), size(257)), Ok((bundle_id(0, 256), 255)));
    assert_eq!(BundleId::of_entry(entry(256), size(257)), Ok((bundle_id(1, 1), 0)));
    assert_eq!(bundle_id(1, 1).first_entry(), 256);
    for (index, count) in [(0, 0), (1, 1), (257, 257), (512, 257), (i64::MAX as u64, 257)] {
        let outside = TileError::IndexOutsideTree { index: entry(index), size: size(count) };
        assert_eq!(BundleId::of_entry(entry(index), size(count)), Err(outside));
    }
}

#[test]
fn error_codes_are_stable() {
    let (got, expected) = (0, 0);
    let node = NodeId::new(0, 0).unwrap();
    let index = LeafIndex::new(0).unwrap();
    for (error, code) in [
        (TileError::Path, "tile-path"),
        (TileError::Level { got: 64 }, "tile-level"),
        (TileError::Index { got: 0 }, "tile-index"),
        (TileError::Width { got: 0 }, "tile-width"),
        (TileError::Length { got, expected }, "tile-length"),
        (TileError::WidthMismatch { got, expected: 0 }, "tile-width-mismatch"),
        (TileError::NodeOutsideTree { node, size: size(0) }, "tile-node-outside-tree"),
        (TileError::IndexOutsideTree { index, size: size(0) }, "tile-index-outside-tree"),
        (TileError::Missing(tile_id(0, 0, 1)), "tile-missing"),
        (TileError::Conflict(tile_id(0, 0, 1)), "tile-conflict"),
    ] {
        assert_eq!(error.code(), code);
    }
    assert_eq!(RightEdgeError::LevelCount { got }.code(), "right-edge-level-count");
    assert_eq!(RightEdgeError::PartialWidth { level: 0, got, expected }.code(), "right-edge-partial-width");
    assert_eq!(RightEdgeError::Full.code(), "right-edge-full");
}
