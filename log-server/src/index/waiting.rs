//! The rows of the newest records, until the database has them: so that nobody has to read and parse a record again
//! for them, and readers find it.
//!
//! Only of records. What a raw log looks up by is in the leaf tiles.

use std::collections::{HashMap, VecDeque};

use indelible_proto::hash::Hash;

use super::rows::{List, Row};

/// At this many rows they are moved to the database, in the order of their keys: the more are moved in one go, the
/// more of them are neighbours there, and the less each costs. 13 MB.
pub(super) const STEP_ROWS: usize = 3 << 16;
/// At this many, sequencing waits for the database. 50 MB, and those of one more batch: a batch has 4 MiB of entries
/// and a row for each 64 bytes of them at most.
const MAX_ROWS: usize = 4 * STEP_ROWS;

/// Rows in the order of the log.
#[derive(Debug)]
pub(super) struct Waiting {
    /// From this entry on all rows are here, up to the one before `end`.
    first: u64,
    end: u64,
    rows: VecDeque<Kept>,
    /// How many rows were given up: rows are numbered, from the first that was ever here.
    given_up: u64,
    /// The number of the newest row of each key; of those that memory knows anyway there are none.
    newest: HashMap<Hash, u64>,
}

#[derive(Debug)]
struct Kept {
    row: Row,
    /// The number of the row before it of the same key. Many records may name one artifact.
    before: Option<u64>,
}

impl Waiting {
    /// For rows of the entries from `first` on, without any yet.
    pub(super) fn from(first: u64) -> Self {
        Self { first, end: first, rows: VecDeque::new(), given_up: 0, newest: HashMap::new() }
    }

    /// The first entry whose rows are here, or will be.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The entry after the last.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether it is time to move them.
    pub(super) fn is_step(&self) -> bool {
        self.rows.len() >= STEP_ROWS
    }

    /// Whether more can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.rows.len() < MAX_ROWS
    }

    /// Adds the rows of entries that follow those that are here, up to the one before `end`. Rows that are here
    /// already, and rows of entries before the first, are left out.
    pub(super) fn extend<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, end: u64) {
        for row in rows.filter(|row| row.index >= self.end) {
            let number = self.given_up + self.rows.len() as u64;
            let before = match row.list {
                List::Once => None,
                List::Leaf | List::Artifact => self.newest.insert(row.key, number),
            };
            self.rows.push_back(Kept { row: *row, before });
        }
        self.end = self.end.max(end);
    }

    /// The rows of the entries before `end`.
    pub(super) fn before(&self, end: u64) -> Vec<Row> {
        self.rows.range(..self.position(end)).map(|kept| kept.row).collect()
    }

    /// Gives up the rows of the entries before `end`, which the database has.
    pub(super) fn forget(&mut self, end: u64) {
        let rows = self.position(end);
        self.rows.drain(..rows);
        self.given_up += rows as u64;
        self.newest.retain(|_, number| *number >= self.given_up);
        self.first = self.first.max(end);
        self.end = self.end.max(end);
    }

    /// The entries from `from` on with this row, in order.
    pub(super) fn find(&self, list: List, key: &Hash, from: u64) -> Vec<u64> {
        let kept = |number: u64| self.rows.get(usize::try_from(number.checked_sub(self.given_up)?).ok()?);
        let newest = self.newest.get(key).copied().and_then(kept);
        let of_key = std::iter::successors(newest, |row| row.before.and_then(kept));
        let of_key = of_key.take_while(|kept| kept.row.index >= from).filter(|kept| kept.row.list == list);
        let mut found: Vec<u64> = of_key.map(|kept| kept.row.index).collect();
        found.reverse();
        found
    }

    /// Where the rows of an entry begin, or would.
    fn position(&self, index: u64) -> usize {
        self.rows.partition_point(|kept| kept.row.index < index)
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::sha256;

    use super::*;

    const ARTIFACT: &[u8] = b"an artifact of all of them";

    /// The rows of entry `index`.
    fn rows(index: u64) -> [Row; 3] {
        let row = |list, key| Row { list, key, index };
        [
            row(List::Once, sha256(&index.to_be_bytes())),
            row(List::Leaf, sha256(&[&index.to_be_bytes()[..], b"leaf"].concat())),
            row(List::Artifact, sha256(ARTIFACT)),
        ]
    }

    fn waiting(entries: std::ops::Range<u64>) -> Waiting {
        let mut waiting = Waiting::from(entries.start);
        for index in entries {
            waiting.extend(rows(index).iter(), index + 1);
        }
        waiting
    }

    #[test]
    fn what_was_added_is_found_until_it_is_given_up() {
        let mut waiting = waiting(512..1000);
        assert_eq!((waiting.first(), waiting.end()), (512, 1000));
        let leaf = |index| rows(index)[1].key;
        assert_eq!(waiting.find(List::Leaf, &leaf(700), 0), [700]);
        assert!(waiting.find(List::Artifact, &leaf(700), 0).is_empty(), "it is no artifact");
        assert!(waiting.find(List::Leaf, &leaf(1000), 0).is_empty());
        let artifact = sha256(ARTIFACT);
        assert_eq!(waiting.find(List::Artifact, &artifact, 990), (990..1000).collect::<Vec<_>>());
        assert_eq!(waiting.before(514), [rows(512), rows(513)].concat());
        waiting.forget(768);
        assert_eq!((waiting.first(), waiting.end()), (768, 1000));
        assert!(waiting.find(List::Leaf, &leaf(767), 0).is_empty());
        assert_eq!(waiting.find(List::Leaf, &leaf(768), 0), [768]);
        assert_eq!(waiting.find(List::Artifact, &artifact, 0), (768..1000).collect::<Vec<_>>());
        assert!(waiting.before(768).is_empty());
    }

    #[test]
    fn rows_that_come_twice_are_here_once_and_older_ones_not_at_all() {
        let mut waiting = waiting(256..300);
        waiting.extend(rows(299).iter().chain(&rows(300)).chain(&rows(301)), 302);
        waiting.extend(rows(10).iter(), 11);
        assert_eq!(waiting.before(u64::MAX).len(), (302 - 256) * 3);
        assert_eq!(waiting.find(List::Artifact, &sha256(ARTIFACT), 298), [298, 299, 300, 301]);
        assert_eq!(waiting.end(), 302);
    }

    #[test]
    fn there_is_a_step_and_then_no_more_room() {
        let mut waiting = Waiting::from(0);
        let mut add = |entries: std::ops::Range<u64>| {
            for index in entries {
                waiting.extend(rows(index).iter(), index + 1);
            }
            (waiting.is_step(), waiting.has_room())
        };
        let (step, max) = (STEP_ROWS as u64 / 3, MAX_ROWS as u64 / 3);
        assert_eq!(add(0..step - 1), (false, true));
        assert_eq!(add(step - 1..step), (true, true));
        assert_eq!(add(step..max - 1), (true, true));
        assert_eq!(add(max - 1..max), (true, false));
    }
}
