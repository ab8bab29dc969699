//! Files of a tar archive, packed by gzip or not.
//!
//! Extended names are put together here rather than by the library, which reads them whole whatever their
//! size, and lets a later header override an earlier one.

use std::io::{BufRead, Read};

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{Entries, Kind, Meter, Metered, shown};
use crate::bundle::read_full;
use crate::files::hash_stream;

/// Longest extended header: many times the longest path.
const MAX_HEADER_BYTES: u64 = 64 * 1024;
const BLOCK: usize = 512;

/// Reads a tar packed by gzip: exactly one member.
pub(super) fn read_gzip(packed: impl BufRead, entries: &mut Entries) -> Result<(), Kind> {
    let mut decoder = GzDecoder::new(packed);
    read(&mut decoder, entries)?;
    // The end of the member was read, and with it the checksum was checked.
    let rest = decoder.into_inner().fill_buf().map_err(Kind::Read)?.is_empty();
    if rest { Ok(()) } else { Err(Kind::Stray("bytes after the end of the gzip member")) }
}

/// Reads a tar to the end of its stream.
pub(super) fn read(stream: impl Read, entries: &mut Entries) -> Result<(), Kind> {
    let (stream, meter) = Metered::new(stream, entries.limits.bytes);
    let mut archive = Archive::new(stream);
    let mut extended = Extended::default();
    for entry in archive.entries().map_err(|error| meter.failure(error))?.raw(true) {
        let entry = entry.map_err(|error| meter.failure(error))?;
        entries.count()?;
        take(entry, &mut extended, entries, &meter)?;
    }
    if extended.name.is_some() || extended.has_pax {
        return Err(Kind::Stray("a header of an entry that does not follow"));
    }
    check_end(archive.into_inner(), &meter)
}

/// What headers before an entry say about it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<Vec<u8>>,
    has_pax: bool,
}

fn take<R: Read>(
    mut entry: Entry<'_, R>,
    extended: &mut Extended,
    entries: &mut Entries,
    meter: &Meter,
) -> Result<(), Kind> {
    let header = entry.header();
    let kind = header.entry_type();
    let own_name = header.path_bytes().into_owned();
    let size = header.entry_size().map_err(|error| Kind::Malformed(error.to_string()))?;
    let ambiguous = |what| Kind::Ambiguous { name: shown(&own_name), what };
    match kind {
        EntryType::GNULongName => {
            let text = small(&mut entry, size, meter)?;
            let name = text.strip_suffix(b"\0").unwrap_or(&text).to_vec();
            return match extended.name.replace(name) {
                Some(_) => Err(ambiguous("a second name for one entry")),
                None => Ok(()),
            };
        }
        EntryType::XHeader => return extended.add_pax(&small(&mut entry, size, meter)?, &own_name),
        EntryType::XGlobalHeader => {
            let text = small(&mut entry, size, meter)?;
            let records = PaxExtensions::new(&text).map(|record| record.map(|record| record.key_bytes()));
            let keys = records.collect::<Result<Vec<_>, _>>();
            let keys = keys.map_err(|error| Kind::Malformed(error.to_string()))?;
            let only_comments = keys.iter().all(|key| *key == b"comment");
            return if only_comments { Ok(()) } else { Err(ambiguous("a header for all entries")) };
        }
        _ => {}
    }
    let Extended { name, size: said, .. } = std::mem::take(extended);
    if said.is_some_and(|said| said != size.to_string().into_bytes()) {
        return Err(ambiguous("a second size for one entry"));
    }
    let name = name.unwrap_or_else(|| own_name.clone());
    match kind {
        EntryType::Directory if size == 0 => entries.folder(&name),
        EntryType::Directory => Err(ambiguous("a folder with content")),
        EntryType::Regular => {
            let path = entries.file_path(&name)?;
            let digest = hash_stream(&mut entry, &mut |_| {}).map_err(|error| meter.failure(error))?;
            if digest.bytes != size {
                return Err(Kind::Truncated);
            }
            entries.file(path, digest);
            Ok(())
        }
        other => Err(Kind::Special { name: shown(&name), found: kind_name(other) }),
    }
}

impl Extended {
    fn add_pax(&mut self, text: &[u8], entry: &[u8]) -> Result<(), Kind> {
        let ambiguous = |what| Kind::Ambiguous { name: shown(entry), what };
        if std::mem::replace(&mut self.has_pax, true) {
            return Err(ambiguous("a second extended header for one entry"));
        }
        for record in PaxExtensions::new(text) {
            let record = record.map_err(|error| Kind::Malformed(error.to_string()))?;
            let value = record.value_bytes().to_vec();
            let known = match record.key_bytes() {
                b"path" => &mut self.name,
                b"size" => &mut self.size,
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(Kind::Special { name: shown(entry), found: "a sparse file" });
                }
                // Times, owners and the like: no part of a bundle.
                _ => continue,
            };
            if known.replace(value).is_some() {
                return Err(ambiguous("a second name or size for one entry"));
            }
        }
        Ok(())
    }
}

/// The content of an extended header.
fn small(entry: &mut impl Read, size: u64, meter: &Meter) -> Result<Vec<u8>, Kind> {
    if size > MAX_HEADER_BYTES {
        return Err(Kind::Malformed(format!(
            "an extended header of {size} bytes, at most {MAX_HEADER_BYTES}"
        )));
    }
    let mut content = Vec::new();
    entry.take(size).read_to_end(&mut content).map_err(|error| meter.failure(error))?;
    if content.len() as u64 == size { Ok(content) } else { Err(Kind::Truncated) }
}

/// A tar ends with two blocks of zeros at least, and nothing but zeros follows the first of them.
fn check_end(mut rest: impl Read, meter: &Meter) -> Result<(), Kind> {
    // One block of zeros was read, unless the stream ended instead.
    if meter.ended.get() {
        return Err(Kind::Truncated);
    }
    let mut blocks = 1;
    let mut block = [0; BLOCK];
    loop {
        match read_full(&mut rest, &mut block).map_err(|error| meter.failure(error))? {
            0 if blocks >= 2 => return Ok(()),
            0 => return Err(Kind::Truncated),
            BLOCK if block.iter().all(|byte| *byte == 0) => blocks += 1,
            _ => return Err(Kind::Stray("bytes after the end of the tar")),
        }
    }
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "an entry of another type",
    }
}
