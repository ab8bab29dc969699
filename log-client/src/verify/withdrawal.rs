//! Was this taken back by a later record, as far as the channel is known.

use indelible_proto::record::body::WithdrawAction;
use indelible_proto::record::{Predicate, SignedRecord};

use super::freshness::channel_max_age_s;
use super::knowledge::{Seen, is_stale};
use super::{Check, CheckName, Knowledge, Request};
use crate::channel::{KeyStanding, KnownChannel, Withdrawal};

/// No withdrawal of the known channel names the record.
pub(super) fn withdrawal(request: &Request<'_>, record: &SignedRecord, seen: &Seen<'_>) -> Check {
    let check = Check::new(CheckName::Withdrawal);
    if let Knowledge::Damaged { code, message } = request.known {
        let next = "restore the file, or delete it to start afresh; the artifact was not judged by it";
        return check.undecided(code, message, next);
    }
    let Some(known) = seen.known else {
        return request.unknown(check, "withdrawals are in the channel file, and there is none");
    };
    let check = check.detail("known up to record", known.state().seq());
    let check = match known.witnessed() {
        Some(witnessed) => check.detail("known as of", witnessed),
        None => check.detail("known as of", "no time, as there are no witnesses"),
    };
    let withdrawals: Vec<_> = known.withdrawals(record.record_id(), seen.now()).collect();
    let counting = withdrawals.iter().rev().find(|withdrawal| withdrawal.standing == KeyStanding::Counts);
    if let Some(withdrawal) = counting {
        return refuse(check, known, withdrawal);
    }
    if let Some(pending) = withdrawals.first() {
        let message = format!("record {} withdraws this one, under keys that do not count yet", pending.id);
        let next = "do not install; ask the vendor whether the keys and the withdrawal are theirs";
        return check.held("withdrawal-pending", message, next);
    }
    if seen.with(record).is_none() {
        return request.unknown(check, "the record is newer than what is known of the channel");
    }
    if is_stale(request, known, channel_max_age_s(request, record)) {
        return request.unknown(check, "what is known of the channel is older than the limit");
    }
    check
}

fn refuse(check: Check, known: &KnownChannel, withdrawal: &Withdrawal<'_>) -> Check {
    let Withdrawal { id, body, .. } = withdrawal;
    let next = match body.action {
        WithdrawAction::Stop => "do not install; what is installed already may stay".to_owned(),
        WithdrawAction::Uninstall => "do not install, and remove it where it is installed".to_owned(),
        WithdrawAction::Rollback { safe } => match known.record(safe).map(version) {
            Some(Some(version)) => format!("go back to version {version}, record {safe}"),
            _ => format!("do not install; record {safe}, to go back to, is none of the channel's releases"),
        },
    };
    let check = check.detail("withdrawn by", id).detail("action", body.action.as_str());
    check.refused("withdrawn", format!("withdrawn by record {id}: {}", body.reason.as_str()), next)
}

/// What the vendor calls what it published with this record.
pub(super) fn version(record: &SignedRecord) -> Option<&str> {
    match &record.statement().predicate {
        Predicate::Release(_, body) => Some(&body.version),
        Predicate::Rules(_, body) => Some(&body.version),
        _ => None,
    }
}
