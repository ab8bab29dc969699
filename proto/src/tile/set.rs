//! From tree nodes to the tiles that have them, and back.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{TILE_HEIGHT, Tile, TileError, TileId};
use crate::hash::Hash;
use crate::size::TreeSize;
use crate::tree::NodeId;

/// The tile, as the tree of `size` entries has it, that stores a node or the hashes right below it.
/// Refuses a node that the tree does not have.
pub fn tile_of(node: NodeId, size: TreeSize) -> Result<TileId, TileError> {
    let outside = TileError::NodeOutsideTree { node, size };
    if !node.within(size) {
        return Err(outside);
    }
    let place = Place::of(node);
    TileId::for_size(place.level, place.tile, size).ok_or(outside)
}

/// The tiles of the tree of `size` entries that store the nodes, each once, in ascending order.
pub fn tiles_for(nodes: &[NodeId], size: TreeSize) -> Result<Vec<TileId>, TileError> {
    let tiles = nodes.iter().map(|node| tile_of(*node, size)).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(tiles.into_iter().collect())
}

/// Tiles of a tree, to take the hashes of nodes from. Nothing in it is trusted: what is computed from the
/// hashes must be verified.
#[derive(Clone, Debug)]
pub struct TileSet {
    size: TreeSize,
    /// By level and index.
    tiles: BTreeMap<(u8, u64), Tile>,
}

impl TileSet {
    /// A set without tiles for a tree of `size` entries.
    pub fn new(size: TreeSize) -> Self {
        Self { size, tiles: BTreeMap::new() }
    }

    /// Adds a tile. It may be wider than the tile of the tree, as when a full tile has replaced a partial
    /// one. Refuses a tile that has not the width of its name, and one that differs from a tile of the
    /// same place on the hashes they share.
    pub fn insert(&mut self, id: TileId, tile: Tile) -> Result<(), TileError> {
        let expected = id.width().get();
        if tile.hashes().len() != usize::from(expected) {
            return Err(TileError::WidthMismatch { got: tile.hashes().len(), expected });
        }
        let place = (id.level(), id.index());
        if let Some(held) = self.tiles.get(&place) {
            if tile.hashes().iter().zip(held.hashes()).any(|(new, held)| new != held) {
                return Err(TileError::Conflict(id));
            }
            if held.hashes().len() >= tile.hashes().len() {
                return Ok(());
            }
        }
        self.tiles.insert(place, tile);
        Ok(())
    }

    /// The hashes of the nodes, in order. Refuses nodes that the tree does not have and nodes whose tile
    /// is missing. Takes at most 127 hashes for a node.
    pub fn nodes(&self, nodes: &[NodeId]) -> Result<Vec<Hash>, TileError> {
        nodes.iter().map(|node| self.node(*node)).collect()
    }

    fn node(&self, node: NodeId) -> Result<Hash, TileError> {
        let id = tile_of(node, self.size)?;
        let place = Place::of(node);
        let tile = self.tiles.get(&(id.level(), id.index()));
        tile.and_then(|tile| tile.node(place.height, place.group)).ok_or(TileError::Missing(id))
    }
}

/// Where a node is in the tiles.
struct Place {
    /// Level of the tile.
    level: u8,
    /// Index of the tile.
    tile: u64,
    /// Height of the node above the hashes of the tile, `0..=7`.
    height: u8,
    /// Index of the node among those of its height in the tile.
    group: u64,
}

impl Place {
    fn of(node: NodeId) -> Self {
        let height = node.level() % TILE_HEIGHT;
        let groups_log = TILE_HEIGHT.saturating_sub(height);
        let tile = node.index() >> groups_log;
        Self { level: node.level() / TILE_HEIGHT, tile, height, group: node.index() ^ (tile << groups_log) }
    }
}
