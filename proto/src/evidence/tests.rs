use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::*;
use crate::hash::{empty_root, leaf_hash, node_hash};
use crate::sign::testing::{
    assert_exact, at, cosigner, head, log_note, log_signer, ml_dsa_cosigner, note, record_signer,
};
use crate::sign::{CosignSigner, LogSigner, Signer as _};

const ORIGIN: &str = "log.example";

fn log() -> LogSigner {
    log_signer(ORIGIN, 1)
}

fn note_of(origin: &str, head: TreeHead, signer: &LogSigner) -> SignedNote {
    log_note(&Checkpoint::new(Origin::parse(origin).unwrap(), head).unwrap().encode(), signer)
}

/// A tree of three entries, its root after two, and the proof between them.
struct Honest {
    two: Hash,
    three: Hash,
    proof: ConsistencyProof,
}

fn honest() -> Honest {
    let [a, b, c] = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
    let two = node_hash(&a, &b);
    Honest { two, three: node_hash(&two, &c), proof: ConsistencyProof::new(vec![c]).unwrap() }
}

fn other_root() -> Hash {
    leaf_hash(b"not what the log has")
}

fn no_hashes() -> ConsistencyProof {
    ConsistencyProof::new(vec![]).unwrap()
}

/// The log signed another tree of two entries than the one its tree of three continues.
fn fork() -> ForkEvidence {
    let Honest { two, three, proof } = honest();
    let smaller = note_of(ORIGIN, head(2, other_root()), &log());
    ForkEvidence::new(smaller, note_of(ORIGIN, head(3, three), &log()), two, proof)
}

fn code(evidence: &ForkEvidence) -> &'static str {
    evidence.verify(log().verifier()).map_or_else(|error| error.code(), |_| "evidence")
}

#[test]
fn two_sizes_that_contradict_each_other_are_evidence() {
    let Honest { two, three, .. } = honest();
    let proven = fork().verify(log().verifier()).unwrap();
    assert_eq!(proven.origin().as_str(), ORIGIN);
    assert_eq!(proven.smaller(), head(2, other_root()));
    assert_eq!(proven.larger(), head(3, three));
    assert_eq!(proven.true_root(), &two);
}

#[test]
fn one_size_with_two_roots_is_evidence() {
    let Honest { three, .. } = honest();
    let [one, other] = [other_root(), three].map(|root| note_of(ORIGIN, head(3, root), &log()));
    let evidence = ForkEvidence::new(one.clone(), other.clone(), three, no_hashes());
    assert_eq!(code(&evidence), "evidence");
    // Either order: none is smaller.
    assert_eq!(code(&ForkEvidence::new(other, one, other_root(), no_hashes())), "evidence");
}

/// A log with an ML-DSA-44 key is bound by what it signed as any other; a witness with one accuses nobody.
#[test]
fn what_an_ml_dsa_key_signed_is_evidence_under_the_name_of_the_log_only() {
    let Honest { two, three, proof } = honest();
    let signed_by = |signer: &CosignSigner| {
        let note_of = |head, time| {
            let text = Checkpoint::new(Origin::parse(ORIGIN).unwrap(), head).unwrap().encode();
            note(&text, [signer.cosign(&text, at(time)).unwrap()])
        };
        ForkEvidence::new(
            note_of(head(2, other_root()), 100),
            note_of(head(3, three), 200),
            two,
            proof.clone(),
        )
    };
    let code = |signer: &CosignSigner| {
        let verdict = signed_by(signer).verify(signer.verifier());
        verdict.map_or_else(|error| error.code(), |_| "evidence")
    };
    assert_eq!(code(&ml_dsa_cosigner(ORIGIN, 1)), "evidence");
    assert_eq!(code(&ml_dsa_cosigner("witness.example/w1", 1)), "evidence-not-of-the-log");
    assert_eq!(code(&cosigner(ORIGIN, 1)), "key-wrong-kind");
    let other_key = signed_by(&ml_dsa_cosigner(ORIGIN, 1)).verify(ml_dsa_cosigner(ORIGIN, 2).verifier());
    assert_eq!(other_key.unwrap_err().code(), "evidence-not-signed");
}

