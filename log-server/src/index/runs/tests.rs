//! Runs against a plain list of rows.

use std::cell::Cell;

use indelible_proto::hash::sha256;

use super::*;

fn database() -> sled::Db {
    sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap()
}

/// The rows of some entries: one by its number, and one by an artifact that every tenth has.
fn rows(entries: std::ops::Range<u64>) -> Vec<Row> {
    let mut rows: Vec<Row> = entries
        .flat_map(|index| {
            let row = |list, key| Row { list, key, index };
            let own = row(List::Once, key(index));
            let shared = (index % 10 == 0).then(|| row(List::Artifact, sha256(b"shared")));
            [Some(own), Some(row(List::Leaf, sha256(key(index).as_bytes()))), shared]
        })
        .flatten()
        .collect();
    rows.sort_unstable();
    rows
}

fn key(index: u64) -> Hash {
    sha256(&index.to_be_bytes())
}

fn assert_found(db: &sled::Db, runs: &Runs, entries: std::ops::Range<u64>) {
    for index in entries.clone() {
        assert_eq!(runs.get(db, List::Once, &key(index)).unwrap(), Some(index));
        assert_eq!(runs.get(db, List::Leaf, &sha256(key(index).as_bytes())).unwrap(), Some(index));
        assert_eq!(runs.get(db, List::Leaf, &key(index)).unwrap(), None, "in another list");
    }
    for beyond in [entries.end, entries.end + 7] {
        assert_eq!(runs.get(db, List::Once, &key(beyond)).unwrap(), None);
    }
    let shared: Vec<u64> = entries.filter(|index| index % 10 == 0).collect();
    let all = |from, max| runs.all(db, List::Artifact, &sha256(b"shared"), from, max).unwrap();
    assert_eq!(all(0, usize::MAX), shared);
    for (from, max) in [(0, 1), (5, 30), (400, 7), (u64::MAX, 3)] {
        let expected = shared.iter().copied().filter(|index| *index >= from).take(max);
        assert_eq!(all(from, max), expected.collect::<Vec<_>>(), "{max} from {from}");
    }
    assert!(runs.all(db, List::Artifact, &sha256(b"another"), 0, 10).unwrap().is_empty());
}

/// As many runs as there are ranges, each of 100 entries.
fn with_runs(db: &sled::Db, count: u64) -> Runs {
    let runs = (0..count)
        .fold(Runs::default(), |runs, run| runs.with(db, &rows(run * 100..(run + 1) * 100)).unwrap());
    runs.save(db).unwrap();
    runs
}

/// Runs that have blocks.
fn stored(db: &sled::Db) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    while let Some(run) = first_run(db, found.last().map_or(0, |run| run + 1)).unwrap() {
        found.push(run);
    }
    found
}

#[test]
fn rows_are_found_in_one_run_and_in_several() {
    let db = database();
    let one = Runs::default().with(&db, &rows(0..1000)).unwrap();
    assert_found(&db, &one, 0..1000);
    let db = database();
    let runs = with_runs(&db, 10);
    assert_found(&db, &runs, 0..1000);
    assert_eq!(Runs::load(&db).unwrap(), runs);
    assert_found(&db, &Runs::default(), 0..0);
}

#[test]
fn sixteen_runs_become_one_and_what_they_were_is_deleted() {
    let db = database();
    assert_eq!(with_runs(&db, 15).merged(&db, || true).unwrap(), None);
    let db = database();
    let runs = with_runs(&db, 17);
    let merged = runs.merged(&db, || true).unwrap().unwrap();
    assert_eq!(merged.0, [Run { number: 17, level: 1 }]);
    assert_found(&db, &merged, 0..1700);
    // Who began to read before goes on with the old ones.
    assert_found(&db, &runs, 0..1700);
    while merged.delete_others(&db).unwrap() {}
    assert_eq!(stored(&db), [17]);
    assert_found(&db, &merged, 0..1700);
    let next = merged.with(&db, &rows(1700..1800)).unwrap();
    assert_found(&db, &next, 0..1800);
}

#[test]
fn a_merge_that_was_cut_short_leaves_nothing_that_is_read() {
    let db = database();
    let runs = with_runs(&db, 16);
    let asked = Cell::new(0);
    let goes_on = || asked.replace(asked.get() + 1) < 100;
    assert_eq!(runs.merged(&db, goes_on).unwrap(), None);
    assert_eq!(stored(&db).last(), Some(&16), "it had begun");
    assert_found(&db, &runs, 0..1600);
    // Whether what is left is deleted first or not, the next one has a number of its own.
    let merged = runs.merged(&db, || true).unwrap().unwrap();
    assert_eq!(merged.0, [Run { number: 17, level: 1 }]);
    assert_found(&db, &merged, 0..1600);
    while merged.delete_others(&db).unwrap() {}
    assert_eq!(stored(&db), [17]);
}

#[test]
fn rows_that_are_in_two_runs_are_found_once_and_the_newer_run_counts() {
    let db = database();
    let runs = with_runs(&db, 2).with(&db, &rows(50..150)).unwrap();
    assert_found(&db, &runs, 0..200);
    let wrong = Row { list: List::Once, key: key(7), index: 8 };
    let runs = runs.with(&db, &[wrong]).unwrap();
    assert_eq!(runs.get(&db, List::Once, &key(7)).unwrap(), Some(8));
}

/// A start puts the rows in again that a stop left without a note of them.
#[test]
fn rows_that_were_in_two_runs_are_merged_to_one() {
    let db = database();
    let twice = (0..8).chain(0..8).fold(Runs::default(), |runs, run| {
        let rows = rows(run * 100..(run + 1) * 100);
        runs.with(&db, &rows).unwrap()
    });
    let merged = twice.merged(&db, || true).unwrap().unwrap();
    assert_found(&db, &merged, 0..800);
    let all: Result<Vec<Row>, _> = rows_of(&db, 16).collect();
    assert_eq!(all.unwrap(), rows(0..800));
}

#[test]
fn bytes_that_nobody_wrote_are_an_error() {
    let db = database();
    let runs = with_runs(&db, 1);
    let (name, block) = db.range(of_run(0)).next().unwrap().unwrap();
    db.insert(&name, &block[1..]).unwrap();
    let first = rows_in(&name, &block).unwrap()[0].key;
    assert!(matches!(runs.get(&db, List::Once, &first), Err(StoreError::Value)));
    db.insert(RUNS_KEY, &[0; 8]).unwrap();
    assert!(matches!(Runs::load(&db), Err(StoreError::Value)));
}
