use super::*;
use crate::note::NoteSignature;
use crate::sign::testing::{at, checkpoint_text, cosigner, note};

const ORIGIN: &str = "example.com/behind-the-sofa";

fn bytes(time: u64) -> Vec<u8> {
    [&time.to_be_bytes()[..], &[7; 64]].concat()
}

#[test]
fn the_signed_message_is_header_time_and_whole_text() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n";
    let expected = [b"cosignature/v1\ntime 1679315147\n", text.as_bytes()].concat();
    assert_eq!(signed_message(text, at(1_679_315_147)), expected);
}

#[test]
fn a_cosignature_has_one_spelling() {
    for len in 0..100 {
        let parsed = Cosignature::parse(&alloc::vec![1; len]);
        assert_eq!(parsed.is_ok(), len == Cosignature::LEN, "{len} bytes");
    }
    let bytes = bytes(0x0102_0304);
    let cosignature = Cosignature::parse(&bytes).unwrap();
    assert_eq!(cosignature.time(), at(0x0102_0304));
    assert_eq!(cosignature.encode(), bytes);
}

/// R4.
#[test]
fn refuses_a_time_of_zero_and_above_63_bits() {
    for time in [0, 1 << 63, u64::MAX] {
        assert_eq!(Cosignature::parse(&bytes(time)), Err(NoteError::CosignatureTime), "{time}");
    }
    for time in [1, (1 << 63) - 1] {
        assert_eq!(Cosignature::parse(&bytes(time)).map(|read| read.time().get()), Ok(time));
    }
}

/// R4: the signature itself is sound, the time is what refuses it.
#[test]
fn a_signed_time_of_zero_is_refused() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let note = note(&text, [witness.cosign(&text, at(0))]);
    assert_eq!(witness.verifier().verify_note(&note).map_err(|error| error.code()), Err("cosignature-time"));
}

#[test]
fn the_time_is_covered_by_the_signature() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let line = witness.cosign(&text, at(100));
    let later = [&101u64.to_be_bytes()[..], &line.signature()[8..]].concat();
    let moved = NoteSignature::new(line.name().clone(), line.id(), later).unwrap();
    assert_eq!(witness.verifier().verify_note(&note(&text, [moved])), Err(NoteError::SignatureInvalid));
}

#[test]
fn extension_lines_are_covered_by_the_signature() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let line = witness.cosign(&text, at(100));
    assert!(witness.verifier().verify_note(&note(&text, [line.clone()])).unwrap().is_some());
    let extended = note(&(text + "extension\n"), [line]);
    assert_eq!(witness.verifier().verify_note(&extended), Err(NoteError::SignatureInvalid));
}
