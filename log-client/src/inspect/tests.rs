use indelible_proto::entry_bundle::{Entry, EntryBundle};
use indelible_proto::note::KeyKind;
use indelible_proto::sign::Signer as _;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;

use super::*;
use crate::test_log::{TestLog, secret, vendor};

fn log() -> TestLog {
    let mut log = TestLog::new();
    log.append(b"one");
    log.append(b"two");
    log
}

fn text(node: &Node, path: &[&str]) -> String {
    let Some((first, rest)) = path.split_first() else {
        return match node {
            Node::Text(text) => text.clone(),
            Node::Number(number) => number.to_string(),
            other => panic!("not a plain value: {other:?}"),
        };
    };
    match node {
        Node::Fields(fields) => {
            let found = fields.iter().find(|(name, _)| name == first);
            text(&found.unwrap_or_else(|| panic!("no {first} in {fields:?}")).1, rest)
        }
        Node::List(values) => text(&values[first.parse::<usize>().unwrap()], rest),
        other => panic!("no {first} in {other:?}"),
    }
}

#[test]
fn tells_each_format_by_its_content() {
    let log = log();
    let note = log.note(2, 2);
    let proof = log.proof(indelible_proto::size::LeafIndex::new(1).unwrap());
    let nothing = || ConsistencyProof::new(Vec::new()).unwrap();
    let evidence = ForkEvidence::new(note.clone(), note.clone(), log.head(2).root, nothing());
    let request = AddCheckpointRequest { old: TreeSize::ZERO, proof: nothing(), note: note.clone() };
    let bundle = EntryBundle::new(vec![Entry::new(b"one".to_vec()).unwrap()]).unwrap();
    let vkey = format!("{}\n", vendor(7).verifier());
    let cosignatures = indelible_proto::witness_api::encode_cosignatures(&note.signatures()[1..]);
    let cases = [
        (proof.encode(), "log proof"),
        (note.encode(), "checkpoint"),
        (evidence.encode(), "evidence of a fork"),
        (request.encode(), "witness request"),
        (cosignatures.into_bytes(), "cosignatures"),
        (log.policy_text(2).into_bytes(), "policy"),
        (vkey.into_bytes(), "verifier key"),
        (bundle.encode(), "entry bundle"),
        (vec![0xee; 64], "hash tile"),
        (b"{\"a\":1}\n".to_vec(), "statement"),
    ];
    for (bytes, kind) in cases {
        assert_eq!(inspect(&bytes).map(|inspected| inspected.kind), Ok(kind));
    }
}

#[test]
fn shows_what_a_proof_says() {
    let log = log();
    let proof = log.proof(indelible_proto::size::LeafIndex::new(1).unwrap());
    let view = inspect(&proof.encode()).unwrap().view;
    assert_eq!(text(&view, &["index"]), "1");
    assert_eq!(text(&view, &["checkpoint", "origin"]), crate::test_log::ORIGIN);
    assert_eq!(text(&view, &["checkpoint", "tree size"]), "2");
    assert_eq!(text(&view, &["checkpoint", "signatures", "1", "cosignature time"]), "2027-01-15T08:00:00Z");
    assert_eq!(text(&view, &["record", "bytes"]), "3");
}

#[test]
fn never_shows_a_secret_key() {
    let key = secret(KeyKind::Log, "log.example", 9);
    let inspected = inspect(key.encode().as_bytes()).unwrap();
    assert_eq!(inspected.kind, "secret key");
    let shown = format!("{inspected:?}");
    let material = key.encode().rsplit('+').next().unwrap().to_owned();
    assert!(!shown.contains(&material));
    assert!(shown.contains(&key.verifier().encode()));
}

#[test]
fn a_damaged_file_is_called_malformed_and_not_unknown() {
    let log = log();
    let mut note = log.note(2, 2).encode();
    note.pop();
    assert!(matches!(inspect(&note), Err(InspectError::Malformed { kind: "signed note", .. })));
    let proof = log.proof(indelible_proto::size::LeafIndex::new(1).unwrap()).encode();
    let error = inspect(&proof[..proof.len() / 2]).unwrap_err();
    assert!(matches!(error, InspectError::Malformed { kind: "log proof", .. }), "{error:?}");
    let policy = log.policy_text(2).replace("quorum", "quorom");
    assert!(matches!(inspect(policy.as_bytes()), Err(InspectError::Malformed { kind: "policy", .. })));
}

#[test]
fn what_is_nothing_we_know_is_unknown() {
    for bytes in [&b""[..], b"hello\n", &[0xee; 33], b"\n\n\n"] {
        assert_eq!(inspect(bytes), Err(InspectError::Unknown), "{bytes:?}");
    }
}
