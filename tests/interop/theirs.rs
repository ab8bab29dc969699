//! What Go's `x/mod/sumdb` and torchwood make, judged by ours.

use std::collections::BTreeMap;
use std::path::Path;

use indelible_proto::entry_bundle::EntryBundle;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::note::{NoteSignature, SignedNote};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{ResourcePath, RightEdge, Tile};
use indelible_proto::tree::{ConsistencyProof, InclusionProof, TreeHead};
use indelible_proto::wire::parse_hash;
use walkdir::WalkDir;

use crate::{ConsistencyLine, InclusionLine, go, sizes};

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn lines<T: serde::de::DeserializeOwned>(dir: &Path, name: &str) -> Vec<T> {
    let text = String::from_utf8(read(dir, name)).unwrap();
    let parsed: Vec<T> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!parsed.is_empty(), "{name} is empty");
    parsed
}

fn hashes(texts: &[String]) -> Vec<Hash> {
    texts.iter().map(|text| parse_hash(text.as_bytes()).unwrap()).collect()
}

fn files(dir: &Path, below: &str) -> Vec<String> {
    let walk = WalkDir::new(dir.join(below)).sort_by_file_name().into_iter().map(Result::unwrap);
    let paths = walk.filter(|file| file.file_type().is_file()).map(walkdir::DirEntry::into_path);
    let found: Vec<_> =
        paths.map(|path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()).collect();
    assert!(!found.is_empty(), "nothing below {below}");
    found
}

/// Every checkpoint under their policy: log signature, quorum, and the bytes come back as they were.
fn heads(dir: &Path, policy: &Policy) -> BTreeMap<u64, TreeHead> {
    let mut heads = BTreeMap::new();
    for name in files(dir, "checkpoints") {
        let bytes = read(dir, &name);
        let note = SignedNote::parse(&bytes).unwrap();
        assert_eq!(note.encode(), bytes, "{name}");
        let verified = policy.verify(&note).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.cosigners().len(), 6, "{name}");
        let head = verified.head();
        assert_eq!(name, format!("checkpoints/{}", head.size));
        heads.insert(head.size.get(), head);
    }
    heads
}

#[test]
fn what_go_makes_is_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let sizes: Vec<u64> = [0].into_iter().chain(sizes()).collect();
    let texts: Vec<String> = sizes.iter().map(u64::to_string).collect();
    let mut args = vec!["run", "./foreign", dir.to_str().unwrap()];
    args.extend(texts.iter().map(String::as_str));
    go(&args, &[]).expect(0);

    let policy = Policy::parse(&read(dir, "policy.txt")).unwrap();
    let heads = heads(dir, &policy);
    assert_eq!(heads.keys().copied().collect::<Vec<_>>(), {
        let mut all = sizes;
        all.sort_unstable();
        all.dedup();
        all
    });

    let mut edge = RightEdge::new();
    let largest = *heads.keys().last().unwrap();
    for index in 0..=largest {
        if let Some(head) = heads.get(&index) {
            assert_eq!(edge.head(), *head, "root at size {index}");
        }
        edge.append(leaf_hash(format!("foreign entry {index}").as_bytes())).unwrap();
    }

    for line in lines::<InclusionLine>(dir, "inclusion.jsonl") {
        let proof = InclusionProof::new(hashes(&line.proof)).unwrap();
        let leaf = parse_hash(line.leaf.as_bytes()).unwrap();
        let head = &heads[&line.size];
        proof.verify(&leaf, LeafIndex::new(line.index).unwrap(), head).unwrap();
        if let Ok(neighbour) = LeafIndex::new(line.index ^ 1)
            && head.size.contains(neighbour)
        {
            assert!(proof.verify(&leaf, neighbour, head).is_err(), "{} of {} moved", line.index, line.size);
        }
    }
    for line in lines::<ConsistencyLine>(dir, "consistency.jsonl") {
        let proof = ConsistencyProof::new(hashes(&line.proof)).unwrap();
        let (old, new) = (&heads[&line.old], &heads[&line.new]);
        proof.verify(old, new).unwrap_or_else(|error| panic!("{} to {}: {error}", line.old, line.new));
        if line.old != line.new {
            let other = TreeHead { size: old.size, root: new.root };
            assert!(proof.verify(&other, new).is_err());
        }
    }
}

