//! Somebody else opens a channel under the vendor's name first. A name is nobody's: what a client follows is the record
//! that opened the channel. A log that knows whose a domain is does not take the opening at all.

use std::fs;

use indelible_tests::world::Kind;
use indelible_tests::{Beside, Finished, Shop, World, http};

use crate::exit::{REFUSED, UNDECIDED, VERIFIED};
use crate::published::code;
use crate::shop::CHANNEL;

/// The vendor, and the log in which somebody else has the vendor's name.
struct Squatted {
    shop: Shop,
    popular: Beside,
}

impl Squatted {
    fn new() -> Self {
        let mut world = World::prepare(Kind::Records, 1, 1);
        let popular = Beside::start(&mut world, "popular.example/updates");
        popular.squat_channel(&world, CHANNEL);
        for name in ["evil-1", "evil-2"] {
            fs::write(world.file(name), name).unwrap();
            let release = ["publish", "release", name, "--version", name, "--channel-name", CHANNEL];
            popular.squat(&world, &release);
        }
        // The vendor opens the channel where the name is free.
        let shop = Shop::in_world(world, "0");
        shop.configure_under(popular.policy_of_both(), "");
        Self { shop, popular }
    }

    fn update(&self, state: &str, from: &str) -> Finished {
        self.shop.run(&["update-state", "--config", "client.toml", "--state", state, "--from", from])
    }

    /// A verdict of a client without a file of its own.
    fn by_hand(&self, artifact: &str, more: &[&str]) -> Finished {
        let policy = self.popular.policy_of_both().to_str().unwrap();
        let verify = ["verify", artifact, "--policy", policy, "--state", "by-hand"];
        self.shop.run(&[&verify, more].concat())
    }
}

