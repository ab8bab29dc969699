//! The artifact is the one that the record describes, and a record that describes one is what publishes it.

use super::*;

#[test]
fn a_released_file_verifies_and_every_check_has_run() {
    let verdict = World::new().verify();
    assert_eq!(verdict.outcome(), Outcome::Verified, "{:#?}", verdict.checks());
    assert_eq!(verdict.decisive(), None);
    let names: Vec<_> = verdict.checks().iter().map(|check| check.name.code()).collect();
    let all = [
        "log-signature",
        "inclusion",
        "witnesses",
        "remembered",
        "record",
        "signers",
        "channel",
        "artifact",
        "sequence",
        "expiry",
        "age",
        "withdrawal",
        "audience",
        "platform",
        "engine",
        "reviews",
        "key-change",
    ];
    assert_eq!(names, all);
    // What only the channel file can tell is not known without one.
    let is_open = |check: &&Check| !check.passed() && !matches!(check.finding, Finding::NotApplicable { .. });
    let open: Vec<_> = verdict.checks().iter().filter(is_open).map(|check| check.name).collect();
    assert_eq!(open, [CheckName::Withdrawal, CheckName::KeyChange]);
    assert_eq!(verdict.hidden().len(), 3);
    assert_eq!(verdict.logged().unwrap().checkpoint().cosigners().len(), 3);
    assert_eq!(verdict.remember().unwrap().head().size.get(), 2);
}

#[test]
fn a_rule_directory_verifies_by_its_bundle_root() {
    let tree = bundle(b"b");
    let world = World::with(rules(&tree, tree.root()), ArtifactDigest::Directory(tree));
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn a_changed_file_is_refused() {
    let mut world = World::new();
    world.artifact = file(b"the releasf");
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn a_changed_directory_is_refused() {
    let tree = bundle(b"b");
    let world = World::with(rules(&tree, tree.root()), ArtifactDigest::Directory(bundle(b"c")));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

fn archive(content: &[u8], tree: BundleTree) -> ArtifactDigest {
    let file = FileDigest { sha256: sha256(content), bytes: content.len() as u64 };
    ArtifactDigest::Archive { file, tree }
}

#[test]
fn an_archive_verifies_by_what_is_in_it() {
    let tree = bundle(b"b");
    let world = World::with(rules(&tree, tree.root()), archive(b"tar", tree.clone()));
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    let world = World::with(rules(&tree, tree.root()), archive(b"tar", bundle(b"c")));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn an_archive_that_the_record_names_by_its_own_hash_is_that_file() {
    let tree = bundle(b"b");
    let (mut subject, body) = rules(&tree, tree.root());
    subject[0].sha256 = Some(sha256(b"tar"));
    let world = |artifact| World::with((subject.clone(), body.clone()), artifact);
    assert_eq!(world(archive(b"tar", bundle(b"c"))).verify().outcome(), Outcome::Verified);
    assert_eq!(world(file(b"tar")).verify().outcome(), Outcome::Verified);
    // Packed otherwise it is still the bundle.
    assert_eq!(world(archive(b"zip", tree)).verify().outcome(), Outcome::Verified);
    let other = world(archive(b"zip", bundle(b"c")));
    other.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn only_a_record_of_a_bundle_has_an_archive_opened() {
    let tree = bundle(b"b");
    let (mut subject, body) = rules(&tree, tree.root());
    let digest = |content: &[u8]| FileDigest { sha256: sha256(content), bytes: content.len() as u64 };
    let claims = |world: &World, content| claims_bundle(&world.proof, &digest(content));
    assert!(claims(&World::with((subject.clone(), body.clone()), file(b"x")), b"x"));
    subject[0].sha256 = Some(sha256(b"x"));
    let both = World::with((subject, body), file(b"x"));
    assert_eq!((claims(&both, b"x"), claims(&both, b"y")), (false, true));
    assert!(!claims(&World::new(), b"x"));
    assert!(!claims(&World::with_leaf(b"no record"), b"x"));
}

#[test]
fn an_archive_is_not_verified_by_a_release_of_other_files() {
    let world = World::with(release(), archive(b"tar", bundle(b"b")));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
    let world = World::with(release(), archive(CONTENT, bundle(b"b")));
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn a_directory_is_held_to_the_bundle_root_as_well_as_to_the_listing() {
    let tree = bundle(b"b");
    let world = World::with(rules(&tree, sha256(b"other root")), ArtifactDigest::Directory(tree));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn a_directory_is_held_to_the_listing_as_well_as_to_the_bundle_root() {
    let tree = bundle(b"b");
    let (mut subject, body) = rules(&tree, tree.root());
    subject[0].dir_hash1 = Some(sha256(b"other listing"));
    let world = World::with((subject, body), ArtifactDigest::Directory(tree));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn a_directory_is_not_verified_by_a_release_of_files() {
    let tree = bundle(b"b");
    let (_, body) = release();
    let subject = Subject::of_tree("x", tree.dir_hash1());
    let world = World::with((vec![subject], body), ArtifactDigest::Directory(tree));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn the_proof_of_another_file_is_refused() {
    let mut world = World::new();
    let (_, body) = release();
    let other = Subject::of_file("other", sha256(b"other"));
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign(CHANNEL, (vec![other], body), &genesis, &[&vendor(7)]);
    let index = world.log.append(&record.encode());
    world.proof = world.log.proof(index);
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn a_channel_record_describes_no_artifact_even_if_its_subject_has_the_hash() {
    // A channel's subject is the hash of its own name, so a file with that content has a matching subject.
    let mut log = TestLog::new();
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let first = log.append(&genesis.encode());
    let policy = log.policy(2);
    let trust = Trust::Keys(vec![vendor(7).verifier().clone()]);
    let proof = log.proof(first);
    let artifact = file(CHANNEL.as_bytes());
    let world = World { log, policy, trust, proof, artifact, ..World::new() };
    world.assert_only(CheckName::Artifact, Outcome::Refused, "record-of-no-artifact");
}

/// The vendor's own signature over the artifact's digest, in a record that takes the artifact back.
#[test]
fn a_withdrawal_publishes_nothing() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let published = sign(CHANNEL, release(), &genesis, &[&vendor(7)]);
    let mut statement = published.statement().clone();
    let common = Common { expires: None, ..statement.predicate.common().clone() };
    let body = WithdrawBody {
        records: vec![published.record_id()],
        reason: WithdrawReason::Malicious,
        action: WithdrawAction::Uninstall,
        advisory: None,
    };
    statement.predicate = Predicate::Withdraw(common, body);
    let record = SignedRecord::sign(&statement, &[&vendor(7)]).unwrap();
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Artifact, Outcome::Refused, "record-of-no-artifact");
}
