//! The last record of a channel that each key signed, for clients that trust keys and know no more of the channel.
//!
//! ```text
//! <dir>/signed/<SHA-256 of channel name, newline, key name, newline, key id in hex>
//! ```

use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyId, KeyName, NoteSignature, VerifierKey};
use indelible_proto::record::{ChannelName, RecordId};
use indelible_proto::wire::{DecodeError, Reader, parse_utf8};

use super::last_record::record_id;
use super::*;

/// The last record of a channel that was verified because this key signed it.
///
/// Its file before the seal, with one newline after each line:
///
/// ```text
/// indelible-last-signed/v1
/// <channel name>
/// <verifier key>
/// <seq, decimal>
/// <record id, hex>
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSigned {
    /// The channel's name.
    pub channel: ChannelName,
    /// The key that signed it.
    pub key: VerifierKey,
    /// The record's number in the channel.
    pub seq: u64,
    /// The record.
    pub head: RecordId,
}

impl LastSigned {
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader::with_limit(bytes, MAX_BYTES).map_err(|e| e.code())?;
        let signed = Self::read(&mut reader)?;
        reader.finish().map_err(|error| error.code())?;
        Ok(signed)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, &'static str> {
        let code = |error: DecodeError| error.code();
        reader.expect_line(HEADER).map_err(code)?;
        let name = parse_utf8(reader.line().map_err(code)?).map_err(|kind| kind.code())?;
        let channel = ChannelName::parse(name).map_err(|error| error.code())?;
        let key = parse_utf8(reader.line().map_err(code)?).map_err(|kind| kind.code())?;
        Ok(Self {
            channel,
            key: VerifierKey::parse(key).map_err(|error| error.code())?,
            seq: reader.decimal_line().map_err(code)?,
            head: record_id(reader)?,
        })
    }

    fn encode(&self) -> String {
        let Self { channel, key, seq, head } = self;
        format!("{HEADER}\n{channel}\n{key}\n{seq}\n{head}\n")
    }
}

impl StateDir {
    /// The last record of `channel` that was verified because the key that this line names signed it. Two keys can have
    /// one name and id: then it is that of either, which refuses more, not less.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is not whole or is about another channel or key, [`StateError::File`].
    pub fn last_signed(
        &self,
        channel: &ChannelName,
        line: &NoteSignature,
    ) -> Result<Option<LastSigned>, StateError> {
        let path = self.signed_path(channel, line.name(), line.id());
        let Some(bytes) = read(&path, MAX_BYTES)? else {
            return Ok(None);
        };
        match unsealed(&bytes).and_then(LastSigned::parse) {
            Ok(signed) if signed.channel != *channel => {
                Err(StateError::Damaged { path, code: "other-channel" })
            }
            Ok(signed) if !line.names(&signed.key) => Err(StateError::Damaged { path, code: "other-key" }),
            Ok(signed) => Ok(Some(signed)),
            Err(code) => Err(StateError::Damaged { path, code }),
        }
    }

    /// Remembers a record in place of the one before. The caller has checked that it is not an earlier one.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn remember_signed(&self, signed: &LastSigned) -> Result<(), StateError> {
        let path = self.signed_path(&signed.channel, signed.key.name(), signed.key.id());
        Ok(durable::replace(&path, &sealed(signed.encode().into_bytes()))?)
    }

    pub(super) fn signed_path(&self, channel: &ChannelName, name: &KeyName, id: KeyId) -> PathBuf {
        self.dir.join(SIGNED).join(sha256(format!("{channel}\n{name}\n{id}").as_bytes()).to_hex())
    }
}

const HEADER: &str = "indelible-last-signed/v1";
/// The header, a channel name, a key, a number, a hash and the seal.
const MAX_BYTES: usize = 4096;
