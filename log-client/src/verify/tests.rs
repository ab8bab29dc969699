//! Each test changes one thing about an artifact that verifies and says which check must notice.

use indelible_proto::bundle_tree::{BundleFile, BundleTree};
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::{KeyKind, NoteSignature, SignedNote};
use indelible_proto::record::body::{
    Bundle, ChannelBody, Engine, Owner, ReleaseBody, RulesBody, WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{Chain, ChannelName, Common, KeySet, Predicate, Subject};
use indelible_proto::sign::{LogSigner, RecordSigner, Signer as _};
use indelible_proto::size::LeafIndex;
use indelible_proto::tree::{InclusionProof, TreeHead};

use super::*;
use crate::files::FileDigest;
use crate::publish::{Body, Draft, Place};
use crate::test_log::{ORIGIN, TestLog, seconds, secret, vendor};

mod known;
mod standing;

const CHANNEL: &str = "vendor.example/agent";
const CONTENT: &[u8] = b"the release";

/// A verified state of the world, to be changed in one place.
struct World {
    log: TestLog,
    policy: Policy,
    trust: Trust,
    proof: LogProof,
    artifact: ArtifactDigest,
    remembered: Remembered,
    last: LastKnown,
    known: Knowledge,
    reviewers: Reviewers,
    time: TrustedTime,
    rules: Rules,
}

/// Shortly after the witnesses of [`TestLog`] cosign.
const NOW: u64 = 1_800_000_010;

impl World {
    /// A channel with one release in a log of two entries, two of three witnesses wanted.
    fn new() -> Self {
        Self::with(release(), file(CONTENT))
    }

    fn with(body: (Vec<Subject>, Body), artifact: ArtifactDigest) -> Self {
        let mut log = TestLog::new();
        let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
        log.append(&genesis.encode());
        let record = sign(CHANNEL, body, &genesis, &[&vendor(7)]);
        let index = log.append(&record.encode());
        let policy = log.policy(2);
        let trust = trust_in(&log, &policy);
        let proof = log.proof(index);
        Self {
            log,
            policy,
            trust,
            proof,
            artifact,
            remembered: Remembered::Nothing,
            last: LastKnown::Nothing,
            known: Knowledge::Nothing,
            reviewers: Reviewers::new(),
            time: TrustedTime::new(seconds(NOW), None),
            rules: Rules::default(),
        }
    }

    /// The same world with the release's common fields changed.
    fn changed(change: impl FnOnce(&mut Common)) -> Self {
        let mut statement =
            SignedRecord::parse(Self::new().proof.extra().unwrap()).unwrap().statement().clone();
        let Predicate::Release(common, _) = &mut statement.predicate else { panic!("a release") };
        change(common);
        Self::with_leaf(&SignedRecord::sign(&statement, &[&vendor(7)]).unwrap().encode())
    }

    /// The same world with a release that expires this many seconds later.
    fn with_lifetime(more_s: u64) -> Self {
        Self::changed(|common| {
            common.expires = common.expires.map(|expires| seconds(expires.get() + more_s));
        })
    }

    /// A world in which rules for an engine were released.
    fn of_rules_for(name: &str, min: Option<&str>, max: Option<&str>) -> Self {
        let tree = bundle(b"b");
        let (subject, body) = rules(&tree, tree.root());
        let Body::Rules(mut body) = body else { panic!("rules") };
        let version = |version: Option<&str>| version.map(ToOwned::to_owned);
        body.engine = Some(Engine { name: name.into(), min: version(min), max: version(max) });
        Self::with((subject, Body::Rules(body)), ArtifactDigest::Directory(tree))
    }

    /// The same world with `leaf` in the log in place of the release.
    fn with_leaf(leaf: &[u8]) -> Self {
        let mut world = Self::new();
        world.log.entries.pop();
        let index = world.log.append(leaf);
        world.trust = trust_in(&world.log, &world.policy);
        world.proof = world.log.proof(index);
        world
    }

    fn under(mut self, note: SignedNote) -> Self {
        self.proof = self.log.proof_with(self.proof.index(), note);
        self
    }

    fn remembering(mut self, note: &SignedNote) -> Self {
        let signed = self.policy.verify_log_signature(note).unwrap();
        self.remembered = Remembered::Checkpoint(Box::new(signed));
        self
    }

    fn verify(&self) -> Verdict {
        verify(&Request {
            artifact: &self.artifact,
            proof: &self.proof,
            policy: &self.policy,
            trust: &self.trust,
            remembered: &self.remembered,
            last: &self.last,
            known: &self.known,
            reviewers: &self.reviewers,
            time: self.time,
            rules: &self.rules,
        })
    }

    /// Asserts that exactly the check `name` fails, with this outcome and code.
    #[track_caller]
    fn assert_only(&self, name: CheckName, outcome: Outcome, code: &str) -> Verdict {
        let verdict = self.verify();
        let failed: Vec<_> = verdict
            .checks()
            .iter()
            .filter_map(|check| check.reason().map(|reason| (check.name, reason.outcome, reason.code)))
            .collect();
        assert_eq!(failed, [(name, outcome, code)], "{:#?}", verdict.checks());
        assert_eq!(verdict.outcome(), outcome);
        assert!(
            verdict.decisive().is_some_and(|reason| !reason.message.is_empty() && !reason.next.is_empty())
        );
        verdict
    }
}

fn file(content: &[u8]) -> ArtifactDigest {
    ArtifactDigest::File(FileDigest { sha256: sha256(content), bytes: content.len() as u64 })
}

fn open_channel(name: &str, signers: &[RecordSigner], threshold: u8) -> SignedRecord {
    let keys = signers.iter().map(|signer| signer.verifier().clone()).collect();
    let body = ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/agent".into(),
        signers: Some(KeySet::new(keys, threshold).unwrap()),
        recovery: None,
        cooldown_s: 0,
        max_age_s: 3600,
    };
    let draft = Draft {
        channel: ChannelName::parse(name).unwrap(),
        chain: Chain::Publish,
        subject: Vec::new(),
        body: Body::Channel(body),
        lifetime_s: 0,
    };
    let signers: Vec<&RecordSigner> = signers.iter().collect();
    SignedRecord::sign(&draft.statement(&Place::Genesis, seconds(1_790_000_000)), &signers).unwrap()
}

