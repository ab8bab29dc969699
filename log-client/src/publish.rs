//! Publishing: from a draft to a proof that was verified before anything is believed.
//!
//! The order, so that a run interrupted anywhere ends with the same record when it is run again:
//!
//! 1. find the record's place; sign; keep the exact bytes in the [`Outbox`]
//! 2. send them until the log answers with a proof, or the time is up
//! 3. verify the proof against the policy; keep it in the [`Outbox`] as well
//! 4. compare its checkpoint with the one remembered; write the proof beside each artifact, then remember what was published
//! 5. drop the kept proof
//!
//! A run with the same draft as the kept record starts at 2 with the kept bytes, and at 4 while there is a kept proof of
//! them: from then on a run that was interrupted ends with the same proof, byte for byte. Before, and after it has ended,
//! the log gives a proof of the same entry: in a larger tree, or with other cosignatures. That is what a publisher wants
//! whose proofs have aged.

mod artifacts;
mod draft;
mod kept_rules;
mod many;
mod order;
mod outbox;
mod place;

use std::path::PathBuf;
use std::time::Duration;

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::leaf_hash;
use indelible_proto::log_api::ApiError;
use indelible_proto::policy::Policy;
use indelible_proto::proof::{LogProof, Logged, ProofError};
use indelible_proto::record::{
    AdmissionError, Chain, RecordError, RecordId, SignedRecord, Statement, may_follow,
};
use indelible_proto::sign::RecordSigner;
use indelible_proto::size::LeafIndex;
use indelible_proto::time::UnixSeconds;

pub use artifacts::{NamesTaken, artifacts_of};
pub use draft::{Body, Draft};
pub use kept_rules::{KeptRules, NoDelta, delta};
pub use many::{batch_of, conclude_many, send_many};
pub use order::{Gap, gaps, in_order};
pub use outbox::{Kept, Outbox};
pub use place::{Disagreement, Place, PlaceError, agrees, first_place, next_place};

use crate::durable::DurableError;
use crate::keys::replace_unless_key;
use crate::log_submit::{SubmitAnswer, SubmitError, SubmitLog};
use crate::state::{LastRecord, LastRecords, StateDir, StateError};
use crate::verify::{Comparison, compare};

/// Waiting between attempts. The command line waits; tests count.
pub trait Pace {
    /// How long the publication has been going on.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// What a publication depends on besides its draft.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Signs the record; every key the channel's threshold needs.
    pub signers: &'a [RecordSigner],
    /// What the returned proof has to satisfy.
    pub policy: &'a Policy,
    /// The record known to have opened the channel, from a pin or a channel proof.
    pub genesis: Option<RecordId>,
    /// The last records of the channel that were verified.
    pub remembered: &'a LastRecords,
    /// What to do when the log's head is not the remembered one.
    pub disagreement: Disagreement,
    /// Whether a new record is wanted although the kept one says the same and is fresh.
    pub renew: bool,
    /// When to give up waiting for a proof.
    pub deadline: Duration,
    /// What the clock says.
    pub now: UnixSeconds,
}

/// A record that is in the log, with a proof that was verified.
#[derive(Clone, Debug)]
pub struct Published {
    /// The record.
    pub record: SignedRecord,
    /// Its proof, with the record as `extra`.
    pub proof: LogProof,
    /// What the proof shows.
    pub logged: Logged,
    /// The record that opened the channel.
    pub genesis: RecordId,
    /// Whether the record had been signed by an earlier run.
    pub resumed: bool,
}

impl Published {
    /// The same with a lighter proof: without cosignatures that the policy does not need, see [`Policy::lighten`].
    ///
    /// # Errors
    /// [`PublishError::Proof`] if the proof does not satisfy the policy.
    pub fn lightened(self, policy: &Policy) -> Result<Self, PublishError> {
        let note = policy.lighten(self.proof.note()).map_err(|error| PublishError::Proof(error.into()))?;
        let proof = self.proof.with_note(note).map_err(PublishError::Proof)?;
        Ok(Self { proof, ..self })
    }

