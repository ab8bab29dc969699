//! What a path of a bundle may be by itself, and which paths cannot stand together.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use unicode_normalization::is_nfc;

use super::{BundleFile, BundleTreeError};
use crate::hash::sha256;

/// The longest path in bytes: as long as the longest string of a record.
pub const MAX_PATH_BYTES: usize = 1024;

/// Why a text is not the path of a bundle's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Empty or above [`MAX_PATH_BYTES`].
    #[error("{got} bytes, 1 to {MAX_PATH_BYTES} are allowed")]
    Length {
        /// Length in bytes.
        got: usize,
    },
    /// A component that is empty, `.` or `..`; also an absolute path, or one that ends in `/`.
    #[error("an empty component, . or ..")]
    Component,
    /// A control character or a backslash.
    #[error("a control character or a backslash")]
    Character,
    /// Not in Normalization Form C: the same text has another spelling.
    #[error("not in Unicode Normalization Form C")]
    NotNormalized,
}

impl PathError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "bundle-path-length",
            Self::Component => "bundle-path-component",
            Self::Character => "bundle-path-character",
            Self::NotNormalized => "bundle-path-not-nfc",
        }
    }
}

/// Checks the rules for one path by itself.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err(PathError::Length { got: path.len() });
    }
    if path.contains(|character: char| character.is_control() || character == '\\') {
        return Err(PathError::Character);
    }
    if path.split('/').any(|component| matches!(component, "" | "." | "..")) {
        return Err(PathError::Component);
    }
    if !is_nfc(path) {
        return Err(PathError::NotNormalized);
    }
    Ok(())
}

/// How two paths of one bundle stand in each other's way, the case of ASCII letters aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// They are equal.
    Duplicate,
    /// One is a folder of the other.
    InsideFile,
}

/// Finds out whether two of many paths clash, without keeping the paths: 16 bytes for each path and each
/// folder. It compares the first 127 bits of SHA-256, so it may in theory see a clash where there is none,
/// and never the reverse.
pub(super) struct PathClashes {
    /// Marks by their first byte, so that growing and sorting never need all of them twice.
    buckets: Vec<Vec<u128>>,
    last: String,
    folders: usize,
}

/// In a mark's lowest bit. A file's mark sorts before the mark of a folder of the same name.
const FILE: u128 = 0;
const FOLDER: u128 = 1;

impl PathClashes {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Vec::new(); 256], last: String::new(), folders: 0 }
    }

    /// Adds a path. In sorted order each folder is met once, in any other order more often.
    pub(super) fn push(&mut self, path: &str) {
        let path = path.to_ascii_lowercase();
        self.mark(&path, FILE);
        for (end, _) in path.match_indices('/') {
            let is_known = self.last.as_bytes().get(..=end) == path.as_bytes().get(..=end);
            if let (false, Some(folder)) = (is_known, path.get(..end)) {
                self.folders = self.folders.saturating_add(1);
                self.mark(folder, FOLDER);
            }
        }
        self.last = path;
    }

    /// How many folders were added.
    pub(super) fn folders(&self) -> usize {
        self.folders
    }

    /// The first clash found.
    pub(super) fn find(mut self) -> Option<Clash> {
        self.buckets.iter_mut().find_map(|bucket| {
            bucket.sort_unstable();
            let mut pairs = bucket.iter().zip(bucket.iter().skip(1));
            let (_, second) = pairs.find(|(a, b)| *a >> 1 == *b >> 1 && *a & 1 == FILE)?;
            Some(if second & 1 == FILE { Clash::Duplicate } else { Clash::InsideFile })
        })
    }

    fn mark(&mut self, path: &str, kind: u128) {
        let hash = sha256(path.as_bytes());
        let [first, ..] = *hash.as_bytes();
        let (high, _) = hash.as_bytes().split_first_chunk::<16>().expect("invariant: a hash has 32 bytes");
        if let Some(bucket) = self.buckets.get_mut(usize::from(first)) {
            bucket.push(u128::from_be_bytes(*high) & !FOLDER | kind);
        }
    }
}

/// Checks that no two of the sorted `files` clash, and says which of them does.
pub(super) fn check_clashes(files: &[BundleFile]) -> Result<(), BundleTreeError> {
    let mut clashes = PathClashes::new();
    files.iter().for_each(|file| clashes.push(&file.path));
    if clashes.find().is_none() {
        return Ok(());
    }
    let mut folded = BTreeSet::new();
    for (file, BundleFile { path, .. }) in files.iter().enumerate() {
        if !folded.insert(path.to_ascii_lowercase()) {
            return Err(BundleTreeError::Duplicate { file });
        }
    }
    for (file, BundleFile { path, .. }) in files.iter().enumerate() {
        let path = path.to_ascii_lowercase();
        let mut folders = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        if folders.any(|folder| folded.contains(folder)) {
            return Err(BundleTreeError::InsideFile { file });
        }
    }
    Ok(())
}
