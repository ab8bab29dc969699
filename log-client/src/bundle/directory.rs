//! A directory as a bundle tree.
//!
//! Regular files only. A symbolic link, socket, pipe or device inside refuses the whole directory and is
//! named: what the tree would say about it depends on the machine it is read on. Empty directories are not
//! part of a bundle. Files are hashed on all processors.
//!
//! A directory that changes while it is read is refused: each file must be, before it is opened, while it is
//! read and after all are, the same inode with the same length and times, and no file may come or go. A write
//! that leaves all of that as it was is not noticed; no system makes that easy.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use indelible_proto::bundle_tree::{BundleFile, BundleTree};
use rustix::fs::OFlags;

use crate::files::{FileDigest, FilesError, hash_stream, name_of_kind, relative_name, walk_error};

/// Hashes every regular file under `root` into a bundle tree. `progress` is told each number of bytes read.
pub fn hash_directory(root: &Path, progress: &mut dyn FnMut(u64)) -> Result<BundleTree, FilesError> {
    let found = walk(root)?;
    let digests = hash_all(&found, progress)?;
    check_unchanged(root, &found)?;
    let files = found.iter().zip(digests).map(|(file, digest)| {
        let path = relative_name(root, &file.path)?;
        Ok(BundleFile { path, sha256: digest.sha256, bytes: digest.bytes })
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    BundleTree::from_files(files).map_err(|source| FilesError::Bundle { path: root.to_owned(), source })
}

/// A file as the walk met it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    stamp: Stamp,
}

/// What a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        Self {
            inode: (of.dev(), of.ino()),
            bytes: of.len(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

fn walk(root: &Path) -> Result<Vec<Found>, FilesError> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(root).follow_links(false).sort_by_file_name() {
        let entry = entry.map_err(|error| walk_error(root, error))?;
        let kind = entry.file_type();
        // The root itself may be reached through a link; nothing below it may be one.
        if kind.is_dir() || entry.depth() == 0 {
            continue;
        }
        if !kind.is_file() {
            return Err(FilesError::Special { path: entry.path().to_owned(), found: name_of_kind(kind) });
        }
        if found.len() == BundleTree::MAX_FILES {
            return Err(FilesError::TooMany { path: root.to_owned(), max: BundleTree::MAX_FILES });
        }
        let stamp = Stamp::from(&entry.metadata().map_err(|error| walk_error(root, error))?);
        found.push(Found { path: entry.into_path(), stamp });
    }
    Ok(found)
}

/// What a worker has to say.
enum Step {
    Read(u64),
    Done(usize, Result<FileDigest, FilesError>),
}

/// The digest of each file, in order; of several failures the first in that order.
fn hash_all(found: &[Found], progress: &mut dyn FnMut(u64)) -> Result<Vec<FileDigest>, FilesError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(found.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut digests = Vec::with_capacity(found.len());
    let mut failure: Option<(usize, FilesError)> = None;
    std::thread::scope(|scope| {
        let (say, heard) = sync_channel(STEPS_AHEAD);
        for _ in 0..workers {
            let say = say.clone();
            scope.spawn(|| work(found, &next, &stop, say));
        }
        drop(say);
        for step in heard {
            match step {
                Step::Read(bytes) => progress(bytes),
                Step::Done(at, Ok(digest)) => digests.push((at, digest)),
                Step::Done(at, Err(error)) => {
                    stop.store(true, Ordering::Relaxed);
                    if failure.as_ref().is_none_or(|(first, _)| at < *first) {
                        failure = Some((at, error));
                    }
                }
            }
        }
    });
    match failure {
        Some((_, error)) => Err(error),
        None => {
            digests.sort_unstable_by_key(|(at, _)| *at);
            Ok(digests.into_iter().map(|(_, digest)| digest).collect())
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the last sender gone is what ends the run")]
fn work(found: &[Found], next: &AtomicUsize, stop: &AtomicBool, say: SyncSender<Step>) {
    while !stop.load(Ordering::Relaxed) {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(file) = found.get(at) else { break };
        // Nobody listens only if the listener panicked, and then nothing matters any more.
        let result = hash_unchanged(file, &mut |bytes| drop(say.send(Step::Read(bytes))));
        let _ = say.send(Step::Done(at, result));
    }
}

fn hash_unchanged(found: &Found, progress: &mut dyn FnMut(u64)) -> Result<FileDigest, FilesError> {
    let path = found.path.as_path();
    let read_error = |source| FilesError::read(path, source);
    let changed = || FilesError::Changed { path: path.to_owned() };
    // Without O_NONBLOCK, opening a pipe that was put there meanwhile would wait for a writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = opened.map_err(|error| match std::fs::symlink_metadata(path) {
        Ok(now) if Stamp::from(&now) == found.stamp => read_error(error),
        _ => changed(),
    })?;
    let same = |file: &File| Ok(Stamp::from(&file.metadata().map_err(read_error)?) == found.stamp);
    if !same(&file)? {
        return Err(changed());
    }
    let digest = hash_stream(&mut file, progress).map_err(read_error)?;
    if digest.bytes != found.stamp.bytes || !same(&file)? {
        return Err(changed());
    }
    Ok(digest)
}

/// Succeeds if the directory still has exactly these files.
fn check_unchanged(root: &Path, found: &[Found]) -> Result<(), FilesError> {
    let now = walk(root)?;
    let differs = found.iter().zip(&now).find(|(before, after)| before != after).map(|(before, _)| before);
    let longer = if now.len() > found.len() { &now } else { found };
    match differs.or_else(|| longer.get(found.len().min(now.len()))) {
        Some(file) => Err(FilesError::Changed { path: file.path.clone() }),
        None => Ok(()),
    }
}

/// How far the workers may be ahead of whoever counts.
const STEPS_AHEAD: usize = 1024;

#[cfg(test)]
mod tests;