#[test]
fn a_vendor_whose_name_is_taken_in_one_log_publishes_in_another() {
    let Squatted { shop, popular } = Squatted::new();
    let policy = popular.policy();
    let create = ["channel", "create", CHANNEL, "--owner", "Vendor", "--key", "publish.key", "--out", "late"];
    let late = ["--state", "vendor", "--policy", policy.to_str().unwrap()];
    assert_eq!(code(&shop.run(&[&create, late.as_slice()].concat()).expect(REFUSED)), "channel-exists");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_client_that_names_the_vendors_first_record_takes_nothing_of_a_squatter() {
    let squatted = Squatted::new();
    let (shop, popular) = (&squatted.shop, &squatted.popular);
    shop.release("agent-1", "publish");
    // Before anything is known, nothing says whose keys count: not even what the log of the squatter has.
    shop.check("evil-1", UNDECIDED, "no-trusted-keys");
    assert_eq!(code(&squatted.update("memory", popular.url()).expect(REFUSED)), "channel-other-genesis");
    shop.check("evil-1", UNDECIDED, "no-trusted-keys");

    squatted.update("memory", shop.world.url()).expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
    shop.check("evil-1", REFUSED, "record-not-signed");
    shop.check("evil-2", REFUSED, "record-not-signed");
    // Nor is the squatter's channel taken for a longer history of the vendor's.
    assert_eq!(code(&squatted.update("memory", popular.url()).expect(REFUSED)), "channel-file-fork");
    let given = ["verify", "evil-2", "--config", "client.toml", "--channel", "squatted"];
    for state in ["fresh", "memory"] {
        let given = [&given[..], &["--state", state]].concat();
        assert_eq!(code(&shop.run(&given).expect(REFUSED)), "channel-pinned-otherwise");
    }
    // What was refused was not pinned either.
    let own = ["verify", "agent-1", "--config", "client.toml", "--channel", "channel", "--state", "fresh"];
    shop.run(&own).expect(VERIFIED);
    let guard = ["guard", "--config", "client.toml", "evil-2", "--", "touch", "installed"];
    shop.run(&guard).expect(REFUSED);
    assert!(!shop.file("installed").exists());
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_client_that_was_given_the_vendors_channel_takes_nothing_of_a_squatter() {
    let squatted = Squatted::new();
    squatted.shop.release("agent-1", "publish");
    squatted.by_hand("agent-1", &["--channel", "channel"]).expect(VERIFIED);
    for given in [&[][..], &["--channel", CHANNEL]] {
        let verdict = squatted.by_hand("evil-1", given).expect(REFUSED);
        assert_eq!(code(&verdict), "record-not-signed", "{verdict}");
    }
    // Who would make it forget the vendor has to say so by hand.
    let verdict = squatted.by_hand("evil-1", &["--channel", "squatted"]).expect(REFUSED);
    assert_eq!(code(&verdict), "channel-pinned-otherwise");
    squatted.by_hand("agent-1", &[]).expect(VERIFIED);
}

/// Gives domains to their owners in the settings of a log that does not run, and closes it to all others.
fn close(world: &World, owners: &[(&str, &str)]) {
    let path = world.log_dir().join("log.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let table = "[channels.owners]\n";
    assert!(settings.contains("open = true\n") && settings.ends_with(table), "{settings}");
    let lines: String = owners.iter().map(|(domain, key)| format!("{domain:?} = [{key:?}]\n")).collect();
    fs::write(&path, settings.replace("open = true\n", "open = false\n") + &lines).unwrap();
}

#[test]
fn a_log_that_knows_the_owners_of_domains_takes_the_openings_of_nobody_else() {
    let mut world = World::prepare(Kind::Records, 1, 1);
    let run = |world: &World, args: &[&str]| {
        Finished::run(world.client().arg("--json").args(args)).expect(VERIFIED)
    };
    for key in ["owner", "squatter"] {
        run(&world, &["keygen", "vendor.example/publish", "--out", &format!("{key}.key")]);
    }
    let owner = fs::read_to_string(world.file("owner.key.vkey")).unwrap();
    close(&world, &[("vendor.example", owner.trim_end())]);
    world.start_all();
    let at_log = |args: &[&str]| {
        Finished::run(world.client().arg("--json").args(args).arg("--policy").arg(world.policy()))
    };
    let create = |channel: &str, key: &str, out: &[&str]| {
        let key = format!("{key}.key");
        at_log(&[&["channel", "create", channel, "--owner", "Vendor", "--key", &key], out].concat())
    };
    // The opening as its leaf, and the log's answer to that.
    let open = |channel: &str, key: &str| {
        let (statement, leaf) = (world.file("statement"), world.file("leaf"));
        create(channel, key, &["--prepare", "statement"]).expect(VERIFIED);
        run(&world, &["sign", "statement", "--key", &format!("{key}.key"), "--out", "leaf"]);
        let bytes = fs::read(&leaf).unwrap();
        [statement, leaf].iter().for_each(|file| fs::remove_file(file).unwrap());
        http::post(world.log().address(), "/submit", &bytes)
    };
    for (channel, reason) in [
        (CHANNEL, "channel-owner-unsigned"),
        ("vendor.example/other", "channel-owner-unsigned"),
        // One's own domain, where the log knows no owner of it.
        ("squatter.example/agent", "channel-domain-closed"),
    ] {
        assert_eq!(open(channel, "squatter").expect(403).json()["code"], reason);
        let told = create(channel, "squatter", &["--out", "squatted"]).expect(REFUSED);
        assert_eq!(code(&told), "log-refused");
        assert!(told.stdout.contains(reason), "{told}");
    }
    create(CHANNEL, "owner", &["--out", "channel"]).expect(VERIFIED);
    open("vendor.example/other", "owner").expect(200);
    // They are in the log once, whoever tried before.
    let reader = world.reader();
    assert_eq!(reader.published(2).head().size.get(), 2);
    fs::write(world.file("agent-1"), "agent").unwrap();
    let publish = ["publish", "release", "agent-1", "--version", "1", "--channel-name", CHANNEL];
    at_log(&[&publish, ["--key", "owner.key"].as_slice()].concat()).expect(VERIFIED);
    at_log(&[&publish, ["--key", "squatter.key", "--renew"].as_slice()].concat()).expect(REFUSED);
    at_log(&["verify", "agent-1", "--channel", "channel"]).expect(VERIFIED);
}
