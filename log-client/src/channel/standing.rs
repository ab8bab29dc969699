//! Which records were withdrawn, what leads back, and what a heartbeat renewed.
//!
//! A `withdraw` counts once its keys do; until then it cannot lead back, but what it names waits. It may name a
//! record that the channel does not have: whoever verified that one was shown another history, by a log and
//! witnesses that lied, and is led back into the channel.

use std::collections::HashSet;

use indelible_proto::record::body::WithdrawBody;
use indelible_proto::record::{Chain, Predicate, RecordId, SignedRecord};
use indelible_proto::time::UnixSeconds;

use super::{KeyStanding, KnownChannel};

/// A `withdraw` record that names another one.
#[derive(Clone, Copy, Debug)]
pub struct Withdrawal<'a> {
    /// Its id.
    pub id: RecordId,
    /// What it says.
    pub body: &'a WithdrawBody,
    /// Whether its keys count.
    pub standing: KeyStanding,
}

impl KnownChannel {
    /// The withdrawals that name `id`, in the order of the log, but those under keys that never count.
    pub fn withdrawals(
        &self,
        id: RecordId,
        now: Option<UnixSeconds>,
    ) -> impl Iterator<Item = Withdrawal<'_>> {
        let places = self.withdrawn.get(&id).into_iter().flatten();
        let records = places.filter_map(|at| self.records.get(*at)).map(|known| &known.record);
        records.filter_map(move |record| match &record.statement().predicate {
            Predicate::Withdraw(common, body) => {
                let keys = common.keys.unwrap_or(self.state.genesis());
                let standing = self.key_standing(keys, now);
                (standing != KeyStanding::Void).then(|| Withdrawal { id: record.record_id(), body, standing })
            }
            _ => None,
        })
    }

    /// Whether a withdrawal that counts leads from the record `from` back to `to`, over further ones if `safe`
    /// records were withdrawn in turn. From a record that the channel never had, it leads to the safe one and to
    /// everything after that.
    pub fn leads_back(&self, from: RecordId, to: RecordId, now: Option<UnixSeconds>) -> bool {
        let foreign = self.record(from).is_none();
        let leads = |safe| safe == to || foreign && self.is_after(to, safe);
        self.can_be_installed(to, now) && self.safe_after(from, now).into_iter().any(leads)
    }

    /// What whoever has the record `from`, of number `seq`, is to install instead of an older one: the newest release or
    /// rules of the channel that are not before it, or else what its withdrawal leads back to.
    pub fn goes_on(&self, seq: u64, from: RecordId, now: Option<UnixSeconds>) -> Option<&SignedRecord> {
        let newer = self.records().rev().find(|record| {
            let common = record.statement().predicate.common();
            common.chain == Chain::Publish
                && common.seq >= seq
                && self.can_be_installed(record.record_id(), now)
        });
        newer.or_else(|| {
            let safe = self.safe_after(from, now);
            safe.into_iter().find(|safe| self.can_be_installed(*safe, now)).and_then(|safe| self.record(safe))
        })
    }

    /// The records that withdrawals that count name as safe, of `from` and of what is safe in turn; each once, the
    /// nearest first.
    fn safe_after(&self, from: RecordId, now: Option<UnixSeconds>) -> Vec<RecordId> {
        let (mut seen, mut safe, mut asked) = (HashSet::from([from]), Vec::new(), 0_usize);
        let mut next = Some(from);
        while let Some(id) = next {
            let counting = self.withdrawals(id, now).filter(|w| w.standing == KeyStanding::Counts);
            safe.extend(counting.filter_map(|w| w.body.action.safe()).filter(|id| seen.insert(*id)));
            next = safe.get(asked).copied();
            asked = asked.saturating_add(1);
        }
        safe
    }

    /// Whether the channel has both records, and `one` after `other`.
    fn is_after(&self, one: RecordId, other: RecordId) -> bool {
        self.places.get(&one).zip(self.places.get(&other)).is_some_and(|(one, other)| one > other)
    }

    /// Until when `record` is fresh: what it says itself, or the latest heartbeat that renews it and counts.
    pub fn expires(&self, record: &SignedRecord, now: Option<UnixSeconds>) -> Option<UnixSeconds> {
        let own = record.statement().predicate.common().expires?;
        let id = record.record_id();
        if !self.can_be_installed(id, now) {
            return Some(own);
        }
        let renewals = self.records().filter_map(|head| match &head.statement().predicate {
            Predicate::Head(common, body) if body.record == id => {
                let counts = self.key_standing(common.keys?, now) == KeyStanding::Counts;
                common.expires.filter(|_| counts)
            }
            _ => None,
        });
        Some(renewals.fold(own, UnixSeconds::max))
    }

    /// Whether it is a release or rules record of the channel that nothing withdraws.
    fn can_be_installed(&self, id: RecordId, now: Option<UnixSeconds>) -> bool {
        let record = self.record(id).map(|record| &record.statement().predicate);
        matches!(record, Some(Predicate::Release(..) | Predicate::Rules(..)))
            && self.withdrawals(id, now).next().is_none()
    }
}
