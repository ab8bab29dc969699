//! The program as it is run: directories, exit codes, signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::note::{KeyKind, KeyName, SignedNote, VerifierKey};
use indelible_proto::sign::{LogSigner, SecretKey, Signer as _};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{ConsistencyProof, TreeHead};
use indelible_proto::witness_api::AddCheckpointRequest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const NAME: &str = "witness.example/w1";

fn witness(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indelible-witness"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    witness(args).output().unwrap()
}

fn code(args: &[&str]) -> Option<i32> {
    output(args).status.code()
}

/// Runs to success and returns the one line it prints.
fn line(args: &[&str]) -> String {
    let output = output(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().strip_suffix('\n').unwrap().to_owned()
}

fn init() -> (TempDir, PathBuf, VerifierKey) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("w1");
    let vkey = line(&["init", dir.to_str().unwrap(), "--name", NAME, "--listen", "127.0.0.1:0"]);
    (tmp, dir, VerifierKey::parse(&vkey).unwrap())
}

fn log(name: &str, seed: u8) -> LogSigner {
    LogSigner::new(SecretKey::from_seed(KeyKind::Log, KeyName::parse(name).unwrap(), [seed; 32])).unwrap()
}

/// A request to cosign the empty tree of the log.
fn request(log: &LogSigner) -> Vec<u8> {
    let origin = Origin::parse(log.verifier().name().as_str()).unwrap();
    let text = Checkpoint::new(origin, TreeHead::empty()).unwrap().encode();
    let line = log.sign(text.as_bytes());
    let note = SignedNote::new(text, vec![line]).unwrap();
    AddCheckpointRequest { old: TreeSize::ZERO, proof: ConsistencyProof::new(Vec::new()).unwrap(), note }
        .encode()
}

