//! Key names, key ids, and verifier keys (vkeys).
//!
//! A vkey is `<name>+<key id in hex>+<base64(signature type || public key)>`. The key id is the first four
//! bytes of `SHA-256(name || 0x0a || signature type || public key)`, always checked. The signature type tells
//! what a key may sign and by which algorithm, so that no key is ever taken for one of another kind:
//!
//! | signature type | keys of | algorithm |
//! |---|---|---|
//! | `0x01` | logs | Ed25519 |
//! | `0x04` | witnesses | Ed25519 |
//! | `0x06` | witnesses | ML-DSA-44 |
//! | `0xff` `indelible/dsse-ed25519` | vendors | Ed25519 |

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use super::error::{InvalidSignature, KeyError};
use super::public_key::{Algorithm, PublicKey};
use crate::hash::hex;
use crate::wire;

/// Longest name of a key whose signatures cover the name, in bytes: they write its length in one byte.
pub(crate) const MAX_COVERED_NAME_BYTES: usize = u8::MAX as usize;

/// The name a key signs under: not empty, no Unicode space, no `+`, no control character below U+0020.
///
/// Names are compared byte by byte. Escape them where people read them: they may hold characters that
/// look like others or change the direction of text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// Checks and takes a name.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        if name.is_empty() {
            return Err(KeyError::NameEmpty);
        }
        let refused = |found: &char| found.is_whitespace() || *found == '+' || *found < ' ';
        match name.chars().find(refused) {
            Some(found) => Err(KeyError::NameCharacter { found }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The four bytes that, with the name, say which key made a signature. An identifier, not a commitment:
/// anyone can make another key with the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    /// Length in bytes.
    pub const LEN: usize = 4;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id of a key: the start of `SHA-256(name || 0x0a || signature type || public key)`.
    pub(crate) fn of(name: &KeyName, signature_type: SignatureType, public_key: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update(b"\n")
            .chain_update(signature_type.bytes())
            .chain_update(public_key)
            .finalize();
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
        Self([a, b, c, d])
    }

    /// Exactly eight lower-case hexadecimal digits.
    pub(crate) fn parse_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_lower(text.as_bytes(), &mut bytes).ok_or(KeyError::IdForm)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a key signs. The kind is part of the key and of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The text of a note. Log keys.
    Log,
    /// A checkpoint, with the time. Witness keys, and the ML-DSA-44 keys of logs.
    Cosigner,
    /// A record. Vendor keys.
    Record,
}

impl KeyKind {
    /// Succeeds only for a key of the `expected` kind.
    pub(crate) fn require(self, expected: Self) -> Result<(), KeyError> {
        if self == expected { Ok(()) } else { Err(KeyError::WrongKind { expected, got: self }) }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Cosigner => "witness",
            Self::Record => "record",
        })
    }
}

/// What stands before the public key in a vkey: which kind of key it is, and of which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureType {
    /// `0x01`.
    Log,
    /// `0x04`.
    Ed25519Cosigner,
    /// `0x06`.
    MlDsaCosigner,
    /// `0xff` and a name of ours.
    Record,
}

impl SignatureType {
    const ALL: [Self; 4] = [Self::Log, Self::Ed25519Cosigner, Self::MlDsaCosigner, Self::Record];

