//! The journal: the only thing an acknowledgement rests on.
//!
//! A directory of segment files, each named after its generation in 16 lower-case hexadecimal digits. The
//! generations that count are the longest run of consecutive ones that ends with the highest. Integers are
//! big-endian; hashes are SHA-256.
//!
//! Segment header, 4,096 bytes, written and synced before the file gets its name:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `IjSegmnt` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 1 | kind of log: 1 records, 2 raw |
//! | 13 | 3 | zero |
//! | 16 | 8 | generation |
//! | 24 | 8 | capacity: length of the file in bytes; all of it is written when the file is made |
//! | 32 | 8 | number of the first append in this segment |
//! | 40 | 16 | mark: random bytes that every record of this segment carries |
//! | 56 | 32 | hash of the log's origin |
//! | 88 | 32 | hash of the last record before this segment, zeros if there is none |
//! | 120 | 3,944 | zero |
//! | 4,064 | 32 | hash of everything above |
//!
//! Then records, each at a multiple of 8 bytes:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 32 | hash of the rest of the record without its padding |
//! | 32 | 16 | the segment's mark |
//! | 48 | 1 | kind: 1 batch, 2 signed checkpoint |
//! | 49 | 1 | position of the record within its append, from 0 |
//! | 50 | 1 | how many records the append has |
//! | 51 | 1 | zero |
//! | 52 | 4 | length of the payload in bytes |
//! | 56 | 8 | number of the append, from 0, one more than that of the append before |
//! | 64 | 32 | hash of the record before, which chains them over segments |
//! | 96 | | payload, then zeros up to a multiple of 8 |
//!
//! Payload of a batch: index of its first entry (8), tree size after it (8), root after it (32), then its
//! entries as in an entry bundle. Payload of a signed checkpoint: when it was signed, in seconds since 1970 (8),
//! then the signed note.
//!
//! **An append is the unit of durability**: its records are written with one call and synced with one
//! `fdatasync` before anything else is written. So only the last append can be torn, and it was never
//! acknowledged. [`Journal::open`] cuts an unreadable append at the end if no record of a later append, whole or
//! damaged, follows it; anything else that is not as written refuses to open, a file of another length too. What it
//! can't tell from a torn append is damage done later to the last append alone, or to all of the last ones so that
//! nothing is left of them, as zeros; that shows where something else knows a later tree (the `heads` snapshot, the
//! published checkpoint, a witness).
//!
//! After a failed write or sync the journal takes no more appends: it is unknown what a restart will find.
//! Opening writes the last segment once more, as a new file with another mark in place of the old one. For one,
//! the process before may have ended between its write and its sync, or after a failed sync that left the bytes
//! in memory and not on disk. For another, should it still run, it can't write into that file: see
//! `storage/owner.rs`.
//!
//! Not checked here: that the entries lead to the recorded roots, and that the checkpoints are validly
//! signed. Whoever replays the journal does.

mod error;
mod inspect;
mod open;
mod record;
mod scan;
mod segment;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use indelible_proto::hash::Hash;
use indelible_proto::size::{LeafIndex, TreeSize};

use crate::kind::LogKind;
use crate::storage::{LogFile, Storage};
pub use error::{Damage, JournalError};
pub(crate) use inspect::{Inspected, inspect};
use record::Mark;
pub use record::{Batch, Checkpoint, Payload};
use segment::{Header, SEGMENT_HEADER_BYTES};

/// Length of a segment in bytes unless told otherwise. A larger append gets a larger segment of its own.
pub const DEFAULT_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// How many segments that are no longer needed are kept to be written over instead of making new ones.
const MAX_SPARES: usize = 4;

/// Whose journal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the log's origin.
    pub origin_hash: Hash,
    /// What the log stores.
    pub kind: LogKind,
}

/// An open journal that can be appended to. The caller makes sure that there is only one.
#[derive(Debug)]
pub struct Journal {
    storage: Storage,
    dir: PathBuf,
    identity: Identity,
    segment_bytes: u64,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    active: Active,
    tip: Tip,
    /// Files of segments that are no longer needed.
    spares: Vec<PathBuf>,
    buffer: Vec<u8>,
    poisoned: bool,
}

