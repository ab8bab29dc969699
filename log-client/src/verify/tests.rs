//! Each test changes one thing about an artifact that verifies and says which check must notice.

use indelible_proto::bundle_tree::{BundleFile, BundleTree};
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::{KeyKind, NoteSignature, SignedNote};
use indelible_proto::record::body::{
    Bundle, ChannelBody, Engine, Owner, ReleaseBody, RulesBody, WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{Audience, Chain, ChannelName, Common, KeySet, Predicate, Subject};
use indelible_proto::sign::{LogSigner, RecordSigner, Signer as _};
use indelible_proto::size::LeafIndex;
use indelible_proto::tree::{InclusionProof, TreeHead};

use super::*;
use crate::files::FileDigest;
use crate::publish::{Body, Draft, Place};
use crate::test_log::{ORIGIN, TestLog, seconds, secret, vendor};

mod artifact;
mod client;
mod known;
mod log;
mod memory;
mod platform;
mod record;
mod reviews;
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
        audience: Audience::Public,
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
    let draft = Draft {
        channel,
        chain: Chain::Publish,
        subject,
        body,
        audience: Audience::Public,
        lifetime_s: NOW - 1_790_000_100 + 3600,
    };
    let place = Place::After { seq: 0, head: id, keys: id };
    SignedRecord::sign(&draft.statement(&place, seconds(1_790_000_100)), signers).unwrap()
}

fn release() -> (Vec<Subject>, Body) {
    let other = Subject::of_file("agent-arm64", sha256(b"arm"));
    let subject = Subject::of_file("agent-amd64", sha256(CONTENT));
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
    let subject = Subject::of_tree("rules", tree.dir_hash1());
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
