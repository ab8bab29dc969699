//! Making a new log.
//!
//! [`init`] writes, in this order, into a directory that has none of it: the signing key (mode 0600), its
//! verifier key, the policy, the data directory with the signed checkpoint of the empty log, that checkpoint
//! as the published one, and last the settings, without which `run` refuses to start. It never overwrites and
//! never deletes: what a failed attempt leaves behind is refused by the next one.

mod policy;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::http::Uri;
use indelible_client::durable::{self, Access, DurableError};
use indelible_client::keys::{self, KeyAlgorithm, KeyFileError};
use indelible_proto::checkpoint::{Checkpoint, CheckpointError, Origin};
use indelible_proto::note::{KeyError, KeyKind, KeyName, NoteError, SignedNote, VerifierKey};
use indelible_proto::policy::PolicyFileError;
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use zeroize::Zeroizing;

use crate::config::{CONFIG_FILE, Config, DATA_DIR, KEY_FILE, POLICY_FILE, VERIFIER_KEY_FILE};
use crate::kind::LogKind;
use crate::publish::CHECKPOINT_FILE;
use crate::sequencer::{self, OpenError};

/// Why no log was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Something is in the place of a file of the new log. Nothing was changed.
    #[error("{} exists already; nothing was changed: a log is made once, choose another directory", path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The directory can't be looked into.
    #[error("cannot look at {}", path.display())]
    Look {
        /// What was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The origin can't be a key's name.
    #[error("the origin cannot be the name of a key")]
    KeyName(#[source] KeyError),
    /// Witnesses were named neither with an address nor ruled out.
    #[error(
        "no witnesses given: name them with --witness 'VKEY URL', or say --no-witnesses to make a log that \
         readers must trust alone"
    )]
    NoWitnesses,
    /// More witnesses must agree than there are, or none.
    #[error("a quorum of {got} is impossible with {witnesses} witnesses, it must be from 1 to {witnesses}")]
    Quorum {
        /// The quorum asked for.
        got: usize,
        /// How many witnesses there are.
        witnesses: usize,
    },
    /// The policy that would be written is refused, for example because two witnesses have one key.
    #[error("the policy of the new log would be refused")]
    Policy(#[source] PolicyFileError),
    /// The system gives no randomness.
    #[error("cannot make the signing key")]
    Key(#[source] KeyFileError),
    /// A file could not be written.
    #[error("cannot write the new log")]
    Write(#[source] DurableError),
    /// The data directory could not be made.
    #[error("cannot make the data directory")]
    Create(#[source] OpenError),
    /// The first checkpoint could not be made.
    #[error("cannot make the first checkpoint")]
    Checkpoint(#[source] CheckpointError),
    /// The first checkpoint could not be signed.
    #[error("cannot sign the first checkpoint")]
    Note(#[source] NoteError),
}

/// Why a `--witness` argument was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// Not two parts.
    #[error("expected 'VKEY URL', a verifier key and an address parted by one space")]
    Form,
    /// The verifier key is refused.
    #[error("the verifier key is refused: {0}")]
    Key(#[source] KeyError),
    /// The address is no URL this log can reach.
    #[error("{got:?} is not an http:// or https:// address")]
    Url {
        /// The refused address.
        got: String,
    },
}

/// A witness of the new log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWitness {
    key: VerifierKey,
    url: String,
}

impl NewWitness {
    /// Reads `VKEY URL`: a verifier key of a cosigner, one space, and the witness's submission prefix.
    pub fn parse(text: &str) -> Result<Self, WitnessError> {
        let (key, url) = text.split_once(' ').ok_or(WitnessError::Form)?;
        let key = VerifierKey::parse(key).map_err(WitnessError::Key)?;
        match key.kind() {
            KeyKind::Cosigner => Ok(Self { key, url: parse_url(url)? }),
            got => Err(WitnessError::Key(KeyError::WrongKind { expected: KeyKind::Cosigner, got })),
        }
    }
}

/// An address as policies carry it: `http://` or `https://`, no spaces or control characters.
pub fn parse_url(text: &str) -> Result<String, WitnessError> {
    let refused = || WitnessError::Url { got: text.to_owned() };
    let uri: Uri = text.parse().map_err(|_| refused())?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() && uri.query().is_none() => Ok(text.to_owned()),
        _ => Err(refused()),
    }
}

/// Whether and how a new log is witnessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witnessing {
    /// `--no-witnesses`: published as soon as it is signed.
    None,
    /// Published once `quorum` of `witnesses` have cosigned; a majority if not said.
    By {
        /// The keys of the witnesses, at least one; those of one name or one address are one witness's.
        witnesses: Vec<NewWitness>,
        /// How many of them are enough.
        quorum: Option<usize>,
    },
}

/// What `init` is told.
#[derive(Clone, Debug)]
pub struct NewLog {
    /// The log's directory; made if it is missing, its parent must exist.
    pub dir: PathBuf,
    /// The log's identity.
    pub origin: Origin,
    /// What it signs its checkpoints with.
    pub algorithm: KeyAlgorithm,
    /// What it stores.
    pub kind: LogKind,
    /// Where it will listen.
    pub listen: SocketAddr,
    /// Where clients reach it, if that differs from where it listens.
    pub public_url: Option<String>,
    /// Its witnesses.
    pub witnessing: Witnessing,
}

/// Makes the log and returns its verifier key.
pub fn init(new: &NewLog) -> Result<VerifierKey, InitError> {
    let draft = Draft::of(new)?;
    if !new.dir.is_dir() {
        durable::create_dir(&new.dir).map_err(InitError::Write)?;
    }
    draft.write_identity(&new.dir)?;
    let settings = draft.config.core_settings(&new.dir, new.origin.clone(), draft.signer.clone());
    let first = sequencer::create(&settings).map_err(InitError::Create)?;
    let published = new.dir.join(DATA_DIR).join(CHECKPOINT_FILE);
    durable::create_new(&published, &first.note.encode(), Access::Public).map_err(InitError::Write)?;
    draft.write_settings(&new.dir)?;
    Ok(draft.signer.verifier().clone())
}

/// Everything of a log but its data, before any of it is written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) signer: CheckpointSigner,
    pub(crate) policy: String,
    pub(crate) config: Config,
    key_text: Zeroizing<String>,
}

impl Draft {
    /// Of a new log with a new key. Refuses a directory that has anything of a log in it.
    pub(crate) fn of(new: &NewLog) -> Result<Self, InitError> {
        let name = KeyName::parse(new.origin.as_str()).map_err(InitError::KeyName)?;
        refuse_log_in(&new.dir)?;
        let key = keys::generate(KeyKind::Log, new.algorithm, name).map_err(InitError::Key)?;
        let policy = policy::text(new, key.verifier())?;
        let config = Config::new(new.origin.as_str().to_owned(), new.kind, new.listen);
        Self::with_key(key, policy, config)
    }

    /// Of a log with this key and this policy.
    pub(crate) fn with_key(key: SecretKey, policy: String, config: Config) -> Result<Self, InitError> {
        let key_text = key.encode();
        let signer = CheckpointSigner::new(key).map_err(InitError::KeyName)?;
        Ok(Self { signer, policy, config, key_text })
    }

    /// Writes the key, the verifier key and the policy.
    pub(crate) fn write_identity(&self, dir: &Path) -> Result<(), InitError> {
        let create = |file: &str, bytes: &[u8], access: Access| {
            durable::create_new(&dir.join(file), bytes, access).map_err(InitError::Write)
        };
        create(KEY_FILE, &Zeroizing::new([self.key_text.as_bytes(), b"\n"].concat()), Access::Secret)?;
        create(VERIFIER_KEY_FILE, format!("{}\n", self.signer.verifier()).as_bytes(), Access::Public)?;
        create(POLICY_FILE, self.policy.as_bytes(), Access::Public)
    }

    /// Writes the settings, without which the log does not start.
    pub(crate) fn write_settings(&self, dir: &Path) -> Result<(), InitError> {
        let settings = self.config.render();
        durable::create_new(&dir.join(CONFIG_FILE), settings.as_bytes(), Access::Public)
            .map_err(InitError::Write)
    }

    /// The checkpoint of the empty log, signed at `time`.
    pub(crate) fn first_checkpoint(&self, time: UnixSeconds) -> Result<SignedNote, InitError> {
        let origin = Origin::parse(&self.config.origin).map_err(InitError::Checkpoint)?;
        let checkpoint = Checkpoint::new(origin, TreeHead::empty()).map_err(InitError::Checkpoint)?;
        let text = checkpoint.encode();
        let signature = self.signer.sign(&text, time).map_err(InitError::Note)?;
        SignedNote::new(text, vec![signature]).map_err(InitError::Note)
    }
}

/// Refuses a directory that has any file of a log.
pub(crate) fn refuse_log_in(dir: &Path) -> Result<(), InitError> {
    let files = [KEY_FILE, VERIFIER_KEY_FILE, POLICY_FILE, DATA_DIR, CONFIG_FILE];
    files.into_iter().try_for_each(|file| refuse_existing(&dir.join(file)))
}

fn refuse_existing(path: &Path) -> Result<(), InitError> {
    match path.symlink_metadata() {
        Ok(_) => Err(InitError::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(InitError::Look { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;
