//! Which entry has this key? So that the same record, or the same bytes, get the first index again.
//!
//! The key is the record id in a log of records and the leaf hash in a raw log, always whole. Keys of entries
//! that are not in the database yet are kept in memory; a thread of its own moves them, reading them from the
//! same tiles and bundles from which a start catches up.
//!
//! Nothing here is the truth. Every hit is checked against the entry it points at. A database that fails,
//! panics, or points at the wrong entry is deleted and filled again from tiles and bundles while submissions
//! wait; deleting `index/` costs that time and nothing else.

mod store;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use indelible_proto::entry_bundle::BundleError;
use indelible_proto::hash::Hash;
use indelible_proto::record::{RecordError, SignedRecord};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::BundleId;

use crate::journal::Identity;
use crate::kind::LogKind;
use crate::storage::entries;
use crate::tree_reader::{ReadError, TreeReader};
pub use store::StoreError;
use store::{MAX_BATCH_KEYS, Store};

/// Most keys kept in memory unless told otherwise: as many as a hash map of 2^21 slots holds, about 90 MB.
/// While there are more, submissions wait for the database.
pub(crate) const DEFAULT_PENDING_KEYS: usize = 7 << 18;

/// Entries in a bundle.
const BUNDLE: u64 = 256;
/// Most entries whose keys are moved in one go, in the order of the keys: neighbours in the database are then
/// written together. 2.6 MB of keys.
const STEP_ENTRIES: u64 = 256 * BUNDLE;
/// After how many entries the database is synced while it catches up.
const SYNC_ENTRIES: u64 = STEP_ENTRIES;

/// Why a key can't be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys could not be moved to the database in the background.
    #[error("the index could not be written")]
    Unwritten,
    /// The database points at an entry with another key.
    #[error("the index points at entry {index}, which has another key")]
    Wrong {
        /// The index it gave.
        index: u64,
    },
    /// Tiles or bundles can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A stored bundle is not made of entries.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A stored entry is not a record.
    #[error("entry {index} is not a record: {source}")]
    Record {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        source: RecordError,
    },
}

impl IndexError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(_) | Self::Unwritten => "index-store",
            Self::Wrong { .. } => "index-wrong",
            Self::Read(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Record { source, .. } => source.code(),
        }
    }
}

/// An entry that has the key asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) index: LeafIndex,
    /// Of the entry that is there: a record may come again under other signatures.
    pub(crate) leaf_hash: Hash,
}

/// The keys of all entries of a log.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    identity: Identity,
    reader: Arc<TreeReader>,
    max_pending_keys: usize,
    store: Mutex<Option<Arc<Store>>>,
    /// Held while keys are put into the store. Up to which entry the store says that it has them.
    watermark: Mutex<u64>,
    pending: Mutex<Pending>,
    /// Signalled when keys were moved, when there are more to move, and when moving ends.
    moved: Condvar,
    /// Keys could not be moved; the next look-up makes the database again.
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Pending {
    /// Every key that is not in the store.
    keys: HashMap<Hash, u64>,
    /// Up to which entry keys are in the store; a multiple of 256.
    filled: u64,
    /// Up to which entry keys can be moved there; a multiple of 256.
    goal: u64,
    closed: bool,
}

impl Index {
    /// Opens the index in `dir`, or makes it, and catches up with `reader`: every entry's key is in the
    /// database or in memory when the call returns.
    pub(crate) fn open(
        dir: &Path,
        identity: Identity,
        reader: Arc<TreeReader>,
        max_pending_keys: usize,
    ) -> Result<Self, IndexError> {
        let index = Self {
            dir: dir.to_owned(),
            identity,
            reader,
            max_pending_keys,
            store: Mutex::new(None),
            watermark: Mutex::default(),
            pending: Mutex::default(),
            moved: Condvar::new(),
            broken: AtomicBool::new(false),
        };
        match index.open_and_fill() {
            Err(error @ IndexError::Store(_)) => index.rebuild(&error)?,
            filled => filled?,
        }
        Ok(index)
    }

    /// The entry with each key, in order, as far as there is one.
    pub(crate) fn find(&self, keys: &[Hash]) -> Result<Vec<Option<Known>>, IndexError> {
        match self.look_up(keys) {
            Err(error @ (IndexError::Store(_) | IndexError::Unwritten | IndexError::Wrong { .. })) => {
                self.rebuild(&error)?;
                self.look_up(keys)
            }
            found => found,
        }
    }

