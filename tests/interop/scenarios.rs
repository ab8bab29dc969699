//! A vendor's bad days on the versions of a real rule set, with the real programs: what a client says of each version
//! before and after. `tests/run` fetches them.

use std::fs;
use std::path::Path;

use indelible_tests::careless::{logged, take_anything};
use indelible_tests::shop::{CHANNEL, REVIEWS};
use indelible_tests::world::{Kind, World};
use indelible_tests::{Beside, Finished, Shop};
use walkdir::WalkDir;

use crate::history::{unpacked, versions};

// Exit codes of the client.
const VERIFIED: i32 = 0;
const HOLD: i32 = 10;
const REFUSED: i32 = 20;

/// The versions of the rule set, oldest first, each in a directory of this name.
const VERSIONS: [&str; 4] = ["2.0.0", "2.10.0", "3.0.0", "3.2.0"];

/// Unpacks the versions into a world's folder.
fn unpack(world: &World) {
    let versions = versions();
    let names: Vec<&str> = versions.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, VERSIONS);
    versions.iter().zip(VERSIONS).for_each(|(version, name)| unpacked(version, &world.file(name)));
}

/// The vendor and a client that follows its channel.
fn vendor(cooldown: &str) -> Shop {
    let shop = Shop::new(cooldown);
    unpack(&shop.world);
    shop
}

/// A version without the first of its rules, as somebody would like it who is detected by that.
fn blinded(world: &World, version: &str) -> String {
    let (from, name) = (world.file(version), format!("{version}-blinded"));
    unpacked(&from, &world.file(&name));
    // Of Semgrep in the older versions, of YARA in the newer ones.
    let is_rule = |path: &Path| path.extension().is_some_and(|ending| ending == "yml" || ending == "yar");
    let files = WalkDir::new(world.file(&name)).sort_by_file_name().into_iter().map(Result::unwrap);
    let rule = files.map(walkdir::DirEntry::into_path).find(|path| is_rule(path));
    fs::remove_file(rule.expect("the rule set has rules")).unwrap();
    name
}

/// The arguments that publish rules.
fn rules<'a>(dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let what = ["publish", "rules", dir, "--version", dir, "--format", "guarddog"];
    [&what, ["--channel-name", CHANNEL].as_slice(), more].concat()
}

fn publish(shop: &Shop, dir: &str, key: &str) -> Finished {
    shop.at_log(&rules(dir, &["--key", &format!("{key}.key")]))
}

#[test]
fn a_stolen_old_key_signs_no_version_after_the_keys_were_changed() {
    let mut shop = vendor("0");
    publish(&shop, "2.0.0", "publish").expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.verify("2.0.0").expect(VERIFIED);
    let keys = ["--signer", "next.key.vkey", "--key", "publish.key", "--key", "next.key"];
    shop.rotate(&[&["--in-force", "channel", "--out", "channel-2"], keys.as_slice()].concat());
    publish(&shop, "2.10.0", "next").expect(VERIFIED);
    // Not by the keys that the client knows of, until it hears of the change.
    shop.check("2.10.0", REFUSED, "record-not-signed");
    shop.update().expect(VERIFIED);
    shop.verify("2.10.0").expect(VERIFIED);

    let bad = blinded(&shop.world, "3.0.0");
    let told = publish(&shop, &bad, "publish").expect(REFUSED);
    assert!(told.stdout.contains("signer-unknown"), "{told}");
    // Nor where the log takes it anyway, and its witness cosigns that.
    shop.at_log(&rules(&bad, &["--prepare", "bad.statement", "--accept-log-head"])).expect(VERIFIED);
    shop.run(&["sign", "bad.statement", "--key", "publish.key", "--out", "bad.leaf"]).expect(VERIFIED);
    take_anything(&mut shop.world);
    let proof = logged(&shop.world, &fs::read(shop.file("bad.leaf")).unwrap());
    fs::write(shop.file(&format!("{bad}.tlog-proof")), proof.encode()).unwrap();
    shop.check(&bad, REFUSED, "record-not-signed");
    shop.verify("2.10.0").expect(VERIFIED);
    shop.check("2.0.0", REFUSED, "rollback");
}

#[test]
fn the_recovery_keys_withdraw_a_version_and_lead_back() {
    let shop = vendor("0");
    for version in &VERSIONS[..3] {
        publish(&shop, version, "publish").expect(VERIFIED);
    }
    shop.update().expect(VERIFIED);
    shop.verify("3.0.0").expect(VERIFIED);
    shop.check("2.10.0", REFUSED, "rollback");
    let what = ["publish", "withdraw", "--record", "3.0.0.tlog-proof", "--safe", "2.10.0.tlog-proof"];
    let how =
        ["--reason", "key-compromise", "--recovery", "--channel-name", CHANNEL, "--key", "recovery.key"];
    shop.at_log(&[&what, how.as_slice()].concat()).expect(VERIFIED);
    // Nobody knows yet.
    shop.verify("3.0.0").expect(VERIFIED);
    let told = shop.update().expect(VERIFIED).json();
    assert_eq!(told["withdrawn"][0]["record"], shop.id("3.0.0.tlog-proof").to_string());
    shop.check("3.0.0", REFUSED, "withdrawn");
    shop.verify("2.10.0").expect(VERIFIED);
    shop.check("2.0.0", REFUSED, "rollback");
    publish(&shop, "3.2.0", "publish").expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.verify("3.2.0").expect(VERIFIED);
    shop.check("2.10.0", REFUSED, "rollback");
}

