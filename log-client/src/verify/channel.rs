//! Trust in a channel: its first record, proved and read.

use indelible_proto::hash::leaf_hash;
use indelible_proto::note::{SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::{LogProof, ProofError};
use indelible_proto::record::{
    AdmissionError, ChannelName, ChannelState, KeySet, RecordError, RecordId, SignedRecord, may_follow,
};

use crate::channel::KnownChannel;

/// A channel whose first record is known, with the keys that record names.
#[derive(Clone, Debug)]
pub struct TrustedChannel {
    state: ChannelState,
    signers: KeySet,
    /// `None` if it was taken from what is known of the channel.
    note: Option<SignedNote>,
    /// Of the channel's records only what one of these signed counts; empty if all of them do.
    only_by: Vec<VerifierKey>,
}

/// Why a proof does not show the first record of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The proof has no leaf in it.
    #[error("the proof carries no record")]
    NoRecord,
    /// Not in a log of the policy, or not witnessed.
    #[error("the channel's first record is not proved: {0}")]
    Proof(ProofError),
    /// The entry is not a well-formed record.
    #[error("the channel's first entry is no record: {0}")]
    Record(RecordError),
    /// A good record, but none that can open a channel.
    #[error("not the first record of a channel: {0}")]
    NotFirst(AdmissionError),
}

impl TrustError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRecord => "proof-without-record",
            Self::Proof(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::NotFirst(error) => error.code(),
        }
    }
}

impl TrustedChannel {
    /// The channel that `proof` shows to have been opened, under `policy`.
    pub fn from_proof(proof: &LogProof, policy: &Policy) -> Result<Self, TrustError> {
        let leaf = proof.extra().ok_or(TrustError::NoRecord)?;
        proof.verify(&leaf_hash(leaf), policy).map_err(TrustError::Proof)?;
        let record = SignedRecord::parse(leaf).map_err(TrustError::Record)?;
        Self::opened_by(&record, Some(proof.note().clone()))
    }

    /// The channel that is known from its first record on.
    pub fn from_known(known: &KnownChannel) -> Result<Self, TrustError> {
        Self::opened_by(known.opening().ok_or(TrustError::NoRecord)?, None)
    }

    fn opened_by(record: &SignedRecord, note: Option<SignedNote>) -> Result<Self, TrustError> {
        let state = may_follow(None, record).map_err(TrustError::NotFirst)?;
        let signers = state.signers().cloned().ok_or(TrustError::NotFirst(AdmissionError::Frozen))?;
        Ok(Self { state, signers, note, only_by: Vec::new() })
    }

    /// The same channel for whoever trusts in it only what one of these keys signed besides; none leaves it as it is.
    #[must_use]
    pub fn only_signed_by(self, keys: Vec<VerifierKey>) -> Self {
        Self { only_by: keys, ..self }
    }

    /// The keys of which one has to have signed besides, if there are any.
    pub fn only_by(&self) -> &[VerifierKey] {
        &self.only_by
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.state.channel()
    }

    /// The record that opened the channel and names its keys.
    pub fn genesis(&self) -> RecordId {
        self.state.genesis()
    }

    /// The keys that sign the channel's records, and how many of them have to.
    pub fn signers(&self) -> &KeySet {
        &self.signers
    }

    /// Where the channel stood after its first record.
    pub fn state(&self) -> &ChannelState {
        &self.state
    }

    /// The oldest checkpoint that the channel's readers should accept, in seconds.
    pub fn max_age_s(&self) -> u64 {
        self.state.max_age_s()
    }

    /// The checkpoint the first record was proved in, if it came with a proof of its own.
    pub fn note(&self) -> Option<&SignedNote> {
        self.note.as_ref()
    }
}

/// The record inside `proof`, before anything is verified. Good for looking up what is remembered of its channel and
/// its signers, and for nothing else.
pub fn claimed(proof: &LogProof) -> Option<SignedRecord> {
    SignedRecord::parse(proof.extra()?).ok()
}

/// The id of that record.
pub fn claimed_record(proof: &LogProof) -> Option<RecordId> {
    claimed(proof).map(|record| record.record_id())
}

/// The channel that record says it belongs to.
pub fn claimed_channel(proof: &LogProof) -> Option<ChannelName> {
    claimed(proof).map(|record| record.statement().predicate.common().channel.clone())
}
