//! What the programs say about themselves.

use std::path::Path;
use std::process::Command;

use indelible_tests::{Finished, World};

/// Every program and subcommand, with words its help must have.
const HELP: [(&str, &[&str], &[&str]); 32] = [
    (
        "client",
        &[],
        &[
            "verify",
            "carry",
            "publish",
            "channel",
            "keygen",
            "inspect",
            "lookup",
            "watch",
            "evidence",
            "Exit codes",
        ],
    ),
    (
        "client",
        &["verify"],
        &["--policy", "--channel", "--key", "--explain", "--folder", ".tar.gz", "Exit codes"],
    ),
    ("client", &["publish"], &["release", "rules"]),
    (
        "client",
        &["publish", "release"],
        &["--channel-name", "--version", "--wait", "--cohort", "client.toml"],
    ),
    (
        "client",
        &["publish", "rules"],
        &["--format", "--channel-name", "--tests", "--cohort-reason", "--folder", ".tar.gz"],
    ),
    ("client", &["channel"], &["create"]),
    ("client", &["channel", "create"], &["--owner", "--threshold", "--from-file", "channel.toml"]),
    ("client", &["channel", "rotate"], &["--in-force", "--freeze", "--from-file", "channel.toml"]),
    ("client", &["bundle"], &["root", "prove", "verify"]),
    ("client", &["bundle", "root"], &["--folder", "--listing", "sha256sum"]),
    ("client", &["bundle", "prove"], &["--absent", "--out", "4,096"]),
    ("client", &["bundle", "verify"], &["--record", "--root", "--absent", "Exit codes"]),
    ("client", &["policy"], &["lint", "explain"]),
    ("client", &["policy", "lint"], &["--f", "--monitor-quorum", "--operator", "# lint:", "Exit codes"]),
    ("client", &["policy", "explain"], &["FILE", "hash"]),
    ("client", &["carry"], &["export", "import", "receipt"]),
    ("client", &["carry", "export"], &["--since", "--config", "--from", "--out", "Exit codes"]),
    ("client", &["carry", "import"], &["--receipt", "--config", "--out", "Exit codes"]),
    ("client", &["carry", "receipt"], &["--out", "--since", "Exit codes"]),
    ("client", &["keygen"], &["--out"]),
    ("client", &["inspect"], &["FILE"]),
    ("client", &["lookup"], &["FILE|HASH|CHANNEL", "--log", "--policy", "Exit codes", "proves nothing"]),
    ("client", &["watch"], &["--source", "--once", "--clear", "Exit codes"]),
    ("client", &["evidence"], &["verify"]),
    ("client", &["evidence", "verify"], &["--log-key", "Exit codes"]),
    ("server", &[], &["init", "run", "fsck", "import"]),
    ("server", &["fsck"], &["TARGET", "--log-key", "--policy", "--json", "Exit codes"]),
    ("server", &["import"], &["--origin", "--key", "--policy", "--log-key", "--kind", "Exit codes"]),
    ("server", &["init"], &["--origin", "--witness", "--no-witnesses", "--quorum", "--kind"]),
    ("server", &["run"], &["--listen"]),
    ("witness", &[], &["init", "add-log", "run"]),
    ("witness", &["init"], &["--name"]),
];

#[test]
fn every_program_and_subcommand_explains_itself() {
    for (program, subcommand, words) in HELP {
        let help = Finished::run(Command::new(path(program)).args(subcommand).arg("--help")).expect(0);
        for word in words {
            assert!(help.stdout.contains(word), "{program} {subcommand:?}: no {word} in:\n{}", help.stdout);
        }
        assert!(help.stderr.is_empty(), "{program} {subcommand:?}: {}", help.stderr);
    }
}

#[test]
fn every_program_has_a_version() {
    for program in ["client", "server", "witness"] {
        let version = Finished::run(Command::new(path(program)).arg("--version")).expect(0);
        assert!(version.stdout.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{version}");
    }
}

#[test]
fn what_no_program_knows_is_a_usage_error_that_says_what_is_wrong() {
    for program in ["client", "server", "witness"] {
        for args in [&[][..], &["dance"], &["--dance"]] {
            let refused = Finished::run(Command::new(path(program)).args(args)).expect(2);
            assert!(refused.stderr.contains("Usage"), "{program} {args:?}: {refused}");
        }
    }
}

#[test]
fn a_program_that_asked_for_json_is_told_in_json_what_is_wrong() {
    let client = path("client");
    let wrong = [
        (&["verify", "--json"][..], "<ARTIFACT>"),
        (&["--json", "dance"], "dance"),
        (&["lookup", "--json", "--dance", "x"], "--dance"),
        (&["submit", "--json", "x.leaf", "--policy", "policy.txt", "--wait", "soon"], "soon"),
    ];
    for (args, word) in wrong {
        let refused = Finished::run(Command::new(client).args(args)).expect(2);
        let told: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
        assert_eq!(
            (&told["outcome"], &told["exit"], &told["code"]),
            (&"usage".into(), &2.into(), &"arguments".into())
        );
        assert!(told["message"].as_str().unwrap().contains(word), "{refused}");
        assert!(refused.stderr.is_empty(), "{refused}");
    }
    // Another command's --json is not ours.
    let guard = ["guard", "--dance", "x", "--", "true", "--json"];
    let refused = Finished::run(Command::new(client).args(guard)).expect(2);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("Usage"), "{refused}");
}

#[test]
fn what_would_not_be_heeded_is_no_argument() {
    // A record that is signed has its place: there is nothing to show, to prepare or to renew.
    let client = path("client");
    for word in ["--dry-run", "--prepare=statement", "--renew", "--accept-log-head"] {
        let args = ["submit", "agent.leaf", "--policy", "policy.txt", word];
        let refused = Finished::run(Command::new(client).args(args)).expect(2);
        assert!(refused.stderr.contains("unexpected argument"), "{refused}");
    }
}

#[test]
fn a_directory_in_place_of_a_file_is_a_usage_error() {
    for args in [
        &["policy", "lint", "."][..],
        &["verify", "x", "--config", "."],
        &["inspect", "."],
        &["sign", ".", "--key", "k", "--out", "leaf"],
    ] {
        let refused = Finished::run(Command::new(path("client")).args(args).arg("--json")).expect(2);
        assert!(refused.stdout.contains("\"file-is-directory\""), "{refused}");
    }
}

/// What editors do to a file that must be the same bytes for everyone.
#[test]
fn a_policy_that_an_editor_has_touched_is_told_what_to_undo() {
    let dir = tempfile::TempDir::new().unwrap();
    let cr_lf = &b"quorum none\r\n"[..];
    let marked = b"\xef\xbb\xbfquorum none\n";
    for (bytes, command, next) in [
        (cr_lf, "explain", "Unix line ends"),
        (cr_lf, "lint", "Unix line ends"),
        (marked, "explain", "byte order mark"),
        (marked, "lint", "byte order mark"),
        (b"quorum some\n", "explain", "indelible policy lint"),
    ] {
        let file = dir.path().join("policy.txt");
        std::fs::write(&file, bytes).unwrap();
        let refused = Finished::run(Command::new(path("client")).args(["policy", command]).arg(&file));
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(refused.code() != 0 && said.contains(next), "policy {command}: {refused}");
    }
}

fn path(program: &str) -> &'static Path {
    let binaries = World::binaries();
    match program {
        "client" => &binaries.client,
        "server" => &binaries.server,
        _ => &binaries.witness,
    }
}
