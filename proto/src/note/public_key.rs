//! Public keys of the algorithms that keys of notes have, and the verification of bytes under them.

use alloc::sync::Arc;
use core::fmt;

use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey as Ed25519Key};
use ml_dsa::{MlDsa44, Signature as MlDsaSignature, VerifyingKey as MlDsaKey};

use super::error::{InvalidSignature, KeyError};

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 8032.
    Ed25519,
    /// FIPS 204, with an empty context string. A quantum computer gains little on it.
    MlDsa44,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Ed25519, Self::MlDsa44];

    /// Length of a public key in bytes.
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::MlDsa44 => 1312,
        }
    }

    /// Length of a signature in bytes.
    pub const fn signature_len(self) -> usize {
        match self {
            Self::Ed25519 => 64,
            Self::MlDsa44 => 2420,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
        })
    }
}

/// A public key. Never of low order, always in its canonical encoding.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Ed25519(Ed25519Key),
    /// Shared: what is computed from the key ahead of signatures takes some 20 KiB.
    MlDsa44(Arc<ExpandedKey>),
}

/// An ML-DSA-44 key as it is written and as signatures are verified with it.
pub(super) struct ExpandedKey {
    bytes: [u8; Algorithm::MlDsa44.public_key_len()],
    key: MlDsaKey<MlDsa44>,
}

impl PartialEq for ExpandedKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ExpandedKey {}

impl PublicKey {
    /// Reads a key. Any bytes of the right length are an ML-DSA-44 key.
    pub(super) fn decode(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let length = || KeyError::Length { got: bytes.len(), expected: algorithm.public_key_len() };
        match algorithm {
            Algorithm::Ed25519 => decode_ed25519(bytes.try_into().map_err(|_| length())?).map(Self::Ed25519),
            Algorithm::MlDsa44 => {
                let bytes: [u8; _] = bytes.try_into().map_err(|_| length())?;
                Ok(Self::MlDsa44(Arc::new(ExpandedKey { bytes, key: MlDsaKey::decode(&bytes.into()) })))
            }
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::MlDsa44(_) => Algorithm::MlDsa44,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.as_bytes(),
            Self::MlDsa44(key) => &key.bytes,
        }
    }

    /// Whether `signature` is this key's over exactly `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        match self {
            Self::Ed25519(key) => {
                let signature = Ed25519Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
                key.verify_strict(message, &signature).map_err(|_| InvalidSignature)
            }
            Self::MlDsa44(expanded) => {
                let signature = MlDsaSignature::try_from(signature).map_err(|_| InvalidSignature)?;
                match expanded.key.verify_with_context(message, b"", &signature) {
                    true => Ok(()),
                    false => Err(InvalidSignature),
                }
            }
        }
    }
}

fn decode_ed25519(bytes: &[u8; 32]) -> Result<Ed25519Key, KeyError> {
    let key = Ed25519Key::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
    // A second encoding of one point would be a second key to whoever compares keys by their bytes.
    if key.to_edwards().compress().as_bytes() != bytes {
        return Err(KeyError::NotAPoint);
    }
    if key.is_weak() {
        return Err(KeyError::Weak);
    }
    Ok(key)
}
