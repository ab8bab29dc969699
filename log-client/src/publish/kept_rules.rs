//! The newest rules published on each channel, so that the next record can count what changed.
//!
//! ```text
//! <dir>/rules/<SHA-256 of the channel name, hex>/newest          the record's `.tlog-proof`
//! <dir>/rules/<SHA-256 of the channel name, hex>/<root, hex>     the listing of a bundle, as `sha256sum` prints it
//! ```
//!
//! A listing is kept before its record is sent, so that it is there however the record gets into the log, and those of
//! other bundles are dropped once the record is published. Neither file is believed: the proof is verified each time,
//! and the listing has to have the root and the number of files that the record names. What is damaged stops the
//! publication; it never gives a wrong count.
//!
//! Another machine may have published newer rules meanwhile. The count is then against the older record, which it names.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::hash::{Hash, leaf_hash, sha256};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::body::{Bundle, Delta};
use indelible_proto::record::{ChannelName, Predicate, RecordId, SignedRecord};

use super::Published;
use crate::bundle::{Changes, ListingFileError, changes_since};
use crate::durable::{self, DurableError};
use crate::state::{StateDir, StateError, make_dir, read};

/// The kept rules of one channel, usable as long as the state directory is held.
#[derive(Debug)]
pub struct KeptRules<'a> {
    dir: PathBuf,
    channel: ChannelName,
    _held: &'a StateDir,
}

/// Why it is not known here what changed since the rules before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDelta {
    /// No rules of the channel were published from here.
    #[error("no rules of the channel were published from here")]
    NoRules,
    /// Rules were published from here, and another machine had the files.
    #[error("record {0}, the newest rules published from here, was made on another machine")]
    NoListing(RecordId),
}

impl NoDelta {
    /// The stable name of this reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRules => "no-rules-published-here",
            Self::NoListing(_) => "rules-made-elsewhere",
        }
    }
}

impl<'a> KeptRules<'a> {
    /// The rules of `channel` in `dir`, the directory that `held` holds.
    ///
    /// # Errors
    /// [`StateError::File`] if their directory cannot be made.
    pub fn open(dir: &Path, held: &'a StateDir, channel: &ChannelName) -> Result<Self, StateError> {
        let dir = dir.join("rules").join(sha256(channel.as_str().as_bytes()).to_hex());
        make_dir(&dir)?;
        durable::remove_leftovers(&dir)?;
        Ok(Self { dir, channel: channel.clone(), _held: held })
    }

    /// What changed since the newest rules that are known to be published, or why that is not known here.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a file is not what was written there, or the proof does not hold under `policy`;
    /// [`StateError::File`].
    pub fn delta(&self, tree: &BundleTree, policy: &Policy) -> Result<Result<Delta, NoDelta>, StateError> {
        let path = self.newest_path();
        let Some(bytes) = read(&path, LogProof::MAX_BYTES)? else {
            return Ok(Err(NoDelta::NoRules));
        };
        let (from, bundle) =
            rules_in(&bytes, &self.channel, policy).map_err(|code| StateError::Damaged { path, code })?;
        let path = self.listing_path(bundle.root);
        let Some(mut listing) = open(&path)? else {
            return Ok(Err(NoDelta::NoListing(from)));
        };
        let damaged = |code| StateError::Damaged { path: path.clone(), code };
        let (digest, changes) = changes_since(&mut listing, tree).map_err(|error| match error {
            ListingFileError::Read(source) => DurableError::Unreadable { path: path.clone(), source }.into(),
            other => damaged(other.code()),
        })?;
        if digest.head.root != bundle.root || digest.head.size.get() != bundle.files {
            return Err(damaged("listing-of-other-bundle"));
        }
        Ok(Ok(delta(from, changes)))
    }

    /// Keeps the listing of a bundle that is about to be published.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn keep(&self, tree: &BundleTree) -> Result<(), StateError> {
        Ok(durable::replace(&self.listing_path(tree.root()), tree.lines().as_bytes())?)
    }

    /// Takes `published` for the newest rules of the channel and drops the listings of all others.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn newest(&self, published: &Published, bundle: &Bundle) -> Result<(), StateError> {
        durable::replace(&self.newest_path(), &published.proof.encode())?;
        let listing = self.listing_path(bundle.root);
        let dir = &self.dir;
        let not_written = |source| DurableError::NotWritten { path: dir.clone(), source };
        for entry in std::fs::read_dir(dir).map_err(not_written)? {
            let path = entry.map_err(not_written)?.path();
            if path != listing && path != self.newest_path() {
                std::fs::remove_file(&path).map_err(|source| DurableError::NotWritten { path, source })?;
            }
        }
        Ok(())
    }

    fn newest_path(&self) -> PathBuf {
        self.dir.join("newest")
    }

    fn listing_path(&self, root: Hash) -> PathBuf {
        self.dir.join(root.to_hex())
    }
}

/// A count as a record has it.
pub fn delta(from: RecordId, changes: Changes) -> Delta {
    let Changes { added, changed, removed } = changes;
    Delta { from, added, changed, removed }
}

fn rules_in(
    proof: &[u8],
    channel: &ChannelName,
    policy: &Policy,
) -> Result<(RecordId, Bundle), &'static str> {
    let proof = LogProof::parse(proof).map_err(|error| error.code())?;
    let leaf = proof.extra().ok_or("proof-without-record")?;
    proof.verify(&leaf_hash(leaf), policy).map_err(|error| error.code())?;
    let record = SignedRecord::parse(leaf).map_err(|error| error.code())?;
    match &record.statement().predicate {
        Predicate::Rules(common, _) if common.channel != *channel => Err("other-channel"),
        Predicate::Rules(_, body) => Ok((record.record_id(), body.bundle)),
        _ => Err("record-of-no-bundle"),
    }
}

fn open(path: &Path) -> Result<Option<BufReader<File>>, StateError> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DurableError::Unreadable { path: path.to_owned(), source }.into()),
    }
}
