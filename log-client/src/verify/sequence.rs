//! Does this follow on what is known of its channel, with nothing left out, and lead no way back.

use indelible_proto::record::{RecordId, SignedRecord};

use super::knowledge::Seen;
use super::withdrawal::version;
use super::{Check, CheckName, Request};

/// What is remembered of the channel a record says it belongs to.
#[derive(Clone, Debug)]
pub enum LastKnown {
    /// Nothing is remembered, by choice.
    NotKept,
    /// No record of the channel was verified before.
    Nothing,
    /// The last record of the channel that was verified.
    Record(LastVerified),
    /// There is something, and it cannot be read.
    Damaged {
        /// The stable name of the damage.
        code: &'static str,
        /// What is wrong, and where.
        message: String,
    },
}

/// A record that was verified before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastVerified {
    /// Its number in the channel.
    pub seq: u64,
    /// The record.
    pub head: RecordId,
}

const TWO_HISTORIES: &str =
    "do not install; keep both proofs and ask the vendor, the channel has two histories";
const GAP: &str = "records in between were not shown; the channel file has them";

/// The record is where the known channel has it or right after, and does not stand before the last verified one.
pub(super) fn sequence(request: &Request<'_>, record: &SignedRecord, seen: &Seen<'_>) -> Check {
    let common = record.statement().predicate.common();
    let check = Check::new(CheckName::Sequence).detail("seq", common.seq);
    let check = match in_known_channel(check, record, seen) {
        Ok(check) => check,
        Err(refused) => return *refused,
    };
    let last = match request.last {
        LastKnown::NotKept if seen.known.is_none() => {
            let why = "no state directory is used, so nothing is remembered";
            return check.not_applicable(why);
        }
        LastKnown::Damaged { code, message } => {
            let next = "restore the file, or delete it to start afresh; the artifact was not judged by it";
            return check.undecided(code, message, next);
        }
        LastKnown::NotKept | LastKnown::Nothing => None,
        LastKnown::Record(last) => Some(last),
    };
    let check = match last {
        None => check.detail("remembered", "nothing yet of this channel"),
        Some(last) => match after_last(check, record, last, seen) {
            Ok(check) => check,
            Err(refused) => return *refused,
        },
    };
    if gap(record, last, seen) { request.unknown(check, GAP) } else { check }
}

/// The known channel has no other record where this one says it is.
fn in_known_channel(check: Check, record: &SignedRecord, seen: &Seen<'_>) -> Result<Check, Box<Check>> {
    let common = record.statement().predicate.common();
    let Some(known) = seen.known else {
        return Ok(check);
    };
    let Some(head) = known.state().chain_head(common.chain) else {
        return Ok(check);
    };
    let check = check.detail("known up to record", head.seq);
    if seen.with(record).is_some() {
        return Ok(check);
    }
    let other = if common.seq <= head.seq {
        known.at(common.chain, common.seq).map(|other| (common.seq, other.record_id(), record.record_id()))
    } else if common.seq == head.seq.saturating_add(1) {
        common.prev.filter(|prev| *prev != head.record).map(|prev| (head.seq, head.record, prev))
    } else {
        None
    };
    let Some((seq, known, got)) = other else {
        return Ok(check);
    };
    let message = format!("hidden record: record {seq} of the channel is {known}, and here it is {got}");
    Err(Box::new(check.refused("channel-forked", message, TWO_HISTORIES)))
}

/// The record is not older than the last verified one, unless a withdrawal leads back to it.
fn after_last(
    check: Check,
    record: &SignedRecord,
    last: &LastVerified,
    seen: &Seen<'_>,
) -> Result<Check, Box<Check>> {
    let common = record.statement().predicate.common();
    let check = check.detail("remembered seq", last.seq);
    if seen.known.is_some_and(|known| known.leads_back(last.head, record.record_id(), seen.now())) {
        return Ok(check.detail("way back", "a withdrawal leads from the last verified record to this one"));
    }
    if common.seq < last.seq {
        let message = format!(
            "rolled back: record {} of the channel was verified before, this is {}",
            last.seq, common.seq
        );
        return Err(Box::new(check.refused("rollback", message, way_on(last, seen))));
    }
    let same_place = common.seq == last.seq && record.record_id() != last.head;
    let other_past = common.seq == last.seq.saturating_add(1) && common.prev != Some(last.head);
    let left_out = seen.known.and_then(|known| known.at(common.chain, last.seq));
    if same_place || other_past || left_out.is_some_and(|other| other.record_id() != last.head) {
        let message =
            format!("hidden record: the channel had another record {} when it was verified before", last.seq);
        return Err(Box::new(check.refused("channel-forked", message, TWO_HISTORIES)));
    }
    Ok(check)
}

/// Where whoever verified `last` goes from there: to the newest that is known and not before it, or where its withdrawal
/// leads.
fn way_on(last: &LastVerified, seen: &Seen<'_>) -> String {
    const ONLY_WAY: &str = "Only a withdrawal may lead back";
    let withdrawn = seen.known.filter(|known| known.withdrawals(last.head, seen.now()).next().is_some());
    let to = seen.known.and_then(|known| known.goes_on(last.seq, last.head, seen.now()));
    match (to, withdrawn) {
        (Some(record), _) => {
            let (version, id) = (version(record).unwrap_or_default(), record.record_id());
            format!("do not install; get version {version}, record {id}. {ONLY_WAY}")
        }
        (None, None) => {
            format!("do not install; get record {}, verified before, or a newer one. {ONLY_WAY}", last.head)
        }
        (None, Some(_)) => {
            "do not install; what was verified before is withdrawn, and the channel names nothing to \
                            go to: ask the vendor"
                .to_owned()
        }
    }
}

/// Whether records between what is known and this one were not shown.
fn gap(record: &SignedRecord, last: Option<&LastVerified>, seen: &Seen<'_>) -> bool {
    let common = record.statement().predicate.common();
    let head = seen.known.and_then(|known| known.state().chain_head(common.chain)).map(|head| head.seq);
    let known = head.max(last.map(|last| last.seq));
    known.is_some_and(|known| common.seq > known.saturating_add(1))
}
