//! `indelible-server fsck`: a sound log is clean, and every class of damage is found, named, and told what to
//! do about.

use std::fs;
use std::path::Path;

use indelible_tests::filling::fill;
use indelible_tests::site::Manner;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, Site, World, http};
use serde_json::Value;

pub(crate) const CLEAN: i32 = 0;
pub(crate) const DAMAGED: i32 = 1;
const USAGE: i32 = 2;
const UNREAD: i32 = 40;

#[test]
fn a_sound_log_is_clean_while_it_runs_and_while_it_does_not() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    let empty = findings(&fsck(&world).expect(CLEAN));
    assert_eq!(empty.last().unwrap()["size"], 0);
    fill(&world.log_dir(), 700);
    world.start_all();
    http::post(world.log().address(), "/add", b"one more").expect(200);
    world.reader().published(701);
    let running = findings(&fsck(&world).expect(CLEAN));
    assert_eq!(codes(&running), ["running"]);
    let url =
        Finished::run(world.server().args(["fsck", world.url(), "--json", "--policy"]).arg(world.policy()));
    assert_eq!(findings(&url.expect(CLEAN)).last().unwrap()["entries"], 701);
    let before = snapshot(&world.log_dir());
    world.take_log().kill();
    assert_eq!(codes(&findings(&fsck(&world).expect(CLEAN))), [""; 0]);
    assert!(snapshot(&world.log_dir()) == before, "fsck wrote into the log's directory");
    // People are told the same, and how fast it was.
    let told = Finished::run(world.server().arg("fsck").arg(world.log_dir())).expect(CLEAN);
    assert!(told.stdout.contains("clean: 701 entries") && told.stdout.contains("MB/s"), "{told}");
}

#[test]
fn a_log_that_takes_entries_meanwhile_is_clean() {
    let world = World::start(Kind::Raw, 0, 0);
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| (0..8).for_each(|_| drop(fsck(&world).expect(CLEAN))));
        let mut connection = http::Connection::open(world.log().address()).unwrap();
        let mut number = 0;
        while !checking.is_finished() {
            let answer = connection.post("/add", format!("entry {number}").as_bytes()).unwrap();
            answer.expect(200);
            number += 1;
        }
    });
}

#[test]
fn every_class_of_damage_is_found_and_named() {
    let world = World::prepare(Kind::Raw, 0, 0);
    let dir = world.log_dir();
    fill(&dir, 700);
    let data = dir.join("data");
    let cases: [(&str, &str, &str); 13] = [
        ("tile/entries/000", "flip 30", "entry-differs"),
        ("tile/entries/001", "flip 0", "bundle-form"),
        ("tile/entries/001", "cut", "bundle-form"),
        ("tile/entries/001", "grow", "bundle-form"),
        ("tile/entries/001", "delete", "bundle-missing"),
        ("tile/0/000", "flip 4000", "tile-differs"),
        ("tile/0/001", "cut", "tile-form"),
        ("tile/0/000", "delete", "tile-missing"),
        ("heads", "flip 60", "heads-form"),
        ("checkpoint", "flip 3", "published-damaged"),
        ("checkpoint", "delete", "published-missing"),
        ("journal/0000000000000000", "flip 10", "segment-header"),
        ("journal/0000000000000000", "flip 4300", "record-unreadable"),
    ];
    for (file, how, code) in cases {
        let path = data.join(file);
        let bytes = fs::read(&path).unwrap();
        damage(&path, how);
        let found = findings(&fsck(&world).expect(DAMAGED));
        let finding = found.iter().find(|finding| finding["code"] == code);
        let finding = finding.unwrap_or_else(|| panic!("{how} of {file}: no {code} in {found:#?}"));
        assert!(finding["do"].as_str().is_some_and(|todo| !todo.is_empty()), "{how} of {file}: {finding}");
        assert!(finding["place"].as_str().unwrap().contains(file), "{how} of {file}: {finding}");
        fs::write(&path, &bytes).unwrap();
        fsck(&world).expect(CLEAN);
    }
    for (stray, code) in [
        ("tile/0/003", "file-beyond-tree"),
        ("tile/entries/notes.txt", "stray-file"),
        ("journal/x", "stray-file"),
    ] {
        fs::write(data.join(stray), b"x").unwrap();
        assert_eq!(codes(&findings(&fsck(&world).expect(DAMAGED))), [code], "{stray}");
        fs::remove_file(data.join(stray)).unwrap();
    }
}

