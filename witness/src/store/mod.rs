//! The witness's state: a directory that must never be lost, copied or rolled back.
//!
//! ```text
//! state/
//!   lock                     held by the running process; so is the directory itself, lest the file be deleted
//!   initialised              the marker: format, key, time of creation, every log ever registered
//!   <origin hash>.note       the note last cosigned (exactly what is served), or that there is none
//!   halted/<origin hash>.note    a cosignature of ours that the state did not know; stops the log
//!   conflicts/<origin hash>/     signed checkpoints that were refused as inconsistent
//! ```
//!
//! Who trusts it: the witness, wholly; it is what stands between a log and two histories. So nothing
//! missing counts as empty: without the marker, without a registered log's file, or with a file that does
//! not verify, the witness does not start. What loss costs: the witness's key must be retired, since a new
//! state under the old key could cosign a fork. What an old copy costs: the same, unless it is noticed; see
//! [`crate::decide`] for what is noticed.
//!
//! Each log has a lock ([`Cell::lock`]) under which its state is read, decided upon and replaced. A write
//! that may or may not have happened stops the whole store ([`Store::failed`]): the process ends, and
//! the next one loads what is there.

mod cell;
mod conflicts;
mod error;
mod marker;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use indelible_client::durable::{self, Access, DirLock, DurableError};
use indelible_proto::checkpoint::Origin;
use indelible_proto::note::VerifierKey;
use indelible_proto::time::UnixSeconds;
use tokio::sync::watch;

pub use cell::{Cell, CellGuard};
pub use conflicts::{MAX_FORKS_PER_LOG, MAX_UNPROVED_PER_LOG};
pub use error::StoreError;

use crate::held::Held;
use crate::logs::KnownLogs;
use crate::refusal::Suspicion;
use crate::submission::Submission;
use conflicts::Conflicts;
use marker::Marker;

/// The open state directory, locked for this process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    own: VerifierKey,
    created: UnixSeconds,
    marker: Mutex<Marker>,
    cells: RwLock<HashMap<String, Arc<Cell>>>,
    newest_s: AtomicU64,
    conflicts: Conflicts,
    failed: watch::Sender<bool>,
    _lock: DirLock,
}

impl Store {
    /// Creates the state directory of a new witness: `dir` must not exist.
    ///
    /// # Errors
    /// [`DurableError::Exists`] if it does, otherwise what the system refuses.
    pub fn create(dir: &Path, own: &VerifierKey, now: UnixSeconds) -> Result<(), DurableError> {
        durable::create_dir(dir)?;
        for part in [CONFLICTS, HALTED] {
            durable::create_dir(&dir.join(part))?;
        }
        // Last: with the marker there, everything is.
        let marker = Marker::new(own.clone(), now);
        durable::create_new(&dir.join(MARKER), marker.encode().as_bytes(), Access::Public)
    }

