use alloc::format;
use alloc::string::ToString;

use super::*;
use crate::sign::Signer as _;
use crate::sign::testing::{assert_exact, log_note, log_signer, note};

const EM_DASH: &str = "\u{2014}";
const SPEC_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
     Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn code(bytes: impl AsRef<[u8]>) -> &'static str {
    SignedNote::parse(bytes.as_ref()).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn reads_the_note_of_the_specification() {
    let note = SignedNote::parse(SPEC_NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    let key =
        VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let verified = key.verify_note(&note).unwrap().unwrap();
    assert_eq!(verified.signature(), &note.signatures()[0]);
    assert_eq!(verified.timestamp(), None);
}

#[test]
fn a_note_has_one_spelling() {
    assert_exact(SPEC_NOTE.as_bytes(), SignedNote::parse, SignedNote::encode);
}

/// N1.
#[test]
fn refuses_text_that_is_not_a_note() {
    let signature = "\u{2014} a.example AAAAAAA=\n";
    assert_eq!(code(format!("text\n\n{signature}")), "ok");
    let cases = [
        (String::new(), "line-unterminated"),
        ("text".into(), "line-unterminated"),
        ("text\n".into(), "note-no-empty-line"),
        (format!("text\n{signature}"), "note-no-empty-line"),
        (signature.into(), "note-no-empty-line"),
        (format!("\n{signature}"), "note-no-empty-line"),
        ("text\n\n".into(), "note-no-signature"),
        ("\n\n".into(), "note-no-signature"),
        (format!("text\n\n{signature}\n"), "note-no-signature"),
        (format!("text\n\n{signature}text\n"), "signature-line"),
        (format!("text\n\n{}", signature.trim_end()), "line-unterminated"),
        (format!("text\r\n\r\n{signature}"), "note-no-empty-line"),
        (format!("text\r\n\n{signature}"), "control-character"),
        (format!("text\n\n{}", signature.replace('\n', "\r\n")), "signature-base64"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(&text), expected, "{text:?}");
    }
}

/// N2.
#[test]
fn refuses_control_characters_and_what_is_not_utf8() {
    for byte in (0..b' ').filter(|byte| *byte != b'\n') {
        let bytes = [b"te", &[byte][..], "xt\n\n\u{2014} a.example AAAAAAA=\n".as_bytes()].concat();
        assert_eq!(code(&bytes), "control-character", "{byte:#04x}");
    }
    for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"] {
        let note = [bytes, "text\n\n\u{2014} a.example AAAAAAA=\n".as_bytes()].concat();
        assert_eq!(code(note), "not-utf8", "{bytes:?}");
        let note = ["text\n\n\u{2014} a".as_bytes(), bytes, b" AAAAAAA=\n"].concat();
        assert_eq!(code(note), "not-utf8", "{bytes:?}");
    }
}

/// N3.
#[test]
fn refuses_other_spellings_of_a_signature_line() {
    let cases = [
        ("-- a.example AAAAAAA=", "signature-line"),
        ("- a.example AAAAAAA=", "signature-line"),
        ("\u{2013} a.example AAAAAAA=", "signature-line"),
        ("\u{2015} a.example AAAAAAA=", "signature-line"),
        ("\u{2014}a.example AAAAAAA=", "signature-line"),
        ("\u{2014}  a.example AAAAAAA=", "signature-name"),
        ("\u{2014} a.example  AAAAAAA=", "signature-base64"),
        ("\u{2014} a.example AAAAAAA= ", "signature-base64"),
        (" \u{2014} a.example AAAAAAA=", "signature-line"),
        ("\u{2014}\u{a0}a.example AAAAAAA=", "signature-line"),
        ("\u{2014} a.example\u{a0}AAAAAAA=", "signature-line"),
        ("\u{2014} a\u{3000}example AAAAAAA=", "signature-name"),
        ("\u{2014} a+b AAAAAAA=", "signature-name"),
        ("\u{2014} \t AAAAAAA=", "signature-name"),
        ("\u{2014} a.example", "signature-line"),
        ("\u{2014} a.example ", "signature-too-short"),
        ("\u{2014} a.example AAAAAA==", "signature-too-short"),
        ("\u{2014} ", "signature-line"),
        ("\u{2014}", "signature-line"),
        ("text", "signature-line"),
    ];
    for (line, expected) in cases {
        assert_eq!(code(format!("text\n\n{line}\n")), expected, "{line:?}");
        assert!(NoteSignature::parse_line(format!("{line}\n").as_bytes()).is_err(), "{line:?}");
    }
}

/// N12.
#[test]
fn refuses_loose_base64_in_a_signature_line() {
    for base64 in
        ["AAAAAAA", "AAAAAAA==", "AAAAAAB=", "AAAA-AA=", "AAAA_AA=", "AAAA\rAAA=", "AAAA AAA=", "====", "A"]
    {
        assert_eq!(code(format!("text\n\n\u{2014} a.example {base64}\n")), "signature-base64", "{base64:?}");
    }
}

#[test]
fn a_signature_line_has_one_spelling() {
    let line = "\u{2014} a.example AAAAAAA=\n".as_bytes();
    assert_exact(line, NoteSignature::parse_line, |line| line.encode_line().into_bytes());
    let twice = [line, line].concat();
    assert_eq!(NoteSignature::parse_line(&twice).map_err(|error| error.code()), Err("trailing-bytes"));
}

