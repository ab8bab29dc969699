//! Do the keys that signed this count: the cool-down of a change, and what the recovery keys say of it.

use indelible_proto::record::SignedRecord;

use super::knowledge::Seen;
use super::{Check, CheckName, Request};
use crate::channel::KeyStanding;

/// The change that put the record's keys in force is past its cool-down.
pub(super) fn key_change(request: &Request<'_>, record: &SignedRecord, seen: &Seen<'_>) -> Check {
    let check = Check::new(CheckName::KeyChange);
    let Some(known) = seen.known else {
        return request.unknown(check, "changes of keys are in the channel file, and there is none");
    };
    let keys = record.statement().predicate.common().keys.unwrap_or(known.state().genesis());
    let check = check.detail("keys of record", keys);
    // The proof shows by when the record was logged, and so by when the keys it is signed with were.
    let logged = seen.with(record).and(seen.times.newest);
    match known.key_standing_logged(keys, seen.now(), logged) {
        KeyStanding::Counts => check,
        KeyStanding::Pending { until } => {
            let message =
                format!("the channel's keys were changed by record {keys}, which counts from {until} on");
            let next = "wait until then, update what is known of the channel, and verify again";
            check.held("key-change-pending", message, next)
        }
        KeyStanding::Unmeasured => request
            .unknown(check, "a change of keys waits, and the policy has no witnesses to measure time by"),
        KeyStanding::Void => {
            let message = format!("not the vendor: the recovery keys made the change of keys {keys} void");
            check.refused(
                "key-change-void",
                message,
                "do not install; get a version signed with today's keys",
            )
        }
        KeyStanding::NotKnown => {
            request.unknown(check, "the record names keys that the known channel does not have")
        }
    }
}
