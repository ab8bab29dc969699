//! The leaf: its bytes, its signature lines, and that nothing but those bytes is accepted.

use alloc::format;
use alloc::vec;

use super::*;
use crate::note::KeyId;

fn code(leaf: &[u8]) -> &'static str {
    SignedRecord::parse(leaf).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn a_record_of_each_type_survives_a_round_trip() {
    for statement in all_statements() {
        let record = signed(&statement);
        assert_eq!(record.statement(), &statement);
        let again = SignedRecord::parse(&record.encode()).unwrap();
        assert_eq!(again, record);
        assert_eq!(again.encode(), record.encode());
        assert_eq!(encode_leaf(again.payload(), again.signatures()), record.leaf());
        assert_eq!(signed_message(again.payload()), record.message());
        assert_eq!(record.to_entry().as_bytes(), record.encode());
    }
}

#[test]
fn the_leaf_is_the_signed_bytes_an_empty_line_and_the_signatures() {
    let record = signed(&rules(common(9)));
    let payload = core::str::from_utf8(record.payload()).unwrap();
    let signed_bytes = format!("DSSEv1 28 application/vnd.in-toto+json {} {payload}", payload.len());
    assert_eq!(signed_message(record.payload()), signed_bytes.as_bytes());
    assert_eq!(record.record_id().hash(), &sha256(signed_bytes.as_bytes()));
    let line = record.signatures()[0].encode_line();
    assert_eq!(text_of(&record), format!("{signed_bytes}\n\n{line}"));
}

#[test]
fn the_example_of_the_documentation_is_what_this_code_writes() {
    let page = include_str!("../../../../docs/records.md");
    let start = page.rfind("DSSEv1 28 application/").unwrap();
    let example = page[start..].split("```").next().unwrap();
    let record = signed(&channel(common(0), set(&[&signer("vendor.example/publish", 1)], 1)));
    assert_eq!(example, text_of(&record));
    assert_eq!(SignedRecord::parse(example.as_bytes()).as_ref(), Ok(&record));
    let key = signer("vendor.example/publish", 1);
    assert_eq!(record.signed_by(key.verifier()), Ok(true));
    assert!(page.contains(&format!("`{}`", record.record_id())), "recordId {}", record.record_id());
    assert!(
        page.contains(&format!("`{}`", record.to_entry().leaf_hash())),
        "{}",
        record.to_entry().leaf_hash()
    );
}

#[test]
fn refuses_every_truncation_and_extra_byte() {
    for statement in all_statements() {
        let leaf = signed(&statement).encode();
        for end in 0..leaf.len() {
            assert_ne!(code(&leaf[..end]), "accepted", "{end} of {} bytes", leaf.len());
        }
        for extra in [b'\n', b' ', b'a', 0] {
            assert_ne!(code(&[&leaf[..], &[extra]].concat()), "accepted");
            assert_ne!(code(&[&[extra], &leaf[..]].concat()), "accepted");
        }
    }
}

#[test]
fn what_survives_a_changed_byte_reads_as_exactly_those_bytes() {
    for statement in [release(common(8)), withdraw(common(9)), review(common(10)), head(common(11), None)] {
        let original = signed(&statement);
        let leaf = original.encode();
        for at in 0..leaf.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = leaf.clone();
                changed[at] ^= flip;
                if let Ok(record) = SignedRecord::parse(&changed) {
                    assert_eq!(encode_leaf(record.payload(), record.signatures()), changed);
                    assert_ne!(record, original);
                    assert_ne!(record.signed_by(signer("vendor.example/publish", 1).verifier()), Ok(true));
                }
            }
        }
    }
}

#[test]
fn refuses_other_spellings_of_the_layout() {
    let record = signed(&rules(common(9)));
    let leaf = text_of(&record);
    let length = record.payload().len();
    assert!((100..10_000).contains(&length));
    for (from, to, expected) in [
        ("DSSEv1 28", "DSSEv1  28", "unexpected-word"),
        ("DSSEv1 28", "DSSEv1 028", "unexpected-word"),
        ("DSSEv1 28", "DSSEv2 28", "unexpected-word"),
        ("vnd.in-toto+json", "vnd.in-toto+jso", "unexpected-word"),
        (&format!(" {length} "), &format!(" 0{length} "), "decimal-not-canonical"),
        (&format!(" {length} "), &format!(" +{length} "), "decimal-not-canonical"),
        (&format!(" {length} "), &format!("  {length} "), "decimal-not-canonical"),
        (&format!(" {length} "), &format!(" {length}  "), "unexpected-word"),
        (&format!(" {length} "), &format!(" {} ", length + 1), "unexpected-word"),
        (&format!(" {length} "), &format!(" {} ", length - 1), "unexpected-word"),
        (&format!(" {length} "), " 9223372036854775807 ", "truncated"),
        (&format!(" {length} "), " 9223372036854775808 ", "decimal-not-canonical"),
        ("}\n\n", "}\n\n\n", "note-signature-line"),
        ("}\n\n", "}\n", "unexpected-word"),
        ("}\n\n", "}\r\n\r\n", "unexpected-word"),
    ] {
        assert!(leaf.contains(from), "{from:?}");
        let got = code(leaf.replacen(from, to, 1).as_bytes());
        let matches = if expected == "note-signature-line" { got != "accepted" } else { got == expected };
        assert!(matches, "{from:?} -> {to:?}: {got}");
    }
}

