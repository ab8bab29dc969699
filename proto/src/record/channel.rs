//! What a channel has come to: everything [`may_follow`](super::may_follow) needs to know of its past.
//!
//! Stored by logs, watchdogs and clients as text, of at most [`ChannelState::MAX_BYTES`]:
//!
//! ```text
//! indelible-channel-state/v1
//! channel <name>
//! genesis <recordId>
//! head <recordId>
//! seq <decimal>
//! keys <recordId of the channel record in force>
//! signers <threshold> of <count>
//! <vkey>                          <count> lines
//! recovery <threshold> of <count> or: recovery none
//! <vkey>                          <count> lines
//! ```
//!
//! The text is not signed. Who stores it protects it, or replays the channel's records.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::json::MAX_INTEGER;
use super::key_set::signer_order;
use super::{ChannelName, ChannelNameError, KeySet, KeySetError, RecordId};
use crate::hash::Hash;
use crate::note::{KeyError, VerifierKey};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal, parse_utf8};

const HEADER: &str = "indelible-channel-state/v1";
const NO_RECOVERY: &str = "recovery none";
const OF: &[u8] = b" of ";

/// The state of a channel's publish chain after its newest record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    pub(super) channel: ChannelName,
    pub(super) genesis: RecordId,
    pub(super) head: RecordId,
    pub(super) seq: u64,
    pub(super) keys_record: RecordId,
    pub(super) signers: KeySet,
    pub(super) recovery: Option<KeySet>,
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

    /// The newest record.
    pub fn head(&self) -> RecordId {
        self.head
    }

    /// The newest record's `seq`.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The channel record in force, which the next record names in `keys`.
    pub fn keys_record(&self) -> RecordId {
        self.keys_record
    }

    /// Who may sign the next record, and how many have to.
    pub fn signers(&self) -> &KeySet {
        &self.signers
    }

    /// Who may take the channel back.
    pub fn recovery(&self) -> Option<&KeySet> {
        self.recovery.as_ref()
    }

    /// The state as text.
    pub fn encode(&self) -> String {
        let mut text = format!(
            "{HEADER}\nchannel {}\ngenesis {}\nhead {}\nseq {}\nkeys {}\n",
            self.channel, self.genesis, self.head, self.seq, self.keys_record
        );
        write_key_set("signers", &self.signers, &mut text);
        match &self.recovery {
            Some(recovery) => write_key_set("recovery", recovery, &mut text),
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
        let keys_record = read_id(&mut reader, "keys")?;
        let opened = head == genesis && keys_record == genesis;
        if (seq == 0 && !opened) || (seq > 0 && head == genesis) {
            return Err(ChannelStateError::Number { at: seq_at });
        }
        let signers = read_key_set(&mut reader, "signers")?;
        let recovery = match reader.expect_line(NO_RECOVERY) {
            Ok(()) => None,
            Err(_) => Some(read_key_set(&mut reader, "recovery")?),
        };
        reader.finish()?;
        if recovery.as_ref().is_some_and(|recovery| recovery.overlaps(&signers)) {
            return Err(ChannelStateError::KeyInBothSets);
        }
        Ok(Self { channel, genesis, head, seq, keys_record, signers, recovery })
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