/// A segment as the journal remembers it.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Index of its first batch's first entry; `None` if it has no batch.
    first: Option<LeafIndex>,
    /// How many appends it has.
    appends: u64,
    /// The appends that it was opened with, until they are replayed.
    kept: Option<Vec<Vec<Payload>>>,
}

impl Segment {
    fn new(path: PathBuf) -> Self {
        Self { path, first: None, appends: 0, kept: None }
    }
}

/// The segment that is written to.
#[derive(Debug)]
struct Active {
    file: LogFile,
    generation: u64,
    capacity: u64,
    mark: Mark,
    /// Where the next append goes.
    end: u64,
}

/// Where the journal ends.
#[derive(Clone, Copy, Debug)]
struct Tip {
    /// Number of the next append.
    append: u64,
    /// Hash of the last record.
    previous: Hash,
    /// Tree size after the last batch.
    size: TreeSize,
}

impl Journal {
    /// Makes the directory `dir` with one segment that has the signed checkpoint of the empty tree.
    ///
    /// # Errors
    /// [`JournalError::Disk`] if `dir` exists or can't be written.
    pub fn create(
        storage: &Storage,
        dir: &Path,
        identity: Identity,
        segment_bytes: u64,
        checkpoint: Checkpoint,
    ) -> Result<(), JournalError> {
        storage.create_dir(dir)?;
        let tip = Tip { append: 0, previous: Hash::from_bytes([0; Hash::LEN]), size: TreeSize::ZERO };
        let active = Active::start(storage, dir, identity, 0, segment_bytes, tip, None)?;
        let segments = VecDeque::from([Segment::new(segment::path(dir, 0))]);
        Self::assemble(storage, dir, identity, segment_bytes, segments, active, tip)
            .append(&[Payload::Checkpoint(checkpoint)])
    }

    /// Opens the journal in `dir`: checks every record, cuts a torn append at the end, and makes sure that
    /// what is left is on disk.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with file and offset for anything but a torn append at the end;
    /// [`JournalError::OtherOrigin`] and [`JournalError::OtherKind`] for another log's journal.
    pub fn open(
        storage: &Storage,
        dir: &Path,
        identity: Identity,
        segment_bytes: u64,
    ) -> Result<Self, JournalError> {
        let (segments, active, tip) = open::open(storage, dir, identity)?;
        Ok(Self::assemble(storage, dir, identity, segment_bytes, segments, active, tip))
    }

    fn assemble(
        storage: &Storage,
        dir: &Path,
        identity: Identity,
        segment_bytes: u64,
        segments: VecDeque<Segment>,
        active: Active,
        tip: Tip,
    ) -> Self {
        Self {
            storage: storage.clone(),
            dir: dir.to_owned(),
            identity,
            segment_bytes,
            segments,
            active,
            tip,
            spares: Vec::new(),
            buffer: Vec::new(),
            poisoned: false,
        }
    }

    /// Index of the oldest entry the journal has, or where its first will go.
    pub fn first(&self) -> LeafIndex {
        let first = self.segments.iter().find_map(|segment| segment.first);
        first.unwrap_or(self.tip.size.next_index())
    }

    /// Tree size after the last batch.
    pub fn size(&self) -> TreeSize {
        self.tip.size
    }

    /// Hands every append to `visit`, oldest first. What the opening has checked is not read once more, as far as it
    /// kept that.
    ///
    /// # Errors
    /// Those of `visit`, and [`JournalError`] if a segment can't be read again.
    pub fn replay<E: From<JournalError>>(
        &mut self,
        mut visit: impl FnMut(Vec<Payload>) -> Result<(), E>,
    ) -> Result<(), E> {
        for Segment { path, appends, kept, .. } in &mut self.segments {
            let appends = match kept.take() {
                Some(kept) => kept,
                None => open::read_appends(&self.storage, path, *appends)?,
            };
            appends.into_iter().try_for_each(&mut visit)?;
        }
        Ok(())
    }

