//! Verifying a channel file: the records follow one another, and the newest of each chain is in the log.

use alloc::vec::Vec;

use super::{ChannelFile, NewestProof};
use crate::policy::{Policy, PolicyError, VerifiedCheckpoint};
use crate::record::body::WithdrawBody;
use crate::record::{AdmissionError, Chain, ChannelState, Predicate, RecordId, SignedRecord, may_follow};
use crate::size::LeafIndex;
use crate::tree::InclusionError;

/// What is known of a channel before a file of it is read.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Which record opened it, and nothing more. Whoever has a name squatted sees another record.
    Genesis(RecordId),
    /// What it had come to.
    After(&'a ChannelState),
}

/// What a channel said, as far as a file goes. Made only by [`ChannelFile::verify`].
///
/// It does not say that there is nothing newer, nor that what was said counts: whether keys have cooled down,
/// a record has expired or was withdrawn is for its reader to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChannel {
    state: ChannelState,
    records: Vec<SignedRecord>,
    publish: LeafIndex,
    recovery: Option<LeafIndex>,
    checkpoint: VerifiedCheckpoint,
}

/// Why a channel file shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelFileRefusal {
    /// The policy does not accept the checkpoint.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The newest record of a chain is not in the log where the file says.
    #[error("the newest record of the {} chain: {error}", word(*.chain))]
    Inclusion {
        /// Which chain.
        chain: Chain,
        /// Why not.
        error: InclusionError,
    },
    /// The file is of another channel than the one that is known.
    #[error("the file is of another channel")]
    OtherChannel,
    /// The channel was opened by another record than the one that is known.
    #[error("the channel was opened by record {got}, known is record {expected}")]
    OtherGenesis {
        /// The record in the file.
        got: RecordId,
        /// The record that is known.
        expected: RecordId,
    },
    /// A chain with two records at one place: the known one, and one in the file.
    #[error("the {} chain has record {got} with seq {seq}, known is record {expected}", word(*.chain))]
    Fork {
        /// Which chain.
        chain: Chain,
        /// The place.
        seq: u64,
        /// The record in the file.
        got: RecordId,
        /// The record that is known.
        expected: RecordId,
    },
    /// The file ends before what is known of a chain.
    #[error("the file ends before record {seq} of the {} chain, which is known", word(*.chain))]
    Behind {
        /// Which chain.
        chain: Chain,
        /// `seq` of the record that is known.
        seq: u64,
    },
    /// A record that may not follow the ones before it.
    #[error("record {position} may not follow: {error}")]
    Admission {
        /// Which one, counted from 0.
        position: usize,
        /// Why not.
        error: AdmissionError,
    },
}

impl ChannelFileRefusal {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::Inclusion { error, .. } => error.code(),
            Self::OtherChannel => "channel-file-other-channel",
            Self::OtherGenesis { .. } => "channel-other-genesis",
            Self::Fork { .. } => "channel-file-fork",
            Self::Behind { .. } => "channel-file-behind",
            Self::Admission { error, .. } => error.code(),
        }
    }
}

impl ChannelFile {
    /// Checks the file's checkpoint under `policy`, that the newest record of each chain is in it, and that every
    /// record may follow what is known and the records before it.
    ///
    /// Records that were known already may be in the file; they must then lead to the known newest ones.
    pub fn verify(&self, start: Start<'_>, policy: &Policy) -> Result<VerifiedChannel, ChannelFileRefusal> {
        let checkpoint = policy.verify(self.note())?;
        self.check_inclusion(Chain::Publish, Some(&self.publish), &checkpoint)?;
        self.check_inclusion(Chain::Recovery, self.recovery.as_ref(), &checkpoint)?;
        let known = match start {
            Start::Genesis(_) => None,
            Start::After(state) => Some(state),
        };
        if known.is_some_and(|known| known.channel() != self.channel()) {
            return Err(ChannelFileRefusal::OtherChannel);
        }
        let mut state = known.cloned();
        let mut records = Vec::new();
        for (position, record) in self.records().iter().enumerate() {
            if is_known(known, record)? {
                continue;
            }
            let after = may_follow(state.as_ref(), record);
            let after = after.map_err(|error| ChannelFileRefusal::Admission { position, error })?;
            if let Start::Genesis(expected) = start
                && after.genesis() != expected
            {
                return Err(ChannelFileRefusal::OtherGenesis { got: after.genesis(), expected });
            }
            state = Some(after);
            records.push(record.clone());
        }
        for chain in [Chain::Publish, Chain::Recovery] {
            self.check_not_behind(known, chain)?;
        }
        // A file has a record, so there is a state; without one it would have been refused above.
        let state = state.ok_or(ChannelFileRefusal::Behind { chain: Chain::Publish, seq: 0 })?;
        let recovery = self.recovery.as_ref().map(|newest| newest.index);
        Ok(VerifiedChannel { state, records, publish: self.publish.index, recovery, checkpoint })
    }