#[test]
fn one_size_needs_the_root_of_the_second_note_and_no_hashes() {
    let Honest { two, three, proof } = honest();
    let [one, other] = [other_root(), three].map(|root| note_of(ORIGIN, head(3, root), &log()));
    let with = |root, proof| code(&ForkEvidence::new(one.clone(), other.clone(), root, proof));
    assert_eq!(with(two, no_hashes()), "evidence-proof-invalid");
    assert_eq!(with(other_root(), no_hashes()), "evidence-proof-invalid");
    assert_eq!(with(three, proof), "evidence-proof-invalid");
}

#[test]
fn notes_that_agree_are_no_evidence() {
    let Honest { two, three, .. } = honest();
    let honest = note_of(ORIGIN, head(2, two), &log());
    assert_eq!(code(&ForkEvidence { smaller: honest, ..fork() }), "evidence-no-contradiction");
    let note = note_of(ORIGIN, head(3, three), &log());
    let same = ForkEvidence::new(note.clone(), note, three, no_hashes());
    assert_eq!(code(&same), "evidence-no-contradiction");
}

#[test]
fn a_proof_that_does_not_hold_is_no_evidence() {
    let Honest { two, three, .. } = honest();
    let fork = fork();
    assert_eq!(code(&ForkEvidence { proof: no_hashes(), ..fork.clone() }), "evidence-proof-invalid");
    let wrong = ConsistencyProof::new(vec![other_root()]).unwrap();
    assert_eq!(code(&ForkEvidence { proof: wrong, ..fork.clone() }), "evidence-proof-invalid");
    // The accused root, or any other, does not become true by being stated.
    for root in [other_root(), three, Hash::from_bytes([0; 32])] {
        assert_ne!(root, two);
        assert_eq!(code(&ForkEvidence { root, ..fork.clone() }), "evidence-proof-invalid");
    }
}

#[test]
fn notes_in_the_wrong_order_are_no_evidence() {
    let ForkEvidence { smaller, larger, root, proof } = fork();
    assert_eq!(code(&ForkEvidence::new(larger, smaller, root, proof)), "evidence-order");
}

#[test]
fn an_empty_tree_contradicts_nothing() {
    let empty = note_of(ORIGIN, TreeHead::empty(), &log());
    assert_eq!(
        code(&ForkEvidence::new(empty.clone(), fork().larger, empty_root(), no_hashes())),
        "evidence-empty-tree"
    );
    let both = ForkEvidence::new(empty.clone(), empty, empty_root(), no_hashes());
    assert_eq!(code(&both), "evidence-empty-tree");
}

#[test]
fn notes_of_different_logs_are_no_evidence() {
    let elsewhere = note_of("other.example", head(2, other_root()), &log());
    assert_eq!(code(&ForkEvidence { smaller: elsewhere.clone(), ..fork() }), "evidence-other-origin");
    assert_eq!(code(&ForkEvidence { larger: elsewhere, ..fork() }), "evidence-other-origin");
}

/// A key can sign for an origin that is not its name, and is bound by it all the same.
#[test]
fn the_origin_need_not_be_the_name_of_the_key() {
    let Honest { two, three, proof } = honest();
    let [smaller, larger] =
        [head(2, other_root()), head(3, three)].map(|head| note_of("other.example", head, &log()));
    assert_eq!(code(&ForkEvidence::new(smaller, larger, two, proof)), "evidence");
}

#[test]
fn notes_the_key_did_not_sign_are_no_evidence() {
    let stranger = log_signer(ORIGIN, 9);
    assert_eq!(fork().verify(stranger.verifier()), Err(EvidenceError::NotSigned { side: Side::Smaller }));
    let by_stranger = note_of(ORIGIN, head(2, other_root()), &stranger);
    assert_eq!(code(&ForkEvidence { smaller: by_stranger.clone(), ..fork() }), "evidence-not-signed");
    let larger = ForkEvidence { larger: by_stranger, ..fork() };
    assert_eq!(larger.verify(log().verifier()), Err(EvidenceError::NotSigned { side: Side::Larger }));
}

/// Anyone can put another text above an honest signature.
#[test]
fn a_signature_over_another_text_is_no_evidence() {
    let ForkEvidence { smaller, larger, .. } = fork();
    let forged = smaller.with_signatures(larger.signatures().to_vec()).unwrap();
    let evidence = ForkEvidence { smaller: forged, ..fork() };
    assert_eq!(code(&evidence), "signature-invalid");
    let forged = larger.with_signatures(smaller.signatures().to_vec()).unwrap();
    assert_eq!(code(&ForkEvidence { larger: forged, ..fork() }), "signature-invalid");
}

