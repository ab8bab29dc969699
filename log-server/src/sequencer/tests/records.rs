//! Logs of records: channels, rivals, duplicates, and what a restart knows of them.

use std::collections::BTreeMap;

use indelible_proto::hash::sha256;
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{
    AdmissionError, Audience, Chain, Common, KeySet, Predicate, RecordId, SignedRecord, Statement, Subject,
};
use indelible_proto::sign::{RecordSigner, Signer as _};
use indelible_proto::time::UnixSeconds;

use super::*;
use crate::openers::OpeningError;

pub(crate) fn publisher() -> RecordSigner {
    let name = KeyName::parse("vendor.example/publish").unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [7; 32])).unwrap()
}

pub(crate) fn name(channel: u64) -> ChannelName {
    ChannelName::parse(&format!("vendor.example/channel-{channel}")).unwrap()
}

fn common(channel: u64, seq: u64, prev: Option<RecordId>, keys: Option<RecordId>) -> Common {
    Common {
        channel: name(channel),
        seq,
        prev,
        keys,
        issued: UnixSeconds::new(1_780_000_000).unwrap(),
        expires: Some(UnixSeconds::new(1_790_000_000).unwrap()),
        audience: Audience::Public,
        chain: Chain::Publish,
        extensions: BTreeMap::new(),
    }
}

fn genesis(channel: u64) -> SignedRecord {
    let common = Common { expires: None, ..common(channel, 0, None, None) };
    let body = ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/vendor.example/product".into(),
        signers: Some(KeySet::new(vec![publisher().verifier().clone()], 1).unwrap()),
        recovery: None,
        cooldown_s: 3600,
        max_age_s: 3600,
    };
    let subject = vec![Subject::of_channel(&common.channel)];
    let statement = Statement { subject, predicate: Predicate::Channel(common, body) };
    SignedRecord::sign(&statement, &[&publisher()]).unwrap()
}

/// A release after `prev`; `version` tells rivals apart.
fn release(channel: u64, seq: u64, prev: &SignedRecord, version: &str) -> SignedRecord {
    let keys = genesis(channel).record_id();
    let body =
        ReleaseBody { version: version.into(), purl: None, source: None, provenance: None, sbom: None };
    let subject = vec![Subject::of_file("file", sha256(version.as_bytes()))];
    let common = common(channel, seq, Some(prev.record_id()), Some(keys));
    let statement = Statement { subject, predicate: Predicate::Release(common, body) };
    SignedRecord::sign(&statement, &[&publisher()]).unwrap()
}

/// The first `count` records of a channel.
pub(crate) fn chain(channel: u64, count: u64) -> Vec<SignedRecord> {
    let mut records = vec![genesis(channel)];
    for seq in 1..count {
        let next = release(channel, seq, records.last().unwrap(), &format!("1.{seq}"));
        records.push(next);
    }
    records
}

fn submit(handle: &SequencerHandle, records: &[SignedRecord]) -> Vec<Outcome> {
    let submissions = records.iter().cloned().map(|record| Submission::Record(Box::new(record))).collect();
    handle.submit_many(submissions).unwrap().blocking_recv().unwrap()
}

fn first_at(at: u64, record: &SignedRecord) -> Outcome {
    let leaf_hash = record.to_entry().leaf_hash();
    Outcome::Sequenced { index: index(at), leaf_hash, occurrence: Occurrence::First }
}

fn again_at(at: u64, record: &SignedRecord) -> Outcome {
    let leaf_hash = record.to_entry().leaf_hash();
    Outcome::Sequenced { index: index(at), leaf_hash, occurrence: Occurrence::Again }
}

#[test]
fn records_follow_their_channel_within_a_batch_and_across_batches() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let handle = sequencer.handle();
    let records = chain(0, 4);
    let expected: Vec<_> = (0..).zip(&records).map(|(at, record)| first_at(at, record)).collect();
    assert_eq!(submit(&handle, &records[..3]), expected[..3]);
    assert_eq!(submit(&handle, &records[3..]), expected[3..]);
    let state = handle.channel(&name(0)).unwrap();
    assert_eq!((state.seq(), state.head()), (3, records[3].record_id()));
    assert!(handle.channel(&name(1)).is_none());
}

#[test]
fn of_two_rivals_in_one_batch_the_second_is_refused_with_the_moved_head() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let handle = sequencer.handle();
    let opening = genesis(0);
    let winner = release(0, 1, &opening, "1.1");
    let rival = release(0, 1, &opening, "6.6.6");
    let outcomes = submit(&handle, &[opening.clone(), winner.clone(), rival.clone(), winner.clone()]);
    assert_eq!(outcomes[..2], [first_at(0, &opening), first_at(1, &winner)]);
    let head = handle.channel(&name(0)).map(Box::new);
    assert_eq!(head.as_ref().unwrap().head(), winner.record_id());
    let refused = Outcome::Refused { error: AdmissionError::Seq { got: 1, expected: 2 }, head };
    assert_eq!(outcomes[2], refused);
    assert_eq!(outcomes[3], again_at(1, &winner));
    assert_eq!(submit(&handle, &[rival]), [refused]);
    assert_eq!(handle.tree().signed_size(), size(2));
}

