use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::wire::DecodeErrorKind;

fn entry(length: usize) -> Entry {
    Entry::new(vec![0xab; length]).unwrap()
}

fn bundle(lengths: &[usize]) -> EntryBundle {
    EntryBundle::new(lengths.iter().map(|length| entry(*length)).collect()).unwrap()
}

fn width(width: u16) -> TileWidth {
    TileWidth::new(width).unwrap()
}

fn decode_kind(refused: Result<EntryBundle, BundleError>) -> DecodeErrorKind {
    match refused {
        Err(BundleError::Decode(error)) => error.kind,
        other => panic!("not refused for its bytes: {other:?}"),
    }
}

#[test]
fn an_entry_has_at_most_65_535_bytes() {
    assert_eq!(Entry::new(vec![0; 65_536]), Err(BundleError::EntryTooLong { got: 65_536 }));
    for length in [0, 1, 65_535] {
        let entry = Entry::new(vec![7; length]).unwrap();
        assert_eq!(entry.as_bytes().len(), length);
        assert_eq!(entry.leaf_hash(), leaf_hash(&vec![7; length]));
        assert_eq!(entry.into_bytes(), vec![7; length]);
    }
}

#[test]
fn a_bundle_is_written_as_lengths_and_entries() {
    let entries = [b"a".to_vec(), vec![], b"bc".to_vec()].map(|bytes| Entry::new(bytes).unwrap());
    let bytes = b"\x00\x01a\x00\x00\x00\x02bc";
    assert_eq!(EntryBundle::new(entries.to_vec()).unwrap().encode(), bytes);
    let parsed = EntryBundle::parse(width(3), bytes).unwrap();
    assert_eq!(parsed.entries(), entries);
    assert_eq!(parsed.width(), width(3));
    assert!(parsed.leaf_hashes().eq(entries.iter().map(Entry::leaf_hash)));
    assert_eq!(parsed.into_entries(), entries);
}

#[test]
fn the_length_is_big_endian() {
    let bytes = [&[0x01, 0x02][..], &[0; 0x0102]].concat();
    assert_eq!(
        EntryBundle::parse(width(1), &bytes),
        Ok(EntryBundle::new(vec![Entry(vec![0; 258])]).unwrap())
    );
}

#[test]
fn entries_without_bytes_are_entries() {
    let bytes = [0; 512];
    let parsed = EntryBundle::parse(TileWidth::FULL, &bytes).unwrap();
    assert_eq!(parsed.entries().len(), 256);
    assert!(parsed.leaf_hashes().all(|hash| hash == leaf_hash(b"")));
    assert_eq!(parsed.encode(), bytes);
}

#[test]
fn a_bundle_has_1_to_256_entries() {
    for got in [0, 257, 65_536, 65_537] {
        assert_eq!(EntryBundle::new(vec![entry(0); got]), Err(BundleError::EntryCount { got }));
    }
    assert_eq!(EntryBundle::new(vec![entry(0); 256]).map(|b| b.width()), Ok(TileWidth::FULL));
}

#[test]
fn refuses_one_entry_more_or_less_than_the_width_says() {
    for count in [1, 2, 5, 254, 255, 256] {
        let bytes = bundle(&vec![3; usize::from(count)]).encode();
        assert!(EntryBundle::parse(width(count), &bytes).is_ok());
        if count > 1 {
            let kind = decode_kind(EntryBundle::parse(width(count - 1), &bytes));
            assert_eq!(kind, DecodeErrorKind::TrailingBytes { extra: 5 });
        }
        if count < 256 {
            let kind = decode_kind(EntryBundle::parse(width(count + 1), &bytes));
            assert_eq!(kind, DecodeErrorKind::Truncated { missing: 2 });
        }
    }
    // 257 entries are more than any width can say.
    let bytes = vec![0; 257 * 2];
    let kind = decode_kind(EntryBundle::parse(TileWidth::FULL, &bytes));
    assert_eq!(kind, DecodeErrorKind::TrailingBytes { extra: 2 });
}

#[test]
fn refuses_every_truncation_and_one_byte_more() {
    let bundle = bundle(&[4, 0, 300, 1]);
    let bytes = bundle.encode();
    assert_eq!(EntryBundle::parse(width(4), &bytes), Ok(bundle));
    for length in 0..bytes.len() {
        let kind = decode_kind(EntryBundle::parse(width(4), &bytes[..length]));
        assert!(matches!(kind, DecodeErrorKind::Truncated { missing: 1.. }), "{length}");
    }
    let kind = decode_kind(EntryBundle::parse(width(4), &[&bytes[..], &[0]].concat()));
    assert_eq!(kind, DecodeErrorKind::TrailingBytes { extra: 1 });
}

#[test]
fn refuses_a_length_past_the_end() {
    let kind = decode_kind(EntryBundle::parse(width(1), &[0xff, 0xff, 1, 2, 3]));
    assert_eq!(kind, DecodeErrorKind::Truncated { missing: 65_532 });
}

#[test]
fn the_largest_bundle_is_just_within_the_limit() {
    let largest = bundle(&[Entry::MAX_LEN; 256]);
    let mut bytes = largest.encode();
    assert_eq!(bytes.len(), BUNDLE_MAX_BYTES);
    assert_eq!(BUNDLE_MAX_BYTES, 16_777_472);
    assert_eq!(EntryBundle::parse(TileWidth::FULL, &bytes), Ok(largest));
    bytes.push(0);
    let kind = decode_kind(EntryBundle::parse(TileWidth::FULL, &bytes));
    assert_eq!(kind, DecodeErrorKind::TooLong { got: BUNDLE_MAX_BYTES + 1, max: BUNDLE_MAX_BYTES });
}

#[test]
fn error_codes_are_stable() {
    assert_eq!(BundleError::EntryTooLong { got: 0 }.code(), "entry-too-long");
    assert_eq!(BundleError::EntryCount { got: 0 }.code(), "bundle-entry-count");
    let truncated = EntryBundle::parse(width(1), b"").map_err(|error| error.code());
    assert_eq!(truncated, Err("truncated"));
}

proptest! {
    #[test]
    fn every_bundle_survives_its_bytes(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256)) {
        let entries: Vec<Entry> = entries.into_iter().map(|bytes| Entry::new(bytes).unwrap()).collect();
        let bundle = EntryBundle::new(entries).unwrap();
        prop_assert_eq!(EntryBundle::parse(bundle.width(), &bundle.encode()), Ok(bundle));
    }

    #[test]
    fn what_is_accepted_is_what_would_be_written(
        count in 1u16..6, bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..4, any::<u8>()], 0..64),
    ) {
        if let Ok(bundle) = EntryBundle::parse(width(count), &bytes) {
            prop_assert_eq!(bundle.encode(), bytes);
        }
    }
}
