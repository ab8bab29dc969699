//! What an importer remembers, for whoever exports: where its next carry has to start.
//!
//! ```text
//! indelible-carry-receipt/v1
//! checkpoint <length in bytes>|none
//! <a signed note>                      the largest checkpoint remembered of the log
//! channels <count>
//! channel <name>                       these for each, by name
//! genesis <record id, hex>
//! publish <seq> <record id>|none       the newest record known of the chain
//! recovery <seq> <record id>|none
//! ```
//!
//! At most [`Receipt::MAX_BYTES`]. It is not signed and need not be: a wrong one makes a carry that its importer
//! refuses.

use indelible_proto::note::{MAX_NOTE_BYTES, NoteError, SignedNote};
use indelible_proto::record::{ChainHead, ChannelName, ChannelNameError, RecordId};
use indelible_proto::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal, parse_utf8};

const HEADER: &str = "indelible-carry-receipt/v1";
const NONE: &str = "none";

/// What an importer says it remembers; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The largest checkpoint of the log.
    pub note: Option<SignedNote>,
    /// What it follows.
    pub channels: Vec<ReceiptChannel>,
}

/// What an importer remembers of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptChannel {
    /// The channel.
    pub name: ChannelName,
    /// Which record opened it.
    pub genesis: RecordId,
    /// The newest known record of the publish chain.
    pub publish: Option<ChainHead>,
    /// The newest known record of the recovery chain.
    pub recovery: Option<ChainHead>,
}

/// Why bytes are no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Too long, or a line is missing or is not what its place demands.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not a channel name.
    #[error(transparent)]
    ChannelName(#[from] ChannelNameError),
    /// More channels than a receipt names.
    #[error("{got} channels, at most {} are allowed", Receipt::MAX_CHANNELS)]
    TooMany {
        /// How many there are said to be.
        got: u64,
    },
    /// A channel that does not come after the one before it by name.
    #[error("a channel that does not come after the one before it")]
    Order,
}

impl ReceiptError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::Note(error) => error.code(),
            Self::ChannelName(error) => error.code(),
            Self::TooMany { .. } => "carry-receipt-channels",
            Self::Order => "carry-receipt-order",
        }
    }
}

impl Receipt {
    /// Most channels, as many as a carry may have files of.
    pub const MAX_CHANNELS: u64 = super::MAX_CHANNEL_FILES;
    /// Longest receipt in bytes: a note, and the longest entry of so many channels.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES)?;
        reader.expect_line(HEADER)?;
        let at = reader.position();
        let note = match reader.line_after("checkpoint")? {
            none if none == NONE.as_bytes() => None,
            length => {
                let length = parse_decimal(length).map_err(|kind| DecodeError { at, kind })?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > MAX_NOTE_BYTES {
                    let kind = DecodeErrorKind::TooLong { got: length, max: MAX_NOTE_BYTES };
                    return Err(DecodeError { at, kind }.into());
                }
                Some(SignedNote::parse(reader.take(length)?)?)
            }
        };
        let at = reader.position();
        let count = parse_decimal(reader.line_after("channels")?).map_err(|kind| DecodeError { at, kind })?;
        if count > Self::MAX_CHANNELS {
            return Err(ReceiptError::TooMany { got: count });
        }
        let mut channels = Vec::<ReceiptChannel>::new();
        for _ in 0..count {
            let channel = read_channel(&mut reader)?;
            if channels.last().is_some_and(|last| last.name >= channel.name) {
                return Err(ReceiptError::Order);
            }
            channels.push(channel);
        }
        reader.finish()?;
        Ok(Self { note, channels })
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{HEADER}\n").into_bytes();
        match self.note.as_ref().map(SignedNote::encode) {
            Some(note) => {
                bytes.extend_from_slice(format!("checkpoint {}\n", note.len()).as_bytes());
                bytes.extend_from_slice(&note);
            }
            None => bytes.extend_from_slice(format!("checkpoint {NONE}\n").as_bytes()),
        }
        bytes.extend_from_slice(format!("channels {}\n", self.channels.len()).as_bytes());
        for ReceiptChannel { name, genesis, publish, recovery } in &self.channels {
            let [publish, recovery] = [publish, recovery].map(word);
            let text = format!("channel {name}\ngenesis {genesis}\npublish {publish}\nrecovery {recovery}\n");
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

fn read_channel(reader: &mut Reader<'_>) -> Result<ReceiptChannel, ReceiptError> {
    let at = reader.position();
    let wrong = |kind| DecodeError { at, kind };
    let name = ChannelName::parse(parse_utf8(reader.line_after("channel")?).map_err(wrong)?)?;
    let genesis = record_id(reader.line_after("genesis")?).ok_or(wrong(DecodeErrorKind::UnexpectedWord))?;
    let publish = read_head(reader, "publish")?;
    let recovery = read_head(reader, "recovery")?;
    Ok(ReceiptChannel { name, genesis, publish, recovery })
}

fn read_head(reader: &mut Reader<'_>, what: &str) -> Result<Option<ChainHead>, DecodeError> {
    let at = reader.position();
    let line = reader.line_after(what)?;
    if line == NONE.as_bytes() {
        return Ok(None);
    }
    let wrong = DecodeError { at, kind: DecodeErrorKind::UnexpectedWord };
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [seq, record] = words.as_slice() else { return Err(wrong) };
    let seq = parse_decimal(seq).map_err(|kind| DecodeError { at, kind })?;
    Ok(Some(ChainHead { seq, record: record_id(record).ok_or(wrong)? }))
}

fn record_id(text: &[u8]) -> Option<RecordId> {
    RecordId::parse(parse_utf8(text).ok()?)
}

fn word(head: &Option<ChainHead>) -> String {
    head.map_or_else(|| NONE.to_owned(), |head| format!("{} {}", head.seq, head.record))
}
