//! A witness's directory: making it, and adding logs to it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use indelible_client::durable::{self, Access, DirLock, DurableError};
use indelible_client::keys::{self, KeyAlgorithm, KeyFileError};
use indelible_proto::checkpoint::Origin;
use indelible_proto::note::{KeyError, KeyKind, KeyName, VerifierKey};
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_proto::time::UnixSeconds;

use crate::config;
use crate::logs::{Addition, KnownLog, KnownLogs, LogsError, MAX_LIST_BYTES};
use crate::store::Store;

/// Where the parts of a witness's directory are.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The layout of the directory `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("witness.toml")
    }

    /// The secret key, for its owner only.
    pub fn key(&self) -> PathBuf {
        self.dir.join("witness.key")
    }

    /// The verifier key, to give away.
    pub fn vkey(&self) -> PathBuf {
        self.dir.join("witness.vkey")
    }

    /// The list of known logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs.txt")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The signer whose key is in the directory.
    ///
    /// # Errors
    /// [`SetupError::File`], also if others may read the key; [`SetupError::Key`].
    pub fn load_signer(&self) -> Result<CosignSigner, SetupError> {
        let bytes = durable::read_secret(&self.key(), MAX_KEY_BYTES)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Form)?;
        Ok(CosignSigner::new(SecretKey::parse(text.strip_suffix('\n').unwrap_or(text))?)?)
    }

    /// The known logs of the witness named `witness`.
    ///
    /// # Errors
    /// [`SetupError::File`] or [`SetupError::Logs`].
    pub fn load_logs(&self, witness: &KeyName) -> Result<KnownLogs, SetupError> {
        let bytes = durable::read(&self.logs(), MAX_LIST_BYTES)?.ok_or(SetupError::NotAWitness)?;
        let text = String::from_utf8(bytes).map_err(|_| SetupError::Logs(LogsError::Form))?;
        Ok(KnownLogs::parse(&text, witness)?)
    }
}

/// Makes the directory of a new witness with a new key, and returns its verifier key.
///
/// # Errors
/// [`SetupError::NotEmpty`] if there is anything at `dir`; otherwise what the system refuses. After an
/// error the directory is not a whole witness: delete it and start again.
pub fn init(
    dir: &Path,
    name: KeyName,
    algorithm: KeyAlgorithm,
    listen: SocketAddr,
    now: UnixSeconds,
) -> Result<VerifierKey, SetupError> {
    match durable::create_dir(dir) {
        Ok(()) => {}
        Err(DurableError::Exists { .. }) if is_empty_dir(dir) => {}
        Err(DurableError::Exists { .. }) => return Err(SetupError::NotEmpty { dir: dir.to_owned() }),
        Err(error) => return Err(error.into()),
    }
    let _lock = DirLock::acquire(dir)?;
    let layout = Layout::new(dir);

    let key = keys::generate(KeyKind::Cosigner, algorithm, name)?;
    let vkey = key.verifier().clone();

    let text = zeroize::Zeroizing::new([key.encode().as_str(), "\n"].concat());
    durable::create_new(&layout.key(), text.as_bytes(), Access::Secret)?;
    durable::create_new(&layout.vkey(), format!("{vkey}\n").as_bytes(), Access::Public)?;
    durable::create_new(&layout.logs(), b"", Access::Public)?;
    Store::create(&layout.state(), &vkey, now)?;
    // Last: without it the directory is not taken for a witness's.
    let config = config::sample_listening_on(listen);
    durable::create_new(&layout.config(), config.as_bytes(), Access::Public)?;
    Ok(vkey)
}

/// Adds a log to the list of the witness in `dir`; a running witness learns of it by SIGHUP or restart.
/// The origin is the key's name unless given.
///
/// # Errors
/// [`SetupError::Logs`] if the log is known with another key or is no log.
pub fn add_log(
    dir: &Path,
    key: VerifierKey,
    origin: Option<Origin>,
) -> Result<(KnownLog, Addition), SetupError> {
    let layout = Layout::new(dir);
    let signer = layout.load_signer()?;
    let _lock = DirLock::acquire(dir)?;
    let mut known = layout.load_logs(signer.verifier().name())?;
    let origin = match origin {
        Some(origin) => origin,
        None => Origin::parse(key.name().as_str()).map_err(LogsError::from)?,
    };
    let log = KnownLog::new(origin, key)?;
    let addition = known.add(log.clone(), signer.verifier().name())?;
    if addition == Addition::New {
        let mut list = durable::read(&layout.logs(), MAX_LIST_BYTES)?.unwrap_or_default();
        list.extend_from_slice(KnownLogs::line(&log).as_bytes());
        if list.len() > MAX_LIST_BYTES {
            return Err(DurableError::TooLarge { path: layout.logs(), max_bytes: MAX_LIST_BYTES }.into());
        }
        durable::replace(&layout.logs(), &list)?;
    }
    Ok((log, addition))
}

fn is_empty_dir(dir: &Path) -> bool {
    let is_empty = |mut entries: fs::ReadDir| entries.next().is_none();
    fs::read_dir(dir).map(is_empty).unwrap_or_else(|_: io::Error| false)
}

/// Longest key file in bytes.
const MAX_KEY_BYTES: usize = 4096;

/// Why a witness's directory could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// There is something already.
    #[error("{} exists and is not an empty directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The list of logs is missing.
    #[error("there is no list of logs; is this a witness's directory?")]
    NotAWitness,
    /// The system refused to read or write.
    #[error(transparent)]
    File(#[from] DurableError),
    /// No key could be made.
    #[error("cannot make the witness's key")]
    Generate(#[from] KeyFileError),
    /// The witness's key is not one.
    #[error("not a witness's key")]
    Key(#[from] KeyError),
    /// A log, or the list of logs, is not right.
    #[error(transparent)]
    Logs(#[from] LogsError),
}
