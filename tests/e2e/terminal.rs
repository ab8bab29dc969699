//! What is asked and shown at a terminal: `script` makes one, and says what is on it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use indelible_tests::world::Kind;
use indelible_tests::{Publisher, World};
use tempfile::TempDir;

use crate::exit::{USAGE, VERIFIED};

/// Somebody at a terminal who answers each prompt with a line, and goes away after the last. Exit code, and what was
/// shown.
fn at_terminal(dir: &Path, command: &str, answers: &[(&str, &str)]) -> (i32, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command", command, "/dev/null"]).current_dir(dir);
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script, of util-linux");
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut shown = Vec::new();
    for (prompt, answer) in answers {
        let seen = shown.len();
        while !contains(&shown[seen..], prompt) {
            let mut byte = [0];
            let ended = screen.read(&mut byte).unwrap() == 0;
            assert!(!ended, "no {prompt:?}, only {:?}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        keyboard.write_all(format!("{answer}\r").as_bytes()).unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    drop(keyboard);
    (script.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&shown).into_owned())
}

fn contains(shown: &[u8], text: &str) -> bool {
    shown.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_passphrase_is_asked_for_at_a_terminal() {
    let dir = TempDir::with_prefix("indelible-terminal-").unwrap();
    let client = World::binaries().client.display().to_string();
    let run =
        |args: &str, answers: &[(&str, &str)]| at_terminal(dir.path(), &format!("{client} {args}"), answers);
    let (first, again) = ("Passphrase of sealed.key: ", "The same again: ");
    let keygen = "keygen vendor.example/sealed --out sealed.key --encrypt";
    let (exit, shown) = run(keygen, &[(first, "open sesame"), (again, "open sesam")]);
    assert_eq!(exit, USAGE, "{shown}");
    assert!(shown.contains("the two are not the same") && !dir.path().join("sealed.key").exists(), "{shown}");
    let (exit, shown) = run(keygen, &[(first, "")]);
    assert!(exit == USAGE && shown.contains("it is empty"), "{shown}");
    let (exit, shown) = run(keygen, &[(first, "open sesame"), (again, "open sesame")]);
    assert_eq!(exit, VERIFIED, "{shown}");

    // It is the passphrase that opens the key: a statement to sign, and then the wrong words.
    let statement = Publisher::new("vendor.example/agent", 1).next_statement(b"1");
    std::fs::write(dir.path().join("statement"), statement.encode()).unwrap();
    let sign = "sign statement --key sealed.key --out leaf";
    let (exit, shown) = run(sign, &[(first, "open sesam")]);
    assert!(exit == USAGE && shown.contains("passphrase-wrong"), "{shown}");
    let (exit, shown) = run(sign, &[(first, "open sesame")]);
    assert_eq!(exit, VERIFIED, "{shown}");
}

#[test]
fn records_that_are_handed_in_together_have_a_bar_that_is_gone_at_the_end() {
    let world = World::start(Kind::Records, 1, 1);
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    std::fs::create_dir(world.file("records")).unwrap();
    for number in 0..RECORDS {
        let record = publisher.next(b"agent");
        publisher.accepted(&record);
        std::fs::write(world.file(format!("records/{number}.leaf")), record.encode()).unwrap();
    }
    let (client, policy) = (World::binaries().client.display(), world.policy());
    let submit = |json: &str, what: &str, state: &str| {
        let command = format!("{client} {json} submit {what} --policy {} --state {state}", policy.display());
        let (exit, shown) = at_terminal(world.path(), &command, &[]);
        assert_eq!(exit, VERIFIED, "{shown}");
        shown
    };
    let (all, last) = (format!("/{RECORDS} records"), format!("published: {RECORDS} records"));
    let shown = submit("", "records", "first");
    assert!(shown.contains(&all), "{shown}");
    // It moves, and is wiped away before the last line.
    let positions: BTreeSet<&str> =
        shown.split(&all).filter_map(|part| part.split(' ').next_back()).collect();
    assert!(positions.len() > 1, "{positions:?}");
    let (before, after) = shown.rsplit_once(&all).unwrap();
    assert!(before.contains("\u{2588}") && after.contains("\u{1b}[2K") && after.contains(&last), "{shown}");
    // For programs there is none, nor is there one for a single record.
    assert!(!submit("--json", "records", "second").contains(&all));
    assert!(!submit("", "records/0.leaf", "third").contains("/1 records"));
}

/// More than one request takes, so that there is a while to see.
const RECORDS: usize = 300;
