//! What opening and creating refuse.

use super::*;
use crate::clock::Clock;
use crate::journal::{JournalError, Payload};
use indelible_proto::time::UnixSeconds;

/// The note of the log's newest head, as a publisher would write it.
fn publish(log: &TestLog, handle: &SequencerHandle) {
    fs::write(log.data().join("checkpoint"), handle.signed().borrow().note.encode()).unwrap();
}

/// The code of the refusal, which says what to do.
fn damaged(log: &TestLog) -> &'static str {
    let error = log.open_error();
    assert!(error.refuses_to_sign() && error.to_string().contains("restore undamaged data"), "{error}");
    error.code()
}

#[test]
fn opening_never_makes_a_log() {
    let dir = TempDir::new().unwrap();
    let nowhere = settings(&dir.path().join("data"), LogKind::Raw);
    let empty = settings(dir.path(), LogKind::Raw);
    for (settings, code) in [(nowhere, "log-missing"), (empty, "journal-missing")] {
        let error = Sequencer::open(settings).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.refuses_to_sign() && error.to_string().contains("restore undamaged data"), "{error}");
    }
    assert!(!dir.path().join("journal").exists());
}

#[test]
fn creating_touches_nothing_that_is_there() {
    let log = TestLog::raw();
    assert_eq!(create(&log.settings()).unwrap_err().code(), "log-exists");
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let settings = settings(&dir.path().join("data"), LogKind::Raw);
    create(&settings).expect("an empty directory may be there");
    fs::remove_dir_all(dir.path().join("data/journal")).unwrap();
    assert_eq!(create(&settings).unwrap_err().code(), "log-exists");
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_done() {
    let log = TestLog::raw();
    let first = log.open();
    assert_eq!(log.open_error().code(), "directory-locked");
    drop(first);
    drop(log.open());
}

#[test]
fn another_kind_origin_or_key_is_refused() {
    let log = TestLog::raw();
    submit_range(&log.open().handle(), 0..3);
    let code = |settings| Sequencer::open(settings).map(|_| ()).unwrap_err().code();
    let own = log.settings();
    assert_eq!(code(CoreSettings { kind: LogKind::Records, ..own.clone() }), "journal-other-kind");
    let origin = Origin::parse("log.example/other").unwrap();
    assert_eq!(code(CoreSettings { origin, ..own.clone() }), "journal-other-origin");
    assert_eq!(code(CoreSettings { signer: signer(2), ..own }), "signed-checkpoint-foreign");
}

#[test]
fn a_stale_copy_refuses_when_a_newer_checkpoint_was_published() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..300);
    publish(&log, &sequencer.handle());
    let stale = log.copy();
    drop(stale.open());
    submit_range(&sequencer.handle(), 300..310);
    publish(&log, &sequencer.handle());
    fs::copy(log.data().join("checkpoint"), stale.data().join("checkpoint")).unwrap();
    let error = stale.open_error();
    assert_eq!(error.code(), "published-ahead");
    assert!(error.refuses_to_sign());
    let refusal =
        OpenError::RefuseToSign(Refusal::PublishedAhead { published: size(310), stored: size(300) });
    assert_eq!(error.to_string(), refusal.to_string());
}

#[test]
fn a_copy_that_went_on_by_itself_refuses_the_published_history() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..300);
    let fork = log.copy();
    submit_range(&sequencer.handle(), 300..310);
    publish(&log, &sequencer.handle());
    submit_range(&fork.open().handle(), 400..500);
    fs::copy(log.data().join("checkpoint"), fork.data().join("checkpoint")).unwrap();
    let error = fork.open_error();
    assert_eq!(error.code(), "published-differs");
    assert!(error.refuses_to_sign());
}

#[test]
fn a_published_checkpoint_that_is_not_ours_refuses() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..3);
    publish(&log, &sequencer.handle());
    let note = fs::read(log.data().join("checkpoint")).unwrap();
    drop(sequencer);
    let other = signer(9);
    let head = TreeHead::empty();
    let foreign = SignedHead::sign(&log.settings().origin, head, &other, UnixSeconds::new(1).unwrap())
        .unwrap()
        .note
        .encode();
    for damaged in [vec![0; 187], note[..note.len() - 1].to_vec(), foreign] {
        fs::write(log.data().join("checkpoint"), damaged).unwrap();
        assert_eq!(log.open_error().code(), "published-unreadable");
    }
    fs::write(log.data().join("checkpoint"), note).unwrap();
    drop(log.open());
}

#[test]
fn a_journal_that_lost_what_the_snapshot_knows_refuses() {
    let log = TestLog::raw();
    let sequencer = log.open();
    submit_range(&sequencer.handle(), 0..600);
    let before = log.copy();
    submit_range(&sequencer.handle(), 600..700);
    drop(sequencer);
    fs::copy(log.data().join("heads"), before.data().join("heads")).unwrap();
    let error = before.open_error();
    assert_eq!(error.code(), "journal-behind-signed");
    assert!(error.refuses_to_sign());
}

