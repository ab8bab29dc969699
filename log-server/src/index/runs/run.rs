//! One run: a file of sorted rows, written once, in blocks of 4 KiB.
//!
//! ```text
//! check (8)   the first bytes of the SHA-256 of all that follows in the block
//! mark (8)    the run's: random bytes that no other run has, of this log or another
//! block (4)   the number of the block in it, from 0
//! list (1)    the list that all rows of the block are in
//! rows (1)    how many there are, 1 to 101
//! zeros (2)
//! key (32) index (8)     of each row, in order
//! zeros       to the end of the block
//! ```
//!
//! Integers are big-endian. The rows of each list begin with a new block; how many blocks each list has is in the
//! database, and so is the mark, so that no other file is taken for the run's. Who looks for a row goes by the first
//! rows of blocks, unchecked, and then checks that the block it came to is the one that would have it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BufMut as _;
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::wire::{DecodeError, Reader};

use crate::index::place::Place;
use crate::index::rows::{List, Row};
use crate::index::store::StoreError;
use crate::storage::{DiskError, LogFile};

/// Length of a block in bytes.
pub(super) const BLOCK_BYTES: usize = 4096;
const CHECK_BYTES: usize = 8;
const HEADER_BYTES: usize = 24;
const ROW_BYTES: usize = Hash::LEN + size_of::<u64>();
/// Most rows in a block.
pub(super) const BLOCK_ROWS: usize = (BLOCK_BYTES - HEADER_BYTES) / ROW_BYTES;
/// Blocks that are written with one call, and read with one by whoever reads all of them.
const BATCH_BLOCKS: usize = 64;
/// After how many blocks what was written is synced, so that no more waits for the disk when something else is.
const SYNC_BLOCKS: u64 = 16 * BATCH_BLOCKS as u64;

/// The highest number of a run in a list. A database that makes a run every microsecond gets there in 300,000 years.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// How many blocks each list has, in the order of the lists.
pub(super) type Counts = [u32; List::ALL.len()];

/// Random bytes that only one run has.
pub(super) type Mark = [u8; 8];

/// What a list of runs says of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) number: u64,
    pub(super) mark: Mark,
    pub(super) blocks: Counts,
}

/// A run that is written.
#[derive(Debug)]
pub(super) struct Run {
    name: Name,
    file: LogFile,
    is_synced: AtomicBool,
}

