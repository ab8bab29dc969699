//! One witness: asked for one candidate after the other, never for two at once.
//!
//! A lane remembers up to which size the witness has cosigned, to prove from there. Where the two disagree the
//! witness says its size, and the lane asks once more from that. After a failure it waits, longer each time.
//! It never gives up a request for a newer candidate: a witness slower than the log grows would otherwise
//! never finish one.

use std::sync::Arc;
use std::time::Duration;

use indelible_client::witness_client::{AddOutcome, WitnessClient, WitnessError};
use indelible_proto::checkpoint::Origin;
use indelible_proto::note::NoteSignature;
use indelible_proto::policy::Policy;
use indelible_proto::size::TreeSize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Candidate;
use crate::blocking::blocking;
use crate::chain::Chain;
use crate::history::{FoundAt, HistoryError, check_part_of};
use crate::sequencer::SignedHead;
use crate::sources::Silent;
use crate::tree_reader::{ReadError, TreeReader};

/// The wait after a first failure; it doubles with each further one up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait between two attempts at a witness that keeps failing.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What a lane has to say.
#[derive(Debug)]
pub(super) enum Answer {
    /// The witness cosigned.
    Cosigned {
        /// The witness, by its place in the policy.
        place: usize,
        /// The round whose candidate was cosigned.
        round: u64,
        /// Verified with the witness's key.
        signature: NoteSignature,
    },
    /// The witness holds a checkpoint of this log that the stored log does not contain.
    Fork(HistoryError),
}

/// Why a witness gave no cosignature this time.
#[derive(Debug, thiserror::Error)]
enum LaneError {
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error("cannot make a consistency proof from size {old}")]
    Proof { old: TreeSize, source: ReadError },
    #[error(
        "it says it holds size {held}, larger than this log's {ours}, but shows no checkpoint that proves it"
    )]
    ClaimsMore { held: TreeSize, ours: TreeSize },
    #[error("it said size {first} and then size {second} instead of cosigning")]
    Undecided { first: TreeSize, second: TreeSize },
    #[error(transparent)]
    Fork(HistoryError),
}

/// What asking one witness takes.
#[derive(Debug)]
pub(super) struct Lane {
    place: usize,
    name: String,
    client: WitnessClient,
    min_interval: Duration,
    policy: Arc<Policy>,
    tree: Arc<TreeReader>,
    signed: watch::Receiver<Arc<SignedHead>>,
    /// The size up to which the witness has cosigned, as far as we know.
    held: TreeSize,
    /// Whether the published checkpoint has its cosignature, so that it must hold one.
    has_cosigned: bool,
    /// Whether it has told what it holds, or cosigned.
    answered: bool,
    last_asked: Option<Instant>,
    /// How long to wait before the next attempt; `None` after a success.
    retry: Option<Duration>,
}

impl Lane {
    pub(super) fn new(
        place: usize,
        name: String,
        client: WitnessClient,
        min_interval: Duration,
        policy: &Arc<Policy>,
        tree: &Arc<TreeReader>,
        signed: watch::Receiver<Arc<SignedHead>>,
    ) -> Self {
        Self {
            place,
            name,
            client,
            min_interval,
            policy: Arc::clone(policy),
            tree: Arc::clone(tree),
            signed,
            held: TreeSize::ZERO,
            has_cosigned: false,
            answered: false,
            last_asked: None,
            retry: None,
        }
    }

    /// Takes each candidate to the witness until there are no more candidates or nobody listens.
    pub(super) async fn run(
        mut self,
        mut candidates: watch::Receiver<Arc<Candidate>>,
        answers: mpsc::Sender<Answer>,
    ) {
        loop {
            self.wait_for_turn().await;
            let candidate = Arc::clone(&candidates.borrow_and_update());
            self.last_asked = Some(Instant::now());
            let answer = match self.ask(&candidate).await {
                Ok(signature) => {
                    self.note_success();
                    Answer::Cosigned { place: self.place, round: candidate.round, signature }
                }
                Err(LaneError::Fork(error)) => Answer::Fork(error),
                Err(error) => {
                    self.note_failure(&error);
                    continue;
                }
            };
            if answers.send(answer).await.is_err() || candidates.changed().await.is_err() {
                return;
            }
        }
    }

    /// Notes that the published checkpoint has the witness's cosignature.
    pub(super) fn has_cosigned(&mut self) {
        self.has_cosigned = true;
    }

    /// Its name in the policy.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the witness has yet to tell what it holds.
    pub(super) fn is_silent(&self) -> bool {
        !self.answered
    }

