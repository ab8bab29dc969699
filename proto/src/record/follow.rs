//! Whether a record is a channel's next, `docs/records.md`, section 6. One pure function, no clock.

use alloc::vec::Vec;

use super::body::ChannelBody;
use super::{
    Chain, ChannelState, Common, KeySet, Predicate, RecordId, SignedRecord, VerifiedSignatures,
    signed_message,
};
use crate::note::VerifierKey;

/// The rule a record breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The record is on the recovery chain.
    #[error("records of the recovery chain are not supported by this version")]
    RecoveryUnsupported,
    /// The channel has no record yet, and this is not one that opens it.
    #[error("the channel does not exist, and a record with seq {seq} does not open it")]
    ChannelUnknown {
        /// The record's `seq`.
        seq: u64,
    },
    /// The record opens a channel that exists.
    #[error("the channel exists, its next record has seq {expected}")]
    ChannelExists {
        /// The `seq` of the channel's next record.
        expected: u64,
    },
    /// The record is of another channel than the state.
    #[error("the record is of another channel")]
    OtherChannel,
    /// `seq` is not the head's plus one.
    #[error("seq {got}, expected {expected}")]
    Seq {
        /// The record's `seq`.
        got: u64,
        /// The `seq` of the channel's next record.
        expected: u64,
    },
    /// `prev` is not the head.
    #[error("prev is not the channel's newest record, {expected}")]
    Prev {
        /// The record's `prev`.
        got: Option<RecordId>,
        /// The channel's newest record.
        expected: RecordId,
    },
    /// `keys` is not the channel record in force.
    #[error("keys is not the channel record in force, {expected}")]
    Keys {
        /// The record's `keys`.
        got: Option<RecordId>,
        /// The channel record in force.
        expected: RecordId,
    },
    /// A signature by a key that may not sign this record.
    #[error("signature {line} is by a key that may not sign this record")]
    UnknownSigner {
        /// Which signature line, counted from 0.
        line: usize,
    },
    /// A signature that does not verify.
    #[error("signature {line} is not valid")]
    SignatureInvalid {
        /// Which signature line, counted from 0.
        line: usize,
    },
    /// Not enough keys in force signed.
    #[error("{got} keys in force signed, {needed} have to")]
    Threshold {
        /// How many keys in force signed.
        got: usize,
        /// The threshold in force.
        needed: usize,
    },
    /// A key the record adds did not sign it.
    #[error("new key {key} did not sign")]
    NewKeyUnsigned {
        /// Which of the record's `signers`, counted from 0.
        key: usize,
    },
    /// A key the record adds has the name and id of a different key in force.
    #[error("new key {key} has the name and id of another key in force")]
    NewKeyAmbiguous {
        /// Which of the record's `signers`, counted from 0.
        key: usize,
    },
    /// The record changes the recovery set.
    #[error("the publish chain may not change the recovery set")]
    RecoveryChanged,
}

impl AdmissionError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RecoveryUnsupported => "recovery-unsupported",
            Self::ChannelUnknown { .. } => "channel-unknown",
            Self::ChannelExists { .. } => "channel-exists",
            Self::OtherChannel => "channel-other",
            Self::Seq { .. } => "seq-mismatch",
            Self::Prev { .. } => "prev-mismatch",
            Self::Keys { .. } => "keys-mismatch",
            Self::UnknownSigner { .. } => "signer-unknown",
            Self::SignatureInvalid { .. } => "signature-invalid",
            Self::Threshold { .. } => "threshold-not-met",
            Self::NewKeyUnsigned { .. } => "new-key-unsigned",
            Self::NewKeyAmbiguous { .. } => "new-key-ambiguous",
            Self::RecoveryChanged => "recovery-changed",
        }
    }

    /// Whether the record was made for another state of the channel than this one. Its publisher should
    /// look at the channel's head; any other error the same record will meet again.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::ChannelUnknown { .. }
            | Self::ChannelExists { .. }
            | Self::Seq { .. }
            | Self::Prev { .. }
            | Self::Keys { .. } => true,
            Self::RecoveryUnsupported
            | Self::OtherChannel
            | Self::UnknownSigner { .. }
            | Self::SignatureInvalid { .. }
            | Self::Threshold { .. }
            | Self::NewKeyUnsigned { .. }
            | Self::NewKeyAmbiguous { .. }
            | Self::RecoveryChanged => false,
        }
    }
}

/// The state after `record`, if it may be the next one after `state`; `None` is a channel without records.
///
/// Whether the owner of a name may open it, whether a change of keys has cooled down, and whether the
/// record has expired are not decided here.
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
    let predicate = &record.statement().predicate;
    if predicate.common().chain == Chain::Recovery {
        return Err(AdmissionError::RecoveryUnsupported);
    }
    match (state, predicate) {
        (None, Predicate::Channel(common, body)) if common.seq == 0 => open(common, body, record, verified),
        (None, _) => Err(AdmissionError::ChannelUnknown { seq: predicate.common().seq }),
        (Some(state), predicate) => {
            check_position(state, predicate.common())?;
            match predicate {
                Predicate::Channel(_, body) => change(state, body, record, verified),
                Predicate::Release(..) | Predicate::Rules(..) => publish(state, record, verified),
            }
        }
    }
}

