//! The table of failures names tests: each of them is there.

use std::fs;
use std::path::{Path, PathBuf};

const ROWS: [&str; 18] = [
    "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13", "F14", "F15", "F16",
    "A1", "A12",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What is wrong with a test or a row of the rigs that a page names.
pub(crate) fn check(named: &str) -> Result<(), String> {
    if let Some(row) = named.strip_prefix("rig ") {
        let files = fs::read_dir(root().join("tests/rigs")).unwrap().map(|file| file.unwrap().path());
        let named = format!("\"{row}\"\n");
        let is_there = files
            .filter(|file| file.is_file())
            .any(|file| fs::read_to_string(file).unwrap().contains(&named));
        return is_there.then_some(()).ok_or(format!("no row {row} in tests/rigs"));
    }
    let (file, test) = named.split_once("::").ok_or(format!("{named}: not file::test"))?;
    let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let is_test =
        |line: &str| line.trim_start().trim_start_matches("async ").starts_with(&format!("fn {test}("));
    text.lines().any(is_test).then_some(()).ok_or(format!("{file} has no test {test}"))
}

#[test]
fn every_failure_names_tests_that_exist() {
    let table = fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")).filter(|line| !line.starts_with('|'));
    let mut ids = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.split(" | ").collect();
        let [id, _, _, tests] = columns[..] else { panic!("{row}: not four columns") };
        ids.push(id);
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{id} names nothing");
        for named in named {
            check(named).unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
    assert_eq!(ids, ROWS);
}

#[test]
fn what_does_not_exist_is_noticed() {
    for named in
        ["rig no-such-row", "tests/e2e/failures.rs::no_such_test", "no/such/file.rs::test", "nothing"]
    {
        assert!(check(named).is_err(), "{named}");
    }
    check("tests/e2e/failures.rs::what_does_not_exist_is_noticed").unwrap();
}
