//! The bytes of a record leaf, `docs/records.md`, section 1: what is signed, and the signature lines.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::{MAX_RECORD_BYTES, RecordError};
use crate::note::NoteSignature;
use crate::wire::{DecodeErrorKind, Reader, parse_decimal};

/// The DSSE payload type of every record.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What stands before the statement's length: version, length of the payload type, and the payload type.
const PREFIX: &[u8] = b"DSSEv1 28 application/vnd.in-toto+json ";

/// Length of an Ed25519 signature in bytes.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// The bytes a record key signs: the DSSE pre-authentication encoding of a statement.
pub fn signed_message(payload: &[u8]) -> Vec<u8> {
    let mut message = PREFIX.to_vec();
    message.extend_from_slice(payload.len().to_string().as_bytes());
    message.push(b' ');
    message.extend_from_slice(payload);
    message
}

pub(super) fn encode(payload: &[u8], signatures: &[NoteSignature]) -> Vec<u8> {
    let mut leaf = signed_message(payload);
    leaf.extend_from_slice(b"\n\n");
    for signature in signatures {
        leaf.extend_from_slice(signature.encode_line().as_bytes());
    }
    leaf
}

/// The parts of a leaf.
pub(super) struct Parts<'a> {
    /// What is signed; it ends with the payload.
    pub(super) message: &'a [u8],
    /// The statement.
    pub(super) payload: &'a [u8],
    /// Checked for form and order only.
    pub(super) signatures: Vec<NoteSignature>,
}

pub(super) fn parse(leaf: &[u8]) -> Result<Parts<'_>, RecordError> {
    let mut reader = Reader::with_limit(leaf, MAX_RECORD_BYTES)?;
    expect(&mut reader, PREFIX)?;
    let digits = reader.remaining().iter().position(|byte| *byte == b' ').unwrap_or_default();
    let length = parse_decimal(reader.clone().take(digits)?).map_err(|kind| reader.error(kind))?;
    reader.take(digits)?;
    expect(&mut reader, b" ")?;
    let payload = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    let message = Reader::new(leaf).take(reader.position())?;
    expect(&mut reader, b"\n\n")?;
    let signatures = NoteSignature::parse_lines(reader.remaining()).map_err(RecordError::SignatureLine)?;
    check_signatures(&signatures)?;
    Ok(Parts { message, payload, signatures })
}

/// At least one signature, all of an Ed25519 signature's length, sorted by name and id, none twice.
pub(super) fn check_signatures(signatures: &[NoteSignature]) -> Result<(), RecordError> {
    if signatures.is_empty() {
        return Err(RecordError::NoSignature);
    }
    for (line, signature) in signatures.iter().enumerate() {
        let got = signature.signature().len();
        if got != SIGNATURE_BYTES {
            return Err(RecordError::SignatureLength { line, got });
        }
    }
    if signatures.is_sorted_by(|earlier, later| line_order(earlier) < line_order(later)) {
        return Ok(());
    }
    Err(RecordError::SignatureOrder)
}

/// What signature lines are sorted by.
pub(super) fn line_order(signature: &NoteSignature) -> (&[u8], [u8; 4]) {
    (signature.name().as_str().as_bytes(), *signature.id().as_bytes())
}

fn expect(reader: &mut Reader<'_>, bytes: &[u8]) -> Result<(), RecordError> {
    if !reader.remaining().starts_with(bytes) {
        return Err(reader.error(DecodeErrorKind::UnexpectedWord).into());
    }
    reader.take(bytes.len())?;
    Ok(())
}
