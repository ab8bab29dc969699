//! What can be wrong with keys, signatures and notes.

use super::key::KeyKind;
use super::verify::MAX_LINES_BY_ONE_KEY;
use super::{MAX_NOTE_BYTES, key};
use crate::wire::DecodeError;

/// Why a key, a key name or a key's text form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key name without characters.
    #[error("key name is empty")]
    NameEmpty,
    /// A Unicode space, a plus sign or a control character in a key name.
    #[error("key name has {found:?}, which no key name may have")]
    NameCharacter {
        /// The refused character.
        found: char,
    },
    /// Not the parts a key's text form has, separated by `+`.
    #[error("not the text form of such a key")]
    Form,
    /// The key id is not eight lower-case hexadecimal digits.
    #[error("key id is not 8 lower-case hexadecimal digits")]
    IdForm,
    /// The key material is not canonical base64.
    #[error("key is not canonical standard base64")]
    Base64,
    /// A signature type this crate does not know.
    #[error("unknown signature type")]
    UnknownType,
    /// Key material of another length than its type has.
    #[error("key of {got} bytes, expected {expected}")]
    Length {
        /// Length in bytes without the signature type.
        got: usize,
        /// Length that the type has.
        expected: usize,
    },
    /// A name too long for the signatures of such a key, which cover it.
    #[error("key name of {got} bytes, at most {} are allowed for such a key", key::MAX_COVERED_NAME_BYTES)]
    NameTooLong {
        /// Length in bytes.
        got: usize,
    },
    /// A record key of an algorithm that records are not signed with.
    #[error("records are signed with Ed25519 keys, there are no ML-DSA-44 keys for them")]
    NoMlDsaRecordKey,
    /// The bytes are not the one encoding of a point of the curve.
    #[error("key is not the canonical encoding of an Ed25519 point")]
    NotAPoint,
    /// A key of low order, under which one signature fits many messages.
    #[error("key is of low order")]
    Weak,
    /// The key id written does not belong to the key.
    #[error("key id does not match name, type and key")]
    IdMismatch,
    /// A key of one kind where another kind is needed.
    #[error("{got} key where a {expected} key is needed")]
    WrongKind {
        /// The kind that is needed.
        expected: KeyKind,
        /// The key's kind.
        got: KeyKind,
    },
}

impl KeyError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameEmpty => "key-name-empty",
            Self::NameCharacter { .. } => "key-name-character",
            Self::Form => "key-form",
            Self::IdForm => "key-id-form",
            Self::Base64 => "key-base64",
            Self::UnknownType => "key-type-unknown",
            Self::Length { .. } => "key-length",
            Self::NameTooLong { .. } => "key-name-too-long",
            Self::NoMlDsaRecordKey => "key-no-ml-dsa-record",
            Self::NotAPoint => "key-not-a-point",
            Self::Weak => "key-weak",
            Self::IdMismatch => "key-id-mismatch",
            Self::WrongKind { .. } => "key-wrong-kind",
        }
    }
}

/// A signature that does not verify under the key it is said to be by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct InvalidSignature;

impl InvalidSignature {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "signature-invalid"
    }
}

/// Why a note was refused, when it was read or when a known key's lines were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("note of {got} bytes, at most {MAX_NOTE_BYTES} are allowed")]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// Not UTF-8, or a line without its newline.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A control character other than the newline.
    #[error("control character at byte {at}")]
    ControlCharacter {
        /// Offset in the text or the line.
        at: usize,
    },
    /// No empty line between text and signatures.
    #[error("no empty line between text and signatures")]
    NoEmptyLine,
    /// No signature line.
    #[error("no signature line")]
    NoSignature,
    /// A line that is not an em dash, a space, a key name, a space and base64.
    #[error("not a signature line")]
    SignatureLine,
    /// The key name of a signature line is not one.
    #[error("signature line with a bad key name")]
    SignatureName(#[source] KeyError),
    /// The signature is not canonical base64.
    #[error("signature is not canonical standard base64")]
    SignatureBase64,
    /// Too short to hold a key id and a signature.
    #[error("signature line of {got} bytes, a key id and a signature need at least 5")]
    SignatureTooShort {
        /// Decoded length in bytes.
        got: usize,
    },
    /// A line with the name and the id of a known key does not verify; the whole note is refused.
    #[error("a known key's signature does not verify")]
    SignatureInvalid,
    /// A cosignature of a known key carries a time of zero or above `2^63-1`.
    #[error("a known key's cosignature carries an impossible time")]
    CosignatureTime,
    /// More lines by one known key than are worth checking.
    #[error("{got} lines by one key, at most {MAX_LINES_BY_ONE_KEY} are checked")]
    TooManyLines {
        /// Number of lines with the key's name and id.
        got: usize,
    },
    /// A key of this kind never signs notes.
    #[error("a {got} key does not sign notes")]
    KeyKind {
        /// The key's kind.
        got: KeyKind,
    },
}

impl NoteError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "note-too-long",
            Self::Decode(error) => error.code(),
            Self::ControlCharacter { .. } => "control-character",
            Self::NoEmptyLine => "note-no-empty-line",
            Self::NoSignature => "note-no-signature",
            Self::SignatureLine => "signature-line",
            Self::SignatureName(_) => "signature-name",
            Self::SignatureBase64 => "signature-base64",
            Self::SignatureTooShort { .. } => "signature-too-short",
            Self::SignatureInvalid => "signature-invalid",
            Self::CosignatureTime => "cosignature-time",
            Self::TooManyLines { .. } => "signature-too-many-lines",
            Self::KeyKind { .. } => "note-key-kind",
        }
    }
}
