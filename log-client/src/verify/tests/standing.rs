//! Rollback, expiry, age, audience and engine: each passes, and each alone fails.

use indelible_proto::record::{Audience, CohortReason, RecordId};

use super::super::rules::{Engine, Unknown};
use super::super::time::MAX_AHEAD_S;
use super::*;

/// What the witnesses of [`TestLog`] vouch for: of three cosignatures, at this second and the two after it, a
/// quorum of two has the second newest.
const WITNESSED: u64 = 1_800_000_001;
/// Of the channel in [`open_channel`].
const MAX_AGE: u64 = 3600;

fn at(clock: u64, floor: Option<u64>) -> TrustedTime {
    TrustedTime::new(seconds(clock), floor.map(seconds))
}

fn record_of(world: &World) -> SignedRecord {
    SignedRecord::parse(world.proof.extra().unwrap()).unwrap()
}

fn last(seq: u64, head: RecordId) -> LastKnown {
    LastKnown::Record(LastVerified { seq, head })
}

fn other() -> RecordId {
    RecordId::from_hash(sha256(b"another record"))
}

#[test]
fn a_record_expires_at_its_second() {
    let mut world = World::new();
    let expires = record_of(&world).statement().predicate.common().expires.unwrap().get();
    world.rules.max_age_s = Some(10_000);
    world.time = at(expires - 1, None);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.time = at(expires, None);
    world.assert_only(CheckName::Expiry, Outcome::Hold, "expired");
    // A clock set back does not make it fresh again.
    world.time = at(1000, Some(expires));
    world.assert_only(CheckName::Expiry, Outcome::Hold, "expired");
}

#[test]
fn a_checkpoint_is_stale_after_the_channels_age_or_the_clients() {
    let mut world = World::new();
    let proof = world.proof.clone();
    world = World::with_lifetime(1_000_000);
    assert_eq!(world.proof.index(), proof.index());
    world.time = at(WITNESSED + MAX_AGE, None);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.time = at(WITNESSED + MAX_AGE + 1, None);
    world.assert_only(CheckName::Age, Outcome::Hold, "checkpoint-stale");
    world.rules.max_age_s = Some(MAX_AGE + 1);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.rules.max_age_s = Some(MAX_AGE - 1);
    world.time = at(WITNESSED + MAX_AGE, None);
    world.assert_only(CheckName::Age, Outcome::Hold, "checkpoint-stale");
}

#[test]
fn the_age_is_of_the_quorum_not_of_the_newest_cosignature() {
    let mut world = World::with_lifetime(1_000_000);
    let text = world.proof.note().text().to_owned();
    let mut lines = vec![world.log.signer.sign(text.as_bytes())];
    for (witness, time) in world.log.witnesses.iter().zip([WITNESSED, WITNESSED - 5, WITNESSED + MAX_AGE]) {
        lines.push(witness.cosign(&text, seconds(time)).unwrap());
    }
    let note = SignedNote::new(text, lines).unwrap();
    world.proof = world.log.proof_with(world.proof.index(), note);
    world.time = at(WITNESSED + MAX_AGE + 1, None);
    world.assert_only(CheckName::Age, Outcome::Hold, "checkpoint-stale");
}

#[test]
fn witnesses_far_ahead_of_the_clock_decide_nothing() {
    let mut world = World::new();
    world.time = at(WITNESSED + 1 - MAX_AHEAD_S, None);
    assert_eq!(world.verify().vouched(), Some(seconds(WITNESSED)));
    world.time = at(WITNESSED - 1 - MAX_AHEAD_S, None);
    let verdict = world.assert_only(CheckName::Age, Outcome::Undecided, "time-implausible");
    assert_eq!(verdict.vouched(), None, "nor do they move the floor");
}

#[test]
fn without_witnesses_there_is_no_age() {
    let mut world = World::new();
    let text = world.log.policy_text(2).replace("quorum all", "quorum none");
    world.policy = Policy::parse(text.as_bytes()).unwrap();
    world.trust = trust_in(&world.log, &world.policy);
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    let age = verdict.checks().iter().find(|check| check.name == CheckName::Age).unwrap();
    assert!(matches!(age.finding, Finding::NotApplicable { .. }));
    assert_eq!(verdict.vouched(), None);
}

#[test]
fn an_older_record_than_the_last_verified_one_is_a_rollback() {
    let mut world = World::new();
    world.last = last(2, other());
    world.assert_only(CheckName::Sequence, Outcome::Refused, "rollback");
}

