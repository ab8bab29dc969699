//! Many entries or records in one request.
//!
//! Both batch paths take the same body: each entry with its length in two bytes (big-endian) before it, as in
//! an entry bundle. The framing is checked before anything of it is sequenced; a body that breaks off adds
//! nothing to the log.
//!
//! `POST /add-batch` is answered with one line for each entry, in order: its index and a newline. All are in
//! the log, or it is not known (503), and the same body sent again gets the same indices.
//!
//! `POST /submit-batch` is answered for each record on its own, in order: status in two bytes, length in four
//! (both big-endian), and the body that `POST /submit` of this record alone would have been answered with.

use alloc::string::String;
use alloc::vec::Vec;

use super::{AnswerError, encode_index, parse_index_line};
use crate::entry_bundle::Entry;
use crate::proof::LogProof;
use crate::size::LeafIndex;
use crate::wire::{DecodeError, Reader};

/// Path of submission of many entries, in logs of kind raw.
pub const ADD_BATCH_PATH: &str = "/add-batch";
/// Path of submission of many records.
pub const SUBMIT_BATCH_PATH: &str = "/submit-batch";

/// The longest body of a batch in bytes: what is sequenced at once.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The most entries in one `POST /add-batch`: a quarter of what may wait in a log with its default settings.
pub const MAX_BATCH_ENTRIES: usize = 4_096;
/// The most records in one `POST /submit-batch`. Each is answered with a proof, which is a few KiB.
pub const MAX_BATCH_RECORDS: usize = 256;
/// The longest answer to `POST /add-batch`: indices of 19 digits.
pub const MAX_INDICES_BYTES: usize = MAX_BATCH_ENTRIES * 20;
/// The longest answer to `POST /submit-batch`: proofs of the longest notes with all records in base64.
pub const MAX_BATCH_ANSWER_BYTES: usize = MAX_BATCH_RECORDS * LogProof::MAX_BYTES;

/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No entry at all.
    #[error("the batch has no entry")]
    Empty,
    /// More entries than a batch may have.
    #[error("the batch has more than {max} entries, send fewer at once")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// More bytes than a batch may have.
    #[error("the batch has {got} bytes, at most {MAX_BATCH_BYTES} are taken at once")]
    TooLong {
        /// How many bytes.
        got: usize,
    },
    /// An entry longer than an entry can be.
    #[error("entry {entry} has {got} bytes, at most {} are allowed", Entry::MAX_LEN)]
    EntryTooLong {
        /// Which entry, counted from 0.
        entry: usize,
        /// How many bytes.
        got: usize,
    },
    /// An entry that ends early.
    #[error("entry {entry} ends early: {source}")]
    Framing {
        /// Which entry, counted from 0.
        entry: usize,
        /// What is wrong.
        source: DecodeError,
    },
}

impl BatchError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "batch-empty",
            Self::TooMany { .. } => "batch-too-many",
            Self::TooLong { .. } => "batch-too-long",
            Self::EntryTooLong { .. } => "batch-entry-too-long",
            Self::Framing { .. } => "batch-framing",
        }
    }
}

/// The body of a batch of at most `max` entries.
pub fn encode_batch<E: AsRef<[u8]>>(entries: &[E], max: usize) -> Result<Vec<u8>, BatchError> {
    if entries.is_empty() {
        return Err(BatchError::Empty);
    }
    if entries.len() > max {
        return Err(BatchError::TooMany { max });
    }
    let mut out = Vec::new();
    for (entry, bytes) in entries.iter().enumerate() {
        let bytes = bytes.as_ref();
        let got = bytes.len();
        let length = u16::try_from(got).map_err(|_| BatchError::EntryTooLong { entry, got })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    if out.len() > MAX_BATCH_BYTES { Err(BatchError::TooLong { got: out.len() }) } else { Ok(out) }
}

/// The entries of a batch of at most `max`, in order. Reads exactly what [`encode_batch`] writes.
pub fn parse_batch(bytes: &[u8], max: usize) -> Result<Vec<&[u8]>, BatchError> {
    if bytes.len() > MAX_BATCH_BYTES {
        return Err(BatchError::TooLong { got: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let entry = entries.len();
        if entry == max {
            return Err(BatchError::TooMany { max });
        }
        let taken = reader.u16().and_then(|length| reader.take(usize::from(length)));
        entries.push(taken.map_err(|source| BatchError::Framing { entry, source })?);
    }
    if entries.is_empty() { Err(BatchError::Empty) } else { Ok(entries) }
}

/// How many of the first of these entries fit into one batch of at most `max`.
pub fn batch_prefix<E: AsRef<[u8]>>(entries: &[E], max: usize) -> usize {
    let mut bytes = 0usize;
    let fits = |entry: &&E| {
        bytes = bytes.saturating_add(LENGTH_BYTES).saturating_add(entry.as_ref().len());
        bytes <= MAX_BATCH_BYTES
    };
    entries.iter().take(max).take_while(fits).count()
}

/// Answer 200 of `POST /add-batch`: an index and a newline for each entry.
pub fn encode_indices(indices: &[LeafIndex]) -> String {
    indices.iter().map(|index| encode_index(*index)).collect()
}

/// Reads exactly what [`encode_indices`] writes, for a batch of `count` entries.
pub fn parse_indices(bytes: &[u8], count: usize) -> Result<Vec<LeafIndex>, AnswerError> {
    let mut reader = Reader::with_limit(bytes, MAX_INDICES_BYTES)?;
    let mut indices = Vec::new();
    for _ in 0..count.min(MAX_BATCH_ENTRIES) {
        indices.push(parse_index_line(&mut reader)?);
    }
    reader.finish()?;
    Ok(indices)
}

/// What one record of a batch is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAnswer {
    /// The HTTP status that `POST /submit` of it alone would have had.
    pub status: u16,
    /// The body that it would have had.
    pub body: Vec<u8>,
}

impl RecordAnswer {
    /// Answer 200 of `POST /submit-batch`.
    pub fn encode_all(answers: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        for answer in answers {
            let length = u32::try_from(answer.body.len()).expect("invariant: an answer is at most a proof");
            out.extend_from_slice(&answer.status.to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&answer.body);
        }
        out
    }

    /// Reads exactly what [`Self::encode_all`] writes, for a batch of `count` records. A status outside of
    /// 100 to 599 is refused, and so is a body longer than a proof can be.
    pub fn parse_all(bytes: &[u8], count: usize) -> Result<Vec<Self>, AnswerError> {
        let mut reader = Reader::with_limit(bytes, MAX_BATCH_ANSWER_BYTES)?;
        let mut answers = Vec::new();
        for _ in 0..count.min(MAX_BATCH_RECORDS) {
            let status = reader.u16()?;
            if !(100..600).contains(&status) {
                return Err(AnswerError::Field { field: "status" });
            }
            let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
            if length > LogProof::MAX_BYTES {
                return Err(AnswerError::Field { field: "length" });
            }
            answers.push(Self { status, body: reader.take(length)?.to_vec() });
        }
        reader.finish()?;
        Ok(answers)
    }
}

#[cfg(test)]
mod tests;
