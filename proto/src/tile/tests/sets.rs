//! Nodes out of tiles.

use std::collections::HashMap;

use super::*;
use crate::size::LeafIndex;
use crate::tree::{ConsistencyPlan, InclusionPlan, RootPlan, TreeHead};

/// A log's tiles, as a server would have written them.
struct Tiles {
    head: TreeHead,
    leaves: Vec<Hash>,
    by_id: HashMap<TileId, Tile>,
}

impl Tiles {
    fn of(count: usize) -> Self {
        let leaves = reference::leaves(count);
        let mut edge = RightEdge::new();
        let mut by_id = HashMap::new();
        for leaf in &leaves {
            by_id.extend(edge.append(*leaf).unwrap());
        }
        by_id.extend(edge.partial_tiles());
        Self { head: edge.head(), leaves, by_id }
    }

    /// The set with exactly the tiles that the nodes need.
    fn fetch(&self, nodes: &[NodeId]) -> TileSet {
        let mut set = TileSet::new(self.head.size);
        for id in tiles_for(nodes, self.head.size).unwrap() {
            set.insert(id, self.by_id[&id].clone()).unwrap();
        }
        set
    }
}

#[test]
fn every_node_of_a_small_tree_comes_out_of_its_tile() {
    for count in [1, 2, 255, 256, 257, 600, 1025] {
        let tiles = Tiles::of(count);
        let all = (0..=10u8).flat_map(|level| (0..count as u64).map(move |index| (level, index)));
        let nodes: Vec<NodeId> = all.map(|(level, index)| NodeId::new(level, index).unwrap()).collect();
        let (inside, outside): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.within(tiles.head.size));
        let set = tiles.fetch(&inside);
        assert_eq!(set.nodes(&inside), Ok(reference::nodes(&inside, &tiles.leaves)));
        for node in outside {
            let refused = TileError::NodeOutsideTree { node, size: tiles.head.size };
            assert_eq!(set.nodes(&[node]), Err(refused));
            assert_eq!(tile_of(node, tiles.head.size), Err(refused));
            assert_eq!(tiles_for(&[node], tiles.head.size), Err(refused));
        }
    }
}

#[test]
fn roots_and_proofs_are_made_from_the_tiles_of_their_plan() {
    let tiles = Tiles::of(70_000);
    let (head, size) = (tiles.head, tiles.head.size);
    assert_eq!(head.root, reference::root(&tiles.leaves));

    let plan = RootPlan::new(size);
    let set = tiles.fetch(plan.nodes());
    assert_eq!(plan.finish(&set.nodes(plan.nodes()).unwrap()), Ok(head));

    for at in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let leaf = tiles.leaves[at];
        let at = LeafIndex::new(at as u64).unwrap();
        let plan = InclusionPlan::new(at, size).unwrap();
        let set = tiles.fetch(plan.nodes());
        let proof = plan.finish(&set.nodes(plan.nodes()).unwrap()).unwrap();
        assert_eq!(proof.verify(&leaf, at, &head), Ok(()));
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, 70_000] {
        let plan = ConsistencyPlan::new(super::size(old), size).unwrap();
        let set = tiles.fetch(plan.nodes());
        let proof = plan.finish(&set.nodes(plan.nodes()).unwrap()).unwrap();
        let old = TreeHead { size: super::size(old), root: reference::root(&tiles.leaves[..old as usize]) };
        assert_eq!(proof.verify(&old, &head), Ok(()));
    }
}

#[test]
fn names_each_tile_once_in_order() {
    let plan = InclusionPlan::new(LeafIndex::new(69_000).unwrap(), size(70_000)).unwrap();
    let tiles = tiles_for(plan.nodes(), size(70_000)).unwrap();
    let expected = [tile_id(0, 269, 256), tile_id(0, 273, 112), tile_id(1, 1, 17), tile_id(2, 0, 1)];
    assert_eq!(tiles, expected);
    assert_eq!(tiles_for(&[], size(0)), Ok(vec![]));
}

#[test]
fn every_node_of_the_largest_tree_has_a_tile() {
    for level in 0..=62 {
        let last = (TreeSize::MAX.get() >> level) - 1;
        for index in [0, last / 2, last] {
            let tile = tile_of(NodeId::new(level, index).unwrap(), TreeSize::MAX).unwrap();
            assert_eq!(tile.level(), level / 8);
            assert!(tile.within(TreeSize::MAX));
        }
    }
}

#[test]
fn a_wider_tile_serves_a_smaller_tree() {
    let later = Tiles::of(256);
    let plan = RootPlan::new(size(100));
    let mut set = TileSet::new(size(100));
    let full = tile_id(0, 0, 100).full();
    set.insert(full, later.by_id[&full].clone()).unwrap();
    let head = plan.finish(&set.nodes(plan.nodes()).unwrap()).unwrap();
    assert_eq!(head.root, reference::root(&later.leaves[..100]));
}

#[test]
fn names_the_tile_that_is_missing_or_too_narrow() {
    let tiles = Tiles::of(300);
    let node = NodeId::new(0, 290).unwrap();
    let needed = tile_id(0, 1, 44);
    let mut set = TileSet::new(size(300));
    assert_eq!(set.nodes(&[node]), Err(TileError::Missing(needed)));
    let narrow = Tile::new(tiles.leaves[256..290].to_vec()).unwrap();
    set.insert(tile_id(0, 1, 34), narrow.clone()).unwrap();
    assert_eq!(set.nodes(&[node]), Err(TileError::Missing(needed)));
    set.insert(needed, tiles.by_id[&needed].clone()).unwrap();
    set.insert(tile_id(0, 1, 34), narrow).unwrap();
    assert_eq!(set.nodes(&[node]), Ok(vec![tiles.leaves[290]]));
}

#[test]
fn refuses_a_tile_under_a_name_of_another_width() {
    let tile = Tile::new(reference::leaves(3)).unwrap();
    for expected in [2, 4, 256] {
        let refused = TileSet::new(size(300)).insert(tile_id(0, 0, expected), tile.clone());
        assert_eq!(refused, Err(TileError::WidthMismatch { got: 3, expected }));
    }
}

#[test]
fn refuses_a_partial_tile_that_is_no_beginning_of_the_full_one() {
    let mut hashes = reference::leaves(256);
    let full = Tile::new(hashes.clone()).unwrap();
    hashes[4] = hashes[5];
    let partial = Tile::new(hashes[..5].to_vec()).unwrap();
    let (full_id, partial_id) = (tile_id(0, 0, 256), tile_id(0, 0, 5));

    let mut set = TileSet::new(size(256));
    set.insert(full_id, full.clone()).unwrap();
    assert_eq!(set.insert(partial_id, partial.clone()), Err(TileError::Conflict(partial_id)));
    let mut set = TileSet::new(size(256));
    set.insert(partial_id, partial).unwrap();
    assert_eq!(set.insert(full_id, full), Err(TileError::Conflict(full_id)));
}
