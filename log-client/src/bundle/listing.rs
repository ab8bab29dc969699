//! The root of a listing, read line by line from a file or a pipe.
//!
//! The listing is what `sha256sum` prints, sorted by path (`LC_ALL=C sort -k2`). Only one line of it is in
//! memory at a time, and 16 bytes for each path and each folder in vectors that double: see [`ListingHasher`].

use std::io::{self, BufRead, Read as _};

use indelible_proto::bundle_tree::{ListingDigest, ListingError, ListingHasher, MAX_LINE_BYTES};

/// Why a listing has no root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingFileError {
    /// The system refused to read.
    #[error("cannot read the listing")]
    Read(#[from] io::Error),
    /// A line that is wrong by itself or where it stands.
    #[error("line {line}: {error}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        error: ListingError,
    },
    /// A line longer than [`MAX_LINE_BYTES`].
    #[error("line {line}: more than {MAX_LINE_BYTES} bytes")]
    LongLine {
        /// The line, counted from 1.
        line: u64,
    },
    /// A last line without a newline, as a listing that was cut off has it.
    #[error("line {line}: no newline at its end")]
    Unterminated {
        /// The line, counted from 1.
        line: u64,
    },
    /// The lines are no bundle together.
    #[error(transparent)]
    Whole(ListingError),
}

impl ListingFileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "listing-unreadable",
            Self::Line { error, .. } | Self::Whole(error) => error.code(),
            Self::LongLine { .. } => "bundle-line-length",
            Self::Unterminated { .. } => "line-unterminated",
        }
    }
}

/// The root over the lines of `input`. `progress` is told each number of bytes read.
pub fn hash_listing(
    input: &mut impl BufRead,
    progress: &mut dyn FnMut(u64),
) -> Result<ListingDigest, ListingFileError> {
    read_listing(input, progress, &mut |_| {})
}

/// The same, and `each` is given every line that stands by itself, in order and without its newline. What it was given
/// is a listing only once this returns one.
pub(super) fn read_listing(
    input: &mut impl BufRead,
    progress: &mut dyn FnMut(u64),
    each: &mut dyn FnMut(&[u8]),
) -> Result<ListingDigest, ListingFileError> {
    let mut hasher = ListingHasher::new();
    let mut text = Vec::with_capacity(MAX_LINE_BYTES + 1);
    let mut number = 0u64;
    loop {
        text.clear();
        number += 1;
        let count = input.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut text)?;
        if count == 0 {
            break;
        }
        progress(count as u64);
        let Some(line) = text.strip_suffix(b"\n") else {
            return Err(match count > MAX_LINE_BYTES {
                true => ListingFileError::LongLine { line: number },
                false => ListingFileError::Unterminated { line: number },
            });
        };
        hasher.push(line).map_err(|error| ListingFileError::Line { line: number, error })?;
        each(line);
    }
    hasher.finish().map_err(ListingFileError::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &[u8]) -> &'static str {
        hash_listing(&mut &*text, &mut |_| {}).map_or_else(|error| error.code(), |_| "ok")
    }

    fn line(path: &str) -> Vec<u8> {
        format!("{}  {path}\n", indelible_proto::hash::sha256(b"")).into_bytes()
    }

    #[test]
    fn lines_are_read_to_the_last_newline() {
        let mut seen = 0;
        let text = [line("a"), line("b")].concat();
        let digest = hash_listing(&mut text.as_slice(), &mut |bytes| seen += bytes).unwrap();
        assert_eq!((digest.head.size.get(), seen), (2, text.len() as u64));
        assert_eq!(digest.dir_hash1, indelible_proto::hash::sha256(&text));
        assert_eq!(code(&text[..text.len() - 1]), "line-unterminated");
        assert_eq!(code(&[&text[..], b"\n"].concat()), "bundle-line-form");
        assert_eq!(code(b""), "bundle-file-count");
        assert_eq!(code(&[line("a"), line("b/../c")].concat()), "bundle-path-component");
        assert_eq!(code(&[line("b"), line("a")].concat()), "bundle-listing-order");
    }

    #[test]
    fn a_line_has_at_most_its_longest_path() {
        assert_eq!(code(&line(&"a".repeat(1024))), "ok");
        assert_eq!(code(&line(&"a".repeat(1025))), "bundle-line-length");
        // Without a newline anywhere, no more than a line is ever held.
        assert_eq!(code(&vec![b'a'; 10_000_000]), "bundle-line-length");
    }

    #[test]
    fn says_which_line_is_wrong() {
        let text = [line("a"), line("c"), line("b")].concat();
        let error = hash_listing(&mut text.as_slice(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().starts_with("line 3: the path does not sort"), "{error}");
    }
}
