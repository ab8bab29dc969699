//! The calls a log makes to the system about its files: one trait, so that everything a disk can do to them
//! can be played through.
//!
//! [`RealDisk`] is the file system. The reliability rigs have one that keeps apart what is written and what is
//! on disk, and fails when told. What makes a log durable goes through here, and the index's files of rows; sled's
//! own does not.
//!
//! | call | on disk when it returns |
//! |---|---|
//! | [`DiskFile::sync`] | every write to that file before it; not its name |
//! | [`Disk::sync_dir`] | every name made, moved or deleted in that directory before it |
//! | [`FileSystem::sync`] | everything written to the file system before it, names included |
//! | the others | nothing |

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use indelible_client::durable::{DirLock, DurableError};
use rustix::io::{ReadWriteFlags, preadv2};

/// A disk with files and directories.
pub trait Disk: Debug + Send + Sync {
    /// The whole content of a file.
    ///
    /// # Errors
    /// What the system said; so for every call here.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The whole content of a file, if the system has it in memory; `None` where reading it may have to wait.
    fn read_at_hand(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens an existing file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file; makes it if it is missing, empties it if it is not.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a directory, whose parent must exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, in one step, in place of the file or empty directory that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Writes the names in a directory to disk.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens the file system that a directory is on, so that no write-back error since goes unseen.
    fn file_system(&self, dir: &Path) -> io::Result<Box<dyn FileSystem>>;

    /// Takes a directory for this process alone, until the lock is dropped.
    ///
    /// # Errors
    /// [`DurableError::Locked`] if it is taken.
    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>, DurableError>;
}

/// An open file. What is open stays, whatever becomes of its name.
pub trait DiskFile: Debug + Send + Sync {
    /// Fills `bytes` from an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Puts everything written so far on disk. After an error nobody can tell what is there: the kernel may
    /// have dropped the pages, and a second call would succeed without writing them.
    fn sync(&self) -> io::Result<()>;

    /// Whether any name still leads to the file.
    fn has_name(&self) -> io::Result<bool>;
}

/// A file system held open.
pub trait FileSystem: Debug + Send + Sync {
    /// Puts everything written so far on disk, and reports any write-back error since it was opened (Linux 5.8
    /// and later).
    fn sync(&self) -> io::Result<()>;
}

/// A directory held by one process.
pub trait Lock: Debug + Send + Sync {}

/// Longer files are not read on the threads that answer requests: copying them takes too long. Bundles of
/// entries of 1 KiB have 257 KiB.
const AT_HAND_MAX_BYTES: usize = 512 * 1024;

/// The file system of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_at_hand(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > AT_HAND_MAX_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        let read = preadv2(&file, &mut [IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT);
        // A part of it at hand is not enough, and not every file system can say what is.
        Ok(read.is_ok_and(|read| read == len).then_some(bytes))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // Nothing of ours has a name that is not text.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o644);
        Ok(Box::new(options.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn file_system(&self, dir: &Path) -> io::Result<Box<dyn FileSystem>> {
        Ok(Box::new(MountedOn(File::open(dir)?)))
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>, DurableError> {
        Ok(Box::new(DirLock::acquire(dir)?))
    }
}

impl DiskFile for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(self)?.st_nlink > 0)
    }
}

/// Any directory of a file system.
#[derive(Debug)]
struct MountedOn(File);

impl FileSystem for MountedOn {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl Lock for DirLock {}
