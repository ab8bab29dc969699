//! Exported records under foreign eyes: securesystemslib verifies the envelopes, in-toto-attestation parses the
//! statements, and what securesystemslib writes again comes back as the same leaf.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use indelible_client::dsse;
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::{
    Advisory, Bundle, ChannelBody, Delta, Engine, Findings, HeadBody, Independence, ReviewBody, ReviewKind,
    ReviewResult, RulesBody, Severity, WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{
    Chain, Common, KeySet, Platform, Predicate, RecordId, SignedRecord, Statement, Subject,
};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_tests::{Finished, Publisher};

fn spare() -> RecordSigner {
    let name = KeyName::parse("vendor.example/spare").unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [9; 32])).unwrap()
}

/// Rules with everything that a record can say of them.
fn rules(common: &Common, from: RecordId) -> Statement {
    let platform = Platform::parse("linux/arm64/v8").unwrap();
    let subject = Subject::of_tree("rules", sha256(b"listing")).on(platform);
    let engine = Engine { name: "sigma".into(), min: Some("1.0".into()), max: Some("2.0".into()) };
    let body = RulesBody {
        version: "7".into(),
        format: "sigma".into(),
        engine: Some(engine),
        bundle: Bundle { root: sha256(b"root"), files: 3, bytes: 1000 },
        delta: Some(Delta { from, added: 1, changed: 2, removed: 0 }),
        tests: Some(sha256(b"tests")),
    };
    Statement { subject: vec![subject], predicate: Predicate::Rules(common.clone(), body) }
}

/// What the recovery keys say: nobody signs, then these keys do, and a release is withdrawn.
fn recovery(genesis: &SignedRecord, withdraw: Statement) -> [Statement; 3] {
    let Predicate::Channel(opening, body) = &genesis.statement().predicate else {
        panic!("a channel record")
    };
    let place = |seq: u64, prev: Option<&str>| {
        let prev = prev.map(|before| RecordId::from_hash(sha256(before.as_bytes())));
        Common { chain: Chain::Recovery, seq, prev, keys: Some(genesis.record_id()), ..opening.clone() }
    };
    let subject = genesis.statement().subject.clone();
    let named = KeySet::new(vec![spare().verifier().clone()], 1).unwrap();
    let body = ChannelBody { recovery: Some(named), ..body.clone() };
    let frozen = ChannelBody { signers: None, ..body.clone() };
    let Predicate::Withdraw(_, withdrawal) = withdraw.predicate else { panic!("a withdrawal") };
    [
        Predicate::Channel(place(0, None), frozen),
        Predicate::Channel(place(1, Some("freeze")), body),
        Predicate::Withdraw(place(2, Some("keys")), withdrawal),
    ]
    .map(|predicate| {
        let of_channel = matches!(predicate, Predicate::Channel(..));
        Statement { subject: if of_channel { &subject } else { &withdraw.subject }.clone(), predicate }
    })
}

/// A record of each type and of each chain, some signed by two keys.
fn records() -> (RecordSigner, Vec<SignedRecord>) {
    let mut publisher = Publisher::new("vendor.example/agent", 7);
    let genesis = publisher.next(b"");
    publisher.accepted(&genesis);
    let release = publisher.next(b"agent");
    let common = release.statement().predicate.common().clone();
    let lasting = Common { expires: None, ..common.clone() };
    let named = vec![release.record_id()];
    let withdraw = WithdrawBody {
        records: named.clone(),
        reason: WithdrawReason::Defective,
        action: WithdrawAction::Rollback { safe: genesis.record_id() },
        advisory: Some(Advisory { uri: "https://vendor.example/csaf".into(), sha256: sha256(b"advisory") }),
    };
    let review = ReviewBody {
        records: named,
        kind: ReviewKind::Rebuild,
        result: ReviewResult::Fail,
        coverage: None,
        findings: Some(Findings { count: 2, max: Severity::High, sha256: sha256(b"findings") }),
        independence: Independence { paid_by: "nobody".into(), access: "source".into(), nda: false },
        report: sha256(b"report"),
    };
    let head = HeadBody { record: release.record_id(), recovery: None };
    let subject = release.statement().subject.clone();
    let of_channel = vec![Subject::of_channel(&common.channel)];
    let withdraw = Statement { subject: subject.clone(), predicate: Predicate::Withdraw(lasting, withdraw) };
    let publish = [
        withdraw.clone(),
        Statement { subject, predicate: Predicate::Review(common.clone(), review) },
        Statement { subject: of_channel, predicate: Predicate::Head(common.clone(), head) },
        rules(&common, release.record_id()),
    ];
    let signer = publisher.signer().clone();
    let statements = publish.into_iter().chain(recovery(&genesis, withdraw));
    let more = statements.map(|statement| SignedRecord::sign(&statement, &[&signer, &spare()]).unwrap());
    let records = [genesis.clone(), release].into_iter().chain(more).collect();
    (signer, records)
}

fn judge(dir: &Path) -> Finished {
    let packages = std::env::var_os("INTEROP_PYTHONPATH").expect("run this through tests/run interop");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/dsse.py");
    Finished::run(Command::new("python3").arg(script).arg(dir).env("PYTHONPATH", packages))
}

#[test]
fn exported_records_verify_and_parse_elsewhere_and_come_back() {
    let dir = tempfile::TempDir::new().unwrap();
    let (signer, records) = records();
    for (chain, expected) in [
        (Chain::Publish, &["channel", "head", "release", "review", "rules", "withdraw"][..]),
        (Chain::Recovery, &["channel", "withdraw"]),
    ] {
        let of_chain = records.iter().map(|record| &record.statement().predicate);
        let of_chain = of_chain.filter(|predicate| predicate.common().chain == chain);
        let types: BTreeSet<&str> = of_chain.map(Predicate::type_name).collect();
        assert!(types.iter().eq(expected), "{chain:?}: {types:?}");
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys = [&signer, &spare()].map(|signer| {
        let key = signer.verifier();
        (format!("{}+{}", key.name(), key.id()), serde_json::Value::from(hex(key.public_key_bytes())))
    });
    let keys = serde_json::Value::Object(keys.into_iter().collect());
    std::fs::write(dir.path().join("keys.json"), keys.to_string()).unwrap();
    for (number, record) in records.iter().enumerate() {
        let envelope = dsse::export(record).unwrap();
        std::fs::write(dir.path().join(format!("{number}.dsse.json")), envelope).unwrap();
    }
    let judged = judge(dir.path());
    let expected = format!("{} records, 1 artifacts of a platform", records.len());
    assert_eq!(judged.stdout.trim(), expected, "{}", judged.stderr);
    for (number, record) in records.iter().enumerate() {
        let theirs = std::fs::read(dir.path().join(format!("{number}.theirs.json"))).unwrap();
        assert_eq!(dsse::import(&theirs).unwrap().encode(), record.encode());
    }
}

#[test]
fn an_envelope_with_another_signature_is_refused_elsewhere() {
    let dir = tempfile::TempDir::new().unwrap();
    let (signer, records) = records();
    let key = signer.verifier();
    // The key's own name, and the public key of another.
    let other: String =
        spare().verifier().public_key_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = serde_json::json!({ format!("{}+{}", key.name(), key.id()): other });
    std::fs::write(dir.path().join("keys.json"), keys.to_string()).unwrap();
    std::fs::write(dir.path().join("0.dsse.json"), dsse::export(&records[0]).unwrap()).unwrap();
    let judged = judge(dir.path());
    assert!(judged.stderr.contains("Accepted signatures do not match threshold"), "{}", judged.stderr);
}
