use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::bundle_tree::tests::{file, numbered, tree};
use crate::hash::sha256;

fn paths(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("f/{number:04}")).collect()
}

fn code<T>(result: Result<T, BundleProofError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn every_file_of_every_small_bundle_is_proved() {
    for count in 1..=40 {
        let tree = numbered(count);
        for path in paths(count) {
            let proof = tree.prove_present(&[&path]).unwrap();
            let proven = proof.verify_present(&tree.head()).unwrap();
            assert_eq!(proven.lines().len(), 1);
            assert_eq!(proven.line(&path).unwrap().sha256, sha256(b""));
            assert_eq!(BundleProof::parse(&proof.encode()), Ok(proof));
        }
    }
}

#[test]
fn many_files_are_proved_at_once_in_any_order() {
    let tree = numbered(100);
    let proof = tree.prove_present(&["f/0099", "f/0000", "f/0050", "f/0000"]).unwrap();
    let proven = proof.verify_present(&tree.head()).unwrap();
    let paths: Vec<_> = proven.lines().iter().map(|line| line.path.as_str()).collect();
    assert_eq!(paths, ["f/0000", "f/0050", "f/0099"]);
    assert!(proven.line("f/0001").is_none());
    let all: Vec<String> = (0..100).map(|number| format!("f/{number:04}")).collect();
    let proof = tree.prove_present(&all.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!((proof.hash_count(), code(proof.verify_present(&tree.head()))), (0, "ok"));
}

#[test]
fn every_gap_of_every_small_bundle_is_proved() {
    for count in 1..=20 {
        let tree = numbered(count);
        for gap in 0..=count {
            // Sorts before file `gap` and after the one before it.
            let path = gap.checked_sub(1).map_or("a".into(), |last| format!("f/{last:04}x"));
            let proof = tree.prove_absent(&path).unwrap();
            assert_eq!(proof.verify_absent(&tree.head(), &path).unwrap().path(), path);
            assert_eq!(BundleProof::parse(&proof.encode()).as_ref(), Ok(&proof));
            for present in paths(count) {
                assert_eq!(code(proof.verify_absent(&tree.head(), &present)), "bundle-proof-other-place");
            }
            let lines = proof.lines().count();
            assert_eq!(lines, if gap == 0 || gap == count { 1 } else { 2 }, "gap {gap} of {count}");
        }
    }
}

#[test]
fn what_is_not_there_is_not_proved_to_be_and_the_reverse() {
    let tree = numbered(5);
    for path in ["f/0005", "f", "F/0001", "f/0001 "] {
        assert_eq!(code(tree.prove_present(&["f/0001", path])), "bundle-file-missing", "{path:?}");
        assert_eq!(code(tree.prove_absent(path)), "ok", "{path:?}");
    }
    assert_eq!(code(tree.prove_absent("f/0004")), "bundle-file-present");
    assert_eq!(code(tree.prove_present(&["../x"])), "bundle-path-component");
    assert_eq!(code(tree.prove_absent("a//b")), "bundle-path-component");
    assert_eq!(code(tree.prove_present(&[])), "bundle-proof-file-count");
}

#[test]
fn each_claim_is_proved_by_its_own_kind_of_proof() {
    let tree = numbered(9);
    let present = tree.prove_present(&["f/0003", "f/0004"]).unwrap();
    let absent = tree.prove_absent("f/0003x").unwrap();
    assert_eq!(present.lines, absent.lines);
    assert_eq!(code(present.verify_absent(&tree.head(), "f/0003x")), "bundle-proof-other-claim");
    assert_eq!(code(absent.verify_present(&tree.head())), "bundle-proof-other-claim");
}

/// A line that is neither first nor last says nothing about what is beside it, and two lines with a third
/// between them say nothing about that.
#[test]
fn a_gap_has_nothing_in_it() {
    let tree = numbered(9);
    let claim = BundleClaim::Absent;
    for (indices, path, expected) in [
        (&[0][..], "a", "ok"),
        (&[8], "z", "ok"),
        (&[1], "a", "bundle-proof-other-place"),
        (&[7], "z", "bundle-proof-other-place"),
        (&[0], "z", "bundle-proof-other-place"),
        (&[8], "a", "bundle-proof-other-place"),
        (&[3, 4], "f/0003x", "ok"),
        (&[3, 4], "f/0004x", "bundle-proof-other-place"),
        (&[3, 4], "a", "bundle-proof-other-place"),
        (&[0, 1], "a", "bundle-proof-other-place"),
        (&[7, 8], "z", "bundle-proof-other-place"),
        (&[3, 5], "f/0004", "bundle-proof-no-gap"),
        (&[0, 8], "f/0004", "bundle-proof-no-gap"),
        (&[3, 4, 5], "f/0003x", "bundle-proof-no-gap"),
    ] {
        let result =
            tree.prove_indices(claim, indices).and_then(|proof| proof.verify_absent(&tree.head(), path));
        assert_eq!(code(result), expected, "{indices:?} {path}");
    }
}

#[test]
fn a_proof_holds_under_its_own_root_and_size_only() {
    let (tree, other) = (numbered(9), numbered(10));
    let proof = tree.prove_present(&["f/0003"]).unwrap();
    assert_eq!(code(proof.verify_present(&other.head())), "bundle-proof-root-mismatch");
    let TreeHead { root, .. } = tree.head();
    for size in [0, 1, 3, 4, 8, 17, 10_000_001] {
        let head = TreeHead { size: TreeSize::new(size).unwrap(), root };
        assert_ne!(code(proof.verify_present(&head)), "ok", "{size}");
    }
    // Of the sizes 9 and 10, the last leaf of the smaller asks for other hashes.
    let last = tree.prove_present(&["f/0008"]).unwrap();
    let head = TreeHead { size: TreeSize::new(10).unwrap(), root };
    assert_eq!(code(last.verify_present(&head)), "bundle-proof-hash-count");
}

fn good() -> String {
    String::from_utf8(numbered(9).prove_present(&["f/0003", "f/0005"]).unwrap().encode()).unwrap()
}

#[test]
fn the_file_has_one_spelling() {
    let good = good();
    let digits = sha256(b"").to_hex();
    let (three, five) = (format!("file 3 {digits}  f/0003\n"), format!("file 5 {digits}  f/0005\n"));
    assert!(good.starts_with(&format!("indelible-bundle-proof/v1\npresent\n{three}{five}\n")));
    for (changed, expected) in [
        (String::new(), "line-unterminated"),
        (good.replace("/v1", "/v2"), "unexpected-word"),
        (good.replace("present", "Present"), "unexpected-word"),
        (good.replace("present\n", ""), "unexpected-word"),
        (good.replace("present\n", "present\npresent\n"), "unexpected-word"),
        (good.replace("present", "absent"), "bundle-proof-no-gap"),
        (good.replace('\n', "\r\n"), "unexpected-word"),
        (good.replace("file 3", "file 03"), "decimal-not-canonical"),
        (good.replace("file 3", "file +3"), "decimal-not-canonical"),
        (good.replace("file 3", "file  3"), "decimal-not-canonical"),
        (good.replace("file 3 ", "file 3  "), "bundle-line-form"),
        (good.replace("file 3 ", "file 3"), "decimal-not-canonical"),
        (good.replace("file 3", "leaf 3"), "unexpected-word"),
        (good.replace("file 3", "file 5"), "bundle-proof-order"),
        (good.replace("file 3", "file 9223372036854775808"), "decimal-not-canonical"),
        (good.replace(&three, ""), "ok"),
        (good.replace(&three, &three.repeat(2)), "bundle-proof-order"),
        (good.replace(&three, &format!("{five}{three}")).replacen(&five, "", 1), "ok"),
        (good.replace(&format!("{three}{five}"), &format!("{five}{three}")), "bundle-proof-order"),
        (good.replace(&format!("{three}{five}"), ""), "bundle-proof-file-count"),
        (good.replace("f/0005", "f/0002"), "bundle-proof-order"),
        (good.replace("f/0005", "f/../x"), "bundle-path-component"),
        (good.replace("\n\n", "\n"), "unexpected-word"),
        (good.replace("\n\n", "\n\n\n"), "hash-length"),
        (format!("{good}\n"), "hash-length"),
        (format!("{good}x"), "line-unterminated"),
        (good.trim_end().into(), "line-unterminated"),
        (format!("\n{good}"), "unexpected-word"),
        (format!("\u{feff}{good}"), "unexpected-word"),
        (good.replace("=\n", "\n"), "base64-not-canonical"),
    ] {
        let parsed = BundleProof::parse(changed.as_bytes());
        if let Ok(proof) = &parsed {
            assert_eq!(proof.encode(), changed.as_bytes());
        }
        assert_eq!(code(parsed), expected, "{changed}");
    }
    for cut in 0..good.len() {
        let parsed = BundleProof::parse(&good.as_bytes()[..cut]);
        let whole = parsed.map(|proof| code(proof.verify_present(&numbered(9).head())));
        assert_ne!(whole, Ok("ok"), "cut after {cut} bytes");
    }
}

#[test]
fn refuses_one_byte_one_file_and_one_hash_more_than_the_limits() {
    let long = |len: usize| BundleProof::parse(&vec![b'x'; len]);
    assert_eq!(code(long(BundleProof::MAX_BYTES)), "line-unterminated");
    assert_eq!(code(long(BundleProof::MAX_BYTES + 1)), "bundle-proof-too-long");
    let digits = sha256(b"").to_hex();
    let lines =
        |count: usize| (0..count).map(|n| format!("file {n} {digits}  f/{n:04}\n")).collect::<String>();
    let with = |files: usize, hashes: usize| {
        let hashes = format!("{}\n", sha256(b"").to_base64()).repeat(hashes);
        BundleProof::parse(format!("{FIRST_LINE}\npresent\n{}\n{hashes}", lines(files)).as_bytes())
    };
    assert_eq!(code(with(MAX_PROOF_FILES, 0)), "ok");
    assert_eq!(code(with(MAX_PROOF_FILES + 1, 0)), "bundle-proof-file-count");
    assert_eq!(code(with(1, MAX_HASHES)), "ok");
    assert_eq!(code(with(1, MAX_HASHES + 1)), "bundle-proof-hash-count");
    let tree = numbered(MAX_PROOF_FILES + 1);
    let all = paths(MAX_PROOF_FILES + 1);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let most = tree.prove_present(&all[1..]).unwrap();
    assert_eq!(code(most.verify_present(&tree.head())), "ok");
    assert_eq!(code(tree.prove_present(&all)), "bundle-proof-file-count");
}

/// Every byte of a proof is a byte of what it proves.
#[test]
fn no_changed_byte_is_accepted() {
    let tree = tree(&["README", "a/1.yml", "a/2.yml", "b/\u{e9}.yml", "c", "d", "e/f/g"]).unwrap();
    let head = tree.head();
    let proofs = [
        (tree.prove_present(&["a/2.yml"]).unwrap(), None),
        (tree.prove_present(&["e/f/g"]).unwrap(), None),
        (tree.prove_present(&["README", "a/1.yml", "d"]).unwrap(), None),
        (tree.prove_absent("a/1.yml.bak").unwrap(), Some("a/1.yml.bak")),
        (tree.prove_absent("A").unwrap(), Some("A")),
        (tree.prove_absent("z").unwrap(), Some("z")),
    ];
    let mut tried = 0;
    for (proof, absent) in proofs {
        let accepts = |bytes: &[u8]| {
            BundleProof::parse(bytes).is_ok_and(|proof| match absent {
                Some(path) => proof.verify_absent(&head, path).is_ok(),
                None => proof.verify_present(&head).is_ok(),
            })
        };
        let good = proof.encode();
        assert!(accepts(&good));
        for at in 0..good.len() {
            for flip in 1..=255 {
                let mut changed = good.clone();
                changed[at] ^= flip;
                assert!(
                    !accepts(&changed),
                    "byte {at} xor {flip:#04x} of\n{}",
                    String::from_utf8_lossy(&good)
                );
                tried += 1;
            }
            let dropped = [&good[..at], &good[at + 1..]].concat();
            let doubled = [&good[..=at], &good[at..]].concat();
            assert!(!accepts(&dropped) && !accepts(&doubled), "byte {at} dropped or doubled");
        }
    }
    assert!(tried > 400_000, "{tried} changes");
}

proptest! {
    #[test]
    fn any_files_of_any_bundle_are_proved(
        names in proptest::collection::btree_set("[a-z]{1,6}", 1..60),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..20),
        absent in "[a-z]{1,6}",
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let tree = BundleTree::from_files(names.iter().map(|name| file(name, name.as_bytes())).collect()).unwrap();
        let picked: Vec<&str> = picks.iter().map(|pick| pick.get(&names).as_str()).collect();
        let proof = BundleProof::parse(&tree.prove_present(&picked).unwrap().encode()).unwrap();
        let proven = proof.verify_present(&tree.head()).unwrap();
        for path in picked {
            prop_assert_eq!(proven.line(path).map(|line| line.sha256), Some(sha256(path.as_bytes())));
        }
        match tree.prove_absent(&absent) {
            Ok(proof) => prop_assert!(proof.verify_absent(&tree.head(), &absent).is_ok()),
            Err(error) => prop_assert!(error == BundleProofError::IsPresent && names.contains(&absent)),
        }
    }

    #[test]
    fn no_bytes_panic_and_what_is_accepted_is_written_the_same(
        claim in "(present|absent)", lines in proptest::collection::vec("(file )?[0-9]{1,2} ?[0-9a-f]{64}  [a-z/]{1,3}", 0..4),
        rest in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = format!("{FIRST_LINE}\n{claim}\n{}\n\n", lines.join("\n")).into_bytes();
        bytes.extend(rest);
        if let Ok(proof) = BundleProof::parse(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
        }
    }
}
