//! What logs and witnesses say to each other over HTTP (c2sp.org/tlog-witness).
//!
//! `POST <prefix>/add-checkpoint` takes
//!
//! ```text
//! old <decimal>            the size the witness is believed to hold
//! <hash, base64>           up to 63: consistency proof from that size
//!
//! <checkpoint: a signed note, to the end of the body>
//! ```
//!
//! and is answered with one or more cosignature lines, or, when the witness holds another size, with 409
//! and that size as a line of media type [`SIZE_MEDIA_TYPE`]. `GET` of [`checkpoint_path`] has the note a
//! witness last cosigned. Nothing here verifies a signature or a proof.

use alloc::string::String;
use alloc::vec::Vec;

use crate::checkpoint::Origin;
use crate::note::{MAX_NOTE_BYTES, NoteError, NoteSignature, SignedNote};
use crate::proof::{push_hash_lines, read_hash_lines};
use crate::size::TreeSize;
use crate::tree::{ConsistencyError, ConsistencyProof};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal};

/// Path of the submission call under a witness's prefix.
pub const ADD_CHECKPOINT_PATH: &str = "/add-checkpoint";

/// Media type of the body that tells the size a witness holds.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Largest answer to a submission in bytes: its lines must fit a note.
pub const MAX_COSIGNATURES_BYTES: usize = MAX_NOTE_BYTES;

/// Largest body that tells a size: 19 digits and a newline.
pub const MAX_SIZE_BYTES: usize = 20;

const OLD: &str = "old";

/// Path, under a witness's prefix, of the note it last cosigned for the log of this origin.
pub fn checkpoint_path(origin: &Origin) -> String {
    alloc::format!("/{}/checkpoint", origin.hash_hex())
}

/// A request to cosign a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpointRequest {
    /// The size the witness is believed to hold, zero if none.
    pub old: TreeSize,
    /// That the note's tree continues the tree of size `old`; not verified.
    pub proof: ConsistencyProof,
    /// The checkpoint under at least the log's signature; not verified.
    pub note: SignedNote,
}

impl AddCheckpointRequest {
    /// Largest body in bytes: a note, 63 hashes and the size line fit.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Reads a whole body.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessApiError> {
        let mut reader = Reader::with_limit(body, Self::MAX_BYTES)?;
        let old = parse_tree_size(reader.line_after(OLD)?).map_err(|kind| DecodeError { at: 0, kind })?;
        let proof = ConsistencyProof::new(read_hash_lines(&mut reader)?)?;
        let note = SignedNote::parse(reader.remaining())?;
        Ok(Self { old, proof, note })
    }

    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = alloc::format!("{OLD} {}\n", self.old);
        push_hash_lines(&mut text, self.proof.hashes());
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.note.encode());
        bytes
    }
}

/// The body of a witness's answer: signature lines.
pub fn encode_cosignatures(cosignatures: &[NoteSignature]) -> String {
    cosignatures.iter().map(NoteSignature::encode_line).collect()
}

/// Reads a witness's answer: at least one line. Lines of unknown keys are for the caller to ignore.
pub fn parse_cosignatures(body: &[u8]) -> Result<Vec<NoteSignature>, WitnessApiError> {
    let reader = Reader::with_limit(body, MAX_COSIGNATURES_BYTES)?;
    Ok(NoteSignature::parse_lines(reader.remaining())?)
}

/// The body that tells the size a witness holds.
pub fn encode_size(size: TreeSize) -> String {
    alloc::format!("{size}\n")
}

/// Reads the body that tells the size a witness holds.
pub fn parse_size(body: &[u8]) -> Result<TreeSize, WitnessApiError> {
    let mut reader = Reader::with_limit(body, MAX_SIZE_BYTES)?;
    let size = parse_tree_size(reader.line()?).map_err(|kind| DecodeError { at: 0, kind })?;
    reader.finish()?;
    Ok(size)
}

fn parse_tree_size(text: &[u8]) -> Result<TreeSize, DecodeErrorKind> {
    TreeSize::new(parse_decimal(text)?).map_err(|_| DecodeErrorKind::Decimal)
}

/// Why a request or an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessApiError {
    /// Too long, or a line is missing or is not what its place demands.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More hashes than a proof has.
    #[error(transparent)]
    Proof(#[from] ConsistencyError),
    /// Not a signed note, or not signature lines.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl WitnessApiError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Proof(error) => error.code(),
            Self::Note(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests;
