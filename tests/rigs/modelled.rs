//! A raw log on a modelled disk, what it has acknowledged and let out, and the check of what a crash left of it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::{Entry, EntryBundle};
use indelible_proto::hash::Hash;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::policy::Policy;
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::tile::BundleId;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::{Frontier, TreeHead};
use indelible_server::clock::Clock;
use indelible_server::index::Place;
use indelible_server::kind::LogKind;
use indelible_server::openers::Openers;
use indelible_server::publish::{CHECKPOINT_FILE, Publisher};
use indelible_server::sequencer::{
    self, CoreSettings, Outcome, Sequencer, SequencerHandle, SignedHead, Submission, System, Tuning,
};
use indelible_server::storage::Storage;
use indelible_server::storage::disk::Disk as _;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};

use crate::disk::{Image, ModelDisk, data_dir};

const ORIGIN: &str = "log.example/modelled";

/// Entries of a full bundle.
const BUNDLE_ENTRIES: usize = 256;

/// How long to wait before looking for an answer again.
const LOOK_AGAIN: Duration = Duration::from_micros(20);

fn signer() -> Result<CheckpointSigner> {
    let name = KeyName::parse(ORIGIN)?;
    Ok(CheckpointSigner::new(SecretKey::from_seed(KeyKind::Log, name, [7; 32]))?)
}

/// A place for indices, in memory if there is such a place: they are on no modelled disk.
pub(crate) fn index_dir() -> std::io::Result<TempDir> {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
}

/// The policy of a log without witnesses.
pub(crate) fn policy() -> Result<Arc<Policy>> {
    let text = format!("log {}\nquorum none\n", signer()?.verifier());
    Ok(Arc::new(Policy::parse(text.as_bytes())?))
}

/// The log on this disk, with its index in `index_dir`.
pub(crate) fn settings(disk: &ModelDisk, index_dir: &Path) -> Result<CoreSettings> {
    Ok(CoreSettings {
        data_dir: data_dir(),
        origin: Origin::parse(ORIGIN)?,
        kind: LogKind::Raw,
        signer: signer()?,
        openers: Openers::anyone(),
        queue_entries: 10_000,
        queue_bytes: 16 * 1024 * 1024,
        index_memory_entries: 10_000,
        system: System {
            storage: Storage::on(Arc::new(disk.clone())),
            index: Some(Place { storage: Storage::real(), dir: index_dir.to_owned() }),
            clock: Clock::new(|| UnixSeconds::new(1_800_000_000).expect("invariant: under 2^63")),
        },
    })
}

/// Limits so small that what happens rarely happens all the time, and in the same order in every run.
pub(crate) fn tuning(segment_bytes: u64) -> Tuning {
    Tuning { segment_bytes, sync_bundles: 1, beside: false, ..Tuning::of(LogKind::Raw) }
}

/// A disk with a new log, as `init` leaves it; and what was on it before its checkpoint was published.
pub(crate) fn create(disk: &ModelDisk, index_dir: &Path, tuning: &Tuning) -> Result<Image> {
    let settings = settings(disk, index_dir)?;
    let first = sequencer::create_tuned(&settings, tuning)?;
    let unpublished = disk.image();
    let path = data_dir().join(CHECKPOINT_FILE);
    let file = disk.create(&path)?;
    file.write_at(&first.note.encode(), 0)?;
    file.sync()?;
    disk.sync_dir(&data_dir())?;
    Ok(unpublished)
}

/// The entries of a log in order, and the tree after each.
#[derive(Clone)]
pub(crate) struct Sequence {
    leaves: Vec<Hash>,
    /// By size.
    heads: Vec<TreeHead>,
    frontier: Frontier,
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Self { leaves: Vec::new(), heads: vec![TreeHead::empty()], frontier: Frontier::new() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(crate) fn push(&mut self, leaf: Hash) -> Result<()> {
        self.frontier.append(leaf).map_err(|error| anyhow!("the modelled tree: {error}"))?;
        self.leaves.push(leaf);
        self.heads.push(self.frontier.head());
        Ok(())
    }

    /// Forgets the entries from `size` on.
    pub(crate) fn truncate(&mut self, size: u64) -> Result<()> {
        let leaves = std::mem::take(&mut self.leaves);
        *self = Self::new();
        leaves.into_iter().take(usize::try_from(size)?).try_for_each(|leaf| self.push(leaf))
    }

    /// Whether this leaf is at this index.
    pub(crate) fn has(&self, index: u64, leaf: &Hash) -> bool {
        usize::try_from(index).is_ok_and(|index| self.leaves.get(index) == Some(leaf))
    }

    /// The keys that an index of the first `size` entries has, in order.
    pub(crate) fn keys(&self, size: u64) -> Vec<(Hash, u64)> {
        let mut keys: Vec<_> = self.leaves.iter().copied().zip(0..size).collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) fn head(&self, size: u64) -> Option<&TreeHead> {
        self.heads.get(usize::try_from(size).ok()?)
    }
}

/// What a log has promised so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promised {
    /// Entries before this were acknowledged.
    pub(crate) acknowledged: u64,
    /// The largest tree whose signed checkpoint left.
    pub(crate) shown: u64,
}

/// Keeps [`Promised`] while the log runs. Shared with what watches the disk, so that what leaves the log in
/// the middle of its work is seen before the next call.
#[derive(Clone)]
pub(crate) struct Witnessed(Arc<Mutex<Seen>>);

