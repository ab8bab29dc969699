//! Checking the lines of one known key in a note.

use alloc::vec::Vec;

use super::SignedNote;
use super::error::{InvalidSignature, NoteError};
use super::key::{KeyKind, KeyName, SignatureType, VerifierKey};
use super::signature::NoteSignature;
use crate::cosignature::{Cosignature, signed_message, signed_subtree};
use crate::time::UnixSeconds;

/// How many lines of one key are verified in one note; more are refused, so that a note cannot buy
/// thousands of verifications. A note needs one line of each key, the specification demands room for 16.
pub const MAX_LINES_BY_ONE_KEY: usize = 16;

/// A line that was verified, and the time it states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    signature: NoteSignature,
    time: Option<UnixSeconds>,
}

impl VerifiedSignature {
    /// The verified line.
    pub fn signature(&self) -> &NoteSignature {
        &self.signature
    }

    /// When the cosigner says it signed, never zero; `None` for a log's signature.
    pub fn timestamp(&self) -> Option<UnixSeconds> {
        self.time
    }

    /// The verified line, for a note of its own.
    pub fn into_signature(self) -> NoteSignature {
        self.signature
    }
}

impl VerifierKey {
    /// Checks every line of `note` that has this key's name and id.
    ///
    /// `Ok(None)`: there is no such line. An error: one of them does not verify, so the note must be
    /// refused as a whole, whatever other lines say. `Ok(Some(..))`: all verify; several valid lines
    /// count once, and the newest time wins.
    pub fn verify_note(&self, note: &SignedNote) -> Result<Option<VerifiedSignature>, NoteError> {
        if self.kind() == KeyKind::Record {
            return Err(NoteError::KeyKind { got: self.kind() });
        }
        let lines = || note.signatures().iter().filter(|line| line.names(self));
        let got = lines().count();
        if got > MAX_LINES_BY_ONE_KEY {
            return Err(NoteError::TooManyLines { got });
        }
        let mut newest: Option<VerifiedSignature> = None;
        for line in lines() {
            let time = self.verify_line(note.text(), line)?;
            if newest.as_ref().is_none_or(|held| held.time < time) {
                newest = Some(VerifiedSignature { signature: line.clone(), time });
            }
        }
        Ok(newest)
    }

    /// The one place where the type of a key says what its signatures are over. Gives the time stated, if any.
    fn verify_line(&self, text: &str, line: &NoteSignature) -> Result<Option<UnixSeconds>, NoteError> {
        let timed = |message: fn(&KeyName, &str, UnixSeconds) -> Result<Vec<u8>, NoteError>| {
            let cosignature = Cosignature::parse(self.algorithm(), line.signature())?;
            let message = message(self.name(), text, cosignature.time())?;
            self.verify_bytes(&message, cosignature.signature())?;
            Ok(Some(cosignature.time()))
        };
        match self.signature_type() {
            SignatureType::Log => self.verify_bytes(text.as_bytes(), line.signature()).map(|()| None),
            SignatureType::Ed25519Cosigner => timed(|_, text, time| Ok(signed_message(text, time))),
            SignatureType::MlDsaCosigner => timed(signed_subtree),
            SignatureType::Record => Err(NoteError::KeyKind { got: self.kind() }),
        }
    }

    fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        self.verify_raw(message, signature).map_err(|InvalidSignature| NoteError::SignatureInvalid)
    }
}

#[cfg(test)]
mod tests;
