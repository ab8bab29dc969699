//! The published checkpoint: the file `data/checkpoint`, and the one value everything public is answered from.
//!
//! A checkpoint is published once the policy's quorum has cosigned it, and not before it is on disk. What is
//! published never gets smaller and never contradicts what was published before: both are checked against the
//! tree at every step, and once more when the file is loaded at start.
//!
//! Two checkpoints may be published without a quorum ([`Standing::Exempt`]): the size-0 checkpoint of a new
//! log, and one that was published under an earlier policy. Neither is used for proofs.
//!
//! The file holds only signature lines that were verified. Trusted for nothing but its place: a lost or damaged
//! file can be replaced by any copy of this log's checkpoint, since every copy is checked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use indelible_proto::note::{MAX_NOTE_BYTES, NoteError, SignedNote};
use indelible_proto::policy::{LogSigned, Policy, PolicyError, VerifiedCheckpoint};
use indelible_proto::tree::TreeHead;
use tokio::sync::watch;

use crate::history::{FoundAt, HistoryError, check_part_of};
use crate::storage::{DiskError, Storage};
use crate::tree_reader::TreeReader;

/// Name of the published checkpoint's file in the data directory.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// Why a checkpoint can't be published, or the published one not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The file is gone.
    #[error(
        "{} is missing; put any copy of this log's checkpoint in its place, from a backup, a witness or a client",
        path.display()
    )]
    Missing {
        /// The published checkpoint's file.
        path: PathBuf,
    },
    /// The file can't be read.
    #[error("cannot read the published checkpoint")]
    Read(#[source] DiskError),
    /// The file's content is not a checkpoint of this log.
    #[error(
        "{} is not a checkpoint signed by this log; put any copy of this log's checkpoint in its place, \
         from a backup, a witness or a client",
        path.display()
    )]
    Damaged {
        /// The published checkpoint's file.
        path: PathBuf,
        /// What is wrong with it.
        source: PolicyError,
    },
    /// The published checkpoint is not part of the stored log, or not of the checkpoint that was to follow it.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// More signatures than a note may carry.
    #[error("the cosigned checkpoint is not a valid note")]
    Note(#[source] NoteError),
    /// The file could not be written; which content a restart finds is unknown.
    #[error("cannot write the published checkpoint")]
    Write(#[source] DiskError),
}

impl PublishError {
    /// Whether nothing may be signed or published from this data, or no more by this process.
    pub fn refuses_to_sign(&self) -> bool {
        match self {
            Self::History(error) => error.refuses_to_sign(),
            Self::Write(error) => error.is_taken_over(),
            Self::Missing { .. } | Self::Read(_) | Self::Damaged { .. } | Self::Note(_) => false,
        }
    }

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "published-missing",
            Self::Read(_) => "published-unreadable",
            Self::Damaged { .. } => "published-damaged",
            Self::History(error) => error.code(),
            Self::Note(error) => error.code(),
            Self::Write(_) => "published-not-written",
        }
    }
}

/// Why a checkpoint may be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The policy's quorum has cosigned it.
    Witnessed,
    /// The log's signature only: a new log's first checkpoint, or one published under an earlier policy.
    Exempt,
}

/// The published checkpoint at one moment.
#[derive(Clone, Debug)]
pub struct Published {
    head: TreeHead,
    note: SignedNote,
    bytes: Bytes,
    standing: Standing,
    /// Once somebody has asked for it.
    verified: OnceLock<VerifiedCheckpoint>,
}

impl Published {
    /// Size and root.
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// The checkpoint with the log's signature and every verified cosignature.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The note as it is stored and served.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Why it may be public.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The note as `policy`, which is always the log's own, judges it. Its signatures are verified once, however many
    /// proofs end in it.
    ///
    /// # Errors
    /// If it would not verify for a client.
    pub fn verified(&self, policy: &Policy) -> Result<&VerifiedCheckpoint, PolicyError> {
        if let Some(verified) = self.verified.get() {
            return Ok(verified);
        }
        let verified = policy.verify(&self.note)?;
        Ok(self.verified.get_or_init(|| verified))
    }

    fn new(head: TreeHead, note: SignedNote, standing: Standing) -> Self {
        let bytes = Bytes::from(note.encode());
        Self { head, note, bytes, standing, verified: OnceLock::new() }
    }
}

