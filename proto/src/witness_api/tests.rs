use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;

use super::*;
use crate::hash::Hash;
use crate::sign::testing::{assert_exact, at, checkpoint_text, cosigner, log_note, log_signer};

const HASH: &str = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=";

fn note() -> SignedNote {
    log_note(&checkpoint_text("log.example"), &log_signer("log.example", 1))
}

fn body(start: &str) -> Vec<u8> {
    [start.as_bytes(), &note().encode()].concat()
}

fn code(body: impl AsRef<[u8]>) -> &'static str {
    AddCheckpointRequest::parse(body.as_ref()).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn a_request_is_written_as_the_specification_says() {
    let proof = ConsistencyProof::new(vec![crate::wire::parse_hash(HASH.as_bytes()).unwrap()]).unwrap();
    let request = AddCheckpointRequest { old: TreeSize::new(20_852_014).unwrap(), proof, note: note() };
    assert_eq!(request.encode(), body(&format!("old 20852014\n{HASH}\n\n")));
    assert_eq!(AddCheckpointRequest::parse(&request.encode()), Ok(request));
}

#[test]
fn a_request_has_one_spelling() {
    for start in ["old 0\n\n".to_string(), format!("old 9223372036854775807\n{HASH}\n{HASH}\n\n")] {
        assert_exact(&body(&start), AddCheckpointRequest::parse, AddCheckpointRequest::encode);
    }
}

/// W3.
#[test]
fn refuses_other_spellings() {
    let cases = [
        ("old +0\n\n", "decimal-not-canonical"),
        ("old 00\n\n", "decimal-not-canonical"),
        ("old 1 \n\n", "decimal-not-canonical"),
        ("old 1 trailing\n\n", "decimal-not-canonical"),
        ("old  1\n\n", "decimal-not-canonical"),
        ("old 1\r\n\n", "decimal-not-canonical"),
        ("old -1\n\n", "decimal-not-canonical"),
        ("old \n\n", "decimal-not-canonical"),
        ("old 9223372036854775808\n\n", "decimal-not-canonical"),
        ("old\n\n", "unexpected-word"),
        ("OLD 1\n\n", "unexpected-word"),
        ("size 1\n\n", "unexpected-word"),
        (" old 1\n\n", "unexpected-word"),
        ("", "unexpected-word"),
        ("old 1\n", "base64-not-canonical"),
        ("old 1\nAAAA\n\n", "hash-length"),
        ("old 1\n*\n\n", "base64-not-canonical"),
    ];
    for (start, expected) in cases {
        assert_eq!(code(body(start)), expected, "{start:?}");
    }
    assert_eq!(code("old 0\n\n"), "line-unterminated");
    assert_eq!(code("old 0\n\nlog.example\n5\n"), "note-no-empty-line");
}

/// W3, W14.
#[test]
fn refuses_more_than_63_hashes() {
    let with = |count: usize| body(&format!("old 1\n{}\n", format!("{HASH}\n").repeat(count)));
    assert_eq!(code(with(63)), "ok");
    for count in [64, 65, 5000] {
        assert_eq!(code(with(count)), "consistency-proof-too-long", "{count} hashes");
    }
    assert_eq!(code(vec![b'\n'; AddCheckpointRequest::MAX_BYTES + 1]), "too-long");
}

#[test]
fn the_largest_request_fits() {
    let signer = log_signer("log.example", 1);
    let short = log_note("\n", &signer).encode().len();
    let text = "x".repeat(MAX_NOTE_BYTES - short) + "\n";
    let proof = ConsistencyProof::new(vec![Hash::from_bytes([7; 32]); 63]).unwrap();
    let request = AddCheckpointRequest { old: TreeSize::MAX, proof, note: log_note(&text, &signer) };
    assert_eq!(AddCheckpointRequest::parse(&request.encode()), Ok(request));
}

#[test]
fn cosignatures_are_signature_lines() {
    let text = checkpoint_text("log.example");
    let lines =
        [1, 2].map(|seed| cosigner(&format!("w{seed}.example"), seed).cosign(&text, at(100)).unwrap());
    let body = encode_cosignatures(&lines);
    assert_eq!(parse_cosignatures(body.as_bytes()).as_deref(), Ok(&lines[..]));
    let one = encode_cosignatures(&lines[..1]);
    assert_exact(one.as_bytes(), parse_cosignatures, |read| encode_cosignatures(read).into_bytes());
}

#[test]
fn an_answer_has_at_least_one_line_and_nothing_else() {
    let code = |body: &[u8]| parse_cosignatures(body).map_or_else(|error| error.code(), |_| "ok");
    let line = "\u{2014} w.example AAAAAAA=\n";
    assert_eq!(code(line.as_bytes()), "ok");
    assert_eq!(code(b""), "note-no-signature");
    assert_eq!(code(b"\n"), "signature-line");
    assert_eq!(code(format!("{line}\n").as_bytes()), "signature-line");
    assert_eq!(code(format!("{line}text\n").as_bytes()), "signature-line");
    assert_eq!(code(line.replace('\n', "\r\n").as_bytes()), "signature-base64");
    assert_eq!(code(line.repeat(6000).as_bytes()), "too-long");
}

/// W4.
#[test]
fn a_size_is_a_decimal_line() {
    for size in [0, 7, i64::MAX as u64] {
        let size = TreeSize::new(size).unwrap();
        assert_exact(encode_size(size).as_bytes(), parse_size, |size| encode_size(*size).into_bytes());
    }
    assert_eq!(encode_size(TreeSize::MAX).len(), MAX_SIZE_BYTES);
    for body in ["", "\n", "7", "07\n", "+7\n", "7\r\n", "7\n\n", "7 \n", "9223372036854775808\n"] {
        assert!(parse_size(body.as_bytes()).is_err(), "{body:?}");
    }
    assert_eq!(parse_size(&[b'1'; 21]).map_err(|error| error.code()), Err("too-long"));
}

#[test]
fn a_log_is_found_under_the_hash_of_its_origin() {
    let path = checkpoint_path(&Origin::parse("example.com/log42").unwrap());
    assert_eq!(path, "/4e08c70cc7f225871fda7dc115566008e6954b26a25896be01faa45cdd0f63eb/checkpoint");
}
