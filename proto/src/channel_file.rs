//! Channel files: what a channel said, from its genesis or a remembered record on, verifiable offline.
//!
//! ```text
//! indelible-channel-file/v1
//! channel <name>
//! records <count>
//! record <length in bytes>         these two for each record, in the order of the log
//! <record leaf>
//! publish <decimal>                place of the publish chain's newest record above in the log
//! <hash, base64>                   up to 63: its inclusion proof, the leaf's sibling first
//!
//! recovery <decimal>               the same for the recovery chain, or: recovery none
//! <hash, base64>
//!
//! <checkpoint: a signed note, to the end of the file>
//! ```
//!
//! Files end in `.tlog-channel`, have 1 to [`ChannelFile::MAX_RECORDS`] records and at most
//! [`ChannelFile::MAX_BYTES`]. There is at least one record of the publish chain. Of each chain the records are
//! consecutive: `seq` goes up by one, and `prev` is the record before. `recovery none` if there is none of that
//! chain; no hashes and no empty line follow it then.
//!
//! Only the newest record of each chain is proved to be in the log. The ones before it are the ones it follows:
//! `prev` is a hash, so nothing else fits. That nothing newer exists is never proved; how much a
//! file can hide is told by the `expires` of the newest record or `head`, and by the checkpoint's age. A channel
//! with more records than one file takes comes in several, each the start of the next.

mod verify;

use alloc::format;
use alloc::vec::Vec;

use crate::hash::Hash;
use crate::note::{NoteError, SignedNote};
use crate::proof::{push_hash_lines, read_hash_lines};
use crate::record::{Chain, ChannelName, ChannelNameError, RecordError, SignedRecord};
use crate::size::LeafIndex;
use crate::tree::{InclusionError, InclusionProof};
use crate::wire::{DecodeError, DecodeErrorKind, Reader, parse_decimal, parse_utf8};

pub use verify::{ChannelFileRefusal, Start, VerifiedChannel};

const HEADER: &str = "indelible-channel-file/v1";
const NO_RECOVERY: &str = "recovery none";

/// Records of a channel and what proves the newest of each chain; nothing verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFile {
    channel: ChannelName,
    records: Vec<SignedRecord>,
    publish: NewestProof,
    recovery: Option<NewestProof>,
    note: SignedNote,
}

/// That the newest record of a chain is in the log, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestProof {
    /// Where it is said to be.
    pub index: LeafIndex,
    /// The inclusion proof.
    pub proof: InclusionProof,
}

/// Why bytes are not a channel file, or records are not those of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelFileError {
    /// Too long, or a line is missing or is not what its place demands.
    #[error(transparent)]
    Layout(#[from] DecodeError),
    /// Not a channel name.
    #[error(transparent)]
    ChannelName(#[from] ChannelNameError),
    /// No record, or more than [`ChannelFile::MAX_RECORDS`].
    #[error("{got} records, 1 to {} are allowed", ChannelFile::MAX_RECORDS)]
    Count {
        /// How many there are said to be.
        got: u64,
    },
    /// A leaf that is not a record.
    #[error("record {position} is none: {error}")]
    Record {
        /// Which one, counted from 0.
        position: usize,
        /// Why not.
        error: RecordError,
    },
    /// A record of another channel.
    #[error("record {position} is of another channel")]
    OtherChannel {
        /// Which one, counted from 0.
        position: usize,
    },
    /// A record that does not come right after the one before it of its chain.
    #[error("record {position} does not come after the one before it of its chain")]
    Gap {
        /// Which one, counted from 0.
        position: usize,
    },
    /// No record of a chain that is proved, or no proof for a chain with records.
    #[error("a chain with records but no proof, or the other way round")]
    ProofWithoutRecord,
    /// Not a proof.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// What follows is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl ChannelFileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Layout(error) => error.code(),
            Self::ChannelName(error) => error.code(),
            Self::Count { .. } => "channel-file-count",
            Self::Record { error, .. } => error.code(),
            Self::OtherChannel { .. } => "channel-file-other-channel",
            Self::Gap { .. } => "channel-file-gap",
            Self::ProofWithoutRecord => "channel-file-proof-without-record",
            Self::Inclusion(error) => error.code(),
            Self::Note(error) => error.code(),
        }
    }
}

impl ChannelFile {
    /// The most records of one file: about a megabyte of usual ones, verified in a fraction of a second.
    pub const MAX_RECORDS: usize = 1024;
    /// The longest file in bytes: so many of the largest records, a note, and what is around them.
    pub const MAX_BYTES: usize = 18 * 1024 * 1024;

    /// The file of these records, in the order of the log.
    pub fn new(
        records: Vec<SignedRecord>,
        publish: NewestProof,
        recovery: Option<NewestProof>,
        note: SignedNote,
    ) -> Result<Self, ChannelFileError> {
        let Some(first) = records.first() else {
            return Err(ChannelFileError::Count { got: 0 });
        };
        let channel = first.statement().predicate.common().channel.clone();
        let file = Self { channel, records, publish, recovery, note };
        file.check()?;
        Ok(file)
    }

