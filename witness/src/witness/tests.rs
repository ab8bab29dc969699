use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::note::SignedNote;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::refusal::Fork;
use crate::store::{MAX_FORKS_PER_LOG, MAX_UNPROVED_PER_LOG};
use crate::testing::{
    LEAD_S, NOW_S, ORIGIN, TestClock, TestLog, body, cosigned_at, create_state, no_proof, open, proof_of,
    size, time, witness_signer,
};

struct Fixture {
    _tmp: TempDir,
    dir: PathBuf,
    clock: TestClock,
    log: TestLog,
}

fn fixture() -> Fixture {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    create_state(&dir);
    Fixture { _tmp: tmp, dir, clock: TestClock::new(), log: TestLog::new(ORIGIN, 100) }
}

impl Fixture {
    fn open(&self) -> Witness {
        open(&self.dir, &self.clock, &[&self.log]).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.note", self.log.origin().hash_hex()))
    }

    fn conflicts(&self) -> Vec<String> {
        names(&self.dir.join("conflicts").join(self.log.origin().hash_hex()))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn code(outcome: Result<NoteSignature, Refusal>) -> Result<NoteSignature, &'static str> {
    outcome.map_err(|refusal| refusal.code())
}

#[test]
fn the_cosignature_is_on_disk_when_it_is_released() {
    let test = fixture();
    let witness = test.open();
    let line = witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    assert_eq!(cosigned_at(&line, &test.log.text(5)), NOW_S);
    let stored = SignedNote::parse(&fs::read(test.file()).unwrap()).unwrap();
    assert_eq!(stored.text(), test.log.text(5));
    assert_eq!(stored.signatures(), [test.log.sign(&test.log.text(5)), line]);
}

#[test]
fn the_same_checkpoint_again_gets_a_new_time() {
    let test = fixture();
    let witness = test.open();
    let first = witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    test.clock.set(NOW_S + 60);
    let second = witness.add_checkpoint(&test.log.request(5, 5)).unwrap();
    assert_eq!(cosigned_at(&first, &test.log.text(5)), NOW_S);
    assert_eq!(cosigned_at(&second, &test.log.text(5)), NOW_S + 60);
    let stored = fs::read(test.file()).unwrap();
    assert!(String::from_utf8(stored).unwrap().ends_with(&second.encode_line()));
    // A time is not signed again after a restart either.
    drop(witness);
    test.clock.set(NOW_S + 59);
    assert_eq!(code(test.open().add_checkpoint(&test.log.request(5, 5))), Err("clock-behind"));
}

#[test]
fn asked_twice_within_a_second_it_does_not_write_twice() {
    let test = fixture();
    let witness = test.open();
    let first = witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    fs::remove_file(test.file()).unwrap();
    assert_eq!(witness.add_checkpoint(&test.log.request(5, 5)), Ok(first));
    assert!(!test.file().exists());
}

#[test]
fn a_clock_that_jumps_ahead_signs_nothing() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    test.clock.set(NOW_S + 10 * LEAD_S);
    assert_eq!(code(witness.add_checkpoint(&test.log.request(5, 6))), Err("clock-ahead"));
    test.clock.set(NOW_S + 1);
    witness.add_checkpoint(&test.log.request(5, 6)).unwrap();
}

#[test]
fn an_idle_log_does_not_make_a_busy_witness_disbelieve_its_clock() {
    let test = fixture();
    let busy = TestLog::new("busy.example/log", 9);
    let witness = open(&test.dir, &test.clock, &[&test.log, &busy]).unwrap();
    witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    for (count, old) in (0..4).enumerate() {
        test.clock.set(NOW_S + (count as u64 + 1) * LEAD_S / 2);
        witness.add_checkpoint(&busy.request(old, old + 1)).unwrap();
    }
    witness.add_checkpoint(&test.log.request(5, 6)).unwrap();
}

