//! The bundle tree `sha256sum-rfc6962-v1`: a rule bundle's files as a Merkle tree, `docs/records.md`,
//! section 7.
//!
//! Each leaf is a line as `sha256sum` prints it, so the tree can be rebuilt with standard tools, and a
//! single file can be proved to be in a bundle without the rest of it. Reading files and hashing them is
//! the caller's part.
//!
//! [`BundleTree`] holds a bundle's files and every node; [`ListingHasher`] computes a root and forgets;
//! [`BundleProof`] is the file that proves files, or their absence.

mod listing;
mod multiproof;
mod path;
mod proof;

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

pub use listing::{BundleLine, LineError, ListingDigest, ListingError, ListingHasher, MAX_LINE_BYTES};
pub use multiproof::MAX_PROOF_FILES;
pub use path::{MAX_PATH_BYTES, PathError, check_path};
pub use proof::{BundleClaim, BundleProof, BundleProofError, InBundle, NotInBundle};

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};
use crate::record::json::MAX_INTEGER;
use crate::size::TreeSize;
use crate::tree::TreeHead;
use multiproof::Position;

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Path relative to the bundle's folder, components separated by `/`.
    pub path: String,
    /// SHA-256 of the file's content.
    pub sha256: Hash,
    /// Length of the file's content in bytes.
    pub bytes: u64,
}

impl BundleFile {
    /// The file's leaf: its line of `sha256sum` output, without a newline.
    pub fn line(&self) -> String {
        listing::text(&self.sha256, &self.path)
    }
}

/// Why files do not make a bundle. `file` counts from 0 in the order of the paths' bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleTreeError {
    /// No file, or more than [`BundleTree::MAX_FILES`].
    #[error("{got} files, 1 to {} are allowed", BundleTree::MAX_FILES)]
    FileCount {
        /// How many files.
        got: usize,
    },
    /// A path that breaks a rule by itself.
    #[error("path of file {file}: {rule}")]
    Path {
        /// Which file.
        file: usize,
        /// The rule it breaks.
        rule: PathError,
    },
    /// Two paths that differ at most in the case of ASCII letters.
    #[error("path of file {file} is there twice, differing at most in the case of ASCII letters")]
    Duplicate {
        /// The later of the two files.
        file: usize,
    },
    /// A path that is also a folder of another, the case of ASCII letters aside.
    #[error("file {file} is in a folder whose path is that of another file")]
    InsideFile {
        /// The file whose folder is another file.
        file: usize,
    },
    /// The files' lengths add up to more than `2^53-1`.
    #[error("the files have more than {MAX_INTEGER} bytes")]
    TooManyBytes,
}

impl BundleTreeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FileCount { .. } => "bundle-file-count",
            Self::Path { rule, .. } => rule.code(),
            Self::Duplicate { .. } => "bundle-path-duplicate",
            Self::InsideFile { .. } => "bundle-path-inside-file",
            Self::TooManyBytes => "bundle-bytes",
        }
    }
}

/// A bundle's files in order, with all nodes of the tree over their lines.
#[derive(Clone, Debug)]
pub struct BundleTree {
    files: Vec<BundleFile>,
    /// By level, leaves first, the root last.
    levels: Vec<Vec<Hash>>,
    bytes: u64,
}

impl BundleTree {
    /// The most files of a bundle. Bounds what a client has to hash; a tree of so many needs some three
    /// gigabytes of memory, their listing a tenth of that.
    pub const MAX_FILES: usize = 10_000_000;

    /// The tree over `files`, given in any order.
    pub fn from_files(mut files: Vec<BundleFile>) -> Result<Self, BundleTreeError> {
        check_count(files.len())?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        for (file, BundleFile { path, .. }) in files.iter().enumerate() {
            check_path(path).map_err(|rule| BundleTreeError::Path { file, rule })?;
        }
        path::check_clashes(&files)?;
        let bytes = files
            .iter()
            .try_fold(0u64, |sum, file| sum.checked_add(file.bytes).filter(|sum| *sum <= MAX_INTEGER))
            .ok_or(BundleTreeError::TooManyBytes)?;
        let leaves = files.iter().map(|file| leaf_hash(file.line().as_bytes())).collect();
        Ok(Self { files, levels: levels(leaves), bytes })
    }

    /// Root of the RFC 6962 tree over the lines.
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(empty_root)
    }

    /// Root and number of files, as a record has them.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size(), root: self.root() }
    }

    /// SHA-256 over all lines, each with a newline: in-toto's `dirHash1`.
    pub fn dir_hash1(&self) -> Hash {
        let mut hasher = Sha256::new();
        for file in &self.files {
            hasher.update(file.line());
            hasher.update("\n");
        }
        Hash::from_bytes(hasher.finalize().into())
    }

    /// The files, sorted by the bytes of their paths.
    pub fn files(&self) -> &[BundleFile] {
        &self.files
    }

    /// How many bytes the files have together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The listing: every line with a newline, what `sha256sum` prints.
    pub fn lines(&self) -> String {
        self.files.iter().flat_map(|file| [file.line(), "\n".to_owned()]).collect()
    }

    /// How many files, as the size of the tree.
    pub fn size(&self) -> TreeSize {
        let count = u64::try_from(self.files.len()).unwrap_or(u64::MAX);
        TreeSize::new(count).expect("invariant: at most MAX_FILES files")
    }

    fn node(&self, position: Position) -> Option<Hash> {
        self.levels.get(position.level)?.get(usize::try_from(position.index).ok()?).copied()
    }
}

fn check_count(got: usize) -> Result<(), BundleTreeError> {
    match got {
        1..=BundleTree::MAX_FILES => Ok(()),
        _ => Err(BundleTreeError::FileCount { got }),
    }
}

/// The tree over `leaves`, level by level up to its root. A last node without a sibling goes up unchanged, so
/// every node that is not at the right edge is a complete subtree.
fn levels(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = Vec::new();
    let mut level = leaves;
    while level.len() > 1 {
        let (pairs, rest) = level.as_chunks::<2>();
        let nodes = pairs.iter().map(|[left, right]| node_hash(left, right));
        let above = nodes.chain(rest.iter().copied()).collect();
        levels.push(core::mem::replace(&mut level, above));
    }
    levels.push(level);
    levels
}

/// Where the file with this path is, or would be.
fn position_of(files: &[BundleFile], path: &str) -> Result<usize, usize> {
    files.binary_search_by(|file| file.path.as_str().cmp(path))
}

#[cfg(test)]
mod tests;
