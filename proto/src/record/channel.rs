//! What a channel has come to: everything [`may_follow`](super::may_follow) needs to know of its past.
//!
//! Stored by logs, watchdogs and clients as text, of at most [`ChannelState::MAX_BYTES`]:
//!
//! ```text
//! indelible-channel-state/v2
//! channel <name>
//! genesis <recordId>
//! head <recordId>                 of the publish chain
//! seq <decimal>
//! keys <recordId of the channel record in force>
//! cooldown <seconds>              as that record says
//! max-age <seconds>
//! signers <threshold> of <count>  or, frozen: signers none
//! <vkey>                          <count> lines
//! recovery <threshold> of <count> or, and then nothing follows: recovery none
//! <vkey>                          <count> lines
//! recovery-keys <recordId of the channel record that named them>
//! recovery-head <recordId>        or: recovery-head none
//! recovery-seq <decimal>          only after a recordId
//! ```
//!
//! Its size does not depend on how many records the channel has, so it cannot tell which ones: whether a
//! record that another one names is one of the channel is not known here.
//!
//! The text is not signed. Who stores it protects it, or replays the channel's records.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::body::MAX_PERIOD_S;
use super::json::MAX_INTEGER;
use super::key_set::signer_order;
use super::{Chain, ChannelName, ChannelNameError, KeySet, KeySetError, RecordId};
use crate::hash::Hash;
use crate::note::{KeyError, VerifierKey};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal, parse_utf8};

const HEADER: &str = "indelible-channel-state/v2";
const FROZEN: &str = "signers none";
const NO_RECOVERY: &str = "recovery none";
const NO_RECOVERY_RECORD: &str = "recovery-head none";
const OF: &[u8] = b" of ";

/// The state of a channel's two chains after their newest records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    pub(super) channel: ChannelName,
    pub(super) genesis: RecordId,
    pub(super) publish: ChainHead,
    pub(super) keys_record: RecordId,
    pub(super) cooldown_s: u64,
    pub(super) max_age_s: u64,
    /// `None`: frozen. Shared by all the states of a channel until its keys change.
    pub(super) signers: Option<Arc<KeySet>>,
    pub(super) recovery: Option<Recovery>,
}

/// The newest record of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Its position in the chain.
    pub seq: u64,
    /// The record.
    pub record: RecordId,
}

/// Where the next record of a chain goes: what it has to say in these fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextPlace {
    /// Its `seq`.
    pub seq: u64,
    /// Its `prev`.
    pub prev: Option<RecordId>,
    /// Its `keys`.
    pub keys: RecordId,
}

/// Who may take a channel back, and where its recovery chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    pub(super) keys: Arc<KeySet>,
    /// The channel record that named the keys.
    pub(super) keys_record: RecordId,
    /// The chain's newest record, once it has one.
    pub(super) head: Option<ChainHead>,
}

/// Why bytes are not a channel state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelStateError {
    /// Not laid out as a channel state.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// Not a channel name.
    #[error(transparent)]
    ChannelName(#[from] ChannelNameError),
    /// A record id that is not 64 lower-case hexadecimal digits.
    #[error("not a record id at byte {at}")]
    RecordId {
        /// Where the line starts.
        at: usize,
    },
    /// A sequence number above `2^53-1`, a key count or threshold above [`KeySet::MAX_KEYS`], or a `seq` that
    /// contradicts the record ids.
    #[error("a number out of range, or one that contradicts another line, at byte {at}")]
    Number {
        /// Where the line starts.
        at: usize,
    },
    /// Not a verifier key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a set of record keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// Keys that are not sorted by name and id.
    #[error("the keys are not sorted by name and id")]
    KeyOrder,
    /// A key in both sets.
    #[error("a recovery key is a signer too")]
    KeyInBothSets,
    /// What only a record of the recovery chain can bring about, without one.
    #[error("no record of the recovery chain, but a state that only such a record can bring about")]
    Unreachable,
}

impl ChannelStateError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::ChannelName(error) => error.code(),
            Self::RecordId { .. } => "channel-state-record-id",
            Self::Number { .. } => "channel-state-number",
            Self::Key(error) => error.code(),
            Self::KeySet(error) => error.code(),
            Self::KeyOrder => "channel-state-key-order",
            Self::KeyInBothSets => "channel-state-key-in-both-sets",
            Self::Unreachable => "channel-state-unreachable",
        }
    }
}

