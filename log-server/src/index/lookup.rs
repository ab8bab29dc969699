//! Looking entries up, for readers: while entries are added, moved, and the database is made again.
//!
//! The answer says up to which entry was looked. What is not in the database is [`super::waiting`] in memory; while a
//! database is filled that is further behind, the entries that it does not have are not looked at. Each hit is checked against the entry's own bytes. An index
//! that points to an entry without the key is broken and made again, and the reader is asked to come back.

use std::collections::BTreeSet;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::Hash;
use indelible_proto::log_api::LookupKey;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::{LeafIndex, TreeSize};

use super::rows::{List, has, list_of};
use super::store::Store;
use super::{Index, IndexError};
use crate::kind::LogKind;

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

impl Index {
    /// The entries from index `from` on that have what is wanted, at most `max` of them.
    ///
    /// # Errors
    /// [`IndexError::is_of_database`] while the database is made again, [`IndexError::Opening`] while it is opened;
    /// the caller may ask again later.
    pub(crate) fn places(
        &self,
        wanted: &LookupKey,
        from: LeafIndex,
        max: usize,
    ) -> Result<Places, IndexError> {
        if !self.is_opened() {
            return Err(IndexError::Opening);
        }
        self.with_store(|store| self.look_for(store, wanted, from, max))
    }

    fn look_for(
        &self,
        store: &Store,
        wanted: &LookupKey,
        from: LeafIndex,
        max: usize,
    ) -> Result<Places, IndexError> {
        let (list, key) = (list_of(wanted, self.identity.kind), wanted.hash());
        // One more than asked for tells whether there are more.
        let limit = max.saturating_add(1);
        // First memory: what is moved to the database meanwhile is then in both, not in neither.
        let (mut indices, size) = self.newest(list, key, from.get(), limit)?;
        indices.extend(store.all(list, key, from.get(), limit)?);
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
        if list == List::Once {
            // Memory has all that the database has not.
            let candidates = self.candidates(std::slice::from_ref(key));
            let mut found = BTreeSet::new();
            for (_, index) in candidates.indices.into_iter().filter(|(_, index)| *index >= from) {
                if found.len() >= limit {
                    break;
                }
                if self.entry_with(key, index)?.is_some() {
                    found.insert(index);
                }
            }
            return Ok((found, candidates.size));
        }
        let memory = self.memory();
        let (found, looked_at) = match memory.waiting.first() > memory.filled {
            true => (BTreeSet::new(), memory.filled),
            false => {
                let found = memory.waiting.find(list, key, from).into_iter().take(limit);
                (found.collect(), memory.waiting.end())
            }
        };
        // What is in memory is shown before it is put there.
        let shown = self.reader.signed_size();
        Ok((found, TreeSize::new(looked_at).map_or(shown, |size| size.min(shown))))
    }
}
