//! What the witness program answers to whatever it is sent, and that it never cosigns two histories.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::thread;

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName, NoteSignature, SignedNote, VerifierKey};
use indelible_proto::sign::{LogSigner, SecretKey, Signer as _};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::{AddCheckpointRequest, checkpoint_path, parse_cosignatures};
use indelible_tests::forgery::{cosignature, stranger};
use indelible_tests::http::{self, Answer};
use indelible_tests::{Finished, Rogue, Running, World};
use tempfile::TempDir;

const ORIGIN: &str = "log.example/witnessed";

/// A running witness that knows one log, and that log's operator.
struct Bench {
    dir: TempDir,
    running: Option<Running>,
    key: VerifierKey,
    rogue: Rogue,
}

impl Bench {
    /// A witness of a log of eight entries, of which it has seen nothing yet.
    fn new() -> Self {
        let dir = TempDir::with_prefix("indelible-witness-").unwrap();
        let log = SecretKey::from_seed(KeyKind::Log, KeyName::parse(ORIGIN).unwrap(), [1; 32]);
        fs::write(dir.path().join("log.key"), log.encode().as_bytes()).unwrap();
        let entries = (0..8).map(|n| Entry::new(format!("entry {n}").into_bytes()).unwrap()).collect();
        let rogue = Rogue::new(&dir.path().join("log.key"), entries);
        let witness = dir.path().join("witness");
        let mut init = std::process::Command::new(&World::binaries().witness);
        init.arg("init").arg(&witness).args(["--name", "witness.example/w", "--listen", "127.0.0.1:0"]);
        let key = Finished::run(&mut init).expect(0).stdout;
        let mut add = std::process::Command::new(&World::binaries().witness);
        add.arg("add-log").arg(&witness).arg(log.verifier().encode());
        Finished::run(&mut add).expect(0);
        let key = VerifierKey::parse(key.trim_end()).unwrap();
        let mut bench = Self { dir, running: None, key, rogue };
        bench.start();
        bench
    }

    fn witness_dir(&self) -> PathBuf {
        self.dir.path().join("witness")
    }

