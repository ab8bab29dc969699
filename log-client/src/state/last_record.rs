//! The last record of a channel's chain that was published or verified.

use indelible_proto::record::{Chain, ChannelName, RecordId};
use indelible_proto::wire::{DecodeError, Reader, parse_utf8};

/// The last record of a chain.
///
/// Its file before the seal, with one newline after each line; of the recovery chain with the header
/// `indelible-last-recovery-record/v1`:
///
/// ```text
/// indelible-last-record/v1
/// <channel name>
/// <seq, decimal>
/// <record id of the channel's first record, hex>
/// <record id of the last record, hex>
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// The channel's name.
    pub channel: ChannelName,
    /// The last record's number in its chain.
    pub seq: u64,
    /// Which record opened the channel.
    pub genesis: RecordId,
    /// The last record.
    pub head: RecordId,
}

/// The last records of both chains of a channel, as far as there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastRecords {
    /// Of the publish chain.
    pub publish: Option<LastRecord>,
    /// Of the recovery chain.
    pub recovery: Option<LastRecord>,
}

impl LastRecords {
    /// The last record of one chain.
    pub fn of(&self, chain: Chain) -> Option<&LastRecord> {
        match chain {
            Chain::Publish => self.publish.as_ref(),
            Chain::Recovery => self.recovery.as_ref(),
        }
    }

    /// One of them, of whichever chain there is one.
    pub fn any(&self) -> Option<&LastRecord> {
        self.publish.as_ref().or(self.recovery.as_ref())
    }
}

impl LastRecord {
    /// Two hashes, a number, the header, a channel name and the seal.
    pub(super) const MAX_BYTES: usize = 4096;

    pub(super) fn parse(bytes: &[u8], chain: Chain) -> Result<Self, &'static str> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES).map_err(|e| e.code())?;
        let record = Self::read(&mut reader, chain)?;
        reader.finish().map_err(|error| error.code())?;
        Ok(record)
    }

    fn read(reader: &mut Reader<'_>, chain: Chain) -> Result<Self, &'static str> {
        let code = |error: DecodeError| error.code();
        reader.expect_line(header(chain)).map_err(code)?;
        let name = parse_utf8(reader.line().map_err(code)?).map_err(|kind| kind.code())?;
        Ok(Self {
            channel: ChannelName::parse(name).map_err(|error| error.code())?,
            seq: reader.decimal_line().map_err(code)?,
            genesis: record_id(reader)?,
            head: record_id(reader)?,
        })
    }

    pub(super) fn encode(&self, chain: Chain) -> String {
        let (Self { channel, seq, genesis, head }, header) = (self, header(chain));
        format!("{header}\n{channel}\n{seq}\n{genesis}\n{head}\n")
    }
}

fn header(chain: Chain) -> &'static str {
    match chain {
        Chain::Publish => "indelible-last-record/v1",
        Chain::Recovery => "indelible-last-recovery-record/v1",
    }
}

pub(super) fn record_id(reader: &mut Reader<'_>) -> Result<RecordId, &'static str> {
    let line = reader.line().map_err(|error| error.code())?;
    let text = parse_utf8(line).map_err(|kind| kind.code())?;
    RecordId::parse(text).ok_or("record-id-not-hex")
}