    /// Compares the checkpoint the witness serves with the stored log and learns where to start. A witness that
    /// does not answer, serves nothing this log signed, or has lost what it cosigned, is passed over: it is
    /// returned as silent.
    pub(super) async fn compare(&mut self) -> Result<Option<Silent>, HistoryError> {
        let silent = |why: String| Ok(Some(Silent { source: self.name.clone(), why }));
        let origin = self.policy.logs().first().and_then(|log| Origin::parse(log.key.name().as_str()).ok());
        let Some(origin) = origin else { return silent("the policy has no log".to_owned()) };
        let note = match self.client.latest(&origin).await {
            Ok(Some(note)) => note,
            Ok(None) if self.has_cosigned => {
                return silent(
                    "it serves no checkpoint of this log, but cosigned the published one".to_owned(),
                );
            }
            Ok(None) => {
                self.answered = true;
                return Ok(None);
            }
            Err(error) => return silent(Chain(&error).to_string()),
        };
        let found = match self.policy.verify_log_signature(&note) {
            Ok(signed) => signed.head(),
            Err(error) => return silent(format!("it serves no checkpoint of this log: {error}")),
        };
        // Looked at only now: what the witness holds may have been signed while it was asked.
        let head = self.signed.borrow().checkpoint.head();
        let (tree, found_at) = (Arc::clone(&self.tree), FoundAt::Witness(self.name.clone()));
        match blocking(move || check_part_of(&tree, &head, &found, &found_at)).await {
            Ok(()) => {
                self.held = found.size;
                self.answered = true;
                Ok(None)
            }
            Err(error) if error.refuses_to_sign() => Err(error),
            Err(error) => silent(Chain(&error).to_string()),
        }
    }

    async fn ask(&mut self, candidate: &Candidate) -> Result<NoteSignature, LaneError> {
        let first = match self.add(candidate, self.held).await? {
            AddOutcome::Added { signature } => return Ok(signature.into_signature()),
            AddOutcome::Conflict { size } => size,
        };
        if first > candidate.head.size {
            self.compare().await.map_err(LaneError::Fork)?;
            return Err(LaneError::ClaimsMore { held: first, ours: candidate.head.size });
        }
        self.held = first;
        match self.add(candidate, first).await? {
            AddOutcome::Added { signature } => Ok(signature.into_signature()),
            AddOutcome::Conflict { size: second } => Err(LaneError::Undecided { first, second }),
        }
    }

    async fn add(&mut self, candidate: &Candidate, old: TreeSize) -> Result<AddOutcome, LaneError> {
        let (tree, new) = (Arc::clone(&self.tree), candidate.head.size);
        let proof = blocking(move || tree.consistency(old, new)).await;
        let proof = proof.map_err(|source| LaneError::Proof { old, source })?;
        match self.client.add_checkpoint(old, &proof, &candidate.note).await {
            Ok(outcome) => {
                if let AddOutcome::Added { .. } = outcome {
                    self.held = new;
                }
                Ok(outcome)
            }
            // 422: it holds a tree that ours does not extend. If it can show that, this log has forked.
            Err(error @ WitnessError::Refused { status: 422, .. }) => {
                self.compare().await.map_err(LaneError::Fork)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn wait_for_turn(&self) {
        let Some(last) = self.last_asked else { return };
        sleep_until(last + self.min_interval.max(self.retry.unwrap_or_default())).await;
    }

    fn note_success(&mut self) {
        if self.retry.take().is_some() {
            tracing::info!(witness = %self.name.escape_debug(), "cosigns again");
        }
    }

    fn note_failure(&mut self, error: &LaneError) {
        let (witness, error) = (self.name.escape_debug(), Chain(error));
        match self.retry {
            None => tracing::warn!(%witness, %error, "did not cosign, trying again"),
            Some(_) => tracing::debug!(%witness, %error, "still does not cosign"),
        }
        let next = self.retry.map_or(FIRST_RETRY, |retry| retry.saturating_mul(2).min(LONGEST_RETRY));
        self.retry = Some(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestLog, cosigner, policy};
    use indelible_client::http::{HttpClient, Timeouts};

    fn lane(min_interval: Duration) -> Lane {
        let http = HttpClient::new(Timeouts::default()).unwrap();
        let key = cosigner(2).verifier().clone();
        let policy = policy(1, &[(key.clone(), "http://w.example".to_owned())]);
        let client = WitnessClient::new(key, "http://w.example", http).unwrap();
        let log = TestLog::new();
        Lane::new(0, "w0".to_owned(), client, min_interval, &policy, &log.tree, log.announced())
    }

    fn failed() -> LaneError {
        LaneError::Witness(WitnessError::Protocol { reason: "a test" })
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_waits_for_nothing_and_the_next_for_the_interval() {
        let mut lane = lane(Duration::from_secs(7));
        let start = Instant::now();
        lane.wait_for_turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        lane.last_asked = Some(start);
        lane.wait_for_turn().await;
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_doubles_the_wait_up_to_a_minute_and_a_success_ends_it() {
        let mut lane = lane(Duration::ZERO);
        let mut waits = Vec::new();
        for _ in 0..9 {
            lane.last_asked = Some(Instant::now());
            lane.note_failure(&failed());
            let start = Instant::now();
            lane.wait_for_turn().await;
            waits.push(start.elapsed().as_millis());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        lane.note_success();
        let start = Instant::now();
        lane.wait_for_turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
