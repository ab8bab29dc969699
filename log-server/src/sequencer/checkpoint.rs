//! Making the log's checkpoints, and telling them from others.

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::note::{SignedNote, VerifierKey};
use indelible_proto::sign::CheckpointSigner;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;

use super::error::{CheckpointFault, SignError};

/// A tree head that this log has signed, and persisted before anyone saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// What the note says.
    pub checkpoint: Checkpoint,
    /// The checkpoint under the log's signature alone.
    pub note: SignedNote,
}

impl SignedHead {
    /// Signs a head at `time`. The caller persists it before it leaves the process.
    pub(crate) fn sign(
        origin: &Origin,
        head: TreeHead,
        signer: &CheckpointSigner,
        time: UnixSeconds,
    ) -> Result<Self, SignError> {
        let checkpoint = Checkpoint::new(origin.clone(), head)?;
        let text = checkpoint.encode();
        let signature = signer.sign(&text, time)?;
        Ok(Self { note: SignedNote::new(text, vec![signature])?, checkpoint })
    }

    /// Reads a checkpoint of this log; other signatures on it are of no interest here.
    pub(crate) fn read(bytes: &[u8], origin: &Origin, key: &VerifierKey) -> Result<Self, CheckpointFault> {
        let note = SignedNote::parse(bytes)?;
        if key.verify_note(&note)?.is_none() {
            return Err(CheckpointFault::Unsigned);
        }
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin() != origin {
            return Err(CheckpointFault::OtherOrigin);
        }
        Ok(Self { checkpoint, note })
    }
}
