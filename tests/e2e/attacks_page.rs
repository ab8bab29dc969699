//! The page of attacks names tests: each of them is there, each row has its own, and a check that is said to fail
//! alone is asserted to.

use std::fs;

use crate::failures::{check, root};

/// The rows that the page must have, in order, by the letter they start with.
const ROWS: [(&str, usize); 4] = [("N", 20), ("P", 10), ("T", 9), ("R", 8)];
/// How a test of the client's checks asserts that nothing but one check failed.
const ALONE: [&str; 3] = ["assert_only(", "fails_only(", "assert_fails("];

fn page() -> String {
    fs::read_to_string(root().join("docs/attacks.md")).unwrap()
}

/// The columns of each row of the tables below a heading.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, section) = page.split_once(&format!("## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.skip(1).map(|line| line.split(" | ").collect()).collect()
}

fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect()
}

#[test]
fn every_row_names_tests_that_exist() {
    let page = page();
    let mut ids = Vec::new();
    for heading in [
        "Notes, keys, encodings",
        "Proofs",
        "Tiles, paths, bytes on the wire",
        "Freshness, forks, client state",
    ] {
        for row in rows(&page, heading) {
            let [id, _, _, library, program] = row[..] else { panic!("{row:?}: not five columns") };
            ids.push(id.to_owned());
            assert!(!named(library).is_empty(), "{id}: no test of the library");
            assert!(
                named(program).iter().any(|test| test.starts_with("tests/")),
                "{id}: none of the program"
            );
        }
    }
    let expected: Vec<String> = ROWS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect();
    assert_eq!(ids, expected);
    for heading in ["State files", "Attacks on updates", "The client's checks"] {
        for row in rows(&page, heading) {
            assert!(row[1..].iter().any(|cell| !named(cell).is_empty()), "{row:?}: no test");
        }
    }
    for test in named(&page) {
        check(test).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_check_that_is_said_to_fail_alone_is_asserted_to() {
    for row in rows(&page(), "The client's checks") {
        let [check, passes, alone] = row[..] else { panic!("{row:?}: not three columns") };
        assert!(!named(passes).is_empty() && !named(alone).is_empty(), "{check}");
        for test in named(alone) {
            let (file, name) = test.split_once("::").unwrap();
            let text = fs::read_to_string(root().join(file)).unwrap();
            let body = text.split(&format!("fn {name}(")).nth(1).unwrap().split("\n}\n").next().unwrap();
            assert!(ALONE.iter().any(|how| body.contains(how)), "{test} asserts nothing of the other checks");
        }
    }
}
