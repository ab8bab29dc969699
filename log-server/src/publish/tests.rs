use indelible_proto::policy::VerifiedCheckpoint;
use indelible_proto::size::TreeSize;
use tempfile::TempDir;

use super::*;
use crate::testing::{TestLog, cosigner, policy, seconds, signed};

/// A policy with witnesses 2, 3 and 4, of whom `quorum` are enough.
fn with_quorum(quorum: usize) -> Arc<Policy> {
    let witnesses = [2, 3, 4].map(|seed| (cosigner(seed).verifier().clone(), "http://w.example".to_owned()));
    policy(quorum, &witnesses)
}

/// The signed checkpoint of `head`, cosigned by these witnesses at this time.
fn cosigned(head: TreeHead, witnesses: &[u8], time: u64) -> SignedNote {
    let mut note = signed(head).note;
    for witness in witnesses {
        note.add_signature(cosigner(*witness).cosign(note.text(), seconds(time)).unwrap()).unwrap();
    }
    note
}

fn verified(head: TreeHead, witnesses: &[u8], time: u64) -> VerifiedCheckpoint {
    with_quorum(2).verify(&cosigned(head, witnesses, time)).unwrap()
}

/// A directory whose published checkpoint is this.
fn directory(note: &SignedNote) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join(CHECKPOINT_FILE), note.encode()).unwrap();
    dir
}

fn open(dir: &TempDir, quorum: usize, log: &TestLog) -> Result<Publisher, PublishError> {
    Publisher::open(Storage::real(), dir.path(), with_quorum(quorum), &log.head(), Arc::clone(&log.tree))
}

fn now(publisher: &Publisher) -> Arc<Published> {
    Arc::clone(&publisher.subscribe().borrow())
}

fn stored(dir: &TempDir) -> Vec<u8> {
    std::fs::read(dir.path().join(CHECKPOINT_FILE)).unwrap()
}

fn key_names(published: &Published) -> Vec<&str> {
    published.note().signatures().iter().map(|line| line.name().as_str()).collect()
}

#[test]
fn a_new_log_publishes_its_empty_tree_without_a_quorum() {
    let log = TestLog::new();
    let publisher = open(&directory(&signed(log.head()).note), 2, &log).unwrap();
    assert_eq!(now(&publisher).standing(), Standing::Exempt);
    assert_eq!(now(&publisher).head(), TreeHead::empty());
}

#[test]
fn what_is_published_is_on_disk_and_visible_and_survives_a_restart() {
    let mut log = TestLog::new();
    let dir = directory(&signed(log.head()).note);
    let publisher = open(&dir, 2, &log).unwrap();
    log.grow(&[1, 2, 3]);
    let note = cosigned(log.head(), &[2, 3], 7);
    publisher.publish(&verified(log.head(), &[2, 3], 7)).unwrap();
    assert_eq!(now(&publisher).head(), log.head());
    assert_eq!(now(&publisher).standing(), Standing::Witnessed);
    assert_eq!(stored(&dir), note.encode());
    assert_eq!(now(&publisher).bytes(), &note.encode());
    drop(publisher);
    assert_eq!(now(&open(&dir, 2, &log).unwrap()).bytes(), &note.encode());
}

#[test]
fn nothing_smaller_replaces_what_is_published() {
    let mut log = TestLog::of(&[1]);
    let small = verified(log.head(), &[2, 3], 9);
    log.grow(&[2]);
    let dir = directory(&cosigned(log.head(), &[2, 3], 7));
    let publisher = open(&dir, 2, &log).unwrap();
    let before = stored(&dir);
    assert_eq!(publisher.publish(&small).unwrap_err().code(), "data-behind-signed");
    assert_eq!((stored(&dir), now(&publisher).head()), (before, log.head()));
}

#[test]
fn nothing_that_contradicts_what_is_published_replaces_it() {
    let log = TestLog::of(&[1, 2, 3]);
    for other in [TestLog::of(&[1, 2, 4]), TestLog::of(&[1, 9, 3])] {
        let dir = directory(&cosigned(log.head(), &[2, 3], 7));
        let publisher = open(&dir, 2, &log).unwrap();
        let contradiction = verified(other.head(), &[2, 3], 9);
        assert_eq!(publisher.publish(&contradiction).unwrap_err().code(), "data-contradicts-signed");
        assert_eq!(now(&publisher).head(), log.head());
    }
}