fn sign(
    channel: &str,
    (subject, body): (Vec<Subject>, Body),
    genesis: &SignedRecord,
    signers: &[&RecordSigner],
) -> SignedRecord {
    let id = genesis.record_id();
    let channel = ChannelName::parse(channel).unwrap();
    let draft =
        Draft { channel, chain: Chain::Publish, subject, body, lifetime_s: NOW - 1_790_000_100 + 3600 };
    let place = Place::After { seq: 0, head: id, keys: id };
    SignedRecord::sign(&draft.statement(&place, seconds(1_790_000_100)), signers).unwrap()
}

fn release() -> (Vec<Subject>, Body) {
    let other = Subject { name: "agent-arm64".into(), sha256: Some(sha256(b"arm")), dir_hash1: None };
    let subject = Subject { name: "agent-amd64".into(), sha256: Some(sha256(CONTENT)), dir_hash1: None };
    let body = ReleaseBody { version: "1.0".into(), purl: None, source: None, provenance: None, sbom: None };
    (vec![subject, other], Body::Release(body))
}

fn bundle(content: &[u8]) -> BundleTree {
    let file = |path: &str, content: &[u8]| BundleFile {
        path: path.into(),
        sha256: sha256(content),
        bytes: content.len() as u64,
    };
    BundleTree::from_files(vec![file("a.yml", b"a"), file("b.yml", content)]).unwrap()
}

fn rules(tree: &BundleTree, root: Hash) -> (Vec<Subject>, Body) {
    let subject = Subject { name: "rules".into(), sha256: None, dir_hash1: Some(tree.dir_hash1()) };
    let body = RulesBody {
        version: "1".into(),
        format: "sigma".into(),
        engine: None,
        bundle: Bundle { root, files: 2, bytes: tree.bytes() },
        delta: None,
        tests: None,
    };
    (vec![subject], Body::Rules(body))
}

