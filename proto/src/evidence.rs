//! Evidence that a log forked: one file that convinces a stranger offline.
//!
//! Two notes of one origin, both signed by the log's key, that cannot both be true: the larger tree commits
//! to a root its first `m` entries have, and the smaller note, of size `m`, states another. With equal sizes
//! it is one size with two roots.
//!
//! ```text
//! indelible-evidence/v1
//! fork
//! root <base64>            the root of the first m entries of the larger note's tree
//! proof <base64>           up to 63: consistency proof from (m, root) to the larger note's tree
//!
//! note <length in bytes, decimal>
//! <the smaller note>note <length in bytes, decimal>
//! <the larger note>
//! ```
//!
//! Both notes are kept byte for byte. At most [`ForkEvidence::MAX_BYTES`]. That a log *withheld* a proof is
//! not evidence in this sense: only it knows whether there was one.

use alloc::vec::Vec;
use core::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::hash::Hash;
use crate::note::{KeyError, KeyKind, NoteError, SignedNote, VerifierKey};
use crate::tree::{ConsistencyError, ConsistencyProof, MAX_PROOF_HASHES, TreeHead};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal, parse_hash};

const FIRST_LINE: &str = "indelible-evidence/v1";
const FORK: &str = "fork";
const ROOT: &str = "root";
const PROOF: &str = "proof";
const NOTE: &str = "note";

/// Two notes said to contradict each other; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkEvidence {
    smaller: SignedNote,
    larger: SignedNote,
    root: Hash,
    proof: ConsistencyProof,
}

impl ForkEvidence {
    /// Largest evidence in bytes: two notes and 63 hashes fit.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// Evidence that `larger`'s tree has `root` at `smaller`'s size, by `proof`, and `smaller` says
    /// otherwise. For notes of equal size the proof is empty and `root` is `larger`'s.
    pub fn new(smaller: SignedNote, larger: SignedNote, root: Hash, proof: ConsistencyProof) -> Self {
        Self { smaller, larger, root, proof }
    }

    /// Reads a whole evidence file.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES)?;
        reader.expect_line(FIRST_LINE)?;
        reader.expect_line(FORK)?;
        let root = read_hash(&mut reader, ROOT)?;
        let mut hashes = Vec::new();
        while hashes.len() <= MAX_PROOF_HASHES && reader.remaining().starts_with(PROOF.as_bytes()) {
            hashes.push(read_hash(&mut reader, PROOF)?);
        }
        let proof = ConsistencyProof::new(hashes).map_err(EvidenceError::ProofForm)?;
        reader.expect_line("")?;
        let smaller = read_note(&mut reader, Side::Smaller)?;
        let larger = read_note(&mut reader, Side::Larger)?;
        reader.finish()?;
        Ok(Self { smaller, larger, root, proof })
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = alloc::format!("{FIRST_LINE}\n{FORK}\n{ROOT} {}\n", self.root.to_base64());
        for hash in self.proof.hashes() {
            text.push_str(&alloc::format!("{PROOF} {}\n", hash.to_base64()));
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        for note in [&self.smaller, &self.larger] {
            let note = note.encode();
            bytes.extend_from_slice(alloc::format!("{NOTE} {}\n", note.len()).as_bytes());
            bytes.extend_from_slice(&note);
        }
        bytes
    }

    /// The note of the smaller tree, or one of two notes of equal size.
    pub fn smaller(&self) -> &SignedNote {
        &self.smaller
    }

    /// The note of the larger tree.
    pub fn larger(&self) -> &SignedNote {
        &self.larger
    }

    /// The root that the larger tree has at the smaller size, not verified.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// The proof for that root, not verified.
    pub fn proof(&self) -> &ConsistencyProof {
        &self.proof
    }

    /// Checks that the holder of `log_key` signed two checkpoints that cannot both be true.
    ///
    /// Any error means that this is *not* evidence. No policy is asked, nor any witness: a log is bound by
    /// what it signed. The name of an Ed25519 key need not be the origin; that of an ML-DSA-44 key has to be: nothing
    /// else tells such a log's key from a witness's, and a witness that signs too much is no fork of the log.
    pub fn verify(&self, log_key: &VerifierKey) -> Result<Fork, EvidenceError> {
        log_key.require_of_log().map_err(EvidenceError::Key)?;
        let smaller = signed_checkpoint(&self.smaller, log_key, Side::Smaller)?;
        let larger = signed_checkpoint(&self.larger, log_key, Side::Larger)?;
        if smaller.origin() != larger.origin() {
            return Err(EvidenceError::OtherOrigin);
        }
        if log_key.kind() != KeyKind::Log && log_key.name().as_str() != smaller.origin().as_str() {
            return Err(EvidenceError::NotOfTheLog);
        }
        let (small, large) = (smaller.head(), larger.head());
        if small.size > large.size {
            return Err(EvidenceError::Order);
        }
        // Every tree continues the empty one, so nothing contradicts it.
        if small.size.is_zero() {
            return Err(EvidenceError::EmptyTree);
        }
        let actual = TreeHead { size: small.size, root: self.root };
        self.proof.verify(&actual, &large).map_err(EvidenceError::Proof)?;
        if actual.root == small.root {
            return Err(EvidenceError::NoContradiction);
        }
        let origin = smaller.origin().clone();
        Ok(Fork { origin, smaller: small, larger: large, true_root: self.root })
    }
}

