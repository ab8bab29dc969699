//! What a client remembers between runs: per log the largest checkpoint it verified, per channel the last
//! record it published on each chain and the last it verified for installation. Those are apart: who publishes may well
//! verify an older release.
//!
//! ```text
//! <dir>/lock
//! <dir>/checkpoints/<SHA-256 of the origin, hex>         the signed note, byte for byte
//! <dir>/channels/<SHA-256 of the channel name, hex>      the last published, see [`LastRecord`]; with `-recovery` behind
//!                                                        it that of the recovery chain
//! <dir>/verified/<SHA-256 of the channel name, hex>      the last verified, likewise
//! <dir>/signed/<SHA-256 of channel and key, hex>         the last verified by a key alone, see [`LastSigned`]
//! <dir>/known/<SHA-256 of the channel name, hex>         its records, see [`crate::channel`]
//! <dir>/withdrawn/<record id, hex>                       what was withdrawn from here, see [`withdrawn`]
//! <dir>/time                                             `indelible-time-floor/v1`, then seconds since 1970
//! <dir>/policy                                           `indelible-policy/v1`, then the policy file
//! ```
//!
//! What is no signed note ends in a line with the digest of the rest, see [`crate::seal`].
//!
//! Trusted for what it says about the past: an older copy of the directory forgets, and a rollback to
//! what it still knows goes unseen; a lost one starts afresh. Files are replaced atomically and the
//! directory is held by one process at a time. A file that cannot be read as what this module wrote, or
//! whose note the policy's log key does not verify, is damage on this machine and **never** a sign that
//! the log misbehaved: a power cut fills files with zeros.

mod last_record;
mod policy;
mod signed;
mod withdrawn;

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::hash::sha256;
use indelible_proto::note::{MAX_NOTE_BYTES, SignedNote};
use indelible_proto::policy::{LogSigned, Policy, VerifiedCheckpoint};
use indelible_proto::record::{Chain, ChannelName};
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::Reader;

pub use last_record::{LastRecord, LastRecords};
pub use signed::LastSigned;

use crate::channel::KnownChannel;
use crate::durable::{self, DirLock, DurableError};
use crate::seal::{SEAL_LEN, sealed, unsealed};

/// Why remembered state cannot be used. Always a local matter, exit code 40.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file is not what was written there.
    #[error(
        "{} is damaged ({code}); this is damage on this machine, not misbehaviour of a log; \
         restore the file or, to forget what it remembered, delete it",
        path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// The stable name of what is wrong with it.
        code: &'static str,
    },
    /// A file was written for a log of another kind than is asked about now.
    #[error("{} was written while watching a log of another kind; use another state directory", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint to remember has the size of the remembered one and another root.
    #[error("the checkpoint of size {size} to be remembered contradicts the remembered one")]
    Contradiction {
        /// The size of both.
        size: u64,
    },
    /// A file or the directory cannot be read, written or locked.
    #[error(transparent)]
    File(#[from] DurableError),
}

impl StateError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "state-damaged",
            Self::OtherKind { .. } => "state-other-kind",
            Self::Contradiction { .. } => "state-contradiction",
            Self::File(error) => error.code(),
        }
    }
}

/// A state directory, held until dropped.
#[derive(Debug)]
pub struct StateDir {
    dir: PathBuf,
    _lock: DirLock,
}

