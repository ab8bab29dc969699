//! Pinned channels: the proof of a channel's first record, kept once it was verified.
//!
//! ```text
//! <dir>/pins/<SHA-256 of the channel name, hex>      the genesis record's `.tlog-proof`, byte for byte
//! ```
//!
//! A pin says which record opened a channel, and so which keys count; another genesis under the same name
//! is another channel. The proof is verified against the policy each time it is used, so a changed file is
//! damage and a changed policy is noticed. Losing the pins means that the channel proof has to be given
//! again.

use std::path::{Path, PathBuf};

use indelible_proto::hash::sha256;
use indelible_proto::proof::LogProof;
use indelible_proto::record::ChannelName;

use crate::durable;
use crate::state::{StateDir, StateError, make_dir, read};

/// The pinned channels in a state directory, usable as long as it is held.
#[derive(Debug)]
pub struct Pins<'a> {
    dir: PathBuf,
    _held: &'a StateDir,
}

impl<'a> Pins<'a> {
    /// The pins in `dir`, the directory that `held` holds.
    ///
    /// # Errors
    /// [`StateError::File`] if their directory cannot be made.
    pub fn open(dir: &Path, held: &'a StateDir) -> Result<Self, StateError> {
        let dir = dir.join("pins");
        make_dir(&dir)?;
        durable::remove_leftovers(&dir)?;
        Ok(Self { dir, _held: held })
    }

    /// The proof that `channel` was pinned by.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is no proof, [`StateError::File`].
    pub fn proof(&self, channel: &ChannelName) -> Result<Option<LogProof>, StateError> {
        let path = self.path(channel);
        let Some(bytes) = read(&path, LogProof::MAX_BYTES)? else {
            return Ok(None);
        };
        match LogProof::parse(&bytes) {
            Ok(proof) => Ok(Some(proof)),
            Err(error) => Err(StateError::Damaged { path, code: error.code() }),
        }
    }

    /// Pins `channel` by `proof`, which the caller has verified to be of its first record.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn pin(&self, channel: &ChannelName, proof: &LogProof) -> Result<(), StateError> {
        Ok(durable::replace(&self.path(channel), &proof.encode())?)
    }

    /// Where the pin of `channel` is, for messages that say which file to delete.
    pub fn path(&self, channel: &ChannelName) -> PathBuf {
        self.dir.join(sha256(channel.as_str().as_bytes()).to_hex())
    }
}
