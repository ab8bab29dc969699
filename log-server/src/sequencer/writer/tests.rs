use std::fs;
use std::path::Path;
use std::thread;

use bytes::Bytes;
use indelible_proto::tile::{BundleId, RightEdge, TileWidth};
use tempfile::TempDir;

use super::*;
use crate::storage::Storage;
use crate::storage::entries::PartialBundle;
use crate::tree_reader::Edge;

fn writer(dir: &Path, max_bytes: usize) -> Writer {
    let storage = Storage::real();
    TileFiles::create(&storage, dir).unwrap();
    let files = TileFiles::new(storage, dir);
    let edge = Edge { tiles: RightEdge::new(), bundle: PartialBundle::default() };
    let reader = Arc::new(TreeReader::new(files.clone(), edge, 0));
    Writer::new(files, reader, max_bytes)
}

fn bundle(index: u64, bytes: usize) -> FullParts {
    let id = BundleId::new(index, TileWidth::FULL).unwrap();
    FullParts { bundles: vec![(id, Bytes::from(vec![7; bytes]))], ..FullParts::default() }
}

#[test]
fn who_puts_more_than_may_wait_waits_until_some_is_written() {
    let dir = TempDir::new().unwrap();
    let writer = writer(dir.path(), 100);
    writer.put(bundle(0, 99)).unwrap();
    writer.put(bundle(1, 99)).unwrap();
    thread::scope(|scope| {
        let third = scope.spawn(|| {
            writer.put(bundle(2, 1)).unwrap();
            writer.waiting().written
        });
        scope.spawn(|| writer.keep_writing().unwrap());
        assert!(third.join().unwrap() >= 1, "there was no room before");
        writer.wait_until_written(3).unwrap();
        writer.close();
    });
    let lengths = ["000", "001", "002"].map(|name| {
        let path = dir.path().join("tile/entries").join(name);
        fs::metadata(path).unwrap().len()
    });
    assert_eq!(lengths, [99, 99, 1]);
    assert_eq!(writer.waiting().bytes, 0);
}

#[test]
fn what_cannot_be_written_is_an_error_and_ends_every_wait() {
    let dir = TempDir::new().unwrap();
    let writer = writer(dir.path(), 1);
    // A file where a directory has to be.
    fs::remove_dir(dir.path().join("tile/entries")).unwrap();
    fs::write(dir.path().join("tile/entries"), b"").unwrap();
    writer.put(bundle(0, 10)).unwrap();
    thread::scope(|scope| {
        let put = scope.spawn(|| writer.put(bundle(1, 10)).unwrap_err().code());
        let written = scope.spawn(|| writer.wait_until_written(1).unwrap_err().code());
        assert_eq!(writer.keep_writing().unwrap_err().code(), "disk");
        writer.close();
        assert_eq!((put.join().unwrap(), written.join().unwrap()), ("unwritten", "unwritten"));
    });
}
