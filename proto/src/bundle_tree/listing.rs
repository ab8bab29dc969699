//! The lines of a bundle, and the root of a listing that is read line by line.
//!
//! A listing is what `sha256sum` prints for the files of a bundle, sorted by path. Its root needs no more
//! memory than 32 bytes a line and folder, so a bundle of [`BundleTree::MAX_FILES`] files can be rooted
//! where its tree would not fit. Reading the lines is the caller's part.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use super::path::{Clash, MAX_PATH_BYTES, PathClashes, PathError, check_path};
use super::{BundleFile, BundleTree};
use crate::hash::{Hash, leaf_hash};
use crate::tree::{Frontier, TreeHead};
use crate::wire::parse_utf8;

/// The longest line in bytes, without a newline: 64 digits, two spaces, a path.
pub const MAX_LINE_BYTES: usize = 64 + 2 + MAX_PATH_BYTES;

/// One line of a listing: a leaf of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleLine {
    /// SHA-256 of the file's content.
    pub sha256: Hash,
    /// Path of the file in the bundle.
    pub path: String,
}

/// Why bytes are not a line of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not 64 lower-case hexadecimal digits, two spaces and a path in UTF-8.
    #[error("not 64 lower-case hexadecimal digits, two spaces and a path")]
    Form,
    /// A path that breaks a rule.
    #[error("path: {0}")]
    Path(#[from] PathError),
}

impl LineError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form => "bundle-line-form",
            Self::Path(error) => error.code(),
        }
    }
}

impl BundleLine {
    /// Reads a line, given without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let line = parse_utf8(line).map_err(|_| LineError::Form)?;
        let (digits, path) = line.split_at_checked(64).ok_or(LineError::Form)?;
        let sha256 = Hash::parse_hex(digits).ok_or(LineError::Form)?;
        let path = path.strip_prefix("  ").ok_or(LineError::Form)?;
        check_path(path)?;
        Ok(Self { sha256, path: path.to_owned() })
    }

    /// The line without a newline.
    pub fn encode(&self) -> String {
        text(&self.sha256, &self.path)
    }

    /// The line's hash as a leaf of the tree.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(self.encode().as_bytes())
    }
}

impl From<&BundleFile> for BundleLine {
    fn from(file: &BundleFile) -> Self {
        Self { sha256: file.sha256, path: file.path.clone() }
    }
}

/// The one way a line is written.
pub(super) fn text(sha256: &Hash, path: &str) -> String {
    format!("{sha256}  {path}")
}

/// Why lines are no listing of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// A line that is none of a bundle.
    #[error("{0}")]
    Line(#[from] LineError),
    /// A path that does not sort after the one before it, by bytes.
    #[error("the path does not sort after the one before it by its bytes (LC_ALL=C sort -k2)")]
    Order,
    /// More lines than a bundle has files.
    #[error("more than {} lines", BundleTree::MAX_FILES)]
    TooManyLines,
    /// More folders than a bundle may have files.
    #[error("more than {} folders", BundleTree::MAX_FILES)]
    TooManyFolders,
    /// No line at all.
    #[error("no line")]
    Empty,
    /// Two paths that differ at most in the case of ASCII letters.
    #[error("a path is there twice, differing at most in the case of ASCII letters")]
    Duplicate,
    /// A path that is also a folder of another, the case of ASCII letters aside.
    #[error("a file's path is also a folder of another file")]
    InsideFile,
}

impl ListingError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Line(error) => error.code(),
            Self::Order => "bundle-listing-order",
            Self::TooManyLines | Self::Empty => "bundle-file-count",
            Self::TooManyFolders => "bundle-folder-count",
            Self::Duplicate => "bundle-path-duplicate",
            Self::InsideFile => "bundle-path-inside-file",
        }
    }
}

/// Takes a listing line by line.
pub struct ListingHasher {
    max_files: usize,
    frontier: Frontier,
    dir_hash1: Sha256,
    last: String,
    clashes: PathClashes,
}

/// What a listing comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingDigest {
    /// How many files, and the root of the tree over them.
    pub head: TreeHead,
    /// SHA-256 over all lines, each with a newline.
    pub dir_hash1: Hash,
}

impl ListingHasher {
    /// Nothing taken yet.
    pub fn new() -> Self {
        Self::with_limit(BundleTree::MAX_FILES)
    }

    fn with_limit(max_files: usize) -> Self {
        Self {
            max_files,
            frontier: Frontier::new(),
            dir_hash1: Sha256::new(),
            last: String::new(),
            clashes: PathClashes::new(),
        }
    }

    /// Takes the next line, given without its newline.
    pub fn push(&mut self, line: &[u8]) -> Result<(), ListingError> {
        let BundleLine { path, .. } = BundleLine::parse(line)?;
        if path.as_bytes() <= self.last.as_bytes() {
            return Err(if path == self.last { ListingError::Duplicate } else { ListingError::Order });
        }
        self.clashes.push(&path);
        if self.clashes.folders() > self.max_files {
            return Err(ListingError::TooManyFolders);
        }
        if usize::try_from(self.frontier.size().get()).is_ok_and(|lines| lines >= self.max_files) {
            return Err(ListingError::TooManyLines);
        }
        self.frontier.append(leaf_hash(line)).map_err(|_| ListingError::TooManyLines)?;
        self.dir_hash1.update(line);
        self.dir_hash1.update("\n");
        self.last = path;
        Ok(())
    }

    /// What the lines come to, once all are taken.
    pub fn finish(self) -> Result<ListingDigest, ListingError> {
        if self.frontier.size().is_zero() {
            return Err(ListingError::Empty);
        }
        match self.clashes.find() {
            Some(Clash::Duplicate) => Err(ListingError::Duplicate),
            Some(Clash::InsideFile) => Err(ListingError::InsideFile),
            None => Ok(ListingDigest {
                head: self.frontier.head(),
                dir_hash1: Hash::from_bytes(self.dir_hash1.finalize().into()),
            }),
        }
    }
}

impl Default for ListingHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for ListingHasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ListingHasher").field("lines", &self.frontier.size()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
