//! Timestamped Ed25519 cosignatures of checkpoints (c2sp.org/tlog-cosignature, signature type `0x04`).
//!
//! Bytes, after the key id of the signature line: the time in seconds, 8 bytes big-endian, then 64 bytes
//! of Ed25519 signature over
//!
//! ```text
//! cosignature/v1
//! time <decimal seconds>
//! <the checkpoint's whole text, extension lines and final newline included>
//! ```
//!
//! A time of zero states nothing and is refused, as is one above `2^63-1`. Whether the time is plausible
//! is the caller's question: nothing here knows a clock.

use alloc::format;
use alloc::vec::Vec;

use crate::note::{InvalidSignature, NoteError, VerifierKey};
use crate::time::UnixSeconds;
use crate::wire::Reader;

/// A cosignature's time and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature {
    time: UnixSeconds,
    signature: [u8; Self::SIGNATURE_LEN],
}

impl Cosignature {
    /// Length in bytes, without the key id.
    pub const LEN: usize = 8 + Self::SIGNATURE_LEN;
    const SIGNATURE_LEN: usize = 64;

    pub(crate) fn new(time: UnixSeconds, signature: [u8; Self::SIGNATURE_LEN]) -> Self {
        Self { time, signature }
    }

    /// Reads exactly [`Cosignature::LEN`] bytes.
    ///
    /// [`NoteError::SignatureInvalid`] for another length, [`NoteError::CosignatureTime`] for a time of
    /// zero or above `2^63-1`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let mut reader = Reader::new(bytes);
        let parts = reader.u64().and_then(|seconds| Ok((seconds, reader.array()?)));
        let (seconds, signature) = parts.map_err(|_| NoteError::SignatureInvalid)?;
        reader.finish().map_err(|_| NoteError::SignatureInvalid)?;
        match UnixSeconds::new(seconds) {
            Ok(time) if seconds != 0 => Ok(Self { time, signature }),
            _ => Err(NoteError::CosignatureTime),
        }
    }

    /// The bytes that follow the key id.
    pub fn encode(&self) -> Vec<u8> {
        [&self.time.get().to_be_bytes()[..], &self.signature].concat()
    }

    /// When the cosigner says it signed.
    pub fn time(&self) -> UnixSeconds {
        self.time
    }

    /// Checks the signature over `text`, a note's text with its final newline.
    pub(crate) fn verify(&self, key: &VerifierKey, text: &str) -> Result<(), NoteError> {
        let checked = key.verify_raw(&signed_message(text, self.time), &self.signature);
        checked.map_err(|InvalidSignature| NoteError::SignatureInvalid)
    }
}

/// The bytes a cosigner signs for a checkpoint's `text` at `time`.
pub fn signed_message(text: &str, time: UnixSeconds) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", time.get()).into_bytes()
}

#[cfg(test)]
mod tests;