/// Trust in the channel whose first record is the log's first entry.
fn trust_in(log: &TestLog, policy: &Policy) -> Trust {
    let proof = log.proof(LeafIndex::new(0).unwrap());
    Trust::Channel(Box::new(TrustedChannel::from_proof(&proof, policy).unwrap()))
}

/// A checkpoint of this size and another root, signed by the log and two witnesses.
fn forked_note(log: &TestLog, size: usize) -> SignedNote {
    let mut other = log.clone();
    other.entries[0] = b"something else".to_vec();
    other.note(size, 2)
}

fn with_line(note: &SignedNote, line: NoteSignature) -> SignedNote {
    let mut lines = note.signatures().to_vec();
    lines.push(line);
    note.with_signatures(lines).unwrap()
}

/// The signature of `line` with one bit changed.
fn damaged(line: &NoteSignature) -> NoteSignature {
    let mut bytes = line.signature().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    NoteSignature::new(line.name().clone(), line.id(), bytes).unwrap()
}

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
    let subject = Subject { name: "x".into(), sha256: None, dir_hash1: Some(tree.dir_hash1()) };
    let world = World::with((vec![subject], body), ArtifactDigest::Directory(tree));
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
}

#[test]
fn the_proof_of_another_file_is_refused() {
    let mut world = World::new();
    let (_, body) = release();
    let other = Subject { name: "other".into(), sha256: Some(sha256(b"other")), dir_hash1: None };
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

#[test]
fn a_tampered_leaf_is_not_in_the_log_and_nothing_it_says_is_read() {
    let world = World::new();
    let leaf = String::from_utf8(world.proof.extra().unwrap().to_vec()).unwrap();
    let tampered = leaf.replace(&sha256(CONTENT).to_hex(), &sha256(b"malware").to_hex());
    assert_ne!(leaf, tampered);
    let (index, path, note) = (world.proof.index(), world.proof.proof().clone(), world.proof.note().clone());
    let proof = LogProof::new(Some(tampered.into_bytes()), index, path, note).unwrap();
    let world = World { proof, artifact: file(b"malware"), ..world };
    let verdict = world.assert_only(CheckName::Inclusion, Outcome::Refused, "inclusion-root-mismatch");
    assert!(verdict.record().is_none());
    let unread = verdict
        .checks()
        .iter()
        .filter(|check| check.finding == Finding::NotRun { needs: CheckName::Inclusion });
    assert_eq!(unread.count(), 12);
}

#[test]
fn a_proof_without_a_record_proves_nothing() {
    // A checksum database once answered "yes" with no entry for what was asked, and clients let it pass.
    let world = World::new();
    let (index, path, note) = (world.proof.index(), world.proof.proof().clone(), world.proof.note().clone());
    let proof = LogProof::new(None, index, path, note).unwrap();
    World { proof, ..world }.assert_only(CheckName::Inclusion, Outcome::Refused, "proof-without-record");
}

#[test]
fn an_empty_inclusion_proof_is_refused() {
    let world = World::new();
    let extra = world.proof.extra().map(<[u8]>::to_vec);
    let path = InclusionProof::new(Vec::new()).unwrap();
    let proof = LogProof::new(extra, world.proof.index(), path, world.proof.note().clone()).unwrap();
    let verdict = World { proof, ..world }.verify();
    assert_eq!(verdict.outcome(), Outcome::Refused);
    assert!(verdict.logged().is_none());
}

#[test]
fn an_entry_that_is_no_record_is_refused() {
    let world = World::with_leaf(b"any bytes");
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Refused);
    let failed: Vec<_> = verdict.checks().iter().filter(|c| c.reason().is_some()).map(|c| c.name).collect();
    assert_eq!(failed, [CheckName::Record]);
}

