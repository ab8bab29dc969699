//! Reviews, as the channel files of reviewers tell them.

use indelible_proto::record::RecordId;
use indelible_proto::record::body::{ReviewKind, ReviewResult};

use super::super::rules::ReviewRule;
use super::client::{COOLDOWN, Client, SEEN, channel, finding, learn};
use super::*;
use crate::test_channel::TestChannel;

/// A client that wants a rebuild by a reviewer, who has said this about the release.
fn reviewed(results: &[ReviewResult], at_least: u64) -> (Client, RecordId) {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let mut reviewer = TestChannel::new("reviewer.example/rebuilds", COOLDOWN);
    for result in results {
        reviewer.review(one, *result, 1);
    }
    let named = [(reviewer.name.clone(), reviewer.genesis())].into_iter().collect();
    let mut client = Client::of(channel);
    let known = Knowledge::Channel(Box::new(learn(None, &reviewer, SEEN)));
    client.reviewers.insert(reviewer.name.clone(), known);
    let (of, no_fail_by) =
        if at_least > 0 { (named, Default::default()) } else { (Default::default(), named) };
    client.rules.reviewers = vec![ReviewRule { kind: ReviewKind::Rebuild, at_least, of, no_fail_by }];
    (client, one)
}

#[test]
fn enough_reviewers_have_to_pass_it() {
    const MISSING: (CheckName, Outcome, &str) = (CheckName::Reviews, Outcome::Hold, "reviews-missing");
    use ReviewResult::{Fail, Inconclusive, Pass, PassWithFindings};
    let (client, one) = reviewed(&[Pass], 1);
    client.verifies(b"1", one);
    let (client, one) = reviewed(&[PassWithFindings], 1);
    client.verifies(b"1", one);
    // The newest one counts.
    let (client, one) = reviewed(&[Fail, Pass], 1);
    client.verifies(b"1", one);
    for results in [&[][..], &[Inconclusive], &[Fail], &[Pass, Fail]] {
        let (client, one) = reviewed(results, 1);
        client.fails_only(b"1", one, MISSING);
    }
    let (mut client, one) = reviewed(&[Pass], 1);
    client.rules.reviewers[0].kind = ReviewKind::SourceAudit;
    client.fails_only(b"1", one, MISSING);
    let (mut client, one) = reviewed(&[Pass], 1);
    client.reviewers.clear();
    client.fails_only(b"1", one, MISSING);
    // Of another record, or by somebody who is asked for bad news only.
    let (mut client, _) = reviewed(&[Pass], 1);
    let two = client.channel.release(b"2", 1);
    client.known = Knowledge::Channel(Box::new(learn(None, &client.channel, SEEN)));
    client.fails_only(b"2", two, MISSING);
    let (mut client, one) = reviewed(&[Pass], 1);
    let rule = &mut client.rules.reviewers[0];
    rule.no_fail_by = std::mem::take(&mut rule.of);
    client.fails_only(b"1", one, MISSING);
}

#[test]
fn a_review_that_fails_holds_where_its_word_is_asked_for() {
    use ReviewResult::{Fail, Pass};
    let (client, one) = reviewed(&[Pass], 0);
    client.verifies(b"1", one);
    let (client, one) = reviewed(&[Pass, Fail], 0);
    client.fails_only(b"1", one, (CheckName::Reviews, Outcome::Hold, "review-failed"));
    // Who is not heard of may have failed it.
    for stale in [false, true] {
        let (mut client, one) = reviewed(&[], 0);
        match stale {
            true => (client.rules.max_age_s, client.now) = (Some(5), SEEN + 6),
            false => client.reviewers.clear(),
        }
        let verdict = client.judge_at(b"1", one, SEEN + 6);
        assert!(matches!(finding(&verdict, CheckName::Reviews), Finding::Unknown { .. }), "{stale}");
    }
    let (mut client, one) = reviewed(&[], 0);
    let damaged = Knowledge::Damaged { code: "state-damaged", message: "zeros".into() };
    client.reviewers.values_mut().for_each(|known| *known = damaged.clone());
    client.fails_only(b"1", one, (CheckName::Reviews, Outcome::Undecided, "state-damaged"));
}

#[test]
fn a_review_that_expired_or_was_withdrawn_or_is_under_pending_keys_is_not_enough() {
    type Change = fn(&mut TestChannel, RecordId);
    let changes: [(u64, Change); 3] = [
        (20_000, |reviewer, one| drop(reviewer.review(one, ReviewResult::Pass, 1).to_string())),
        (10, |reviewer, one| {
            let review = reviewer.review(one, ReviewResult::Pass, 1);
            reviewer.withdraw(Chain::Publish, review, None, 1);
        }),
        (10, |reviewer, one| {
            reviewer.change(&[2], &[1], 0);
            reviewer.review(one, ReviewResult::Pass, 2);
        }),
    ];
    for (at, (later, change)) in changes.into_iter().enumerate() {
        let (mut client, one) = reviewed(&[], 1);
        let mut reviewer = TestChannel::new("reviewer.example/rebuilds", COOLDOWN);
        change(&mut reviewer, one);
        client.now = SEEN + later;
        let known = Knowledge::Channel(Box::new(learn(None, &reviewer, SEEN)));
        client.reviewers.insert(reviewer.name.clone(), known);
        let verdict = client.judge_at(b"1", one, SEEN);
        let found = finding(&verdict, CheckName::Reviews);
        assert!(
            matches!(found, Finding::Failed(reason) if reason.code == "reviews-missing"),
            "{at}: {found:?}"
        );
    }
}

#[test]
fn a_review_by_keys_that_were_made_void_hides_no_other() {
    let (mut client, one) = reviewed(&[], 1);
    let mut reviewer = TestChannel::new("reviewer.example/rebuilds", COOLDOWN);
    reviewer.review(one, ReviewResult::Pass, 1);
    reviewer.change(&[2], &[1], 0);
    reviewer.review(one, ReviewResult::Fail, 2);
    let stolen = learn(None, &reviewer, SEEN - 1);
    reviewer.recover(&[3]);
    let known = Knowledge::Channel(Box::new(learn(Some(&stolen), &reviewer, SEEN)));
    client.reviewers.insert(reviewer.name.clone(), known);
    client.verifies(b"1", one);
}
