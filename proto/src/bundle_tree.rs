//! The bundle tree `sha256sum-rfc6962-v1`: a rule bundle's files as a Merkle tree, `docs/records.md`,
//! section 7.
//!
//! Each leaf is a line as `sha256sum` prints it, so the tree can be rebuilt with standard tools, and a
//! single file can be proved to be in a bundle without the rest of it. Reading files and hashing them is
//! the caller's part.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};
use unicode_normalization::is_nfc;

use crate::hash::{Hash, leaf_hash, node_hash};
use crate::record::json::MAX_INTEGER;
use crate::size::{LeafIndex, TreeSize};
use crate::tree::{Frontier, InclusionPlan, InclusionProof, NodeId};

/// The longest path in bytes: as long as the longest string of a record.
pub const MAX_PATH_BYTES: usize = 1024;

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
        format!("{}  {}", self.sha256, self.path)
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

/// A bundle's files in order, with all nodes of the tree over their lines.
#[derive(Clone, Debug)]
pub struct BundleTree {
    files: Vec<BundleFile>,
    /// Complete subtrees by level, leaves first.
    levels: Vec<Vec<Hash>>,
    root: Hash,
    bytes: u64,
}

impl BundleTree {
    /// The most files of a bundle. Bounds what a client has to hash and hold.
    pub const MAX_FILES: usize = 1_000_000;

    /// The tree over `files`, given in any order.
    pub fn from_files(mut files: Vec<BundleFile>) -> Result<Self, BundleTreeError> {
        if files.is_empty() || files.len() > Self::MAX_FILES {
            return Err(BundleTreeError::FileCount { got: files.len() });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        check_paths(&files)?;
        let bytes = files
            .iter()
            .try_fold(0u64, |sum, file| sum.checked_add(file.bytes).filter(|sum| *sum <= MAX_INTEGER))
            .ok_or(BundleTreeError::TooManyBytes)?;
        let leaves = files.iter().map(|file| leaf_hash(file.line().as_bytes())).collect();
        let levels = levels(leaves);
        let root = root(&levels, tree_size(&files));
        Ok(Self { files, levels, root, bytes })
    }

    /// Root of the RFC 6962 tree over the lines.
    pub fn root(&self) -> Hash {
        self.root
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
        tree_size(&self.files)
    }

    /// Where the file with this path is in the tree, and the proof that it is there.
    pub fn prove(&self, path: &str) -> Option<(LeafIndex, InclusionProof)> {
        let position = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        let index = LeafIndex::new(u64::try_from(position).ok()?).ok()?;
        let plan = InclusionPlan::new(index, self.size()).ok()?;
        let hashes = plan.nodes().iter().map(|id| node(&self.levels, *id)).collect::<Option<Vec<_>>>()?;
        Some((index, plan.finish(&hashes).ok()?))
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

fn check_paths(files: &[BundleFile]) -> Result<(), BundleTreeError> {
    let mut folded = BTreeSet::new();
    for (file, BundleFile { path, .. }) in files.iter().enumerate() {
        check_path(path).map_err(|rule| BundleTreeError::Path { file, rule })?;
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

/// The complete subtrees over `leaves`, level by level.
fn levels(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = Vec::new();
    let mut level = leaves;
    while !level.is_empty() {
        let (pairs, _) = level.as_chunks::<2>();
        let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        levels.push(core::mem::replace(&mut level, above));
    }
    levels
}

fn root(levels: &[Vec<Hash>], size: TreeSize) -> Hash {
    let nodes: Vec<Hash> = Frontier::node_ids(size).into_iter().filter_map(|id| node(levels, id)).collect();
    Frontier::from_nodes(size, &nodes).expect("invariant: levels hold every complete subtree").root()
}

fn node(levels: &[Vec<Hash>], id: NodeId) -> Option<Hash> {
    levels.get(usize::from(id.level()))?.get(usize::try_from(id.index()).ok()?).copied()
}

fn tree_size(files: &[BundleFile]) -> TreeSize {
    let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
    TreeSize::new(count).expect("invariant: at most MAX_FILES files")
}

#[cfg(test)]
mod tests;
