//! A statement without its place in a channel: what the publisher wants to say.

use std::collections::BTreeMap;

use indelible_proto::record::body::{
    ChannelBody, Delta, HeadBody, ReleaseBody, ReviewBody, RulesBody, WithdrawBody,
};
use indelible_proto::record::{
    Audience, Chain, ChannelName, Common, Predicate, RecordId, SignedRecord, Statement, Subject,
};
use indelible_proto::time::UnixSeconds;

use super::Place;

/// What is to be published, before its place in the channel is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The channel.
    pub channel: ChannelName,
    /// Which chain of it.
    pub chain: Chain,
    /// The artifacts, in any order; a record about the channel has its own.
    pub subject: Vec<Subject>,
    /// What is said about them.
    pub body: Body,
    /// Whom it is for.
    pub audience: Audience,
    /// For how long the record is fresh, in seconds. Not used for a type that does not expire.
    pub lifetime_s: u64,
}

/// What a record says, by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Birth of a channel.
    Channel(ChannelBody),
    /// A change of a channel's keys or policy.
    Change(ChannelBody),
    /// A software release.
    Release(ReleaseBody),
    /// An update of detection rules.
    Rules(RulesBody),
    /// Earlier records of the channel are taken back.
    Withdraw(WithdrawBody),
    /// What somebody found who examined records of other channels.
    Review(ReviewBody),
    /// The channel has nothing newer.
    Head(HeadBody),
}

impl Body {
    /// Whether it is about the channel itself and names no artifact.
    fn is_about_channel(&self) -> bool {
        match self {
            Self::Channel(_) | Self::Change(_) | Self::Head(_) => true,
            Self::Release(_) | Self::Rules(_) | Self::Withdraw(_) | Self::Review(_) => false,
        }
    }

    /// Whether records of the type state when they expire.
    fn expires(&self) -> bool {
        match self {
            Self::Channel(_) | Self::Change(_) | Self::Withdraw(_) => false,
            Self::Release(_) | Self::Rules(_) | Self::Review(_) | Self::Head(_) => true,
        }
    }
}

impl Draft {
    /// The statement at `place`, issued at `now`.
    pub fn statement(&self, place: &Place, now: UnixSeconds) -> Statement {
        let mut subject = match self.body.is_about_channel() {
            true => vec![Subject::of_channel(&self.channel)],
            false => self.subject.clone(),
        };
        subject.sort_by(|a, b| a.name.cmp(&b.name));
        let expires = self.body.expires().then(|| later(now, self.lifetime_s));
        let common = Common {
            channel: self.channel.clone(),
            seq: place.seq(),
            prev: place.prev(),
            keys: place.keys(),
            issued: now,
            expires,
            audience: self.audience,
            chain: self.chain,
            extensions: BTreeMap::new(),
        };
        let predicate = match self.body.clone() {
            Body::Channel(body) | Body::Change(body) => Predicate::Channel(common, body),
            Body::Release(body) => Predicate::Release(common, body),
            Body::Rules(body) => Predicate::Rules(common, body),
            Body::Withdraw(body) => Predicate::Withdraw(common, body),
            Body::Review(body) => Predicate::Review(common, body),
            Body::Head(body) => Predicate::Head(common, body),
        };
        Statement { subject, predicate }
    }

    /// Whether `record` says what this draft says: the same in everything but its place, its times, and what is counted
    /// from its place.
    pub fn is_said_by(&self, record: &SignedRecord) -> bool {
        let statement = record.statement();
        let common = statement.predicate.common();
        let Some(place) = Place::of(common) else {
            return false;
        };
        let said = match &statement.predicate {
            Predicate::Head(_, body) => self.clone().after_recovery(body.recovery),
            Predicate::Rules(_, body) => self.clone().with_delta(body.delta),
            _ => self.clone(),
        };
        // The lifetime is part of what is said; the moment it started is not.
        said.statement(&place, common.issued) == *statement
    }

    /// The same draft with this count of what changed since the rules before.
    fn with_delta(mut self, delta: Option<Delta>) -> Self {
        if let Body::Rules(body) = &mut self.body {
            body.delta = delta;
        }
        self
    }

    /// The same draft where the recovery chain has come to this record, which a heartbeat has to name.
    pub(super) fn after_recovery(mut self, newest: Option<RecordId>) -> Self {
        if let Body::Head(body) = &mut self.body {
            body.recovery = newest;
        }
        self
    }
}

/// A time no record can state, if the sum is beyond all times; signing such a record fails.
fn later(now: UnixSeconds, seconds: u64) -> UnixSeconds {
    UnixSeconds::new(now.get().saturating_add(seconds)).unwrap_or(now)
}
