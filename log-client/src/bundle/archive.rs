//! An archive as the bundle tree of what it unpacks to, without unpacking it.
//!
//! Which kind it is says the ending of its name: `.tar`, `.tar.gz`, `.tgz` or `.zip`. Archives are hostile
//! input, and tools disagree about odd ones; so what two tools could read in two ways is refused:
//!
//! * links, devices, pipes and sparse files; absolute paths, `..`, and every other path no bundle can have;
//!   two entries of one path, also in other letters; a path that is file and folder;
//! * an end that is missing or comes early, bytes after the end, a second gzip member;
//! * in a tar: an entry with two names or two sizes, a global header that says more than a comment;
//! * in a zip: entries that overlap or are not listed, local headers that say otherwise than the directory,
//!   encryption, comments, bytes before the first entry, zip64 (so at most 65,534 entries), names in code
//!   pages.
//!
//! Limits: [`MAX_ENTRIES`] and [`MAX_UNPACKED_BYTES`], headers and padding included. One entry is in memory at
//! a time, in pieces.

mod tar;
mod zip;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indelible_proto::bundle_tree::{BundleFile, BundleTree, BundleTreeError, PathError, check_path};
use rustix::fs::OFlags;

use crate::files::{FileDigest, name_of_kind};

/// Most entries of an archive, folders included. Bounds the memory that a small file can ask for.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Most bytes an archive may unpack to: more than any rule set has, and hashed in half a minute.
pub const MAX_UNPACKED_BYTES: u64 = 8 << 30;

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.tar`
    Tar,
    /// `.tar.gz` or `.tgz`
    TarGz,
    /// `.zip`
    Zip,
}

impl Format {
    /// The kind of archive that the ending of `path` names.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending);
        match () {
            () if ends(".tar") => Some(Self::Tar),
            () if ends(".tar.gz") || ends(".tgz") => Some(Self::TarGz),
            () if ends(".zip") => Some(Self::Zip),
            () => None,
        }
    }
}

/// Why an archive gives no bundle.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct ArchiveError {
    /// The archive.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ArchiveErrorKind,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveErrorKind {
    /// A file that is no archive by its name.
    #[error("not a directory, nor does the name end in .tar, .tar.gz, .tgz or .zip")]
    UnknownKind,
    /// The system refused to read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// Not a regular file itself.
    #[error("{0} is not a regular file")]
    NotAFile(&'static str),
    /// Written to while it was read.
    #[error("changed while it was read")]
    Changed,
    /// Not of its kind, or damaged.
    #[error("damaged, or not what its name says: {0}")]
    Malformed(String),
    /// It ends early.
    #[error("ends early")]
    Truncated,
    /// Bytes that belong to nothing.
    #[error("{0}")]
    Stray(&'static str),
    /// An entry that is neither a regular file nor a directory.
    #[error("{name}: {found} is not a regular file")]
    Special {
        /// The entry.
        name: String,
        /// What it is.
        found: &'static str,
    },
    /// An entry that two tools could read in two ways.
    #[error("{name}: {what}")]
    Ambiguous {
        /// The entry.
        name: String,
        /// What could be read otherwise.
        what: &'static str,
    },
    /// A name that is not UTF-8.
    #[error("{name}: the name is not UTF-8")]
    Name {
        /// The name, as far as it can be shown.
        name: String,
    },
    /// A path that no bundle can have.
    #[error("{name}: {rule}")]
    Path {
        /// The path.
        name: String,
        /// The rule it breaks.
        rule: PathError,
    },
    /// A file whose path is also that of a folder.
    #[error("{name}: file and folder at once")]
    FolderIsFile {
        /// The path.
        name: String,
    },
    /// An entry beside the folder that was named.
    #[error("{name}: not in the folder {folder}")]
    OutsideFolder {
        /// The entry.
        name: String,
        /// The folder.
        folder: String,
    },
    /// More entries than [`MAX_ENTRIES`].
    #[error("more than {max} entries")]
    TooManyEntries {
        /// The limit.
        max: usize,
    },
    /// More bytes than [`MAX_UNPACKED_BYTES`].
    #[error("unpacks to more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// The files make no bundle.
    #[error("makes no bundle: {0}")]
    Bundle(BundleTreeError),
}

use ArchiveErrorKind as Kind;

impl ArchiveError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match &self.kind {
            Kind::UnknownKind => "archive-unknown-kind",
            Kind::Read(error) if error.kind() == io::ErrorKind::NotFound => "artifact-missing",
            Kind::Read(_) => "artifact-unreadable",
            Kind::NotAFile(_) => "artifact-not-regular",
            Kind::Changed => "artifact-changed",
            Kind::Malformed(_) => "archive-malformed",
            Kind::Truncated => "archive-truncated",
            Kind::Stray(_) => "archive-stray-bytes",
            Kind::Special { .. } => "archive-not-regular",
            Kind::Ambiguous { .. } => "archive-ambiguous",
            Kind::Name { .. } => "archive-name-not-utf8",
            Kind::Path { rule, .. } => rule.code(),
            Kind::FolderIsFile { .. } => "bundle-path-inside-file",
            Kind::OutsideFolder { .. } => "archive-outside-folder",
            Kind::TooManyEntries { .. } => "archive-too-many-entries",
            Kind::TooLarge { .. } => "archive-too-large",
            Kind::Bundle(error) => error.code(),
        }
    }
}

/// Hashes the files of the archive at `path`, or of its folder `folder`. `progress` is told each number of
/// bytes read from the archive.
pub(super) fn hash_archive(
    path: &Path,
    folder: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<BundleTree, ArchiveError> {
    let limits = Limits { entries: MAX_ENTRIES, bytes: MAX_UNPACKED_BYTES };
    hash_within(path, folder, limits, progress).map_err(|kind| ArchiveError { path: path.to_owned(), kind })
}

#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    bytes: u64,
}

fn hash_within(
    path: &Path,
    folder: Option<&str>,
    limits: Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<BundleTree, Kind> {
    let format = Format::of(path).ok_or(Kind::UnknownKind)?;
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(Kind::Read)?;
    let before = file.metadata().map_err(Kind::Read)?;
    if !before.is_file() {
        return Err(Kind::NotAFile(name_of_kind(before.file_type())));
    }
    let mut entries = Entries::new(limits, folder);
    match format {
        Format::Tar => tar::read(Told { file: &file, progress }, &mut entries)?,
        Format::TarGz => tar::read_gzip(BufReader::new(Told { file: &file, progress }), &mut entries)?,
        Format::Zip => zip::read(&file, before.len(), progress, &mut entries)?,
    }
    let after = file.metadata().map_err(Kind::Read)?;
    if after.len() != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(Kind::Changed);
    }
    entries.finish()
}

/// The archive itself, telling how much of it was read.
struct Told<'a> {
    file: &'a File,
    progress: &'a mut dyn FnMut(u64),
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        (self.progress)(count as u64);
        Ok(count)
    }
}

/// What was met so far in an archive.
struct Entries {
    limits: Limits,
    /// The folder to stay in, with a slash at its end; empty for the whole archive.
    folder: String,
    count: usize,
    files: Vec<BundleFile>,
    folders: Vec<String>,
}

impl Entries {
    fn new(limits: Limits, folder: Option<&str>) -> Self {
        let folder = folder.map(|folder| format!("{}/", folder.trim_end_matches('/'))).unwrap_or_default();
        Self { limits, folder, count: 0, files: Vec::new(), folders: Vec::new() }
    }

    /// Counts an entry, of whatever kind.
    fn count(&mut self) -> Result<(), Kind> {
        if self.count == self.limits.entries {
            return Err(Kind::TooManyEntries { max: self.limits.entries });
        }
        self.count += 1;
        Ok(())
    }

    /// The path in the bundle of a file's entry.
    fn file_path(&self, raw: &[u8]) -> Result<String, Kind> {
        let path = bundle_path(raw)?;
        match path.strip_prefix(&self.folder) {
            Some(inside) if !inside.is_empty() => Ok(inside.to_owned()),
            _ => Err(self.outside(path)),
        }
    }

    fn file(&mut self, path: String, digest: FileDigest) {
        self.files.push(BundleFile { path, sha256: digest.sha256, bytes: digest.bytes });
    }

    fn folder(&mut self, raw: &[u8]) -> Result<(), Kind> {
        let raw = raw.strip_suffix(b"/").unwrap_or(raw);
        if raw == b"." {
            return Ok(());
        }
        let path = bundle_path(raw)?;
        let with_slash = format!("{path}/");
        match with_slash.strip_prefix(&self.folder) {
            Some(inside) => self.folders.extend(inside.strip_suffix('/').map(str::to_ascii_lowercase)),
            // A folder on the way to the one that was named.
            None if self.folder.starts_with(&with_slash) => {}
            None => return Err(self.outside(path)),
        }
        Ok(())
    }

    fn outside(&self, name: String) -> Kind {
        Kind::OutsideFolder { name, folder: self.folder.trim_end_matches('/').to_owned() }
    }

    fn finish(self) -> Result<BundleTree, Kind> {
        let tree = BundleTree::from_files(self.files).map_err(Kind::Bundle)?;
        let files: BTreeSet<_> = tree.files().iter().map(|file| file.path.to_ascii_lowercase()).collect();
        match self.folders.into_iter().find(|folder| files.contains(folder)) {
            Some(name) => Err(Kind::FolderIsFile { name }),
            None => Ok(tree),
        }
    }
}

/// An entry's name as a path: UTF-8, without the `./` that tar puts before the names of a folder's files.
fn bundle_path(raw: &[u8]) -> Result<String, Kind> {
    let name = std::str::from_utf8(raw).map_err(|_| Kind::Name { name: shown(raw) })?;
    let path = name.strip_prefix("./").unwrap_or(name);
    check_path(path).map_err(|rule| Kind::Path { name: name.to_owned(), rule })?;
    Ok(path.to_owned())
}

/// A name for a message, whatever its bytes are.
fn shown(raw: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(raw).chars().take(SHOWN_CHARACTERS).collect();
    if raw.is_empty() { "an entry without a name".to_owned() } else { shown }
}

/// As much of a name as a message needs.
const SHOWN_CHARACTERS: usize = 200;

/// An unpacked stream with a limit, which remembers how it ended.
struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
}

struct Meter {
    left: Cell<u64>,
    max: u64,
    exceeded: Cell<bool>,
    ended: Cell<bool>,
}

impl<R: Read> Metered<R> {
    fn new(inner: R, max: u64) -> (Self, Rc<Meter>) {
        let (exceeded, ended) = (Cell::new(false), Cell::new(false));
        let meter = Rc::new(Meter { left: Cell::new(max), max, exceeded, ended });
        (Self { inner, meter: Rc::clone(&meter) }, meter)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.meter.ended.set(true);
        }
        match self.meter.left.get().checked_sub(count as u64) {
            Some(left) => self.meter.left.set(left),
            None => {
                self.meter.exceeded.set(true);
                return Err(io::Error::other("above the limit"));
            }
        }
        Ok(count)
    }
}

impl Meter {
    /// What it means that reading failed.
    fn failure(&self, error: io::Error) -> Kind {
        match error.kind() {
            _ if self.exceeded.get() => Kind::TooLarge { max: self.max },
            io::ErrorKind::UnexpectedEof => Kind::Truncated,
            // The system's own errors have numbers, those of decoders do not.
            _ if error.raw_os_error().is_some() => Kind::Read(error),
            _ if self.ended.get() => Kind::Truncated,
            _ => Kind::Malformed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
