//! The index's database: files of rows ([`super::runs`]), and in sled which of them there are and up to which entry
//! they are complete. Both change together, and only once the files are durable: what a crash leaves is the state
//! of some note, and files that are not in it.
//!
//! ```text
//! "status"    version (1) kind (1) origin hash (32) size (8) root (32), then the list of runs
//! ```
//!
//! sled 0.34 says that a flush is durable when it is not, so its file is synced here. A process killed while
//! it opened a database leaves a `snap.*.generating` file that the next opening takes for corruption, so
//! such files are deleted first. It may also panic on damage; a panic counts as an error.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use bytes::BufMut as _;
use indelible_client::planted::{self, Bug};
use indelible_proto::hash::Hash;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::TreeHead;
use indelible_proto::wire::Reader;
use rustix::fs::{FlockOperation, flock};

use super::place::Place;
use super::rows::{List, Row};
use super::runs::Runs;
use crate::journal::Identity;
use crate::storage::{DiskError, Storage};

/// Length of a segment of sled's file in bytes.
const SEGMENT_BYTES: usize = 64 * 1024;
/// What sled aims to keep in memory, in bytes.
const CACHE_BYTES: u64 = 1024 * 1024;
/// How long to wait at once for another instance to close, and how often; 5 s in all.
const CLOSING_WAIT: Duration = Duration::from_millis(10);
const MAX_CLOSING_WAITS: u32 = 500;
/// Changes whenever an older index could be read wrongly.
const VERSION: u8 = 6;
/// The key of what the database says about itself.
const STATUS_KEY: &[u8] = b"status";

/// Why the database can't be used. It is deleted and made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// sled refused.
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    /// sled panicked.
    #[error("sled panicked")]
    Panic,
    /// A file or the directory can't be read, written or synced.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file of rows has not the length it was written with.
    #[error("{} has {length} bytes, not {blocks} blocks", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// How many blocks of 4,096 bytes were written.
        blocks: u32,
    },
    /// A file of rows is not what was written.
    #[error("{} is damaged in block {block}", path.display())]
    Block {
        /// The file.
        path: PathBuf,
        /// Which block of 4,096 bytes, from 0.
        block: u32,
    },
    /// A value in sled that was not written by us.
    #[error("a value of another length")]
    Value,
}

/// An open database.
#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    db: sled::Db,
    file: File,
    identity: Identity,
    watermark: Option<TreeHead>,
    runs: RwLock<Runs>,
}

impl Store {
    /// Opens the database that is there, or makes it.
    pub(super) fn open(place: &Place, identity: Identity) -> Result<Self, StoreError> {
        let dir = &place.dir;
        remove_unfinished_snapshots(dir)?;
        wait_until_closed(dir)?;
        let config = sled::Config::new().path(dir).flush_every_ms(None);
        let config = config.cache_capacity(CACHE_BYTES).segment_size(SEGMENT_BYTES);
        let db = guarded(|| config.open())?;
        let file = File::open(dir.join("db")).map_err(sled::Error::Io)?;
        let status = guarded(|| db.get(STATUS_KEY))?.unwrap_or_default();
        let mut store =
            Self { place: place.clone(), db, file, identity, watermark: None, runs: RwLock::default() };
        if let Some(rest) = status.strip_prefix(store.status_prefix().as_slice()) {
            let mut reader = Reader::new(rest);
            let size =
                reader.u64().ok().and_then(|size| TreeSize::new(size).ok()).ok_or(StoreError::Value)?;
            let root = reader.hash().map_err(|_| StoreError::Value)?;
            store.watermark = Some(TreeHead { size, root });
            store.runs = RwLock::new(Runs::open(place, reader.remaining())?);
        }
        Ok(store)
    }

    /// The tree of which every key was there when it was opened; `None` if the database is new, of another log, or
    /// of another version.
    pub(super) fn watermark(&self) -> Option<TreeHead> {
        self.watermark
    }

    /// Notes that every key of the tree with this head is there, and nothing else, after making the keys durable.
    /// Then deletes what is left of other runs.
    pub(super) fn set_watermark(&self, watermark: &TreeHead) -> Result<(), StoreError> {
        let runs = self.runs().clone();
        if !planted::has(Bug::IndexNoteBeforeSync) {
            runs.sync(&self.place)?;
        }
        let mut status = self.status_prefix();
        status.put_u64(watermark.size.get());
        status.put_slice(watermark.root.as_bytes());
        status.put_slice(&runs.list());
        guarded(|| self.db.insert(STATUS_KEY, status.as_slice()))?;
        guarded(|| self.db.flush())?;
        self.file.sync_data().map_err(sled::Error::Io)?;
        runs.delete_others(&self.place)
    }

    /// Adds rows, which are sorted. One caller at a time.
    pub(super) fn insert(&self, rows: &[Row]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let runs = self.runs().with(&self.place, rows)?;
        self.set_runs(runs);
        Ok(())
    }

    /// Keeps the number of runs small, as long as `goes_on` says so; whether some were merged. The same caller.
    pub(super) fn merge(&self, goes_on: impl Fn() -> bool) -> Result<bool, StoreError> {
        let runs = self.runs().clone();
        let merged = runs.merged(&self.place, goes_on)?;
        let is_merged = merged.is_some();
        merged.into_iter().for_each(|runs| self.set_runs(runs));
        Ok(is_merged)
    }

    /// The first index under a key. It is a hint until the entry there was looked at.
    pub(super) fn get(&self, list: List, key: &Hash) -> Result<Option<u64>, StoreError> {
        self.runs().get(list, key)
    }

    /// The first indices from `from` on under a key, in order, at most `max` of them.
    pub(super) fn all(&self, list: List, key: &Hash, from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.runs().all(list, key, from, max)
    }

    /// All rows there are, in no order; an error if any file is not as it was written.
    pub(super) fn rows(&self) -> Result<Vec<Row>, StoreError> {
        self.runs().rows().collect()
    }

    fn runs(&self) -> RwLockReadGuard<'_, Runs> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_runs(&self, runs: Runs) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    fn status_prefix(&self) -> Vec<u8> {
        let mut prefix = vec![VERSION, self.identity.kind.as_byte()];
        prefix.put_slice(self.identity.origin_hash.as_bytes());
        prefix
    }
}

/// Waits for an instance of this process that is closing: sled's own threads hold the lock on its file for a
/// moment longer, and an opening that meets it fails. Other processes are kept out by the log's lock.
fn wait_until_closed(dir: &Path) -> Result<(), StoreError> {
    let file = match File::open(dir.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(sled::Error::Io)?,
    };
    for _ in 0..MAX_CLOSING_WAITS {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            break;
        }
        thread::sleep(CLOSING_WAIT);
    }
    Ok(())
}

/// Deletes what a process left that was killed while it opened sled.
fn remove_unfinished_snapshots(dir: &Path) -> Result<(), StoreError> {
    let storage = Storage::real();
    for name in storage.list(dir)?.unwrap_or_default() {
        if name.starts_with("snap.") && name.ends_with(".generating") {
            storage.remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Deletes the database that is there.
pub(super) fn delete(place: &Place) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(&place.dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sled::Error::Io(error))?,
        _ => {}
    }
    // Where the files of rows are on another disk than sled's.
    Runs::default().delete_others(place)
}

fn guarded<T, E: Into<StoreError>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| StoreError::Panic)?.map_err(Into::into)
}

#[cfg(test)]
mod tests;
