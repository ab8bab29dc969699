//! A process that was taken over: its lock file was deleted while it was paused.

use super::*;
use crate::publish::Publisher;
use crate::storage::Storage;
use indelible_proto::policy::Policy;

/// Deletes the lock file, as an operator might who believes that its holder is gone.
fn delete_lock(log: &TestLog) {
    fs::remove_file(log.data().join("lock")).unwrap();
}

fn assert_taken_over(sequencer: &Sequencer) {
    // The answer goes out first.
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(sequencer.failed());
    assert_eq!(sequencer.failure().map(SequencerError::code), Some("log-taken-over"));
    assert!(sequencer.failure().unwrap().is_taken_over());
}

#[test]
fn who_was_taken_over_acknowledges_and_shows_nothing_more() {
    for duplicate in [false, true] {
        let log = TestLog::raw();
        let first = log.open();
        submit_range(&first.handle(), 0..300);
        delete_lock(&log);
        let second = log.open();
        let number = if duplicate { 5 } else { 1_000 };
        assert_eq!(submit_one(&first.handle(), raw(number)), Outcome::Failed, "duplicate: {duplicate}");
        assert_taken_over(&first);
        assert_eq!(signed_head(&first.handle()), head_of(300));
        submit_range(&second.handle(), 300..310);
        drop(first);
        submit_range(&second.handle(), 310..900);
        drop(second);
        assert_eq!(signed_head(&log.open().handle()), head_of(900), "the first has damaged nothing");
    }
}

#[test]
fn a_late_append_of_the_old_owner_is_never_read() {
    let log = TestLog::raw();
    let first = log.open();
    submit_range(&first.handle(), 0..300);
    let dir = log.data().join("journal");
    let old =
        Journal::open(&Storage::real(), &dir, identity(&log.settings()), tight(LogKind::Raw).segment_bytes);
    let mut old = old.unwrap();
    delete_lock(&log);
    let second = log.open();
    submit_range(&second.handle(), 300..310);
    // As a process does that was paused before its write: it asks nobody.
    let batch =
        crate::journal::Batch { first: index(300), head: head_of(301), entries: vec![0, 1, b'x'].into() };
    old.append(&[crate::journal::Payload::Batch(batch)]).unwrap();
    submit_range(&second.handle(), 310..320);
    drop(second);
    assert_eq!(signed_head(&log.open().handle()), head_of(320));
}

#[test]
fn who_was_taken_over_gives_no_file_a_name() {
    let log = TestLog::raw();
    let first = log.open();
    submit_range(&first.handle(), 0..300);
    let old = first.handle().storage();
    // Written before the takeover, renamed after it.
    let path = log.data().join("checkpoint");
    let temporary = old.temporary(&path);
    fs::write(&temporary, b"old").unwrap();
    delete_lock(&log);
    let second = log.open();
    assert!(!temporary.exists(), "the takeover deletes temporary files");
    assert_eq!(old.replace(&path, b"old").unwrap_err().code(), "log-taken-over");
    assert_eq!(old.remove(&log.data().join("heads")).unwrap_err().code(), "log-taken-over");
    assert!(!path.exists());
    drop(second);
}

#[test]
fn who_was_taken_over_publishes_nothing() {
    let log = TestLog::raw();
    let first = log.open();
    let handle = first.handle();
    fs::write(log.data().join("checkpoint"), handle.signed().borrow().note.encode()).unwrap();
    let policy = format!("log {}\nquorum none\n", signer(1).verifier());
    let policy = Arc::new(Policy::parse(policy.as_bytes()).unwrap());
    let head = handle.signed().borrow().checkpoint.head();
    let publisher =
        Publisher::open(handle.storage(), &log.data(), Arc::clone(&policy), &head, handle.tree()).unwrap();
    submit_range(&handle, 0..3);
    delete_lock(&log);
    let second = log.open();
    let note = handle.signed().borrow().note.clone();
    let error = publisher.publish(&policy.verify(&note).unwrap()).unwrap_err();
    assert!(error.refuses_to_sign(), "{error:?}");
    drop(second);
}

#[test]
fn an_open_that_was_overtaken_by_another_fails() {
    let log = TestLog::raw();
    submit_range(&log.open().handle(), 0..10);
    let slow = Storage::real().take_over(&log.data()).unwrap();
    let second = log.open();
    let dir = log.data().join("journal");
    let error = Journal::open(&slow, &dir, identity(&log.settings()), 32 * 1024).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "log-taken-over");
    submit_range(&second.handle(), 10..20);
    drop(second);
    assert_eq!(signed_head(&log.open().handle()), head_of(20));
}

#[test]
fn starts_leave_no_more_segments_behind() {
    let log = TestLog::raw();
    for number in 0..20 {
        submit_range(&log.open().handle(), number..number + 1);
    }
    assert_eq!(fs::read_dir(log.data().join("journal")).unwrap().count(), 1);
}
