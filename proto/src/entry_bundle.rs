//! Entries and entry bundles, c2sp.org/tlog-tiles.
//!
//! A bundle is 1 to 256 entries, each with its length in two bytes (big-endian) before it. A bundle does
//! not say how many entries it has: that follows from the path it was fetched by. What the entries mean
//! is not looked at here.

use alloc::vec::Vec;
use core::fmt;

use crate::hash::{Hash, leaf_hash};
use crate::tile::TileWidth;
use crate::wire::{DecodeError, Reader};

/// The most bytes a bundle can have: 256 entries of 65,535 bytes with their lengths.
pub const BUNDLE_MAX_BYTES: usize = TileWidth::FULL.get() as usize * (LENGTH_BYTES + Entry::MAX_LEN);

/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;

/// Why bytes are not an entry or a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An entry above [`Entry::MAX_LEN`].
    #[error("entry of {got} bytes, at most {} are allowed", Entry::MAX_LEN)]
    EntryTooLong {
        /// Length in bytes.
        got: usize,
    },
    /// A bundle of no entries or of more than 256.
    #[error("{got} entries, a bundle has 1 to 256")]
    EntryCount {
        /// How many entries.
        got: usize,
    },
    /// Bytes that are not exactly the expected number of entries.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl BundleError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EntryTooLong { .. } => "entry-too-long",
            Self::EntryCount { .. } => "bundle-entry-count",
            Self::Decode(error) => error.code(),
        }
    }
}

/// The bytes of one entry of a log; none at all is allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// The most bytes an entry can have; its length takes two bytes in a bundle.
    pub const MAX_LEN: usize = u16::MAX as usize;

    /// An entry of these bytes, if there are at most [`Self::MAX_LEN`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, BundleError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(BundleError::EntryTooLong { got: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The entry's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The entry's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The entry's hash in the tree.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.0)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} bytes, leaf hash {})", self.0.len(), self.leaf_hash())
    }
}

/// 1 to 256 entries in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBundle {
    width: TileWidth,
    entries: Vec<Entry>,
}

impl EntryBundle {
    /// A bundle of these entries, if there are 1 to 256.
    pub fn new(entries: Vec<Entry>) -> Result<Self, BundleError> {
        let width = u16::try_from(entries.len()).ok().and_then(TileWidth::new);
        let width = width.ok_or(BundleError::EntryCount { got: entries.len() })?;
        Ok(Self { width, entries })
    }

    /// The bundle of exactly `width` entries that `bytes` are. Refuses more than [`BUNDLE_MAX_BYTES`]
    /// before reading, an entry that ends early, and bytes after the last entry.
    pub fn parse(width: TileWidth, bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = Reader::with_limit(bytes, BUNDLE_MAX_BYTES)?;
        let mut entries = Vec::with_capacity(usize::from(width.get()));
        for _ in 0..width.get() {
            let length = reader.u16()?;
            entries.push(Entry(reader.take(usize::from(length))?.to_vec()));
        }
        reader.finish()?;
        Ok(Self { width, entries })
    }

    /// The bundle's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let lengths = self.entries.len().saturating_mul(LENGTH_BYTES);
        let bytes = self.entries.iter().fold(lengths, |sum, entry| sum.saturating_add(entry.0.len()));
        let mut out = Vec::with_capacity(bytes);
        for entry in &self.entries {
            let length = u16::try_from(entry.0.len()).expect("invariant: an entry is at most MAX_LEN bytes");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&entry.0);
        }
        out
    }

    /// How many entries.
    pub fn width(&self) -> TileWidth {
        self.width
    }

    /// The entries in the order of the log.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries in the order of the log.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The hashes of the level-0 tile of the same index.
    pub fn leaf_hashes(&self) -> impl ExactSizeIterator<Item = Hash> + '_ {
        self.entries.iter().map(Entry::leaf_hash)
    }
}

#[cfg(test)]
mod tests;
