use indelible_proto::hash::sha256;
use indelible_proto::record::body::{
    ChannelBody, HeadBody, Owner, ReleaseBody, WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{Audience, KeySet, Subject, may_follow};
use indelible_proto::sign::{RecordSigner, Signer as _};

use super::*;
use crate::publish::{Body, Draft, Place};
use crate::test_log::{seconds, vendor};

/// The records of a channel in the order in which a log took them.
struct Channel {
    name: &'static str,
    records: Vec<SignedRecord>,
    state: Option<indelible_proto::record::ChannelState>,
}

impl Channel {
    fn open(name: &'static str) -> Self {
        let mut channel = Self { name, records: Vec::new(), state: None };
        channel.add(Chain::Publish, Body::Channel(body(&[7])), &[7]);
        channel
    }

    fn add(&mut self, chain: Chain, body: Body, signers: &[u8]) {
        let place = self.state.as_ref().map(|state| state.next_place(chain).unwrap());
        let place = match place.map(|place| (place.seq.checked_sub(1), place.prev, place.keys)) {
            None => Place::Genesis,
            Some((Some(seq), Some(head), keys)) => Place::After { seq, head, keys },
            Some((_, _, keys)) => Place::First { keys },
        };
        let newest = self.state.as_ref().and_then(|state| state.chain_head(Chain::Recovery));
        let draft = Draft {
            channel: ChannelName::parse(self.name).unwrap(),
            chain,
            subject: vec![Subject::of_file("a", sha256(b"a"))],
            body,
            audience: Audience::Public,
            lifetime_s: 3600,
        };
        let draft = draft.after_recovery(newest.map(|head| head.record));
        let signers: Vec<RecordSigner> = signers.iter().map(|seed| vendor(*seed)).collect();
        let signers: Vec<&RecordSigner> = signers.iter().collect();
        let record = SignedRecord::sign(&draft.statement(&place, seconds(1_790_000_000)), &signers).unwrap();
        self.state = Some(may_follow(self.state.as_ref(), &record).unwrap());
        self.records.push(record);
    }

    fn release(&mut self, key: u8) {
        let version = self.records.len().to_string();
        let body = ReleaseBody { version, purl: None, source: None, provenance: None, sbom: None };
        self.add(Chain::Publish, Body::Release(body), &[key]);
    }

    fn withdraw(&mut self) {
        let body = WithdrawBody {
            records: vec![self.records[1].record_id()],
            reason: WithdrawReason::Defective,
            action: WithdrawAction::Stop,
            advisory: None,
        };
        self.add(Chain::Recovery, Body::Withdraw(body), &[9]);
    }

    fn head(&mut self, key: u8) {
        let body = HeadBody { record: self.records[1].record_id(), recovery: None };
        self.add(Chain::Publish, Body::Head(body), &[key]);
    }
}

fn body(signers: &[u8]) -> ChannelBody {
    let keys = |seeds: &[u8]| {
        let keys = seeds.iter().map(|seed| vendor(*seed).verifier().clone()).collect();
        Some(KeySet::new(keys, 1).unwrap())
    };
    ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/agent".into(),
        signers: keys(signers),
        recovery: keys(&[9]),
        cooldown_s: 0,
        max_age_s: 3600,
    }
}

/// Both chains name each other in every way there is.
fn tangled(name: &'static str) -> Channel {
    let mut channel = Channel::open(name);
    channel.release(7);
    channel.head(7);
    channel.withdraw();
    channel.head(7);
    channel.withdraw();
    channel.withdraw();
    channel.head(7);
    // New keys by the recovery chain: what the old ones signed has to come before, the rest after.
    channel.add(Chain::Recovery, Body::Change(body(&[8])), &[8, 9]);
    channel.release(8);
    channel.add(Chain::Publish, Body::Change(body(&[7])), &[7, 8]);
    channel.release(7);
    channel.add(Chain::Recovery, Body::Change(body(&[8])), &[8, 9]);
    channel
}

/// Whether a log takes all of them in this order.
fn taken(records: &[SignedRecord]) -> bool {
    let mut states = BTreeMap::new();
    records.iter().all(|record| {
        let channel = record.statement().predicate.common().channel.clone();
        let next = may_follow(states.get(&channel), record);
        next.map(|next| states.insert(channel, next)).is_ok()
    })
}

#[test]
fn a_log_takes_them_in_this_order_however_they_were_given() {
    let mut records = [tangled("vendor.example/a").records, tangled("vendor.example/b").records].concat();
    assert!(!taken(&[&records[..3], &records[4..5], &records[3..4]].concat()));
    // The same few orders each time: turned round, and dealt out with every step.
    records.reverse();
    for step in 1..records.len() {
        let mut dealt = Vec::new();
        for first in 0..step {
            dealt.extend(records.iter().skip(first).step_by(step).cloned());
        }
        let ordered = in_order(dealt, |record| record);
        assert_eq!(ordered.len(), records.len());
        assert!(taken(&ordered), "step {step}");
        records = ordered.clone();
        records.rotate_left(step);
    }
}

#[test]
fn what_was_given_twice_stays_and_what_is_not_there_is_not_waited_for() {
    let records = tangled("vendor.example/a").records;
    let part = vec![records[4].clone(), records[2].clone(), records[4].clone(), records[5].clone()];
    let seqs = |records: Vec<SignedRecord>| -> Vec<(bool, u64)> {
        records.iter().map(|record| (place(record).1, place(record).2)).collect()
    };
    assert_eq!(seqs(in_order(part, |record| record)), [(false, 2), (false, 3), (false, 3), (true, 1)]);
}

#[test]
fn a_gap_is_what_is_missing_between_two_records_of_a_chain() {
    let records = tangled("vendor.example/a").records;
    assert_eq!(gaps(&records), []);
    // 0 and 4 of the publish chain, twice, and 1 of the recovery chain: nothing says where that should begin.
    let some = [&records[7], &records[0], &records[5], &records[7]];
    let channel = ChannelName::parse("vendor.example/a").unwrap();
    assert_eq!(gaps(some), [Gap { channel, chain: Chain::Publish, first: 1, last: 3 }]);
}

#[test]
fn a_long_chain_that_is_waited_for_is_no_deep_recursion() {
    let mut channel = Channel::open("vendor.example/a");
    channel.release(7);
    for _ in 0..3_000 {
        channel.withdraw();
    }
    channel.head(7);
    assert!(taken(&in_order(channel.records, |record| record)));
}
