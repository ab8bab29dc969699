//! Looking entries up, for readers: while entries are added, moved, and the database is made again.
//!
//! The answer says up to which entry was looked. Everything before the database's watermark is there; the
//! entries after it are read into the *tail*, which is bounded: while the database is further behind than
//! that, the newest entries are not looked at. Each hit is checked against the entry's own bytes. An index
//! that points to an entry without the key is broken and made again, and the reader is asked to come back.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::Hash;
use indelible_proto::log_api::LookupKey;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::{LeafIndex, TreeSize};

use super::rows::{List, Row, has, list_of};
use super::store::Store;
use super::{Index, IndexError};
use crate::kind::LogKind;
use crate::storage::tiles::BUNDLE_ENTRIES;

/// Most entries in the tail: what comes in while one step is moved. 13 MB of rows if every record names as
/// many digests as it can.
const TAIL_ENTRIES: u64 = 4 * BUNDLE_ENTRIES;

/// Entries that have what was looked up.
#[derive(Debug)]
pub(crate) struct Places {
    /// In the order of the log; the record of each, in a log of records.
    pub(crate) found: Vec<(LeafIndex, Option<SignedRecord>)>,
    /// From where on there are more, if there are more than were asked for.
    pub(crate) next: Option<LeafIndex>,
    /// Up to which entry was looked.
    pub(crate) size: TreeSize,
}

/// The rows of the entries that the database does not have yet.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Its first entry, and the one after its last.
    first: u64,
    end: u64,
    rows: BTreeSet<Row>,
}

impl Index {
    /// The entries from index `from` on that have what is wanted, at most `max` of them.
    ///
    /// # Errors
    /// [`IndexError::is_of_database`] while the database is made again; the caller may ask again later.
    pub(crate) fn places(
        &self,
        wanted: &LookupKey,
        from: LeafIndex,
        max: usize,
    ) -> Result<Places, IndexError> {
        let places = self.look_for(wanted, from, max);
        if let Err(error) = &places
            && error.is_of_database()
            && !self.is_broken()
        {
            tracing::warn!(%error, "a look-up failed, the index will be made again");
            self.set_broken();
        }
        places
    }

    fn look_for(&self, wanted: &LookupKey, from: LeafIndex, max: usize) -> Result<Places, IndexError> {
        // Held to the end: see the field.
        let guard = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = guard.as_ref().filter(|_| !self.is_broken()) else {
            return Err(IndexError::Unwritten);
        };
        let (list, key) = (list_of(wanted, self.identity.kind), wanted.hash());
        // One more than asked for tells whether there are more.
        let limit = max.saturating_add(1);
        // First the tail: what is moved to the database meanwhile is then in both, not in neither.
        let (mut indices, size) = self.newest(list, key, from.get(), limit)?;
        indices.extend(
            stored(store, list, key, from.get(), limit)?.iter().filter(|index| **index >= from.get()),
        );
        let indices: Vec<u64> = indices.into_iter().take(limit).collect();
        let next = indices.get(max).copied().and_then(|index| LeafIndex::new(index).ok());
        let found = indices.into_iter().take(max).map(|index| self.checked(wanted, index));
        Ok(Places { found: found.collect::<Result<_, _>>()?, next, size })
    }

    /// The entry at `index`, which must be what was looked up.
    fn checked(
        &self,
        wanted: &LookupKey,
        index: u64,
    ) -> Result<(LeafIndex, Option<SignedRecord>), IndexError> {
        let wrong = || IndexError::Wrong { index };
        let place = LeafIndex::new(index).map_err(|_| wrong())?;
        if self.identity.kind == LogKind::Raw {
            let leaf = self.reader.leaf_hash(place)?;
            return match wanted {
                LookupKey::Leaf(hash) if leaf == Some(*hash) => Ok((place, None)),
                _ => Err(wrong()),
            };
        }
        let entry: Entry = self.reader.entry(place)?.ok_or_else(wrong)?;
        let record =
            SignedRecord::parse(entry.as_bytes()).map_err(|source| IndexError::Record { index, source })?;
        match has(&record, &entry.leaf_hash(), wanted) {
            true => Ok((place, Some(record))),
            false => Err(wrong()),
        }
    }

    /// The entries that the database does not have, from index `from` on, and up to which entry they were
    /// looked at.
    fn newest(
        &self,
        list: List,
        key: &Hash,
        from: u64,
        limit: usize,
    ) -> Result<(BTreeSet<u64>, TreeSize), IndexError> {
        let size = self.reader.signed_size();
        if list == List::Once {
            // Memory has all of them. An entry of a tree that is shown but whose keys are not yet added
            // is not found; nobody has been told of it.
            let candidates = self.candidates(std::slice::from_ref(key));
            let mut found = BTreeSet::new();
            for (_, index) in candidates.indices {
                if self.entry_with(key, index)?.is_some() {
                    found.insert(index);
                }
            }
            return Ok((found, size));
        }
        let filled = self.memory().filled;
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if filled < tail.first || filled > tail.end {
            *tail = Tail { first: filled, end: filled, rows: BTreeSet::new() };
        }
        tail.rows.retain(|row| row.index >= filled);
        tail.first = filled;
        let end = size.get().min(filled + TAIL_ENTRIES);
        while tail.end < end {
            let bundle = tail.end / BUNDLE_ENTRIES;
            let (begin, end) = (tail.end, end.min((bundle + 1) * BUNDLE_ENTRIES));
            let rows = self.rows_of_bundle(bundle, size)?;
            tail.rows.extend(rows.into_iter().filter(|row| (begin..end).contains(&row.index)));
            tail.end = end;
        }
        let row = |index| Row { list, key: *key, index };
        let found = tail.rows.range(row(from)..=row(u64::MAX)).map(|row| row.index).take(limit).collect();
        let looked_at = TreeSize::new(tail.end.max(filled).min(size.get())).unwrap_or(size);
        Ok((found, looked_at))
    }
}

fn stored(store: &Store, list: List, key: &Hash, from: u64, limit: usize) -> Result<Vec<u64>, IndexError> {
    Ok(match list {
        List::Once => store.get(key)?.into_iter().collect(),
        List::Leaf => store.get_leaf(key)?.into_iter().collect(),
        List::Artifact => store.artifact(key, from, limit)?,
    })
}
