//! Queue bounds, duplicates, stopping and failing.

use super::*;
use crate::journal::JournalError;

#[test]
fn the_same_bytes_get_the_first_index_in_a_batch_and_across_batches_and_restarts() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let batch = [5, 6, 5, 5, 6, 7].map(raw).into();
    let outcomes = handle.submit_many(batch).unwrap().blocking_recv().unwrap();
    let first = Occurrence::First;
    let again = Occurrence::Again;
    let expected = [(0, 5, first), (1, 6, first), (0, 5, again), (0, 5, again), (1, 6, again), (2, 7, first)];
    assert_eq!(outcomes, expected.map(|(at, number, occurrence)| sequenced(at, number, occurrence)));
    assert_eq!(submit_one(&handle, raw(7)), sequenced(2, 7, again));
    assert_eq!(signed_head(&handle).size, size(3), "a duplicate adds nothing");
    submit_range(&handle, 100..1100);
    drop(sequencer);
    let sequencer = log.open();
    assert_eq!(submit_one(&sequencer.handle(), raw(6)), sequenced(1, 6, again));
    assert_eq!(submit_one(&sequencer.handle(), raw(1099)), sequenced(1002, 1099, again));
}

#[test]
fn entries_may_be_empty_or_as_long_as_an_entry_can_be() {
    let log = TestLog::raw();
    let entries = [Vec::new(), vec![7; Entry::MAX_LEN], vec![8; Entry::MAX_LEN]];
    let sequencer = log.open();
    for (at, bytes) in entries.iter().enumerate() {
        let outcome = submit_one(&sequencer.handle(), Submission::Raw(Entry::new(bytes.clone()).unwrap()));
        assert!(matches!(outcome, Outcome::Sequenced { index, .. } if index.get() == at as u64));
    }
    drop(sequencer);
    let sequencer = log.open();
    for (at, bytes) in entries.iter().enumerate() {
        let stored = sequencer.handle().tree().entry(index(at as u64)).unwrap().unwrap();
        assert_eq!(stored.as_bytes(), bytes);
    }
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    let queue = Queue::new(2, 1000);
    let request = |bytes: usize| {
        let entry = Entry::new(vec![0; bytes]).unwrap();
        let candidate = Candidate::new(Submission::Raw(entry), LogKind::Raw).unwrap();
        Request::One(candidate, oneshot::channel().0)
    };
    let full = Err(SubmitError::Full { retry_after_s: 1 });
    assert_eq!(queue.push(request(900)), Ok(()));
    assert_eq!(queue.push(request(101)), full, "too many bytes");
    assert_eq!(queue.push(request(100)), Ok(()));
    assert_eq!(queue.push(request(0)), full, "too many entries");
    assert_eq!(queue.take(1, 1000).unwrap().len(), 1);
    assert_eq!(queue.push(request(0)), Ok(()));
    assert_eq!(queue.take(10, 1000).unwrap().len(), 2);
    queue.close();
    assert_eq!(queue.push(request(0)), Err(SubmitError::Stopped));
    assert!(queue.take(1, 1).is_none());
}

#[test]
fn a_batch_keeps_to_its_limits_but_never_splits_a_group() {
    let queue = Queue::new(100, 1000);
    let group = |count: usize| {
        let candidates = (0..count).map(|number| Candidate::new(raw(number as u64), LogKind::Raw).unwrap());
        Request::Many(candidates.collect(), oneshot::channel().0)
    };
    for count in [5, 2, 2, 2] {
        queue.push(group(count)).unwrap();
    }
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let batch = queue.take(4, 1000).unwrap();
        sizes.push(batch.iter().map(|request| request.candidates().len()).collect::<Vec<_>>());
    }
    assert_eq!(sizes, [vec![5], vec![2, 2], vec![2]]);
}

#[test]
fn a_raw_log_takes_no_records_and_a_log_of_records_no_raw_entries() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let refused = sequencer.handle().submit(raw(0)).map(|_| ()).unwrap_err();
    assert_eq!(refused, SubmitError::OtherKind { kind: LogKind::Records });
}

