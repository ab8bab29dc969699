//! Where a channel's next record goes: decided from what is remembered and what the log says.

use indelible_proto::log_api::ChannelHeadAnswer;
use indelible_proto::record::{Chain, ChainHead, Common, RecordId};

use crate::state::{LastRecord, LastRecords};

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
    /// The log's head of a chain is before the remembered one, or another of the same number, or there is none.
    #[error(
        "{} by what the log says, but record {} with seq {} was proved to be in it",
        ends(*.chain, *.at_log), .remembered.head, .remembered.seq
    )]
    Contradiction {
        /// Which chain.
        chain: Chain,
        /// The last record that was verified.
        remembered: Box<LastRecord>,
        /// What the log says.
        at_log: Option<ChainHead>,
    },
    /// The log's head of the chain is after the remembered one: somebody else has published.
    #[error(
        "{} by what the log says, remembered is record {} with seq {}",
        ends(*.chain, Some(*.at_log)), .remembered.head, .remembered.seq
    )]
    Behind {
        /// Which chain.
        chain: Chain,
        /// The last record that was verified.
        remembered: Box<LastRecord>,
        /// What the log says.
        at_log: ChainHead,
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
    remembered: &LastRecords,
    at_log: Option<&ChannelHeadAnswer>,
) -> Result<Place, PlaceError> {
    match (remembered.any(), at_log) {
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
    remembered: &LastRecords,
    at_log: Option<&ChannelHeadAnswer>,
    disagreement: Disagreement,
    chain: Chain,
) -> Result<Place, PlaceError> {
    let Some(at_log) = at_log else {
        return Err(match remembered.any() {
            Some(remembered) => PlaceError::Forgotten(Box::new(remembered.clone())),
            None => PlaceError::NoChannel,
        });
    };
    for known in [genesis, remembered.any().map(|record| record.genesis)].into_iter().flatten() {
        if known != at_log.genesis {
            return Err(PlaceError::OtherGenesis { known, at_log: at_log.genesis });
        }
    }
    // What others made of the publish chain stands in nobody's way on the recovery chain. The other way round it does:
    // a heartbeat speaks of both, and would say of a recovery record that is hidden that there is none.
    let (newest, keys) = match chain {
        Chain::Publish => {
            agrees(remembered, at_log, Chain::Recovery)?;
            if at_log.frozen {
                return Err(PlaceError::Frozen);
            }
            (at_log.newest(chain), at_log.keys)
        }
        Chain::Recovery => match &at_log.recovery {
            Some(recovery) => (at_log.newest(chain), recovery.keys),
            None => {
                agrees(remembered, at_log, chain)?;
                return Err(PlaceError::NoRecovery);
            }
        },
    };
    agrees(remembered, at_log, chain)?;
    if let Some((remembered, at_log)) = remembered.of(chain).zip(newest)
        && remembered.seq < at_log.seq
        && disagreement == Disagreement::Refuse
    {
        return Err(PlaceError::Behind { chain, remembered: Box::new(remembered.clone()), at_log });
    }
    Ok(match newest {
        Some(ChainHead { seq, record }) => Place::After { seq, head: record, keys },
        None => Place::First { keys },
    })
}

/// Whether the log may honestly say this of a chain: it cannot go back behind a record it gave a proof for, so nobody's
/// word makes that good.
///
/// # Errors
/// [`PlaceError::Contradiction`].
pub fn agrees(remembered: &LastRecords, at_log: &ChannelHeadAnswer, chain: Chain) -> Result<(), PlaceError> {
    let Some(remembered) = remembered.of(chain) else {
        return Ok(());
    };
    match at_log.newest(chain) {
        Some(head) if head.seq > remembered.seq => Ok(()),
        Some(head) if head.seq == remembered.seq && head.record == remembered.head => Ok(()),
        at_log => Err(PlaceError::Contradiction { chain, remembered: Box::new(remembered.clone()), at_log }),
    }
}

fn ends(chain: Chain, at: Option<ChainHead>) -> String {
    let chain = chain.as_str();
    match at {
        Some(ChainHead { seq, record }) => {
            format!("the {chain} chain ends with record {record} with seq {seq}")
        }
        None => format!("the {chain} chain is empty"),
    }
}
