//! The watchdog's directory: everything that must survive its process.
//!
//! ```text
//! <state>/watch/lock
//! <state>/watch/<SHA-256 of the origin, hex>/held         what was checked
//!                                            ahead        how far an unfinished reading has come
//!                                            latched      disputes no person has cleared
//!                                            notes/<number>-<digits>.note    every note seen, byte for byte
//! <evidence>/fork-<size>-<digits>.evidence
//! ```
//!
//! Lost, a watch starts at the first entry again and forgets what the log signed before; an older copy
//! makes it repeat itself. Damage is reported as damage on this machine and never as the log's doing.
//! `notes` keeps the newest 4,096. Notes that differ only in cosignatures are kept once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote};
use indelible_proto::policy::Policy;
use indelible_proto::size::TreeSize;
use indelible_proto::wire::{Reader, parse_utf8};

use super::event::{Dispute, Held};
use super::held_file::{HeldError, Subject};
use super::scan::{Ahead, LogKind};
use crate::durable::{self, Access, DirLock, DurableError};
use crate::state::{StateError, make_dir, read};

/// The watchdog's part of a state directory, held until this and every [`LogStore`] of it is dropped.
#[derive(Debug)]
pub struct WatchDir {
    dir: PathBuf,
    evidence: PathBuf,
    lock: Arc<DirLock>,
}

impl WatchDir {
    /// Opens the watchdog's part of a state directory and the directory for evidence; makes both if need be.
    ///
    /// # Errors
    /// [`StateError::File`]; with [`DurableError::Locked`] inside if another watchdog uses it.
    pub fn open(state: &Path, evidence: &Path) -> Result<Self, StateError> {
        let dir = state.join("watch");
        make_dir(&dir)?;
        make_dir(evidence)?;
        let lock = Arc::new(DirLock::acquire(&dir)?);
        Ok(Self { dir, evidence: evidence.to_owned(), lock })
    }

    /// What is stored about one log.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn log(&self, origin: &Origin, kind: LogKind, policy: &Policy) -> Result<LogStore, StateError> {
        let dir = self.dir.join(origin.hash_hex());
        let notes = dir.join("notes");
        make_dir(&notes)?;
        durable::remove_leftovers(&dir)?;
        durable::remove_leftovers(&notes)?;
        Ok(LogStore {
            notes: Notes::open(&notes, MAX_NOTES)?,
            evidence: self.evidence.clone(),
            origin: origin.clone(),
            policy: policy.clone(),
            kind,
            dir,
            _lock: self.lock.clone(),
        })
    }
}

/// What is stored about one log.
#[derive(Debug)]
pub struct LogStore {
    dir: PathBuf,
    evidence: PathBuf,
    notes: Notes,
    origin: Origin,
    policy: Policy,
    kind: LogKind,
    _lock: Arc<DirLock>,
}

/// A dispute that no person has cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latch {
    /// SHA-256 of the disputed checkpoint's text.
    pub checkpoint: Hash,
    /// Name of the evidence file.
    pub file: String,
}

impl LogStore {
    /// What was held when it was last saved; nothing at the first time.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a file is not what was written, [`StateError::OtherKind`].
    pub fn load(&self) -> Result<(Held, Option<Ahead>), StateError> {
        let path = self.dir.join(HELD);
        let held = match read(&path, MAX_FILE_BYTES)? {
            Some(bytes) => self.subject().parse_held(&bytes).map_err(|error| as_state_error(error, path))?,
            None => Held::default(),
        };
        let path = self.dir.join(AHEAD);
        let ahead = match read(&path, MAX_FILE_BYTES)? {
            Some(bytes) => {
                Some(self.subject().parse_ahead(&bytes).map_err(|error| as_state_error(error, path))?)
            }
            None => None,
        };
        // One that continues an earlier scan was left by a crash between saving and deleting.
        let ahead = ahead.filter(|(_, base)| *base == held.scan.size()).map(|(ahead, _)| ahead);
        Ok((held, ahead))
    }

    /// Saves what is held.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn save(&self, held: &Held) -> Result<(), StateError> {
        Ok(durable::replace(&self.dir.join(HELD), &self.subject().encode_held(held))?)
    }

    /// Saves how far an unfinished reading that continues the first `base` entries has come, or that there
    /// is none.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn save_ahead(&self, ahead: Option<&Ahead>, base: TreeSize) -> Result<(), StateError> {
        let path = self.dir.join(AHEAD);
        match ahead {
            Some(ahead) => Ok(durable::replace(&path, &self.subject().encode_ahead(ahead, base))?),
            None => remove(&path),
        }
    }

    /// Keeps a note, byte for byte; `false` if it is not a signed note, or is there already under other
    /// cosignatures.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn keep_note(&mut self, note: &[u8]) -> Result<bool, StateError> {
        self.notes.keep(note)
    }

    /// The notes kept, oldest first. One that cannot be read is left out: they are only recalled to notice
    /// more, and each is judged again.
    pub fn notes(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.notes.paths().filter_map(|path| durable::read(&path, MAX_NOTE_BYTES).ok().flatten())
    }

    /// Writes evidence to disk, then latches. A file of that name is evidence about the same checkpoint
    /// and is left as it is.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn save_evidence(&self, dispute: &Dispute) -> Result<PathBuf, StateError> {
        let path = self.evidence_path(&dispute.file);
        match durable::create_new(&path, &dispute.evidence.encode(), Access::Public) {
            Ok(()) | Err(DurableError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let mut latches = self.latches()?;
        latches.push(Latch { checkpoint: dispute.checkpoint, file: dispute.file.clone() });
        let mut text = format!("{LATCH_HEADER}\n");
        for Latch { checkpoint, file } in &latches {
            text.push_str(&format!("{} {file}\n", checkpoint.to_hex()));
        }
        durable::replace(&self.dir.join(LATCHED), text.as_bytes())?;
        Ok(path)
    }

    /// Where the evidence file of that name is.
    pub fn evidence_path(&self, file: &str) -> PathBuf {
        self.evidence.join(file)
    }

    /// The disputes no person has cleared.
    ///
    /// # Errors
    /// [`StateError::Damaged`]: a latch must not come off because its file is damaged.
    pub fn latches(&self) -> Result<Vec<Latch>, StateError> {
        let path = self.dir.join(LATCHED);
        match read(&path, MAX_FILE_BYTES)? {
            Some(bytes) => parse_latches(&bytes).map_err(|code| StateError::Damaged { path, code }),
            None => Ok(Vec::new()),
        }
    }

    /// Clears all disputes, as only a person may decide. The evidence stays.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn clear(&self) -> Result<(), StateError> {
        remove(&self.dir.join(LATCHED))
    }

    fn subject(&self) -> Subject<'_> {
        Subject { origin: &self.origin, kind: self.kind, policy: &self.policy }
    }
}

