//! The order in which a log can take records that were signed beforehand.
//!
//! A record names those that have to be in the log before it: `prev`, the record before it in its chain; `keys`, the
//! channel record in force; and in a heartbeat `recovery`, the newest record of the recovery chain. They are named by
//! their hashes, so no two records can name each other.
//!
//! A record of the recovery chain comes as late as the others let it: the heartbeat that names the record before it, and
//! what is signed by the keys that it replaces, would not be taken after it.
//!
//! Not checked: whether the log will take them, which it says of each.

use std::collections::BTreeMap;

use indelible_proto::record::{Chain, ChannelName, Predicate, RecordId, SignedRecord};

/// Records of a chain that are missing between others of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// Which chain of it.
    pub chain: Chain,
    /// `seq` of the first that is missing.
    pub first: u64,
    /// `seq` of the last that is missing.
    pub last: u64,
}

/// Puts signed records in an order in which each comes after all that it names, of those that are there. What leaves a
/// choice is put by channel, publish chain first, by `seq`, and then as it was given.
pub fn in_order<T>(mut items: Vec<T>, record: impl Fn(&T) -> &SignedRecord) -> Vec<T> {
    items.sort_by(|left, right| place(record(left)).cmp(&place(record(right))));
    let given: BTreeMap<RecordId, &SignedRecord> =
        items.iter().map(&record).map(|record| (record.record_id(), record)).collect();
    let mut ranks = BTreeMap::new();
    for item in &items {
        let mut open = vec![record(item)];
        while let Some(next) = open.last().copied() {
            let waits_for = named(next).find(|id| given.contains_key(id) && !ranks.contains_key(id));
            if let Some(before) = waits_for.and_then(|id| given.get(&id)) {
                open.push(before);
                continue;
            }
            let rank = ranks.len();
            ranks.entry(next.record_id()).or_insert(rank);
            open.pop();
        }
    }
    items.sort_by_cached_key(|item| ranks.get(&record(item).record_id()).copied());
    items
}

/// The gaps in the chains of `records`.
pub fn gaps<'a>(records: impl IntoIterator<Item = &'a SignedRecord>) -> Vec<Gap> {
    let mut places: Vec<_> = records.into_iter().map(place).collect();
    places.sort_unstable();
    let between = places.iter().zip(places.iter().skip(1)).filter_map(|(left, right)| {
        let ((channel, recovery, seq), (other, other_recovery, next)) = (left, right);
        let (first, last) = (seq.saturating_add(1), next.saturating_sub(1));
        let chain = if *recovery { Chain::Recovery } else { Chain::Publish };
        let missing = channel == other && recovery == other_recovery && first <= last;
        missing.then(|| Gap { channel: (*channel).clone(), chain, first, last })
    });
    between.collect()
}

fn place(record: &SignedRecord) -> (&ChannelName, bool, u64) {
    let common = record.statement().predicate.common();
    (&common.channel, common.chain == Chain::Recovery, common.seq)
}

fn named(record: &SignedRecord) -> impl Iterator<Item = RecordId> {
    let predicate = &record.statement().predicate;
    let common = predicate.common();
    let recovery = match predicate {
        Predicate::Head(_, body) => body.recovery,
        _ => None,
    };
    [common.prev, common.keys, recovery].into_iter().flatten()
}

#[cfg(test)]
mod tests;
