//! Through the whole stack: a directory made by `init`, a socket, raw requests.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use indelible_proto::note::{KeyName, SignedNote, VerifierKey};
use indelible_proto::witness_api::parse_cosignatures;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::init;
use crate::run::{self, RunError};
use crate::testing::{NOW_S, ORIGIN, TestClock, TestLog, WITNESS, body, no_proof, proof_of, secret, time};

/// A witness's directory, and the logs it is to know.
struct Home {
    tmp: TempDir,
    key: VerifierKey,
    clock: TestClock,
    log: TestLog,
}

fn home() -> Home {
    let tmp = tempfile::tempdir().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let dir = tmp.path().join("witness");
    let created = time(crate::testing::CREATED_S);
    let key = init::init(
        &dir,
        KeyName::parse(WITNESS).unwrap(),
        indelible_client::keys::KeyAlgorithm::Ed25519,
        listen,
        created,
    )
    .unwrap();
    let log = TestLog::new(ORIGIN, 60);
    init::add_log(&dir, log.known().key().clone(), None).unwrap();
    Home { tmp, key, clock: TestClock::new(), log }
}

impl Home {
    fn dir(&self) -> std::path::PathBuf {
        self.tmp.path().join("witness")
    }

    fn run(&self) -> Running {
        Running::start(&self.dir(), &self.clock)
    }

    fn checkpoint_path(&self) -> String {
        format!("/{}/checkpoint", self.log.origin().hash_hex())
    }

    /// The time of the one line in `answer`, which must be this witness's over `text`.
    fn cosigned_at(&self, answer: &Answer, text: &str) -> u64 {
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = parse_cosignatures(&answer.body).unwrap();
        assert_eq!(lines.len(), 1);
        let note = SignedNote::new(text.to_owned(), lines).unwrap();
        self.key.verify_note(&note).unwrap().unwrap().timestamp().unwrap().get()
    }
}

/// A witness serving on a port of its own, stopped and waited for when dropped.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), RunError>>>,
}

impl Running {
    fn start(dir: &Path, clock: &TestClock) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let (dir, clock) = (dir.to_owned(), clock.clock());
        let thread = thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let ready = run::prepare(&dir, None, clock).await?;
                tell.send(ready.address()).unwrap();
                ready.serve(async { drop(stopped.await) }).await
            })
        });
        let address = told.recv().expect("the witness started");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    fn finish(&mut self) -> Result<(), RunError> {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }

    /// Sends these bytes and reads to the end of the connection.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
        Answer::read(stream)
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, b"")
    }

    fn add(&self, body: &[u8]) -> Answer {
        self.request("POST", "/add-checkpoint", body)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.finish().expect("the witness stops cleanly");
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase() + "\r\n", body: body.as_bytes().to_vec() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }
}

