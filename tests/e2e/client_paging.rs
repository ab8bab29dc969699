//! A client that follows channels through more than one file, and one to whom the log shows another history.

use std::fs;

use indelible_client::carry::CarryReader;
use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::record::{RecordId, SignedRecord};
use indelible_proto::size::TreeSize;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, World};

use crate::exit::{EVIDENCE, REFUSED, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, Shop};

/// More than one channel file takes, by so many that the second is short.
const RECORDS: usize = ChannelFile::MAX_RECORDS + 30;

#[test]
fn a_channel_of_more_records_than_a_file_takes_is_followed_to_its_end() {
    let world = World::start(Kind::Records, 1, 1);
    let mut publisher = Publisher::new(CHANNEL, 1);
    fs::create_dir(world.file("records")).unwrap();
    let mut genesis: Option<RecordId> = None;
    for number in 0..RECORDS {
        let record = publisher.next(number.to_string().as_bytes());
        publisher.accepted(&record);
        genesis.get_or_insert(record.record_id());
        fs::write(world.file(format!("records/{number}.leaf")), record.encode()).unwrap();
    }
    let mut submit = world.client();
    Finished::run(submit.args(["submit", "records", "--policy"]).arg(world.policy())).expect(VERIFIED);
    let text = format!(
        "policy = {:?}\nstate = \"memory\"\n[channels]\n{CHANNEL:?} = \"{}\"\n",
        world.policy().display().to_string(),
        genesis.unwrap()
    );
    fs::write(world.file("client.toml"), text).unwrap();
    let run = |args: &[&str]| {
        Finished::run(world.client().arg("--json").args(args).args(["--config", "client.toml"]))
    };
    let told = run(&["update-state"]).expect(VERIFIED).json();
    assert_eq!((&told["newRecords"], &told["seq"]), (&RECORDS.into(), &(RECORDS - 1).into()), "{told}");
    assert_eq!(run(&["update-state"]).expect(VERIFIED).json()["newRecords"], 0);

    // Over an air gap it is as many files, and one that brings nothing new.
    run(&["carry", "export", "--out", "all.carry"]).expect(VERIFIED);
    let bytes = fs::read(world.file("all.carry")).unwrap();
    let (carry, _) = CarryReader::open(bytes.as_slice()).unwrap();
    let records: Vec<usize> = carry.channel_files.iter().map(|file| file.records().len()).collect();
    assert_eq!(records, [ChannelFile::MAX_RECORDS, RECORDS - ChannelFile::MAX_RECORDS + 1, 1]);
    for again in 0..2 {
        let imported = run(&["carry", "import", "all.carry", "--out", "out", "--state", "inside"]);
        let told = imported.expect(VERIFIED).json();
        let fresh = if again == 0 { RECORDS } else { 0 };
        assert_eq!(told["channels"][0]["newRecords"], fresh, "{told}");
    }
}

/// A shop without witnesses whose client has followed its channel into a tree of three entries, and the log's
/// operator, who has put something else in the place of the last one.
fn forked() -> (Shop, Rogue) {
    let shop = Shop::in_world(World::start(Kind::Records, 0, 0), "0");
    shop.release("agent-1", "publish");
    shop.run(&["keygen", "other.example/publish", "--out", "other.key"]).expect(VERIFIED);
    let create =
        ["channel", "create", "other.example/x", "--owner", "O", "--out", "other", "--key", "other.key"];
    shop.at_log(&create).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    let reader = shop.world.reader();
    let mut entries = reader.entries(&reader.published(3).head());
    entries[2] = Entry::new(b"something else".to_vec()).unwrap();
    let rogue = Rogue::new(&shop.world.log_dir().join("log.key"), entries);
    (shop, rogue)
}

/// The channel's file with so many of its records, as the operator makes it.
fn file_of(rogue: &Rogue, records: usize) -> ChannelFile {
    let size = rogue.size();
    let note = rogue.checkpoint(size);
    let newest = u64::try_from(records).unwrap() - 1;
    let proof = rogue.proof(newest, TreeSize::new(3).unwrap(), note.clone());
    let newest = NewestProof { index: proof.index(), proof: proof.proof().clone() };
    let entries = rogue.entries().iter().take(records);
    let records = entries.map(|entry| SignedRecord::parse(entry.as_bytes()).unwrap()).collect();
    ChannelFile::new(records, newest, None, note).unwrap()
}

#[test]
fn a_channel_in_another_history_of_the_log_is_evidence() {
    // The second file would be refused without evidence: it ends before what is known.
    for records in [2, 1] {
        let (shop, rogue) = forked();
        let file = file_of(&rogue, records);
        fs::write(shop.file("fork.tlog-channel"), file.encode()).unwrap();
        let served = shop.file("mirror/channel-file/0/0").join(CHANNEL);
        fs::create_dir_all(served.parent().unwrap()).unwrap();
        fs::write(served, file.encode()).unwrap();
        for from in ["fork.tlog-channel", "mirror"] {
            let _ = fs::remove_dir_all(shop.file("memory/evidence"));
            let found = shop.run(&["update-state", "--config", "client.toml", "--from", from]);
            assert_eq!((code(&found).as_str(), found.code()), ("log-forked", EVIDENCE), "{from}: {found}");
            let evidence =
                fs::read_dir(shop.file("memory/evidence")).unwrap().next().unwrap().unwrap().path();
            let file = evidence.display().to_string();
            shop.run(&["evidence", "verify", &file, "--log-key", &shop.world.log_vkey()]).expect(VERIFIED);
        }
        // Nothing of it was learned, and the true log goes on.
        assert_eq!(shop.update().expect(VERIFIED).json()["newRecords"], 0);
        shop.verify("agent-1").expect(VERIFIED);
        // Given for one verdict it is the same.
        let given = ["verify", "agent-1", "--config", "client.toml", "--channel-file", "fork.tlog-channel"];
        shop.run(&given).expect(EVIDENCE);
    }
    let (shop, rogue) = forked();
    let mut bytes = file_of(&rogue, 2).encode();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(shop.file("fork.tlog-channel"), bytes).unwrap();
    // What the log did not sign accuses nobody.
    let refused = shop.run(&["update-state", "--config", "client.toml", "--from", "fork.tlog-channel"]);
    refused.expect(REFUSED);
}