    /// Takes the keys of entries that have just been added to the tree, which now has `size` entries.
    pub(crate) fn add(&self, keys: impl IntoIterator<Item = (Hash, LeafIndex)>, size: TreeSize) {
        let mut pending = self.pending();
        pending.keys.extend(keys.into_iter().map(|(key, index)| (key, index.get())));
        pending.goal = full_bundles(size);
        self.moved.notify_all();
    }

    /// Waits until fewer than the most keys are in memory, or the database has failed.
    pub(crate) fn wait_for_room(&self) {
        let full = |pending: &mut Pending| {
            pending.keys.len() > self.max_pending_keys && !self.broken.load(Ordering::Acquire)
        };
        drop(self.moved.wait_while(self.pending(), full).unwrap_or_else(PoisonError::into_inner));
    }

    /// Moves keys from memory to the database until [`Index::close`]: the work of the index's thread.
    pub(crate) fn keep_moving(&self) {
        let guard = BreakOnPanic(self);
        while self.wait_for_work() {
            if let Err(error) = self.move_some() {
                tracing::warn!(%error, "the index can't be written and will be made again");
                self.set_broken();
            }
        }
        let filled = self.pending().filled;
        if let Some(Err(error)) = self.store().map(|store| store.set_watermark(filled)) {
            tracing::warn!(%error, "the index can't be closed cleanly; the next start catches up");
        }
        std::mem::forget(guard);
    }

    fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
        // Under the lock of those who wait, or one that has just looked would not be woken.
        drop(self.pending());
        self.moved.notify_all();
    }

    /// Ends [`Index::keep_moving`].
    pub(crate) fn close(&self) {
        self.pending().closed = true;
        self.moved.notify_all();
    }

    /// Waits until keys can be moved; `false` when closed.
    fn wait_for_work(&self) -> bool {
        let idle = |pending: &mut Pending| {
            !pending.closed && (pending.goal <= pending.filled || self.broken.load(Ordering::Acquire))
        };
        let pending = self.moved.wait_while(self.pending(), idle).unwrap_or_else(PoisonError::into_inner);
        !pending.closed
    }

    fn move_some(&self) -> Result<(), IndexError> {
        let mut watermark = self.watermark();
        let (filled, goal) = {
            let pending = self.pending();
            (pending.filled, pending.goal)
        };
        match self.store() {
            Some(store) if filled < goal => self.step(&store, &mut watermark, filled, goal).map(drop),
            Some(_) => Ok(()),
            None => Err(IndexError::Unwritten),
        }
    }

    fn look_up(&self, keys: &[Hash]) -> Result<Vec<Option<Known>>, IndexError> {
        let Some(store) = self.store().filter(|_| !self.broken.load(Ordering::Acquire)) else {
            return Err(IndexError::Unwritten);
        };
        let mut indices: Vec<Option<u64>> = {
            let pending = self.pending();
            keys.iter().map(|key| pending.keys.get(key).copied()).collect()
        };
        // A key leaves memory only after it is in the store, so one that was missed above is found here.
        for (key, index) in keys.iter().zip(&mut indices) {
            if index.is_none() {
                *index = store.get(key)?;
            }
        }
        keys.iter().zip(indices).map(|(key, index)| index.map(|index| self.check(key, index)).transpose()).collect()
    }

    /// The entry at `index`, if it has this key.
    fn check(&self, key: &Hash, index: u64) -> Result<Known, IndexError> {
        let wrong = || IndexError::Wrong { index };
        let place = LeafIndex::new(index).map_err(|_| wrong())?;
        let (found, leaf_hash) = match self.identity.kind {
            LogKind::Raw => {
                let leaf_hash = self.reader.leaf_hash(place)?.ok_or_else(wrong)?;
                (leaf_hash, leaf_hash)
            }
            LogKind::Records => {
                let entry = self.reader.entry(place)?.ok_or_else(wrong)?;
                (record_key(entry.as_bytes(), index)?, entry.leaf_hash())
            }
        };
        if found == *key { Ok(Known { index: place, leaf_hash }) } else { Err(wrong()) }
    }

    fn open_and_fill(&self) -> Result<(), IndexError> {
        let store = Store::open(&self.dir, self.identity)?;
        let full = full_bundles(self.reader.signed_size());
        if let Some(filled) = store.watermark()?.filter(|filled| *filled <= full && filled % BUNDLE == 0) {
            return self.fill(&mut self.watermark(), store, filled);
        }
        // New, or of another log, or of a larger tree than this one.
        drop(store);
        store::delete(&self.dir)?;
        self.fill(&mut self.watermark(), Store::open(&self.dir, self.identity)?, 0)
    }

    /// Deletes the database and fills a new one.
    fn rebuild(&self, reason: &IndexError) -> Result<(), IndexError> {
        tracing::warn!(%reason, "the index is made again from the entries");
        // Held throughout, so that the index's thread has let go of the old database and waits for the new.
        let mut watermark = self.watermark();
        *self.store_slot() = None;
        store::delete(&self.dir)?;
        self.fill(&mut watermark, Store::open(&self.dir, self.identity)?, 0)?;
        self.broken.store(false, Ordering::Release);
        self.moved.notify_all();
        Ok(())
    }

    /// Brings every key into the database or into memory, as many into memory as may be.
    fn fill(&self, watermark: &mut u64, store: Store, filled: u64) -> Result<(), IndexError> {
        let size = self.reader.signed_size();
        *watermark = filled;
        let in_memory = self.max_pending_keys as u64 / BUNDLE * BUNDLE;
        let goal = full_bundles(size).saturating_sub(in_memory);
        let mut filled = filled;
        while filled < goal {
            filled = self.step(&store, watermark, filled, goal)?;
        }
        let mut keys = HashMap::new();
        for bundle in filled / BUNDLE..size.get().div_ceil(BUNDLE) {
            keys.extend(self.keys_of_bundle(bundle, size)?);
        }
        *self.pending() = Pending { keys, filled, goal: full_bundles(size), closed: false };
        *self.store_slot() = Some(Arc::new(store));
        Ok(())
    }

    /// Moves the keys of some entries from `filled` on, none beyond `goal`, into the database; up to which
    /// entry they are there now.
    fn step(&self, store: &Store, watermark: &mut u64, filled: u64, goal: u64) -> Result<u64, IndexError> {
        let size = self.reader.signed_size();
        let end = goal.min(filled + STEP_ENTRIES);
        let mut keys = Vec::new();
        for bundle in filled / BUNDLE..end / BUNDLE {
            keys.extend(self.keys_of_bundle(bundle, size)?);
        }
        keys.sort_unstable();
        for batch in keys.chunks(MAX_BATCH_KEYS) {
            store.insert(batch)?;
        }
        self.forget(&keys, end);
        if end - *watermark >= SYNC_ENTRIES {
            store.set_watermark(end)?;
            *watermark = end;
        }
        Ok(end)
    }

    fn forget(&self, keys: &[(Hash, u64)], filled: u64) {
        let mut pending = self.pending();
        for (key, _) in keys {
            pending.keys.remove(key);
        }
        pending.filled = filled;
        self.moved.notify_all();
    }

    /// The keys of the entries of one bundle, full or partial, of the log of `size` entries.
    fn keys_of_bundle(&self, bundle: u64, size: TreeSize) -> Result<Vec<(Hash, u64)>, IndexError> {
        let Some(id) = BundleId::for_size(bundle, size) else {
            return Ok(Vec::new());
        };
        let indices = id.first_entry()..;
        match self.identity.kind {
            LogKind::Raw => {
                let tile = self.reader.tile(&id.leaf_tile())?.unwrap_or_default();
                let (hashes, _) = tile.as_chunks::<{ Hash::LEN }>();
                Ok(hashes.iter().copied().map(Hash::from_bytes).zip(indices).collect())
            }
            LogKind::Records => {
                let bundle = self.reader.bundle(&id)?.unwrap_or_default();
                let keys = entries::split(&bundle).zip(indices).map(|(entry, index)| {
                    let entry = entry.map_err(BundleError::from)?;
                    Ok((record_key(entry.bytes(), index)?, index))
                });
                keys.collect()
            }
        }
    }

    fn store(&self) -> Option<Arc<Store>> {
        self.store_slot().clone()
    }

    fn store_slot(&self) -> MutexGuard<'_, Option<Arc<Store>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watermark(&self) -> MutexGuard<'_, u64> {
        self.watermark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go who waits for the index's thread when that panics.
struct BreakOnPanic<'a>(&'a Index);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        self.0.set_broken();
    }
}

fn record_key(entry: &[u8], index: u64) -> Result<Hash, IndexError> {
    let record = SignedRecord::parse(entry).map_err(|source| IndexError::Record { index, source })?;
    Ok(*record.record_id().hash())
}

/// How many entries are in full bundles.
fn full_bundles(size: TreeSize) -> u64 {
    size.get() / BUNDLE * BUNDLE
}

#[cfg(test)]
mod tests;
