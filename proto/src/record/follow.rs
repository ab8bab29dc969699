//! Whether a record is a channel's next, `docs/records.md`, section 6. One pure function, no clock.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::body::ChannelBody;
use super::channel::{ChainHead, Recovery};
use super::{
    AdmissionError, Chain, ChannelState, Common, KeySet, Predicate, RecordId, SignedRecord,
    VerifiedSignatures,
};
use crate::note::VerifierKey;

/// The state after `record`, if it may be the next one after `state`; `None` is a channel without records.
///
/// Whether the owner of a name may open it, whether a change of keys has cooled down, whether a record it
/// names exists, and whether the record has expired are not decided here.
pub fn may_follow(
    state: Option<&ChannelState>,
    record: &SignedRecord,
) -> Result<ChannelState, AdmissionError> {
    may_follow_verified(state, record, &VerifiedSignatures::none())
}

/// [`may_follow`], without verifying again what was verified already. The answer is the same.
pub fn may_follow_verified(
    state: Option<&ChannelState>,
    record: &SignedRecord,
    verified: &VerifiedSignatures,
) -> Result<ChannelState, AdmissionError> {
    let record = Candidate { record, verified };
    let predicate = record.predicate();
    let common = predicate.common();
    let Some(state) = state else {
        return match predicate {
            Predicate::Channel(_, body) if opens(common) => open(common, body, record),
            _ => Err(AdmissionError::ChannelUnknown { seq: common.seq }),
        };
    };
    if common.channel != state.channel {
        return Err(AdmissionError::OtherChannel);
    }
    match common.chain {
        Chain::Publish => follow_publish(state, record),
        Chain::Recovery => follow_recovery(state, record),
    }
}

/// A record, and which of its signatures need not be verified again.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    record: &'a SignedRecord,
    verified: &'a VerifiedSignatures,
}

impl<'a> Candidate<'a> {
    fn predicate(self) -> &'a Predicate {
        &self.record.statement().predicate
    }

    fn id(self) -> RecordId {
        self.record.record_id()
    }

    /// What it becomes: the newest record of its chain.
    fn head(self) -> ChainHead {
        ChainHead { seq: self.predicate().common().seq, record: self.id() }
    }

    /// The keys that signed, in the order of the lines. Every line has to be by an allowed key, and verify.
    fn signers<'k>(self, allowed: &[&'k VerifierKey]) -> Result<Vec<&'k VerifierKey>, AdmissionError> {
        let mut signed = Vec::new();
        for (line, signature) in self.record.signatures().iter().enumerate() {
            let key = allowed.iter().copied().find(|key| signature.names(key));
            let key = key.ok_or(AdmissionError::UnknownSigner { line })?;
            if !self.verified.has(self.record, key, signature) {
                key.verify_raw(self.record.message(), signature.signature())
                    .map_err(|_| AdmissionError::SignatureInvalid { line })?;
            }
            signed.push(key);
        }
        Ok(signed)
    }
}

fn opens(common: &Common) -> bool {
    common.chain == Chain::Publish && common.seq == 0
}

/// Rule 1: a genesis is signed by all the keys it names.
fn open(common: &Common, body: &ChannelBody, record: Candidate<'_>) -> Result<ChannelState, AdmissionError> {
    let signers = body.signers.as_ref().ok_or(AdmissionError::Form)?;
    let signed = record.signers(&references(signers))?;
    check_all_signed(signers, &signed)?;
    let id = record.id();
    Ok(ChannelState {
        channel: common.channel.clone(),
        genesis: id,
        publish: ChainHead { seq: 0, record: id },
        keys_record: id,
        cooldown_s: body.cooldown_s,
        max_age_s: body.max_age_s,
        signers: Some(Arc::new(signers.clone())),
        recovery: new_recovery(body, id),
    })
}

fn follow_publish(state: &ChannelState, record: Candidate<'_>) -> Result<ChannelState, AdmissionError> {
    let predicate = record.predicate();
    let common = predicate.common();
    let expected = state.publish.seq.saturating_add(1);
    if opens(common) {
        return Err(AdmissionError::ChannelExists { expected });
    }
    check_position(common, Some(state.publish), state.keys_record)?;
    let in_force = state.signers().ok_or(AdmissionError::Frozen)?;
    match predicate {
        Predicate::Channel(_, body) => return change(state, in_force, body, record),
        Predicate::Head(_, head) => {
            let (got, expected) = (head.recovery, state.recovery_head().map(|head| head.record));
            if got != expected {
                return Err(AdmissionError::RecoveryHead { got, expected });
            }
        }
        Predicate::Release(..) | Predicate::Rules(..) | Predicate::Withdraw(..) | Predicate::Review(..) => {}
    }
    check_threshold(in_force, &record.signers(&references(in_force))?)?;
    Ok(ChannelState { publish: record.head(), ..state.clone() })
}

/// Rule 4: a change is signed by the threshold in force and by every new key.
fn change(
    state: &ChannelState,
    in_force: &KeySet,
    body: &ChannelBody,
    record: Candidate<'_>,
) -> Result<ChannelState, AdmissionError> {
    if state.recovery.is_some() && body.recovery.as_ref() != state.recovery() {
        return Err(AdmissionError::RecoveryChanged);
    }
    let signers = body.signers.as_ref().ok_or(AdmissionError::Form)?;
    let mut allowed = references(in_force);
    allow(&mut allowed, signers).map_err(|key| AdmissionError::NewKeyAmbiguous { key })?;
    let signed = record.signers(&allowed)?;
    check_threshold(in_force, &signed)?;
    let unsigned = first_unsigned(signers, Some(in_force), &signed);
    if let Some(key) = unsigned {
        return Err(AdmissionError::NewKeyUnsigned { key });
    }
    let id = record.id();
    Ok(ChannelState {
        publish: record.head(),
        recovery: state.recovery.clone().or_else(|| new_recovery(body, id)),
        ..in_force_by(state, body, id)
    })
}

