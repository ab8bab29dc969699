//! A client that follows channels: withdrawals, changes of keys, stolen ones, reviewers. With the real programs, a
//! real log, and copies of what it serves. Witness times are real seconds, so a cool-down is none or an endless one.

use std::fs;

use indelible_tests::Site;
use indelible_tests::site::Manner;

use crate::client_rules::grace;
use crate::exit::{HOLD, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, REVIEWS, Shop};

#[test]
fn a_withdrawn_release_is_refused_and_the_safe_one_is_the_way_back() {
    let shop = Shop::new("0");
    ["agent-1", "agent-2", "agent-3"].iter().for_each(|name| shop.release(name, "publish"));
    // Nothing pinned, nothing known: nothing says whose keys count.
    shop.check("agent-3", UNDECIDED, "no-trusted-keys");
    let told = shop.update().expect(VERIFIED).json();
    assert_eq!((&told["newRecords"], &told["seq"]), (&4.into(), &3.into()));
    let verdict = shop.verify("agent-3").expect(VERIFIED).json();
    assert!(verdict["notChecked"][0].as_str().unwrap().contains("record 3"), "{verdict}");
    shop.check("agent-2", REFUSED, "rollback");
    shop.withdraw("agent-3", "agent-2");
    // Nobody knows yet.
    shop.verify("agent-3").expect(VERIFIED);
    let told = shop.update().expect(VERIFIED).json();
    assert_eq!(told["newRecords"], 1);
    assert_eq!(told["withdrawn"][0]["record"], shop.id("agent-3.tlog-proof").to_string());
    shop.check("agent-3", REFUSED, "withdrawn");
    shop.check("agent-1", REFUSED, "rollback");
    shop.verify("agent-2").expect(VERIFIED);
    // A guard stops for it, too, and again nothing is new.
    let guard = ["guard", "--config", "client.toml", "agent-3", "--", "touch", "installed"];
    shop.run(&guard).expect(REFUSED);
    assert!(!shop.file("installed").exists());
    assert_eq!(shop.update().expect(VERIFIED).json()["newRecords"], 0);
    // What follows is forward.
    shop.release("agent-4", "publish");
    shop.verify("agent-4").expect(VERIFIED);
}

