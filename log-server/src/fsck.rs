//! `fsck`: recomputes a whole log from its entries and lists everything that is not as it must be.
//!
//! | checked | of a directory | of a URL |
//! |---|---|---|
//! | form of every bundle, every leaf hash against its tile | yes | yes |
//! | every tile above | full ones; partial ones are not stored | all, partial ones, too |
//! | the root against the published checkpoint, its signature, its quorum with a policy | yes | yes |
//! | every record parsed, and whether it may follow its channel | by the log's kind | with `--kind records` |
//! | chain of the journal's segments and records, every root and signed checkpoint in it | yes | |
//! | the `heads` snapshot: both heads, every channel | yes | |
//! | files that should not be there | yes | |
//! | the index | no: nothing rests on it, and every start checks it | |
//!
//! Nothing is written, and a log that runs is not disturbed but for the disk's and the processors' time.
//!
//! Memory: 32 bytes for every 256 entries, the journal, and with records the states of the channels.

mod channels;
mod directory;
mod finding;
mod parallel;
mod scan;
mod stored;
mod strays;

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use indelible_client::durable::{self, DurableError};
use indelible_client::fetch::{CHECKPOINT_PATH, Source, SourceError};
use indelible_proto::checkpoint::{CheckpointError, Origin};
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote, VerifierKey};
use indelible_proto::policy::{LogSigned, MAX_POLICY_BYTES, Policy, PolicyError, PolicyFileError};
use indelible_proto::size::TreeSize;
use tokio::runtime::Handle;

pub(crate) use directory::DataDir;
pub use finding::{Finding, Grade, Listener};
pub(crate) use scan::{Scan, Scanned, compare, split};
pub(crate) use stored::{Fault, Published, Stored};

use crate::config::{Config, ConfigError, DATA_DIR, POLICY_FILE};
use crate::journal::JournalError;
use crate::kind::LogKind;

/// Requests made at once to a log behind a URL. Each may be answered with 16 MiB.
pub(crate) const PARALLEL_REQUESTS: usize = 16;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
    /// The settings of the log can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy can't be read.
    #[error("cannot read the policy")]
    Read(#[from] DurableError),
    /// The policy is gone.
    #[error("{} is missing", path.display())]
    PolicyMissing {
        /// The policy's file.
        path: PathBuf,
    },
    /// The policy is refused.
    #[error("the policy is refused")]
    Policy(#[from] PolicyFileError),
    /// The policy does not name one log.
    #[error("the policy must name exactly one log, it names {got}")]
    PolicyLogs {
        /// How many it names.
        got: usize,
    },
    /// The settings' origin can't be one.
    #[error("the origin in the settings is refused")]
    Origin(#[from] CheckpointError),
    /// The journal, or a file beside it, can't be read at all.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The checkpoint can't be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The checkpoint is not one to go by.
    #[error("the checkpoint of {from} is refused")]
    Checkpoint {
        /// Where it came from.
        from: String,
        /// What is wrong with it.
        source: PolicyError,
    },
}

impl FsckError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::PolicyMissing { .. } => "policy-missing",
            Self::Policy(error) => error.code(),
            Self::PolicyLogs { .. } => "policy-logs",
            Self::Origin(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::Checkpoint { source, .. } => source.code(),
        }
    }

    /// Whether what was read is wrong, as opposed to not read.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Checkpoint { .. })
    }
}

/// How to check.
#[derive(Clone, Copy)]
pub struct Fsck<'a> {
    /// Hears of everything.
    pub listener: &'a dyn Listener,
    /// Threads that hash.
    pub threads: usize,
}

impl<'a> Fsck<'a> {
    /// With all processors.
    pub fn new(listener: &'a dyn Listener) -> Self {
        Self { listener, threads: available_parallelism().map_or(1, usize::from) }
    }

    /// Checks the log in `dir`; how many entries it has.
    ///
    /// # Errors
    /// If nothing could be checked. Everything else the listener hears.
    pub fn directory(&self, dir: &Path) -> Result<TreeSize, FsckError> {
        let config = Config::load(dir)?;
        let origin = Origin::parse(&config.origin)?;
        let path = dir.join(POLICY_FILE);
        let bytes = durable::read(&path, MAX_POLICY_BYTES)?.ok_or(FsckError::PolicyMissing { path })?;
        let policy = Policy::parse(&bytes)?;
        let [log] = policy.logs() else {
            return Err(FsckError::PolicyLogs { got: policy.logs().len() });
        };
        let key = log.key.clone();
        let data = DataDir { dir: dir.join(DATA_DIR), kind: config.kind, policy, origin, key };
        Ok(data.check(self)?)
    }

    /// Checks the log that `source` publishes; how many entries it has. Blocking, outside of the runtime.
    ///
    /// # Errors
    /// If there is no checkpoint to go by. Everything else the listener hears.
    pub fn published(
        &self,
        source: Source,
        policy: &Policy,
        kind: LogKind,
        runtime: Handle,
    ) -> Result<TreeSize, FsckError> {
        let stored = Published { source, runtime };
        let signed = signed_checkpoint(&stored, policy)?;
        let head = signed.head();
        let scan = Scan {
            stored: &stored,
            listener: self.listener,
            kind,
            size: head.size,
            signed: Some(head.root),
            snapshot_at: 0,
            threads: PARALLEL_REQUESTS,
        };
        let scanned = scan.run();
        if !self.listener.is_stopped() {
            let root = scanned.edge(head.size, &scanned.partial).map(|edge| edge.root());
            compare(self.listener, "checkpoint", &head, root);
        }
        Ok(head.size)
    }
}

/// The checkpoint that is published, which must be what the policy asks for.
pub(crate) fn signed_checkpoint(stored: &Published, policy: &Policy) -> Result<LogSigned, FsckError> {
    let bytes = stored.get(CHECKPOINT_PATH, MAX_NOTE_BYTES)?;
    let from = stored.source.to_string();
    let note = SignedNote::parse(&bytes).map_err(PolicyError::from);
    // Whoever answers everything with a page says nothing about the log.
    if note.is_err()
        && let Some(page) = stored.source.web_page(CHECKPOINT_PATH, &bytes)
    {
        return Err(page.into());
    }
    let signed = note.and_then(|note| {
        let signed = policy.verify_log_signature(&note)?;
        // A log without entries is published without witnesses.
        if !signed.head().size.is_zero() {
            policy.verify(&note)?;
        }
        Ok(signed)
    });
    signed.map_err(|source| FsckError::Checkpoint { from, source })
}

/// The policy of a reader who has the log's key and asks for no witnesses.
///
/// # Errors
/// Never for a log's key.
pub fn policy_of_key(key: &VerifierKey) -> Result<Policy, PolicyFileError> {
    Policy::parse(format!("log {key}\nquorum none\n").as_bytes())
}

#[cfg(test)]
mod tests;