impl Run {
    /// The run with this name.
    pub(super) fn open(place: &Place, name: Name) -> Result<Self, StoreError> {
        // Of a list that nobody wrote: no sum of these may overflow, nor the number after this one.
        let sum = name.blocks.iter().try_fold(0u32, |sum, blocks| sum.checked_add(*blocks));
        let Some(blocks) = sum.filter(|_| name.number <= MAX_NUMBER) else {
            return Err(StoreError::Value);
        };
        let path = path_of(&place.dir, name.number);
        let file = place.storage.open(&path)?;
        let length = place.storage.len(&path)?;
        match length == u64::from(blocks) * BLOCK_BYTES as u64 {
            true => Ok(Self { name, file, is_synced: AtomicBool::new(true) }),
            false => Err(StoreError::Length { path, length, blocks }),
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Makes the file durable, but not its name.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        if !self.is_synced.load(Ordering::Acquire) {
            self.file.sync()?;
            self.is_synced.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The rows from `row` on that are in its list, in order.
    pub(super) fn rows_from(&self, row: &Row) -> Result<Rows<'_>, StoreError> {
        let list = self.blocks_of(row.list);
        // The last block that does not begin behind the row, or the first.
        let (mut found, mut behind) = (list.start, list.end);
        while behind.saturating_sub(found) > 1 {
            let middle = found + (behind - found) / 2;
            match self.first_row(middle, row.list)? <= *row {
                true => found = middle,
                false => behind = middle,
            }
        }
        let mut rows = Rows::of(self, found..list.end, 1);
        rows.load()?;
        if found > list.start && rows.peek().is_none_or(|first| first > row) {
            return Err(self.damaged(found));
        }
        while rows.peek().is_some_and(|next| next < row) {
            rows.at += 1;
        }
        if rows.peek().is_none() {
            // That nothing is missing in between is for the next block to say.
            rows.load()?;
            if rows.peek().is_some_and(|first| first <= row) {
                return Err(self.damaged(behind));
            }
        }
        Ok(rows)
    }

    /// All rows, in order.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows::of(self, 0..self.len(), BATCH_BLOCKS as u32)
    }

    fn len(&self) -> u32 {
        self.name.blocks.iter().sum()
    }

    fn blocks_of(&self, list: List) -> Range<u32> {
        let blocks = || List::ALL.iter().zip(&self.name.blocks);
        let before = blocks().filter(|(other, _)| **other < list);
        let start = before.map(|(_, blocks)| blocks).sum();
        let blocks = blocks().find(|(other, _)| **other == list);
        start..start + blocks.map_or(0, |(_, blocks)| *blocks)
    }

    /// The first row of a block, which is not checked.
    fn first_row(&self, block: u32, list: List) -> Result<Row, StoreError> {
        let mut bytes = [0; ROW_BYTES];
        self.read(&mut bytes, u64::from(block) * BLOCK_BYTES as u64 + HEADER_BYTES as u64)?;
        read_row(&mut Reader::new(&bytes), list).map_err(|_| self.damaged(block))
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_at(bytes, offset)
    }

    /// Adds the rows of one block that was read.
    fn decode(&self, block: u32, bytes: &[u8], rows: &mut Vec<Row>) -> Result<(), StoreError> {
        let mut parsed = || -> Result<bool, DecodeError> {
            let mut reader = Reader::new(bytes);
            let is_whole = reader.array()? == check_of(reader.remaining());
            let is_it = reader.array()? == self.name.mark && reader.u32()? == block;
            let [list, count, ..] = reader.array::<4>()?;
            let list = List::from_byte(list).filter(|list| self.blocks_of(*list).contains(&block));
            let Some(list) = list.filter(|_| is_whole && is_it) else { return Ok(false) };
            for _ in 0..count {
                rows.push(read_row(&mut reader, list)?);
            }
            Ok(count > 0)
        };
        if parsed().unwrap_or(false) { Ok(()) } else { Err(self.damaged(block)) }
    }

    fn damaged(&self, block: u32) -> StoreError {
        StoreError::Block { path: self.file.path().to_owned(), block }
    }
}

/// Rows of a run, in order, read some blocks at a time.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    run: &'a Run,
    left: Range<u32>,
    blocks_at_once: u32,
    loaded: Vec<Row>,
    /// The next of those that are loaded.
    at: usize,
}

impl<'a> Rows<'a> {
    fn of(run: &'a Run, left: Range<u32>, blocks_at_once: u32) -> Self {
        Self { run, left, blocks_at_once, loaded: Vec::new(), at: 0 }
    }

    /// The next row that is loaded.
    fn peek(&self) -> Option<&Row> {
        self.loaded.get(self.at)
    }

    /// Replaces what is loaded by what comes next.
    fn load(&mut self) -> Result<(), StoreError> {
        self.loaded.clear();
        self.at = 0;
        if self.left.is_empty() {
            return Ok(());
        }
        let first = self.left.start;
        let end = self.left.end.min(first + self.blocks_at_once);
        let mut bytes = vec![0; (end - first) as usize * BLOCK_BYTES];
        self.run.read(&mut bytes, u64::from(first) * BLOCK_BYTES as u64)?;
        for (block, bytes) in (first..end).zip(bytes.chunks_exact(BLOCK_BYTES)) {
            self.run.decode(block, bytes, &mut self.loaded)?;
        }
        self.left.start = end;
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.peek().is_none()
            && let Err(error) = self.load()
        {
            // Nothing comes after what can't be read.
            (self.left, self.at) = (0..0, self.loaded.len());
            return Some(Err(error));
        }
        let row = self.peek().copied()?;
        self.at += 1;
        Some(Ok(row))
    }
}

