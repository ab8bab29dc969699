//! SHA-256 hashes and the tree hashing of RFC 6962, section 2.1.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::wire;

/// A SHA-256 hash, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Self::LEN]);

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Standard base64, as checkpoints and proofs write it.
    pub fn to_base64(self) -> String {
        wire::encode_base64(self.0)
    }

    /// 64 lower-case hexadecimal digits, as records and `sha256sum` write it.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Exactly 64 lower-case hexadecimal digits.
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        hex::decode_lower(text.as_bytes(), &mut bytes)?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// SHA-256 of `bytes`, without any prefix.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Hash of an entry: `SHA-256(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// Hash of an interior node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of the tree without entries: `SHA-256("")`.
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// Lower-case hexadecimal, strict in both directions.
pub mod hex {
    use alloc::string::String;

    /// Two lower-case digits a byte.
    pub fn encode(bytes: impl AsRef<[u8]>) -> String {
        let bytes = bytes.as_ref();
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        for byte in bytes {
            for nibble in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(nibble), 16).expect("invariant: a nibble is a digit"));
            }
        }
        text
    }

    /// Fills `out` from exactly `2 * out.len()` lower-case digits; `None` for anything else.
    pub fn decode_lower(text: &[u8], out: &mut [u8]) -> Option<()> {
        let (pairs, rest) = text.as_chunks::<2>();
        if !rest.is_empty() || pairs.len() != out.len() {
            return None;
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(())
    }

    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => digit.checked_sub(b'0'),
            b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_rfc_6962_says() {
        // Values of the certificate-transparency reference: the empty tree, the empty leaf, a node.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty_root().to_hex(), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(leaf_hash(b"").to_hex(), leaf);
        let node = node_hash(&leaf_hash(b"N123"), &leaf_hash(b"N456"));
        assert_ne!(
            node,
            leaf_hash(&[*leaf_hash(b"N123").as_bytes(), *leaf_hash(b"N456").as_bytes()].concat())
        );
    }

    #[test]
    fn hexadecimal_has_one_spelling() {
        let hash = sha256(b"x");
        assert_eq!(Hash::parse_hex(&hash.to_hex()), Some(hash));
        assert_eq!(Hash::parse_hex(&hash.to_hex().to_uppercase()), None);
        assert_eq!(Hash::parse_hex(&hash.to_hex()[1..]), None);
        assert_eq!(Hash::parse_hex(&alloc::format!("{}0", hash.to_hex())), None);
        assert_eq!(Hash::parse_hex(&hash.to_hex().replace(|c: char| c.is_ascii_digit(), "g")), None);
    }

    #[test]
    fn every_byte_survives_hexadecimal() {
        let bytes: alloc::vec::Vec<u8> = (0..=255).collect();
        let mut back = [0u8; 256];
        assert_eq!(hex::decode_lower(hex::encode(&bytes).as_bytes(), &mut back), Some(()));
        assert_eq!(&back[..], &bytes[..]);
    }
}
