//! Opening a journal: which segments count, whether their records follow one another, where they end.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use indelible_proto::hash::Hash;
use indelible_proto::size::{LeafIndex, TreeSize};

use super::record::{self, Payload};
use super::scan::{DamageAt, Scanner};
use super::segment::{self, Header};
use super::{Active, Damage, Identity, JournalError, Segment, Tip};
use crate::storage::Storage;

/// Most bytes of segments that an opening keeps in memory to have them replayed. A log that wrote its tiles as it
/// should has fewer; the rest of longer ones is read again.
const MAX_KEPT_BYTES: usize = 128 * 1024 * 1024;

/// Reads and checks every segment, oldest first, and writes the last one again.
pub(super) fn open(
    storage: &Storage,
    dir: &Path,
    identity: Identity,
) -> Result<(VecDeque<Segment>, Active, Tip), JournalError> {
    open_keeping(storage, dir, identity, MAX_KEPT_BYTES)
}

/// The same, keeping no more than so many bytes.
pub(super) fn open_keeping(
    storage: &Storage,
    dir: &Path,
    identity: Identity,
    mut room: usize,
) -> Result<(VecDeque<Segment>, Active, Tip), JournalError> {
    let mut segments = VecDeque::new();
    let mut last: Option<Checked> = None;
    for generation in consecutive_generations(storage, dir)? {
        let path = segment::path(dir, generation);
        let checked = Checked::read(storage, path, generation, identity, last.as_ref())?;
        segments.extend(last.replace(checked).map(|before| before.into_segment(&mut room)));
    }
    let last = last.ok_or_else(|| JournalError::Missing { dir: dir.to_owned() })?;
    let (active, previous) = last.write_again(storage)?;
    let tip = Tip { append: last.scanner.append, previous, size: last.size.unwrap_or(TreeSize::ZERO) };
    segments.push_back(last.into_segment(&mut room));
    Ok((segments, active, tip))
}

/// The header and all bytes of a segment.
pub(super) fn read_segment(storage: &Storage, path: &Path) -> Result<(Header, Bytes), JournalError> {
    let bytes = Bytes::from(storage.read(path)?.unwrap_or_default());
    let header = Header::parse(&bytes).map_err(|damage| damaged(path, (0, damage)))?;
    Ok((header, bytes))
}

/// The first `count` appends of a segment.
pub(super) fn read_appends(
    storage: &Storage,
    path: &Path,
    count: u64,
) -> Result<Vec<Vec<Payload>>, JournalError> {
    let (header, bytes) = read_segment(storage, path)?;
    let mut scanner = Scanner::new(&header, bytes);
    let mut next = || {
        let append = scanner.next().map_err(|damage| damaged(path, damage))?;
        append.ok_or_else(|| damaged(path, (scanner.at, Damage::Unreadable)))
    };
    (0..count).map(|_| next()).collect()
}

/// The error for damage in a segment.
pub(super) fn damaged(path: &Path, (offset, damage): DamageAt) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), offset: offset as u64, damage }
}

/// The longest run of consecutive generations that ends with the highest, in order. Segments below a gap
/// were given up while a crash kept one of them from being deleted. Deletes temporary files.
fn consecutive_generations(storage: &Storage, dir: &Path) -> Result<Vec<u64>, JournalError> {
    storage.remove_leftovers(dir)?;
    let names = storage.list(dir)?.ok_or_else(|| JournalError::Missing { dir: dir.to_owned() })?;
    let mut generations: Vec<u64> = names.iter().filter_map(|name| segment::generation_of(name)).collect();
    generations.sort_unstable();
    let gap = generations.windows(2).rposition(|pair| pair[0].checked_add(1) != Some(pair[1]));
    Ok(generations.split_off(gap.map_or(0, |at| at + 1)))
}

/// A segment whose records are all checked, and what they say in sum.
struct Checked {
    path: PathBuf,
    header: Header,
    /// Length of the file in bytes.
    bytes: usize,
    /// Stands after the last complete append.
    scanner: Scanner,
    /// The complete appends.
    appends: Vec<Vec<Payload>>,
    /// Index of the first entry in this segment.
    first: Option<LeafIndex>,
    /// Tree size after the last batch in this segment or before it.
    size: Option<TreeSize>,
}

impl Checked {
    fn read(
        storage: &Storage,
        path: PathBuf,
        generation: u64,
        identity: Identity,
        before: Option<&Self>,
    ) -> Result<Self, JournalError> {
        let (header, bytes) = read_segment(storage, &path)?;
        if header.generation != generation {
            return Err(damaged(&path, (0, Damage::Name { generation: header.generation })));
        }
        // All of it was written when it was made: an end that is missing had records, or room for them.
        if bytes.len() as u64 != header.capacity {
            return Err(damaged(&path, (bytes.len(), Damage::Length { capacity: header.capacity })));
        }
        if header.identity.origin_hash != identity.origin_hash {
            return Err(JournalError::OtherOrigin { path });
        }
        if header.identity.kind != identity.kind {
            return Err(JournalError::OtherKind { path, got: header.identity.kind, expected: identity.kind });
        }
        if let Some(before) = before
            && (before.scanner.append, before.scanner.previous) != (header.first_append, header.previous)
        {
            return Err(damaged(&before.path, (before.scanner.at, Damage::Gap)));
        }
        let (scanner, bytes) = (Scanner::new(&header, bytes.clone()), bytes.len());
        let size = before.and_then(|before| before.size);
        let mut checked = Self { path, header, bytes, scanner, appends: Vec::new(), first: None, size };
        checked.scan().map_err(|damage| damaged(&checked.path, damage))?;
        Ok(checked)
    }

    fn scan(&mut self) -> Result<(), DamageAt> {
        loop {
            let start = self.scanner.at;
            let Some(payloads) = self.scanner.next()? else {
                return Ok(());
            };
            for payload in &payloads {
                let Payload::Batch(batch) = payload else {
                    continue;
                };
                if self.size.is_some_and(|size| size.next_index() != batch.first) {
                    return Err((start, Damage::BatchOrder));
                }
                self.first.get_or_insert(batch.first);
                self.size = Some(batch.head.size);
            }
            self.appends.push(payloads);
        }
    }

    /// The segment, with its appends if there is `room` for them.
    fn into_segment(self, room: &mut usize) -> Segment {
        let left = room.checked_sub(self.bytes);
        *room = left.unwrap_or(*room);
        let appends = self.scanner.append - self.header.first_append;
        Segment { path: self.path, first: self.first, appends, kept: left.map(|_| self.appends) }
    }

    /// Puts a new file in the place of this segment, the last one, with its complete appends and nothing else:
    /// what is there is on disk then, and only this process writes into it. Returns the hash of its last record,
    /// too.
    fn write_again(&self, storage: &Storage) -> Result<(Active, Hash), JournalError> {
        self.scanner.tail().map_err(|damage| damaged(&self.path, damage))?;
        let header = Header { mark: record::new_mark()?, ..self.header.clone() };
        let mut bytes = header.encode();
        let mut previous = header.previous;
        for (append, payloads) in (header.first_append..).zip(&self.appends) {
            previous = record::encode_append(&mut bytes, &header.mark, append, previous, payloads);
        }
        let Header { generation, capacity, mark, .. } = header;
        let file = storage.create_filled(&self.path, &bytes, capacity)?;
        Ok((Active { file, generation, capacity, mark, end: bytes.len() as u64 }, previous))
    }
}
