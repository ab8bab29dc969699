//! Rows T1 to T9 of `docs/attacks.md`: what a client makes of a log, a mirror or a proxy that serves wrong bytes.
//!
//! A real log of 300 entries, and somebody in front of it who changes one answer. `lookup` proves an entry with
//! tiles and a bundle; `watch` reads all entries and compares checkpoints of two sizes. No wrong byte may make either
//! accept anything, and none that nobody signed is an accusation of more than what it is.

use std::fs;

use indelible_proto::hash::leaf_hash;
use indelible_proto::size::TreeSize;
use indelible_tests::world::Kind;
use indelible_tests::{Between, Deed, Finished, Rogue, World, http};

use crate::exit::{REFUSED, UNDECIDED, VERIFIED};
use crate::watchdog_bench::entries;

const ENTRIES: usize = 300;
/// An entry of the full bundle, and one of the partial one.
const EARLY: usize = 5;
const LATE: usize = 290;

/// The log and who is in front of it.
struct Road {
    world: World,
    between: Between,
}

fn entry(number: usize) -> Vec<u8> {
    // One has no bytes, which is an entry like any other.
    if number == EARLY + 1 { Vec::new() } else { format!("entry {number}").into_bytes() }
}

impl Road {
    fn new() -> Self {
        let world = World::start(Kind::Raw, 1, 1);
        let address = world.log().address();
        let mut connection = http::Connection::open(address).unwrap();
        (0..ENTRIES).for_each(|number| drop(connection.post("/add", &entry(number)).unwrap().expect(200)));
        world.reader().published(ENTRIES as u64);
        let between = Between::start(address);
        Self { world, between }
    }

    fn lookup(&self, number: usize) -> Finished {
        let mut lookup = self.world.client();
        let leaf = leaf_hash(&entry(number)).to_hex();
        lookup.args(["lookup", &leaf, "--json", "--log", &self.between.url(), "--policy"]);
        Finished::run(lookup.arg(self.world.policy()))
    }

    /// Everything, from the first entry on, and a smaller checkpoint beside it.
    fn watch(&self) -> Finished {
        let rogue = Rogue::new(&self.world.log_dir().join("log.key"), entries(&self.world));
        let smaller = self.world.file("smaller");
        fs::write(&smaller, rogue.checkpoint(TreeSize::new(270).unwrap()).encode()).unwrap();
        let state = self.world.file("watchdog");
        let _ = fs::remove_dir_all(&state);
        let mut watch = self.world.client();
        watch.args(["watch", "--once", "--raw", "--json", "--log", &self.between.url(), "--policy"]);
        let watched = Finished::run(
            watch.arg(self.world.policy()).arg("--source").arg(smaller).arg("--state").arg(&state),
        );
        let evidence = fs::read_dir(state.join("evidence")).map_or(0, Iterator::count);
        assert_eq!(evidence, 0, "evidence of what nobody signed: {watched}");
        watched
    }

    /// How the look-up of an entry ends, and why; whatever came, the next honest answer is believed.
    #[track_caller]
    fn check(&self, row: &str, what: &str, number: usize, exit: i32, reason: &str) {
        let finished = self.lookup(number);
        assert_eq!(finished.code(), exit, "{row}, {what}: {finished}");
        assert_eq!(finished.json()["code"], reason, "{row}, {what}: {finished}");
        self.between.honest();
        assert_eq!(self.lookup(number).code(), VERIFIED, "{row}, after {what}");
    }
}

#[test]
fn a_tile_has_one_length() {
    let road = Road::new();
    for number in [EARLY, EARLY + 1, LATE] {
        road.lookup(number).expect(VERIFIED);
    }
    let full = "/tile/0/000";
    let partial = "/tile/0/001.p/44";
    for (path, number) in [(full, EARLY), (partial, LATE)] {
        road.between.body(path, |body| body[..body.len() - 1].to_vec());
        road.check("T1", "one byte short", number, UNDECIDED, "tile-length");
        road.between.body(path, |body| [&body[..], b"x"].concat());
        road.check("T1", "one byte long", number, UNDECIDED, "http-too-large");
        road.between.body(path, |_| Vec::new());
        road.check("T1", "nothing", number, UNDECIDED, "tile-length");
    }
    // The server knows no other name of a tile.
    for path in ["/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/001.p/044", "/tile/0/001.p/45"] {
        let status = http::get(road.world.log().address(), path).status;
        assert!([400, 404].contains(&status), "T1, {path}: {status}");
    }
}

