//! A disk in memory that keeps apart what was written and what is on disk, and loses the difference.
//!
//! What a crash leaves of a disk ([`Image::crash`]), as POSIX allows and real ones do:
//!
//! - of each file: what was synced, and of the writes since any, in sectors of 512 bytes, the length with them
//!   or without
//! - of each directory: what was synced, and of the names made, moved and deleted since any, each half of a
//!   rename on its own
//! - a file that was synced is lost with its name, a directory with everything in it, if the name was not
//!
//! A call can be made to fail ([`Verdict::Fail`]), with and without having had its effect. After a failed sync
//! of a file the writes before it are still read and are never written by a later sync, as Linux does it.
//!
//! Assumed of the machine: one 512-byte sector is written whole or not at all, and what was synced stays.

mod node;

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indelible_client::durable::DurableError;
use indelible_server::storage::disk::{Disk, DiskFile, FileSystem, Lock};

use crate::random::Random;
use node::{Dir, File};

/// Everything on a disk at one moment. Clones share what did not change.
#[derive(Clone)]
pub(crate) struct Image {
    /// By inode number; the root directory first.
    nodes: Vec<Node>,
}

#[derive(Clone)]
enum Node {
    File(Arc<File>),
    Dir(Arc<Dir>),
}

/// A call that changes something or makes it durable, or a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Create,
    Write,
    Sync,
    Name,
    SyncDir,
    SyncAll,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// It fails, after having had its effect or not; a write has then written half.
    Fail {
        kind: io::ErrorKind,
        persisted: bool,
    },
}

/// Sees every call before it is made.
pub(crate) type Watch = Box<dyn FnMut(Call, &Image) -> Verdict + Send>;

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct ModelDisk(Arc<Mutex<State>>);

struct State {
    image: Image,
    watch: Option<Watch>,
    locked: bool,
}

impl Image {
    /// A disk with nothing on it.
    pub(crate) fn empty() -> Self {
        Self { nodes: vec![Node::Dir(Arc::default())] }
    }

