//! The bundle tree against values made with coreutils and Python, and against RFC 6962's own recursion.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::hash::sha256;

pub(super) fn file(path: &str, content: &[u8]) -> BundleFile {
    BundleFile { path: path.into(), sha256: sha256(content), bytes: content.len() as u64 }
}

pub(super) fn tree(paths: &[&str]) -> Result<BundleTree, BundleTreeError> {
    BundleTree::from_files(paths.iter().map(|path| file(path, path.as_bytes())).collect())
}

fn code(paths: &[&str]) -> Option<&'static str> {
    tree(paths).err().map(|error| error.code())
}

pub(super) fn numbered(count: usize) -> BundleTree {
    BundleTree::from_files((0..count).map(|number| file(&format!("f/{number:04}"), b"")).collect()).unwrap()
}

/// The definition of RFC 6962, section 2.1, word for word.
fn mth(entries: &[String]) -> Hash {
    match entries {
        [] => sha256(b""),
        [entry] => leaf_hash(entry.as_bytes()),
        _ => {
            let k = entries.len().next_power_of_two() / 2;
            node_hash(&mth(&entries[..k]), &mth(&entries[k..]))
        }
    }
}

#[test]
fn gives_what_sha256sum_and_python_give() {
    // find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2, and hashlib over it.
    let tree = BundleTree::from_files(vec![
        file("z", b"last"),
        file("rules/b.yml", b"b"),
        file("rules/sub/\u{e9}t\u{e9}.yml", &[b'x'; 1000]),
        file("README", b"read me"),
        file("rules/A-z.txt", b""),
        file("a b", b"space"),
        file("rules/a.yml", b"a\n"),
    ])
    .unwrap();
    let listing = "\
3f22095641508576e91dc7c6c7f7e08a093985d53ea998043c6619ad240dc92c  README
3f49dbbfe051cb20cc038923424fedf8d18307cc805e1520e4168e9360e2eb38  a b
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  rules/A-z.txt
87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  rules/a.yml
3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  rules/b.yml
44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f  rules/sub/\u{e9}t\u{e9}.yml
3547cb112ac4489af2310c0626cdba6f3097a2ad5a3b42ddd3b59c76c7a079a3  z
";
    assert_eq!(tree.lines(), listing);
    let root = "d614f986300e4741a01e9e511c3940e6ca0d6289c70fffe0c442c942612faee4";
    assert_eq!(tree.root().to_hex(), root);
    let dir_hash1 = "b781190811f7717bd9337b299e59958c5ad12396d06f6dc46d91dc1b8938c78b";
    assert_eq!(tree.dir_hash1().to_hex(), dir_hash1);
    assert_eq!((tree.size().get(), tree.bytes()), (7, 1019));
}

#[test]
fn every_small_tree_has_the_root_of_rfc_6962() {
    for count in 1..=70 {
        let tree = numbered(count);
        let lines: Vec<String> = tree.files().iter().map(BundleFile::line).collect();
        assert_eq!(tree.root(), mth(&lines), "{count} files");
    }
}

#[test]
fn the_order_of_the_files_given_does_not_matter() {
    let (a, b) = (tree(&["b", "a/c", "a-b"]).unwrap(), tree(&["a-b", "b", "a/c"]).unwrap());
    assert_eq!((a.root(), a.dir_hash1()), (b.root(), b.dir_hash1()));
    let paths: Vec<_> = a.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a-b", "a/c", "b"]);
}

#[test]
fn content_and_path_change_the_root() {
    let one = tree(&["a", "b"]).unwrap();
    let other = BundleTree::from_files(vec![file("a", b"a"), file("b", b"B")]).unwrap();
    assert_ne!(one.root(), other.root());
    assert_ne!(one.root(), tree(&["a", "c"]).unwrap().root());
}

