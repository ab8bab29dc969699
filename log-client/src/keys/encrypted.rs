//! Secret keys under a passphrase.
//!
//! ```text
//! indelible-encrypted-key/v1
//! argon2id <memory in KiB, decimal> <passes, decimal>
//! <salt: 32 random bytes, hex>
//! <the secret key's line, encrypted: base64>
//! ```
//!
//! The key is Argon2id (version 19, one lane, 32 bytes) over the passphrase and the salt; the line is encrypted by
//! ChaCha20-Poly1305 (RFC 8439) with what stands before it as associated data. Each file has a salt and so a key of its
//! own that encrypts once, so the nonce is all zeros.
//!
//! A file cannot ask for more work than [`MAX_MEMORY_KIB`] and [`MAX_PASSES`]. A wrong passphrase and a changed file
//! cannot be told apart.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit as _, Nonce};
use indelible_proto::hash::Hash;
use indelible_proto::wire::{Reader, decode_base64, encode_base64, parse_decimal};
use zeroize::Zeroizing;

/// Most memory a file can ask for, in KiB: a quarter of a GiB, four times what is written here.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes over that memory that a file can ask for.
pub const MAX_PASSES: u32 = 10;
/// Longest file in bytes. A key line is a name and a few dozen bytes.
pub const MAX_BYTES: usize = 8192;
/// What a file starts with.
const HEADER: &str = "indelible-encrypted-key/v1";

/// How much work it is to try a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    memory_kib: u32,
    passes: u32,
}

impl Work {
    /// What RFC 9106 recommends where memory is scarce: 64 MiB, three passes.
    pub const USUAL: Self = Self { memory_kib: 64 * 1024, passes: 3 };
}

/// Why an encrypted key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not the format.
    #[error("the file is no whole encrypted key")]
    Form,
    /// More work than a file may ask for.
    #[error(
        "the file asks for {memory_kib} KiB of memory and {passes} passes, at most {MAX_MEMORY_KIB} and {MAX_PASSES} are done"
    )]
    Work {
        /// Memory in KiB.
        memory_kib: u64,
        /// Passes over it.
        passes: u64,
    },
    /// Wrong passphrase, or a changed file.
    #[error("the passphrase is wrong, or the file was changed")]
    Passphrase,
}

impl OpenError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form => "encrypted-key-form",
            Self::Work { .. } => "encrypted-key-work",
            Self::Passphrase => "passphrase-wrong",
        }
    }
}

/// Whether these bytes are meant as an encrypted key.
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER.as_bytes())
}

/// Encrypts a secret key's line. `None` if the work is none that can be done.
pub fn seal(line: &[u8], passphrase: &[u8], salt: &[u8; 32], work: Work) -> Option<String> {
    let Work { memory_kib, passes } = work;
    let salt = Hash::from_bytes(*salt);
    let head = format!("{HEADER}\nargon2id {memory_kib} {passes}\n{}\n", salt.to_hex());
    let cipher = cipher(passphrase, salt, work)?;
    let sealed = cipher.encrypt(&Nonce::default(), Payload { msg: line, aad: head.as_bytes() }).ok()?;
    Some(format!("{head}{}\n", encode_base64(sealed)))
}

/// The secret key's line in an encrypted key.
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut reader = Reader::with_limit(bytes, MAX_BYTES).map_err(|_| OpenError::Form)?;
    reader.expect_line(HEADER).map_err(|_| OpenError::Form)?;
    let numbers = reader.line_after("argon2id").map_err(|_| OpenError::Form)?;
    let work = read_work(numbers)?;
    let salt = reader.line().ok().and_then(|line| std::str::from_utf8(line).ok()).and_then(Hash::parse_hex);
    let salt = salt.ok_or(OpenError::Form)?;
    let aad = bytes.get(..reader.position()).ok_or(OpenError::Form)?;
    let sealed = reader.line().ok().and_then(|line| decode_base64(line).ok()).ok_or(OpenError::Form)?;
    reader.finish().map_err(|_| OpenError::Form)?;
    let cipher = cipher(passphrase, salt, work).ok_or(OpenError::Form)?;
    let line = cipher.decrypt(&Nonce::default(), Payload { msg: &sealed, aad });
    line.map(Zeroizing::new).map_err(|_| OpenError::Passphrase)
}

