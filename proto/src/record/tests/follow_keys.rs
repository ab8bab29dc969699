//! What may follow: signatures, thresholds and changes of keys.

use alloc::sync::Arc;

use super::follow::Story;
use super::*;

#[test]
fn refuses_a_signature_by_a_stranger_even_beside_a_good_one() {
    let story = Story::begin();
    let stranger = signer("a-stranger", 9);
    let statement = rules(story.next());
    assert_eq!(story.refusal(&statement, &[&stranger]), AdmissionError::UnknownSigner { line: 0 });
    let both = story.refusal(&statement, &[&story.publish, &stranger]);
    assert_eq!(both, AdmissionError::UnknownSigner { line: 0 });
    // The publisher's own key under another name is another key.
    let renamed = signer("vendor.example/publish-2", 1);
    let both = story.refusal(&statement, &[&story.publish, &renamed]);
    assert_eq!(both, AdmissionError::UnknownSigner { line: 1 });
}

#[test]
fn refuses_a_signature_over_anything_else() {
    let story = Story::begin();
    let statement = rules(story.next());
    let elsewhere = story.publish.sign(&signed_message(b"{}"));
    let record = SignedRecord::new(&statement, vec![elsewhere]).unwrap();
    let refusal = may_follow(Some(&story.state), &record).unwrap_err();
    assert_eq!(refusal, AdmissionError::SignatureInvalid { line: 0 });
}

#[test]
fn refuses_one_bad_signature_though_the_threshold_is_met() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let story = Story::with(&[&a, &b], 1);
    let statement = rules(story.next());
    let good = a.sign(&signed_message(&statement.encode()));
    let bad = NoteSignature::new(KeyName::parse("b").unwrap(), b.verifier().id(), vec![7; 64]).unwrap();
    let record = SignedRecord::new(&statement, vec![good, bad]).unwrap();
    let refusal = may_follow(Some(&story.state), &record).unwrap_err();
    assert_eq!(refusal, AdmissionError::SignatureInvalid { line: 1 });
}

#[test]
fn asks_for_the_threshold() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let mut story = Story::with(&[&a, &b, &c], 2);
    let statement = rules(story.next());
    assert_eq!(story.refusal(&statement, &[&b]), AdmissionError::Threshold { got: 1, needed: 2 });
    story.admit(&statement, &[&c, &a]);
    let statement = release(story.next());
    story.admit(&statement, &[&a, &b, &c]);
}

#[test]
fn a_genesis_needs_all_its_keys_and_no_other() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let statement = channel(common(0), set(&[&a, &b], 1));
    let refusal = |signers: &[&RecordSigner]| {
        may_follow(None, &SignedRecord::sign(&statement, signers).unwrap()).unwrap_err()
    };
    assert_eq!(refusal(&[&a]), AdmissionError::NewKeyUnsigned { key: 1 });
    assert_eq!(refusal(&[&b]), AdmissionError::NewKeyUnsigned { key: 0 });
    assert_eq!(refusal(&[&a, &b, &c]), AdmissionError::UnknownSigner { line: 2 });
    assert!(may_follow(None, &SignedRecord::sign(&statement, &[&a, &b]).unwrap()).is_ok());
}

#[test]
fn recovery_keys_sign_nothing_on_the_publish_chain() {
    let (publish, recovery) = (signer("a", 1), signer("r", 2));
    let statement = with_recovery(channel(common(0), set(&[&publish], 1)), Some(set(&[&recovery], 1)));
    let both = SignedRecord::sign(&statement, &[&publish, &recovery]).unwrap();
    assert_eq!(may_follow(None, &both), Err(AdmissionError::UnknownSigner { line: 1 }));
    let record = SignedRecord::sign(&statement, &[&publish]).unwrap();
    let story = Story { state: may_follow(None, &record).unwrap(), publish };
    let refusal = story.refusal(&rules(story.next()), &[&recovery]);
    assert_eq!(refusal, AdmissionError::UnknownSigner { line: 0 });
}

#[test]
fn new_keys_sign_from_the_next_record_on() {
    let (old, new) = (signer("old", 1), signer("new", 2));
    let mut story = Story::with(&[&old], 1);
    let genesis = story.state.genesis();
    let statement = channel(story.next(), set(&[&new], 1));
    let change = story.admit(&statement, &[&old, &new]);
    assert_eq!(story.state.keys_record(), change.record_id());
    assert_eq!(
        (story.state.genesis(), story.state.head(), story.state.seq()),
        (genesis, change.record_id(), 1)
    );
    assert_eq!(story.state.signers(), Some(&set(&[&new], 1)));

    let statement = rules(story.next());
    assert_eq!(story.refusal(&statement, &[&old]), AdmissionError::UnknownSigner { line: 0 });
    story.admit(&statement, &[&new]);
}