    /// That of the Ed25519 keys of a kind.
    pub(crate) const fn ed25519(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Log => Self::Log,
            KeyKind::Cosigner => Self::Ed25519Cosigner,
            KeyKind::Record => Self::Record,
        }
    }

    pub(crate) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Log => b"\x01",
            Self::Ed25519Cosigner => b"\x04",
            Self::MlDsaCosigner => b"\x06",
            Self::Record => b"\xffindelible/dsse-ed25519",
        }
    }

    pub(crate) const fn kind(self) -> KeyKind {
        match self {
            Self::Log => KeyKind::Log,
            Self::Ed25519Cosigner | Self::MlDsaCosigner => KeyKind::Cosigner,
            Self::Record => KeyKind::Record,
        }
    }

    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Log | Self::Ed25519Cosigner | Self::Record => Algorithm::Ed25519,
            Self::MlDsaCosigner => Algorithm::MlDsa44,
        }
    }

    /// Whether signatures cover the name of the key.
    const fn covers_name(self) -> bool {
        matches!(self, Self::MlDsaCosigner)
    }

    /// Parts key material into its type and the key.
    pub(crate) fn split_material(material: &[u8]) -> Result<(Self, &[u8]), KeyError> {
        let read = |known: Self| Some((known, material.strip_prefix(known.bytes())?));
        Self::ALL.into_iter().find_map(read).ok_or(KeyError::UnknownType)
    }
}

/// A public key with its name, id and kind. Never of low order, always in its canonical encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    signature_type: SignatureType,
    /// Of the signature type's algorithm.
    pub(super) key: PublicKey,
}

impl VerifierKey {
    /// Reads a vkey.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let name = KeyName::parse(name)?;
        let id = KeyId::parse_hex(id)?;
        let material = wire::decode_base64(material.as_bytes()).map_err(|_| KeyError::Base64)?;
        let (signature_type, bytes) = SignatureType::split_material(&material)?;
        let key = Self::decode(signature_type, name, bytes)?;
        if key.id == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }

    /// The verifier key of an Ed25519 public key.
    pub fn from_public_key(kind: KeyKind, name: KeyName, bytes: &[u8]) -> Result<Self, KeyError> {
        Self::decode(SignatureType::ed25519(kind), name, bytes)
    }

    /// The verifier key of a secret key's public half, which is canonical and of full order by construction.
    pub(crate) fn from_checked(kind: KeyKind, name: KeyName, key: VerifyingKey) -> Self {
        Self::new(SignatureType::ed25519(kind), name, PublicKey::Ed25519(key))
    }

    pub(crate) fn decode(
        signature_type: SignatureType,
        name: KeyName,
        bytes: &[u8],
    ) -> Result<Self, KeyError> {
        let got = name.as_str().len();
        if signature_type.covers_name() && got > MAX_COVERED_NAME_BYTES {
            return Err(KeyError::NameTooLong { got });
        }
        Ok(Self::new(signature_type, name, PublicKey::decode(signature_type.algorithm(), bytes)?))
    }

    /// `key` is of the type's algorithm.
    fn new(signature_type: SignatureType, name: KeyName, key: PublicKey) -> Self {
        let id = KeyId::of(&name, signature_type, key.as_bytes());
        Self { name, id, signature_type, key }
    }

    /// The vkey's text.
    pub fn encode(&self) -> String {
        let material: Vec<u8> = [self.signature_type.bytes(), self.key.as_bytes()].concat();
        format!("{}+{}+{}", self.name, self.id, wire::encode_base64(material))
    }

    /// The name the key signs under.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyKind {
        self.signature_type.kind()
    }

    /// Succeeds for a key with which a log may sign its checkpoints: one of kind [`KeyKind::Log`], or an ML-DSA-44
    /// key, whose cosignatures logs sign with (c2sp.org/tlog-checkpoint, "Signatures").
    ///
    /// # Errors
    /// [`KeyError::WrongKind`].
    pub fn require_of_log(&self) -> Result<(), KeyError> {
        match self.signature_type {
            SignatureType::Log | SignatureType::MlDsaCosigner => Ok(()),
            SignatureType::Ed25519Cosigner | SignatureType::Record => self.kind().require(KeyKind::Log),
        }
    }

    /// How the key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    pub(crate) fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// The public key's bytes, of as many as its algorithm says.
    pub fn public_key_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }

    /// Whether `signature` is this key's signature over exactly `message`; nothing is added to the message.
    /// Ed25519 strictly, as RFC 8032 has it, low-order points refused; ML-DSA-44 with an empty context string.
    pub fn verify_raw(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.key.verify(message, signature)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
