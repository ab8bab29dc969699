//! Rows in the database: sorted *runs* of blocks, so that sled has one key for twenty rows and not one for each.
//!
//! A key of its own costs sled some 10 µs, and as many for the next row, because its leaves are small and are written
//! again and again. A run is written once, in order. Sixteen runs of one level are merged into one of the next, so
//! that a look-up has few to ask and a row is written again once for each level.
//!
//! ```text
//! "runs"                                  run (8 bytes) and level (1), for each run, oldest first
//! run (8) list (1) key (32) index (8)     a block: its first row; the value is up to 20 rows, key (32) and index (8)
//! ```
//!
//! What belongs to no run of the list is what a stop left behind, or was merged: it is never read, and deleted when
//! there is time. A row may be in two runs, but is once in each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

use bytes::BufMut as _;
use indelible_proto::hash::Hash;
use indelible_proto::wire::Reader;

use super::rows::{List, Row};
use super::store::StoreError;

/// Where the list of runs is.
const RUNS_KEY: &[u8] = b"runs";
/// Rows in a block. sled writes up to 17 blocks as one page, and one of more than a quarter of a segment into a file
/// of its own.
const BLOCK_ROWS: usize = 20;
/// How many runs of one level are merged.
const MERGED_RUNS: usize = 16;
/// Blocks written at once. sled keeps more in memory the longer a batch is.
const BATCH_BLOCKS: usize = 16;
/// Blocks deleted before it is asked whether to go on.
const DELETED_BLOCKS: usize = 256;

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The later it was made the larger.
    number: u64,
    level: u8,
}

