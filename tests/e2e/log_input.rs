//! What the log answers to requests that are well-framed and wrong, and to those that are right.

use indelible_proto::log_api::ApiError;
use indelible_proto::record::{Common, Predicate, SignedRecord};
use indelible_proto::sign::RecordSigner;
use indelible_tests::http::{self, Answer, Connection};
use indelible_tests::world::Kind;
use indelible_tests::{Publisher, World};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[test]
fn an_entry_has_up_to_65535_bytes() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    for (index, length) in [0, 1, 65_535].into_iter().enumerate() {
        let answer = http::post(address, "/add", &vec![b'x'; length]).expect(200);
        assert_eq!((answer.text(), answer.header("content-type")), (format!("{index}\n"), Some(TEXT)));
    }
    for length in [65_536, 70_000, 2_000_000] {
        let refused = http::post(address, "/add", &vec![b'x'; length]).expect(413);
        assert_eq!(refused.json()["code"], "body-too-long", "{length}");
    }
    let reader = world.reader();
    let entries = reader.entries(&reader.published(3).head());
    assert_eq!(entries.iter().map(|entry| entry.as_bytes().len()).collect::<Vec<_>>(), [0, 1, 65_535]);
}

#[test]
fn what_is_no_record_is_refused_whatever_is_wrong_with_it() {
    let world = World::start(Kind::Records, 1, 1);
    let address = world.log().address();
    let leaf = Publisher::new("vendor.example/agent", 1).next(b"").encode();
    let spaced = String::from_utf8(leaf.clone()).unwrap().replace("\"seq\":0", "\"seq\": 0");
    let long = [leaf.as_slice(), &[b'x'; 16 * 1024]].concat();
    let bodies: [(u16, &[u8]); 7] = [
        (400, b""),
        (400, b"garbage"),
        (400, &[0xff; 300]),
        (400, &leaf[1..]),
        (400, &[leaf.as_slice(), b"\n"].concat()),
        (400, spaced.as_bytes()),
        (413, &long),
    ];
    for (status, body) in bodies {
        refusal(&http::post(address, "/submit", body), status);
    }
    let mut connection = Connection::open(address).unwrap();
    for end in 0..leaf.len() {
        refusal(&connection.post("/submit", &leaf[..end]).unwrap(), 400);
    }
    check_takes_first(&world, &leaf);
}

#[test]
fn no_record_with_one_bit_changed_is_taken() {
    let world = World::start(Kind::Records, 1, 1);
    let leaf = Publisher::new("vendor.example/agent", 1).next(b"").encode();
    let mut connection = Connection::open(world.log().address()).unwrap();
    for at in 0..leaf.len() {
        let mut changed = leaf.clone();
        changed[at] ^= 1 << (at % 8);
        let answer = connection.post("/submit", &changed).unwrap();
        assert!([400, 422].contains(&answer.status), "byte {at}: {} {}", answer.status, answer.text());
        ApiError::parse(&answer.body).unwrap();
    }
    check_takes_first(&world, &leaf);
}

#[test]
fn a_record_that_does_not_follow_is_answered_with_what_it_would_have_to_follow() {
    let world = World::start(Kind::Records, 1, 1);
    let address = world.log().address();
    let submit = |record: &SignedRecord| http::post(address, "/submit", &record.encode());
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    submit(&opening).expect(200);
    publisher.accepted(&opening);
    let first = publisher.next(b"1");
    let mut ahead = publisher.clone();
    ahead.accepted(&first);
    let second = ahead.next(b"2");
    let conflict = |answer: &Answer, code: &str, seq: u64| {
        let error = refusal(answer, 409);
        let head = error.head().expect("a conflict has the head");
        assert_eq!((error.code(), head.seq), (code, seq));
        head.clone()
    };
    // A gap: its predecessor was never handed in.
    let head = conflict(&submit(&second), "seq-mismatch", 0);
    assert_eq!((head.head, head.genesis), (opening.record_id(), opening.record_id()));
    submit(&first).expect(200);
    submit(&second).expect(200);
    // A rival for a place that is taken.
    let head = conflict(&submit(&publisher.next(b"1, but another")), "seq-mismatch", 2);
    assert_eq!(head.head, second.record_id());
    // The right number after the wrong record, and under the wrong keys.
    ahead.accepted(&second);
    for (code, edit) in [
        ("prev-mismatch", (|common| common.prev = common.keys) as fn(&mut Common)),
        ("keys-mismatch", |common| common.keys = common.prev),
    ] {
        let mut statement = ahead.next_statement(b"3");
        let Predicate::Release(common, _) = &mut statement.predicate else { panic!("a release") };
        edit(common);
        let record = SignedRecord::sign(&statement, &[ahead.signer()]).unwrap();
        conflict(&submit(&record), code, 2);
    }
    // A channel that nobody has opened, and one that is open already.
    let mut nowhere = Publisher::new("vendor.example/nowhere", 1);
    nowhere.accepted(&nowhere.next(b""));
    assert_eq!(refusal(&submit(&nowhere.next(b"1")), 409).code(), "channel-unknown");
    let squatter = Publisher::new("vendor.example/agent", 2);
    conflict(&submit(&squatter.next(b"")), "channel-exists", 2);

    let channel = http::get(address, "/channel/vendor.example/agent").expect(200);
    assert_eq!(
        (channel.header("content-type"), channel.header("cache-control")),
        (Some(JSON), Some("no-store"))
    );
    assert_eq!(channel.json()["seq"], 2);
    assert_eq!(world.reader().checkpoint().head().size.get(), 3);
}

