//! How a known channel is kept between runs.
//!
//! ```text
//! indelible-known-channel/v1
//! witnessed <seconds since 1970>|none        newest time of a quorum for its newest records
//! state <length in bytes>
//! <the channel's state, see ChannelState>
//! records <count>
//! record <length in bytes> <seen>|none <before>|none       these two for each record, in the order of the log
//! <record leaf>
//! ```
//!
//! The file is this machine's own, and sealed (see [`crate::seal`]), so that damage is noticed, and is damage here, never
//! a sign that anybody lied. Signatures were verified when the records were learned and are not verified again; that
//! the records follow one another by their hashes, up to the state, is.

use indelible_proto::record::{Chain, ChannelState, ChannelStateError, RecordError, SignedRecord};
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal};

use super::{Known, KnownChannel};

const HEADER: &str = "indelible-known-channel/v1";
const NO_TIME: &[u8] = b"none";

/// Why bytes are not a known channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnownChannelError {
    /// Too long, or a line is not what its place demands.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// The channel's state is none.
    #[error(transparent)]
    State(#[from] ChannelStateError),
    /// More records than are kept.
    #[error("more than {} records", KnownChannel::MAX_RECORDS)]
    TooMany,
    /// A leaf that is not a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The records do not follow one another, or do not lead to the state.
    #[error("the records do not lead to the channel's state")]
    Broken,
}

impl KnownChannelError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::State(error) => error.code(),
            Self::TooMany => "known-channel-too-many",
            Self::Record(error) => error.code(),
            Self::Broken => "known-channel-broken",
        }
    }
}

impl KnownChannel {
    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let state = self.state.encode();
        let mut bytes = format!(
            "{HEADER}\nwitnessed {}\nstate {}\n{state}records {}\n",
            word(self.witnessed),
            state.len(),
            self.records.len()
        )
        .into_bytes();
        for Known { record, seen, before } in &self.records {
            let leaf = record.leaf();
            let line = format!("record {} {} {}\n", leaf.len(), word(*seen), word(*before));
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(leaf);
        }
        bytes
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, KnownChannelError> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES)?;
        reader.expect_line(HEADER)?;
        let at = reader.position();
        let witnessed = time(reader.line_after("witnessed")?, at)?;
        let length = number(&mut reader, "state")?;
        let state = ChannelState::parse(reader.take(length)?)?;
        let count = number(&mut reader, "records")?;
        if count > Self::MAX_RECORDS {
            return Err(KnownChannelError::TooMany);
        }
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(read_record(&mut reader)?);
        }
        reader.finish()?;
        if !leads_to(&records, &state) {
            return Err(KnownChannelError::Broken);
        }
        Ok(Self::of(state, witnessed, records))
    }

    /// About how long [`Self::encode`] is, never less.
    pub(super) fn encoded_len(&self) -> usize {
        const AROUND: usize = 128;
        let sizes = self.records.iter().map(|known| known.record.leaf().len().saturating_add(AROUND));
        sizes.fold(ChannelState::MAX_BYTES.saturating_add(AROUND), usize::saturating_add)
    }
}

fn read_record(reader: &mut Reader<'_>) -> Result<Known, KnownChannelError> {
    let at = reader.position();
    let wrong = DecodeError { at, kind: DecodeErrorKind::UnexpectedWord };
    let words: Vec<&[u8]> = reader.line_after("record")?.split(|byte| *byte == b' ').collect();
    let [length, seen, before] = words.as_slice() else {
        return Err(wrong.into());
    };
    let length = parse_decimal(length).map_err(|kind| DecodeError { at, kind })?;
    let (seen, before) = (time(seen, at)?, time(before, at)?);
    let leaf = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    Ok(Known { record: SignedRecord::parse(leaf)?, seen, before })
}

/// Whether the records are those of the state's channel, each after the one before it of its chain, the first and
/// the last of them the state's.
fn leads_to(records: &[Known], state: &ChannelState) -> bool {
    let mut newest = [None, None];
    for Known { record, .. } in records {
        let common = record.statement().predicate.common();
        let [publish, recovery] = &mut newest;
        let before = if common.chain == Chain::Publish { publish } else { recovery };
        let expected = before.map_or((0, None), |(seq, id): (u64, _)| (seq.saturating_add(1), Some(id)));
        if common.channel != *state.channel() || (common.seq, common.prev) != expected {
            return false;
        }
        *before = Some((common.seq, record.record_id()));
    }
    let heads = [Chain::Publish, Chain::Recovery].map(|chain| state.chain_head(chain));
    let opened = records.first().is_some_and(|first| first.record.record_id() == state.genesis());
    opened && newest == heads.map(|head| head.map(|head| (head.seq, head.record)))
}

fn word(time: Option<UnixSeconds>) -> String {
    time.map_or_else(|| "none".to_owned(), |time| time.get().to_string())
}

fn time(text: &[u8], at: usize) -> Result<Option<UnixSeconds>, DecodeError> {
    if text == NO_TIME {
        return Ok(None);
    }
    let seconds = parse_decimal(text).map_err(|kind| DecodeError { at, kind })?;
    let time = UnixSeconds::new(seconds).map_err(|_| DecodeError { at, kind: DecodeErrorKind::Decimal })?;
    Ok(Some(time))
}

fn number(reader: &mut Reader<'_>, word: &str) -> Result<usize, DecodeError> {
    let at = reader.position();
    let number = parse_decimal(reader.line_after(word)?).map_err(|kind| DecodeError { at, kind })?;
    usize::try_from(number).map_err(|_| DecodeError { at, kind: DecodeErrorKind::Decimal })
}