#[test]
fn a_record_signed_by_another_key_of_the_same_name_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign(CHANNEL, release(), &genesis, &[&vendor(8)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
}

#[test]
fn a_record_with_a_broken_signature_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let good = sign(CHANNEL, release(), &genesis, &[&vendor(7)]);
    let bad = SignedRecord::new(good.statement(), vec![damaged(&good.signatures()[0])]).unwrap();
    let world = World::with_leaf(&bad.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-signature-invalid");
}

#[test]
fn a_record_with_a_strangers_signature_beside_the_vendors_was_never_admitted() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign(CHANNEL, release(), &genesis, &[&vendor(7), &vendor(8)]);
    let mut world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "signer-unknown");
    // Who names single keys does not say that no other may sign.
    world.trust = Trust::Keys(vec![vendor(7).verifier().clone()]);
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    let signers = verdict.checks().iter().find(|check| check.name == CheckName::Signers).unwrap();
    assert_eq!(signers.ignored.len(), 1);
}

#[test]
fn one_signature_is_too_few_where_the_channel_wants_two() {
    for (signers, outcome) in
        [(vec![vendor(7)], Outcome::Refused), (vec![vendor(7), vendor(8)], Outcome::Verified)]
    {
        let mut world = World::new();
        let genesis = open_channel(CHANNEL, &[vendor(7), vendor(8)], 2);
        world.log.entries[0] = genesis.encode();
        let signers: Vec<&RecordSigner> = signers.iter().collect();
        world.log.entries[1] = sign(CHANNEL, release(), &genesis, &signers).encode();
        world.trust = trust_in(&world.log, &world.policy);
        world.proof = world.log.proof(LeafIndex::new(1).unwrap());
        assert_eq!(world.verify().outcome(), outcome, "{:#?}", world.verify().checks());
    }
}

#[test]
fn a_record_of_another_channel_of_the_same_vendor_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign("vendor.example/agent/beta", release(), &genesis, &[&vendor(7)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Channel, Outcome::Refused, "record-other-channel");
}

