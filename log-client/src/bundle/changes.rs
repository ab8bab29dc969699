//! What changed from one bundle to the next, counted file by file.

use std::cmp::Ordering;
use std::io::BufRead;
use std::iter::Peekable;
use std::slice::Iter;

use indelible_proto::bundle_tree::{BundleFile, BundleLine, BundleTree, ListingDigest};

use super::listing::{ListingFileError, read_listing};

/// How many files differ between two bundles. A file that was moved is one removed and one added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that only the later bundle has.
    pub added: u64,
    /// Files that both have, with another content.
    pub changed: u64,
    /// Files that only the earlier bundle has.
    pub removed: u64,
}

/// Counts what changed from the bundle of `listing` to `tree`. The listing is read line by line; its digest says which
/// bundle it is of, and that is for the caller to check.
pub fn changes_since(
    listing: &mut impl BufRead,
    tree: &BundleTree,
) -> Result<(ListingDigest, Changes), ListingFileError> {
    let mut counter = Counter::new(tree);
    let digest = read_listing(listing, &mut |_| {}, &mut |line| {
        if let Ok(line) = BundleLine::parse(line) {
            counter.earlier(&line);
        }
    })?;
    Ok((digest, counter.finish()))
}

/// Counts what changed from the bundle `earlier` to `tree`.
pub fn changes_between(earlier: &BundleTree, tree: &BundleTree) -> Changes {
    let mut counter = Counter::new(tree);
    for BundleFile { path, sha256, .. } in earlier.files() {
        counter.earlier(&BundleLine { sha256: *sha256, path: path.clone() });
    }
    counter.finish()
}

/// Walks two bundles side by side, both sorted by the bytes of their paths.
struct Counter<'a> {
    later: Peekable<Iter<'a, BundleFile>>,
    changes: Changes,
}

impl<'a> Counter<'a> {
    fn new(later: &'a BundleTree) -> Self {
        Self { later: later.files().iter().peekable(), changes: Changes::default() }
    }

    fn earlier(&mut self, line: &BundleLine) {
        while let Some(file) = self.later.peek() {
            match file.path.cmp(&line.path) {
                Ordering::Less => self.changes.added += 1,
                Ordering::Equal => {
                    self.changes.changed += u64::from(file.sha256 != line.sha256);
                    self.later.next();
                    return;
                }
                Ordering::Greater => break,
            }
            self.later.next();
        }
        self.changes.removed += 1;
    }

    fn finish(mut self) -> Changes {
        self.changes.added += self.later.len() as u64;
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::sha256;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> BundleTree {
        let file = |(path, content): &(&str, &str)| BundleFile {
            path: (*path).to_owned(),
            sha256: sha256(content.as_bytes()),
            bytes: content.len() as u64,
        };
        BundleTree::from_files(files.iter().map(file).collect()).unwrap()
    }

    fn counts(earlier: &[(&str, &str)], later: &[(&str, &str)]) -> (u64, u64, u64) {
        let (earlier, later) = (tree(earlier), tree(later));
        let changes = changes_between(&earlier, &later);
        let (digest, listed) = changes_since(&mut earlier.lines().as_bytes(), &later).unwrap();
        assert_eq!((digest.head, listed), (earlier.head(), changes));
        (changes.added, changes.changed, changes.removed)
    }

    #[test]
    fn counts_at_both_ends_and_in_between() {
        let three = [("b", "1"), ("d", "1"), ("f", "1")];
        assert_eq!(counts(&three, &three), (0, 0, 0));
        assert_eq!(counts(&three, &[("d", "1")]), (0, 0, 2));
        assert_eq!(counts(&[("d", "1")], &three), (2, 0, 0));
        assert_eq!(counts(&three, &[("b", "2"), ("d", "1"), ("f", "2")]), (0, 2, 0));
        assert_eq!(counts(&three, &[("a", "1"), ("c", "1"), ("e", "1"), ("g", "1")]), (4, 0, 3));
        assert_eq!(counts(&three, &[("a", "1"), ("d", "2"), ("g", "1")]), (2, 1, 2));
    }

    #[test]
    fn sorts_by_bytes_as_the_listing_does() {
        // A component that is the start of another one, and a letter outside ASCII.
        let earlier = [("a-b", "1"), ("a/b", "1"), ("é", "1")];
        assert_eq!(counts(&earlier, &[("a/b", "1"), ("z", "1"), ("é", "2")]), (1, 1, 1));
    }

    #[test]
    fn a_damaged_listing_counts_nothing() {
        let later = tree(&[("a", "1")]);
        for text in ["", "x", "b\n"] {
            assert!(changes_since(&mut text.as_bytes(), &later).is_err());
        }
    }
}
