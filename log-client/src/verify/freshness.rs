//! Is this still the newest, as far as time can tell: the record's own expiry, and the age of the checkpoint.
//!
//! The age is that of the cosignatures that make the quorum, never of the log's word: of the artifact's checkpoint,
//! or of a newer one that proved the newest records of a channel in which the record is. Whether a newer record
//! exists is another question; that a log goes on being cosigned while it hides records is not seen here.

use indelible_proto::policy::VerifiedCheckpoint;
use indelible_proto::record::{Predicate, SignedRecord};
use indelible_proto::time::UnixSeconds;

use super::knowledge::Seen;
use super::time::{MAX_AHEAD_S, plus};
use super::{Check, CheckName, Request};
use crate::channel::KnownChannel;

const FETCH_NEWER: &str =
    "fetch the newest version and its .tlog-proof from the vendor; do not install this one yet";

/// The record has not expired, or a heartbeat has renewed it.
pub(super) fn expiry(request: &Request<'_>, record: &SignedRecord, seen: &Seen<'_>) -> Check {
    let now = request.time.now();
    let check = Check::new(CheckName::Expiry).detail("now", now).detail("now from", request.time.source());
    let Some(own) = record.statement().predicate.common().expires else {
        let why = "records of this type do not expire";
        return check.not_applicable(why);
    };
    let renewed = seen.with(record).and_then(|known| known.expires(record, seen.now()));
    let expires = renewed.unwrap_or(own);
    let check = check.detail("expires", expires);
    let check = if expires > own { check.detail("renewed from", own) } else { check };
    if now < expires {
        return check;
    }
    check.held("expired", format!("frozen: the record expired at {expires}, and it is {now}"), FETCH_NEWER)
}

/// The quorum's cosignatures are young enough.
pub(super) fn age(request: &Request<'_>, record: &SignedRecord, seen: &Seen<'_>) -> Check {
    let now = request.time.now();
    let check = Check::new(CheckName::Age).detail("now", now).detail("now from", request.time.source());
    if request.policy.quorum_met(&[]) {
        let why = "the policy asks for no witnesses, so nobody vouches for a time";
        return check.not_applicable(why);
    }
    let Some(witnessed) = seen.times.quorum else {
        let message = format!(
            "the witnesses say they cosigned more than {MAX_AHEAD_S} s after {now}, which is {}",
            request.time.source()
        );
        let next =
            "set the clock of this machine; if it is right, do not install and tell the witnesses' operators";
        return check.undecided("time-implausible", message, next);
    };
    let newer = seen.with(record).and_then(KnownChannel::witnessed);
    let witnessed = newer.map_or(witnessed, |newer| newer.max(witnessed));
    let check = check.detail("witnessed", witnessed);
    let Some(max_age_s) = max_age_s(request, record) else {
        let why = "neither the client nor the channel limits the age";
        return check.not_applicable(why);
    };
    let check = check.detail("limit", format!("{max_age_s} s"));
    if plus(witnessed, max_age_s) >= now {
        return check;
    }
    let age_s = now.get().saturating_sub(witnessed.get());
    let message =
        format!("frozen: witnesses last saw this checkpoint {age_s} s ago, the limit is {max_age_s} s");
    check.held("checkpoint-stale", message, FETCH_NEWER)
}

/// The client's limit, or else the channel's.
fn max_age_s(request: &Request<'_>, record: &SignedRecord) -> Option<u64> {
    request.rules.max_age_s.or_else(|| channel_max_age_s(request, record))
}

/// The limit that the channel sets: in the channel record that the record is under, as far as that is known.
pub(super) fn channel_max_age_s(request: &Request<'_>, record: &SignedRecord) -> Option<u64> {
    let predicate = &record.statement().predicate;
    let keys = predicate.common().keys;
    let under = request.known_channel().zip(keys).and_then(|(known, keys)| known.record(keys));
    match under.map_or(predicate, |under| &under.statement().predicate) {
        Predicate::Channel(_, body) => Some(body.max_age_s),
        _ => request.trust.max_age_s(),
    }
}

/// The time that the checkpoint's quorum vouches for, to be remembered as the floor.
pub(super) fn vouched(request: &Request<'_>, checkpoint: &VerifiedCheckpoint) -> Option<UnixSeconds> {
    request.policy.quorum_time(checkpoint, request.time.latest_plausible())
}
