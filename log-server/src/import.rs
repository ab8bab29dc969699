//! `import`: copies any log that serves c2sp.org/tlog-tiles into a directory that `run` can start.
//!
//! Two uses. **A new log** takes over another log's entries under an origin and key of its own: its tree is
//! the same, its checkpoints are not, and witnesses meet it as a log they never saw. **The same log again**,
//! after its disk was lost, keeps origin and key: the mirror's checkpoint, which must satisfy the policy,
//! becomes the published one, and `run` refuses to sign if a witness holds a newer one than the mirror had.
//!
//! Everything goes into `data.importing`, which no command starts. There, while it is fetched, every bundle
//! is compared with its leaf tile, every tile with those below it, and the root with the signed one; then
//! the rest of the log's files are made, `fsck` reads all of it again, and only what it finds clean gets the name
//! `data`. An interrupted import is run again and goes on with what it has.
//!
//! **Why what is written is a log.** It is, to the byte but for the journal's random marks, what a log would
//! leave that had committed the same entries, put everything but its last bundle on disk with a sync pass,
//! and given up the journal before that: full tiles and bundles, a `heads` snapshot at the end of the last
//! bundle but one (or of the last full one), and a journal with the rest as one batch and the signed
//! checkpoint. So the start recomputes the edge from the tiles, replays that batch through the code that
//! commits, and compares the root with the signed one, as after any stop. Bundles have one encoding: that
//! their entries hash to the signed root means that they are the source's bundles byte for byte.
//!
//! In the second use one head is signed that the key signed before, the checkpoint's own; no other.

mod copy;
mod error;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use indelible_client::durable::{self, DirLock};
use indelible_client::fetch::Source;
use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::sha256;
use indelible_proto::note::{SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::record::ChannelState;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, TileWidth};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::config::{DATA_DIR, POLICY_FILE};
use crate::fsck::{
    DataDir, Finding, Fsck, Grade, Listener, PARALLEL_REQUESTS, Published, Scan, Scanned, compare,
    signed_checkpoint,
};
use crate::init::{Draft, refuse_log_in};
use crate::journal::{Batch, Checkpoint, DEFAULT_SEGMENT_BYTES, Identity, Journal, Payload};
use crate::publish::{CHECKPOINT_FILE, only_verified_lines};
use crate::sequencer::{JOURNAL_DIR, SignedHead};
use crate::storage::Storage;
use crate::storage::heads::Heads;
use crate::storage::tiles::BUNDLE_ENTRIES;
use copy::Copying;
pub use error::ImportError;

/// Where the data is until it is a log's.
const IMPORTING_DIR: &str = "data.importing";

/// Whose log it will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identify {
    /// A new one.
    New,
    /// The source's own, with its key.
    Same,
}

/// What to import.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    pub(crate) source: Source,
    /// Whose checkpoints of the source are believed.
    pub(crate) policy: &'a Policy,
    pub(crate) dir: PathBuf,
    /// The log to be.
    pub(crate) draft: &'a Draft,
    pub(crate) identify: Identify,
}

/// What was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) head: TreeHead,
    /// Bundles that an earlier attempt had fetched.
    pub(crate) reused: u64,
}

