//! The right edge of a tree that is being written: the partial tile of every level.

use alloc::vec::Vec;
use core::mem;

use super::id::{TREE_LEVELS, hashes_at_level};
use super::{TILE_HEIGHT, Tile, TileId, TileWidth, complete_root};
use crate::hash::Hash;
use crate::size::TreeSize;
use crate::tree::{Frontier, TreeHead};

/// Hashes in a full tile.
const FULL: usize = TileWidth::FULL.get() as usize;

/// Why a right edge cannot be made or appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RightEdgeError {
    /// More than the 8 levels a tree can have.
    #[error("{got} levels, a tree has at most {TREE_LEVELS}")]
    LevelCount {
        /// How many were given.
        got: usize,
    },
    /// Not the width that the tree's partial tile of a level has.
    #[error("{got} hashes at level {level}, the tree size asks for {expected}")]
    PartialWidth {
        /// Level of the tile.
        level: u8,
        /// How many hashes were given.
        got: usize,
        /// How many the tree's partial tile has; 0 if it has none.
        expected: usize,
    },
    /// The tree has `2^63-1` entries already.
    #[error("the tree has reached its largest size")]
    Full,
}

impl RightEdgeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LevelCount { .. } => "right-edge-level-count",
            Self::PartialWidth { .. } => "right-edge-partial-width",
            Self::Full => "right-edge-full",
        }
    }
}

/// What a log keeps in memory to append to its tree and to write the tiles: the hashes of the partial tile
/// of each level, at most 64 KiB, and the tree's frontier.
///
/// An entry costs one node hash on average; a root at most 62, as the frontier is kept up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightEdge {
    frontier: Frontier,
    /// By level, each shorter than 256.
    partials: [Vec<Hash>; TREE_LEVELS as usize],
}

impl RightEdge {
    /// The edge of the tree without entries.
    pub fn new() -> Self {
        Self { frontier: Frontier::new(), partials: Default::default() }
    }

    /// The partial tiles that a tree of `size` entries has, lowest level first.
    pub fn partial_ids(size: TreeSize) -> impl Iterator<Item = TileId> {
        super::tiles_of_size(size).filter(|tile| !tile.width().is_full())
    }

    /// The edge of a tree of `size` entries from the hashes of the partial tile of each level, level 0
    /// first, with nothing where it has no partial tile; empty levels at the end may be left out. Refuses
    /// levels of another width. Hashes up to 247 times for each level.
    pub fn from_partials(size: TreeSize, partials: Vec<Vec<Hash>>) -> Result<Self, RightEdgeError> {
        let mut edge = Self::new();
        if partials.len() > edge.partials.len() {
            return Err(RightEdgeError::LevelCount { got: partials.len() });
        }
        for (slot, hashes) in edge.partials.iter_mut().zip(partials) {
            *slot = hashes;
        }
        for (level, hashes) in (0..).zip(&edge.partials) {
            let expected = partial_width(size, level);
            if hashes.len() != expected {
                return Err(RightEdgeError::PartialWidth { level, got: hashes.len(), expected });
            }
        }
        let nodes: Vec<Hash> = edge.partials.iter().rev().flat_map(|hashes| complete_roots(hashes)).collect();
        edge.frontier = Frontier::from_nodes(size, &nodes)
            .expect("invariant: the widths are the digits of the size, so their bits are its bits");
        Ok(edge)
    }

    /// How many entries the tree has.
    pub fn size(&self) -> TreeSize {
        self.frontier.size()
    }

    /// Appends an entry by its leaf hash. Returns the tiles that it has made full, lowest level first:
    /// none most of the time, one every 256 entries, more where tiles of higher levels become full too.
    pub fn append(&mut self, leaf: Hash) -> Result<Vec<(TileId, Tile)>, RightEdgeError> {
        let size = self.size().plus(1).map_err(|_| RightEdgeError::Full)?;
        let mut full_tiles = Vec::new();
        let appended = self.frontier.append_visiting(leaf, |node_level, hash| {
            if node_level % TILE_HEIGHT != 0 {
                return;
            }
            let level = node_level / TILE_HEIGHT;
            let Some(partial) = self.partials.get_mut(usize::from(level)) else { return };
            partial.push(*hash);
            if partial.len() < FULL {
                return;
            }
            // The tile that has just become full is the last full one of its level.
            let last = (hashes_at_level(level, size) >> TILE_HEIGHT).saturating_sub(1);
            if let Some(id) = TileId::for_size(level, last, size) {
                // With room for the next one: the edge allocates by the tile, not by the leaf.
                full_tiles.push((id, Tile(mem::replace(partial, Vec::with_capacity(FULL)))));
            }
        });
        appended.map_err(|_| RightEdgeError::Full)?;
        Ok(full_tiles)
    }

    /// The hashes of the partial tile of a level; none if the tree has no partial tile there.
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.partials.get(usize::from(level)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The partial tiles of the tree with their names, lowest level first.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileId, Tile)> + '_ {
        Self::partial_ids(self.size()).map(|id| (id, Tile(self.partial(id.level()).to_vec())))
    }

    /// The tree's frontier.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The root of the tree; at most 62 node hashes.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Size and root of the tree.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }
}

impl Default for RightEdge {
    fn default() -> Self {
        Self::new()
    }
}

/// The width of the partial tile of a level, 0 if there is none: one digit of the size in base 256.
fn partial_width(size: TreeSize, level: u8) -> usize {
    TileId::for_size(level, hashes_at_level(level, size) >> TILE_HEIGHT, size)
        .map_or(0, |tile| usize::from(tile.width().get()))
}

/// The roots of the complete subtrees that these hashes are made of, largest first.
fn complete_roots(hashes: &[Hash]) -> Vec<Hash> {
    let mut roots = Vec::new();
    let mut rest = hashes;
    while let Some(height) = rest.len().checked_ilog2() {
        let Some((subtree, after)) = rest.split_at_checked(1 << height) else { break };
        roots.extend(complete_root(subtree));
        rest = after;
    }
    roots
}
