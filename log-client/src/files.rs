//! Artifacts on disk: hashing a file in one pass; a directory is hashed by [`crate::bundle`].
//!
//! Regular files only. A single file that changes while it is read is hashed as it was read.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use indelible_proto::bundle_tree::{BundleTree, BundleTreeError};
use indelible_proto::hash::Hash;
use sha2::{Digest as _, Sha256};

pub use crate::bundle::hash_directory;

/// What stands in for the artifact in a record: everything a check needs, nothing of its content.
#[derive(Clone, Debug)]
pub enum ArtifactDigest {
    /// One file.
    File(FileDigest),
    /// A directory, as a bundle tree.
    Directory(BundleTree),
    /// One file that is an archive, with the bundle tree of what it unpacks to.
    Archive {
        /// The file itself.
        file: FileDigest,
        /// What is in it.
        tree: BundleTree,
    },
}

/// The hash of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// SHA-256 of the content.
    pub sha256: Hash,
    /// Length of the content in bytes.
    pub bytes: u64,
}

/// Why an artifact could not be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// There is nothing at the path.
    #[error("{}: no such file or directory", path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The system refused to read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something that is neither a regular file nor a directory.
    #[error("{}: {found} is not a regular file", path.display())]
    Special {
        /// Where.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// A file name that is not UTF-8, which a bundle cannot carry.
    #[error("{path:?}: the name is not UTF-8")]
    Name {
        /// Where.
        path: PathBuf,
    },
    /// More files than a bundle may have.
    #[error("{}: more than {max} files", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The most a bundle may have.
        max: usize,
    },
    /// The files make no bundle.
    #[error("{} makes no bundle", path.display())]
    Bundle {
        /// The directory.
        path: PathBuf,
        /// The rule that is broken.
        source: BundleTreeError,
    },
    /// A file that was written, made or removed while the directory was read.
    #[error("{}: changed while it was read", path.display())]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// A path that has no name to put a proof beside, such as `/`.
    #[error("{}: has no name, so no file can stand beside it", path.display())]
    Nameless {
        /// The path.
        path: PathBuf,
    },
}

impl FilesError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "artifact-missing",
            Self::Read { .. } => "artifact-unreadable",
            Self::Special { .. } => "artifact-not-regular",
            Self::Name { .. } => "artifact-name-not-utf8",
            Self::TooMany { .. } => "bundle-too-many-files",
            Self::Bundle { source, .. } => source.code(),
            Self::Changed { .. } => "artifact-changed",
            Self::Nameless { .. } => "artifact-nameless",
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing { path: path.to_owned() };
        }
        Self::Read { path: path.to_owned(), source }
    }
}

/// Hashes the file or directory at `path`; an archive is a file here. `progress` is told each number of bytes read.
pub fn hash_artifact(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<ArtifactDigest, FilesError> {
    let metadata = std::fs::metadata(path).map_err(|source| FilesError::read(path, source))?;
    if metadata.is_dir() {
        return hash_directory(path, progress).map(ArtifactDigest::Directory);
    }
    hash_file(path, progress).map(ArtifactDigest::File)
}

/// Hashes the regular file at `path`, following links to it, in constant memory.
pub fn hash_file(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<FileDigest, FilesError> {
    // Without O_NONBLOCK, opening a pipe would wait for a writer instead of being refused below.
    hash_opened(path, rustix::fs::OFlags::NONBLOCK, progress)
}

/// Hashes the regular file at `path`, which may not be reached through a link.
pub fn hash_regular_file(path: &Path) -> Result<FileDigest, FilesError> {
    let kind = std::fs::symlink_metadata(path).map_err(|source| FilesError::read(path, source))?.file_type();
    if !kind.is_file() {
        return Err(FilesError::Special { path: path.to_owned(), found: name_of_kind(kind) });
    }
    hash_opened(path, rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW, &mut |_| {})
}

/// Where the proof of the artifact at `path` is expected: `<path>.tlog-proof`, beside it.
pub fn proof_path(path: &Path) -> Result<PathBuf, FilesError> {
    beside(path, PROOF_EXTENSION)
}

/// The artifact's own name, without the directories it is in.
pub fn artifact_name(path: &Path) -> Result<String, FilesError> {
    let path = named(path)?;
    let name = path.file_name().ok_or_else(|| FilesError::Nameless { path: path.clone() })?;
    name.to_str().map(str::to_owned).ok_or(FilesError::Name { path: path.clone() })
}

fn beside(path: &Path, extension: &str) -> Result<PathBuf, FilesError> {
    let path = named(path)?;
    let mut name = path.file_name().ok_or_else(|| FilesError::Nameless { path: path.clone() })?.to_owned();
    name.push(".");
    name.push(extension);
    Ok(path.with_file_name(name))
}

/// `path` with a last component that is a name: `rules/` is `rules`, `.` is where it leads.
fn named(path: &Path) -> Result<PathBuf, FilesError> {
    if path.file_name().is_some() {
        return Ok(path.to_owned());
    }
    path.canonicalize().map_err(|source| FilesError::read(path, source))
}

pub(crate) fn relative_name(root: &Path, path: &Path) -> Result<String, FilesError> {
    let relative = path.strip_prefix(root).map_err(|_| FilesError::Nameless { path: path.to_owned() })?;
    relative.to_str().map(str::to_owned).ok_or_else(|| FilesError::Name { path: path.to_owned() })
}

fn hash_opened(
    path: &Path,
    flags: rustix::fs::OFlags,
    progress: &mut dyn FnMut(u64),
) -> Result<FileDigest, FilesError> {
    let read_error = |source| FilesError::read(path, source);
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(read_error)?;
    let kind = file.metadata().map_err(read_error)?.file_type();
    if !kind.is_file() {
        return Err(FilesError::Special { path: path.to_owned(), found: name_of_kind(kind) });
    }
    hash_stream(&mut file, progress).map_err(read_error)
}

/// Hashes what is left of a stream. `progress` is told each number of bytes read.
pub(crate) fn hash_stream(file: &mut impl Read, progress: &mut dyn FnMut(u64)) -> io::Result<FileDigest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut bytes = 0u64;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        bytes += count as u64;
        progress(count as u64);
    }
    Ok(FileDigest { sha256: Hash::from_bytes(hasher.finalize().into()), bytes })
}

