use std::fs;
use std::path::PathBuf;

use indelible_proto::note::KeyKind;
use indelible_proto::sign::CosignSigner;
use tempfile::TempDir;

use super::*;
use crate::decide::Holding;
use crate::testing::{
    CREATED_S, NOW_S, ORIGIN, TestClock, TestLog, WITNESS, create_state, known, open, secret, size, time,
    witness_signer,
};

/// A state in which a log was cosigned at size 3, and another one is known.
struct Fixture {
    _tmp: TempDir,
    dir: PathBuf,
    log: TestLog,
    idle: TestLog,
}

fn fixture() -> Fixture {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    create_state(&dir);
    let (log, idle) = (TestLog::new(ORIGIN, 20), TestLog::new("idle.example/log", 5));
    let witness = open(&dir, &TestClock::new(), &[&log, &idle]).unwrap();
    witness.add_checkpoint(&log.request(0, 3)).unwrap();
    Fixture { _tmp: tmp, dir, log, idle }
}

impl Fixture {
    fn file(&self, log: &TestLog) -> PathBuf {
        self.dir.join(format!("{}.note", log.origin().hash_hex()))
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.dir, witness_signer().verifier(), &known(&[&self.log, &self.idle]))
    }

    /// That the state is refused as damaged, in words that name `path`.
    fn assert_damaged(&self, path: &Path, row: &str) {
        let error = self.open().expect_err(row);
        assert_eq!(error.code(), "state-damaged", "{row}");
        assert!(error.to_string().contains(&path.display().to_string()), "{row}: {error}");
    }
}

#[test]
fn a_restart_finds_what_was_cosigned() {
    let state = fixture();
    let store = state.open().unwrap();
    assert_eq!(store.log_count(), 2);
    assert_eq!(store.newest_time(), time(NOW_S));
    let cell = store.cell(state.log.origin()).unwrap();
    assert_eq!(cell.lock().unwrap().holding().head(), state.log.head(3));
    assert_eq!(cell.served().unwrap(), fs::read(state.file(&state.log)).unwrap());
    let idle = store.cell(state.idle.origin()).unwrap();
    assert_eq!(idle.lock().unwrap().holding(), Holding::Nothing);
    assert_eq!(idle.served(), None);
}

#[test]
fn a_second_process_is_refused() {
    let state = fixture();
    let first = state.open().unwrap();
    let error = state.open().unwrap_err();
    assert_eq!(error.code(), "state-in-use");
    assert!(error.to_string().contains(&state.dir.display().to_string()), "{error}");
    drop(first);
    state.open().unwrap();
}

#[test]
fn missing_parts_are_damage_and_not_an_empty_state() {
    for part in ["initialised", "conflicts", "halted"] {
        let state = fixture();
        fs::rename(state.dir.join(part), state.dir.join("elsewhere")).unwrap();
        state.assert_damaged(&state.dir.join(part), part);
    }
    let state = fixture();
    for log in [&state.log, &state.idle] {
        let away = state.dir.join("away");
        fs::rename(state.file(log), &away).unwrap();
        state.assert_damaged(&state.file(log), "note");
        fs::rename(away, state.file(log)).unwrap();
    }
    state.open().unwrap();
    fs::remove_dir_all(&state.dir).unwrap();
    state.assert_damaged(&state.dir, "directory");
}

#[test]
fn a_registered_log_is_missed_even_when_it_is_no_longer_listed() {
    let state = fixture();
    fs::remove_file(state.file(&state.log)).unwrap();
    let error = Store::open(&state.dir, witness_signer().verifier(), &known(&[&state.idle])).unwrap_err();
    assert_eq!(error.code(), "state-damaged");
}

#[test]
fn every_truncation_and_every_changed_byte_of_a_note_is_damage() {
    let state = fixture();
    let file = state.file(&state.log);
    let good = fs::read(&file).unwrap();
    for end in 0..good.len() {
        fs::write(&file, &good[..end]).unwrap();
        state.assert_damaged(&file, &format!("cut at {end}"));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        state.assert_damaged(&file, &format!("changed at {at}"));
    }
    fs::write(&file, [&good[..], b"x"].concat()).unwrap();
    state.assert_damaged(&file, "byte added");
    fs::write(&file, vec![0; good.len()]).unwrap();
    state.assert_damaged(&file, "zeros");
    fs::write(&file, &good).unwrap();
    state.open().unwrap();
}