/// Writes a run, row after row, in order.
#[derive(Debug)]
pub(super) struct Writer {
    name: Name,
    file: LogFile,
    /// Whole blocks that are not written, and the rows of the one that is begun.
    batch: Vec<u8>,
    block: Vec<Row>,
}

impl Writer {
    /// Begins the run with this number, instead of what a stop may have left there.
    pub(super) fn create(place: &Place, number: u64) -> Result<Self, StoreError> {
        let mut mark = Mark::default();
        getrandom::fill(&mut mark).map_err(|_| DiskError::Random)?;
        let file = place.storage.create(&path_of(&place.dir, number))?;
        let batch = Vec::with_capacity(BATCH_BLOCKS * BLOCK_BYTES);
        let name = Name { number, mark, blocks: Counts::default() };
        Ok(Self { name, file, batch, block: Vec::with_capacity(BLOCK_ROWS) })
    }

    pub(super) fn push(&mut self, row: Row) -> Result<(), StoreError> {
        if self.block.len() == BLOCK_ROWS || self.block.last().is_some_and(|last| last.list != row.list) {
            self.end_block()?;
        }
        self.block.push(row);
        Ok(())
    }

    /// Whether all rows but the last few are written.
    pub(super) fn is_between_batches(&self) -> bool {
        self.batch.is_empty()
    }

    /// The run. It is not durable before it is synced, and its name not before the directory is.
    pub(super) fn finish(mut self) -> Result<Run, StoreError> {
        self.end_block()?;
        self.end_batch()?;
        Ok(Run { name: self.name, file: self.file, is_synced: AtomicBool::new(false) })
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        let Some(list) = self.block.first().map(|row| row.list) else { return Ok(()) };
        let start = self.batch.len();
        self.batch.put_bytes(0, CHECK_BYTES);
        self.batch.put_slice(&self.name.mark);
        self.batch.put_u32(self.name.blocks.iter().sum());
        self.batch.put_slice(&[list.as_byte(), self.block.len() as u8, 0, 0]);
        for row in self.block.drain(..) {
            self.batch.put_slice(row.key.as_bytes());
            self.batch.put_u64(row.index);
        }
        self.batch.resize(start + BLOCK_BYTES, 0);
        let check = check_of(&self.batch[start + CHECK_BYTES..]);
        self.batch[start..start + CHECK_BYTES].copy_from_slice(&check);
        for (other, blocks) in List::ALL.iter().zip(&mut self.name.blocks) {
            *blocks += u32::from(*other == list);
        }
        if self.batch.len() == BATCH_BLOCKS * BLOCK_BYTES { self.end_batch() } else { Ok(()) }
    }

    fn end_batch(&mut self) -> Result<(), StoreError> {
        let end = u64::from(self.name.blocks.iter().sum::<u32>()) * BLOCK_BYTES as u64;
        let start = end - self.batch.len() as u64;
        self.file.write_at(&self.batch, start)?;
        self.batch.clear();
        if end.is_multiple_of(SYNC_BLOCKS * BLOCK_BYTES as u64) {
            self.file.sync()?;
        }
        Ok(())
    }
}

/// Where the run with this number is.
fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{NAME_PREFIX}{number:016x}"))
}

/// What the names of runs begin with, before 16 hex digits.
const NAME_PREFIX: &str = "run-";

/// The number of the run that has this name, if it is one's.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(NAME_PREFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn check_of(rest: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = sha256(rest);
    std::array::from_fn(|at| hash.as_bytes()[at])
}

fn read_row(reader: &mut Reader<'_>, list: List) -> Result<Row, DecodeError> {
    Ok(Row { list, key: reader.hash()?, index: reader.u64()? })
}
