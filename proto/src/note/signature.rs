//! One signature line: `— <key name> <base64(4-byte key id || signature)>\n`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::NoteError;
use super::key::{KeyId, KeyName, VerifierKey};
use crate::wire::{DecodeError, Reader, decode_base64, encode_base64, parse_utf8};

/// Em dash (U+2014) and space.
const PREFIX: &str = "\u{2014} ";

/// A signature line, verified or not. The signature is opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    id: KeyId,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// A signature, of at least one byte, said to be by the key with this name and id.
    pub fn new(name: KeyName, id: KeyId, signature: Vec<u8>) -> Result<Self, NoteError> {
        if signature.is_empty() {
            return Err(NoteError::SignatureTooShort { got: KeyId::LEN });
        }
        Ok(Self { name, id, signature })
    }

    /// A signature just made by `key`'s secret half.
    pub(crate) fn by(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self { name: key.name().clone(), id: key.id(), signature }
    }

    /// Reads one line, newline included.
    pub fn parse_line(line: &[u8]) -> Result<Self, NoteError> {
        let mut reader = Reader::new(line);
        let signature = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(signature)
    }

    /// Reads one or more lines up to the end of the input.
    pub(crate) fn parse_lines(lines: &[u8]) -> Result<Vec<Self>, NoteError> {
        let mut reader = Reader::new(lines);
        let mut signatures = Vec::new();
        while !reader.is_empty() {
            signatures.push(Self::read(&mut reader)?);
        }
        if signatures.is_empty() { Err(NoteError::NoSignature) } else { Ok(signatures) }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, NoteError> {
        let at = reader.position();
        let line = parse_utf8(reader.line()?).map_err(|kind| DecodeError { at, kind })?;
        let rest = line.strip_prefix(PREFIX).ok_or(NoteError::SignatureLine)?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::SignatureLine)?;
        let name = KeyName::parse(name).map_err(NoteError::SignatureName)?;
        let bytes = decode_base64(signature.as_bytes()).map_err(|_| NoteError::SignatureBase64)?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => {
                Self::new(name, KeyId::from_bytes(*id), signature.to_vec())
            }
            _ => Err(NoteError::SignatureTooShort { got: bytes.len() }),
        }
    }

    /// The line with its newline.
    pub fn encode_line(&self) -> String {
        let bytes = [&self.id.as_bytes()[..], &self.signature].concat();
        format!("{PREFIX}{} {}\n", self.name, encode_base64(bytes))
    }

    /// Length of the line in bytes, newline included.
    pub(crate) fn encoded_len(&self) -> usize {
        let groups = self.signature.len().saturating_add(KeyId::LEN).div_ceil(3);
        let around = PREFIX.len().saturating_add(self.name.as_str().len()).saturating_add(2);
        groups.saturating_mul(4).saturating_add(around)
    }

    /// The name in the line.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key id in the line.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The bytes after the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the line has this key's name and id. Says nothing about whether it verifies.
    pub fn names(&self, key: &VerifierKey) -> bool {
        self.id == key.id() && self.name == *key.name()
    }
}
