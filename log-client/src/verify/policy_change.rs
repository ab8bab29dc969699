//! What changed between the policy under which something was verified last and the one that counts now.
//!
//! The policy is the trust, so a change of it decides nothing. But whoever can write it could make anything verify, so
//! a client says that it is another one, and what is different of logs, witnesses and quorum.

use std::collections::BTreeMap;

use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::VerifierKey;
use indelible_proto::policy::Policy;

use super::describe_quorum;

/// Most changes that are told one by one: more than that is another policy, and its hash says which.
pub const MAX_TOLD: usize = 16;

/// A policy that is not the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChange {
    /// SHA-256 of the policy file before.
    pub before: Hash,
    /// That of the one that counts now.
    pub now: Hash,
    /// What is different, in words; at most [`MAX_TOLD`] and one that says how many more.
    pub changes: Vec<String>,
}

impl PolicyChange {
    /// How `now` differs from the policy file `before`; `None` if that is the same file.
    pub fn since(before: &[u8], now: &Policy) -> Option<Self> {
        let hash = sha256(before);
        if hash == now.fingerprint() {
            return None;
        }
        let changes = match Policy::parse(before) {
            Ok(before) => changes(&before, now),
            Err(error) => vec![format!("what is different cannot be told: {error}")],
        };
        Some(Self { before: hash, now: now.fingerprint(), changes })
    }
}

fn changes(before: &Policy, now: &Policy) -> Vec<String> {
    let logs = |policy: &Policy| keys(policy.logs().iter().map(|log| &log.key));
    let witnesses = |policy: &Policy| keys(policy.witnesses().iter().map(|witness| &witness.key));
    let mut changes = differences("log", &logs(before), &logs(now));
    changes.extend(differences("witness", &witnesses(before), &witnesses(now)));
    let quorum = |policy: &Policy| describe_quorum(policy, policy.quorum());
    if quorum(before) != quorum(now) {
        changes.push(format!("quorum {}, before {}", quorum(now), quorum(before)));
    }
    if changes.is_empty() {
        changes.push("the same logs, witnesses and quorum".to_owned());
    }
    if let Some(more) = changes.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
        changes.truncate(MAX_TOLD);
        changes.push(format!("{more} more"));
    }
    changes
}

/// Keys by themselves, each with the name and id to show.
fn keys<'a>(keys: impl Iterator<Item = &'a VerifierKey>) -> BTreeMap<String, String> {
    keys.map(|key| (key.encode(), format!("{} ({})", key.name(), key.id()))).collect()
}

fn differences(what: &str, before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let without = |some: &BTreeMap<String, String>, others: &BTreeMap<String, String>, how: &str| {
        let only = some.iter().filter(|(key, _)| !others.contains_key(*key));
        only.map(|(_, shown)| format!("{what} {shown} {how}")).collect::<Vec<_>>()
    };
    [without(now, before, "added"), without(before, now, "removed")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use indelible_proto::note::KeyKind;
    use indelible_proto::sign::Signer as _;

    use crate::test_log::{TestLog, secret};

    fn since(before: &str, now: &str) -> Vec<String> {
        let change = PolicyChange::since(before.as_bytes(), &Policy::parse(now.as_bytes()).unwrap()).unwrap();
        assert_eq!((change.before, change.now), (sha256(before.as_bytes()), sha256(now.as_bytes())));
        change.changes
    }

    fn line(policy: &str, start: &str) -> String {
        policy.lines().find(|line| line.starts_with(start)).unwrap().to_owned()
    }

    #[test]
    fn the_same_file_is_no_change() {
        let policy = TestLog::new().policy_text(2);
        let same = PolicyChange::since(policy.as_bytes(), &Policy::parse(policy.as_bytes()).unwrap());
        assert_eq!(same, None);
    }

    #[test]
    fn what_counts_is_told_and_what_does_not_is_none_of_it() {
        let log = TestLog::new();
        let (two, one) = (log.policy_text(2), log.policy_text(1));
        assert_eq!(since(&two, &format!("# a comment\n{two}")), ["the same logs, witnesses and quorum"]);
        assert_eq!(since(&two, &one), ["quorum 1 of (w0, w1, w2), before 2 of (w0, w1, w2)"]);
        let id = log.witnesses[2].verifier().id();
        let fewer = two.replace(&format!("{}\n", line(&two, "witness w2")), "").replace("w1 w2", "w1");
        let [removed, quorum] = &since(&two, &fewer)[..] else { panic!("two changes") };
        assert!(
            removed.starts_with("witness ") && removed.ends_with(&format!("({id}) removed")),
            "{removed}"
        );
        assert_eq!(quorum, "quorum 2 of (w0, w1), before 2 of (w0, w1, w2)");
        let without_log = two.replace(&format!("{}\n", line(&two, "log ")), "");
        let id = log.signer.verifier().id();
        let [added] = &since(&without_log, &two)[..] else { panic!("one change") };
        assert!(added.starts_with("log ") && added.ends_with(&format!("({id}) added")), "{added}");
    }

    #[test]
    fn a_file_that_was_no_policy_and_more_changes_than_are_told() {
        let policy = TestLog::new().policy_text(2);
        assert!(since("garbage", &policy)[0].starts_with("what is different cannot be told"));
        let with_logs = |count: u8| {
            let key = |n| secret(KeyKind::Log, &format!("log{n}.example"), 40 + n).verifier().clone();
            let log = |n| format!("log {}\n", key(n));
            (0..count).map(log).collect::<String>() + &policy
        };
        assert_eq!(since(&policy, &with_logs(16)).len(), MAX_TOLD);
        let told = since(&policy, &with_logs(18));
        assert_eq!((told.len(), told[MAX_TOLD].as_str()), (MAX_TOLD + 1, "2 more"));
    }
}
