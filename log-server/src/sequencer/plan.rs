//! From what was submitted to what will be committed. Pure: no I/O, no clock, nothing is changed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use indelible_proto::hash::Hash;
use indelible_proto::record::{AdmissionError, ChannelName, ChannelState, may_follow_verified};
use indelible_proto::size::LeafIndex;
use indelible_proto::tile::RightEdgeError;
use indelible_proto::tree::TreeHead;

use super::queue::{Candidate, Occurrence, Outcome};
use super::state::{Channels, NewEntry, Step};
use crate::index::{Known, Row, push_rows};
use crate::openers::{Openers, OpeningError};
use crate::storage::entries::{self, Encoder};
use crate::tree_reader::Edge;

/// What to commit, and what to answer once that is done.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each candidate.
    pub(super) outcomes: Vec<Outcome>,
    /// `None` if no candidate makes an entry.
    pub(super) batch: Option<PlannedBatch>,
}

/// Entries that become part of the tree together.
#[derive(Debug)]
pub(super) struct PlannedBatch {
    pub(super) first: LeafIndex,
    pub(super) head: TreeHead,
    /// The entries as in a bundle.
    pub(super) entries: Bytes,
    /// What the entries are found by.
    pub(super) rows: Vec<Row>,
    pub(super) step: Step,
}

/// Decides on every candidate in order. `known` has, for each, the entry of the log that has its key.
///
/// A candidate whose key was seen before, in the log or earlier in the batch, gets that entry. A record that
/// may not follow its channel's head, as moved by the records before it, or open a channel here, is refused. The
/// rest is appended.
pub(super) fn plan<'a>(
    edge: &Edge,
    channels: &Channels,
    openers: &Openers,
    candidates: impl Iterator<Item = (&'a Candidate, Option<Known>)>,
) -> Result<Plan, RightEdgeError> {
    let first = edge.tiles.size().next_index();
    let mut draft =
        Draft { channels, openers, moved: HashMap::new(), new: Vec::new(), by_key: HashMap::new() };
    let decisions: Vec<Decision> =
        candidates.map(|(candidate, known)| draft.decide(candidate, known)).collect();
    let outcomes = decisions.into_iter().map(|decision| decision.outcome(first)).collect::<Vec<_>>();
    let batch = if draft.new.is_empty() { None } else { Some(assemble(edge, first, draft.new)?) };
    Ok(Plan { outcomes, batch })
}

/// What is decided so far.
struct Draft<'a> {
    channels: &'a Channels,
    openers: &'a Openers,
    /// Channels as moved by the batch.
    moved: HashMap<ChannelName, Arc<ChannelState>>,
    /// Candidates that become entries, with the state of their channel after them.
    new: Vec<(&'a Candidate, Option<Arc<ChannelState>>)>,
    /// The positions in `new` by key.
    by_key: HashMap<Hash, usize>,
}

enum Decision {
    /// Becomes the entry at this position of the batch.
    New {
        position: usize,
        leaf_hash: Hash,
    },
    /// Is the entry at this position of the batch.
    InBatch {
        position: usize,
        leaf_hash: Hash,
    },
    Known(Known),
    Refused {
        error: AdmissionError,
        head: Option<Arc<ChannelState>>,
    },
    MayNotOpen(OpeningError),
}

impl<'a> Draft<'a> {
    fn decide(&mut self, candidate: &'a Candidate, known: Option<Known>) -> Decision {
        if let Some(known) = known {
            return Decision::Known(known);
        }
        if let Some((position, (first, _))) =
            self.by_key.get(&candidate.key).and_then(|position| Some((*position, self.new.get(*position)?)))
        {
            return Decision::InBatch { position, leaf_hash: first.leaf_hash };
        }
        let channel = match candidate.record() {
            None => None,
            Some(record) => {
                let name = &record.statement().predicate.common().channel;
                let head = self.moved.get(name).or_else(|| self.channels.get(name));
                match may_follow_verified(head.map(AsRef::as_ref), record, &candidate.verified) {
                    Ok(after) => {
                        if head.is_none()
                            && let Err(error) = self.openers.check(record)
                        {
                            return Decision::MayNotOpen(error);
                        }
                        let after = Arc::new(after);
                        self.moved.insert(name.clone(), Arc::clone(&after));
                        Some(after)
                    }
                    Err(error) => return Decision::Refused { error, head: head.cloned() },
                }
            }
        };
        let position = self.new.len();
        self.by_key.insert(candidate.key, position);
        self.new.push((candidate, channel));
        Decision::New { position, leaf_hash: candidate.leaf_hash }
    }
}

impl Decision {
    /// The outcome if the batch begins at `first`.
    fn outcome(self, first: LeafIndex) -> Outcome {
        let (index, leaf_hash, occurrence) = match self {
            Self::New { position, leaf_hash } => (index_of(first, position), leaf_hash, Occurrence::First),
            Self::InBatch { position, leaf_hash } => {
                (index_of(first, position), leaf_hash, Occurrence::Again)
            }
            Self::Known(known) => (known.index, known.leaf_hash, Occurrence::Again),
            Self::MayNotOpen(error) => return Outcome::MayNotOpen(error),
            Self::Refused { error, head } => {
                return Outcome::Refused {
                    error,
                    head: head.map(|head| Box::new(Arc::unwrap_or_clone(head))),
                };
            }
        };
        Outcome::Sequenced { index, leaf_hash, occurrence }
    }
}

fn assemble(
    edge: &Edge,
    first: LeafIndex,
    new: Vec<(&Candidate, Option<Arc<ChannelState>>)>,
) -> Result<PlannedBatch, RightEdgeError> {
    let bytes = new.iter().map(|(candidate, _)| entries::encoded_len(candidate.entry().len())).sum();
    let mut encoder = Encoder::with_capacity(bytes);
    for (candidate, _) in &new {
        encoder.push(candidate.entry());
    }
    let encoded = encoder.finish();
    let mut rows = Vec::with_capacity(new.len());
    for (position, (candidate, _)) in new.iter().enumerate() {
        let index = index_of(first, position).get();
        push_rows(candidate.key, candidate.leaf_hash, candidate.record(), index, &mut rows);
    }
    let entries = new.into_iter().map(|(candidate, channel)| NewEntry {
        leaf_hash: candidate.leaf_hash,
        encoded_bytes: entries::encoded_len(candidate.entry().len()),
        channel,
    });
    let step = Step::grow(edge, &encoded, entries)?;
    Ok(PlannedBatch { first, head: step.head(), entries: encoded, rows, step })
}

/// The index of the entry at a position of the batch. A batch beyond the largest tree is refused as a whole
/// before any of its indices is used.
fn index_of(first: LeafIndex, position: usize) -> LeafIndex {
    let index = first.get().saturating_add(position as u64);
    LeafIndex::new(index).unwrap_or(first)
}
