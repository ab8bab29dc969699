//! What an artifact runs on: said by the vendor of each file, kept through everything a record goes through, and asked
//! for by the client.

use std::fs;
use std::process::Command;

use indelible_proto::log_api::ApiError;
use indelible_proto::record::{Platform, SignedRecord};
use indelible_tests::{Finished, http};
use serde_json::{Value, json};

use crate::carry::{Inside, export};
use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, Shop};

const VENDOR: [&str; 4] = ["--channel-name", CHANNEL, "--key", "publish.key"];
/// A file for each of two platforms, and one for all.
const FILES: [&str; 3] = ["agent-x86", "agent-arm", "notes"];
const PLATFORMS: [&str; 4] = ["--platform", "agent-x86=linux/amd64", "--platform", "agent-arm=linux/arm64"];

/// A vendor with those files, and what they are published by.
fn shop() -> Shop {
    let shop = Shop::new("0");
    for name in FILES {
        fs::write(shop.file(name), name).unwrap();
    }
    shop
}

fn release(shop: &Shop, version: &str, more: &[&str]) -> Finished {
    shop.at_log(&[&["publish", "release", "--version", version], &FILES[..], &VENDOR, more].concat())
}

/// The verdict of a client of this platform, who remembers nothing.
fn verify(shop: &Shop, artifact: &str, platform: &[&str]) -> Finished {
    shop.run(&[&["verify", artifact, "--config", "client.toml"], platform].concat())
}

/// The check of the platform, as a verdict has it for programs.
fn check_of(verdict: &Finished) -> Value {
    let checks = verdict.json()["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "platform").unwrap()
}

/// That a client of this platform refuses it for nothing else.
#[track_caller]
fn expect_for_others(verdict: Finished, wanted: &str, ours: &str) {
    let verdict = verdict.expect(REFUSED);
    assert_eq!(code(&verdict), "platform-other", "{verdict}");
    let told = verdict.json();
    let message = format!("not for me: the artifact is for platform {wanted}, this is {ours}");
    assert_eq!(told["message"], message, "{verdict}");
    let failed = told["checks"].as_array().unwrap().iter().filter(|check| check["result"] == "refused");
    let failed: Vec<_> = failed.map(|check| (&check["row"], &check["name"])).collect();
    assert_eq!(failed, [(&9.into(), &"platform".into())], "{verdict}");
}

/// The platforms by the artifacts' names.
fn said(record: &SignedRecord) -> Value {
    let named = record.statement().subject.iter();
    let named = named.map(|it| (it.name.clone(), it.platform.as_ref().map(Platform::as_str).into()));
    Value::Object(named.collect())
}

#[test]
fn each_file_of_a_release_is_for_its_platform() {
    let shop = shop();
    let told = release(&shop, "1", &PLATFORMS).expect(VERIFIED).json();
    assert_eq!(told["platforms"], json!({ "agent-x86": "linux/amd64", "agent-arm": "linux/arm64" }));
    shop.update().expect(VERIFIED);

    // By the argument, by the client's file, and the argument first.
    verify(&shop, "agent-x86", &["--platform", "linux/amd64"]).expect(VERIFIED);
    expect_for_others(
        verify(&shop, "agent-arm", &["--platform", "linux/amd64"]),
        "linux/arm64",
        "linux/amd64",
    );
    verify(&shop, "notes", &["--platform", "linux/amd64"]).expect(VERIFIED);
    shop.configure("platform = \"linux/arm64/v8\"");
    expect_for_others(verify(&shop, "agent-x86", &[]), "linux/amd64", "linux/arm64/v8");
    verify(&shop, "agent-arm", &[]).expect(VERIFIED);
    verify(&shop, "agent-x86", &["--platform", "linux/amd64"]).expect(VERIFIED);

    // People are told which file is theirs.
    let mut shown = shop.world.client();
    shown.args(["verify", "agent-x86", "--config", "client.toml", "--explain"]);
    let shown = Finished::run(&mut shown).expect(REFUSED);
    for line in [
        "  why        not for me: the artifact is for platform linux/amd64, this is linux/arm64/v8 [platform-other]",
        "  next       fetch agent-arm, which the record has for this platform",
        "FAIL  platform ",
        "        platform: linux/arm64/v8",
        "        wanted: linux/amd64",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown}");
    }
    // A command that is guarded does not run.
    let guard =
        |artifact| shop.run(&["guard", artifact, "--config", "client.toml", "--", "touch", "installed"]);
    guard("agent-x86").expect(REFUSED);
    assert!(!shop.file("installed").exists());
    guard("agent-arm").expect(VERIFIED);
    assert!(shop.file("installed").exists());
}

