//! Entries in the encoding of a bundle, shared and not copied.

use bytes::{BufMut as _, Bytes, BytesMut};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::wire::{DecodeError, Reader};

/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;

/// One entry with its length before it: a slice of the batch or bundle it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedEntry(Bytes);

impl EncodedEntry {
    /// The entry with its length before it.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// The entry's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.get(LENGTH_BYTES..).unwrap_or_default()
    }

    /// A copy that does not keep alive what this is a slice of.
    pub(crate) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
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

    pub(crate) fn push(&mut self, entry: &Entry) {
        let bytes = entry.as_bytes();
        self.0.put_u16(u16::try_from(bytes.len()).expect("invariant: an entry is at most 65,535 bytes"));
        self.0.put_slice(bytes);
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
            encoder.push(&Entry::new(entry.to_vec()).unwrap());
        }
        encoder.finish()
    }

    #[test]
    fn splits_what_was_encoded() {
        let entries: [&[u8]; 4] = [b"one", b"", b"three", &[9; 65_535]];
        let encoded = encoded(&entries);
        let split: Vec<_> = split(&encoded).map(|entry| entry.unwrap()).collect();
        assert_eq!(split.iter().map(EncodedEntry::bytes).collect::<Vec<_>>(), entries);
        assert_eq!(split.iter().map(EncodedEntry::encoded).collect::<Vec<_>>().concat(), encoded);
        assert_eq!(end_of(&encoded, 2), Some(7));
        assert_eq!(end_of(&encoded, 4), Some(encoded.len()));
        assert_eq!(end_of(&encoded, 5), None);
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
