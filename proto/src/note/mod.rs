//! Signed notes and the keys that sign them (c2sp.org/signed-note).
//!
//! A note is text that ends in a newline, an empty line, and signature lines:
//!
//! ```text
//! <text, may itself contain empty lines>
//!
//! — <key name> <base64(4-byte key id || signature)>
//! ```
//!
//! UTF-8, no control character below U+0020 but the newline, at most [`MAX_NOTE_BYTES`] in all. The text
//! ends at the *last* empty line. How many signatures there are is limited by the size only.
//!
//! A parsed [`SignedNote`] proves nothing: [`VerifierKey::verify_note`] checks the lines of one known key,
//! [`crate::policy`] decides which keys are enough. Lines of unknown keys are kept and ignored.

mod error;
mod key;
mod prepared;
mod public_key;
mod signature;
mod verify;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

pub use error::{InvalidSignature, KeyError, NoteError};
pub(crate) use key::SignatureType;
pub use key::{KeyId, KeyKind, KeyName, VerifierKey};
pub use prepared::PreparedKey;
pub use public_key::Algorithm;
pub use signature::NoteSignature;
pub use verify::{MAX_LINES_BY_ONE_KEY, VerifiedSignature};

use crate::wire::{DecodeError, DecodeErrorKind, parse_utf8};

/// Largest note in bytes: text and signatures; room for more than 16 post-quantum signature lines.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;

/// A note as it was read: text and signature lines, nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A note of `text`, which must end in a newline, and at least one signature line.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        check_text(&text)?;
        if signatures.is_empty() {
            return Err(NoteError::NoSignature);
        }
        let note = Self { text, signatures };
        note.check_size()?;
        Ok(note)
    }

    /// Reads a whole note. The size is checked before anything else is looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let note = parse_utf8(bytes).map_err(|kind| DecodeError { at: 0, kind })?;
        if !note.ends_with('\n') {
            return Err(DecodeError { at: bytes.len(), kind: DecodeErrorKind::UnterminatedLine }.into());
        }
        // The last empty line parts text and signatures; the text keeps its own final newline.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::NoEmptyLine)?;
        let text = [text, "\n"].concat();
        check_text(&text)?;
        let signatures = NoteSignature::parse_lines(signatures.as_bytes())?;
        Ok(Self { text, signatures })
    }

    /// The note's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(self.text.as_bytes());
        bytes.push(b'\n');
        for signature in &self.signatures {
            bytes.extend_from_slice(signature.encode_line().as_bytes());
        }
        bytes
    }

    /// The signed text with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in the note's order, verified or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Appends a signature line; the note is unchanged if it would become too long.
    pub fn add_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        self.signatures.push(signature);
        let checked = self.check_size();
        if checked.is_err() {
            self.signatures.pop();
        }
        checked
    }

    /// The same text under other signature lines.
    pub fn with_signatures(&self, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        Self::new(self.text.clone(), signatures)
    }

    fn encoded_len(&self) -> usize {
        let lines = self.signatures.iter().map(NoteSignature::encoded_len);
        lines.fold(self.text.len().saturating_add(1), usize::saturating_add)
    }

    fn check_size(&self) -> Result<(), NoteError> {
        match self.encoded_len() {
            got if got > MAX_NOTE_BYTES => Err(NoteError::TooLong { got }),
            _ => Ok(()),
        }
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(DecodeError { at: text.len(), kind: DecodeErrorKind::UnterminatedLine }.into());
    }
    match text.bytes().position(|byte| byte < b' ' && byte != b'\n') {
        Some(at) => Err(NoteError::ControlCharacter { at }),
        None => Ok(()),
    }
}
