//! Running a log: opening what `init` made, and holding its parts together until it is told to stop.
//!
//! Nothing is created here: a missing or damaged file ends the start with what to do about it. A log that was
//! started signs nothing before its published checkpoint, what its witnesses hold and what other places serve
//! were compared with its data, and before those that must answer have answered. What turns up later stops it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indelible_client::durable::{self, DurableError};
use indelible_client::http::{FetchError, HttpClient};
use indelible_client::listen::{self, TooFewDescriptors};
use indelible_proto::checkpoint::{CheckpointError, Origin};
use indelible_proto::log_api::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};
use indelible_proto::note::KeyError;
use indelible_proto::policy::{MAX_POLICY_BYTES, Policy, PolicyFileError};
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::time::UnixSeconds;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::blocking::blocking;
use crate::config::{Config, ConfigError, CosignConfig, DATA_DIR, KEY_FILE, POLICY_FILE};
use crate::cosign::{CosignError, Cosigner};
use crate::history::HistoryError;
use crate::http::body::Bodies;
use crate::http::clients::Clients;
use crate::http::{self, ChannelFiles, Log};
use crate::overrule::{Doubt, DoubtError, Situation, attested_time, clock_doubt, overrule};
use crate::publish::{PublishError, Publisher};
use crate::sequencer::{OpenError, Sequencer};
use crate::sources::{Silent, Sources};
use crate::space::Space;

/// Largest key file read, in bytes: a key's text with the longest name has under 600.
const KEY_MAX_BYTES: usize = 4096;
/// How long to wait before silent sources that must answer are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why a log can't be run, or stopped running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The settings can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key or the policy can't be read.
    #[error("cannot read a file of the log")]
    Read(#[source] DurableError),
    /// The policy is gone.
    #[error("{} is missing; restore it, clients have copies", path.display())]
    PolicyMissing {
        /// The policy's file.
        path: PathBuf,
    },
    /// The key's file holds no log's key.
    #[error("{} is not the secret key of a log", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The origin in the settings can't be one.
    #[error("the origin in the settings is refused")]
    Origin(#[source] CheckpointError),
    /// The origin in the settings is not the key's name.
    #[error(
        "the settings say origin {:?} but the key is named {:?}; they were the same when the log was made",
        origin,
        key
    )]
    OriginMismatch {
        /// The settings' origin.
        origin: String,
        /// The key's name.
        key: String,
    },
    /// The policy is refused.
    #[error("{} is refused", path.display())]
    Policy {
        /// The policy's file.
        path: PathBuf,
        /// What is wrong with it.
        source: PolicyFileError,
    },
    /// The policy is not about this log alone.
    #[error("{} must have exactly one log line, with this log's key {key}", path.display())]
    PolicyLog {
        /// The policy's file.
        path: PathBuf,
        /// The verifier key it must have.
        key: String,
    },
    /// The stored log can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The published checkpoint can't be used.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Cosigning can't go on.
    #[error(transparent)]
    Cosign(#[from] CosignError),
    /// The client that asks other places can't be set up.
    #[error("cannot set up the client that asks other places for checkpoints")]
    Client(#[source] FetchError),
    /// Another place has a checkpoint signed by this log that the stored log does not contain.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Something must answer that is never asked.
    #[error(
        "refuse.must_answer names {name:?}, which is neither an address in refuse.checkpoints nor a witness of the \
         policy with an address"
    )]
    NeverAsked {
        /// What the settings name.
        name: String,
    },
    /// The log may be behind what it signed, and nobody has overruled that.
    #[error(transparent)]
    Doubt(#[from] DoubtError),
    /// The system lets this process open too few files.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The sequencer ended by itself: a write failed, and what is on disk is unknown until the next start.
    #[error("the log stopped taking entries: {reason}; check the disk, then start it again")]
    StoreFailed {
        /// What failed.
        reason: String,
    },
    /// Another process has been started on the same data although this one still ran.
    #[error("the log stopped: {reason}")]
    TakenOver {
        /// Which data.
        reason: String,
    },
    /// A part of the server ended although nobody told it to.
    #[error("the {part} ended unexpectedly")]
    PartEnded {
        /// Which.
        part: &'static str,
    },
}

