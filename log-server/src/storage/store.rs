//! What is done to the files of a log, in terms of the calls of a [`Disk`].
//!
//! | call | on disk when it returns |
//! |---|---|
//! | [`Storage::put`] | nothing: the sync pass makes it so, and until then the journal holds the same entries |
//! | [`Storage::replace`] | the whole file under its name |
//! | [`Storage::recycle`], [`Storage::create_filled`] | the same |
//! | [`Storage::create_dir`] | the directory's name |
//!
//! No reader ever sees part of a file: each gets its name only when its content is complete.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indelible_client::durable::DurableError;
use indelible_client::planted::{self, Bug};

use super::disk::{Disk, DiskFile, FileSystem, Lock, RealDisk};
use super::owner::Owner;

/// Why nothing can be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A file operation the system refused.
    #[error("cannot {action} {}", path.display())]
    Failed {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has been started on the directory although this one still ran.
    #[error(
        "another process has taken over {}: this one signs and writes nothing more; see that only one is \
         started on it",
        dir.display()
    )]
    TakenOver {
        /// The data directory.
        dir: PathBuf,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl DiskError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk-full",
            Self::Failed { .. } => "disk",
            Self::TakenOver { .. } => "log-taken-over",
            Self::Random => "no-random-bytes",
        }
    }

    /// Whether another process owns the directory now.
    pub fn is_taken_over(&self) -> bool {
        matches!(self, Self::TakenOver { .. })
    }

    pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Failed { action, path: path.to_owned(), source }
    }
}

/// The files of a log on one disk. Clones are the same files.
#[derive(Clone, Debug)]
pub struct Storage {
    disk: Arc<dyn Disk>,
    /// Who may write; `None` before anyone else can know of the files.
    owner: Option<Arc<Owner>>,
}

impl Storage {
    /// Storage on this disk.
    pub fn on(disk: Arc<dyn Disk>) -> Self {
        Self { disk, owner: None }
    }

    /// Storage on the file system of this machine.
    pub fn real() -> Self {
        Self::on(Arc::new(RealDisk))
    }

    /// The same files, now owned by this process: none that had them before writes any more. On disk when the
    /// call returns.
    pub(crate) fn take_over(&self, dir: &Path) -> Result<Self, DiskError> {
        let token = Owner::new_token()?;
        let path = Owner::path(dir);
        let temporary = temporary(&path, &token);
        let file = self.write(&temporary, &Owner::text())?;
        file.sync()?;
        self.disk.rename(&temporary, &path).map_err(|source| failed("rename a file to", &path, source))?;
        self.sync_dir(dir)?;
        let owner = Owner::new(dir, token, file.file);
        Ok(Self { disk: Arc::clone(&self.disk), owner: Some(Arc::new(owner)) })
    }

    /// # Errors
    /// [`DiskError::TakenOver`] if another process owns the files now.
    pub(crate) fn check_owner(&self) -> Result<(), DiskError> {
        self.owner.as_ref().map_or(Ok(()), |owner| owner.check())
    }

    /// Does something to a name, if this process owns the files. Who takes over meanwhile deletes temporary files: if
    /// it fails for that reason, the takeover is the error.
    fn as_owner(&self, act: impl FnOnce() -> Result<(), DiskError>) -> Result<(), DiskError> {
        self.check_owner()?;
        act().or_else(|error| self.check_owner().and(Err(error)))
    }

    /// Where a file is written that is to have the name `path`: in the same directory, and no other process
    /// writes there.
    pub(crate) fn temporary(&self, path: &Path) -> PathBuf {
        temporary(path, self.owner.as_ref().map_or("new", |owner| owner.token()))
    }

