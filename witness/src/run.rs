//! A running witness.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use indelible_client::listen::{Limits, Needs, TooFewDescriptors, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::{self, Clock};
use crate::config::{Config, ConfigError};
use crate::http;
use crate::init::{Layout, SetupError};
use crate::logs::KnownLogs;
use crate::store::{Store, StoreError};
use crate::witness::Witness;

/// What a witness needs open files for: the requests that it decides at once, each of which may write one, its state
/// and the runtime.
const NEEDS: Needs = Needs { own: http::MAX_DECIDING + 64, with_file: 0 };

/// Why a witness did not start, or stopped other than when asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key or the list of logs is not right.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The state cannot be used, so nothing may be signed.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The system lets this process open too few files.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused something it never does.
    #[error("cannot set up the process")]
    Process(#[source] std::io::Error),
    /// A write to the state may or may not have happened; a restart loads what is there.
    #[error("stopped after a write to the state that may or may not have happened; start again")]
    StateUnknown,
}

/// A witness that is set up and bound to its address, but serves no one yet.
pub struct Ready {
    layout: Layout,
    config: Config,
    witness: Arc<Witness>,
    known: KnownLogs,
    listener: TcpListener,
    address: SocketAddr,
}

/// Loads and verifies everything in `dir` and binds the address, `listen` if given.
///
/// # Errors
/// [`RunError`]; nothing was served or changed, except that new logs may have been registered.
pub async fn prepare(dir: &Path, listen: Option<SocketAddr>, clock: Clock) -> Result<Ready, RunError> {
    let layout = Layout::new(dir);
    let mut config = Config::load(&layout.config())?;
    config.max_connections = NEEDS.connections(config.max_connections)?;
    let signer = layout.load_signer()?;
    let known = layout.load_logs(signer.verifier().name())?;
    let store = Store::open(&layout.state(), signer.verifier(), &known)?;
    let witness = Arc::new(Witness::new(signer, store, clock, config.clock_lead_s));
    let address = listen.unwrap_or(config.listen);
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| RunError::Listen { address, source })?;
    let address = listener.local_addr().map_err(RunError::Process)?;
    Ok(Ready { layout, config, witness, known, listener, address })
}

impl Ready {
    /// The address, with the port the system chose if none was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The witness.
    pub fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    /// Serves until `stop` resolves. SIGHUP loads new logs.
    ///
    /// # Errors
    /// [`RunError::StateUnknown`] if it stopped because a write may or may not have happened.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { layout, config, witness, mut known, listener, address: _ } = self;
        let mut hangup = signal(SignalKind::hangup()).map_err(RunError::Process)?;
        let router = http::router(Arc::clone(&witness), config.request_timeout);
        let (connections, timeout) = (config.max_connections, config.request_timeout);
        let limits =
            Limits { connections, per_client: None, header: timeout, write: timeout, drain: timeout };
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = witness.store().failed() => {}
            }
        };
        let mut server = std::pin::pin!(serve(listener, router, limits, stop));
        loop {
            tokio::select! {
                () = &mut server => break,
                _ = hangup.recv() => reload(&layout, &witness, &mut known),
            }
        }
        if witness.store().has_failed() { Err(RunError::StateUnknown) } else { Ok(()) }
    }
}

/// Makes logs added to the list known. A list that does not just grow is refused as a whole.
fn reload(layout: &Layout, witness: &Witness, known: &mut KnownLogs) {
    let newer = layout.load_logs(witness.key().name()).and_then(|newer| {
        known.check_grows_to(&newer)?;
        Ok(newer)
    });
    match newer.map_err(RunError::from).and_then(|newer| Ok(witness.register(&newer).map(|()| newer)?)) {
        Ok(newer) => {
            tracing::info!(logs = newer.len(), "list of logs loaded");
            *known = newer;
        }
        Err(error) => tracing::error!(%error, "list of logs not loaded; the known ones stay"),
    }
}

/// Resolves at SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError::Process`] if the system has no signals to give.
pub fn asked_to_stop() -> Result<impl Future<Output = ()>, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Process)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Runs the witness in `dir` until it is asked to stop; `announce` is told the address once it serves.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    dir: &Path,
    listen: Option<SocketAddr>,
    announce: impl FnOnce(SocketAddr),
) -> Result<(), RunError> {
    let stop = asked_to_stop()?;
    let ready = prepare(dir, listen, clock::system()).await?;
    announce(ready.address());
    ready.serve(stop).await
}
