//! Files that survive a crash: atomic replacement, secret files, directory locks.
//!
//! System calls of [`replace`], in order. A crash after any of them leaves the old or the new content
//! under the name, never a mixture, and once the call returned the new content survives a power cut:
//!
//! 1. `open(dir/.name.<pid>.<n>.tmp, O_CREAT|O_EXCL|O_WRONLY)`, `write` all bytes
//! 2. `fsync(file)`: the bytes are on disk before any name leads to them
//! 3. `rename(temporary, name)`: the one atomic step
//! 4. `fsync(dir)`: the name itself is on disk
//!
//! [`create_new`] does the same with `link` in place of `rename`, because `link` refuses an existing name.
//!
//! A failure in steps 1 and 2 is [`DurableError::NotWritten`]: the old content stands. From step 3 on it
//! is [`DurableError::Indeterminate`]: the caller cannot know which content a restart will find, so it
//! must stop using the file and load it again in a new process. A failed `fsync` is never retried on the
//! same file: the kernel may have dropped the pages it could not write and call the second one a success.
//!
//! A crash can leave a temporary file behind; [`remove_leftovers`] deletes those of earlier processes.
//! Nothing here checks what the bytes mean.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::planted::{self, Bug};

/// Why a file could not be read, written or locked. Every variant names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// Nothing has changed on disk.
    #[error("cannot write {}", path.display())]
    NotWritten {
        /// The file that keeps its old content.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is unknown which content a restart will find; do not go on using the file.
    #[error("cannot tell whether {} was written; restart to load what is there", path.display())]
    Indeterminate {
        /// The file in doubt.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there already, and was not touched.
    #[error("{} exists already", path.display())]
    Exists {
        /// The existing file.
        path: PathBuf,
    },
    /// The file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than it may be.
    #[error("{} is larger than {max_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// A secret file that others than its owner can read or write.
    #[error("{0} has mode {mode:04o}, which lets others use the key; run: chmod 600 {0}", path.display())]
    Exposed {
        /// The secret file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process holds the directory.
    #[error("another process is using {}", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
}

impl DurableError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotWritten { .. } => "file-not-written",
            Self::Indeterminate { .. } => "file-indeterminate",
            Self::Exists { .. } => "file-exists",
            Self::Unreadable { .. } => "file-unreadable",
            Self::TooLarge { .. } => "file-too-large",
            Self::Exposed { .. } => "key-exposed",
            Self::Locked { .. } => "directory-locked",
        }
    }
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, as far as the umask allows: mode 0644.
    Public,
    /// Its owner only: mode 0600. For keys.
    Secret,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Secret => 0o600,
        }
    }
}

/// Gives `path` the content `bytes`, whether or not it exists; on disk when the call returns.
///
/// # Errors
/// [`DurableError::NotWritten`] or [`DurableError::Indeterminate`], as the module describes.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    let temporary = Temporary::write(path, bytes, Access::Public)?;
    let moved = fs::rename(&temporary.path, path).and_then(|()| sync_dir(parent(path)));
    moved.map_err(|source| DurableError::Indeterminate { path: path.to_owned(), source })
}

/// Creates `path` with the content `bytes`; on disk, whole, when the call returns.
///
/// # Errors
/// [`DurableError::Exists`] if anything has that name already; otherwise as [`replace`].
pub fn create_new(path: &Path, bytes: &[u8], access: Access) -> Result<(), DurableError> {
    let temporary = Temporary::write(path, bytes, access)?;
    match fs::hard_link(&temporary.path, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(DurableError::Exists { path: path.to_owned() });
        }
        Err(source) => return Err(DurableError::Indeterminate { path: path.to_owned(), source }),
    }
    drop(temporary);
    sync_dir(parent(path)).map_err(|source| DurableError::Indeterminate { path: path.to_owned(), source })
}

/// Creates the directory `path`, which only its owner can change; its name is on disk when the call
/// returns. The parent must exist.
///
/// # Errors
/// [`DurableError::Exists`] if anything has that name already; otherwise as [`replace`].
pub fn create_dir(path: &Path) -> Result<(), DurableError> {
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(DurableError::Exists { path: path.to_owned() });
        }
        Err(source) => return Err(DurableError::NotWritten { path: path.to_owned(), source }),
    }
    sync_dir(parent(path)).map_err(|source| DurableError::Indeterminate { path: path.to_owned(), source })
}

