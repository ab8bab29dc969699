//! The artifacts of several records as the subjects of one that speaks about them.
//!
//! Subjects have a name each, and records of one channel use the same ones again: every rule set may be called `rules`.
//! Whoever searches by digest has to find each of them, so of artifacts with one name that are not the same the one with
//! the smallest digest keeps the name. The others get `@` and the first eight hexadecimal digits of their digest behind
//! it, or sixteen and so on as long as that is the name of yet another one; a name is cut to make room for them. The order
//! in which the records are named plays no part.
//!
//! Not checked: how many there may be, which is checked as the record is made.

use std::collections::BTreeMap;

use indelible_proto::hash::Hash;
use indelible_proto::record::{MAX_NAME_BYTES, SignedRecord, Subject};

/// Artifacts whose names were chosen so that one of them cannot get a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are artifacts named {name} and every name that could be made of it for another one")]
pub struct NamesTaken {
    name: String,
}

impl NamesTaken {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "artifact-names-taken"
    }
}

/// Every artifact of `records`, sorted by names of which none is there twice. What is said of a record holds on every
/// platform, so none of them has one.
///
/// # Errors
/// [`NamesTaken`] if artifacts are named so that another one finds no name.
pub fn artifacts_of<'a>(
    records: impl IntoIterator<Item = &'a SignedRecord>,
) -> Result<Vec<Subject>, NamesTaken> {
    united(records.into_iter().flat_map(|record| record.statement().subject.iter().cloned()))
}

fn united(subjects: impl Iterator<Item = Subject>) -> Result<Vec<Subject>, NamesTaken> {
    let mut subjects: Vec<Subject> = subjects.map(|subject| Subject { platform: None, ..subject }).collect();
    subjects.sort_by(|a, b| (&a.name, digests(a)).cmp(&(&b.name, digests(b))));
    subjects.dedup();
    let mut named = BTreeMap::<String, Subject>::new();
    let mut others = Vec::new();
    // Those who can keep their names have them before any is made.
    for subject in subjects {
        match named.contains_key(&subject.name) {
            true => others.push(subject),
            false => drop(named.insert(subject.name.clone(), subject)),
        }
    }
    for subject in others {
        let free = names(&subject).find(|name| named.get(name).is_none_or(|held| same(held, &subject)));
        let Some(name) = free else {
            return Err(NamesTaken { name: subject.name });
        };
        named.insert(name.clone(), Subject { name, ..subject });
    }
    Ok(named.into_values().collect())
}

/// The names it may get instead of its own.
fn names(subject: &Subject) -> impl Iterator<Item = String> {
    let digits = subject.sha256.or(subject.dir_hash1).map(Hash::to_hex).unwrap_or_default();
    let name = subject.name.clone();
    (FEWEST_DIGITS..=digits.len()).step_by(FEWEST_DIGITS).filter_map(move |count| {
        let digits = digits.get(..count)?;
        let room = MAX_NAME_BYTES.saturating_sub(digits.len().saturating_add(1));
        // Names are ASCII.
        let name = name.get(..room.min(name.len()))?;
        Some(format!("{name}@{digits}"))
    })
}

fn digests(subject: &Subject) -> (Option<Hash>, Option<Hash>) {
    (subject.sha256, subject.dir_hash1)
}

fn same(one: &Subject, other: &Subject) -> bool {
    digests(one) == digests(other)
}

/// Enough to tell the artifacts of one channel apart.
const FEWEST_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use indelible_proto::hash::sha256;

    use super::*;

    fn hex(content: &str) -> String {
        sha256(content.as_bytes()).to_hex()
    }

    /// The names that artifacts get, by what is in them, however they are ordered.
    fn told(artifacts: &[(&str, &str)]) -> Result<Vec<(String, String)>, NamesTaken> {
        let subject = |(name, content): &(&str, &str)| Subject::of_file(*name, sha256(content.as_bytes()));
        let found = united(artifacts.iter().map(subject));
        assert_eq!(found, united(artifacts.iter().rev().map(subject)));
        let found = found?;
        assert!(found.is_sorted_by(|a, b| a.name < b.name), "{found:?}");
        let by_digest = |subject: &Subject| {
            let content = |(_, content): &&(&str, &str)| Some(sha256(content.as_bytes())) == subject.sha256;
            artifacts.iter().find(content).unwrap().1.to_owned()
        };
        Ok(found.iter().map(|subject| (subject.name.clone(), by_digest(subject))).collect())
    }

    fn some(named: &[(&str, &str)]) -> Result<Vec<(String, String)>, NamesTaken> {
        Ok(named.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect())
    }

    #[test]
    fn of_two_with_one_name_the_second_gets_digits_of_its_digest() {
        // Which is the second, their digests say.
        let (first, second) = if hex("one") < hex("two") { ("one", "two") } else { ("two", "one") };
        let made = format!("rules@{}", &hex(second)[..8]);
        let both = [("rules", "one"), ("agent", "three"), ("rules", "two"), ("rules", "one")];
        assert_eq!(told(&both), some(&[("agent", "three"), ("rules", first), (&made, second)]));
        // One that has that name already keeps it.
        let wide = format!("rules@{}", &hex(second)[..16]);
        let taken = [("rules", "one"), ("rules", "two"), (&made, "three")];
        assert_eq!(told(&taken), some(&[("rules", first), (&made, "three"), (&wide, second)]));
        // Unless it is the very artifact.
        let itself = [("rules", "one"), ("rules", "two"), (&made, second)];
        assert_eq!(told(&itself), some(&[("rules", first), (&made, second)]));
    }

    #[test]
    fn one_file_of_two_platforms_is_one_artifact_and_one_of_two_names_is_two() {
        let platform = indelible_proto::record::Platform::parse("linux/amd64").unwrap();
        let subject = Subject::of_file("agent", sha256(b"one"));
        let both = [subject.clone(), subject.clone().on(platform)];
        assert_eq!(united(both.into_iter()), Ok(vec![subject]));
        assert_eq!(told(&[("a", "one"), ("b", "one")]), some(&[("a", "one"), ("b", "one")]));
    }

    #[test]
    fn a_file_and_a_tree_of_one_name_are_told_apart() {
        let (file, tree) = (Subject::of_file("x", sha256(b"a")), Subject::of_tree("x", sha256(b"a")));
        let found = united([file.clone(), tree.clone()].into_iter()).unwrap();
        let made = format!("x@{}", &hex("a")[..8]);
        assert_eq!(found, [tree, Subject { name: made, ..file }]);
    }

    #[test]
    fn a_made_name_is_no_longer_than_a_name_may_be() {
        let longest = "n".repeat(MAX_NAME_BYTES);
        let named = told(&[(&longest, "one"), (&longest, "two")]).unwrap();
        let mut lengths: Vec<usize> = named.iter().map(|(name, _)| name.len()).collect();
        lengths.dedup();
        assert_eq!((named.len(), lengths), (2, vec![MAX_NAME_BYTES]));
    }

    #[test]
    fn names_that_leave_none_are_told() {
        let second = if hex("one") < hex("two") { "two" } else { "one" };
        let taken: Vec<String> = (8..=64).step_by(8).map(|n| format!("x@{}", &hex(second)[..n])).collect();
        let mut artifacts = vec![("x", "one"), ("x", "two")];
        artifacts.extend(taken.iter().map(|name| (name.as_str(), "three")));
        assert_eq!(told(&artifacts).unwrap_err().code(), "artifact-names-taken");
    }
}