#[test]
fn the_way_back_leads_to_nothing_in_between() {
    let shop = Shop::new("0");
    ["agent-1", "agent-2", "agent-3"].iter().for_each(|name| shop.release(name, "publish"));
    shop.update().expect(VERIFIED);
    shop.verify("agent-3").expect(VERIFIED);
    shop.withdraw("agent-3", "agent-1");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    // Nothing was said against it, but this client has been beyond it.
    shop.check("agent-2", REFUSED, "rollback");
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn changed_keys_are_followed_after_their_cooldown() {
    let rotate = |shop: &Shop| {
        let keys = ["--signer", "next.key.vkey", "--key", "publish.key", "--key", "next.key"];
        shop.rotate(&[&["--in-force", "channel", "--out", "channel-2"], keys.as_slice()].concat());
        shop.release("agent-2", "next");
    };
    let none = Shop::new("0");
    rotate(&none);
    none.update().expect(VERIFIED);
    none.verify("agent-2").expect(VERIFIED);

    let long = Shop::new("31622400");
    long.release("agent-1", "publish");
    rotate(&long);
    long.update().expect(VERIFIED);
    long.check("agent-2", HOLD, "key-change-pending");
    long.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_stolen_key_gets_nothing_installed_and_the_recovery_counts_at_once() {
    let shop = Shop::new("31622400");
    shop.release("agent-1", "publish");
    let stolen = ["--signer", "thief.key.vkey", "--key", "publish.key", "--key", "thief.key"];
    shop.rotate(
        &[&["--in-force", "channel", "--out", "stolen", "--cooldown", "0"], stolen.as_slice()].concat(),
    );
    shop.release("evil-1", "thief");
    shop.update().expect(VERIFIED);
    shop.check("evil-1", HOLD, "key-change-pending");
    shop.rotate(&[
        "--in-force",
        "channel",
        "--out",
        "frozen",
        "--freeze",
        "--recovery",
        "--key",
        "recovery.key",
    ]);
    assert_eq!(shop.update().expect(VERIFIED).json()["frozen"], true);
    shop.check("evil-1", REFUSED, "key-change-void");
    let recovered = ["--signer", "next.key.vkey", "--key", "recovery.key", "--key", "next.key", "--recovery"];
    shop.rotate(&[&["--in-force", "frozen", "--out", "recovered"], recovered.as_slice()].concat());
    shop.release("agent-2", "next");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    shop.verify("agent-2").expect(VERIFIED);
    shop.check("evil-1", REFUSED, "rollback");
}

#[test]
fn a_review_that_fails_holds_a_release() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.run(&["keygen", "reviewer.example/reviews", "--out", "reviewer.key"]).expect(VERIFIED);
    let create =
        ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews", "--key", "reviewer.key"];
    shop.at_log(&create).expect(VERIFIED);
    let of = format!("{{ {REVIEWS:?} = \"{}\" }}", shop.id("reviews"));
    let table = |line: &str| format!("[[reviewers]]\nkind = \"rebuild\"\n{line}\n");
    fs::write(shop.file("report.txt"), "report").unwrap();
    let review = |result: &str| {
        let what =
            ["publish", "review", "--record", "agent-1.tlog-proof", "--kind", "rebuild", "--result", result];
        let how = ["--report", "report.txt", "--paid-by", "nobody", "--access", "source"];
        let whose = ["--channel-name", REVIEWS, "--key", "reviewer.key"];
        shop.at_log(&[&what, how.as_slice(), whose.as_slice()].concat()).expect(VERIFIED);
        // One line for each channel that is followed: the vendor's and the reviewer's.
        assert_eq!(shop.update().expect(VERIFIED).stdout.lines().count(), 2);
    };
    shop.configure(&table(&format!("at_least = 1\nof = {of}")));
    shop.update().expect(VERIFIED);
    shop.check("agent-1", HOLD, "reviews-missing");
    review("pass");
    shop.verify("agent-1").expect(VERIFIED);
    shop.configure(&table(&format!("no_fail_by = {of}")));
    shop.verify("agent-1").expect(VERIFIED);
    review("fail");
    shop.check("agent-1", HOLD, "review-failed");
}

#[test]
fn a_channel_file_comes_from_a_mirror_or_by_hand_and_is_not_believed() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    fs::write(shop.file("old.tlog-channel"), shop.channel_file(0)).unwrap();
    shop.release("agent-2", "publish");
    shop.withdraw("agent-2", "agent-1");
    fs::write(shop.file("new.tlog-channel"), shop.channel_file(0)).unwrap();
    let update = |from: &str| shop.run(&["update-state", "--config", "client.toml", "--from", from]);
    // A file that leaves something out, one that is none, and one of nobody's.
    let late = shop.channel_file(2);
    fs::write(shop.file("late.tlog-channel"), &late).unwrap();
    assert_eq!(code(&update("late.tlog-channel").expect(REFUSED)), "channel-unknown");
    update("old.tlog-channel").expect(VERIFIED);
    shop.verify("agent-2").expect(VERIFIED);
    // The gap: records 2 and 3 without what came between. It cannot even be made by leaving a record out.
    shop.release("agent-3", "publish");
    fs::write(shop.file("gap.tlog-channel"), shop.channel_file(4)).unwrap();
    assert_eq!(code(&update("gap.tlog-channel").expect(REFUSED)), "seq-mismatch");
    let text = String::from_utf8(late).unwrap();
    fs::write(shop.file("torn.tlog-channel"), &text[..text.len() / 2]).unwrap();
    update("torn.tlog-channel").expect(REFUSED);
    update("missing.tlog-channel").expect(USAGE);
    // Given by hand for one verdict, it is remembered as well; the older one then changes nothing.
    let given =
        |file: &str| shop.run(&["verify", "agent-2", "--config", "client.toml", "--channel-file", file]);
    assert_eq!(code(&given("new.tlog-channel").expect(REFUSED)), "withdrawn");
    assert_eq!(code(&given("old.tlog-channel").expect(REFUSED)), "withdrawn");
    shop.check("agent-2", REFUSED, "withdrawn");
    assert_eq!(code(&update("old.tlog-channel").expect(REFUSED)), "channel-file-behind");
    // A directory with copies of what the log serves, under the paths it serves them.
    let mirrored = shop.file("mirror/channel-file/0/0").join(CHANNEL);
    fs::create_dir_all(mirrored.parent().unwrap()).unwrap();
    fs::write(&mirrored, shop.channel_file(0)).unwrap();
    assert_eq!(update("mirror").expect(VERIFIED).json()["newRecords"], 1);
    shop.verify("agent-3").expect(VERIFIED);
    // The same folder behind a web server that knows nothing of logs.
    let site = Site::serve(&shop.file("mirror"), Manner::Honest);
    assert_eq!(update(&site.url()).expect(VERIFIED).json()["newRecords"], 0);
    shop.release("agent-4", "publish");
    fs::write(&mirrored, shop.channel_file(0)).unwrap();
    assert_eq!(update(&site.url()).expect(VERIFIED).json()["newRecords"], 1);
    fs::remove_dir_all(shop.file("mirror/channel-file")).unwrap();
    assert_eq!(code(&update(&site.url()).expect(UNDECIDED)), "not-found");
    assert_eq!(code(&update("mirror").expect(UNDECIDED)), "not-found");
}