#[test]
fn only_a_log_key_can_be_accused() {
    let witness = cosigner(ORIGIN, 1);
    let mut accused = fork();
    for note in [&mut accused.smaller, &mut accused.larger] {
        note.add_signature(witness.cosign(note.text(), at(100)).unwrap()).unwrap();
    }
    for key in [witness.verifier(), record_signer(ORIGIN, 1).verifier()] {
        assert_eq!(accused.verify(key).map_err(|error| error.code()), Err("key-wrong-kind"));
    }
}

#[test]
fn signed_text_that_is_no_checkpoint_is_no_evidence() {
    let other = log_note("other text\n", &log());
    assert_eq!(code(&ForkEvidence { smaller: other.clone(), ..fork() }), "evidence-not-a-checkpoint");
    assert_eq!(code(&ForkEvidence { larger: other, ..fork() }), "evidence-not-a-checkpoint");
}

#[test]
fn lines_of_others_do_not_weaken_evidence() {
    let mut evidence = fork();
    let stranger = log_signer("stranger.example", 9);
    evidence.smaller.add_signature(stranger.sign(b"anything")).unwrap();
    assert_eq!(code(&evidence), "evidence");
}

#[test]
fn evidence_is_written_as_documented() {
    let evidence = fork();
    let [smaller, larger] =
        [evidence.smaller(), evidence.larger()].map(|note| String::from_utf8(note.encode()).unwrap());
    let (root, proof) = (evidence.root().to_base64(), evidence.proof().hashes()[0].to_base64());
    let expected = format!(
        "indelible-evidence/v1\nfork\nroot {root}\nproof {proof}\n\nnote {}\n{smaller}note {}\n{larger}",
        smaller.len(),
        larger.len()
    );
    assert_eq!(String::from_utf8(evidence.encode()).unwrap(), expected);
}

#[test]
fn evidence_has_one_spelling() {
    let mut same_size = fork();
    same_size.proof = no_hashes();
    for evidence in [fork(), same_size] {
        assert_exact(&evidence.encode(), ForkEvidence::parse, ForkEvidence::encode);
        assert_eq!(ForkEvidence::parse(&evidence.encode()), Ok(evidence));
    }
}

#[test]
fn refuses_other_spellings() {
    let good = String::from_utf8(fork().encode()).unwrap();
    let code = |text: &str| ForkEvidence::parse(text.as_bytes()).map_or_else(|error| error.code(), |_| "ok");
    let smaller = fork().smaller().encode().len();
    let length = |len: String| good.replacen(&format!("note {smaller}\n"), &format!("note {len}\n"), 1);
    assert_eq!(code(&good), "ok");
    let cases = [
        (good.replace("/v1", "/v2"), "unexpected-word"),
        (good.replace("fork", "FORK"), "unexpected-word"),
        (good.replace("root ", "root  "), "base64-not-canonical"),
        (good.replace("proof ", "Proof "), "unexpected-word"),
        (good.replace("\n\nnote", "\nnote"), "unexpected-word"),
        (good.replace("\n\nnote", "\r\n\r\nnote"), "base64-not-canonical"),
        (length(format!("0{smaller}")), "decimal-not-canonical"),
        (length(format!("+{smaller}")), "decimal-not-canonical"),
        (length(format!("{}", smaller - 1)), "line-unterminated"),
        (length(format!("{}", smaller + 1)), "line-unterminated"),
        (length("0".into()), "line-unterminated"),
        (length("9223372036854775807".into()), "truncated"),
        (length("18446744073709551615".into()), "decimal-not-canonical"),
        (good.clone() + &good, "trailing-bytes"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(&text), expected, "{text}");
    }
}

#[test]
fn refuses_more_than_63_hashes_and_more_bytes_than_the_limit() {
    let good = String::from_utf8(fork().encode()).unwrap();
    let line = format!("proof {}\n", fork().proof().hashes()[0].to_base64());
    let with = |count: usize| ForkEvidence::parse(good.replace(&line, &line.repeat(count)).as_bytes());
    assert!(with(63).is_ok());
    assert_eq!(with(64).map_err(|error| error.code()), Err("consistency-proof-too-long"));
    assert_eq!(with(5000).map_err(|error| error.code()), Err("consistency-proof-too-long"));
    let long = ForkEvidence::parse(&vec![b'\n'; ForkEvidence::MAX_BYTES + 1]);
    assert_eq!(long.map_err(|error| error.code()), Err("too-long"));
}
