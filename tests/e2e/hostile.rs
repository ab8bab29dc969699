//! Servers that answer with whatever does harm: to a watchdog that looks at them, to a log that asks them to
//! cosign.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::VerifierKey;
use indelible_proto::witness_api::encode_cosignatures;
use indelible_tests::forgery::{cosignature, stranger};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Rogue, World, http};

use crate::REFUSES_TO_SIGN;
use crate::exit::{UNDECIDED, VERIFIED};

/// A server that gives every `GET` one answer and every `POST` another one.
struct Hostile {
    address: String,
    answers: Arc<Mutex<Answers>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Answers {
    get: Vec<u8>,
    post: Vec<u8>,
}

impl Hostile {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = Arc::new(Mutex::new(Answers::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (answers, stopped) = (Arc::clone(&answers), Arc::clone(&stopped));
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let answers = answers.lock().unwrap().clone();
                    // The other side may go away at any time.
                    let _ = stream.and_then(|stream| serve(stream, &answers));
                }
            }
        });
        Self { address, answers, stopped, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn answer_get(&self, answer: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().get = answer.into();
    }

    fn answer_post(&self, answer: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().post = answer.into();
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads one request, answers it, and hangs up.
fn serve(stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let answer = if first.starts_with("POST") { &answers.post } else { &answers.get };
    reader.get_mut().write_all(answer)
}

/// An answer with this status line, these headers, each with its line's end, and this body.
fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn a_watchdog_takes_no_harm_from_a_source() {
    let world = World::start(Kind::Raw, 0, 0);
    http::post(world.log().address(), "/add", b"entry").expect(200);
    world.reader().published(1);
    let hostile = Hostile::start();
    let elsewhere = format!("location: {}/checkpoint\r\n", world.url());
    let itself = format!("location: {}/checkpoint\r\n", hostile.url());
    let checkpoint = http::get(world.log().address(), "/checkpoint").expect(200).body;
    let tricks: [(&str, Vec<u8>); 12] = [
        ("nothing", Vec::new()),
        ("no HTTP", b"\x16\x03\x01garbage\r\n\r\n".to_vec()),
        ("an error's page with status 200", answer("200 OK", "", b"<!DOCTYPE html><html>502</html>")),
        ("an error", answer("500 Oops", "", b"oops")),
        ("a redirect to the log", answer("301 Moved", &elsewhere, b"")),
        ("a redirect to itself", answer("302 Found", &itself, b"")),
        ("a redirect to a file", answer("301 Moved", "location: file:///etc/passwd\r\n", b"")),
        ("what says it is compressed", answer("200 OK", "content-encoding: gzip\r\n", &checkpoint)),
        ("ten megabytes", answer("200 OK", "", &vec![b'a'; 10_000_000])),
        ("an announced gigabyte", b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec()),
        ("half of an answer", answer("200 OK", "", &checkpoint)[..100].to_vec()),
        ("a partial answer", answer("206 Partial Content", "", &checkpoint)),
    ];
    let watch = || {
        let mut watch = world.client();
        watch.args(["watch", "--once", "--raw", "--policy"]).arg(world.policy());
        watch.arg("--state").arg(world.file("watchdog")).args(["--source", &hostile.url()]);
        Finished::run(&mut watch)
    };
    for (what, bytes) in tricks {
        hostile.answer_get(bytes);
        let watched = watch();
        assert_eq!(watched.code(), UNDECIDED, "{what}: {watched}");
    }
    // The same source is believed when it says what is true.
    hostile.answer_get(answer("200 OK", "", &checkpoint));
    watch().expect(VERIFIED);
}

#[test]
fn a_log_publishes_beside_a_witness_that_answers_nonsense() {
    let (mut world, hostile) = world_with_a_hostile_witness();
    hostile.answer_get(answer("404 Not Found", "", b""));
    world.start_log();
    let key = VerifierKey::parse(&world.witness_vkey(2)).unwrap();
    let forged = encode_cosignatures(&[cosignature(&key, "some other text\n")]);
    let unknown = stranger("stranger.example/s", 5);
    let time = indelible_proto::time::UnixSeconds::new(1_800_000_000).unwrap();
    let foreign = encode_cosignatures(&[unknown.cosign("some other text\n", time).unwrap()]);
    let size = "content-type: text/x.tlog.size\r\n";
    let nonsense: [(&str, Vec<u8>); 13] = [
        ("nothing", Vec::new()),
        ("no HTTP", b"garbage".to_vec()),
        ("an empty 200", answer("200 OK", "", b"")),
        ("garbage", answer("200 OK", "", b"garbage\n")),
        ("a forged cosignature", answer("200 OK", "", forged.as_bytes())),
        ("a cosignature of nobody known", answer("200 OK", "", foreign.as_bytes())),
        ("ten megabytes", answer("200 OK", "", &vec![b'a'; 10_000_000])),
        ("a size beyond the log", answer("409 Conflict", size, b"9223372036854775807\n")),
        ("no size", answer("409 Conflict", size, b"-1\n")),
        ("a conflict without a size", answer("409 Conflict", "", b"conflict")),
        ("a redirect", answer("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", b"")),
        ("a refusal", answer("403 Forbidden", "", b"no")),
        ("a fork that it cannot show", answer("422 Unprocessable Entity", "", b"no")),
    ];
    for (number, (what, bytes)) in nonsense.into_iter().enumerate() {
        hostile.answer_post(bytes);
        http::post(world.log().address(), "/add", what.as_bytes()).expect(200);
        // Published by the quorum of the others, and nothing unverified gets in: the reader checks each line.
        let signed = world.reader().published(number as u64 + 1);
        assert!(key.verify_note(signed.note()).unwrap().is_none(), "{what}");
    }
    assert!(world.take_log().stop().success());
}

#[test]
fn a_log_starts_beside_a_witness_that_shows_nonsense() {
    let (mut world, hostile) = world_with_a_hostile_witness();
    let other = World::prepare(Kind::Raw, 0, 0);
    let foreign = fs::read(other.log_dir().join("data/checkpoint")).unwrap();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("garbage", answer("200 OK", "", b"garbage")),
        ("the checkpoint of another log of that name", answer("200 OK", "", &foreign)),
        ("an error", answer("500 Oops", "", b"")),
        ("ten megabytes", answer("200 OK", "", &vec![b'a'; 10_000_000])),
    ] {
        hostile.answer_get(bytes);
        world.start_log();
        http::post(world.log().address(), "/add", what.as_bytes()).expect(200);
        assert!(world.take_log().stop().success());
    }
}

#[test]
fn a_log_that_is_shown_another_history_under_its_own_signature_stops_signing() {
    let (mut world, hostile) = world_with_a_hostile_witness();
    hostile.answer_get(answer("404 Not Found", "", b""));
    hostile.answer_post(answer("422 Unprocessable Entity", "", b"no"));
    world.start_log();
    // Somebody has the key, and this witness has cosigned for him.
    let entries = [&b"another first"[..], b"and second"].map(|entry| Entry::new(entry.to_vec()).unwrap());
    let thief = Rogue::new(&world.log_dir().join("log.key"), entries.to_vec());
    let shown = thief.checkpoint(thief.size()).encode();
    hostile.answer_get(answer("200 OK", "", &shown));
    assert_eq!(world.take_log().wait().code(), Some(REFUSES_TO_SIGN));
    // Nor does it start again while that is so.
    let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("witness.example/w2"), "{refused}");
}

/// A log that is not running, with two good witnesses that are, and a third whose place somebody else has
/// taken. Two have to cosign.
fn world_with_a_hostile_witness() -> (World, Hostile) {
    let mut world = World::prepare(Kind::Raw, 3, 2);
    let hostile = Hostile::start();
    let policy = fs::read_to_string(world.policy()).unwrap();
    let third = policy.lines().find(|line| line.starts_with("witness witness.example/w2 ")).unwrap();
    let (rest, _) = third.rsplit_once(' ').unwrap();
    fs::write(world.policy(), policy.replace(third, &format!("{rest} {}", hostile.url()))).unwrap();
    world.start_witness(0);
    world.start_witness(1);
    (world, hostile)
}
