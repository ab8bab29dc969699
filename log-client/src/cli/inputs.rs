//! Files and directories named on the command line, read once and checked, and the failures of doing so.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::sha256;
use indelible_proto::note::KeyError;
use indelible_proto::policy::{MAX_POLICY_BYTES, Policy};
use indelible_proto::proof::LogProof;
use indelible_proto::record::ChannelName;
use indelible_proto::time::UnixSeconds;
use indicatif::{ProgressBar, ProgressStyle};

use super::console::{Console, chain};
use super::exit::Failure;
use crate::durable::{self, Access, DurableError};
use crate::files::FilesError;
use crate::keys::KeyFileError;
use crate::pins::Pins;
use crate::state::{StateDir, StateError, make_dir};
use crate::verify::{TrustError, TrustedChannel, claimed_record};

/// A state directory in use by this run.
#[derive(Debug)]
pub(super) struct OpenState {
    dir: PathBuf,
    evidence: PathBuf,
    /// Remembered checkpoints and records.
    pub(super) state: StateDir,
}

impl OpenState {
    /// Opens the directory, waiting a little for other runs to finish with it: each holds it only while it
    /// looks something up or writes it down.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let start = Instant::now();
        loop {
            match StateDir::open(dir) {
                Ok(state) => {
                    return Ok(Self { dir: dir.to_owned(), evidence: dir.join("evidence"), state });
                }
                Err(StateError::File(DurableError::Locked { .. })) if start.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(state_failure(&error)),
            }
        }
    }

    /// The same with evidence kept in another place: for a directory that is soon deleted.
    pub(super) fn with_evidence_in(self, evidence: PathBuf) -> Self {
        Self { evidence, ..self }
    }

    /// The channels pinned in it.
    pub(super) fn pins(&self) -> Result<Pins<'_>, Failure> {
        Pins::open(&self.dir, &self.state).map_err(|error| state_failure(&error))
    }

    /// Where evidence is kept.
    pub(super) fn evidence_dir(&self) -> PathBuf {
        self.evidence.clone()
    }
}

/// The state directory to use: the one given, or else the user's own.
pub(super) fn state_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(dir) = given {
        return Ok(dir);
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state_home.map(|home| home.join("indelible")).ok_or_else(|| {
        Failure::usage("no-state-directory", "neither XDG_STATE_HOME nor HOME is set", "pass --state DIR")
    })
}

/// Where the time comes from.
pub(super) type Clock = fn() -> Result<UnixSeconds, Failure>;

/// What the clock says.
pub(super) fn now() -> Result<UnixSeconds, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds::new(since.as_secs())
        .map_err(|error| Failure::undecided(error.code(), error, "set the clock of this machine"))
}

/// A policy with the file it was read from.
#[derive(Debug)]
pub(super) struct PolicyFile {
    pub(super) policy: Policy,
    pub(super) bytes: Vec<u8>,
}

/// Reads a policy file.
pub(super) fn read_policy(path: &Path) -> Result<Policy, Failure> {
    read_policy_file(path).map(|file| file.policy)
}

/// The same with its bytes.
pub(super) fn read_policy_file(path: &Path) -> Result<PolicyFile, Failure> {
    let bytes = read_input(path, MAX_POLICY_BYTES, "a policy", "get the policy from the log's operator")?;
    let policy = Policy::parse(&bytes).map_err(|error| {
        let message = format!("{} is not a policy: {error}", path.display());
        let next = match &*bytes {
            [0xef, 0xbb, 0xbf, ..] => "save the file as UTF-8 without a byte order mark",
            bytes if bytes.contains(&b'\r') => "save the file with Unix line ends: LF, not CR LF",
            _ => "the policy is the file that the log's operator gives out; `indelible policy lint` explains it",
        };
        Failure::usage(error.code(), message, next)
    })?;
    Ok(PolicyFile { policy, bytes })
}

/// Reads the proof of a channel's first record.
pub(super) fn read_channel_proof(path: &Path) -> Result<LogProof, Failure> {
    let next = "get the channel proof from the vendor";
    let bytes = read_input(path, LogProof::MAX_BYTES, "a channel proof", next)?;
    LogProof::parse(&bytes).map_err(|error| {
        Failure::usage(error.code(), format!("{} is not a log proof: {error}", path.display()), next)
    })
}

/// Reads a file named on the command line, which has to be there.
pub(super) fn read_input(path: &Path, max_bytes: usize, what: &str, next: &str) -> Result<Vec<u8>, Failure> {
    match durable::read(path, max_bytes) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failure::usage("file-missing", format!("{}: no such file", path.display()), next)),
        Err(error) => Err(read_failure(&error, what, next)),
    }
}

