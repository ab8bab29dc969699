use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;

use super::*;
use crate::checkpoint::{Checkpoint, Origin};
use crate::hash::{leaf_hash, node_hash};
use crate::sign::testing::{assert_exact, at, cosigner, head, log_note, log_signer};

const ORIGIN: &str = "log.example";

fn leaves() -> [Hash; 3] {
    [b"a", b"b", b"c"].map(|entry| leaf_hash(entry))
}

/// The note of a tree of three entries, cosigned.
fn note() -> SignedNote {
    let [a, b, c] = leaves();
    let head = head(3, node_hash(&node_hash(&a, &b), &c));
    let text = Checkpoint::new(Origin::parse(ORIGIN).unwrap(), head).unwrap().encode();
    let mut note = log_note(&text, &log_signer(ORIGIN, 1));
    note.add_signature(cosigner("w.example", 2).cosign(&text, at(100)).unwrap()).unwrap();
    note
}

fn policy(quorum: &str) -> Policy {
    use crate::sign::Signer as _;
    let (log, witness) = (log_signer(ORIGIN, 1), cosigner("w.example", 2));
    let other = cosigner("other.example", 3);
    let file = format!(
        "log {}\nwitness W {}\nwitness Other {}\nquorum {quorum}\n",
        log.verifier(),
        witness.verifier(),
        other.verifier()
    );
    Policy::parse(file.as_bytes()).unwrap()
}

/// That `b` is at index 1.
fn proof_with(extra: Option<&[u8]>) -> LogProof {
    let [a, _, c] = leaves();
    let path = InclusionProof::new(vec![a, c]).unwrap();
    LogProof::new(extra.map(<[u8]>::to_vec), LeafIndex::new(1).unwrap(), path, note()).unwrap()
}

fn code(bytes: impl AsRef<[u8]>) -> &'static str {
    LogProof::parse(bytes.as_ref()).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn a_proof_is_written_as_the_specification_says() {
    let [a, _, c] = leaves();
    let text = String::from_utf8(proof_with(Some(b"leaf")).encode()).unwrap();
    let note = String::from_utf8(note().encode()).unwrap();
    let expected = format!(
        "c2sp.org/tlog-proof@v1\nextra bGVhZg==\nindex 1\n{}\n{}\n\n{note}",
        a.to_base64(),
        c.to_base64()
    );
    assert_eq!(text, expected);
    let text = String::from_utf8(proof_with(None).encode()).unwrap();
    assert_eq!(text, expected.replace("extra bGVhZg==\n", ""));
}

#[test]
fn a_proof_has_one_spelling() {
    for extra in [None, Some(&b"extra"[..])] {
        let mut proof = proof_with(extra);
        // With one signature line no shorter start is a note.
        proof.note = proof.note.with_signatures(proof.note.signatures()[..1].to_vec()).unwrap();
        assert_exact(&proof.encode(), LogProof::parse, LogProof::encode);
        assert_eq!(LogProof::parse(&proof.encode()), Ok(proof));
    }
}

#[test]
fn a_logged_entry_is_proved() {
    let [_, b, _] = leaves();
    let logged = proof_with(None).verify(&b, &policy("W")).unwrap();
    assert_eq!(logged.index().get(), 1);
    assert_eq!(logged.leaf_hash(), &b);
    assert_eq!(logged.checkpoint().head().size.get(), 3);
    assert_eq!(logged.checkpoint().cosigners().len(), 1);
}

#[test]
fn another_entry_or_index_is_not_proved() {
    let [a, b, c] = leaves();
    let proof = proof_with(None);
    for leaf in [a, c, node_hash(&a, &b), note_root()] {
        assert!(matches!(proof.verify(&leaf, &policy("W")), Err(ProofError::Inclusion(_))));
    }
    for index in [0, 2, 3, 4, i64::MAX as u64] {
        let moved = LogProof { index: LeafIndex::new(index).unwrap(), ..proof.clone() };
        assert!(matches!(moved.verify(&b, &policy("W")), Err(ProofError::Inclusion(_))), "index {index}");
    }
    for hashes in [vec![], vec![a], vec![c, a], vec![a, c, c], vec![b, c]] {
        let proof = LogProof { proof: InclusionProof::new(hashes).unwrap(), ..proof.clone() };
        assert!(matches!(proof.verify(&b, &policy("W")), Err(ProofError::Inclusion(_))));
    }
}