#[test]
fn a_channel_is_opened_only_by_its_owner_and_goes_on_whatever_the_settings_become() {
    let log = TestLog::create(LogKind::Records);
    let records = chain(0, 3);
    {
        let closed = CoreSettings { openers: Openers::nobody(), ..log.settings() };
        let sequencer = Sequencer::open_tuned(closed, tight(LogKind::Records)).unwrap();
        let domain = name(0).owner_domain().to_owned();
        let refused = Outcome::MayNotOpen(OpeningError::Closed { domain });
        let error = AdmissionError::ChannelUnknown { seq: 1 };
        let unknown = Outcome::Refused { error, head: None };
        assert_eq!(submit(&sequencer.handle(), &records[..2]), [refused, unknown]);
    }
    assert_eq!(submit(&log.open().handle(), &records[..2]).len(), 2);
    // What is in the log stays: the same record again, and the ones that follow.
    let closed = CoreSettings { openers: Openers::nobody(), ..log.settings() };
    let sequencer = Sequencer::open_tuned(closed, tight(LogKind::Records)).unwrap();
    let outcomes = submit(&sequencer.handle(), &[records[0].clone(), records[2].clone()]);
    assert_eq!(outcomes, [again_at(0, &records[0]), first_at(2, &records[2])]);
}

#[test]
fn a_record_of_an_unknown_channel_is_refused_without_a_head() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let orphan = release(0, 1, &genesis(0), "1.1");
    let refused = Outcome::Refused { error: AdmissionError::ChannelUnknown { seq: 1 }, head: None };
    assert_eq!(submit(&sequencer.handle(), &[orphan]), [refused]);
    assert_eq!(sequencer.handle().tree().signed_size(), TreeSize::ZERO);
}

#[test]
fn the_same_record_gets_its_first_index_with_or_without_an_index() {
    let log = TestLog::create(LogKind::Records);
    let records = chain(0, 300);
    submit(&log.open().handle(), &records);
    for delete in [false, true] {
        if delete {
            fs::remove_dir_all(log.data().join("index")).unwrap();
        }
        let sequencer = log.open();
        for at in [0, 1, 255, 256, 299] {
            let record = &records[usize::try_from(at).unwrap()];
            assert_eq!(submit(&sequencer.handle(), std::slice::from_ref(record)), [again_at(at, record)]);
        }
    }
}

#[test]
fn a_crash_at_any_size_leaves_every_channel_where_it_was() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let handle = sequencer.handle();
    let mut chains: Vec<_> = (0..7).map(|channel| chain(channel, 60).into_iter()).collect();
    let mut last: Vec<Option<SignedRecord>> = vec![None; chains.len()];
    let mut count = 0;
    for round in 0..60 {
        for channel in 0..chains.len() {
            let record = chains[channel].next().unwrap();
            assert_eq!(submit(&handle, std::slice::from_ref(&record)), [first_at(count, &record)]);
            count += 1;
            last[channel] = Some(record);
        }
        if round % 7 != 0 && !(250..265).contains(&count) {
            continue;
        }
        for without_snapshot in [false, true] {
            let crashed = log.copy();
            if without_snapshot {
                let _ = fs::remove_file(crashed.data().join("heads"));
            }
            let reopened = crashed.open();
            assert_eq!(signed_head(&reopened.handle()), signed_head(&handle));
            for (channel, last) in (0..).zip(&last) {
                let state = reopened.handle().channel(&name(channel));
                assert_eq!(state, handle.channel(&name(channel)));
                assert_eq!(state.map(|state| state.head()), last.as_ref().map(SignedRecord::record_id));
            }
        }
    }
    drop(sequencer);
    let sequencer = log.open();
    let next = release(3, 60, last[3].as_ref().unwrap(), "2.0");
    assert_eq!(submit(&sequencer.handle(), std::slice::from_ref(&next)), [first_at(count, &next)]);
}

#[test]
fn a_snapshot_has_the_channels_as_they_were_at_the_last_full_bundle() {
    let log = TestLog::create(LogKind::Records);
    let sequencer = log.open();
    let records = chain(0, 300);
    submit(&sequencer.handle(), &records[..200]);
    submit(&sequencer.handle(), &records[200..300]);
    let late = genesis(1);
    submit(&sequencer.handle(), std::slice::from_ref(&late));
    let channels = sequencer.handle().0.channels.read().unwrap().at_last_full_bundle();
    assert_eq!(channels.len(), 1, "channel 1 opened later");
    assert_eq!((channels[0].seq(), channels[0].head()), (255, records[255].record_id()));
}