/// Nothing here may depend on what the publish chain can change once there is a recovery set.
fn follow_recovery(state: &ChannelState, record: Candidate<'_>) -> Result<ChannelState, AdmissionError> {
    let recovery = state.recovery.as_ref().ok_or(AdmissionError::NoRecovery)?;
    check_position(record.predicate().common(), recovery.head, recovery.keys_record)?;
    let head = Some(record.head());
    match record.predicate() {
        // Rule 5.
        Predicate::Withdraw(..) => {
            check_threshold(&recovery.keys, &record.signers(&references(&recovery.keys))?)?;
            let recovery = Recovery { head, ..recovery.clone() };
            Ok(ChannelState { recovery: Some(recovery), ..state.clone() })
        }
        // Rule 6.
        Predicate::Channel(_, body) => {
            let keys = body.recovery.as_ref().ok_or(AdmissionError::Form)?;
            check_recovery_signers(&recovery.keys, body.signers.as_ref(), keys, record)?;
            let id = record.id();
            let recovery = Recovery { keys: Arc::new(keys.clone()), keys_record: id, head };
            Ok(ChannelState { recovery: Some(recovery), ..in_force_by(state, body, id) })
        }
        Predicate::Release(..) | Predicate::Rules(..) | Predicate::Review(..) | Predicate::Head(..) => {
            Err(AdmissionError::Form)
        }
    }
}

fn check_recovery_signers(
    in_force: &KeySet,
    signers: Option<&KeySet>,
    recovery: &KeySet,
    record: Candidate<'_>,
) -> Result<(), AdmissionError> {
    let mut allowed = references(in_force);
    if let Some(signers) = signers {
        allow(&mut allowed, signers).map_err(|key| AdmissionError::NewKeyAmbiguous { key })?;
    }
    allow(&mut allowed, recovery).map_err(|key| AdmissionError::NewRecoveryKeyAmbiguous { key })?;
    let signed = record.signers(&allowed)?;
    check_threshold(in_force, &signed)?;
    if let Some(signers) = signers {
        check_all_signed(signers, &signed)?;
    }
    match first_unsigned(recovery, Some(in_force), &signed) {
        Some(key) => Err(AdmissionError::NewRecoveryKeyUnsigned { key }),
        None => Ok(()),
    }
}

/// Rule 2: the record continues its chain and names the channel record in force for it.
fn check_position(
    common: &Common,
    head: Option<ChainHead>,
    keys_record: RecordId,
) -> Result<(), AdmissionError> {
    let expected = head.map_or(0, |head| head.seq.saturating_add(1));
    if common.seq != expected {
        return Err(AdmissionError::Seq { got: common.seq, expected });
    }
    if let Some(head) = head
        && common.prev != Some(head.record)
    {
        return Err(AdmissionError::Prev { got: common.prev, expected: head.record });
    }
    if common.keys != Some(keys_record) {
        return Err(AdmissionError::Keys { got: common.keys, expected: keys_record });
    }
    Ok(())
}

/// `state` with what the channel record `id` puts in force for the publish chain.
fn in_force_by(state: &ChannelState, body: &ChannelBody, id: RecordId) -> ChannelState {
    ChannelState {
        keys_record: id,
        cooldown_s: body.cooldown_s,
        max_age_s: body.max_age_s,
        signers: body.signers.clone().map(Arc::new),
        ..state.clone()
    }
}

/// The recovery set that a channel record is the first to name.
fn new_recovery(body: &ChannelBody, id: RecordId) -> Option<Recovery> {
    body.recovery.clone().map(|keys| Recovery { keys: Arc::new(keys), keys_record: id, head: None })
}

fn references(set: &KeySet) -> Vec<&VerifierKey> {
    set.keys().iter().collect()
}

/// Adds the keys of `set` to those that may sign. A signature line names its key by name and id only, so it
/// must never fit two keys: the error is the position of one that would make it so.
fn allow<'a>(allowed: &mut Vec<&'a VerifierKey>, set: &'a KeySet) -> Result<(), usize> {
    for (position, key) in set.keys().iter().enumerate() {
        match allowed.iter().find(|other| other.name() == key.name() && other.id() == key.id()) {
            Some(same) if *same == key => {}
            Some(_) => return Err(position),
            None => allowed.push(key),
        }
    }
    Ok(())
}

fn check_threshold(in_force: &KeySet, signed: &[&VerifierKey]) -> Result<(), AdmissionError> {
    let got = signed.iter().filter(|key| in_force.contains(key)).count();
    let needed = usize::from(in_force.threshold());
    if got < needed { Err(AdmissionError::Threshold { got, needed }) } else { Ok(()) }
}

fn check_all_signed(signers: &KeySet, signed: &[&VerifierKey]) -> Result<(), AdmissionError> {
    match first_unsigned(signers, None, signed) {
        Some(key) => Err(AdmissionError::NewKeyUnsigned { key }),
        None => Ok(()),
    }
}

/// The position of the first key that neither was in the set `before` nor signed.
fn first_unsigned(set: &KeySet, before: Option<&KeySet>, signed: &[&VerifierKey]) -> Option<usize> {
    let known = |key: &VerifierKey| before.is_some_and(|before| before.contains(key));
    set.keys().iter().position(|key| !known(key) && !signed.contains(&key))
}
