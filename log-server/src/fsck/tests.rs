//! Journals whose every record is whole and says what cannot be: no accident makes them, so they are written here.

use std::sync::Mutex;

use bytes::Bytes;
use indelible_proto::hash::{leaf_hash, sha256};
use indelible_proto::size::LeafIndex;
use indelible_proto::tree::TreeHead;

use super::*;
use crate::journal::{Batch, Checkpoint, Identity, Journal, Payload};
use crate::sequencer::JOURNAL_DIR;
use crate::storage::Storage;
use crate::testing::{log_signer, origin, policy, seconds, signed};

const SEGMENT: u64 = 1 << 20;

#[derive(Default)]
struct Heard(Mutex<Vec<&'static str>>);

impl Listener for Heard {
    fn find(&self, finding: Finding) {
        self.0.lock().unwrap().push(finding.code);
    }
}

/// What is found in a log of one entry after a further append of these payloads.
fn found(payloads: &[Payload]) -> Vec<&'static str> {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity { origin_hash: sha256(origin().as_str().as_bytes()), kind: LogKind::Raw };
    let journal = dir.path().join(JOURNAL_DIR);
    let Payload::Checkpoint(empty) = checkpoint(TreeHead::empty()) else { panic!("a checkpoint") };
    std::fs::write(dir.path().join("checkpoint"), &empty.note).unwrap();
    Journal::create(&Storage::real(), &journal, identity, SEGMENT, empty).unwrap();
    let mut open = Journal::open(&Storage::real(), &journal, identity, SEGMENT).unwrap();
    open.append(&[batch(0, b"\0\x01a", ONE), checkpoint(head(1, ONE))]).unwrap();
    if !payloads.is_empty() {
        open.append(payloads).unwrap();
    }
    drop(open);
    let policy = policy(0, &[]).as_ref().clone();
    let key = log_signer().verifier().clone();
    let data = DataDir { dir: dir.path().to_owned(), kind: LogKind::Raw, policy, origin: origin(), key };
    let heard = Heard::default();
    data.check(&Fsck { listener: &heard, threads: 1 }).unwrap();
    heard.0.into_inner().unwrap()
}

/// The root of the tree of the entries `a`, and of `a` and `b`.
const ONE: &[&[u8]] = &[b"a"];
const TWO: &[&[u8]] = &[b"a", b"b"];

fn head(size: u64, entries: &[&[u8]]) -> TreeHead {
    let root = match entries {
        [one, two] => indelible_proto::hash::node_hash(&leaf_hash(one), &leaf_hash(two)),
        [one, ..] => leaf_hash(one),
        [] => panic!("a tree of something"),
    };
    TreeHead { size: TreeSize::new(size).unwrap(), root }
}

fn batch(first: u64, encoded: &'static [u8], entries: &[&[u8]]) -> Payload {
    let first = LeafIndex::new(first).unwrap();
    Payload::Batch(Batch {
        first,
        head: head(first.get() + 1, entries),
        entries: Bytes::from_static(encoded),
    })
}

fn checkpoint(head: TreeHead) -> Payload {
    Payload::Checkpoint(Checkpoint {
        signed_at: seconds(1_800_000_000),
        note: Bytes::from(signed(head).note.encode()),
    })
}

#[test]
fn a_sound_journal_has_no_findings() {
    assert_eq!(found(&[]), [""; 0]);
    assert_eq!(found(&[batch(1, b"\0\x01b", TWO), checkpoint(head(2, TWO))]), [""; 0]);
}

#[test]
fn a_batch_that_is_no_entries_is_found() {
    let codes = found(&[batch(1, b"\xff\xffb", TWO), checkpoint(head(2, TWO))]);
    assert_eq!(codes, ["batch-form", "journal-not-replayed"]);
}

#[test]
fn entries_that_nobody_signed_are_found() {
    assert_eq!(found(&[batch(1, b"\0\x01b", TWO)]), ["signed-checkpoint-missing"]);
}

#[test]
fn a_root_that_the_entries_do_not_have_is_found() {
    let codes = found(&[batch(1, b"\0\x01c", TWO), checkpoint(head(2, TWO))]);
    assert_eq!(codes, ["root-differs", "root-differs"]);
}
