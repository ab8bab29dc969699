//! Why a record may not follow.

use super::RecordId;

/// The rule of `docs/records.md`, section 6, that a record breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The channel has no record yet, and this is not one that opens it.
    #[error("the channel does not exist, and a record with seq {seq} does not open it")]
    ChannelUnknown {
        /// The record's `seq`.
        seq: u64,
    },
    /// The record opens a channel that exists.
    #[error("the channel exists, its next record has seq {expected}")]
    ChannelExists {
        /// The `seq` of the publish chain's next record.
        expected: u64,
    },
    /// The record is of another channel than the state.
    #[error("the record is of another channel")]
    OtherChannel,
    /// The record is on the recovery chain of a channel that names no recovery keys.
    #[error("the channel has no recovery keys, and so no recovery chain")]
    NoRecovery,
    /// `seq` is not that of the chain's next record.
    #[error("seq {got}, expected {expected}")]
    Seq {
        /// The record's `seq`.
        got: u64,
        /// The `seq` of the chain's next record.
        expected: u64,
    },
    /// `prev` is not the chain's newest record.
    #[error("prev is not the chain's newest record, {expected}")]
    Prev {
        /// The record's `prev`.
        got: Option<RecordId>,
        /// The chain's newest record.
        expected: RecordId,
    },
    /// `keys` is not the channel record that names the keys in force.
    #[error("keys is not the channel record in force, {expected}")]
    Keys {
        /// The record's `keys`.
        got: Option<RecordId>,
        /// The channel record in force.
        expected: RecordId,
    },
    /// The recovery chain has taken the publish keys out of force, and has named no others yet.
    #[error("the publish chain is frozen until the recovery chain names new publish keys")]
    Frozen,
    /// A `head` that does not name the newest record of the recovery chain.
    #[error("recovery is not the newest record of the recovery chain")]
    RecoveryHead {
        /// What the record names.
        got: Option<RecordId>,
        /// The recovery chain's newest record.
        expected: Option<RecordId>,
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
    /// A key the record adds has the name and id of a different key that may sign the record.
    #[error("new key {key} has the name and id of another key in force")]
    NewKeyAmbiguous {
        /// Which of the record's `signers`, counted from 0.
        key: usize,
    },
    /// A recovery key the record adds did not sign it.
    #[error("new recovery key {key} did not sign")]
    NewRecoveryKeyUnsigned {
        /// Which of the recovery set's `signers`, counted from 0.
        key: usize,
    },
    /// A recovery key the record adds has the name and id of a different key that may sign the record.
    #[error("new recovery key {key} has the name and id of another key in force")]
    NewRecoveryKeyAmbiguous {
        /// Which of the recovery set's `signers`, counted from 0.
        key: usize,
    },
    /// A record of the publish chain that changes the recovery set.
    #[error("only the recovery chain may change the recovery set")]
    RecoveryChanged,
    /// A record that its reader should have refused: its type has no place on its chain, or lacks a field there.
    #[error("the record is not of a form its chain has")]
    Form,
}

impl AdmissionError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ChannelUnknown { .. } => "channel-unknown",
            Self::ChannelExists { .. } => "channel-exists",
            Self::OtherChannel => "channel-other",
            Self::NoRecovery => "recovery-none",
            Self::Seq { .. } => "seq-mismatch",
            Self::Prev { .. } => "prev-mismatch",
            Self::Keys { .. } => "keys-mismatch",
            Self::Frozen => "publish-frozen",
            Self::RecoveryHead { .. } => "recovery-head-mismatch",
            Self::UnknownSigner { .. } => "signer-unknown",
            Self::SignatureInvalid { .. } => "signature-invalid",
            Self::Threshold { .. } => "threshold-not-met",
            Self::NewKeyUnsigned { .. } => "new-key-unsigned",
            Self::NewKeyAmbiguous { .. } => "new-key-ambiguous",
            Self::NewRecoveryKeyUnsigned { .. } => "new-recovery-key-unsigned",
            Self::NewRecoveryKeyAmbiguous { .. } => "new-recovery-key-ambiguous",
            Self::RecoveryChanged => "recovery-changed",
            Self::Form => "record-form",
        }
    }

    /// Whether the record was made for another state of the channel than this one. Its publisher should
    /// look at the channel's heads; any other error the same record will meet again.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::ChannelUnknown { .. }
            | Self::ChannelExists { .. }
            | Self::Seq { .. }
            | Self::Prev { .. }
            | Self::Keys { .. }
            | Self::Frozen
            | Self::RecoveryHead { .. } => true,
            Self::OtherChannel
            | Self::NoRecovery
            | Self::UnknownSigner { .. }
            | Self::SignatureInvalid { .. }
            | Self::Threshold { .. }
            | Self::NewKeyUnsigned { .. }
            | Self::NewKeyAmbiguous { .. }
            | Self::NewRecoveryKeyUnsigned { .. }
            | Self::NewRecoveryKeyAmbiguous { .. }
            | Self::RecoveryChanged
            | Self::Form => false,
        }
    }
}