#[test]
fn a_tile_that_leads_elsewhere_proves_nothing() {
    let road = Road::new();
    let flip = |at: usize| {
        move |mut body: Vec<u8>| {
            body[at] ^= 1;
            body
        }
    };
    // The hash of a neighbour, in the partial tile and in the full one, and the node above.
    for (row, what, path, at, number) in [
        ("T2", "a partial tile with another hash", "/tile/0/001.p/44", 0, LATE),
        ("T4", "a full tile with another hash", "/tile/0/000", 32 * 4, EARLY),
        ("T4", "a tile above with another hash", "/tile/1/000.p/1", 0, LATE),
    ] {
        road.between.body(path, flip(at));
        road.check(row, what, number, REFUSED, "lookup-not-in-tree");
    }
    // Where there is no partial tile, its hashes are the first of the full one; a false full one is no better.
    let address = road.world.log().address().to_owned();
    let other = http::get(&address, "/tile/0/000").expect(200).body;
    road.between.says("/tile/0/001", "", &other[..44 * 32]);
    road.check("T4", "the tile of another place", LATE, REFUSED, "lookup-not-in-tree");
    road.between.says("/tile/0/000", "", &other.iter().rev().copied().collect::<Vec<u8>>());
    road.check("T4", "the tile of nobody's", EARLY, REFUSED, "lookup-not-in-tree");
    let bundle = http::get(&address, "/tile/entries/000").expect(200).body;
    let names = bundle.windows(7).position(|seven| seven == b"entry 5").unwrap();
    road.between.body("/tile/entries/000", flip(names + 6));
    road.check("T4", "another entry in the bundle", EARLY, REFUSED, "lookup-not-in-tree");
    // Who compares checkpoints does not take them for a fork either: nobody signed those hashes.
    road.watch().expect(VERIFIED);
    road.between.body("/tile/0/001.p/44", flip(0));
    // What the log itself serves is held against it, but proves nothing to others.
    let told = road.watch().expect(REFUSED);
    assert!(told.stdout.contains("tiles-mismatch"), "T2: {told}");
}

#[test]
fn a_bundle_has_its_entries_and_nothing_else() {
    let road = Road::new();
    let path = "/tile/entries/000";
    road.lookup(EARLY + 1).expect(VERIFIED);
    for (what, change, reason) in [
        ("255 entries", (|body| cut_last(&body)) as fn(Vec<u8>) -> Vec<u8>, "truncated"),
        ("257 entries", |body| [&body[..], b"\0\x01x"].concat(), "trailing-bytes"),
        ("a byte more", |body| [&body[..], b"x"].concat(), "trailing-bytes"),
        ("a byte less", |body| body[..body.len() - 1].to_vec(), "truncated"),
        ("a length beyond the end", |body| [b"\xff\xff", &body[2..]].concat(), "truncated"),
        ("nothing", |_| Vec::new(), "truncated"),
    ] {
        road.between.body(path, change);
        road.check("T3", what, EARLY, UNDECIDED, reason);
        road.between.body(path, change);
        road.watch().expect(UNDECIDED);
        road.between.honest();
    }
    road.watch().expect(VERIFIED);
}

/// Without its last entry, `entry 255`.
fn cut_last(body: &[u8]) -> Vec<u8> {
    body[..body.len() - 2 - "entry 255".len()].to_vec()
}

