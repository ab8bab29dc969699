//! When keys are moved from memory to the database, and the thread that does it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::Memory;
use super::{Index, IndexError};
use crate::kind::LogKind;
use crate::storage::tiles::BUNDLE_ENTRIES;

/// Most entries whose keys are moved in one go, in the order of the keys: neighbours in the database are then
/// written together.
pub(super) const STEP_ENTRIES: u64 = 256 * BUNDLE_ENTRIES;

/// The same in a raw log whose memory is large: the more keys are moved in one go, the more of them are
/// neighbours, and the less each costs. So many wait in memory before any is moved; 50 MB while they are sorted.
/// Unless half of the memory waits they are moved when the log is [`QUIET`]: whoever appends needs the processor more.
/// A start puts what waited into memory again.
const LARGE_STEP_ENTRIES: u64 = 1 << 20;

/// So long nothing is added to a log that is quiet.
const QUIET: Duration = Duration::from_millis(200);

/// How much the index's thread steps back behind the others, as the command `nice` counts.
const LESS_URGENT: i32 = 10;

impl Index {
    /// Until [`Index::close`].
    pub(super) fn keep_moving(&self) {
        // On Linux the calling thread's alone. What waits for this thread is less urgent than what does not;
        // if the system refuses, it is only slower.
        let _ = rustix::process::nice(LESS_URGENT);
        while self.wait_for_work() {
            if self.is_broken() {
                if let Err(error) = self.rebuild(&IndexError::Unwritten)
                    && !matches!(error, IndexError::Closed)
                {
                    tracing::warn!(%error, "the index can't be made again");
                    self.given_up.store(true, Ordering::Release);
                }
            } else if let Err(error) = self.move_some().and_then(|()| self.filter_some()) {
                tracing::warn!(%error, "the index can't be written and will be made again");
                self.set_broken();
            }
        }
        let filled = self.memory().filled;
        let store = self.store().filter(|_| !self.is_broken());
        if let Some(Err(error)) = store.map(|store| self.note(&store, filled)) {
            tracing::warn!(%error, "the index can't be closed cleanly; the next start catches up");
        }
    }

    /// Waits until there is something to do; `false` when closed.
    fn wait_for_work(&self) -> bool {
        let mut memory = self.memory();
        loop {
            let due = match self.is_broken() {
                true if self.given_up.load(Ordering::Acquire) => Due::Never,
                true => Due::Now,
                false if memory.filtered > 0 => Due::Now,
                false => self.moving_is_due(&memory),
            };
            if memory.closed || matches!(due, Due::Now) {
                return !memory.closed;
            }
            memory = match due {
                Due::WhenQuiet => {
                    self.moved.wait_timeout(memory, QUIET).unwrap_or_else(PoisonError::into_inner).0
                }
                _ => self.moved.wait(memory).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(super) fn move_some(&self) -> Result<(), IndexError> {
        let mut watermark = self.watermark();
        let (filled, goal) = {
            let memory = self.memory();
            if !matches!(self.moving_is_due(&memory), Due::Now) {
                return Ok(());
            }
            (memory.filled, memory.goal)
        };
        let store = self.store().ok_or(IndexError::Unwritten)?;
        let filled = self.step(&store, &mut watermark, filled, goal)?;
        self.memory().moved(filled);
        self.moved.notify_all();
        Ok(())
    }

    /// Whether enough keys wait to be moved.
    fn moving_is_due(&self, memory: &Memory) -> Due {
        let waiting = memory.goal.saturating_sub(memory.filled);
        let (enough, urgent) = match self.identity.kind {
            _ if !self.has_large_memory() => (1, 1),
            LogKind::Raw => (LARGE_STEP_ENTRIES, self.memory_entries / 2),
            // Those whose rows are not in memory are not looked up before they are in the database.
            LogKind::Records if memory.waiting.is_step() || memory.waiting.first() > memory.filled => (1, 1),
            LogKind::Records => (1, u64::MAX),
        };
        match waiting {
            _ if waiting < enough => Due::Never,
            _ if waiting >= urgent || memory.quiet_for() >= QUIET => Due::Now,
            _ => Due::WhenQuiet,
        }
    }

    /// Whether keys may wait in memory: it has room for far more.
    fn has_large_memory(&self) -> bool {
        self.memory_entries >= 8 * LARGE_STEP_ENTRIES
    }

    /// Most entries whose keys are moved in one go.
    pub(super) fn step_entries(&self) -> u64 {
        match self.identity.kind {
            LogKind::Raw if self.has_large_memory() => LARGE_STEP_ENTRIES,
            _ => STEP_ENTRIES,
        }
    }
}

/// When there is something to do.
enum Due {
    Now,
    /// Once nothing has been added for some time.
    WhenQuiet,
    /// Not before something else changes.
    Never,
}
