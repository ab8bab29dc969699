//! Secret keys and the signers made from them.
//!
//! A secret key's text is `PRIVATE+KEY+<name>+<key id in hex>+<base64(signature type || 32-byte seed)>`,
//! the form other tools of the field read and write. Secrets are wiped from memory when dropped and never
//! printed. A signer has one use: a record key cannot be made to sign a note, nor the Ed25519 key of a log to
//! cosign. Logs and witnesses with ML-DSA-44 keys have keys of one type, so nobody should use one for both.

mod secret_key;

use crate::cosignature::{Cosignature, signed_message, signed_subtree};
use crate::note::{Algorithm, KeyError, KeyKind, NoteError, NoteSignature, VerifierKey};
use crate::time::UnixSeconds;

pub use secret_key::SecretKey;

/// Signs messages as they are.
pub trait Signer {
    /// The public half of the key.
    fn verifier(&self) -> &VerifierKey;

    /// A signature line over exactly `message`.
    fn sign(&self, message: &[u8]) -> NoteSignature;
}

/// Signs a log's checkpoints with an Ed25519 key: the message is the note's text.
#[derive(Clone, Debug)]
pub struct LogSigner(SecretKey);

impl LogSigner {
    /// A signer from a key of kind [`KeyKind::Log`].
    pub fn new(key: SecretKey) -> Result<Self, KeyError> {
        key.of_kind(KeyKind::Log).map(Self)
    }
}

impl Signer for LogSigner {
    fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    fn sign(&self, message: &[u8]) -> NoteSignature {
        NoteSignature::by(self.verifier(), self.0.sign(message).into_vec())
    }
}

/// Signs records: the message is the record's pre-authentication encoding.
#[derive(Clone, Debug)]
pub struct RecordSigner(SecretKey);

impl RecordSigner {
    /// A signer from a key of kind [`KeyKind::Record`].
    pub fn new(key: SecretKey) -> Result<Self, KeyError> {
        key.of_kind(KeyKind::Record).map(Self)
    }
}

impl Signer for RecordSigner {
    fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    fn sign(&self, message: &[u8]) -> NoteSignature {
        NoteSignature::by(self.verifier(), self.0.sign(message).into_vec())
    }
}

/// Cosigns checkpoints. It signs nothing else, so it is no [`Signer`].
#[derive(Clone, Debug)]
pub struct CosignSigner(SecretKey);

impl CosignSigner {
    /// A signer from a key of kind [`KeyKind::Cosigner`].
    pub fn new(key: SecretKey) -> Result<Self, KeyError> {
        key.of_kind(KeyKind::Cosigner).map(Self)
    }

    /// The public half of the key.
    pub fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    /// A cosignature line over a checkpoint's text, final newline included, stating `time`.
    ///
    /// The caller has checked that the checkpoint is consistent with every one it cosigned before, and
    /// that `time` is not zero: such a cosignature is refused by every verifier.
    ///
    /// # Errors
    /// For an ML-DSA-44 key as [`signed_subtree`]: never if the text is a checkpoint.
    pub fn cosign(&self, checkpoint_text: &str, time: UnixSeconds) -> Result<NoteSignature, NoteError> {
        let message = match self.verifier().algorithm() {
            Algorithm::Ed25519 => signed_message(checkpoint_text, time),
            Algorithm::MlDsa44 => signed_subtree(self.verifier().name(), checkpoint_text, time)?,
        };
        let signature = self.0.sign(&message).into_vec();
        Ok(NoteSignature::by(self.verifier(), Cosignature::new(time, signature).encode()))
    }
}

/// Signs a log's checkpoints in either way that logs sign them (c2sp.org/tlog-checkpoint, "Signatures").
#[derive(Clone, Debug)]
pub enum CheckpointSigner {
    /// With an Ed25519 key, over the note's text.
    Note(LogSigner),
    /// With an ML-DSA-44 key, as a cosignature of the log's own.
    Cosignature(CosignSigner),
}

impl CheckpointSigner {
    /// A signer from a key with which a log may sign.
    ///
    /// # Errors
    /// As [`VerifierKey::require_of_log`].
    pub fn new(key: SecretKey) -> Result<Self, KeyError> {
        key.verifier().require_of_log()?;
        match key.verifier().kind() {
            KeyKind::Cosigner => CosignSigner::new(key).map(Self::Cosignature),
            KeyKind::Log | KeyKind::Record => LogSigner::new(key).map(Self::Note),
        }
    }

    /// The public half of the key.
    pub fn verifier(&self) -> &VerifierKey {
        match self {
            Self::Note(signer) => signer.verifier(),
            Self::Cosignature(signer) => signer.verifier(),
        }
    }

    /// The log's line under a checkpoint's text, final newline included. `time`, which must not be zero, is in it
    /// if it is a cosignature.
    ///
    /// # Errors
    /// As [`CosignSigner::cosign`].
    pub fn sign(&self, checkpoint_text: &str, time: UnixSeconds) -> Result<NoteSignature, NoteError> {
        match self {
            Self::Note(signer) => Ok(signer.sign(checkpoint_text.as_bytes())),
            Self::Cosignature(signer) => signer.cosign(checkpoint_text, time),
        }
    }
}

impl From<LogSigner> for CheckpointSigner {
    fn from(signer: LogSigner) -> Self {
        Self::Note(signer)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