impl Import<'_> {
    /// Copies, checks, and makes the log. Blocking, outside of the runtime.
    ///
    /// # Errors
    /// [`ImportError`]; the directory has no log then, and the import can be run again.
    pub(crate) fn run(self, listener: &dyn Listener, runtime: Handle) -> Result<Imported, ImportError> {
        refuse_log_in(&self.dir)?;
        let copying_dir = self.dir.join(IMPORTING_DIR);
        for dir in [&self.dir, &copying_dir] {
            if !dir.is_dir() {
                durable::create_dir(dir)?;
            }
        }
        let lock = DirLock::acquire(&copying_dir)?;
        let storage = Storage::real();
        storage.remove_leftovers(&copying_dir)?;
        // Opened before anything is written, so that its sync sees every write-back error.
        let whole_disk = storage.whole_disk(&copying_dir)?;

        let source = Published { source: self.source.clone(), runtime };
        let signed = signed_checkpoint(&source, self.policy)?;
        if self.identify == Identify::Same && signed.log_key() != self.draft.signer.verifier() {
            let (key, log) = (self.draft.signer.verifier().encode(), signed.log_key().encode());
            return Err(ImportError::OtherKey { key, log });
        }
        let head = signed.head();
        let copying = Copying::new(source, storage.clone(), &copying_dir);
        let watched =
            Watched { inner: listener, refused: AtomicBool::new(false), unread: AtomicBool::new(false) };
        let scanned = self.copy(&copying, &watched, &head)?;
        whole_disk.sync()?;

        let making =
            Making { import: &self, storage: &storage, dir: &copying_dir, head, now: Clock::system().now() };
        making.write(signed.note(), &scanned, copying.partial())?;
        self.check(&copying_dir, listener, &head)?;
        self.draft.write_identity(&self.dir)?;
        storage.rename(&copying_dir, &self.dir.join(DATA_DIR))?;
        self.draft.write_settings(&self.dir)?;
        drop(lock);
        Ok(Imported { head, reused: copying.reused() })
    }

    /// Fetches every tile and bundle, and compares all of them with each other and with the signed root.
    fn copy(
        &self,
        copying: &Copying,
        watched: &Watched<'_>,
        head: &TreeHead,
    ) -> Result<Scanned, ImportError> {
        let scan = Scan {
            stored: copying,
            listener: watched,
            kind: self.draft.config.kind,
            size: head.size,
            signed: Some(head.root),
            snapshot_at: last_bundle(head.size).get(),
            threads: PARALLEL_REQUESTS,
        };
        let scanned = scan.run();
        if !watched.is_stopped() {
            let root = scanned.edge(head.size, &scanned.partial).map(|edge| edge.root());
            compare(watched, "checkpoint", head, root);
        }
        watched.verdict(copying.source())?;
        Ok(scanned)
    }

    /// Reads everything again from the disk, as `fsck` does.
    fn check(&self, dir: &Path, listener: &dyn Listener, head: &TreeHead) -> Result<(), ImportError> {
        let config = &self.draft.config;
        let policy = Policy::parse(self.draft.policy.as_bytes())
            .map_err(|source| ImportError::Policy { file: POLICY_FILE, source })?;
        let data = DataDir {
            dir: dir.to_owned(),
            kind: config.kind,
            policy,
            origin: Origin::parse(&config.origin)?,
            key: self.draft.signer.verifier().clone(),
        };
        let watched =
            Watched { inner: listener, refused: AtomicBool::new(false), unread: AtomicBool::new(false) };
        let size = data.check(&Fsck { listener: &watched, ..Fsck::new(listener) })?;
        if size != head.size || watched.is_stopped() {
            return Err(ImportError::NotClean { dir: dir.to_owned() });
        }
        Ok(())
    }
}

/// Making the files of a log beside its tiles and bundles.
struct Making<'a> {
    import: &'a Import<'a>,
    storage: &'a Storage,
    dir: &'a Path,
    head: TreeHead,
    now: UnixSeconds,
}

