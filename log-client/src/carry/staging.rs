//! A directory beside where something is to appear, in which it is made whole first.
//!
//! `<target's folder>/.<target's name>.carry.tmp`, with the lock of whoever uses it and what is being made. A
//! process that is killed leaves it behind; the next one for the same target empties it. The target appears by one
//! rename, after everything in it is on disk, and nothing that is there already is replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indelible_proto::hash::Hash;

use crate::durable::{DirLock, DurableError, LOCK_FILE, sync_dir};
use crate::files::{FilesError, hash_regular_file};

/// The directory, held until dropped and then deleted.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    _lock: DirLock,
}

/// What became of a target that is to appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is there now.
    New,
    /// It was there already, with exactly this in it.
    Already,
    /// Something else is there, and was left alone.
    InTheWay,
}

impl Staging {
    /// An empty staging directory for `target`.
    ///
    /// # Errors
    /// [`DurableError::Locked`] if another process makes the same target.
    pub fn beside(target: &Path) -> Result<Self, DurableError> {
        let Some(name) = target.file_name() else {
            return Err(not_written(target, io::ErrorKind::InvalidFilename.into()));
        };
        let dir = target.with_file_name(format!(".{}.carry.tmp", name.display()));
        // Not those above it: they would be made for a name that was misspelt.
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(not_written(&dir, error));
            }
            _ => {}
        }
        let lock = DirLock::acquire(&dir)?;
        for entry in fs::read_dir(&dir).map_err(|source| not_written(&dir, source))? {
            let path = entry.map_err(|source| not_written(&dir, source))?.path();
            if path.file_name().is_some_and(|name| name != LOCK_FILE) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(|source| not_written(&path, source))?;
            }
        }
        Ok(Self { dir, _lock: lock })
    }

    /// The path of something in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a new file below `folder`, with the folders it is in; its content is on disk when this returns.
    ///
    /// # Errors
    /// [`DurableError::NotWritten`].
    pub fn write(&self, folder: &str, path: &str, content: &mut dyn Read) -> Result<(), DurableError> {
        let path = self.dir.join(folder).join(path);
        let mut write = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            io::copy(content, &mut file)?;
            file.sync_all()
        };
        write().map_err(|source| not_written(&path, source))
    }

    /// Moves what is called `name` in it to `target`, unless something is there. A folder that is there and empty
    /// is no obstacle.
    ///
    /// # Errors
    /// [`DurableError::Indeterminate`] if it is unknown what a restart will find.
    pub fn place(&self, name: &str, target: &Path) -> Result<Placed, DurableError> {
        let made = self.dir.join(name);
        if let Some(there) = listing(target).map_err(|source| unreadable(target, source))? {
            let ours = listing(&made).map_err(|source| unreadable(&made, source))?;
            let empty = there.is_empty() && target.is_dir();
            match Some(there) == ours {
                true => return Ok(Placed::Already),
                false if !empty => return Ok(Placed::InTheWay),
                false => {}
            }
        }
        let indeterminate = |source| DurableError::Indeterminate { path: target.to_owned(), source };
        sync_folders(&made).map_err(|source| not_written(target, source))?;
        fs::rename(&made, target).map_err(|source| not_written(target, source))?;
        let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_dir(folder.unwrap_or(Path::new("."))).map_err(indeterminate)?;
        Ok(Placed::New)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is emptied by the next run, and nothing reads it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

type Listing = Vec<(PathBuf, Option<Hash>)>;

/// Every file of a folder, or the file itself, with its hash; `None` if there is nothing. Anything else in it has
/// no hash, and so is like nothing else.
fn listing(root: &Path) -> io::Result<Option<Listing>> {
    if fs::symlink_metadata(root).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| io::Error::other(error.to_string()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let hash = match hash_regular_file(entry.path()) {
            Ok(digest) => Some(digest.sha256),
            Err(FilesError::Special { .. }) => None,
            Err(error) => return Err(io::Error::other(error)),
        };
        found.push((entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned(), hash));
    }
    Ok(Some(found))
}

/// Writes the names in a folder, and in all folders below it, to disk; or a file.
fn sync_folders(root: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(root).contents_first(true) {
        let entry = entry.map_err(|error| io::Error::other(error.to_string()))?;
        if entry.file_type().is_dir() || entry.depth() == 0 {
            File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

fn not_written(path: &Path, source: io::Error) -> DurableError {
    DurableError::NotWritten { path: path.to_owned(), source }
}

fn unreadable(path: &Path, source: io::Error) -> DurableError {
    DurableError::Unreadable { path: path.to_owned(), source }
}
