//! Sync passes: making tiles and bundles durable, many at a time, on a thread of their own.
//!
//! Order of one pass: everything that the snapshot covers is [written](super::writer), everything written is
//! put on disk, then the `heads` snapshot is replaced. Only when that is done may the journal give up what the
//! snapshot covers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use indelible_proto::size::TreeSize;

use super::error::SequencerError;
use super::writer::Writer;
use crate::journal::Identity;
use crate::storage::heads::Heads;
use crate::storage::{Storage, WholeDisk};

/// Runs passes, one at a time.
#[derive(Debug)]
pub(super) struct SyncPasses {
    runner: Runner,
    running: bool,
}

#[derive(Debug)]
enum Runner {
    /// A thread of its own.
    Beside {
        /// `None` once closed.
        passes: Option<SyncSender<Pass>>,
        done: Receiver<Result<TreeSize, SequencerError>>,
        thread: Option<JoinHandle<()>>,
    },
    /// Whoever asks how far it has come, the second time.
    Between { work: Work, heads: Option<Heads>, asked: bool },
}

/// What a pass is about.
#[derive(Debug)]
struct Pass {
    heads: Heads,
    /// How many parts have to be written before.
    parts: u64,
}

/// What every pass needs.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) storage: Storage,
    pub(super) data_dir: PathBuf,
    pub(super) whole_disk: WholeDisk,
    pub(super) identity: Identity,
}

impl Work {
    fn run(&self, heads: &Heads) -> Result<TreeSize, SequencerError> {
        self.whole_disk.sync()?;
        heads.store(&self.storage, &self.data_dir, self.identity)?;
        Ok(heads.integrated.size)
    }
}

impl SyncPasses {
    /// Starts the thread.
    pub(super) fn start(writer: Arc<Writer>, work: Work) -> std::io::Result<Self> {
        let (passes, jobs) = sync_channel::<Pass>(1);
        let (results, done) = sync_channel(1);
        let thread = thread::Builder::new().name("log-sync".to_owned()).spawn(move || {
            for Pass { heads, parts } in jobs {
                let result = writer.wait_until_written(parts).and_then(|()| work.run(&heads));
                if results.send(result).is_err() {
                    return;
                }
            }
        })?;
        let runner = Runner::Beside { passes: Some(passes), done, thread: Some(thread) };
        Ok(Self { runner, running: false })
    }

    /// Without a thread: for logs whose parts are written before a pass begins. A batch later the pass is run.
    pub(super) fn between(work: Work) -> Self {
        Self { runner: Runner::Between { work, heads: None, asked: false }, running: false }
    }

    /// Whether a pass has been begun and not been finished.
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Begins a pass; none may be running. Everything that the snapshot covers is in the first `parts` parts.
    pub(super) fn begin(&mut self, snapshot: Heads, parts: u64) -> Result<(), SequencerError> {
        self.running = true;
        match &mut self.runner {
            Runner::Beside { passes, .. } => {
                let pass = Pass { heads: snapshot, parts };
                let sent = passes.as_ref().is_some_and(|passes| passes.send(pass).is_ok());
                if sent { Ok(()) } else { Err(SequencerError::Panicked) }
            }
            Runner::Between { heads, asked, .. } => {
                (*heads, *asked) = (Some(snapshot), false);
                Ok(())
            }
        }
    }

    /// The integrated size that the last pass has made durable, once, when it is done.
    pub(super) fn finished(&mut self) -> Option<Result<TreeSize, SequencerError>> {
        match &mut self.runner {
            Runner::Beside { done, .. } => match done.try_recv() {
                Ok(result) => {
                    self.running = false;
                    Some(result)
                }
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(SequencerError::Panicked)),
            },
            Runner::Between { asked, .. } if !*asked => {
                *asked = true;
                None
            }
            Runner::Between { work, heads, .. } => {
                let heads = heads.take()?;
                self.running = false;
                Some(work.run(&heads))
            }
        }
    }

    /// The same, after waiting for it.
    pub(super) fn wait(&mut self) -> Result<TreeSize, SequencerError> {
        self.running = false;
        match &mut self.runner {
            Runner::Beside { done, .. } => done.recv().unwrap_or(Err(SequencerError::Panicked)),
            Runner::Between { work, heads, .. } => {
                let heads = heads.take().ok_or(SequencerError::Panicked)?;
                work.run(&heads)
            }
        }
    }
}

impl Drop for SyncPasses {
    fn drop(&mut self) {
        let Runner::Beside { passes, thread, .. } = &mut self.runner else { return };
        *passes = None;
        if let Some(thread) = thread.take() {
            // A panic there was seen as a closed channel.
            let _ = thread.join();
        }
    }
}