impl RunError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::PolicyMissing { .. } => "policy-missing",
            Self::Key { source, .. } => source.code(),
            Self::Origin(error) => error.code(),
            Self::OriginMismatch { .. } => "origin-mismatch",
            Self::Policy { source, .. } => source.code(),
            Self::PolicyLog { .. } => "policy-other-log",
            Self::Open(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Cosign(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::History(error) => error.code(),
            Self::NeverAsked { .. } => "source-never-asked",
            Self::Doubt(error) => error.code(),
            Self::Descriptors(error) => error.code(),
            Self::Listen { .. } => "cannot-listen",
            Self::StoreFailed { .. } => "store-failed",
            Self::TakenOver { .. } => "log-taken-over",
            Self::PartEnded { .. } => "part-ended",
        }
    }

    /// Whether the log refuses to sign, because it would, or could, sign a second history of itself.
    pub fn refuses_to_sign(&self) -> bool {
        match self {
            Self::Doubt(_) => true,
            Self::History(error) => error.refuses_to_sign(),
            Self::Open(error) => error.refuses_to_sign(),
            Self::Publish(error) => error.refuses_to_sign(),
            Self::TakenOver { .. } => true,
            Self::Cosign(error) => error.refuses_to_sign(),
            Self::Config(_)
            | Self::Read(_)
            | Self::PolicyMissing { .. }
            | Self::Key { .. }
            | Self::Origin(_)
            | Self::OriginMismatch { .. }
            | Self::Policy { .. }
            | Self::PolicyLog { .. }
            | Self::Client(_)
            | Self::NeverAsked { .. }
            | Self::Descriptors(_)
            | Self::Listen { .. }
            | Self::StoreFailed { .. }
            | Self::PartEnded { .. } => false,
        }
    }
}

/// What `init` wrote, read and checked against each other.
#[derive(Clone, Debug)]
struct Files {
    config: Config,
    origin: Origin,
    signer: CheckpointSigner,
    policy: Policy,
}

impl Files {
    fn load(dir: &Path) -> Result<Self, RunError> {
        let config = Config::load(dir)?;
        let origin = Origin::parse(&config.origin).map_err(RunError::Origin)?;
        let signer = load_signer(dir.join(KEY_FILE))?;
        let key = signer.verifier();
        if key.name().as_str() != origin.as_str() {
            let key = key.name().as_str().to_owned();
            return Err(RunError::OriginMismatch { origin: config.origin, key });
        }
        let path = dir.join(POLICY_FILE);
        let policy = match durable::read(&path, MAX_POLICY_BYTES) {
            Ok(Some(bytes)) => Policy::parse(&bytes),
            Ok(None) => return Err(RunError::PolicyMissing { path }),
            Err(error) => return Err(RunError::Read(error)),
        };
        let policy = policy.map_err(|source| RunError::Policy { path: path.clone(), source })?;
        match policy.logs() {
            [log] if log.key == *key => {}
            _ => return Err(RunError::PolicyLog { path, key: key.encode() }),
        }
        Ok(Self { config, origin, signer, policy })
    }
}

fn load_signer(path: PathBuf) -> Result<CheckpointSigner, RunError> {
    CheckpointSigner::new(load_key(path.clone())?).map_err(|source| RunError::Key { path, source })
}

/// The secret key in this file.
pub(crate) fn load_key(path: PathBuf) -> Result<SecretKey, RunError> {
    let bytes = durable::read_secret(&path, KEY_MAX_BYTES).map_err(RunError::Read)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Form);
    text.and_then(|text| SecretKey::parse(text.strip_suffix('\n').unwrap_or(text)))
        .map_err(|source| RunError::Key { path, source })
}

