//! What a log's HTTP interface takes and answers, besides the read paths of c2sp.org/tlog-tiles.
//!
//! | request | body | answers |
//! |---|---|---|
//! | `POST /submit` | record leaf, at most [`MAX_RECORD_BYTES`] | 200 a log proof with the leaf as `extra`; 202 [`SequencedAnswer`]; otherwise [`ApiError`] |
//! | `POST /add` | any bytes, at most [`MAX_RAW_BYTES`] | 200 the index, [`encode_index`]; otherwise [`ApiError`] |
//! | `POST /add-batch` | up to [`MAX_BATCH_ENTRIES`] entries, [`encode_batch`] | 200 their indices, [`encode_indices`]; otherwise [`ApiError`] |
//! | `POST /submit-batch` | up to [`MAX_BATCH_RECORDS`] record leaves, [`encode_batch`] | 200 an answer for each, [`RecordAnswer`]; otherwise [`ApiError`] |
//! | `GET /channel/<name>` | | 200 [`ChannelHeadAnswer`]; otherwise [`ApiError`] |
//! | `GET /channel-file/<seq>/<seq>/<name>` | | 200 a channel file; otherwise [`ApiError`] |
//! | `GET /lookup/…` | | 200 or 404 [`LookupAnswer`]; otherwise [`ApiError`] |
//! | `GET /healthz` | | 200 |
//!
//! JSON answers are canonical and of the same profile as records ([`json`]): printable ASCII,
//! no null, one spelling. Answers are not signed. They tell a publisher what to do next; what a log has
//! taken in is only ever proved by a log proof.
//!
//! 429 and 503 have a `Retry-After` in whole seconds: 429 is about this client, 503 about the log. Nothing of
//! such a request was sequenced, unless the code is `outcome-unknown`; then the same bytes sent again tell.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};

use crate::entry_bundle::Entry;
use crate::record::json::{self, JsonError, MAX_STRING_BYTES, ObjectBuilder, Value};
use crate::record::{self, Chain, ChainHead, ChannelName, ChannelNameError, ChannelState, RecordId};
use crate::size::LeafIndex;
use crate::wire::{DecodeError, Reader};

mod batch;
mod channel_file;
mod lookup;

pub use batch::{
    ADD_BATCH_PATH, BatchError, MAX_BATCH_ANSWER_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES,
    MAX_BATCH_RECORDS, MAX_INDICES_BYTES, RecordAnswer, SUBMIT_BATCH_PATH, batch_prefix, encode_batch,
    encode_indices, parse_batch, parse_indices,
};
pub use channel_file::{CHANNEL_FILE_PATH_PREFIX, ChannelFilePath};
pub use lookup::{
    LOOKUP_PATH_PREFIX, Lookup, LookupAnswer, LookupEntry, LookupKey, LookupRecord, MAX_LOOKUP_BYTES,
    MAX_LOOKUP_ENTRIES,
};

/// Path of record submission.
pub const SUBMIT_PATH: &str = "/submit";
/// Path of submission of any bytes, in logs of kind raw.
pub const ADD_PATH: &str = "/add";
/// What stands before a channel's name in the path of its head.
pub const CHANNEL_PATH_PREFIX: &str = "/channel/";
/// Path that answers 200 while the log takes submissions.
pub const HEALTH_PATH: &str = "/healthz";
/// Media type of log proofs, checkpoints and indices.
pub const TEXT_MEDIA_TYPE: &str = "text/plain; charset=utf-8";
/// Media type of the JSON answers.
pub const JSON_MEDIA_TYPE: &str = "application/json";
/// Media type of submissions, tiles and entry bundles.
pub const BYTES_MEDIA_TYPE: &str = "application/octet-stream";

/// The longest body of `POST /submit`, in bytes.
pub const MAX_RECORD_BYTES: usize = record::MAX_RECORD_BYTES;
/// The longest body of `POST /add`, in bytes.
pub const MAX_RAW_BYTES: usize = Entry::MAX_LEN;
/// The longest JSON answer, in bytes: two full strings, a channel head, and what is around them.
pub const MAX_ANSWER_BYTES: usize = 4096;
/// The longest error code, in bytes.
pub const MAX_CODE_BYTES: usize = 64;

/// Why bytes are not an answer of this interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Too long, or not laid out as the answer is.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// Not canonical JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not this answer.
    #[error("the answer's {field} is missing, or not what it should be")]
    Field {
        /// The field, or the object with one too many.
        field: &'static str,
    },
    /// A path or answer with something else than a channel name in it.
    #[error(transparent)]
    ChannelName(#[from] ChannelNameError),
}

impl AnswerError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::Json(error) => error.code(),
            Self::Field { .. } => "answer-field",
            Self::ChannelName(error) => error.code(),
        }
    }
}

