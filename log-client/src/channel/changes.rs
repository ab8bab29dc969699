//! Which changes of a channel's keys count, by the time that witnesses vouch for.
//!
//! A `channel` record of the publish chain counts only after the `cooldown` of the record in force before it; one
//! of the recovery chain at once. Whoever holds a stolen key so waits while the recovery keys act: a change whose
//! time had not come when they named other keys never counts. Every change also waits for the ones it rests on,
//! so a recovery set that a publish key added cannot act before that addition counts.

use std::collections::HashMap;

use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::record::{Chain, Predicate, RecordId};
use indelible_proto::time::UnixSeconds;

use super::{Known, KnownChannel};
use crate::verify::TrustedTime;
use crate::verify::time::plus;

/// What witnesses say about when they saw a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WitnessTimes {
    /// The time that a whole quorum vouches for: fewer than a quorum cannot make it newer.
    pub quorum: Option<UnixSeconds>,
    /// The newest cosignature: fewer than a quorum cannot make it older than it was.
    pub newest: Option<UnixSeconds>,
}

impl WitnessTimes {
    /// The times of `checkpoint`, none beyond what is plausible.
    pub fn of(checkpoint: &VerifiedCheckpoint, policy: &Policy, time: TrustedTime) -> Self {
        let latest = time.latest_plausible();
        if policy.quorum_met(&[]) {
            return Self::default();
        }
        let newest = checkpoint.cosigners().iter().map(|cosigner| cosigner.time).max();
        Self {
            quorum: policy.quorum_time(checkpoint, latest),
            newest: newest.map(|newest| newest.min(latest)),
        }
    }
}

/// Whether keys that a channel record named count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// They do.
    Counts,
    /// Not before this time of a quorum of witnesses.
    Pending {
        /// When they will.
        until: UnixSeconds,
    },
    /// There are no witnesses to measure the time by.
    Unmeasured,
    /// Never: the recovery keys named others first.
    Void,
    /// The channel is not known to have such a record.
    NotKnown,
}

/// One channel record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// The channel record it rests on.
    under: Option<RecordId>,
    seen: Option<UnixSeconds>,
    /// How long it waits by itself.
    wait_s: u64,
    /// The cool-down it sets for the changes after it.
    cooldown_s: u64,
    /// When it counts, those it rests on included; `None` if that cannot be measured.
    ready: Option<UnixSeconds>,
    void: bool,
}

/// The channel records of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    by_record: HashMap<RecordId, Change>,
}

impl Changes {
    /// Takes the next record into account.
    pub(super) fn push(&mut self, known: &Known) {
        let Predicate::Channel(common, body) = &known.record.statement().predicate else {
            return;
        };
        let before = common.keys.and_then(|keys| self.by_record.get(&keys)).copied();
        let wait_s = match (common.chain, before) {
            (Chain::Publish, Some(before)) => before.cooldown_s,
            (Chain::Publish, None) | (Chain::Recovery, _) => 0,
        };
        let rests_on = before.map_or(Some(UnixSeconds::EPOCH), |before| before.ready);
        let own =
            if wait_s == 0 { Some(UnixSeconds::EPOCH) } else { known.seen.map(|seen| plus(seen, wait_s)) };
        let ready = rests_on.zip(own).map(|(rests_on, own)| rests_on.max(own));
        let change = Change {
            under: common.keys,
            seen: known.seen,
            wait_s,
            cooldown_s: body.cooldown_s,
            ready,
            void: false,
        };
        if common.chain == Chain::Recovery && had_come(change.ready, known.before) {
            self.cancel_pending(known.before);
        }
        self.by_record.insert(known.record.record_id(), change);
    }

    /// The recovery keys have named other keys: what did not count up to `then` never will.
    fn cancel_pending(&mut self, then: Option<UnixSeconds>) {
        for change in self.by_record.values_mut() {
            change.void |= !had_come(change.ready, then);
        }
    }
}

/// Whether witnesses had reached `ready` by the time `then`. What waits for nothing always has.
fn had_come(ready: Option<UnixSeconds>, then: Option<UnixSeconds>) -> bool {
    ready.is_some_and(|ready| ready == UnixSeconds::EPOCH || then.is_some_and(|then| ready <= then))
}

impl KnownChannel {
    /// Whether the keys named by the channel record `keys` count at `now`, a time of a quorum of witnesses.
    pub fn key_standing(&self, keys: RecordId, now: Option<UnixSeconds>) -> KeyStanding {
        match self.changes.by_record.get(&keys) {
            None => KeyStanding::NotKnown,
            Some(change) => standing(change.void, change.ready, now),
        }
    }

    /// The same, if the record is also known to have been logged by the time `logged`: a client that meets the
    /// channel for the first time need not wait for what was logged long ago.
    pub fn key_standing_logged(
        &self,
        keys: RecordId,
        now: Option<UnixSeconds>,
        logged: Option<UnixSeconds>,
    ) -> KeyStanding {
        let mut ready = Some(UnixSeconds::EPOCH);
        let mut next = Some(keys);
        let mut void = false;
        // Each change rests on one that was there before it, so this ends.
        while let Some(id) = next {
            let Some(change) = self.changes.by_record.get(&id) else {
                return KeyStanding::NotKnown;
            };
            void |= change.void;
            if change.wait_s > 0 {
                let seen = [change.seen, logged].into_iter().flatten().min();
                let own = seen.map(|seen| plus(seen, change.wait_s));
                ready = ready.zip(own).map(|(ready, own)| ready.max(own));
            }
            next = change.under;
        }
        standing(void, ready, now)
    }
}

fn standing(void: bool, ready: Option<UnixSeconds>, now: Option<UnixSeconds>) -> KeyStanding {
    match ready {
        _ if void => KeyStanding::Void,
        ready if had_come(ready, now) => KeyStanding::Counts,
        Some(until) => KeyStanding::Pending { until },
        None => KeyStanding::Unmeasured,
    }
}
