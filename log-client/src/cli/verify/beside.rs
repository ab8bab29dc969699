//! The artifact and the proof beside it, as they are on disk.

use std::path::Path;

use indelible_proto::proof::LogProof;

use super::super::console::{Console, chain};
use super::super::exit::Failure;
use super::super::inputs::{files_failure, hashing_bar};
use crate::durable::{self, DurableError};
use crate::files::{ArtifactDigest, FilesError, hash_artifact, proof_path};

/// Hashes what is to be judged.
pub(in crate::cli) fn hash(path: &Path, console: Console) -> Result<ArtifactDigest, Failure> {
    let bar = hashing_bar(console, path);
    let digest =
        hash_artifact(path, &mut |bytes| bar.inc(bytes)).map_err(|error| unhashable(path, &error))?;
    bar.finish_and_clear();
    Ok(digest)
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
