//! Every file operation of the storage, in one place.
//!
//! | call | durable when it returns |
//! |---|---|
//! | [`put`] | no: the sync pass makes it so, and until then the journal holds the same entries |
//! | [`LogFile::sync`] | every write to that file before it |
//! | [`create_filled`] | the file under its final name |
//! | [`FileSystem::sync`] | everything written to the file system before it |
//!
//! Small files that are replaced as a whole use [`indelible_client::durable`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A file operation the system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl DiskError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        if self.source.kind() == io::ErrorKind::StorageFull { "disk-full" } else { "disk" }
    }
}

/// The whole content of `path`; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

/// Gives `path` the content `bytes` by renaming `temporary`, which is overwritten, so that no reader ever
/// sees part of a file. Missing directories are made.
pub(crate) fn put(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    fs::write(temporary, bytes).map_err(|source| failed("write", temporary, source))?;
    match fs::rename(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = path.parent().unwrap_or(path);
            fs::create_dir_all(dir).map_err(|source| failed("create", dir, source))?;
            fs::rename(temporary, path)
        }
        renamed => renamed,
    }
    .map_err(|source| failed("rename a new file to", path, source))
}

/// Creates `path` with `len` bytes, `head` and then zeros that are really written, so that later writes
/// inside it allocate nothing. `temporary` must be in the same directory and is overwritten.
pub(crate) fn create_filled(path: &Path, temporary: &Path, head: &[u8], len: u64) -> Result<(), DiskError> {
    let fill = || -> io::Result<()> {
        let mut file = File::create(temporary)?;
        file.write_all(head)?;
        let mut left = len.saturating_sub(head.len() as u64);
        while left > 0 {
            let zeros = &ZEROS[..usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len())];
            file.write_all(zeros)?;
            left -= zeros.len() as u64;
        }
        file.sync_all()
    };
    fill().map_err(|source| failed("write", temporary, source))?;
    rename(temporary, path)
}

/// Overwrites the start of `temporary` with `head` and renames it to `path`; as durable as
/// [`create_filled`], without writing the rest of the file again.
pub(crate) fn recycle(path: &Path, temporary: &Path, head: &[u8]) -> Result<(), DiskError> {
    let file = LogFile::open(temporary)?;
    file.write_at(head, 0)?;
    file.sync()?;
    rename(temporary, path)
}

/// Renames within one directory; whether a crash leaves the old or the new name is open until the directory
/// is synced.
pub(crate) fn rename_unsynced(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::rename(from, to).map_err(|source| failed("rename a file to", to, source))
}

/// Renames within one directory; the names are on disk when the call returns.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    rename_unsynced(from, to)?;
    sync_dir(to.parent().unwrap_or(to))
}

/// Length of the file in bytes.
pub(crate) fn len(path: &Path) -> Result<u64, DiskError> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|source| failed("look at", path, source))
}

/// Deletes `path`.
pub(crate) fn remove(path: &Path) -> Result<(), DiskError> {
    fs::remove_file(path).map_err(|source| failed("delete", path, source))
}

/// Creates the directory `path`, whose parent must exist.
pub(crate) fn create_dir(path: &Path) -> Result<(), DiskError> {
    fs::create_dir(path).map_err(|source| failed("create", path, source))
}

/// The names in `dir`; `None` if there is no such directory.
pub(crate) fn list(dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|source| failed("list", dir, source))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", dir, source))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(Some(names))
}

/// Writes the names in `dir` to disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| failed("sync", dir, source))
}

/// An existing file that is written at given offsets.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    path: PathBuf,
}

impl LogFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DiskError> {
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|source| failed("open", path, source))?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(|source| failed("write", &self.path, source))
    }

    /// Zeros from `start` up to `end`.
    pub(crate) fn zero(&self, start: u64, end: u64) -> Result<(), DiskError> {
        let mut at = start;
        while at < end {
            let zeros = &ZEROS[..usize::try_from(end - at).unwrap_or(usize::MAX).min(ZEROS.len())];
            self.write_at(zeros, at)?;
            at += zeros.len() as u64;
        }
        Ok(())
    }

    /// Puts everything written so far on disk. After an error nobody can tell what is there: the kernel may
    /// have dropped the pages, and a second call would succeed without writing them.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|source| failed("sync", &self.path, source))
    }
}

/// The file system a directory is on, held open so that no write-back error since goes unseen.
#[derive(Debug)]
pub(crate) struct FileSystem {
    dir: File,
    path: PathBuf,
}

impl FileSystem {
    pub(crate) fn of(dir: &Path) -> Result<Self, DiskError> {
        let file = File::open(dir).map_err(|source| failed("open", dir, source))?;
        Ok(Self { dir: file, path: dir.to_owned() })
    }

    /// Puts everything written to the file system so far on disk, names included, and reports any write-back
    /// error since it was opened (Linux 5.8 and later).
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        let synced = rustix::fs::syncfs(&self.dir);
        synced.map_err(|errno| failed("sync the file system of", &self.path, errno.into()))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> DiskError {
    DiskError { action, path: path.to_owned(), source }
}

/// What files are filled with, at most this much a call.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
