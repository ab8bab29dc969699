use alloc::string::ToString as _;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::bundle_tree::BundleTreeError;
use crate::bundle_tree::tests::{file, numbered, tree};
use crate::hash::sha256;

fn root_of(lines: &str) -> Result<ListingDigest, ListingError> {
    let mut hasher = ListingHasher::new();
    lines.split_terminator('\n').try_for_each(|line| hasher.push(line.as_bytes()))?;
    hasher.finish()
}

fn listing(paths: &[&str]) -> String {
    paths.iter().map(|path| text(&sha256(path.as_bytes()), path) + "\n").collect()
}

fn code(lines: &str) -> &'static str {
    root_of(lines).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn a_listing_has_the_root_of_its_tree() {
    for count in 1..=70 {
        let tree = numbered(count);
        let digest = root_of(&tree.lines()).unwrap();
        assert_eq!((digest.head, digest.dir_hash1), (tree.head(), tree.dir_hash1()), "{count} lines");
    }
}

#[test]
fn a_line_has_one_form() {
    let digits = sha256(b"").to_hex();
    let good = format!("{digits}  a b/\u{e9}");
    assert_eq!(BundleLine::parse(good.as_bytes()).unwrap().encode(), good);
    for (line, code) in [
        (String::new(), "bundle-line-form"),
        (digits.clone(), "bundle-line-form"),
        (format!("{digits}  "), "bundle-path-length"),
        (format!("{digits} a"), "bundle-line-form"),
        (format!("{digits} *a"), "bundle-line-form"),
        (format!("{digits}\ta"), "bundle-line-form"),
        (format!("{digits}  /a"), "bundle-path-component"),
        (format!("{digits}  a\r"), "bundle-path-character"),
        (format!("{digits}  ./a"), "bundle-path-component"),
        (format!("\\{digits}  a"), "bundle-line-form"),
        (format!(" {digits}  a"), "bundle-line-form"),
        (format!("{}  a", digits.to_uppercase()), "bundle-line-form"),
        (format!("{}  a", &digits[1..]), "bundle-line-form"),
        (format!("\u{e9}{}  a", &digits[1..]), "bundle-line-form"),
        (format!("{digits}0  a"), "bundle-line-form"),
        (format!("SHA256 (a) = {digits}"), "bundle-line-form"),
    ] {
        assert_eq!(BundleLine::parse(line.as_bytes()).map_err(|error| error.code()), Err(code), "{line:?}");
    }
    let not_utf8 = [digits.as_bytes(), b"  \xff"].concat();
    assert_eq!(BundleLine::parse(&not_utf8), Err(LineError::Form));
}

#[test]
fn lines_rise_by_the_bytes_of_their_paths() {
    assert_eq!(code(&listing(&["B", "a-b", "a/c", "c", "\u{e9}"])), "ok");
    assert_eq!(code(&listing(&["b", "a"])), "bundle-listing-order");
    assert_eq!(code(&listing(&["a", "b", "b"])), "bundle-path-duplicate");
    // As a sort in another locale leaves them.
    assert_eq!(code(&listing(&["a", "B"])), "bundle-listing-order");
    assert_eq!(code(&listing(&["a/c", "a-b"])), "bundle-listing-order");
    assert_eq!(code(""), "bundle-file-count");
}

#[test]
fn paths_that_clash_are_refused_however_far_apart() {
    for (paths, expected) in [
        (&["README", "a", "b", "readme"][..], "bundle-path-duplicate"),
        (&["Rules/a", "b", "rules/A"], "bundle-path-duplicate"),
        (&["a", "a-b", "a/b"], "bundle-path-inside-file"),
        (&["A", "B/x", "a/b/c"], "bundle-path-inside-file"),
        (&["A/b", "a"], "bundle-path-inside-file"),
        (&["a/b", "a/b/c/d"], "bundle-path-inside-file"),
        (&["A/x", "a/y", "b"], "ok"),
        (&["a/b/c", "a/b/d", "a/bc/d", "b"], "ok"),
    ] {
        assert_eq!(code(&listing(paths)), expected, "{paths:?}");
        assert_eq!(tree(paths).map_or_else(|error| error.code(), |_| "ok"), expected, "{paths:?}");
    }
}

#[test]
fn refuses_one_line_and_one_folder_more_than_the_limit() {
    let push = |paths: &[&str]| {
        let mut hasher = ListingHasher::with_limit(3);
        let mut lines = paths.iter().map(|path| hasher.push(text(&sha256(b""), path).as_bytes()));
        lines.find_map(Result::err).map_or("ok", |error| error.code())
    };
    assert_eq!(push(&["a", "b", "c"]), "ok");
    assert_eq!(push(&["a", "b", "c", "d"]), "bundle-file-count");
    assert_eq!(push(&["a/b/c/d"]), "ok");
    assert_eq!(push(&["a/b/c/d", "a/b/c/e", "a/b/f"]), "ok");
    assert_eq!(push(&["a/b/c/d", "a/b/c1/d"]), "bundle-folder-count");
    assert_eq!(ListingHasher::new().max_files, BundleTree::MAX_FILES);
}

proptest! {
    /// Finding a clash by short hashes agrees with comparing the paths themselves.
    #[test]
    fn clashes_are_those_of_the_definition(paths in proptest::collection::vec("[aAbB](/[aAbB]){0,3}", 1..12)) {
        let mut sorted: Vec<String> = paths.clone();
        sorted.sort();
        let folded: Vec<String> = sorted.iter().map(|path| path.to_ascii_lowercase()).collect();
        let is_twice = |i: usize| folded[..i].contains(&folded[i]);
        let is_inside = |i: usize| folded.iter().any(|path| folded[i].starts_with(&format!("{path}/")));
        let duplicate = (0..folded.len()).find(|i| is_twice(*i)).map(|file| BundleTreeError::Duplicate { file });
        let inside = (0..folded.len()).find(|i| is_inside(*i)).map(|file| BundleTreeError::InsideFile { file });
        let expected = duplicate.or(inside);
        let files = paths.iter().map(|path| file(path, b"")).collect();
        prop_assert_eq!(BundleTree::from_files(files).err(), expected);
        let lines: String = sorted.iter().map(|path| text(&sha256(b""), path) + "\n").collect();
        prop_assert_eq!(root_of(&lines).is_err(), expected.is_some());
    }

    #[test]
    fn what_is_accepted_as_a_line_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
        if let Ok(line) = BundleLine::parse(&bytes) {
            prop_assert_eq!(line.encode().to_string().into_bytes(), bytes);
        }
    }
}