    /// Reads a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChannelFileError> {
        let mut reader = Reader::with_limit(bytes, Self::MAX_BYTES)?;
        reader.expect_line(HEADER)?;
        let at = reader.position();
        let name = parse_utf8(reader.line_after("channel")?).map_err(|kind| DecodeError { at, kind })?;
        let channel = ChannelName::parse(name)?;
        let got = read_number(&mut reader, "records")?;
        if got == 0 || got > Self::MAX_RECORDS as u64 {
            return Err(ChannelFileError::Count { got });
        }
        let records = (0..got).map(|_| read_record(&mut reader));
        let records = records.enumerate().map(|(position, read)| match read {
            Ok(leaf) => {
                SignedRecord::parse(leaf).map_err(|error| ChannelFileError::Record { position, error })
            }
            Err(error) => Err(error.into()),
        });
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let publish = read_proof(&mut reader, "publish")?;
        let recovery = match reader.expect_line(NO_RECOVERY) {
            Ok(()) => None,
            Err(_) => Some(read_proof(&mut reader, "recovery")?),
        };
        let note = SignedNote::parse(reader.remaining())?;
        let file = Self { channel, records, publish, recovery, note };
        file.check()?;
        Ok(file)
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = format!("{HEADER}\nchannel {}\nrecords {}\n", self.channel, self.records.len());
        let mut bytes = header.into_bytes();
        for record in &self.records {
            let leaf = record.encode();
            bytes.extend_from_slice(format!("record {}\n", leaf.len()).as_bytes());
            bytes.extend_from_slice(&leaf);
        }
        write_proof(&mut bytes, "publish", &self.publish);
        match &self.recovery {
            Some(recovery) => write_proof(&mut bytes, "recovery", recovery),
            None => bytes.extend_from_slice(format!("{NO_RECOVERY}\n").as_bytes()),
        }
        bytes.extend_from_slice(&self.note.encode());
        bytes
    }

    /// The channel the records say they are of.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The records, in the order of the log.
    pub fn records(&self) -> &[SignedRecord] {
        &self.records
    }

    /// The newest record of a chain in this file.
    pub fn newest(&self, chain: Chain) -> Option<&SignedRecord> {
        self.records.iter().rev().find(|record| record.statement().predicate.common().chain == chain)
    }

    /// The note with the checkpoint, not verified.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// What holds for every file, wherever it comes from.
    fn check(&self) -> Result<(), ChannelFileError> {
        if self.records.len() > Self::MAX_RECORDS {
            return Err(ChannelFileError::Count { got: self.records.len() as u64 });
        }
        let mut newest: [Option<&SignedRecord>; 2] = [None, None];
        for (position, record) in self.records.iter().enumerate() {
            let common = record.statement().predicate.common();
            if common.channel != self.channel {
                return Err(ChannelFileError::OtherChannel { position });
            }
            let [publish, recovery] = &mut newest;
            let before = match common.chain {
                Chain::Publish => publish,
                Chain::Recovery => recovery,
            };
            if before.is_some_and(|before| !comes_after(record, before)) {
                return Err(ChannelFileError::Gap { position });
            }
            *before = Some(record);
        }
        let [publish, recovery] = newest;
        if publish.is_none() || recovery.is_some() != self.recovery.is_some() {
            return Err(ChannelFileError::ProofWithoutRecord);
        }
        Ok(())
    }
}

fn comes_after(record: &SignedRecord, before: &SignedRecord) -> bool {
    let (common, earlier) = (record.statement().predicate.common(), before.statement().predicate.common());
    common.seq.checked_sub(1) == Some(earlier.seq) && common.prev == Some(before.record_id())
}

fn read_number(reader: &mut Reader<'_>, word: &str) -> Result<u64, DecodeError> {
    let at = reader.position();
    parse_decimal(reader.line_after(word)?).map_err(|kind| DecodeError { at, kind })
}

fn read_record<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = read_number(reader, "record")?;
    reader.take(usize::try_from(length).unwrap_or(usize::MAX))
}

fn read_proof(reader: &mut Reader<'_>, word: &str) -> Result<NewestProof, ChannelFileError> {
    let at = reader.position();
    let index = LeafIndex::new(read_number(reader, word)?);
    let index = index.map_err(|_| DecodeError { at, kind: DecodeErrorKind::Decimal })?;
    let hashes: Vec<Hash> = read_hash_lines(reader)?;
    Ok(NewestProof { index, proof: InclusionProof::new(hashes)? })
}

fn write_proof(bytes: &mut Vec<u8>, word: &str, newest: &NewestProof) {
    let mut text = format!("{word} {}\n", newest.index);
    push_hash_lines(&mut text, newest.proof.hashes());
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