/// The content of `path`; `None` if there is no such file.
///
/// # Errors
/// [`DurableError::TooLarge`] if it has more than `max_bytes` bytes, [`DurableError::Unreadable`] for
/// anything the system refuses.
pub fn read(path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, DurableError> {
    let unreadable = |source| DurableError::Unreadable { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => read_open(&file, path, max_bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(unreadable(source)),
    }
}

/// The content of the secret file `path`, wiped from memory when dropped.
///
/// # Errors
/// [`DurableError::Exposed`] if others than its owner have any permission on it; otherwise as [`read`],
/// except that a missing file is [`DurableError::Unreadable`].
pub fn read_secret(path: &Path, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, DurableError> {
    const OTHERS: u32 = 0o077;
    let unreadable = |source| DurableError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, not of the name, so that it cannot be exchanged in between.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(DurableError::Exposed { path: path.to_owned(), mode });
    }
    read_open(&file, path, max_bytes).map(Zeroizing::new)
}

/// Deletes the temporary files that crashed processes left in `dir`. Call it while holding the
/// directory's [`DirLock`]; a temporary file of a running writer would be deleted too.
///
/// # Errors
/// [`DurableError::Unreadable`] if the directory cannot be listed, [`DurableError::NotWritten`] if a file
/// cannot be deleted.
pub fn remove_leftovers(dir: &Path) -> Result<(), DurableError> {
    let unreadable = |source| DurableError::Unreadable { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b".") && name.ends_with(TEMPORARY_SUFFIX.as_bytes()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|source| DurableError::NotWritten { path, source })?;
        }
    }
    Ok(())
}

/// Writes the names in `dir` to disk.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A directory held by this process alone, until dropped or until the process ends, however it ends.
///
/// It is an `flock` on the file `lock` inside, so it works between processes of one machine and on one
/// mount; two copies of the directory are two directories, and this does not notice.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
    /// The directory itself, if it is locked too.
    _dir: Option<File>,
}

impl DirLock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`DurableError::Locked`] if it is taken, [`DurableError::NotWritten`] if the lock file cannot be
    /// opened or locked.
    pub fn acquire(dir: &Path) -> Result<Self, DurableError> {
        let path = dir.join(LOCK_FILE);
        let not_written = |source| DurableError::NotWritten { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(Access::Secret.mode());
        let file = options.open(&path).map_err(not_written)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file, _dir: None }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DurableError::Locked { dir: dir.to_owned() }),
            Err(error) => Err(not_written(error.into())),
        }
    }

    /// The same, and on the directory itself besides: whoever deletes the lock file lets nobody in.
    ///
    /// # Errors
    /// As [`DirLock::acquire`].
    pub fn acquire_whole(dir: &Path) -> Result<Self, DurableError> {
        let Self { _file, .. } = Self::acquire(dir)?;
        if planted::has(Bug::NoFencing) {
            return Ok(Self { _file, _dir: None });
        }
        let not_written = |source| DurableError::NotWritten { path: dir.to_owned(), source };
        let whole = File::open(dir).map_err(not_written)?;
        match flock(&whole, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file, _dir: Some(whole) }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DurableError::Locked { dir: dir.to_owned() }),
            Err(error) => Err(not_written(error.into())),
        }
    }
}

/// A file with its bytes on disk that no one knows the name of yet; deleted when dropped, unless renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn write(target: &Path, bytes: &[u8], access: Access) -> Result<Self, DurableError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}.{number}{TEMPORARY_SUFFIX}", std::process::id()));
        let path = parent(target).join(name);

        let not_written = |source| DurableError::NotWritten { path: target.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(access.mode());
        let mut file = match options.open(&path) {
            // Our own process number again: left by a process that crashed with it, so nobody's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| options.open(&path)).map_err(not_written)?
            }
            opened => opened.map_err(not_written)?,
        };
        let temporary = Self { path };
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(not_written)?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename the name is gone, and a leftover does no harm: nothing reads it.
        let _ = fs::remove_file(&self.path);
    }
}

fn read_open(file: &File, path: &Path, max_bytes: usize) -> Result<Vec<u8>, DurableError> {
    let unreadable = |source| DurableError::Unreadable { path: path.to_owned(), source };
    let one_more = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(one_more).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > max_bytes {
        return Err(DurableError::TooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(bytes)
}

/// The directory that holds `path`'s name; the current one for a bare file name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// Name of the file that [`DirLock`] locks, in the directory it is about.
pub const LOCK_FILE: &str = "lock";

#[cfg(test)]
mod tests;