/// Why a file named on the command line can't be read: whoever named it named another than it was to be, or this
/// machine keeps it from being read.
pub(super) fn read_failure(error: &DurableError, what: &str, next: &str) -> Failure {
    match error {
        DurableError::TooLarge { path, max_bytes } => {
            let message = format!("{} is too large for {what}: at most {max_bytes} bytes", path.display());
            Failure::usage(error.code(), message, next)
        }
        DurableError::Unreadable { path, source } if source.kind() == ErrorKind::IsADirectory => {
            let message = format!("{} is a directory, not {what}", path.display());
            Failure::usage("file-is-directory", message, next)
        }
        _ => Failure::undecided(error.code(), chain(error), "make the file readable"),
    }
}

/// Trust in the channel that `argument` names: a channel that is pinned, or a proof file. In this order,
/// because the file may have come with the artifact, and its path may spell the channel's name. It is pinned only if
/// `check` lets it be.
pub(super) fn trusted_channel(
    argument: &str,
    policy: &Policy,
    state: Option<&OpenState>,
    check: impl Fn(&TrustedChannel) -> Result<(), Failure>,
) -> Result<TrustedChannel, Failure> {
    let name = ChannelName::parse(argument).ok();
    if let (Some(name), Some(state)) = (&name, state)
        && let Some(pinned) = pinned_channel(state, name, policy)?
    {
        check(&pinned)?;
        return Ok(pinned);
    }
    let path = Path::new(argument);
    if path.exists() {
        let proof = read_channel_proof(path)?;
        let trusted = TrustedChannel::from_proof(&proof, policy).map_err(|e| trust_failure(argument, e))?;
        check(&trusted)?;
        if let Some(state) = state {
            pin(state, &trusted, &proof)?;
        }
        return Ok(trusted);
    }
    let next = "pass the vendor's channel proof once; it is pinned then and its name is enough";
    Err(match name {
        Some(name) => Failure::undecided("channel-not-pinned", format!("channel {name} is not pinned"), next),
        None => {
            let message = format!("{argument}: no such file, nor the name of a channel");
            Failure::usage("file-missing", message, next)
        }
    })
}

/// The pinned channel of that name, proved again under the policy of today.
pub(super) fn pinned_channel(
    state: &OpenState,
    name: &ChannelName,
    policy: &Policy,
) -> Result<Option<TrustedChannel>, Failure> {
    let pins = state.pins()?;
    let Some(proof) = pins.proof(name).map_err(|error| state_failure(&error))? else {
        return Ok(None);
    };
    match TrustedChannel::from_proof(&proof, policy) {
        Ok(trusted) if trusted.name() == name => Ok(Some(trusted)),
        Ok(_) => {
            let path = pins.path(name);
            Err(state_failure(&StateError::Damaged { path, code: "other-channel" }))
        }
        Err(error) => {
            let message =
                format!("the pinned proof of channel {name} does not hold under this policy: {error}");
            let next =
                "find out why the policy changed; if that is right, pass --channel with the proof file";
            Err(Failure::undecided(error.code(), message, next))
        }
    }
}

/// Pins a channel, or confirms the pin there is.
pub(super) fn pin(state: &OpenState, trusted: &TrustedChannel, proof: &LogProof) -> Result<(), Failure> {
    let pins = state.pins()?;
    let held = pins.proof(trusted.name()).map_err(|error| state_failure(&error))?;
    match held {
        // The same record may have been proved under another policy before; the newer proof takes its place.
        Some(held) if claimed_record(&held) == Some(trusted.genesis()) => {}
        Some(_) => {
            let message = format!(
                "another record than {} was pinned as the first of channel {}",
                trusted.genesis(),
                trusted.name()
            );
            let next = format!(
                "find out from the vendor which one is right; to trust the new one, delete {}",
                pins.path(trusted.name()).display()
            );
            return Err(Failure::refused("channel-pinned-otherwise", message, next));
        }
        None => {}
    }
    pins.pin(trusted.name(), proof).map_err(|error| state_failure(&error))
}

/// Writes evidence into `dir` and says where. The same evidence is written once.
pub(super) fn save_evidence(dir: &Path, evidence: &ForkEvidence) -> Result<PathBuf, Failure> {
    let bytes = evidence.encode();
    let digits = sha256(&bytes).to_hex();
    let path = dir.join(format!("fork-{}.evidence", digits.get(..16).unwrap_or(&digits)));
    make_dir(dir).map_err(|error| state_failure(&error))?;
    match durable::create_new(&path, &bytes, Access::Public) {
        Ok(()) | Err(DurableError::Exists { .. }) => Ok(path),
        Err(error) => Err(state_failure(&error.into())),
    }
}

