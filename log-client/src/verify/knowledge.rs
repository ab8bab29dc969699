//! What is known of channels when a verdict is given, how old that is, and what it leaves hidden.

use std::collections::BTreeMap;

use indelible_proto::policy::VerifiedCheckpoint;
use indelible_proto::record::{ChannelName, SignedRecord};
use indelible_proto::time::UnixSeconds;

use super::time::plus;
use super::{Request, Trust};
use crate::channel::{KnownChannel, WitnessTimes};

/// What is known of a channel's records.
#[derive(Clone, Debug)]
pub enum Knowledge {
    /// No channel file was given, and none is remembered.
    Nothing,
    /// Its records up to some time.
    Channel(Box<KnownChannel>),
    /// Something is remembered, and it cannot be read.
    Damaged {
        /// The stable name of the damage.
        code: &'static str,
        /// What is wrong, and where.
        message: String,
    },
}

/// What is known of each reviewer's channel.
pub type Reviewers = BTreeMap<ChannelName, Knowledge>;

impl Request<'_> {
    /// The trusted channel's records, if they are known.
    pub(super) fn known_channel(&self) -> Option<&KnownChannel> {
        match (self.trust, self.known) {
            (Trust::Channel(trusted), Knowledge::Channel(known))
                if known.state().genesis() == trusted.genesis() =>
            {
                Some(known)
            }
            _ => None,
        }
    }
}

/// When witnesses saw what this verdict rests on.
pub(super) struct Seen<'a> {
    pub(super) known: Option<&'a KnownChannel>,
    /// Of the checkpoint the artifact came with.
    pub(super) times: WitnessTimes,
}

impl<'a> Seen<'a> {
    pub(super) fn new(request: &'a Request<'_>, checkpoint: &VerifiedCheckpoint) -> Self {
        let times = WitnessTimes::of(checkpoint, request.policy, request.time);
        Self { known: request.known_channel(), times }
    }

    /// The newest time that a quorum vouches for.
    pub(super) fn now(&self) -> Option<UnixSeconds> {
        self.times.quorum.max(self.known.and_then(KnownChannel::witnessed))
    }

    /// The known channel, if the record is one of it.
    pub(super) fn with(&self, record: &SignedRecord) -> Option<&'a KnownChannel> {
        self.known.filter(|known| known.record(record.record_id()).is_some())
    }
}

/// Whether what is known of a channel is older than the client, or else the channel, lets pass.
pub(super) fn is_stale(request: &Request<'_>, known: &KnownChannel, max_age_s: Option<u64>) -> bool {
    let max_age_s = request.rules.max_age_s.or(max_age_s);
    match (known.witnessed(), max_age_s) {
        (Some(witnessed), Some(max_age_s)) => plus(witnessed, max_age_s) < request.time.now(),
        _ => false,
    }
}

/// What the files at hand cannot show.
pub(super) fn hidden(request: &Request<'_>) -> Vec<String> {
    let Some(known) = request.known_channel() else {
        return [
            "whether a newer record exists on the channel",
            "whether a later record withdraws this one",
            "whether a later record changed the channel's keys",
        ]
        .map(ToOwned::to_owned)
        .to_vec();
    };
    let since = known.witnessed().map_or_else(
        || format!("after record {}", known.state().seq()),
        |witnessed| format!("after {witnessed}, up to which it is known (record {})", known.state().seq()),
    );
    vec![
        format!("newer records, withdrawals and key changes of the channel logged {since}"),
        "newest records that the log left out of the channel file".to_owned(),
    ]
}