    fn start(&mut self) {
        let dir = self.witness_dir();
        let args: [&OsStr; 2] = ["run".as_ref(), dir.as_ref()];
        self.running = Some(Running::start(&World::binaries().witness, &args, &self.dir.path().join("out")));
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    fn address(&self) -> &str {
        self.running.as_ref().unwrap().address()
    }

    fn post(&self, body: &[u8]) -> Answer {
        http::post(self.address(), "/add-checkpoint", body)
    }

    /// Asks for a cosignature of the honest tree.
    fn add(&self, old: u64, new: u64) -> Answer {
        self.post(&request(&self.rogue, old, new).encode())
    }

    /// What the witness serves of the log.
    fn latest(&self) -> Answer {
        http::get(self.address(), &checkpoint_path(&Origin::parse(ORIGIN).unwrap()))
    }

    /// The size of the checkpoint it serves, whose signatures by log and witness are valid.
    fn cosigned(&self) -> u64 {
        let note = SignedNote::parse(&self.latest().expect(200).body).unwrap();
        assert!(self.key.verify_note(&note).unwrap().is_some());
        note.text().lines().nth(1).unwrap().parse().unwrap()
    }
}

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

fn request(rogue: &Rogue, old: u64, new: u64) -> AddCheckpointRequest {
    let proof = if old == 0 { nothing() } else { rogue.consistency(size(old), size(new)) };
    AddCheckpointRequest { old: size(old), proof, note: rogue.checkpoint(size(new)) }
}

fn nothing() -> ConsistencyProof {
    ConsistencyProof::new(Vec::new()).unwrap()
}

#[test]
fn cosigns_growth_and_serves_exactly_what_it_cosigned() {
    let bench = Bench::new();
    bench.latest().expect(404);
    for (old, new) in [(0, 1), (1, 3), (3, 3), (3, 4), (4, 8), (8, 8)] {
        let answer = bench.add(old, new).expect(200);
        let lines = parse_cosignatures(&answer.body).unwrap();
        let note = bench.rogue.checkpoint(size(new)).with_signatures(lines).unwrap();
        let cosigned = bench.key.verify_note(&note).unwrap().expect("a cosignature");
        assert!(cosigned.timestamp().unwrap().get() > 1_700_000_000);
        let served = SignedNote::parse(&bench.latest().expect(200).body).unwrap();
        assert_eq!(served.text(), note.text());
        assert_eq!(served.signatures().len(), 2, "the log's line and its own");
    }
    assert_eq!(bench.latest().header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn says_the_size_it_holds_to_whoever_starts_elsewhere() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    for (old, new) in [(0, 8), (3, 8), (5, 8), (3, 4), (0, 4), (0, 3), (2, 2)] {
        let answer = bench.add(old, new).expect(409);
        assert_eq!(answer.header("content-type"), Some("text/x.tlog.size"));
        assert_eq!(answer.text(), "4\n", "{old} to {new}");
    }
    bench.add(4, 8).expect(200);
}

#[test]
fn does_not_know_logs_that_it_was_not_told_of() {
    let bench = Bench::new();
    let unknown = SecretKey::from_seed(KeyKind::Log, KeyName::parse("log.example/unknown").unwrap(), [1; 32]);
    let key = bench.dir.path().join("unknown.key");
    fs::write(&key, unknown.encode().as_bytes()).unwrap();
    let other = Rogue::new(&key, bench.rogue.entries().to_vec());
    bench.post(&request(&other, 0, 1).encode()).expect(404);
    http::get(bench.address(), &checkpoint_path(&Origin::parse("log.example/unknown").unwrap())).expect(404);
}

#[test]
fn wants_the_logs_own_signature() {
    let bench = Bench::new();
    let text = bench.rogue.checkpoint(size(1)).text().to_owned();
    let log = VerifierKey::parse(
        &SecretKey::from_seed(KeyKind::Log, KeyName::parse(ORIGIN).unwrap(), [1; 32]).verifier().encode(),
    )
    .unwrap();
    let impostor = SecretKey::from_seed(KeyKind::Log, KeyName::parse(ORIGIN).unwrap(), [2; 32]);
    let by_impostor = LogSigner::new(impostor).unwrap().sign(text.as_bytes());
    let true_line = bench.rogue.checkpoint(size(1)).signatures()[0].clone();
    let in_its_name =
        |bytes: &[u8]| NoteSignature::new(log.name().clone(), log.id(), bytes.to_vec()).unwrap();
    let forged: [Vec<NoteSignature>; 6] = [
        vec![by_impostor.clone()],
        vec![in_its_name(by_impostor.signature())],
        vec![in_its_name(&[0; 64])],
        vec![in_its_name(&true_line.signature()[..63])],
        // A true line beside a false one of the same key.
        vec![true_line.clone(), in_its_name(by_impostor.signature())],
        // A cosignature says nothing for a log.
        vec![cosignature(&log, &text)],
    ];
    for lines in forged {
        let note = SignedNote::new(text.clone(), lines).unwrap();
        let request = AddCheckpointRequest { old: size(0), proof: nothing(), note };
        bench.post(&request.encode()).expect(403);
    }
    bench.latest().expect(404);
    // Lines of keys it does not know do not matter.
    let note = SignedNote::new(text, vec![by_impostor, true_line]).unwrap();
    bench.post(&AddCheckpointRequest { old: size(0), proof: nothing(), note }.encode()).expect(200);
}

#[test]
fn what_is_no_request_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let good = String::from_utf8(request(&bench.rogue, 4, 8).encode()).unwrap();
    let hash = format!("{}\n", sha256(b"").to_base64());
    let proof_line = good.lines().nth(1).unwrap().to_owned();
    let wrong = [
        String::new(),
        "\n".to_owned(),
        "garbage".to_owned(),
        good.replacen("old 4\n", "", 1),
        good.replacen("old 4\n", "old +4\n", 1),
        good.replacen("old 4\n", "old 04\n", 1),
        good.replacen("old 4\n", "old -4\n", 1),
        good.replacen("old 4\n", "old  4\n", 1),
        good.replacen("old 4\n", "old 4 \n", 1),
        good.replacen("old 4\n", "old 0x4\n", 1),
        good.replacen("old 4\n", "old\n", 1),
        good.replacen("old 4\n", "old 9223372036854775808\n", 1),
        good.replacen("old 4\n", "old 18446744073709551620\n", 1),
        good.replacen("old 4\n", "OLD 4\n", 1),
        good.replacen("old 4\n", "old 9\n", 1),
        good.replacen("old 4\n", &format!("old 4\n{}", hash.repeat(63)), 1),
        good.replacen("old 4\n", &format!("old 4\n{}", hash.repeat(1000)), 1),
        good.replacen(&proof_line, &proof_line[..proof_line.len() - 1], 1),
        good.replacen(&proof_line, &format!("{proof_line}="), 1),
        good.replacen(&proof_line, &format!(" {proof_line}"), 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen(ORIGIN, "", 1),
        good.replacen("\n8\n", "\n+8\n", 1),
        good.replacen("\n8\n", "\n08\n", 1),
        good.replace('\n', "\r\n"),
        good.trim_end_matches('\n').to_owned(),
        format!("{good}\n"),
        format!("{good}x"),
        format!("{good}\u{2014} no base64\n"),
        format!("\u{feff}{good}"),
        good.replacen(ORIGIN, "log.example/\u{0}", 1),
    ];
    for body in wrong {
        assert_ne!(body, good);
        let answer = bench.post(body.as_bytes());
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
    }
    bench.post(b"\xff\xfe\xfd").expect(400);
    assert_eq!(bench.cosigned(), 4);
    bench.post(good.as_bytes()).expect(200);
}

#[test]
fn a_body_that_is_too_long_is_refused_unread() {
    let bench = Bench::new();
    for length in [AddCheckpointRequest::MAX_BYTES + 1, 1 << 20] {
        bench.post(&vec![b'a'; length]).expect(413);
    }
    let announced = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100000000\r\n\r\n";
    assert_eq!(http::exchange(bench.address(), announced, false).unwrap().status, 413);
    bench.add(0, 1).expect(200);
}

#[test]
fn two_histories_are_never_cosigned_and_the_second_is_kept_as_evidence() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let mut fork = Rogue::new(&bench.dir.path().join("log.key"), bench.rogue.entries().to_vec());
    fork.replace(2, Entry::new(b"another".to_vec()).unwrap());
    let served = bench.latest().body;

    // The same size with another root, however it is dressed.
    let same_size = AddCheckpointRequest { old: size(4), proof: nothing(), note: fork.checkpoint(size(4)) };
    bench.post(&same_size.encode()).expect(422);
    // Growth from another history, with a proof that holds there.
    bench.post(&request(&fork, 4, 8).encode()).expect(422);
    // Growth of its own history with no proof, too little, too much, or another.
    let honest = request(&bench.rogue, 4, 8);
    let hashes = honest.proof.hashes().to_vec();
    let with = |hashes: Vec<indelible_proto::hash::Hash>| {
        let proof = ConsistencyProof::new(hashes).unwrap();
        bench.post(&AddCheckpointRequest { proof, ..honest.clone() }.encode())
    };
    with(Vec::new()).expect(422);
    with([&hashes[..], &hashes[..1]].concat()).expect(422);
    with(request(&bench.rogue, 4, 7).proof.hashes().to_vec()).expect(422);
    with(vec![sha256(b"garbage"); hashes.len()]).expect(422);
    with(vec![sha256(b"garbage"); 63]).expect(422);
    // A proof where none belongs.
    let same = AddCheckpointRequest {
        old: size(4),
        proof: honest.proof.clone(),
        note: bench.rogue.checkpoint(size(4)),
    };
    bench.post(&same.encode()).expect(422);

    assert_eq!(bench.latest().body, served);
    let kept = walkdir::WalkDir::new(bench.witness_dir().join("state/conflicts"));
    let kept = kept.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let kept: Vec<String> = kept.map(|entry| fs::read_to_string(entry.path()).unwrap()).collect();
    let root = fork.head(size(4)).root.to_base64();
    assert!(kept.iter().any(|note| note.contains(&root)), "the fork of the same size is kept");
    bench.add(4, 8).expect(200);
}

#[test]
fn a_first_checkpoint_needs_no_proof_and_takes_none() {
    let bench = Bench::new();
    let with_proof = AddCheckpointRequest {
        old: size(0),
        proof: ConsistencyProof::new(vec![sha256(b"")]).unwrap(),
        note: bench.rogue.checkpoint(size(4)),
    };
    bench.post(&with_proof.encode()).expect(422);
    bench.add(0, 0).expect(200);
    assert_eq!(bench.cosigned(), 0);
    bench.add(0, 4).expect(200);
    // An empty tree has one root.
    let bench = Bench::new();
    let odd = bench.rogue.checkpoint(size(0)).text().replacen(
        &indelible_proto::hash::empty_root().to_base64(),
        &sha256(b"x").to_base64(),
        1,
    );
    let log = SecretKey::from_seed(KeyKind::Log, KeyName::parse(ORIGIN).unwrap(), [1; 32]);
    let line = LogSigner::new(log).unwrap().sign(odd.as_bytes());
    let note = SignedNote::new(odd, vec![line]).unwrap();
    bench.post(&AddCheckpointRequest { old: size(0), proof: nothing(), note }.encode()).expect(422);
}

#[test]
fn a_line_forged_in_its_own_name_spoils_nothing() {
    let bench = Bench::new();
    let forge = |rogue: &Rogue, old: u64, new: u64| {
        let mut request = request(rogue, old, new);
        let text = request.note.text().to_owned();
        request.note.add_signature(cosignature(&bench.key, &text)).unwrap();
        let unknown = stranger("stranger.example", 4);
        let time = indelible_proto::time::UnixSeconds::new(1_800_000_000).unwrap();
        request.note.add_signature(unknown.cosign(&text, time)).unwrap();
        request
    };
    for (old, new) in [(0, 2), (2, 5), (5, 8)] {
        bench.post(&forge(&bench.rogue, old, new).encode()).expect(200);
        assert_eq!(bench.cosigned(), new);
        let served = SignedNote::parse(&bench.latest().body).unwrap();
        assert_eq!(served.signatures().len(), 2, "only lines that were verified are kept");
    }
}

#[test]
fn of_many_conflicting_growths_at_once_one_history_is_cosigned() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let branches: Vec<Rogue> = (0..60)
        .map(|branch| {
            let mut rogue = Rogue::new(&bench.dir.path().join("log.key"), bench.rogue.entries().to_vec());
            rogue.replace(5, Entry::new(format!("branch {branch}").into_bytes()).unwrap());
            rogue
        })
        .collect();
    let answers: Vec<(usize, Answer)> = thread::scope(|scope| {
        let asked: Vec<_> = branches
            .iter()
            .enumerate()
            .map(|(branch, rogue)| {
                let (bench, new) = (&bench, 6 + branch as u64 % 3);
                scope.spawn(move || (branch, bench.post(&request(rogue, 4, new).encode())))
            })
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let cosigned: Vec<usize> =
        answers.iter().filter(|(_, answer)| answer.status == 200).map(|(branch, _)| *branch).collect();
    assert_eq!(cosigned.len(), 1, "{cosigned:?}");
    assert!(answers.iter().all(|(_, answer)| [200, 409].contains(&answer.status)));
    let winner = &branches[cosigned[0]];
    assert_eq!(bench.cosigned(), 6 + cosigned[0] as u64 % 3);
    bench.post(&request(winner, bench.cosigned(), 8).encode()).expect(200);
}

#[test]
fn killed_while_it_cosigns_it_never_forgets_a_cosignature_it_gave() {
    let mut bench = Bench::new();
    let mut given = 0;
    for new in 1..=8 {
        // Whoever was asked may have been killed before or after the answer.
        let body = request(&bench.rogue, given, new).encode();
        let head =
            format!("POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut connection = http::Connection::open(bench.address()).unwrap();
        connection.send(&[head.as_bytes(), &body].concat()).unwrap();
        let answered =
            if new % 2 == 0 { connection.answer(false).ok().map(|answer| answer.status) } else { None };
        bench.kill();
        bench.start();
        let held = bench.latest();
        let held = if held.status == 404 { 0 } else { bench.cosigned() };
        assert!(held == given || held == new, "{held} after {given} and {new}");
        assert!(answered != Some(200) || held == new, "an answer went out before it was on disk");
        given = held;
    }
}

#[test]
fn a_state_restored_from_before_its_own_cosignature_signs_no_more() {
    let mut bench = Bench::new();
    bench.add(0, 3).expect(200);
    bench.kill();
    let (state, old) = (bench.witness_dir().join("state"), bench.dir.path().join("old-state"));
    copy(&state, &old);
    bench.start();
    bench.add(3, 6).expect(200);
    let newest = SignedNote::parse(&bench.latest().body).unwrap();
    bench.kill();
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&old, &state).unwrap();
    bench.start();
    assert_eq!(bench.cosigned(), 3);
    // The log brings what it has: a checkpoint with the witness's own cosignature, newer than its state.
    let own = AddCheckpointRequest { old: size(3), proof: request(&bench.rogue, 3, 6).proof, note: newest };
    bench.post(&own.encode()).expect(503);
    // From then on nothing of this log is signed, not even what would be right, also after a restart.
    bench.add(3, 8).expect(503);
    bench.kill();
    bench.start();
    bench.add(3, 8).expect(503);
}

#[test]
fn a_path_takes_only_what_is_its_own() {
    let bench = Bench::new();
    http::get(bench.address(), "/add-checkpoint").expect(405);
    http::request(bench.address(), "PUT", "/add-checkpoint", b"x").expect(405);
    http::post(bench.address(), "/add-checkpoint/", b"").expect(404);
    http::get(bench.address(), "/healthz").expect(200);
    assert!(http::get(bench.address(), "/").expect(200).text().contains(&bench.key.encode()));
    for path in
        ["/../witness.key", "/state/initialised", "/witness.key", "/%2e%2e/checkpoint", "/x/checkpoint"]
    {
        let answer = http::get(bench.address(), path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let copied = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir(copied).unwrap();
        } else {
            fs::copy(entry.path(), copied).unwrap();
        }
    }
}
