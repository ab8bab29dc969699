use indelible_proto::tile::TileWidth;
use std::path::Path;

use super::*;
use crate::storage::Storage;

fn bundle(index: u64) -> Resource {
    Resource::Bundle(BundleId::new(index, TileWidth::FULL).unwrap())
}

#[test]
fn the_cache_gives_up_the_longest_held_and_stays_within_its_limit() {
    let mut cache = Cache { max_bytes: 1000, ..Cache::default() };
    for index in 0..10 {
        cache.insert(bundle(index), Bytes::from(vec![7; 240]));
        assert!(cache.bytes <= 1000);
    }
    let held: Vec<u64> = (0..10).filter(|index| cache.get(bundle(*index)).is_some()).collect();
    assert_eq!(held, [6, 7, 8, 9]);
    assert_eq!((cache.held.len(), cache.order.len(), cache.bytes), (4, 4, 960));
}

#[test]
fn the_cache_takes_nothing_twice_and_nothing_that_would_push_out_most_of_it() {
    let mut cache = Cache { max_bytes: 1000, ..Cache::default() };
    cache.insert(bundle(0), Bytes::from(vec![7; 251]));
    assert_eq!(cache.bytes, 0);
    cache.insert(bundle(1), Bytes::from(vec![7; 250]));
    cache.insert(bundle(1), Bytes::from(vec![7; 250]));
    assert_eq!((cache.bytes, cache.order.len()), (250, 1));
}

#[test]
fn an_empty_tree_has_no_tile_bundle_or_entry() {
    let edge = Edge { tiles: RightEdge::new(), bundle: PartialBundle::default() };
    let files = TileFiles::new(Storage::real(), Path::new("/nowhere"));
    let reader = TreeReader::new(files, edge, 0);
    let (first, zero) = (LeafIndex::new(0).unwrap(), TreeSize::ZERO);
    for width in [1, 256].map(|width| TileWidth::new(width).unwrap()) {
        assert!(reader.tile(&TileId::new(0, 0, width).unwrap()).unwrap().is_none());
        assert!(reader.bundle(&BundleId::new(0, width).unwrap()).unwrap().is_none());
    }
    assert!(reader.entry(first).unwrap().is_none());
    assert_eq!(reader.leaf_hash(first).unwrap(), None);
    assert_eq!(reader.head(zero).unwrap(), TreeHead::empty());
    assert_eq!(reader.inclusion(first, zero).unwrap_err().code(), "inclusion-index-outside-tree");
    let one = TreeSize::new(1).unwrap();
    assert_eq!(reader.head(one).unwrap_err().code(), "beyond-signed");
    assert_eq!(reader.consistency(zero, zero).unwrap().hashes(), []);
}
