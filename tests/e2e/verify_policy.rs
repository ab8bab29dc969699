//! What a customer is asked about, and how it is explained: whom to trust, under which policy, and why.

use std::fs;

use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::sign::SecretKey;
use indelible_proto::time::UnixSeconds;
use indelible_tests::Finished;
use indelible_tests::forgery::{stranger, with_signatures};

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::{Room, WITNESSES, check, code};

#[test]
fn what_cannot_be_asked_so_is_a_usage_error() {
    let room = Room::new();
    room.write("garbage", "garbage\n");
    let wrong: [&[&str]; 9] = [
        &[],
        &["verify"],
        &["verify", "agent-1"],
        &["verify", "agent-1", "--policy", "none"],
        &["verify", "agent-1", "--policy", "garbage"],
        &["verify", "none", "--policy", "policy.txt"],
        &["verify", "agent-1", "--policy", "policy.txt", "--key", "garbage"],
        &["verify", "agent-1", "--policy", "policy.txt", "--key", "vendor.vkey", "--channel", "channel"],
        &["verify", "agent-1", "--policy", "policy.txt", "--channel", "garbage"],
    ];
    for args in wrong {
        Finished::run(room.client().args(args)).expect(USAGE);
    }
}

#[test]
fn policies_that_weaken_themselves_are_not_read() {
    let room = Room::new();
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let w0 = room.vkey("witness-0.vkey");
    let wrong = [
        policy.replace(" 2 witness.example/w0", " 0 witness.example/w0"),
        policy.replace(" 2 witness.example/w0", " 4 witness.example/w0"),
        policy.replace(" 2 witness.example/w0", " +2 witness.example/w0"),
        policy.replace(" 2 witness.example/w0", " 02 witness.example/w0"),
        format!("{policy}quorum none\n"),
        policy.replace("quorum ", "quorum none\nquorum "),
        policy.replace("group ", &format!("witness twice {w0}\ngroup ")),
        policy.lines().filter(|line| !line.starts_with("quorum")).map(|line| format!("{line}\n")).collect(),
        policy.replace('\n', "\r\n"),
        format!("{policy}witness late {}", stranger("late.example", 9).verifier()),
    ];
    for text in wrong {
        assert_ne!(text, policy, "the change changes something");
        room.write("policy.txt", &text);
        let verdict = room.verify(&["agent-1", "--key", "vendor.vkey"]);
        assert_eq!(verdict.code(), USAGE, "{text}\n{verdict}");
    }
}