#[test]
fn a_record_under_a_squatted_channel_of_the_same_name_is_refused() {
    let mut squatted = open_channel(CHANNEL, &[vendor(7)], 1);
    let mut statement = squatted.statement().clone();
    if let Predicate::Channel(common, _) = &mut statement.predicate {
        common.issued = seconds(1_790_000_001);
    }
    squatted = SignedRecord::sign(&statement, &[&vendor(7)]).unwrap();
    let record = sign(CHANNEL, release(), &squatted, &[&vendor(7)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Channel, Outcome::Refused, "record-other-keys");
}

#[test]
fn given_keys_need_no_channel() {
    let mut world = World::new();
    world.trust = Trust::Keys(vec![vendor(9).verifier().clone(), vendor(7).verifier().clone()]);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.trust = Trust::Keys(vec![vendor(9).verifier().clone()]);
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
    world.trust = Trust::Keys(Vec::new());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
}

#[test]
fn without_anybody_to_trust_nothing_can_be_decided() {
    let mut world = World::new();
    world.trust = Trust::Nobody;
    world.assert_only(CheckName::Signers, Outcome::Undecided, "no-trusted-keys");
}

#[test]
fn a_forged_cosignature_spoils_the_note_even_beside_a_quorum() {
    let world = World::new();
    let note = world.log.note(2, 2);
    let text = note.text().to_owned();
    let third = &world.log.witnesses[2];
    let note = with_line(&note, damaged(&third.cosign(&text, seconds(1_800_000_009))));
    world.under(note).assert_only(CheckName::Witnesses, Outcome::Refused, "signature-invalid");
}

#[test]
fn too_few_witnesses_are_no_quorum() {
    let world = World::new();
    let note = world.log.note(2, 1);
    let world = world.under(note);
    let verdict = world.assert_only(CheckName::Witnesses, Outcome::Refused, "quorum-not-met");
    assert!(verdict.remember().is_none(), "a checkpoint without a quorum is not remembered");
}

#[test]
fn one_witness_counts_once_however_often_it_signs() {
    let world = World::new();
    let note = world.log.note(2, 1);
    let again = world.log.witnesses[0].cosign(note.text(), seconds(1_800_000_500));
    let note = with_line(&note, again);
    world.under(note).assert_only(CheckName::Witnesses, Outcome::Refused, "quorum-not-met");
}

#[test]
fn unknown_signatures_are_ignored_and_said_so() {
    let world = World::new();
    let note = world.log.note(2, 2);
    let stranger = LogSigner::new(secret(KeyKind::Log, "stranger.example", 200)).unwrap();
    let note = with_line(&note, stranger.sign(note.text().as_bytes()));
    let verdict = world.under(note).verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    let witnesses = verdict.checks().iter().find(|check| check.name == CheckName::Witnesses).unwrap();
    assert_eq!(witnesses.ignored.len(), 1);
    assert!(witnesses.ignored[0].contains("stranger.example"));
}

#[test]
fn a_forged_log_signature_is_refused() {
    let world = World::new();
    let mut lines = world.proof.note().signatures().to_vec();
    lines[0] = damaged(&lines[0]);
    let note = world.proof.note().with_signatures(lines).unwrap();
    let world = world.under(note);
    let verdict = world.assert_only(CheckName::LogSignature, Outcome::Refused, "signature-invalid");
    let remembered = verdict.checks().iter().find(|check| check.name == CheckName::Remembered).unwrap();
    assert_eq!(remembered.finding, Finding::NotRun { needs: CheckName::LogSignature });
}

#[test]
fn a_log_that_the_policy_does_not_know_is_refused() {
    let world = World::new();
    let other = LogSigner::new(secret(KeyKind::Log, ORIGIN, 2)).unwrap();
    let mut lines = world.proof.note().signatures().to_vec();
    lines[0] = other.sign(world.proof.note().text().as_bytes());
    let note = world.proof.note().with_signatures(lines).unwrap();
    world.under(note).assert_only(CheckName::LogSignature, Outcome::Refused, "no-log-signature");
}

#[test]
fn a_checkpoint_of_another_origin_is_refused_although_the_log_signed_it() {
    let world = World::new();
    let text = world.log.checkpoint_text(2).replace(ORIGIN, "other.example/log");
    let mut lines = vec![world.log.signer.sign(text.as_bytes())];
    lines.extend(world.log.witnesses.iter().map(|witness| witness.cosign(&text, seconds(1_800_000_000))));
    let note = SignedNote::new(text, lines).unwrap();
    world.under(note).assert_only(CheckName::LogSignature, Outcome::Refused, "origin-mismatch");
}

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

#[test]
fn a_channel_is_trusted_only_by_a_proof_of_its_first_record() {
    let world = World::new();
    let first = LeafIndex::new(0).unwrap();
    let code = |proof: &LogProof, policy: &Policy| {
        TrustedChannel::from_proof(proof, policy).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(code(&world.log.proof(first), &world.policy), Ok(()));
    assert_eq!(code(&world.proof, &world.policy), Err("channel-unknown"));
    let unseen = world.log.proof_with(first, world.log.note(2, 1));
    assert_eq!(code(&unseen, &world.policy), Err("quorum-not-met"));
    let swapped = {
        let proof = world.log.proof(first);
        let extra = world.proof.extra().map(<[u8]>::to_vec);
        LogProof::new(extra, first, proof.proof().clone(), proof.note().clone()).unwrap()
    };
    assert!(code(&swapped, &world.policy).is_err());
}

#[test]
fn no_single_bit_of_a_proof_can_change_unnoticed() {
    let mut world = World::new();
    let bytes = world.proof.encode();
    let mut believed = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(proof) = LogProof::parse(&changed) else { continue };
        // Who changes the name or id of one cosignature turns it into a stranger's, which is ignored.
        world.proof = proof;
        let verdict = world.verify();
        if verdict.outcome() == Outcome::Verified {
            assert!(verdict.logged().unwrap().checkpoint().cosigners().len() >= 2);
            assert_eq!(verdict.logged().unwrap().checkpoint().head(), TreeHead { ..world.log.head(2) });
            believed += 1;
        }
    }
    assert!(believed > 0, "the quorum leaves room for one witness of three");
}