#[test]
fn a_record_signed_by_somebody_else_is_refused_for_good() {
    let world = World::start(Kind::Records, 1, 1);
    let address = world.log().address();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    http::post(address, "/submit", &opening.encode()).expect(200);
    publisher.accepted(&opening);
    // A thief of the name, not of the key: the same key name, another key.
    let thief = Publisher::new("vendor.example/agent", 2);
    let signed_by = |signers: &[&RecordSigner]| {
        SignedRecord::sign(&publisher.next_statement(b"stolen"), signers).unwrap().encode()
    };
    let refused = refusal(&http::post(address, "/submit", &signed_by(&[thief.signer()])), 422);
    assert_eq!((refused.code(), refused.head()), ("signer-unknown", None));
    // Nor beside the true signature.
    let both = signed_by(&[publisher.signer(), thief.signer()]);
    assert_eq!(refusal(&http::post(address, "/submit", &both), 422).code(), "signer-unknown");
    // The true key's signature over something else.
    let other = publisher.next(b"something else");
    let signatures = other.signatures().to_vec();
    let moved = SignedRecord::new(&publisher.next_statement(b"stolen"), signatures).unwrap();
    assert_eq!(refusal(&http::post(address, "/submit", &moved.encode()), 422).code(), "signature-invalid");
    assert_eq!(world.reader().checkpoint().head().size.get(), 1);
}

#[test]
fn each_kind_of_log_has_only_its_own_way_in() {
    let (raw, records) = (World::start(Kind::Raw, 0, 0), World::start(Kind::Records, 0, 0));
    let leaf = Publisher::new("vendor.example/agent", 1).next(b"").encode();
    assert_eq!(refusal(&http::post(raw.log().address(), "/submit", &leaf), 404).code(), "kind-raw");
    assert_eq!(refusal(&http::post(records.log().address(), "/add", b"entry"), 404).code(), "kind-records");
    let channel = "/channel/vendor.example/agent";
    assert_eq!(refusal(&http::get(raw.log().address(), channel), 404).code(), "kind-raw");
    assert_eq!(refusal(&http::get(records.log().address(), channel), 404).code(), "channel-unknown");
    for name in ["", "vendor", "vendor.example/../x", "Vendor.example", "vendor.example%2fagent", "a.b//c"] {
        let status = if name.is_empty() { 404 } else { 400 };
        refusal(&http::get(records.log().address(), &format!("/channel/{name}")), status);
    }
}

#[test]
fn no_path_leads_out_of_the_tree() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    for number in 0..300 {
        http::post(address, "/add", format!("entry {number}").as_bytes()).expect(200);
    }
    let secret = std::fs::read_to_string(world.log_dir().join("log.key")).unwrap();
    let paths = [
        "/../log.key",
        "/tile/../log.key",
        "/tile/../../log.key",
        "/tile/%2e%2e/log.key",
        "/tile/%2e%2e%2flog.key",
        "/tile/..%2f..%2flog.key",
        "/tile/..\\..\\log.key",
        "/tile//0/000",
        "/tile/0//000",
        "//tile/0/000",
        "/tile/0/000/",
        "/tile/0/000.p",
        "/tile/0/000.p/",
        "/tile/0/000.p/0",
        "/tile/0/000.p/007",
        "/tile/0/000.p/256",
        "/tile/0/000.p/257",
        "/tile/0/000.p/+5",
        "/tile/0/000%00",
        "/tile/0/%30%30%30",
        "/tile/0/1",
        "/tile/0/0001",
        "/tile/0/x000/000",
        "/tile/0/000/000",
        "/tile/0/x001/../000",
        "/tile/00/000",
        "/tile/+0/000",
        "/tile/-1/000",
        "/tile/64/000",
        "/tile/256/000",
        "/tile/0/-01",
        "/tile/entries/1",
        "/tile/entries/000.p/300",
        "/tile/entries/x000/000",
        "/tile/entries/",
        "/tile/data/000",
        "/tile/0/x999/x999/x999/x999/x999/x999/999",
        "/tile/0/\u{660}\u{660}\u{660}",
        "/tile/0/\u{ff10}00",
        "/tile/",
        "/tile",
        "/checkpoint/",
        "/checkpoint/../checkpoint",
        "/Checkpoint",
        "/data/checkpoint",
        "/log.key",
        "/policy.txt",
        "/metrics",
        "/debug/pprof",
        "/admin",
    ];
    for path in paths {
        let answer = http::get(address, path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains(secret.trim_end()), "{path}");
    }
    // The same without HTTP's own rules for paths.
    for path in ["log.key", "http://other.example/log.key", "*", "/tile/0/000\u{0}", "/\u{7f}"] {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n");
        if let Ok(answer) = http::exchange(address, bytes.as_bytes(), false) {
            assert!([400, 404].contains(&answer.status), "{path:?}: {}", answer.status);
        }
    }
    http::get(address, "/tile/0/000").expect(200);
    // A query is no part of a path: a cache that leaves it out serves the same.
    assert_eq!(http::get(address, "/tile/0/000?x=1").body, http::get(address, "/tile/0/000").body);
}

