//! Servers that may have few files open: what they need for themselves is not taken by those who connect.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use indelible_tests::http;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Reader, Running, World};

const USAGE: i32 = 2;
/// The limit of open files, soft and hard, under which servers are started.
const FILES: usize = 512;

/// Starts a server in a process that may have so many files open.
fn start(files: usize, program: &Path, dir: &Path) -> Result<Running, Finished> {
    let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    let args: [&OsStr; 7] = [
        "-c".as_ref(),
        limited.as_ref(),
        program.as_ref(),
        "run".as_ref(),
        dir.as_ref(),
        "--listen".as_ref(),
        "127.0.0.1:0".as_ref(),
    ];
    Running::try_start(Path::new("/bin/sh"), &args, &dir.join("log.out"))
}

/// Sockets of those who connect and then do nothing, or send part of a request.
fn crowd(address: &str, count: usize) -> Vec<TcpStream> {
    let connect = |number: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        if number % 2 == 1 {
            let _ = stream.write_all(b"GET /checkpoint HTTP/1.1\r\nho");
        }
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn a_log_with_more_idle_clients_than_it_may_have_files_takes_publishes_and_answers() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    world.start_witness(0);
    let log = start(FILES, &World::binaries().server, &world.log_dir()).unwrap();
    let said = log.output();
    assert!(
        said.contains("512") && said.contains("143 connections") && said.contains("LimitNOFILE"),
        "{said}"
    );
    http::post(log.address(), "/add", b"so that all is open that stays open").expect(200);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", log.pid())).unwrap().count();
    let own = open();
    // As many as leave no file, and more.
    for (added, idle) in [(1, FILES - own), (2, FILES + 200)] {
        let _crowd = crowd(log.address(), idle);
        // Answered after all of them have been accepted.
        http::get(log.address(), "/checkpoint").expect(200);
        assert!(open() <= own + 143 + 8, "{} files are open", open());
        // Every bundle is a file that is opened.
        let entries: Vec<Vec<u8>> = (0..300_u32).map(|n| [added, n].map(u32::to_be_bytes).concat()).collect();
        let body = indelible_proto::log_api::encode_batch(&entries, entries.len()).unwrap();
        http::post(log.address(), "/add-batch", &body).expect(200);
        let reader = Reader::new(log.url(), &world.read_policy());
        let head = reader.published(1 + u64::from(added) * 300).head();
        assert_eq!(reader.entries(&head).len() as u64, head.size.get());
    }
    assert!(log.stop().success());
}

#[test]
fn a_witness_with_more_idle_clients_than_it_may_have_files_cosigns() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    let out = world.witness_dir(0).join("out");
    let address = std::fs::read_to_string(world.witness_dir(0).join("witness.toml")).unwrap();
    let address = address.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap().trim_matches('"');
    let limited = format!("ulimit -n {FILES} && exec \"$0\" \"$@\"");
    let args: [&OsStr; 5] = [
        "-c".as_ref(),
        limited.as_ref(),
        World::binaries().witness.as_ref(),
        "run".as_ref(),
        &world.witness_dir(0).into_os_string(),
    ];
    let witness = Running::try_start(Path::new("/bin/sh"), &args, &out).unwrap();
    assert!(witness.output().contains("LimitNOFILE"), "{}", witness.output());
    let _crowd = crowd(address, FILES + 200);
    world.start_log();
    http::post(world.log().address(), "/add", b"one").expect(200);
    world.reader().published(1);
    assert!(witness.stop().success());
}

#[test]
fn a_server_without_room_for_its_own_files_does_not_start_and_says_how_many_it_needs() {
    let world = World::prepare(Kind::Raw, 1, 1);
    let refused = |program, dir: &Path| start(100, program, dir).unwrap_err().expect(USAGE);
    let log = refused(&World::binaries().server, &world.log_dir());
    assert!(
        log.stderr.contains("100") && log.stderr.contains("258") && log.stderr.contains("LimitNOFILE"),
        "{log}"
    );
    let witness = refused(&World::binaries().witness, &world.witness_dir(0));
    assert!(witness.stderr.contains("144") && witness.stderr.contains("LimitNOFILE"), "{witness}");
}
