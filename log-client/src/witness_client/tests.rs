use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::note::{KeyName, NoteSignature};
use indelible_proto::sign::{CosignSigner, LogSigner, SecretKey, Signer as _};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use indelible_proto::witness_api::{encode_cosignatures, encode_size};

use super::*;
use crate::http::Timeouts;

fn key(kind: KeyKind, name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32])
}

fn signer(seed: u8) -> CosignSigner {
    CosignSigner::new(key(KeyKind::Cosigner, "witness.example/w1", seed)).unwrap()
}

fn origin() -> Origin {
    Origin::parse("log.example/x").unwrap()
}

fn note() -> SignedNote {
    let text = Checkpoint::new(origin(), TreeHead::empty()).unwrap().encode();
    let line = LogSigner::new(key(KeyKind::Log, "log.example/x", 1)).unwrap().sign(text.as_bytes());
    SignedNote::new(text, vec![line]).unwrap()
}

fn no_proof() -> ConsistencyProof {
    ConsistencyProof::new(Vec::new()).unwrap()
}

fn cosignature(seed: u8, text: &str) -> NoteSignature {
    signer(seed).cosign(text, UnixSeconds::new(1_767_225_600).unwrap()).unwrap()
}

/// A witness that gives one answer and tells what it was asked.
fn answering(status: &str, content_type: &str, body: &str) -> (WitnessClient, JoinHandle<String>) {
    answering_for(signer(7).verifier(), status, content_type, body)
}

fn answering_for(
    key: &VerifierKey,
    status: &str,
    content_type: &str,
    body: &str,
) -> (WitnessClient, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w1/", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_request(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    let http = HttpClient::new(Timeouts::default()).unwrap();
    (WitnessClient::new(key.clone(), &url, http).unwrap(), asked)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).map(|rest| rest.split("\r\n").next().unwrap());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

async fn add(status: &str, content_type: &str, body: &str) -> Result<AddOutcome, &'static str> {
    let (witness, _) = answering(status, content_type, body);
    witness.add_checkpoint(TreeSize::ZERO, &no_proof(), &note()).await.map_err(|error| error.code())
}

async fn add_ok(body: &str) -> Result<AddOutcome, &'static str> {
    add("200 OK", "text/plain", body).await
}

#[tokio::test]
async fn sends_what_the_protocol_wants_and_verifies_what_comes_back() {
    let line = cosignature(7, note().text());
    let (witness, asked) = answering("200 OK", "text/plain", &line.encode_line());
    let outcome = witness.add_checkpoint(TreeSize::ZERO, &no_proof(), &note()).await.unwrap();
    let AddOutcome::Added { signature } = outcome else { panic!("{outcome:?}") };
    assert_eq!(signature.signature(), &line);
    assert_eq!(signature.timestamp(), Some(UnixSeconds::new(1_767_225_600).unwrap()));
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /w1/add-checkpoint HTTP/1.1\r\n"), "{asked}");
    let expected = format!("\r\n\r\nold 0\n\n{}", String::from_utf8(note().encode()).unwrap());
    assert!(asked.ends_with(&expected), "{asked}");
}

#[tokio::test]
async fn takes_its_line_from_among_those_of_others() {
    let others = [cosignature(8, note().text()), cosignature(7, note().text()), cosignature(9, "x\n")];
    assert!(matches!(add_ok(&encode_cosignatures(&others)).await, Ok(AddOutcome::Added { .. })));
}

/// A witness with two keys answers with a line of each, and is asked for both: each takes its own.
#[tokio::test]
async fn takes_the_line_of_an_ml_dsa_key() {
    let name = KeyName::parse("witness.example/w1").unwrap();
    let ml_dsa = CosignSigner::new(SecretKey::ml_dsa_from_seed(name, [7; 32]).unwrap()).unwrap();
    let (key, note, time) = (ml_dsa.verifier(), note(), UnixSeconds::new(1_767_225_600).unwrap());
    let line = ml_dsa.cosign(note.text(), time).unwrap();
    let other = cosignature(7, note.text());
    let body = encode_cosignatures(&[other.clone(), line.clone()]);
    for (key, expected) in [(key, &line), (signer(7).verifier(), &other)] {
        let (witness, _) = answering_for(key, "200 OK", "text/plain", &body);
        let outcome = witness.add_checkpoint(TreeSize::ZERO, &no_proof(), &note).await.unwrap();
        let AddOutcome::Added { signature } = outcome else { panic!("{outcome:?}") };
        assert_eq!((signature.signature(), signature.timestamp()), (expected, Some(time)));
    }
    let (witness, _) = answering_for(key, "200 OK", "text/plain", &other.encode_line());
    let without = witness.add_checkpoint(TreeSize::ZERO, &no_proof(), &note).await;
    assert_eq!(without.map_err(|error| error.code()), Err("witness-protocol"));
}