/// Answer 202 of `POST /submit`: the record has its place, and witnesses have yet to cosign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencedAnswer {
    /// The record's place in the log.
    pub index: LeafIndex,
}

impl SequencedAnswer {
    const STATE: &str = "sequenced";

    /// The answer as JSON, `{"index":N,"state":"sequenced"}`.
    pub fn encode(&self) -> String {
        ObjectBuilder::new().with("index", self.index.get()).with("state", Self::STATE).build().encode()
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut answer = Answer::parse(bytes)?;
        let index = answer.integer("index")?;
        let index = LeafIndex::new(index).map_err(|_| AnswerError::Field { field: "index" })?;
        if answer.string("state")? != Self::STATE {
            return Err(AnswerError::Field { field: "state" });
        }
        answer.finish()?;
        Ok(Self { index })
    }
}

/// A refusal, as JSON: `{"code":…,"message":…}`, and for a record that does not follow its chain's newest one
/// also `"head"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    code: String,
    message: String,
    head: Option<ChannelHeadAnswer>,
}

impl ApiError {
    /// A refusal. `code` is a stable name of an error; `message` is for people, and what is not printable
    /// ASCII in it is replaced by `?`, since it may quote what a stranger sent.
    pub fn new(code: &'static str, message: &str) -> Self {
        let printable = |byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' };
        let message = message.bytes().take(MAX_STRING_BYTES).map(printable).collect();
        Self { code: code.into(), message, head: None }
    }

    /// The same refusal with the channel's head.
    #[must_use]
    pub fn with_head(self, head: ChannelHeadAnswer) -> Self {
        Self { head: Some(head), ..self }
    }

    /// The stable name of the error: `a-z`, `0-9` and `-`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What happened, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The head of the record's channel, when the record does not follow it.
    pub fn head(&self) -> Option<&ChannelHeadAnswer> {
        self.head.as_ref()
    }

    /// The refusal as JSON.
    pub fn encode(&self) -> String {
        ObjectBuilder::new()
            .with("code", self.code.as_str())
            .with("message", self.message.as_str())
            .with_some("head", self.head.as_ref().map(ChannelHeadAnswer::to_value))
            .build()
            .encode()
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut answer = Answer::parse(bytes)?;
        let code = answer.string("code")?;
        let is_code = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=MAX_CODE_BYTES).contains(&code.len()) || !code.bytes().all(is_code) {
            return Err(AnswerError::Field { field: "code" });
        }
        let message = answer.string("message")?;
        let head = answer.optional("head").map(ChannelHeadAnswer::from_value).transpose()?;
        answer.finish()?;
        Ok(Self { code, message, head })
    }
}

/// Where a channel's chains stand, as the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelHeadAnswer {
    /// The channel.
    pub channel: ChannelName,
    /// `seq` of the publish chain's newest record.
    pub seq: u64,
    /// The publish chain's newest record: the next one's `prev`.
    pub head: RecordId,
    /// The channel record in force: the publish chain's next record's `keys`.
    pub keys: RecordId,
    /// The record that opened the channel.
    pub genesis: RecordId,
    /// Whether nothing follows on the publish chain until the recovery chain names new keys.
    pub frozen: bool,
    /// The recovery chain, if the channel has recovery keys.
    pub recovery: Option<RecoveryHeadAnswer>,
}

/// Where a channel's recovery chain stands, as the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryHeadAnswer {
    /// The channel record that named the recovery keys: the next one's `keys`.
    pub keys: RecordId,
    /// `seq` of the newest record, and that record; `None` if the chain has none yet.
    pub newest: Option<(u64, RecordId)>,
}

impl ChannelHeadAnswer {
    /// The head of a channel in this state.
    pub fn of(state: &ChannelState) -> Self {
        Self {
            channel: state.channel().clone(),
            seq: state.seq(),
            head: state.head(),
            keys: state.keys_record(),
            genesis: state.genesis(),
            frozen: state.signers().is_none(),
            recovery: state.recovery_keys_record().map(|keys| RecoveryHeadAnswer {
                keys,
                newest: state.chain_head(Chain::Recovery).map(|head| (head.seq, head.record)),
            }),
        }
    }

    /// The newest record of one of its chains; `None` of a recovery chain without records.
    pub fn newest(&self, chain: Chain) -> Option<ChainHead> {
        match chain {
            Chain::Publish => Some(ChainHead { seq: self.seq, record: self.head }),
            Chain::Recovery => self.recovery.as_ref()?.newest.map(|(seq, record)| ChainHead { seq, record }),
        }
    }

    /// The heads as JSON, `{"channel":…,"genesis":…,"head":…,"keys":…,"seq":N}`. Of a frozen channel with
    /// `"frozen":true`, and of one with recovery keys with `"recovery":{"keys":…}` or
    /// `"recovery":{"head":…,"keys":…,"seq":N}`.
    pub fn encode(&self) -> String {
        self.to_value().encode()
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        Reader::with_limit(bytes, MAX_ANSWER_BYTES)?;
        Self::from_value(json::parse(bytes)?)
    }

