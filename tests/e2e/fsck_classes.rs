//! The rarer findings of `indelible-server fsck`, each made in a log that is otherwise sound.

use std::fs;
use std::path::Path;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName, SignedNote};
use indelible_proto::sign::{LogSigner, SecretKey, Signer as _};
use indelible_proto::time::UnixSeconds;
use indelible_tests::filling::fill;
use indelible_tests::forgery::stranger;
use indelible_tests::site::Manner;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, Site, World, http};
use serde_json::Value;

use crate::attack_bench::{Bench, note};
use crate::fsck::{CLEAN, DAMAGED, codes, damage, findings, fsck};

/// The log is damaged, and this is among what is wrong.
#[track_caller]
fn has(finished: Finished, code: &str) -> Vec<Value> {
    let found = findings(&finished.expect(DAMAGED));
    assert!(codes(&found).contains(&code), "no {code} in {found:#?}");
    found
}

/// The same of a mirror of records by whoever has the log's key.
#[track_caller]
fn mirror_has(world: &World, mirror: &Path, code: &str) {
    let site = Site::serve(mirror, Manner::Honest);
    let mut command = world.server();
    command.args(["fsck", &site.url(), "--json", "--kind", "records", "--log-key", &world.log_vkey()]);
    has(Finished::run(&mut command), code);
}

#[test]
fn a_checkpoint_of_more_entries_than_there_are() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 300);
    let published = world.log_dir().join("data/checkpoint");
    let good = fs::read(&published).unwrap();
    let entry = |n: u16| Entry::new(n.to_be_bytes().to_vec()).unwrap();
    let larger = Rogue::new(&world.log_dir().join("log.key"), (0..400).map(entry).collect());
    fs::write(&published, larger.checkpoint(larger.size()).encode()).unwrap();
    has(fsck(&world), "published-ahead");
    fs::write(&published, good).unwrap();
    fsck(&world).expect(CLEAN);
}

#[test]
fn a_checkpoint_without_its_witnesses_or_with_a_stranger() {
    let mut world = World::start(Kind::Raw, 1, 1);
    http::post(world.log().address(), "/add", b"entry").expect(200);
    world.reader().published(1);
    assert!(world.take_log().stop().success());
    fsck(&world).expect(CLEAN);
    let published = world.log_dir().join("data/checkpoint");
    let signed = SignedNote::parse(&fs::read(&published).unwrap()).unwrap();
    fs::write(&published, note(signed.text(), &signed.signatures()[..1])).unwrap();
    has(fsck(&world), "published-policy");
    let mut with_stranger = signed;
    let line =
        stranger("stranger.example/s", 1).cosign(with_stranger.text(), UnixSeconds::new(1).unwrap()).unwrap();
    with_stranger.add_signature(line).unwrap();
    fs::write(&published, with_stranger.encode()).unwrap();
    has(fsck(&world), "published-line-unknown");
}

#[test]
fn checkpoints_by_another_key_of_the_same_name() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 300);
    let name = KeyName::parse("log.example/updates").unwrap();
    let other = SecretKey::from_seed(KeyKind::Log, name, [9; 32]);
    let policy = fs::read_to_string(world.policy()).unwrap();
    fs::write(world.policy(), policy.replace(&world.log_vkey(), &other.verifier().encode())).unwrap();
    has(fsck(&world), "signed-checkpoint-foreign");
}

#[test]
fn entries_and_tile_of_which_neither_leads_to_the_root() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 700);
    let data = world.log_dir().join("data");
    damage(&data.join("tile/entries/000"), "flip 30");
    damage(&data.join("tile/0/000"), "flip 4000");
    has(fsck(&world), "entry-or-tile-differs");
}

#[test]
fn an_end_of_the_journal_that_nothing_else_knows_of() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 300);
    let data = world.log_dir().join("data");
    let journal = data.join("journal/0000000000000000");
    let mut bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 40] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    fs::remove_file(data.join("checkpoint")).unwrap();
    let _ = fs::remove_file(data.join("heads"));
    let found = has(fsck(&world), "torn-append");
    assert!(!codes(&found).contains(&"append-damaged"), "{found:#?}");
}

#[test]
fn more_files_are_missing_than_are_tried() {
    let world = World::prepare(Kind::Raw, 0, 0);
    let mirror = world.file("mirror");
    fs::create_dir(&mirror).unwrap();
    let key = fs::read_to_string(world.log_dir().join("log.key")).unwrap();
    let signer = LogSigner::new(SecretKey::parse(key.trim_end()).unwrap()).unwrap();
    let text = Bench::checkpoint(1 << 20, &sha256(b"a root"));
    fs::write(mirror.join("checkpoint"), note(&text, &[signer.sign(text.as_bytes())])).unwrap();
    mirror_has(&world, &mirror, "gave-up");
    mirror_has(&world, &mirror, "root-unknown");
}

#[test]
fn records_that_are_none_or_cannot_be_judged() {
    let world = World::prepare(Kind::Records, 0, 0);
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let mut records = || {
        let record = publisher.next(b"content");
        publisher.accepted(&record);
        record.to_entry()
    };
    let mut entries: Vec<Entry> = (0..300).map(|_| records()).collect();
    let (key, mirror) = (world.log_dir().join("log.key"), world.file("mirror"));
    Rogue::new(&key, entries.clone()).write_mirror(&mirror);
    // Without the first bundle, nothing says what the records of the second follow.
    fs::remove_file(mirror.join("tile/entries/000")).unwrap();
    mirror_has(&world, &mirror, "record-not-judged");
    fs::remove_dir_all(&mirror).unwrap();
    entries[7] = Entry::new(b"no record".to_vec()).unwrap();
    Rogue::new(&key, entries).write_mirror(&mirror);
    mirror_has(&world, &mirror, "entry-not-a-record");
}

#[test]
fn a_snapshot_of_other_channels() {
    let [world, other] = [1, 2].map(|seed| {
        let mut world = World::start(Kind::Records, 0, 0);
        let mut publisher = Publisher::new(&format!("vendor.example/agent-{seed}"), seed);
        let mut connection = http::Connection::open(world.log().address()).unwrap();
        for _ in 0..300 {
            let record = publisher.next(b"content");
            connection.post("/submit", &record.encode()).unwrap().expect(200);
            publisher.accepted(&record);
        }
        assert!(world.take_log().stop().success());
        world
    });
    fsck(&world).expect(CLEAN);
    fs::copy(other.log_dir().join("data/heads"), world.log_dir().join("data/heads")).unwrap();
    has(fsck(&world), "heads-channel");
}
