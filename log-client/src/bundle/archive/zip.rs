//! Files of a zip archive.
//!
//! A zip says everything twice, in a directory at its end and beside each file, and tools differ in which of
//! the two they believe. The library compares them; what it leaves open is checked here.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{Entries, Kind, Told, shown};
use crate::bundle::read_full;
use crate::files::hash_stream;

/// Length of the record at the end of a zip that has no comment.
const END: usize = 22;
/// The flag that says that a name is UTF-8.
const UTF8: u16 = 0x0800;
/// The extra field that gives an entry a second name.
const UNICODE_PATH: u16 = 0x7075;
/// What of a Unix mode says what kind of file it is.
const KIND_MASK: u32 = 0o170_000;
const KIND_REGULAR: u32 = 0o100_000;
const KIND_FOLDER: u32 = 0o040_000;

pub(super) fn read(
    file: &File,
    length: u64,
    progress: &mut dyn FnMut(u64),
    entries: &mut Entries,
) -> Result<(), Kind> {
    let listed = check_end(file, length)?;
    let mut archive = ZipArchive::new(BufReader::new(Told { file, progress })).map_err(failure)?;
    if archive.len() != listed || archive.has_duplicate_names() {
        return Err(Kind::Stray("an entry is listed twice"));
    }
    archive.validate_header_consistency().map_err(failure)?;
    let mut left = entries.limits.bytes;
    let mut first = length;
    for index in 0..archive.len() {
        entries.count()?;
        let mut entry = archive.by_index(index).map_err(failure)?;
        first = first.min(entry.header_start());
        take(&mut entry, &mut left, entries)?;
    }
    if first > 0 && listed > 0 {
        return Err(Kind::Stray("bytes before the first entry"));
    }
    Ok(())
}

impl Seek for Told<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The record at the very end; says how many entries the directory before it lists.
fn check_end(mut file: &File, length: u64) -> Result<usize, Kind> {
    let from = length.checked_sub(END as u64).ok_or(Kind::Truncated)?;
    file.seek(SeekFrom::Start(from)).map_err(Kind::Read)?;
    let mut end = [0; END];
    if read_full(&mut file, &mut end).map_err(Kind::Read)? < END {
        return Err(Kind::Changed);
    }
    if !end.starts_with(b"PK\x05\x06") {
        return Err(Kind::Stray(
            "does not end as a zip without a comment does: cut off, or bytes after its end",
        ));
    }
    let u16_at = |at: usize| end.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]));
    let u32_at = |at: usize| u64::from(u16_at(at)) | u64::from(u16_at(at + 2)) << 16;
    let (this_disk, first_disk, here, listed) = (u16_at(4), u16_at(6), u16_at(8), u16_at(10));
    let (directory_bytes, directory_at) = (u32_at(12), u32_at(16));
    if [here, listed].contains(&u16::MAX) || directory_at == u64::from(u32::MAX) {
        return Err(Kind::Malformed("zip64 is not read here; pack it as .tar.gz".to_owned()));
    }
    if (this_disk, first_disk, u16_at(20)) != (0, 0, 0) || here != listed {
        return Err(Kind::Malformed("in several parts, or with a comment".to_owned()));
    }
    if directory_at + directory_bytes != from {
        return Err(Kind::Stray("bytes between the directory and the end"));
    }
    Ok(usize::from(listed))
}

fn take<R: Read>(entry: &mut ZipFile<'_, R>, left: &mut u64, entries: &mut Entries) -> Result<(), Kind> {
    let raw = entry.name_raw().to_vec();
    let ambiguous = |what| Kind::Ambiguous { name: shown(&raw), what };
    let special = |found| Kind::Special { name: shown(&raw), found };
    if !raw.is_ascii() && entry.flags().as_u16() & UTF8 == 0 {
        return Err(ambiguous("a name in a code page"));
    }
    if entry.encrypted() {
        return Err(special("an encrypted entry"));
    }
    if has_extra(&entry.extra_data().unwrap_or_default(), UNICODE_PATH) {
        return Err(ambiguous("a second name for one entry"));
    }
    let kind = entry.unix_mode().map_or(0, |mode| mode & KIND_MASK);
    if raw.ends_with(b"/") {
        return match kind {
            0 | KIND_FOLDER if entry.size() == 0 => entries.folder(&raw),
            _ => Err(ambiguous("a folder by its name and a file by its mode or content")),
        };
    }
    match kind {
        0 | KIND_REGULAR => {}
        KIND_FOLDER => return Err(ambiguous("a folder by its mode and a file by its name")),
        0o120_000 => return Err(special("a symbolic link")),
        _ => return Err(special("a device, pipe or socket")),
    }
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(special("an entry packed by another method than deflate"));
    }
    let path = entries.file_path(&raw)?;
    let size = entry.size();
    let too_large = Kind::TooLarge { max: entries.limits.bytes };
    if size > *left {
        return Err(too_large);
    }
    // One byte more than allowed shows that the size was a lie.
    let digest =
        hash_stream(&mut entry.take(size + 1), &mut |_| {}).map_err(|error| failure(error.into()))?;
    if digest.bytes != size {
        return Err(ambiguous("another size than the directory says"));
    }
    *left -= size;
    entries.file(path, digest);
    Ok(())
}

/// Whether the extra fields have one with this id. Fields that cannot be told apart count as having it.
fn has_extra(fields: &[u8], id: u16) -> bool {
    let mut rest = fields;
    while let [a, b, c, d, after @ ..] = rest {
        if u16::from_le_bytes([*a, *b]) == id {
            return true;
        }
        match after.get(usize::from(u16::from_le_bytes([*c, *d]))..) {
            Some(next) => rest = next,
            None => return true,
        }
    }
    !rest.is_empty()
}

fn failure(error: ZipError) -> Kind {
    match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => Kind::Read(error),
        ZipError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Kind::Truncated,
        error => Kind::Malformed(error.to_string()),
    }
}