struct Seen {
    promised: Promised,
    signed: Option<watch::Receiver<Arc<SignedHead>>>,
    waiting: Option<oneshot::Receiver<Vec<Outcome>>>,
    answered: Option<Vec<Outcome>>,
    /// Heads of checkpoints that left.
    heads: Vec<TreeHead>,
}

impl Witnessed {
    pub(crate) fn new(promised: Promised) -> Self {
        let (signed, waiting, answered) = (None, None, None);
        Self(Arc::new(Mutex::new(Seen { promised, signed, waiting, answered, heads: Vec::new() })))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was promised until now.
    pub(crate) fn promised(&self) -> Promised {
        let mut seen = self.seen();
        seen.look();
        seen.promised
    }

    /// Watches a log that runs.
    pub(crate) fn attach(&self, handle: &SequencerHandle) {
        self.seen().signed = Some(handle.signed());
    }

    /// Submits entries in one batch and waits for the answers; `None` if the log stopped.
    pub(crate) fn submit(&self, handle: &SequencerHandle, entries: &[Entry]) -> Result<Option<Vec<Outcome>>> {
        // Held until the receiver is in place: the log may answer at once.
        let mut seen = self.seen();
        match handle.submit_many(entries.iter().cloned().map(Submission::Raw).collect()) {
            Ok(waiting) => seen.waiting = Some(waiting),
            Err(_) if handle.is_stopped() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        drop(seen);
        loop {
            let mut seen = self.seen();
            seen.look();
            if let Some(outcomes) = seen.answered.take() {
                let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed));
                return Ok(if failed { None } else { Some(outcomes) });
            }
            ensure!(seen.waiting.is_some(), "the log let go of a submission");
            drop(seen);
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// Checks that every checkpoint that left was of this sequence.
    pub(crate) fn check_heads(&self, sequence: &Sequence) -> Result<()> {
        for head in &self.seen().heads {
            let known = sequence.head(head.size.get());
            ensure!(
                known == Some(head),
                "FORK: a tree of size {} was signed that is not the log's",
                head.size
            );
        }
        Ok(())
    }
}

impl Seen {
    fn look(&mut self) {
        if let Some(signed) = &self.signed {
            let head = signed.borrow().checkpoint.head();
            if self.heads.last() != Some(&head) {
                self.heads.push(head);
            }
            self.promised.shown = self.promised.shown.max(head.size.get());
        }
        let Some(Ok(outcomes)) = self.waiting.as_mut().map(oneshot::Receiver::try_recv) else {
            return;
        };
        self.waiting = None;
        for outcome in &outcomes {
            if let Outcome::Sequenced { index, .. } = outcome {
                self.promised.acknowledged = self.promised.acknowledged.max(index.get() + 1);
            }
        }
        self.answered = Some(outcomes);
    }
}

/// Publishes the newest signed checkpoint.
pub(crate) fn publish(publisher: &Publisher, policy: &Policy, sequencer: &Sequencer) -> Result<()> {
    let signed = Arc::clone(&sequencer.handle().signed().borrow());
    Ok(publisher.publish(&policy.verify(&signed.note)?)?)
}

/// Opens a log as a start does and holds what it finds against what was promised; how many entries it has.
///
/// # Errors
/// If it does not open, or lacks something that was promised, or has something else.
pub(crate) fn check(
    disk: &ModelDisk,
    index_dir: &Path,
    tuning: &Tuning,
    sequence: &Sequence,
    promised: Promised,
) -> Result<u64> {
    let stored = sequencer::look(&settings(disk, index_dir)?, tuning)
        .map_err(|error| anyhow!("UNOPENABLE: {}: {error:#}", error.code()))?;
    let head = stored.signed.checkpoint.head();
    let Promised { acknowledged, shown } = promised;
    let size = head.size.get();
    ensure!(size >= acknowledged, "LOST: {acknowledged} entries were acknowledged, {size} are left");
    ensure!(size >= shown, "FORK to come: a signed tree of {shown} entries left, {size} entries are left");
    ensure!(
        sequence.head(size) == Some(&head),
        "FORK: the tree of size {size} is not the one that was signed"
    );
    let shown = sequence.head(shown).context("the sequence is shorter than what was shown")?;
    ensure!(
        stored.tree.head(shown.size)? == *shown,
        "FORK: the tree that left is not part of the one that is left"
    );
    for (bundle, leaves) in (0..).zip(sequence.leaves[..usize::try_from(size)?].chunks(BUNDLE_ENTRIES)) {
        let id = BundleId::for_size(bundle, head.size).context("the tree has no such bundle")?;
        let bytes = stored.tree.bundle(&id)?.with_context(|| format!("LOST: there is no bundle {bundle}"))?;
        let bundle = EntryBundle::parse(id.width(), &bytes)?;
        ensure!(
            bundle.leaf_hashes().eq(leaves.iter().copied()),
            "LOST: bundle {} has other entries",
            id.index()
        );
    }
    Ok(size)
}

/// The same of what a crash left.
pub(crate) fn check_image(
    image: Image,
    index_dir: &Path,
    tuning: &Tuning,
    sequence: &Sequence,
    promised: Promised,
) -> Result<u64> {
    check(&ModelDisk::new(image), index_dir, tuning, sequence, promised)
}
