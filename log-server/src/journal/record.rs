//! One record: its header, its hash, and the two payloads. The layout is in the [module's](super)
//! documentation.

use bytes::{BufMut as _, Bytes};
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use indelible_proto::wire::Reader;

use super::JournalError;

/// Records start at multiples of this, in bytes from the start of the file.
pub(super) const ALIGNMENT: usize = 8;
/// The least that a disk writes as a whole, in bytes.
const SECTOR_BYTES: usize = 512;
/// Length of a record's header in bytes.
pub(super) const HEADER_BYTES: usize = 96;

/// Random bytes of one segment that each of its records carries: neither a record left over in a recycled
/// segment nor bytes that someone filled an entry with can pass for a record of this one.
pub(super) type Mark = [u8; 16];

/// A mark nobody can know.
pub(super) fn new_mark() -> Result<Mark, JournalError> {
    let mut mark = Mark::default();
    getrandom::fill(&mut mark).map_err(|_| JournalError::Random)?;
    Ok(mark)
}

/// The entries of one batch and the tree after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Index of the first entry.
    pub first: LeafIndex,
    /// The tree after the batch; at least one entry larger than `first`.
    pub head: TreeHead,
    /// The entries, each as in an entry bundle: 16-bit big-endian length, bytes.
    pub entries: Bytes,
}

/// A checkpoint this log signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// When; never before the one before it.
    pub signed_at: UnixSeconds,
    /// The signed note's bytes.
    pub note: Bytes,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Entries that are sequenced.
    Batch(Batch),
    /// The signed head of the tree.
    Checkpoint(Checkpoint),
}

impl Payload {
    fn kind(&self) -> u8 {
        match self {
            Self::Batch(_) => 1,
            Self::Checkpoint(_) => 2,
        }
    }

    pub(super) fn encoded_bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => BATCH_HEADER_BYTES + batch.entries.len(),
            Self::Checkpoint(checkpoint) => CHECKPOINT_HEADER_BYTES + checkpoint.note.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Batch(batch) => {
                out.put_u64(batch.first.get());
                out.put_u64(batch.head.size.get());
                out.put_slice(batch.head.root.as_bytes());
                out.put_slice(&batch.entries);
            }
            Self::Checkpoint(checkpoint) => {
                out.put_u64(checkpoint.signed_at.get());
                out.put_slice(&checkpoint.note);
            }
        }
    }

    /// The payload of `kind` in `bytes`; `None` if it is no payload this version writes.
    pub(super) fn parse(kind: u8, bytes: &Bytes) -> Option<Self> {
        match kind {
            1 => {
                let mut reader = Reader::new(bytes);
                let first = LeafIndex::new(reader.u64().ok()?).ok()?;
                let size = TreeSize::new(reader.u64().ok()?).ok()?;
                let root = reader.hash().ok()?;
                if first.get() >= size.get() {
                    return None;
                }
                let entries = bytes.slice(reader.position()..);
                Some(Self::Batch(Batch { first, head: TreeHead { size, root }, entries }))
            }
            2 => {
                let mut reader = Reader::new(bytes);
                let signed_at = UnixSeconds::new(reader.u64().ok()?).ok()?;
                Some(Self::Checkpoint(Checkpoint { signed_at, note: bytes.slice(reader.position()..) }))
            }
            _ => None,
        }
    }
}

/// Adds the records of one append to `out`, which ends at an aligned offset, and returns the last one's hash.
pub(super) fn encode_append(
    out: &mut Vec<u8>,
    mark: &Mark,
    append: u64,
    previous: Hash,
    payloads: &[Payload],
) -> Hash {
    let parts = u8::try_from(payloads.len()).expect("invariant: an append has few records");
    (0..parts).zip(payloads).fold(previous, |previous, (part, payload)| {
        encode(out, mark, Place { append, part, parts }, &previous, payload)
    })
}

