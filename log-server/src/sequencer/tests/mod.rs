//! What the tests of the sequencer share: a log in a temporary directory with a fixed key.

mod fencing;
mod growth;
mod limits;
pub(crate) mod records;
mod recovery;
mod refusal;

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::Frontier;
use tempfile::TempDir;

use super::*;
use crate::kind::LogKind;
use crate::openers::Openers;

const ORIGIN: &str = "log.example/test";

fn signer(seed: u8) -> CheckpointSigner {
    let name = KeyName::parse(ORIGIN).unwrap();
    CheckpointSigner::new(SecretKey::from_seed(KeyKind::Log, name, [seed; 32])).unwrap()
}

fn settings(data_dir: &Path, kind: LogKind) -> CoreSettings {
    CoreSettings {
        data_dir: data_dir.to_owned(),
        origin: Origin::parse(ORIGIN).unwrap(),
        kind,
        signer: signer(1),
        queue_entries: 100_000,
        queue_bytes: 64 * 1024 * 1024,
        index_memory_entries: index::DEFAULT_MEMORY_ENTRIES,
        openers: Openers::anyone(),
        system: System::real(),
    }
}

/// Limits so small that everything that happens rarely happens all the time.
fn tight(kind: LogKind) -> Tuning {
    Tuning { segment_bytes: 32 * 1024, sync_bundles: 2, ..Tuning::of(kind) }
}

/// A log and its directory.
struct TestLog {
    dir: TempDir,
    kind: LogKind,
}

impl TestLog {
    fn create(kind: LogKind) -> Self {
        let log = Self { dir: TempDir::new().unwrap(), kind };
        create_tuned(&log.settings(), &tight(kind)).unwrap();
        log
    }

    fn raw() -> Self {
        Self::create(LogKind::Raw)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn settings(&self) -> CoreSettings {
        settings(&self.data(), self.kind)
    }

    fn open(&self) -> Sequencer {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_open(&self) -> Result<Sequencer, OpenError> {
        Sequencer::open_tuned(self.settings(), tight(self.kind))
    }

    fn open_error(&self) -> OpenError {
        self.try_open().map(|_| ()).expect_err("opening was to fail")
    }

    /// What a crash would leave, if everything written so far had reached the disk.
    fn copy(&self) -> Self {
        let copy = Self { dir: TempDir::new().unwrap(), kind: self.kind };
        // First, so that everything it says is written is in the copy, too.
        let heads = fs::read(self.data().join("heads")).ok();
        copy_dir(&self.data(), &copy.data());
        match heads {
            Some(heads) => fs::write(copy.data().join("heads"), heads).unwrap(),
            None => drop(fs::remove_file(copy.data().join("heads"))),
        }
        copy
    }
}

/// Copies a directory whose temporary files come and go meanwhile.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy_dir(&entry.path(), &target),
            _ => match fs::copy(entry.path(), target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            },
        }
    }
}

fn entry(number: u64) -> Entry {
    Entry::new(format!("entry {number}").into_bytes()).unwrap()
}

fn raw(number: u64) -> Submission {
    Submission::Raw(entry(number))
}

fn index(index: u64) -> LeafIndex {
    LeafIndex::new(index).unwrap()
}

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

/// Submits the raw entries of these numbers in one batch.
fn submit_range(handle: &SequencerHandle, numbers: std::ops::Range<u64>) -> Vec<Outcome> {
    handle.submit_many(numbers.map(raw).collect()).unwrap().blocking_recv().unwrap()
}

fn submit_one(handle: &SequencerHandle, submission: Submission) -> Outcome {
    handle.submit(submission).unwrap().blocking_recv().unwrap()
}

fn sequenced(at: u64, number: u64, occurrence: Occurrence) -> Outcome {
    Outcome::Sequenced { index: index(at), leaf_hash: entry(number).leaf_hash(), occurrence }
}

/// The head of the tree of the entries numbered from 0.
fn head_of(count: u64) -> TreeHead {
    let mut frontier = Frontier::new();
    for number in 0..count {
        frontier.append(entry(number).leaf_hash()).unwrap();
    }
    frontier.head()
}

fn signed_head(handle: &SequencerHandle) -> TreeHead {
    let signed = handle.signed().borrow().clone();
    let own = SignedHead::read(&signed.note.encode(), &handle.0.settings.origin, &key()).unwrap();
    assert_eq!(own, *signed, "the note is signed by the log and says what the checkpoint says");
    signed.checkpoint.head()
}

fn key() -> indelible_proto::note::VerifierKey {
    signer(1).verifier().clone()
}