#[test]
fn explain_shows_every_check_and_json_gives_the_same() {
    let room = Room::new();
    const CHECKS: [&str; 17] = [
        "log-signature",
        "inclusion",
        "witnesses",
        "remembered",
        "record",
        "signers",
        "channel",
        "artifact",
        "sequence",
        "expiry",
        "age",
        "withdrawal",
        "audience",
        "platform",
        "engine",
        "reviews",
        "key-change",
    ];
    // A release names no engine and this one no platform, the client asks for no reviews, and the channel's file is not there.
    const OPEN: [(&str, &str); 5] = [
        ("withdrawal", "not known"),
        ("platform", "not applicable"),
        ("engine", "not applicable"),
        ("reviews", "not applicable"),
        ("key-change", "not known"),
    ];
    let is_open = |check: &str| OPEN.iter().any(|(name, _)| *name == check);
    let shown = room.verify_of_vendor(&["agent-1", "--explain"]).expect(VERIFIED);
    for check in CHECKS.into_iter().filter(|check| !is_open(check)) {
        assert!(shown.stdout.contains(&format!("pass  {check}")), "{check}: {shown}");
    }
    assert!(shown.stdout.contains("not checked"), "{shown}");
    let told = room.verify_of_vendor(&["agent-1", "--json"]).expect(VERIFIED).json();
    let checks = told["checks"].as_array().unwrap();
    assert_eq!(checks.iter().map(|check| check["name"].as_str().unwrap()).collect::<Vec<_>>(), CHECKS);
    let result = |check: &serde_json::Value| check["result"].as_str().unwrap().to_owned();
    for check in checks {
        let name = check["name"].as_str().unwrap();
        let open = OPEN.iter().find(|(open, _)| *open == name);
        assert_eq!(result(check), open.map_or("passed", |(_, result)| *result), "{name}");
    }
    assert_eq!((&told["outcome"], &told["exit"]), (&"verified".into(), &0.into()));
    assert_eq!(told["witnesses"].as_array().unwrap().len(), WITNESSES);
    assert_eq!(told["index"], room.proof("agent-1").index().get());
    // The policy that was used is named, so that another one is noticed.
    let fingerprint = sha256(&room.read("policy.txt")).to_hex();
    assert_eq!(checks[0]["details"][0], serde_json::json!({ "name": "policy", "value": fingerprint }));

    // What was left out of account is said, and what failed, and what could not be asked for that.
    let proof = room.proof("agent-1");
    let stranger = stranger("stranger.example/s", 8);
    let line = stranger.cosign(proof.note().text(), UnixSeconds::new(1_800_000_000).unwrap()).unwrap();
    let lines = [proof.note().signatures()[..2].to_vec(), vec![line]].concat();
    room.write("tried.tlog-proof", with_signatures(&proof, lines).encode());
    let args = ["agent-1", "--proof", "tried.tlog-proof", "--no-state"];
    let shown = room.verify_of_vendor(&[&args[..], &["--explain"]].concat()).expect(REFUSED);
    assert!(shown.stdout.contains("FAIL  witnesses"), "{shown}");
    assert!(shown.stdout.contains("ignored: signature by stranger.example/s"), "{shown}");
    let told = room.verify_of_vendor(&[&args[..], &["--json"]].concat()).expect(REFUSED).json();
    let failed: Vec<_> =
        told["checks"].as_array().unwrap().iter().filter(|check| check["result"] == "refused").collect();
    assert_eq!((failed.len(), &failed[0]["name"]), (1, &"witnesses".into()));
    assert_eq!((&told["code"], &told["exit"]), (&"quorum-not-met".into(), &20.into()));
    assert!(told["next"].as_str().is_some_and(|next| !next.is_empty()));
}

#[test]
fn under_another_policy_the_same_proof_is_refused() {
    let room = Room::new();
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let line = |word: &str| {
        let of_word = policy.lines().filter(|line| line.split(' ').next() == Some(word));
        of_word.map(|line| format!("{line}\n")).collect::<String>()
    };
    let name = KeyName::parse("log.example/updates").unwrap();
    let other_log = SecretKey::from_seed(KeyKind::Log, name, [5; 32]).verifier().encode();
    let others: Vec<String> = (0..3)
        .map(|n| {
            let other = stranger(&format!("witness.example/w{n}"), 40 + n);
            format!("witness w{n} {}\n", other.verifier())
        })
        .collect();
    let group = "group all 2 w0 w1 w2\nquorum all\n";
    for (reason, text) in [
        // The same name, another key.
        ("no-log-signature", policy.replace(line("log").split(' ').nth(1).unwrap(), &other_log)),
        // The log's witnesses replaced by others of the same names.
        ("quorum-not-met", format!("{}{}{group}", line("log"), others.concat())),
        // A fourth one whose word is needed, too.
        (
            "quorum-not-met",
            format!(
                "{}{}witness more {}\nquorum more\n",
                line("log"),
                line("witness"),
                stranger("more.example", 9).verifier()
            ),
        ),
    ] {
        room.write("other-policy.txt", text);
        let mut verify = room.client();
        verify.args(["--json", "verify", "agent-1", "--key", "vendor.vkey", "--policy", "other-policy.txt"]);
        let verdict = Finished::run(&mut verify).expect(REFUSED);
        assert_eq!(code(&verdict), reason, "{verdict}");
    }
    // The channel's proof does not hold under it either.
    let mut verify = room.client();
    verify.args(["verify", "agent-1", "--channel", "channel", "--policy", "other-policy.txt"]);
    Finished::run(&mut verify).expect(REFUSED);
}

#[test]
fn without_a_word_on_whom_to_trust_nothing_is_decided() {
    let room = Room::new();
    check(&room, &["agent-1"], UNDECIDED, "no-trusted-keys");
    check(&room, &["agent-1", "--no-state"], UNDECIDED, "no-trusted-keys");
    check(&room, &["agent-1", "--channel", "vendor.example/agent"], UNDECIDED, "channel-not-pinned");
    // Not even if something is wrong besides: that is refused.
    room.write("agent-1", "changed");
    check(&room, &["agent-1"], REFUSED, "artifact-mismatch");
}

