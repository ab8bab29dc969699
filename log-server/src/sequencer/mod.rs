//! The sequencer: one thread that owns the log and puts what is submitted into it.
//!
//! Submitters hand entries to a bounded queue. The thread takes whatever arrived while it committed the last
//! batch, decides (`plan`), commits (`commit`), and answers. There is no timer on the way. A failed
//! write stops it for good: it answers [`Outcome::Failed`], [`Sequencer::failed`] resolves, and only the next
//! start, which goes through `recover`, can tell what is on disk.
//!
//! [`create`] makes a log and [`Sequencer::open`] opens one; neither does the other's work.

mod checkpoint;
mod commit;
mod error;
mod often;
mod plan;
mod preverify;
mod queue;
mod recover;
mod self_check;
mod settings;
mod state;
mod sync;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use indelible_proto::record::{ChannelName, ChannelState};
use indelible_proto::tree::TreeHead;
use tokio::sync::{oneshot, watch};

pub use checkpoint::SignedHead;
pub use error::{CheckpointFault, OpenError, Refusal, SequencerError, SignError};
pub use queue::{Occurrence, Outcome, Submission, SubmitError};
pub use settings::{CLOCK_TOLERANCE_S, CoreSettings, System, Tuning};

use crate::index::{self, Index, Place, StoreError};
use crate::journal::{Checkpoint, Journal};
use crate::storage::disk::Lock;
use crate::storage::tiles::TileFiles;
use crate::storage::{DiskError, Storage, WholeDisk};
use crate::tree_reader::TreeReader;
use commit::Log;
use often::OftenAsked;
use preverify::preverify;
use queue::{Candidate, Queue, Request};
pub(crate) use recover::JOURNAL_DIR;
use recover::{Recovered, identity, recover};
use self_check::SelfCheck;
use state::Channels;
use sync::SyncPasses;
use writer::{MAX_UNWRITTEN_BYTES, Writer};

/// Name of the index's directory in the data directory.
const INDEX_DIR: &str = "index";

/// Makes an empty log: its data directory with a journal that holds the signed checkpoint of the empty tree, which
/// it returns. Everything is on disk when the call returns; a crash before leaves nothing under the directory's name.
///
/// # Errors
/// [`OpenError::Exists`] if the directory has anything in it, or an earlier attempt was cut short.
pub fn create(settings: &CoreSettings) -> Result<SignedHead, OpenError> {
    create_tuned(settings, &Tuning::of(settings.kind))
}

