//! What the watchdog has to say: what it checked and found good, and what it found wrong.

use std::fmt;

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::Hash;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::TreeHead;

/// One thing said about one log.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which log it is about.
    pub origin: Origin,
    /// Where what was judged came from.
    pub source: String,
    /// What was found.
    pub finding: Finding,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Finding {
    /// A check that came out well.
    Good(Check),
    /// A check that did not.
    Bad(Alert),
}

/// A check that came out well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The entries read hash to the root the log signed, and the log has the entries it had before.
    EntriesMatch {
        /// Size up to which the entries had been checked before.
        from: TreeSize,
        /// The signed size and root, now held.
        head: TreeHead,
    },
    /// A checkpoint and the held one can both be true.
    Consistent {
        /// The checkpoint seen.
        seen: TreeHead,
        /// The checkpoint it was compared with.
        held: TreeHead,
    },
    /// A witness has not cosigned any checkpoint of this log, or does not show what it cosigned.
    NotSeen,
}

impl Check {
    /// The stable name of this check.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EntriesMatch { .. } => "entries-match",
            Self::Consistent { .. } => "consistent",
            Self::NotSeen => "not-seen",
        }
    }
}

/// How grave an alert is; the gravest decides how a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something could not be had or decided. Says nothing about anyone's honesty.
    Undecided,
    /// Someone served what they must not serve, but only who saw it knows.
    Accusation,
    /// Anyone can check that the log has contradicted itself.
    Evidence,
}

impl Class {
    /// The stable word for this class.
    pub fn word(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Accusation => "accusation",
            Self::Evidence => "evidence",
        }
    }
}

/// A check that did not come out well. What is accused of something is kept byte for byte.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Alert {
    /// The log signed two checkpoints that cannot both be true.
    Fork {
        /// The proof, verified.
        evidence: Box<ForkEvidence>,
        /// Name of the evidence file.
        file: String,
        /// The smaller checkpoint's size and root.
        smaller: TreeHead,
        /// The larger checkpoint's size and root.
        larger: TreeHead,
    },
    /// A contradiction was found before and no person has cleared it.
    Latched {
        /// Name of the evidence file.
        evidence: String,
    },
    /// The entries served do not hash to the root the log signed.
    EntriesMismatch {
        /// What the log signed.
        signed: TreeHead,
        /// The root of the entries served.
        computed: Hash,
    },
    /// The hash tiles served do not lead to a root the log signed.
    TilesMismatch {
        /// The size of the signed tree.
        size: TreeSize,
        /// The stable name of how the proof failed.
        code: &'static str,
        /// Whether the log itself served them.
        by_log: bool,
    },
    /// The log published a checkpoint that not enough witnesses cosigned, or with a broken cosignature.
    QuorumMissing {
        /// What the log signed.
        head: TreeHead,
        /// The stable name of what the policy misses.
        code: &'static str,
    },
    /// The log's own checkpoint is not signed by the log's key.
    BadSignature {
        /// The stable name of what is wrong.
        code: &'static str,
        /// What was served.
        note: Vec<u8>,
    },
    /// The log took in a record that must not follow what was in the log before it.
    RecordRefused {
        /// Where it is in the log.
        index: LeafIndex,
        /// The stable name of the rule it breaks.
        code: &'static str,
        /// The entry.
        entry: Entry,
    },
    /// A note from elsewhere that is not a checkpoint signed by this log: useless, not suspicious.
    Unusable {
        /// The stable name of what is wrong with it.
        code: &'static str,
    },
    /// Something could not be read.
    Unread {
        /// The stable name of why.
        code: &'static str,
        /// What and why, for people.
        message: String,
    },
    /// Whether a checkpoint signed by the log contradicts the held one could not be decided: no source
    /// delivered the tree data for it. It is kept and tried again.
    Unproven {
        /// The checkpoint in question.
        seen: TreeHead,
        /// The held checkpoint, if there is one yet.
        held: Option<TreeHead>,
        /// What the sources asked said.
        reasons: Vec<String>,
    },
    /// More checkpoints wait for tree data than are kept; this one will not be tried again.
    TooManyUnproven {
        /// The checkpoint in question.
        seen: TreeHead,
    },
}