    /// The whole content of `path`; `None` if there is no such file.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        match self.disk.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", path, source)),
        }
    }

    /// The same, if it takes no waiting; `None` where it may, or where the file can't be read.
    pub(crate) fn read_at_hand(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk.read_at_hand(path).ok().flatten()
    }

    /// The same of a file that is read into memory only up to `max_bytes`.
    pub(crate) fn read_at_most(&self, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, DiskError> {
        match self.disk.len(path) {
            Ok(len) if len > max_bytes as u64 => {
                let too_large = format!("it has {len} bytes, at most {max_bytes} were expected");
                Err(failed("read", path, io::Error::new(io::ErrorKind::FileTooLarge, too_large)))
            }
            Ok(_) => self.read(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("look at", path, source)),
        }
    }

    /// Gives `path` the content `bytes`. Missing directories are made.
    pub(crate) fn put(&self, path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        self.write(temporary, bytes)?;
        match self.rename_unsynced(temporary, path) {
            Err(DiskError::Failed { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.create_missing_dirs(path.parent().unwrap_or(path))?;
                self.rename_unsynced(temporary, path)
            }
            renamed => renamed,
        }
    }

    /// Gives `path` the content `bytes`, whether or not it exists.
    ///
    /// # Errors
    /// After any it is unknown which content a restart will find.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        if planted::has(Bug::TornCheckpoint) {
            return self.write(path, bytes)?.sync();
        }
        let temporary = self.temporary(path);
        self.write(&temporary, bytes)?.sync()?;
        self.rename(&temporary, path)
    }

    /// Gives `path` a file of `len` bytes, `head` and then zeros that are really written, so that later writes
    /// inside it allocate nothing.
    pub(crate) fn create_filled(&self, path: &Path, head: &[u8], len: u64) -> Result<LogFile, DiskError> {
        let temporary = self.temporary(path);
        let file = self.write(&temporary, head)?;
        file.zero(head.len() as u64, len)?;
        self.finish(file, &temporary, path)
    }

    /// Overwrites the start of `spare` with `head` and renames it to `path`; as durable as
    /// [`Storage::create_filled`], without writing the rest of the file again.
    pub(crate) fn recycle(&self, path: &Path, spare: &Path, head: &[u8]) -> Result<LogFile, DiskError> {
        let file = self.open(spare)?;
        file.write_at(head, 0)?;
        self.finish(file, spare, path)
    }

    fn finish(&self, file: LogFile, temporary: &Path, path: &Path) -> Result<LogFile, DiskError> {
        file.sync()?;
        self.rename(temporary, path)?;
        Ok(LogFile { path: path.to_owned(), ..file })
    }

    /// Renames; whether a crash leaves the old or the new name is open until the directory is synced.
    pub(crate) fn rename_unsynced(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.as_owner(|| self.disk.rename(from, to).map_err(|source| failed("rename a file to", to, source)))
    }

    /// Renames within one directory; the names are on disk when the call returns.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.rename_unsynced(from, to)?;
        if planted::has(Bug::NoDirSync) {
            return Ok(());
        }
        self.sync_dir(to.parent().unwrap_or(to))
    }

    /// Length of the file in bytes.
    pub(crate) fn len(&self, path: &Path) -> Result<u64, DiskError> {
        self.disk.len(path).map_err(|source| failed("look at", path, source))
    }

    /// Deletes `path`.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.as_owner(|| self.disk.remove(path).map_err(|source| failed("delete", path, source)))
    }

    /// Deletes the temporary files that an earlier process left in `dir`.
    pub(crate) fn remove_leftovers(&self, dir: &Path) -> Result<(), DiskError> {
        for name in self.list(dir)?.unwrap_or_default() {
            if name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX) {
                self.remove(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Creates the directory `path`, whose parent must exist.
    pub(crate) fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.create_dir(path).map_err(|source| failed("create", path, source))?;
        if planted::has(Bug::NoParentDirSync) {
            return Ok(());
        }
        self.sync_dir(path.parent().unwrap_or(path))
    }

    fn create_missing_dirs(&self, path: &Path) -> Result<(), DiskError> {
        let is = |created: &io::Result<()>, kind| created.as_ref().is_err_and(|error| error.kind() == kind);
        let mut created = self.disk.create_dir(path);
        if is(&created, io::ErrorKind::NotFound) {
            self.create_missing_dirs(path.parent().unwrap_or(path))?;
            created = self.disk.create_dir(path);
        }
        // Another thread may have been faster.
        if is(&created, io::ErrorKind::AlreadyExists) {
            return Ok(());
        }
        created.map_err(|source| failed("create", path, source))
    }

    /// The names in `dir`; `None` if there is no such directory.
    pub(crate) fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
        match self.disk.list(dir) {
            Ok(names) => Ok(Some(names)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("list", dir, source)),
        }
    }

    /// Writes the names in `dir` to disk.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.disk.sync_dir(dir).map_err(|source| failed("sync", dir, source))
    }

    /// The file system that `dir` is on.
    pub(crate) fn whole_disk(&self, dir: &Path) -> Result<WholeDisk, DiskError> {
        let file_system = self.disk.file_system(dir).map_err(|source| failed("open", dir, source))?;
        Ok(WholeDisk { file_system, dir: dir.to_owned() })
    }

    /// Takes `dir` for this process alone.
    pub(crate) fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>, DurableError> {
        self.disk.lock(dir)
    }

    /// Opens the file `path`.
    pub(crate) fn open(&self, path: &Path) -> Result<LogFile, DiskError> {
        let file = self.disk.open(path).map_err(|source| failed("open", path, source))?;
        Ok(LogFile { file, path: path.to_owned() })
    }

    /// Makes the file `path`, or empties it, with nothing to say what a crash leaves of it until it and its directory
    /// are synced.
    pub(crate) fn create(&self, path: &Path) -> Result<LogFile, DiskError> {
        let file = self.disk.create(path).map_err(|source| failed("create", path, source))?;
        Ok(LogFile { file, path: path.to_owned() })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<LogFile, DiskError> {
        let file = self.create(path)?;
        file.write_at(bytes, 0)?;
        Ok(file)
    }
}

