//! What waits to be sequenced: bounded in entries and bytes, first in, first out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indelible_client::planted::{self, Bug};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::record::{AdmissionError, ChannelState, SignedRecord, VerifiedSignatures};
use indelible_proto::size::LeafIndex;
use tokio::sync::oneshot;

use crate::kind::LogKind;
use crate::openers::OpeningError;

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
    /// The record would open a channel that its signers may not open here.
    MayNotOpen(OpeningError),
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
    pub(super) submission: Submission,
    /// What was verified of the record's signatures, so that the sequencer need not.
    pub(super) verified: VerifiedSignatures,
}

impl Candidate {
    pub(super) fn new(submission: Submission, kind: LogKind) -> Result<Self, SubmitError> {
        let (key, leaf_hash) = match (&submission, kind) {
            (Submission::Raw(entry), LogKind::Raw) => {
                let leaf_hash = entry.leaf_hash();
                (leaf_hash, leaf_hash)
            }
            (Submission::Record(record), LogKind::Records) => {
                (*record.record_id().hash(), leaf_hash(record.leaf()))
            }
            (Submission::Raw(_) | Submission::Record(_), kind) => {
                return Err(SubmitError::OtherKind { kind });
            }
        };
        Ok(Self { key, leaf_hash, submission, verified: VerifiedSignatures::none() })
    }

    /// The entry that it would be.
    pub(super) fn entry(&self) -> &[u8] {
        match &self.submission {
            Submission::Record(record) => record.leaf(),
            Submission::Raw(entry) => entry.as_bytes(),
        }
    }