/// A running log.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Opens the log in `dir` and serves it on `listen`, or where its settings say. Requests are answered
    /// when this returns.
    pub async fn start(dir: &Path, listen: Option<SocketAddr>) -> Result<Self, RunError> {
        Self::start_anyway(dir, listen, None).await
    }

    /// The same, with the token that overrules a refusal; see [`crate::overrule`].
    pub async fn start_anyway(
        dir: &Path,
        listen: Option<SocketAddr>,
        token: Option<&str>,
    ) -> Result<Self, RunError> {
        let own_dir = dir.to_owned();
        let files = blocking(move || Files::load(&own_dir)).await?;
        let limits = files.config.connections(files.policy.witnesses().len())?;
        let (own_dir, own_files, cosign) = (dir.to_owned(), files.clone(), files.config.cosign.clone());
        // Clients read the system's roots, which takes as long as opening a small log.
        let (opened, clients) =
            tokio::join!(blocking(move || open(&own_dir, &own_files)), blocking(move || clients(&cosign)),);
        let Opened { sequencer, publisher, policy } = opened?;
        let (ask_sources, ask_witnesses) = clients?;
        let (signed, tree) = (sequencer.handle().signed(), sequencer.handle().tree());
        let cosign = &files.config.cosign;
        let (own_policy, own_tree) = (Arc::clone(&policy), Arc::clone(&tree));
        let sources = Sources::new(&files.config.refuse, own_policy, own_tree, signed.clone(), ask_sources);
        let (own_policy, own_publisher) = (Arc::clone(&policy), Arc::clone(&publisher));
        let mut cosigner = Cosigner::new(own_policy, own_publisher, signed, &tree, cosign, &ask_witnesses)?;

        let address = listen.unwrap_or(files.config.listen);
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| RunError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| RunError::Listen { address, source })?;
        let doubts = doubts(&files, &publisher, &mut cosigner, &sources).await?;
        let signed = sequencer.handle().signed().borrow().checkpoint.head();
        let published = publisher.subscribe().borrow().head();
        let (own_dir, origin, token) =
            (dir.to_owned(), files.config.origin.clone(), token.map(str::to_owned));
        blocking(move || {
            let situation = Situation { dir: &own_dir, origin: &origin, signed, published };
            overrule(&situation, doubts, token.as_deref(), now())
        })
        .await?;

        let (stop, stopped) = watch::channel(false);
        let log = Log {
            origin: files.origin,
            key: files.signer.verifier().clone(),
            kind: files.config.kind,
            policy,
            sequencer: sequencer.handle(),
            published: publisher.subscribe(),
            space: Space::of(&dir.join(DATA_DIR), &files.config.storage),
            channel_files: ChannelFiles::default(),
            clients: Clients::new(
                files.config.submit.rates(),
                (MAX_BATCH_ENTRIES, MAX_BATCH_BYTES),
                files.config.http.trusted_proxies.clone(),
            ),
            // As much may be on its way in as may wait once it has arrived.
            bodies: Bodies::new(
                Duration::from_secs(files.config.http.body_timeout_s.get()),
                files.config.submit.queue_bytes.get(),
            ),
            submit: files.config.submit,
            stopping: stopped.clone(),
        };
        let http = {
            let stopped = stopped.clone();
            let router = http::router(Arc::new(log));
            async move { listen::serve(listener, router, limits, until_stopped(stopped)).await }
        };
        let ended = tokio::spawn(hold(sequencer, cosigner, sources, http, stop.clone(), stopped));
        Ok(Self { address, stop, ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to stop: running requests may end, then everything is closed.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has stopped, told to or by itself.
    pub async fn ended(&mut self) -> Result<(), RunError> {
        match (&mut self.ended).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RunError::PartEnded { part: "server" }),
        }
    }
}

/// The clients that ask other sources and the witnesses.
fn clients(cosign: &CosignConfig) -> Result<(HttpClient, HttpClient), RunError> {
    Ok((Sources::client().map_err(RunError::Client)?, Cosigner::client(cosign)?))
}

struct Opened {
    sequencer: Sequencer,
    publisher: Arc<Publisher>,
    policy: Arc<Policy>,
}

