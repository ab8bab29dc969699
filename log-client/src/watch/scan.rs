//! Reading the log from its first entry on: the right edge of the tree over all entries read so far and,
//! for a log of records, the state of every channel.

use std::collections::BTreeMap;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::record::{
    ChannelName, ChannelState, SignedRecord, VerifiedSignatures, may_follow_verified,
};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{Frontier, TreeHead};

/// What entries a log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Records, each of which must be allowed to follow the ones before it.
    Records,
    /// Any bytes.
    Raw,
}

/// An entry, and in a log of records what it is.
#[derive(Debug)]
pub struct Read {
    /// The entry.
    pub entry: Entry,
    record: Option<RecordOrCode>,
}

/// A record with its verified signatures, or the stable name of what keeps the bytes from being one.
type RecordOrCode = Result<Box<(SignedRecord, VerifiedSignatures)>, &'static str>;

/// Everything that was learned from the entries up to some size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The right edge of the tree over the entries.
    pub frontier: Frontier,
    /// The channels as the last accepted record of each left them; empty for a raw log.
    pub channels: BTreeMap<ChannelName, ChannelState>,
}

/// Entries read after those of a [`Scan`], not yet covered by a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The right edge of the tree with these entries.
    pub frontier: Frontier,
    /// The channels these entries changed.
    pub channels: BTreeMap<ChannelName, ChannelState>,
}

impl Scan {
    /// How many entries were read.
    pub fn size(&self) -> TreeSize {
        self.frontier.size()
    }

    /// Goes on where this scan ends.
    pub fn ahead(&self) -> Ahead {
        Ahead { frontier: self.frontier.clone(), channels: BTreeMap::new() }
    }

    /// Takes over what was read.
    pub fn advance(&mut self, ahead: Ahead) {
        self.frontier = ahead.frontier;
        self.channels.extend(ahead.channels);
    }
}

impl Ahead {
    /// Size and root of the tree over all entries read.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// Reads entries as records and verifies their signatures on all cores, which is nearly all of the work and needs no
    /// order. The keys are those of the channels as they are here; what a key that comes later has signed is verified
    /// when its record is taken in.
    pub fn read(&self, kind: LogKind, before: &Scan, entries: Vec<Entry>) -> Vec<Read> {
        if kind == LogKind::Raw {
            return entries.into_iter().map(|entry| Read { entry, record: None }).collect();
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = entries.len().div_ceil(cores).max(1);
        let read_share = |share: &[Entry]| -> Vec<RecordOrCode> {
            share.iter().map(|entry| self.read_record(before, entry)).collect()
        };
        let records: Vec<RecordOrCode> = std::thread::scope(|scope| {
            let mut shares = entries.chunks(share);
            let own = shares.next();
            let begin =
                |share| std::thread::Builder::new().spawn_scoped(scope, move || read_share(share)).ok();
            let others: Vec<_> = shares.map(|share| (share, begin(share))).collect();
            let mut records = own.map(read_share).unwrap_or_default();
            for (share, thread) in others {
                // Where there is no thread to be had, its share is done here.
                let read = thread.and_then(|thread| thread.join().ok());
                records.extend(read.unwrap_or_else(|| read_share(share)));
            }
            records
        });
        entries.into_iter().zip(records).map(|(entry, record)| Read { entry, record: Some(record) }).collect()
    }

    fn read_record(&self, before: &Scan, entry: &Entry) -> RecordOrCode {
        let record = SignedRecord::parse(entry.as_bytes()).map_err(|error| error.code())?;
        let verified = VerifiedSignatures::verify(self.channel(before, &record), &record);
        Ok(Box::new((record, verified)))
    }

    fn channel<'a>(&'a self, before: &'a Scan, record: &SignedRecord) -> Option<&'a ChannelState> {
        let name = &record.statement().predicate.common().channel;
        self.channels.get(name).or_else(|| before.channels.get(name))
    }

    /// Takes in the next entry, whatever it is. The error is the stable name of the rule that keeps it from
    /// being a record that may stand here; the channels then stay as they were.
    ///
    /// # Panics
    /// Never: the tree has fewer entries than a signed size.
    pub fn append(&mut self, before: &Scan, read: &Read) -> Result<(), &'static str> {
        self.frontier.append(read.entry.leaf_hash()).map_err(|error| error.code())?;
        let (record, verified) = match &read.record {
            None => return Ok(()),
            Some(Err(code)) => return Err(code),
            Some(Ok(read)) => (&read.0, &read.1),
        };
        let state = self.channel(before, record);
        let next = may_follow_verified(state, record, verified).map_err(|error| error.code())?;
        self.channels.insert(record.statement().predicate.common().channel.clone(), next);
        Ok(())
    }
}
