//! Platforms, `docs/records.md`, section 3: what an artifact runs on, written as OCI images have it.

use alloc::string::String;
use core::fmt;

/// What an artifact runs on, for example `linux/arm64/v8`: operating system, architecture, and where that is not
/// enough, the architecture's variant. What the words mean is not checked: which ones there are changes with time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(String);

/// Why a text is not a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// Not two or three parts.
    #[error("a platform of {got} parts; it is os/architecture or os/architecture/variant, like linux/amd64")]
    Parts {
        /// How many there are.
        got: usize,
    },
    /// A part is empty or above [`Platform::MAX_PART_BYTES`].
    #[error(
        "part {part} of the platform has {got} bytes, 1 to {} are allowed; it is os/architecture or \
         os/architecture/variant, like linux/amd64",
        Platform::MAX_PART_BYTES
    )]
    Length {
        /// Which part, counted from 0.
        part: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// A part is `.` or `..`, or has a character that none may have.
    #[error(
        "part {part} of the platform is a dot path, or has a character not of a-z 0-9 . _ -; write it like linux/amd64"
    )]
    Word {
        /// Which part, counted from 0.
        part: usize,
    },
}

impl PlatformError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Parts { .. } => "platform-parts",
            Self::Length { .. } => "platform-part-length",
            Self::Word { .. } => "platform-part-form",
        }
    }
}

impl Platform {
    /// The longest part, in bytes. OCI takes its words from Go, whose longest has 11.
    pub const MAX_PART_BYTES: usize = 32;

    /// The platform written as `text`.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let got = text.split('/').count();
        if !matches!(got, 2 | 3) {
            return Err(PlatformError::Parts { got });
        }
        for (part, word) in text.split('/').enumerate() {
            if !(1..=Self::MAX_PART_BYTES).contains(&word.len()) {
                return Err(PlatformError::Length { part, got: word.len() });
            }
            let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
            // As in channel names: somebody will make a path of it.
            if matches!(word, "." | "..") || !word.bytes().all(allowed) {
                return Err(PlatformError::Word { part });
            }
        }
        Ok(Self(text.into()))
    }

    /// The platform as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is for this platform is for `other`, too: the two are equal, or `other` is this one and a variant.
    pub fn includes(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
