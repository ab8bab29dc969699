//! Bundles from where they lie: a directory, an archive, or a listing of either.
//!
//! A source is only read: nothing is unpacked. What comes out is a [`BundleTree`], or for a listing its root.
//!
//! [`BundleTree`]: indelible_proto::bundle_tree::BundleTree

mod archive;
mod changes;
mod directory;
mod listing;
mod record;

use std::io;
use std::path::Path;

use indelible_proto::bundle_tree::BundleTree;

pub use archive::{ArchiveError, ArchiveErrorKind, Format, MAX_ENTRIES, MAX_UNPACKED_BYTES};
pub use changes::{Changes, changes_between, changes_since};
pub use directory::hash_directory;
pub use listing::{ListingFileError, hash_listing};
pub use record::bundle_of_record;

use crate::files::FilesError;

/// Why a source gives no bundle.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is a directory that gives none.
    #[error(transparent)]
    Directory(#[from] FilesError),
    /// It is an archive that gives none, or no archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl SourceError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            Self::Archive(error) => error.code(),
        }
    }

    /// Whether the same source may give a bundle another time: the system failed, or someone wrote to it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Directory(error) => matches!(error, FilesError::Read { .. } | FilesError::Changed { .. }),
            Self::Archive(error) => {
                matches!(error.kind, ArchiveErrorKind::Read(_) | ArchiveErrorKind::Changed)
            }
        }
    }
}

/// The bundle at `path`: a directory's files, or those of an archive, of its folder `folder` if one is named.
/// `progress` is told each number of bytes read.
pub fn bundle_from(
    path: &Path,
    folder: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<BundleTree, SourceError> {
    let metadata = std::fs::metadata(path).map_err(|source| FilesError::read(path, source))?;
    if metadata.is_dir() {
        let below = folder.map_or_else(|| path.to_owned(), |folder| path.join(folder));
        return Ok(hash_directory(&below, progress)?);
    }
    Ok(archive::hash_archive(path, folder, progress)?)
}

/// Reads until `buffer` is full or the input ends; says how much was read.
fn read_full(reader: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
