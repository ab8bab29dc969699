//! Keys given with `--key` say who may sign for a channel of which nothing is known. They overrule nothing: no argument
//! that is added makes something pass that was refused.

use std::fs;

use indelible_tests::Finished;

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::{Room, check, code};
use crate::shop::{REVIEWS, Shop};

/// A client that knows three releases of a channel; the last was withdrawn, the first is safe.
fn shop_with_a_withdrawal() -> Shop {
    let shop = Shop::new("0");
    for name in ["agent-1", "agent-2", "agent-3"] {
        shop.release(name, "publish");
    }
    shop.withdraw("agent-3", "agent-1");
    shop.update().expect(VERIFIED);
    shop
}

/// What the client says of an artifact with these arguments, without its file.
fn bare(shop: &Shop, artifact: &str, args: &[&str]) -> Finished {
    let policy = shop.world.policy().display().to_string();
    shop.run(&[&["verify", artifact, "--policy", &policy, "--state", "memory"], args].concat())
}

#[test]
fn a_key_does_not_switch_off_what_is_known_of_a_channel() {
    let shop = shop_with_a_withdrawal();
    shop.check("agent-3", REFUSED, "withdrawn");
    let key = ["--key", "publish.key.vkey"];
    let refused = bare(&shop, "agent-3", &key).expect(REFUSED);
    assert_eq!(code(&refused), "withdrawn", "followed");
    bare(&shop, "agent-2", &key).expect(VERIFIED);
    // Pinned and followed.
    bare(&shop, "agent-2", &["--channel", "channel"]).expect(VERIFIED);
    assert_eq!(code(&bare(&shop, "agent-3", &key).expect(REFUSED)), "withdrawn");
    // Only pinned: what the channel says counts, too.
    fs::remove_dir_all(shop.file("memory/known")).unwrap();
    let told = bare(&shop, "agent-2", &key).expect(VERIFIED).json();
    let channel = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "channel").unwrap();
    assert_eq!(channel["result"], "passed", "{told}");
    // What is remembered cannot be lost on the way, either.
    let pin = fs::read_dir(shop.file("memory/pins")).unwrap().next().unwrap().unwrap().path();
    fs::write(pin, "damaged").unwrap();
    assert_eq!(code(&bare(&shop, "agent-2", &key).expect(UNDECIDED)), "state-damaged");
}

#[test]
fn of_a_known_channel_a_given_key_has_to_have_signed_besides() {
    let shop = shop_with_a_withdrawal();
    let told = bare(&shop, "agent-1", &["--key", "thief.key.vkey"]).expect(REFUSED);
    assert_eq!(code(&told), "record-not-signed");
    bare(&shop, "agent-1", &["--key", "thief.key.vkey", "--key", "publish.key.vkey"]).expect(VERIFIED);
}

#[test]
fn a_key_beside_named_channels_is_a_mistake_and_nothing_is_run() {
    let shop = shop_with_a_withdrawal();
    let beside = ["--config", "client.toml", "--key", "publish.key.vkey"];
    for artifact in ["agent-1", "agent-2", "agent-3"] {
        let told = shop.run(&[&["verify", artifact], &beside[..]].concat()).expect(USAGE);
        assert_eq!(code(&told), "key-beside-channels", "{told}");
        assert!(told.json()["next"].as_str().unwrap().contains("leave --key out"), "{told}");
        let guarded = [&["guard", artifact], &beside[..], &["--", "touch", "installed"]].concat();
        shop.run(&guarded).expect(USAGE);
    }
    let state = ["--policy", &shop.world.policy().display().to_string(), "--state", "memory"];
    let guarded = ["--key", "publish.key.vkey", "--", "touch", "installed"];
    shop.run(&[&["guard", "agent-3"], &state[..], &guarded].concat()).expect(REFUSED);
    assert!(!shop.file("installed").exists());
    // A file that names none is a client's that has none.
    let policy = shop.world.policy().display().to_string();
    fs::write(shop.file("client.toml"), format!("policy = {policy:?}\nstate = \"new\"\n")).unwrap();
    shop.run(&[&["verify", "agent-3"], &beside[..]].concat()).expect(VERIFIED);
}

