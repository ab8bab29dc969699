//! Which entry has this key? So that the same record, or the same bytes, get the first index again, and
//! for whoever looks something up.
//!
//! The key that keeps entries from being logged twice is the record id in a log of records and the leaf hash
//! in a raw log; [`rows`] has what else entries are looked up by. Memory has the newest entries by that key,
//! the database has the older ones by all keys, and a [`filter`] of what is in the database spares it the question
//! about nearly every key that is new. A thread of its own puts the keys of all entries into database and filter,
//! reading them from the same tiles and bundles from which a start catches up, except those of the newest records, which
//! are [`waiting`] in memory; memory gives up only what is there. [`lookup`] answers readers, who may ask while everything else goes on.
//!
//! Nothing here is the truth. Every hit is checked against the entry it points at, with the whole key. A
//! database that fails, panics, points at the wrong entry, or has the keys of another tree is deleted and filled
//! again from tiles and bundles while submissions wait; deleting `index/` costs that time and nothing else. Where a
//! channel stands is never asked here: the sequencer knows. Not checked: that a key which the database does not find
//! was never in it.

mod fill;
mod filter;
mod lookup;
mod memory;
mod moving;
mod place;
mod progress;
mod recent;
mod rows;
mod runs;
mod store;
mod waiting;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use indelible_client::planted::{self, Bug};
use indelible_proto::entry_bundle::BundleError;
use indelible_proto::hash::Hash;
use indelible_proto::record::RecordError;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::TreeHead;
use tokio::sync::watch;

use crate::journal::Identity;
use crate::kind::LogKind;
use crate::storage::tiles::{BUNDLE_ENTRIES, full_bundle_entries};
use crate::tree_reader::{ReadError, TreeReader};
use filter::Filter;
use memory::Memory;
pub use place::Place;
use rows::List;
pub(crate) use rows::{Row, push_rows};
use store::Store;
pub use store::StoreError;

/// Most entries kept in memory unless told otherwise: with one more batch still what three quarters of 2^25
/// slots hold, 256 MiB.
pub(crate) const DEFAULT_MEMORY_ENTRIES: usize = (3 << 23) - (1 << 16);

/// Fewer entries in memory than this could leave nothing to give up, more would not fit [`Memory`].
pub(crate) const MEMORY_ENTRIES: RangeInclusive<u64> = 2 * BUNDLE_ENTRIES..=1 << 26;

