//! Readers of a database that is written to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indelible_proto::hash::sha256;
use tempfile::TempDir;

use super::*;
use crate::kind::LogKind;

fn key(index: u64) -> Hash {
    sha256(&index.to_be_bytes())
}

/// Every reader sees every row that was inserted before it asked, once, whatever happens to the runs meanwhile.
#[test]
fn readers_find_every_row_while_runs_are_made_merged_and_deleted() {
    const ENTRIES_OF_RUN: u64 = 30;
    let dir = TempDir::new().unwrap();
    let identity = Identity { origin_hash: sha256(b"log.example"), kind: LogKind::Records };
    let store = Store::open(dir.path(), identity).unwrap();
    let artifact = sha256(b"an artifact of all of them");
    let rows_of_run = |run: u64| -> Vec<Row> {
        let entries = run * ENTRIES_OF_RUN..(run + 1) * ENTRIES_OF_RUN;
        let own = entries.clone().map(|index| Row { list: List::Once, key: key(index), index });
        let mut rows: Vec<Row> =
            own.chain(entries.map(|index| Row { list: List::Artifact, key: artifact, index })).collect();
        rows.sort_unstable();
        rows
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
            store.tidy(|| true).unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    drop(store);
    let store = Store::open(dir.path(), identity).unwrap();
    for number in 0..260 * ENTRIES_OF_RUN {
        assert_eq!(store.get(List::Once, &key(number)).unwrap(), Some(number));
    }
}