/// The same with other limits.
///
/// # Errors
/// As [`create`].
pub fn create_tuned(settings: &CoreSettings, tuning: &Tuning) -> Result<SignedHead, OpenError> {
    let dir = &settings.data_dir;
    let storage = &settings.system.storage;
    if storage.list(dir)?.is_some_and(|names| !names.is_empty()) {
        return Err(OpenError::Exists { path: dir.clone() });
    }
    let unfinished = unfinished_path(dir);
    match storage.create_dir(&unfinished) {
        Err(DiskError::Failed { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            return Err(OpenError::Exists { path: unfinished });
        }
        made => made?,
    }
    let signed_at = settings.system.clock.now();
    let signed = SignedHead::sign(&settings.origin, TreeHead::empty(), &settings.signer, signed_at)?;
    let checkpoint = Checkpoint { signed_at, note: signed.note.encode().into() };
    TileFiles::create(storage, &unfinished)?;
    Journal::create(
        storage,
        &unfinished.join(JOURNAL_DIR),
        identity(settings),
        tuning.segment_bytes,
        checkpoint,
    )?;
    storage.rename(&unfinished, dir)?;
    Ok(signed)
}

/// Where a log is made before it gets its name.
fn unfinished_path(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    dir.with_file_name(name)
}

/// A data directory that this process has for itself.
struct Taken {
    lock: Box<dyn Lock>,
    storage: Storage,
    whole_disk: WholeDisk,
}

/// Takes the log's data directory, first from others that run, then from any that only seem not to.
fn take(settings: &CoreSettings) -> Result<Taken, OpenError> {
    let (dir, storage) = (&settings.data_dir, &settings.system.storage);
    if storage.list(dir)?.is_none() {
        return Err(OpenError::Missing { dir: dir.clone() });
    }
    let lock = storage.lock(dir)?;
    // Opened before anything is written, so that its sync sees every write-back error.
    let whole_disk = storage.whole_disk(dir)?;
    let storage = storage.take_over(dir)?;
    storage.remove_leftovers(dir)?;
    Ok(Taken { lock, storage, whole_disk })
}

/// What a start finds.
#[derive(Debug)]
pub struct Stored {
    /// The newest signed head.
    pub signed: SignedHead,
    /// The tree.
    pub tree: Arc<TreeReader>,
}

/// Recovers a log as [`Sequencer::open_tuned`] does, with everything that it puts right on the way, and starts
/// nothing.
///
/// # Errors
/// As [`Sequencer::open`].
pub fn look(settings: &CoreSettings, tuning: &Tuning) -> Result<Stored, OpenError> {
    let Taken { lock, storage, .. } = take(settings)?;
    let mut settings = settings.clone();
    settings.system.storage = storage;
    let Recovered { signed, reader, .. } = recover(&settings, tuning)?;
    drop(lock);
    Ok(Stored { signed, tree: reader })
}

/// Where this log has its index. What it writes there does not ask who owns the log: nothing rests on it.
fn index_place(settings: &CoreSettings) -> Place {
    let System { storage, index, .. } = &settings.system;
    let own = || Place { storage: storage.clone(), dir: settings.data_dir.join(INDEX_DIR) };
    index.clone().unwrap_or_else(own)
}

/// Reads all of the index that a log left, of which a start reads what it needs. The log must not run.
///
/// # Errors
/// If a start would make the index again, now or once it came to what is damaged.
pub fn look_at_index(settings: &CoreSettings) -> Result<index::Stored, StoreError> {
    index::look(&index_place(settings), identity(settings))
}

/// A running log. Dropping it stops it as [`Sequencer::shutdown`] does.
#[derive(Debug)]
pub struct Sequencer {
    handle: SequencerHandle,
    thread: Option<JoinHandle<()>>,
}

/// Access to a running log, for any thread.
#[derive(Clone, Debug)]
pub struct SequencerHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: CoreSettings,
    queue: Queue,
    signed: watch::Receiver<Arc<SignedHead>>,
    tree: Arc<TreeReader>,
    channels: Arc<RwLock<Channels>>,
    index: Arc<Index>,
    often: OftenAsked,
    failure: OnceLock<SequencerError>,
    failed: watch::Sender<bool>,
}

