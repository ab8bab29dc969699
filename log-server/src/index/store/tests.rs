//! Readers of a database that is written to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indelible_proto::hash::sha256;
use tempfile::TempDir;

use super::*;
use crate::kind::LogKind;

fn place(dir: &TempDir) -> Place {
    Place { storage: Storage::real(), dir: dir.path().to_owned() }
}

fn key(index: u64) -> Hash {
    sha256(&index.to_be_bytes())
}

/// Every reader sees every row that was inserted before it asked, once, whatever happens to the runs meanwhile.
#[test]
fn readers_find_every_row_while_runs_are_made_merged_and_deleted() {
    const ENTRIES_OF_RUN: u64 = 30;
    let dir = TempDir::new().unwrap();
    let identity = Identity { origin_hash: sha256(b"log.example"), kind: LogKind::Records };
    let store = Store::open(&place(&dir), identity).unwrap();
    let artifact = sha256(b"an artifact of all of them");
    let rows_of_run = |run: u64| -> Vec<Row> {
        let entries = run * ENTRIES_OF_RUN..(run + 1) * ENTRIES_OF_RUN;
        let own = entries.clone().map(|index| Row { list: List::Once, key: key(index), index });
        let mut rows: Vec<Row> =
            own.chain(entries.map(|index| Row { list: List::Artifact, key: artifact, index })).collect();
        rows.sort_unstable();
        rows
    };
    let head = |runs: u64| TreeHead {
        size: TreeSize::new(runs * ENTRIES_OF_RUN).unwrap(),
        root: sha256(&runs.to_be_bytes()),
    };
    let (inserted, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Acquire) {
                let known = inserted.load(Ordering::Acquire);
                number = (number + 7) % known.max(1);
                if known > 0 {
                    assert_eq!(store.get(List::Once, &key(number)).unwrap(), Some(number), "of {known}");
                    let all = store.all(List::Artifact, &artifact, number, 10).unwrap();
                    let expected: Vec<u64> = (number..known).take(10).collect();
                    assert!(all.starts_with(&expected), "{all:?} of {known}");
                }
            }
        });
        // As many as make a run of the third level.
        for run in 0..260 {
            store.insert(&rows_of_run(run)).unwrap();
            inserted.store((run + 1) * ENTRIES_OF_RUN, Ordering::Release);
            if store.merge(|| true).unwrap() {
                store.set_watermark(&head(run + 1)).unwrap();
            }
        }
        store.set_watermark(&head(260)).unwrap();
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    drop(store);
    let store = Store::open(&place(&dir), identity).unwrap();
    assert_eq!(store.watermark(), Some(head(260)));
    for number in 0..260 * ENTRIES_OF_RUN {
        assert_eq!(store.get(List::Once, &key(number)).unwrap(), Some(number));
    }
}

/// What was put in after the last note is put in once more by whoever goes on from the note.
#[test]
fn a_crash_leaves_the_state_of_a_note() {
    let dir = TempDir::new().unwrap();
    let identity = Identity { origin_hash: sha256(b"log.example"), kind: LogKind::Raw };
    let insert = |store: &Store, index| {
        store.insert(&[Row { list: List::Once, key: key(index), index }]).unwrap();
    };
    let copy = TempDir::new().unwrap();
    let head = TreeHead { size: TreeSize::new(256).unwrap(), root: sha256(b"root") };
    {
        let store = Store::open(&place(&dir), identity).unwrap();
        assert_eq!(store.watermark(), None);
        insert(&store, 1);
        store.set_watermark(&head).unwrap();
        for index in 2..17 {
            insert(&store, index);
        }
        assert!(store.merge(|| true).unwrap());
        insert(&store, 17);
        for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
        }
    }
    let store = Store::open(&place(&copy), identity).unwrap();
    assert_eq!(store.watermark(), Some(head));
    assert_eq!(store.get(List::Once, &key(1)).unwrap(), Some(1));
    assert_eq!(store.get(List::Once, &key(2)).unwrap(), None);
    store.set_watermark(&head).unwrap();
    let runs = std::fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let runs: Vec<_> = runs.filter(|name| name.to_string_lossy().starts_with("run-")).collect();
    assert_eq!(runs, ["run-0000000000000000"]);
    drop(store);
    let other = Identity { kind: LogKind::Records, ..identity };
    assert_eq!(Store::open(&place(&copy), other).unwrap().watermark(), None);
}
