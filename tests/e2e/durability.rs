//! What an acknowledgement rests on: the journal alone. Index, snapshot and tiles that it covers can be lost
//! or damaged, and cost a rebuild at most.

use std::fs;
use std::path::Path;

use indelible_proto::log_api::parse_index;
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;
use indelible_tests::http::Connection;
use indelible_tests::world::Kind;
use indelible_tests::{Publisher, World, http};

/// Two full bundles and a part of one.
const ENTRIES: usize = 600;

#[test]
fn a_killed_log_makes_lost_tiles_and_look_ups_again_from_its_journal() {
    let mut world = log_of(ENTRIES);
    let before = served(&world);
    world.take_log().kill();
    let data = world.log_dir().join("data");
    assert!(data.join("tile/0/000").exists(), "there is something to lose");
    for lost in ["tile", "index"] {
        fs::remove_dir_all(data.join(lost)).unwrap();
    }
    let _ = fs::remove_file(data.join("heads"));
    fs::create_dir_all(data.join("tile/entries")).unwrap();
    world.start_log();
    assert!(served(&world) == before, "the same tiles, byte for byte");
    check_index(&world, ENTRIES);
}

#[test]
fn a_deleted_index_is_made_again() {
    let mut world = log_of(ENTRIES);
    assert!(world.take_log().stop().success());
    fs::remove_dir_all(world.log_dir().join("data/index")).unwrap();
    world.start_log();
    check_index(&world, ENTRIES);
}

#[test]
fn a_damaged_index_is_made_again() {
    for damage in [truncate, zero, scramble] {
        let mut world = log_of(ENTRIES);
        assert!(world.take_log().stop().success());
        files_below(&world.log_dir().join("data/index")).for_each(|file| damage(&file));
        world.start_log();
        check_index(&world, ENTRIES);
    }
}

#[test]
fn an_index_that_points_to_other_records_answers_with_no_wrong_place() {
    // The same records, but the channels came in another order: everything is somewhere else.
    let channels = ["vendor.example/a", "vendor.example/b"].map(records_of);
    let [mut world, mut other] = [(0, 1), (1, 0)].map(|(first, second)| {
        let world = World::start(Kind::Records, 0, 0);
        channels[first].iter().chain(&channels[second]).for_each(|record| drop(submit(&world, record)));
        world
    });
    assert!(world.take_log().stop().success());
    assert!(other.take_log().stop().success());
    let (own, foreign) = (world.log_dir().join("data/index"), other.log_dir().join("data/index"));
    fs::remove_dir_all(&own).unwrap();
    fs::rename(foreign, own).unwrap();
    world.start_log();
    for (record, place) in channels.iter().flatten().zip(0..) {
        let proof = submit(&world, record);
        assert_eq!(proof.index().get(), place);
        assert_eq!(proof.extra(), Some(record.encode().as_slice()));
    }
}