#[test]
fn forged_lines_are_neither_stored_nor_in_the_way() {
    let test = fixture();
    let witness = test.open();
    let forged = witness_signer().cosign("another text\n", time(NOW_S)).unwrap();
    let stranger = TestLog::with_key("stranger.example", "stranger.example", 9, 0).sign("x\n");
    for (old, new) in [(0, 3), (3, 5), (5, 8)] {
        let mut note = test.log.note(new);
        note.add_signature(forged.clone()).unwrap();
        note.add_signature(stranger.clone()).unwrap();
        let line = witness.add_checkpoint(&body(old, &test.log.proof(old, new), note)).unwrap();
        let stored = SignedNote::parse(&fs::read(test.file()).unwrap()).unwrap();
        assert_eq!(stored.signatures(), [test.log.sign(stored.text()), line]);
    }
    drop(witness);
    test.open().add_checkpoint(&test.log.request(8, 9)).unwrap();
}

#[test]
fn keeps_both_sides_of_a_fork() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    let fork = test.log.forked(2, 1);
    let before = fs::read(test.file()).unwrap();
    assert_eq!(code(witness.add_checkpoint(&fork.request(5, 5))), Err("other-root"));
    assert_eq!(fs::read(test.file()).unwrap(), before);
    let kept = test.conflicts();
    assert_eq!(kept.len(), 2);
    assert!(kept[0].starts_with("fork-5-") && kept[1].starts_with("held-5-"), "{kept:?}");
    let dir = test.dir.join("conflicts").join(test.log.origin().hash_hex());
    assert_eq!(fs::read(dir.join(&kept[0])).unwrap(), fork.note(5).encode());
    assert_eq!(fs::read(dir.join(&kept[1])).unwrap(), before);
    // Told again, or from another old size, it is the same fork.
    assert_eq!(
        witness.add_checkpoint(&fork.request(0, 5)),
        Err(Refusal::OtherSize { held: size(5), fork: Fork::Yes })
    );
    assert_eq!(test.conflicts(), kept);
}

#[test]
fn false_proofs_cannot_crowd_out_forks() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    for new in 6..100 {
        let request = body(5, &proof_of(1), test.log.note(new));
        assert_eq!(witness.add_checkpoint(&request).unwrap_err().status(), 422);
    }
    let count = |kind: &str| test.conflicts().iter().filter(|name| name.starts_with(kind)).count();
    assert_eq!(count("unproved"), MAX_UNPROVED_PER_LOG);
    for branch in 0..2 * MAX_FORKS_PER_LOG as u64 {
        let request = test.log.forked(2, branch).request(5, 5);
        assert_eq!(code(witness.add_checkpoint(&request)), Err("other-root"));
    }
    assert_eq!(count("fork"), MAX_FORKS_PER_LOG);
    // Forks under new signature lines are no new forks, and the rest goes on as ever.
    witness.add_checkpoint(&test.log.request(5, 6)).unwrap();
}

#[test]
fn a_restored_backup_is_noticed_and_stops_the_log_for_good() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 3)).unwrap();
    let backup = fs::read(test.file()).unwrap();
    let newer = witness.add_checkpoint(&test.log.request(3, 8)).unwrap();
    drop(witness);
    fs::write(test.file(), backup).unwrap();

    let witness = test.open();
    let mut note = test.log.note(8);
    note.add_signature(newer).unwrap();
    let request = body(3, &test.log.proof(3, 8), note.clone());
    assert_eq!(code(witness.add_checkpoint(&request)), Err("state-behind"));
    // From then on a fork does not get by either, nor after a restart.
    let fork = test.log.forked(4, 1).request(3, 9);
    assert_eq!(code(witness.add_checkpoint(&fork)), Err("halted"));
    drop(witness);
    assert_eq!(code(test.open().add_checkpoint(&fork)), Err("halted"));
    let kept = test.dir.join("halted").join(test.file().file_name().unwrap());
    assert_eq!(fs::read(kept).unwrap(), note.encode());
}