impl Alert {
    /// The stable name of this kind of alert.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fork { .. } => "fork",
            Self::Latched { .. } => "latched",
            Self::EntriesMismatch { .. } => "entries-mismatch",
            Self::TilesMismatch { .. } => "tiles-mismatch",
            Self::QuorumMissing { .. } => "quorum-missing",
            Self::BadSignature { .. } => "bad-signature",
            Self::RecordRefused { .. } => "record-refused",
            Self::Unusable { .. } => "unusable-note",
            Self::Unread { .. } => "unread",
            Self::Unproven { .. } => "unproven",
            Self::TooManyUnproven { .. } => "too-many-unproven",
        }
    }

    /// How grave it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Fork { .. } | Self::Latched { .. } => Class::Evidence,
            Self::EntriesMismatch { .. }
            | Self::TilesMismatch { .. }
            | Self::QuorumMissing { .. }
            | Self::BadSignature { .. }
            | Self::RecordRefused { .. } => Class::Accusation,
            Self::Unusable { .. }
            | Self::Unread { .. }
            | Self::Unproven { .. }
            | Self::TooManyUnproven { .. } => Class::Undecided,
        }
    }

    /// Whether it says that the log did wrong. Not to deliver is no proof of anything.
    pub fn accuses_log(&self) -> bool {
        match self {
            Self::TilesMismatch { by_log, .. } => *by_log,
            other => other.class() != Class::Undecided,
        }
    }
}

/// What happened, in plain words.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fork { smaller, larger, .. } if smaller.size == larger.size => write!(
                f,
                "the log signed two different trees of {} entries: root {} and root {}",
                smaller.size,
                smaller.root.to_base64(),
                larger.root.to_base64()
            ),
            Self::Fork { smaller, larger, .. } => write!(
                f,
                "the log signed {} and {}, and the larger tree does not start with the smaller one",
                Head(smaller),
                Head(larger)
            ),
            Self::Latched { evidence } => write!(
                f,
                "the log was caught contradicting itself and no person has cleared this yet (evidence: {evidence})"
            ),
            Self::EntriesMismatch { signed, computed } => write!(
                f,
                "the {} entries served hash to root {}, the log signed root {}",
                signed.size,
                computed.to_base64(),
                signed.root.to_base64()
            ),
            Self::TilesMismatch { size, code, .. } => {
                write!(f, "the hash tiles served do not lead to the signed root of size {size} ({code})")
            }
            Self::QuorumMissing { head, code } => {
                write!(
                    f,
                    "the log published {} without the witnesses the policy demands ({code})",
                    Head(head)
                )
            }
            Self::BadSignature { code, .. } => {
                write!(f, "the log's checkpoint is not validly signed by the log ({code})")
            }
            Self::RecordRefused { index, code, .. } => {
                write!(f, "the log took in entry {index}, which breaks the rules for records ({code})")
            }
            Self::Unusable { code } => {
                write!(f, "this is not a checkpoint signed by the log ({code}); ignored")
            }
            Self::Unread { message, .. } => f.write_str(message),
            Self::Unproven { seen, held: Some(held), reasons } => write!(
                f,
                "the log signed {}; nobody delivered the tree data to compare it with {}: {}; kept for later",
                Head(seen),
                Head(held),
                if reasons.is_empty() { "no source has any".to_owned() } else { reasons.join("; ") }
            ),
            Self::Unproven { seen, held: None, .. } => write!(
                f,
                "the log signed {}; no checkpoint could be checked yet to compare it with; kept for later",
                Head(seen)
            ),
            Self::TooManyUnproven { seen } => {
                write!(f, "too many checkpoints wait to be compared; {} is not kept", Head(seen))
            }
        }
    }
}

/// What was checked, in plain words.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntriesMatch { from, head } if from.is_zero() => {
                write!(f, "all {} entries read; they hash to the root the log signed", head.size)
            }
            Self::EntriesMatch { from, head } => write!(
                f,
                "{} new entries read; with the {from} before them they hash to the root the log signed",
                head.size.get().saturating_sub(from.get())
            ),
            Self::NotSeen => f.write_str("shows no checkpoint of this log"),
            Self::Consistent { seen, held } if seen == held => {
                write!(f, "shows the checkpoint held, {}", Head(held))
            }
            Self::Consistent { seen, held } => {
                write!(f, "shows {}, which fits the checkpoint held, {}", Head(seen), Head(held))
            }
        }
    }
}

/// A tree head for people.
struct Head<'a>(&'a TreeHead);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "size {} with root {}", self.0.size, self.0.root.to_base64())
    }
}