/// A running witness; killed when dropped.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let mut child = witness(&["run", dir.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.strip_prefix("listening http://").unwrap_or_else(|| panic!("{first:?}"));
        Self { address: address.trim_end().to_owned(), child }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn add(&self, log: &LogSigner) -> u16 {
        let body = request(log);
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Waits on the log on standard error for a line with these words.
    fn wait_for(&mut self, words: &str) {
        let mut lines = BufReader::new(self.child.stderr.as_mut().unwrap());
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "ended without {words:?}");
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_makes_a_witness_once() {
    let (_tmp, dir, vkey) = init();
    assert_eq!((vkey.kind(), vkey.name().as_str()), (KeyKind::Cosigner, NAME));
    assert_eq!(fs::read_to_string(dir.join("witness.vkey")).unwrap(), format!("{vkey}\n"));
    assert_eq!(fs::metadata(dir.join("witness.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read(dir.join("witness.key")).unwrap();
    let again = ["init", dir.to_str().unwrap(), "--name", NAME];
    assert_eq!(code(&again), Some(1));
    assert_eq!(fs::read(dir.join("witness.key")).unwrap(), key);
    // No two witnesses share a key.
    assert_ne!(init().2, vkey);
}

#[test]
fn serves_until_it_is_told_to_stop() {
    let (_tmp, dir, _) = init();
    let log = log("log.example/a", 1);
    let add = ["add-log", dir.to_str().unwrap(), &log.verifier().encode()];
    assert_eq!(line(&add), "added log.example/a");
    assert_eq!(line(&add), "already known: log.example/a");
    for signal in [Signal::TERM, Signal::INT] {
        let mut running = Running::start(&dir);
        assert_eq!(running.add(&log), 200);
        running.signal(signal);
        assert_eq!(running.exit_code(), Some(0), "{signal:?}");
    }
}

#[test]
fn learns_of_new_logs_while_it_runs() {
    let (_tmp, dir, _) = init();
    let path = dir.to_str().unwrap();
    let (first, second) = (log("log.example/a", 1), log("log.example/b", 2));
    line(&["add-log", path, &first.verifier().encode()]);
    let mut running = Running::start(&dir);
    line(&["add-log", path, &second.verifier().encode()]);
    assert_eq!(running.add(&second), 404);
    running.signal(Signal::HUP);
    running.wait_for("list of logs loaded");
    assert_eq!((running.add(&first), running.add(&second)), (200, 200));
    // A list that forgets a log changes nothing.
    let list = fs::read_to_string(dir.join("logs.txt")).unwrap();
    fs::write(dir.join("logs.txt"), list.split_inclusive('\n').next_back().unwrap()).unwrap();
    running.signal(Signal::HUP);
    running.wait_for("list of logs not loaded");
    assert_eq!((running.add(&first), running.add(&second)), (200, 200));
}

#[test]
fn a_log_keeps_its_key() {
    let (_tmp, dir, _) = init();
    let path = dir.to_str().unwrap();
    line(&["add-log", path, &log("log.example/a", 1).verifier().encode()]);
    let other = log("log.example/a", 2).verifier().encode();
    assert_eq!(code(&["add-log", path, &other]), Some(1));
    // Nor does another name of the key help.
    let renamed = log("log.example/b", 2).verifier().encode();
    assert_eq!(code(&["add-log", path, &renamed, "--origin", "log.example/a"]), Some(1));
    assert_eq!(line(&["add-log", path, &renamed, "--origin", "an origin"]), "added an origin");
    assert_eq!(fs::read_to_string(dir.join("logs.txt")).unwrap().lines().count(), 2);
    // Not as the witness itself.
    assert_eq!(code(&["add-log", path, &log(NAME, 3).verifier().encode()]), Some(1));
}

#[test]
fn a_killed_witness_goes_on_from_its_state() {
    let (_tmp, dir, _) = init();
    let log = log("log.example/a", 1);
    line(&["add-log", dir.to_str().unwrap(), &log.verifier().encode()]);
    let mut running = Running::start(&dir);
    assert_eq!(running.add(&log), 200);
    running.signal(Signal::KILL);
    assert_eq!(running.exit_code(), None);
    assert_eq!(Running::start(&dir).add(&log), 200);
}

#[test]
fn refuses_to_sign_with_code_3_over_a_state_that_is_damaged_or_in_use() {
    let (_tmp, dir, _) = init();
    let run = ["run", dir.to_str().unwrap()];
    let running = Running::start(&dir);
    let second = output(&run);
    assert_eq!(second.status.code(), Some(3));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains("another process") && message.contains(dir.join("state").to_str().unwrap()));
    drop(running);

    let marker = dir.join("state/initialised");
    let away = dir.join("away");
    fs::rename(&marker, &away).unwrap();
    assert_eq!(code(&run), Some(3));
    fs::rename(&away, &marker).unwrap();
    fs::rename(dir.join("state"), &away).unwrap();
    assert_eq!(code(&run), Some(3));
}

#[test]
fn does_not_use_a_key_that_others_can_read() {
    let (_tmp, dir, _) = init();
    let key = dir.join("witness.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = output(&["run", dir.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains(&format!("chmod 600 {}", key.display())));
}

#[test]
fn usage_errors_have_code_2() {
    let (_tmp, dir, vkey) = init();
    let path = dir.to_str().unwrap();
    for args in [
        &[][..],
        &["init"],
        &["init", "x", "--name", "two words"],
        &["init", "x", "--name", "a+b"],
        &["run", path, "--listen", "nowhere"],
        &["add-log", path, "not a key"],
        &["add-log", path, &log("log.example/a", 1).verifier().encode(), "--origin", ""],
    ] {
        assert_eq!(code(args), Some(2), "{args:?}");
    }
    // Right in form, and no log's: a failure, not usage.
    assert_eq!(code(&["add-log", path, &vkey.encode()]), Some(1));
    assert_eq!(code(&["run", &format!("{path}/none")]), Some(1));
}
