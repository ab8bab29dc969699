//! The artifact and the proof beside it, as they are on disk.

use std::path::Path;

use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::proof::LogProof;

use super::super::console::{Console, chain};
use super::super::exit::Failure;
use super::super::inputs::{files_failure, hashing_bar};
use crate::bundle::{ArchiveError, ArchiveErrorKind, Format, SourceError, bundle_from};
use crate::durable::{self, DurableError};
use crate::files::{ArtifactDigest, FilesError, hash_artifact, proof_path};
use crate::verify::claims_bundle;

/// Hashes what is to be judged. A file is hashed as a file; if it is not the file that the record in `proof` names, but
/// an archive where that record is of a bundle, it is opened as well, of it the folder `folder` if one is named.
pub(in crate::cli) fn hash(
    path: &Path,
    folder: Option<&str>,
    proof: Option<&LogProof>,
    console: Console,
) -> Result<ArtifactDigest, Failure> {
    let bar = hashing_bar(console, path);
    let digest =
        hash_artifact(path, &mut |bytes| bar.inc(bytes)).map_err(|error| unhashable(path, &error))?;
    bar.finish_and_clear();
    let bundle = match &digest {
        ArtifactDigest::File(file) => proof.is_some_and(|proof| claims_bundle(proof, file)).then_some(*file),
        ArtifactDigest::Directory(_) | ArtifactDigest::Archive { .. } => None,
    };
    match bundle.filter(|_| Format::of(path).is_some()) {
        Some(file) => Ok(ArtifactDigest::Archive { file, tree: open(path, folder, console)? }),
        None if folder.is_some() => {
            let message = format!("{}: the record is of no archive's folder", path.display());
            let next = "leave out --folder; of a directory, name the folder itself";
            Err(Failure::usage("folder-of-no-archive", message, next))
        }
        None => Ok(digest),
    }
}

/// What is in an archive.
pub(in crate::cli) fn open(
    path: &Path,
    folder: Option<&str>,
    console: Console,
) -> Result<BundleTree, Failure> {
    let bar = hashing_bar(console, path);
    let tree = bundle_from(path, folder, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    tree.map_err(|error| unopenable(path, &error))
}

/// How an archive that is to be a bundle and gives none ends a run. What was published was read from files, so an
/// archive that makes no bundle is not the one that was published.
fn unopenable(path: &Path, error: &SourceError) -> Failure {
    match error {
        SourceError::Directory(error) => unhashable(path, error),
        _ if error.is_passing() => {
            Failure::undecided(error.code(), chain(error), "make it readable, and let nothing write to it")
        }
        // A limit of this program says nothing about the archive.
        SourceError::Archive(ArchiveError {
            kind: ArchiveErrorKind::TooLarge { .. } | ArchiveErrorKind::TooManyEntries { .. },
            ..
        }) => {
            let next = "if the vendor's rules are that large, unpack them and verify the directory";
            Failure::undecided(error.code(), chain(error), next)
        }
        SourceError::Archive(_) => {
            let next = "fetch the archive again from the vendor; if it stays so, unpack nothing of it";
            Failure::refused(error.code(), format!("tampered: {}", chain(error)), next)
        }
    }
}

/// A directory with something in it that no bundle can have is not the one that was published.
fn unhashable(artifact: &Path, error: &FilesError) -> Failure {
    let in_the_way = match error {
        FilesError::Special { path, .. } => path != artifact,
        FilesError::Name { .. } | FilesError::TooMany { .. } | FilesError::Bundle { .. } => true,
        FilesError::Missing { .. }
        | FilesError::Read { .. }
        | FilesError::Changed { .. }
        | FilesError::Nameless { .. } => false,
    };
    if !in_the_way {
        return files_failure(error);
    }
    let next = "remove what does not belong there, or fetch the directory again from the vendor";
    Failure::refused(error.code(), format!("tampered: {}", chain(error)), next)
}

/// The proof beside the artifact. Without one nothing says that the artifact was ever published.
pub(in crate::cli) fn read_proof(artifact: &Path, given: Option<&Path>) -> Result<LogProof, Failure> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => proof_path(artifact).map_err(|error| files_failure(&error))?,
    };
    let bytes = match durable::read(&path, LogProof::MAX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let message = format!("not logged: no proof beside the file, {} is missing", path.display());
            let next = "get the .tlog-proof from where the artifact came from, or name it with --proof";
            return Err(Failure::refused("proof-missing", message, next));
        }
        Err(error @ DurableError::TooLarge { .. }) => {
            let message = format!("not logged: {} is too large for a proof", path.display());
            return Err(Failure::refused(error.code(), message, "get the .tlog-proof again"));
        }
        Err(error) => {
            return Err(Failure::undecided(error.code(), chain(&error), "make the proof readable"));
        }
    };
    LogProof::parse(&bytes).map_err(|error| {
        let message = format!("not logged: {} is not a log proof: {error}", path.display());
        Failure::refused(error.code(), message, "get the .tlog-proof again; if it stays so, do not install")
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn an_archive_is_refused_for_what_is_in_it_and_not_for_what_this_machine_cannot_do() {
        let denied = || Error::from(ErrorKind::PermissionDenied);
        for (kind, exit, code) in [
            (ArchiveErrorKind::TooLarge { max: 1 }, Exit::Undecided, "archive-too-large"),
            (ArchiveErrorKind::TooManyEntries { max: 1 }, Exit::Undecided, "archive-too-many-entries"),
            (ArchiveErrorKind::Read(denied()), Exit::Undecided, "artifact-unreadable"),
            (ArchiveErrorKind::Changed, Exit::Undecided, "artifact-changed"),
            (ArchiveErrorKind::Truncated, Exit::Refused, "archive-truncated"),
            (ArchiveErrorKind::Malformed("no tar".into()), Exit::Refused, "archive-malformed"),
        ] {
            let error = ArchiveError { path: "rules.tar".into(), kind };
            let failure = unopenable(Path::new("rules.tar"), &error.into());
            assert_eq!((failure.exit, failure.code), (exit, code));
            assert!(failure.message.contains("rules.tar: "), "{}", failure.message);
        }
    }
}
