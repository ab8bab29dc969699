//! Reading a segment: which appends it holds, and whether what follows them is a torn tail or damage.

use bytes::Bytes;
use indelible_proto::hash::Hash;

use super::Damage;
use super::record::{self, ALIGNMENT, Mark, Payload};
use super::segment::{Header, SEGMENT_HEADER_BYTES};

/// Walks the appends of one segment.
pub(super) struct Scanner {
    bytes: Bytes,
    mark: Mark,
    /// Where the next append starts, if there is one.
    pub(super) at: usize,
    /// Number of the next append.
    pub(super) append: u64,
    /// Hash of the last record so far.
    pub(super) previous: Hash,
}

/// Damage, and the offset it was found at.
pub(super) type DamageAt = (usize, Damage);

impl Scanner {
    /// At the first append of the segment with this header and these bytes, header included.
    pub(super) fn new(header: &Header, bytes: Bytes) -> Self {
        Self {
            bytes,
            mark: header.mark,
            at: SEGMENT_HEADER_BYTES,
            append: header.first_append,
            previous: header.previous,
        }
    }

    /// The payloads of the next append; `None` if no complete one follows. An append counts only as a whole:
    /// of one that is torn, the records that made it to disk are not returned.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Payload>>, DamageAt> {
        let (mut at, mut previous) = (self.at, self.previous);
        let mut payloads = Vec::new();
        loop {
            let Some(found) = record::find(self.bytes.get(at..).unwrap_or_default(), &self.mark) else {
                return Ok(None);
            };
            let place = found.place;
            let follows = place.append == self.append
                && usize::from(place.part) == payloads.len()
                && place.part < place.parts
                && found.previous == previous;
            if !follows {
                return Err((at, Damage::Misplaced));
            }
            let payload = Payload::parse(found.kind, &self.bytes.slice_ref(found.payload));
            payloads.push(payload.ok_or((at, Damage::Payload))?);
            (at, previous) = (at + found.total_bytes, found.hash);
            if payloads.len() == usize::from(place.parts) {
                (self.at, self.previous, self.append) = (at, previous, self.append + 1);
                return Ok(Some(payloads));
            }
        }
    }

    /// What follows the last complete append of the journal's last segment.
    ///
    /// An append is written only after the one before it was synced. So a record of a later append, damaged or not,
    /// proves that what stands before it was once whole, and the journal is damaged; without one, an unreadable
    /// append was never acknowledged, and is cut. Records of the unreadable append itself prove nothing: its
    /// pages may reach the disk in any order.
    pub(super) fn tail(&self) -> Result<Tail, DamageAt> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut tail = Tail::Clean;
        for offset in (0..rest.len()).step_by(ALIGNMENT) {
            let here = rest.get(offset..).unwrap_or_default();
            if here.get(Hash::LEN..).is_none_or(|after_hash| !after_hash.starts_with(&self.mark)) {
                continue;
            }
            tail = Tail::Torn;
            let whole = record::find(here, &self.mark).map(|found| found.place.append);
            let claimed = record::claimed_append(here, self.at + offset, &self.mark);
            if whole.or(claimed).is_some_and(|append| append > self.append) {
                return Err((self.at, Damage::Unreadable));
            }
        }
        Ok(tail)
    }
}

/// What follows the last complete append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing of this segment.
    Clean,
    /// Parts of an append that was never completed.
    Torn,
}
