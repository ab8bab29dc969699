//! Hash tiles and where tiles and entry bundles are found, c2sp.org/tlog-tiles.
//!
//! The hashes of the tree are kept in tiles of 256. A tile of level 0 has leaf hashes, one of level `l`
//! has the hashes of full tiles of level `l - 1`, that is of complete subtrees of `256^l` leaves. At the
//! right edge of a tree each level may have one partial tile. The nodes between the levels are not stored
//! but hashed when needed.

mod id;
mod path;
mod right_edge;
mod set;

use alloc::vec::Vec;
use core::num::NonZeroU16;

pub use id::{BundleId, TileId, tiles_of_size};
pub use path::ResourcePath;
pub use right_edge::{RightEdge, RightEdgeError};
pub use set::{TileSet, tile_of, tiles_for};

use crate::hash::{Hash, node_hash};
use crate::size::{LeafIndex, TreeSize};
use crate::tree::NodeId;

/// The most bytes a tile can have.
pub const TILE_MAX_BYTES: usize = TileWidth::FULL.get() as usize * Hash::LEN;

/// Base-2 logarithm of the hashes in a full tile.
const TILE_HEIGHT: u8 = 8;

/// Why a tile, or the name of a tile or bundle, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not a path of a tile or bundle.
    #[error("not the path of a tile or of an entry bundle")]
    Path,
    /// A level above 63.
    #[error("tile level {got} is above 63")]
    Level {
        /// The refused level.
        got: u64,
    },
    /// An index that no tree of `2^63-1` entries has.
    #[error("tile index {got} is above 2^55-1")]
    Index {
        /// The refused index.
        got: u64,
    },
    /// A width outside of `1..=256`, or in a path, where full tiles have none, outside of `1..=255`.
    #[error("tile width {got} is not possible")]
    Width {
        /// The refused width.
        got: u64,
    },
    /// Not 32 bytes for each hash of the width.
    #[error("tile of {got} bytes, its width asks for {expected}")]
    Length {
        /// Length in bytes.
        got: usize,
        /// The length the width asks for.
        expected: usize,
    },
    /// A tile has another number of hashes than the name it is put under.
    #[error("tile of {got} hashes under a name of width {expected}")]
    WidthMismatch {
        /// How many hashes it has.
        got: usize,
        /// The width of the name.
        expected: u16,
    },
    /// A node that the tree does not have, or not completely.
    #[error("a tree of {size} entries has no complete subtree {node:?}")]
    NodeOutsideTree {
        /// The node asked for.
        node: NodeId,
        /// Size of the tree.
        size: TreeSize,
    },
    /// An entry that the tree does not have.
    #[error("a tree of {size} entries has none at index {index}")]
    IndexOutsideTree {
        /// The index asked for.
        index: LeafIndex,
        /// Size of the tree.
        size: TreeSize,
    },
    /// A node's tile is not in the set.
    #[error("the tile {0:?} is needed and was not given")]
    Missing(TileId),
    /// A tile differs from one of the same place in the set.
    #[error("the tile {0:?} differs from one of its place given before")]
    Conflict(TileId),
}

impl TileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path => "tile-path",
            Self::Level { .. } => "tile-level",
            Self::Index { .. } => "tile-index",
            Self::Width { .. } => "tile-width",
            Self::Length { .. } => "tile-length",
            Self::WidthMismatch { .. } => "tile-width-mismatch",
            Self::NodeOutsideTree { .. } => "tile-node-outside-tree",
            Self::IndexOutsideTree { .. } => "tile-index-outside-tree",
            Self::Missing(_) => "tile-missing",
            Self::Conflict(_) => "tile-conflict",
        }
    }
}

/// How many hashes a tile, or entries a bundle, has: `1..=256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileWidth(NonZeroU16);

impl TileWidth {
    /// 256, the width of every tile but the last of its level.
    pub const FULL: Self = Self(NonZeroU16::MIN.saturating_add(255));

    /// A width, if it is in `1..=256`.
    pub const fn new(width: u16) -> Option<Self> {
        match NonZeroU16::new(width) {
            Some(width) if width.get() <= Self::FULL.get() => Some(Self(width)),
            _ => None,
        }
    }

    /// The width as a number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Whether this is [`Self::FULL`].
    pub const fn is_full(self) -> bool {
        self.0.get() == Self::FULL.0.get()
    }
}

/// The hashes of a tile, from left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile(Vec<Hash>);

impl Tile {
    /// A tile of these hashes, if there are 1 to 256.
    pub fn new(hashes: Vec<Hash>) -> Result<Self, TileError> {
        if hashes.is_empty() || hashes.len() > usize::from(TileWidth::FULL.get()) {
            return Err(TileError::Width { got: hashes.len() as u64 });
        }
        Ok(Self(hashes))
    }

    /// The tile under the name `id`, whose width says how many bytes there must be. The hashes are not
    /// checked against anything.
    pub fn parse(id: &TileId, bytes: &[u8]) -> Result<Self, TileError> {
        let expected = usize::from(id.width().get()).saturating_mul(Hash::LEN);
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
        if bytes.len() != expected || !rest.is_empty() {
            return Err(TileError::Length { got: bytes.len(), expected });
        }
        Ok(Self(hashes.iter().copied().map(Hash::from_bytes).collect()))
    }

    /// The tile's bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(Hash::as_bytes).copied().collect()
    }

    /// The hashes, from left to right.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// The hash over `2^height` hashes of the tile, the `index`-th such group; `None` if the tile has not
    /// all of them. Hashes `2^height - 1` times.
    pub fn node(&self, height: u8, index: u64) -> Option<Hash> {
        if height > TILE_HEIGHT {
            return None;
        }
        let count = 1usize << height;
        let start = usize::try_from(index).ok()?.checked_mul(count)?;
        complete_root(self.0.get(start..start.checked_add(count)?)?)
    }
}

/// The root over a power of two of hashes; `None` for any other number of them.
fn complete_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests;