fn check_position(state: &ChannelState, common: &Common) -> Result<(), AdmissionError> {
    if common.channel != state.channel {
        return Err(AdmissionError::OtherChannel);
    }
    let expected = state.seq.saturating_add(1);
    if common.seq == 0 {
        return Err(AdmissionError::ChannelExists { expected });
    }
    if common.seq != expected {
        return Err(AdmissionError::Seq { got: common.seq, expected });
    }
    if common.prev != Some(state.head) {
        return Err(AdmissionError::Prev { got: common.prev, expected: state.head });
    }
    if common.keys != Some(state.keys_record) {
        return Err(AdmissionError::Keys { got: common.keys, expected: state.keys_record });
    }
    Ok(())
}

/// Rule 2: a genesis is signed by all the keys it names.
fn open(
    common: &Common,
    body: &ChannelBody,
    record: &SignedRecord,
    verified: &VerifiedSignatures,
) -> Result<ChannelState, AdmissionError> {
    let named: Vec<&VerifierKey> = body.signers.keys().iter().collect();
    let signed = verified_signers(record, &named, verified)?;
    check_new_keys(&body.signers, None, &signed)?;
    let id = record.record_id();
    Ok(ChannelState {
        channel: common.channel.clone(),
        genesis: id,
        head: id,
        seq: 0,
        keys_record: id,
        signers: body.signers.clone(),
        recovery: body.recovery.clone(),
    })
}

/// Rule 4: releases and rules are signed by keys in force only.
fn publish(
    state: &ChannelState,
    record: &SignedRecord,
    verified: &VerifiedSignatures,
) -> Result<ChannelState, AdmissionError> {
    let in_force: Vec<&VerifierKey> = state.signers.keys().iter().collect();
    let signed = verified_signers(record, &in_force, verified)?;
    check_threshold(&state.signers, &signed)?;
    Ok(ChannelState { head: record.record_id(), seq: state.seq.saturating_add(1), ..state.clone() })
}

/// Rule 5: a change is signed by the threshold in force and by every new key.
fn change(
    state: &ChannelState,
    body: &ChannelBody,
    record: &SignedRecord,
    verified: &VerifiedSignatures,
) -> Result<ChannelState, AdmissionError> {
    if state.recovery.is_some() && body.recovery != state.recovery {
        return Err(AdmissionError::RecoveryChanged);
    }
    let mut allowed: Vec<&VerifierKey> = state.signers.keys().iter().collect();
    for (key, new) in body.signers.keys().iter().enumerate() {
        if state.signers.contains(new) {
            continue;
        }
        // A signature line names its key by name and id only: it must never fit two keys.
        if allowed.iter().any(|other| other.name() == new.name() && other.id() == new.id()) {
            return Err(AdmissionError::NewKeyAmbiguous { key });
        }
        allowed.push(new);
    }
    let signed = verified_signers(record, &allowed, verified)?;
    check_threshold(&state.signers, &signed)?;
    check_new_keys(&body.signers, Some(&state.signers), &signed)?;
    let id = record.record_id();
    Ok(ChannelState {
        head: id,
        seq: state.seq.saturating_add(1),
        keys_record: id,
        signers: body.signers.clone(),
        recovery: body.recovery.clone(),
        ..state.clone()
    })
}

/// The keys that signed, in the order of the lines. Every line has to be by an allowed key, and verify.
fn verified_signers<'a>(
    record: &SignedRecord,
    allowed: &[&'a VerifierKey],
    verified: &VerifiedSignatures,
) -> Result<Vec<&'a VerifierKey>, AdmissionError> {
    let message = signed_message(record.payload());
    let mut signed = Vec::new();
    for (line, signature) in record.signatures().iter().enumerate() {
        let key = allowed.iter().copied().find(|key| signature.names(key));
        let key = key.ok_or(AdmissionError::UnknownSigner { line })?;
        if !verified.has(record, key, signature) {
            key.verify_raw(&message, signature.signature())
                .map_err(|_| AdmissionError::SignatureInvalid { line })?;
        }
        signed.push(key);
    }
    Ok(signed)
}

fn check_threshold(in_force: &KeySet, signed: &[&VerifierKey]) -> Result<(), AdmissionError> {
    let got = signed.iter().filter(|key| in_force.contains(key)).count();
    let needed = usize::from(in_force.threshold());
    if got < needed { Err(AdmissionError::Threshold { got, needed }) } else { Ok(()) }
}

fn check_new_keys(
    signers: &KeySet,
    before: Option<&KeySet>,
    signed: &[&VerifierKey],
) -> Result<(), AdmissionError> {
    for (key, new) in signers.keys().iter().enumerate() {
        let known = before.is_some_and(|before| before.contains(new));
        if !known && !signed.contains(&new) {
            return Err(AdmissionError::NewKeyUnsigned { key });
        }
    }
    Ok(())
}
