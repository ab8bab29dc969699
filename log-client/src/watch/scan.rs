//! Reading the log from its first entry on: the right edge of the tree over all entries read so far and,
//! for a log of records, the state of every channel.

use std::collections::BTreeMap;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::record::{ChannelName, ChannelState, SignedRecord, may_follow};
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

    /// Takes in the next entry, whatever it is. The error is the stable name of the rule that keeps it from
    /// being a record that may stand here; the channels then stay as they were.
    ///
    /// # Panics
    /// Never: the tree has fewer entries than a signed size.
    pub fn append(&mut self, kind: LogKind, before: &Scan, entry: &Entry) -> Result<(), &'static str> {
        self.frontier.append(entry.leaf_hash()).map_err(|error| error.code())?;
        match kind {
            LogKind::Raw => Ok(()),
            LogKind::Records => self.replay(before, entry),
        }
    }

    fn replay(&mut self, before: &Scan, entry: &Entry) -> Result<(), &'static str> {
        let record = SignedRecord::parse(entry.as_bytes()).map_err(|error| error.code())?;
        let name = &record.statement().predicate.common().channel;
        let state = self.channels.get(name).or_else(|| before.channels.get(name));
        let next = may_follow(state, &record).map_err(|error| error.code())?;
        self.channels.insert(name.clone(), next);
        Ok(())
    }
}