#[test]
fn refuses_a_record_above_16_kib() {
    let mut statement = release(common(8));
    let mut fill = |bytes: usize| {
        if let Predicate::Release(common, _) = &mut statement.predicate {
            let strings = (0..bytes / 1000).map(|_| Value::String("a".repeat(997))).collect();
            common.extensions.insert("x-fill".into(), Value::Array(strings));
            common.extensions.insert("x-rest".into(), Value::String("a".repeat(bytes % 1000)));
        }
        SignedRecord::sign(&statement, &[&signer("vendor.example/publish", 1)])
    };
    let around = fill(0).unwrap().encode().len();
    // Commas and quotes: a string of 997 in a list takes 1000 bytes, the first one comma less.
    let most = MAX_RECORD_BYTES - around;
    let largest =
        (most - 20..most + 20).filter_map(|bytes| fill(bytes).ok()).map(|record| record.encode().len());
    assert_eq!(largest.max(), Some(MAX_RECORD_BYTES));
    assert_eq!(fill(most + 20).map_err(|error| error.code()), Err("too-long"));
}

#[test]
fn refuses_a_record_without_signature() {
    let record = signed(&rules(common(9)));
    assert_eq!(SignedRecord::sign(&rules(common(9)), &[]).unwrap_err().code(), "record-unsigned");
    assert_ne!(code(&encode_leaf(record.payload(), &[])), "accepted");
}

#[test]
fn sorts_signatures_by_name_then_id_and_refuses_another_order() {
    let signers = [signer("b", 1), signer("a", 2), signer("a-", 3), signer("a", 4)];
    let record = SignedRecord::sign(&rules(common(9)), &signers.each_ref()).unwrap();
    let names: Vec<_> = record.signatures().iter().map(|line| line.name().as_str()).collect();
    assert_eq!(names, ["a", "a", "a-", "b"]);
    assert!(record.signatures()[0].id() < record.signatures()[1].id());
    for (first, second) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
        let mut lines = record.signatures().to_vec();
        lines.swap(first, second);
        assert_eq!(code(&encode_leaf(record.payload(), &lines)), "record-signature-order");
    }
}

#[test]
fn refuses_two_lines_of_one_name_and_id() {
    let record = signed(&rules(common(9)));
    let line = record.signatures()[0].clone();
    let other = NoteSignature::new(line.name().clone(), line.id(), vec![0; 64]).unwrap();
    for second in [line.clone(), other] {
        assert_eq!(record.with_signature(second.clone()).unwrap_err(), RecordError::SignatureOrder);
        let leaf = encode_leaf(record.payload(), &[line.clone(), second]);
        assert_eq!(code(&leaf), "record-signature-order");
    }
}

#[test]
fn refuses_signatures_that_are_not_64_bytes() {
    let record = signed(&rules(common(9)));
    for got in [1, 63, 65, 72] {
        let name = KeyName::parse("b").unwrap();
        let line = NoteSignature::new(name, KeyId::from_bytes([0; 4]), vec![0; got]).unwrap();
        let leaf = encode_leaf(record.payload(), &[line]);
        assert_eq!(SignedRecord::parse(&leaf), Err(RecordError::SignatureLength { line: 0, got }));
    }
}

#[test]
fn a_later_signature_changes_the_leaf_but_not_the_record_id() {
    let (first, second) = (signer("b", 1), signer("a", 2));
    let record = SignedRecord::sign(&rules(common(9)), &[&first]).unwrap();
    let both = record.with_signature(second.sign(&signed_message(record.payload()))).unwrap();
    assert_eq!(both.record_id(), record.record_id());
    assert_ne!(both.to_entry().leaf_hash(), record.to_entry().leaf_hash());
    assert_eq!(both, SignedRecord::sign(&rules(common(9)), &[&first, &second]).unwrap());
}

#[test]
fn tells_who_signed() {
    let (publish, other) = (signer("a", 1), signer("b", 2));
    let record = SignedRecord::sign(&rules(common(9)), &[&publish]).unwrap();
    assert_eq!(record.signed_by(publish.verifier()), Ok(true));
    assert_eq!(record.signed_by(other.verifier()), Ok(false));
    assert_eq!(record.signed_by(&key("b", 1)), Ok(false));

    let elsewhere = publish.sign(&signed_message(b"{}"));
    let forged = SignedRecord::new(&rules(common(9)), vec![elsewhere]).unwrap();
    assert_eq!(forged.signed_by(publish.verifier()), Err(RecordError::SignatureInvalid { line: 0 }));
}

#[test]
fn a_signature_covers_the_length_and_the_payload_type() {
    // The bare payload, or a payload signed as another type, is not a record's signature.
    let publish = signer("a", 1);
    let statement = rules(common(9));
    let payload = statement.encode();
    let other_type = [format!("DSSEv1 10 text/plain {} ", payload.len()).as_bytes(), &payload].concat();
    for message in [payload, other_type] {
        let record = SignedRecord::new(&statement, vec![publish.sign(&message)]).unwrap();
        assert_eq!(record.signed_by(publish.verifier()), Err(RecordError::SignatureInvalid { line: 0 }));
    }
}

#[test]
fn does_not_sign_what_it_would_not_read() {
    let mut statement = rules(common(9));
    statement.subject[0].name = "\u{e9}".into();
    let error = SignedRecord::sign(&statement, &[&signer("a", 1)]).unwrap_err();
    assert_eq!(error, RecordError::Json(JsonError::NotPrintableAscii));

    let late = Common { expires: Some(UnixSeconds::new(1 << 60).unwrap()), ..common(9) };
    let mut statement = rules(common(9));
    if let Predicate::Rules(common, _) = &mut statement.predicate {
        *common = late;
    }
    let error = SignedRecord::sign(&statement, &[&signer("a", 1)]).unwrap_err();
    assert_eq!(error.code(), "field-form");
}