#[test]
fn a_client_that_names_no_platform_is_told_what_it_did_not_ask() {
    let shop = shop();
    release(&shop, "1", &PLATFORMS).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    let check = check_of(&verify(&shop, "agent-arm", &["--explain"]).expect(VERIFIED));
    assert_eq!((&check["result"], &check["row"]), (&"not applicable".into(), &9.into()));
    assert_eq!(check["message"], "the client names no platform");
    assert_eq!(check["details"], json!([{ "name": "wanted", "value": "linux/arm64" }]));
    let check = check_of(&verify(&shop, "notes", &["--platform", "linux/arm64"]).expect(VERIFIED));
    assert_eq!(check["message"], "the record names no platform for the artifact");
    let check = check_of(&verify(&shop, "agent-arm", &["--platform", "linux/arm64"]).expect(VERIFIED));
    assert_eq!(check["result"], "passed");
}

#[test]
fn what_is_no_platform_or_of_no_file_publishes_nothing() {
    let shop = shop();
    for (platforms, reason) in [
        (&["linux"][..], None),
        (&["linux/"], None),
        (&["Linux/amd64"], None),
        (&["linux/arm64/v8/x"], None),
        (&["agent-arm="], None),
        (&["agent-arm=linux"], None),
        (&["agent=linux/amd64"], Some("platform-of-no-file")),
        (&["linux/amd64", "linux/arm64"], Some("platform-twice")),
        (&["notes=linux/amd64", "notes=linux/arm64"], Some("platform-twice")),
    ] {
        let args: Vec<&str> = platforms.iter().flat_map(|text| ["--platform", *text]).collect();
        let refused = release(&shop, "1", &args).expect(USAGE);
        if let Some(reason) = reason {
            assert_eq!(code(&refused), reason, "{refused}");
        }
        assert!(!shop.file("notes.tlog-proof").exists());
    }
    release(&shop, "1", &[]).expect(VERIFIED);
    verify(&shop, "notes", &["--platform", "amd64"]).expect(USAGE);
    shop.configure("platform = \"amd64\"");
    let refused = verify(&shop, "notes", &[]).expect(USAGE);
    assert_eq!(code(&refused), "client-config-value");
}

#[test]
fn a_file_says_the_same_as_the_arguments() {
    let shop = shop();
    fs::create_dir(shop.file("files")).unwrap();
    let write = |name: &str, text: String| fs::write(shop.file("files").join(name), text).unwrap();
    let files = FILES.map(|name| format!("../{name}"));
    let keys = json!({
        "files": files, "version": "1", "channel-name": CHANNEL, "platform": ["linux/amd64", "agent-arm=linux/arm64"],
    });
    write("release.json", keys.to_string());
    let lines = keys.as_object().unwrap().iter().map(|(key, value)| format!("{key} = {value}\n"));
    write("release.toml", lines.collect());
    let subject = |finished: Finished| {
        let told = finished.expect(VERIFIED).json();
        let statement: Value = serde_json::from_str(told["statement"].as_str().unwrap()).unwrap();
        statement["subject"].clone()
    };
    let args = ["--platform", "linux/amd64", "--platform", "agent-arm=linux/arm64", "--dry-run"];
    let expected = subject(release(&shop, "1", &args));
    let annotations: Vec<_> = expected.as_array().unwrap().iter().map(|it| &it["annotations"]).collect();
    let of = |platform: &str| json!({ "platform": platform });
    assert_eq!(annotations, [&of("linux/arm64"), &of("linux/amd64"), &of("linux/amd64")]);
    let from = |file: &str, more: &[&str]| {
        shop.at_log(&[&["publish", "release", "--from-file", file, "--dry-run"], more].concat())
    };
    for file in ["files/release.toml", "files/release.json"] {
        assert_eq!(subject(from(file, &[])), expected, "{file}");
        // The command line comes first.
        let subject = subject(from(file, &["--platform", "darwin/arm64"]));
        assert_eq!(subject[0]["annotations"], of("darwin/arm64"), "{file}");
    }
    write("release.json", keys.to_string().replace("\"agent-arm=", "\"other="));
    assert_eq!(code(&from("files/release.json", &[]).expect(USAGE)), "platform-of-no-file");
    write("release.json", keys.to_string().replace("[\"linux/amd64\"", "[1"));
    assert_eq!(code(&from("files/release.json", &[]).expect(USAGE)), "from-file-parse");
}

