use alloc::string::String;

use super::*;
use crate::note::{NoteSignature, SignedNote, VerifierKey};
use crate::sign::testing::{at, checkpoint_text, cosigner, line_over, log_signer, ml_dsa_cosigner, note};
use crate::sign::{CosignSigner, Signer as _};

const ORIGIN: &str = "example.com/behind-the-sofa";

fn bytes(algorithm: Algorithm, time: u64) -> Vec<u8> {
    [&time.to_be_bytes()[..], &alloc::vec![7; algorithm.signature_len()]].concat()
}

/// What a verifier says to `line` over `text`.
fn code(key: &VerifierKey, text: &str, line: NoteSignature) -> &'static str {
    key.verify_note(&note(text, [line]))
        .map_or_else(|error| error.code(), |found| found.map_or("none", |_| "ok"))
}

fn witness() -> CosignSigner {
    ml_dsa_cosigner("witness.example", 2)
}

#[test]
fn the_signed_message_is_header_time_and_whole_text() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n";
    let expected = [b"cosignature/v1\ntime 1679315147\n", text.as_bytes()].concat();
    assert_eq!(signed_message(text, at(1_679_315_147)), expected);
}

/// Written out from the specification, byte by byte.
#[test]
fn the_signed_subtree_is_name_time_origin_and_the_whole_tree() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n";
    let mut expected = Vec::new();
    expected.extend(b"subtree/v1\n\x00");
    expected.extend(b"\x0fwitness.example");
    expected.extend(b"\x00\x00\x00\x00\x64\x18\x50\xcb");
    expected.extend(b"\x1bexample.com/behind-the-sofa");
    expected.extend([0; 8]);
    expected.extend(b"\x00\x00\x00\x00\x01\x3e\x2d\xc3");
    expected.extend(crate::wire::decode_base64(b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=").unwrap());
    let cosigner = KeyName::parse("witness.example").unwrap();
    assert_eq!(signed_subtree(&cosigner, text, at(0x6418_50cb)).unwrap(), expected);
}

/// Names are cut at no length: what does not fit the format has no message.
#[test]
fn a_subtree_is_signed_by_a_name_of_255_bytes_at_most() {
    let message = |len| {
        let cosigner = KeyName::parse(&"n".repeat(len)).unwrap();
        signed_subtree(&cosigner, &checkpoint_text(&"o".repeat(255)), at(100))
    };
    assert_eq!(message(255).unwrap().len(), 12 + 256 + 8 + 256 + 8 + 8 + 32);
    assert_eq!(message(256), Err(NoteError::SignatureInvalid));
}

#[test]
fn a_cosignature_has_one_spelling() {
    for algorithm in Algorithm::ALL {
        let right = Cosignature::len_of(algorithm);
        for len in (0..100).chain(2400..2450) {
            let parsed = Cosignature::parse(algorithm, &alloc::vec![1; len]);
            assert_eq!(parsed.is_ok(), len == right, "{algorithm}, {len} bytes");
            let other = Algorithm::ALL.into_iter().any(|other| len == Cosignature::len_of(other));
            assert_eq!(Cosignature::parse_by_length(&alloc::vec![1; len]).is_ok(), other, "{len} bytes");
        }
        let bytes = bytes(algorithm, 0x0102_0304);
        let cosignature = Cosignature::parse(algorithm, &bytes).unwrap();
        assert_eq!(cosignature.time(), at(0x0102_0304));
        assert_eq!(cosignature.signature(), &bytes[8..]);
        assert_eq!(cosignature.encode(), bytes);
    }
}

/// R4.
#[test]
fn refuses_a_time_of_zero_and_above_63_bits() {
    for algorithm in Algorithm::ALL {
        let parse = |time| Cosignature::parse(algorithm, &bytes(algorithm, time));
        for time in [0, 1 << 63, u64::MAX] {
            assert_eq!(parse(time), Err(NoteError::CosignatureTime), "{time}");
        }
        for time in [1, (1 << 63) - 1] {
            assert_eq!(parse(time).map(|read| read.time().get()), Ok(time));
        }
    }
}

/// R4: the signature itself is sound, the time is what refuses it.
#[test]
fn a_signed_time_of_zero_is_refused() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    assert_eq!(code(witness.verifier(), &text, witness.cosign(&text, at(0)).unwrap()), "cosignature-time");
    // A subtree's cosignature need not state a time; a witness's must.
    let witness = self::witness();
    assert_eq!(code(witness.verifier(), &text, witness.cosign(&text, at(0)).unwrap()), "cosignature-time");
}