pub(crate) fn walk_error(root: &Path, error: walkdir::Error) -> FilesError {
    let path = error.path().unwrap_or(root).to_owned();
    let source = error.into_io_error().unwrap_or_else(|| io::Error::other("links in a circle"));
    FilesError::read(&path, source)
}

pub(crate) fn name_of_kind(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// What follows an artifact's name, after a dot, in that of its proof.
pub(crate) const PROOF_EXTENSION: &str = "tlog-proof";
/// Large enough that a system call costs nothing beside hashing what it read.
const READ_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> impl FnMut(u64) {
        |_| {}
    }

    #[test]
    fn hashes_a_file_in_pieces_as_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("artifact");
        let content: Vec<u8> = (0..3 * READ_BYTES + 17).map(|i| i as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let mut seen = 0;
        let digest = hash_file(&path, &mut |bytes| seen += bytes).unwrap();
        assert_eq!(digest.sha256, indelible_proto::hash::sha256(&content));
        assert_eq!((digest.bytes, seen), (content.len() as u64, content.len() as u64));
    }

    #[test]
    fn a_directory_is_hashed_as_sha256sum_lists_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("rules");
        std::fs::create_dir_all(root.join("b/empty")).unwrap();
        std::fs::write(root.join("b/x.yml"), "x").unwrap();
        std::fs::write(root.join("a.yml"), "a").unwrap();
        let tree = hash_directory(&root, &mut quiet()).unwrap();
        let listing = format!(
            "{}  a.yml\n{}  b/x.yml\n",
            indelible_proto::hash::sha256(b"a"),
            indelible_proto::hash::sha256(b"x")
        );
        assert_eq!(tree.dir_hash1(), indelible_proto::hash::sha256(listing.as_bytes()));
        let again = hash_directory(&dir.path().join("rules/"), &mut quiet()).unwrap();
        assert_eq!(again.root(), tree.root());
    }

    #[test]
    fn a_link_in_a_directory_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "a").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        let error = hash_directory(dir.path(), &mut quiet()).unwrap_err();
        assert_eq!(error.code(), "artifact-not-regular");
        assert!(error.to_string().ends_with("/link: a symbolic link is not a regular file"), "{error}");
    }

    #[test]
    fn a_pipe_is_refused_and_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(hash_artifact(&path, &mut quiet()).unwrap_err().code(), "artifact-not-regular");
        assert_eq!(hash_directory(dir.path(), &mut quiet()).unwrap_err().code(), "artifact-not-regular");
    }

    #[test]
    fn a_missing_artifact_is_called_missing() {
        let error = hash_artifact(Path::new("/nonexistent/x"), &mut quiet()).unwrap_err();
        assert_eq!(error.code(), "artifact-missing");
    }

    #[test]
    fn the_proof_stands_beside_the_artifact() {
        let expect =
            [("dir/a.tar", "dir/a.tar.tlog-proof"), ("rules/", "rules.tlog-proof"), ("a", "a.tlog-proof")];
        for (artifact, proof) in expect {
            assert_eq!(proof_path(Path::new(artifact)).unwrap(), Path::new(proof), "{artifact}");
        }
        let dir = tempfile::tempdir().unwrap();
        let here = proof_path(&dir.path().join("sub/..")).unwrap_err();
        assert_eq!(here.code(), "artifact-missing");
        assert_eq!(proof_path(Path::new("/")).unwrap_err().code(), "artifact-nameless");
    }
}
