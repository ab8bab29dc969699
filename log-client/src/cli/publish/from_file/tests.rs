use clap::{CommandFactory as _, Parser as _};

use super::*;
use crate::cli::Cli;

/// The arguments that `line` and a file `publish.<ending>` with `text` make together, or why they make none.
fn expanded(line: &str, ending: &str, text: &str) -> Result<Vec<String>, &'static str> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("publish.{ending}"));
    std::fs::write(&file, text).unwrap();
    let given = format!("indelible publish {line} --from-file {}", file.display());
    let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
    let count = given.len();
    let all = expand(&Cli::command(), given).map_err(|failure| failure.code)?;
    Cli::try_parse_from(&all).map_err(|_| "not-parsed")?;
    let base = format!("{}/", dir.path().display());
    Ok(all[count..].iter().map(|text| text.to_str().unwrap().replace(&base, "")).collect())
}

const RELEASE: &str = "files = [\"a\", \"b c\"]\nversion = \"1.2\"\nchannel-name = \"vendor.example/agent\"\n\
    key = [\"k1\", \"k2\"]\npolicy = \"policy.txt\"\nexpires-in = 60\nrenew = true\ndry-run = false\n";

#[test]
fn a_file_is_the_arguments_it_names() {
    let release = [
        "--channel-name=vendor.example/agent",
        "--expires-in=60",
        "--key=k1",
        "--key=k2",
        "--policy=policy.txt",
        "--renew",
        "--version=1.2",
        "--",
        "a",
        "b c",
    ];
    assert_eq!(expanded("release", "toml", RELEASE).unwrap(), release);
    let json = r#"{"files": ["a", "b c"], "version": "1.2", "channel-name": "vendor.example/agent",
        "key": ["k1", "k2"], "policy": "policy.txt", "expires-in": 60, "renew": true, "dry-run": false}"#;
    assert_eq!(expanded("release", "json", json).unwrap(), release);
}

#[test]
fn the_command_line_comes_first() {
    let line = "release x --version 2 --key other --channel proof --expires-in=5 --prepare out";
    assert_eq!(expanded(line, "toml", RELEASE).unwrap(), ["--policy=policy.txt", "--renew"]);
}

#[test]
fn what_is_required_is_still_required() {
    assert_eq!(expanded("release", "toml", "version = \"1\"\n"), Err("not-parsed"));
    assert_eq!(expanded("release", "toml", &RELEASE.replace("= 60", "= 0")), Err("not-parsed"));
}

#[test]
fn what_is_no_argument_or_no_value_of_it_is_refused() {
    for (line, code) in [
        ("versoin = \"1\"", "publish-file-key"),
        ("from-file = \"other.toml\"", "publish-file-key"),
        ("from_file = \"other.toml\"", "publish-file-key"),
        ("json = true", "publish-file-key"),
        ("help = true", "publish-file-key"),
        ("format = \"sigma\"", "publish-file-key"),
        ("[release]\nversion = \"1\"", "publish-file-parse"),
        ("sbom = 1.5", "publish-file-parse"),
        ("sbom = -1", "publish-file-parse"),
        ("sbom = [1]", "publish-file-parse"),
        ("sbom = [\"a\", \"b\"]", "publish-file-value"),
        ("sbom = true", "publish-file-value"),
        ("accept-log-head = \"yes\"", "publish-file-value"),
        ("version = \"2\"", "publish-file-parse"),
        ("sbom", "publish-file-parse"),
    ] {
        assert_eq!(expanded("release", "toml", &format!("{RELEASE}{line}\n")), Err(code), "{line}");
    }
    assert_eq!(expanded("release", "json", r#"{"version": "1", "version": "2"}"#), Err("publish-file-parse"));
    assert_eq!(expanded("release", "json", "[]"), Err("publish-file-parse"));
    assert_eq!(expanded("release", "toml", &" ".repeat(MAX_BYTES + 1)), Err("file-too-large"));
}

#[test]
fn the_sample_is_one_for_each_kind() {
    let sample = include_str!("../../../../../docs/config/publish.toml");
    // One part for each kind, commented out but for the first.
    for part in sample.split("\n# indelible publish ").skip(1) {
        let (kind, rest) = part.split_once(' ').unwrap();
        let lines: Vec<&str> =
            rest.lines().skip(1).map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect();
        let arguments = expanded(kind, "toml", &lines.join("\n"));
        assert!(arguments.as_ref().is_ok_and(|arguments| arguments.len() > 4), "{kind}: {arguments:?}");
    }
}

#[test]
fn other_commands_are_left_alone() {
    for line in [
        "indelible verify a --policy p",
        "indelible",
        "indelible publish",
        "indelible publish release --help",
    ] {
        let given: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(expand(&Cli::command(), given.clone()).unwrap(), given);
    }
}