    /// Opens the state of the witness with key `own`, verifies all of it, and registers those of `known`
    /// that are new.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open, [`StoreError::Damaged`] if anything is
    /// missing or does not verify.
    pub fn open(dir: &Path, own: &VerifierKey, known: &KnownLogs) -> Result<Self, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::damaged(dir, "the state directory is missing"));
        }
        // A witness decides by what it has in memory: nobody else may change what is on disk, even where somebody
        // deletes the lock file.
        let lock = DirLock::acquire_whole(dir)?;
        durable::remove_leftovers(dir)?;
        let marker = Marker::load(&dir.join(MARKER), own)?;
        for part in [CONFLICTS, HALTED] {
            if !dir.join(part).is_dir() {
                return Err(StoreError::damaged(&dir.join(part), "the directory is missing"));
            }
        }
        check_files(dir, &marker)?;

        let store = Self {
            dir: dir.to_owned(),
            own: own.clone(),
            created: marker.created(),
            newest_s: AtomicU64::new(marker.created().get()),
            marker: Mutex::new(marker),
            cells: RwLock::default(),
            conflicts: Conflicts::new(dir.join(CONFLICTS)),
            failed: watch::Sender::new(false),
            _lock: lock,
        };
        store.register(known)?;
        Ok(store)
    }

    /// Makes the logs of `known` known: loads what is held of those registered before, registers the rest
    /// on disk. Logs known already stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file of a log registered before is not right.
    pub fn register(&self, known: &KnownLogs) -> Result<(), StoreError> {
        let mut marker = self.marker.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        let mut new = Vec::new();
        for log in known.iter() {
            let hex = log.origin().hash_hex();
            if self.cell_by_hash(&hex).is_some() {
                continue;
            }
            let halted = self.dir.join(HALTED).join(note_file(&hex));
            let file = self.dir.join(note_file(&hex));
            if !marker.has(&hex) {
                // Before the marker names it: a file that is named must be there.
                Cell::create(&file)?;
                new.push(hex.clone());
            }
            let cell = Cell::load(log.clone(), file, halted, &self.own)?;
            if let Some(time) = cell.time() {
                self.note_time(time);
            }
            found.push((hex, Arc::new(cell)));
        }
        if !new.is_empty() {
            let grown = marker.with(new);
            durable::replace(&self.dir.join(MARKER), grown.encode().as_bytes())
                .map_err(|error| self.write_failed(error))?;
            *marker = grown;
        }
        self.cells.write().unwrap_or_else(PoisonError::into_inner).extend(found);
        Ok(())
    }

    /// The state of the log with this origin, if it is known.
    pub fn cell(&self, origin: &Origin) -> Option<Arc<Cell>> {
        self.cell_by_hash(&origin.hash_hex())
    }

    /// The state of the log whose origin has this SHA-256, in lower-case hexadecimal.
    pub fn cell_by_hash(&self, hex: &str) -> Option<Arc<Cell>> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).get(hex).cloned()
    }

    /// How many logs are known.
    pub fn log_count(&self) -> usize {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// When the state was created.
    pub fn created(&self) -> UnixSeconds {
        self.created
    }

    /// The newest time signed for any log, or the time the state was created if that is later: the clock
    /// has been there.
    pub fn newest_time(&self) -> UnixSeconds {
        let seconds = self.newest_s.load(Ordering::Relaxed);
        UnixSeconds::new(seconds).expect("invariant: only set from times")
    }

    /// Remembers that `time` has been signed.
    pub fn note_time(&self, time: UnixSeconds) {
        self.newest_s.fetch_max(time.get(), Ordering::Relaxed);
    }

    /// Keeps a refused checkpoint, and the one it was compared with, for people to look at. Beyond the
    /// limits of a log nothing more is kept.
    ///
    /// # Errors
    /// What the system refuses. The state itself is not concerned.
    pub fn keep_conflict(
        &self,
        cell: &Cell,
        held: Option<&Held>,
        submission: &Submission,
        suspicion: Suspicion,
    ) -> Result<(), DurableError> {
        self.conflicts.keep(cell.log().origin(), held, submission, suspicion)
    }

    /// Classifies a failed write, and stops the store if it is unknown whether the write happened.
    pub fn write_failed(&self, error: DurableError) -> StoreError {
        if matches!(error, DurableError::Indeterminate { .. }) {
            self.failed.send_replace(true);
        }
        StoreError::File(error)
    }

    /// Whether the store has stopped for good.
    pub fn has_failed(&self) -> bool {
        *self.failed.borrow()
    }

    /// Resolves when the store has stopped for good: the process must end, and the next one load anew.
    pub async fn failed(&self) {
        // The sender is in `self`, so the wait cannot end any other way.
        let _ = self.failed.subscribe().wait_for(|failed| *failed).await;
    }
}

/// Checks that the files of `dir` and the logs registered in `marker` agree.
fn check_files(dir: &Path, marker: &Marker) -> Result<(), StoreError> {
    for hex in marker.logs() {
        let file = dir.join(note_file(hex));
        if !file.is_file() {
            return Err(StoreError::damaged(&file, "the file of a registered log is missing"));
        }
    }
    let unreadable = |source| DurableError::Unreadable { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let Some(hex) = name.to_str().and_then(|name| name.strip_suffix(NOTE_SUFFIX)) else { continue };
        // A crash between creating the file and naming it in the marker leaves one without a note.
        if !marker.has(hex) && !Cell::is_blank(&entry.path())? {
            return Err(StoreError::damaged(&entry.path(), "a note of a log that was never registered"));
        }
    }
    Ok(())
}

fn note_file(hex: &str) -> String {
    format!("{hex}{NOTE_SUFFIX}")
}

const MARKER: &str = "initialised";
const CONFLICTS: &str = "conflicts";
const HALTED: &str = "halted";
const NOTE_SUFFIX: &str = ".note";
