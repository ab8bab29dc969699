//! Reading a journal without touching it: all that is in it, and all that is wrong with it.
//!
//! [`super::Journal::open`] stops at the first damage, cuts a torn append and deletes leftovers. This reads on
//! after damage as far as segments can be told apart, and changes nothing. A journal that is being written to
//! may seem damaged where it just changed; whoever reads one reads it again.

use std::path::{Path, PathBuf};

use indelible_proto::size::{LeafIndex, TreeSize};

use super::record::Payload;
use super::scan::{Scanner, Tail};
use super::segment::{self, Header};
use super::{Damage, Identity, JournalError, open};
use crate::storage::Storage;

/// What a journal has.
#[derive(Debug, Default)]
pub(crate) struct Inspected {
    /// What the appends say, oldest first.
    pub(crate) payloads: Vec<Placed>,
    /// Everything that is not as it was written.
    pub(crate) damage: Vec<JournalError>,
    /// Where an append begins that was never completed, if the last segment ends with one.
    pub(crate) torn: Option<(PathBuf, u64)>,
    /// Files that are neither segments that count nor temporary ones.
    pub(crate) strays: Vec<PathBuf>,
    /// Where the next append would go.
    pub(crate) end: Option<(PathBuf, u64)>,
    /// Index of the oldest entry.
    pub(crate) first: Option<LeafIndex>,
    /// Tree size after the last batch.
    pub(crate) size: TreeSize,
}

/// A payload and where its append begins.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) payload: Payload,
}

/// Reads the journal in `dir`.
///
/// # Errors
/// [`JournalError::Disk`] if a file can't be read, [`JournalError::Missing`] if there is no journal.
pub(crate) fn inspect(storage: &Storage, dir: &Path, identity: Identity) -> Result<Inspected, JournalError> {
    let names = storage.list(dir)?.ok_or_else(|| JournalError::Missing { dir: dir.to_owned() })?;
    let mut inspected = Inspected::default();
    let mut generations: Vec<u64> = names.iter().filter_map(|name| segment::generation_of(name)).collect();
    generations.sort_unstable();
    let strays = names.iter().filter(|name| segment::generation_of(name).is_none() && !name.starts_with('.'));
    inspected.strays.extend(strays.map(|name| dir.join(name)));
    let gap = generations.windows(2).rposition(|pair| pair[0].checked_add(1) != Some(pair[1]));
    let counting = generations.split_off(gap.map_or(0, |at| at + 1));
    inspected.strays.extend(generations.iter().map(|generation| segment::path(dir, *generation)));
    let Some(last) = counting.last().copied() else {
        return Err(JournalError::Missing { dir: dir.to_owned() });
    };
    let mut before: Option<(PathBuf, Scanner)> = None;
    for generation in counting {
        let path = segment::path(dir, generation);
        before =
            inspected.segment(storage, (&path, generation), identity, before.as_ref(), generation == last)?;
    }
    Ok(inspected)
}

impl Inspected {
    /// Adds a segment; its scanner after the last readable append, unless not even the header can be read.
    fn segment(
        &mut self,
        storage: &Storage,
        (path, generation): (&Path, u64),
        identity: Identity,
        before: Option<&(PathBuf, Scanner)>,
        last: bool,
    ) -> Result<Option<(PathBuf, Scanner)>, JournalError> {
        let (header, bytes) = match open::read_segment(storage, path) {
            Ok(read) => read,
            Err(error @ JournalError::Damaged { .. }) => {
                self.damage.push(error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if let Some(damage) = wrong_header(&header, path, generation, identity) {
            self.damage.push(damage);
            return Ok(None);
        }
        if bytes.len() as u64 != header.capacity {
            self.damage
                .push(open::damaged(path, (bytes.len(), Damage::Length { capacity: header.capacity })));
        }
        if let Some((path, before)) = before
            && (before.append, before.previous) != (header.first_append, header.previous)
        {
            self.damage.push(open::damaged(path, (before.at, Damage::Gap)));
        }
        let mut scanner = Scanner::new(&header, bytes);
        loop {
            let start = scanner.at;
            match scanner.next() {
                Ok(Some(payloads)) => self.append(path, start, payloads),
                Ok(None) => break,
                Err(damage) => {
                    self.damage.push(open::damaged(path, damage));
                    return Ok(Some((path.to_owned(), scanner)));
                }
            }
        }
        if last {
            match scanner.tail() {
                Ok(Tail::Clean) => {}
                Ok(Tail::Torn) => self.torn = Some((path.to_owned(), scanner.at as u64)),
                Err(damage) => self.damage.push(open::damaged(path, damage)),
            }
            self.end = Some((path.to_owned(), scanner.at as u64));
        }
        Ok(Some((path.to_owned(), scanner)))
    }

    fn append(&mut self, path: &Path, offset: usize, payloads: Vec<Payload>) {
        for payload in payloads {
            if let Payload::Batch(batch) = &payload {
                if self.first.is_some() && self.size.next_index() != batch.first {
                    self.damage.push(open::damaged(path, (offset, Damage::BatchOrder)));
                }
                self.first.get_or_insert(batch.first);
                self.size = batch.head.size;
            }
            self.payloads.push(Placed { path: path.to_owned(), offset: offset as u64, payload });
        }
    }
}

fn wrong_header(header: &Header, path: &Path, generation: u64, identity: Identity) -> Option<JournalError> {
    if header.generation != generation {
        return Some(open::damaged(path, (0, Damage::Name { generation: header.generation })));
    }
    if header.identity.origin_hash != identity.origin_hash {
        return Some(JournalError::OtherOrigin { path: path.to_owned() });
    }
    (header.identity.kind != identity.kind).then(|| JournalError::OtherKind {
        path: path.to_owned(),
        got: header.identity.kind,
        expected: identity.kind,
    })
}
