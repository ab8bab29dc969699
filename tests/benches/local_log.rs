//! Logs in this process: made and opened with the server's own code, without its HTTP front.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indelible_client::keys::KeyAlgorithm;
use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_server::config::{Config, DATA_DIR, KEY_FILE};
use indelible_server::init::{self, NewLog, Witnessing};
use indelible_server::kind::LogKind;
use indelible_server::sequencer::{Occurrence, Outcome, Sequencer, SequencerHandle, Submission};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::cpu;

/// Length of the entries of raw logs, in bytes.
pub(crate) const ENTRY_BYTES: usize = 256;

/// Names of the threads that do what an append leaves to be done later.
pub(crate) const BACKGROUND: &[&str] = &["index", "sled-", "log-"];
/// The index has caught up when it has used no CPU time for this long.
const IDLE: Duration = Duration::from_millis(400);
/// How long that may take.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// A log without witnesses.
#[derive(Debug)]
pub(crate) struct LocalLog {
    parent: PathBuf,
}

impl LocalLog {
    /// A new log in a new folder in `parent`, as `indelible-server init` makes it. It stays there: files that
    /// were deleted a moment ago make new ones slow on some file systems.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn create(kind: LogKind, parent: &Path) -> Result<Self> {
        let log = Self { parent: TempDir::with_prefix_in("log-", parent)?.keep() };
        init::init(&NewLog {
            dir: log.dir(),
            origin: Origin::parse("log.example/bench")?,
            algorithm: KeyAlgorithm::Ed25519,
            kind,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            witnessing: Witnessing::None,
        })?;
        Ok(log)
    }

    /// Opens it, as `indelible-server run` does.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(&self) -> Result<Sequencer> {
        let dir = self.dir();
        let config = Config::load(&dir)?;
        let key = std::fs::read_to_string(dir.join(KEY_FILE))?;
        let signer = CheckpointSigner::new(SecretKey::parse(key.trim_end())?)?;
        let origin = Origin::parse(&config.origin)?;
        Ok(Sequencer::open(config.core_settings(&dir, origin, signer))?)
    }

    /// The log's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.parent.join("log")
    }

    /// The directory with everything it stores.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir().join(DATA_DIR)
    }

    /// A folder on the same file system for other files.
    pub(crate) fn scratch(&self) -> &Path {
        &self.parent
    }
}

/// Makes entries of one length, no two of them the same.
#[derive(Debug)]
pub(crate) struct Entries {
    made: AtomicU64,
    bytes: usize,
}

impl Default for Entries {
    /// Of [`ENTRY_BYTES`] bytes.
    fn default() -> Self {
        Self::of_length(ENTRY_BYTES)
    }
}

impl Entries {
    /// Of `bytes` bytes, a multiple of 8.
    pub(crate) fn of_length(bytes: usize) -> Self {
        Self { made: AtomicU64::new(0), bytes }
    }

    /// The next entry's bytes.
    pub(crate) fn next_bytes(&self) -> Vec<u8> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // Not compressible, as hashes and signatures are not; cheap to make, as it is not what is measured.
        let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::with_capacity(self.bytes);
        while bytes.len() < self.bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_be_bytes());
        }
        bytes
    }

    fn next(&self) -> Result<Submission> {
        Ok(Submission::Raw(Entry::new(self.next_bytes())?))
    }
}

/// How entries are handed to a log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feed {
    /// One at a time by each of `producers` threads, which have up to `waiting` unanswered.
    Single {
        /// Threads.
        producers: usize,
        /// Entries a thread may have unanswered.
        waiting: usize,
    },
    /// In groups of `group` entries by each of `producers` threads, which have up to two groups unanswered.
    Groups {
        /// Threads.
        producers: usize,
        /// Entries in a group.
        group: usize,
    },
}

/// Appends about `count` entries, and returns how many it were once all are durable.
///
/// # Errors
/// If one is refused.
pub(crate) fn append(log: &SequencerHandle, entries: &Entries, count: usize, feed: Feed) -> Result<usize> {
    let (Feed::Single { producers, .. } | Feed::Groups { producers, .. }) = feed;
    let each = count.div_ceil(producers);
    let produce = || match feed {
        Feed::Single { waiting, .. } => append_singly(log, entries, each, waiting),
        Feed::Groups { group, .. } => append_groups(log, entries, each, group),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..producers).map(|_| scope.spawn(produce)).collect();
        let appended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("panicked")));
        appended.sum()
    })
}

fn append_singly(log: &SequencerHandle, entries: &Entries, count: usize, waiting: usize) -> Result<usize> {
    let mut unanswered = VecDeque::with_capacity(waiting);
    for _ in 0..count {
        if unanswered.len() == waiting {
            unanswered.pop_front().map_or(Ok(()), check_one)?;
        }
        unanswered.push_back(log.submit(entries.next()?)?);
    }
    unanswered.into_iter().try_for_each(check_one)?;
    Ok(count)
}

fn append_groups(log: &SequencerHandle, entries: &Entries, count: usize, group: usize) -> Result<usize> {
    let mut unanswered = VecDeque::new();
    let groups = count.div_ceil(group);
    for _ in 0..groups {
        if unanswered.len() == 2 {
            unanswered.pop_front().map_or(Ok(()), check_group)?;
        }
        let submissions = (0..group).map(|_| entries.next()).collect::<Result<Vec<_>>>()?;
        unanswered.push_back(log.submit_many(submissions)?);
    }
    unanswered.into_iter().try_for_each(check_group)?;
    Ok(groups * group)
}

/// Waits for an answer, which must be that the entry is new and in the log.
pub(crate) fn check_one(answer: oneshot::Receiver<Outcome>) -> Result<()> {
    check(&answer.blocking_recv().context("the sequencer ended")?)
}

fn check_group(answer: oneshot::Receiver<Vec<Outcome>>) -> Result<()> {
    answer.blocking_recv().context("the sequencer ended")?.iter().try_for_each(check)
}

fn check(outcome: &Outcome) -> Result<()> {
    match outcome {
        Outcome::Sequenced { occurrence: Occurrence::First, .. } => Ok(()),
        other => bail!("not appended: {other:?}"),
    }
}

/// Waits until no log in this process has anything left to do, and returns for how long it had.
pub(crate) fn wait_until_idle() -> Result<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < MAX_WAIT {
        let busy = begun.elapsed();
        let before = cpu::of_threads(BACKGROUND)?;
        std::thread::sleep(IDLE);
        // sled looks every now and then whether there is something to do.
        if cpu::of_threads(BACKGROUND)?.saturating_sub(before) < IDLE / 50 {
            return Ok(busy);
        }
    }
    anyhow::bail!("the index has not caught up within {MAX_WAIT:?}")
}
