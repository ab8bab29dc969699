//! What is remembered from one verdict to the next, read before it and written after it.

use indelible_proto::note::VerifierKey;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{RecordId, SignedRecord};

use super::super::console::chain;
use super::super::inputs::{OpenState, PolicyFile};
use super::judge::Reached;
use super::knowledge::remember_learned;
use crate::state::{LastRecord, LastSigned, StateError};
use crate::verify::{LastKnown, LastVerified, Outcome, Remembered, claimed, claimed_origin};

/// Remembers what is to be remembered of a verdict for a client with these keys, and the policy `own` if something was
/// verified under it.
pub(super) fn remember(
    state: &OpenState,
    reached: &Reached<'_>,
    keys: &[VerifierKey],
    own: &PolicyFile,
) -> Result<(), StateError> {
    let (verdict, policy) = (&reached.verdict, reached.policy);
    remember_learned(state, &reached.learned, policy)?;
    if let Some(checkpoint) = verdict.remember() {
        state.state.remember_checkpoint(checkpoint, policy)?;
    }
    if let Some(time) = reached.vouched {
        state.state.raise_time_floor(time)?;
    }
    let (Outcome::Verified, Some(record)) = (verdict.outcome(), verdict.record()) else {
        return Ok(());
    };
    if reached.grace.is_none() {
        state.state.remember_policy(&own.bytes)?;
    }
    match verdict.genesis() {
        Some(genesis) => remember_verified(state, record, genesis),
        None => remember_signed(state, record, keys),
    }
}

fn remember_verified(state: &OpenState, record: &SignedRecord, genesis: RecordId) -> Result<(), StateError> {
    let common = record.statement().predicate.common();
    // A withdrawal may lead back, but not to what was never installed in between: the newest one stays remembered. Not
    // so if the channel never had that one: nothing would ever come after a number that a thief chose.
    let newer = state.state.last_verified(&common.channel)?.filter(|last| last.seq > common.seq);
    if let Some(newer) = newer {
        let known = state.state.known_channel(&common.channel)?;
        if known.is_none_or(|known| known.record(newer.head).is_some()) {
            return Ok(());
        }
    }
    state.state.remember_verified(&LastRecord {
        channel: common.channel.clone(),
        seq: common.seq,
        genesis,
        head: record.record_id(),
    })
}

/// Of a channel of which no more than keys is known, each key has its own newest record: one who was given for another
/// channel, and signs for this one too, keeps nobody from what the others sign.
fn remember_signed(state: &OpenState, record: &SignedRecord, keys: &[VerifierKey]) -> Result<(), StateError> {
    let common = record.statement().predicate.common();
    for key in keys.iter().filter(|key| record.signed_by(key) == Ok(true)) {
        let (channel, key) = (common.channel.clone(), key.clone());
        let signed = LastSigned { channel, key, seq: common.seq, head: record.record_id() };
        state.state.remember_signed(&signed)?;
    }
    Ok(())
}

/// What is remembered of the log that a proof names.
pub(super) fn recall(proof: &LogProof, policy: &Policy, state: Option<&OpenState>) -> Remembered {
    let Some(state) = state else {
        return Remembered::NotKept;
    };
    let Some(origin) = claimed_origin(proof) else {
        return Remembered::Nothing;
    };
    match state.state.checkpoint(&origin, policy) {
        Ok(None) => Remembered::Nothing,
        Ok(Some(checkpoint)) => Remembered::Checkpoint(Box::new(checkpoint)),
        Err(error) => Remembered::Damaged { code: error.code(), message: chain(&error) },
    }
}

/// The newest record of its channel that was verified before the record in a proof: for the channel, or for whoever
/// signed this one.
pub(super) fn last_known(proof: &LogProof, state: Option<&OpenState>) -> LastKnown {
    let Some(state) = state else {
        return LastKnown::NotKept;
    };
    let Some(record) = claimed(proof) else {
        return LastKnown::Nothing;
    };
    match newest(state, &record) {
        Ok(None) => LastKnown::Nothing,
        Ok(Some(last)) => LastKnown::Record(last),
        Err(error) => LastKnown::Damaged { code: error.code(), message: chain(&error) },
    }
}

fn newest(state: &OpenState, record: &SignedRecord) -> Result<Option<LastVerified>, StateError> {
    let channel = &record.statement().predicate.common().channel;
    let mut newest =
        state.state.last_verified(channel)?.map(|last| LastVerified { seq: last.seq, head: last.head });
    for line in record.signatures() {
        let signed = state.state.last_signed(channel, line)?;
        let signed = signed.map(|last| LastVerified { seq: last.seq, head: last.head });
        if signed.map(|last| last.seq) > newest.map(|last| last.seq) {
            newest = signed;
        }
    }
    Ok(newest)
}
