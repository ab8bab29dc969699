//! Collecting cosignatures and publishing what a quorum has cosigned.
//!
//! One checkpoint at a time is the *candidate*: the newest signed one when its round began. Every witness of the
//! policy is asked for it at once, each by a lane of its own ([`lane`]), so a slow or failing witness delays
//! nobody else. The candidate stays until its quorum is met, or a deadline has passed and there is a newer
//! one: a log that grows faster than its witnesses answer still gets checkpoints published. A tree that does
//! not grow is cosigned again at an interval, so that its freshness does not depend on traffic.
//!
//! Cosignatures are verified before they count. Those that arrive after the quorum was met are added to the
//! published checkpoint as long as it is the published one.
//!
//! Nothing here runs on the sequencer's thread: signing and sequencing go on whatever the witnesses do.

mod lane;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indelible_client::http::{FetchError, HttpClient, Timeouts};
use indelible_client::witness_client::WitnessClient;
use indelible_proto::note::{KeyError, NoteError, NoteSignature, SignedNote};
use indelible_proto::policy::{Policy, PolicyError};
use indelible_proto::tree::TreeHead;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::blocking::blocking;
use crate::config::CosignConfig;
use crate::history::HistoryError;
use crate::publish::{PublishError, Publisher};
use crate::sequencer::SignedHead;
use crate::sources::Silent;
use crate::tree_reader::TreeReader;
use lane::{Answer, Lane};

/// Answers of witnesses that may wait to be looked at. Lanes wait for room; each has one at most.
const ANSWER_QUEUE: usize = 64;