#[test]
fn rules_are_for_a_platform_as_a_directory_and_as_an_archive() {
    let shop = Shop::new("0");
    fs::create_dir(shop.file("rules")).unwrap();
    fs::write(shop.file("rules/a.yml"), "title: a\n").unwrap();
    let keys = "dir = \"rules\"\nversion = \"1\"\nformat = \"sigma\"\nplatform = \"windows/amd64\"\n";
    fs::write(shop.file("rules.toml"), keys).unwrap();
    shop.at_log(&[&["publish", "rules", "--from-file", "rules.toml"], &VENDOR[..]].concat()).expect(VERIFIED);
    assert_eq!(said(&shop.record("rules.tlog-proof")), json!({ "rules": "windows/amd64" }));
    shop.update().expect(VERIFIED);
    let mut tar = Command::new("tar");
    tar.args(["-cf", "rules.tar", "-C", "rules", "."]);
    Finished::run(tar.current_dir(shop.world.path())).expect(0);
    fs::copy(shop.file("rules.tlog-proof"), shop.file("rules.tar.tlog-proof")).unwrap();
    for artifact in ["rules", "rules.tar"] {
        verify(&shop, artifact, &["--platform", "windows/amd64"]).expect(VERIFIED);
        expect_for_others(
            verify(&shop, artifact, &["--platform", "linux/amd64"]),
            "windows/amd64",
            "linux/amd64",
        );
    }
}

/// A leaf with this statement and the signatures of that record.
fn leaf_of(statement: &str, record: &SignedRecord) -> Vec<u8> {
    let signatures = &record.leaf()[record.message().len()..];
    let message = format!("DSSEv1 28 application/vnd.in-toto+json {} {statement}", statement.len());
    [message.as_bytes(), signatures].concat()
}

