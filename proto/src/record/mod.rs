//! Records: what a publisher signs and a log keeps, `docs/records.md`.
//!
//! A [`SignedRecord`] has the form the format asks for: layout, canonical JSON, schema. It says nothing
//! about who signed it. [`may_follow`] checks that, against the [`ChannelState`] before the record; log,
//! watchdog and client all call it, so none of them can admit what another refuses.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::entry_bundle::Entry;
use crate::hash::{Hash, sha256};
use crate::note::{NoteError, NoteSignature, VerifierKey};
use crate::sign::{RecordSigner, Signer as _};
use crate::wire::DecodeError;

mod admission;
pub mod body;
mod channel;
mod channel_name;
mod fields;
mod follow;
pub mod json;
mod key_set;
mod leaf;
mod platform;
mod statement;
mod subject;
mod verified;

pub use admission::AdmissionError;
pub use channel::{ChainHead, ChannelState, ChannelStateError, NextPlace};
pub use channel_name::{ChannelName, ChannelNameError};
pub use fields::{FieldError, StatementError};
pub use follow::{may_follow, may_follow_verified};
pub use json::JsonError;
pub use key_set::{KeySet, KeySetError};
pub use leaf::{PAYLOAD_TYPE, signed_message};
pub use platform::{Platform, PlatformError};
pub use statement::{Audience, Chain, CohortReason, Common, Predicate, Statement};
pub use subject::{MAX_NAME_BYTES, MAX_SUBJECTS, Subject};
pub use verified::VerifiedSignatures;

/// The longest record leaf in bytes. Records name things by digest; what is longer belongs elsewhere.
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// What names a record: SHA-256 of the bytes its keys sign. It does not depend on the signatures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Hash);

impl RecordId {
    /// The id that is this hash.
    pub const fn from_hash(hash: Hash) -> Self {
        Self(hash)
    }

    /// The id as a hash.
    pub const fn hash(&self) -> &Hash {
        &self.0
    }

    /// The id from exactly 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Hash::parse_hex(text).map(Self)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why bytes are not a record, or a record could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The leaf is too long or not laid out as a record.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// A signature line is not one.
    #[error("signature line: {0}")]
    SignatureLine(NoteError),
    /// No signature at all.
    #[error("no signature")]
    NoSignature,
    /// A signature that is not 64 bytes long.
    #[error("signature {line} has {got} bytes, expected 64")]
    SignatureLength {
        /// Which line, counted from 0.
        line: usize,
        /// Length of its signature in bytes.
        got: usize,
    },
    /// Signature lines not sorted by key name and id, or two for one key.
    #[error("signature lines are not sorted by key name and id, or one key has two")]
    SignatureOrder,
    /// A signature that does not verify.
    #[error("signature {line} is not valid")]
    SignatureInvalid {
        /// Which line, counted from 0.
        line: usize,
    },
    /// The statement is not canonical JSON of the profile.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The statement breaks the schema.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl RecordError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::SignatureLine(error) => error.code(),
            Self::NoSignature => "record-unsigned",
            Self::SignatureLength { .. } => "record-signature-length",
            Self::SignatureOrder => "record-signature-order",
            Self::SignatureInvalid { .. } => "record-signature-invalid",
            Self::Json(error) => error.code(),
            Self::Statement(error) => error.code(),
        }
    }
}

/// A statement and signature lines in the form of a leaf. The signatures are **not** verified.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRecord {
    statement: Statement,
    /// All of it, and where in it the statement is: everything up to its end is what is signed.
    leaf: Vec<u8>,
    payload: Range<usize>,
    signatures: Vec<NoteSignature>,
    id: RecordId,
}

impl SignedRecord {
    /// Reads the bytes of a leaf.
    pub fn parse(leaf: &[u8]) -> Result<Self, RecordError> {
        let leaf::Parts { message, payload, signatures } = leaf::parse(leaf)?;
        let (statement, id) = (Statement::parse(payload)?, RecordId(sha256(message)));
        let payload = message.len().saturating_sub(payload.len())..message.len();
        Ok(Self { statement, leaf: leaf.to_vec(), payload, signatures, id })
    }

    /// The record of a statement signed by `signers`, in any order. Each may sign once.
    pub fn sign(statement: &Statement, signers: &[&RecordSigner]) -> Result<Self, RecordError> {
        let message = signed_message(&statement.encode());
        Self::new(statement, signers.iter().map(|signer| signer.sign(&message)).collect())
    }

    /// The record of a statement and signatures made elsewhere over [`signed_message`], in any order.
    pub fn new(statement: &Statement, signatures: Vec<NoteSignature>) -> Result<Self, RecordError> {
        Self::of_payload(&statement.encode(), signatures)
    }

    /// The record of a statement's canonical JSON and signatures over [`signed_message`], in any order.
    pub fn of_payload(payload: &[u8], mut signatures: Vec<NoteSignature>) -> Result<Self, RecordError> {
        signatures.sort_by(|a, b| leaf::line_order(a).cmp(&leaf::line_order(b)));
        leaf::check_signatures(&signatures)?;
        Self::parse(&leaf::encode(payload, &signatures))
    }

    /// This record with one more signature.
    pub fn with_signature(&self, signature: NoteSignature) -> Result<Self, RecordError> {
        let signatures = self.signatures.iter().cloned().chain([signature]).collect();
        Self::new(&self.statement, signatures)
    }

    /// The leaf, at most [`MAX_RECORD_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        self.leaf.clone()
    }

    /// The same, without a copy.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// The leaf as a log entry.
    pub fn to_entry(&self) -> Entry {
        Entry::new(self.encode()).expect("invariant: MAX_RECORD_BYTES is below Entry::MAX_LEN")
    }

    /// What the record says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The statement's canonical JSON, exactly as it was signed.
    pub fn payload(&self) -> &[u8] {
        self.leaf.get(self.payload.clone()).expect("invariant: where it was read")
    }

    /// The bytes that its keys sign, see [`signed_message`].
    pub fn message(&self) -> &[u8] {
        self.leaf.get(..self.payload.end).expect("invariant: where it was read")
    }

    /// The record's name.
    pub fn record_id(&self) -> RecordId {
        self.id
    }

    /// The signatures, sorted by key name and id.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Whether `key` signed: `false` without a line of its name and id, an error if that line is not valid.
    pub fn signed_by(&self, key: &VerifierKey) -> Result<bool, RecordError> {
        let Some(line) = self.signatures.iter().position(|signature| signature.names(key)) else {
            return Ok(false);
        };
        let signature = self.signatures.get(line).map(NoteSignature::signature).unwrap_or_default();
        key.verify_raw(self.message(), signature).map_err(|_| RecordError::SignatureInvalid { line })?;
        Ok(true)
    }
}

impl Statement {
    /// Reads a statement in its canonical form, the one that is signed.
    pub fn parse(payload: &[u8]) -> Result<Self, RecordError> {
        Ok(Self::of(json::parse_borrowed(payload)?)?)
    }
}

impl fmt::Debug for SignedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let common = self.statement.predicate.common();
        let type_name = self.statement.predicate.type_name();
        write!(f, "SignedRecord({type_name} {} of {}, {})", common.seq, common.channel, self.id)
    }
}

#[cfg(test)]
pub(crate) mod tests;
