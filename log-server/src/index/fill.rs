//! Filling the database and memory from tiles and bundles, at start and after damage.

use std::sync::{Arc, PoisonError, RwLockWriteGuard};

use indelible_client::planted::{self, Bug};
use indelible_proto::entry_bundle::BundleError;
use indelible_proto::hash::Hash;
use indelible_proto::size::TreeSize;
use indelible_proto::tile::BundleId;
use indelible_proto::tree::TreeHead;

use super::filter::Filter;
use super::memory::Memory;
use super::moving::STEP_ENTRIES;
use super::progress::Progress;
use super::rows::{List, Row, record_id, rows_of_record};
use super::store::{self, Store};
use super::waiting::STEP_ROWS;
use super::{Index, IndexError};
use crate::kind::LogKind;
use crate::storage::entries::{self, EncodedEntry};
use crate::storage::tiles::{BUNDLE_ENTRIES, full_bundle_entries};

/// After how many entries the database is synced while it catches up.
const SYNC_ENTRIES: u64 = STEP_ENTRIES;
/// How many rows are put into the filter at once.
const FILTERED_ROWS: usize = 1024;
/// How many entries are put into the filter after a start before anything else is looked at.
const FILTERED_ENTRIES: u64 = 16 * BUNDLE_ENTRIES;

impl Index {
    pub(super) fn open_and_fill(&self) -> Result<(), IndexError> {
        let store = Store::open(&self.place, self.identity)?;
        if let Some(watermark) = store.watermark()
            && self.is_part(&watermark)?
        {
            return self.fill(&mut self.watermark(), store, watermark.size.get());
        }
        // New, or of another log, of another history of this one, or of a larger tree.
        drop(store);
        store::delete(&self.place)?;
        self.fill(&mut self.watermark(), Store::open(&self.place, self.identity)?, 0)
    }

    /// Whether the log began with these entries, all in full bundles. What a database of other entries lacks would
    /// pass for what is not in the log.
    fn is_part(&self, watermark: &TreeHead) -> Result<bool, IndexError> {
        let (filled, full) = (watermark.size.get(), full_bundle_entries(self.reader.signed_size()));
        let possible = filled <= full && filled % BUNDLE_ENTRIES == 0;
        let believed = planted::has(Bug::TrustIndex);
        Ok(possible && (believed || self.reader.head(watermark.size)? == *watermark))
    }

    /// Notes in the database that it has the keys of the entries before `end`.
    pub(super) fn note(&self, store: &Store, end: u64) -> Result<(), IndexError> {
        let size = TreeSize::new(end).unwrap_or_default();
        Ok(store.set_watermark(&self.reader.head(size)?)?)
    }

    /// Deletes the database that was found broken and fills a new one, unless somebody else has just done it.
    pub(super) fn rebuild(&self, reason: &IndexError) -> Result<(), IndexError> {
        // Held throughout, so that nobody fills the old database and two do not make a new one.
        let mut watermark = self.watermark();
        if !self.is_broken() {
            return Ok(());
        }
        tracing::warn!(%reason, "the index is made again from the entries");
        // Waits for those who still look something up.
        self.set_store(None);
        store::delete(&self.place)?;
        self.fill(&mut watermark, Store::open(&self.place, self.identity)?, 0)?;
        self.set_mended();
        Ok(())
    }

    /// Brings every key into the database or into memory, as many into memory as may be. Entries may be added
    /// meanwhile.
    fn fill(&self, watermark: &mut u64, store: Store, filled: u64) -> Result<(), IndexError> {
        let size = self.reader.signed_size();
        *watermark = filled;
        *self.filter_mut() = Filter::default();
        let goal =
            full_bundle_entries(size).saturating_sub(self.memory_entries / BUNDLE_ENTRIES * BUNDLE_ENTRIES);
        let progress = Progress::of(filled, size.get());
        let (filtered, mut filled) = (filled, filled);
        while filled < goal {
            self.check_wanted()?;
            filled = self.step(&store, watermark, filled, goal)?;
            progress.reached(filled);
        }
        // Records are parsed for their rows: of no more than one step before anybody can go on.
        let waiting = filled.max(full_bundle_entries(size).saturating_sub(STEP_ENTRIES));
        let mut memory = Memory::from(filled, waiting, full_bundle_entries(size));
        self.remember(&mut memory, filled, size, &progress, || self.check_wanted())?;
        let mut current = self.memory();
        // What was added since is not in the new memory; what is being added waits for the lock, or is in the
        // tree already and comes once more, which does no harm.
        let grown = self.reader.signed_size();
        self.remember(&mut memory, size.get(), grown, &progress, || Ok(()))?;
        memory.goal = full_bundle_entries(grown);
        memory.size = grown;
        memory.filtered = filtered;
        memory.closed = current.closed;
        *current = memory;
        drop(current);
        self.set_store(Some(Arc::new(store)));
        Ok(())
    }

    /// # Errors
    /// If the log has been closed: nobody will ask it anything.
    fn check_wanted(&self) -> Result<(), IndexError> {
        if self.memory().closed { Err(IndexError::Closed) } else { Ok(()) }
    }

