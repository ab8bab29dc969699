//! Where a channel's next record goes: decided from what is remembered and what the log says.

use indelible_proto::log_api::ChannelHeadAnswer;
use indelible_proto::record::{Chain, Common, RecordId};

use crate::state::LastRecord;

/// The place of a record in its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The record that opens the channel.
    Genesis,
    /// The first record of the recovery chain.
    First {
        /// The channel record that named the recovery keys.
        keys: RecordId,
    },
    /// A record after another of its chain.
    After {
        /// Number of the record before.
        seq: u64,
        /// The record before.
        head: RecordId,
        /// The channel record in force.
        keys: RecordId,
    },
}

impl Place {
    /// The place a record says it has; `None` for a combination no admitted record has.
    pub fn of(common: &Common) -> Option<Self> {
        match (common.seq.checked_sub(1), common.prev, common.keys) {
            (None, None, None) => Some(Self::Genesis),
            (None, None, Some(keys)) => Some(Self::First { keys }),
            (Some(seq), Some(head), Some(keys)) => Some(Self::After { seq, head, keys }),
            _ => None,
        }
    }

    /// The record's number in its chain.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Genesis | Self::First { .. } => 0,
            Self::After { seq, .. } => seq.saturating_add(1),
        }
    }

    /// The record before.
    pub fn prev(&self) -> Option<RecordId> {
        match self {
            Self::Genesis | Self::First { .. } => None,
            Self::After { head, .. } => Some(*head),
        }
    }

    /// The channel record in force.
    pub fn keys(&self) -> Option<RecordId> {
        match self {
            Self::Genesis => None,
            Self::First { keys } | Self::After { keys, .. } => Some(*keys),
        }
    }
}

/// What to follow when the log's head is not the remembered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// Publish nothing.
    Refuse,
    /// Follow the log, because the publisher has looked at its head.
    FollowLog,
}

/// Why the next place is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The log has no such channel, nor is one remembered.
    #[error("the log has no channel of that name")]
    NoChannel,
    /// The log has the channel that was to be opened.
    #[error("the channel is open already: the log's head is record {} with seq {}", .0.head, .0.seq)]
    Taken(Box<ChannelHeadAnswer>),
    /// The channel to be opened was published to before.
    #[error("the channel is open already: record {} with seq {} is remembered", .0.head, .0.seq)]
    Known(Box<LastRecord>),
    /// The log does not know the channel that is remembered.
    #[error("the log knows nothing of the channel, but record {} with seq {} was proved to be in it", .0.head, .0.seq)]
    Forgotten(Box<LastRecord>),
    /// The log's head is before the remembered one, or another of the same number.
    #[error(
        "the log's head is record {} with seq {}, but record {} with seq {} was proved to be in it",
        .at_log.head, .at_log.seq, .remembered.head, .remembered.seq
    )]
    Contradiction {
        /// The last record that was verified.
        remembered: Box<LastRecord>,
        /// What the log says.
        at_log: Box<ChannelHeadAnswer>,
    },
    /// The log's head is after the remembered one: somebody else has published.
    #[error(
        "the log's head is record {} with seq {}, remembered is record {} with seq {}",
        .at_log.head, .at_log.seq, .remembered.head, .remembered.seq
    )]
    Behind {
        /// The last record that was verified.
        remembered: Box<LastRecord>,
        /// What the log says.
        at_log: Box<ChannelHeadAnswer>,
    },
    /// The channel has no recovery keys, so there is no recovery chain.
    #[error("the channel names no recovery keys")]
    NoRecovery,
    /// Nothing follows on the publish chain until the recovery keys name new ones.
    #[error("the channel is frozen: the recovery keys have to name new keys first")]
    Frozen,
    /// The channel at the log was opened by another record than the remembered or pinned one.
    #[error("the log says the channel was opened by record {at_log}, known is record {known}")]
    OtherGenesis {
        /// The record that is known to have opened the channel.
        known: RecordId,
        /// What the log says.
        at_log: RecordId,
    },
}

impl PlaceError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoChannel => "channel-unknown",
            Self::Taken(_) | Self::Known(_) => "channel-exists",
            Self::Forgotten(_) => "channel-forgotten",
            Self::Contradiction { .. } => "channel-head-contradiction",
            Self::Behind { .. } => "channel-head-behind",
            Self::OtherGenesis { .. } => "channel-other-genesis",
            Self::NoRecovery => "channel-without-recovery",
            Self::Frozen => "channel-frozen",
        }
    }
}

/// The place of a channel's first record.
///
/// # Errors
/// [`PlaceError::Known`] or [`PlaceError::Taken`] if the channel is open already.
pub fn first_place(
    remembered: Option<&LastRecord>,
    at_log: Option<&ChannelHeadAnswer>,
) -> Result<Place, PlaceError> {
    match (remembered, at_log) {
        (_, Some(at_log)) => Err(PlaceError::Taken(Box::new(at_log.clone()))),
        (Some(remembered), None) => Err(PlaceError::Known(Box::new(remembered.clone()))),
        (None, None) => Ok(Place::Genesis),
    }
}

/// The place of the next record of one of a channel's chains. `genesis` is the record that is known from elsewhere to have
/// opened it.
///
/// # Errors
/// Every [`PlaceError`] but [`PlaceError::Taken`] and [`PlaceError::Known`].
pub fn next_place(
    genesis: Option<RecordId>,
    remembered: Option<&LastRecord>,
    at_log: Option<&ChannelHeadAnswer>,
    disagreement: Disagreement,
    chain: Chain,
) -> Result<Place, PlaceError> {
    let Some(at_log) = at_log else {
        return Err(match remembered {
            Some(remembered) => PlaceError::Forgotten(Box::new(remembered.clone())),
            None => PlaceError::NoChannel,
        });
    };
    for known in [genesis, remembered.map(|record| record.genesis)].into_iter().flatten() {
        if known != at_log.genesis {
            return Err(PlaceError::OtherGenesis { known, at_log: at_log.genesis });
        }
    }
    if chain == Chain::Recovery {
        // What others made of the publish chain meanwhile stands in nobody's way here.
        let recovery = at_log.recovery.as_ref().ok_or(PlaceError::NoRecovery)?;
        let keys = recovery.keys;
        return Ok(match recovery.newest {
            Some((seq, head)) => Place::After { seq, head, keys },
            None => Place::First { keys },
        });
    }
    if at_log.frozen {
        return Err(PlaceError::Frozen);
    }
    if let Some(remembered) = remembered {
        compare(remembered, at_log, disagreement)?;
    }
    Ok(Place::After { seq: at_log.seq, head: at_log.head, keys: at_log.keys })
}

fn compare(
    remembered: &LastRecord,
    at_log: &ChannelHeadAnswer,
    disagreement: Disagreement,
) -> Result<(), PlaceError> {
    if remembered.head == at_log.head && remembered.seq == at_log.seq {
        return Ok(());
    }
    let (remembered, at_log) = (Box::new(remembered.clone()), Box::new(at_log.clone()));
    // A log cannot honestly go back behind a record it gave a proof for, so nobody's word makes this good.
    if at_log.seq <= remembered.seq {
        return Err(PlaceError::Contradiction { remembered, at_log });
    }
    match disagreement {
        Disagreement::FollowLog => Ok(()),
        Disagreement::Refuse => Err(PlaceError::Behind { remembered, at_log }),
    }
}
