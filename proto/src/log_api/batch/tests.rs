use alloc::vec;

use super::*;

fn index(value: u64) -> LeafIndex {
    LeafIndex::new(value).unwrap()
}

#[test]
fn a_batch_reads_back_and_has_one_spelling() {
    let entries: [&[u8]; 4] = [b"one", b"", b"three", &[7; 65_535]];
    let body = encode_batch(&entries, MAX_BATCH_ENTRIES).unwrap();
    assert_eq!(body[..7], *b"\x00\x03one\x00\x00");
    let read = parse_batch(&body, MAX_BATCH_ENTRIES).unwrap();
    assert_eq!(read, entries);
    assert_eq!(encode_batch(&read, MAX_BATCH_ENTRIES).unwrap(), body);
}

#[test]
fn a_batch_that_breaks_off_is_none() {
    let body = encode_batch(&[b"one", b"two"], 2).unwrap();
    for end in (1..body.len()).filter(|end| *end != 5) {
        let error = parse_batch(&body[..end], 2).unwrap_err();
        assert_eq!(error.code(), "batch-framing", "{end}");
        let entry = usize::from(end > 5);
        assert!(matches!(error, BatchError::Framing { entry: at, .. } if at == entry), "{end}");
    }
    assert_eq!(parse_batch(b"", 2), Err(BatchError::Empty));
    assert_eq!(encode_batch::<&[u8]>(&[], 2), Err(BatchError::Empty));
}

#[test]
fn one_entry_or_byte_more_than_a_batch_may_have_is_refused() {
    for max in [2, MAX_BATCH_RECORDS, MAX_BATCH_ENTRIES] {
        let full = vec![b"x"; max];
        assert_eq!(parse_batch(&encode_batch(&full, max).unwrap(), max).unwrap().len(), max);
        let more = vec![b"x"; max + 1];
        assert_eq!(encode_batch(&more, max), Err(BatchError::TooMany { max }));
        let body = encode_batch(&more, max + 1).unwrap();
        assert_eq!(parse_batch(&body, max), Err(BatchError::TooMany { max }));
    }
    // 64 entries that fill a batch to the byte.
    let mut entries = vec![vec![7; 65_534]; 64];
    let body = encode_batch(&entries, 64).unwrap();
    assert_eq!(body.len(), MAX_BATCH_BYTES);
    assert!(parse_batch(&body, 64).is_ok());
    assert_eq!(batch_prefix(&entries, 64), 64);
    entries[0].push(7);
    let got = MAX_BATCH_BYTES + 1;
    assert_eq!(encode_batch(&entries, 64), Err(BatchError::TooLong { got }));
    assert_eq!(parse_batch(&vec![0; got], usize::MAX), Err(BatchError::TooLong { got }));
    assert_eq!((batch_prefix(&entries, 64), batch_prefix(&entries, 10)), (63, 10));
    entries[0].push(7);
    let refused = encode_batch(&entries[..1], 1);
    assert_eq!(refused, Err(BatchError::EntryTooLong { entry: 0, got: 65_536 }));
}

#[test]
fn indices_are_a_line_each_and_as_many_as_entries() {
    let indices = [index(0), index(7), index((1 << 63) - 2)];
    let text = encode_indices(&indices);
    assert_eq!(text, "0\n7\n9223372036854775806\n");
    assert_eq!(parse_indices(text.as_bytes(), 3).unwrap(), indices);
    for (text, count) in
        [("0\n7\n", 3), ("0\n7\n8\n9\n", 3), ("0\n+7\n8\n", 3), ("0\n07\n8\n", 3), ("0\n7", 2)]
    {
        assert!(parse_indices(text.as_bytes(), count).is_err(), "{text:?}");
    }
    let longest = vec![index((1 << 63) - 2); MAX_BATCH_ENTRIES];
    assert_eq!(encode_indices(&longest).len(), MAX_INDICES_BYTES);
}

#[test]
fn answers_read_back_and_are_as_many_as_records() {
    let answer = |status, body: &[u8]| RecordAnswer { status, body: body.to_vec() };
    let answers = [answer(200, b"proof"), answer(409, b"{}"), answer(503, b"")];
    let bytes = RecordAnswer::encode_all(&answers);
    assert_eq!(bytes[..11], *b"\x00\xc8\x00\x00\x00\x05proof");
    assert_eq!(RecordAnswer::parse_all(&bytes, 3).unwrap(), answers);
    for count in [2, 4] {
        assert!(RecordAnswer::parse_all(&bytes, count).is_err());
    }
    for end in 0..bytes.len() {
        assert!(RecordAnswer::parse_all(&bytes[..end], 3).is_err(), "{end}");
    }
    for status in [0, 99, 600, u16::MAX] {
        let bytes = RecordAnswer::encode_all(&[answer(status, b"")]);
        assert_eq!(RecordAnswer::parse_all(&bytes, 1).unwrap_err().code(), "answer-field");
    }
    let long = RecordAnswer::encode_all(&[answer(200, &vec![0; LogProof::MAX_BYTES + 1])]);
    assert_eq!(RecordAnswer::parse_all(&long, 1).unwrap_err().code(), "answer-field");
}
