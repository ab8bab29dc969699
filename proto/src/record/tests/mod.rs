//! What the tests of records share: fixed keys, one valid statement of each type, and ways to spoil them.

mod follow;
mod follow_keys;
mod json;
mod leaf;
mod platform;
mod recovery;
mod schema;
mod schema_named;
mod schema_types;
mod state;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::body::{
    Advisory, Bundle, ChannelBody, Coverage, Delta, Engine, Findings, HeadBody, Independence, Owner,
    ReleaseBody, ReviewBody, ReviewKind, ReviewResult, RulesBody, Severity, Source, WithdrawAction,
    WithdrawBody, WithdrawReason,
};
use super::json::Value;
use super::leaf::encode as encode_leaf;
use super::*;
use crate::hash::sha256;
use crate::note::{KeyKind, KeyName};
use crate::sign::SecretKey;
use crate::time::UnixSeconds;

const CHANNEL: &str = "vendor.example/rules/sigma/canary";

pub(crate) fn signer(name: &str, seed: u8) -> RecordSigner {
    let name = KeyName::parse(name).unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [seed; 32])).unwrap()
}

fn key(name: &str, seed: u8) -> VerifierKey {
    signer(name, seed).verifier().clone()
}

pub(crate) fn set(signers: &[&RecordSigner], threshold: u8) -> KeySet {
    KeySet::new(signers.iter().map(|signer| signer.verifier().clone()).collect(), threshold).unwrap()
}

fn id(label: &str) -> RecordId {
    RecordId::from_hash(sha256(label.as_bytes()))
}

fn time(text: &str) -> UnixSeconds {
    UnixSeconds::parse_rfc3339(text).unwrap()
}

pub(crate) fn common(seq: u64) -> Common {
    Common {
        channel: ChannelName::parse(CHANNEL).unwrap(),
        seq,
        prev: (seq > 0).then(|| id("prev")),
        keys: (seq > 0).then(|| id("keys")),
        issued: time("2026-07-09T10:00:00Z"),
        expires: None,
        audience: Audience::Public,
        chain: Chain::Publish,
        extensions: BTreeMap::new(),
    }
}