/// Why cosigning ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CosignError {
    /// The client that asks the witnesses can't be set up.
    #[error("cannot set up the client that asks the witnesses")]
    Client(#[source] FetchError),
    /// A witness of the policy has a key that can't cosign.
    #[error("a witness of the policy can't be asked")]
    Witness(#[source] KeyError),
    /// A witness holds a checkpoint signed by this log that the stored log does not contain.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A cosigned checkpoint could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The checkpoint that was signed is not one the log's own policy accepts.
    #[error("the signed checkpoint does not satisfy the log's own policy")]
    Policy(#[source] PolicyError),
    /// The cosigned checkpoint would be larger than a note may be.
    #[error("the cosigned checkpoint is not a valid note")]
    Note(#[from] NoteError),
}

impl CosignError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Client(error) => error.code(),
            Self::Witness(error) => error.code(),
            Self::History(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Note(error) => error.code(),
        }
    }

    /// Whether going on would mean to sign a second history of this log.
    pub fn refuses_to_sign(&self) -> bool {
        match self {
            Self::History(error) => error.refuses_to_sign(),
            Self::Publish(error) => error.refuses_to_sign(),
            Self::Client(_) | Self::Witness(_) | Self::Policy(_) | Self::Note(_) => false,
        }
    }
}

/// Collects cosignatures for the signed heads of one log.
#[derive(Debug)]
pub struct Cosigner {
    policy: Arc<Policy>,
    publisher: Arc<Publisher>,
    signed: watch::Receiver<Arc<SignedHead>>,
    lanes: Vec<Lane>,
    deadline: Duration,
    refresh_interval: Duration,
}

impl Cosigner {
    /// A cosigner that asks the witnesses of `policy` which have an address there, with [`Cosigner::client`].
    pub fn new(
        policy: Arc<Policy>,
        publisher: Arc<Publisher>,
        signed: watch::Receiver<Arc<SignedHead>>,
        tree: &Arc<TreeReader>,
        config: &CosignConfig,
        http: &HttpClient,
    ) -> Result<Self, CosignError> {
        let published = publisher.subscribe().borrow().note().clone();
        let cosigned = policy.verified_cosignatures(&published).map_err(CosignError::Policy)?;
        let mut lanes = Vec::new();
        for (place, witness) in policy.witnesses().iter().enumerate() {
            let Some(url) = &witness.url else {
                tracing::warn!(witness = %witness.name.escape_debug(), "no address in the policy, it is never asked");
                continue;
            };
            let client = WitnessClient::new(witness.key.clone(), url, http.clone());
            let client = client.map_err(CosignError::Witness)?;
            let min_interval = config.min_interval(&witness.name);
            let name = witness.name.clone();
            let mut lane = Lane::new(place, name, client, min_interval, &policy, tree, signed.clone());
            if cosigned.iter().any(|(cosigner, _)| *cosigner == place) {
                lane.has_cosigned();
            }
            lanes.push(lane);
        }
        Ok(Self {
            policy,
            publisher,
            signed,
            lanes,
            deadline: Duration::from_secs(config.deadline_s.get()),
            refresh_interval: Duration::from_secs(config.refresh_interval_s.get()),
        })
    }

    /// The client that asks the witnesses. It takes some time to make.
    ///
    /// # Errors
    /// [`CosignError::Client`].
    pub fn client(config: &CosignConfig) -> Result<HttpClient, CosignError> {
        let total = Duration::from_secs(config.request_timeout_s.get());
        HttpClient::new(Timeouts { total, ..Timeouts::default() }).map_err(CosignError::Client)
    }

    /// Asks every witness that has not answered yet which checkpoint of this log it holds, and compares it with
    /// the stored log; which of them said nothing. What they hold shows itself later, when they are asked to
    /// cosign.
    ///
    /// # Errors
    /// [`CosignError::History`] if one of them holds a checkpoint, validly signed by this log, that the
    /// stored log does not contain.
    pub async fn compare_with_witnesses(&mut self) -> Result<Vec<Silent>, CosignError> {
        let mut asked = JoinSet::new();
        for mut lane in self.lanes.drain(..) {
            asked.spawn(async move {
                let compared = if lane.is_silent() { lane.compare().await } else { Ok(None) };
                (lane, compared)
            });
        }
        let (mut silent, mut outcome) = (Vec::new(), Ok(()));
        while let Some(joined) = asked.join_next().await {
            let Ok((lane, compared)) = joined else { continue };
            self.lanes.push(lane);
            match compared {
                Ok(said_nothing) => silent.extend(said_nothing),
                Err(error) => outcome = Err(error),
            }
        }
        outcome?;
        Ok(silent)
    }

    /// Whether a witness of this name in the policy is asked.
    pub fn asks(&self, witness: &str) -> bool {
        self.lanes.iter().any(|lane| lane.name() == witness)
    }

    /// Collects and publishes until the log stops signing.
    pub async fn run(mut self) -> Result<(), CosignError> {
        let (answers_in, mut answers) = mpsc::channel(ANSWER_QUEUE);
        let mut round = Round::new(0, self.signed.borrow_and_update().clone());
        let candidates = watch::Sender::new(round.candidate());
        let mut lanes = JoinSet::new();
        for lane in std::mem::take(&mut self.lanes) {
            lanes.spawn(lane.run(candidates.subscribe(), answers_in.clone()));
        }
        let mut previous = None;
        loop {
            let started = Instant::now();
            self.publish_if_quorum(&mut round).await?;
            loop {
                let deadline = started + self.deadline;
                let replaceable = round.published || Instant::now() >= deadline;
                let refresh = if round.published {
                    self.refresh_interval
                } else {
                    self.refresh_interval.max(self.deadline)
                };
                tokio::select! {
                    answer = answers.recv() => match answer {
                        Some(Answer::Cosigned { place, round: number, signature }) => {
                            self.take(&mut round, &mut previous, number, place, signature).await?;
                        }
                        Some(Answer::Fork(error)) => return Err(error.into()),
                        None => return Ok(()),
                    },
                    changed = self.signed.changed(), if replaceable => match changed {
                        Ok(()) => break,
                        Err(_) => return Ok(()),
                    },
                    () = sleep_until(deadline), if !replaceable => {
                        tracing::warn!(size = %round.head.checkpoint.head().size, "no quorum of witnesses in time");
                    }
                    () = sleep_until(started + refresh) => break,
                }
            }
            let next = Round::new(round.number + 1, self.signed.borrow_and_update().clone());
            previous = Some(std::mem::replace(&mut round, next)).filter(|round| round.published);
            candidates.send_replace(round.candidate());
        }
    }

    /// Counts a verified cosignature for the round it was asked for.
    async fn take(
        &self,
        round: &mut Round,
        previous: &mut Option<Round>,
        number: u64,
        place: usize,
        signature: NoteSignature,
    ) -> Result<(), CosignError> {
        // A late answer is of use as long as what it cosigned is the published checkpoint.
        let late = previous.as_mut().filter(|previous| previous.number == number && !round.published);
        let round = if number == round.number { Some(round) } else { late };
        let Some(round) = round else { return Ok(()) };
        round.cosignatures.insert(place, signature);
        self.publish_if_quorum(round).await
    }

    async fn publish_if_quorum(&self, round: &mut Round) -> Result<(), CosignError> {
        let places: Vec<usize> = round.cosignatures.keys().copied().collect();
        if !self.policy.quorum_met(&places) {
            return Ok(());
        }
        let note = round.note()?;
        let (policy, publisher) = (Arc::clone(&self.policy), Arc::clone(&self.publisher));
        let publish = move || {
            let checkpoint = policy.verify(&note).map_err(CosignError::Policy)?;
            publisher.publish(&checkpoint).map_err(CosignError::Publish)
        };
        blocking(publish).await?;
        if !round.published {
            round.published = true;
            tracing::debug!(size = %round.head.checkpoint.head().size, cosigners = places.len(), "published");
        }
        Ok(())
    }
}

/// What the witnesses are asked to cosign.
#[derive(Clone, Debug)]
struct Candidate {
    round: u64,
    head: TreeHead,
    /// With the log's signature only.
    note: SignedNote,
}

/// One candidate and what was collected for it.
#[derive(Debug)]
struct Round {
    number: u64,
    head: Arc<SignedHead>,
    /// Verified, by place in the policy.
    cosignatures: BTreeMap<usize, NoteSignature>,
    published: bool,
}

impl Round {
    fn new(number: u64, head: Arc<SignedHead>) -> Self {
        Self { number, head, cosignatures: BTreeMap::new(), published: false }
    }

    fn candidate(&self) -> Arc<Candidate> {
        let head = self.head.checkpoint.head();
        Arc::new(Candidate { round: self.number, head, note: self.head.note.clone() })
    }

    fn note(&self) -> Result<SignedNote, NoteError> {
        let note = &self.head.note;
        let lines = note.signatures().iter().chain(self.cosignatures.values()).cloned().collect();
        note.with_signatures(lines)
    }
}

#[cfg(test)]
mod tests;
