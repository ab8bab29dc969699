//! Restarts, crashes, and lost or damaged files that can be made again.

use super::*;
use crate::index::plant_rows;
use crate::storage::heads::Heads;

#[test]
fn restarts_after_many_batches_change_nothing() {
    let log = TestLog::raw();
    let mut from = 0;
    for round in 0..12 {
        let sequencer = log.open();
        assert_eq!(signed_head(&sequencer.handle()), head_of(from), "round {round}");
        for to in [1, 90, 91, 350].map(|more| from + more) {
            submit_range(&sequencer.handle(), from..to);
            from = to;
        }
    }
    let segments = fs::read_dir(log.data().join("journal")).unwrap().count();
    assert!(segments < 8, "the journal is given up as tiles become durable, {segments} segments are left");
}

#[test]
fn a_crash_after_any_batch_keeps_everything_acknowledged() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let mut from = 0;
    for to in (0..40).map(|step| step * step) {
        submit_range(&handle, from..to);
        from = to;
        let crashed = log.copy();
        let reopened = crashed.open();
        assert_eq!(signed_head(&reopened.handle()), head_of(to), "at size {to}");
        submit_range(&reopened.handle(), to..to + 3);
        assert_eq!(signed_head(&reopened.handle()), head_of(to + 3));
    }
}

#[test]
fn tiles_that_were_not_synced_before_a_crash_are_written_again() {
    let log = TestLog::raw();
    let mut sequencer = log.open();
    let mut from = 0;
    for round in 1..8 {
        submit_range(&sequencer.handle(), from..round * 400);
        from = round * 400;
        let crashed = log.copy();
        let identity = identity(&log.settings());
        let heads = Heads::load(&Storage::real(), &crashed.data(), identity).unwrap();
        let durable = heads.map_or(0, |heads| heads.integrated.size.get() / 256);
        for bundle in durable..from / 256 {
            // One lost, if it was written yet, the other there without its content.
            let _ = fs::remove_file(crashed.data().join(format!("tile/0/{bundle:03}")));
            fs::write(crashed.data().join(format!("tile/entries/{bundle:03}")), b"").unwrap();
        }
        let reopened = crashed.open();
        assert_eq!(signed_head(&reopened.handle()), head_of(from));
        for at in 0..from {
            assert_eq!(reopened.handle().tree().entry(index(at)).unwrap(), Some(entry(at)));
        }
        if round == 4 {
            drop(sequencer);
            sequencer = log.open();
        }
    }
}

/// A log that is killed again and again before it has written enough for a sync pass.
#[test]
fn what_a_start_replays_does_not_grow_with_every_crash() {
    const ENTRIES_OF_LIFE: u64 = 300;
    let tuning =
        Tuning { sync_bundles: u64::MAX, sync_bytes: 8 * 1024, beside: false, ..tight(LogKind::Raw) };
    let mut log = TestLog::raw();
    for life in 0..12 {
        let sequencer = Sequencer::open_tuned(log.settings(), tuning).unwrap();
        for batch in (life * ENTRIES_OF_LIFE..(life + 1) * ENTRIES_OF_LIFE).step_by(100) {
            submit_range(&sequencer.handle(), batch..batch + 100);
        }
        let crashed = log.copy();
        drop(sequencer);
        log = crashed;
        let heads = Heads::load(&Storage::real(), &log.data(), identity(&log.settings())).unwrap();
        let durable = heads.map_or(0, |heads| heads.integrated.size.get());
        let replayed = (life + 1) * ENTRIES_OF_LIFE - durable;
        assert!(replayed < 1_500, "{replayed} entries are replayed after life {life}");
    }
    assert_eq!(signed_head(&log.open().handle()), head_of(12 * ENTRIES_OF_LIFE));
}

#[test]
fn a_torn_batch_is_gone_and_the_one_before_it_is_not() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..10);
    let path = log.data().join("journal/0000000000000000");
    let before = fs::read(&path).unwrap();
    submit_range(&sequencer.handle(), 10..20);
    let after = fs::read(&path).unwrap();
    let start = before.iter().zip(&after).position(|(before, after)| before != after).unwrap();
    let crashed = log.copy();
    let mut torn = after;
    torn[start + 20..start + 400].fill(0);
    fs::write(crashed.data().join("journal/0000000000000000"), torn).unwrap();
    let reopened = crashed.open();
    assert_eq!(signed_head(&reopened.handle()), head_of(10));
    submit_range(&reopened.handle(), 10..12);
    assert_eq!(signed_head(&reopened.handle()), head_of(12));
}

