//! What can happen to a watch and what it wants done: the words [`Watch`](super::Watch) and the
//! [`Follower`](super::Follower) speak to each other.

use indelible_proto::entry_bundle::Entry;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::Hash;
use indelible_proto::policy::LogSigned;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{NodeId, TreeHead};

use super::alert::Report;
use super::compare::OpenComparison;
use super::scan::Scan;

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// Whose place it is.
    pub role: Role,
    /// Its URL, path or name, for people.
    pub label: String,
}

/// Whose place something was seen at, which decides what may be expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The log itself: its checkpoint must have the quorum, and its entries are read.
    Log,
    /// A witness's copy of the last checkpoint it cosigned, which may lack other cosignatures.
    Witness,
    /// A mirror, or a note handed in. May lack cosignatures too.
    Elsewhere,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A note was seen; it has been kept already.
    Seen {
        /// Where.
        from: Vantage,
        /// The note.
        note: Vec<u8>,
    },
    /// A checkpoint could not be read.
    Unread {
        /// Where.
        from: Vantage,
        /// Why.
        why: Reason,
    },
    /// A source answered that it has no checkpoint of this log.
    Absent {
        /// Which source.
        from: Vantage,
    },
    /// One source's answer to [`Action::Ask`].
    Nodes {
        /// What was asked.
        question: Box<Question>,
        /// The source; the one after it is asked next if need be.
        by: Vantage,
        /// The hashes of the nodes, in order.
        answer: Result<Vec<Hash>, Reason>,
    },
    /// There is no source left to ask.
    NoNodes(Box<Question>),
    /// The entries [`Action::Read`] asked for: one or more from the first on, or why there are none.
    Entries(Result<Vec<Entry>, Reason>),
    /// Compare again what waits.
    Recheck,
}

/// Why something could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The stable name.
    pub code: &'static str,
    /// What and why, for people.
    pub message: String,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Write evidence to disk under the name and latch, before anything else happens.
    SaveEvidence(Dispute),
    /// Tell people.
    Report(Report),
    /// Ask the source number [`Question::tried`] for nodes.
    Ask(Box<Question>),
    /// Read some of the log's entries from the first size up to the second.
    Read {
        /// How many entries have been read.
        from: TreeSize,
        /// How many the log has.
        to: TreeSize,
    },
    /// Write [`Watch::held`](super::Watch::held) to disk.
    Save,
    /// Write [`Watch::ahead`](super::Watch::ahead) to disk.
    SaveAhead,
}

/// A contradiction of the log with itself, by the checkpoint that brought it to light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// SHA-256 of the text of the checkpoint that contradicts what was held.
    pub checkpoint: Hash,
    /// Name of the evidence file; one name for one disputed checkpoint.
    pub file: String,
    /// The evidence, verified.
    pub evidence: Box<ForkEvidence>,
}

/// Tree nodes wanted to compare a checkpoint with the held one.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) from: Vantage,
    pub(super) seen: LogSigned,
    pub(super) held: TreeHead,
    pub(super) comparison: OpenComparison,
    pub(super) tried: usize,
    pub(super) failures: Vec<String>,
}

impl Question {
    /// Where the checkpoint in question was seen.
    pub fn from(&self) -> &Vantage {
        &self.from
    }

    /// The nodes whose hashes are wanted.
    pub fn nodes(&self) -> &[NodeId] {
        self.comparison.nodes()
    }

    /// The size of the tree they are of.
    pub fn size(&self) -> TreeSize {
        self.comparison.size()
    }

    /// How many sources have been asked.
    pub fn tried(&self) -> usize {
        self.tried
    }
}

/// A checkpoint that could not be compared yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Where it was seen.
    pub from: Vantage,
    /// The checkpoint.
    pub seen: LogSigned,
}

/// What is held about one log between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The largest checkpoint of the log whose entries have all been checked; `scan` ends there.
    pub checkpoint: Option<LogSigned>,
    /// What those entries were.
    pub scan: Scan,
    /// Checkpoints to compare when there is data for it.
    pub pending: Vec<Pending>,
}