#[test]
fn a_log_is_cosigned_from_its_first_entry_on() {
    let home = home();
    let witness = home.run();
    for (old, new) in [(0, 1), (1, 3), (3, 5), (5, 5), (5, 60)] {
        let answer = witness.add(&home.log.request(old, new));
        assert_eq!(home.cosigned_at(&answer, &home.log.text(new)), NOW_S, "{old} -> {new}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let note = SignedNote::parse(&witness.get(&home.checkpoint_path()).body).unwrap();
        let lines = parse_cosignatures(&answer.body).unwrap();
        assert_eq!(note.text(), home.log.text(new));
        assert_eq!(note.signatures(), [home.log.sign(note.text()), lines[0].clone()]);
    }
}

#[test]
fn an_empty_log_is_cosigned_and_then_grows() {
    let home = home();
    let witness = home.run();
    for (old, new) in [(0, 0), (0, 0), (0, 4)] {
        let answer = witness.add(&home.log.request(old, new));
        assert_eq!(home.cosigned_at(&answer, &home.log.text(new)), NOW_S, "{old} -> {new}");
    }
}

#[test]
fn every_refusal_has_the_status_the_specification_gives_it() {
    let home = home();
    let log = &home.log;
    let witness = home.run();
    witness.add(&log.request(0, 5));
    let stored = witness.get(&home.checkpoint_path());

    let fork = log.forked(2, 1);
    let stranger = TestLog::with_key(ORIGIN, ORIGIN, 77, 60);
    let moved = SignedNote::new(log.text(8), vec![log.sign(&log.text(9))]).unwrap();
    let odd_root = |root: &str| log.note_of(&format!("{ORIGIN}\n0\n{root}\n"));
    let fresh = TestLog::new("fresh.example/log", 5);
    let lines64 =
        format!("old 5\n{}\n{}", format!("{}=\n", "A".repeat(43)).repeat(64), note_text(&log.note(8)));
    let leading = String::from_utf8(log.request(5, 8)).unwrap();
    let too_old = body(9, &no_proof(), log.note(8));

    let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("W1 unknown origin", fresh.request(0, 5), 404, "unknown-origin: "),
        ("W2 no trusted signature", body(5, &no_proof(), stranger.note(8)), 403, "unsigned: "),
        ("W2 trusted key, wrong bytes", body(5, &no_proof(), moved), 403, "signature-invalid: "),
        ("W3 old size above the new", too_old, 400, "old-above-size: "),
        ("W3 empty body", Vec::new(), 400, "line-unterminated: "),
        ("W3 not UTF-8", b"old 5\n\n\xff\xff\n\n\xe2\x80\x94 a AAAAAAA=\n".to_vec(), 400, "not-utf8: "),
        ("W3 64 proof lines", lines64.into_bytes(), 400, "consistency-proof-too-long: "),
        ("W3 plus sign", leading.replacen("old 5", "old +0", 1).into_bytes(), 400, "decimal-not-canonical: "),
        (
            "W3 leading zero",
            leading.replacen("old 5", "old 05", 1).into_bytes(),
            400,
            "decimal-not-canonical: ",
        ),
        ("W3 CRLF", leading.replace('\n', "\r\n").into_bytes(), 400, "decimal-not-canonical: "),
        (
            "W3 extension lines",
            body(5, &no_proof(), log.note_of(&(log.text(5) + "x\n"))),
            400,
            "extensions: ",
        ),
        ("W4 old size below the held", log.request(3, 8), 409, "5\n"),
        ("W4 old size zero", log.request(0, 8), 409, "5\n"),
        ("W4 old size above the held", log.request(7, 8), 409, "5\n"),
        ("W4 smaller checkpoint", log.request(3, 3), 409, "5\n"),
        ("W5 same size, other root", fork.request(5, 5), 422, "other-root: "),
        ("W5 missing proof", body(5, &no_proof(), log.note(8)), 422, "consistency-proof-length: "),
        (
            "W5 wrong proof",
            body(5, &proof_of(log.proof(5, 8).hashes().len()), log.note(8)),
            422,
            "consistency-",
        ),
        ("W5 forked tree, its own proof", fork.request(5, 8), 422, "consistency-"),
        ("W5 size 0 once more is held", body(0, &no_proof(), odd_root(&"A".repeat(43))), 400, "base64"),
    ];
    for (row, body, status, start) in rows {
        let answer = witness.add(&body);
        assert_eq!(answer.status, status, "{row}: {answer:?}");
        assert!(answer.text().starts_with(start), "{row}: {}", answer.text());
        assert_eq!(answer.body.iter().filter(|byte| **byte == b'\n').count(), 1, "{row}: one line");
        let media_type = if status == 409 { "text/x.tlog.size" } else { "text/plain; charset=utf-8" };
        assert_eq!(answer.header("content-type"), Some(media_type), "{row}");
        assert_eq!(witness.get(&home.checkpoint_path()).body, stored.body, "{row}: the state changed");
    }
    // And the next right request is as welcome as ever.
    home.cosigned_at(&witness.add(&log.request(5, 8)), &log.text(8));
}

fn note_text(note: &SignedNote) -> String {
    String::from_utf8(note.encode()).unwrap()
}

