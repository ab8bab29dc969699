use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::ReleaseBody;
use indelible_proto::record::{Audience, Chain, ChannelName, RecordId, Subject};
use indelible_proto::sign::{RecordSigner, SecretKey};
use indelible_proto::time::UnixSeconds;

use super::*;
use crate::publish::{Body, Draft, Place};
use indelible_proto::hash::sha256;

fn signer(name: &str, seed: u8) -> RecordSigner {
    let name = KeyName::parse(name).unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [seed; 32])).unwrap()
}

fn record(signers: &[&RecordSigner]) -> SignedRecord {
    let subject = Subject::of_file("agent", sha256(b"agent"));
    let body = ReleaseBody { version: "1.0".into(), purl: None, source: None, provenance: None, sbom: None };
    let channel = ChannelName::parse("vendor.example/agent").unwrap();
    let chain = Chain::Publish;
    let draft = Draft {
        channel,
        chain,
        subject: vec![subject],
        body: Body::Release(body),
        audience: Audience::Public,
        lifetime_s: 60,
    };
    let id = RecordId::from_hash(sha256(b"before"));
    let place = Place::After { seq: 3, head: id, keys: id };
    let now = UnixSeconds::new(1_790_000_000).unwrap();
    SignedRecord::sign(&draft.statement(&place, now), signers).unwrap()
}

fn text() -> String {
    let record = record(&[&signer("vendor.example/a", 1), &signer("vendor.example/b", 2)]);
    String::from_utf8(export(&record).unwrap()).unwrap()
}

fn code(text: &str) -> &'static str {
    import(text.as_bytes()).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn a_leaf_comes_back_byte_by_byte() {
    let (a, b) = (signer("vendor.example/a", 1), signer("vendor.example/b", 2));
    for signers in [&[&a][..], &[&a, &b]] {
        let record = record(signers);
        let envelope = export(&record).unwrap();
        let back = import(&envelope).unwrap();
        assert_eq!(back.encode(), record.encode());
        assert_eq!(export(&back).unwrap(), envelope);
    }
}

#[test]
fn an_envelope_has_the_documented_fields() {
    let record = record(&[&signer("vendor.example/a", 1)]);
    let line = &record.signatures()[0];
    let (payload, sig) = (encode_base64(record.payload()), encode_base64(line.signature()));
    let expected = format!(
        r#"{{"payload":"{payload}","payloadType":"application/vnd.in-toto+json","signatures":[{{"keyid":"vendor.example/a+{}","sig":"{sig}"}}]}}"#,
        line.id()
    );
    assert_eq!(String::from_utf8(export(&record).unwrap()).unwrap(), expected);
}

#[test]
fn white_space_and_order_are_free() {
    let value: serde_json::Value = serde_json::from_str(&text()).unwrap();
    let mut reordered = value.clone();
    reordered["signatures"].as_array_mut().unwrap().reverse();
    for text in [serde_json::to_string_pretty(&value).unwrap(), reordered.to_string()] {
        assert_eq!(export(&import(text.as_bytes()).unwrap()).unwrap(), self::text().into_bytes());
    }
}

#[test]
fn what_could_be_read_two_ways_is_refused() {
    let text = text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let payload = value["payload"].as_str().unwrap();
    let id = record(&[&signer("vendor.example/a", 1)]).signatures()[0].id().to_string();
    let upper = id.to_uppercase();
    assert_ne!(upper, id, "this key's id has letters");
    let twice = format!(r#"{{"payload":"e30=",{}"#, &text[1..]);
    assert_eq!(code(&twice), "dsse-json");
    for (from, to, expected) in [
        ("{", r#"{"more":1,"#, "dsse-json"),
        (r#""sig":"#, r#""sig":"","sig":"#, "dsse-json"),
        (r#""keyid""#, r#""keyId""#, "dsse-json"),
        ("application/vnd.in-toto+json", "application/json", "dsse-payload-type"),
        ("vendor.example/a+", "vendor.example/a-", "dsse-key-id"),
        ("vendor.example/a+", "vendor.example/a++", "dsse-key-id"),
        ("vendor.example/a+", "vendor.example/a+0", "dsse-key-id"),
        ("vendor.example/a+", "+", "dsse-key-id"),
        (&id, &upper, "dsse-key-id"),
        ("vendor.example/b", "vendor.example/b b", "dsse-key-id"),
        (payload, &payload[..payload.len() - 1], "base64-not-canonical"),
        (payload, "e30=", "field-missing"),
        (payload, "", "json-syntax"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(code(&text.replacen(from, to, 1)), expected, "{from} -> {to}");
    }
}

#[test]
fn signatures_are_needed_and_stand_once() {
    let mut value: serde_json::Value = serde_json::from_str(&text()).unwrap();
    let first = value["signatures"][0].clone();
    value["signatures"].as_array_mut().unwrap().push(first);
    assert_eq!(code(&value.to_string()), "record-signature-order");
    value["signatures"] = serde_json::json!([]);
    assert_eq!(code(&value.to_string()), "record-unsigned");
}

#[test]
fn every_truncation_is_refused() {
    let text = text();
    for end in 0..text.len() {
        assert_ne!(code(&text[..end]), "accepted");
    }
}

#[test]
fn a_longer_file_than_any_envelope_is_not_read() {
    let text = text();
    let spaces = |count: usize| format!("{text}{}", " ".repeat(count - text.len()));
    assert_eq!(code(&spaces(MAX_ENVELOPE_BYTES)), "accepted");
    assert_eq!(code(&spaces(MAX_ENVELOPE_BYTES + 1)), "dsse-too-long");
}
