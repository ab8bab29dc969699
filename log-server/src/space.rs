//! Room on the file system that the log's data is on.
//!
//! A log can't do without room: for the journal's next segment, for tiles, for the published checkpoint. Whoever
//! notices it only when a write fails has to stop. So submissions stop before: below
//! [`StorageConfig::min_free_mib`] each is answered 503 until there is room again, with no restart, while reads
//! go on. Well before that, below [`StorageConfig::warn_free_mib`], the operator is told.
//!
//! Whoever submits or asks for the log's health looks, at most every [`LOOK_EVERY`]; a log that nobody uses
//! doesn't grow. Not covered: another program that takes all room between two looks, or while something is being
//! written. A write then fails, the process ends, and it starts again once there is room.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indelible_client::planted::{self, Bug};
use serde::Deserialize;

/// How much room must be left on the file system of the data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// MiB below which the operator is warned.
    pub warn_free_mib: NonZeroU64,
    /// MiB below which submissions are answered 503.
    pub min_free_mib: NonZeroU64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        // Two journal segments of 16 MiB, four batches of 4 MiB on their way, and as much again.
        let min = const { NonZeroU64::new(64).expect("invariant: not zero") };
        let warn = const { NonZeroU64::new(1024).expect("invariant: not zero") };
        Self { warn_free_mib: warn, min_free_mib: min }
    }
}

/// In this time the log writes far less than what must be left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const MIB: u64 = 1024 * 1024;

/// How much room there is, and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nobody needs to do anything.
    Enough,
    /// An operator should make room.
    Low {
        /// What is free, in MiB.
        free_mib: u64,
        /// What should be.
        warn_mib: u64,
    },
    /// Nothing more is taken.
    TooLittle {
        /// What is free, in MiB.
        free_mib: u64,
        /// What must be.
        min_mib: u64,
    },
}

impl Room {
    fn of(free_bytes: u64, limits: &StorageConfig) -> Self {
        let (free_mib, warn_mib, min_mib) =
            (free_bytes / MIB, limits.warn_free_mib.get(), limits.min_free_mib.get());
        if free_mib < min_mib && !planted::has(Bug::FillDisk) {
            Self::TooLittle { free_mib, min_mib }
        } else if free_mib < warn_mib {
            Self::Low { free_mib, warn_mib }
        } else {
            Self::Enough
        }
    }

    /// Tells the operator that it is not as it was.
    fn report(self, before: Self) {
        match self {
            _ if std::mem::discriminant(&self) == std::mem::discriminant(&before) => {}
            Self::Enough => tracing::info!("there is enough disk space again"),
            Self::Low { free_mib, warn_mib } => {
                tracing::warn!(free_mib, warn_mib, "disk space is low; make room before entries are refused");
            }
            Self::TooLittle { free_mib, min_mib } => {
                tracing::error!(
                    free_mib,
                    min_mib,
                    "too little disk space; entries are refused until there is room"
                );
            }
        }
    }
}

/// Looks at the room on one file system.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    limits: StorageConfig,
    seen: Mutex<Option<(Instant, Room)>>,
}

impl Space {
    /// Of the file system that `dir` is on.
    pub fn of(dir: &Path, limits: &StorageConfig) -> Self {
        Self { dir: dir.to_owned(), limits: limits.clone(), seen: Mutex::new(None) }
    }

    /// How much room there is, or was a moment ago. If the system does not tell, enough: refusing entries would
    /// make that a failure of the log.
    pub fn room(&self) -> Room {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match *seen {
            Some((at, room)) if at.elapsed() < LOOK_EVERY => return room,
            Some((_, room)) => room,
            None => Room::Enough,
        };
        let room = match rustix::fs::statvfs(&self.dir) {
            Ok(status) => Room::of(status.f_bavail.saturating_mul(status.f_frsize), &self.limits),
            Err(_) => Room::Enough,
        };
        room.report(before);
        *seen = Some((Instant::now(), room));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(warn: u64, min: u64) -> StorageConfig {
        let [warn_free_mib, min_free_mib] = [warn, min].map(|limit| NonZeroU64::new(limit).unwrap());
        StorageConfig { warn_free_mib, min_free_mib }
    }

    #[test]
    fn each_limit_is_the_last_that_is_good() {
        let limits = limits(100, 10);
        assert_eq!(Room::of(100 * MIB, &limits), Room::Enough);
        assert_eq!(Room::of(100 * MIB - 1, &limits), Room::Low { free_mib: 99, warn_mib: 100 });
        assert_eq!(Room::of(10 * MIB, &limits), Room::Low { free_mib: 10, warn_mib: 100 });
        assert_eq!(Room::of(10 * MIB - 1, &limits), Room::TooLittle { free_mib: 9, min_mib: 10 });
        assert_eq!(Room::of(0, &limits), Room::TooLittle { free_mib: 0, min_mib: 10 });
    }

    #[test]
    fn the_file_system_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Space::of(dir.path(), &limits(1, 1)).room(), Room::Enough);
        let full = Space::of(dir.path(), &limits(u64::MAX, u64::MAX));
        assert!(matches!(full.room(), Room::TooLittle { .. }));
        let unknown = Space::of(&dir.path().join("missing"), &limits(u64::MAX, u64::MAX));
        assert_eq!(unknown.room(), Room::Enough);
    }
}