#[test]
fn a_state_that_cannot_be_written_signs_nothing_and_recovers() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 3)).unwrap();
    // The directory is gone for a while: no temporary file can be written.
    let away = test.dir.with_extension("away");
    fs::rename(&test.dir, &away).unwrap();
    assert_eq!(code(witness.add_checkpoint(&test.log.request(3, 5))), Err("not-stored"));
    assert!(!witness.store().has_failed());
    fs::rename(&away, &test.dir).unwrap();
    witness.add_checkpoint(&test.log.forked(4, 1).request(3, 5)).unwrap();
}

#[test]
fn a_write_that_may_have_happened_stops_the_witness() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 3)).unwrap();
    // A directory under the file's name: the rename fails.
    fs::remove_file(test.file()).unwrap();
    fs::create_dir(test.file()).unwrap();
    assert_eq!(code(witness.add_checkpoint(&test.log.request(3, 5))), Err("stopped"));
    assert!(witness.store().has_failed());
    fs::remove_dir(test.file()).unwrap();
    assert_eq!(code(witness.add_checkpoint(&test.log.request(3, 5))), Err("stopped"));
    // Readers still get what was cosigned and released.
    let served = witness.latest(&test.log.origin().hash_hex()).unwrap();
    assert!(served.starts_with(test.log.text(3).as_bytes()));
}

#[test]
fn a_lost_answer_is_recovered_through_the_conflict() {
    let test = fixture();
    let witness = test.open();
    // Persisted, and the process killed before the answer left.
    drop(witness.add_checkpoint(&test.log.request(0, 5)).unwrap());
    drop(witness);
    let witness = test.open();
    let refused = witness.add_checkpoint(&test.log.request(0, 5)).unwrap_err();
    assert_eq!(refused, Refusal::OtherSize { held: size(5), fork: Fork::NotShown });
    witness.add_checkpoint(&test.log.request(5, 5)).unwrap();
}

#[test]
fn logs_do_not_share_state() {
    let test = fixture();
    let other = TestLog::with_key("other.example/log", ORIGIN, 1, 100);
    let witness = open(&test.dir, &test.clock, &[&test.log, &other]).unwrap();
    witness.add_checkpoint(&test.log.request(0, 5)).unwrap();
    witness.add_checkpoint(&other.forked(0, 1).request(0, 3)).unwrap();
    witness.add_checkpoint(&test.log.request(5, 6)).unwrap();
    witness.add_checkpoint(&other.forked(0, 1).request(3, 4)).unwrap();
}

#[test]
fn of_many_branches_asked_for_at_once_one_is_cosigned() {
    let test = fixture();
    let witness = test.open();
    witness.add_checkpoint(&test.log.request(0, 10)).unwrap();
    let requests: Vec<_> = (0..100).map(|branch| test.log.forked(10, branch).request(10, 12)).collect();
    let start = std::sync::Barrier::new(requests.len());
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let (start, witness) = (&start, &witness);
        let ask = move |request: &[u8]| {
            start.wait();
            witness.add_checkpoint(request)
        };
        let threads: Vec<_> = requests.iter().map(|request| scope.spawn(move || ask(request))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let cosigned: Vec<_> = (0..100).filter(|branch| outcomes[*branch].is_ok()).collect();
    assert_eq!(cosigned.len(), 1);
    for (branch, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_err()) {
        let expected = Refusal::OtherSize { held: size(12), fork: Fork::Yes };
        assert_eq!(outcome.as_ref().unwrap_err(), &expected, "branch {branch}");
    }
    let stored = SignedNote::parse(&fs::read(test.file()).unwrap()).unwrap();
    assert_eq!(stored.text(), test.log.forked(10, cosigned[0] as u64).text(12));
}

/// The race of the specification, forced: one request is stopped in the middle of its decision, where it
/// asks the clock, until another has been given every chance to overtake it.
#[test]
fn a_request_cannot_overtake_one_that_is_being_decided() {
    let test = fixture();
    test.open().add_checkpoint(&test.log.request(0, 10)).unwrap();
    let (inside, entered) = std::sync::mpsc::channel();
    let asking = std::sync::atomic::AtomicUsize::new(0);
    let clock: Clock = std::sync::Arc::new(move || {
        // Whoever asks first waits for a second one to ask, which must not be until the first is done.
        let others = asking.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        inside.send(()).unwrap();
        if others == 0 {
            std::thread::park_timeout(std::time::Duration::from_millis(300));
        }
        asking.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        time(NOW_S)
    });
    let known = crate::testing::known(&[&test.log]);
    let store = Store::open(&test.dir, witness_signer().verifier(), &known).unwrap();
    let witness = Witness::new(witness_signer(), store, clock, LEAD_S);
    let branches = [test.log.forked(10, 1).request(10, 11), test.log.forked(10, 2).request(10, 12)];
    let outcomes = std::thread::scope(|scope| {
        let first = scope.spawn(|| witness.add_checkpoint(&branches[0]));
        entered.recv().unwrap();
        let second = witness.add_checkpoint(&branches[1]);
        [first.join().unwrap(), second]
    });
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(Refusal::OtherSize { held: size(11), fork: Fork::NotShown }));
}

