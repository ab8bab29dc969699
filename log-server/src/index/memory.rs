//! What the index has in memory, and how far the database is.

use std::time::{Duration, Instant};

use indelible_proto::size::TreeSize;

use super::recent::Recent;
use super::rows::{List, Row};
use super::waiting::Waiting;
use crate::storage::tiles::BUNDLE_ENTRIES;

/// The newest entries, and what is to be done for the database.
#[derive(Debug)]
pub(super) struct Memory {
    /// The entries from `first` on, which is a multiple of 256.
    pub(super) recent: Recent,
    pub(super) first: u64,
    /// Up to which entry keys are in the store; a multiple of 256, and at least `first`.
    pub(super) filled: u64,
    /// In a log of records: all rows of the newest entries, as many as the store does not have.
    pub(super) waiting: Waiting,
    /// Up to which entry every key is here or in the store. The tree may be shown up to a later one.
    pub(super) size: TreeSize,
    /// Up to which entry keys can be moved there; a multiple of 256.
    pub(super) goal: u64,
    /// The filter has the keys of the entries from this one to `filled`; a multiple of 256.
    pub(super) filtered: u64,
    /// When entries were last added.
    pub(super) added: Option<Instant>,
    pub(super) closed: bool,
}

impl Memory {
    /// Of a log of which the store has the first `filled` entries, without any entry yet. All rows are kept of
    /// those from `waiting` on.
    pub(super) fn from(filled: u64, waiting: u64, goal: u64) -> Self {
        Self {
            recent: Recent::around(filled),
            first: filled,
            filled,
            waiting: Waiting::from(waiting),
            size: TreeSize::ZERO,
            goal,
            filtered: filled,
            added: None,
            closed: false,
        }
    }

    /// Whether more entries can be taken: there is room, or enough of the old ones can be given up that it is
    /// worth to go through all of them.
    pub(super) fn has_room(&self, max: u64) -> bool {
        let has_room = (self.recent.len() as u64) < max || self.filled - self.first >= max / 4;
        has_room && self.waiting.has_room()
    }

    /// How long nothing has been added.
    pub(super) fn quiet_for(&self) -> Duration {
        self.added.map_or(Duration::MAX, |added| added.elapsed())
    }

    /// Adds what keeps entries from being logged twice.
    pub(super) fn insert<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        for row in rows.filter(|row| row.list == List::Once) {
            self.recent.insert(&row.key, row.index);
        }
    }

    /// Notes that the store has the entries before `filled`.
    pub(super) fn moved(&mut self, filled: u64) {
        self.filled = filled;
        self.waiting.forget(filled);
    }

    /// Gives up old entries if there is no room; never more than half of what may be held.
    pub(super) fn make_room(&mut self, max: u64) {
        if (self.recent.len() as u64) < max {
            return;
        }
        self.first = self.filled.min(self.first + max / 2 / BUNDLE_ENTRIES * BUNDLE_ENTRIES);
        self.recent.retain_from(self.first);
    }
}