#[test]
fn the_same_record_again_and_its_successor_are_no_rollback() {
    let mut world = World::new();
    let record = record_of(&world);
    world.last = last(1, record.record_id());
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    let before = record.statement().predicate.common().prev.unwrap();
    world.last = last(0, before);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn another_record_in_the_same_place_or_another_past_is_a_hidden_record() {
    let mut world = World::new();
    world.last = last(1, other());
    world.assert_only(CheckName::Sequence, Outcome::Refused, "channel-forked");
    world.last = last(0, other());
    world.assert_only(CheckName::Sequence, Outcome::Refused, "channel-forked");
}

#[test]
fn a_gap_is_said_and_holds_where_the_client_wants_it() {
    let mut world = World::new();
    let leaf = String::from_utf8(world.proof.extra().unwrap().to_vec()).unwrap();
    let genesis = SignedRecord::parse(&world.log.entries[0]).unwrap();
    let mut statement = SignedRecord::parse(leaf.as_bytes()).unwrap().statement().clone();
    let Predicate::Release(common, _) = &mut statement.predicate else { panic!("a release") };
    (common.seq, common.prev) = (3, Some(other()));
    let record = SignedRecord::sign(&statement, &[&vendor(7)]).unwrap();
    world = World::with_leaf(&record.encode());
    world.last = last(0, genesis.record_id());
    let sequence = |verdict: &Verdict| {
        verdict.checks().iter().find(|check| check.name == CheckName::Sequence).unwrap().finding.clone()
    };
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    assert!(matches!(sequence(&verdict), Finding::Unknown { .. }));
    world.rules.unknown = Unknown::Hold;
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Hold);
    let held = sequence(&verdict);
    assert!(matches!(held, Finding::Failed(reason) if reason.code == "not-known"));
}

#[test]
fn a_damaged_memory_of_the_channel_decides_nothing() {
    let mut world = World::new();
    world.last = LastKnown::Damaged { code: "state-damaged", message: "zeros".into() };
    world.assert_only(CheckName::Sequence, Outcome::Undecided, "state-damaged");
}

#[test]
fn a_record_for_a_cohort_is_for_its_members_only() {
    let cohort = sha256(b"beta testers");
    let mut world = World::changed(|common| {
        common.audience = Audience::Cohort { cohort, reason: CohortReason::Beta };
    });
    world.assert_only(CheckName::Audience, Outcome::Refused, "audience-other");
    world.rules.cohorts = vec![sha256(b"another"), cohort];
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn rules_are_for_engines_of_their_name_and_range() {
    let engine = |name: &str, version: &str| Some(Engine { name: name.into(), version: version.into() });
    let mut world = World::of_rules_for("sigma", Some("1.2"), Some("1.10"));
    assert_eq!(world.verify().outcome(), Outcome::Verified, "no engine is configured");
    for (name, version, fits) in [
        ("sigma", "1.2", true),
        ("sigma", "1.9.9", true),
        ("sigma", "1.10", true),
        ("sigma", "1.1.9", false),
        ("sigma", "1.10.1", false),
        ("yara", "1.5", false),
    ] {
        world.rules.engine = engine(name, version);
        if fits {
            assert_eq!(world.verify().outcome(), Outcome::Verified, "{name} {version}");
        } else {
            world.assert_only(CheckName::Engine, Outcome::Refused, "engine-other");
        }
    }
}

#[test]
fn what_a_record_says_counts_for_nothing_before_it_is_the_vendors() {
    let mut world = World::new();
    world.trust = Trust::Keys(vec![vendor(8).verifier().clone()]);
    world.time = at(u64::MAX >> 2, None);
    let verdict = world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
    let expiry = verdict.checks().iter().find(|check| check.name == CheckName::Expiry).unwrap();
    assert_eq!(expiry.finding, Finding::NotRun { needs: CheckName::Signers });
}

#[test]
fn what_was_verified_by_a_key_alone_leads_no_way_back() {
    let mut world = World::new();
    world.trust = Trust::Keys(vec![vendor(7).verifier().clone()]);
    world.last = last(1, record_of(&world).record_id());
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.last = last(2, other());
    let verdict = world.assert_only(CheckName::Sequence, Outcome::Refused, "rollback");
    assert!(verdict.decisive().unwrap().next.contains(&other().to_string()), "it says where to go");
    world.last = last(1, other());
    world.assert_only(CheckName::Sequence, Outcome::Refused, "channel-forked");
    // Where nothing is kept, nothing is said of it.
    world.last = LastKnown::NotKept;
    let verdict = world.verify();
    let sequence = verdict.checks().iter().find(|check| check.name == CheckName::Sequence).unwrap();
    assert!(matches!(sequence.finding, Finding::NotApplicable { .. }), "{sequence:?}");
}
