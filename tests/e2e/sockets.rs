//! What the log does with bytes that are no well-framed HTTP, or that it is not meant to read.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use indelible_tests::World;
use indelible_tests::http::{self, Answer, Connection};
use indelible_tests::world::Kind;

#[test]
fn an_unclear_length_of_a_body_is_refused() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    let post = "POST /add HTTP/1.1\r\nhost: log\r\n";
    let refused = [
        ("two lengths", "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        ("two lengths in one line", "content-length: 3, 4\r\n\r\nabcd"),
        ("a negative length", "content-length: -1\r\n\r\nabcd"),
        ("a signed length", "content-length: +3\r\n\r\nabc"),
        ("a length that is none", "content-length: three\r\n\r\nabc"),
        ("a length beyond 64 bits", "content-length: 99999999999999999999999\r\n\r\nabc"),
        ("no chunk size", "transfer-encoding: chunked\r\n\r\nghi\r\n\r\n"),
        ("a chunk size that is none", "transfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"),
        ("a chunk longer than its size", "transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"),
        (
            "a chunk size beyond 64 bits",
            "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        ),
        ("chunked, but not at last", "transfer-encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ("an unknown coding", "transfer-encoding: gzip\r\n\r\nabc"),
    ];
    for (what, rest) in refused {
        let answer = http::exchange(address, format!("{post}{rest}").as_bytes(), false).unwrap();
        assert_eq!(answer.status, 400, "{what}");
    }
    check_empty_and_well(&world);
}

#[test]
fn two_lengths_never_make_two_requests() {
    let world = World::start(Kind::Raw, 0, 0);
    // Whoever takes the length for the body's end sees a second request in it.
    let smuggled = "0\r\n\r\nPOST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 8\r\n\r\nsmuggled";
    let head = "POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n";
    let bytes = format!("{head}content-length: {}\r\n\r\n{smuggled}", smuggled.len());
    let mut connection = Connection::open(world.log().address()).unwrap();
    connection.send(bytes.as_bytes()).unwrap();
    let answers: Vec<u16> =
        std::iter::from_fn(|| connection.answer(false).ok()).map(|answer| answer.status).collect();
    // Refused, or read as one request of no bytes, after which the connection ends.
    assert!(answers == [400] || answers == [200], "{answers:?}");
    let reader = world.reader();
    let entries = reader.entries(&reader.checkpoint().head());
    assert!(entries.iter().all(|entry| entry.as_bytes().is_empty()), "{entries:?}");
}

#[test]
fn what_is_no_http_at_all_is_refused() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    let long = format!("GET /{} HTTP/1.1\r\nhost: log\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5_000));
    let garbage: [&[u8]; 8] = [
        b"\r\n\r\n\r\n garbage",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : log\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client's first bytes\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in garbage {
        // Closing without a word is an answer, too.
        if let Ok(answer) = http::exchange(address, bytes, false) {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            assert!(
                (400..500).contains(&answer.status) || answer.status == 505,
                "{start:?}: {}",
                answer.status
            );
        }
    }
    check_empty_and_well(&world);
}

#[test]
fn a_body_that_breaks_off_is_no_entry() {
    let world = World::start(Kind::Raw, 0, 0);
    for head in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut stream = TcpStream::connect(world.log().address()).unwrap();
        write!(stream, "POST /add HTTP/1.1\r\nhost: log\r\n{head}").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    check_empty_and_well(&world);
}

#[test]
fn a_body_without_end_is_refused_at_the_limit() {
    let world = World::start(Kind::Raw, 0, 0);
    let address = world.log().address();
    // Announced: refused before any of it is sent.
    let announced = b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 1073741824\r\n\r\n";
    let answer = http::exchange(address, announced, false).unwrap();
    assert_eq!(answer.status, 413);
    // In chunks, whose end nobody knows.
    let mut connection = Connection::open(address).unwrap();
    connection.send(b"POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat();
    let sent = (0..1024).take_while(|_| connection.send(&chunk).is_ok()).count();
    assert!(sent < 1024, "64 MiB were taken");
    check_empty_and_well(&world);
}

#[test]
fn whoever_is_too_slow_is_cut_off_and_nobody_else_waits() {
    let world = World::prepare(Kind::Raw, 0, 0);
    world.configure_log("header_timeout_s", 1);
    world.configure_log("body_timeout_s", 1);
    let world = started(world);
    let address = world.log().address();
    let starts: [&[u8]; 4] = [
        b"",
        b"GET /checkpoint HTTP/1.1\r\nhost",
        b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 10\r\n\r\nabc",
        b"POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    let mut slow: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(starts[n % starts.len()]).unwrap();
            stream
        })
        .collect();
    http::get(address, "/checkpoint").expect(200);
    for stream in &mut slow {
        // Reads to the end: it comes.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    check_empty_and_well(&world);
}

#[test]
fn more_than_there_is_room_for_is_refused_for_now() {
    let world = World::prepare(Kind::Raw, 0, 0);
    world.configure_log("queue_entries", 1);
    let world = started(world);
    let address = world.log().address();
    let answers: Vec<(Vec<u8>, Answer)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|writer| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address).unwrap();
                    let send = |number| {
                        let entry = format!("writer {writer}, entry {number}").into_bytes();
                        let answer = connection.post("/add", &entry).unwrap();
                        (entry, answer)
                    };
                    (0..20).map(send).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let reader = world.reader();
    let taken = answers.iter().filter(|(_, answer)| answer.status == 200).count();
    let entries = reader.entries(&reader.published(taken as u64).head());
    let mut refused = 0;
    for (entry, answer) in answers {
        match answer.status {
            200 => {
                let index: usize = answer.text().trim_end().parse().unwrap();
                assert!(entries[index].as_bytes() == entry, "what is acknowledged is in the log");
            }
            503 => {
                assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
                refused += 1;
            }
            other => panic!("status {other}"),
        }
    }
    assert!(refused > 0, "there was room for all");
    assert_eq!(entries.len(), taken, "what is refused is not in the log");
}

#[test]
fn a_body_in_chunks_is_an_entry_like_any_other() {
    let world = World::start(Kind::Raw, 0, 0);
    let bytes = b"POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    let answer = http::exchange(world.log().address(), bytes, false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "0\n"));
    let reader = world.reader();
    assert_eq!(reader.entries(&reader.published(1).head())[0].as_bytes(), b"abc");
}

fn started(mut world: World) -> World {
    world.start_all();
    world
}

/// The log has taken nothing, and takes what is right.
fn check_empty_and_well(world: &World) {
    let answer = http::post(world.log().address(), "/add", b"the first entry").expect(200);
    assert_eq!(answer.text(), "0\n");
}
