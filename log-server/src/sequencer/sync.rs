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

/// The thread that runs passes, one at a time.
#[derive(Debug)]
pub(super) struct SyncPasses {
    /// `None` once closed.
    passes: Option<SyncSender<Pass>>,
    done: Receiver<Result<TreeSize, SequencerError>>,
    running: bool,
    thread: Option<JoinHandle<()>>,
}

/// What a pass is about.
#[derive(Debug)]
struct Pass {
    heads: Heads,
    /// How many parts have to be written before.
    parts: u64,
}

impl SyncPasses {
    /// Starts the thread.
    pub(super) fn start(
        writer: Arc<Writer>,
        storage: Storage,
        data_dir: PathBuf,
        whole_disk: WholeDisk,
        identity: Identity,
    ) -> std::io::Result<Self> {
        let (passes, jobs) = sync_channel::<Pass>(1);
        let (results, done) = sync_channel(1);
        let thread = thread::Builder::new().name("log-sync".to_owned()).spawn(move || {
            for Pass { heads, parts } in jobs {
                let run = || -> Result<TreeSize, SequencerError> {
                    writer.wait_until_written(parts)?;
                    whole_disk.sync()?;
                    heads.store(&storage, &data_dir, identity)?;
                    Ok(heads.integrated.size)
                };
                if results.send(run()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { passes: Some(passes), done, running: false, thread: Some(thread) })
    }

    /// Whether a pass has been begun and not been finished.
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Begins a pass; none may be running. Everything that the snapshot covers is in the first `parts` parts.
    pub(super) fn begin(&mut self, heads: Heads, parts: u64) -> Result<(), SequencerError> {
        let pass = Pass { heads, parts };
        let sent = self.passes.as_ref().is_some_and(|passes| passes.send(pass).is_ok());
        self.running = true;
        if sent { Ok(()) } else { Err(SequencerError::Panicked) }
    }

    /// The integrated size that the last pass has made durable, once, when it is done.
    pub(super) fn finished(&mut self) -> Option<Result<TreeSize, SequencerError>> {
        match self.done.try_recv() {
            Ok(result) => {
                self.running = false;
                Some(result)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(SequencerError::Panicked)),
        }
    }

    /// The same, after waiting for it.
    pub(super) fn wait(&mut self) -> Result<TreeSize, SequencerError> {
        self.running = false;
        self.done.recv().unwrap_or(Err(SequencerError::Panicked))
    }
}

impl Drop for SyncPasses {
    fn drop(&mut self) {
        self.passes = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was seen as a closed channel.
            let _ = thread.join();
        }
    }
}