#[test]
fn shutting_down_sequences_what_waits_and_takes_nothing_more() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let waiting: Vec<_> = (0..500).map(|number| handle.submit(raw(number)).unwrap()).collect();
    sequencer.shutdown();
    for (number, outcome) in (0..).zip(waiting) {
        assert_eq!(outcome.blocking_recv().unwrap(), sequenced(number, number, Occurrence::First));
    }
    assert!(handle.is_stopped());
    assert_eq!(handle.submit(raw(500)).map(|_| ()).unwrap_err(), SubmitError::Stopped);
    assert_eq!(signed_head(&log.open().handle()), head_of(500));
}

#[test]
fn a_failed_write_stops_the_log_for_good_and_says_so() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    submit_range(&handle, 0..10);
    // The next append needs a new segment, which can't be made.
    fs::rename(log.data().join("journal"), log.data().join("moved")).unwrap();
    let large = Submission::Raw(Entry::new(vec![7; 60_000]).unwrap());
    assert_eq!(submit_one(&handle, large), Outcome::Failed);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(sequencer.failed());
    let failure = sequencer.failure().unwrap();
    assert!(matches!(failure, SequencerError::Journal(JournalError::Disk(_))), "{failure}");
    assert_eq!(handle.submit(raw(0)).map(|_| ()).unwrap_err(), SubmitError::Stopped);
    assert_eq!(signed_head(&handle), head_of(10), "readers go on");
    assert_eq!(handle.tree().entry(index(9)).unwrap(), Some(entry(9)));
    drop(sequencer);
    fs::rename(log.data().join("moved"), log.data().join("journal")).unwrap();
    assert_eq!(signed_head(&log.open().handle()), head_of(10));
}

#[test]
fn a_tile_that_cannot_be_written_stops_the_log_and_loses_nothing() {
    let log = TestLog::raw();
    let sequencer = log.open();
    let handle = sequencer.handle();
    fs::rename(log.data().join("tile"), log.data().join("moved")).unwrap();
    // A file where a directory has to be.
    fs::write(log.data().join("tile"), b"").unwrap();
    let outcomes = submit_range(&handle, 0..300);
    assert_eq!(outcomes[299], sequenced(299, 299, Occurrence::First), "the journal has it");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(sequencer.failed());
    let failure = sequencer.failure().unwrap();
    assert!(matches!(failure, SequencerError::Disk(_)), "{failure}");
    assert_eq!(handle.submit(raw(300)).map(|_| ()).unwrap_err(), SubmitError::Stopped);
    assert_eq!(handle.tree().entry(index(7)).unwrap(), Some(entry(7)), "readers go on");
    drop(sequencer);
    fs::remove_file(log.data().join("tile")).unwrap();
    fs::rename(log.data().join("moved"), log.data().join("tile")).unwrap();
    let reopened = log.open();
    assert_eq!(signed_head(&reopened.handle()), head_of(300));
    assert_eq!(reopened.handle().tree().entry(index(7)).unwrap(), Some(entry(7)));
}

/// A batch may wait for long: until the index is open.
#[test]
fn a_batch_that_waited_for_the_index_is_not_signed_once_the_log_was_abandoned() {
    let log = TestLog::raw();
    log.open().shutdown();
    let database = fs::File::open(log.data().join(INDEX_DIR).join("db")).unwrap();
    database.lock().unwrap();
    let sequencer = log.open();
    let handle = sequencer.handle();
    let waiting = handle.submit(raw(1)).unwrap();
    let (entries, bytes) = (log.settings().queue_entries, log.settings().queue_bytes);
    while handle.check_room(entries, bytes).is_err() {
        thread::yield_now();
    }
    sequencer.abandon();
    database.unlock().unwrap();
    assert_eq!(waiting.blocking_recv().unwrap(), Outcome::Failed);
    sequencer.shutdown();
    assert_eq!(signed_head(&handle).size, size(0));
    assert_eq!(submit_one(&log.open().handle(), raw(2)), sequenced(0, 2, Occurrence::First));
}
