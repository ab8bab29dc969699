//! Key names, key ids, and verifier keys (vkeys).
//!
//! A vkey is `<name>+<key id in hex>+<base64(signature type || public key)>`. The key id is the first four
//! bytes of `SHA-256(name || 0x0a || signature type || public key)`, always checked. All keys are Ed25519;
//! the signature type tells what they may sign, so that no key is ever taken for one of another kind.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::error::{InvalidSignature, KeyError};
use crate::hash::hex;
use crate::wire;

/// Length of an Ed25519 public key in bytes.
pub(crate) const PUBLIC_KEY_LEN: usize = 32;

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
    pub fn of(name: &KeyName, kind: KeyKind, public_key: &[u8; PUBLIC_KEY_LEN]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update(b"\n")
            .chain_update(kind.signature_type())
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
    /// Signature type `0x01`: Ed25519 over the text of a note. Log keys.
    Log,
    /// Signature type `0x04`: timestamped Ed25519 over a checkpoint. Witness keys.
    Cosigner,
    /// Signature type `0xff` followed by `indelible/dsse-ed25519`: Ed25519 over a record. Vendor keys.
    Record,
}

impl KeyKind {
    const ALL: [Self; 3] = [Self::Log, Self::Cosigner, Self::Record];

    /// The bytes that stand before the public key in a vkey.
    pub const fn signature_type(self) -> &'static [u8] {
        match self {
            Self::Log => b"\x01",
            Self::Cosigner => b"\x04",
            Self::Record => b"\xffindelible/dsse-ed25519",
        }
    }

    /// Parts key material into its kind and the key.
    pub(crate) fn split_material(material: &[u8]) -> Result<(Self, &[u8; PUBLIC_KEY_LEN]), KeyError> {
        for kind in Self::ALL {
            if let Some(key) = material.strip_prefix(kind.signature_type()) {
                return Ok((kind, key.try_into().map_err(|_| KeyError::Length { got: key.len() })?));
            }
        }
        Err(KeyError::UnknownType)
    }

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

/// A public key with its name, id and kind. Never of low order, always in its canonical encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    kind: KeyKind,
    pub(super) key: VerifyingKey,
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
        let (kind, bytes) = KeyKind::split_material(&material)?;
        let key = Self::from_public_key(kind, name, bytes)?;
        if key.id == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }

    /// The verifier key of a public key.
    pub fn from_public_key(
        kind: KeyKind,
        name: KeyName,
        bytes: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        // A second encoding of one point would be a second key to whoever compares keys by their bytes.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self::from_checked(kind, name, key))
    }

    /// The verifier key of a secret key's public half, which is canonical and of full order by construction.
    pub(crate) fn from_checked(kind: KeyKind, name: KeyName, key: VerifyingKey) -> Self {
        let id = KeyId::of(&name, kind, key.as_bytes());
        Self { name, id, kind, key }
    }

    /// The vkey's text.
    pub fn encode(&self) -> String {
        let material: Vec<u8> = [self.kind.signature_type(), self.key.as_bytes()].concat();
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
        self.kind
    }

    /// The Ed25519 public key.
    pub fn public_key_bytes(&self) -> [u8; PUBLIC_KEY_LEN] {
        self.key.to_bytes()
    }

    /// Whether `signature` is this key's Ed25519 signature over exactly `message`: strict verification, as
    /// RFC 8032 has it, and low-order points refused. Nothing is added to the message.
    pub fn verify_raw(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let signature = Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
        self.key.verify_strict(message, &signature).map_err(|_| InvalidSignature)
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