#[test]
fn a_version_that_a_reviewer_fails_is_held() {
    let shop = vendor("0");
    shop.run(&["keygen", "reviewer.example/reviews", "--out", "reviewer.key"]).expect(VERIFIED);
    let create = ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews"];
    shop.at_log(&[&create, ["--key", "reviewer.key"].as_slice()].concat()).expect(VERIFIED);
    let of = format!("{{ {REVIEWS:?} = \"{}\" }}", shop.id("reviews"));
    shop.configure(&format!("[[reviewers]]\nkind = \"rebuild\"\nno_fail_by = {of}\n"));
    let review = |version: &str, result: &str| {
        let (record, report) = (format!("{version}.tlog-proof"), format!("{version}.report"));
        fs::write(shop.file(&report), format!("{version}: {result}")).unwrap();
        let what = ["publish", "review", "--record", &record, "--kind", "rebuild", "--result", result];
        let how =
            ["--report", &report, "--paid-by", "nobody", "--access", "source", "--channel-name", REVIEWS];
        shop.at_log(&[&what, how.as_slice(), &["--key", "reviewer.key"]].concat()).expect(VERIFIED);
        shop.update().expect(VERIFIED);
    };
    publish(&shop, "2.0.0", "publish").expect(VERIFIED);
    review("2.0.0", "pass");
    shop.verify("2.0.0").expect(VERIFIED);
    publish(&shop, "2.10.0", "publish").expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.verify("2.10.0").expect(VERIFIED);
    review("2.10.0", "fail");
    shop.check("2.10.0", HOLD, "review-failed");
    // What follows is judged by itself, and so is a later word on the same version.
    publish(&shop, "3.0.0", "publish").expect(VERIFIED);
    review("3.0.0", "pass");
    shop.verify("3.0.0").expect(VERIFIED);
    review("3.0.0", "fail");
    shop.check("3.0.0", HOLD, "review-failed");
}

#[test]
fn a_thief_who_keeps_publishing_versions_loses_the_channel() {
    // Long enough that no change of keys counts by waiting.
    let shop = vendor("31622400");
    publish(&shop, "2.0.0", "publish").expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.verify("2.0.0").expect(VERIFIED);
    let stolen = ["--in-force", "channel", "--out", "stolen", "--signer", "thief.key.vkey"];
    shop.rotate(&[&stolen, ["--key", "publish.key", "--key", "thief.key"].as_slice()].concat());
    let bad = ["2.10.0", "3.0.0", "3.2.0"].map(|version| blinded(&shop.world, version));
    for version in &bad {
        publish(&shop, version, "thief").expect(VERIFIED);
        shop.update().expect(VERIFIED);
        shop.check(version, HOLD, "key-change-pending");
    }
    // The recovery keys need to know nothing of all that.
    let recovery = ["--in-force", "channel", "--recovery", "--key", "recovery.key"];
    shop.rotate(&[&recovery, ["--freeze", "--out", "frozen"].as_slice()].concat());
    let told = publish(&shop, "3.2.0", "thief").expect(REFUSED);
    assert_eq!(told.json()["code"], "channel-frozen", "{told}");
    assert_eq!(shop.update().expect(VERIFIED).json()["frozen"], true);
    bad.iter().for_each(|version| shop.check(version, REFUSED, "key-change-void"));
    shop.verify("2.0.0").expect(VERIFIED);
    let new = ["--signer", "next.key.vkey", "--key", "next.key", "--out", "recovered"];
    shop.rotate(&[&recovery, new.as_slice()].concat());
    publish(&shop, "3.2.0", "thief").expect(REFUSED);
    publish(&shop, "3.2.0", "next").expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.verify("3.2.0").expect(VERIFIED);
    bad.iter().for_each(|version| shop.check(version, REFUSED, "rollback"));
}

#[test]
fn a_squatter_of_the_channels_name_gets_no_version_verified() {
    let mut world = World::prepare(Kind::Records, 1, 1);
    let popular = Beside::start(&mut world, "popular.example/updates");
    unpack(&world);
    popular.squat_channel(&world, CHANNEL);
    let bad = blinded(&world, "3.2.0");
    popular.squat(&world, &rules("2.0.0", &[]));
    popular.squat(&world, &rules(&bad, &[]));
    fs::rename(world.file("2.0.0.tlog-proof"), world.file("squatted.tlog-proof")).unwrap();

    // The vendor opens the channel where the name is free, and users get that record's id.
    let shop = Shop::in_world(world, "0");
    shop.configure_under(popular.policy_of_both(), "");
    for version in VERSIONS {
        publish(&shop, version, "publish").expect(VERIFIED);
    }
    let update = |from: &str| shop.run(&["update-state", "--config", "client.toml", "--from", from]);
    assert_eq!(update(popular.url()).expect(REFUSED).json()["code"], "channel-other-genesis");
    update(shop.world.url()).expect(VERIFIED);
    for version in VERSIONS {
        shop.verify(version).expect(VERIFIED);
    }
    shop.check(&bad, REFUSED, "record-not-signed");
    // Not even the vendor's own files under the squatter's record.
    let proof = ["verify", "2.0.0", "--config", "client.toml", "--proof", "squatted.tlog-proof"];
    assert_eq!(shop.run(&proof).expect(REFUSED).json()["code"], "record-not-signed");
    shop.verify("3.2.0").expect(VERIFIED);
}
