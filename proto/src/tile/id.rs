//! Names of tiles and bundles, and which of them a tree has.

use super::{TILE_HEIGHT, TileError, TileWidth};
use crate::size::{LeafIndex, TreeSize};

/// The largest tile index: the last level-0 tile of a tree of `2^63-1` entries.
const MAX_INDEX: u64 = TreeSize::MAX.get() >> TILE_HEIGHT;

/// The largest level a path can name. Levels above 7 exist in no tree of at most `2^63-1` entries.
const MAX_LEVEL: u8 = 63;

/// The levels that a tree can have tiles of.
pub(super) const TREE_LEVELS: u8 = 8;

/// The name of a hash tile. Ordered by level, index, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: TileWidth,
}

/// The name of an entry bundle. Ordered by index, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    index: u64,
    width: TileWidth,
}

impl TileId {
    /// A tile name; whether a tree has the tile is another question ([`Self::within`]). Refuses a level
    /// above 63 and an index above `2^55-1`.
    pub const fn new(level: u8, index: u64, width: TileWidth) -> Result<Self, TileError> {
        if level > MAX_LEVEL {
            return Err(TileError::Level { got: level as u64 });
        }
        if index > MAX_INDEX {
            return Err(TileError::Index { got: index });
        }
        Ok(Self { level, index, width })
    }

    /// The tile of this level and index as the tree of `size` entries has it, full or partial; `None` if
    /// it has none there.
    pub fn for_size(level: u8, index: u64, size: TreeSize) -> Option<Self> {
        let before = index.checked_mul(u64::from(TileWidth::FULL.get()))?;
        let width = hashes_at_level(level, size).checked_sub(before)?.min(u64::from(TileWidth::FULL.get()));
        Self::new(level, index, TileWidth::new(u16::try_from(width).ok()?)?).ok()
    }

    /// Level of the tile, `0..=63`; 0 has the leaf hashes.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Position among the tiles of its level.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes it has.
    pub const fn width(self) -> TileWidth {
        self.width
    }

    /// The full tile of this level and index.
    pub const fn full(self) -> Self {
        Self { width: TileWidth::FULL, ..self }
    }

    /// Whether the tree of `size` entries has all hashes of this tile: the tile is one of its tiles or
    /// was one when the tree was smaller.
    pub fn within(self, size: TreeSize) -> bool {
        Self::for_size(self.level, self.index, size).is_some_and(|tile| self.width <= tile.width)
    }
}

impl BundleId {
    /// A bundle name; whether a log has the bundle is another question ([`Self::within`]). Refuses an
    /// index above `2^55-1`.
    pub const fn new(index: u64, width: TileWidth) -> Result<Self, TileError> {
        if index > MAX_INDEX {
            return Err(TileError::Index { got: index });
        }
        Ok(Self { index, width })
    }

    /// The bundle of this index as the log of `size` entries has it, full or partial; `None` if it has
    /// none there.
    pub fn for_size(index: u64, size: TreeSize) -> Option<Self> {
        TileId::for_size(0, index, size).map(|tile| Self { index, width: tile.width })
    }

    /// The bundle that has the entry at `index`, as the log of `size` entries has it, and the position of
    /// the entry in it. Refuses an index that the log does not have.
    pub fn of_entry(index: LeafIndex, size: TreeSize) -> Result<(Self, usize), TileError> {
        let outside = TileError::IndexOutsideTree { index, size };
        let bundle = Self::for_size(index.get() >> TILE_HEIGHT, size).ok_or(outside)?;
        let position = index.get() & 0xff;
        if position >= u64::from(bundle.width.get()) {
            return Err(outside);
        }
        Ok((bundle, usize::try_from(position).map_err(|_| outside)?))
    }

    /// Position among the bundles.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many entries it has.
    pub const fn width(self) -> TileWidth {
        self.width
    }

    /// Index in the log of its first entry.
    pub const fn first_entry(self) -> u64 {
        self.index << TILE_HEIGHT
    }

    /// The full bundle of this index.
    pub const fn full(self) -> Self {
        Self { width: TileWidth::FULL, ..self }
    }

    /// Whether the log of `size` entries has all entries of this bundle.
    pub fn within(self, size: TreeSize) -> bool {
        self.leaf_tile().within(size)
    }

    /// The level-0 tile with the leaf hashes of these entries.
    pub const fn leaf_tile(self) -> TileId {
        TileId { level: 0, index: self.index, width: self.width }
    }
}

/// The last tiles of each level of a tree of `size` entries, lowest level first: the last full tile, if
/// there is one, and after it the partial tile, if there is one.
pub fn tiles_of_size(size: TreeSize) -> impl Iterator<Item = TileId> {
    (0..TREE_LEVELS).flat_map(move |level| {
        let full_tiles = hashes_at_level(level, size) >> TILE_HEIGHT;
        let last_full = full_tiles.checked_sub(1).and_then(|index| TileId::for_size(level, index, size));
        last_full.into_iter().chain(TileId::for_size(level, full_tiles, size))
    })
}

/// How many hashes a tree of `size` entries has at a tile level.
pub(super) fn hashes_at_level(level: u8, size: TreeSize) -> u64 {
    let shift = u32::from(level).saturating_mul(u32::from(TILE_HEIGHT));
    size.get().checked_shr(shift).unwrap_or_default()
}
