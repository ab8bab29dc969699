use alloc::vec::Vec;

use super::*;
use crate::note::{KeyId, KeyName};
use crate::sign::testing::{
    at, checkpoint_text, cosigner, log_note, log_signer, note, record_signer, secret,
};
use crate::sign::{LogSigner, Signer as _};

const ORIGIN: &str = "log.example";
const NOT_SIGNED: [u8; 64] = [7; 64];

fn line(name: &str, id: KeyId, signature: &[u8]) -> NoteSignature {
    NoteSignature::new(KeyName::parse(name).unwrap(), id, signature.to_vec()).unwrap()
}

#[test]
fn a_note_without_a_line_of_the_key_is_neither_verified_nor_refused() {
    let note = log_note("text\n", &log_signer("other.example", 2));
    assert_eq!(log_signer(ORIGIN, 1).verifier().verify_note(&note), Ok(None));
}

#[test]
fn another_text_does_not_verify() {
    let signer = log_signer(ORIGIN, 1);
    let forged = note("other text\n", [signer.sign(b"text\n")]);
    assert_eq!(signer.verifier().verify_note(&forged), Err(NoteError::SignatureInvalid));
}

/// N6.
#[test]
fn several_lines_of_one_key_count_once_and_the_newest_wins() {
    let text = checkpoint_text(ORIGIN);
    let witness = cosigner("witness.example", 2);
    let [old, new] = [100, 200].map(|time| witness.cosign(&text, at(time)).unwrap());
    for lines in [[old.clone(), new.clone(), old.clone()], [new.clone(), old.clone(), new.clone()]] {
        let verified = witness.verifier().verify_note(&note(&text, lines)).unwrap().unwrap();
        assert_eq!(verified.timestamp(), Some(at(200)));
        assert_eq!(verified.signature(), &new);
        assert_eq!(verified.into_signature(), new);
    }
    let signer = log_signer(ORIGIN, 1);
    let line = signer.sign(text.as_bytes());
    let verified = signer.verifier().verify_note(&note(&text, [line.clone(), line.clone()])).unwrap();
    assert_eq!(verified.map(VerifiedSignature::into_signature), Some(line));
}

/// N8.
#[test]
fn a_hundred_unknown_lines_do_not_hide_a_known_one() {
    let signer = log_signer(ORIGIN, 1);
    let mut lines: Vec<_> =
        (0..100).map(|id| line(ORIGIN, KeyId::from_bytes([0, 0, 0, id]), &NOT_SIGNED)).collect();
    lines.push(signer.sign(b"text\n"));
    assert!(signer.verifier().verify_note(&note("text\n", lines)).unwrap().is_some());
}

/// N9.
#[test]
fn one_bad_line_of_a_known_key_spoils_its_good_one() {
    let signer = log_signer(ORIGIN, 1);
    let good = signer.sign(b"text\n");
    let bad = line(ORIGIN, signer.verifier().id(), &NOT_SIGNED);
    for lines in [[good.clone(), bad.clone()], [bad, good]] {
        assert_eq!(signer.verifier().verify_note(&note("text\n", lines)), Err(NoteError::SignatureInvalid));
    }
}

/// N10: a key ground to the name and id of a known one gives a line that does not verify.
#[test]
fn a_colliding_key_id_is_a_failed_verification() {
    let (known, attacker) = (log_signer(ORIGIN, 1), log_signer(ORIGIN, 2));
    let forged = line(ORIGIN, known.verifier().id(), attacker.sign(b"text\n").signature());
    assert_eq!(known.verifier().verify_note(&note("text\n", [forged])), Err(NoteError::SignatureInvalid));
}

/// N11.
#[test]
fn name_and_id_must_both_match() {
    let known = log_signer(ORIGIN, 1);
    let id = known.verifier().id();
    let [a, b, c, d] = *id.as_bytes();
    let others = [
        line("log.example2", id, &NOT_SIGNED),
        line(ORIGIN, KeyId::from_bytes([a, b, c, d ^ 1]), &NOT_SIGNED),
    ];
    for other in others {
        assert_eq!(known.verifier().verify_note(&note("text\n", [other])), Ok(None));
    }
}

/// N14: the Ed25519 key is the same in both kinds, the signatures are not.
#[test]
fn a_log_signature_is_no_cosignature_and_the_reverse() {
    let text = checkpoint_text(ORIGIN);
    let (log, witness) = (log_signer(ORIGIN, 1), cosigner(ORIGIN, 1));
    assert_eq!(log.verifier().public_key_bytes(), witness.verifier().public_key_bytes());
    let (signature, cosignature) = (log.sign(text.as_bytes()), witness.cosign(&text, at(100)).unwrap());
    let both = note(&text, [signature.clone(), cosignature.clone()]);
    assert_eq!(log.verifier().verify_note(&both).unwrap().unwrap().signature(), &signature);
    assert_eq!(witness.verifier().verify_note(&both).unwrap().unwrap().signature(), &cosignature);

    // Under the id of the other kind, neither verifies.
    let log_id = log.verifier().id();
    for signature in [cosignature.signature(), &cosignature.signature()[8..]] {
        let crossed = note(&text, [line(ORIGIN, log_id, signature)]);
        assert_eq!(log.verifier().verify_note(&crossed), Err(NoteError::SignatureInvalid));
    }
    let timed = [&100u64.to_be_bytes()[..], signature.signature()].concat();
    for signature in [signature.signature(), &timed] {
        let crossed = note(&text, [line(ORIGIN, witness.verifier().id(), signature)]);
        assert_eq!(witness.verifier().verify_note(&crossed), Err(NoteError::SignatureInvalid));
    }
}

#[test]
fn a_record_key_verifies_no_note() {
    let vendor = record_signer("vendor.example", 1);
    let note = note("text\n", [vendor.sign(b"text\n")]);
    let verified = vendor.verifier().verify_note(&note);
    assert_eq!(verified.map_err(|error| error.code()), Err("note-key-kind"));
}

#[test]
fn signatures_of_another_length_do_not_verify() {
    let text = checkpoint_text(ORIGIN);
    let log = LogSigner::new(secret(KeyKind::Log, ORIGIN, 1)).unwrap();
    let witness = cosigner("witness.example", 2);
    let cases = [
        (log.verifier(), log.sign(text.as_bytes())),
        (witness.verifier(), witness.cosign(&text, at(100)).unwrap()),
    ];
    for (key, good) in cases {
        let good = good.signature();
        for bytes in [&good[..good.len() - 1], &good[..1], &[good, &[0]].concat()] {
            let note = note(&text, [line(key.name().as_str(), key.id(), bytes)]);
            assert_eq!(key.verify_note(&note), Err(NoteError::SignatureInvalid));
        }
    }
}

#[test]
fn a_key_is_checked_sixteen_times_at_most() {
    let signer = log_signer(ORIGIN, 1);
    let lines = |count: usize| alloc::vec![signer.sign(b"text\n"); count];
    let verify = |count| signer.verifier().verify_note(&note("text\n", lines(count)));
    assert!(verify(MAX_LINES_BY_ONE_KEY).unwrap().is_some());
    assert_eq!(verify(MAX_LINES_BY_ONE_KEY + 1), Err(NoteError::TooManyLines { got: 17 }));
}
