//! Runs against a plain list of rows.

use std::cell::Cell;
use std::fs;

use indelible_proto::hash::sha256;
use tempfile::TempDir;

use super::run::{BLOCK_BYTES, BLOCK_ROWS, number_of};
use super::*;
use crate::storage::Storage;

fn place(dir: &TempDir) -> Place {
    Place { storage: Storage::real(), dir: dir.path().to_owned() }
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

fn assert_found(runs: &Runs, entries: std::ops::Range<u64>) {
    for index in entries.clone() {
        assert_eq!(runs.get(List::Once, &key(index)).unwrap(), Some(index));
        assert_eq!(runs.get(List::Leaf, &sha256(key(index).as_bytes())).unwrap(), Some(index));
        assert_eq!(runs.get(List::Leaf, &key(index)).unwrap(), None, "in another list");
    }
    for beyond in entries.end..entries.end + 300 {
        assert_eq!(runs.get(List::Once, &key(beyond)).unwrap(), None);
    }
    let shared: Vec<u64> = entries.filter(|index| index % 10 == 0).collect();
    let all = |from, max| runs.all(List::Artifact, &sha256(b"shared"), from, max).unwrap();
    assert_eq!(all(0, usize::MAX), shared);
    for (from, max) in [(0, 1), (5, 30), (400, 7), (u64::MAX, 3)] {
        let expected = shared.iter().copied().filter(|index| *index >= from).take(max);
        assert_eq!(all(from, max), expected.collect::<Vec<_>>(), "{max} from {from}");
    }
    assert!(runs.all(List::Artifact, &sha256(b"another"), 0, 10).unwrap().is_empty());
}

/// As many runs as there are ranges, each of 100 entries.
fn with_runs(dir: &TempDir, count: u64) -> Runs {
    (0..count)
        .fold(Runs::default(), |runs, run| runs.with(&place(dir), &rows(run * 100..(run + 1) * 100)).unwrap())
}

fn numbers(runs: &Runs) -> Vec<(u64, u8)> {
    runs.0.iter().map(|leveled| (leveled.run.name().number, leveled.level)).collect()
}

/// Runs that have files.
fn stored(dir: &TempDir) -> Vec<u64> {
    let names =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut numbers: Vec<u64> = names.map(|name| number_of(&name).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn rows_are_found_in_one_run_and_in_several() {
    let dir = TempDir::new().unwrap();
    // As many as fill blocks to the last row, and one more and less.
    for entries in [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 12 * BLOCK_ROWS, 3000] {
        let entries = entries as u64;
        let one = Runs::default().with(&place(&dir), &rows(0..entries)).unwrap();
        assert_found(&one, 0..entries);
    }
    let runs = with_runs(&dir, 10);
    assert_found(&runs, 0..1000);
    runs.sync(&place(&dir)).unwrap();
    let opened = Runs::open(&place(&dir), &runs.list()).unwrap();
    assert_eq!(numbers(&opened), numbers(&runs));
    assert_found(&opened, 0..1000);
    assert_found(&Runs::default(), 0..0);
}

/// Pages of the entries that have one artifact, from wherever one asks, across many blocks.
#[test]
fn an_artifact_of_more_entries_than_a_block_has_is_found_from_every_entry_on() {
    let dir = TempDir::new().unwrap();
    let row = |index| Row { list: List::Artifact, key: sha256(b"shared"), index };
    let count = 3 * BLOCK_ROWS as u64 + 7;
    let rows: Vec<Row> = (0..count).map(|index| row(2 * index)).collect();
    let runs = Runs::default().with(&place(&dir), &rows).unwrap();
    for from in 0..=2 * count {
        let expected: Vec<u64> =
            (0..count).map(|index| 2 * index).filter(|index| *index >= from).take(3).collect();
        assert_eq!(runs.all(List::Artifact, &sha256(b"shared"), from, 3).unwrap(), expected, "from {from}");
    }
}

#[test]
fn sixteen_runs_become_one_and_what_they_were_is_deleted() {
    let dir = TempDir::new().unwrap();
    assert!(with_runs(&dir, 15).merged(&place(&dir), || true).unwrap().is_none());
    let runs = with_runs(&dir, 17);
    let merged = runs.merged(&place(&dir), || true).unwrap().unwrap();
    assert_eq!(numbers(&merged), [(17, 1)]);
    assert_found(&merged, 0..1700);
    merged.delete_others(&place(&dir)).unwrap();
    assert_eq!(stored(&dir), [17]);
    assert_found(&merged, 0..1700);
    // Who began to read before goes on with the old ones.
    assert_found(&runs, 0..1700);
    let next = merged.with(&place(&dir), &rows(1700..1800)).unwrap();
    assert_eq!(numbers(&next), [(17, 1), (18, 0)]);
    assert_found(&next, 0..1800);
    let all: Result<Vec<Row>, _> = merged.0[0].run.rows().collect();
    assert_eq!(all.unwrap(), rows(0..1700));
}

#[test]
fn a_merge_that_was_cut_short_leaves_nothing_that_is_read() {
    let dir = TempDir::new().unwrap();
    let runs = with_runs(&dir, 16);
    let asked = Cell::new(0);
    let goes_on = || asked.replace(asked.get() + 1) < 10;
    assert!(runs.merged(&place(&dir), goes_on).unwrap().is_none());
    assert_eq!(stored(&dir).last(), Some(&16), "it had begun");
    assert_found(&runs, 0..1600);
    // Whether what is left is deleted first or not, the next one is whole.
    let merged = runs.merged(&place(&dir), || true).unwrap().unwrap();
    assert_found(&merged, 0..1600);
    let more = runs.with(&place(&dir), &rows(1600..1700)).unwrap();
    assert_found(&more, 0..1700);
    more.delete_others(&place(&dir)).unwrap();
    assert_eq!(stored(&dir), (0..=16).collect::<Vec<_>>());
}

#[test]
fn the_first_of_equal_keys_counts_also_once_runs_are_merged() {
    let dir = TempDir::new().unwrap();
    let again = [150, 250].map(|index| Row { list: List::Once, key: key(7), index });
    let runs = again.iter().fold(with_runs(&dir, 14), |runs, row| runs.with(&place(&dir), &[*row]).unwrap());
    let merged = runs.merged(&place(&dir), || true).unwrap().unwrap();
    for runs in [runs, merged] {
        assert_eq!(runs.get(List::Once, &key(7)).unwrap(), Some(7));
        assert_eq!(runs.all(List::Once, &key(7), 0, 10).unwrap(), [7, 150, 250]);
        assert_eq!(runs.all(List::Once, &key(7), 8, 1).unwrap(), [150]);
    }
}

/// A bit that was flipped anywhere is an error of whoever reads the block, or means nothing to them; what is there
/// is never taken for missing.
#[test]
fn a_flipped_bit_hides_no_row() {
    let dir = TempDir::new().unwrap();
    let entries = 0..8 * BLOCK_ROWS as u64;
    let once = |index| Row { list: List::Once, key: key(index), index };
    let mut rows: Vec<Row> = entries.clone().map(once).collect();
    rows.sort_unstable();
    let runs = Runs::default().with(&place(&dir), &rows).unwrap();
    let path = dir.path().join("run-0000000000000000");
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), 8 * BLOCK_BYTES);
    let mut errors = 0;
    for block in 0..8 {
        // The header, the first row's first bytes and its last, and the last row.
        for at in (0..28).chain([63, BLOCK_BYTES - 40, BLOCK_BYTES - 33]) {
            let mut damaged = whole.clone();
            damaged[block * BLOCK_BYTES + at] ^= 1 << (at % 8);
            fs::write(&path, damaged).unwrap();
            for index in entries.clone().step_by(5) {
                match runs.get(List::Once, &key(index)) {
                    Ok(found) => assert_eq!(found, Some(index), "block {block}, byte {at}"),
                    Err(StoreError::Block { .. }) => errors += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(matches!(runs.0[0].run.rows().find_map(Result::err), Some(StoreError::Block { .. })));
        }
    }
    assert!(errors > 8 * 30 * BLOCK_ROWS / 5, "{errors}");
}

#[test]
fn files_that_are_not_what_was_written_are_an_error() {
    let dir = TempDir::new().unwrap();
    let runs = with_runs(&dir, 2);
    let list = runs.list();
    let [first, second] = [0, 1].map(|run| dir.path().join(format!("run-{run:016x}")));
    let opened = || Runs::open(&place(&dir), &list);
    opened().unwrap();
    assert!(matches!(Runs::open(&place(&dir), &list[..list.len() - 1]), Err(StoreError::Value)));
    // Names that lead nowhere: numbers and counts up to the largest.
    let named = |number: u64, blocks: [u32; 3]| {
        let blocks = blocks.map(u32::to_be_bytes).concat();
        let (number, mark) = (number.to_be_bytes(), [0; 8]);
        Runs::open(&place(&dir), &[&number[..], &mark, &[0], &blocks].concat()).unwrap_err()
    };
    assert!(matches!(named(i64::MAX as u64, [1, 0, 0]), StoreError::Disk(_)));
    assert!(matches!(named(i64::MAX as u64 + 1, [1, 0, 0]), StoreError::Value));
    assert!(matches!(named(0, [u32::MAX, 0, 0]), StoreError::Length { .. }));
    assert!(matches!(named(0, [u32::MAX, 0, 1]), StoreError::Value));
    // Of the same length, and whole, but the other's.
    fs::copy(&second, &first).unwrap();
    let swapped = opened().unwrap();
    assert!(matches!(swapped.get(List::Once, &key(5)), Err(StoreError::Block { block: 0, .. })));
    // The run of this number of another database, with the very same rows.
    let other = TempDir::new().unwrap();
    with_runs(&other, 1);
    fs::copy(other.path().join("run-0000000000000000"), &first).unwrap();
    let swapped = opened().unwrap();
    assert!(matches!(swapped.get(List::Once, &key(5)), Err(StoreError::Block { block: 0, .. })));
    // Two blocks that have changed places.
    let mut blocks = fs::read(&second).unwrap();
    let (start, rest) = blocks.split_at_mut(BLOCK_BYTES);
    start.swap_with_slice(&mut rest[..BLOCK_BYTES]);
    fs::write(&second, blocks).unwrap();
    assert!(matches!(opened().unwrap().get(List::Once, &key(5)), Err(StoreError::Block { .. })));
    fs::OpenOptions::new().write(true).open(&first).unwrap().set_len(BLOCK_BYTES as u64).unwrap();
    let error = opened().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} has 4096 bytes, not 3 blocks", first.display()),
        "each list begins with a new block"
    );
    fs::remove_file(&first).unwrap();
    assert!(matches!(opened(), Err(StoreError::Disk(_))));
}