impl Sequencer {
    /// Opens the log in `settings.data_dir`, recovers it, and starts its threads.
    ///
    /// # Errors
    /// [`OpenError::Missing`] if there is none: opening never makes one. [`OpenError::RefuseToSign`] if what
    /// is stored is not everything that was signed. [`OpenError::Lock`] if another process has it open.
    /// Anything else is damage or a failing disk.
    pub fn open(settings: CoreSettings) -> Result<Self, OpenError> {
        let tuning = Tuning::of(settings.kind);
        Self::open_tuned(settings, tuning)
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Sequencer::open`].
    pub fn open_tuned(mut settings: CoreSettings, tuning: Tuning) -> Result<Self, OpenError> {
        let dir = settings.data_dir.clone();
        let index_place = index_place(&settings);
        let Taken { lock, storage, whole_disk } = take(&settings)?;
        settings.system.storage = storage.clone();
        let identity = identity(&settings);
        let recovered = recover(&settings, &tuning)?;
        let Recovered { journal, integrated, reader, signed, signed_at, synced, unsynced_bytes } = recovered;
        let memory = settings.index_memory_entries;
        let index = Arc::new(Index::new(index_place, identity, Arc::clone(&reader), memory));
        let self_check = SelfCheck::of(&reader, &signed.checkpoint.head())?;
        let (signed, signed_receiver) = watch::channel(Arc::new(signed));
        let no_thread = |source| DiskError::failed("start a thread for", &dir, source);
        let files = TileFiles::new(storage.clone(), &dir);
        let writer = Arc::new(Writer::new(files, Arc::clone(&reader), MAX_UNWRITTEN_BYTES));
        let work = sync::Work { storage, data_dir: dir.clone(), whole_disk, identity };
        let passes = if tuning.beside {
            SyncPasses::start(Arc::clone(&writer), work).map_err(no_thread)?
        } else {
            SyncPasses::between(work)
        };
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.queue_entries, settings.queue_bytes),
            signed: signed_receiver,
            tree: Arc::clone(&reader),
            channels: Arc::clone(&integrated.channels),
            index: Arc::clone(&index),
            often: OftenAsked::default(),
            failure: OnceLock::new(),
            failed: watch::Sender::new(false),
            settings,
        });
        let log = Log {
            origin: shared.settings.origin.clone(),
            signer: shared.settings.signer.clone(),
            openers: shared.settings.openers.clone(),
            clock: shared.settings.system.clock.clone(),
            signed_at,
            tuning,
            storage: shared.settings.system.storage.clone(),
            journal,
            integrated,
            reader,
            index,
            self_check,
            signed,
            writer,
            passes,
            synced,
            unsynced_bytes,
        };
        let handle = SequencerHandle(Arc::clone(&shared));
        let thread = thread::Builder::new().name("sequencer".to_owned());
        let thread = thread.spawn(move || run(log, &shared, lock)).map_err(no_thread)?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// Access for other threads.
    pub fn handle(&self) -> SequencerHandle {
        self.handle.clone()
    }

    /// Resolves when the sequencer has stopped because something failed, and never otherwise.
    pub async fn failed(&self) {
        let mut failed = self.handle.0.failed.subscribe();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why the sequencer has stopped by itself, if it has.
    pub fn failure(&self) -> Option<&SequencerError> {
        self.handle.0.failure.get()
    }

    /// Signs nothing more: what waits is answered that its outcome is unknown.
    pub fn abandon(&self) {
        self.handle.0.queue.fail();
    }

    /// Sequences what waits, takes nothing more, puts everything on disk, and closes the log.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Sequencer {
    fn drop(&mut self) {
        self.handle.0.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic there was recorded as a failure.
            let _ = thread.join();
        }
    }
}

impl SequencerHandle {
    /// Submits one entry. The receiver gets the outcome once it is durable and the tree that has it is signed.
    /// Signatures are verified here, on the caller's thread.
    ///
    /// # Errors
    /// [`SubmitError`], without anything having happened.
    pub fn submit(&self, submission: Submission) -> Result<oneshot::Receiver<Outcome>, SubmitError> {
        let mut candidates = [Candidate::new(submission, self.0.settings.kind)?];
        preverify(&mut candidates, &self.0.often, |name| self.head(name));
        let [candidate] = candidates;
        let (reply, receiver) = oneshot::channel();
        self.0.queue.push(Request::One(candidate, reply))?;
        Ok(receiver)
    }

    /// Submits entries that go into one batch and are answered together, in order. Signatures are verified
    /// here, on the caller's thread.
    ///
    /// # Errors
    /// [`SubmitError`], without anything having happened; always [`SubmitError::Full`] for more entries or
    /// bytes than the queue holds.
    pub fn submit_many(
        &self,
        submissions: Vec<Submission>,
    ) -> Result<oneshot::Receiver<Vec<Outcome>>, SubmitError> {
        let kind = self.0.settings.kind;
        let candidates = submissions.into_iter().map(|submission| Candidate::new(submission, kind));
        let mut candidates = candidates.collect::<Result<Vec<_>, _>>()?;
        preverify(&mut candidates, &self.0.often, |name| self.head(name));
        let (reply, receiver) = oneshot::channel();
        self.0.queue.push(Request::Many(candidates, reply))?;
        Ok(receiver)
    }

    /// Whether so many entries of so many bytes would be taken now. A look ahead, so that what would be refused
    /// is refused before it costs anything; nothing is promised.
    ///
    /// # Errors
    /// What submitting them would be refused with.
    pub fn check_room(&self, entries: usize, bytes: usize) -> Result<(), SubmitError> {
        self.0.queue.check_room(entries, bytes)
    }

    /// The newest signed and persisted tree head.
    pub fn signed(&self) -> watch::Receiver<Arc<SignedHead>> {
        self.0.signed.clone()
    }

    /// The tree, up to the newest signed size.
    pub fn tree(&self) -> Arc<TreeReader> {
        Arc::clone(&self.0.tree)
    }

    /// The files of the log.
    pub fn storage(&self) -> Storage {
        self.0.settings.system.storage.clone()
    }

    /// What a channel has come to; `None` if it has no record.
    pub fn channel(&self, name: &ChannelName) -> Option<ChannelState> {
        self.head(name).map(Arc::unwrap_or_clone)
    }

    fn head(&self, name: &ChannelName) -> Option<Arc<ChannelState>> {
        let channels = self.0.channels.read().unwrap_or_else(PoisonError::into_inner);
        channels.get(name).cloned()
    }

    /// The index, for looking entries up.
    pub(crate) fn index(&self) -> Arc<Index> {
        Arc::clone(&self.0.index)
    }

    /// Why the sequencer has stopped by itself, if it has; while it was told to stop, too.
    pub fn failure(&self) -> Option<&SequencerError> {
        self.0.failure.get()
    }

    /// Whether nothing is taken any more, because of a stop or a failure.
    pub fn is_stopped(&self) -> bool {
        self.0.queue.is_closed()
    }
}

/// The sequencer's thread.
fn run(mut log: Log, shared: &Shared, lock: Box<dyn Lock>) {
    let guard = FailOnPanic(shared);
    let (index, writer) = (&Arc::clone(&log.index), &Arc::clone(&log.writer));
    let outcome = thread::scope(|scope| {
        let keep_moving = || {
            let guard = FailOnPanic(shared);
            if let Err(error) = index.open_and_keep_moving() {
                shared.fail(error.into());
            }
            std::mem::forget(guard);
        };
        let keep_writing = || {
            // Dropped last: the cause is known before anyone is told that nothing is written any more.
            let _closed = CloseOnDrop(|| writer.close());
            let guard = FailOnPanic(shared);
            if let Err(error) = writer.keep_writing() {
                shared.fail(error.into());
            }
            std::mem::forget(guard);
        };
        // Dropped at the end of the scope, however it ends: the threads must end, too.
        let _closed = (CloseOnDrop(|| index.close()), CloseOnDrop(|| writer.close()));
        let start = |name: &str| thread::Builder::new().name(name.to_owned());
        let beside = log.tuning.beside;
        if start("index").spawn_scoped(scope, keep_moving).is_err()
            || (beside && start("log-files").spawn_scoped(scope, keep_writing).is_err())
        {
            return Err(SequencerError::Panicked);
        }
        sequence_until_closed(&mut log, shared)
    });
    if let Err(error) = outcome {
        shared.fail(error);
    }
    std::mem::forget(guard);
    drop(log);
    drop(lock);
}

fn sequence_until_closed(log: &mut Log, shared: &Shared) -> Result<(), SequencerError> {
    // What was replayed may be enough for a pass, or each start after a crash would replay more than the one before.
    log.begin_pass_if_due()?;
    while let Some(requests) = shared.queue.take(log.tuning.batch_entries, log.tuning.batch_bytes) {
        log.process(requests, || shared.queue.has_failed())?;
        // Where submitters wait for a processor, they come first: a batch costs nearly the same however many are in
        // it. Where none does, this takes no time.
        thread::yield_now();
    }
    log.finish()
}

impl Shared {
    fn fail(&self, error: SequencerError) {
        tracing::error!(code = error.code(), %error, "the sequencer has stopped");
        // The first failure is the cause of any other.
        let _ = self.failure.set(error);
        self.queue.fail();
        self.failed.send_replace(true);
    }
}

/// Ends a thread.
struct CloseOnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for CloseOnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Makes a panic of a thread a failure that others see; forgotten when there was none.
struct FailOnPanic<'a>(&'a Shared);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        self.0.fail(SequencerError::Panicked);
    }
}

#[cfg(test)]
pub(crate) mod tests;
