//! What the sequencer's thread owns, and the order in which a batch becomes part of the log:
//!
//! 1. the batch is looked at once more ([`super::self_check`]), and the new head is signed
//! 2. entries and signed checkpoint are appended to the journal, one write and one sync: now **sequenced**
//! 3. whether this process still owns the log is asked once more: if not, nothing of it leaves
//! 4. the tree's edge and the channels move (recovery does the same); full tiles and bundles are kept in
//!    memory and handed to the [writer](super::writer), which puts them into their files
//! 5. readers see the new tree, the index takes the keys, whoever waits sees the signed head
//!
//! After an error in any of these nothing more is done with the log in this process.

use std::sync::{Arc, PoisonError, RwLock};

use indelible_client::planted::{self, Bug};
use indelible_proto::checkpoint::Origin;
use indelible_proto::sign::CheckpointSigner;
use indelible_proto::size::TreeSize;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use tokio::sync::watch;

use super::checkpoint::SignedHead;
use super::error::{SequencerError, SignError};
use super::plan::{Plan, PlannedBatch, plan};
use super::queue::{Outcome, Request};
use super::self_check::SelfCheck;
use super::settings::Tuning;
use super::state::{Channels, Step};
use super::sync::SyncPasses;
use super::writer::Writer;
use crate::clock::Clock;
use crate::index::Index;
use crate::journal::{Batch, Checkpoint, Journal, Payload};
use crate::openers::Openers;
use crate::storage::Storage;
use crate::storage::heads::Heads;
use crate::storage::tiles::{BUNDLE_ENTRIES, full_bundle_entries};
use crate::tree_reader::{Edge, FullParts, TreeReader};

/// At this many times [`Tuning::sync_bytes`] in the journal, sequencing waits for the sync pass.
const MAX_SYNC_LAG: u64 = 4;

/// The tree and the channels.
#[derive(Debug)]
pub(super) struct Integrated {
    /// Shared with readers once it may be seen.
    pub(super) edge: Arc<Edge>,
    pub(super) channels: Arc<RwLock<Channels>>,
}

impl Integrated {
    /// Applies a step whose entries are in the journal. What it made full remains to be written.
    pub(super) fn apply(&mut self, step: Step) -> FullParts {
        let size = step.edge.tiles.size();
        self.channels.write().unwrap_or_else(PoisonError::into_inner).apply(step.moves, size);
        self.edge = step.edge;
        step.full
    }
}

/// Everything the sequencer's thread owns.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) origin: Origin,
    pub(super) signer: CheckpointSigner,
    pub(super) openers: Openers,
    pub(super) clock: Clock,
    /// When the newest checkpoint was signed.
    pub(super) signed_at: UnixSeconds,
    pub(super) tuning: Tuning,
    pub(super) storage: Storage,
    pub(super) journal: Journal,
    pub(super) integrated: Integrated,
    pub(super) reader: Arc<TreeReader>,
    pub(super) index: Arc<Index>,
    pub(super) self_check: SelfCheck,
    pub(super) signed: watch::Sender<Arc<SignedHead>>,
    pub(super) writer: Arc<Writer>,
    pub(super) passes: SyncPasses,
    /// Up to which entry tiles and bundles are durable, or will be when the running pass is done.
    pub(super) synced: TreeSize,
    /// Bytes of entries that were journaled since that pass began.
    pub(super) unsynced_bytes: u64,
}

impl Log {
    /// Sequences requests and answers them, unless it turns out that nothing more may be signed.
    pub(super) fn process(
        &mut self,
        requests: Vec<Request>,
        signs_no_more: impl Fn() -> bool,
    ) -> Result<(), SequencerError> {
        let planned = self.plan(&requests);
        let (outcomes, batch) = match planned {
            Ok(Plan { outcomes, batch }) => (outcomes, batch),
            Err(error) => {
                answer(requests, Vec::new());
                return Err(error);
            }
        };
        // Planning waits for the index, which may take long.
        if signs_no_more() {
            answer(requests, Vec::new());
            return Ok(());
        }
        if planted::has(Bug::AckBeforeCommit) {
            answer(requests, outcomes);
            // For long enough that somebody relies on it.
            std::thread::sleep(std::time::Duration::from_millis(3));
            return self.sequence(batch);
        }
        let sequenced = self.sequence(batch);
        answer(requests, if sequenced.is_ok() { outcomes } else { Vec::new() });
        sequenced
    }

