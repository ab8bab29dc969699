//! Whether a carry goes on where the importer's memory ends: the log's tree, and the records of each channel.

use indelible_proto::channel_file::ChannelFile;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::policy::LogSigned;
use indelible_proto::record::{Chain, ChannelName};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyError;

use super::Manifest;
use crate::channel::KnownChannel;
use crate::verify::{Comparison, compare};

/// How a carry that can be used stands to what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// It goes on from the remembered tree.
    Newer,
    /// Its tree is the remembered one: it was imported before, perhaps not to its end.
    Same,
}

/// Why a carry's tree does not follow on what is remembered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotFollowing {
    /// The proof in it does not lead from the tree it starts at to that of its checkpoint.
    #[error("it does not prove that its tree of size {size} grew out of the one it starts from: {error}")]
    Unproven {
        /// Size of its checkpoint's tree.
        size: TreeSize,
        /// How the proof fails.
        error: ConsistencyError,
    },
    /// It starts at a larger tree than the remembered one.
    #[error(
        "it goes on from a tree of size {since}, remembered is one of size {remembered}: a carry is missing"
    )]
    Missing {
        /// Where it starts.
        since: TreeSize,
        /// What is remembered, 0 if nothing.
        remembered: TreeSize,
    },
    /// Its tree is smaller than the remembered one.
    #[error("its tree has size {size}, a larger one of size {remembered} is remembered: it is older")]
    Rollback {
        /// Size of its checkpoint's tree.
        size: TreeSize,
        /// What is remembered.
        remembered: TreeSize,
    },
    /// It starts before the remembered tree, so that it proves nothing about it.
    #[error(
        "it goes on from a tree of size {since}, and nothing in it says that the remembered one of size {remembered} is a part of its tree"
    )]
    MovedOn {
        /// Where it starts.
        since: TreeSize,
        /// What is remembered.
        remembered: TreeSize,
    },
    /// Two trees of one size, but signed by two keys of one origin: it proves nothing against either.
    #[error("the remembered tree of size {size} has another root, but was signed by another key of the log")]
    OtherKey {
        /// The size of both.
        size: TreeSize,
    },
    /// The log signed two trees that cannot both be true.
    #[error("the log has signed two histories, this one and the remembered one of size {size}")]
    Fork {
        /// Size of the remembered tree.
        size: TreeSize,
        /// What convinces a stranger.
        evidence: Box<ForkEvidence>,
    },
}

impl NotFollowing {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unproven { error, .. } => error.code(),
            Self::Missing { .. } => "carry-missing",
            Self::Rollback { .. } => "carry-rollback",
            Self::MovedOn { .. } => "carry-moved-on",
            Self::OtherKey { .. } => "remembered-other-key",
            Self::Fork { .. } => "log-forked",
        }
    }
}

/// How the carry's tree stands to the remembered one of the same log. The checkpoint is the carry's, signed by the
/// log; whether witnesses saw it plays no part, so that they need not have for evidence.
///
/// # Errors
/// [`NotFollowing`]; only `Fork` accuses the log.
pub fn follows(
    carry: &Manifest,
    checkpoint: &LogSigned,
    remembered: Option<&LogSigned>,
) -> Result<Following, NotFollowing> {
    let (since, head) = (carry.since, checkpoint.head());
    let proved = carry.proof.verify(&since, &head);
    proved.map_err(|error| NotFollowing::Unproven { size: head.size, error })?;
    let Some(held) = remembered.filter(|held| !held.head().size.is_zero()) else {
        return match since.size.is_zero() {
            true => Ok(Following::Newer),
            false => Err(NotFollowing::Missing { since: since.size, remembered: TreeSize::ZERO }),
        };
    };
    let (since, size, remembered) = (since.size, head.size, held.head().size);
    // The carry commits to two trees. Which of them has the remembered size has to be the remembered one.
    if remembered == size {
        return match compare(held, checkpoint) {
            Comparison::Same => Ok(Following::Same),
            Comparison::Fork(evidence) => Err(NotFollowing::Fork { size, evidence }),
            _ => Err(NotFollowing::OtherKey { size }),
        };
    }
    if remembered == since {
        return match held.head().root == carry.since.root {
            true => Ok(Following::Newer),
            false => Err(contradiction(carry, checkpoint, held)),
        };
    }
    Err(if remembered > size {
        NotFollowing::Rollback { size, remembered }
    } else if remembered > since {
        NotFollowing::MovedOn { since, remembered }
    } else {
        NotFollowing::Missing { since, remembered }
    })
}

fn contradiction(carry: &Manifest, checkpoint: &LogSigned, held: &LogSigned) -> NotFollowing {
    let (notes, root) = ((held.note().clone(), checkpoint.note().clone()), carry.since.root);
    let evidence = ForkEvidence::new(notes.0, notes.1, root, carry.proof.clone());
    let size = held.head().size;
    match evidence.verify(checkpoint.log_key()) {
        Ok(_) => NotFollowing::Fork { size, evidence: Box::new(evidence) },
        Err(_) => NotFollowing::OtherKey { size },
    }
}

/// Records that a carry leaves out of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "channel {channel}: it goes on with record {} of the {} chain, {}; what lies between is missing, from record {first} to {last}",
    last.saturating_add(1), word(*chain), so_far(*first)
)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// Which of its chains.
    pub chain: Chain,
    /// `seq` of the first record that is missing.
    pub first: u64,
    /// `seq` of the last one.
    pub last: u64,
}

impl Gap {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "carry-gap"
    }
}

fn word(chain: Chain) -> &'static str {
    match chain {
        Chain::Publish => "publish",
        Chain::Recovery => "recovery",
    }
}

fn so_far(first: u64) -> String {
    match first.checked_sub(1) {
        Some(last) => format!("known are records up to {last}"),
        None => "of which nothing is known".to_owned(),
    }
}

/// The first gap between what is `known` of a channel and the files of it, one after the other.
pub fn find_gap<'a>(
    known: Option<&KnownChannel>,
    files: impl IntoIterator<Item = &'a ChannelFile>,
) -> Option<Gap> {
    let next = |chain| {
        let head = known.and_then(|known| known.state().chain_head(chain));
        head.map_or(0, |head| head.seq.saturating_add(1))
    };
    let (mut publish, mut recovery) = (next(Chain::Publish), next(Chain::Recovery));
    for record in files.into_iter().flat_map(ChannelFile::records) {
        let common = record.statement().predicate.common();
        let next = if common.chain == Chain::Publish { &mut publish } else { &mut recovery };
        if common.seq > *next {
            let (channel, chain) = (common.channel.clone(), common.chain);
            return Some(Gap { channel, chain, first: *next, last: common.seq.saturating_sub(1) });
        }
        *next = (*next).max(common.seq.saturating_add(1));
    }
    None
}
