//! Passphrases asked for at a terminal: `script` makes one, and says what is on it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

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
