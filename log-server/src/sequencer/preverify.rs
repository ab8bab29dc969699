//! Verifying signatures on the submitter's thread, so that the sequencer's thread need not.
//!
//! Nothing is decided here: the heads looked at may move before the sequencer decides, which then verifies
//! what is missing.

use std::collections::HashMap;
use std::sync::Arc;

use indelible_proto::record::{
    ChannelName, ChannelState, SignedRecord, VerifiedSignatures, may_follow_verified,
};

use super::often::OftenAsked;
use super::queue::Candidate;

/// Verifies the records among `candidates` by the keys in force, each as if those before it were admitted.
pub(super) fn preverify(
    candidates: &mut [Candidate],
    often: &OftenAsked,
    head: impl Fn(&ChannelName) -> Option<Arc<ChannelState>>,
) {
    let alone = candidates.len() == 1;
    let mut moved: HashMap<ChannelName, Arc<ChannelState>> = HashMap::new();
    for candidate in candidates {
        let Some(record) = candidate.record() else { continue };
        let name = &record.statement().predicate.common().channel;
        let state = moved.get(name).cloned().or_else(|| head(name));
        if state.as_deref().is_some_and(|state| is_past(state, record)) {
            continue;
        }
        let verified =
            VerifiedSignatures::verify_prepared(state.as_deref(), record, |key| often.prepared(key));
        if !alone && let Ok(after) = may_follow_verified(state.as_deref(), record, &verified) {
            moved.insert(name.clone(), Arc::new(after));
        }
        candidate.verified = verified;
    }
}

/// Whether the record's place is taken, by itself or by another: its signatures will not be asked for.
fn is_past(state: &ChannelState, record: &SignedRecord) -> bool {
    let common = record.statement().predicate.common();
    state.chain_head(common.chain).is_some_and(|head| common.seq <= head.seq)
}

#[cfg(test)]
mod tests {
    use super::super::queue::Submission;
    use super::super::tests::records::{chain, name, publisher};
    use super::*;
    use crate::kind::LogKind;
    use indelible_proto::record::may_follow;
    use indelible_proto::sign::Signer as _;

    fn candidates(records: &[SignedRecord]) -> Vec<Candidate> {
        let submissions = records.iter().cloned().map(|record| Submission::Record(Box::new(record)));
        submissions.map(|record| Candidate::new(record, LogKind::Records).unwrap()).collect()
    }

    fn verified(candidates: &[Candidate]) -> Vec<bool> {
        let publisher = publisher();
        let has = |candidate: &Candidate| {
            let record = candidate.record().unwrap();
            candidate.verified.has(record, publisher.verifier(), &record.signatures()[0])
        };
        candidates.iter().map(has).collect()
    }

    #[test]
    fn records_that_follow_each_other_are_verified_by_the_keys_the_first_brings() {
        let mut all = candidates(&chain(0, 4));
        preverify(&mut all, &OftenAsked::default(), |_| None);
        assert_eq!(verified(&all), [true; 4]);
        // Alone, a record of a channel that nobody knows is nobody's.
        let mut last = candidates(&chain(0, 4)[3..]);
        preverify(&mut last, &OftenAsked::default(), |_| None);
        assert_eq!(verified(&last), [false]);
    }

    #[test]
    fn a_record_whose_place_is_taken_costs_no_verification() {
        let records = chain(0, 3);
        let state = may_follow(None, &records[0]).and_then(|state| may_follow(Some(&state), &records[1]));
        let state = Arc::new(state.unwrap());
        let mut all = candidates(&records);
        preverify(&mut all, &OftenAsked::default(), |asked| (*asked == name(0)).then(|| Arc::clone(&state)));
        assert_eq!(verified(&all), [false, false, true]);
    }
}