/// One thing that happens to a witness.
#[derive(Clone, Debug)]
enum Step {
    Ask { branch: u64, old: u64, new: u64, proof: Proof },
    AskFromHeld { branch: u64, new: u64 },
    Restart,
    Clock(i64),
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    Right,
    OfBranch(u64),
    Empty,
}

const BRANCHES: u64 = 3;
const FORK_AT: u64 = 6;
const LEAVES: u64 = 14;

fn step() -> impl Strategy<Value = Step> {
    let proof = prop_oneof![3 => Just(Proof::Right), 1 => (0..BRANCHES).prop_map(Proof::OfBranch), 1 => Just(Proof::Empty)];
    let ask = (0..BRANCHES, 0..=LEAVES, 0..=LEAVES, proof).prop_map(|(branch, old, new, proof)| Step::Ask {
        branch,
        old,
        new,
        proof,
    });
    let from_held = (0..BRANCHES, 0..=LEAVES).prop_map(|(branch, new)| Step::AskFromHeld { branch, new });
    prop_oneof![4 => ask, 8 => from_held, 1 => Just(Step::Restart), 2 => (-3i64..5).prop_map(Step::Clock)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a forking log asks in whatever order, over restarts and with a clock that wobbles: no two
    /// cosigned trees contradict each other, sizes and times never decrease.
    #[test]
    fn never_cosigns_two_histories(steps in prop::collection::vec(step(), 1..40)) {
        let mut test = fixture();
        test.log = TestLog::new(ORIGIN, LEAVES);
        let branches: Vec<_> = (0..BRANCHES).map(|branch| test.log.forked(FORK_AT as usize, branch)).collect();
        let mut witness = test.open();
        let (mut clock, mut held, mut last) = (NOW_S, 0, 0);
        let mut histories = BTreeSet::new();
        for step in steps {
            let (branch, old, new, proof) = match step {
                Step::Ask { branch, old, new, proof } => (branch, old, new, proof),
                Step::AskFromHeld { branch, new } => (branch, held, new, Proof::Right),
                Step::Restart => {
                    drop(witness);
                    witness = test.open();
                    continue;
                }
                Step::Clock(by) => {
                    clock = clock.saturating_add_signed(by);
                    test.clock.set(clock);
                    continue;
                }
            };
            let log = &branches[branch as usize];
            let proof = match proof {
                Proof::Right if old <= new => log.proof(old, new),
                Proof::OfBranch(other) if old <= new => branches[other as usize].proof(old, new),
                _ => no_proof(),
            };
            let Ok(line) = witness.add_checkpoint(&body(old, &proof, log.note(new))) else { continue };
            let time = cosigned_at(&line, &log.text(new));
            prop_assert!(new >= held && time >= last && old == held);
            (held, last) = (new, time);
            if new > FORK_AT {
                histories.insert(branch);
            }
            prop_assert!(histories.len() <= 1, "cosigned branches {histories:?}");
        }
    }
}