    fn to_value(&self) -> Value {
        ObjectBuilder::new()
            .with("channel", self.channel.as_str())
            .with("seq", self.seq)
            .with("head", self.head.to_string())
            .with("keys", self.keys.to_string())
            .with("genesis", self.genesis.to_string())
            .with_some("frozen", self.frozen.then_some(Value::Bool(true)))
            .with_some("recovery", self.recovery.as_ref().map(RecoveryHeadAnswer::to_value))
            .build()
    }

    fn from_value(value: Value) -> Result<Self, AnswerError> {
        let mut answer = Answer::of("head", value)?;
        let head = Self {
            channel: ChannelName::parse(&answer.string("channel")?)?,
            seq: answer.integer("seq")?,
            head: answer.record_id("head")?,
            keys: answer.record_id("keys")?,
            genesis: answer.record_id("genesis")?,
            frozen: answer.flag("frozen")?,
            recovery: answer.optional("recovery").map(RecoveryHeadAnswer::from_value).transpose()?,
        };
        answer.finish()?;
        Ok(head)
    }
}

impl RecoveryHeadAnswer {
    fn to_value(&self) -> Value {
        ObjectBuilder::new()
            .with("keys", self.keys.to_string())
            .with_some("seq", self.newest.map(|(seq, _)| seq))
            .with_some("head", self.newest.map(|(_, head)| head.to_string()))
            .build()
    }

    fn from_value(value: Value) -> Result<Self, AnswerError> {
        let mut answer = Answer::of("recovery", value)?;
        let keys = answer.record_id("keys")?;
        let newest = match answer.optional("seq") {
            None => None,
            Some(Value::Integer(seq)) => Some((seq, answer.record_id("head")?)),
            Some(_) => return Err(AnswerError::Field { field: "seq" }),
        };
        answer.finish()?;
        Ok(Self { keys, newest })
    }
}

/// Path of a channel's heads.
pub fn channel_path(channel: &ChannelName) -> String {
    format!("{CHANNEL_PATH_PREFIX}{channel}")
}

/// The channel of a head's path; the path is not percent-decoded, since no channel name needs it.
pub fn parse_channel_path(path: &str) -> Result<ChannelName, AnswerError> {
    let name = path.strip_prefix(CHANNEL_PATH_PREFIX).ok_or(AnswerError::Field { field: "path" })?;
    Ok(ChannelName::parse(name)?)
}

/// Answer 200 of `POST /add`: the index and a newline.
pub fn encode_index(index: LeafIndex) -> String {
    format!("{index}\n")
}

/// Reads exactly what [`encode_index`] writes.
pub fn parse_index(bytes: &[u8]) -> Result<LeafIndex, AnswerError> {
    let mut reader = Reader::new(bytes);
    let index = parse_index_line(&mut reader)?;
    reader.finish()?;
    Ok(index)
}

fn parse_index_line(reader: &mut Reader<'_>) -> Result<LeafIndex, AnswerError> {
    LeafIndex::new(reader.decimal_line()?).map_err(|_| AnswerError::Field { field: "index" })
}

/// The fields of one answer, each taken once.
struct Answer {
    object: &'static str,
    fields: BTreeMap<String, Value>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        Reader::with_limit(bytes, MAX_ANSWER_BYTES)?;
        Self::of("object", json::parse(bytes)?)
    }

    fn of(object: &'static str, value: Value) -> Result<Self, AnswerError> {
        match value {
            Value::Object(fields) => Ok(Self { object, fields }),
            _ => Err(AnswerError::Field { field: object }),
        }
    }

    fn optional(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    fn string(&mut self, field: &'static str) -> Result<String, AnswerError> {
        match self.optional(field) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(AnswerError::Field { field }),
        }
    }

    fn integer(&mut self, field: &'static str) -> Result<u64, AnswerError> {
        match self.optional(field) {
            Some(Value::Integer(value)) => Ok(value),
            _ => Err(AnswerError::Field { field }),
        }
    }

    /// A field that is left out when it is not true.
    fn flag(&mut self, field: &'static str) -> Result<bool, AnswerError> {
        match self.optional(field) {
            None => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(_) => Err(AnswerError::Field { field }),
        }
    }

    fn record_id(&mut self, field: &'static str) -> Result<RecordId, AnswerError> {
        RecordId::parse(&self.string(field)?).ok_or(AnswerError::Field { field })
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn finish(self) -> Result<(), AnswerError> {
        if self.is_empty() { Ok(()) } else { Err(AnswerError::Field { field: self.object }) }
    }
}

#[cfg(test)]
mod tests;