#[test]
fn a_change_needs_the_threshold_in_force_not_the_new_one() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let mut story = Story::with(&[&a, &b], 2);
    let statement = channel(story.next(), set(&[&a, &c], 1));
    assert_eq!(story.refusal(&statement, &[&a, &c]), AdmissionError::Threshold { got: 1, needed: 2 });
    assert_eq!(story.refusal(&statement, &[&c]), AdmissionError::Threshold { got: 0, needed: 2 });
    story.admit(&statement, &[&a, &b, &c]);
}

#[test]
fn a_change_needs_every_new_key() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let story = Story::with(&[&a], 1);
    let statement = channel(story.next(), set(&[&a, &b, &c], 1));
    assert_eq!(story.refusal(&statement, &[&a, &c]), AdmissionError::NewKeyUnsigned { key: 1 });
    assert_eq!(story.refusal(&statement, &[&a, &b]), AdmissionError::NewKeyUnsigned { key: 2 });
}

#[test]
fn a_known_key_under_a_new_name_is_new() {
    let (before, after) = (signer("a", 1), signer("b", 1));
    let mut story = Story::with(&[&before], 1);
    let statement = channel(story.next(), set(&[&after], 1));
    assert_eq!(story.refusal(&statement, &[&before]), AdmissionError::NewKeyUnsigned { key: 0 });
    story.admit(&statement, &[&before, &after]);
}

#[test]
fn a_change_that_keeps_the_keys_needs_only_the_threshold() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let mut story = Story::with(&[&a, &b], 1);
    let statement = channel(story.next(), set(&[&a, &b], 2));
    let change = story.admit(&statement, &[&b]);
    assert_eq!(story.state.keys_record(), change.record_id());
    let statement = rules(story.next());
    assert_eq!(story.refusal(&statement, &[&b]), AdmissionError::Threshold { got: 1, needed: 2 });
}

#[test]
fn a_change_is_signed_by_nobody_else() {
    let (a, c) = (signer("a", 1), signer("c", 3));
    let story = Story::with(&[&a], 1);
    let statement = channel(story.next(), set(&[&a], 1));
    assert_eq!(story.refusal(&statement, &[&a, &c]), AdmissionError::UnknownSigner { line: 1 });
}

#[test]
fn a_recovery_set_can_be_added_but_not_changed_or_removed() {
    let (publish, r, s) = (signer("a", 1), signer("r", 2), signer("s", 3));
    let mut story = Story::with(&[&publish], 1);
    let change =
        |story: &Story, recovery| with_recovery(channel(story.next(), set(&[&publish], 1)), recovery);
    let statement = change(&story, Some(set(&[&r], 1)));
    story.admit(&statement, &[&publish]);
    assert_eq!(story.state.recovery(), Some(&set(&[&r], 1)));
    for recovery in [None, Some(set(&[&s], 1)), Some(set(&[&r, &s], 1))] {
        let refusal = story.refusal(&change(&story, recovery), &[&publish]);
        assert_eq!(refusal, AdmissionError::RecoveryChanged);
    }
    let statement = change(&story, Some(set(&[&r], 1)));
    story.admit(&statement, &[&publish]);
}

#[test]
fn refuses_a_new_key_that_a_line_could_mean_instead_of_an_old_one() {
    let (old, new) = colliding_keys();
    assert_eq!((old.name(), old.id()), (new.name(), new.id()));
    let state = ChannelState {
        channel: ChannelName::parse(CHANNEL).unwrap(),
        genesis: id("genesis"),
        publish: ChainHead { seq: 3, record: id("head") },
        keys_record: id("keys"),
        cooldown_s: 0,
        max_age_s: 1,
        signers: Some(Arc::new(KeySet::new(vec![old], 1).unwrap())),
        recovery: None,
    };
    let next = Common { prev: Some(id("head")), keys: Some(id("keys")), ..common(4) };
    let statement = channel(next, KeySet::new(vec![new], 1).unwrap());
    let record = signed(&statement);
    assert_eq!(may_follow(Some(&state), &record), Err(AdmissionError::NewKeyAmbiguous { key: 0 }));
}

#[test]
fn a_set_refuses_two_keys_with_one_name_and_id() {
    let (old, new) = colliding_keys();
    assert_ne!(old.public_key_bytes(), new.public_key_bytes());
    let error = KeySet::new(vec![old, new], 1).unwrap_err();
    assert_eq!(error, KeySetError::Duplicate { key: 1 });
}

/// A signature line names its key by name and by four bytes of a hash. Two keys that share both turn up
/// among some hundred thousand; these are the first of the seeds 0, 1, 2, ... for the name `a`.
fn colliding_keys() -> (VerifierKey, VerifierKey) {
    let key = |number: u32| {
        let mut seed = [0; 32];
        seed[28..].copy_from_slice(&number.to_be_bytes());
        let secret = SecretKey::from_seed(KeyKind::Record, KeyName::parse("a").unwrap(), seed);
        secret.verifier().clone()
    };
    (key(89_321), key(134_082))
}