/// A progress bar for hashing the artifact at `path`: only on a terminal, only for people, only if it takes
/// long enough to be read. A directory's size is not known beforehand.
pub(super) fn hashing_bar(console: Console, path: &Path) -> ProgressBar {
    let metadata = path.metadata();
    let total = metadata.as_ref().map_or(0, std::fs::Metadata::len);
    let is_dir = metadata.is_ok_and(|metadata| metadata.is_dir());
    if console.is_json() || (!is_dir && total < SHOW_PROGRESS_FROM_BYTES) {
        return ProgressBar::hidden();
    }
    let (bar, template) = match is_dir {
        true => (ProgressBar::new_spinner(), "hashing {bytes} {elapsed}"),
        false => (ProgressBar::new(total), "hashing {wide_bar} {bytes}/{total_bytes} {eta}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// How a state directory that cannot be used ends a run.
pub(super) fn state_failure(error: &StateError) -> Failure {
    let next = match error {
        StateError::Damaged { .. } => {
            "nothing was decided; this is a local fault and says nothing about the log"
        }
        StateError::Contradiction { .. } => "run the command again",
        StateError::File(DurableError::Locked { .. }) => {
            "wait for the other run to end, or pass another --state"
        }
        StateError::File(_) => "make the state directory usable, or pass another one with --state",
        _ => "",
    };
    Failure::undecided(error.code(), chain(error), next)
}

/// How an artifact that cannot be hashed ends a run.
pub(super) fn files_failure(error: &FilesError) -> Failure {
    match error {
        FilesError::Read { .. } => {
            Failure::undecided(error.code(), chain(error), "make the artifact readable")
        }
        FilesError::Changed { .. } => {
            Failure::undecided(error.code(), chain(error), "run it again when nothing writes there")
        }
        _ => Failure::usage(error.code(), chain(error), "name a regular file, or a directory of such files"),
    }
}

/// How a file that cannot be written ends a run.
pub(super) fn write_failure(error: &DurableError) -> Failure {
    match error {
        DurableError::Exists { .. } => {
            Failure::usage(error.code(), chain(error), "name a file that is not there yet")
        }
        DurableError::NotWritten { source, .. } if source.kind() == ErrorKind::NotFound => {
            Failure::usage(error.code(), chain(error), "name a file in a directory that is there")
        }
        _ => Failure::undecided(error.code(), chain(error), "make room, and the directory writable"),
    }
}

/// How a key that cannot be used ends a run.
pub(super) fn key_failure(error: &KeyFileError) -> Failure {
    let next = match error {
        KeyFileError::Random(_) => {
            return Failure::undecided(error.code(), chain(error), "run the command again");
        }
        KeyFileError::File(
            error @ (DurableError::NotWritten { .. } | DurableError::Indeterminate { .. }),
        ) => return write_failure(error),
        KeyFileError::File(DurableError::Exists { .. }) => {
            "choose another name; a key that is overwritten is lost for good"
        }
        KeyFileError::File(_) => "name a key file made by: indelible keygen",
        KeyFileError::Passphrase { .. } => {
            "pass --passphrase-file FILE, one line that only you can read (chmod 600), or run this at a terminal"
        }
        KeyFileError::Encrypted { .. } => {
            "try the passphrase again; if it is right, restore the key from your backup"
        }
        KeyFileError::Missing(_) => "pass a verifier key, or the path of a .vkey file",
        KeyFileError::Key { source: KeyError::NoMlDsaRecordKey, .. } => {
            "leave --algorithm out for a key that signs records"
        }
        KeyFileError::Key { source: KeyError::NameTooLong { .. }, .. } => "choose a shorter name for the key",
        KeyFileError::Key { .. } => "records are signed with keys made by: indelible keygen --kind record",
    };
    Failure::usage(error.code(), chain(error), next)
}

fn trust_failure(argument: &str, error: TrustError) -> Failure {
    Failure::refused(
        error.code(),
        format!("{argument} does not open a channel that can be trusted: {error}"),
        "get the channel proof and the policy from the vendor again",
    )
}

/// How long a run waits for others to let go of the state directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Smaller artifacts are hashed before a bar could be read.
pub(super) const SHOW_PROGRESS_FROM_BYTES: u64 = 64 * 1024 * 1024;
