//! What is remembered of a log, and a log that says two things.

use super::*;

#[test]
fn one_size_with_two_roots_is_evidence_that_convinces_a_stranger() {
    let world = World::new();
    let other = forked_note(&world.log, 2);
    let world = world.remembering(&other);
    let verdict = world.assert_only(CheckName::Remembered, Outcome::Evidence, "log-forked");
    let evidence = ForkEvidence::parse(&verdict.evidence().unwrap().encode()).unwrap();
    let fork = evidence.verify(world.log.signer.verifier()).unwrap();
    assert_eq!(fork.origin().as_str(), ORIGIN);
    assert!(verdict.remember().is_none(), "which of the two is right is not ours to say");
}

#[test]
fn a_fork_that_no_witness_saw_is_evidence_too_and_graver_than_the_missing_quorum() {
    let world = World::new();
    let other = forked_note(&world.log, 2);
    let note = world.log.note(2, 0);
    let verdict = world.under(note).remembering(&other).verify();
    assert_eq!(verdict.outcome(), Outcome::Evidence);
    assert!(verdict.evidence().is_some());
    let failed: Vec<_> = verdict.checks().iter().filter(|c| c.reason().is_some()).map(|c| c.name).collect();
    assert_eq!(failed, [CheckName::Witnesses, CheckName::Remembered]);
}

#[test]
fn a_fork_between_the_channels_proof_and_the_artifacts_is_evidence() {
    let world = World::new();
    let mut other = world.log.clone();
    other.entries[1] = b"something else".to_vec();
    let trust = trust_in(&other, &world.policy);
    let world = World { trust, ..world };
    world.assert_only(CheckName::Remembered, Outcome::Evidence, "log-forked");
}

#[test]
fn a_forged_note_never_makes_evidence() {
    let world = World::new();
    let other = forked_note(&world.log, 2);
    let mut lines = world.proof.note().signatures().to_vec();
    lines[0] = damaged(&lines[0]);
    let note = world.proof.note().with_signatures(lines).unwrap();
    let verdict = world.under(note).remembering(&other).verify();
    assert_eq!(verdict.outcome(), Outcome::Refused);
    assert!(verdict.evidence().is_none());
}

#[test]
fn the_larger_checkpoint_is_remembered_and_a_smaller_one_is_no_fault() {
    let mut world = World::new();
    let two = world.log.note(2, 2);
    world.log.append(b"later");
    let three = world.log.note(3, 2);
    let verdict = world.remembering(&three).verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    assert!(verdict.remember().is_none());

    let mut world = World::new();
    world.log.append(b"later");
    world.proof = world.log.proof(LeafIndex::new(1).unwrap());
    let verdict = world.remembering(&two).verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    assert_eq!(verdict.remember().unwrap().head().size.get(), 3);
}

#[test]
fn damaged_memory_is_a_local_matter() {
    let mut world = World::new();
    world.remembered = Remembered::Damaged { code: "state-damaged", message: "187 zero bytes".into() };
    let verdict = world.assert_only(CheckName::Remembered, Outcome::Undecided, "state-damaged");
    assert!(verdict.evidence().is_none());
}

#[test]
fn a_refusal_is_graver_than_what_could_not_be_decided() {
    let mut world = World::new();
    world.trust = Trust::Nobody;
    world.artifact = file(b"changed");
    assert_eq!(world.verify().outcome(), Outcome::Refused);
}
