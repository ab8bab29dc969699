//! Records that name others: what would have no effect is refused before anything is signed, and every artifact that is
//! named is found by its digest.

use indelible_proto::record::{Predicate, Subject};
use indelible_tests::Finished;
use serde_json::Value;

use crate::exit::{USAGE, VERIFIED};
use crate::published::code;
use crate::vendor_life::{CHANNEL, Desk};

const VENDOR: [&str; 4] = ["--channel-name", CHANNEL, "--key", "publish.key"];

/// A desk with three releases on its channel and one on another.
fn desk() -> Desk {
    let desk = Desk::new();
    for release in ["agent-1", "agent-2", "agent-3"] {
        desk.release(release, "publish.key").expect(VERIFIED);
    }
    let other = "vendor.example/other";
    let create =
        ["channel", "create", other, "--owner", "Vendor", "--key", "publish.key", "--out", "other.channel"];
    desk.at_log(&create).expect(VERIFIED);
    std::fs::write(desk.file("other"), "other").unwrap();
    let release = ["publish", "release", "other", "--version", "1", "--channel-name", other];
    desk.at_log(&[&release, ["--key", "publish.key"].as_slice()].concat()).expect(VERIFIED);
    desk
}

fn withdraw(desk: &Desk, record: &str, safe: Option<&str>, more: &[&str]) -> Finished {
    let (record, safe) = (format!("{record}.tlog-proof"), safe.map(|safe| format!("{safe}.tlog-proof")));
    let safe: Vec<&str> = safe.iter().flat_map(|safe| ["--safe", safe]).collect();
    let fixed = ["publish", "withdraw", "--reason", "defective", "--record", &record];
    desk.at_log(&[&fixed, safe.as_slice(), &VENDOR, more].concat())
}

fn head(desk: &Desk, record: &str, more: &[&str]) -> Finished {
    let record = format!("{record}.tlog-proof");
    let fixed = ["publish", "head", "--out", "head.tlog-proof", "--record", &record];
    desk.at_log(&[&fixed, VENDOR.as_slice(), more].concat())
}

/// Refused for this reason, with a next step, whichever way it is asked for; nothing comes of it.
fn expect_refused(desk: &Desk, reason: &str, run: impl Fn(&[&str]) -> Finished) {
    for more in [&[][..], &["--dry-run"], &["--prepare", "prepared"]] {
        let refused = run(more).expect(USAGE);
        assert_eq!(code(&refused), reason, "{refused}");
        assert!(!refused.json()["next"].as_str().unwrap().is_empty(), "{refused}");
        assert!(!desk.file("prepared").exists());
    }
}

fn seq(desk: &Desk) -> u64 {
    let shown = desk.at_log(&["channel", "show", CHANNEL]).expect(VERIFIED).json();
    shown["seq"].as_u64().unwrap()
}

