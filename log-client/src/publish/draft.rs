//! A statement without its place in a channel: what the publisher wants to say.

use std::collections::BTreeMap;

use indelible_proto::record::body::{ChannelBody, ReleaseBody, RulesBody};
use indelible_proto::record::{
    Audience, Chain, ChannelName, Common, Predicate, SignedRecord, Statement, Subject,
};
use indelible_proto::time::UnixSeconds;

use super::Place;

/// What is to be published, before its place in the channel is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The channel.
    pub channel: ChannelName,
    /// The artifacts, in any order; a channel record has its own.
    pub subject: Vec<Subject>,
    /// What is said about them.
    pub body: Body,
    /// For how long the record is fresh, in seconds. Not used for a channel record.
    pub lifetime_s: u64,
}

/// What a record says, by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Birth of a channel.
    Channel(ChannelBody),
    /// A software release.
    Release(ReleaseBody),
    /// An update of detection rules.
    Rules(RulesBody),
}

impl Draft {
    /// The statement at `place`, issued at `now`.
    pub fn statement(&self, place: &Place, now: UnixSeconds) -> Statement {
        let mut subject = match self.body {
            Body::Channel(_) => vec![Subject::of_channel(&self.channel)],
            Body::Release(_) | Body::Rules(_) => self.subject.clone(),
        };
        subject.sort_by(|a, b| a.name.cmp(&b.name));
        let expires = match self.body {
            Body::Channel(_) => None,
            Body::Release(_) | Body::Rules(_) => Some(later(now, self.lifetime_s)),
        };
        let common = Common {
            channel: self.channel.clone(),
            seq: place.seq(),
            prev: place.prev(),
            keys: place.keys(),
            issued: now,
            expires,
            audience: Audience::Public,
            chain: Chain::Publish,
            extensions: BTreeMap::new(),
        };
        let predicate = match self.body.clone() {
            Body::Channel(body) => Predicate::Channel(common, body),
            Body::Release(body) => Predicate::Release(common, body),
            Body::Rules(body) => Predicate::Rules(common, body),
        };
        Statement { subject, predicate }
    }

    /// Whether `record` says what this draft says: the same in everything but its place and its times.
    pub fn is_said_by(&self, record: &SignedRecord) -> bool {
        let statement = record.statement();
        let common = statement.predicate.common();
        let Some(place) = Place::of(common) else {
            return false;
        };
        let said = self.statement(&place, common.issued);
        // The lifetime is part of what is said; the moment it started is not.
        said == *statement
    }
}

/// A time no record can state, if the sum is beyond all times; signing such a record fails.
fn later(now: UnixSeconds, seconds: u64) -> UnixSeconds {
    UnixSeconds::new(now.get().saturating_add(seconds)).unwrap_or(now)
}