impl StateDir {
    /// Opens the directory and makes it if it is not there.
    ///
    /// # Errors
    /// [`StateError::File`]; with [`DurableError::Locked`] inside if another process uses it.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        make_dir(dir)?;
        let lock = DirLock::acquire(dir)?;
        durable::remove_leftovers(dir)?;
        for sub in [CHECKPOINTS, CHANNELS, VERIFIED, SIGNED, KNOWN, withdrawn::WITHDRAWN] {
            make_dir(&dir.join(sub))?;
            durable::remove_leftovers(&dir.join(sub))?;
        }
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The remembered checkpoint of `origin`, which must be signed by that log as `policy` knows it.
    ///
    /// # Errors
    /// [`StateError::Damaged`] for anything else, [`StateError::File`].
    pub fn checkpoint(&self, origin: &Origin, policy: &Policy) -> Result<Option<LogSigned>, StateError> {
        let path = self.checkpoint_path(origin);
        let Some(bytes) = read(&path, MAX_NOTE_BYTES)? else {
            return Ok(None);
        };
        let damaged = |code| StateError::Damaged { path: path.clone(), code };
        let note = SignedNote::parse(&bytes).map_err(|error| damaged(error.code()))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| damaged(error.code()))?;
        if checkpoint.origin() != origin {
            return Err(damaged("other-origin"));
        }
        policy.verify_log_signature(&note).map(Some).map_err(|error| damaged(error.code()))
    }

    /// Remembers a checkpoint unless a larger one of the log is remembered already. The caller has proved
    /// the two consistent.
    ///
    /// # Errors
    /// [`StateError::Contradiction`] if the remembered one has the same size and another root, which the
    /// caller should have noticed: nothing is changed. Otherwise as [`Self::checkpoint`].
    pub fn remember_checkpoint(&self, seen: &VerifiedCheckpoint, policy: &Policy) -> Result<(), StateError> {
        if let Some(held) = self.checkpoint(seen.origin(), policy)? {
            let (held, seen) = (held.head(), seen.head());
            if held.size == seen.size && held.root != seen.root {
                return Err(StateError::Contradiction { size: seen.size.get() });
            }
            if held.size > seen.size {
                return Ok(());
            }
        }
        Ok(durable::replace(&self.checkpoint_path(seen.origin()), &seen.note().encode())?)
    }

    /// The last published records of `channel`, one of each chain.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a file is not whole or is about another channel or chain, [`StateError::File`].
    pub fn last_records(&self, channel: &ChannelName) -> Result<LastRecords, StateError> {
        let of = |chain| read_record(self.published_path(channel, chain), channel, chain);
        Ok(LastRecords { publish: of(Chain::Publish)?, recovery: of(Chain::Recovery)? })
    }

    /// The last record of `channel` that was verified for installation.
    ///
    /// # Errors
    /// As [`Self::last_records`].
    pub fn last_verified(&self, channel: &ChannelName) -> Result<Option<LastRecord>, StateError> {
        read_record(self.channel_path(VERIFIED, channel), channel, Chain::Publish)
    }

    /// Remembers the last published record of a chain, unless a later one is remembered.
    ///
    /// # Errors
    /// As [`Self::last_records`].
    pub fn remember_record(&self, chain: Chain, record: &LastRecord) -> Result<(), StateError> {
        let path = self.published_path(&record.channel, chain);
        if read_record(path.clone(), &record.channel, chain)?.is_some_and(|held| held.seq > record.seq) {
            return Ok(());
        }
        Ok(durable::replace(&path, &sealed(record.encode(chain).into_bytes()))?)
    }

    /// Remembers the last record that was verified for installation, in place of the one before. The caller has checked
    /// that it is not an earlier one.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn remember_verified(&self, record: &LastRecord) -> Result<(), StateError> {
        let path = self.channel_path(VERIFIED, &record.channel);
        Ok(durable::replace(&path, &sealed(record.encode(Chain::Publish).into_bytes()))?)
    }

    /// What is known of `channel`.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is not whole or is about another channel, [`StateError::File`].
    pub fn known_channel(&self, channel: &ChannelName) -> Result<Option<KnownChannel>, StateError> {
        let path = self.channel_path(KNOWN, channel);
        let Some(bytes) = read(&path, KnownChannel::MAX_BYTES.saturating_add(SEAL_LEN))? else {
            return Ok(None);
        };
        let parse = |body| KnownChannel::parse(body).map_err(|error| error.code());
        match unsealed(&bytes).and_then(parse) {
            Ok(known) if known.name() == channel => Ok(Some(known)),
            Ok(_) => Err(StateError::Damaged { path, code: "other-channel" }),
            Err(code) => Err(StateError::Damaged { path, code }),
        }
    }

    /// Remembers what is known of a channel, unless as much is remembered already: another run may have come
    /// first. The caller has it by extending what was remembered.
    ///
    /// # Errors
    /// As [`Self::known_channel`].
    pub fn remember_known(&self, known: &KnownChannel) -> Result<(), StateError> {
        if self.known_channel(known.name())?.is_some_and(|held| held.covers(known)) {
            return Ok(());
        }
        Ok(durable::replace(&self.channel_path(KNOWN, known.name()), &sealed(known.encode()))?)
    }

    /// The newest time that a quorum of witnesses is known to have vouched for.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is not whole, [`StateError::File`].
    pub fn time_floor(&self) -> Result<Option<UnixSeconds>, StateError> {
        let path = self.dir.join(TIME_FLOOR);
        let Some(bytes) = read(&path, TIME_FLOOR_MAX_BYTES)? else {
            return Ok(None);
        };
        unsealed(&bytes)
            .and_then(parse_time_floor)
            .map(Some)
            .map_err(|code| StateError::Damaged { path, code })
    }

    /// Remembers a time that a quorum vouched for, unless a later one is remembered.
    ///
    /// # Errors
    /// As [`Self::time_floor`].
    pub fn raise_time_floor(&self, time: UnixSeconds) -> Result<(), StateError> {
        if self.time_floor()?.is_some_and(|floor| floor >= time) {
            return Ok(());
        }
        let text = format!("{TIME_FLOOR_HEADER}\n{}\n", time.get());
        Ok(durable::replace(&self.dir.join(TIME_FLOOR), &sealed(text.into_bytes()))?)
    }

    fn checkpoint_path(&self, origin: &Origin) -> PathBuf {
        self.dir.join(CHECKPOINTS).join(origin.hash_hex())
    }

    fn published_path(&self, channel: &ChannelName, chain: Chain) -> PathBuf {
        self.dir.join(CHANNELS).join(chain_file(channel, chain))
    }

    fn channel_path(&self, folder: &str, channel: &ChannelName) -> PathBuf {
        self.dir.join(folder).join(chain_file(channel, Chain::Publish))
    }
}

