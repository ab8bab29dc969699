//! Refused checkpoints that a log has validly signed: possible proof of its misbehaviour.
//!
//! `conflicts/<origin hash>/<kind>-<size>-<start of the text's SHA-256>.note`, raw as they came, where the
//! kind is `fork`, `unproved`, or `held` for what was cosigned when the conflict came. Anyone can send a
//! log's true checkpoint with a false proof, so the unproved have a small limit of their own and cannot
//! crowd out the forks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indelible_client::durable::{self, Access, DurableError};
use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::sha256;
use indelible_proto::note::SignedNote;
use indelible_proto::size::TreeSize;

use crate::held::Held;
use crate::refusal::Suspicion;
use crate::submission::Submission;

/// How many forks are kept of one log. One is enough to convict it; more show how long it went on.
pub const MAX_FORKS_PER_LOG: usize = 64;

/// How many checkpoints with a failing proof are kept of one log.
pub const MAX_UNPROVED_PER_LOG: usize = 16;

#[derive(Debug)]
pub(super) struct Conflicts {
    dir: PathBuf,
}

impl Conflicts {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Keeps `submission`'s note, and what was `held`, unless it is there already or there are too many.
    pub(super) fn keep(
        &self,
        origin: &Origin,
        held: Option<&Held>,
        submission: &Submission,
        suspicion: Suspicion,
    ) -> Result<(), DurableError> {
        let dir = self.dir.join(origin.hash_hex());
        match durable::create_dir(&dir) {
            Ok(()) | Err(DurableError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let (kind, max) = match suspicion {
            Suspicion::Fork => ("fork", MAX_FORKS_PER_LOG),
            Suspicion::Unproved => ("unproved", MAX_UNPROVED_PER_LOG),
        };
        if count(&dir, kind)? >= max {
            return Ok(());
        }
        if let Some(held) = held {
            write(&dir, "held", held.holding().head().size, held.note())?;
        }
        write(&dir, kind, submission.statement().size(), submission.raw_note())
    }
}

fn count(dir: &Path, kind: &str) -> Result<usize, DurableError> {
    let unreadable = |source| DurableError::Unreadable { path: dir.to_owned(), source };
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    let is_kind = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(kind.as_bytes());
    Ok(entries.iter().filter(|entry| is_kind(entry)).count())
}

fn write(dir: &Path, kind: &str, size: TreeSize, note: &SignedNote) -> Result<(), DurableError> {
    // Named by the text, so that one statement under ever new signature lines is one file.
    let hash = sha256(note.text().as_bytes()).to_hex();
    let name = format!("{kind}-{size}-{}.note", hash.get(..16).unwrap_or(&hash));
    match durable::create_new(&dir.join(name), &note.encode(), Access::Public) {
        Err(DurableError::Exists { .. }) => Ok(()),
        written => written,
    }
}