#[test]
fn a_channel_file_beside_a_key_is_not_passed_over_in_silence() {
    let shop = shop_with_a_withdrawal();
    fs::write(shop.file("agent.tlog-channel"), shop.channel_file(0)).unwrap();
    let policy = shop.world.policy().display().to_string();
    let beside = ["--channel-file", "agent.tlog-channel", "--key", "publish.key.vkey"];
    let told = shop.run(&[&["verify", "agent-3", "--policy", &policy, "--no-state"], &beside[..]].concat());
    assert_eq!(code(&told.expect(USAGE)), "key-beside-channel-file");
    let files = format!("policy = {policy:?}\nchannel_files = [\"agent.tlog-channel\"]\n");
    fs::write(shop.file("client.toml"), &files).unwrap();
    let config = ["--config", "client.toml", "--no-state", "--key", "publish.key.vkey"];
    let told = shop.run(&[&["verify", "agent-3"], &config[..]].concat()).expect(USAGE);
    assert_eq!(code(&told), "key-beside-channel-file");
    // That of a reviewer who is asked for says something all the same.
    let create =
        ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews", "--key", "next.key"];
    shop.at_log(&create).expect(VERIFIED);
    let reviews = format!("/channel-file/0/0/{REVIEWS}");
    let reviews = indelible_tests::http::get(shop.world.log().address(), &reviews).expect(200).body;
    fs::write(shop.file("agent.tlog-channel"), reviews).unwrap();
    let rule = format!(
        "[[reviewers]]\nkind = \"rebuild\"\nat_least = 1\nof = {{ {REVIEWS:?} = \"{}\" }}\n",
        shop.id("reviews")
    );
    fs::write(shop.file("client.toml"), files + &rule).unwrap();
    let told = shop.run(&[&["verify", "agent-3"], &config[..]].concat()).expect(crate::exit::HOLD);
    assert_eq!(code(&told), "reviews-missing");
}

#[test]
fn what_was_verified_under_a_key_leads_no_way_back() {
    let room = Room::new();
    let key = ["--key", "vendor.vkey"];
    room.verify(&[&["agent-2"], &key[..]].concat()).expect(VERIFIED);
    check(&room, &[&["agent-1"], &key[..]].concat(), REFUSED, "rollback");
    let both = ["--key", "evil.vkey", "--key", "vendor.vkey"];
    check(&room, &[&["agent-1"], &both[..]].concat(), REFUSED, "rollback");
    // Nor does it become one by trusting the channel from now on.
    check(&room, &["agent-1", "--channel", "channel"], REFUSED, "rollback");
    check(&room, &["agent-1"], REFUSED, "rollback");
    room.verify(&[&["agent-2"], &key[..]].concat()).expect(VERIFIED);
    // Each channel has its own order.
    room.verify(&[&["beta"], &key[..]].concat()).expect(VERIFIED);
    room.verify(&["evil", "--key", "evil.vkey"]).expect(VERIFIED);
    // Who remembers nothing is told that it was not looked at.
    let told =
        room.verify(&[&["agent-1", "--no-state", "--json"], &key[..]].concat()).expect(VERIFIED).json();
    let sequence = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "sequence");
    assert_eq!(sequence.unwrap()["result"], "not applicable", "{told}");
}

#[test]
fn damage_of_what_a_key_signed_last_is_local_damage() {
    let room = Room::new();
    let args = ["agent-2", "--key", "vendor.vkey"];
    room.verify(&args).expect(VERIFIED);
    let file = fs::read_dir(room.file("home/indelible/signed")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    for bytes in [Vec::new(), vec![0; whole.len()], whole[..whole.len() - 1].to_vec(), vec![b'9'; 1 << 16]] {
        fs::write(&file, &bytes).unwrap();
        check(&room, &args, UNDECIDED, "state-damaged");
    }
    fs::remove_file(&file).unwrap();
    room.verify(&args).expect(VERIFIED);
}