#[test]
fn all_damage_is_listed_not_only_the_first() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 1_300);
    let data = world.log_dir().join("data");
    for (file, how) in [
        ("tile/entries/000", "flip 30"),
        ("tile/entries/002", "delete"),
        ("tile/entries/004", "flip 40"),
        ("checkpoint", "flip 3"),
    ] {
        damage(&data.join(file), how);
    }
    let found = findings(&fsck(&world).expect(DAMAGED));
    let places: Vec<&str> = found.iter().filter_map(|finding| finding["place"].as_str()).collect();
    assert_eq!(places.len(), 4, "{found:#?}");
    let found_in = |file: &str| places.iter().any(|place| place.ends_with(file));
    for file in ["tile/entries/000", "tile/entries/002", "tile/entries/004", "checkpoint"] {
        assert!(found_in(file), "nothing about {file} in {found:#?}");
    }
}

#[test]
fn tiles_above_the_leaves_tell_which_file_is_damaged() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 66_000);
    let data = world.log_dir().join("data");
    for (file, code) in [
        ("tile/1/000", "tile-differs"),
        ("tile/0/100", "tile-differs"),
        ("tile/entries/200", "entry-differs"),
    ] {
        let path = data.join(file);
        let bytes = fs::read(&path).unwrap();
        damage(&path, "flip 77");
        let found = findings(&fsck(&world).expect(DAMAGED));
        assert_eq!(codes(&found), [code], "{file}: {found:#?}");
        assert!(found[0]["place"].as_str().unwrap().ends_with(file), "{found:#?}");
        fs::write(&path, &bytes).unwrap();
    }
    fsck(&world).expect(CLEAN);
}

#[test]
fn a_journal_that_lost_its_end_is_found_where_something_else_knows_of_it() {
    let world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), 700);
    let journal = world.log_dir().join("data/journal/0000000000000000");
    let mut bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 40] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let found = findings(&fsck(&world).expect(DAMAGED));
    let codes = codes(&found);
    assert!(codes.contains(&"journal-behind-signed") && codes.contains(&"append-damaged"), "{found:#?}");
}

#[test]
fn records_are_replayed_and_compared_with_the_snapshot() {
    let mut world = World::start(Kind::Records, 0, 0);
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    for number in 0..5 {
        let record = publisher.next(format!("release {number}").as_bytes());
        http::post(world.log().address(), "/submit", &record.encode()).expect(200);
        publisher.accepted(&record);
    }
    assert_eq!(codes(&findings(&fsck(&world).expect(CLEAN))), ["running"]);
    let url = |kind: &str| {
        let mut command = world.server();
        command.args(["fsck", world.url(), "--json", "--kind", kind, "--policy"]).arg(world.policy());
        Finished::run(&mut command)
    };
    url("records").expect(CLEAN);
    assert!(world.take_log().stop().success());
    assert_eq!(codes(&findings(&fsck(&world).expect(CLEAN))), [""; 0]);

    // A log that admitted what it must not have: the second record of a channel without the first.
    let entries = ["one", "two"].map(|name| {
        let record = Publisher::new(&format!("vendor.example/{name}"), 2).next(b"x");
        record.to_entry()
    });
    let mut other = Publisher::new("vendor.example/three", 3);
    let first = other.next(b"x");
    other.accepted(&first);
    let orphan = other.next(b"y").to_entry();
    let mirror = world.file("mirror");
    let rogue = Rogue::new(&world.log_dir().join("log.key"), [&entries[..], &[orphan]].concat());
    rogue.write_mirror(&mirror);
    let site = Site::serve(&mirror, Manner::Honest);
    let mut command = world.server();
    command.args(["fsck", &site.url(), "--json", "--kind", "records", "--log-key", &world.log_vkey()]);
    let found = findings(&Finished::run(&mut command).expect(DAMAGED));
    assert_eq!(codes(&found), ["record-may-not-follow"]);
    assert_eq!(found[0]["place"], "entry 2");
    // The tree itself is sound.
    let mut raw = world.server();
    Finished::run(raw.args(["fsck", &site.url(), "--log-key", &world.log_vkey()])).expect(CLEAN);
}

