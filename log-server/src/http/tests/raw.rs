use indelible_proto::log_api::ApiError;
use indelible_proto::note::SignedNote;
use tokio::io::AsyncWriteExt as _;

use crate::kind::LogKind;
use crate::testing::{Character, Reply, Site, TestWitness};

fn code(reply: &Reply) -> String {
    ApiError::parse(&reply.body).unwrap().code().to_owned()
}

#[tokio::test]
async fn an_entry_is_answered_with_its_index() {
    let site = Site::run(LogKind::Raw).await;
    for (entry, index) in [("a", "0\n"), ("b", "1\n"), ("", "2\n")] {
        let reply = site.post("/add", entry.as_bytes()).await;
        assert_eq!((reply.status, reply.text()), (200, index));
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_same_bytes_get_the_first_index() {
    let site = Site::run(LogKind::Raw).await;
    for (entry, index) in [("a", "0\n"), ("b", "1\n"), ("a", "0\n")] {
        assert_eq!(site.post("/add", entry.as_bytes()).await.text(), index);
    }
}

/// Row S1 of the attack table.
#[tokio::test]
async fn the_longest_entry_is_65535_bytes() {
    let site = Site::run(LogKind::Raw).await;
    assert_eq!(site.post("/add", &vec![7; 65_535]).await.status, 200);
    for len in [65_536, 1_000_000] {
        let reply = site.post("/add", &vec![7; len]).await;
        assert_eq!((reply.status, code(&reply)), (413, "body-too-long".to_owned()));
        assert!(reply.text().contains("65535"));
    }
    // A gibibyte is refused when it is announced.
    let reply = site.call("POST /add HTTP/1.1\r\ncontent-length: 1073741824\r\n", b"").await;
    assert_eq!(reply.status, 413);
    assert_eq!(site.get("/tile/0/000.p/2").await.status, 404);
}

#[tokio::test]
async fn a_chunked_entry_is_taken_and_limited_alike() {
    let site = Site::run(LogKind::Raw).await;
    let head = "POST /add HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    assert_eq!(site.call(head, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").await.text(), "0\n");
    assert_eq!(site.post("/add", b"abc").await.text(), "0\n");
    let chunk = [&b"8000\r\n"[..], &vec![7; 0x8000], b"\r\n"].concat();
    let body = [&chunk[..], &chunk, &chunk, b"0\r\n\r\n"].concat();
    assert_eq!(site.call(head, &body).await.status, 413);
}

#[tokio::test]
async fn a_body_that_ends_early_adds_nothing() {
    let site = Site::run(LogKind::Raw).await;
    let mut stream = site.connect().await;
    stream.write_all(b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    assert_eq!(site.post("/add", b"abc").await.text(), "0\n");
    assert_eq!(site.get("/tile/0/000.p/2").await.status, 404);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.http.body_timeout_s = std::num::NonZeroU64::MIN);
    site.start().await.unwrap();
    let reply = site.call("POST /add HTTP/1.1\r\ncontent-length: 10\r\n", b"abc").await;
    assert_eq!((reply.status, code(&reply)), (408, "body-slow".to_owned()));
}

#[tokio::test]
async fn a_raw_log_has_no_records() {
    let site = Site::run(LogKind::Raw).await;
    for reply in [site.post("/submit", b"x").await, site.get("/channel/vendor.example/a").await] {
        assert_eq!((reply.status, code(&reply)), (404, "kind-raw".to_owned()));
    }
}

#[tokio::test]
async fn an_entry_is_sequenced_without_witnesses_but_not_published() {
    let witness = TestWitness::start(2, Character::Silent).await;
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.start().await.unwrap();
    assert_eq!(site.post("/add", b"a").await.text(), "0\n");
    let size = |reply: Reply| {
        let note = SignedNote::parse(&reply.body).unwrap();
        site.policy().verify_log_signature(&note).unwrap().head().size.get()
    };
    assert_eq!(size(site.get("/checkpoint").await), 0);
    // Witnesses may need it: tiles are served up to the signed size.
    assert_eq!(site.get("/tile/0/000.p/1").await.status, 200);
}

#[tokio::test]
async fn too_many_unpublished_entries_are_answered_with_503() {
    let witness = TestWitness::start(2, Character::Silent).await;
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.configure(|config| config.submit.max_unpublished_entries = std::num::NonZeroU64::new(2).unwrap());
    site.start().await.unwrap();
    assert_eq!(site.post("/add", b"a").await.status, 200);
    assert_eq!(site.post("/add", b"b").await.status, 200);
    let reply = site.post("/add", b"c").await;
    assert_eq!((reply.status, code(&reply)), (503, "unpublished-backlog".to_owned()));
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn entries_are_refused_and_health_fails_while_the_disk_has_less_room_than_it_must() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.storage.min_free_mib = std::num::NonZeroU64::new(1 << 40).unwrap());
    site.start().await.unwrap();
    for reply in [site.post("/add", b"a").await, site.get("/healthz").await] {
        assert_eq!((reply.status, code(&reply)), (503, "disk-space".to_owned()));
        assert!(!reply.header("retry-after").is_empty());
    }
    assert_eq!(site.get("/checkpoint").await.status, 200);
}

#[tokio::test]
async fn health_warns_of_a_disk_that_is_filling_up() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.storage.warn_free_mib = std::num::NonZeroU64::new(1 << 40).unwrap());
    site.start().await.unwrap();
    assert_eq!(site.post("/add", b"a").await.status, 200);
    let reply = site.get("/healthz").await;
    assert!(reply.status == 200 && reply.text().starts_with("ok, but disk-space is low"), "{}", reply.text());
}
