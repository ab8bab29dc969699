//! Known bugs, planted on purpose: proof that the reliability rigs can fail.
//!
//! Without the feature `planted-bugs` nothing here does anything, whatever the environment says. With it, a
//! process has the one bug that `INDELIBLE_PLANTED_BUG` names. No program that anyone installs is built with
//! that feature; `docs/reliability.md` lists which rig must catch which bug.

/// Name of the environment variable that picks the bug.
pub const VARIABLE: &str = "INDELIBLE_PLANTED_BUG";

/// A bug a process can be made to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// What is written to a file is never synced.
    NoFileSync,
    /// The directory is not synced after a rename in it.
    NoDirSync,
    /// The parent's directory is not synced after a directory was made in it.
    NoParentDirSync,
    /// A checkpoint leaves the process before it is on disk.
    PublishBeforePersist,
    /// Submitters are answered before the journal has their entries.
    AckBeforeCommit,
    /// Submitters are answered although the sync failed.
    AckOnSyncError,
    /// A second failure in a row is taken for a success.
    IgnoreSecondFailure,
    /// The published checkpoint is written over in place.
    TornCheckpoint,
    /// The index's database is believed without a look at the log's root and the entry, and asked for nearly all of them.
    TrustIndex,
    /// Index and proof of an answer come from one tree, its checkpoint from another.
    MixedSnapshots,
    /// Whatever is submitted waits, however much it is.
    UnboundedQueue,
    /// A process goes on writing after another has taken the log over.
    NoFencing,
    /// An old copy of the data is started and signed from.
    AcceptStaleCopy,
    /// Entries are taken however little room there is.
    FillDisk,
    /// `fsck` looks at no tile above those of the leaves.
    UpperTilesUnread,
    /// The index notes which files of rows it has before they are on disk.
    IndexNoteBeforeSync,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 16] = [
        Self::NoFileSync,
        Self::NoDirSync,
        Self::NoParentDirSync,
        Self::PublishBeforePersist,
        Self::AckBeforeCommit,
        Self::AckOnSyncError,
        Self::IgnoreSecondFailure,
        Self::TornCheckpoint,
        Self::TrustIndex,
        Self::MixedSnapshots,
        Self::UnboundedQueue,
        Self::NoFencing,
        Self::AcceptStaleCopy,
        Self::FillDisk,
        Self::UpperTilesUnread,
        Self::IndexNoteBeforeSync,
    ];

    /// The bug's name, as the environment variable has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFileSync => "no-file-sync",
            Self::NoDirSync => "no-dir-sync",
            Self::NoParentDirSync => "no-parent-dir-sync",
            Self::PublishBeforePersist => "publish-before-persist",
            Self::AckBeforeCommit => "ack-before-commit",
            Self::AckOnSyncError => "ack-on-sync-error",
            Self::IgnoreSecondFailure => "ignore-second-failure",
            Self::TornCheckpoint => "torn-checkpoint",
            Self::TrustIndex => "trust-index",
            Self::MixedSnapshots => "mixed-snapshots",
            Self::UnboundedQueue => "unbounded-queue",
            Self::NoFencing => "no-fencing",
            Self::AcceptStaleCopy => "accept-stale-copy",
            Self::FillDisk => "fill-disk",
            Self::UpperTilesUnread => "upper-tiles-unread",
            Self::IndexNoteBeforeSync => "index-note-before-sync",
        }
    }

    /// The bug with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name)
    }
}

/// Whether this process has the bug.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}

/// Whether this process has the bug.
///
/// # Panics
/// If the environment names a bug that there is not: the rig would prove nothing.
#[cfg(feature = "planted-bugs")]
pub fn has(bug: Bug) -> bool {
    static PLANTED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        let name = std::env::var(VARIABLE).ok()?;
        let named = Bug::named(&name).unwrap_or_else(|| panic!("{VARIABLE}: there is no bug {name:?}"));
        eprintln!("warning: this process has the bug {name} on purpose");
        Some(named)
    });
    *planted == Some(bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        for bug in Bug::ALL {
            assert_eq!(Bug::named(bug.name()), Some(bug));
        }
        assert_eq!(Bug::named("no-such-bug"), None);
    }
}
