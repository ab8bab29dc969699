//! What a client asks for beyond signatures and proofs. Its own choice, not the vendor's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use indelible_proto::hash::Hash;
use indelible_proto::record::body::ReviewKind;
use indelible_proto::record::{ChannelName, Platform, RecordId};

/// The client's own rules. The default asks for what the channel's keys promise, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The oldest checkpoint that counts, in seconds; `None` leaves it to the channel's own `maxAge`.
    pub max_age_s: Option<u64>,
    /// What the artifact would run on; `None` checks no platform.
    pub platform: Option<Platform>,
    /// The engine that would load the rules; `None` checks no engine.
    pub engine: Option<Engine>,
    /// SHA-256 of each cohort this client belongs to.
    pub cohorts: Vec<Hash>,
    /// What it means that something cannot be known without the channel's later records.
    pub unknown: Unknown,
    /// The reviews that have to be there.
    pub reviewers: Vec<ReviewRule>,
}

/// Reviews that are asked for. Channels are named with the record that opened them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRule {
    /// What was reviewed how.
    pub kind: ReviewKind,
    /// How many of `of` have to have passed the record.
    pub at_least: u64,
    /// The reviewers who count.
    pub of: BTreeMap<ChannelName, RecordId>,
    /// Those of whom none may have failed it.
    pub no_fail_by: BTreeMap<ChannelName, RecordId>,
}

impl ReviewRule {
    /// The reviewers' channels.
    pub fn channels(&self) -> impl Iterator<Item = (&ChannelName, &RecordId)> {
        self.of.iter().chain(&self.no_fail_by)
    }
}

/// What to do about a question that the files at hand cannot answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Say so, and go on.
    #[default]
    Pass,
    /// Do not install yet.
    Hold,
}

/// An engine that loads rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its name, as records have it.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The order of two versions (`docs/records.md`): part by part between dots, parts of digits by their value,
/// others by their bytes and after all numbers; of two that agree as far as the shorter one goes, that comes
/// first.
pub fn version_order(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => part_order(left, right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn part_order(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        // Without leading zeros the longer one is larger, however long they are.
        (Some(left), Some(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// The digits of a number without leading zeros.
fn number(part: &str) -> Option<&str> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let ascending = [
            "",
            "0",
            "1",
            "1.2",
            "1.2.0",
            "1.9",
            "1.10",
            "1.10.a",
            "1.10.b",
            "2",
            "99999999999999999999999",
            "a",
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                // An empty part is no number.
                if left.is_empty() || right.is_empty() {
                    continue;
                }
                assert_eq!(version_order(left, right), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(version_order("1.02", "1.2"), Ordering::Equal);
    }
}
