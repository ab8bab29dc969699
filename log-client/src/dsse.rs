//! Records as DSSE envelopes (github.com/secure-systems-lab/dsse, JSON form), for other in-toto tools.
//!
//! A record leaf and its envelope hold the same: the statement's bytes, exactly as they were signed, and the
//! signatures. `keyid` is the key's name, `+`, and its id as eight lower-case hexadecimal digits, as a verifier
//! key begins. What is written is JSON without white space, its fields sorted. White space, the order of fields
//! and that of signatures are free in what is read; a field that is not the envelope's, or there twice, is not.
//!
//! **No signature is verified here**: an envelope is as good as the leaf it gives.

use indelible_proto::note::{KeyId, KeyName, NoteError, NoteSignature};
use indelible_proto::record::{PAYLOAD_TYPE, RecordError, SignedRecord};
use indelible_proto::wire::{DecodeErrorKind, decode_base64, encode_base64};
use serde::{Deserialize, Serialize};

/// The longest envelope read, in bytes: the largest record in base64, with room for white space.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// Why bytes are not the envelope of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DsseError {
    /// Longer than [`MAX_ENVELOPE_BYTES`].
    #[error("{got} bytes, at most {MAX_ENVELOPE_BYTES} are read")]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// Not the JSON of an envelope: what is wrong, and where.
    #[error("not a DSSE envelope: {0}")]
    Json(String),
    /// An envelope around something else than an in-toto statement.
    #[error("the payload type is {0:?}, that of records is {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// A payload or signature that is not base64.
    #[error("{field} is not base64 as RFC 4648 writes it: {kind}")]
    Base64 {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        kind: DecodeErrorKind,
    },
    /// A key id of another tool.
    #[error(
        "signature {position} has the key id {keyid:?}, that of a record key is NAME+8 hexadecimal digits"
    )]
    KeyId {
        /// Which signature, counted from 0.
        position: usize,
        /// Its key id.
        keyid: String,
    },
    /// Not a signature.
    #[error("signature {position}: {error}")]
    Signature {
        /// Which signature, counted from 0.
        position: usize,
        /// What is wrong.
        error: NoteError,
    },
    /// What is inside is not a record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl DsseError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "dsse-too-long",
            Self::Json(_) => "dsse-json",
            Self::PayloadType(_) => "dsse-payload-type",
            Self::Base64 { kind, .. } => kind.code(),
            Self::KeyId { .. } => "dsse-key-id",
            Self::Signature { error, .. } => error.code(),
            Self::Record(error) => error.code(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

/// The envelope of a record.
///
/// # Errors
/// Never: every record has an envelope. An error is one of the JSON writer.
pub fn export(record: &SignedRecord) -> Result<Vec<u8>, DsseError> {
    let signatures = record.signatures().iter().map(|line| Signature {
        keyid: format!("{}+{}", line.name(), line.id()),
        sig: encode_base64(line.signature()),
    });
    let envelope = Envelope {
        payload: encode_base64(record.payload()),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: signatures.collect(),
    };
    serde_json::to_vec(&envelope).map_err(|error| DsseError::Json(error.to_string()))
}

/// The record in an envelope.
///
/// # Errors
/// [`DsseError`], by the first thing that is wrong.
pub fn import(bytes: &[u8]) -> Result<SignedRecord, DsseError> {
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(DsseError::TooLong { got: bytes.len() });
    }
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| DsseError::Json(error.to_string()))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(DsseError::PayloadType(envelope.payload_type));
    }
    let payload = decode("payload", &envelope.payload)?;
    let signatures = envelope.signatures.iter().enumerate();
    let signatures = signatures.map(|(position, signature)| read_signature(position, signature));
    Ok(SignedRecord::of_payload(&payload, signatures.collect::<Result<_, _>>()?)?)
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, DsseError> {
    decode_base64(text.as_bytes()).map_err(|kind| DsseError::Base64 { field, kind })
}

fn read_signature(position: usize, signature: &Signature) -> Result<NoteSignature, DsseError> {
    let unreadable = || DsseError::KeyId { position, keyid: signature.keyid.clone() };
    let (name, id) = signature.keyid.rsplit_once('+').ok_or_else(unreadable)?;
    let name = KeyName::parse(name).map_err(|_| unreadable())?;
    let digits = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| digits).ok_or_else(unreadable)?;
    let sig = decode("sig", &signature.sig)?;
    NoteSignature::new(name, KeyId::from_bytes(id.to_be_bytes()), sig)
        .map_err(|error| DsseError::Signature { position, error })
}

#[cfg(test)]
mod tests;