#[test]
fn a_flipped_bit_in_any_tile_of_the_right_edge_refuses() {
    let log = TestLog::raw();
    submit_range(&log.open().handle(), 0..1000);
    for tile in ["tile/0/000", "tile/0/001", "tile/0/002"] {
        let path = log.data().join(tile);
        let whole = fs::read(&path).unwrap();
        for at in [0, 31, 4000, 8191] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
            assert_eq!(damaged(&log), "tiles-differ", "{tile} at byte {at}");
        }
        fs::write(&path, &whole[..8191]).unwrap();
        assert_eq!(damaged(&log), "stored-file-damaged");
        fs::remove_file(&path).unwrap();
        assert_eq!(damaged(&log), "stored-file-missing");
        fs::write(&path, whole).unwrap();
    }
    drop(log.open());
}

#[test]
fn tiles_that_no_batch_of_the_journal_vouches_for_must_lead_to_the_signed_root() {
    let log = TestLog::raw();
    let tuning = Tuning { segment_bytes: 8192, ..tight(LogKind::Raw) };
    let open = || Sequencer::open_tuned(log.settings(), tuning);
    for range in [0..2000, 2000..4000, 4000..4096] {
        submit_range(&open().unwrap().handle(), range);
    }
    let journal =
        Journal::open(&Storage::real(), &log.data().join("journal"), identity(&log.settings()), 1).unwrap();
    assert_eq!((journal.first(), journal.size()), (index(4000), size(4096)));
    drop(journal);
    fs::remove_file(log.data().join("heads")).unwrap();
    drop(open().unwrap());
    fs::remove_file(log.data().join("heads")).unwrap();
    let path = log.data().join("tile/0/003");
    let mut tile = fs::read(&path).unwrap();
    tile[100] ^= 1;
    fs::write(&path, tile).unwrap();
    let error = open().map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "root-differs-from-signed");
}

#[test]
fn without_a_snapshot_a_flipped_bit_in_a_tile_contradicts_the_journal() {
    let log = TestLog::raw();
    for from in [0, 2000, 4000] {
        submit_range(&log.open().handle(), from..from + 2000);
    }
    let journal =
        Journal::open(&Storage::real(), &log.data().join("journal"), identity(&log.settings()), 1).unwrap();
    assert!(journal.first().get() > 256, "the journal does not have the tile's entries any more");
    drop(journal);
    fs::remove_file(log.data().join("heads")).unwrap();
    let path = log.data().join("tile/0/000");
    let mut tile = fs::read(&path).unwrap();
    tile[100] ^= 1;
    fs::write(&path, tile).unwrap();
    let error = log.open_error();
    assert_eq!(error.code(), "root-differs-from-signed");
    assert!(error.refuses_to_sign());
}

/// The log's settings with a clock that has stopped.
fn at(log: &TestLog, seconds: u64) -> CoreSettings {
    let now = UnixSeconds::new(seconds).unwrap();
    let system = System { clock: Clock::new(move || now), ..System::real() };
    CoreSettings { system, ..log.settings() }
}

#[test]
fn a_clock_behind_the_newest_signature_refuses() {
    const SIGNED_AT: u64 = 5_000_000_000;
    let log = TestLog::raw();
    submit_range(&Sequencer::open(at(&log, SIGNED_AT)).unwrap().handle(), 0..3);
    let error = Sequencer::open(at(&log, SIGNED_AT - CLOCK_TOLERANCE_S - 1)).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "clock-behind");
    assert!(error.refuses_to_sign());
    assert!(error.to_string().contains("2128-06-11T08:53:20Z"), "{error}");
    drop(Sequencer::open(at(&log, SIGNED_AT - CLOCK_TOLERANCE_S)).unwrap());
}

#[test]
fn the_recorded_time_never_goes_back() {
    const SIGNED_AT: u64 = 5_000_000_000;
    let log = TestLog::raw();
    submit_range(&Sequencer::open(at(&log, SIGNED_AT)).unwrap().handle(), 0..3);
    submit_range(&Sequencer::open(at(&log, SIGNED_AT - 50)).unwrap().handle(), 3..6);
    let journal = Journal::open(&Storage::real(), &log.data().join("journal"), identity(&log.settings()), 1);
    let mut times = Vec::new();
    let collected = journal.unwrap().replay(|append| {
        times.extend(append.into_iter().filter_map(|payload| match payload {
            Payload::Checkpoint(checkpoint) => Some(checkpoint.signed_at.get()),
            Payload::Batch(_) => None,
        }));
        Ok::<_, JournalError>(())
    });
    collected.unwrap();
    assert_eq!(times[times.len() - 2..], [SIGNED_AT, SIGNED_AT]);
}
