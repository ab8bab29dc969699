//! Secret keys and the signers made from them.
//!
//! A secret key's text is `PRIVATE+KEY+<name>+<key id in hex>+<base64(signature type || 32-byte seed)>`,
//! the form other tools of the field read and write. All are Ed25519 keys: those of ML-DSA-44 are verified
//! only. Secrets are wiped from memory when dropped and never printed. A signer has one kind: a log key cannot be made to cosign, nor a record key to sign a note.

use alloc::string::{String, ToString};
use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::cosignature::{Cosignature, signed_message};
use crate::note::{Algorithm, KeyError, KeyId, KeyKind, KeyName, NoteSignature, SignatureType, VerifierKey};
use crate::time::UnixSeconds;
use crate::wire;

const PREFIX: &str = "PRIVATE+KEY+";
/// Length of a secret key in bytes.
const SEED_LEN: usize = 32;

/// A secret key with its name and kind.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    verifier: VerifierKey,
}

impl SecretKey {
    /// The Ed25519 key of a 32-byte seed, which must come from a cryptographic random source.
    pub fn from_seed(kind: KeyKind, name: KeyName, seed: [u8; SEED_LEN]) -> Self {
        let seed = Zeroizing::new(seed);
        let key = SigningKey::from_bytes(&seed);
        let verifier = VerifierKey::from_checked(kind, name, key.verifying_key());
        Self { key, verifier }
    }

    /// Reads the text form; surrounding spaces or newlines are refused.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(KeyError::Form)?.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let name = KeyName::parse(name)?;
        let id = KeyId::parse_hex(id)?;
        let material = wire::decode_base64(material.as_bytes()).map_err(|_| KeyError::Base64)?;
        let material = Zeroizing::new(material);
        let (signature_type, seed) = SignatureType::split_material(&material)?;
        let algorithm = signature_type.algorithm();
        if algorithm != Algorithm::Ed25519 {
            return Err(KeyError::NoSigner { algorithm });
        }
        let length = |_| KeyError::Length { got: seed.len(), expected: SEED_LEN };
        let key = Self::from_seed(signature_type.kind(), name, seed.try_into().map_err(length)?);
        if key.verifier.id() == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }

    /// The text form. It is the secret itself.
    pub fn encode(&self) -> Zeroizing<String> {
        let material = [self.verifier.signature_type().bytes(), self.key.as_bytes()].concat();
        let material = Zeroizing::new(wire::encode_base64(Zeroizing::new(material)));
        let (name, id) = (self.verifier.name().as_str(), self.verifier.id().to_string());
        // One allocation of the right size: a text that grows leaves copies of the secret behind.
        Zeroizing::new([PREFIX, name, "+", &id, "+", &material].concat())
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn of_kind(self, kind: KeyKind) -> Result<Self, KeyError> {
        self.verifier.kind().require(kind)?;
        Ok(self)
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, secret)", self.verifier)
    }
}

/// Signs messages as they are.
pub trait Signer {
    /// The public half of the key.
    fn verifier(&self) -> &VerifierKey;

    /// A signature line over exactly `message`.
    fn sign(&self, message: &[u8]) -> NoteSignature;
}

/// Signs a log's checkpoints: the message is the note's text.
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
        NoteSignature::by(self.verifier(), self.0.sign(message).to_vec())
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
        NoteSignature::by(self.verifier(), self.0.sign(message).to_vec())
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
    pub fn cosign(&self, checkpoint_text: &str, time: UnixSeconds) -> NoteSignature {
        let signature = self.0.sign(&signed_message(checkpoint_text, time));
        NoteSignature::by(self.verifier(), Cosignature::new(time, signature.to_vec()).encode())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