/// The runs of a database, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) fn load(db: &sled::Db) -> Result<Self, StoreError> {
        let Some(value) = db.get(RUNS_KEY)? else {
            return Ok(Self::default());
        };
        let mut reader = Reader::new(&value);
        let mut runs = Vec::new();
        while !reader.is_empty() {
            let number = reader.u64().map_err(|_| StoreError::Value)?;
            let [level] = reader.array().map_err(|_| StoreError::Value)?;
            runs.push(Run { number, level });
        }
        Ok(Self(runs))
    }

    /// Puts the list into the database, from when on these are the runs.
    pub(super) fn save(&self, db: &sled::Db) -> Result<(), StoreError> {
        let mut value = Vec::new();
        for run in &self.0 {
            value.put_u64(run.number);
            value.put_u8(run.level);
        }
        db.insert(RUNS_KEY, value)?;
        Ok(())
    }

    /// The same with one more run of sorted rows, which is written.
    pub(super) fn with(&self, db: &sled::Db, rows: &[Row]) -> Result<Self, StoreError> {
        let run = Run { number: self.next_number(db)?, level: 0 };
        let mut writer = Writer::new(db, run.number);
        rows.iter().try_for_each(|row| writer.push(*row))?;
        writer.finish()?;
        Ok(Self([self.0.as_slice(), &[run]].concat()))
    }

    /// The same with runs merged, if there are enough of one level; `None` if not, or if `goes_on` says so.
    pub(super) fn merged(
        &self,
        db: &sled::Db,
        goes_on: impl Fn() -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let of_level = |level: u8| self.0.iter().filter(move |run| run.level == level);
        let level = self.0.iter().map(|run| run.level).find(|level| of_level(*level).count() >= MERGED_RUNS);
        let Some(level) = level else { return Ok(None) };
        let run = Run { number: self.next_number(db)?, level: level.saturating_add(1) };
        let mut writer = Writer::new(db, run.number);
        let mut sources: Vec<_> = of_level(level).map(|run| rows_of(db, run.number)).collect();
        let mut last = None;
        let mut next = BinaryHeap::new();
        for (source, rows) in sources.iter_mut().enumerate() {
            next.extend(rows.next().transpose()?.map(|row| Reverse((row, source))));
        }
        while let Some(Reverse((row, source))) = next.pop() {
            // Once: whoever reads so many rows of a run counts on so many entries.
            if last.replace(row) != Some(row) {
                writer.push(row)?;
            }
            if writer.is_between_batches() && !goes_on() {
                return Ok(None);
            }
            let rows = sources.get_mut(source).and_then(Iterator::next);
            next.extend(rows.transpose()?.map(|row| Reverse((row, source))));
        }
        writer.finish()?;
        let first = self.0.iter().position(|run| run.level == level).unwrap_or_default();
        let mut runs: Vec<Run> = self.0.iter().copied().filter(|run| run.level != level).collect();
        runs.insert(first, run);
        Ok(Some(Self(runs)))
    }

    /// Deletes blocks that belong to none of the runs; whether there may be more.
    pub(super) fn delete_others(&self, db: &sled::Db) -> Result<bool, StoreError> {
        let mut from = 0u64;
        while let Some(found) = first_run(db, from)? {
            if self.0.iter().any(|run| run.number == found) {
                from = found + 1;
                continue;
            }
            let blocks =
                db.range(of_run(found)).keys().take(DELETED_BLOCKS).collect::<Result<Vec<_>, _>>()?;
            let mut batch = sled::Batch::default();
            blocks.into_iter().for_each(|block| batch.remove(block));
            db.apply_batch(batch)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The index in the newest run that has this row.
    pub(super) fn get(&self, db: &sled::Db, list: List, key: &Hash) -> Result<Option<u64>, StoreError> {
        for run in self.0.iter().rev() {
            let last = block_key(run.number, &Row { list, key: *key, index: u64::MAX });
            let block = db.range(of_run(run.number).start.clone()..=last).next_back().transpose()?;
            let Some((name, block)) = block else { continue };
            if let Some(row) =
                rows_in(&name, &block)?.into_iter().find(|row| (row.list, row.key) == (list, *key))
            {
                return Ok(Some(row.index));
            }
        }
        Ok(None)
    }

    /// The first indices from `from` on of these rows, in order, at most `max` of them.
    pub(super) fn all(
        &self,
        db: &sled::Db,
        list: List,
        key: &Hash,
        from: u64,
        max: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let first = Row { list, key: *key, index: from };
        let mut found = Vec::new();
        for run in &self.0 {
            let range = of_run(run.number);
            // The block before the first that begins behind it has it, if it is there.
            let before = db.range(range.start.clone()..=block_key(run.number, &first)).next_back();
            let start = before.transpose()?.map_or(range.start, |(name, _)| name.to_vec());
            let rows = blocks(db.range((Bound::Included(start), Bound::Excluded(range.end))));
            let mut taken = 0;
            for row in rows {
                let row = row?;
                if (row.list, row.key) > (list, *key) || taken == max {
                    break;
                }
                if row >= first {
                    found.push(row.index);
                    taken += 1;
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(max);
        Ok(found)
    }

    /// A number that no run has, and no block of what was left behind.
    fn next_number(&self, db: &sled::Db) -> Result<u64, StoreError> {
        let last =
            db.range(of_run(0).start..of_run(u64::from(u32::MAX)).start).keys().next_back().transpose()?;
        Ok(last.map(|block| run_of(&block)).transpose()?.map_or(0, |number| number + 1))
    }
}

/// Writes a run, row after row.
struct Writer<'a> {
    db: &'a sled::Db,
    run: u64,
    /// Of one list.
    block: Vec<Row>,
    batch: sled::Batch,
    blocks: usize,
}

impl<'a> Writer<'a> {
    fn new(db: &'a sled::Db, run: u64) -> Self {
        Self { db, run, block: Vec::with_capacity(BLOCK_ROWS), batch: sled::Batch::default(), blocks: 0 }
    }

    fn push(&mut self, row: Row) -> Result<(), StoreError> {
        if self.block.last().is_some_and(|last| last.list != row.list) || self.block.len() == BLOCK_ROWS {
            self.end_block()?;
        }
        self.block.push(row);
        Ok(())
    }

    fn is_between_batches(&self) -> bool {
        self.blocks == 0
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        let Some(first) = self.block.first() else { return Ok(()) };
        let mut value = Vec::with_capacity(BLOCK_ROWS * ROW_BYTES);
        for row in &self.block {
            value.put_slice(row.key.as_bytes());
            value.put_u64(row.index);
        }
        self.batch.insert(block_key(self.run, first), value);
        self.block.clear();
        self.blocks += 1;
        if self.blocks == BATCH_BLOCKS { self.end_batch() } else { Ok(()) }
    }

    fn end_batch(&mut self) -> Result<(), StoreError> {
        self.blocks = 0;
        Ok(self.db.apply_batch(std::mem::take(&mut self.batch))?)
    }

    fn finish(mut self) -> Result<(), StoreError> {
        self.end_block()?;
        self.end_batch()
    }
}

/// Bytes of a row in a block.
const ROW_BYTES: usize = Hash::LEN + size_of::<u64>();
/// Bytes of a block's name.
const BLOCK_KEY_BYTES: usize = size_of::<u64>() + 1 + ROW_BYTES;

/// All rows of a run, in order.
fn rows_of(db: &sled::Db, run: u64) -> impl Iterator<Item = Result<Row, StoreError>> + use<> {
    blocks(db.range(of_run(run)))
}

fn blocks(
    range: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
) -> impl Iterator<Item = Result<Row, StoreError>> {
    range.flat_map(|block| {
        let rows = block.map_err(StoreError::from).and_then(|(name, block)| rows_in(&name, &block));
        let (rows, error) = match rows {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        rows.into_iter().map(Ok).chain(error)
    })
}

/// The rows of one block.
fn rows_in(name: &[u8], block: &[u8]) -> Result<Vec<Row>, StoreError> {
    let list = name.get(size_of::<u64>()).and_then(|byte| List::from_byte(*byte));
    let list = list.filter(|_| name.len() == BLOCK_KEY_BYTES).ok_or(StoreError::Value)?;
    let mut reader = Reader::new(block);
    let mut rows = Vec::with_capacity(BLOCK_ROWS);
    while !reader.is_empty() {
        let key = reader.hash().map_err(|_| StoreError::Value)?;
        rows.push(Row { list, key, index: reader.u64().map_err(|_| StoreError::Value)? });
    }
    Ok(rows)
}

/// The number of the first run with a block, from `from` on.
fn first_run(db: &sled::Db, from: u64) -> Result<Option<u64>, StoreError> {
    let end = of_run(u64::from(u32::MAX)).start;
    let first = db.range(of_run(from).start..end).keys().next().transpose()?;
    first.map(|block| run_of(&block)).transpose()
}

fn run_of(name: &[u8]) -> Result<u64, StoreError> {
    name.first_chunk().map(|number| u64::from_be_bytes(*number)).ok_or(StoreError::Value)
}

fn of_run(run: u64) -> std::ops::Range<Vec<u8>> {
    run.to_be_bytes().to_vec()..(run + 1).to_be_bytes().to_vec()
}

fn block_key(run: u64, first: &Row) -> Vec<u8> {
    let mut name = Vec::with_capacity(BLOCK_KEY_BYTES);
    name.put_u64(run);
    name.put_u8(first.list.as_byte());
    name.put_slice(first.key.as_bytes());
    name.put_u64(first.index);
    name
}

#[cfg(test)]
mod tests;
