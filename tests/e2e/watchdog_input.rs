//! What the watchdog makes of a log that serves wrong data. The log is a folder: `--log DIR`.

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::KeyKind;
use indelible_proto::note::KeyName;
use indelible_proto::sign::SecretKey;
use indelible_tests::forgery::stranger;
use indelible_tests::{Finished, Publisher, Rogue, World};
use serde_json::Value;
use tempfile::TempDir;

use crate::exit::{REFUSED, UNDECIDED, VERIFIED};

/// A log in a folder, and whoever operates it.
struct Folder {
    dir: TempDir,
    key: SecretKey,
}

impl Folder {
    fn new() -> Self {
        let dir = TempDir::with_prefix("indelible-folder-").unwrap();
        let name = KeyName::parse("log.example/folder").unwrap();
        let key = SecretKey::from_seed(KeyKind::Log, name, [1; 32]);
        fs::write(dir.path().join("log.key"), key.encode().as_bytes()).unwrap();
        let folder = Self { dir, key };
        folder.write("policy.txt", format!("log {}\nquorum none\n", folder.key.verifier()).as_bytes());
        folder
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).unwrap();
    }

    /// Makes these the log's entries.
    fn publish(&self, entries: Vec<Entry>) -> Rogue {
        let rogue = Rogue::new(&self.file("log.key"), entries);
        let _ = fs::remove_dir_all(self.file("log"));
        rogue.write_mirror(&self.file("log"));
        rogue
    }

    /// Looks once, and returns the findings that are not good.
    #[track_caller]
    fn watch(&self, exit: i32) -> Vec<Value> {
        let mut watch = World::client_command();
        watch.args(["--json", "watch", "--once", "--policy"]).arg(self.file("policy.txt"));
        watch.arg("--log").arg(self.file("log")).arg("--state").arg(self.file("state"));
        let watched = Finished::run(&mut watch).expect(exit);
        let lines = watched.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["level"].is_string() && line["level"] != "ok").collect()
    }

    /// Looks once at a log of which one thing is wrong.
    #[track_caller]
    fn check(&self, what: &str, exit: i32, code: &str) {
        let findings = self.watch(exit);
        assert!(findings.iter().any(|finding| finding["code"] == code), "{what}: {findings:?}");
        assert!(fs::read_dir(self.file("state/evidence")).unwrap().next().is_none(), "{what}: evidence");
    }
}

/// Records that may follow one another.
fn records(count: usize) -> Vec<Entry> {
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let mut next = |number: usize| {
        let record = publisher.next(format!("release {number}").as_bytes());
        publisher.accepted(&record);
        record.to_entry()
    };
    (0..count).map(&mut next).collect()
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_of_honest_files_is_well() {
    let folder = Folder::new();
    for count in [1, 2, 5, 256, 257, 300] {
        folder.publish(records(count));
        assert!(folder.watch(VERIFIED).is_empty(), "{count}");
    }
}

#[test]
fn entries_that_are_not_those_signed_are_an_accusation() {
    let folder = Folder::new();
    folder.publish(records(5));
    let bundle = folder.file("log/tile/entries/000.p/5");
    edit(&bundle, |bytes| *bytes.last_mut().unwrap() ^= 1);
    folder.check("a signature changed", REFUSED, "entries-mismatch");
    // Put right, nothing is held against it.
    folder.publish(records(5));
    assert!(folder.watch(VERIFIED).is_empty());
}

#[test]
fn records_that_must_not_be_in_a_log_are_an_accusation() {
    let good = records(5);
    let mut stranger = Publisher::new("vendor.example/agent", 2);
    stranger.accepted(&stranger.next(b""));
    let twice = [&good[..], &good[2..3]].concat();
    let gap = [&good[..2], &good[3..]].concat();
    let garbage = [&good[..2], &[Entry::new(b"garbage".to_vec()).unwrap()]].concat();
    let empty = [&good[..2], &[Entry::new(Vec::new()).unwrap()]].concat();
    let not_opened = good[1..].to_vec();
    let stolen = [&good[..1], &[stranger.next(b"stolen").to_entry()]].concat();
    for (what, entries) in [
        ("a record twice", twice),
        ("a record left out", gap),
        ("no record", garbage),
        ("nothing", empty),
        ("a channel nobody opened", not_opened),
        ("a record by another key", stolen),
    ] {
        let folder = Folder::new();
        folder.publish(entries);
        folder.check(what, REFUSED, "record-refused");
    }
}

#[test]
fn a_checkpoint_that_no_witness_has_seen_is_an_accusation() {
    let folder = Folder::new();
    let witness = stranger("witness.example/w", 3);
    let policy = format!("log {}\nwitness w {}\nquorum w\n", folder.key.verifier(), witness.verifier());
    folder.write("policy.txt", policy.as_bytes());
    folder.publish(records(3));
    folder.check("no quorum", REFUSED, "quorum-missing");
}

#[test]
fn a_checkpoint_that_the_log_did_not_sign_is_an_accusation() {
    let folder = Folder::new();
    folder.publish(records(3));
    edit(&folder.file("log/checkpoint"), |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replacen("\n3\n", "\n2\n", 1).into_bytes();
    });
    folder.check("another size", REFUSED, "bad-signature");
}

#[test]
fn what_is_missing_or_of_the_wrong_form_is_no_accusation() {
    let bundle = "log/tile/entries/000.p/5";
    type Change = fn(&Folder);
    let changes: [(&str, Change); 9] = [
        ("no checkpoint", |folder| fs::remove_file(folder.file("log/checkpoint")).unwrap()),
        ("an empty checkpoint", |folder| folder.write("log/checkpoint", b"")),
        ("a web page for a checkpoint", |folder| folder.write("log/checkpoint", b"<!DOCTYPE html><html>")),
        ("no bundle", |folder| fs::remove_file(folder.file("log/tile/entries/000.p/5")).unwrap()),
        ("a web page for a bundle", |folder| folder.write("log/tile/entries/000.p/5", b"<html><h1>504</h1>")),
        ("a bundle one byte short", |folder| {
            edit(&folder.file("log/tile/entries/000.p/5"), |bytes| bytes.truncate(bytes.len() - 1));
        }),
        ("a bundle one byte long", |folder| {
            edit(&folder.file("log/tile/entries/000.p/5"), |bytes| bytes.push(0));
        }),
        ("a bundle of one entry more", |folder| {
            edit(&folder.file("log/tile/entries/000.p/5"), |bytes| bytes.extend([0, 1, b'x']));
        }),
        ("a length beyond the end", |folder| {
            edit(&folder.file("log/tile/entries/000.p/5"), |bytes| bytes[..2].fill(0xff));
        }),
    ];
    for (what, change) in changes {
        let folder = Folder::new();
        folder.publish(records(5));
        assert!(folder.file(bundle).exists());
        change(&folder);
        let findings = folder.watch(UNDECIDED);
        assert!(findings.iter().all(|finding| finding["accusesLog"] == false), "{what}: {findings:?}");
    }
}

#[test]
fn a_log_that_shows_less_than_before_is_asked_again() {
    let folder = Folder::new();
    folder.publish(records(5));
    folder.watch(VERIFIED);
    // An old copy of everything: nobody has the tree that would show that it fits.
    folder.publish(records(3));
    folder.check("less than before", UNDECIDED, "unproven");
    folder.publish(records(6));
    assert!(folder.watch(VERIFIED).is_empty());
}