#[test]
fn a_foreign_site_is_checked_to_its_last_partial_tile() {
    let world = World::prepare(Kind::Raw, 0, 0);
    let mirror = world.file("mirror");
    let entries =
        (0..600).map(|n| indelible_proto::entry_bundle::Entry::new(format!("{n}").into_bytes()).unwrap());
    Rogue::new(&world.log_dir().join("log.key"), entries.collect()).write_mirror(&mirror);
    let site = Site::serve(&mirror, Manner::Honest);
    let check = || {
        let mut command = world.server();
        Finished::run(command.args(["fsck", &site.url(), "--json", "--log-key", &world.log_vkey()]))
    };
    check().expect(CLEAN);
    for (file, code) in [
        ("tile/0/002.p/88", "tile-differs"),
        ("tile/1/000.p/2", "tile-differs"),
        ("tile/entries/002.p/88", "entry-differs"),
    ] {
        let path = mirror.join(file);
        let bytes = fs::read(&path).unwrap();
        damage(&path, "flip 3");
        let found = findings(&check().expect(DAMAGED));
        assert_eq!(codes(&found), [code], "{file}: {found:#?}");
        assert_eq!(found[0]["place"], file);
        fs::write(&path, bytes).unwrap();
    }
    // A valid checkpoint of another tree.
    let mut other = Rogue::new(&world.log_dir().join("log.key"), Vec::new());
    (0..600).for_each(|n| other.push(indelible_proto::entry_bundle::Entry::new(vec![n as u8]).unwrap()));
    fs::write(mirror.join("checkpoint"), other.checkpoint(other.size()).encode()).unwrap();
    let found = findings(&check().expect(DAMAGED));
    assert_eq!(codes(&found), ["root-differs"]);
}

#[test]
fn what_could_not_be_read_is_not_called_damaged() {
    let world = World::prepare(Kind::Raw, 0, 0);
    let mirror = world.file("mirror");
    let entries =
        (0..300).map(|n| indelible_proto::entry_bundle::Entry::new(format!("{n}").into_bytes()).unwrap());
    Rogue::new(&world.log_dir().join("log.key"), entries.collect()).write_mirror(&mirror);
    let site = Site::serve(&mirror, Manner::Until(2));
    let check =
        |url: &str, key: &str| Finished::run(world.server().args(["fsck", url, "--json", "--log-key", key]));
    let key = world.log_vkey();
    let found = findings(&check(&site.url(), &key).expect(UNREAD));
    assert!(codes(&found).contains(&"unread"), "{found:#?}");
    // Bodies without end, and pages in place of data, are no log data.
    for manner in [Manner::Endless, Manner::WebPage] {
        site.set(manner);
        check(&site.url(), &key).expect(DAMAGED);
    }
    site.set(Manner::Honest);
    check(&site.url(), &key).expect(CLEAN);
    // Another key: nothing is known about the log, but the checkpoint is not one of it.
    let other = World::prepare(Kind::Raw, 0, 0).log_vkey();
    check(&site.url(), &other).expect(DAMAGED);
    check("http://127.0.0.1:1", &key).expect(UNREAD);
    Finished::run(world.server().args(["fsck", "/nonexistent"])).expect(UNREAD);
    Finished::run(world.server().args(["fsck", &site.url()])).expect(USAGE);
    Finished::run(world.server().args(["fsck", &site.url(), "--log-key", "no-key"])).expect(USAGE);
}

pub(crate) fn fsck(world: &World) -> Finished {
    Finished::run(world.server().arg("fsck").arg(world.log_dir()).arg("--json"))
}

/// The findings, and at their end the result.
pub(crate) fn findings(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn codes(findings: &[Value]) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding["grade"].is_string())
        .map(|f| f["code"].as_str().unwrap())
        .collect()
}

pub(crate) fn damage(path: &Path, how: &str) {
    let mut bytes = fs::read(path).unwrap();
    match how.split_once(' ') {
        Some(("flip", at)) => bytes[at.parse::<usize>().unwrap()] ^= 1,
        _ if how == "cut" => bytes.truncate(bytes.len() - 1),
        _ if how == "grow" => bytes.push(0),
        _ => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

fn snapshot(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().is_file());
    files.map(|file| (file.path().to_owned(), fs::read(file.path()).unwrap())).collect()
}
