use std::path::Path;

use indelible_proto::hash::leaf_hash;
use indelible_proto::tree::TreeHead;

use super::*;
use crate::test_log::TestLog;

fn size(size: usize) -> TreeSize {
    TreeSize::new(size as u64).unwrap()
}

fn log_of(size: usize) -> TestLog {
    let mut log = TestLog::new();
    for i in 0..size {
        log.append(format!("entry {i}").as_bytes());
    }
    log
}

fn client(dir: &Path) -> LogClient {
    LogClient::new(Source::directory(dir))
}

#[tokio::test]
async fn proofs_of_published_tiles_verify() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(600);
    log.publish(dir.path());
    let client = client(dir.path());
    let head = log.head(600);
    for index in [0, 1, 255, 256, 511, 512, 599] {
        let leaf = leaf_hash(&log.entries[index]);
        let index = LeafIndex::new(index as u64).unwrap();
        let proof = client.inclusion(index, head.size).await.unwrap();
        proof.verify(&leaf, index, &head).unwrap();
    }
    for old in [1, 2, 255, 256, 257, 400, 512, 599, 600] {
        let old: TreeHead = log.head(old);
        let proof = client.consistency(old.size, head.size).await.unwrap();
        proof.verify(&old, &head).unwrap();
    }
}

#[tokio::test]
async fn a_partial_tile_or_bundle_that_is_gone_is_cut_from_the_full_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(520);
    log.publish(dir.path());
    let client = client(dir.path());
    let old = log.head(300);
    let proof = client.consistency(log.head(7).size, old.size).await.unwrap();
    proof.verify(&log.head(7), &old).unwrap();
    let bundle = client.bundle(BundleId::for_size(1, size(300)).unwrap()).await.unwrap();
    assert_eq!(bundle.iter().map(Entry::as_bytes).collect::<Vec<_>>(), &log.entries[256..300]);
}

#[tokio::test]
async fn what_is_not_there_or_not_a_tile_is_an_error_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(300);
    log.publish(dir.path());
    let client = client(dir.path());
    let tile = TileId::for_size(0, 1, size(300)).unwrap();
    let path = dir.path().join(tile.path());
    let good = std::fs::read(&path).unwrap();
    let cases: [(&[u8], &str); 4] = [
        (&good[1..], "tile-length"),
        (b"", "tile-length"),
        (b"<!doctype HTML><p>502", "web-page"),
        (&[&good[..], b"x"].concat(), "file-too-large"),
    ];
    for (bytes, code) in cases {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(client.tile(tile).await.unwrap_err().code(), code);
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(client.tile(tile).await.unwrap_err().code(), "not-found");
    let outside = client.inclusion(LeafIndex::new(300).unwrap(), size(300)).await.unwrap_err();
    assert!(matches!(outside, ReadError::Question { .. }), "{outside}");
}

#[tokio::test]
async fn an_entry_that_looks_like_a_web_page_is_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TestLog::new();
    // The length of this entry is `<!` in two bytes.
    let mut entry = b"doctype html>".to_vec();
    entry.resize(0x3c21, b' ');
    log.append(&entry);
    log.publish(dir.path());
    let bundle = client(dir.path()).bundle(BundleId::for_size(0, size(1)).unwrap()).await.unwrap();
    assert_eq!(bundle[0].as_bytes(), entry);
}

#[test]
fn spans_cover_every_entry_once() {
    for from in [0, 1, 255, 256, 257, 511, 512, 600] {
        for to in [0, 1, 255, 256, 257, 511, 512, 513, 600, 1024] {
            let mut next = from;
            for span in bundle_spans(size(from), size(to)) {
                assert_eq!(span.first.get(), next as u64, "{from}..{to}");
                assert_eq!(span.bundle.first_entry() + span.skip as u64, span.first.get());
                next = usize::try_from(span.bundle.first_entry()).unwrap()
                    + usize::from(span.bundle.width().get());
            }
            assert_eq!(next, to.max(from), "{from}..{to}");
        }
    }
}