#[test]
fn what_is_written_in_another_way_is_neither_signed_nor_logged() {
    let shop = shop();
    release(&shop, "1", &PLATFORMS).expect(VERIFIED);
    let [release, channel] = ["agent-x86.tlog-proof", "channel"].map(|proof| shop.record(proof));
    let text = |record: &SignedRecord| String::from_utf8(record.payload().to_vec()).unwrap();
    let (of_release, good) = (text(&release), r#"{"platform":"linux/amd64"}"#);
    assert!(of_release.contains(good));
    let bent = |annotations: &str| (of_release.replace(good, annotations), &release);
    let annotated = format!(r#""subject":[{{"annotations":{good},"#);
    let on_channel = text(&channel).replace(r#""subject":[{"#, &annotated);
    for ((statement, record), reason) in [
        (bent(r#"{"platform":"linux/"}"#), "platform-part-length"),
        (bent(r#"{"platform":"linux/arm64/v8/x"}"#), "platform-parts"),
        (bent(r#"{"platform":"Linux/amd64"}"#), "platform-part-form"),
        (bent(r#"{"platform":null}"#), "json-null"),
        (bent(r#"{"platform":1}"#), "field-kind"),
        (bent("{}"), "field-missing"),
        (bent(r#"{"os":"linux","platform":"linux/amd64"}"#), "field-unknown"),
        ((on_channel, &channel), "field-not-allowed"),
    ] {
        fs::write(shop.file("bent"), &statement).unwrap();
        let refused = shop.run(&["sign", "bent", "--key", "publish.key", "--out", "bent.leaf"]).expect(USAGE);
        assert_eq!(code(&refused), reason, "{statement}");
        let leaf = leaf_of(&statement, record);
        let answer = http::post(shop.world.log().address(), "/submit", &leaf).expect(400);
        assert_eq!(ApiError::parse(&answer.body).unwrap().code(), reason, "{statement}");
        fs::write(shop.file("bent.leaf"), leaf).unwrap();
        assert_eq!(code(&shop.run(&["inspect", "bent.leaf"]).expect(USAGE)), reason, "{statement}");
    }
    // By the same way the good one is read.
    let same = leaf_of(&of_release, &release);
    assert_eq!(same, release.leaf());
    http::post(shop.world.log().address(), "/submit", &same).expect(200);
}

/// Signed by hand, exported and imported, submitted, watched, recomputed, carried, withdrawn.
#[test]
fn a_platform_goes_wherever_its_record_goes_and_not_into_a_withdrawal() {
    let shop = shop();
    let prepare = [&PLATFORMS[..], &["--prepare", "agent.statement"]].concat();
    let unsigned = ["publish", "release", "--version", "1", "--channel-name", CHANNEL];
    shop.at_log(&[&unsigned, &FILES[..], &prepare].concat()).expect(VERIFIED);
    let run = |args: &[&str]| shop.run(args).expect(VERIFIED);
    run(&["sign", "agent.statement", "--key", "publish.key", "--out", "agent.leaf"]);
    run(&["export", "dsse", "agent.leaf", "--out", "agent.dsse.json"]);
    run(&["import", "dsse", "agent.dsse.json", "--out", "again.leaf"]);
    assert_eq!(fs::read(shop.file("again.leaf")).unwrap(), fs::read(shop.file("agent.leaf")).unwrap());
    shop.at_log(&["submit", "again.leaf", "--proof", "agent-arm.tlog-proof"]).expect(VERIFIED);
    let record = shop.record("agent-arm.tlog-proof");
    let expected = json!({ "agent-arm": "linux/arm64", "agent-x86": "linux/amd64", "notes": null });
    assert_eq!(said(&record), expected);
    let shown = run(&["inspect", "agent-arm.tlog-proof"]).stdout;
    assert!(shown.contains("\"annotations\":{\"platform\":\"linux/arm64\"}"), "{shown}");

    shop.at_log(&["watch", "--once", "--state", "watchdog", "--log", shop.world.url()]).expect(VERIFIED);
    let mut fsck = shop.world.server();
    fsck.args(["fsck", shop.world.url(), "--policy"]);
    Finished::run(fsck.arg(shop.world.policy())).expect(0);

    // The machine outside names no platform and carries for all; the one inside takes what is for it.
    fs::copy(shop.file("agent-arm.tlog-proof"), shop.file("agent-x86.tlog-proof")).unwrap();
    export(&shop, "agent.carry", &["agent-arm"], &[]).expect(VERIFIED);
    let inside = Inside { shop: &shop, name: "inside" };
    shop.configure("platform = \"linux/amd64\"");
    let refused = inside.import("agent.carry").expect(REFUSED);
    assert!(
        refused.stdout.contains("\"platform-other\"") && !inside.out("agent.carry").exists(),
        "{refused}"
    );
    shop.configure("platform = \"linux/arm64\"");
    inside.import("agent.carry").expect(VERIFIED);
    assert!(inside.out("agent.carry").join("agent-arm").exists());
    // Nor does a machine carry over what is not for it.
    assert!(
        export(&shop, "other.carry", &["agent-x86"], &[]).expect(REFUSED).stdout.contains("platform-other")
    );

    let withdraw = ["publish", "withdraw", "--record", "agent-arm.tlog-proof", "--reason", "defective"];
    shop.at_log(&[&withdraw, &VENDOR[..], &["--out", "withdrawal"]].concat()).expect(VERIFIED);
    let named = shop.record("withdrawal");
    assert_eq!(said(&named), json!({ "agent-arm": null, "agent-x86": null, "notes": null }));
    shop.update().expect(VERIFIED);
    assert_eq!(code(&verify(&shop, "agent-arm", &[]).expect(REFUSED)), "withdrawn");
}