#[test]
fn refuses_paths_that_are_not_plain_and_relative() {
    for (path, code) in [
        ("", "bundle-path-length"),
        ("/a", "bundle-path-component"),
        ("a/", "bundle-path-component"),
        ("a//b", "bundle-path-component"),
        (".", "bundle-path-component"),
        ("./a", "bundle-path-component"),
        ("a/./b", "bundle-path-component"),
        ("..", "bundle-path-component"),
        ("../a", "bundle-path-component"),
        ("a/..", "bundle-path-component"),
        ("a\\b", "bundle-path-character"),
        ("C:\\a", "bundle-path-character"),
        ("a\n", "bundle-path-character"),
        ("a\0b", "bundle-path-character"),
        ("a\u{7f}", "bundle-path-character"),
        ("a\u{85}", "bundle-path-character"),
        ("e\u{301}te", "bundle-path-not-nfc"),
        ("\u{212b}", "bundle-path-not-nfc"),
    ] {
        assert_eq!(check_path(path).map_err(|error| error.code()), Err(code), "{path:?}");
        let error = tree(&["0", path]).unwrap_err();
        assert_eq!(error.code(), code, "{path:?}");
    }
    for path in ["a", "...", ".hidden", "a/..b", "a b", " a", "~", "\u{e9}", "\u{65e5}\u{672c}/x", "a:b"] {
        assert_eq!(check_path(path), Ok(()), "{path:?}");
    }
}

#[test]
fn says_which_path_is_refused() {
    let error = tree(&["b/..", "a", "c"]).unwrap_err();
    assert_eq!(error, BundleTreeError::Path { file: 1, rule: PathError::Component });
}

#[test]
fn paths_have_at_most_1024_bytes() {
    assert_eq!(check_path(&"a".repeat(1024)), Ok(()));
    assert_eq!(check_path(&"a".repeat(1025)), Err(PathError::Length { got: 1025 }));
    assert_eq!(check_path(&"\u{e9}".repeat(513)), Err(PathError::Length { got: 1026 }));
}

#[test]
fn refuses_paths_that_a_file_system_could_confuse() {
    assert_eq!(tree(&["a", "a"]).unwrap_err(), BundleTreeError::Duplicate { file: 1 });
    assert_eq!(code(&["README", "readme"]), Some("bundle-path-duplicate"));
    assert_eq!(code(&["Rules/a", "rules/A"]), Some("bundle-path-duplicate"));
    // Only ASCII letters are folded: the tables for the others change.
    assert_eq!(code(&["\u{c9}", "\u{e9}"]), None);
    assert_eq!(code(&["rules/a", "Rules/b"]), None);
}

#[test]
fn refuses_a_path_that_is_file_and_folder_at_once() {
    assert_eq!(tree(&["a", "a/b"]).unwrap_err(), BundleTreeError::InsideFile { file: 1 });
    assert_eq!(code(&["a", "a-b", "a/b"]), Some("bundle-path-inside-file"));
    assert_eq!(code(&["A", "a/b/c"]), Some("bundle-path-inside-file"));
    assert_eq!(code(&["A/b", "a"]), Some("bundle-path-inside-file"));
    assert_eq!(code(&["a/b", "a/b/c/d"]), Some("bundle-path-inside-file"));
    assert_eq!(code(&["a/b", "a/bc/d", "b"]), None);
}

#[test]
fn has_1_to_ten_million_files() {
    assert_eq!(BundleTree::from_files(vec![]).unwrap_err(), BundleTreeError::FileCount { got: 0 });
    assert_eq!(check_count(10_000_000), Ok(()));
    assert_eq!(check_count(10_000_001), Err(BundleTreeError::FileCount { got: 10_000_001 }));
}

#[test]
fn the_bytes_stay_exact() {
    let sized = |path: &str, bytes| BundleFile { bytes, ..file(path, b"") };
    let files = |last| vec![sized("a", (1 << 53) - 2), sized("b", last)];
    assert_eq!(BundleTree::from_files(files(1)).unwrap().bytes(), (1 << 53) - 1);
    for last in [2, u64::MAX] {
        assert_eq!(BundleTree::from_files(files(last)).unwrap_err(), BundleTreeError::TooManyBytes);
    }
}

/// Which paths are in Normalization Form C is decided by these tables; another version may decide otherwise
/// for characters it adds, and `docs/records.md` names the version.
#[test]
fn normalization_uses_the_documented_unicode_version() {
    let (major, minor, patch) = unicode_normalization::UNICODE_VERSION;
    let version = format!("Unicode {major}.{minor}.{patch}");
    assert!(include_str!("../../../docs/records.md").contains(&version), "{version}");
}