#[test]
fn a_lost_or_damaged_snapshot_is_made_again() {
    let log = TestLog::raw();
    for from in [0, 1000, 2000] {
        submit_range(&log.open().handle(), from..from + 1000);
    }
    let heads = log.data().join("heads");
    let whole = fs::read(&heads).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&heads, flipped).unwrap();
        let sequencer = log.open();
        assert_eq!(signed_head(&sequencer.handle()), head_of(3000), "byte {at}");
        drop(sequencer);
        assert_eq!(fs::read(&heads).unwrap(), whole, "made again");
    }
    fs::remove_file(&heads).unwrap();
    assert_eq!(signed_head(&log.open().handle()), head_of(3000));
}

#[test]
fn a_snapshot_older_than_the_journal_is_not_needed() {
    let log = TestLog::raw();
    submit_range(&log.open().handle(), 0..600);
    let old = fs::read(log.data().join("heads")).unwrap();
    for from in [600, 2600, 4600] {
        submit_range(&log.open().handle(), from..from + 2000);
    }
    fs::write(log.data().join("heads"), old).unwrap();
    let journal =
        Journal::open(&Storage::real(), &log.data().join("journal"), identity(&log.settings()), 1).unwrap();
    assert!(journal.first().get() > 600, "the journal has given up what the snapshot would need");
    drop(journal);
    assert_eq!(signed_head(&log.open().handle()), head_of(6600));
}

#[test]
fn a_deleted_index_changes_nothing() {
    let log = TestLog::raw();
    submit_range(&log.open().handle(), 0..3000);
    fs::remove_dir_all(log.data().join("index")).unwrap();
    let sequencer = log.open();
    for number in [0, 255, 256, 1500, 2999] {
        let again = sequenced(number, number, Occurrence::Again);
        assert_eq!(submit_one(&sequencer.handle(), raw(number)), again);
    }
    assert_eq!(signed_head(&sequencer.handle()), head_of(3000));
}

/// Most keys are in the database then.
fn open_with_few_in_memory(log: &TestLog) -> Sequencer {
    let settings = CoreSettings { index_memory_entries: 512, ..log.settings() };
    Sequencer::open_tuned(settings, tight(LogKind::Raw)).unwrap()
}

#[test]
fn an_index_full_of_garbage_changes_nothing() {
    let log = TestLog::raw();
    let open = || open_with_few_in_memory(&log);
    submit_range(&open().handle(), 0..3000);
    drop(open());
    let files = fs::read_dir(log.data().join("index")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert!(files.iter().any(|path| path.ends_with("db")), "{files:?}");
    assert!(files.iter().any(|path| path.to_string_lossy().contains("run-")), "{files:?}");
    let all: Vec<_> = files.iter().map(|path| (path, fs::read(path).unwrap())).collect();
    for (file, whole) in &all {
        for (at, length) in [(0, 64), (whole.len() / 2, 5000), (100.min(whole.len()), whole.len())] {
            for (file, whole) in &all {
                fs::write(file, whole).unwrap();
            }
            let mut damaged = whole.clone();
            for byte in damaged.iter_mut().skip(at).take(length) {
                *byte = byte.wrapping_mul(31).wrapping_add(7);
            }
            fs::write(file, damaged).unwrap();
            let sequencer = open();
            for number in [0, 1, 255, 1000, 2000, 2999] {
                let again = sequenced(number, number, Occurrence::Again);
                assert_eq!(
                    submit_one(&sequencer.handle(), raw(number)),
                    again,
                    "{} from {at}",
                    file.display()
                );
            }
            drop(sequencer);
        }
    }
}

#[test]
fn an_index_that_points_at_the_wrong_entry_is_not_believed() {
    let log = TestLog::raw();
    submit_range(&open_with_few_in_memory(&log).handle(), 0..3000);
    // With so little memory, the next opening brings all but the newest keys into the database.
    drop(open_with_few_in_memory(&log));
    // A key that is not in the log, and one whose index is another's.
    let wrong = [(1_000_000, 17), (18, 19)].map(|(number, index)| (entry(number).leaf_hash(), index));
    let settings = log.settings();
    plant_rows(&index_place(&settings), identity(&settings), &wrong);
    let sequencer = open_with_few_in_memory(&log);
    let handle = sequencer.handle();
    let new = sequenced(3000, 1_000_000, Occurrence::First);
    assert_eq!(submit_one(&handle, raw(1_000_000)), new, "no receipt for an entry that is not in the log");
    assert_eq!(submit_one(&handle, raw(18)), sequenced(18, 18, Occurrence::Again));
}
