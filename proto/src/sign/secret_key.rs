//! Secret keys and their text form.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use ml_dsa::{Keypair as _, MlDsa44};
use zeroize::Zeroizing;

use crate::note::{Algorithm, KeyError, KeyId, KeyKind, KeyName, SignatureType, VerifierKey};
use crate::wire;

const PREFIX: &str = "PRIVATE+KEY+";
/// Length of a seed in bytes, the same for both algorithms.
const SEED_LEN: usize = 32;

/// A secret key with its name and kind.
#[derive(Clone)]
pub struct SecretKey {
    half: SecretHalf,
    verifier: VerifierKey,
}

#[derive(Clone)]
enum SecretHalf {
    Ed25519(Box<SigningKey>),
    /// Shared: what is computed from the seed ahead of signatures takes some 30 KiB.
    MlDsa44(Arc<ml_dsa::SigningKey<MlDsa44>>),
}

impl SecretKey {
    /// The Ed25519 key of a 32-byte seed, which must come from a cryptographic random source.
    pub fn from_seed(kind: KeyKind, name: KeyName, seed: [u8; SEED_LEN]) -> Self {
        let seed = Zeroizing::new(seed);
        let key = SigningKey::from_bytes(&seed);
        let verifier = VerifierKey::from_checked(kind, name, key.verifying_key());
        Self { half: SecretHalf::Ed25519(Box::new(key)), verifier }
    }

    /// The ML-DSA-44 key of a 32-byte seed (FIPS 204, algorithm 1), which must come from a cryptographic random
    /// source. It cosigns, for a witness or for a log.
    ///
    /// # Errors
    /// [`KeyError::NameTooLong`].
    pub fn ml_dsa_from_seed(name: KeyName, seed: [u8; SEED_LEN]) -> Result<Self, KeyError> {
        let seed = Zeroizing::new(ml_dsa::Seed::from(seed));
        let key = Arc::new(ml_dsa::SigningKey::from_seed(&seed));
        let public = key.verifying_key().encode();
        let verifier = VerifierKey::decode(SignatureType::MlDsaCosigner, name, &public)?;
        Ok(Self { half: SecretHalf::MlDsa44(key), verifier })
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
        let length = |_| KeyError::Length { got: seed.len(), expected: SEED_LEN };
        let seed = Zeroizing::new(<[u8; SEED_LEN]>::try_from(seed).map_err(length)?);
        let key = match signature_type.algorithm() {
            Algorithm::Ed25519 => Self::from_seed(signature_type.kind(), name, *seed),
            Algorithm::MlDsa44 => Self::ml_dsa_from_seed(name, *seed)?,
        };
        if key.verifier.id() == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }

    /// The text form. It is the secret itself.
    pub fn encode(&self) -> Zeroizing<String> {
        let seed: &[u8] = match &self.half {
            SecretHalf::Ed25519(key) => key.as_bytes(),
            SecretHalf::MlDsa44(key) => key.as_seed(),
        };
        let material = Zeroizing::new([self.verifier.signature_type().bytes(), seed].concat());
        let material = Zeroizing::new(wire::encode_base64(&*material));
        let (name, id) = (self.verifier.name().as_str(), self.verifier.id().to_string());
        // One allocation of the right size: a text that grows leaves copies of the secret behind.
        Zeroizing::new([PREFIX, name, "+", &id, "+", &material].concat())
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn of_kind(self, kind: KeyKind) -> Result<Self, KeyError> {
        self.verifier.kind().require(kind)?;
        Ok(self)
    }

    /// The signature over exactly `message`, the same for the same message: by ML-DSA-44 the deterministic
    /// variant with an empty context string (FIPS 204, sections 3.4 and 5.2).
    pub(super) fn sign(&self, message: &[u8]) -> Box<[u8]> {
        match &self.half {
            SecretHalf::Ed25519(key) => Box::new(key.sign(message).to_bytes()),
            SecretHalf::MlDsa44(key) => {
                let signature = key.expanded_key().sign_deterministic(message, b"");
                let signature =
                    signature.expect("invariant: only a context of more than 255 bytes is refused");
                Box::from(signature.encode().as_slice())
            }
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, secret)", self.verifier)
    }
}