    /// Puts the entries from `first` on, of the log of `size` entries, into memory.
    fn remember(
        &self,
        memory: &mut Memory,
        first: u64,
        size: TreeSize,
        progress: &Progress,
        check_wanted: impl Fn() -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        for bundle in first / BUNDLE_ENTRIES..size.get().div_ceil(BUNDLE_ENTRIES) {
            check_wanted()?;
            let end = size.get().min((bundle + 1) * BUNDLE_ENTRIES);
            let rows = match end > memory.waiting.first() {
                true => self.rows_of_bundle(bundle, size)?,
                false => self.keys_of_bundle(bundle, size)?,
            };
            memory.insert(rows.iter().filter(|row| row.index >= first));
            if self.identity.kind == LogKind::Records && end > memory.waiting.first() {
                memory.waiting.extend(rows.iter(), end);
            }
            progress.reached(end);
        }
        Ok(())
    }

    /// Moves the rows of some entries from `filled` on, none beyond `goal`, into the database; up to which
    /// entry they are there now.
    pub(super) fn step(
        &self,
        store: &Store,
        watermark: &mut u64,
        filled: u64,
        goal: u64,
    ) -> Result<u64, IndexError> {
        let size = self.reader.signed_size();
        let last = goal.min(filled + self.step_entries());
        let (mut end, mut rows) = (filled, self.waiting_rows(filled, last));
        if rows.is_empty() {
            // The row limit is for records, which may name 256 digests each: an entry of a raw log has one row.
            let max_rows = STEP_ROWS.max(usize::try_from(self.step_entries()).unwrap_or(STEP_ROWS));
            while end < last && rows.len() < max_rows {
                rows.extend(self.rows_of_bundle(end / BUNDLE_ENTRIES, size)?);
                end += BUNDLE_ENTRIES;
            }
        } else {
            end = last;
        }
        rows.sort_unstable();
        for some in rows.chunks(FILTERED_ROWS) {
            // Not all at once: who looks something up waits for it.
            self.filter_mut().extend(keys(some));
        }
        store.insert(&rows)?;
        let is_merged = store.merge(|| !self.memory().closed)?;
        // What was merged is deleted with the next note.
        if is_merged || end - *watermark >= SYNC_ENTRIES {
            self.note(store, end)?;
            *watermark = end;
        }
        Ok(end)
    }

    /// Puts the keys of some entries that were in the database before it was opened into the filter, the newest first.
    pub(super) fn filter_some(&self) -> Result<(), IndexError> {
        let end = self.memory().filtered;
        let start = end.saturating_sub(FILTERED_ENTRIES);
        let size = self.reader.signed_size();
        for bundle in start / BUNDLE_ENTRIES..end / BUNDLE_ENTRIES {
            let rows = self.keys_of_bundle(bundle, size)?;
            self.filter_mut().extend(keys(&rows));
        }
        let mut memory = self.memory();
        // Or it was made again meanwhile, from the start.
        if memory.filtered == end {
            memory.filtered = start;
        }
        Ok(())
    }

    fn filter_mut(&self) -> RwLockWriteGuard<'_, Filter> {
        self.filter.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of the entries from `first` to the one before `end`, if all of them are in memory.
    fn waiting_rows(&self, first: u64, end: u64) -> Vec<Row> {
        let waiting = &self.memory().waiting;
        if waiting.first() == first && end <= waiting.end() { waiting.before(end) } else { Vec::new() }
    }

    /// The rows of the entries of one bundle, full or partial, of the log of `size` entries.
    pub(super) fn rows_of_bundle(&self, bundle: u64, size: TreeSize) -> Result<Vec<Row>, IndexError> {
        if self.identity.kind == LogKind::Raw {
            return self.keys_of_bundle(bundle, size);
        }
        let mut rows = Vec::new();
        for (entry, index) in self.records_of_bundle(bundle, size)? {
            rows.extend(rows_of_record(entry.bytes(), index)?);
        }
        Ok(rows)
    }

    /// Of these rows those that keep the entries from being logged twice; no record is parsed for them.
    fn keys_of_bundle(&self, bundle: u64, size: TreeSize) -> Result<Vec<Row>, IndexError> {
        let row = |(key, index)| Row { list: List::Once, key, index };
        if self.identity.kind == LogKind::Records {
            // What is no record is not in the database either.
            let records = self.records_of_bundle(bundle, size)?.into_iter();
            let ids = records.filter_map(|(entry, index)| Some((record_id(entry.bytes())?, index)));
            return Ok(ids.map(row).collect());
        }
        let Some(id) = BundleId::for_size(bundle, size) else {
            return Ok(Vec::new());
        };
        let tile = self.reader.tile(&id.leaf_tile())?.unwrap_or_default();
        let (hashes, _) = tile.as_chunks::<{ Hash::LEN }>();
        Ok(hashes.iter().copied().map(Hash::from_bytes).zip(id.first_entry()..).map(row).collect())
    }

    /// The entries of one bundle and their indices.
    fn records_of_bundle(&self, bundle: u64, size: TreeSize) -> Result<Vec<(EncodedEntry, u64)>, IndexError> {
        let Some(id) = BundleId::for_size(bundle, size) else {
            return Ok(Vec::new());
        };
        let bundle = self.reader.bundle(&id)?.unwrap_or_default();
        let entries = entries::split(&bundle).zip(id.first_entry()..);
        entries.map(|(entry, index)| Ok((entry.map_err(BundleError::from)?, index))).collect()
    }
}

/// What keeps these entries from being logged twice.
fn keys(rows: &[Row]) -> impl Iterator<Item = &Hash> {
    rows.iter().filter(|row| row.list == List::Once).map(|row| &row.key)
}