impl ChannelState {
    /// The longest text in bytes: two full key sets whose keys fill the longest string of a record.
    pub const MAX_BYTES: usize = 40 * 1024;

    /// The channel's name.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The record that opened the channel. Clients pin it: a squatted name has another.
    pub fn genesis(&self) -> RecordId {
        self.genesis
    }

    /// The newest record of the publish chain.
    pub fn head(&self) -> RecordId {
        self.publish.record
    }

    /// That record's `seq`.
    pub fn seq(&self) -> u64 {
        self.publish.seq
    }

    /// The channel record in force, of whichever chain; the publish chain's next record names it in `keys`.
    pub fn keys_record(&self) -> RecordId {
        self.keys_record
    }

    /// How long a change of keys waits in witness time before clients follow it, in seconds.
    pub fn cooldown_s(&self) -> u64 {
        self.cooldown_s
    }

    /// Age of a checkpoint from which clients call the channel stale, in seconds.
    pub fn max_age_s(&self) -> u64 {
        self.max_age_s
    }

    /// Who may sign the publish chain's next record, and how many have to. `None`: nobody, it is frozen.
    pub fn signers(&self) -> Option<&KeySet> {
        self.signers.as_deref()
    }

    /// Who signs the recovery chain.
    pub fn recovery(&self) -> Option<&KeySet> {
        self.recovery.as_ref().map(|recovery| recovery.keys.as_ref())
    }

    /// The channel record that named the recovery keys; the recovery chain's next record names it in `keys`.
    pub fn recovery_keys_record(&self) -> Option<RecordId> {
        self.recovery.as_ref().map(|recovery| recovery.keys_record)
    }

    /// The newest record of the recovery chain, once it has one.
    pub fn recovery_head(&self) -> Option<ChainHead> {
        self.recovery.as_ref().and_then(|recovery| recovery.head)
    }

    /// The newest record of a chain, once it has one.
    pub fn chain_head(&self, chain: Chain) -> Option<ChainHead> {
        match chain {
            Chain::Publish => Some(self.publish),
            Chain::Recovery => self.recovery_head(),
        }
    }

    /// Where the next record of a chain goes; `None` for the recovery chain of a channel without recovery keys.
    pub fn next_place(&self, chain: Chain) -> Option<NextPlace> {
        let keys = match chain {
            Chain::Publish => self.keys_record,
            Chain::Recovery => self.recovery_keys_record()?,
        };
        let head = self.chain_head(chain);
        let seq = head.map_or(0, |head| head.seq.saturating_add(1));
        Some(NextPlace { seq, prev: head.map(|head| head.record), keys })
    }

    /// The state as text.
    pub fn encode(&self) -> String {
        let mut text = format!(
            "{HEADER}\nchannel {}\ngenesis {}\nhead {}\nseq {}\nkeys {}\ncooldown {}\nmax-age {}\n",
            self.channel,
            self.genesis,
            self.publish.record,
            self.publish.seq,
            self.keys_record,
            self.cooldown_s,
            self.max_age_s
        );
        match &self.signers {
            Some(signers) => write_key_set("signers", signers, &mut text),
            None => text.extend([FROZEN, "\n"]),
        }
        match &self.recovery {
            Some(recovery) => recovery.write(&mut text),
            None => text.extend([NO_RECOVERY, "\n"]),
        }
        text
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChannelStateError> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES)?;
        reader.expect_line(HEADER)?;
        let at = reader.position();
        let name = parse_utf8(reader.line_after("channel")?).map_err(|kind| DecodeError { at, kind })?;
        let channel = ChannelName::parse(name)?;
        let genesis = read_id(&mut reader, "genesis")?;
        let head = read_id(&mut reader, "head")?;
        let seq_at = reader.position();
        let seq = read_number(&mut reader, "seq", MAX_INTEGER)?;
        if (seq == 0) != (head == genesis) {
            return Err(ChannelStateError::Number { at: seq_at });
        }
        let keys_record = read_id(&mut reader, "keys")?;
        let cooldown_s = read_number(&mut reader, "cooldown", MAX_PERIOD_S)?;
        let max_age_s = read_number(&mut reader, "max-age", MAX_PERIOD_S)?;
        let signers = match reader.expect_line(FROZEN) {
            Ok(()) => None,
            Err(_) => Some(Arc::new(read_key_set(&mut reader, "signers")?)),
        };
        let recovery = match reader.expect_line(NO_RECOVERY) {
            Ok(()) => None,
            Err(_) => Some(Recovery::read(&mut reader)?),
        };
        reader.finish()?;
        let publish = ChainHead { seq, record: head };
        let state = Self { channel, genesis, publish, keys_record, cooldown_s, max_age_s, signers, recovery };
        state.check()?;
        Ok(state)
    }

    /// What no sequence of records leads to.
    fn check(&self) -> Result<(), ChannelStateError> {
        let recovered = self.recovery_head().is_some();
        // Only the recovery chain can freeze, or put another record in force while the genesis is the newest.
        let unmoved = self.publish.seq == 0 && self.keys_record != self.genesis;
        if (unmoved || self.signers.is_none()) && !recovered {
            return Err(ChannelStateError::Unreachable);
        }
        match (&self.signers, &self.recovery) {
            (Some(signers), Some(recovery)) if recovery.keys.overlaps(signers) => {
                Err(ChannelStateError::KeyInBothSets)
            }
            _ => Ok(()),
        }
    }
}

