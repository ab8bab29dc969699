//! The last record signed for each chain of each channel, byte for byte, so that an interrupted publication goes on with
//! the same record instead of signing a second one for the same place.
//!
//! ```text
//! <dir>/outbox/lock
//! <dir>/outbox/<SHA-256 of the channel name, hex>             the signed leaf, of the publish chain
//! <dir>/outbox/<SHA-256 of the channel name, hex>-recovery    of the recovery chain
//! <dir>/outbox/<either>.tlog-proof                            its proof, from when it was verified until it is written
//! ```
//!
//! A record is kept here before it is sent, and stays after it was published. Two records of one place
//! would prove a fork of the channel by its own publisher; losing the outbox in the middle of a
//! publication risks just that, and the log then refuses the second record.
//!
//! Of many proofs of a record, in larger and larger trees and with other cosignatures, an interrupted publication has to
//! end with the one it may have written already. A kept proof that is not of the record, or that does not verify any more,
//! is as good as none: the log gives another.

use std::path::{Path, PathBuf};

use indelible_proto::proof::LogProof;
use indelible_proto::record::{Chain, ChannelName, MAX_RECORD_BYTES, SignedRecord};

use crate::durable::{self, DirLock};
use crate::state::{StateError, chain_file, make_dir, read};

/// The outbox of a state directory, held until dropped: two publications at a time would race.
#[derive(Debug)]
pub struct Outbox {
    dir: PathBuf,
    _lock: DirLock,
}

/// A record that was signed for a channel.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The record.
    pub record: SignedRecord,
    /// Its exact bytes.
    pub leaf: Vec<u8>,
}

impl Outbox {
    /// Opens the outbox in the state directory `dir` and makes it if it is not there.
    ///
    /// # Errors
    /// [`StateError::File`], with [`durable::DurableError::Locked`] inside if another publication runs.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let dir = dir.join("outbox");
        make_dir(&dir)?;
        let lock = DirLock::acquire(&dir)?;
        durable::remove_leftovers(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// The last record signed for a chain of `channel`.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is no record of that chain, [`StateError::File`].
    pub fn kept(&self, channel: &ChannelName, chain: Chain) -> Result<Option<Kept>, StateError> {
        let path = self.path(channel, chain);
        let Some(leaf) = read(&path, MAX_RECORD_BYTES)? else {
            return Ok(None);
        };
        match SignedRecord::parse(&leaf) {
            Ok(record) if is_of(&record, channel, chain) => Ok(Some(Kept { record, leaf })),
            Ok(_) => Err(StateError::Damaged { path, code: "other-channel" }),
            Err(error) => Err(StateError::Damaged { path, code: error.code() }),
        }
    }

    /// Keeps `record` in place of the one before; on disk when the call returns.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn keep(&self, record: SignedRecord) -> Result<Kept, StateError> {
        let leaf = record.encode();
        let common = record.statement().predicate.common();
        durable::replace(&self.path(&common.channel, common.chain), &leaf)?;
        Ok(Kept { record, leaf })
    }

    /// The proof that an interrupted publication of a chain of `channel` has kept; the caller verifies it.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn proof(&self, record: &SignedRecord) -> Result<Option<Vec<u8>>, StateError> {
        match durable::read(&self.proof_path(record), LogProof::MAX_BYTES) {
            Err(durable::DurableError::TooLarge { .. }) => Ok(None),
            answer => Ok(answer?),
        }
    }

    /// Keeps a verified proof of `record` until [`Self::settle`].
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn keep_proof(&self, record: &SignedRecord, proof: &LogProof) -> Result<(), StateError> {
        Ok(durable::replace(&self.proof_path(record), &proof.encode())?)
    }

    /// Drops the proof of `record`, which is written and remembered.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn settle(&self, record: &SignedRecord) -> Result<(), StateError> {
        remove(self.proof_path(record))
    }

    /// Forgets `record`, if it is kept: the log has refused it for good.
    ///
    /// # Errors
    /// As [`Self::kept`].
    pub fn forget(&self, record: &SignedRecord) -> Result<(), StateError> {
        let common = record.statement().predicate.common();
        let kept = self.kept(&common.channel, common.chain)?;
        if kept.is_none_or(|kept| kept.record != *record) {
            return Ok(());
        }
        remove(self.path(&common.channel, common.chain))
    }

    fn path(&self, channel: &ChannelName, chain: Chain) -> PathBuf {
        self.dir.join(chain_file(channel, chain))
    }

    fn proof_path(&self, record: &SignedRecord) -> PathBuf {
        let common = record.statement().predicate.common();
        self.dir.join(format!("{}.tlog-proof", chain_file(&common.channel, common.chain)))
    }
}

fn remove(path: PathBuf) -> Result<(), StateError> {
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(durable::DurableError::NotWritten { path, source }.into())
        }
        _ => Ok(()),
    }
}

fn is_of(record: &SignedRecord, channel: &ChannelName, chain: Chain) -> bool {
    let common = record.statement().predicate.common();
    common.channel == *channel && common.chain == chain
}
