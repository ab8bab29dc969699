//! Connections: how many, how long, and how they end. HTTP/1.1 only; TLS is a proxy's job.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Served at one time; more wait to be accepted.
    pub connections: usize,
    /// For the head of a request, which also ends idle connections, and for the last requests to end when
    /// the server stops.
    pub timeout: Duration,
}

/// Serves `router` on `listener` until `stop` resolves, lets running requests end in time, and cuts off the
/// rest.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.timeout);

    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot.expect("invariant: the semaphore is never closed"), listener.accept().await)
        };
        let (slot, stream) = tokio::select! {
            () = &mut stop => break,
            (slot, accepted) = next => match accepted {
                Ok((stream, _)) => (slot, stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Without it the end of an answer may wait for an acknowledgement; failing costs only time.
        let _ = stream.set_nodelay(true);
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if timeout(limits.timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting off requests that did not end in time");
    }
    connections.shutdown().await;
}

/// How long to wait before accepting again when the system has no file descriptor left or the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