    fn check_inclusion(
        &self,
        chain: Chain,
        newest: Option<&NewestProof>,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<(), ChannelFileRefusal> {
        let (Some(newest), Some(record)) = (newest, self.newest(chain)) else {
            return Ok(());
        };
        let leaf_hash = record.to_entry().leaf_hash();
        let proved = newest.proof.verify(&leaf_hash, newest.index, &checkpoint.head());
        proved.map_err(|error| ChannelFileRefusal::Inclusion { chain, error })
    }

    fn check_not_behind(&self, known: Option<&ChannelState>, chain: Chain) -> Result<(), ChannelFileRefusal> {
        let Some(known) = known.and_then(|known| known.chain_head(chain)) else {
            return Ok(());
        };
        let newest = self.newest(chain).map(|record| record.statement().predicate.common().seq);
        if newest.is_none_or(|newest| newest < known.seq) {
            return Err(ChannelFileRefusal::Behind { chain, seq: known.seq });
        }
        Ok(())
    }
}

/// Whether the record is one of those that led to what is known. The older ones of a file lead to the newest one
/// by their `prev`, so that one alone decides.
fn is_known(known: Option<&ChannelState>, record: &SignedRecord) -> Result<bool, ChannelFileRefusal> {
    let common = record.statement().predicate.common();
    let (chain, seq, got) = (common.chain, common.seq, record.record_id());
    match known.and_then(|known| known.chain_head(chain)) {
        Some(head) if seq == head.seq && got != head.record => {
            Err(ChannelFileRefusal::Fork { chain, seq, got, expected: head.record })
        }
        Some(head) => Ok(seq <= head.seq),
        None => Ok(false),
    }
}

impl VerifiedChannel {
    /// What the channel has come to.
    pub fn state(&self) -> &ChannelState {
        &self.state
    }

    /// The records that were not known before, in the order they were replayed.
    pub fn records(&self) -> &[SignedRecord] {
        &self.records
    }

    /// Where the newest record of a chain in the file is in the log.
    pub fn index(&self, chain: Chain) -> Option<LeafIndex> {
        match chain {
            Chain::Publish => Some(self.publish),
            Chain::Recovery => self.recovery,
        }
    }

    /// The checkpoint whose tree holds the newest records.
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// The record with this id, if it is among [`Self::records`].
    pub fn record(&self, id: RecordId) -> Option<&SignedRecord> {
        self.records.iter().find(|record| record.record_id() == id)
    }

    /// The first record among [`Self::records`] that withdraws this one.
    pub fn withdrawn_by(&self, id: RecordId) -> Option<&SignedRecord> {
        self.records.iter().find(|record| match &record.statement().predicate {
            Predicate::Withdraw(_, body) => body.records.contains(&id),
            _ => false,
        })
    }

    /// Where a withdrawal says to go back to, if that is a release or rules record of the channel that nothing
    /// among [`Self::records`] withdraws. Of a file that does not begin with the genesis, `None` may also mean
    /// that the record is older.
    pub fn way_back(&self, withdrawal: &WithdrawBody) -> Option<&SignedRecord> {
        let safe = withdrawal.action.safe()?;
        let record = self.record(safe)?;
        let publishes = matches!(record.statement().predicate, Predicate::Release(..) | Predicate::Rules(..));
        (publishes && self.withdrawn_by(safe).is_none()).then_some(record)
    }
}

fn word(chain: Chain) -> &'static str {
    match chain {
        Chain::Publish => "publish",
        Chain::Recovery => "recovery",
    }
}
