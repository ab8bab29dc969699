//! Have others looked at this, where the client asks for that: reviews on channels of their own.
//!
//! Of each reviewer the newest review of a kind counts that names the record and was not withdrawn. A good one
//! has not expired and is under keys that count; a bad one need not.

use indelible_proto::record::body::{ReviewBody, ReviewResult};
use indelible_proto::record::{ChannelName, Predicate, RecordId, SignedRecord};

use super::knowledge::is_stale;
use super::rules::ReviewRule;
use super::{Check, CheckName, Knowledge, Request};
use crate::channel::{KeyStanding, KnownChannel};

/// Enough reviewers of each kind have passed the record, and none has failed it whose word is asked for.
pub(super) fn reviews(request: &Request<'_>, record: &SignedRecord) -> Check {
    let check = Check::new(CheckName::Reviews);
    if request.rules.reviewers.is_empty() {
        let why = "the client asks for no reviews";
        return check.not_applicable(why);
    }
    let id = record.record_id();
    let mut unknown = false;
    let mut check = check;
    for rule in &request.rules.reviewers {
        let mut passed: u64 = 0;
        for name in rule.of.keys().chain(rule.no_fail_by.keys().filter(|name| !rule.of.contains_key(*name))) {
            let known = match request.reviewers.get(name) {
                Some(Knowledge::Channel(known)) => known,
                Some(Knowledge::Damaged { code, message }) => {
                    let next = "restore the file, or delete it to start afresh";
                    return check.undecided(code, message, next);
                }
                Some(Knowledge::Nothing) | None => {
                    unknown |= rule.no_fail_by.contains_key(name);
                    check = check.detail("nothing known of", name);
                    continue;
                }
            };
            unknown |= rule.no_fail_by.contains_key(name)
                && is_stale(request, known, Some(known.state().max_age_s()));
            let Some((review, body)) = newest_review(known, rule, id) else {
                continue;
            };
            check = check.detail("reviewed by", format!("{name}: {}", body.result.as_str()));
            if body.result == ReviewResult::Fail && rule.no_fail_by.contains_key(name) {
                return failed(check, name, review.record_id());
            }
            passed = passed.saturating_add(u64::from(
                rule.of.contains_key(name) && is_good(request, known, review, body),
            ));
        }
        if passed < rule.at_least {
            let message = format!(
                "{passed} of the asked reviewers passed the record by a review of kind {}, {} are needed",
                rule.kind.as_str(),
                rule.at_least
            );
            let next = "wait for the reviews, and run: indelible update-state";
            return check.held("reviews-missing", message, next);
        }
    }
    if unknown {
        return request.unknown(check, "a reviewer's channel file is missing or older than the limit");
    }
    check
}

fn failed(check: Check, name: &ChannelName, review: RecordId) -> Check {
    let message = format!("record {review} of reviewer {name} fails this record");
    check.held("review-failed", message, "do not install; read the review's report and ask the vendor")
}

fn newest_review<'a>(
    known: &'a KnownChannel,
    rule: &ReviewRule,
    id: RecordId,
) -> Option<(&'a SignedRecord, &'a ReviewBody)> {
    known.records().rev().find_map(|review| match &review.statement().predicate {
        Predicate::Review(common, body)
            if body.kind == rule.kind
                && body.records.contains(&id)
                && known.withdrawals(review.record_id(), known.witnessed()).next().is_none()
                && key_standing(known, common.keys) != KeyStanding::Void =>
        {
            Some((review, body))
        }
        _ => None,
    })
}

fn is_good(request: &Request<'_>, known: &KnownChannel, review: &SignedRecord, body: &ReviewBody) -> bool {
    let common = review.statement().predicate.common();
    matches!(body.result, ReviewResult::Pass | ReviewResult::PassWithFindings)
        && common.expires.is_some_and(|expires| request.time.now() < expires)
        && key_standing(known, common.keys) == KeyStanding::Counts
}

fn key_standing(known: &KnownChannel, keys: Option<RecordId>) -> KeyStanding {
    known.key_standing(keys.unwrap_or(known.state().genesis()), known.witnessed())
}
