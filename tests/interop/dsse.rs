//! Exported records under foreign eyes: securesystemslib verifies the envelopes, in-toto-attestation parses the
//! statements, and what securesystemslib writes again comes back as the same leaf.

use std::path::Path;
use std::process::Command;

use indelible_client::dsse;
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::{
    Advisory, Findings, HeadBody, Independence, ReviewBody, ReviewKind, ReviewResult, Severity,
    WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{Common, Predicate, SignedRecord, Statement, Subject};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_tests::{Finished, Publisher};

fn spare() -> RecordSigner {
    let name = KeyName::parse("vendor.example/spare").unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [9; 32])).unwrap()
}

/// A record of each type, some signed by two keys.
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
    let statements = [
        Statement { subject: subject.clone(), predicate: Predicate::Withdraw(lasting, withdraw) },
        Statement { subject, predicate: Predicate::Review(common.clone(), review) },
        Statement { subject: of_channel, predicate: Predicate::Head(common, head) },
    ];
    let signer = publisher.signer().clone();
    let more =
        statements.iter().map(|statement| SignedRecord::sign(statement, &[&signer, &spare()]).unwrap());
    let records = [genesis, release.clone()].into_iter().chain(more).collect();
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
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
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
    assert_eq!(judged.stdout.trim(), records.len().to_string(), "{}", judged.stderr);
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
