//! Archives as tools make them, and as nobody's tool makes them.

use std::fs;
use std::io::{Cursor, Write as _};

use ::tar::{Builder, EntryType, Header};
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::bundle::hash_directory;

const FILES: [(&str, &[u8]); 4] =
    [("README", b"read me"), ("b/\u{e9}.yml", b"x"), ("b/c/empty", b""), ("z", &[b'z'; 100_000])];
const LIMITS: Limits = Limits { entries: 100, bytes: 10_000_000 };

fn hash(name: &str, bytes: &[u8], folder: Option<&str>, limits: Limits) -> Result<BundleTree, Kind> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    hash_within(&path, folder, limits, &mut |_| {})
}

fn code(name: &str, bytes: &[u8]) -> &'static str {
    let result = hash(name, bytes, None, LIMITS);
    result.map_or_else(|kind| ArchiveError { path: PathBuf::new(), kind }.code(), |_| "ok")
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

/// Adds an entry whose name stands in the header as it is given.
fn add(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &[u8], content: &[u8]) {
    let mut header = header(kind, content.len());
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn tar_of(entries: &[(EntryType, &[u8], &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    entries.iter().for_each(|(kind, name, content)| add(&mut tar, *kind, name, content));
    tar.into_inner().unwrap()
}

fn good_tar() -> Vec<u8> {
    tar_of(&FILES.map(|(name, content)| (EntryType::Regular, name.as_bytes(), content)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zip_of(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        match name.strip_suffix('/') {
            Some(folder) => zip.add_directory(folder, options).unwrap(),
            None => {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
    }
    zip.finish().unwrap().into_inner()
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn good_zip() -> Vec<u8> {
    zip_of(&FILES, deflated())
}

#[test]
fn an_archive_has_the_root_of_the_directory_it_unpacks_to() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    for (name, content) in FILES {
        let path = rules.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir(rules.join("nothing")).unwrap();
    let expected = hash_directory(&rules, &mut |_| {}).unwrap();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut packed = Builder::new(Vec::new());
    packed.append_dir_all(".", &rules).unwrap();
    let mut in_folder = Builder::new(Vec::new());
    in_folder.append_dir_all("x/rules", &rules).unwrap();
    let in_folder = in_folder.into_inner().unwrap();
    for (name, bytes, folder) in [
        ("r.tar", good_tar(), None),
        ("r.tar", packed.into_inner().unwrap(), None),
        ("r.tar", in_folder.clone(), Some("x/rules")),
        ("r.tar.gz", gzip(&in_folder), Some("x/rules/")),
        ("R.TGZ", gzip(&good_tar()), None),
        ("r.zip", good_zip(), None),
        ("r.zip", zip_of(&FILES, stored), None),
    ] {
        let tree = hash(name, &bytes, folder, LIMITS).unwrap();
        assert_eq!((tree.head(), tree.bytes()), (expected.head(), expected.bytes()), "{name} {folder:?}");
    }
    let beside = hash("r.tar", &in_folder, Some("x/other"), LIMITS).unwrap_err();
    assert!(matches!(beside, Kind::OutsideFolder { .. }), "{beside}");
}

#[test]
fn long_names_are_read_in_both_of_their_forms() {
    let long = format!("{}/{}", "d".repeat(90), "n".repeat(120));
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header(EntryType::Regular, 1), &long, &b"x"[..]).unwrap();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes()), ("mtime", b"1.5")]).unwrap();
    add(&mut pax, EntryType::Regular, b"short", b"x");
    for bytes in [gnu.into_inner().unwrap(), pax.into_inner().unwrap()] {
        let tree = hash("r.tar", &bytes, None, LIMITS).unwrap();
        assert_eq!(tree.files()[0].path, long);
    }
}

#[test]
fn entries_that_are_no_plain_files_are_refused() {
    for (kind, expected) in [
        (EntryType::Symlink, "archive-not-regular"),
        (EntryType::Link, "archive-not-regular"),
        (EntryType::Char, "archive-not-regular"),
        (EntryType::Block, "archive-not-regular"),
        (EntryType::Fifo, "archive-not-regular"),
        (EntryType::GNUSparse, "archive-not-regular"),
        (EntryType::new(b'V'), "archive-not-regular"),
        (EntryType::Directory, "bundle-file-count"),
    ] {
        assert_eq!(code("r.tar", &tar_of(&[(kind, b"a", b"")])), expected, "{kind:?}");
    }
    assert_eq!(code("r.tar", &tar_of(&[(EntryType::Directory, b"a", b"content")])), "archive-ambiguous");
    for mode in [0o120_777, 0o020_644, 0o010_644] {
        let mut bytes = zip_of(&[("a", b"x")], deflated());
        // The mode is in the upper half of the external attributes, 38 bytes into the directory's entry.
        let at = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        bytes[at + 5] = 3;
        bytes[at + 40..at + 42].copy_from_slice(&u16::try_from(mode).unwrap().to_le_bytes());
        assert_eq!(code("r.zip", &bytes), "archive-not-regular", "{mode:o}");
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let cases: [(&[u8], &str); 12] = [
        (b"../a", "bundle-path-component"),
        (b"a/../../b", "bundle-path-component"),
        (b"/etc/passwd", "bundle-path-component"),
        (b"a//b", "bundle-path-component"),
        (b"././a", "bundle-path-component"),
        (b"a/", "bundle-path-component"),
        (b"", "bundle-path-length"),
        (b"..\\a", "bundle-path-character"),
        (b"C:\\a", "bundle-path-character"),
        (b"a\nb", "bundle-path-character"),
        (b"e\xcc\x81", "bundle-path-not-nfc"),
        (b"\xff", "archive-name-not-utf8"),
    ];
    for (name, expected) in cases {
        assert_eq!(code("r.tar", &tar_of(&[(EntryType::Regular, name, b"x")])), expected, "{name:?}");
        if let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.ends_with('/')) {
            let bytes = zip_of(&[(name, b"x")], deflated());
            assert_eq!(code("r.zip", &bytes), expected, "{name:?}");
        }
    }
    // Folders too, although they are no part of the bundle.
    let folder = (EntryType::Directory, &b"../x/"[..], &b""[..]);
    assert_eq!(code("r.tar", &tar_of(&[folder, (EntryType::Regular, b"a", b"")])), "bundle-path-component");
}

#[test]
fn one_path_twice_is_refused_in_any_letters_and_as_a_folder() {
    fn file(name: &[u8]) -> (EntryType, &[u8], &[u8]) {
        (EntryType::Regular, name, b"x")
    }
    fn folder(name: &[u8]) -> (EntryType, &[u8], &[u8]) {
        (EntryType::Directory, name, b"")
    }
    for (entries, expected) in [
        ([file(b"a"), file(b"a")], "bundle-path-duplicate"),
        ([file(b"a"), file(b"./a")], "bundle-path-duplicate"),
        ([file(b"A"), file(b"a")], "bundle-path-duplicate"),
        ([file(b"a"), file(b"A/b")], "bundle-path-inside-file"),
        ([file(b"a"), folder(b"A/")], "bundle-path-inside-file"),
        ([file(b"a/b"), folder(b"a/")], "ok"),
    ] {
        assert_eq!(code("r.tar", &tar_of(&entries)), expected, "{entries:?}");
    }
    for (names, expected) in [(["A", "a"], "bundle-path-duplicate"), (["a", "A/"], "bundle-path-inside-file")]
    {
        assert_eq!(code("r.zip", &zip_of(&names.map(|name| (name, &b"x"[..0])), deflated())), expected);
    }
    // Two entries of one name, which no library writes: the second is renamed in the bytes.
    let mut twice = zip_of(&[("a1", b"x"), ("a2", b"y")], deflated());
    let places: Vec<usize> = (0..twice.len() - 1).filter(|at| &twice[*at..*at + 2] == b"a2").collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| twice[at + 1] = b'1');
    assert_eq!(code("r.zip", &twice), "archive-stray-bytes");
}

#[test]
fn every_cut_and_every_byte_after_the_end_is_refused() {
    for (name, good) in [("r.tar", good_tar()), ("r.tar.gz", gzip(&good_tar())), ("r.zip", good_zip())] {
        assert_eq!(code(name, &good), "ok");
        let step = (good.len() / 300).max(1);
        for cut in (0..good.len()).step_by(step).chain(good.len() - 40..good.len()) {
            assert_ne!(code(name, &good[..cut]), "ok", "{name} cut after {cut} of {} bytes", good.len());
        }
        for more in [&b"x"[..], b"PK\x05\x06", &good] {
            assert_ne!(code(name, &[&good[..], more].concat()), "ok", "{name} and {} bytes", more.len());
        }
    }
    assert_eq!(code("r.tar.gz", &[gzip(&good_tar()), gzip(b"")].concat()), "archive-stray-bytes");
    assert_eq!(code("r.tar", &[good_tar(), vec![0; 512]].concat()), "ok");
    assert_eq!(code("r.tar", &[good_tar(), vec![0; 511]].concat()), "archive-stray-bytes");
    assert_eq!(code("r.zip", &[b"#!/bin/sh\n", &good_zip()[..]].concat()), "archive-stray-bytes");
}

#[test]
fn damage_is_noticed() {
    for (name, good) in [("r.tar.gz", gzip(&good_tar())), ("r.zip", good_zip())] {
        let expected = hash(name, &good, None, LIMITS).unwrap().head();
        let mut seen = 0;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            // What is changed may be no part of a bundle, such as a time, or say the same in other words, such
            // as where a run of one letter is copied from.
            match hash(name, &bad, None, LIMITS) {
                Ok(tree) => assert_eq!(tree.head(), expected, "{name}, byte {at}"),
                Err(_) => seen += 1,
            }
        }
        assert!(seen * 3 > good.len(), "{name}: {seen} of {}", good.len());
    }
    for name in ["r.tar", "r.tar.gz", "r.zip"] {
        for bytes in [&b""[..], b"\n", &[0; 10_240], b"<!DOCTYPE html><html>not found</html>", &[0xff; 2000]]
        {
            assert_ne!(code(name, bytes), "ok", "{name}: {} bytes", bytes.len());
        }
    }
    assert_eq!(code("r.7z", b"7z"), "archive-unknown-kind");
    assert_eq!(code(".tar", b""), "archive-unknown-kind");
}

#[test]
fn an_entry_with_two_names_or_sizes_is_refused() {
    let pax = |records: &[(&str, &[u8])], twice: bool| {
        let mut tar = Builder::new(Vec::new());
        for _ in 0..=usize::from(twice) {
            tar.append_pax_extensions(records.iter().copied()).unwrap();
        }
        add(&mut tar, EntryType::Regular, b"a", b"x");
        code("r.tar", &tar.into_inner().unwrap())
    };
    assert_eq!(pax(&[("size", b"1")], false), "ok");
    assert_eq!(pax(&[("size", b"0")], false), "archive-ambiguous");
    assert_eq!(pax(&[("size", b"01")], false), "archive-ambiguous");
    assert_eq!(pax(&[("path", b"b"), ("path", b"c")], false), "archive-ambiguous");
    assert_eq!(pax(&[("path", b"b")], true), "archive-ambiguous");
    assert_eq!(pax(&[("GNU.sparse.major", b"1")], false), "archive-not-regular");
    assert_eq!(pax(&[("path", b"../b")], false), "bundle-path-component");
    let long = |kind, content: &[u8]| (kind, &b"././@LongLink"[..], content.to_vec());
    for (entries, expected) in [
        (
            vec![long(EntryType::GNULongName, b"b\0"), long(EntryType::GNULongName, b"c\0")],
            "archive-ambiguous",
        ),
        (vec![long(EntryType::XGlobalHeader, b"10 path=b\n")], "archive-ambiguous"),
        (vec![long(EntryType::XGlobalHeader, b"13 comment=b\n")], "ok"),
        (vec![long(EntryType::GNULongName, &[b'n'; 65_537])], "archive-malformed"),
    ] {
        let mut all: Vec<_> =
            entries.iter().map(|(kind, name, content)| (*kind, *name, &content[..])).collect();
        all.push((EntryType::Regular, b"a", b"x"));
        assert_eq!(code("r.tar", &tar_of(&all)), expected, "{entries:?}");
    }
    assert_eq!(code("r.tar", &tar_of(&[(EntryType::GNULongName, b"l", b"b\0")])), "archive-stray-bytes");
}

#[test]
fn a_zip_that_says_two_things_is_refused() {
    let good = zip_of(&[("abcd", b"content")], deflated());
    let places: Vec<usize> = (0..good.len() - 4).filter(|at| &good[*at..*at + 4] == b"abcd").collect();
    let [beside, listed] = places[..] else { panic!("{places:?}") };
    for at in [beside, listed] {
        let mut bad = good.clone();
        bad[at] = b'x';
        assert_eq!(code("r.zip", &bad), "archive-malformed", "name at {at}");
    }
    // The size that the directory gives, 24 bytes into its entry, one more and one less.
    for change in [1, u8::MAX] {
        let mut bad = good.clone();
        let at = listed - 46 + 24;
        bad[at] = bad[at].wrapping_add(change);
        assert_ne!(code("r.zip", &bad), "ok");
    }
}

#[test]
fn what_unpacks_to_more_than_the_limit_is_refused() {
    let bomb = vec![0; 3_000_000];
    let tar = tar_of(&[(EntryType::Regular, b"a", &bomb)]);
    let small = Limits { bytes: 1_000_000, ..LIMITS };
    for (name, bytes) in
        [("r.tar", tar.clone()), ("r.tar.gz", gzip(&tar)), ("r.zip", zip_of(&[("a", &bomb)], deflated()))]
    {
        assert!(matches!(hash(name, &bytes, None, small), Err(Kind::TooLarge { max: 1_000_000 })), "{name}");
        assert!(hash(name, &bytes, None, LIMITS).is_ok(), "{name}");
    }
    // Padding after the end, and many entries that are each within the limit.
    let padded = gzip(&[tar_of(&[(EntryType::Regular, b"a", b"")]), vec![0; 1_000_448]].concat());
    assert!(matches!(hash("r.tar.gz", &padded, None, small), Err(Kind::TooLarge { .. })));
    let half = vec![0; 600_000];
    let two = zip_of(&[("a", &half), ("b", &half)], deflated());
    assert!(matches!(hash("r.zip", &two, None, small), Err(Kind::TooLarge { .. })));
}

#[test]
fn refuses_one_entry_more_than_the_limit() {
    let names: Vec<String> = (0..101).map(|number| format!("f{number:03}")).collect();
    let of = |count: usize| -> Vec<(&str, &[u8])> {
        names[..count].iter().map(|name| (name.as_str(), &b""[..])).collect()
    };
    let tar = |count: usize| {
        let entries: Vec<_> =
            of(count).iter().map(|(name, _)| (EntryType::Regular, name.as_bytes(), &b""[..])).collect();
        tar_of(&entries)
    };
    assert_eq!(code("r.tar", &tar(100)), "ok");
    assert_eq!(code("r.tar", &tar(101)), "archive-too-many-entries");
    assert_eq!(code("r.zip", &zip_of(&of(100), deflated())), "ok");
    assert_eq!(code("r.zip", &zip_of(&of(101), deflated())), "archive-too-many-entries");
}
