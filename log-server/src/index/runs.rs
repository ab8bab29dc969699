//! The rows of the database: sorted *runs*, each a file of its own, which is written once.
//!
//! A key of its own costs sled some 10 µs a row, a block of rows 2 µs and more the larger its file. Rows are
//! hashes, so that neighbours never come together; a file of them is sorted in memory and written in order. Sixteen
//! runs of one level are merged into one of the next, so that a look-up has few to ask and a row is written again
//! once for each level.
//!
//! Which runs there are is in sled ([`super::store`]). A file that is not one of them is what a stop left behind, or
//! was merged: it is never read, and deleted when there is time.

mod run;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use bytes::BufMut as _;
use indelible_proto::hash::Hash;
use indelible_proto::wire::{DecodeError, Reader};

use super::place::Place;
use super::rows::{List, Row};
use super::store::StoreError;
use run::{Counts, Name, Run, Writer};

/// How many runs of one level are merged.
const MERGED_RUNS: usize = 16;

/// A run, and how often its rows were merged.
#[derive(Clone, Debug)]
struct Leveled {
    level: u8,
    run: Arc<Run>,
}

/// The runs of a database, oldest first, each of the entries that follow those of the run before it. Who has them can read them even when they are deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(Vec<Leveled>);

impl Runs {
    /// Opens the runs that a list names.
    pub(super) fn open(place: &Place, list: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(list);
        let mut runs = Vec::new();
        while !reader.is_empty() {
            let (level, name) = read_name(&mut reader).map_err(|_| StoreError::Value)?;
            runs.push(Leveled { level, run: Arc::new(Run::open(place, name)?) });
        }
        Ok(Self(runs))
    }

    /// The list that names these.
    pub(super) fn list(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for Leveled { level, run } in &self.0 {
            let Name { number, mark, blocks } = run.name();
            list.put_u64(*number);
            list.put_slice(mark);
            list.put_u8(*level);
            blocks.iter().for_each(|blocks| list.put_u32(*blocks));
        }
        list
    }

    /// Makes all of them durable.
    pub(super) fn sync(&self, place: &Place) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|leveled| leveled.run.sync())?;
        Ok(place.storage.sync_dir(&place.dir)?)
    }

    /// The same with one more run of sorted rows, which is written.
    pub(super) fn with(&self, place: &Place, rows: &[Row]) -> Result<Self, StoreError> {
        let mut writer = Writer::create(place, self.next_number())?;
        rows.iter().try_for_each(|row| writer.push(*row))?;
        let run = Leveled { level: 0, run: Arc::new(writer.finish()?) };
        Ok(Self([self.0.as_slice(), &[run]].concat()))
    }

    /// The same with runs merged, if there are enough of one level; `None` if not, or if `goes_on` says so.
    pub(super) fn merged(
        &self,
        place: &Place,
        goes_on: impl Fn() -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let of_level = |level: u8| self.0.iter().filter(move |leveled| leveled.level == level);
        let levels = self.0.iter().map(|leveled| leveled.level);
        let Some(level) = levels.into_iter().find(|level| of_level(*level).count() >= MERGED_RUNS) else {
            return Ok(None);
        };
        let mut writer = Writer::create(place, self.next_number())?;
        let mut sources: Vec<_> = of_level(level).map(|leveled| leveled.run.rows()).collect();
        let mut next = BinaryHeap::with_capacity(sources.len());
        for (source, rows) in sources.iter_mut().enumerate() {
            next.extend(rows.next().transpose()?.map(|row| Reverse((row, source))));
        }
        while let Some(mut first) = next.peek_mut() {
            let Reverse((row, source)) = *first;
            writer.push(row)?;
            if writer.is_between_batches() && !goes_on() {
                return Ok(None);
            }
            match sources.get_mut(source).and_then(Iterator::next).transpose()? {
                Some(row) => *first = Reverse((row, source)),
                None => drop(PeekMut::pop(first)),
            }
        }
        let run = Leveled { level: level.saturating_add(1), run: Arc::new(writer.finish()?) };
        let at = self.0.iter().position(|leveled| leveled.level == level).unwrap_or_default();
        let mut runs: Vec<_> = self.0.iter().filter(|leveled| leveled.level != level).cloned().collect();
        runs.insert(at, run);
        Ok(Some(Self(runs)))
    }

    /// Deletes the files of all other runs.
    pub(super) fn delete_others(&self, place: &Place) -> Result<(), StoreError> {
        for name in place.storage.list(&place.dir)?.unwrap_or_default() {
            let is_other = |number| self.0.iter().all(|leveled| leveled.run.name().number != number);
            if run::number_of(&name).is_some_and(is_other) {
                place.storage.remove(&place.dir.join(name))?;
            }
        }
        Ok(())
    }

    /// All rows of all of them, in no order; an error if any is not as it was written.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row, StoreError>> + '_ {
        self.0.iter().flat_map(|leveled| leveled.run.rows())
    }

    /// The first index of this row. Runs are in the order of the log: the oldest that has the row has it.
    pub(super) fn get(&self, list: List, key: &Hash) -> Result<Option<u64>, StoreError> {
        let first = Row { list, key: *key, index: 0 };
        for Leveled { run, .. } in &self.0 {
            let found = run.rows_from(&first)?.next().transpose()?;
            if let Some(row) = found.filter(|row| row.key == *key) {
                return Ok(Some(row.index));
            }
        }
        Ok(None)
    }

    /// The first indices from `from` on of these rows, in order, at most `max` of them.
    pub(super) fn all(&self, list: List, key: &Hash, from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let first = Row { list, key: *key, index: from };
        let mut found = Vec::new();
        for Leveled { run, .. } in &self.0 {
            for row in run.rows_from(&first)?.take(max) {
                let row = row?;
                if row.key != *key {
                    break;
                }
                found.push(row.index);
            }
        }
        found.sort_unstable();
        found.truncate(max);
        Ok(found)
    }

    /// A number higher than that of any of them.
    fn next_number(&self) -> u64 {
        self.0.iter().map(|leveled| leveled.run.name().number + 1).max().unwrap_or_default()
    }
}

/// One name of a list: number (8), mark (8), level (1), and how many blocks each list of rows has (4 each).
fn read_name(reader: &mut Reader<'_>) -> Result<(u8, Name), DecodeError> {
    let (number, mark, [level]) = (reader.u64()?, reader.array()?, reader.array()?);
    let mut blocks = Counts::default();
    for blocks in &mut blocks {
        *blocks = reader.u32()?;
    }
    Ok((level, Name { number, mark, blocks }))
}

#[cfg(test)]
mod tests;
