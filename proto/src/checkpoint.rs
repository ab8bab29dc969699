//! Checkpoints: what a log states about itself (c2sp.org/tlog-checkpoint).
//!
//! The text of a signed note:
//!
//! ```text
//! <origin>
//! <tree size, decimal>
//! <root hash, base64>
//! <extension line, not empty>      (any number, usually none)
//! ```
//!
//! A [`Checkpoint`] alone proves nothing; see [`crate::policy`]. A checkpoint of size zero has the root of
//! the empty tree.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::hash::sha256;
use crate::size::TreeSize;
use crate::tree::TreeHead;
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_utf8};

/// The unique name of a log: 1 to 255 bytes of UTF-8 without control characters below U+0020.
///
/// Compared byte by byte; spaces and look-alike characters are allowed by the specification, so escape
/// an origin where people read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// Longest origin in bytes: cosignature formats write its length in one byte.
    pub const MAX_LEN: usize = 255;

    /// Checks and takes an origin.
    pub fn parse(origin: &str) -> Result<Self, CheckpointError> {
        if origin.is_empty() {
            return Err(CheckpointError::OriginEmpty);
        }
        if origin.len() > Self::MAX_LEN {
            return Err(CheckpointError::OriginTooLong { got: origin.len() });
        }
        if has_control_character(origin) {
            return Err(CheckpointError::ControlCharacter);
        }
        Ok(Self(origin.to_owned()))
    }

    /// The origin's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the origin in lower-case hexadecimal: how witnesses name the log in paths.
    pub fn hash_hex(&self) -> String {
        sha256(self.0.as_bytes()).to_hex()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A log's statement that its tree has this size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines; size zero only with the empty root.
    pub fn new(origin: Origin, head: TreeHead) -> Result<Self, CheckpointError> {
        if !head.is_possible() {
            return Err(CheckpointError::EmptyTreeRoot);
        }
        Ok(Self { origin, head, extensions: Vec::new() })
    }

    /// Reads the text of a note.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut reader = Reader::new(text.as_bytes());
        let origin = Origin::parse(text_line(&mut reader)?)?;
        let at = reader.position();
        let too_large = |_| DecodeError { at, kind: DecodeErrorKind::Decimal };
        let size = TreeSize::new(reader.decimal_line()?).map_err(too_large)?;
        let root = reader.hash_line()?;
        let mut checkpoint = Self::new(origin, TreeHead { size, root })?;
        while !reader.is_empty() {
            let line = text_line(&mut reader)?;
            if line.is_empty() {
                return Err(CheckpointError::ExtensionEmpty);
            }
            if has_control_character(line) {
                return Err(CheckpointError::ControlCharacter);
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }

    /// The text of a note, final newline included.
    pub fn encode(&self) -> String {
        let TreeHead { size, root } = self.head;
        let mut text = alloc::format!("{}\n{size}\n{}\n", self.origin, root.to_base64());
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Which log states it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Size and root of the log's tree.
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// Extension lines without their newlines. Opaque, and not every kind of cosignature covers them.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

fn text_line<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let at = reader.position();
    parse_utf8(reader.line()?).map_err(|kind| DecodeError { at, kind })
}

fn has_control_character(line: &str) -> bool {
    line.bytes().any(|byte| byte < b' ')
}

/// Why a checkpoint or an origin was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// An origin without characters.
    #[error("origin is empty")]
    OriginEmpty,
    /// An origin longer than [`Origin::MAX_LEN`].
    #[error("origin of {got} bytes, at most {} are allowed", Origin::MAX_LEN)]
    OriginTooLong {
        /// Length in bytes.
        got: usize,
    },
    /// A control character in the origin or in an extension line.
    #[error("control character in a line")]
    ControlCharacter,
    /// A line is missing or is not what its place demands.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Size zero with another root than the empty tree's.
    #[error("size 0 with a root that is not the empty tree's")]
    EmptyTreeRoot,
    /// An empty extension line.
    #[error("extension line is empty")]
    ExtensionEmpty,
}

impl CheckpointError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OriginEmpty => "origin-empty",
            Self::OriginTooLong { .. } => "origin-too-long",
            Self::ControlCharacter => "control-character",
            Self::Decode(error) => error.code(),
            Self::EmptyTreeRoot => "empty-tree-root",
            Self::ExtensionEmpty => "extension-empty",
        }
    }
}

#[cfg(test)]
mod tests;