#[test]
fn a_grace_does_not_cover_a_channel_file() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    // The newest there is, which no witness has cosigned yet.
    let text = String::from_utf8(shop.channel_file(0)).unwrap();
    let bare: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.starts_with("— witness")).collect();
    assert_ne!(bare.concat(), text);
    fs::write(shop.file("bare.tlog-channel"), bare.concat()).unwrap();
    let policy = fs::read_to_string(shop.world.policy()).unwrap();
    let quorum = policy.lines().find(|line| line.starts_with("quorum ")).unwrap();
    fs::write(shop.file("none.txt"), policy.replace(quorum, "quorum none")).unwrap();
    shop.configure(&grace("policy = \"none.txt\""));
    let args = ["verify", "agent-1", "--config", "client.toml", "--channel-file", "bare.tlog-channel"];
    let told = shop.run(&args).expect(REFUSED).json();
    assert_eq!(told["code"], "quorum-not-met", "{told}");
    assert!(told["message"].as_str().unwrap().contains("grace"), "{told}");
    // Nor does it stand in the way of what needs no exception.
    let verified = shop.verify("agent-1").expect(VERIFIED).json();
    assert!(verified.get("grace").is_none(), "{verified}");
}

#[test]
fn damaged_knowledge_of_a_channel_is_local_damage() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    let known = fs::read_dir(shop.file("memory/known")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&known).unwrap();
    for bytes in [Vec::new(), vec![0; whole.len()], whole[..whole.len() - 1].to_vec()] {
        fs::write(&known, &bytes).unwrap();
        shop.check("agent-1", UNDECIDED, "state-damaged");
        assert_eq!(code(&shop.update().expect(UNDECIDED)), "state-damaged");
        assert_eq!(fs::read(&known).unwrap(), bytes, "it is left for a person to look at");
    }
    fs::remove_file(&known).unwrap();
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_refused_way_back_says_which_record_to_go_to() {
    let shop = Shop::new("0");
    for name in ["agent-1", "agent-2", "agent-3"] {
        shop.release(name, "publish");
    }
    shop.update().expect(VERIFIED);
    shop.verify("agent-3").expect(VERIFIED);
    let next = || {
        let told = shop.verify("agent-2").expect(REFUSED).json();
        assert_eq!(told["code"], "rollback", "{told}");
        told["next"].as_str().unwrap().to_owned()
    };
    let names = |next: &str, name: &str| {
        next.contains(name) && next.contains(&shop.id(&format!("{name}.tlog-proof")).to_string())
    };
    assert!(names(&next(), "agent-3"), "{}", next());
    shop.withdraw("agent-3", "agent-1");
    shop.update().expect(VERIFIED);
    assert!(names(&next(), "agent-1") && !next().contains("agent-3"), "{}", next());
    shop.release("agent-4", "publish");
    shop.update().expect(VERIFIED);
    assert!(names(&next(), "agent-4"), "{}", next());
}