/// The room's policy with `change` made to it.
fn change_policy(room: &Room, change: impl FnOnce(&str) -> String) {
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let changed = change(&policy);
    assert_ne!(changed, policy, "the change changes something");
    room.write("policy.txt", changed);
}

/// What a verdict on `agent-1` says of the policy to programs, and to people with and without --explain.
fn policy_change(room: &Room, exit: i32) -> serde_json::Value {
    let told =
        room.verify_of_vendor(&["agent-1", "--json", "--proof", "tried.tlog-proof"]).expect(exit).json();
    told.get("policyChanged").cloned().unwrap_or_default()
}

#[test]
fn a_policy_that_changed_is_told_once_and_counts() {
    type Change = fn(&str) -> String;
    let log_added: Change = |policy| {
        let name = KeyName::parse("evil.example/log").unwrap();
        format!("log {}\n{policy}", SecretKey::from_seed(KeyKind::Log, name, [5; 32]).verifier().encode())
    };
    let threshold_lowered: Change = |policy| policy.replace(" 2 witness.example/w0", " 1 witness.example/w0");
    let only_a_comment: Change = |policy| format!("# nothing\n{policy}");
    for (change, said) in [
        (log_added, "log evil.example/log"),
        (threshold_lowered, "quorum 1 of (witness.example/w0"),
        (only_a_comment, "same logs, witnesses and quorum"),
    ] {
        let room = Room::new();
        let proof = room.read("agent-1.tlog-proof");
        room.write("tried.tlog-proof", &proof);
        assert_eq!(policy_change(&room, VERIFIED), serde_json::Value::Null, "{said}: the first one");
        assert_eq!(policy_change(&room, VERIFIED), serde_json::Value::Null, "{said}: the same one");
        let before = sha256(&room.read("policy.txt")).to_hex();
        change_policy(&room, change);
        let now = sha256(&room.read("policy.txt")).to_hex();
        // What is refused is told it too, and does not count as having been told.
        room.write("tried.tlog-proof", room.read("agent-2.tlog-proof"));
        let told = policy_change(&room, REFUSED);
        assert_eq!((&told["before"], &told["now"]), (&before.as_str().into(), &now.as_str().into()));
        assert!(told["changes"].to_string().contains(said), "{told}");
        room.write("tried.tlog-proof", &proof);
        for more in [&["--no-state"][..], &["--no-state", "--explain"]] {
            let shown = room.verify_of_vendor(&[&["agent-1"], more].concat()).expect(VERIFIED);
            assert!(!shown.stdout.contains("CHANGED"), "nothing is remembered: {shown}");
        }
        let shown = room.verify_of_vendor(&["agent-1", "--explain"]).expect(VERIFIED).stdout;
        let line = shown.lines().find(|line| line.trim_start().starts_with("policy ")).unwrap();
        for part in ["CHANGED", &before, &now, said, "counts"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(policy_change(&room, VERIFIED), serde_json::Value::Null, "{said}: told already");
        // And back.
        change_policy(&room, |_| String::from_utf8(Room::new().read("policy.txt")).unwrap());
        assert_eq!(policy_change(&room, VERIFIED)["before"], now.as_str());
        // A memory of before there was one is taken as it is.
        fs::remove_file(room.file("home/indelible/policy")).unwrap();
        change_policy(&room, change);
        assert_eq!(
            policy_change(&room, VERIFIED),
            serde_json::Value::Null,
            "{said}: nothing to compare with"
        );
    }
}

#[test]
fn damage_of_the_remembered_policy_is_local_damage() {
    let room = Room::new();
    room.verify_of_vendor(&["agent-1"]).expect(VERIFIED);
    let file = room.file("home/indelible/policy");
    let whole = fs::read(&file).unwrap();
    for bytes in [Vec::new(), vec![0; whole.len()], whole[1..].to_vec(), vec![b'9'; 1 << 20]] {
        fs::write(&file, &bytes).unwrap();
        check(&room, &["agent-1", "--channel", "channel"], UNDECIDED, "state-damaged");
        // What is graver is said all the same.
        let other = ["agent-1", "--channel", "channel", "--proof", "agent-2.tlog-proof"];
        check(&room, &other, REFUSED, "artifact-mismatch");
    }
}