    /// Appends the payloads as one unit; on disk when the call returns.
    ///
    /// # Errors
    /// After any error it is unknown whether a restart will find the append, and every later call is
    /// [`JournalError::Poisoned`].
    pub fn append(&mut self, payloads: &[Payload]) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        self.poisoned = true;
        self.write(payloads)?;
        self.poisoned = false;
        Ok(())
    }

    fn write(&mut self, payloads: &[Payload]) -> Result<(), JournalError> {
        let bytes = record::encoded_bytes(payloads) as u64;
        if self.active.end + bytes > self.active.capacity {
            self.start_next_segment(bytes)?;
        }
        self.buffer.clear();
        let (mark, append) = (&self.active.mark, self.tip.append);
        let previous = record::encode_append(&mut self.buffer, mark, append, self.tip.previous, payloads);
        let mut tip = Tip { append: append + 1, previous, ..self.tip };
        self.active.file.write_at(&self.buffer, self.active.end)?;
        self.active.file.sync()?;
        let segment = self.segments.back_mut().expect("invariant: a journal has a segment");
        for payload in payloads {
            if let Payload::Batch(batch) = payload {
                segment.first.get_or_insert(batch.first);
                tip.size = batch.head.size;
            }
        }
        segment.appends += 1;
        // It is not all of them any more.
        segment.kept = None;
        self.active.end += self.buffer.len() as u64;
        self.tip = tip;
        Ok(())
    }

    fn start_next_segment(&mut self, append_bytes: u64) -> Result<(), JournalError> {
        let needed = SEGMENT_HEADER_BYTES as u64 + append_bytes;
        let capacity = self.segment_bytes.max(needed);
        let spare = if capacity == self.segment_bytes { self.spares.pop() } else { None };
        let generation = self.active.generation + 1;
        self.active =
            Active::start(&self.storage, &self.dir, self.identity, generation, capacity, self.tip, spare)?;
        let path = segment::path(&self.dir, generation);
        self.segments.push_back(Segment::new(path));
        Ok(())
    }

    /// Gives up the segments that have only entries before `integrated`, which are durable elsewhere. The
    /// last append is always kept.
    ///
    /// # Errors
    /// [`JournalError::Disk`]; the journal is whole and can still be appended to.
    pub fn trim(&mut self, integrated: TreeSize) -> Result<(), JournalError> {
        let mut changed = false;
        // One without an append may be between others.
        let first_behind = |segments: &VecDeque<Segment>| segments.iter().skip(1).find_map(|next| next.first);
        while first_behind(&self.segments).is_some_and(|first| first.get() <= integrated.get()) {
            let segment = self.segments.pop_front().expect("invariant: there is one that is not the last");
            self.retire(&segment)?;
            changed = true;
        }
        // The names go before anything is written into the files under their new ones.
        if changed {
            self.storage.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    fn retire(&mut self, segment: &Segment) -> Result<(), JournalError> {
        let reusable = self.storage.len(&segment.path)? == self.segment_bytes;
        if !reusable || self.spares.len() >= MAX_SPARES {
            return Ok(self.storage.remove(&segment.path)?);
        }
        let spare = self.storage.temporary(&segment.path);
        self.storage.rename_unsynced(&segment.path, &spare)?;
        self.spares.push(spare);
        Ok(())
    }
}

impl Active {
    /// Makes the segment's file, from `spare` if there is one. A crash before it has its name leaves a
    /// temporary file, which the next opening deletes.
    fn start(
        storage: &Storage,
        dir: &Path,
        identity: Identity,
        generation: u64,
        capacity: u64,
        tip: Tip,
        spare: Option<PathBuf>,
    ) -> Result<Self, JournalError> {
        let mark = record::new_mark()?;
        let (first_append, previous) = (tip.append, tip.previous);
        let header = Header { identity, generation, capacity, first_append, mark, previous }.encode();
        let path = segment::path(dir, generation);
        let file = match spare {
            Some(spare) => storage.recycle(&path, &spare, &header)?,
            None => storage.create_filled(&path, &header, capacity)?,
        };
        Ok(Self { file, generation, capacity, mark, end: SEGMENT_HEADER_BYTES as u64 })
    }
}

#[cfg(test)]
mod tests;