fn read_work(numbers: &[u8]) -> Result<Work, OpenError> {
    let mut parts = numbers.split(|byte| *byte == b' ');
    let mut number = || parts.next().and_then(|part| parse_decimal(part).ok()).ok_or(OpenError::Form);
    let (memory_kib, passes) = (number()?, number()?);
    if parts.next().is_some() {
        return Err(OpenError::Form);
    }
    let too_much = OpenError::Work { memory_kib, passes };
    let within = |number: u64, max: u32| u32::try_from(number).ok().filter(|number| *number <= max);
    let memory_kib = within(memory_kib, MAX_MEMORY_KIB).ok_or(too_much)?;
    Ok(Work { memory_kib, passes: within(passes, MAX_PASSES).ok_or(too_much)? })
}

fn cipher(passphrase: &[u8], salt: Hash, work: Work) -> Option<ChaCha20Poly1305> {
    let mut key = Zeroizing::new([0u8; 32]);
    let params = Params::new(work.memory_kib, work.passes, 1, Some(key.len())).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase, salt.as_bytes(), key.as_mut()).ok()?;
    Some(ChaCha20Poly1305::new(Key::from_slice(key.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Work = Work { memory_kib: 8, passes: 1 };

    fn sealed() -> String {
        seal(b"secret line", b"open sesame", &[7; 32], LITTLE).unwrap()
    }

    fn code(text: &str, passphrase: &str) -> &'static str {
        open(text.as_bytes(), passphrase.as_bytes()).map_or_else(|error| error.code(), |_| "opened")
    }

    #[test]
    fn the_passphrase_opens_it_and_no_other() {
        let text = sealed();
        assert_eq!(open(text.as_bytes(), b"open sesame").unwrap().as_slice(), b"secret line");
        for wrong in ["", "open sesamf", "open sesame "] {
            assert_eq!(code(&text, wrong), "passphrase-wrong");
        }
        assert!(!text.contains("secret"));
        assert_ne!(text, seal(b"secret line", b"open sesame", &[8; 32], LITTLE).unwrap());
    }

    /// Made with argon2-cffi and the Python package cryptography.
    #[test]
    fn what_another_implementation_seals_is_the_same() {
        let other = "indelible-encrypted-key/v1\nargon2id 8 1\n\
            0707070707070707070707070707070707070707070707070707070707070707\n\
            qk7kNb7hzrj+LNw15Ty7WmKUBlg7/G7ti8Kk\n";
        assert_eq!(sealed(), other);
    }

    #[test]
    fn what_is_cut_off_or_changed_does_not_open() {
        let text = sealed();
        for length in 0..text.len() {
            assert_ne!(code(&text[..length], "open sesame"), "opened", "{length}");
        }
        for (at, byte) in text.bytes().enumerate() {
            let other = if byte == b'8' { b'9' } else { b'8' };
            let mut changed = text.clone().into_bytes();
            changed[at] = other;
            assert!(open(&changed, b"open sesame").is_err(), "{at}");
        }
        assert_eq!(code(&format!("{text}\n"), "open sesame"), "encrypted-key-form");
        assert_eq!(code(&"x".repeat(MAX_BYTES + 1), "open sesame"), "encrypted-key-form");
    }

    #[test]
    fn no_file_makes_anyone_work_without_end() {
        let at = |memory: u64, passes: u64| {
            code(&sealed().replace("argon2id 8 1", &format!("argon2id {memory} {passes}")), "open sesame")
        };
        for (memory, passes) in [
            (u64::from(MAX_MEMORY_KIB) + 1, 1),
            (8, u64::from(MAX_PASSES) + 1),
            (u64::from(u32::MAX), u64::from(u32::MAX)),
            (1 << 40, 1),
            (8, 1 << 40),
        ] {
            assert_eq!(at(memory, passes), "encrypted-key-work", "{memory} {passes}");
        }
        let more = sealed().replace("argon2id 8 1", "argon2id 8 1 1");
        assert_eq!(code(&more, "open sesame"), "encrypted-key-form");
        for (memory, passes) in [(0, 1), (8, 0), (7, 1)] {
            assert_eq!(at(memory, passes), "encrypted-key-form", "{memory} {passes}");
        }
    }
}