    /// What a crash now may leave.
    pub(crate) fn crash(&self, random: &mut Random) -> Self {
        // Whole classes of changes first: what is lost is then lost everywhere at once.
        let [names, data] = match random.below(6) {
            0 => [0, 0],
            1 => [100, 100],
            2 => [100, 0],
            3 => [0, 100],
            4 => [50, 50],
            _ => [random.below(101), random.below(101)],
        };
        let nodes = self.nodes.iter().map(|node| match node {
            Node::File(file) => Node::File(Arc::new(file.crash(random, data))),
            Node::Dir(dir) => Node::Dir(Arc::new(dir.crash(random, names))),
        });
        Self { nodes: nodes.collect() }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            at = *self.dir(at)?.now.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The directory that has the name of `path`, and that name.
    fn place(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name.to_owned()))
    }

    fn dir(&self, at: usize) -> io::Result<&Dir> {
        match self.nodes.get(at) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, at: usize) -> io::Result<&mut Dir> {
        match self.nodes.get_mut(at) {
            Some(Node::Dir(dir)) => Ok(Arc::make_mut(dir)),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&self, at: usize) -> io::Result<&File> {
        match self.nodes.get(at) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn file_mut(&mut self, at: usize) -> io::Result<&mut File> {
        match self.nodes.get_mut(at) {
            Some(Node::File(file)) => Ok(Arc::make_mut(file)),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn name(&mut self, path: &Path, node: Option<usize>) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.dir_mut(dir)?.set(name, node);
        Ok(())
    }

    fn has_name(&self, at: usize) -> bool {
        let dirs = self.nodes.iter().filter_map(|node| match node {
            Node::Dir(dir) => Some(dir),
            Node::File(_) => None,
        });
        dirs.flat_map(|dir| dir.now.values()).any(|named| *named == at)
    }

    fn sync_all(&mut self) {
        for node in &mut self.nodes {
            match node {
                Node::File(file) if !file.is_synced() => Arc::make_mut(file).sync(),
                Node::Dir(dir) if !dir.is_synced() => Arc::make_mut(dir).sync(),
                Node::File(_) | Node::Dir(_) => {}
            }
        }
    }

    fn drop_all(&mut self) {
        for node in &mut self.nodes {
            if let Node::File(file) = node {
                Arc::make_mut(file).drop_unsynced();
            }
        }
    }
}

impl ModelDisk {
    /// A disk with this on it, as after a restart of the machine or of the process.
    pub(crate) fn new(image: Image) -> Self {
        Self(Arc::new(Mutex::new(State { image, watch: None, locked: false })))
    }

    /// What is on it.
    pub(crate) fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// Shows every call from now on to `watch`.
    pub(crate) fn watch(&self, watch: Watch) {
        self.state().watch = Some(watch);
    }

    /// Shows no more calls.
    pub(crate) fn unwatch(&self) {
        self.state().watch = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: `effect` with `true`, or with `false` what is left of it if it fails without effect.
    fn call<T>(&self, call: Call, effect: impl FnOnce(&mut Image, bool) -> io::Result<T>) -> io::Result<T> {
        let State { image, watch, .. } = &mut *self.state();
        // The index reads on a thread of its own, whenever it gets to it; that would make no two runs alike.
        let beside = call == Call::Read && std::thread::current().name() == Some("index");
        let verdict = match watch {
            Some(watch) if !beside => watch(call, image),
            _ => Verdict::Go,
        };
        match verdict {
            Verdict::Go => effect(image, true),
            Verdict::Fail { kind, persisted } => {
                effect(image, persisted)?;
                Err(kind.into())
            }
        }
    }
}

impl fmt::Debug for ModelDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelDisk")
    }
}

impl Disk for ModelDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call(Call::Read, |image, _| Ok(Vec::clone(&image.file(image.find(path)?)?.now)))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.call(Call::Read, |image, _| Ok(image.file(image.find(path)?)?.now.len() as u64))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Call::Read, |image, _| Ok(image.dir(image.find(dir)?)?.now.keys().cloned().collect()))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.call(Call::Read, |image, _| {
            let node = image.find(path)?;
            image.file(node).map(|_| node)
        })?;
        Ok(Box::new(ModelFile { disk: self.clone(), node }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.call(Call::Create, |image, done| match image.find(path) {
            Ok(node) => {
                if done {
                    image.file_mut(node)?.empty();
                }
                Ok(node)
            }
            Err(_) => {
                let node = image.nodes.len();
                if done {
                    image.nodes.push(Node::File(Arc::default()));
                    image.name(path, Some(node))?;
                }
                Ok(node)
            }
        })?;
        Ok(Box::new(ModelFile { disk: self.clone(), node }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Create, |image, done| {
            if image.find(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            image.place(path)?;
            if done {
                image.nodes.push(Node::Dir(Arc::default()));
                image.name(path, Some(image.nodes.len() - 1))?;
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Name, |image, done| {
            let node = image.find(from)?;
            image.place(to)?;
            if done {
                image.name(to, Some(node))?;
                image.name(from, None)?;
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Name, |image, done| {
            image.find(path)?;
            if done { image.name(path, None) } else { Ok(()) }
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, |image, done| {
            let dir = image.find(dir)?;
            if done {
                image.dir_mut(dir)?.sync();
            }
            Ok(())
        })
    }

    fn file_system(&self, _: &Path) -> io::Result<Box<dyn FileSystem>> {
        Ok(Box::new(self.clone()))
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>, DurableError> {
        let mut state = self.state();
        if state.locked {
            return Err(DurableError::Locked { dir: dir.to_owned() });
        }
        state.locked = true;
        Ok(Box::new(ModelLock(self.clone())))
    }
}

impl FileSystem for ModelDisk {
    fn sync(&self) -> io::Result<()> {
        self.call(Call::SyncAll, |image, done| {
            if done {
                image.sync_all();
            } else {
                image.drop_all();
            }
            Ok(())
        })
    }
}

struct ModelFile {
    disk: ModelDisk,
    node: usize,
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelFile({})", self.node)
    }
}

impl DiskFile for ModelFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.disk.call(Call::Read, |image, _| {
            let rest = image.file(self.node)?.now.get(offset..).unwrap_or_default();
            bytes.copy_from_slice(rest.get(..bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.disk.call(Call::Write, |image, done| {
            let bytes = if done { bytes } else { &bytes[..bytes.len() / 2] };
            image.file_mut(self.node)?.write(bytes, offset);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call(Call::Sync, |image, done| {
            let file = image.file_mut(self.node)?;
            if done {
                file.sync();
            } else {
                file.drop_unsynced();
            }
            Ok(())
        })
    }

    fn has_name(&self) -> io::Result<bool> {
        self.disk.call(Call::Read, |image, _| Ok(image.has_name(self.node)))
    }
}

#[derive(Debug)]
struct ModelLock(ModelDisk);

impl Lock for ModelLock {}

impl Drop for ModelLock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

/// Where the log's data directory is on every model disk.
pub(crate) fn data_dir() -> PathBuf {
    PathBuf::from("/data")
}
