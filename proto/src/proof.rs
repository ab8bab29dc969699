//! Log proofs: that an entry is in a log and witnesses saw it, verifiable offline (c2sp.org/tlog-proof).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>           (left out when there is none)
//! index <decimal>
//! <hash, base64>           (up to 63: the inclusion proof, the leaf's sibling first)
//!
//! <checkpoint: a signed note, to the end of the file>
//! ```
//!
//! Files end in `.tlog-proof` and have at most [`LogProof::MAX_BYTES`]. The index and the proof are checked
//! by [`LogProof::verify`]; the extra data is covered by nothing, whoever uses it checks it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::hash::Hash;
use crate::note::{NoteError, SignedNote};
use crate::policy::{Policy, PolicyError, VerifiedCheckpoint};
use crate::size::LeafIndex;
use crate::tree::{InclusionError, InclusionProof, MAX_PROOF_HASHES, TreeHead};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, decode_base64, encode_base64, parse_decimal};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
const EXTRA: &str = "extra";
const INDEX: &str = "index";

/// An inclusion proof with the note it leads to; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    extra: Option<Vec<u8>>,
    index: LeafIndex,
    proof: InclusionProof,
    note: SignedNote,
}

impl LogProof {
    /// Largest proof in bytes: a note, 63 hashes, and the largest entry as extra data.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// A proof that the entry at `index` is in the tree of `note`'s checkpoint.
    ///
    /// [`ProofError::ExtraEmpty`] if `extra` has no bytes, [`ProofError::TooLong`] if the whole would be
    /// longer than [`LogProof::MAX_BYTES`].
    pub fn new(
        extra: Option<Vec<u8>>,
        index: LeafIndex,
        proof: InclusionProof,
        note: SignedNote,
    ) -> Result<Self, ProofError> {
        if extra.as_ref().is_some_and(Vec::is_empty) {
            return Err(ProofError::ExtraEmpty);
        }
        let log_proof = Self { extra, index, proof, note };
        match log_proof.encode().len() {
            got if got > Self::MAX_BYTES => Err(ProofError::TooLong { got }),
            _ => Ok(log_proof),
        }
    }

    /// The same with other signatures under the checkpoint.
    ///
    /// [`ProofError::TooLong`] if the whole would be longer than [`LogProof::MAX_BYTES`].
    pub fn with_note(self, note: SignedNote) -> Result<Self, ProofError> {
        Self::new(self.extra, self.index, self.proof, note)
    }

    /// Reads a whole proof.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ProofError::TooLong { got: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        reader.expect_line(FIRST_LINE)?;
        let has_extra = reader.remaining().starts_with(EXTRA.as_bytes());
        let extra = if has_extra { Some(read_extra(&mut reader)?) } else { None };
        let at = reader.position();
        let index = parse_decimal(reader.line_after(INDEX)?);
        let index = index.and_then(|index| LeafIndex::new(index).map_err(|_| DecodeErrorKind::Decimal));
        let index = index.map_err(|kind| DecodeError { at, kind })?;
        let proof = InclusionProof::new(read_hash_lines(&mut reader)?)?;
        let note = SignedNote::parse(reader.remaining())?;
        Ok(Self { extra, index, proof, note })
    }

    /// The proof's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::from(FIRST_LINE);
        text.push('\n');
        if let Some(extra) = &self.extra {
            text.push_str(&alloc::format!("{EXTRA} {}\n", encode_base64(extra)));
        }
        text.push_str(&alloc::format!("{INDEX} {}\n", self.index));
        push_hash_lines(&mut text, self.proof.hashes());
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.note.encode());
        bytes
    }

    /// Data that came with the proof. Not authenticated by anything.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Where the entry is said to be.
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The inclusion proof, not verified.
    pub fn proof(&self) -> &InclusionProof {
        &self.proof
    }

    /// The note with the checkpoint, not verified.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// Checks that the entry with `leaf_hash` is in a log of the policy and enough witnesses saw it.
    ///
    /// [`ProofError::Policy`] if the checkpoint is not to be believed, [`ProofError::Inclusion`] if it is
    /// and the entry is not in it. The caller computes `leaf_hash` from the entry it holds (step 1 of the
    /// specification).
    pub fn verify(&self, leaf_hash: &Hash, policy: &Policy) -> Result<Logged, ProofError> {
        // 2. and 3. Origin and log signature; every known cosignature and the quorum.
        let checkpoint = policy.verify(&self.note)?;
        self.verify_inclusion(leaf_hash, &checkpoint.head())?;
        Ok(Logged { index: self.index, leaf_hash: *leaf_hash, checkpoint })
    }

    /// The last step of [`Self::verify`] alone, for many proofs of one checkpoint: whether the head is that of the
    /// proof's note, and to be believed, is not checked.
    pub fn verify_inclusion(&self, leaf_hash: &Hash, head: &TreeHead) -> Result<(), ProofError> {
        // 4. The leaf is in the signed tree.
        Ok(self.proof.verify(leaf_hash, self.index, head)?)
    }
}

fn read_extra(reader: &mut Reader<'_>) -> Result<Vec<u8>, ProofError> {
    let at = reader.position();
    let extra = decode_base64(reader.line_after(EXTRA)?).map_err(|kind| DecodeError { at, kind })?;
    if extra.is_empty() { Err(ProofError::ExtraEmpty) } else { Ok(extra) }
}

/// Hashes, one a line, and the empty line after them. Stops early, at one hash more than any proof has:
/// making the proof refuses those.
pub(crate) fn read_hash_lines(reader: &mut Reader<'_>) -> Result<Vec<Hash>, DecodeError> {
    let mut hashes = Vec::new();
    while hashes.len() <= MAX_PROOF_HASHES && !reader.remaining().starts_with(b"\n") {
        hashes.push(reader.hash_line()?);
    }
    if hashes.len() <= MAX_PROOF_HASHES {
        reader.expect_line("")?;
    }
    Ok(hashes)
}

/// Writes what [`read_hash_lines`] reads.
pub(crate) fn push_hash_lines(text: &mut String, hashes: &[Hash]) {
    for hash in hashes {
        text.push_str(&hash.to_base64());
        text.push('\n');
    }
    text.push('\n');
}

/// That an entry is in a log, at an index, under a checkpoint the policy accepts. Made only by
/// [`LogProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    index: LeafIndex,
    leaf_hash: Hash,
    checkpoint: VerifiedCheckpoint,
}

impl Logged {
    /// Where the entry is.
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The leaf hash of the entry.
    pub fn leaf_hash(&self) -> &Hash {
        &self.leaf_hash
    }

    /// The checkpoint whose tree holds the entry.
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}

/// Why a log proof was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Longer than [`LogProof::MAX_BYTES`].
    #[error("log proof of {got} bytes, at most {} are allowed", LogProof::MAX_BYTES)]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// A line is missing or is not what its place demands.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Extra data without bytes: the line is left out instead.
    #[error("extra data is empty")]
    ExtraEmpty,
    /// What follows the proof is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The policy does not accept the checkpoint.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The entry is not at this index of the checkpoint's tree, or the proof cannot be one.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
}

impl ProofError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "log-proof-too-long",
            Self::Decode(error) => error.code(),
            Self::ExtraEmpty => "log-proof-extra-empty",
            Self::Note(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Inclusion(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests;