/// The only writer of the published checkpoint. Blocking, except for [`Publisher::subscribe`].
#[derive(Debug)]
pub struct Publisher {
    storage: Storage,
    path: PathBuf,
    policy: Arc<Policy>,
    tree: Arc<TreeReader>,
    current: watch::Sender<Arc<Published>>,
}

impl Publisher {
    /// Loads the published checkpoint of the log in `data_dir` and checks it: signed by the policy's log, not
    /// larger than `signed`, the newest head of the stored log, and consistent with it.
    ///
    /// # Errors
    /// [`PublishError::History`] if nothing may be signed from this data; the others mean that the file needs to
    /// be put right.
    pub fn open(
        storage: Storage,
        data_dir: &Path,
        policy: Arc<Policy>,
        signed: &TreeHead,
        tree: Arc<TreeReader>,
    ) -> Result<Self, PublishError> {
        let path = data_dir.join(CHECKPOINT_FILE);
        let bytes = match storage.read_at_most(&path, MAX_NOTE_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(PublishError::Missing { path }),
            Err(error) => return Err(PublishError::Read(error)),
        };
        let loaded = SignedNote::parse(&bytes).map_err(PolicyError::from);
        let loaded = loaded.and_then(|note| load(&policy, &note));
        let loaded = loaded.map_err(|source| PublishError::Damaged { path: path.clone(), source })?;
        check_part_of(&tree, signed, &loaded.head, &FoundAt::Published)?;
        Ok(Self { storage, path, policy, tree, current: watch::Sender::new(Arc::new(loaded)) })
    }

    /// The published checkpoint, now and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.current.subscribe()
    }

    /// Publishes a cosigned checkpoint: durable first, then visible. For the tree head that is published
    /// already, the cosignatures of both are kept, the new ones before older ones of the same witness.
    ///
    /// # Errors
    /// [`PublishError::History`] if it may not follow the published one. After [`PublishError::Write`] the
    /// process must not go on publishing.
    pub fn publish(&self, checkpoint: &VerifiedCheckpoint) -> Result<(), PublishError> {
        let published = Arc::clone(&self.current.borrow());
        let head = checkpoint.head();
        check_part_of(&self.tree, &head, &published.head, &FoundAt::Published)?;
        let mut note =
            only_verified_lines(&self.policy, checkpoint.note()).map_err(|error| self.note(error))?;
        if head == published.head {
            let missing = published.note.signatures().iter().filter(|line| {
                !note.signatures().iter().any(|new| new.name() == line.name() && new.id() == line.id())
            });
            let all = note.signatures().iter().chain(missing).cloned().collect();
            note = note.with_signatures(all).map_err(PublishError::Note)?;
        }
        let next = Published::new(head, note, Standing::Witnessed);
        if next.bytes == published.bytes && next.standing == published.standing {
            return Ok(());
        }
        self.storage.replace(&self.path, &next.bytes).map_err(PublishError::Write)?;
        self.current.send_replace(Arc::new(next));
        Ok(())
    }

    fn note(&self, source: PolicyError) -> PublishError {
        PublishError::Damaged { path: self.path.clone(), source }
    }
}

fn load(policy: &Policy, note: &SignedNote) -> Result<Published, PolicyError> {
    let signed = policy.verify_log_signature(note)?;
    let note = only_verified_lines(policy, note)?;
    let standing = match policy.verify(&note) {
        Ok(_) => Standing::Witnessed,
        Err(PolicyError::QuorumNotMet { .. }) => Standing::Exempt,
        Err(error) => return Err(error),
    };
    Ok(Published::new(signed.head(), note, standing))
}

/// The note with the log's signature and the verified cosignatures of the policy's witnesses, nothing else.
pub(crate) fn only_verified_lines(policy: &Policy, note: &SignedNote) -> Result<SignedNote, PolicyError> {
    let signed: LogSigned = policy.verify_log_signature(note)?;
    let own = signed.log_key().verify_note(note)?.ok_or(PolicyError::NoLogSignature)?;
    let cosignatures = policy.verified_cosignatures(note)?;
    let cosignatures = cosignatures.into_iter().map(|(_, verified)| verified.into_signature());
    let lines = std::iter::once(own.into_signature()).chain(cosignatures).collect();
    Ok(note.with_signatures(lines)?)
}

#[cfg(test)]
mod tests;
