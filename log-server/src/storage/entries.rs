//! Entries in the encoding of a bundle, shared and not copied.

use bytes::{BufMut as _, Bytes, BytesMut};
use indelible_proto::wire::{DecodeError, Reader};

/// How many pieces of a partial bundle are put together to one.
const MERGED_PIECES: usize = 16;
/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;

/// One entry with its length before it: a slice of the batch or bundle it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedEntry(Bytes);

impl EncodedEntry {
    /// Bytes that it takes, its length included.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.0.len()
    }

    /// The entry with its length before it.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// The entry's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.get(LENGTH_BYTES..).unwrap_or_default()
    }
}

/// The entries of a bundle that is being filled: pieces of the batches they came with, shared, and copied once
/// where there are many of them. So a clone, which every batch makes, has at most 31 pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartialBundle {
    /// The first so many have been put together of [`MERGED_PIECES`] each, the others are as they came.
    pieces: Vec<Bytes>,
    merged: usize,
    entries: u64,
}

impl PartialBundle {
    /// How many entries there are.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Adds a piece of so many entries.
    pub(crate) fn push(&mut self, piece: Bytes, entries: u64) {
        self.pieces.push(piece);
        self.entries += entries;
        if self.pieces.len() - self.merged == MERGED_PIECES {
            let merged = self.pieces.split_off(self.merged).concat();
            self.pieces.push(Bytes::from(merged));
            self.merged += 1;
        }
    }

    /// All entries one after the other; without a copy if they came in one piece.
    pub(crate) fn encoded(&self) -> Bytes {
        match self.pieces.as_slice() {
            [piece] => piece.clone(),
            pieces => Bytes::from(pieces.concat()),
        }
    }

    /// The entry at a position.
    pub(crate) fn entry(&self, position: usize) -> Result<Option<EncodedEntry>, DecodeError> {
        self.pieces.iter().flat_map(split).nth(position).transpose()
    }

    /// A copy that does not keep alive the batches that this has pieces of.
    pub(crate) fn detached(&self) -> Self {
        let pieces = if self.pieces.is_empty() { vec![] } else { vec![Bytes::from(self.pieces.concat())] };
        Self { pieces, merged: 0, entries: self.entries }
    }
}

/// Bytes that an entry of `len` bytes takes.
pub(crate) fn encoded_len(len: usize) -> usize {
    LENGTH_BYTES + len
}

/// Entries one after the other.
#[derive(Debug)]
pub(crate) struct Encoder(BytesMut);

impl Encoder {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// Adds the bytes of an entry or of a record.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.0.put_u16(u16::try_from(entry.len()).expect("invariant: an entry is at most 65,535 bytes"));
        self.0.put_slice(entry);
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// The entries that `encoded` is made of.
pub(crate) fn split(encoded: &Bytes) -> impl Iterator<Item = Result<EncodedEntry, DecodeError>> + '_ {
    let mut reader = Reader::new(encoded);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let start = reader.position();
        let taken = reader.u16().and_then(|len| reader.take(usize::from(len)));
        if taken.is_err() {
            // Nothing after an entry that ends early can be read.
            reader = Reader::new(&[]);
        }
        Some(taken.map(|_| EncodedEntry(encoded.slice(start..reader.position()))))
    })
}

/// Where the first `count` entries of `encoded` end; `None` if there are fewer.
pub(crate) fn end_of(encoded: &[u8], count: usize) -> Option<usize> {
    let mut reader = Reader::new(encoded);
    for _ in 0..count {
        let len = reader.u16().ok()?;
        reader.take(usize::from(len)).ok()?;
    }
    Some(reader.position())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(entries: &[&[u8]]) -> Bytes {
        let mut encoder = Encoder::with_capacity(0);
        for entry in entries {
            encoder.push(entry);
        }
        encoder.finish()
    }

    #[test]
    fn splits_what_was_encoded() {
        let entries: [&[u8]; 4] = [b"one", b"", b"three", &[9; 65_535]];
        let encoded = encoded(&entries);
        let split: Vec<_> = split(&encoded).map(|entry| entry.unwrap()).collect();
        assert_eq!(split.iter().map(EncodedEntry::bytes).collect::<Vec<_>>(), entries);
        assert_eq!(split.iter().map(EncodedEntry::encoded_bytes).sum::<usize>(), encoded.len());
        assert_eq!(end_of(&encoded, 2), Some(7));
        assert_eq!(end_of(&encoded, 4), Some(encoded.len()));
        assert_eq!(end_of(&encoded, 5), None);
    }

    #[test]
    fn a_partial_bundle_is_what_it_was_given_piece_by_piece() {
        let (one, two) = (encoded(&[b"one"]), encoded(&[b"two", b"three"]));
        let mut bundle = PartialBundle::default();
        assert_eq!(bundle.encoded(), b"".as_slice());
        bundle.push(one.clone(), 1);
        assert_eq!(bundle.encoded(), one);
        bundle.push(two.clone(), 2);
        for bundle in [&bundle, &bundle.detached()] {
            assert_eq!(bundle.entries(), 3);
            assert_eq!(bundle.encoded(), [one.clone(), two.clone()].concat());
            let entries = (0..4).map(|position| bundle.entry(position).unwrap());
            let entries: Vec<_> = entries.map(|entry| entry.map(|entry| entry.bytes().to_vec())).collect();
            assert_eq!(
                entries,
                [Some(b"one".to_vec()), Some(b"two".to_vec()), Some(b"three".to_vec()), None]
            );
        }
    }

    #[test]
    fn a_partial_bundle_of_many_pieces_has_them_all_in_order_and_few_at_once() {
        let mut bundle = PartialBundle::default();
        let mut all = Vec::new();
        for number in 0..=255u8 {
            bundle.push(encoded(&[&[number]]), 1);
            all.extend_from_slice(&[0, 1, number]);
            assert!(bundle.pieces.len() < 2 * MERGED_PIECES);
            assert_eq!(bundle.encoded(), all);
            let last = bundle.entry(usize::from(number)).unwrap();
            assert_eq!(last.unwrap().bytes(), [number]);
        }
        assert_eq!(bundle.entries(), 256);
    }

    #[test]
    fn an_entry_that_ends_early_is_an_error_and_the_last_item() {
        let encoded = encoded(&[b"one", b"two"]);
        let split: Vec<_> = split(&encoded.slice(..encoded.len() - 1)).collect();
        assert_eq!(split.len(), 2);
        assert!(split[0].is_ok());
        assert_eq!(split[1].as_ref().map_err(DecodeError::code), Err("truncated"));
    }
}