/// The notes kept, by number.
#[derive(Debug)]
struct Notes {
    dir: PathBuf,
    /// Most notes to keep.
    max: usize,
    names: BTreeMap<u64, String>,
    digests: BTreeSet<String>,
}

impl Notes {
    fn open(dir: &Path, max: usize) -> Result<Self, StateError> {
        let unreadable = |source| DurableError::Unreadable { path: dir.to_owned(), source };
        let mut notes = Self { dir: dir.to_owned(), max, names: BTreeMap::new(), digests: BTreeSet::new() };
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            let parts = name.strip_suffix(NOTE_SUFFIX).and_then(|stem| stem.split_once('-'));
            if let Some((number, digest)) = parts
                && let Ok(number) = number.parse()
            {
                notes.digests.insert(digest.to_owned());
                notes.names.insert(number, name);
            }
        }
        Ok(notes)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<bool, StateError> {
        let Ok(note) = SignedNote::parse(bytes) else {
            return Ok(false);
        };
        let digest: String = without_cosignatures(&note).to_hex().chars().take(32).collect();
        if self.digests.contains(&digest) {
            return Ok(false);
        }
        let number = self.names.last_key_value().map_or(0, |(number, _)| number.saturating_add(1));
        let name = format!("{number:010}-{digest}{NOTE_SUFFIX}");
        durable::create_new(&self.dir.join(&name), bytes, Access::Public)?;
        self.names.insert(number, name);
        self.digests.insert(digest);
        while self.names.len() > self.max {
            if let Some((_, name)) = self.names.pop_first() {
                remove(&self.dir.join(name))?;
            }
        }
        Ok(true)
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.names.values().map(|name| self.dir.join(name))
    }
}

/// What tells notes apart before anything is verified: the text and every line in the log's own name.
fn without_cosignatures(note: &SignedNote) -> Hash {
    let origin = note.text().split('\n').next().unwrap_or_default();
    let mut own = note.text().to_owned();
    for signature in note.signatures() {
        if signature.name().as_str() == origin {
            own.push_str(&signature.encode_line());
        }
    }
    sha256(own.as_bytes())
}

fn parse_latches(bytes: &[u8]) -> Result<Vec<Latch>, &'static str> {
    let mut reader = Reader::new(bytes);
    reader.expect_line(LATCH_HEADER).map_err(|error| error.code())?;
    let mut latches = Vec::new();
    while !reader.is_empty() {
        let line = parse_utf8(reader.line().map_err(|error| error.code())?).map_err(|kind| kind.code())?;
        let (checkpoint, file) = line.split_once(' ').ok_or("latch-line")?;
        let checkpoint = Hash::parse_hex(checkpoint).ok_or("latch-line")?;
        latches.push(Latch { checkpoint, file: file.to_owned() });
    }
    Ok(latches)
}

fn remove(path: &Path) -> Result<(), StateError> {
    let not_written = |source| DurableError::NotWritten { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(not_written(error).into()),
        _ => Ok(()),
    }
}

fn as_state_error(error: HeldError, path: PathBuf) -> StateError {
    match error {
        HeldError::Damaged(code) => StateError::Damaged { path, code },
        HeldError::OtherKind => StateError::OtherKind { path },
    }
}

const HELD: &str = "held";
const AHEAD: &str = "ahead";
const LATCHED: &str = "latched";
const LATCH_HEADER: &str = "indelible-watch-latch/v1";
const NOTE_SUFFIX: &str = ".note";

/// Most notes kept: half a gibibyte if every one has the largest size, eight megabytes as they usually are.
const MAX_NOTES: usize = 4096;

/// Largest state file; room for a million channels.
const MAX_FILE_BYTES: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_log::TestLog;

    #[test]
    fn the_oldest_notes_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new();
        let mut kept = Vec::new();
        for size in 1..=5 {
            log.append(b"entry");
            let note = log.note(size, 1).encode();
            // Opened each time, as after a restart.
            let mut notes = Notes::open(dir.path(), 3).unwrap();
            assert!(notes.keep(&note).unwrap());
            assert!(!notes.keep(&log.note(size, 2).encode()).unwrap(), "kept twice");
            kept.push(note);
        }
        assert!(!Notes::open(dir.path(), 3).unwrap().keep(b"not a note").unwrap());
        let notes = Notes::open(dir.path(), 3).unwrap();
        let left: Vec<_> = notes.paths().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!(left, kept[2..]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