    fn plan(&mut self, requests: &[Request]) -> Result<Plan, SequencerError> {
        self.take_finished_pass()?;
        self.index.wait_for_room();
        let candidates = || requests.iter().flat_map(Request::candidates);
        let keys: Vec<_> = candidates().map(|candidate| candidate.key).collect();
        let known = self.index.find(&keys)?;
        let channels = self.integrated.channels.read().unwrap_or_else(PoisonError::into_inner);
        let planned = plan(&self.integrated.edge, &channels, &self.openers, candidates().zip(known));
        Ok(planned.map_err(SignError::from)?)
    }

    fn sequence(&mut self, batch: Option<PlannedBatch>) -> Result<(), SequencerError> {
        let Some(batch) = batch else {
            return Ok(self.storage.check_owner()?);
        };
        self.commit(batch)?;
        self.begin_pass_if_due()
    }

    fn commit(&mut self, batch: PlannedBatch) -> Result<(), SequencerError> {
        let PlannedBatch { first, head, entries, rows, step } = batch;
        self.self_check.follow(first, &entries, &head)?;
        // Never before the last one, whatever the clock does meanwhile.
        self.signed_at = self.signed_at.max(self.clock.now());
        let signed = SignedHead::sign(&self.origin, head, &self.signer, self.signed_at)?;
        self.unsynced_bytes += entries.len() as u64;
        // Not where a bundle becomes full: what leaves too early could not be read, and the process would end.
        if planted::has(Bug::PublishBeforePersist) && full_bundle_entries(head.size) <= first.get() {
            self.reader.show(Arc::clone(&step.edge));
            self.signed.send_replace(Arc::new(signed.clone()));
            // For long enough that it leaves the process.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let checkpoint = Checkpoint { signed_at: self.signed_at, note: signed.note.encode().into() };
        let batch = Batch { first, head, entries };
        self.journal.append(&[Payload::Batch(batch), Payload::Checkpoint(checkpoint)])?;
        // Another owner may not have found it.
        self.storage.check_owner()?;
        let full = self.integrated.apply(step);
        self.writer.put(full)?;
        if !self.tuning.beside {
            self.writer.write_waiting()?;
        }
        self.reader.show(Arc::clone(&self.integrated.edge));
        self.index.add(&rows, head.size);
        self.signed.send_replace(Arc::new(signed));
        Ok(())
    }

    fn take_finished_pass(&mut self) -> Result<(), SequencerError> {
        if let Some(durable) = self.passes.finished() {
            self.journal.trim(durable?)?;
        }
        Ok(())
    }

    pub(super) fn begin_pass_if_due(&mut self) -> Result<(), SequencerError> {
        let full = full_bundle_entries(self.head().size);
        let bundles = (full - self.synced.get()) / BUNDLE_ENTRIES;
        let due = bundles >= self.tuning.sync_bundles
            || (bundles > 0 && self.unsynced_bytes >= self.tuning.sync_bytes);
        if !due {
            return Ok(());
        }
        if self.passes.is_running() {
            if self.unsynced_bytes < self.tuning.sync_bytes.saturating_mul(MAX_SYNC_LAG) {
                return Ok(());
            }
            let durable = self.passes.wait()?;
            self.journal.trim(durable)?;
        }
        self.begin_pass()
    }

    fn begin_pass(&mut self) -> Result<(), SequencerError> {
        let heads = self.snapshot()?;
        self.synced = heads.integrated.size;
        self.unsynced_bytes = 0;
        self.passes.begin(heads, self.writer.put_so_far())
    }

    fn snapshot(&self) -> Result<Heads, SequencerError> {
        let size = TreeSize::new(full_bundle_entries(self.head().size)).unwrap_or(self.synced);
        let channels = self.integrated.channels.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Heads {
            integrated: self.reader.head(size)?,
            signed: self.head(),
            channels: channels.at_last_full_bundle(),
        })
    }

    /// The last pass, so that the next start has little to replay.
    pub(super) fn finish(&mut self) -> Result<(), SequencerError> {
        if self.passes.is_running() {
            let durable = self.passes.wait()?;
            self.journal.trim(durable)?;
        }
        self.begin_pass()?;
        let durable = self.passes.wait()?;
        Ok(self.journal.trim(durable)?)
    }

    fn head(&self) -> TreeHead {
        self.integrated.edge.tiles.head()
    }
}

/// Answers each request. Those without an outcome learn that it failed: after an error nobody knows what a
/// restart will find.
fn answer(requests: Vec<Request>, outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter().chain(std::iter::repeat(Outcome::Failed));
    for request in requests {
        request.answer(&mut outcomes);
    }
}
