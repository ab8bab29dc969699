//! What crowds of hostile connections cost the log: rows S1 and S2 of the attack table.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use indelible_proto::log_api::MAX_BATCH_BYTES;
use indelible_tests::World;
use indelible_tests::http::{self, Connection};
use indelible_tests::world::Kind;

/// Sockets of a crowd. Fewer than a log serves at once, so that all of them are there at the same time.
const CROWD: usize = 3_000;
/// More than twice as many as a log serves at once, if this process may have as many files open.
const LARGE_CROWD: u64 = 10_000;
/// Files that this process may have open beside a crowd's: tests run beside each other.
const OTHER_FILES: u64 = 4_000;
/// What one of them may cost in memory, in KiB: its buffers and its task.
const SOCKET_KIB: u64 = 48;

/// What clients send that are slow, and nothing after it.
const SLOW: [&[u8]; 4] = [
    b"",
    b"GET /checkpoint HTTP/1.1\r\nho",
    b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 10\r\n\r\nabc",
    b"POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
];

fn impatient() -> World {
    let mut world = World::prepare(Kind::Raw, 0, 0);
    for key in ["header_timeout_s", "body_timeout_s", "write_timeout_s"] {
        world.configure_log(key, 1);
    }
    world.start_all();
    world
}

fn send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // A log that has had enough may close before all is sent.
    let _ = stream.write_all(bytes);
    stream
}

/// Every one of them is closed by the log.
fn check_closed(crowd: Vec<TcpStream>) {
    for mut stream in crowd {
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
    }
}

#[test]
fn thousands_that_send_slowly_or_nothing_are_cut_off_and_cost_little() {
    let world = impatient();
    let log = world.log();
    let mut connection = Connection::open(log.address()).unwrap();
    connection.post("/add", b"before").unwrap().expect(200);
    let before = log.resident_kib();
    let crowd: Vec<_> = (0..CROWD).map(|n| send(log.address(), SLOW[n % SLOW.len()])).collect();
    // Whoever asks properly is answered meanwhile.
    http::get(log.address(), "/checkpoint").expect(200);
    let grown = log.resident_kib().saturating_sub(before);
    assert!(grown < SOCKET_KIB * CROWD as u64, "{grown} KiB for {CROWD} sockets");
    check_closed(crowd);
    assert_eq!(http::post(log.address(), "/add", b"after").expect(200).text(), "1\n");
}

/// The log would wait for each of them for an hour.
#[test]
fn whoever_asks_is_answered_although_ten_thousand_hold_every_connection() {
    let mut world = World::prepare(Kind::Raw, 0, 0);
    for key in ["header_timeout_s", "body_timeout_s", "write_timeout_s"] {
        world.configure_log(key, 3600);
    }
    world.start_all();
    let log = world.log();
    http::post(log.address(), "/add", b"before").expect(200);
    let before = log.resident_kib();
    let mut crowd = Vec::new();
    for n in 0..files_left().min(LARGE_CROWD) {
        crowd.push(send(log.address(), SLOW[n as usize % SLOW.len()]));
        // So often that the system's queue of those who connect, which may be short, does not overflow.
        if n % 64 == 63 {
            http::get(log.address(), "/checkpoint").expect(200);
        }
        if n % 1_000 == 999 {
            http::post(log.address(), "/add", &n.to_be_bytes()).expect(200);
        }
    }
    let grown = log.resident_kib().saturating_sub(before);
    assert!(grown < SOCKET_KIB * 4_096, "{grown} KiB");
    drop(crowd);
    http::get(log.address(), "/checkpoint").expect(200);
}

/// How many files this process may open beside those of other tests, once the limit is as high as it goes.
fn files_left() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES)
}

#[test]
fn announced_batches_cost_no_more_than_what_arrived_of_them() {
    let world = impatient();
    let log = world.log();
    http::post(log.address(), "/add", b"before").expect(200);
    let before = log.resident_kib();
    let head = format!("POST /add-batch HTTP/1.1\r\nhost: log\r\ncontent-length: {MAX_BATCH_BYTES}\r\n\r\n");
    let crowd: Vec<_> =
        (0..500).map(|_| send(log.address(), &[head.as_bytes(), &[0; 8192]].concat())).collect();
    http::get(log.address(), "/checkpoint").expect(200);
    let grown = log.resident_kib().saturating_sub(before);
    // Announced are two gigabytes.
    assert!(grown < 128 * 1024, "{grown} KiB");
    check_closed(crowd);
    assert_eq!(http::post(log.address(), "/add", b"after").expect(200).text(), "1\n");
}

#[test]
fn who_asks_for_much_and_reads_nothing_is_cut_off_and_costs_little() {
    let world = impatient();
    let log = world.log();
    let full: Vec<Vec<u8>> = (0..256_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let body = indelible_proto::log_api::encode_batch(&full, full.len()).unwrap();
    http::post(log.address(), "/add-batch", &body).expect(200);
    let before = log.resident_kib();
    let asked = "GET /tile/0/000 HTTP/1.1\r\nhost: log\r\n\r\n".repeat(2_000);
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(log.address()).unwrap();
            stream.set_nonblocking(true).unwrap();
            // As much as fits: 16 MB of answers would come.
            let _ = stream.write(asked.as_bytes());
            stream.set_nonblocking(false).unwrap();
            stream
        })
        .collect();
    http::get(log.address(), "/checkpoint").expect(200);
    let grown = log.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    check_closed(crowd);
    http::get(log.address(), "/checkpoint").expect(200);
}