pub(crate) fn channel(common: Common, signers: KeySet) -> Statement {
    let body = ChannelBody {
        owner: Owner { name: "Vendor Example AG".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/vendor.example/sigma-rules".into(),
        signers: Some(signers),
        recovery: None,
        cooldown_s: 259_200,
        max_age_s: 259_200,
    };
    let subject = vec![Subject::of_channel(&common.channel)];
    Statement { subject, predicate: Predicate::Channel(common, body) }
}

pub(crate) fn release(common: Common) -> Statement {
    let body = ReleaseBody {
        version: "8.4.2".into(),
        purl: Some("pkg:generic/vendor.example/agent@8.4.2".into()),
        source: Some(Source {
            uri: "git+https://git.vendor.example/agent@v8.4.2".into(),
            git_commit: "5ba5ee830903e91240fc6f9f3a7a9293d49e69c9".into(),
        }),
        provenance: Some(sha256(b"provenance")),
        sbom: Some(sha256(b"sbom")),
    };
    let subject = ["agent-linux-amd64.tar.zst", "agent-linux-arm64.tar.zst"]
        .map(|name| Subject::of_file(name, sha256(name.as_bytes())));
    let expires = Some(time("2026-08-09T10:00:00Z"));
    Statement { subject: subject.into(), predicate: Predicate::Release(Common { expires, ..common }, body) }
}

pub(crate) fn rules(common: Common) -> Statement {
    let body = RulesBody {
        version: "2026.07.01".into(),
        format: "sigma".into(),
        engine: Some(Engine { name: "sigma".into(), min: Some("2.0.0".into()), max: None }),
        bundle: Bundle { root: sha256(b"root"), files: 3769, bytes: 5_652_101 },
        delta: Some(Delta { from: id("from"), added: 30, changed: 1666, removed: 0 }),
        tests: Some(sha256(b"tests")),
    };
    let subject =
        vec![Subject::of_tree("sigma", sha256(b"tree")), Subject::of_file("sigma.zip", sha256(b"zip"))];
    let expires = Some(time("2026-07-12T10:00:00Z"));
    Statement { subject, predicate: Predicate::Rules(Common { expires, ..common }, body) }
}

/// The same with a platform for its first artifact.
pub(crate) fn for_platforms(mut statement: Statement) -> Statement {
    statement.subject[0].platform = Some(Platform::parse("linux/amd64").unwrap());
    statement
}

fn artifact(name: &str) -> Subject {
    Subject::of_file(name, sha256(name.as_bytes()))
}

pub(crate) fn withdraw(common: Common) -> Statement {
    let mut records = vec![id("bad"), id("worse")];
    records.sort();
    let body = WithdrawBody {
        records,
        reason: WithdrawReason::Defective,
        action: WithdrawAction::Rollback { safe: id("safe") },
        advisory: Some(Advisory {
            uri: "https://vendor.example/csaf/2026-17.json".into(),
            sha256: sha256(b"advisory"),
        }),
    };
    Statement { subject: vec![artifact("sigma.zip")], predicate: Predicate::Withdraw(common, body) }
}

pub(crate) fn review(common: Common) -> Statement {
    let body = ReviewBody {
        records: vec![id("reviewed")],
        kind: ReviewKind::RulesSemantic,
        result: ReviewResult::PassWithFindings,
        coverage: Some(Coverage { files: 3769, read: 3700 }),
        findings: Some(Findings { count: 1, max: Severity::Low, sha256: sha256(b"findings") }),
        independence: Independence {
            paid_by: "Vendor Example AG".into(),
            access: "transparency-center".into(),
            nda: true,
        },
        report: sha256(b"report"),
    };
    let expires = Some(time("2027-07-09T10:00:00Z"));
    let predicate = Predicate::Review(Common { expires, ..common }, body);
    Statement { subject: vec![artifact("sigma.zip")], predicate }
}

pub(crate) fn head(common: Common, recovery: Option<RecordId>) -> Statement {
    let subject = vec![Subject::of_channel(&common.channel)];
    let expires = Some(time("2026-07-12T10:00:00Z"));
    let body = HeadBody { record: id("renewed"), recovery };
    Statement { subject, predicate: Predicate::Head(Common { expires, ..common }, body) }
}

pub(crate) fn with_recovery(mut statement: Statement, recovery: Option<KeySet>) -> Statement {
    if let Predicate::Channel(_, body) = &mut statement.predicate {
        body.recovery = recovery;
    }
    statement
}

/// One valid statement of each type and chain.
fn all_statements() -> Vec<Statement> {
    let on_recovery = |seq| Common { chain: Chain::Recovery, keys: Some(id("keys")), ..common(seq) };
    let recovery = Some(set(&[&signer("vendor.example/recovery", 3)], 1));
    let publish = set(&[&signer("vendor.example/publish", 1)], 1);
    let mut frozen = with_recovery(channel(on_recovery(0), publish.clone()), recovery.clone());
    if let Predicate::Channel(_, body) = &mut frozen.predicate {
        body.signers = None;
    }
    let mut all = statements().to_vec();
    all.extend([withdraw(common(10)), withdraw(on_recovery(0)), review(common(11))]);
    all.extend([head(common(12), None), head(common(13), Some(id("recovery"))), frozen]);
    all.push(with_recovery(channel(on_recovery(4), publish), recovery));
    all.extend([release(common(14)), rules(common(15))].map(for_platforms));
    all
}

/// One valid statement of each of the first types, the channel's as genesis and as a later record.
fn statements() -> [Statement; 4] {
    let publish = signer("vendor.example/publish", 1);
    let spare = signer("vendor.example/spare", 2);
    let mut later = channel(common(7), set(&[&publish, &spare], 2));
    if let Predicate::Channel(_, body) = &mut later.predicate {
        body.recovery = Some(set(&[&signer("vendor.example/recovery", 3)], 1));
    }
    [channel(common(0), set(&[&publish], 1)), later, release(common(8)), rules(common(9))]
}

fn signed(statement: &Statement) -> SignedRecord {
    SignedRecord::sign(statement, &[&signer("vendor.example/publish", 1)]).unwrap()
}

/// The answer to a leaf with this statement and a signature of the right form.
fn parse_payload(payload: &[u8]) -> Result<SignedRecord, RecordError> {
    let signature = signer("vendor.example/publish", 1).sign(&signed_message(payload));
    SignedRecord::parse(&encode_leaf(payload, &[signature]))
}

/// The code of the error that a statement meets after `edit` changed it at `path` (object names joined by
/// dots; empty for the statement), or `None` if it is accepted.
fn code_after(
    statement: &Statement,
    path: &str,
    edit: impl FnOnce(&mut BTreeMap<String, Value>),
) -> Option<&'static str> {
    error_after(statement, path, edit).map(|error| error.code())
}

fn error_after(
    statement: &Statement,
    path: &str,
    edit: impl FnOnce(&mut BTreeMap<String, Value>),
) -> Option<RecordError> {
    let mut value = super::json::parse(&statement.encode()).unwrap();
    let mut object = fields(&mut value);
    for name in path.split('.').filter(|name| !name.is_empty()) {
        object = fields(object.get_mut(name).unwrap());
    }
    edit(object);
    match parse_payload(value.encode().as_bytes()) {
        Ok(record) => {
            assert_eq!(record.statement().encode(), value.encode().into_bytes());
            None
        }
        Err(error) => Some(error),
    }
}

fn fields(value: &mut Value) -> &mut BTreeMap<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("not an object: {other:?}"),
    }
}

fn text_of(record: &SignedRecord) -> String {
    core::str::from_utf8(&record.encode()).unwrap().to_string()
}
