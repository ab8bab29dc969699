use indelible_proto::log_api::ApiError;
use indelible_proto::note::SignedNote;
use tokio::io::AsyncWriteExt as _;

use crate::kind::LogKind;
use crate::testing::{Reply, Site};

/// A raw log with these many entries, each of one byte.
async fn with_entries(count: u16) -> Site {
    let site = Site::run(LogKind::Raw).await;
    for entry in 0..count {
        assert_eq!(site.post("/add", &entry.to_be_bytes()).await.status, 200);
    }
    site
}

fn code(reply: &Reply) -> String {
    assert_eq!(reply.header("content-type"), "application/json", "{}", reply.text());
    ApiError::parse(&reply.body).unwrap().code().to_owned()
}

#[tokio::test]
async fn the_checkpoint_is_text_open_to_all_and_cached_for_a_second() {
    let site = Site::run(LogKind::Raw).await;
    let reply = site.get("/checkpoint").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "public, max-age=1");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    site.policy().verify(&SignedNote::parse(&reply.body).unwrap()).unwrap();
}

#[tokio::test]
async fn a_partial_tile_and_its_bundle_are_served_for_ever() {
    let site = with_entries(3).await;
    let tile = site.get("/tile/0/000.p/3").await;
    assert_eq!((tile.status, tile.body.len()), (200, 96));
    assert_eq!(tile.header("content-type"), "application/octet-stream");
    assert_eq!(tile.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(tile.header("access-control-allow-origin"), "*");
    let bundle = site.get("/tile/entries/000.p/3").await;
    assert_eq!(bundle.body, [0, 2, 0, 0, 0, 2, 0, 1, 0, 2, 0, 2]);
    assert_eq!(bundle.header("cache-control"), "public, max-age=31536000, immutable");
}

#[tokio::test]
async fn an_older_width_is_the_beginning_of_the_newer_one() {
    let site = with_entries(3).await;
    let (older, newer) = (site.get("/tile/0/000.p/2").await, site.get("/tile/0/000.p/3").await);
    assert_eq!(older.body, newer.body[..64]);
}

#[tokio::test]
async fn nothing_beyond_the_signed_tree_is_served_or_cached() {
    let site = with_entries(3).await;
    for path in [
        "/tile/0/000",
        "/tile/0/000.p/4",
        "/tile/0/001.p/1",
        "/tile/1/000.p/1",
        "/tile/63/000.p/1",
        "/tile/entries/000",
        "/tile/entries/000.p/4",
        "/tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        let reply = site.get(path).await;
        let expected = if path.len() > 30 { &[400, 404][..] } else { &[404] };
        assert!(expected.contains(&reply.status), "{path}: {}", reply.status);
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
    }
    assert_eq!(code(&site.get("/tile/0/000.p/4").await), "beyond-tree");
}

/// Row T6 of the attack table: no path reaches the file system, and only tile paths have tiles.
#[tokio::test]
async fn a_malformed_path_names_nothing() {
    let site = with_entries(3).await;
    for path in [
        "/tile/../log.key",
        "/tile/0/../../log.key",
        "/tile/0/%2e%2e/%2e%2e/log.key",
        "/tile/..%2f..%2flog.key",
        "/tile/0/..\\..\\log.key",
        "/tile//0/000.p/3",
        "//tile/0/000.p/3",
        "/tile/0//000.p/3",
        "/tile/0/000.p/3/",
        "/tile/0/000.p/",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/000.p/03",
        "/tile/0/000.p/+3",
        "/tile/0/000.p/3%00",
        "/tile/0/x001/../000.p/3",
        "/tile/64/000",
        "/tile/00/000.p/3",
        "/tile/-1/000.p/3",
        "/tile/0/1",
        "/tile/0/0001",
        "/tile/0/x000/000.p/3",
        "/tile/0/%30%30%30.p/3",
        "/tile/0/\u{ff10}00.p/3",
        "/tile/data/000.p/3",
        "/tile/entries",
        "/tile/",
        "/tile",
        "/checkpoint/",
        "/checkpoint/..",
        "/Checkpoint",
        "/data/checkpoint",
        "/log.key",
        "/etc/passwd",
    ] {
        let reply = site.get(path).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("PRIVATE"), "{path}");
    }
    assert_eq!(code(&site.get("/tile/0/000.p/03").await), "tile-path");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let site = with_entries(1).await;
    for path in ["/", "/checkpoint", "/healthz", "/tile/0/000.p/1", "/tile/entries/000.p/1", "/nowhere"] {
        let (get, head) = (site.get(path).await, site.call(&format!("HEAD {path} HTTP/1.1\r\n"), b"").await);
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(
            (head.status, head.header("content-length")),
            (get.status, get.header("content-length")),
            "{path}"
        );
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_the_allowed_ones_are_named() {
    let site = Site::run(LogKind::Raw).await;
    for (method, path, allowed) in [
        ("POST", "/checkpoint", "GET,HEAD"),
        ("DELETE", "/tile/0/000", "GET,HEAD"),
        ("PUT", "/healthz", "GET,HEAD"),
        ("GET", "/add", "POST"),
        ("PUT", "/submit", "POST"),
    ] {
        let reply = site.call(&format!("{method} {path} HTTP/1.1\r\ncontent-length: 0\r\n"), b"").await;
        assert_eq!((reply.status, reply.header("allow")), (405, allowed), "{method} {path}");
        assert_eq!(code(&reply), "method-not-allowed");
    }
}

#[tokio::test]
async fn the_page_shows_the_log_and_can_run_nothing() {
    let site = with_entries(2).await;
    let reply = site.get("/").await;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    let vkey = site.policy().logs()[0].key.encode();
    assert!(reply.text().contains(&vkey) && reply.text().contains("POST /add"));
}

#[tokio::test]
async fn health_is_told() {
    let site = Site::run(LogKind::Raw).await;
    let reply = site.get("/healthz").await;
    assert_eq!((reply.status, reply.text()), (200, "ok\n"));
}

/// Row S1 of the attack table, as far as it is about the framing of requests.
#[tokio::test]
async fn two_lengths_for_one_body_are_refused() {
    let site = Site::run(LogKind::Raw).await;
    let mut stream = site.connect().await;
    let request = b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd";
    stream.write_all(request).await.unwrap();
    assert_eq!(Reply::read(stream).await.status, 400);
    assert_eq!(site.get("/tile/0/000.p/1").await.status, 404);
}
