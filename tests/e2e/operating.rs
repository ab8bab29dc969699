//! The commands of `docs/operating.md`, run as they are written.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use indelible_tests::{Finished, binaries};

#[test]
fn the_operators_page_runs_as_written() {
    let page = include_str!("../../docs/operating.md");
    let blocks = page.match_indices("```sh\n").map(|(at, fence)| &page[at + fence.len()..]);
    let script: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    assert!(script.contains("fsck") && script.contains("import"), "the page has another shape");
    let script = script.replace("127.0.0.1:810", &format!("127.0.0.1:{}", free_ports()));

    let dir = tempfile::tempdir().unwrap();
    let programs = binaries().client.parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}\nset +x; echo the page ends\n"
    );
    let mut shell = Command::new("bash");
    // Servers in the background keep standard error open: their own group, so that nothing outlives the test.
    shell.args(["-xc", &script]).current_dir(dir.path()).env("PATH", path).process_group(0);
    shell.env("RUST_LOG", "warn");
    let finished = Finished::run(&mut shell).expect(0);
    for said in [
        "damage found, exit code 1",
        "refused to sign, exit code 3",
        "tile/entries/000",
        "too old, exit code 20",
        "the page ends",
    ] {
        assert!(finished.stdout.contains(said), "nothing says {said:?}: {finished}");
    }
    assert_eq!(finished.stdout.matches("clean: ").count(), 5, "{finished}");
}

/// Four digits after which each of 0 to 9 makes a free port.
fn free_ports() -> String {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let own = u16::try_from(std::process::id() % 1000).unwrap();
    let tens = (0..1000).map(|step| 1100 + (own + step) % 900);
    let found = tens.into_iter().find(|tens| (0..10).all(|unit| free(tens * 10 + unit)));
    found.expect("ten free ports in a row").to_string()
}