fn open(dir: &Path, files: &Files) -> Result<Opened, RunError> {
    let settings = files.config.core_settings(dir, files.origin.clone(), files.signer.clone());
    let sequencer = Sequencer::open(settings)?;
    let policy = Arc::new(files.policy.clone());
    let head = sequencer.handle().signed().borrow().checkpoint.head();
    let (storage, tree) = (sequencer.handle().storage(), sequencer.handle().tree());
    let publisher = Publisher::open(storage, &dir.join(DATA_DIR), Arc::clone(&policy), &head, tree)?;
    Ok(Opened { sequencer, publisher: Arc::new(publisher), policy })
}

/// Compares with everyone, waits for those that must answer, and looks at the clock: what is left in doubt.
async fn doubts(
    files: &Files,
    publisher: &Publisher,
    cosigner: &mut Cosigner,
    sources: &Sources,
) -> Result<Vec<Doubt>, RunError> {
    let refuse = &files.config.refuse;
    let asked = |name: &String| refuse.checkpoints.contains(name) || cosigner.asks(name);
    if let Some(name) = refuse.must_answer.iter().find(|name| !asked(name)) {
        return Err(RunError::NeverAsked { name: name.clone() });
    }
    let patience = Instant::now() + Duration::from_secs(refuse.wait_s);
    let silent = loop {
        let (witnesses, others) = tokio::join!(cosigner.compare_with_witnesses(), sources.compare());
        let silent: Vec<Silent> = witnesses?.into_iter().chain(others?).collect();
        let awaited = silent.iter().any(|silent| refuse.must_answer.contains(&silent.source));
        if !awaited || Instant::now() >= patience {
            break silent;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    let mut doubts = Vec::new();
    for silent in silent {
        let Silent { source, why } = &silent;
        tracing::warn!(source = %source.escape_debug(), %why, "cannot see what it has of this log, asking again");
        if refuse.must_answer.contains(source) {
            doubts.push(Doubt::Silent(silent));
        }
    }
    let published = publisher.subscribe().borrow().note().clone();
    doubts.extend(clock_doubt(now(), attested_time(&files.policy, &published)));
    Ok(doubts)
}

/// What the clock says.
fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds::new(since.as_secs().min(u64::MAX >> 1)).expect("invariant: at most 2^63-1")
}

/// Waits for the first part to end or for the stop, then ends the others: first the requests, which may still
/// need the rest, last the sequencer.
async fn hold(
    sequencer: Sequencer,
    cosigner: Cosigner,
    sources: Sources,
    http: impl Future<Output = ()> + Send + 'static,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let asked = stopped.clone();
    let mut http = tokio::spawn(http);
    let mut cosign = tokio::spawn(cosigner.run());
    let outcome = tokio::select! {
        // In this order: when the sequencer fails, the others may end with it.
        biased;
        () = sequencer.failed() => {
            let failure = sequencer.failure();
            let reason = failure.map(ToString::to_string).unwrap_or_default();
            Err(match failure {
                Some(failure) if failure.is_taken_over() => RunError::TakenOver { reason },
                _ => RunError::StoreFailed { reason },
            })
        }
        () = until_stopped(stopped) => Ok(()),
        ended = &mut cosign => match ended {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Err(RunError::PartEnded { part: "collecting of cosignatures" }),
        },
        error = sources.watch() => Err(error.into()),
        _ = &mut http => Err(RunError::PartEnded { part: "serving of requests" }),
    };
    // A part that ends because of the stop may be seen before the stop itself.
    let outcome = match outcome {
        Err(RunError::PartEnded { .. }) if *asked.borrow() => Ok(()),
        outcome => outcome,
    };
    if outcome.as_ref().is_err_and(RunError::refuses_to_sign) {
        sequencer.abandon();
    }
    stop.send_replace(true);
    if !http.is_finished() && http.await.is_err() {
        tracing::error!("serving of requests failed while stopping");
    }
    cosign.abort();
    let handle = sequencer.handle();
    blocking(move || sequencer.shutdown()).await;
    match (outcome, handle.failure()) {
        // Everything acknowledged is in the journal, but the disk is failing: nobody should learn that later.
        (Ok(()), Some(failure)) => Err(RunError::StoreFailed { reason: failure.to_string() }),
        (outcome, _) => outcome,
    }
}

async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody is left who could say stop: stop then, too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests;
