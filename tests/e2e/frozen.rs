//! A client that is kept from what is newer: by a vendor who falls silent, by a mirror that stands still.

use std::fs;

use indelible_client::state::StateDir;
use indelible_proto::time::UnixSeconds;
use indelible_tests::world::Kind;
use indelible_tests::{Between, Finished, Shop, World, wait_until};

use crate::attack_bench::now;
use crate::exit::{HOLD, REFUSED, VERIFIED};
use crate::published::code;
use crate::shop::CHANNEL;

/// For how long the release is fresh. Less than the client takes witnesses' word for, ahead of its clock.
const FRESH_S: u64 = 300;

fn update(shop: &Shop, from: &str) -> Finished {
    shop.run(&["update-state", "--config", "client.toml", "--from", from])
}

fn release(shop: &Shop, name: &str) {
    fs::write(shop.file(name), name).unwrap();
    let what = ["publish", "release", name, "--version", name, "--expires-in", &FRESH_S.to_string()];
    let whose = ["--channel-name", CHANNEL, "--key", "publish.key"];
    shop.at_log(&[what.as_slice(), &whose].concat()).expect(VERIFIED);
}

fn heartbeat(shop: &Shop, of: &str) {
    let record = format!("{of}.tlog-proof");
    let what = ["publish", "head", "--record", &record, "--out", "head", "--expires-in", "86400"];
    let whose = ["--channel-name", CHANNEL, "--key", "publish.key"];
    shop.at_log(&[what.as_slice(), &whose].concat()).expect(VERIFIED);
}

/// Time passes for the client: witnesses have told it so.
fn later(shop: &Shop, seconds: u64) {
    let state = StateDir::open(&shop.file("memory")).unwrap();
    state.raise_time_floor(UnixSeconds::new(now() + seconds).unwrap()).unwrap();
}

#[test]
fn an_expired_release_is_held_until_a_heartbeat_renews_it() {
    let shop = Shop::new("0");
    release(&shop, "agent-1");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    fs::write(shop.file("old.tlog-channel"), shop.channel_file(0)).unwrap();
    later(&shop, FRESH_S);
    shop.check("agent-1", HOLD, "expired");
    // The log has nothing newer, and says so.
    assert_eq!(shop.update().expect(VERIFIED).json()["newRecords"], 0);
    shop.check("agent-1", HOLD, "expired");
    let guard = ["guard", "--config", "client.toml", "agent-1", "--", "touch", "installed"];
    shop.run(&guard).expect(HOLD);
    assert!(!shop.file("installed").exists());

    heartbeat(&shop, "agent-1");
    // Who is shown the channel as it was hears nothing of it.
    assert_eq!(update(&shop, "old.tlog-channel").expect(VERIFIED).json()["newRecords"], 0);
    shop.check("agent-1", HOLD, "expired");
    assert_eq!(shop.update().expect(VERIFIED).json()["newRecords"], 1);
    shop.verify("agent-1").expect(VERIFIED);
    // Nor does it forget it again.
    assert_eq!(code(&update(&shop, "old.tlog-channel").expect(REFUSED)), "channel-file-behind");
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_mirror_that_hides_a_newer_release_is_held_once_the_old_one_has_expired() {
    let shop = Shop::new("0");
    release(&shop, "agent-1");
    let mirror = Between::start(shop.world.log().address());
    let before = shop.channel_file(0);
    mirror.says("/channel-file/", "", &before);
    shop.release("agent-2", "publish");
    update(&shop, &mirror.url()).expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    later(&shop, FRESH_S);
    update(&shop, &mirror.url()).expect(VERIFIED);
    shop.check("agent-1", HOLD, "expired");
    mirror.honest();
    update(&shop, &mirror.url()).expect(VERIFIED);
    shop.check("agent-1", HOLD, "expired");
    shop.verify("agent-2").expect(VERIFIED);
}

#[test]
fn a_mirror_that_stands_still_is_held_and_the_log_itself_is_not() {
    // Short, because this waits for it to pass; long enough for a slow machine to hear of a young checkpoint in time.
    const MAX_AGE_S: u64 = 4;
    let mut world = World::prepare(Kind::Records, 1, 1);
    world.configure_log("refresh_interval_s", 1);
    world.start_all();
    let shop = Shop::in_world(world, "0");
    shop.release("agent-1", "publish");
    let mirror = Between::start(shop.world.log().address());
    mirror.says("/channel-file/", "", &shop.channel_file(0));
    shop.configure(&format!("max_age_s = {MAX_AGE_S}"));
    update(&shop, &mirror.url()).expect(VERIFIED);
    let held = wait_until("the checkpoint of the mirror is too old", || {
        Some(shop.verify("agent-1")).filter(|verdict| verdict.code() != VERIFIED)
    });
    assert_eq!(code(&held.expect(HOLD)), "checkpoint-stale");
    // To ask the mirror again is of no use.
    update(&shop, &mirror.url()).expect(VERIFIED);
    shop.check("agent-1", HOLD, "checkpoint-stale");
    // The log's own checkpoint is cosigned again and again, with nothing new in it.
    mirror.honest();
    wait_until("a young checkpoint is heard of", || {
        assert_eq!(update(&shop, &mirror.url()).expect(VERIFIED).json()["newRecords"], 0);
        (shop.verify("agent-1").code() == VERIFIED).then_some(())
    });
}
