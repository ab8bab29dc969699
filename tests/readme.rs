//! The README's tour, run as it is written.
//!
//! Every `sh` block, in order, in one shell. Two things differ from a reader's machine: the programs are those
//! built by the tests, not a second time in release mode, and port 810x is exchanged for a free one.

#![allow(clippy::unwrap_used, reason = "a test may end anywhere")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use indelible_tests::{Finished, binaries};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

/// The blocks marked `sh`.
fn blocks(readme: &str) -> Vec<&str> {
    let starts = readme.match_indices("```sh\n").map(|(at, fence)| at + fence.len());
    starts.map(|start| readme[start..].split("```").next().unwrap()).collect()
}

/// Four digits after which each of 0 to 9 makes a free port.
fn free_ports() -> String {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let own = u16::try_from(std::process::id() % 1000).unwrap();
    let tens = (0..1000).map(|step| 2100 + (own + step) % 1000);
    let found = tens.into_iter().find(|tens| (0..10).all(|unit| free(tens * 10 + unit)));
    found.expect("ten free ports in a row").to_string()
}

#[test]
fn the_tour_runs_as_written() {
    let readme = readme();
    let (setup, tour) = blocks(&readme).split_first().map(|(first, rest)| (*first, rest.concat())).unwrap();
    assert!(
        setup.contains("cargo build") && tour.contains("indelible verify"),
        "the README has another shape"
    );
    let ports = tour.replace("127.0.0.1:810", &format!("127.0.0.1:{}", free_ports()));

    let dir = tempfile::tempdir().unwrap();
    let programs = binaries().client.parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let script =
        format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{ports}\nset +x; echo the tour ends\n");
    let mut shell = Command::new("bash");
    // Servers in the background keep standard error open: their own group, so that nothing outlives the test.
    shell.args(["-xc", &script]).current_dir(dir.path()).env("PATH", path).process_group(0);
    shell.env("XDG_STATE_HOME", dir.path().join("state")).env("RUST_LOG", "warn");
    let finished = Finished::run(&mut shell).expect(0);

    assert!(finished.stdout.contains("the tour ends"), "{finished}");
    assert!(
        finished.stdout.contains("not installed, exit code 20"),
        "the changed rules were not refused: {finished}"
    );
    assert!(finished.stdout.contains("log.example/updates\n"), "no checkpoint was shown: {finished}");
}

#[test]
fn every_command_of_the_setup_is_one_the_project_has() {
    let readme = readme();
    let setup = blocks(&readme)[0];
    assert!(setup.starts_with("cargo build --release --workspace --bins\n"));
    assert!(setup.contains("target/release"));
    for command in ["$ cargo demo ", "$ tests/run "] {
        assert!(readme.contains(command), "{command}");
    }
}
