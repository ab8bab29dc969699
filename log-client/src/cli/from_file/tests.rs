use clap::{CommandFactory as _, Parser as _};
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::sign::SecretKey;

use super::*;
use crate::cli::Cli;

/// The arguments that `line` and a file with `text` make together, or why they make none.
fn expanded(line: &str, ending: &str, text: &str) -> Result<Vec<String>, &'static str> {
    expanded_for(&format!("publish {line}"), ending, text)
}

fn expanded_for(line: &str, ending: &str, text: &str) -> Result<Vec<String>, &'static str> {
    let dir = tempfile::tempdir().unwrap();
    let arguments = expanded_in(dir.path(), line, ending, text)?;
    Ok(arguments.iter().map(|text| text.replace("DIR/", "")).collect())
}

/// The same with the file in `dir`, which is DIR in the result.
fn expanded_in(dir: &Path, line: &str, ending: &str, text: &str) -> Result<Vec<String>, &'static str> {
    let file = dir.join(format!("arguments.{ending}"));
    std::fs::write(&file, text).unwrap();
    let given = format!("indelible {line} --from-file {}", file.display());
    let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
    let count = given.len();
    let all = expand(&Cli::command(), given).map_err(|failure| failure.code)?;
    Cli::try_parse_from(&all).map_err(|_| "not-parsed")?;
    let base = dir.display().to_string();
    Ok(all[count..].iter().map(|text| text.to_str().unwrap().replace(&base, "DIR")).collect())
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
        ("versoin = \"1\"", "from-file-key"),
        ("from-file = \"other.toml\"", "from-file-key"),
        ("from_file = \"other.toml\"", "from-file-key"),
        ("json = true", "from-file-key"),
        ("help = true", "from-file-key"),
        ("format = \"sigma\"", "from-file-key"),
        ("[release]\nversion = \"1\"", "from-file-parse"),
        ("sbom = 1.5", "from-file-parse"),
        ("sbom = -1", "from-file-parse"),
        ("sbom = [1]", "from-file-parse"),
        ("sbom = [\"a\", \"b\"]", "from-file-value"),
        ("sbom = true", "from-file-value"),
        ("accept-log-head = \"yes\"", "from-file-value"),
        ("version = \"2\"", "from-file-parse"),
        ("sbom", "from-file-parse"),
    ] {
        assert_eq!(expanded("release", "toml", &format!("{RELEASE}{line}\n")), Err(code), "{line}");
    }
    assert_eq!(expanded("release", "json", r#"{"version": "1", "version": "2"}"#), Err("from-file-parse"));
    assert_eq!(expanded("release", "json", "[]"), Err("from-file-parse"));
    assert_eq!(expanded("release", "toml", &" ".repeat(MAX_BYTES + 1)), Err("file-too-large"));
}

#[test]
fn the_samples_are_one_for_each_command() {
    let publish = include_str!("../../../../docs/config/publish.toml");
    let channel = include_str!("../../../../docs/config/channel.toml");
    // One part for each command, commented out but for the first.
    let mut commands = Vec::new();
    for part in [publish, channel].iter().flat_map(|sample| sample.split("\n# indelible ").skip(1)) {
        let (command, rest) = part.split_once(" --").unwrap();
        let lines: Vec<&str> =
            rest.lines().skip(1).map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect();
        let arguments = expanded_for(command, "toml", &lines.join("\n"));
        assert!(arguments.as_ref().is_ok_and(|arguments| arguments.len() > 4), "{command}: {arguments:?}");
        commands.push(command);
    }
    let kinds = ["release", "rules", "withdraw", "review", "head"].map(|kind| format!("publish {kind}"));
    let changes = ["create", "rotate"].map(|change| format!("channel {change}"));
    assert_eq!(commands, [kinds.as_slice(), &changes].concat());
}

#[test]
fn a_path_is_from_the_file_and_a_key_is_as_it_is() {
    let file = "channel = \"vendor.example/agent\"\nin-force = \"channel\"\nout = \"x\"\npolicy = \"p\"\nkey = \"k\"\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("new.vkey"), "a key").unwrap();
    let key = SecretKey::from_seed(KeyKind::Record, KeyName::parse("a/b").unwrap(), [1; 32]);
    let vkey = key.verifier().to_string();
    // A file whose path spells the key, which is not the key.
    let spelled = dir.path().join(&vkey);
    std::fs::create_dir_all(spelled.parent().unwrap()).unwrap();
    std::fs::write(&spelled, "another key").unwrap();
    let toml = format!("{file}signer = [\"new.vkey\", \"{vkey}\", \"none.vkey\"]\n");
    let arguments = expanded_in(dir.path(), "channel rotate", "toml", &toml).unwrap();
    let signers: Vec<_> = arguments.iter().filter_map(|text| text.strip_prefix("--signer=")).collect();
    assert_eq!(signers, ["DIR/new.vkey", &vkey, "none.vkey"]);
    assert_eq!(arguments.last().unwrap(), "vendor.example/agent");
}

#[test]
fn other_commands_are_left_alone() {
    for line in [
        "indelible verify a --policy p",
        "indelible",
        "indelible publish",
        "indelible publish release --help",
        "indelible submit a --from-file b --policy p",
        "indelible guard a --policy p -- indelible publish release --from-file b",
    ] {
        let given: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(expand(&Cli::command(), given.clone()).unwrap(), given);
    }
}