#[test]
fn late_cosignatures_add_to_earlier_ones_of_the_same_tree() {
    let log = TestLog::of(&[1, 2, 3]);
    let dir = directory(&cosigned(log.head(), &[2, 3], 7));
    let publisher = open(&dir, 2, &log).unwrap();
    publisher.publish(&verified(log.head(), &[3, 4], 9)).unwrap();
    let names = key_names(&now(&publisher)).join(" ");
    assert_eq!(names, "log.example/test witness.example/w3 witness.example/w4 witness.example/w2");
    let times = |publisher: &Publisher| {
        let verified = with_quorum(2).verify(now(publisher).note()).unwrap();
        verified.cosigners().iter().map(|cosigner| cosigner.time.get()).collect::<Vec<_>>()
    };
    assert_eq!(times(&publisher), [7, 9, 9]);
}

#[test]
fn cosignatures_of_an_earlier_tree_are_left_behind() {
    let mut log = TestLog::of(&[1, 2, 3]);
    let dir = directory(&cosigned(log.head(), &[2, 3], 7));
    let publisher = open(&dir, 2, &log).unwrap();
    log.grow(&[4]);
    publisher.publish(&verified(log.head(), &[3, 4], 9)).unwrap();
    assert_eq!(now(&publisher).note(), &cosigned(log.head(), &[3, 4], 9));
}

#[test]
fn a_policy_that_became_stricter_leaves_the_old_checkpoint_public_but_exempt() {
    let log = TestLog::of(&[1]);
    let dir = directory(&cosigned(log.head(), &[2, 3], 7));
    assert_eq!(now(&open(&dir, 2, &log).unwrap()).standing(), Standing::Witnessed);
    assert_eq!(now(&open(&dir, 3, &log).unwrap()).standing(), Standing::Exempt);
}

#[test]
fn an_old_copy_of_the_data_refuses_to_start() {
    let (old, new) = (TestLog::of(&[1, 2]), TestLog::of(&[1, 2, 3]));
    let error = open(&directory(&cosigned(new.head(), &[2, 3], 7)), 2, &old).unwrap_err();
    assert_eq!(error.code(), "data-behind-signed");
    assert!(matches!(error, PublishError::History(error) if error.refuses_to_sign()));
}

#[test]
fn another_history_refuses_to_start() {
    let (ours, other) = (TestLog::of(&[1, 2, 3]), TestLog::of(&[1, 9]));
    let error = open(&directory(&cosigned(other.head(), &[2, 3], 7)), 2, &ours).unwrap_err();
    assert_eq!(error.code(), "data-contradicts-signed");
    assert!(matches!(error, PublishError::History(error) if error.refuses_to_sign()));
}

#[test]
fn a_missing_or_damaged_checkpoint_is_said_to_be_so() {
    let log = TestLog::of(&[1]);
    assert_eq!(open(&TempDir::new().unwrap(), 2, &log).unwrap_err().code(), "published-missing");
    let good = cosigned(log.head(), &[2, 3], 7);
    let damaged = |bytes: &[u8]| {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join(CHECKPOINT_FILE), bytes).unwrap();
        open(&dir, 2, &log).unwrap_err().code()
    };
    assert_eq!(damaged(b""), "published-damaged");
    assert_eq!(damaged(&good.encode()[1..]), "published-damaged");
    let unsigned = good.with_signatures(good.signatures()[1..].to_vec()).unwrap();
    assert_eq!(damaged(&unsigned.encode()), "published-damaged");
}

#[test]
fn lines_of_strangers_in_the_file_are_not_served() {
    let log = TestLog::of(&[1]);
    let mut note = cosigned(log.head(), &[2, 3], 7);
    note.add_signature(cosigner(9).cosign(note.text(), seconds(7)).unwrap()).unwrap();
    let publisher = open(&directory(&note), 2, &log).unwrap();
    assert_eq!(key_names(&now(&publisher)), ["log.example/test", "witness.example/w2", "witness.example/w3"]);
    assert_eq!(now(&publisher).head().size, TreeSize::new(1).unwrap());
}

#[test]
fn the_published_checkpoint_is_verified_once_and_counts_only_with_its_quorum() {
    let mut log = TestLog::new();
    let dir = directory(&signed(log.head()).note);
    let publisher = open(&dir, 2, &log).unwrap();
    let policy = with_quorum(2);
    assert!(now(&publisher).verified(&policy).is_err());
    log.grow(&[1, 2]);
    publisher.publish(&verified(log.head(), &[2, 3], 7)).unwrap();
    let published = now(&publisher);
    let first = published.verified(&policy).unwrap();
    assert_eq!((first.head(), first.cosigners().len()), (log.head(), 2));
    assert!(std::ptr::eq(first, published.verified(&policy).unwrap()));
    // What is published next is judged by itself.
    publisher.publish(&verified(log.head(), &[3, 4], 8)).unwrap();
    assert_eq!(now(&publisher).verified(&policy).unwrap().cosigners().len(), 3);
}
