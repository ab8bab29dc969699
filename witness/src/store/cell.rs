//! One log's state: the file, its content in memory, and the lock around both.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use indelible_client::durable::{self, Access, DurableError};
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote, VerifierKey};
use indelible_proto::time::UnixSeconds;

use super::StoreError;
use crate::decide::Holding;
use crate::held::Held;
use crate::logs::KnownLog;

/// The state of one known log.
#[derive(Debug)]
pub struct Cell {
    log: KnownLog,
    file: PathBuf,
    halted_file: PathBuf,
    state: Mutex<State>,
    /// What readers get: never waits for a write to disk, and never runs ahead of one.
    served: RwLock<Option<Bytes>>,
}

#[derive(Debug)]
struct State {
    held: Option<Held>,
    halted: bool,
}

impl Cell {
    /// The log.
    pub fn log(&self) -> &KnownLog {
        &self.log
    }

    /// The note last cosigned, as it is on disk; `None` if there is none.
    pub fn served(&self) -> Option<Bytes> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the log's lock.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] if a thread ended while it held the lock.
    pub fn lock(&self) -> Result<CellGuard<'_>, StoreError> {
        let state = self.state.lock().map_err(|_| StoreError::Interrupted)?;
        Ok(CellGuard { cell: self, state })
    }

    /// Writes the file of a log of which nothing has been cosigned; one a crash left is as good.
    pub(super) fn create(file: &Path) -> Result<(), StoreError> {
        match durable::create_new(file, BLANK, Access::Public) {
            Err(DurableError::Exists { .. }) if Self::is_blank(file)? => Ok(()),
            created => Ok(created?),
        }
    }

    /// Whether the file says that nothing has been cosigned.
    pub(super) fn is_blank(file: &Path) -> Result<bool, StoreError> {
        Ok(durable::read(file, MAX_NOTE_BYTES)?.as_deref() == Some(BLANK))
    }

    pub(super) fn load(
        log: KnownLog,
        file: PathBuf,
        halted_file: PathBuf,
        own: &VerifierKey,
    ) -> Result<Self, StoreError> {
        let bytes = durable::read(&file, MAX_NOTE_BYTES)?
            .ok_or_else(|| StoreError::damaged(&file, "the file of a registered log is missing"))?;
        let held = if bytes == BLANK {
            None
        } else {
            let note =
                SignedNote::parse(&bytes).map_err(|error| StoreError::bad_note(&file, error.into()))?;
            Some(Held::verify(note, &log, own).map_err(|error| StoreError::bad_note(&file, error))?)
        };
        let served = held.as_ref().map(|held| Bytes::from(held.encode()));
        let halted = halted_file.symlink_metadata().is_ok();
        let state = Mutex::new(State { held, halted });
        Ok(Self { log, file, halted_file, state, served: RwLock::new(served) })
    }

    pub(super) fn time(&self) -> Option<UnixSeconds> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held.as_ref().map(Held::time)
    }
}

/// One log's state, for as long as no one else may change it.
#[derive(Debug)]
pub struct CellGuard<'a> {
    cell: &'a Cell,
    state: MutexGuard<'a, State>,
}

impl CellGuard<'_> {
    /// What was cosigned last.
    pub fn holding(&self) -> Holding {
        self.state.held.as_ref().map_or(Holding::Nothing, Held::holding)
    }

    /// The note cosigned last.
    pub fn held(&self) -> Option<&Held> {
        self.state.held.as_ref()
    }

    /// Whether the log is halted: a cosignature of ours was seen that this state did not know.
    pub fn is_halted(&self) -> bool {
        self.state.halted
    }

    /// Makes `held` the note cosigned last. It is on disk when the call returns.
    ///
    /// # Errors
    /// As [`durable::replace`]; memory then still has the old note.
    pub fn replace(&mut self, held: Held) -> Result<(), DurableError> {
        let bytes = held.encode();
        durable::replace(&self.cell.file, &bytes)?;
        self.state.held = Some(held);
        *self.cell.served.write().unwrap_or_else(PoisonError::into_inner) = Some(Bytes::from(bytes));
        Ok(())
    }

    /// Halts the log for good, over `note`, which carries the cosignature that the state does not know.
    ///
    /// # Errors
    /// What the system refuses; the log is then halted until the process ends.
    pub fn halt(&mut self, note: &SignedNote) -> Result<(), DurableError> {
        self.state.halted = true;
        durable::replace(&self.cell.halted_file, &note.encode())
    }
}

/// The file of a log of which nothing has been cosigned. Not empty, because an empty file is what a lost
/// write leaves.
const BLANK: &[u8] = b"nothing cosigned yet\n";