fn read_hash(reader: &mut Reader<'_>, word: &str) -> Result<Hash, DecodeError> {
    let at = reader.position();
    parse_hash(reader.line_after(word)?).map_err(|kind| DecodeError { at, kind })
}

fn read_note(reader: &mut Reader<'_>, side: Side) -> Result<SignedNote, EvidenceError> {
    let at = reader.position();
    let len = parse_decimal(reader.line_after(NOTE)?).map_err(|kind| DecodeError { at, kind })?;
    let too_long = |_| DecodeError { at, kind: DecodeErrorKind::Decimal };
    let note = reader.take(usize::try_from(len).map_err(too_long)?)?;
    SignedNote::parse(note).map_err(|error| EvidenceError::Note { side, error })
}

fn signed_checkpoint(note: &SignedNote, key: &VerifierKey, side: Side) -> Result<Checkpoint, EvidenceError> {
    let signed = key.verify_note(note).map_err(|error| EvidenceError::Note { side, error })?;
    signed.ok_or(EvidenceError::NotSigned { side })?;
    Checkpoint::parse(note.text()).map_err(|error| EvidenceError::Checkpoint { side, error })
}

/// A proven fork. Made only by [`ForkEvidence::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    origin: Origin,
    smaller: TreeHead,
    larger: TreeHead,
    true_root: Hash,
}

impl Fork {
    /// The log that forked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The tree head that the larger one contradicts.
    pub fn smaller(&self) -> TreeHead {
        self.smaller
    }

    /// The larger tree head, or the other one of equal size.
    pub fn larger(&self) -> TreeHead {
        self.larger
    }

    /// The root that the larger tree has at the smaller size.
    pub fn true_root(&self) -> &Hash {
        &self.true_root
    }
}

/// One of the two notes of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The note of the smaller tree.
    Smaller,
    /// The note of the larger tree.
    Larger,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smaller => "smaller",
            Self::Larger => "larger",
        })
    }
}

/// Why something is not evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Too long, or a line is missing or is not what its place demands.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The lines cannot be a proof.
    #[error(transparent)]
    ProofForm(ConsistencyError),
    /// One of the notes is malformed, or the key's signature under it does not verify.
    #[error("the {side} note: {error}")]
    Note {
        /// Which note.
        side: Side,
        /// What is wrong with it.
        error: NoteError,
    },
    /// The key is not a log's.
    #[error(transparent)]
    Key(KeyError),
    /// The key did not sign one of the notes.
    #[error("the {side} note is not signed by the log's key")]
    NotSigned {
        /// Which note.
        side: Side,
    },
    /// One of the notes is not a checkpoint.
    #[error("the {side} note is not a checkpoint: {error}")]
    Checkpoint {
        /// Which note.
        side: Side,
        /// Why not.
        error: CheckpointError,
    },
    /// The notes are of different logs.
    #[error("the notes have different origins")]
    OtherOrigin,
    /// An ML-DSA-44 key under another name than the log's.
    #[error("the key has not the log's name: it may be a witness's, and this is no evidence against the log")]
    NotOfTheLog,
    /// The first note's tree is the larger one.
    #[error("the smaller note states a larger size than the larger one")]
    Order,
    /// The smaller tree is empty, which every tree continues.
    #[error("the smaller tree is empty, every tree continues it")]
    EmptyTree,
    /// The proof does not show what root the larger tree has at the smaller size.
    #[error("the proof does not hold: {0}")]
    Proof(ConsistencyError),
    /// The notes agree.
    #[error("the notes agree")]
    NoContradiction,
}

impl EvidenceError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::ProofForm(error) => error.code(),
            Self::Note { error, .. } => error.code(),
            Self::Key(error) => error.code(),
            Self::NotSigned { .. } => "evidence-not-signed",
            Self::Checkpoint { .. } => "evidence-not-a-checkpoint",
            Self::OtherOrigin => "evidence-other-origin",
            Self::NotOfTheLog => "evidence-not-of-the-log",
            Self::Order => "evidence-order",
            Self::EmptyTree => "evidence-empty-tree",
            Self::Proof(_) => "evidence-proof-invalid",
            Self::NoContradiction => "evidence-no-contradiction",
        }
    }
}

#[cfg(test)]
mod tests;