#[test]
fn tiles_end_at_the_signed_size_and_never_change() {
    let world = World::start(Kind::Raw, 1, 1);
    let address = world.log().address();
    let get = |path: &str| http::get(address, path);
    grow(&world, 0, 10);
    let (hashes, entries) =
        (get("/tile/0/000.p/10").expect(200).body, get("/tile/entries/000.p/10").expect(200).body);
    assert_eq!(hashes.len(), 320);
    for beyond in [
        "/tile/0/000.p/11",
        "/tile/0/000",
        "/tile/0/001.p/1",
        "/tile/1/000.p/1",
        "/tile/entries/000.p/11",
        "/tile/entries/000",
    ] {
        let missing = get(beyond);
        assert_eq!(refusal(&missing, 404).code(), "beyond-tree", "{beyond}");
        assert_eq!(
            missing.header("cache-control"),
            Some("no-store"),
            "{beyond}: it may be there in a second"
        );
    }
    let narrower = get("/tile/entries/000.p/7").expect(200).body;
    assert!(entries.starts_with(&narrower) && narrower.len() < entries.len());
    assert_eq!(get("/tile/0/000.p/7").expect(200).body, hashes[..7 * 32]);

    grow(&world, 10, 300);
    let full = get("/tile/0/000").expect(200).body;
    assert_eq!(full.len(), 8192);
    for width in [1, 7, 10, 200, 255] {
        let partial = get(&format!("/tile/0/000.p/{width}")).expect(200).body;
        assert_eq!(partial, full[..width * 32], "{width}");
        let partial = get(&format!("/tile/entries/000.p/{width}")).expect(200).body;
        assert!(get("/tile/entries/000").expect(200).body.starts_with(&partial), "{width}");
    }
    assert_eq!((get("/tile/0/000.p/10").body, get("/tile/entries/000.p/10").body), (hashes, entries));
    assert_eq!(get("/tile/0/001.p/44").expect(200).body.len(), 44 * 32);
    assert_eq!(get("/tile/1/000.p/1").expect(200).body.len(), 32);
    get("/tile/0/001.p/45").expect(404);
    get("/tile/2/000.p/1").expect(404);
}

#[test]
fn answers_say_what_they_are_and_how_long_they_hold() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    grow(&world, 0, 3);
    for (path, kind, caching) in [
        ("/checkpoint", TEXT, "public, max-age=1"),
        ("/tile/0/000.p/3", BYTES, FOR_EVER),
        ("/tile/entries/000.p/3", BYTES, FOR_EVER),
        ("/healthz", TEXT, "no-store"),
        ("/", "text/html; charset=utf-8", "no-store"),
    ] {
        let answer = http::get(address, path).expect(200);
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("cache-control"), Some(caching), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        if path != "/healthz" {
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        }
        // HEAD says the same and has no body.
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n");
        let head = http::exchange(address, request.as_bytes(), true).unwrap();
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), Some(kind), "{path}");
        assert_eq!(head.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
    }
    let page = http::get(address, "/").expect(200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn a_path_takes_only_its_own_methods() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    for (method, path) in [
        ("POST", "/checkpoint"),
        ("PUT", "/checkpoint"),
        ("DELETE", "/tile/0/000"),
        ("POST", "/tile/0/000"),
        ("GET", "/add"),
        ("GET", "/submit"),
        ("PUT", "/add"),
        ("TRACE", "/checkpoint"),
        ("BREW", "/checkpoint"),
    ] {
        let refused = http::request(address, method, path, b"");
        assert_eq!(refusal(&refused, 405).code(), "method-not-allowed", "{method} {path}");
        assert!(refused.header("allow").is_some(), "{method} {path}");
    }
    assert_eq!(refusal(&http::request(address, "POST", "/nothing", b""), 404).code(), "path-unknown");
}

/// Hands in entries and waits until they are published.
fn grow(world: &World, from: usize, to: usize) {
    let mut connection = Connection::open(world.log().address()).unwrap();
    for number in from..to {
        connection.post("/add", format!("entry {number}").as_bytes()).unwrap().expect(200);
    }
    world.reader().published(to as u64);
}

/// The log has taken nothing so far, and takes what is right.
fn check_takes_first(world: &World, leaf: &[u8]) {
    let answer = http::post(world.log().address(), "/submit", leaf).expect(200);
    assert!(answer.text().contains("\nindex 0\n"), "{}", answer.text());
}

/// The refusal in an answer.
#[track_caller]
fn refusal(answer: &Answer, status: u16) -> ApiError {
    assert_eq!((answer.status, answer.header("content-type")), (status, Some(JSON)), "{}", answer.text());
    ApiError::parse(&answer.body).unwrap()
}