impl Making<'_> {
    fn write(&self, note: &SignedNote, scanned: &Scanned, partial: Bytes) -> Result<(), ImportError> {
        let draft = self.import.draft;
        let origin = Origin::parse(&draft.config.origin)?;
        let identity = Identity { origin_hash: sha256(origin.as_str().as_bytes()), kind: draft.config.kind };
        let first = draft.first_checkpoint(self.now)?;
        self.remake_journal(identity, &first)?;
        for name in ["tile", "tile/entries"] {
            let dir = self.dir.join(name);
            if !dir.is_dir() {
                durable::create_dir(&dir)?;
            }
        }
        if !self.head.size.is_zero() {
            let base = last_bundle(self.head.size);
            let entries = match partial.is_empty() {
                false => partial,
                true => self.full_bundle(base)?,
            };
            let signed = SignedHead::sign(&origin, self.head, &draft.signer, self.now)?;
            let checkpoint = self.checkpoint(&signed.note);
            let batch = Batch { first: base.next_index(), head: self.head, entries };
            let journal = self.dir.join(JOURNAL_DIR);
            Journal::open(self.storage, &journal, identity, DEFAULT_SEGMENT_BYTES)?
                .append(&[Payload::Batch(batch), Payload::Checkpoint(checkpoint)])?;
            let root = scanned.edge(base, &[]).ok_or(ImportError::Incomplete)?.root();
            let channels = scanned.channels_then.values().map(|state| ChannelState::parse(state.as_bytes()));
            let channels = channels.map(|state| state.map(Arc::new)).collect::<Result<_, _>>();
            let heads = Heads {
                integrated: TreeHead { size: base, root },
                signed: self.head,
                channels: channels.map_err(|_| ImportError::Incomplete)?,
            };
            heads.store(self.storage, self.dir, identity)?;
        }
        let published = match self.import.identify {
            Identify::New => first,
            Identify::Same => only_verified_lines(self.import.policy, note).map_err(ImportError::Note)?,
        };
        Ok(self.storage.replace(&self.dir.join(CHECKPOINT_FILE), &published.encode())?)
    }

    /// An empty journal, in place of one that an interrupted import left.
    fn remake_journal(&self, identity: Identity, first: &SignedNote) -> Result<(), ImportError> {
        let dir = self.dir.join(JOURNAL_DIR);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(|source| ImportError::Delete { path: dir.clone(), source })?;
        }
        Ok(Journal::create(self.storage, &dir, identity, DEFAULT_SEGMENT_BYTES, self.checkpoint(first))?)
    }

    /// As signed now: when the log it was lost with signed it, nobody knows.
    fn checkpoint(&self, note: &SignedNote) -> Checkpoint {
        Checkpoint { signed_at: self.now, note: Bytes::from(note.encode()) }
    }

    /// The last bundle, when it is full: the journal has it, too.
    fn full_bundle(&self, base: TreeSize) -> Result<Bytes, ImportError> {
        let id = BundleId::new(base.get() / BUNDLE_ENTRIES, TileWidth::FULL)
            .map_err(|_| ImportError::Incomplete)?;
        let bytes = self.storage.read(&self.dir.join(id.path()))?;
        bytes.map(Bytes::from).ok_or(ImportError::Incomplete)
    }
}

/// Where the last bundle of a tree of `size` entries begins, full or not. A journal needs a batch, so the
/// last bundle is always in it.
fn last_bundle(size: TreeSize) -> TreeSize {
    let last = LeafIndex::new(size.get().saturating_sub(1)).unwrap_or_default();
    TreeSize::new(last.get() / BUNDLE_ENTRIES * BUNDLE_ENTRIES).unwrap_or_default()
}

/// Ends the work at the first thing that is not as it must be.
struct Watched<'a> {
    inner: &'a dyn Listener,
    refused: AtomicBool,
    unread: AtomicBool,
}

impl Watched<'_> {
    fn verdict(&self, source: &Published) -> Result<(), ImportError> {
        let from = source.source.to_string();
        if self.refused.load(Ordering::Relaxed) {
            return Err(ImportError::Refused { from });
        }
        if self.unread.load(Ordering::Relaxed) {
            return Err(ImportError::Unread { from });
        }
        Ok(())
    }
}

impl Listener for Watched<'_> {
    fn find(&self, finding: Finding) {
        match finding.grade {
            Grade::Damaged => self.refused.store(true, Ordering::Relaxed),
            Grade::Unread => self.unread.store(true, Ordering::Relaxed),
            Grade::Note => return,
        }
        self.inner.find(finding);
    }

    fn begin(&self, bundles: u64) {
        self.inner.begin(bundles);
    }

    fn advance(&self, entries: u64, bytes: u64) {
        self.inner.advance(entries, bytes);
    }

    fn is_stopped(&self) -> bool {
        self.refused.load(Ordering::Relaxed) || self.unread.load(Ordering::Relaxed)
    }
}

/// Whether a policy is about the log with this key alone, as `run` asks.
pub(crate) fn is_policy_of(policy: &Policy, key: &VerifierKey) -> bool {
    matches!(policy.logs(), [log] if log.key == *key)
}
