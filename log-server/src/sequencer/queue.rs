//! What waits to be sequenced: bounded in entries and bytes, first in, first out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::Hash;
use indelible_proto::record::{AdmissionError, ChannelState, SignedRecord, VerifiedSignatures};
use indelible_proto::size::LeafIndex;
use tokio::sync::oneshot;

use crate::kind::LogKind;

/// What a client wants in the log.
#[derive(Clone, Debug)]
pub enum Submission {
    /// A record, for a log of records.
    Record(Box<SignedRecord>),
    /// Any bytes, for a raw log.
    Raw(Entry),
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, durably, and the newest signed tree covers it.
    Sequenced {
        /// Where it is.
        index: LeafIndex,
        /// Of the entry that is there. A record that was logged already may have been submitted again under
        /// other signatures.
        leaf_hash: Hash,
        /// Whether it was there before.
        occurrence: Occurrence,
    },
    /// The record may not follow its channel's head.
    Refused {
        /// The rule it breaks.
        error: AdmissionError,
        /// What the channel has come to, if it exists.
        head: Option<Box<ChannelState>>,
    },
    /// The sequencer stopped. Whether a restart will find the entry in the log is not known.
    Failed,
}

/// Whether a submission made the entry it was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// It did.
    First,
    /// The log had it already.
    Again,
}

/// Why a submission was not taken. It is not in the log because of this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// As much is waiting as may.
    #[error("the queue is full, try again in {retry_after_s} s")]
    Full {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The sequencer has stopped or is stopping.
    #[error("the sequencer has stopped")]
    Stopped,
    /// The log stores something else.
    #[error("this is a log of kind {kind}")]
    OtherKind {
        /// What it stores.
        kind: LogKind,
    },
}

impl SubmitError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "queue-full",
            Self::Stopped => "sequencer-stopped",
            Self::OtherKind { .. } => "other-kind",
        }
    }
}

/// A submission with everything about it that needs no state; made on the submitter's thread.
#[derive(Debug)]
pub(super) struct Candidate {
    /// What makes it the same as another one: record id or leaf hash.
    pub(super) key: Hash,
    pub(super) leaf_hash: Hash,
    pub(super) entry: Entry,
    /// In a log of records.
    pub(super) record: Option<Box<SignedRecord>>,
    /// What was verified of the record's signatures, so that the sequencer need not.
    pub(super) verified: VerifiedSignatures,
}

impl Candidate {
    pub(super) fn new(submission: Submission, kind: LogKind) -> Result<Self, SubmitError> {
        match (submission, kind) {
            (Submission::Raw(entry), LogKind::Raw) => {
                let leaf_hash = entry.leaf_hash();
                let verified = VerifiedSignatures::none();
                Ok(Self { key: leaf_hash, leaf_hash, entry, record: None, verified })
            }
            (Submission::Record(record), LogKind::Records) => {
                let entry = record.to_entry();
                let (key, leaf_hash) = (*record.record_id().hash(), entry.leaf_hash());
                let verified = VerifiedSignatures::none();
                Ok(Self { key, leaf_hash, entry, record: Some(record), verified })
            }
            (Submission::Raw(_) | Submission::Record(_), kind) => Err(SubmitError::OtherKind { kind }),
        }
    }
}

/// Candidates and who waits for their outcome.
#[derive(Debug)]
pub(super) enum Request {
    One(Candidate, oneshot::Sender<Outcome>),
    /// In one batch, answered together.
    Many(Vec<Candidate>, oneshot::Sender<Vec<Outcome>>),
}

impl Request {
    pub(super) fn candidates(&self) -> &[Candidate] {
        match self {
            Self::One(candidate, _) => std::slice::from_ref(candidate),
            Self::Many(candidates, _) => candidates,
        }
    }

    /// Answers with the next outcomes, one for each candidate.
    pub(super) fn answer(self, outcomes: &mut impl Iterator<Item = Outcome>) {
        // Who does not wait any more does not need the answer.
        match self {
            Self::One(_, reply) => drop(reply.send(outcomes.next().unwrap_or(Outcome::Failed))),
            Self::Many(candidates, reply) => drop(reply.send(outcomes.take(candidates.len()).collect())),
        }
    }

    fn bytes(&self) -> usize {
        self.candidates().iter().map(|candidate| candidate.entry.as_bytes().len()).sum()
    }
}

/// The bounded queue between submitters and the sequencer.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    entries: usize,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), max_entries, max_bytes }
    }

    /// Adds a request, or refuses it as a whole.
    pub(super) fn push(&self, request: Request) -> Result<(), SubmitError> {
        let (entries, bytes) = (request.candidates().len(), request.bytes());
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(SubmitError::Stopped);
        }
        if waiting.entries + entries > self.max_entries || waiting.bytes + bytes > self.max_bytes {
            return Err(SubmitError::Full { retry_after_s: RETRY_AFTER_S });
        }
        waiting.entries += entries;
        waiting.bytes += bytes;
        waiting.requests.push_back(request);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for requests and takes as many as there are, up to the limits, at least one; `None` once the
    /// queue is closed and empty.
    pub(super) fn take(&self, max_entries: usize, max_bytes: usize) -> Option<Vec<Request>> {
        let idle = |waiting: &mut Waiting| waiting.requests.is_empty() && !waiting.closed;
        let mut waiting =
            self.changed.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
        let (mut entries, mut bytes) = (0, 0);
        let mut taken = Vec::new();
        while let Some(request) = waiting.requests.front() {
            let (more_entries, more_bytes) = (request.candidates().len(), request.bytes());
            if !taken.is_empty() && (entries + more_entries > max_entries || bytes + more_bytes > max_bytes) {
                break;
            }
            (entries, bytes) = (entries + more_entries, bytes + more_bytes);
            taken.extend(waiting.requests.pop_front());
        }
        waiting.entries -= entries;
        waiting.bytes -= bytes;
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// Takes no more requests; those that wait are still handed out.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    /// Takes no more requests, and answers those that wait with [`Outcome::Failed`].
    pub(super) fn fail(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.waiting().requests);
        for request in waiting {
            request.answer(&mut std::iter::repeat(Outcome::Failed));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How soon a submitter who met a full queue should come back. A full queue empties in less, and the field's
/// clients wait whole seconds.
const RETRY_AFTER_S: u64 = 1;
