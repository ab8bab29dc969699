//! A thief has the key that a channel had before its keys were changed. An honest log takes nothing of it any more; here
//! the log is one that takes anything, and its witness cosigns that.

use std::fs;

use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::record::{Predicate, RecordId, SignedRecord};
use indelible_proto::sign::{RecordSigner, SecretKey};
use indelible_tests::careless::{logged, take_anything};
use indelible_tests::{Finished, Shop};

use crate::exit::{HOLD, REFUSED, VERIFIED};
use crate::published::code;
use crate::shop::CHANNEL;

/// The releases that the stolen key signs, each a file with its leaf:
///
/// | file | where it says it stands |
/// |---|---|
/// | `early` | in the place of the change of keys, under the old ones |
/// | `late` | after the newest record, under the old keys |
/// | `posing` | after the newest record, under the new keys |
const STOLEN: [&str; 3] = ["early", "late", "posing"];

/// The shop after a change of keys, with what the thief has signed with the old one.
fn robbed() -> Shop {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    let prepare = |name: &str| {
        fs::write(shop.file(name), name).unwrap();
        let statement = format!("{name}.statement");
        let publish = ["publish", "release", name, "--version", name, "--channel-name", CHANNEL];
        shop.at_log(&[&publish, ["--prepare", &statement].as_slice()].concat()).expect(VERIFIED);
        let leaf = format!("{name}.leaf");
        shop.run(&["sign", &statement, "--key", "publish.key", "--out", &leaf]).expect(VERIFIED);
    };
    prepare("early");
    let keys = ["--signer", "next.key.vkey", "--key", "publish.key", "--key", "next.key"];
    shop.rotate(&[&["--in-force", "channel", "--out", "channel-2"], keys.as_slice()].concat());
    shop.release("agent-2", "next");
    prepare("posing");
    // No command signs under keys that are not in force.
    prepare("late");
    let leaf = SignedRecord::parse(&fs::read(shop.file("late.leaf")).unwrap()).unwrap();
    let late = under(&shop, &leaf, shop.id("channel"));
    fs::write(shop.file("late.leaf"), late.encode()).unwrap();
    shop
}

/// The same record under the keys of another one, signed with the stolen key.
fn under(shop: &Shop, record: &SignedRecord, keys: RecordId) -> SignedRecord {
    let mut statement = record.statement().clone();
    let Predicate::Release(common, _) = &mut statement.predicate else { panic!("a release") };
    common.keys = Some(keys);
    let key = fs::read_to_string(shop.file("publish.key")).unwrap();
    let signer = RecordSigner::new(SecretKey::parse(key.trim_end()).unwrap()).unwrap();
    SignedRecord::sign(&statement, &[&signer]).unwrap()
}

/// The log takes what the thief signed, and proves it.
fn admit(shop: &Shop) {
    for name in STOLEN {
        let leaf = fs::read(shop.file(&format!("{name}.leaf"))).unwrap();
        let proof = logged(&shop.world, &leaf);
        fs::write(shop.file(&format!("{name}.tlog-proof")), proof.encode()).unwrap();
    }
}

fn update(shop: &Shop, state: &str, from: &str) -> Finished {
    shop.run(&["update-state", "--config", "client.toml", "--state", state, "--from", from])
}

#[test]
fn an_honest_log_takes_nothing_of_a_key_that_was_changed() {
    let shop = robbed();
    for (name, reason) in [("early", "seq-mismatch"), ("late", "keys-mismatch"), ("posing", "signer-unknown")]
    {
        let leaf = format!("{name}.leaf");
        let told = shop.at_log(&["submit", &leaf, "--state", "thief"]).expect(REFUSED);
        assert!(told.stdout.contains(reason), "{name}: {told}");
    }
}

#[test]
fn what_a_log_took_of_a_key_that_was_changed_is_refused() {
    let mut shop = robbed();
    shop.update().expect(VERIFIED);
    shop.verify("agent-2").expect(VERIFIED);
    take_anything(&mut shop.world);
    admit(&shop);
    shop.check("early", REFUSED, "record-not-signed");
    shop.check("late", REFUSED, "record-not-signed");
    shop.check("posing", REFUSED, "record-not-signed");
    let guard = ["guard", "--config", "client.toml", "posing", "--", "touch", "installed"];
    shop.run(&guard).expect(REFUSED);
    assert!(!shop.file("installed").exists());
    shop.verify("agent-2").expect(VERIFIED);
    // Whoever watches the log says that it took what it must not take.
    let policy = shop.world.policy().display().to_string();
    let watch = ["watch", "--once", "--policy", &policy, "--state", "watchdog"];
    let watched = shop.run(&watch).expect(REFUSED);
    assert_eq!(watched.stdout.matches("\"record-refused\"").count(), STOLEN.len(), "{watched}");
}

#[test]
fn a_channel_file_with_a_record_of_a_key_that_was_changed_teaches_nothing() {
    let mut shop = robbed();
    let honest = shop.channel_file(0);
    fs::write(shop.file("honest.tlog-channel"), &honest).unwrap();
    update(&shop, "knows", "honest.tlog-channel").expect(VERIFIED);
    take_anything(&mut shop.world);
    let records = ChannelFile::parse(&honest).unwrap().records().to_vec();
    for (name, reason) in [("late", "keys-mismatch"), ("posing", "signer-unknown")] {
        let leaf = fs::read(shop.file(&format!("{name}.leaf"))).unwrap();
        let proof = logged(&shop.world, &leaf);
        let newest = NewestProof { index: proof.index(), proof: proof.proof().clone() };
        let records = [records.as_slice(), &[SignedRecord::parse(&leaf).unwrap()]].concat();
        let file = ChannelFile::new(records, newest, None, proof.note().clone()).unwrap();
        let path = format!("{name}.tlog-channel");
        fs::write(shop.file(&path), file.encode()).unwrap();
        // Who knows the channel, and who meets it.
        for state in ["knows", "new"] {
            assert_eq!(code(&update(&shop, state, &path).expect(REFUSED)), reason, "{name}, {state}");
        }
    }
    let again = update(&shop, "knows", "honest.tlog-channel").expect(VERIFIED).json();
    assert_eq!((&again["newRecords"], &again["seq"]), (&0.into(), &3.into()));
}

#[test]
fn who_has_not_heard_of_the_change_holds_what_may_be_hidden_and_refuses_it_once_told() {
    let mut shop = robbed();
    // All that this client knows is older than the change of keys.
    let first = shop.run(&["verify", "agent-1", "--config", "client.toml", "--channel", "channel"]);
    first.expect(VERIFIED);
    fs::write(shop.file("told.tlog-channel"), shop.channel_file(0)).unwrap();
    take_anything(&mut shop.world);
    admit(&shop);
    shop.check("posing", REFUSED, "record-other-keys");
    shop.configure("unknown = \"hold\"");
    shop.check("early", HOLD, "not-known");
    // Told of the change by whatever way.
    update(&shop, "memory", "told.tlog-channel").expect(VERIFIED);
    shop.check("early", REFUSED, "record-not-signed");
    shop.verify("agent-2").expect(VERIFIED);
}