fn note_root() -> Hash {
    Checkpoint::parse(note().text()).unwrap().head().root
}

#[test]
fn the_policy_comes_before_the_proof() {
    let [a, b, _] = leaves();
    for leaf in [a, b] {
        let refused = proof_with(None).verify(&leaf, &policy("Other"));
        assert_eq!(refused, Err(ProofError::Policy(PolicyError::QuorumNotMet { cosigners: 1 })));
    }
}

/// P10: nothing covers the extra data.
#[test]
fn extra_data_changes_nothing() {
    let [_, b, _] = leaves();
    let one = proof_with(Some(b"one"));
    let other = proof_with(Some(b"other"));
    assert_eq!(one.extra(), Some(&b"one"[..]));
    assert_eq!(one.verify(&b, &policy("W")), other.verify(&b, &policy("W")));
}

#[test]
fn refuses_other_spellings() {
    let good = String::from_utf8(proof_with(Some(b"leaf")).encode()).unwrap();
    assert_eq!(code(&good), "ok");
    let cases = [
        (good.replace("@v1", "@v2"), "unexpected-word"),
        (good.replace("@v1\n", "@v1\r\n"), "unexpected-word"),
        (good.replace("@v1\n", "@v1\n\n"), "unexpected-word"),
        (good.replace("extra ", "extra  "), "base64-not-canonical"),
        (good.replace("extra bGVhZg==", "extra bGVhZg="), "base64-not-canonical"),
        (good.replace("extra bGVhZg==", "extra bGVhZh=="), "base64-not-canonical"),
        (good.replace("extra bGVhZg==", "extra "), "log-proof-extra-empty"),
        (good.replace("extra bGVhZg==", "extra"), "unexpected-word"),
        (good.replace("extra bGVhZg==", "Extra bGVhZg=="), "unexpected-word"),
        (good.replace("extra bGVhZg==\n", "extra bGVhZg==\nextra bGVhZg==\n"), "unexpected-word"),
        (good.replace("index 1", "index 01"), "decimal-not-canonical"),
        (good.replace("index 1", "index +1"), "decimal-not-canonical"),
        (good.replace("index 1", "index"), "unexpected-word"),
        (good.replace("index 1", "index 9223372036854775808"), "decimal-not-canonical"),
        (good.replace("index 1\n", ""), "unexpected-word"),
        (good.replace("\n\nlog.example", "\nlog.example"), "base64-not-canonical"),
        (good.replace("\n\nlog.example", "\n \nlog.example"), "base64-not-canonical"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(&text), expected, "{text}");
    }
}

/// P3: the count is refused before the rest is decoded.
#[test]
fn refuses_more_than_63_hashes() {
    let hash = Hash::from_bytes([7; 32]).to_base64() + "\n";
    let note = String::from_utf8(note().encode()).unwrap();
    let with = |count: usize| format!("{FIRST_LINE}\nindex 1\n{}\n{note}", hash.repeat(count));
    assert_eq!(code(with(63)), "ok");
    for count in [64, 65, 3000] {
        let error = LogProof::parse(with(count).as_bytes()).unwrap_err();
        assert_eq!(error, ProofError::Inclusion(InclusionError::TooLong { got: 64 }));
    }
}

#[test]
fn the_largest_extra_data_fits() {
    let largest = vec![7; 65_535];
    let proof = proof_with(Some(&largest));
    assert_eq!(LogProof::parse(&proof.encode()), Ok(proof));
}

#[test]
fn refuses_what_is_longer_than_the_limit() {
    assert_eq!(code(vec![b'\n'; LogProof::MAX_BYTES + 1]), "log-proof-too-long");
    let index = LeafIndex::new(0).unwrap();
    let path = || InclusionProof::new(vec![]).unwrap();
    let too_long = LogProof::new(Some(vec![7; LogProof::MAX_BYTES]), index, path(), note());
    assert_eq!(too_long.map_err(|error| error.code()), Err("log-proof-too-long"));
    assert_eq!(LogProof::new(Some(vec![]), index, path(), note()), Err(ProofError::ExtraEmpty));
}

#[test]
fn an_index_of_zero_and_no_hashes_make_a_proof() {
    let proof =
        LogProof::new(None, LeafIndex::default(), InclusionProof::new(vec![]).unwrap(), note()).unwrap();
    assert_eq!(LogProof::parse(&proof.encode()).unwrap().index().to_string(), "0");
}
