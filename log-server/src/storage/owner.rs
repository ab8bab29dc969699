//! Which process owns a data directory: the last one that took it over.
//!
//! The lock keeps honest processes apart, but it is a file and can be deleted while its holder is paused. So
//! whoever starts also *takes over*: it replaces the file `owner`, and keeps its own open. A process owns the
//! directory as long as its `owner` file has that name; the system says so in one call that looks at no path.
//!
//! A process that was taken over may go on at any point, from between any two of its calls. It must then never
//! sign or acknowledge, and must not damage what the new owner has. Four rules see to it:
//!
//! 1. A start takes over, then deletes all temporary files, and only then reads.
//! 2. A file gets or loses its name only through [`rename_unsynced`](super::store::Storage::rename_unsynced) and
//!    [`remove`](super::store::Storage::remove), which ask first whether the process still owns the directory. A
//!    new file is written under a temporary name that no other process has.
//! 3. A start writes the journal's last segment again, as a new file in place of the old one, before it appends.
//! 4. After the sync of an append, and before anyone learns of it, the process asks once more.
//!
//! Let A be the old owner and B the new one.
//!
//! - *A signs and acknowledges nothing that B does not have.* If A finds in rule 4 that it is the owner, B has
//!   not taken over yet, so B reads later (rule 1) what A has synced before. If not, A stops.
//! - *A gives no file a name after B has begun to read.* Between A's question and its rename B may take over.
//!   But the temporary file was there before the question. If the rename comes before B deletes temporary files,
//!   B reads the result; if after, there is no such file any more and the rename fails. A temporary file that A
//!   makes later fails at the question.
//! - *A writes into no file that B reads or appends to.* A has open the segment it appends to and temporary
//!   files. That segment was the last one or became so before B read (above), and B's first act is to put a file
//!   of its own in its place (rule 3): what A writes goes into a file without a name. What B copied from it are
//!   whole appends, and those B took up; of one that A completes only later, A acknowledges nothing.
//! - *A deletes at most what is not needed.* A asks before it gives up a segment, but may be taken over before
//!   the call. The snapshot that covers the segment had its name before, so B reads that one or a newer one, and
//!   the tiles and bundles below it are synced. If B notices that the segment is gone, it stops, and starts again.
//!
//! Three processes are three such pairs. Not covered: a second copy of the directory (the published checkpoint
//! and the witnesses show it), and file systems shared by machines.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use indelible_client::planted::{self, Bug};

use super::DiskError;
use super::disk::DiskFile;

/// Name of the file in the data directory.
const FILE: &str = "owner";

/// This process, as long as it owns the directory.
#[derive(Debug)]
pub(super) struct Owner {
    dir: PathBuf,
    /// Random; part of the name of every temporary file.
    token: String,
    /// The open `owner` file.
    file: Box<dyn DiskFile>,
}

impl Owner {
    /// A token nobody else has.
    pub(super) fn new_token() -> Result<String, DiskError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| DiskError::Random)?;
        Ok(format!("{:016x}", u64::from_be_bytes(random)))
    }

    pub(super) fn new(dir: &Path, token: String, file: Box<dyn DiskFile>) -> Self {
        Self { dir: dir.to_owned(), token, file }
    }

    /// Where the file is.
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// What it says, for people only.
    pub(super) fn text() -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = writeln!(text, "process {}", std::process::id());
        text
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// # Errors
    /// [`DiskError::TakenOver`] if another process owns the directory now.
    pub(super) fn check(&self) -> Result<(), DiskError> {
        if planted::has(Bug::NoFencing) {
            return Ok(());
        }
        match self.file.has_name() {
            Ok(true) => Ok(()),
            Ok(false) => Err(DiskError::TakenOver { dir: self.dir.clone() }),
            Err(source) => Err(DiskError::failed("look at", &Self::path(&self.dir), source)),
        }
    }
}
