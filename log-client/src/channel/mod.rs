//! What a client knows of a channel: its records from the genesis on, each verified once, and since when.
//!
//! A [`KnownChannel`] is made and extended only by a channel file that was verified; it is kept between runs as
//! [`mod@file`] says. From its records follows what no single proof can show: which of them were withdrawn, what
//! leads back, what a heartbeat renewed ([`standing`]), and which changes of keys count ([`changes`]).
//!
//! What it cannot know is what was logged later than its newest checkpoint, and what a log left out of it that
//! nothing in it follows on. How old it is, is told by [`KnownChannel::witnessed`].

mod changes;
mod file;
mod source;
mod standing;

use std::collections::HashMap;

use indelible_proto::channel_file::{ChannelFile, ChannelFileRefusal, Start};
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::record::{
    Chain, ChannelName, ChannelState, Predicate, RecordId, SignedRecord, may_follow,
};
use indelible_proto::time::UnixSeconds;

pub use changes::{KeyStanding, WitnessTimes};
pub use file::KnownChannelError;
pub use source::{FetchChannelError, fetch_channel};
pub use standing::Withdrawal;

use crate::verify::TrustedTime;
use changes::Changes;

/// Why a channel file teaches nothing. What was known stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// It is not verified, or does not go with what is known.
    #[error(transparent)]
    File(#[from] ChannelFileRefusal),
    /// More records than are kept.
    #[error("the channel has more than {} records", KnownChannel::MAX_RECORDS)]
    TooMany,
    /// The records are longer than what is kept.
    #[error("the channel's records are longer than {} bytes", KnownChannel::MAX_BYTES)]
    TooLong,
}

impl LearnError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::TooMany => "channel-too-many-records",
            Self::TooLong => "channel-too-long",
        }
    }
}

/// One record, and when it was learned, both in witnesses' time. It was logged no later than `seen`; up to
/// `before` the channel was known without it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    record: SignedRecord,
    /// The newest cosignature of the checkpoint in which it was learned: some honest witness had seen it by
    /// then. A quorum's time would be the oldest of several, which one liar can make older.
    seen: Option<UnixSeconds>,
    /// [`KnownChannel::witnessed`] before.
    before: Option<UnixSeconds>,
}

/// A channel as far as it is known: from its genesis, without a gap, to the newest records that were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownChannel {
    state: ChannelState,
    witnessed: Option<UnixSeconds>,
    records: Vec<Known>,
    /// Follow from the records.
    places: HashMap<RecordId, usize>,
    /// Of each record that was withdrawn, where the withdrawals are.
    withdrawn: HashMap<RecordId, Vec<usize>>,
    changes: Changes,
}

impl KnownChannel {
    /// The most records kept: an update every hour for almost two years. All of them are read for each verdict.
    pub const MAX_RECORDS: usize = 16 * 1024;
    /// The longest file kept, in bytes: so many records of 4 KiB, four times the usual length.
    pub const MAX_BYTES: usize = 64 * 1024 * 1024;

    /// What is known of a channel after `file`: of one of which nothing was known but the record that opened
    /// it, or of one that was `known`.
    ///
    /// # Errors
    /// [`LearnError`]. A file that ends before what is known, leaves something out, or has another record in the
    /// place of a known one, teaches nothing.
    pub fn learn(
        known: Option<&Self>,
        genesis: RecordId,
        file: &ChannelFile,
        policy: &Policy,
        time: TrustedTime,
    ) -> Result<(Self, VerifiedCheckpoint), LearnError> {
        let start = known.map_or(Start::Genesis(genesis), |known| Start::After(&known.state));
        let verified = file.verify(start, policy)?;
        let checkpoint = verified.checkpoint();
        let times = WitnessTimes::of(checkpoint, policy, time);
        let before = known.and_then(|known| known.witnessed);
        let mut records = known.map(|known| known.records.clone()).unwrap_or_default();
        let fresh = verified.records().iter();
        records.extend(fresh.map(|record| Known { record: record.clone(), seen: times.newest, before }));
        if records.len() > Self::MAX_RECORDS {
            return Err(LearnError::TooMany);
        }
        let after = Self::of(verified.state().clone(), before.max(times.quorum), records);
        if after.encoded_len() > Self::MAX_BYTES {
            return Err(LearnError::TooLong);
        }
        Ok((after, checkpoint.clone()))
    }

    /// What follows from records that lead to `state`.
    fn of(state: ChannelState, witnessed: Option<UnixSeconds>, records: Vec<Known>) -> Self {
        let places = records.iter().enumerate().map(|(at, known)| (known.record.record_id(), at)).collect();
        let (mut withdrawn, mut changes) = (HashMap::<_, Vec<_>>::new(), Changes::default());
        for (at, known) in records.iter().enumerate() {
            if let Predicate::Withdraw(_, body) = &known.record.statement().predicate {
                body.records.iter().for_each(|id| withdrawn.entry(*id).or_default().push(at));
            }
            changes.push(known);
        }
        Self { state, witnessed, records, places, withdrawn, changes }
    }

    /// What was known when these were the newest records of the two chains; `None` if the channel never was there.
    /// For whoever knows more than another reader and has to see with that one's eyes.
    pub fn up_to(&self, publish: RecordId, recovery: Option<RecordId>) -> Option<Self> {
        let seq = |id, chain| {
            let common = self.record(id)?.statement().predicate.common();
            (common.chain == chain).then_some(common.seq)
        };
        let publish_seq = seq(publish, Chain::Publish)?;
        let recovery_seq = recovery.map(|id| seq(id, Chain::Recovery).ok_or(())).transpose().ok()?;
        let was_known = |known: &&Known| {
            let common = known.record.statement().predicate.common();
            match common.chain {
                Chain::Publish => common.seq <= publish_seq,
                Chain::Recovery => recovery_seq.is_some_and(|newest| common.seq <= newest),
            }
        };
        let records: Vec<Known> = self.records.iter().filter(was_known).cloned().collect();
        let mut state = None;
        for Known { record, .. } in &records {
            state = Some(may_follow(state.as_ref(), record).ok()?);
        }
        Some(Self::of(state?, self.witnessed, records))
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.state.channel()
    }

    /// What the channel has come to.
    pub fn state(&self) -> &ChannelState {
        &self.state
    }

    /// The newest time of a quorum of witnesses for a checkpoint that proved the channel's newest records. `None`
    /// if there were no witnesses to vouch for a time.
    pub fn witnessed(&self) -> Option<UnixSeconds> {
        self.witnessed
    }

    /// The records from the genesis on, in the order of the log.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &SignedRecord> {
        self.records.iter().map(|known| &known.record)
    }

    /// The record with this id.
    pub fn record(&self, id: RecordId) -> Option<&SignedRecord> {
        self.places.get(&id).and_then(|at| self.records.get(*at)).map(|known| &known.record)
    }

    /// The record at a place of a chain.
    pub fn at(&self, chain: Chain, seq: u64) -> Option<&SignedRecord> {
        self.records().find(|record| {
            let common = record.statement().predicate.common();
            common.chain == chain && common.seq == seq
        })
    }

    /// The record that opened the channel.
    pub fn opening(&self) -> Option<&SignedRecord> {
        self.records().next()
    }

    /// Whether this knows everything that `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        let reaches = |chain| {
            let seq = |known: &Self| known.state.chain_head(chain).map(|head| head.seq);
            seq(self) >= seq(other)
        };
        reaches(Chain::Publish) && reaches(Chain::Recovery) && self.witnessed >= other.witnessed
    }
}

#[cfg(test)]
mod tests;
