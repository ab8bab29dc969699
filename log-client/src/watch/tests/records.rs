//! A log of records must only take in what may follow.

use indelible_proto::hash::sha256;
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{Audience, Chain, ChannelName, KeySet, SignedRecord, Subject};

use super::*;
use crate::publish::{Body, Draft, Place};
use crate::test_log::{seconds, vendor};

/// A channel with the key 7, and its newest record.
struct Channel {
    name: &'static str,
    genesis: SignedRecord,
    last: SignedRecord,
    seq: u64,
}

impl Channel {
    fn open(name: &'static str) -> Self {
        let body = ChannelBody {
            owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
            product: "pkg:generic/agent".into(),
            signers: Some(KeySet::new(vec![vendor(7).verifier().clone()], 1).unwrap()),
            recovery: None,
            cooldown_s: 0,
            max_age_s: 3600,
        };
        let genesis = sign(name, Body::Channel(body), Vec::new(), &Place::Genesis, 7);
        Self { name, last: genesis.clone(), genesis, seq: 0 }
    }

    /// The release after this channel's newest record, if that had the number `after`.
    fn release(&self, after: u64, key: u8) -> SignedRecord {
        let version = format!("1.{after}");
        let subject = Subject::of_file("agent", sha256(version.as_bytes()));
        let body = ReleaseBody { version, purl: None, source: None, provenance: None, sbom: None };
        let place = Place::After { seq: after, head: self.last.record_id(), keys: self.genesis.record_id() };
        sign(self.name, Body::Release(body), vec![subject], &place, key)
    }

    /// Publishes a release.
    fn publish(mut self, log: &mut TestLog) -> Self {
        self.last = self.release(self.seq, 7);
        self.seq += 1;
        log.append(&self.last.encode());
        self
    }
}

fn sign(channel: &str, body: Body, subject: Vec<Subject>, place: &Place, key: u8) -> SignedRecord {
    let channel = ChannelName::parse(channel).unwrap();
    let draft =
        Draft { channel, chain: Chain::Publish, subject, body, audience: Audience::Public, lifetime_s: 3600 };
    SignedRecord::sign(&draft.statement(place, seconds(1_790_000_000)), &[&vendor(key)]).unwrap()
}

fn world_of_records() -> World {
    World { kind: LogKind::Records, ..World::new() }
}

fn refused(heard: &Heard) -> Vec<(u64, &'static str)> {
    let refused = heard.alerts.iter().map(|alert| match alert {
        Alert::RecordRefused { index, code, .. } => (index.get(), *code),
        other => panic!("{other}"),
    });
    refused.collect()
}

#[tokio::test]
async fn records_that_follow_each_other_are_no_alert_even_over_a_restart() {
    let world = world_of_records();
    let mut log = TestLog::new();
    let mut channel = Channel::open("vendor.example/agent");
    log.append(&channel.last.encode());
    world.publish(&log);
    assert_eq!(world.round().await.gravest, None);
    for seq in 1..4 {
        channel = channel.publish(&mut log);
        world.publish(&log);
        let heard = world.round().await;
        assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None), "{seq}");
    }
}

#[tokio::test]
async fn a_record_that_may_not_follow_is_an_accusation_and_the_scan_goes_on() {
    let world = world_of_records();
    let mut log = TestLog::new();
    let channel = Channel::open("vendor.example/agent");
    log.append(&channel.last.encode());
    log.append(&channel.release(0, 8).encode()); // 1: by a stranger's key
    log.append(b"not a record"); // 2
    let channel = channel.publish(&mut log);
    log.append(&channel.release(2, 7).encode()); // 4: leaves a number out
    log.append(b""); // 5
    log.append(&channel.last.encode()); // 6: once more
    let channel = channel.publish(&mut log);
    world.publish(&log);
    let mut follower = world.open().unwrap();
    let heard = round(&mut follower).await;
    assert_eq!(heard.gravest, Some(Class::Accusation));
    let indices: Vec<u64> = refused(&heard).iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [1, 2, 4, 5, 6]);
    assert_eq!(refused(&heard)[2].1, "seq-mismatch");
    assert_eq!(heard.codes.last(), Some(&"entries-match"));
    let states: Vec<_> = follower.watch().held().scan.channels.values().collect();
    assert_eq!((states.len(), states[0].head()), (1, channel.last.record_id()));
}

#[tokio::test]
async fn a_finished_reading_is_not_taken_up_again() {
    let world = world_of_records();
    let mut log = TestLog::new();
    let (quiet, busy) = (Channel::open("vendor.example/quiet"), Channel::open("vendor.example/busy"));
    log.append(&quiet.last.encode());
    world.publish(&log);
    assert_eq!(world.round().await.codes, ["entries-match"]);

    // The reading stops after 256 entries, before the second record of the quiet channel.
    log.append(&busy.last.encode());
    let busy = (2..290).fold(busy, |channel, _| channel.publish(&mut log));
    let quiet = quiet.publish(&mut log);
    world.publish(&log);
    let bundle = world.path("log").join(BundleId::for_size(1, size(log.entries.len())).unwrap().path());
    fs::rename(&bundle, world.path("aside")).unwrap();
    assert_eq!(world.round().await.codes, ["unread"]);
    fs::rename(world.path("aside"), &bundle).unwrap();
    assert_eq!(world.round().await.codes, ["entries-match"]);

    quiet.publish(&mut log);
    busy.publish(&mut log);
    world.publish(&log);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None));
}
