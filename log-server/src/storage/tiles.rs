//! Full tiles and full bundles as files, under their tlog-tiles paths.
//!
//! Only full ones are stored: a partial one is part of the full one that replaces it. None is synced when
//! it is written; the journal keeps its entries until a sync pass has.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use indelible_proto::size::TreeSize;
use indelible_proto::tile::{BundleId, TILE_MAX_BYTES, TileId, TileWidth};

use super::entries::end_of;
use super::{DiskError, Storage};

/// How many entries a full bundle has, and hashes a full tile.
pub(crate) const BUNDLE_ENTRIES: u64 = TileWidth::FULL.get() as u64;

/// How many of `size` entries are in full bundles.
pub(crate) fn full_bundle_entries(size: TreeSize) -> u64 {
    size.get() / BUNDLE_ENTRIES * BUNDLE_ENTRIES
}

/// Why a stored tile or bundle can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// The system refused to read it.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The tree has it, but its file is gone.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file does not have the length or layout of a full tile or bundle.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl StoredError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.code(),
            Self::Missing { .. } => "stored-file-missing",
            Self::Damaged { .. } => "stored-file-damaged",
        }
    }
}

/// The files of full tiles and bundles below a log's data directory. One writer, any number of readers.
#[derive(Clone, Debug)]
pub(crate) struct TileFiles {
    storage: Storage,
    dir: PathBuf,
    temporary: PathBuf,
}

impl TileFiles {
    pub(crate) fn new(storage: Storage, data_dir: &Path) -> Self {
        let temporary = storage.temporary(&data_dir.join("tile"));
        Self { storage, dir: data_dir.to_owned(), temporary }
    }

    /// Makes the directories that every log has.
    pub(crate) fn create(storage: &Storage, data_dir: &Path) -> Result<(), DiskError> {
        storage.create_dir(&data_dir.join("tile"))?;
        storage.create_dir(&data_dir.join("tile/entries"))
    }

    pub(crate) fn put_tile(&self, id: TileId, tile: &[u8]) -> Result<(), DiskError> {
        self.storage.put(&self.dir.join(id.path()), &self.temporary, tile)
    }

    pub(crate) fn put_bundle(&self, id: BundleId, entries: &[u8]) -> Result<(), DiskError> {
        self.storage.put(&self.dir.join(id.path()), &self.temporary, entries)
    }

    /// A full tile that the tree is known to have.
    pub(crate) fn tile(&self, id: TileId) -> Result<Bytes, StoredError> {
        let (path, bytes) = self.read(&id.full().path())?;
        if is_full_tile(&bytes) { Ok(bytes) } else { Err(StoredError::Damaged { path }) }
    }

    /// The same, if it takes no waiting. `None` says nothing about the file.
    pub(crate) fn tile_at_hand(&self, id: TileId) -> Option<Bytes> {
        self.read_at_hand(&id.full().path()).filter(is_full_tile)
    }

    /// A full bundle that the log is known to have.
    pub(crate) fn bundle(&self, id: BundleId) -> Result<Bytes, StoredError> {
        let (path, bytes) = self.read(&id.full().path())?;
        if is_full_bundle(&bytes) { Ok(bytes) } else { Err(StoredError::Damaged { path }) }
    }

    /// The same, if it takes no waiting. `None` says nothing about the file.
    pub(crate) fn bundle_at_hand(&self, id: BundleId) -> Option<Bytes> {
        self.read_at_hand(&id.full().path()).filter(is_full_bundle)
    }

    fn read_at_hand(&self, path: &str) -> Option<Bytes> {
        self.storage.read_at_hand(&self.dir.join(path)).map(Bytes::from)
    }

    fn read(&self, path: &str) -> Result<(PathBuf, Bytes), StoredError> {
        let path = self.dir.join(path);
        match self.storage.read(&path)? {
            Some(bytes) => Ok((path, Bytes::from(bytes))),
            None => Err(StoredError::Missing { path }),
        }
    }
}

fn is_full_tile(bytes: &Bytes) -> bool {
    bytes.len() == TILE_MAX_BYTES
}

fn is_full_bundle(bytes: &Bytes) -> bool {
    end_of(bytes, usize::from(TileWidth::FULL.get())) == Some(bytes.len())
}
