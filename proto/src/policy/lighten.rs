//! Which cosignatures go with an artifact.

use alloc::vec::Vec;

use super::{Policy, PolicyError};
use crate::note::{Algorithm, NoteSignature, SignedNote};

impl Policy {
    /// The note without the cosignatures of witnesses' ML-DSA-44 keys, of 3 KB each, if it satisfies the policy
    /// without them; otherwise the note as it is. A log's own line stays.
    ///
    /// # Errors
    /// As [`Policy::verify`], if the note does not satisfy the policy at all.
    pub fn lighten(&self, note: &SignedNote) -> Result<SignedNote, PolicyError> {
        self.verify(note)?;
        let of_log = |line: &NoteSignature| self.logs.iter().any(|log| line.names(&log.key));
        let heavy = || self.witnesses.iter().filter(|witness| witness.key.algorithm() == Algorithm::MlDsa44);
        let is_kept =
            |line: &&NoteSignature| of_log(line) || !heavy().any(|witness| line.names(&witness.key));
        let kept: Vec<_> = note.signatures().iter().filter(is_kept).cloned().collect();
        let lighter = note.with_signatures(kept)?;
        Ok(if self.verify(&lighter).is_ok() { lighter } else { note.clone() })
    }
}