#[test]
fn an_index_ahead_of_the_log_answers_with_no_place_beyond_its_end() {
    let mut world = log_of(300);
    assert!(world.take_log().stop().success());
    let (data, old) = (world.log_dir().join("data"), world.file("old-data"));
    copy_files(&data, &old);
    world.start_log();
    // Others than will come.
    let mut connection = Connection::open(world.log().address()).unwrap();
    for number in (300..900).rev() {
        connection.post("/add", &entry(number)).unwrap().expect(200);
    }
    drop(connection);
    assert!(world.take_log().stop().success());
    fs::remove_dir_all(old.join("index")).unwrap();
    fs::rename(data.join("index"), old.join("index")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(old, data).unwrap();
    world.start_log();
    check_index(&world, 300);
    check_places(&world, 900);
}

#[test]
fn an_index_from_before_the_last_entries_is_caught_up() {
    let mut world = log_of(300);
    assert!(world.take_log().stop().success());
    let index = world.log_dir().join("data/index");
    let old = world.file("old-index");
    copy_files(&index, &old);
    world.start_log();
    add(&world, 300, ENTRIES);
    assert!(world.take_log().stop().success());
    fs::remove_dir_all(&index).unwrap();
    fs::rename(old, index).unwrap();
    world.start_log();
    check_index(&world, ENTRIES);
}

#[test]
fn a_lost_snapshot_costs_a_longer_start_only() {
    let mut world = World::start(Kind::Records, 0, 0);
    let records = records_of("vendor.example/agent");
    let (last, records) = records.split_last().unwrap();
    records.iter().for_each(|record| drop(submit(&world, record)));
    let head = http::get(world.log().address(), "/channel/vendor.example/agent").expect(200).body;
    assert!(world.take_log().stop().success());
    let snapshot = world.log_dir().join("data/heads");
    let bytes = fs::read(&snapshot).unwrap();
    for damaged in [None, Some(vec![0; bytes.len()]), Some(bytes[..bytes.len() / 2].to_vec())] {
        match damaged {
            None => fs::remove_file(&snapshot).unwrap(),
            Some(bytes) => fs::write(&snapshot, bytes).unwrap(),
        }
        world.start_log();
        assert!(http::get(world.log().address(), "/channel/vendor.example/agent").expect(200).body == head);
        assert!(world.take_log().stop().success());
    }
    world.start_log();
    assert_eq!(submit(&world, last).index().get(), records.len() as u64);
    assert_eq!(submit(&world, &records[3]).index().get(), 3);
}

/// A channel's records, more than a bundle of them.
fn records_of(channel: &str) -> Vec<SignedRecord> {
    let mut publisher = Publisher::new(channel, 1);
    let mut next = |number: usize| {
        let record = publisher.next(format!("release {number}").as_bytes());
        publisher.accepted(&record);
        record
    };
    (0..270).map(&mut next).collect()
}

#[track_caller]
fn submit(world: &World, record: &SignedRecord) -> LogProof {
    let answer = http::post(world.log().address(), "/submit", &record.encode()).expect(200);
    LogProof::parse(&answer.body).unwrap()
}

/// A running log of so many entries.
fn log_of(entries: usize) -> World {
    let world = World::start(Kind::Raw, 0, 0);
    add(&world, 0, entries);
    world
}

fn add(world: &World, from: usize, to: usize) {
    let mut connection = Connection::open(world.log().address()).unwrap();
    for number in from..to {
        let answer = connection.post("/add", &entry(number)).unwrap().expect(200);
        assert_eq!(parse_index(&answer.body).unwrap().get(), number as u64);
    }
}

fn entry(number: usize) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

/// Every entry handed in again is found at its place, and a new one gets the next.
fn check_index(world: &World, entries: usize) {
    add(world, 0, entries);
    add(world, entries, entries + 1);
    let reader = world.reader();
    let head = reader.published(entries as u64 + 1).head();
    let served = reader.entries(&head);
    assert!(served.iter().enumerate().all(|(number, found)| found.as_bytes() == entry(number)));
}

/// Wherever the log says that an entry is, it is there.
fn check_places(world: &World, entries: usize) {
    let mut connection = Connection::open(world.log().address()).unwrap();
    let places: Vec<usize> = (0..entries)
        .map(|number| {
            let answer = connection.post("/add", &entry(number)).unwrap().expect(200);
            usize::try_from(parse_index(&answer.body).unwrap().get()).unwrap()
        })
        .collect();
    let reader = world.reader();
    let last = places.iter().max().unwrap();
    let served = reader.entries(&reader.published(*last as u64 + 1).head());
    for (number, place) in places.into_iter().enumerate() {
        assert!(served[place].as_bytes() == entry(number), "entry {number} is not at {place}");
    }
}

/// What the log serves of its tree, once all of it is published.
fn served(world: &World) -> Vec<Vec<u8>> {
    world.reader().published(ENTRIES as u64);
    let paths = ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"];
    let bundles = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88", "checkpoint"];
    let get = |path| http::get(world.log().address(), &format!("/{path}")).expect(200).body;
    paths.into_iter().chain(bundles).map(get).collect()
}

fn truncate(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn zero(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, vec![0; bytes.len()]).unwrap();
}

fn scramble(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes.iter_mut().skip(11).step_by(97).for_each(|byte| *byte ^= 0x5a);
    fs::write(file, bytes).unwrap();
}

fn files_below(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path)
}

fn copy_files(from: &Path, to: &Path) {
    for file in files_below(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
}