#[test]
fn the_time_is_covered_by_the_signature() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let line = witness.cosign(&text, at(100)).unwrap();
    let later = [&101u64.to_be_bytes()[..], &line.signature()[8..]].concat();
    let moved = NoteSignature::new(line.name().clone(), line.id(), later).unwrap();
    assert_eq!(witness.verifier().verify_note(&note(&text, [moved])), Err(NoteError::SignatureInvalid));
}

#[test]
fn extension_lines_are_covered_by_the_signature() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let line = witness.cosign(&text, at(100)).unwrap();
    assert!(witness.verifier().verify_note(&note(&text, [line.clone()])).unwrap().is_some());
    let extended = note(&(text + "extension\n"), [line]);
    assert_eq!(witness.verifier().verify_note(&extended), Err(NoteError::SignatureInvalid));
}

/// A checkpoint cosigned by Go's torchwood, with the ML-DSA-44 key of 32 bytes `0x02` as its seed.
#[test]
fn a_cosignature_made_elsewhere_verifies() {
    let note = SignedNote::parse(include_bytes!("torchwood.note")).unwrap();
    let key = ml_dsa_cosigner("witness.example/w1", 2).verifier().clone();
    let verified = key.verify_note(&note).unwrap().unwrap();
    assert_eq!(verified.signature(), &note.signatures()[0]);
    assert!(verified.timestamp().unwrap() > at(1_700_000_000));
    let other = note.text().replacen("\n5\n", "\n6\n", 1);
    assert_eq!(code(&key, &other, note.signatures()[0].clone()), "signature-invalid");
}

/// What the signature covers, each part changed alone.
#[test]
fn an_ml_dsa_cosignature_is_of_one_checkpoint_by_one_name_at_one_time() {
    let text = checkpoint_text(ORIGIN);
    let witness = witness();
    let line = witness.cosign(&text, at(100)).unwrap();
    let verify = |text: &str, line: NoteSignature| code(witness.verifier(), text, line);
    assert_eq!(verify(&text, line.clone()), "ok");

    let root = text.lines().nth(2).unwrap();
    let other_root = crate::hash::sha256(b"another root").to_base64();
    for (what, changed) in [
        ("another origin", text.replacen(ORIGIN, "example.com/behind-the-sofb", 1)),
        ("an origin that goes on", text.replacen(ORIGIN, "example.com/behind-the-sofa2", 1)),
        ("another size", text.replacen("\n5\n", "\n6\n", 1)),
        ("another root", text.replacen(root, &other_root, 1)),
        ("no checkpoint", String::from("a text\n")),
    ] {
        assert_ne!(changed, text, "{what}");
        assert_eq!(verify(&changed, line.clone()), "signature-invalid", "{what}");
    }
    let later = [&101u64.to_be_bytes()[..], &line.signature()[8..]].concat();
    let later = NoteSignature::new(line.name().clone(), line.id(), later).unwrap();
    assert_eq!(verify(&text, later), "signature-invalid", "another time");
    // The same key under another name: its line says so, the signature does not.
    let namesake = ml_dsa_cosigner("witness.example2", 2);
    assert_eq!(namesake.verifier().public_key_bytes(), witness.verifier().public_key_bytes());
    let renamed = namesake.cosign(&text, at(100)).unwrap();
    let renamed = NoteSignature::new(line.name().clone(), line.id(), renamed.signature().to_vec()).unwrap();
    assert_eq!(verify(&text, renamed), "signature-invalid", "another name");
    let other = ml_dsa_cosigner("witness.example", 3).cosign(&text, at(100)).unwrap();
    let other = NoteSignature::new(line.name().clone(), line.id(), other.signature().to_vec()).unwrap();
    assert_eq!(verify(&text, other), "signature-invalid", "another key");
}