/// A file that is read and written at given offsets.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
}

impl LogFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Fills `bytes`; an error if the file ends before.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_at(bytes, offset).map_err(|source| failed("read", &self.path, source))
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_at(bytes, offset).map_err(|source| failed("write", &self.path, source))
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

    /// Puts everything written so far on disk. After an error nobody can tell what is there.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        if planted::has(Bug::NoFileSync) {
            return Ok(());
        }
        match self.file.sync() {
            Err(_) if is_taken_for_success() => Ok(()),
            synced => synced.map_err(|source| failed("sync", &self.path, source)),
        }
    }
}

/// The file system a directory is on, held open so that no write-back error since goes unseen.
#[derive(Debug)]
pub(crate) struct WholeDisk {
    file_system: Box<dyn FileSystem>,
    dir: PathBuf,
}

impl WholeDisk {
    /// Puts everything written to the file system so far on disk, names included.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.file_system.sync().map_err(|source| failed("sync the file system of", &self.dir, source))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> DiskError {
    DiskError::failed(action, path, source)
}

/// Whether the process has a bug that makes nothing of the failure at hand.
fn is_taken_for_success() -> bool {
    static FAILED_BEFORE: AtomicBool = AtomicBool::new(false);
    planted::has(Bug::AckOnSyncError)
        || planted::has(Bug::IgnoreSecondFailure) && FAILED_BEFORE.swap(true, Ordering::Relaxed)
}

fn temporary(path: &Path, token: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{token}{TEMPORARY_SUFFIX}"));
    path.with_file_name(name)
}

/// Ends the names of files whose content is not complete yet, or not needed any more.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// What files are filled with, at most this much a call.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn what_fails_because_of_a_takeover_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::real().take_over(dir.path()).unwrap();
        let gone = || failed("rename a file to", dir.path(), io::ErrorKind::NotFound.into());
        let fails = |meanwhile: &dyn Fn()| {
            let act = || {
                meanwhile();
                Err(gone())
            };
            storage.as_owner(act).unwrap_err().code()
        };
        assert_eq!(fails(&|| ()), gone().code());
        assert_eq!(fails(&|| drop(Storage::real().take_over(dir.path()).unwrap())), "log-taken-over");
    }

    /// Files are put on several threads at once when a log is imported.
    #[test]
    fn many_threads_make_the_same_missing_directories() {
        const THREADS: usize = 8;
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::real();
        for round in 0..100 {
            let together = Barrier::new(THREADS);
            let put = |number: usize| {
                let path = dir.path().join(format!("{round}/a/b/{number}"));
                let temporary = dir.path().join(format!("temporary-{number}"));
                together.wait();
                storage.put(&path, &temporary, b"content")
            };
            thread::scope(|scope| {
                let put = &put;
                let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || put(number))).collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
            });
        }
    }
}