#[test]
fn what_would_have_no_effect_is_not_published() {
    let desk = desk();
    expect_refused(&desk, "record-other-channel", |more| withdraw(&desk, "other", None, more));
    expect_refused(&desk, "record-other-channel", |more| withdraw(&desk, "agent-2", Some("other"), more));
    expect_refused(&desk, "record-other-channel", |more| head(&desk, "other", more));
    expect_refused(&desk, "record-withdrawn", |more| withdraw(&desk, "agent-2", Some("agent-2"), more));
    std::fs::copy(desk.file("channel"), desk.file("channel.tlog-proof")).unwrap();
    expect_refused(&desk, "record-not-installable", |more| head(&desk, "channel", more));
    expect_refused(&desk, "record-not-installable", |more| withdraw(&desk, "agent-2", Some("channel"), more));
    assert_eq!(seq(&desk), 3);

    // What is withdrawn is neither gone back to nor renewed: known by what was published here on either chain...
    withdraw(&desk, "agent-2", Some("agent-1"), &[]).expect(VERIFIED);
    let of_withdrawn = |withdrawn: &str| {
        expect_refused(&desk, "record-withdrawn", |more| withdraw(&desk, "agent-3", Some(withdrawn), more));
        expect_refused(&desk, "record-withdrawn", |more| head(&desk, withdrawn, more));
    };
    of_withdrawn("agent-2");
    head(&desk, "agent-3", &[]).expect(VERIFIED);
    of_withdrawn("agent-2");
    let mut by_recovery = vec!["publish", "withdraw", "--reason", "legal", "--record", "agent-1.tlog-proof"];
    by_recovery.extend(["--recovery", "--channel-name", CHANNEL, "--key", "recovery.key"]);
    desk.at_log(&by_recovery).expect(VERIFIED);
    of_withdrawn("agent-1");
    // ...or by what is known of the channel.
    let policy = desk.world.policy();
    let config = format!(
        "policy = {policy:?}\nstate = \"client\"\n[channels]\n{CHANNEL:?} = \"{}\"\n",
        desk.record("channel").record_id()
    );
    std::fs::write(desk.file("client.toml"), config).unwrap();
    let known = ["update-state", "--config", "client.toml"];
    desk.run(&known).expect(VERIFIED);
    let elsewhere = |run: &dyn Fn(&[&str]) -> Finished| {
        expect_refused(&desk, "record-withdrawn", |more| run(&[more, &["--state", "client"]].concat()));
    };
    elsewhere(&|more| head(&desk, "agent-2", more));
    elsewhere(&|more| withdraw(&desk, "agent-3", Some("agent-2"), more));
    assert_eq!(seq(&desk), 5);
    // And what nobody withdrew may be, by whoever knows of nothing.
    head(&desk, "agent-3", &["--state", "client", "--renew"]).expect(VERIFIED);
}

fn entries_of(desk: &Desk, digest: &str) -> Vec<u64> {
    let told = desk.at_log(&["lookup", digest]).expect(VERIFIED).json();
    let index = |entry: &Value| entry["index"].as_u64().unwrap();
    let mut entries: Vec<u64> = told["entries"].as_array().unwrap().iter().map(index).collect();
    entries.sort_unstable();
    entries
}

#[test]
fn two_rule_sets_of_one_name_are_both_found_by_who_looks_for_what_names_them() {
    let desk = Desk::new();
    std::fs::create_dir(desk.file("rules")).unwrap();
    let mut digests = Vec::new();
    for version in ["1", "2"] {
        std::fs::write(desk.file("rules/a.yml"), version).unwrap();
        let publish = ["publish", "rules", "rules", "--version", version, "--format", "sigma"];
        desk.at_log(&[&publish, VENDOR.as_slice()].concat()).expect(VERIFIED);
        let proof = format!("rules-{version}.tlog-proof");
        std::fs::rename(desk.file("rules.tlog-proof"), desk.file(&proof)).unwrap();
        digests.push(desk.record(&proof).statement().subject[0].dir_hash1.unwrap());
    }
    let both = ["--record", "rules-1.tlog-proof", "--record", "rules-2.tlog-proof"];
    let withdraw =
        [&["publish", "withdraw", "--reason", "legal", "--out", "gone"], &both[..], &VENDOR].concat();
    let withdrawn = desk.at_log(&withdraw).expect(VERIFIED).json()["index"].as_u64().unwrap();
    std::fs::write(desk.file("report.txt"), "looked at both").unwrap();
    let mut review =
        vec!["publish", "review", "--kind", "fp-test", "--result", "fail", "--report", "report.txt"];
    review.extend(["--paid-by", "nobody", "--access", "source"]);
    review.extend(both.into_iter().chain(VENDOR));
    let reviewed = desk.at_log(&review).expect(VERIFIED).json()["index"].as_u64().unwrap();
    for (version, digest) in digests.iter().enumerate() {
        let own = version as u64 + 1;
        assert_eq!(entries_of(&desk, &digest.to_hex()), [own, withdrawn, reviewed]);
    }
    let record = desk.record("gone");
    assert!(matches!(record.statement().predicate, Predicate::Withdraw(..)));
    let name = |subject: &Subject| subject.name.clone();
    let second = digests.iter().max().unwrap().to_hex();
    let names: Vec<String> = record.statement().subject.iter().map(name).collect();
    assert_eq!(names, ["rules", &format!("rules@{}", &second[..8])]);
}