    /// The record that it is, in a log of records.
    pub(super) fn record(&self) -> Option<&SignedRecord> {
        match &self.submission {
            Submission::Record(record) => Some(record),
            Submission::Raw(_) => None,
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
        self.candidates().iter().map(|candidate| candidate.entry().len()).sum()
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
    failed: bool,
    /// How many entries were taken last, and when.
    taken: Option<(usize, Instant)>,
    drain: DrainRate,
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
        if !self.fits(&waiting, entries, bytes) {
            return Err(waiting.full());
        }
        waiting.entries += entries;
        waiting.bytes += bytes;
        waiting.requests.push_back(request);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether so much would be taken now. A look ahead, so that a refusal costs little; nothing is promised.
    pub(super) fn check_room(&self, entries: usize, bytes: usize) -> Result<(), SubmitError> {
        let waiting = self.waiting();
        if waiting.closed {
            return Err(SubmitError::Stopped);
        }
        if self.fits(&waiting, entries, bytes) { Ok(()) } else { Err(waiting.full()) }
    }

    fn fits(&self, waiting: &Waiting, entries: usize, bytes: usize) -> bool {
        let room = |waiting: usize, more: usize, max| waiting.saturating_add(more) <= max;
        planted::has(Bug::UnboundedQueue)
            || room(waiting.entries, entries, self.max_entries) && room(waiting.bytes, bytes, self.max_bytes)
    }

    /// Waits for requests and takes as many as there are, up to the limits, at least one; `None` once the
    /// queue is closed and empty.
    pub(super) fn take(&self, max_entries: usize, max_bytes: usize) -> Option<Vec<Request>> {
        let idle = |waiting: &mut Waiting| waiting.requests.is_empty() && !waiting.closed;
        let mut waiting = self.waiting();
        // Who comes back for more is done with what it took.
        if let Some((entries, at)) = waiting.taken.take() {
            waiting.drain.note(entries, at.elapsed());
        }
        let mut waiting = self.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
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
        waiting.taken = Some((entries, Instant::now()));
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// Takes no more requests; those that wait are still handed out.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    /// Takes no more requests, and answers those that wait with [`Outcome::Failed`].
    pub(super) fn fail(&self) {
        let mut waiting = self.waiting();
        (waiting.closed, waiting.failed) = (true, true);
        let requests = std::mem::take(&mut waiting.requests);
        drop(waiting);
        self.changed.notify_all();
        for request in requests {
            request.answer(&mut std::iter::repeat(Outcome::Failed));
        }
    }

    /// Whether what was taken and has no outcome yet is to be answered with [`Outcome::Failed`], too.
    pub(super) fn has_failed(&self) -> bool {
        self.waiting().failed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn full(&self) -> SubmitError {
        SubmitError::Full { retry_after_s: self.drain.retry_after_s(self.entries) }
    }
}

/// How fast the sequencer has been of late, as far as it had anything to do.
#[derive(Debug, Default)]
struct DrainRate {
    /// `None` before the first batch is done.
    entries_per_s: Option<f64>,
}

impl DrainRate {
    /// Weight of the newest batch: what is older than some ten batches hardly counts.
    const NEWEST: f64 = 0.2;

    /// Takes note of a batch of so many entries that was done in this time.
    fn note(&mut self, entries: usize, took: Duration) {
        // A clock too coarse to see a batch says nothing about the rate.
        if entries == 0 || took.is_zero() {
            return;
        }
        let newest = entries as f64 / took.as_secs_f64();
        let smoothed = |before: f64| before + (newest - before) * Self::NEWEST;
        self.entries_per_s = Some(self.entries_per_s.map_or(newest, smoothed));
    }

    /// Whole seconds until as much as waits now is done.
    fn retry_after_s(&self, waiting: usize) -> u64 {
        let Some(entries_per_s) = self.entries_per_s else { return MIN_RETRY_AFTER_S };
        // Saturates, so that no rate makes it anything but a number within the bounds.
        let seconds = (waiting as f64 / entries_per_s).ceil() as u64;
        seconds.clamp(MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S)
    }
}

/// The soonest a submitter who met a full queue is asked back: clients wait whole seconds.
pub(super) const MIN_RETRY_AFTER_S: u64 = 1;
/// The latest. A disk that needs longer than that is about to fail, and then waiting does not help.
pub(super) const MAX_RETRY_AFTER_S: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(batches: &[(usize, u64)]) -> DrainRate {
        let mut rate = DrainRate::default();
        for (entries, ms) in batches {
            rate.note(*entries, Duration::from_millis(*ms));
        }
        rate
    }

    #[test]
    fn the_wait_is_what_waits_by_the_rate_rounded_up() {
        for (batches, waiting, expected) in [
            (&[][..], 16_384, MIN_RETRY_AFTER_S),
            (&[(1000, 1000)], 0, MIN_RETRY_AFTER_S),
            (&[(1000, 1000)], 1000, 1),
            (&[(1000, 1000)], 1001, 2),
            (&[(1000, 1000)], 16_384, 17),
            (&[(1000, 1000)], 59_001, MAX_RETRY_AFTER_S),
            (&[(1000, 1000)], 60_001, MAX_RETRY_AFTER_S),
            (&[(1, 10_000_000)], usize::MAX, MAX_RETRY_AFTER_S),
            // Neither an empty batch nor one that took no time says anything.
            (&[(1000, 1000), (0, 9000), (7, 0)], 4000, 4),
        ] {
            assert_eq!(rate(batches).retry_after_s(waiting), expected, "{batches:?} {waiting}");
        }
    }

    #[test]
    fn the_rate_follows_a_disk_that_becomes_slow_and_fast_again() {
        let (fast, slow) = ((1000, 10), (1000, 1000));
        let calm = rate(&[fast; 30]);
        assert_eq!(calm.retry_after_s(16_384), 1);
        let slowed = rate(&[[fast; 30], [slow; 30]].concat());
        assert!((10..=17).contains(&slowed.retry_after_s(16_384)), "{slowed:?}");
        let recovered = rate(&[[slow; 30], [fast; 30]].concat());
        assert_eq!(recovered.retry_after_s(16_384), 1);
    }

    #[test]
    fn there_is_room_for_as_much_as_the_queue_holds_and_no_more() {
        let queue = Queue::new(10, 100);
        assert_eq!(queue.check_room(10, 100), Ok(()));
        let full = Err(SubmitError::Full { retry_after_s: MIN_RETRY_AFTER_S });
        assert_eq!(queue.check_room(11, 0), full);
        assert_eq!(queue.check_room(1, 101), full);
        assert_eq!(queue.check_room(usize::MAX, usize::MAX), full);
        queue.close();
        assert_eq!(queue.check_room(1, 1), Err(SubmitError::Stopped));
    }
}
