//! The checks by name, with their numbers in `docs/architecture.md`.

/// The checks, in the order they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckName {
    /// The checkpoint is signed by a log of the policy.
    LogSignature,
    /// The record is in the tree of that checkpoint.
    Inclusion,
    /// The policy's quorum of witnesses has cosigned the checkpoint.
    Witnesses,
    /// The checkpoint agrees with the one remembered.
    Remembered,
    /// The entry is a well-formed record.
    Record,
    /// The record is signed by trusted keys.
    Signers,
    /// The record belongs to the trusted channel.
    Channel,
    /// The record names this artifact.
    Artifact,
    /// The record does not stand before one that was verified already.
    Sequence,
    /// The record has not expired.
    Expiry,
    /// The witnesses saw the checkpoint lately.
    Age,
    /// The record is for this client.
    Audience,
    /// The artifact is for this client's platform.
    Platform,
    /// The rules are for this client's engine.
    Engine,
    /// No later record of the channel withdraws this one.
    Withdrawal,
    /// The keys it was signed with count.
    KeyChange,
    /// The reviews that the client asks for are there.
    Reviews,
}

impl CheckName {
    /// The stable name of the check.
    pub fn code(self) -> &'static str {
        match self {
            Self::LogSignature => "log-signature",
            Self::Inclusion => "inclusion",
            Self::Witnesses => "witnesses",
            Self::Remembered => "remembered",
            Self::Record => "record",
            Self::Signers => "signers",
            Self::Channel => "channel",
            Self::Artifact => "artifact",
            Self::Sequence => "sequence",
            Self::Expiry => "expiry",
            Self::Age => "age",
            Self::Audience => "audience",
            Self::Platform => "platform",
            Self::Engine => "engine",
            Self::Withdrawal => "withdrawal",
            Self::KeyChange => "key-change",
            Self::Reviews => "reviews",
        }
    }

    /// The check's number in `docs/architecture.md`.
    pub fn row(self) -> u8 {
        match self {
            Self::Artifact => 1,
            Self::Record | Self::Signers | Self::Channel => 2,
            Self::LogSignature | Self::Inclusion => 3,
            Self::Witnesses => 4,
            Self::Remembered => 5,
            Self::Sequence => 6,
            Self::Expiry | Self::Age => 7,
            Self::Withdrawal => 8,
            Self::Audience | Self::Platform | Self::Engine => 9,
            Self::Reviews => 11,
            Self::KeyChange => 12,
        }
    }

    /// What it means that the check passed.
    pub fn statement(self) -> &'static str {
        match self {
            Self::LogSignature => "the checkpoint is signed by a log of the policy",
            Self::Inclusion => "the record is in the log",
            Self::Witnesses => "the policy's quorum of witnesses has seen that log",
            Self::Remembered => "the log agrees with what is remembered of it",
            Self::Record => "the entry is a well-formed record",
            Self::Signers => "the record is signed by trusted keys",
            Self::Channel => "the record belongs to the trusted channel",
            Self::Artifact => "the record names exactly this artifact",
            Self::Sequence => "no newer record of the channel was verified before",
            Self::Expiry => "the record has not expired",
            Self::Age => "the witnesses saw the log lately",
            Self::Audience => "the record is for this client",
            Self::Platform => "the artifact is for this platform",
            Self::Engine => "the rules are for this engine",
            Self::Withdrawal => "nothing that is known of the channel withdraws the record",
            Self::KeyChange => "the keys that signed the record count",
            Self::Reviews => "the reviews that are asked for are there",
        }
    }
}
