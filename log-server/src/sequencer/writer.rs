//! Writing full tiles and bundles behind the journal, in the order of the log, on a thread of its own.
//!
//! Nothing waits for these files: the journal has their entries, and readers get them from memory until they
//! are written ([`TreeReader::hold`]). What waits is bounded in bytes; sequencing waits for room. Not synced
//! here: a sync pass first waits until everything it covers is written.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::SequencerError;
use crate::storage::DiskError;
use crate::storage::tiles::TileFiles;
use crate::tree_reader::{FullParts, TreeReader};

/// Most bytes of tiles and bundles that wait to be written; a pass over the disk takes about as long as
/// sequencing these. The parts of one more batch may come on top.
pub(super) const MAX_UNWRITTEN_BYTES: usize = 64 * 1024 * 1024;

/// The tiles and bundles that wait to be written.
#[derive(Debug)]
pub(super) struct Writer {
    files: TileFiles,
    reader: Arc<TreeReader>,
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    parts: VecDeque<Arc<FullParts>>,
    bytes: usize,
    /// How many parts were ever put, and how many of these are written.
    put: u64,
    written: u64,
    closed: bool,
}

impl Writer {
    pub(super) fn new(files: TileFiles, reader: Arc<TreeReader>, max_bytes: usize) -> Self {
        Self { files, reader, max_bytes, waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes parts to be written, once there is room. Readers have them from now on.
    ///
    /// # Errors
    /// [`SequencerError::Unwritten`] if nothing is written any more.
    pub(super) fn put(&self, parts: FullParts) -> Result<(), SequencerError> {
        let bytes = parts.bytes();
        if bytes == 0 {
            return Ok(());
        }
        self.reader.hold(&parts);
        let full = |waiting: &mut Waiting| !waiting.closed && waiting.bytes >= self.max_bytes;
        let mut waiting = self.wait_while(full);
        if waiting.closed {
            return Err(SequencerError::Unwritten);
        }
        waiting.parts.push_back(Arc::new(parts));
        waiting.bytes += bytes;
        waiting.put += 1;
        self.changed.notify_all();
        Ok(())
    }

    /// How many parts were put so far, to [wait](Self::wait_until_written) for.
    pub(super) fn put_so_far(&self) -> u64 {
        self.waiting().put
    }

    /// Waits until the first `count` parts are in their files.
    ///
    /// # Errors
    /// [`SequencerError::Unwritten`] if they will not be.
    pub(super) fn wait_until_written(&self, count: u64) -> Result<(), SequencerError> {
        let waiting = self.wait_while(|waiting| !waiting.closed && waiting.written < count);
        if waiting.written < count { Err(SequencerError::Unwritten) } else { Ok(()) }
    }

    /// Writes until [`Writer::close`]: the work of the writer's thread.
    ///
    /// # Errors
    /// The first file that can't be written; nothing is written after it.
    pub(super) fn keep_writing(&self) -> Result<(), DiskError> {
        while let Some(parts) = self.next() {
            self.write(&parts)?;
        }
        Ok(())
    }

    /// Writes what waits, on the caller's thread.
    ///
    /// # Errors
    /// As [`Writer::keep_writing`], which must not run.
    pub(super) fn write_waiting(&self) -> Result<(), DiskError> {
        loop {
            let Some(parts) = self.waiting().parts.front().map(Arc::clone) else {
                return Ok(());
            };
            self.write(&parts)?;
        }
    }

    fn write(&self, parts: &FullParts) -> Result<(), DiskError> {
        parts.write(&self.files)?;
        self.reader.release(parts);
        let mut waiting = self.waiting();
        waiting.parts.pop_front();
        waiting.bytes -= parts.bytes();
        waiting.written += 1;
        self.changed.notify_all();
        Ok(())
    }

    /// The parts to be written next; `None` once closed.
    fn next(&self) -> Option<Arc<FullParts>> {
        let waiting = self.wait_while(|waiting| !waiting.closed && waiting.parts.is_empty());
        if waiting.closed { None } else { waiting.parts.front().map(Arc::clone) }
    }

    /// Writes nothing more. What waits is in the journal, where the next start finds it.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl FnMut(&mut Waiting) -> bool) -> MutexGuard<'_, Waiting> {
        self.changed.wait_while(self.waiting(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