#[test]
fn a_note_the_witness_did_not_cosign_is_damage() {
    let state = fixture();
    let file = state.file(&state.log);
    let text = state.log.text(5);
    let ours = witness_signer().cosign(&text, time(NOW_S)).unwrap();
    let theirs =
        CosignSigner::new(secret(KeyKind::Cosigner, WITNESS, 3)).unwrap().cosign(&text, time(NOW_S)).unwrap();
    let log_line = state.log.sign(&text);
    let stranger = TestLog::with_key(ORIGIN, ORIGIN, 77, 0).sign(&text);
    for (row, lines) in [
        ("no cosignature", vec![log_line.clone()]),
        ("no log signature", vec![ours.clone()]),
        ("another witness's", vec![log_line.clone(), theirs]),
        ("another log key's", vec![stranger.clone(), ours.clone()]),
        ("a line too many", vec![log_line.clone(), ours.clone(), stranger]),
        ("twice the same", vec![log_line.clone(), ours.clone(), ours.clone()]),
    ] {
        let note = indelible_proto::note::SignedNote::new(text.clone(), lines).unwrap();
        fs::write(&file, note.encode()).unwrap();
        state.assert_damaged(&file, row);
    }
    // A right note of another log.
    let other = state.idle.note(2);
    let mut note = other.clone();
    note.add_signature(witness_signer().cosign(other.text(), time(NOW_S)).unwrap()).unwrap();
    fs::write(&file, note.encode()).unwrap();
    state.assert_damaged(&file, "another log's");
}

#[test]
fn a_log_never_changes_its_key() {
    let state = fixture();
    let changed = TestLog::with_key(ORIGIN, ORIGIN, 77, 5);
    let error = Store::open(&state.dir, witness_signer().verifier(), &known(&[&changed])).unwrap_err();
    assert_eq!(error.code(), "state-damaged");
}

#[test]
fn a_state_belongs_to_one_key() {
    let state = fixture();
    let other = secret(KeyKind::Cosigner, WITNESS, 3);
    let error = Store::open(&state.dir, other.verifier(), &KnownLogs::default()).unwrap_err();
    assert_eq!(error.code(), "state-damaged");
}

#[test]
fn a_damaged_marker_is_refused() {
    let state = fixture();
    let file = state.dir.join("initialised");
    let good = fs::read(&file).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    for end in 0..good.len() {
        fs::write(&file, &good[..end]).unwrap();
        state.assert_damaged(&file, &format!("cut at {end}"));
    }
    for (row, bad) in [
        ("version", text.replace("state 1", "state 2")),
        ("time", text.replace("created ", "created 0")),
        ("upper case", text.to_uppercase()),
        ("tail", format!("{text}x\n")),
    ] {
        fs::write(&file, bad).unwrap();
        state.assert_damaged(&file, row);
    }
}

#[test]
fn a_note_of_a_log_never_registered_is_damage_but_a_blank_one_is_not() {
    let state = fixture();
    let stray = state.dir.join(format!("{}.note", "ab".repeat(32)));
    // What a crash leaves between writing the file of a new log and naming it in the marker.
    fs::write(&stray, "nothing cosigned yet\n").unwrap();
    state.open().unwrap();
    fs::copy(state.file(&state.log), &stray).unwrap();
    state.assert_damaged(&stray, "stray note");
}

#[test]
fn registering_takes_up_where_a_crash_left_it() {
    let state = fixture();
    let new = TestLog::new("new.example/log", 5);
    fs::write(state.file(&new), "nothing cosigned yet\n").unwrap();
    let store = state.open().unwrap();
    assert!(store.cell(new.origin()).is_none());
    store.register(&known(&[&new])).unwrap();
    assert_eq!(store.log_count(), 3);
    let marker = fs::read_to_string(state.dir.join("initialised")).unwrap();
    assert!(marker.contains(&new.origin().hash_hex()));
}

#[test]
fn creating_refuses_what_exists() {
    let state = fixture();
    let error = Store::create(&state.dir, witness_signer().verifier(), time(CREATED_S)).unwrap_err();
    assert_eq!(error.code(), "file-exists");
    assert_eq!(
        state.open().unwrap().cell(state.log.origin()).unwrap().lock().unwrap().holding().head().size,
        size(3)
    );
}
