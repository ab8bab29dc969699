//! The watchdog on a channel whose keys were stolen and recovered: both chains replayed from a real log, and what an
//! operator can do to the recovery chain found out.

use std::fs;

use indelible_proto::entry_bundle::Entry;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Rogue, World};
use serde_json::Value;

use crate::exit::{REFUSED, VERIFIED};
use crate::shop::{CHANNEL, Shop};

/// Looks once at the log, or a copy of it, and returns the findings that are not good.
#[track_caller]
fn watch(shop: &Shop, state: &str, more: &[&str], exit: i32) -> Vec<Value> {
    let mut watch = shop.world.client();
    watch.args(["--json", "watch", "--once", "--policy"]).arg(shop.world.policy()).args(["--state", state]);
    let watched = Finished::run(watch.args(more)).expect(exit);
    let lines = watched.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["level"].is_string() && line["level"] != "ok").collect()
}

#[test]
fn a_channel_that_was_stolen_and_recovered_is_replayed_and_no_step_of_it_can_be_changed() {
    let shop = Shop::in_world(World::start(Kind::Records, 0, 0), "0");
    let quiet = || assert!(watch(&shop, "watchdog", &[], VERIFIED).is_empty());
    shop.release("agent-1", "publish");
    let stolen = ["--in-force", "channel", "--out", "stolen", "--signer", "thief.key.vkey"];
    shop.rotate(&[&stolen, ["--key", "publish.key", "--key", "thief.key"].as_slice()].concat());
    quiet();
    // What the thief signs while the key counts is in place only until the recovery keys act.
    fs::write(shop.file("evil"), "evil").unwrap();
    let prepare = ["publish", "release", "evil", "--version", "1", "--channel-name", CHANNEL];
    shop.at_log(&[&prepare, ["--prepare", "evil.statement"].as_slice()].concat()).expect(VERIFIED);
    shop.run(&["sign", "evil.statement", "--key", "thief.key", "--out", "evil.leaf"]).expect(VERIFIED);
    let recovery = ["--recovery", "--key", "recovery.key"];
    let freeze = ["--in-force", "channel", "--out", "frozen", "--freeze"];
    shop.rotate(&[&freeze, recovery.as_slice()].concat());
    quiet();
    let recover =
        ["--in-force", "frozen", "--out", "recovered", "--signer", "next.key.vkey", "--key", "next.key"];
    shop.rotate(&[&recover, recovery.as_slice()].concat());
    shop.release("agent-2", "next");
    let withdraw =
        ["publish", "withdraw", "--record", "agent-1.tlog-proof", "--reason", "malicious", "--uninstall"];
    let whose = ["--channel-name", CHANNEL, "--out", "gone"];
    shop.at_log(&[&withdraw, whose.as_slice(), &recovery].concat()).expect(VERIFIED);
    let head =
        ["publish", "head", "--record", "agent-2.tlog-proof", "--channel-name", CHANNEL, "--out", "head"];
    shop.at_log(&[&head, ["--key", "next.key"].as_slice()].concat()).expect(VERIFIED);
    quiet();

    // Opened, agent-1, stolen, frozen, recovered, agent-2, gone, head.
    let reader = shop.world.reader();
    let entries = reader.entries(&reader.published(8).head());
    let order = |order: &[usize]| order.iter().map(|at| entries[*at].clone()).collect::<Vec<_>>();
    let evil = Entry::new(fs::read(shop.file("evil.leaf")).unwrap()).unwrap();
    let after_freeze = [&entries[..4], std::slice::from_ref(&evil)].concat();
    let before_freeze = [&entries[..3], &[evil], &entries[3..4]].concat();
    let mirror = |entries: Vec<Entry>| {
        let _ = fs::remove_dir_all(shop.file("mirror"));
        Rogue::new(&shop.world.log_dir().join("log.key"), entries).write_mirror(&shop.file("mirror"));
    };
    for (number, (what, entries, refused)) in [
        ("as it is", order(&[0, 1, 2, 3, 4, 5, 6, 7]), false),
        ("the thief before the freeze", before_freeze, false),
        ("the thief after the freeze", after_freeze, true),
        ("the freeze left out", order(&[0, 1, 2, 4]), true),
        ("the freeze twice", order(&[0, 1, 2, 3, 3]), true),
        ("the recovery left out", order(&[0, 1, 2, 3, 5]), true),
        ("the recovery before the freeze", order(&[0, 1, 2, 4, 3]), true),
        ("the withdrawal left out", order(&[0, 1, 2, 3, 4, 5, 7]), true),
        ("the heartbeat before what it names", order(&[0, 1, 2, 3, 4, 5, 7, 6]), true),
        // The two chains do not depend on each other's order otherwise.
        ("the withdrawal earlier", order(&[0, 1, 2, 3, 4, 6, 5, 7]), false),
    ]
    .into_iter()
    .enumerate()
    {
        mirror(entries);
        let exit = if refused { REFUSED } else { VERIFIED };
        let found = watch(&shop, &format!("watchdog-{number}"), &["--log", "mirror"], exit);
        assert_eq!(
            found.iter().any(|finding| finding["code"] == "record-refused"),
            refused,
            "{what}: {found:?}"
        );
    }
}