/// So long a reader waits for the index to be opened before told to come back: that of a small log is in less.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a key can't be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database is being opened.
    #[error("the index is being opened")]
    Opening,
    /// The log is being closed.
    #[error("the index was closed before it had every entry")]
    Closed,
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
            Self::Opening | Self::Closed => "index-opening",
            Self::Store(_) | Self::Unwritten => "index-store",
            Self::Wrong { .. } => "index-wrong",
            Self::Read(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Record { source, .. } => source.code(),
        }
    }

    /// Whether it may be gone when one asks again.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Opening | Self::Closed) || self.is_of_database()
    }

    /// Whether only the database is at fault, so that making it again helps.
    pub(crate) fn is_of_database(&self) -> bool {
        match self {
            Self::Store(_) | Self::Unwritten | Self::Wrong { .. } => true,
            Self::Opening | Self::Closed | Self::Read(_) | Self::Bundle(_) | Self::Record { .. } => false,
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
    place: Place,
    identity: Identity,
    reader: Arc<TreeReader>,
    memory_entries: u64,
    /// Those who look something up hold this until they are done: what has gone missing from a database
    /// that is being deleted must not pass for what is not in the log, and nothing may be written to a
    /// directory that has been given to a new one.
    store: RwLock<Option<Arc<Store>>>,
    /// Held while keys are put into the store. Up to which entry the store says that it has them.
    watermark: Mutex<u64>,
    memory: Mutex<Memory>,
    /// Whether it is ready, or can't be made ready by itself.
    opened: watch::Sender<bool>,
    /// Of the keys in the database.
    filter: RwLock<Filter>,
    /// Signalled when keys were moved, when there are more to move, and when moving ends.
    moved: Condvar,
    /// The database can't be used. The index's thread makes it again, or whoever adds, who can't go on before.
    broken: AtomicBool,
    /// The index's thread could not make it again.
    given_up: AtomicBool,
}

impl Index {
    /// The index there; nothing is known before [`Index::open`].
    pub(crate) fn new(
        place: Place,
        identity: Identity,
        reader: Arc<TreeReader>,
        memory_entries: usize,
    ) -> Self {
        Self {
            place,
            identity,
            reader,
            memory_entries: (memory_entries as u64).clamp(*MEMORY_ENTRIES.start(), *MEMORY_ENTRIES.end()),
            store: RwLock::new(None),
            watermark: Mutex::default(),
            memory: Mutex::new(Memory::from(0, 0, 0)),
            opened: watch::Sender::new(false),
            filter: RwLock::default(),
            moved: Condvar::new(),
            broken: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
    }

    /// Opens the database, or makes it, and catches up with the tree: every entry's key is in the database or in
    /// memory when the call returns. Who adds meanwhile waits; readers are told to ask again.
    pub(crate) fn open(&self) -> Result<(), IndexError> {
        let begun = Instant::now();
        let mut opened = self.open_and_fill();
        if let Err(error @ IndexError::Store(_)) = opened {
            self.set_broken();
            opened = self.rebuild(&error);
        }
        if opened.is_err() {
            self.set_broken();
        }
        self.set_opened();
        let (took_ms, in_memory) = (begun.elapsed().as_millis(), self.memory().recent.len());
        tracing::info!(took_ms, in_memory, "the index has caught up");
        opened
    }

    /// The entry with each key, in order, as far as there is one: the first of them, if an imported log has some again.
    pub(crate) fn find(&self, keys: &[Hash]) -> Result<Vec<Option<Known>>, IndexError> {
        let opening = |_: &mut Memory| !self.is_opened();
        drop(self.moved.wait_while(self.memory(), opening).unwrap_or_else(PoisonError::into_inner));
        match self.look_up(keys) {
            Err(error) if error.is_of_database() => {
                self.rebuild(&error)?;
                self.look_up(keys)
            }
            found => found,
        }
    }

    /// Takes the rows of entries that have just been added to the tree, which now has `size` entries.
    pub(crate) fn add(&self, rows: &[Row], size: TreeSize) {
        let mut memory = self.memory();
        memory.make_room(self.memory_entries);
        memory.insert(rows.iter());
        if self.identity.kind == LogKind::Records {
            memory.waiting.extend(rows.iter(), size.get());
        }
        memory.size = memory.size.max(size);
        memory.added = Some(Instant::now());
        let goal = full_bundle_entries(size);
        // Keys are moved by whole bundles: woken for less, the index's thread would only look and sleep again.
        if goal > memory.goal {
            memory.goal = goal;
            self.moved.notify_all();
        }
    }

    /// Waits until memory can take more entries, or the database has failed.
    pub(crate) fn wait_for_room(&self) {
        let full = |memory: &mut Memory| !memory.has_room(self.memory_entries) && !self.is_broken();
        drop(self.moved.wait_while(self.memory(), full).unwrap_or_else(PoisonError::into_inner));
    }

    /// Opens the index, then puts keys into the database until [`Index::close`]: the work of the index's thread.
    pub(crate) fn open_and_keep_moving(&self) -> Result<(), IndexError> {
        let guard = BreakOnPanic(self);
        let opened = self.open();
        if opened.is_ok() {
            self.keep_moving();
        }
        std::mem::forget(guard);
        match opened {
            Err(IndexError::Closed) => Ok(()),
            opened => opened,
        }
    }

    /// Waits until readers can be answered, but not long.
    pub(crate) async fn wait_until_opened(&self) {
        let mut opened = self.opened.subscribe();
        // What it has become is looked at by whoever then asks.
        let _ = tokio::time::timeout(PATIENCE, opened.wait_for(|opened| *opened)).await;
    }

    fn is_opened(&self) -> bool {
        *self.opened.borrow()
    }

    fn set_opened(&self) {
        // Under the lock of those who wait, or one that has just looked would not be woken.
        let memory = self.memory();
        self.opened.send_replace(true);
        drop(memory);
        self.moved.notify_all();
    }

    fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
        // Under the lock of those who wait, or one that has just looked would not be woken.
        drop(self.memory());
        self.moved.notify_all();
    }

    fn set_mended(&self) {
        self.given_up.store(false, Ordering::Release);
        self.broken.store(false, Ordering::Release);
        // As above.
        drop(self.memory());
        self.moved.notify_all();
    }

    /// Ends [`Index::open_and_keep_moving`].
    pub(crate) fn close(&self) {
        self.memory().closed = true;
        self.moved.notify_all();
    }

    /// What is found with the help of the database, which is broken from then on if the error is its own.
    fn with_store<T>(&self, look: impl FnOnce(&Store) -> Result<T, IndexError>) -> Result<T, IndexError> {
        // Held to the end: see the field.
        let guard = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = guard.as_ref().filter(|_| !self.is_broken()) else {
            return Err(IndexError::Unwritten);
        };
        let found = look(store);
        // Said before the database is given up, so that it is not taken for the one that is made next.
        if let Err(error) = &found
            && error.is_of_database()
        {
            tracing::warn!(%error, "a look-up failed, the index will be made again");
            self.set_broken();
        }
        found
    }

    fn look_up(&self, keys: &[Hash]) -> Result<Vec<Option<Known>>, IndexError> {
        self.with_store(|store| self.look_up_in(store, keys))
    }

    fn look_up_in(&self, store: &Store, keys: &[Hash]) -> Result<Vec<Option<Known>>, IndexError> {
        // Whoever asks is the one who adds, so nothing is given up between these two.
        let Candidates { indices, first, filtered, .. } = self.candidates(keys);
        let mut found = vec![None; keys.len()];
        for (at, index) in indices {
            if found[at].is_none() {
                found[at] = self.entry_with(&keys[at], index)?;
            }
        }
        if first > 0 {
            // Also for what memory has: an imported log may have entries again, and the first of them may be older
            // than all that is in memory.
            let filter = self.filter.read().unwrap_or_else(PoisonError::into_inner);
            for (key, found) in keys.iter().zip(&mut found) {
                if filtered == 0 && !filter.may_have(key) {
                    continue;
                }
                let Some(index) = store.get(List::Once, key)? else { continue };
                if let Some(trusted) = trusted(key, index) {
                    *found = Some(trusted);
                } else if found.is_none_or(|found: Known| index < found.index.get()) {
                    *found = Some(self.entry_with(key, index)?.ok_or(IndexError::Wrong { index })?);
                }
            }
        }
        Ok(found)
    }

    fn candidates(&self, keys: &[Hash]) -> Candidates {
        let memory = self.memory();
        let all = keys.iter().enumerate();
        let indices = all.flat_map(|(at, key)| memory.recent.candidates(key).map(move |index| (at, index)));
        let mut indices: Vec<_> = indices.collect();
        indices.sort_unstable();
        Candidates { indices, first: memory.first, filtered: memory.filtered, size: memory.size }
    }

    /// The entry at `index`, if there is one and it has this key.
    fn entry_with(&self, key: &Hash, index: u64) -> Result<Option<Known>, IndexError> {
        let Ok(place) = LeafIndex::new(index) else {
            return Ok(None);
        };
        let found = match self.identity.kind {
            LogKind::Raw => self.reader.leaf_hash(place)?.map(|leaf_hash| (leaf_hash, leaf_hash)),
            LogKind::Records => match self.reader.entry(place)? {
                Some(entry) => rows::record_id(entry.as_bytes()).map(|id| (id, entry.leaf_hash())),
                None => None,
            },
        };
        let known = found.filter(|(found, _)| found == key);
        Ok(known.map(|(_, leaf_hash)| Known { index: place, leaf_hash }))
    }

    fn store(&self) -> Option<Arc<Store>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_store(&self, store: Option<Arc<Store>>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn watermark(&self) -> MutexGuard<'_, u64> {
        self.watermark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What memory knows of some keys.
struct Candidates {
    /// The entries that may have these keys, by the position of the key, then in the order of the log.
    indices: Vec<(usize, u64)>,
    /// From this entry on all are in memory.
    first: u64,
    /// From this entry on all that are in the database are in the filter.
    filtered: u64,
    /// Up to this one all are in memory or in the database.
    size: TreeSize,
}

/// What the database of an index has, as a start finds it.
#[derive(Debug)]
pub struct Stored {
    /// The tree of which it says that it has every key; `None` if it is new.
    pub noted: Option<TreeHead>,
    /// The keys that keep entries from being logged twice, and the indices of their entries, in order.
    pub keys: Vec<(Hash, u64)>,
}

/// Reads all of the database there, and makes none again.
///
/// # Errors
/// If any of it is not as it was written.
pub(crate) fn look(place: &Place, identity: Identity) -> Result<Stored, StoreError> {
    let store = Store::open(place, identity)?;
    let rows = store.rows()?.into_iter().filter(|row| row.list == List::Once);
    let mut keys: Vec<_> = rows.map(|row| (row.key, row.index)).collect();
    keys.sort_unstable();
    Ok(Stored { noted: store.watermark(), keys })
}

/// Lets go who waits for the index's thread when that panics.
struct BreakOnPanic<'a>(&'a Index);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        self.0.set_opened();
        self.0.set_broken();
    }
}

/// What the database says, where a process has the bug to believe it.
fn trusted(key: &Hash, index: u64) -> Option<Known> {
    let known = || Some(Known { index: LeafIndex::new(index).ok()?, leaf_hash: *key });
    if planted::has(Bug::TrustIndex) { known() } else { None }
}

/// Puts keys into the database there that point where they are told to.
#[cfg(test)]
pub(crate) fn plant_rows(place: &Place, identity: Identity, keys: &[(Hash, u64)]) {
    let store = Store::open(place, identity).unwrap();
    let watermark = store.watermark().expect("there are keys in the database");
    let row = |(key, index): &(Hash, u64)| Row { list: List::Once, key: *key, index: *index };
    let mut rows: Vec<_> = keys.iter().map(row).collect();
    rows.sort_unstable();
    store.insert(&rows).unwrap();
    store.set_watermark(&watermark).unwrap();
}

#[cfg(test)]
mod tests;
