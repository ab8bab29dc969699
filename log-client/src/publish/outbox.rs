//! The last record signed for each channel, byte for byte, so that an interrupted publication goes on with
//! the same record instead of signing a second one for the same place.
//!
//! ```text
//! <dir>/outbox/lock
//! <dir>/outbox/<SHA-256 of the channel name, hex>        the signed leaf
//! ```
//!
//! A record is kept here before it is sent, and stays after it was published. Two records of one place
//! would prove a fork of the channel by its own publisher; losing the outbox in the middle of a
//! publication risks just that, and the log then refuses the second record.

use std::path::{Path, PathBuf};

use indelible_proto::hash::sha256;
use indelible_proto::record::{ChannelName, MAX_RECORD_BYTES, SignedRecord};

use crate::durable::{self, DirLock};
use crate::state::{StateError, make_dir, read};

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

    /// The last record signed for `channel`.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is no record of that channel, [`StateError::File`].
    pub fn kept(&self, channel: &ChannelName) -> Result<Option<Kept>, StateError> {
        let path = self.path(channel);
        let Some(leaf) = read(&path, MAX_RECORD_BYTES)? else {
            return Ok(None);
        };
        match SignedRecord::parse(&leaf) {
            Ok(record) if record.statement().predicate.common().channel == *channel => {
                Ok(Some(Kept { record, leaf }))
            }
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
        durable::replace(&self.path(&record.statement().predicate.common().channel), &leaf)?;
        Ok(Kept { record, leaf })
    }

    /// Forgets the record kept for `channel`: the log has refused it for good.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn forget(&self, channel: &ChannelName) -> Result<(), StateError> {
        let path = self.path(channel);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(durable::DurableError::NotWritten { path, source }.into())
            }
            _ => Ok(()),
        }
    }

    fn path(&self, channel: &ChannelName) -> PathBuf {
        self.dir.join(sha256(channel.as_str().as_bytes()).to_hex())
    }
}