/// The name of a file about one chain of a channel, or about the whole channel as if about its publish chain.
pub(crate) fn chain_file(channel: &ChannelName, chain: Chain) -> String {
    let name = sha256(channel.as_str().as_bytes()).to_hex();
    match chain {
        Chain::Publish => name,
        Chain::Recovery => format!("{name}-recovery"),
    }
}

/// Makes a directory and those above it, if they are not there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), StateError> {
    let not_written = |source| DurableError::NotWritten { path: dir.to_owned(), source };
    Ok(fs::create_dir_all(dir).map_err(not_written)?)
}

/// A state file; one that is longer than we ever write is damaged.
pub(crate) fn read(path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, StateError> {
    match durable::read(path, max_bytes) {
        Err(DurableError::TooLarge { path, .. }) => Err(StateError::Damaged { path, code: "too-long" }),
        answer => Ok(answer?),
    }
}

fn read_record(path: PathBuf, channel: &ChannelName, chain: Chain) -> Result<Option<LastRecord>, StateError> {
    let Some(bytes) = read(&path, LastRecord::MAX_BYTES)? else {
        return Ok(None);
    };
    match unsealed(&bytes).and_then(|body| LastRecord::parse(body, chain)) {
        Ok(record) if record.channel == *channel => Ok(Some(record)),
        Ok(_) => Err(StateError::Damaged { path, code: "other-channel" }),
        Err(code) => Err(StateError::Damaged { path, code }),
    }
}

fn parse_time_floor(bytes: &[u8]) -> Result<UnixSeconds, &'static str> {
    let mut reader = Reader::with_limit(bytes, TIME_FLOOR_MAX_BYTES).map_err(|error| error.code())?;
    reader.expect_line(TIME_FLOOR_HEADER).map_err(|error| error.code())?;
    let seconds = reader.decimal_line().map_err(|error| error.code())?;
    reader.finish().map_err(|error| error.code())?;
    UnixSeconds::new(seconds).map_err(|error| error.code())
}

const TIME_FLOOR: &str = "time";
const TIME_FLOOR_HEADER: &str = "indelible-time-floor/v1";
/// The header, 20 digits and the seal.
const TIME_FLOOR_MAX_BYTES: usize = 128;
const CHECKPOINTS: &str = "checkpoints";
const CHANNELS: &str = "channels";
const VERIFIED: &str = "verified";
const SIGNED: &str = "signed";
const KNOWN: &str = "known";

#[cfg(test)]
mod tests;
