//! Replaying the records of a log: may each follow its channel's record before it?
//!
//! Channels do not depend on each other, so each thread replays some of them. After a record that may not
//! follow, the rest of its channel is not judged: nothing could follow it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Mutex;

use indelible_proto::record::{ChannelName, ChannelState, RecordError, SignedRecord, may_follow};

use super::finding::{Finding, Grade, Listener};
use super::parallel;

/// What every channel has come to, as it is stored.
pub(crate) type Channels = BTreeMap<String, String>;

/// Shards that channels are replayed in.
const SHARDS: u64 = 16;

/// The channels so far, and records that wait to be replayed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    shards: Vec<Mutex<Shard>>,
    waiting: Vec<(u64, Result<SignedRecord, RecordError>)>,
    /// Whether entries before could not be read: what follows them may seem not to.
    hole: bool,
}

#[derive(Debug, Default)]
struct Shard {
    channels: HashMap<ChannelName, ChannelState>,
    /// Channels that are not judged further.
    broken: HashMap<ChannelName, ()>,
}

impl Replay {
    /// Adds records in the order of the log. `hole` says that entries are missing among them.
    pub(crate) fn take(&mut self, records: Vec<(u64, Result<SignedRecord, RecordError>)>, hole: bool) {
        self.waiting.extend(records);
        self.hole |= hole;
    }

    /// Replays what waits.
    pub(crate) fn run(&mut self, threads: usize, listener: &dyn Listener) {
        if self.shards.is_empty() {
            self.shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        }
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return;
        }
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut shares: Vec<Vec<(u64, SignedRecord)>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for (index, record) in waiting {
            match record {
                Ok(record) => {
                    let shard = hasher.hash_one(&record.statement().predicate.common().channel) % SHARDS;
                    if let Some(share) = usize::try_from(shard).ok().and_then(|shard| shares.get_mut(shard)) {
                        share.push((index, record));
                    }
                }
                Err(error) => {
                    let what = format!("it is not a record: {error}");
                    listener.find(Finding::damaged("entry-not-a-record", entry(index), what).todo(REMEDY));
                }
            }
        }
        let hole = self.hole;
        let shards = &self.shards;
        parallel::map(threads, 0..SHARDS, |shard| {
            let shard = usize::try_from(shard).unwrap_or_default();
            let (Some(slot), Some(share)) = (shards.get(shard), shares.get(shard)) else {
                return;
            };
            let mut shard = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (index, record) in share {
                shard.follow(*index, record, hole, listener);
            }
        });
    }

    /// What every channel has come to.
    pub(crate) fn channels(&self) -> Channels {
        let mut all = Channels::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let states = shard.channels.values();
            all.extend(states.map(|state| (state.channel().as_str().to_owned(), state.encode())));
        }
        all
    }

    /// Whether every record so far could be judged.
    pub(crate) fn is_whole(&self) -> bool {
        let whole = |shard: &Mutex<Shard>| {
            shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).broken.is_empty()
        };
        !self.hole && self.shards.iter().all(whole)
    }
}

impl Shard {
    fn follow(&mut self, index: u64, record: &SignedRecord, hole: bool, listener: &dyn Listener) {
        let name = &record.statement().predicate.common().channel;
        if self.broken.contains_key(name) {
            return;
        }
        match may_follow(self.channels.get(name), record) {
            Ok(state) => drop(self.channels.insert(name.clone(), state)),
            Err(error) => {
                self.broken.insert(name.clone(), ());
                let what = format!(
                    "the record may not follow those of channel {} before it: {error}; the channel's later \
                     records are not judged",
                    name.as_str()
                );
                // With entries missing before it, the record may be as good as any.
                listener.find(match hole {
                    true => Finding::new(Grade::Unread, "record-not-judged", entry(index), what),
                    false => Finding::damaged("record-may-not-follow", entry(index), what).todo(REMEDY),
                });
            }
        }
    }
}

fn entry(index: u64) -> String {
    format!("entry {index}")
}

const REMEDY: &str = "the log has signed an entry that it must not have admitted: keep this report, and tell its \
                      readers";