    /// What is to be remembered of it: its place in its chain.
    fn last(&self) -> (Chain, LastRecord) {
        let common = self.record.statement().predicate.common();
        let (channel, head) = (common.channel.clone(), self.record.record_id());
        (common.chain, LastRecord { channel, seq: common.seq, genesis: self.genesis, head })
    }
}

/// Why nothing was published, or why it is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The record's place in the channel is not known.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// An earlier publication was interrupted, and this one says something else.
    #[error(
        "record {id} with seq {seq} was signed for this channel before, and it is not known whether it was logged"
    )]
    Unfinished {
        /// The kept record.
        id: RecordId,
        /// Its number in the channel.
        seq: u64,
    },
    /// The draft is not a record the format allows.
    #[error("this cannot be a record")]
    Draft(#[from] RecordError),
    /// The record cannot open a channel.
    #[error("this record cannot open a channel")]
    Opening(#[source] AdmissionError),
    /// The log has another newest record than the one this record follows.
    #[error("the log refused the record: {} ({})", .0.message(), .0.code())]
    Conflict(Box<ApiError>),
    /// The log will not take the record.
    #[error("the log refused the record: {} ({})", .0.message(), .0.code())]
    Refused(Box<ApiError>),
    /// The record is in the log, but enough witnesses have not seen it in time.
    #[error("the record is in the log at index {0}, but not witnessed yet")]
    NotWitnessed(LeafIndex),
    /// The log had no room in time.
    #[error("the log takes no records at the moment")]
    Busy,
    /// The log gave no usable answer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// What the log gave as a proof is none, or not one the policy accepts.
    #[error("the log's proof does not hold")]
    Proof(#[source] ProofError),
    /// The log has signed two trees of one size.
    #[error("the log has signed two different trees of one size")]
    Forked(Box<ForkEvidence>),
    /// The proof is good, but cannot be written where it belongs.
    #[error("the record is published, but its proof cannot be written")]
    ProofFile(#[source] DurableError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

impl PublishError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Place(error) => error.code(),
            Self::Unfinished { .. } => "publication-unfinished",
            Self::Draft(error) => error.code(),
            Self::Opening(error) => error.code(),
            Self::Conflict(_) => "log-conflict",
            Self::Refused(_) => "log-refused",
            Self::NotWitnessed(_) => "not-witnessed-yet",
            Self::Busy => "log-busy",
            Self::Submit(error) => error.code(),
            Self::Proof(error) => error.code(),
            Self::Forked(_) => "log-forked",
            Self::ProofFile(error) => error.code(),
            Self::State(error) => error.code(),
        }
    }
}

/// Signs the draft at its place, or takes the kept record that says the same. Keeps what it signs.
///
/// # Errors
/// [`PublishError::Unfinished`] if another record is kept that may or may not have been logged; otherwise
/// [`PublishError::Place`], [`PublishError::Draft`], [`PublishError::Opening`], [`PublishError::Submit`] or
/// [`PublishError::State`].
pub async fn prepare(
    log: &impl SubmitLog,
    draft: &Draft,
    outbox: &Outbox,
    terms: &Terms<'_>,
) -> Result<Prepared, PublishError> {
    let kept = outbox.kept(&draft.channel, draft.chain)?;
    if let Some(kept) = kept {
        let common = kept.record.statement().predicate.common();
        let fresh = common.expires.is_none_or(|expires| expires > terms.now);
        let id = kept.record.record_id();
        let remembered = terms.remembered.of(common.chain);
        let finished = remembered.is_some_and(|remembered| common.seq <= remembered.seq);
        // What may still be under way is never signed a second time, wanted or not.
        let wanted = !finished || !terms.renew;
        if wanted && fresh && draft.is_said_by(&kept.record) {
            let genesis = genesis_of(log, &kept.record, terms).await?;
            return Ok(Prepared { kept, genesis, resumed: true });
        }
        if !finished && terms.disagreement == Disagreement::Refuse {
            return Err(PublishError::Unfinished { id, seq: common.seq });
        }
    }
    let record = sign(log, draft, terms).await?;
    let genesis = genesis_of(log, &record, terms).await?;
    Ok(Prepared { kept: outbox.keep(record)?, genesis, resumed: false })
}

/// A record that was signed elsewhere, ready to be sent. It is not kept: whoever signed it has it.
///
/// # Errors
/// [`PublishError::Place`] or [`PublishError::Submit`] if its channel's first record is not known.
pub async fn adopt(
    log: &impl SubmitLog,
    record: SignedRecord,
    terms: &Terms<'_>,
) -> Result<Prepared, PublishError> {
    let genesis = genesis_of(log, &record, terms).await?;
    let leaf = record.encode();
    Ok(Prepared { kept: Kept { record, leaf }, genesis, resumed: false })
}

/// Signs the draft at its place and keeps nothing.
///
/// # Errors
/// As [`prepare`], without [`PublishError::Unfinished`] and [`PublishError::State`].
pub async fn sign(
    log: &impl SubmitLog,
    draft: &Draft,
    terms: &Terms<'_>,
) -> Result<SignedRecord, PublishError> {
    let statement = statement(log, draft, terms).await?;
    let signers: Vec<&RecordSigner> = terms.signers.iter().collect();
    let record = SignedRecord::sign(&statement, &signers)?;
    if matches!(draft.body, Body::Channel(_)) {
        may_follow(None, &record).map_err(PublishError::Opening)?;
    }
    Ok(record)
}

/// What the draft says at its place, to be signed by whoever has the keys.
///
/// # Errors
/// [`PublishError::Place`] or [`PublishError::Submit`].
pub async fn statement(
    log: &impl SubmitLog,
    draft: &Draft,
    terms: &Terms<'_>,
) -> Result<Statement, PublishError> {
    let at_log = log.channel_head(&draft.channel).await?;
    let opens = matches!(draft.body, Body::Channel(_));
    let place = if opens {
        first_place(terms.remembered, at_log.as_ref())?
    } else {
        next_place(terms.genesis, terms.remembered, at_log.as_ref(), terms.disagreement, draft.chain)?
    };
    let recovery = at_log.and_then(|head| head.recovery?.newest).map(|(_, record)| record);
    Ok(draft.clone().after_recovery(recovery).statement(&place, terms.now))
}

/// The record that opened the channel of `record`: what is known, or else what the log says.
async fn genesis_of(
    log: &impl SubmitLog,
    record: &SignedRecord,
    terms: &Terms<'_>,
) -> Result<RecordId, PublishError> {
    let common = record.statement().predicate.common();
    if common.seq == 0 && common.chain == Chain::Publish {
        return Ok(record.record_id());
    }
    if let Some(known) = terms.genesis.or(terms.remembered.any().map(|remembered| remembered.genesis)) {
        return Ok(known);
    }
    let head = log.channel_head(&common.channel).await?;
    head.map(|head| head.genesis).ok_or(PlaceError::NoChannel.into())
}

/// A record ready to be sent, kept in the outbox.
#[derive(Clone, Debug)]
pub struct Prepared {
    kept: Kept,
    genesis: RecordId,
    resumed: bool,
}

impl Prepared {
    /// The record to be sent.
    pub fn record(&self) -> &SignedRecord {
        &self.kept.record
    }

    /// The record that opened its channel.
    pub fn genesis(&self) -> RecordId {
        self.genesis
    }

    /// Whether an earlier run signed it.
    pub fn resumed(&self) -> bool {
        self.resumed
    }
}

/// Sends a prepared record until its proof comes, and verifies the proof.
///
/// # Errors
/// [`PublishError::Conflict`], [`PublishError::Refused`], [`PublishError::NotWitnessed`],
/// [`PublishError::Busy`], [`PublishError::Submit`], [`PublishError::Proof`], [`PublishError::Forked`] or
/// [`PublishError::State`]. After all of them but `Refused` the same run again goes on where this one ended.
pub async fn send(
    log: &impl SubmitLog,
    pace: &impl Pace,
    prepared: Prepared,
    outbox: &Outbox,
    terms: &Terms<'_>,
) -> Result<Published, PublishError> {
    let Prepared { kept, genesis, resumed } = prepared;
    if let Some(bytes) = outbox.proof(&kept.record)?
        && let Ok((proof, logged)) = check_proof(&bytes, &kept.leaf, terms.policy)
    {
        return Ok(Published { record: kept.record, proof, logged, genesis, resumed });
    }
    let bytes = match wait_for_proof(log, pace, &kept.leaf, terms.deadline).await {
        Ok(bytes) => bytes,
        Err(PublishError::Refused(error)) => {
            // It will never be admitted; keeping it would only stand in the way of the corrected one.
            outbox.forget(&kept.record)?;
            return Err(PublishError::Refused(error));
        }
        Err(error) => return Err(error),
    };
    let (proof, logged) = check_proof(&bytes, &kept.leaf, terms.policy).map_err(PublishError::Proof)?;
    outbox.keep_proof(&kept.record, &proof)?;
    Ok(Published { record: kept.record, proof, logged, genesis, resumed })
}

/// Compares the proof's checkpoint with the remembered one, writes the proof to each of `paths`, and then
/// remembers what was published.
///
/// # Errors
/// [`PublishError::Forked`] with the evidence if the log signed two trees of one size, and nothing is
/// written; [`PublishError::ProofFile`] if a proof cannot be written, and nothing is remembered;
/// [`PublishError::State`].
pub fn conclude(
    state: &StateDir,
    published: &Published,
    policy: &Policy,
    paths: &[PathBuf],
) -> Result<(), PublishError> {
    let checkpoint = published.logged.checkpoint();
    let held = state.checkpoint(checkpoint.origin(), policy)?;
    let seen = policy.verify_log_signature(checkpoint.note()).map_err(|e| PublishError::Proof(e.into()))?;
    if let Some(Comparison::Fork(evidence)) = held.map(|held| compare(&held, &seen)) {
        return Err(PublishError::Forked(evidence));
    }
    let bytes = published.proof.encode();
    for path in paths {
        replace_unless_key(path, &bytes).map_err(PublishError::ProofFile)?;
    }
    state.remember_checkpoint(checkpoint, policy)?;
    state.remember_withdrawal(&published.record)?;
    let (chain, last) = published.last();
    Ok(state.remember_record(chain, &last)?)
}

async fn wait_for_proof(
    log: &impl SubmitLog,
    pace: &impl Pace,
    leaf: &[u8],
    deadline: Duration,
) -> Result<Vec<u8>, PublishError> {
    let mut backoff = FIRST_PAUSE;
    // Once in the log, a record stays there; later failures to reach it do not change that.
    let mut sequenced = None;
    loop {
        let (wait, give_up) = match log.submit(leaf).await {
            Ok(SubmitAnswer::Proof(bytes)) => return Ok(bytes),
            Ok(SubmitAnswer::Conflict(error)) => return Err(PublishError::Conflict(error)),
            Ok(SubmitAnswer::Refused(error)) => {
                return Err(sequenced.map_or(PublishError::Refused(error), PublishError::NotWitnessed));
            }
            Ok(SubmitAnswer::Sequenced(index)) => {
                sequenced = Some(index);
                (backoff, PublishError::NotWitnessed(index))
            }
            Ok(SubmitAnswer::Busy { retry_after }) => {
                (retry_after.unwrap_or(backoff).max(FIRST_PAUSE), PublishError::Busy)
            }
            Err(error) if error.is_passing() => (backoff, PublishError::Submit(error)),
            Err(error) => return Err(sequenced.map_or(error.into(), PublishError::NotWitnessed)),
        };
        if pace.elapsed().saturating_add(wait) > deadline {
            return Err(sequenced.map_or(give_up, PublishError::NotWitnessed));
        }
        pace.pause(wait).await;
        backoff = backoff.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// The proof with the very bytes that were sent as its `extra`: whatever came there authenticates nothing.
fn check_proof(bytes: &[u8], leaf: &[u8], policy: &Policy) -> Result<(LogProof, Logged), ProofError> {
    let claimed = LogProof::parse(bytes)?;
    let (index, path, note) = (claimed.index(), claimed.proof().clone(), claimed.note().clone());
    let proof = LogProof::new(Some(leaf.to_vec()), index, path, note)?;
    let logged = proof.verify(&leaf_hash(leaf), policy)?;
    Ok((proof, logged))
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests;