#[test]
fn refusals_that_concern_the_empty_tree() {
    let home = home();
    let witness = home.run();
    let odd = home.log.note_of(&format!("{ORIGIN}\n0\n{}=\n", "A".repeat(43)));
    for round in ["nothing cosigned", "the empty tree cosigned"] {
        let answer = witness.add(&body(0, &no_proof(), odd.clone()));
        assert_eq!(
            (answer.status, answer.text().split(':').next()),
            (422, Some("empty-tree-root")),
            "{round}"
        );
        for new in [0, 4] {
            let answer = witness.add(&body(0, &proof_of(1), home.log.note(new)));
            assert_eq!(answer.status, 422, "{round}: {answer:?}");
        }
        let answer = witness.add(&body(1, &no_proof(), odd.clone()));
        assert_eq!(answer.status, 400, "{round}");
        witness.add(&home.log.request(0, 0));
    }
    let kept = home.dir().join("state/conflicts").join(home.log.origin().hash_hex());
    let names: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name.to_str().unwrap().starts_with("fork-0-")), "{names:?}");
}

#[test]
fn the_same_checkpoint_again_gets_a_newer_time() {
    let home = home();
    let witness = home.run();
    witness.add(&home.log.request(0, 5));
    home.clock.set(NOW_S + 5);
    let again = witness.add(&home.log.request(5, 5));
    assert_eq!(home.cosigned_at(&again, &home.log.text(5)), NOW_S + 5);
    home.clock.set(NOW_S + 4);
    let behind = witness.add(&home.log.request(5, 5));
    assert_eq!((behind.status, behind.text().split(':').next()), (503, Some("clock-behind")));
    let note = SignedNote::parse(&witness.get(&home.checkpoint_path()).body).unwrap();
    assert_eq!(home.key.verify_note(&note).unwrap().unwrap().timestamp(), Some(time(NOW_S + 5)));
}

#[test]
fn a_forged_line_in_the_witness_name_poisons_nothing() {
    let home = home();
    let witness = home.run();
    let first = witness.add(&home.log.request(0, 3));
    // Name and id are the witness's own, the signature is of another text.
    let stale = parse_cosignatures(&first.body).unwrap().remove(0);
    for (old, new) in [(3, 5), (5, 8)] {
        let mut note = home.log.note(new);
        note.add_signature(stale.clone()).unwrap();
        let answer = witness.add(&body(old, &home.log.proof(old, new), note));
        home.cosigned_at(&answer, &home.log.text(new));
        let served = SignedNote::parse(&witness.get(&home.checkpoint_path()).body).unwrap();
        assert_eq!(served.signatures().len(), 2);
    }
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let home = home();
    let mut witness = home.run();
    witness.add(&home.log.request(0, 5));
    let before = witness.get(&home.checkpoint_path());
    witness.finish().unwrap();
    let witness = home.run();
    assert_eq!(witness.get(&home.checkpoint_path()).body, before.body);
    assert_eq!(witness.add(&home.log.forked(2, 1).request(0, 5)).text(), "5\n");
    home.cosigned_at(&witness.add(&home.log.request(5, 8)), &home.log.text(8));
}