#[test]
fn nothing_of_a_tile_is_kept() {
    let road = Road::new();
    road.lookup(EARLY).expect(VERIFIED);
    road.watch().expect(VERIFIED);
    let tile = http::get(road.world.log().address(), "/tile/0/000").expect(200).body;
    let kept = walkdir::WalkDir::new(road.world.file("watchdog")).into_iter().map(Result::unwrap);
    for file in kept.filter(|file| file.file_type().is_file()) {
        let bytes = fs::read(file.path()).unwrap();
        assert!(!bytes.windows(64).any(|part| part == &tile[..64]), "T5, {}", file.path().display());
    }
    // `check` asks again after each bad answer, and is answered with the truth.
    road.between.body("/tile/0/000", |body| body.iter().rev().copied().collect());
    road.check("T5", "a tile the second time", EARLY, REFUSED, "lookup-not-in-tree");
}

#[test]
fn no_path_is_made_of_what_a_stranger_says() {
    let road = Road::new();
    let address = road.world.log().address();
    for path in [
        "/tile/64/000",
        "/tile/0/1",
        "/tile/0/0001",
        "/tile/0/x000/000",
        "/tile/0/x001/../000",
        "/tile/0/000.p/",
        "/tile/0/000/",
        "/tile//000",
        "/tile/0/..%2f..%2f..%2flog.key",
        "/tile/0/%2e%2e/%2e%2e/log.key",
        "/tile/../log.key",
    ] {
        let answer = http::get(address, path);
        assert!([400, 404].contains(&answer.status), "T6, {path}: {}", answer.status);
    }
    let outside = road.world.log_dir().join("log.key");
    for text in ["../log/log.key/..", "a/../b.example/x", "vendor.example//agent"] {
        let mut lookup = road.world.client();
        lookup.args(["lookup", text, "--json", "--log", &road.between.url()]);
        let refused = Finished::run(&mut lookup).expect(crate::exit::USAGE);
        assert_eq!(refused.json()["code"], "nothing-to-look-up", "T6, {text}");
    }
    assert!(outside.exists());
}

#[test]
fn what_is_packed_endless_elsewhere_or_a_page_is_no_answer() {
    let road = Road::new();
    let tile = http::get(road.world.log().address(), "/tile/0/000").expect(200).body;
    let moved =
        |to: &str| Deed::Raw(format!("HTTP/1.1 301 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into());
    let page = b"<!DOCTYPE html>\n<html><h1>Sign in to the network</h1></html>\n";
    let packed = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &[0xff; 500]].concat();
    type Bad = (&'static str, &'static str, Deed, &'static str);
    let says = |headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
        Deed::Raw([head.as_bytes(), body].concat())
    };
    let cases: [Bad; 9] = [
        ("T7", "packed with gzip", says("content-encoding: gzip\r\n", &packed), "http-encoded"),
        ("T7", "packed twice", says("content-encoding: gzip, gzip\r\n", &packed), "http-encoded"),
        ("T7", "said to be packed", says("content-encoding: br\r\n", &tile), "http-encoded"),
        ("T8", "a body without end", Deed::Endless, "http-too-large"),
        ("T8", "moved to a file", moved("file:///etc/passwd"), "http-status"),
        ("T8", "moved to another host", moved("http://127.0.0.1:1/"), "http-status"),
        ("T8", "moved to itself", moved("/tile/0/000"), "http-status"),
        (
            "T8",
            "half of an answer",
            Deed::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\nabc".to_vec()),
            "http-interrupted",
        ),
        ("T9", "a page", says("", page), "web-page"),
    ];
    for path in ["/checkpoint", "/tile/0/000", "/tile/entries/000", "/lookup/"] {
        for (row, what, deed, reason) in &cases {
            road.between.at(path, deed.clone());
            let reason = match (path, *row) {
                ("/lookup/", "T9") => "not-a-log",
                _ => reason,
            };
            road.check(row, &format!("{path} is {what}"), EARLY, UNDECIDED, reason);
        }
    }
    // Bytes that are packed and do not say so are bytes like any other.
    road.between.body("/tile/0/000", move |_| packed.clone());
    road.check("T7", "packed, and not said to be", EARLY, UNDECIDED, "tile-length");
}
