//! Is this at least as new as what was verified before on its channel, with nothing left out in between.

use indelible_proto::record::SignedRecord;

use super::{Check, CheckName, Finding, Request};
use crate::state::LastRecord;

/// What is remembered of the channel a record says it belongs to.
#[derive(Clone, Debug)]
pub enum LastKnown {
    /// Nothing is remembered, by choice.
    NotKept,
    /// No record of the channel was verified before.
    Nothing,
    /// The last record of the channel that was verified.
    Record(LastRecord),
    /// There is something, and it cannot be read.
    Damaged {
        /// The stable name of the damage.
        code: &'static str,
        /// What is wrong, and where.
        message: String,
    },
}

const ROLLED_BACK: &str =
    "do not install; the vendor published a newer record, get that one. Only a withdrawal may lead back";

/// The record does not stand before the last verified one.
pub(super) fn sequence(request: &Request<'_>, record: &SignedRecord) -> Check {
    let check = Check::new(CheckName::Sequence);
    let common = record.statement().predicate.common();
    let check = check.detail("seq", common.seq);
    let last = match request.last {
        LastKnown::NotKept => {
            let why = "no state directory is used, so nothing is remembered";
            return Check { finding: Finding::NotApplicable { why }, ..check };
        }
        LastKnown::Nothing => return check.detail("remembered", "nothing yet of this channel"),
        LastKnown::Damaged { code, message } => {
            let next = "restore the file, or delete it to start afresh; the artifact was not judged by it";
            return check.undecided(code, message, next);
        }
        LastKnown::Record(last) => last,
    };
    let check = check.detail("remembered seq", last.seq);
    if common.seq < last.seq {
        let message = format!(
            "rolled back: record {} of the channel was verified before, this is {}",
            last.seq, common.seq
        );
        return check.refused("rollback", message, ROLLED_BACK);
    }
    let same_place = common.seq == last.seq && record.record_id() != last.head;
    let other_past = common.seq == last.seq.saturating_add(1) && common.prev != Some(last.head);
    if same_place || other_past {
        let message =
            format!("hidden record: the channel had another record {} when it was verified before", last.seq);
        let next = "do not install; keep both proofs and ask the vendor, the channel has two histories";
        return check.refused("channel-forked", message, next);
    }
    if common.seq > last.seq.saturating_add(1) {
        let why = "records in between were not shown; the channel file has them";
        return request.unknown(check, why);
    }
    check
}
