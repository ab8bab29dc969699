//! Tiles and bundles on their way from another log into a directory, seen by the check that reads them.
//!
//! Nothing fetched is believed here: the check compares each with the others, and all with the signed root,
//! while they are written, and what it refuses never becomes a log. What an interrupted import left is used
//! again if it is what the source's leaf tile says; whatever else is there is fetched and written over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::tile::{BundleId, TileId};

use crate::chain::Chain;
use crate::fsck::{Fault, Published, Stored, split};
use crate::storage::Storage;

/// What is copied, and to where.
#[derive(Debug)]
pub(super) struct Copying {
    source: Published,
    storage: Storage,
    dir: PathBuf,
    /// Leaf tiles that were fetched to look at a bundle, until they are asked for.
    tiles: Mutex<HashMap<TileId, Bytes>>,
    /// The bundle at the end that is not full; the journal gets it.
    partial: Mutex<Bytes>,
    temporary: AtomicU64,
    reused: AtomicU64,
}

impl Copying {
    pub(super) fn new(source: Published, storage: Storage, dir: &Path) -> Self {
        Self {
            source,
            storage,
            dir: dir.to_owned(),
            tiles: Mutex::default(),
            partial: Mutex::default(),
            temporary: AtomicU64::new(0),
            reused: AtomicU64::new(0),
        }
    }

    pub(super) fn source(&self) -> &Published {
        &self.source
    }

    /// The entries of the partial bundle.
    pub(super) fn partial(&self) -> Bytes {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bundles were there already.
    pub(super) fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.storage.read(&self.dir.join(path)).map_err(|error| Fault::Unread(Chain(&error).to_string()))
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        // Many are written at once, each through a temporary file of its own.
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".copy.{number}.tmp"));
        let written = self.storage.put(&self.dir.join(path), &temporary, bytes);
        written.map_err(|error| Fault::Unread(Chain(&error).to_string()))
    }

    /// The bundle from an earlier attempt, if it has the entries that the source's leaf tile says.
    fn left(&self, id: BundleId) -> Result<Option<Bytes>, Fault> {
        let Some(bytes) = self.read(&id.path())?.map(Bytes::from) else {
            return Ok(None);
        };
        let tile = self.source.tile(id.leaf_tile())?;
        let hashes =
            split(id.width(), &bytes).map(|entries| entries.into_iter().map(leaf_hash).collect::<Vec<_>>());
        let same = hashes.is_ok_and(|hashes| hashes.iter().flat_map(Hash::as_bytes).eq(tile.iter()));
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner).insert(id.leaf_tile(), tile);
        Ok(same.then_some(bytes))
    }
}

impl Stored for Copying {
    fn bundle(&self, id: BundleId) -> Result<Bytes, Fault> {
        if !id.width().is_full() {
            let bytes = self.source.bundle(id)?;
            *self.partial.lock().unwrap_or_else(PoisonError::into_inner) = bytes.clone();
            return Ok(bytes);
        }
        if let Some(bytes) = self.left(id)? {
            self.reused.fetch_add(1, Ordering::Relaxed);
            return Ok(bytes);
        }
        let bytes = self.source.bundle(id)?;
        self.write(&id.path(), &bytes)?;
        Ok(bytes)
    }

    fn tile(&self, id: TileId) -> Result<Bytes, Fault> {
        let fetched = self.tiles.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let bytes = match fetched {
            Some(bytes) => bytes,
            None => self.source.tile(id)?,
        };
        if id.width().is_full() && self.read(&id.path())?.as_deref() != Some(&bytes) {
            self.write(&id.path(), &bytes)?;
        }
        Ok(bytes)
    }

    fn may_have_nothing(&self) -> bool {
        true
    }

    fn has_partials(&self) -> bool {
        true
    }

    fn remedy(&self) -> &'static str {
        "nothing of this becomes a log: tell the source's operator, or import from another mirror"
    }
}