#[test]
fn a_signature_has_at_least_one_byte() {
    let name = KeyName::parse("a.example").unwrap();
    let empty = NoteSignature::new(name, KeyId::from_bytes([0; 4]), Vec::new());
    assert_eq!(empty.map_err(|error| error.code()), Err("signature-too-short"));
}

/// N4.
#[test]
fn the_last_empty_line_parts_text_and_signatures() {
    let signer = log_signer("log.example", 1);
    for text in ["a\n\nb\n", "a\n\n\nb\n", "a\n\n", "\n", "\n\n", "a\n\n\u{2014} a.example AAAAAAA=\n"] {
        let note = log_note(text, &signer);
        let parsed = SignedNote::parse(&note.encode()).unwrap();
        assert_eq!(parsed.text(), text);
        assert_eq!(parsed, note);
        assert!(signer.verifier().verify_note(&parsed).unwrap().is_some(), "{text:?}");
    }
}

/// A signature over the part after an earlier empty line is not one over the whole text.
#[test]
fn text_before_an_earlier_empty_line_is_signed_too() {
    let signer = log_signer("log.example", 1);
    let honest = log_note("b\n", &signer).encode();
    let longer = SignedNote::parse(&[b"a\n\n", &honest[..]].concat()).unwrap();
    assert_eq!(longer.text(), "a\n\nb\n");
    assert_eq!(signer.verifier().verify_note(&longer), Err(NoteError::SignatureInvalid));
}

/// N5.
#[test]
fn accepts_many_signatures_and_refuses_by_size() {
    let line = |count: usize| "\u{2014} a.example AAAAAAA=\n".repeat(count);
    assert_eq!(SignedNote::parse(format!("text\n\n{}", line(16)).as_bytes()).unwrap().signatures().len(), 16);
    // Sixteen post-quantum signatures.
    let large = format!("{EM_DASH} a.example {}\n", crate::wire::encode_base64([7; 5000])).repeat(16);
    assert_eq!(code(format!("text\n\n{large}")), "ok");
    assert_eq!(code(format!("text\n\n{}", line(10_000))), "note-too-long");
    // The size is looked at first: these bytes are not even UTF-8.
    assert_eq!(code(alloc::vec![0xff; MAX_NOTE_BYTES + 1]), "note-too-long");
}

#[test]
fn a_note_of_exactly_the_limit_is_the_longest() {
    let signer = log_signer("log.example", 1);
    let short = log_note("\n", &signer);
    let room = MAX_NOTE_BYTES - short.encode().len();
    let text = |len: usize| "x".repeat(len) + "\n";
    let longest = log_note(&text(room), &signer);
    assert_eq!(longest.encode().len(), MAX_NOTE_BYTES);
    assert_eq!(SignedNote::parse(&longest.encode()), Ok(longest));
    let too_long = SignedNote::new(text(room + 1), short.signatures().to_vec());
    assert_eq!(too_long, Err(NoteError::TooLong { got: MAX_NOTE_BYTES + 1 }));
}

#[test]
fn appending_a_signature_appends_a_line() {
    let (one, two) = (log_signer("one.example", 1), log_signer("two.example", 2));
    let mut note = log_note("text\n", &one);
    let before = note.encode();
    let line = two.sign(b"text\n");
    note.add_signature(line.clone()).unwrap();
    assert_eq!(note.encode(), [&before[..], line.encode_line().as_bytes()].concat());
}

#[test]
fn a_note_that_would_become_too_long_stays_as_it_was() {
    let signer = log_signer("log.example", 1);
    let mut note = log_note(&("x".repeat(MAX_NOTE_BYTES - 200) + "\n"), &signer);
    let before = note.clone();
    let added = note.add_signature(signer.sign(b"more"));
    assert!(matches!(added, Err(NoteError::TooLong { .. })));
    assert_eq!(note, before);
}

#[test]
fn the_length_is_known_without_encoding() {
    for len in 1..8 {
        for name in ["a", "\u{e9}.example/\u{65e5}"] {
            let name = KeyName::parse(name).unwrap();
            let line = NoteSignature::new(name, KeyId::from_bytes([9; 4]), alloc::vec![7; len]).unwrap();
            assert_eq!(line.encoded_len(), line.encode_line().len());
            let note = note("text\n", [line.clone(), line]);
            assert_eq!(note.encoded_len(), note.encode().len());
        }
    }
}

#[test]
fn new_refuses_what_parse_would_refuse() {
    let signature = || alloc::vec![log_signer("log.example", 1).sign(b"")];
    let new =
        |text: &str| SignedNote::new(text.to_string(), signature()).map_err(|error| error.code()).map(|_| ());
    assert_eq!(new("text"), Err("line-unterminated"));
    assert_eq!(new(""), Err("line-unterminated"));
    assert_eq!(new("te\rxt\n"), Err("control-character"));
    assert_eq!(new("text\n"), Ok(()));
    assert_eq!(SignedNote::new("text\n".into(), Vec::new()), Err(NoteError::NoSignature));
    let note = SignedNote::new("text\n".into(), signature()).unwrap();
    assert_eq!(note.with_signatures(Vec::new()), Err(NoteError::NoSignature));
    assert_eq!(note.with_signatures(signature()), Ok(note));
}