impl Recovery {
    fn write(&self, text: &mut String) {
        write_key_set("recovery", &self.keys, text);
        text.push_str(&format!("recovery-keys {}\n", self.keys_record));
        match self.head {
            Some(head) => {
                text.push_str(&format!("recovery-head {}\nrecovery-seq {}\n", head.record, head.seq));
            }
            None => text.extend([NO_RECOVERY_RECORD, "\n"]),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ChannelStateError> {
        let keys = Arc::new(read_key_set(reader, "recovery")?);
        let keys_record = read_id(reader, "recovery-keys")?;
        let head = match reader.expect_line(NO_RECOVERY_RECORD) {
            Ok(()) => None,
            Err(_) => Some(ChainHead {
                record: read_id(reader, "recovery-head")?,
                seq: read_number(reader, "recovery-seq", MAX_INTEGER)?,
            }),
        };
        Ok(Self { keys, keys_record, head })
    }
}

fn write_key_set(word: &str, set: &KeySet, text: &mut String) {
    text.push_str(&format!("{word} {} of {}\n", set.threshold(), set.keys().len()));
    for key in set.keys() {
        text.push_str(&key.encode());
        text.push('\n');
    }
}

fn read_id(reader: &mut Reader<'_>, word: &str) -> Result<RecordId, ChannelStateError> {
    let at = reader.position();
    let line = reader.line_after(word)?;
    let hash = core::str::from_utf8(line).ok().and_then(Hash::parse_hex);
    hash.map(RecordId::from_hash).ok_or(ChannelStateError::RecordId { at })
}

fn read_number(reader: &mut Reader<'_>, word: &str, max: u64) -> Result<u64, ChannelStateError> {
    let at = reader.position();
    parse_number(reader.line_after(word)?, at, max)
}

fn parse_number(text: &[u8], at: usize, max: u64) -> Result<u64, ChannelStateError> {
    let number = parse_decimal(text).map_err(|kind| DecodeError { at, kind })?;
    if number > max { Err(ChannelStateError::Number { at }) } else { Ok(number) }
}

fn read_key_set(reader: &mut Reader<'_>, word: &str) -> Result<KeySet, ChannelStateError> {
    const MAX: u64 = KeySet::MAX_KEYS as u64;
    let at = reader.position();
    let counts = reader.line_after(word)?;
    let between = counts.windows(OF.len()).position(|bytes| bytes == OF);
    let (threshold, count) = between
        .and_then(|end| Some((counts.get(..end)?, counts.get(end.checked_add(OF.len())?..)?)))
        .ok_or(DecodeError { at, kind: DecodeErrorKind::UnexpectedWord })?;
    let threshold = parse_number(threshold, at, MAX)?;
    let keys = (0..parse_number(count, at, MAX)?).map(|_| read_key(reader)).collect::<Result<Vec<_>, _>>()?;
    if !keys.is_sorted_by(|earlier, later| signer_order(earlier) < signer_order(later)) {
        return Err(ChannelStateError::KeyOrder);
    }
    let threshold = u8::try_from(threshold).expect("invariant: at most MAX_KEYS");
    Ok(KeySet::new(keys, threshold)?)
}

fn read_key(reader: &mut Reader<'_>) -> Result<VerifierKey, ChannelStateError> {
    let at = reader.position();
    let line = parse_utf8(reader.line()?).map_err(|kind| DecodeError { at, kind })?;
    Ok(VerifierKey::parse(line)?)
}