#[test]
fn tiles_bundles_and_proof_files_of_go_are_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    go(&["run", "./foreign", dir.to_str().unwrap(), "1", "255", "256", "257", "600", "66000"], &[]).expect(0);
    let policy = Policy::parse(&read(dir, "policy.txt")).unwrap();
    let size = TreeSize::new(66_000).unwrap();
    for path in files(dir, "tile") {
        let bytes = read(dir, &path);
        let parsed = ResourcePath::parse(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(parsed.path(), path);
        match parsed {
            ResourcePath::Tile(id) => {
                assert!(id.within(size), "{path}");
                assert_eq!(Tile::parse(&id, &bytes).unwrap().encode(), bytes, "{path}");
            }
            ResourcePath::Bundle(id) => {
                let bundle = EntryBundle::parse(id.width(), &bytes).unwrap();
                assert_eq!(bundle.encode(), bytes, "{path}");
                let first = id.index() * 256;
                assert_eq!(bundle.entries()[0].as_bytes(), format!("foreign entry {first}").as_bytes());
            }
        }
    }
    for path in files(dir, "proofs").iter().filter(|path| path.ends_with(".tlog-proof")) {
        let bytes = read(dir, path);
        let entry = read(dir, &path.replace(".tlog-proof", ".entry"));
        let proof = LogProof::parse(&bytes).unwrap();
        assert_eq!(proof.encode(), bytes, "{path}");
        assert_eq!(proof.extra(), Some(&entry[..]), "{path}");
        proof.verify(&leaf_hash(&entry), &policy).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(proof.verify(&leaf_hash(b"another entry"), &policy).is_err(), "{path}");
    }
}

/// The policy's logs and witnesses, under a quorum of these.
fn with_quorum(dir: &Path, threshold: &str, members: &str) -> Policy {
    let text = String::from_utf8(read(dir, "policy.txt")).unwrap();
    let keys = text.lines().filter(|line| line.starts_with("log ") || line.starts_with("witness "));
    let keys: String = keys.map(|line| format!("{line}\n")).collect();
    Policy::parse(format!("{keys}group G {threshold} {members}\nquorum G\n").as_bytes()).unwrap()
}

fn code(policy: &Policy, note: &SignedNote) -> &'static str {
    policy.verify(note).map_or_else(|error| error.code(), |_| "ok")
}

/// Cosignatures by Go's ML-DSA-44, each bit of them, and what they are over.
#[test]
fn ml_dsa_cosignatures_of_go_are_accepted_and_changed_ones_are_not() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    go(&["run", "./foreign", dir.to_str().unwrap(), "5", "300"], &[]).expect(0);
    let note = SignedNote::parse(&read(dir, "checkpoints/300")).unwrap();
    let [one, all] = [("any", "m0"), ("all", "m0 m1 m2")].map(|(k, names)| with_quorum(dir, k, names));
    assert_eq!(code(&all, &note), "ok");
    let lines = note.signatures();
    let key = &one.witnesses().iter().find(|witness| witness.name == "m0").unwrap().key;
    let place = lines.iter().position(|line| line.names(key)).unwrap();
    let good = &lines[place];
    assert_eq!((good.signature().len(), key.public_key_bytes().len()), (8 + 2420, 1312));

    // The log's line and this one, so that each change is one verification.
    let with = |bytes: Vec<u8>| {
        let line = NoteSignature::new(good.name().clone(), good.id(), bytes).unwrap();
        code(&one, &note.with_signatures(vec![lines[0].clone(), line]).unwrap())
    };
    assert_eq!(with(good.signature().to_vec()), "ok");
    for at in 0..good.signature().len() {
        let mut changed = good.signature().to_vec();
        changed[at] ^= 1 << (at % 8);
        assert_eq!(with(changed), "signature-invalid", "byte {at}");
    }
    assert_eq!(with(good.signature()[..8 + 2419].to_vec()), "signature-invalid");
    assert_eq!(with([good.signature(), &[0]].concat()), "signature-invalid");

    // Of another tree of the same log, and of the same tree without a time.
    let smaller = SignedNote::parse(&read(dir, "checkpoints/5")).unwrap();
    assert_eq!(with(smaller.signatures()[place].signature().to_vec()), "signature-invalid");
    let timeless = SignedNote::parse(&read(dir, "timeless")).unwrap();
    assert_eq!(code(&one, &timeless), "cosignature-time");
    // Without one of the three.
    let mut two = lines.to_vec();
    two.remove(place);
    assert_eq!(code(&all, &note.with_signatures(two).unwrap()), "quorum-not-met");

    // A proof with the lines of three such witnesses is read, and is no longer than its limit.
    let bytes = read(dir, "proofs/300-0.tlog-proof");
    let proof = LogProof::parse(&bytes).unwrap();
    proof.verify(&leaf_hash(&read(dir, "proofs/300-0.entry")), &all).unwrap();
    assert!((10_000..20_000).contains(&bytes.len()), "{} bytes", bytes.len());
}