/// Where a record stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the append the record belongs to.
    pub(super) append: u64,
    /// Position of the record within its append.
    pub(super) part: u8,
    /// How many records the append has.
    pub(super) parts: u8,
}

/// Bytes that records with these payloads take, padding included.
pub(super) fn encoded_bytes(payloads: &[Payload]) -> usize {
    payloads.iter().map(|payload| padded(HEADER_BYTES + payload.encoded_bytes())).sum()
}

/// Adds one record to `out`, which ends at an aligned offset, and returns the record's hash.
pub(super) fn encode(
    out: &mut Vec<u8>,
    mark: &Mark,
    place: Place,
    previous: &Hash,
    payload: &Payload,
) -> Hash {
    let start = out.len();
    let payload_bytes = u32::try_from(payload.encoded_bytes()).expect("invariant: a payload is under 4 GiB");
    out.put_bytes(0, Hash::LEN);
    out.put_slice(mark);
    out.put_slice(&[payload.kind(), place.part, place.parts, 0]);
    out.put_u32(payload_bytes);
    out.put_u64(place.append);
    out.put_slice(previous.as_bytes());
    payload.encode(out);
    let hash = sha256(&out[start + Hash::LEN..]);
    out[start..start + Hash::LEN].copy_from_slice(hash.as_bytes());
    out.resize(start + padded(out.len() - start), 0);
    hash
}

/// A record whose hash fits its bytes; whether it belongs where it stands is for the caller to check.
pub(super) struct Found<'a> {
    pub(super) place: Place,
    pub(super) kind: u8,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    pub(super) payload: &'a [u8],
    /// Bytes from this record's start to the next one's.
    pub(super) total_bytes: usize,
}

/// The record at the start of `bytes`, if there is one that carries `mark`. Its padding belongs to it: where the last
/// sector of a torn write is missing, what an earlier segment had there may be the payload's last bytes by chance.
pub(super) fn find<'a>(bytes: &'a [u8], mark: &Mark) -> Option<Found<'a>> {
    let mut reader = Reader::new(bytes);
    let hash = reader.hash().ok()?;
    if reader.array::<16>().ok()? != *mark {
        return None;
    }
    let [kind, part, parts, reserved] = reader.array().ok()?;
    if reserved != 0 {
        return None;
    }
    let payload_bytes = usize::try_from(reader.u32().ok()?).ok()?;
    let place = Place { append: reader.u64().ok()?, part, parts };
    let previous = reader.hash().ok()?;
    let payload = reader.take(payload_bytes).ok()?;
    if sha256(bytes.get(Hash::LEN..reader.position())?) != hash {
        return None;
    }
    let padding = reader.take(padded(payload_bytes) - payload_bytes).ok()?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(Found { place, kind, previous, hash, payload, total_bytes: reader.position() })
}

/// The number of the append that a record says it belongs to whose first bytes these are, at `at` in the file, damaged or
/// not. `None` unless it carries `mark` in the sector that has the number: a disk writes sectors whole, so what such a
/// sector says was written by the log, and only where it says so.
pub(super) fn claimed_append(bytes: &[u8], at: usize, mark: &Mark) -> Option<u64> {
    let mut reader = Reader::new(bytes);
    reader.hash().ok()?;
    if reader.array::<16>().ok()? != *mark {
        return None;
    }
    let ([kind, part, parts, reserved], _) = (reader.array().ok()?, reader.u32().ok()?);
    let append = reader.u64().ok()?;
    let is_header = matches!(kind, 1 | 2) && part < parts && reserved == 0;
    let in_one_sector = (at + Hash::LEN) / SECTOR_BYTES == (at + reader.position() - 1) / SECTOR_BYTES;
    (is_header && in_one_sector).then_some(append)
}

/// `bytes` rounded up to the alignment.
fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// Bytes of a batch payload before its entries.
const BATCH_HEADER_BYTES: usize = 8 + 8 + Hash::LEN;

/// Bytes of a checkpoint payload before its note.
const CHECKPOINT_HEADER_BYTES: usize = 8;