#[tokio::test]
async fn refuses_a_cosignature_that_is_not_the_witnesss_over_this_text() {
    // Another key of the same name, another text, garbage, nothing.
    assert_eq!(add_ok(&cosignature(8, note().text()).encode_line()).await, Err("witness-protocol"));
    assert_eq!(add_ok(&cosignature(7, "another text\n").encode_line()).await, Err("witness-bad-cosignature"));
    for body in ["", "\n", "<html>", "— witness.example/w1 AAAA\n", "ok\n"] {
        assert_eq!(add_ok(body).await, Err("witness-protocol"), "{body:?}");
    }
    // A right line does not excuse a wrong one.
    let both = [cosignature(7, note().text()), cosignature(7, "another text\n")];
    assert_eq!(add_ok(&encode_cosignatures(&both)).await, Err("witness-bad-cosignature"));
    let unterminated = cosignature(7, note().text()).encode_line();
    assert_eq!(add_ok(unterminated.trim_end()).await, Err("witness-protocol"));
}

#[tokio::test]
async fn a_conflict_tells_the_size_to_start_from() {
    let size = TreeSize::new(20).unwrap();
    let conflict = async |media_type: &str, body: &str| add("409 Conflict", media_type, body).await;
    assert_eq!(conflict(SIZE_MEDIA_TYPE, &encode_size(size)).await, Ok(AddOutcome::Conflict { size }));
    for body in ["", "20", "020\n", "+20\n", "20\n\n", "-1\n", "9223372036854775808\n", "twenty\n"] {
        assert_eq!(conflict(SIZE_MEDIA_TYPE, body).await, Err("witness-protocol"), "{body:?}");
    }
    assert_eq!(conflict("text/plain", "20\n").await, Err("witness-protocol"));
}

#[tokio::test]
async fn tells_a_refusal_from_trouble() {
    for status in ["400 Bad Request", "403 Forbidden", "404 Not Found", "413 X", "422 X", "301 X", "204 X"] {
        assert_eq!(add(status, "text/plain", "no").await, Err("witness-refused"), "{status}");
    }
    for status in ["500 X", "502 X", "503 X", "429 X", "408 X"] {
        assert_eq!(add(status, "text/plain", "later").await, Err("witness-unavailable"), "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let http = HttpClient::new(Timeouts::default()).unwrap();
    let witness = WitnessClient::new(signer(7).verifier().clone(), &url, http).unwrap();
    let error = witness.add_checkpoint(TreeSize::ZERO, &no_proof(), &note()).await.unwrap_err();
    assert_eq!(error.code(), "witness-unavailable");
    assert_eq!(witness.latest(&origin()).await.unwrap_err().code(), "witness-unavailable");
}

#[tokio::test]
async fn reads_the_latest_checkpoint() {
    let served = String::from_utf8(note().encode()).unwrap();
    let (witness, asked) = answering("200 OK", "text/plain", &served);
    assert_eq!(witness.latest(&origin()).await.unwrap(), Some(note()));
    let path = format!("GET /w1/{}/checkpoint HTTP/1.1\r\n", origin().hash_hex());
    assert!(asked.join().unwrap().starts_with(&path));
    let latest = async |status: &str, body: &str| {
        let (witness, _) = answering(status, "text/plain", body);
        witness.latest(&origin()).await.map_err(|error| error.code())
    };
    assert_eq!(latest("404 Not Found", "").await, Ok(None));
    assert_eq!(latest("200 OK", "<html>not a note</html>").await, Err("witness-protocol"));
    assert_eq!(latest("403 Forbidden", "").await, Err("witness-refused"));
    assert_eq!(latest("503 X", "").await, Err("witness-unavailable"));
}

#[test]
fn wants_a_witness_key() {
    let http = HttpClient::new(Timeouts::default()).unwrap();
    let log = key(KeyKind::Log, "log.example/x", 1).verifier().clone();
    let error = WitnessClient::new(log, "http://127.0.0.1:1", http).unwrap_err();
    assert_eq!(error.code(), "key-wrong-kind");
}
