//! A sync that failed once: the system forgets which pages were not written, and goes on to show what is only in
//! memory. A process that restarts reads bytes that no disk has.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use indelible_client::durable::DurableError;

use super::*;
use crate::storage::disk::{Disk, DiskFile, FileSystem, Lock, RealDisk};

/// The real files, and which of their bytes are only in memory.
#[derive(Clone, Debug, Default)]
struct Forgetful(Arc<State>);

#[derive(Debug, Default)]
struct State {
    fail_next: AtomicBool,
    unwritten: Mutex<BTreeSet<(PathBuf, u64)>>,
    /// Those that no later sync will write.
    lost: Mutex<BTreeSet<(PathBuf, u64)>>,
}

#[derive(Debug)]
struct ForgetfulFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    state: Arc<State>,
}

impl DiskFile for ForgetfulFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)?;
        for at in offset..offset + bytes.len() as u64 {
            self.state.lost.lock().unwrap().remove(&(self.path.clone(), at));
            self.state.unwritten.lock().unwrap().insert((self.path.clone(), at));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut unwritten = self.state.unwritten.lock().unwrap();
        let (own, others) =
            std::mem::take(&mut *unwritten).into_iter().partition(|(path, _)| *path == self.path);
        *unwritten = others;
        if self.state.fail_next.swap(false, Ordering::Relaxed) {
            let own: BTreeSet<_> = own;
            self.state.lost.lock().unwrap().extend(own);
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.file.has_name()
    }
}

impl Forgetful {
    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(ForgetfulFile { path: path.to_owned(), file, state: Arc::clone(&self.0) })
    }
}

impl Disk for Forgetful {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        RealDisk.len(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, RealDisk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, RealDisk.create(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        // The bytes go with their file, and those of the file that was there before with theirs.
        for bytes in [&self.0.unwritten, &self.0.lost] {
            let mut bytes = bytes.lock().unwrap();
            let others = std::mem::take(&mut *bytes).into_iter().filter(|(path, _)| path != to);
            *bytes = others.map(|(path, at)| (if path == from { to.to_owned() } else { path }, at)).collect();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn file_system(&self, dir: &Path) -> io::Result<Box<dyn FileSystem>> {
        RealDisk.file_system(dir)
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>, DurableError> {
        RealDisk.lock(dir)
    }
}

/// Row F14 of `docs/failures.md`.
#[test]
fn what_a_failed_sync_left_in_memory_only_is_written_again_before_it_counts() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    create(&path);
    let disk = Forgetful::default();
    let open = || Journal::open(&Storage::on(Arc::new(disk.clone())), &path, identity(), SEGMENT).unwrap();
    let mut journal = open();
    journal.append(&append_of(0)).unwrap();
    disk.0.fail_next.store(true, Ordering::Relaxed);
    journal.append(&append_of(1)).unwrap_err();
    journal.append(&append_of(2)).unwrap_err();
    drop(journal);
    assert!(!disk.0.lost.lock().unwrap().is_empty(), "the disk lacks what the system shows");
    let mut journal = open();
    assert_eq!(replayed(&mut journal).len(), 3, "the append is whole, and may have been seen");
    assert!(disk.0.lost.lock().unwrap().is_empty() && disk.0.unwritten.lock().unwrap().is_empty());
}