/// A cosignature of a part of the tree, of a message with another label, or of the form of Ed25519 is none.
#[test]
fn other_messages_of_the_key_are_no_cosignatures_of_a_checkpoint() {
    let text = checkpoint_text(ORIGIN);
    let witness = witness();
    let message = signed_subtree(witness.verifier().name(), &text, at(100)).unwrap();
    let verify = |message: &[u8]| code(witness.verifier(), &text, line_over(&witness, at(100), message));
    assert_eq!(verify(&message), "ok");
    let start = message.len() - 32 - 8 - 1;
    let end = start + 8;
    for (what, place) in [("a start", start), ("another end", end), ("another label", 8), ("no end", 11)] {
        let mut changed = message.clone();
        changed[place] ^= 1;
        assert_eq!(verify(&changed), "signature-invalid", "{what}");
    }
    assert_eq!(verify(&message[..message.len() - 1]), "signature-invalid");
    assert_eq!(verify(&[&message[..], b"\0"].concat()), "signature-invalid");
    assert_eq!(verify(&signed_message(&text, at(100))), "signature-invalid");
    assert_eq!(verify(text.as_bytes()), "signature-invalid");
}

/// Every byte of the signature counts; of the lengths there is one.
#[test]
fn a_changed_or_cut_ml_dsa_cosignature_is_refused() {
    let text = checkpoint_text(ORIGIN);
    let witness = witness();
    let line = witness.cosign(&text, at(100)).unwrap();
    let good = line.signature();
    let verify = |bytes: Vec<u8>| {
        let line = NoteSignature::new(line.name().clone(), line.id(), bytes).unwrap();
        code(witness.verifier(), &text, line)
    };
    for place in (0..good.len()).step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
        let mut changed = good.to_vec();
        changed[place] ^= 1 << (place % 8);
        let refused = verify(changed);
        assert!(matches!(refused, "signature-invalid" | "cosignature-time"), "byte {place}: {refused}");
    }
    for len in [1, 7, 8, 9, 72, good.len() - 1] {
        assert_eq!(verify(good[..len].to_vec()), "signature-invalid", "{len} bytes");
    }
    for more in [&[0][..], &[0; 8]] {
        assert_eq!(verify([good, more].concat()), "signature-invalid");
    }
}

/// N14: a signature of one algorithm under the id of a key of the other.
#[test]
fn a_key_of_one_algorithm_verifies_no_signature_of_the_other() {
    let text = checkpoint_text(ORIGIN);
    let (ed25519, ml_dsa) = (cosigner("witness.example", 2), witness());
    let lines = [ed25519.cosign(&text, at(100)).unwrap(), ml_dsa.cosign(&text, at(100)).unwrap()];
    let log = log_signer(ORIGIN, 1);
    for key in [ed25519.verifier(), ml_dsa.verifier(), log.verifier()] {
        for line in lines.iter().chain([&log.sign(text.as_bytes())]) {
            let crossed =
                NoteSignature::new(key.name().clone(), key.id(), line.signature().to_vec()).unwrap();
            let expected = if line.names(key) { "ok" } else { "signature-invalid" };
            assert_eq!(code(key, &text, crossed), expected, "{key} {}", line.name());
        }
    }
    // Cut or filled up to the length of the other, they are no more than that.
    let [short, long] = lines.map(|line| line.signature().to_vec());
    let line = |key: &VerifierKey, bytes| NoteSignature::new(key.name().clone(), key.id(), bytes).unwrap();
    let mut filled = short.clone();
    filled.resize(long.len(), 0);
    assert_eq!(code(ml_dsa.verifier(), &text, line(ml_dsa.verifier(), filled)), "signature-invalid");
    let cut = long[..short.len()].to_vec();
    assert_eq!(code(ed25519.verifier(), &text, line(ed25519.verifier(), cut)), "signature-invalid");
}

/// N20: the form of ML-DSA covers no extension lines; those of a checkpoint have the log's word only.
#[test]
fn extension_lines_are_not_covered_by_an_ml_dsa_cosignature() {
    let text = checkpoint_text(ORIGIN);
    let witness = witness();
    let line = witness.cosign(&text, at(100)).unwrap();
    let extended = text.clone() + "extension\n";
    assert_eq!(code(witness.verifier(), &extended, line), "ok");
    // The log's signature covers them.
    let log = log_signer(ORIGIN, 1);
    assert_eq!(code(log.verifier(), &extended, log.sign(text.as_bytes())), "signature-invalid");
}
