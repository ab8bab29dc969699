//! Looking something up: what is found is proved, and what a log says is believed for nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use indelible_proto::hash::{leaf_hash, sha256};
use indelible_proto::log_api::{Lookup, LookupAnswer, LookupKey};
use indelible_proto::record::SignedRecord;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, World, http};
use serde_json::Value;

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};

const CHANNEL: &str = "vendor.example/agent";
const HOLD: i32 = 10;

/// A log with the record that opens a channel and a release of each of these contents.
fn world_of(contents: &[&str]) -> (World, Vec<SignedRecord>) {
    let world = World::start(Kind::Records, 1, 1);
    let mut publisher = Publisher::new(CHANNEL, 1);
    let records = std::iter::once(&"").chain(contents).map(|content| {
        let record = publisher.next(content.as_bytes());
        http::post(world.log().address(), "/submit", &record.encode()).expect(200);
        publisher.accepted(&record);
        record
    });
    let records = records.collect();
    (world, records)
}

fn lookup(world: &World, what: &str, url: Option<&str>) -> Finished {
    let mut command = world.client();
    command.args(["lookup", what, "--policy"]).arg(world.policy()).arg("--json");
    command.args(url.map(|url| format!("--log={url}")));
    Finished::run(&mut command)
}

fn found(finished: &Finished) -> Vec<u64> {
    let output: Value = serde_json::from_str(&finished.stdout).unwrap();
    let entries = output["entries"].as_array().unwrap().iter();
    entries.filter(|entry| entry["proved"] == true).map(|entry| entry["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_file_a_hash_a_record_and_a_channel_are_found_and_proved() {
    let (world, records) = world_of(&["one", "two", "one"]);
    let file = world.file("agent.tar.gz");
    fs::write(&file, "one").unwrap();
    let leaf = leaf_hash(&records[2].encode()).to_hex();
    for (what, expected) in [
        (file.to_str().unwrap(), &[1, 3][..]),
        (&sha256(b"two").to_hex(), &[2]),
        (&records[0].record_id().to_string(), &[0]),
        (&leaf, &[2]),
        (CHANNEL, &[3]),
    ] {
        let finished = lookup(&world, what, None).expect(VERIFIED);
        assert_eq!(found(&finished), expected, "{what}: {finished}");
    }
    let mut people = world.client();
    people.args(["lookup", CHANNEL, "--policy"]).arg(world.policy());
    let shown = Finished::run(&mut people).expect(VERIFIED).stdout;
    assert!(shown.contains("record 3 of vendor.example/agent") && shown.contains("unchecked"), "{shown}");
}

#[test]
fn what_is_not_found_is_no_proof_of_anything() {
    let (world, _) = world_of(&["one"]);
    let nothing = sha256(b"nothing").to_hex();
    for what in [nothing.as_str(), "vendor.example/other"] {
        let finished = lookup(&world, what, None).expect(UNDECIDED);
        assert!(finished.stdout.contains("proves nothing"), "{finished}");
    }
    lookup(&world, "no such thing", None).expect(USAGE);
    // Without a policy there is nothing to prove it with.
    let mut command = world.client();
    command.args(["lookup", &sha256(b"one").to_hex(), "--log", world.url()]);
    let finished = Finished::run(&mut command).expect(UNDECIDED);
    assert!(finished.stdout.contains("nothing is proved"), "{finished}");
}

#[test]
fn a_raw_log_finds_a_file_that_is_an_entry() {
    let world = World::start(Kind::Raw, 0, 0);
    for number in 0..300 {
        http::post(world.log().address(), "/add", format!("entry {number}").as_bytes()).expect(200);
    }
    let file = world.file("entry");
    for number in [0, 299] {
        fs::write(&file, format!("entry {number}")).unwrap();
        assert_eq!(found(&lookup(&world, file.to_str().unwrap(), None).expect(VERIFIED)), [number]);
    }
}

#[test]
fn a_log_that_names_another_entry_is_caught() {
    let (world, _) = world_of(&["one", "two"]);
    let lookup_of = |content: &[u8]| Lookup::all(LookupKey::Artifact(sha256(content)));
    let answer = http::get(world.log().address(), &lookup_of(b"one").path()).expect(200).body;
    let honest = LookupAnswer::parse(&answer).unwrap();
    let mut other = honest.clone();
    other.entries[0].index = indelible_proto::size::LeafIndex::new(2).unwrap();
    let mut beyond = honest.clone();
    beyond.entries[0].index = indelible_proto::size::LeafIndex::new(7).unwrap();
    let what = sha256(b"one").to_hex();
    let cases = [
        ("200 OK", honest.encode(), VERIFIED),
        ("200 OK", other.encode(), REFUSED),
        ("200 OK", beyond.encode(), HOLD),
        ("200 OK", honest.encode().replace("\"seq\":1", "\"seq\": 1"), UNDECIDED),
        ("200 OK", "{}".to_owned(), UNDECIDED),
        ("404 Not Found", "<html>".to_owned(), UNDECIDED),
        ("500 Internal Server Error", String::new(), UNDECIDED),
    ];
    for (status, body, expected) in cases {
        let url = liar(world.log().address(), status, &body);
        let finished = lookup(&world, &what, Some(&url)).expect(expected);
        assert!(expected != HOLD || found(&finished).is_empty(), "{finished}");
    }
}

/// Rows S9 and S10 for whoever looks something up: an index that was deleted, that belongs to another log, or
/// that is damaged gives the same answers after the start as before.
#[test]
fn an_index_that_was_deleted_damaged_or_exchanged_answers_as_before() {
    let (mut world, records) = world_of(&["one", "two", "one"]);
    let (mut other, _) = world_of(&["two", "one"]);
    let paths: Vec<String> = [
        LookupKey::Artifact(sha256(b"one")),
        LookupKey::Record(records[2].record_id()),
        LookupKey::Leaf(leaf_hash(&records[1].encode())),
    ]
    .into_iter()
    .map(|key| Lookup::all(key).path())
    .collect();
    let answers = |world: &World| {
        let get = |path: &String| http::get(world.log().address(), path).expect(200).body;
        paths.iter().map(get).collect::<Vec<_>>()
    };
    let before = answers(&world);
    assert!(other.take_log().stop().success());
    let foreign = other.log_dir().join("data/index");
    for damage in ["deleted", "damaged", "exchanged"] {
        assert!(world.take_log().stop().success());
        let index = world.log_dir().join("data/index");
        match damage {
            "deleted" => fs::remove_dir_all(&index).unwrap(),
            "damaged" => files(&index).for_each(|file| fs::write(file, [0x5a; 5000]).unwrap()),
            _ => {
                fs::remove_dir_all(&index).unwrap();
                fs::rename(&foreign, &index).unwrap();
            }
        }
        world.start_log();
        assert!(answers(&world) == before, "{damage}");
    }
}

fn files(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path)
}

/// A server that answers every look-up with this, and everything else as the log does.
fn liar(log: &str, status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lie =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let log = log.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let path = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned();
            if path.starts_with("/lookup/") {
                stream.write_all(lie.as_bytes()).unwrap();
                continue;
            }
            let answer = http::get(&log, &path).expect(200).body;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
        }
    });
    url
}
