//! Files of an index that are not what was written, or can't be.

use std::fs;
use std::path::Path;

use super::*;

/// A damage to a file.
type Damage<'a> = &'a dyn Fn(&Path);

/// What a power cut or an operator may leave of a file of rows. Nothing of it may pass for what is in the log, nor hide
/// any of that: an entry would be logged twice.
#[test]
fn a_file_of_rows_that_is_not_what_was_written_costs_the_index_and_nothing_else() {
    let others = (2 * ENTRIES..3 * ENTRIES).map(|number| Submission::Raw(entry(number))).collect();
    let (other, other_tree) = log_of(LogKind::Raw, others);
    filled_index(&other, &other_tree);
    let run = |dir: &TempDir| dir.path().join("own-index/run-0000000000000000");
    let length = fs::metadata(run(&other)).unwrap().len();
    let cut = |path: &Path, length: u64| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
    };
    let damages: [(&str, Damage<'_>); 6] = [
        ("is gone", &|path| fs::remove_file(path).unwrap()),
        ("is empty", &|path| cut(path, 0)),
        ("is shorter", &|path| cut(path, length - 1)),
        ("is longer", &|path| cut(path, length + 4096)),
        ("has zeros", &|path| fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap()),
        ("is another log's", &|path| assert_eq!(fs::copy(run(&other), path).unwrap(), length)),
    ];
    for (what, damage) in damages {
        let (dir, tree) = log();
        filled_index(&dir, &tree);
        let head = tree.head(tree.signed_size()).unwrap();
        assert_eq!(fs::metadata(run(&dir)).unwrap().len(), length);
        damage(&run(&dir));
        let index = open(&dir, &tree, 10_000);
        assert_knows_everything(&index);
        assert!(!index.is_broken(), "{what}");
        assert_eq!(index.memory().filled, 0, "{what}: it was made again");
        assert_eq!(tree.head(tree.signed_size()).unwrap(), head, "{what}");
        let identity = index.identity;
        drop(index);
        filled_index(&dir, &tree);
        let stored = look(&place(&dir, "own-index"), identity).unwrap();
        assert_eq!(stored.keys.len() as u64, full_bundle_entries(tree.signed_size()), "{what}");
    }
}

#[test]
fn a_leftover_of_a_killed_opening_does_not_cost_the_database() {
    let (dir, tree) = log();
    filled_index(&dir, &tree);
    let leftover = dir.path().join("own-index/snap.0000000000000000.generating");
    fs::write(&leftover, b"half").unwrap();
    let index = open(&dir, &tree, 10_000);
    assert!(!leftover.exists());
    assert_eq!(index.memory().filled, full_bundle_entries(tree.signed_size()));
    assert_knows_everything(&index);
}

#[test]
fn rows_that_can_not_be_written_cost_the_index_and_nothing_else() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 10_000);
    // Nobody can write a file where a directory is.
    fs::create_dir(dir.path().join("own-index/run-0000000000000000")).unwrap();
    let error = index.move_some().unwrap_err();
    assert!(error.is_of_database(), "{error}");
    assert!(error.to_string().contains("run-0000000000000000"), "{error}");
    index.set_broken();
    assert_knows_everything(&index);
    assert!(!index.is_broken());
    index.move_some().unwrap();
    assert!(!is_behind(&index));
}