#[test]
fn of_100_conflicting_extensions_sent_at_once_one_is_cosigned() {
    let home = home();
    let witness = home.run();
    witness.add(&home.log.request(0, 10));
    let requests: Vec<_> = (0..100).map(|branch| home.log.forked(10, branch).request(10, 12)).collect();
    let start = std::sync::Barrier::new(requests.len());
    let statuses: Vec<u16> = thread::scope(|scope| {
        let (start, witness) = (&start, &witness);
        let ask = move |request| {
            start.wait();
            witness.add(request).status
        };
        let asking: Vec<_> = requests.iter().map(|request| scope.spawn(move || ask(request))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 99, "{statuses:?}");
    let winner = statuses.iter().position(|status| *status == 200).unwrap() as u64;
    let served = witness.get(&home.checkpoint_path());
    assert!(served.text().starts_with(&home.log.forked(10, winner).text(12)));
}

#[test]
fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let home = home();
    let witness = home.run();
    let max = super::AddCheckpointRequest::MAX_BYTES;
    assert_eq!(witness.add(&vec![b'x'; max]).status, 400);
    // Refused on the announcement alone: no byte of the body is sent.
    let head = |length: usize| {
        format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for length in [max + 1, 100_000_000] {
        let answer = witness.raw(head(length).as_bytes());
        assert_eq!((answer.status, answer.text().split(':').next()), (413, Some("too-large")));
    }
    // Without an announcement it is refused once it is too long.
    let mut stream = TcpStream::connect(witness.address).unwrap();
    stream
        .write_all(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..5 {
        // The witness may answer, and close, before the last of it.
        let _ = stream.write_all(&chunk);
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let home = home();
    let config = home.dir().join("witness.toml");
    let text =
        fs::read_to_string(&config).unwrap().replace("request_timeout_s = 10", "request_timeout_s = 1");
    fs::write(config, text).unwrap();
    let witness = home.run();
    let head =
        "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: 10\r\n\r\nold";
    assert_eq!(witness.raw(head.as_bytes()).status, 408);
    // A head that does not come ends the connection.
    let mut stream = TcpStream::connect(witness.address).unwrap();
    stream.write_all(b"POST /add-che").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let home = home();
    let witness = home.run();
    let mut stream = TcpStream::connect(witness.address).unwrap();
    for (old, new) in [(0, 3), (3, 5)] {
        let body = home.log.request(old, new);
        let head =
            format!("POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"=\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn the_latest_checkpoint_is_for_everyone_to_read() {
    let home = home();
    let witness = home.run();
    let path = home.checkpoint_path();
    let never = witness.get(&path);
    assert_eq!((never.status, never.header("access-control-allow-origin")), (404, Some("*")));
    witness.add(&home.log.request(0, 5));
    let answer = witness.get(&path);
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("access-control-allow-origin", "*"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let file = home.dir().join("state").join(format!("{}.note", home.log.origin().hash_hex()));
    assert_eq!(answer.body, fs::read(file).unwrap());
}

#[test]
fn other_paths_and_methods_are_refused() {
    let home = home();
    let witness = home.run();
    witness.add(&home.log.request(0, 5));
    let hex = home.log.origin().hash_hex();
    for path in [
        format!("/{}/checkpoint", hex.to_uppercase()),
        format!("/{}/checkpoint", &hex[1..]),
        format!("/{hex}/checkpoint/"),
        format!("/{hex}"),
        format!("/{}/checkpoint", "0".repeat(64)),
        "/add-checkpoint/".to_owned(),
        "/../witness.key".to_owned(),
        "/%2e%2e/checkpoint".to_owned(),
        format!("/..%2f{hex}/checkpoint"),
        "/nothing".to_owned(),
    ] {
        assert_eq!(witness.get(&path).status, 404, "{path}");
    }
    assert_eq!(witness.get("/add-checkpoint").status, 405);
    assert_eq!(witness.request("PUT", "/add-checkpoint", &home.log.request(5, 6)).status, 405);
    assert_eq!(witness.request("POST", &home.checkpoint_path(), b"").status, 405);
}

#[test]
fn the_front_page_names_the_witness_and_no_log() {
    let home = home();
    let witness = home.run();
    let page = witness.get("/");
    let expected =
        format!("witness {WITNESS}\nkey {}\nlogs 1\nprotocol https://c2sp.org/tlog-witness\n", home.key);
    assert_eq!(page.text(), expected);
    assert_eq!(page.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(witness.get("/healthz").text(), "ok\n");
}

#[test]
fn a_witness_that_cannot_know_its_state_stops() {
    let home = home();
    let mut witness = home.run();
    witness.add(&home.log.request(0, 5));
    let file = home.dir().join("state").join(format!("{}.note", home.log.origin().hash_hex()));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let answer = witness.add(&home.log.request(5, 8));
    assert_eq!((answer.status, answer.text().split(':').next()), (503, Some("stopped")));
    // Nobody asked it to.
    let outcome = witness.thread.take().unwrap().join().unwrap();
    assert!(matches!(outcome, Err(RunError::StateUnknown)));
}

#[test]
fn a_cosigner_key_is_not_taken_for_a_logs() {
    let home = home();
    let key = secret(indelible_proto::note::KeyKind::Cosigner, "x.example", 5).verifier().clone();
    assert!(init::add_log(&home.dir(), key, None).is_err());
}
