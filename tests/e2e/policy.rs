//! What `indelible policy` says about policies, to people and to scripts.

use std::fs;

use indelible_tests::Finished;

use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::Room;

fn policy(room: &Room, args: &[&str]) -> Finished {
    Finished::run(room.client().arg("policy").args(args).arg("--json"))
}

fn codes(finished: &Finished) -> Vec<String> {
    let findings = finished.json()["findings"].as_array().unwrap().clone();
    let code = |finding: &serde_json::Value| {
        for field in ["message", "why", "next", "severity"] {
            assert!(!finding[field].as_str().unwrap().is_empty(), "{finished}");
        }
        assert!(finding["line"].as_u64().unwrap() > 0);
        finding["code"].as_str().unwrap().to_owned()
    };
    findings.iter().map(code).collect()
}

#[test]
fn lint_ends_by_the_gravest_finding() {
    let room = Room::new();
    // The policy that a log gives out: 2 of 3.
    let as_given = policy(&room, &["lint", "policy.txt", "--f", "0"]).expect(VERIFIED);
    assert!(codes(&as_given).contains(&"policy-ed25519-only".to_owned()));
    let split = policy(&room, &["lint", "policy.txt", "--f", "1"]).expect(REFUSED);
    assert!(codes(&split).contains(&"policy-split-view".to_owned()));
    policy(&room, &["lint", "policy.txt", "--f", "1", "--monitor-quorum", "3"]).expect(VERIFIED);
    let names = as_given_names(&room);
    let operator = format!("alice={},{}", names[0], names[1]);
    let held = policy(&room, &["lint", "policy.txt", "--operator", &operator]).expect(REFUSED);
    assert!(codes(&held).contains(&"policy-operator-quorum".to_owned()));
    policy(&room, &["lint", "policy.txt", "--operator", "alice"]).expect(USAGE);
    policy(&room, &["lint", "none.txt"]).expect(USAGE);

    // A witness under a second name, and a threshold nobody meets: both are told, with their lines.
    let text = String::from_utf8(room.read("policy.txt")).unwrap();
    let key = text.lines().find(|line| line.starts_with("witness ")).unwrap().split(' ').nth(2).unwrap();
    room.write("bad.txt", format!("{text}witness twin {key}\ngroup more 9 {}\n", names[0]));
    let bad = policy(&room, &["lint", "bad.txt"]).expect(REFUSED);
    assert_eq!(codes(&bad), ["policy-duplicate-witness", "policy-threshold"]);
    let told = Finished::run(room.client().args(["policy", "lint", "bad.txt"])).expect(REFUSED);
    let lines = text.lines().count();
    assert!(
        told.stdout.contains(&format!("bad.txt:{}: error: a witness with the same public key", lines + 1)),
        "{told}"
    );
    assert!(told.stdout.contains("2 errors, 0 warnings, 0 notes"), "{told}");
    policy(&room, &["explain", "bad.txt"]).expect(USAGE);
}

fn as_given_names(room: &Room) -> Vec<String> {
    let explained = policy(room, &["explain", "policy.txt"]).expect(VERIFIED).json();
    let witnesses = explained["witnesses"].as_array().unwrap();
    witnesses.iter().map(|witness| witness["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn explain_says_who_is_enough_and_names_the_policy_by_its_hash() {
    let room = Room::new();
    let explained = policy(&room, &["explain", "policy.txt"]).expect(VERIFIED).json();
    let numbers =
        ["n", "fewest", "mayFail", "overlap", "monitorQuorum", "maxBad"].map(|name| explained[name].as_u64());
    assert_eq!(numbers, [3, 2, 1, 1, 2, 0].map(Some));
    assert_eq!(explained["sets"].as_array().unwrap().len(), 3);
    assert_eq!(explained["setsCut"], false);
    let hash = explained["policy"].as_str().unwrap().to_owned();
    let shown = Finished::run(room.client().args(["policy", "explain", "policy.txt"])).expect(VERIFIED);
    assert!(shown.stdout.contains(&hash) && shown.stdout.contains("enough is any of these sets:"), "{shown}");

    // A policy changed under a client, even by a comment, has another hash.
    let mut changed = room.read("policy.txt");
    changed.extend(b"# more\n");
    fs::write(room.file("policy.txt"), changed).unwrap();
    let now = policy(&room, &["explain", "policy.txt"]).expect(VERIFIED).json();
    assert_ne!(now["policy"].as_str().unwrap(), hash);
}
