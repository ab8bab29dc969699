//! Timestamped cosignatures of checkpoints (c2sp.org/tlog-cosignature).
//!
//! Bytes, after the key id of the signature line: the time in seconds, 8 bytes big-endian, then the signature.
//! By an Ed25519 key (signature type `0x04`) these are 64 bytes, over
//!
//! ```text
//! cosignature/v1
//! time <decimal seconds>
//! <the checkpoint's whole text, extension lines and final newline included>
//! ```
//!
//! By an ML-DSA-44 key (signature type `0x06`) these are 2,420 bytes, over
//!
//! ```text
//! "subtree/v1\n\0"                            12 bytes
//! length and bytes of the key's name          1 byte, 1 to 255 bytes
//! time in seconds                             8 bytes, big-endian
//! length and bytes of the checkpoint's origin 1 byte, 1 to 255 bytes
//! first leaf, zero for a checkpoint           8 bytes, big-endian
//! end, the size of the checkpoint's tree      8 bytes, big-endian
//! root                                        32 bytes
//! ```
//!
//! with an empty context string. It covers no extension lines: those of a checkpoint have the log's word only.
//!
//! A time of zero states nothing and is refused, as is one above `2^63-1`: a witness has to state one, and
//! what has none is a cosignature of some subtree, which no policy counts. Whether the time is plausible is the
//! caller's question: nothing here knows a clock.

use alloc::format;
use alloc::vec::Vec;

use crate::checkpoint::Checkpoint;
use crate::note::{Algorithm, KeyName, NoteError};
use crate::time::UnixSeconds;
use crate::wire::Reader;

const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// A cosignature's time and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    time: UnixSeconds,
    signature: Vec<u8>,
}

impl Cosignature {
    pub(crate) fn new(time: UnixSeconds, signature: Vec<u8>) -> Self {
        Self { time, signature }
    }

    /// Length in bytes, without the key id.
    pub const fn len_of(algorithm: Algorithm) -> usize {
        size_of::<u64>() + algorithm.signature_len()
    }

    /// Reads exactly as many bytes as cosignatures by this algorithm have.
    ///
    /// [`NoteError::SignatureInvalid`] for another length, [`NoteError::CosignatureTime`] for a time of
    /// zero or above `2^63-1`.
    pub fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, NoteError> {
        let mut reader = Reader::new(bytes);
        let seconds = reader.u64().map_err(|_| NoteError::SignatureInvalid)?;
        let signature = reader.remaining().to_vec();
        if signature.len() != algorithm.signature_len() {
            return Err(NoteError::SignatureInvalid);
        }
        match UnixSeconds::new(seconds) {
            Ok(time) if seconds != 0 => Ok(Self { time, signature }),
            _ => Err(NoteError::CosignatureTime),
        }
    }

    /// Reads a cosignature by whatever algorithm has signatures of its length, for those who only look at it:
    /// without the key nobody knows that it is one.
    ///
    /// As [`Cosignature::parse`].
    pub fn parse_by_length(bytes: &[u8]) -> Result<Self, NoteError> {
        let fits = |algorithm: &Algorithm| bytes.len() == Self::len_of(*algorithm);
        let algorithm = Algorithm::ALL.into_iter().find(fits).ok_or(NoteError::SignatureInvalid)?;
        Self::parse(algorithm, bytes)
    }

    /// The bytes that follow the key id.
    pub fn encode(&self) -> Vec<u8> {
        [&self.time.get().to_be_bytes()[..], &self.signature].concat()
    }

    /// When the cosigner says it signed.
    pub fn time(&self) -> UnixSeconds {
        self.time
    }

    /// The signature, without the time.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// The bytes a cosigner signs with an Ed25519 key for a checkpoint's `text` at `time`.
pub fn signed_message(text: &str, time: UnixSeconds) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", time.get()).into_bytes()
}

/// The bytes the cosigner of this name signs with an ML-DSA-44 key for a checkpoint's `text` at `time`.
///
/// # Errors
/// [`NoteError::SignatureInvalid`] if the text is no checkpoint, or the name longer than 255 bytes: no such
/// signature can be valid.
pub fn signed_subtree(cosigner: &KeyName, text: &str, time: UnixSeconds) -> Result<Vec<u8>, NoteError> {
    let checkpoint = Checkpoint::parse(text).map_err(|_| NoteError::SignatureInvalid)?;
    let (origin, head) = (checkpoint.origin().as_str(), checkpoint.head());
    let mut message = SUBTREE_LABEL.to_vec();
    push_short(&mut message, cosigner.as_str())?;
    message.extend_from_slice(&time.get().to_be_bytes());
    push_short(&mut message, origin)?;
    let start: u64 = 0;
    message.extend_from_slice(&start.to_be_bytes());
    message.extend_from_slice(&head.size.get().to_be_bytes());
    message.extend_from_slice(head.root.as_bytes());
    Ok(message)
}

/// Appends a text of at most 255 bytes behind its length.
fn push_short(message: &mut Vec<u8>, text: &str) -> Result<(), NoteError> {
    message.push(u8::try_from(text.len()).map_err(|_| NoteError::SignatureInvalid)?);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
