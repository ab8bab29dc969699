//! The index's database: sled, with what it lacks around it.
//!
//! sled 0.34 says that a flush is durable when it is not, so its file is synced here. A process killed while
//! it opened a database leaves a `snap.*.generating` file that the next opening takes for corruption, so
//! such files are deleted first. It may also panic on damage; a panic counts as an error.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::BufMut as _;
use indelible_proto::hash::Hash;
use indelible_proto::wire::Reader;
use rustix::fs::{FlockOperation, flock};

use super::rows::{List, Row};
use crate::journal::Identity;
use crate::storage::{DiskError, Storage};

/// Most rows in one batch. sled keeps more in memory the longer a batch is: with this and short segments
/// 260 MB while a million keys are added, with batches of 1,000 and its own segments of 512 KiB 1,150 MB.
pub(super) const MAX_BATCH_ROWS: usize = 100;
/// Length of a segment of sled's file in bytes.
const SEGMENT_BYTES: usize = 64 * 1024;
/// What sled aims to keep in memory, in bytes.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// How long to wait at once for another instance to close, and how often; 5 s in all.
const CLOSING_WAIT: Duration = Duration::from_millis(10);
const MAX_CLOSING_WAITS: u32 = 500;
/// Changes whenever an older index could be read wrongly.
const VERSION: u8 = 2;
/// The key of what the database says about itself; every other key is 32 bytes long or longer.
const STATUS_KEY: &[u8] = b"status";
/// What stands before the keys of [`List::Leaf`] and [`List::Artifact`]. Those of [`List::Once`] are bare, 32
/// bytes with the entry's index as the value, so that lengths tell the lists apart.
const LEAF_MARK: u8 = b'l';
const ARTIFACT_MARK: u8 = b'a';

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
    /// Its file can't be synced or a leftover not be deleted.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A value that was not written by us.
    #[error("a value of another length")]
    Value,
}

/// An open database.
#[derive(Debug)]
pub(super) struct Store {
    db: sled::Db,
    file: File,
    identity: Identity,
}

impl Store {
    /// Opens the database in `dir`, or makes it.
    pub(super) fn open(dir: &Path, identity: Identity) -> Result<Self, StoreError> {
        let storage = Storage::real();
        for name in storage.list(dir)?.unwrap_or_default() {
            if name.starts_with("snap.") && name.ends_with(".generating") {
                storage.remove(&dir.join(name))?;
            }
        }
        wait_until_closed(dir)?;
        let config = sled::Config::new().path(dir).flush_every_ms(None);
        let config = config.cache_capacity(CACHE_BYTES).segment_size(SEGMENT_BYTES);
        let db = guarded(|| config.open())?;
        let file = File::open(dir.join("db")).map_err(sled::Error::Io)?;
        Ok(Self { db, file, identity })
    }

    /// Up to which entry every key is there and durable; `None` if the database is new, of another log, or of
    /// another version.
    pub(super) fn watermark(&self) -> Result<Option<u64>, StoreError> {
        let Some(status) = guarded(|| self.db.get(STATUS_KEY))? else {
            return Ok(None);
        };
        let mut reader = Reader::new(&status);
        let expected = self.status_prefix();
        let same = reader.take(expected.len()).is_ok_and(|prefix| prefix == expected);
        if same { reader.u64().map(Some).map_err(|_| StoreError::Value) } else { Ok(None) }
    }

    /// Notes that every key up to `watermark` is there. Makes the keys durable first, so that the note is
    /// true whenever it is found.
    pub(super) fn set_watermark(&self, watermark: u64) -> Result<(), StoreError> {
        guarded(|| self.db.flush())?;
        self.file.sync_data().map_err(sled::Error::Io)?;
        let mut status = self.status_prefix();
        status.put_u64(watermark);
        guarded(|| self.db.insert(STATUS_KEY, status.as_slice()))?;
        Ok(())
    }

    /// Adds rows, at most [`MAX_BATCH_ROWS`].
    pub(super) fn insert(&self, rows: &[Row]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for row in rows {
            let index = row.index.to_be_bytes();
            match row.list {
                List::Once => batch.insert(row.key.as_bytes().as_slice(), index.as_slice()),
                List::Leaf => batch.insert(marked(LEAF_MARK, &row.key), index.as_slice()),
                List::Artifact => {
                    batch.insert([&marked(ARTIFACT_MARK, &row.key), index.as_slice()].concat(), &[]);
                }
            }
        }
        guarded(|| self.db.apply_batch(batch))
    }

    /// The index under a key that one entry has. It is a hint until the entry there was looked at.
    pub(super) fn get(&self, key: &Hash) -> Result<Option<u64>, StoreError> {
        index_of(guarded(|| self.db.get(key.as_bytes()))?)
    }

    /// The same by the leaf hash of a record.
    pub(super) fn get_leaf(&self, key: &Hash) -> Result<Option<u64>, StoreError> {
        index_of(guarded(|| self.db.get(marked(LEAF_MARK, key)))?)
    }

    /// The first indices from `from` on under the digest of an artifact, in order, at most `max` of them.
    pub(super) fn artifact(&self, digest: &Hash, from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let mark = marked(ARTIFACT_MARK, digest);
        let bounds = [from, u64::MAX].map(|index| [mark.as_slice(), &index.to_be_bytes()].concat());
        let [first, last] = bounds;
        let rows = guarded(|| self.db.range(first..=last).keys().take(max).collect::<Result<Vec<_>, _>>())?;
        let index = |row: sled::IVec| row.get(mark.len()..).and_then(|index| index.try_into().ok());
        let indices = rows.into_iter().map(|row| index(row).map(u64::from_be_bytes).ok_or(StoreError::Value));
        indices.collect()
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

/// Deletes the database in `dir`.
pub(super) fn delete(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sled::Error::Io(error).into()),
        _ => Ok(()),
    }
}

fn marked(mark: u8, key: &Hash) -> Vec<u8> {
    [&[mark], key.as_bytes().as_slice()].concat()
}

fn index_of(value: Option<sled::IVec>) -> Result<Option<u64>, StoreError> {
    let index = value.map(|value| <[u8; 8]>::try_from(&*value).map(u64::from_be_bytes));
    index.transpose().map_err(|_| StoreError::Value)
}

fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| StoreError::Panic)?.map_err(StoreError::Sled)
}
