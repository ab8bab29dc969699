//! Connections of the servers: how many, how long, and how they end. Feature `listen`.
//!
//! HTTP/1.1 only; TLS is a proxy's job. Each connection is bounded on every side: a request's head must arrive
//! in time (which also ends idle connections), and a client that takes none of its answer is cut off. When all
//! connections are taken and another client comes, the one that has waited for its client for longest is closed
//! ([`seats`]); while all of them are being answered the new one waits. A client that has as many as one may have gets
//! 429 instead of another. How long a request's body may take is up to the handler that reads it. How many
//! connections the process can have beside its own files is asked before ([`Needs`]).
//!
//! Handlers find the other end of the connection as [`Peer`] among a request's extensions.
//!
//! What HTTP allows a server to refuse or repair in the framing of messages is left to hyper: two different
//! `Content-Length`s get 400; with `Transfer-Encoding` beside it `Content-Length` is ignored and the connection
//! ends after the answer.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

mod descriptors;
mod net;
mod per_client;
mod seats;

pub use descriptors::{Needs, TooFewDescriptors};
pub use net::{ClientNet, Net, NetError};
pub use per_client::PerClient;

use per_client::{Counts, Ticket};
use seats::{Seat, Seats, Turn};

/// How long to wait before accepting again when the system has no file descriptor left or the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client with too many connections is told before its newest is closed.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// The other end of the connection that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The bounds of connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at once.
    pub connections: usize,
    /// How many of them one client may have; `None` for no bound.
    pub per_client: Option<PerClient>,
    /// For a request's head to arrive, counted from the end of the answer before it.
    pub header: Duration,
    /// For a client to take some of its answer.
    pub write: Duration,
    /// For running requests to end once the server is told to stop.
    pub drain: Duration,
}

/// Serves `router` on `listener` until `stop` resolves, then lets running requests end within `limits.drain`
/// and cuts off the rest.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let counts = limits.per_client.clone().map(Counts::new);
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header);

    let mut connections = JoinSet::new();
    let mut seats = Seats::default();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // It may be for want of a file descriptor.
                seats.close_longest_waiting();
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let ticket = counts.as_ref().map(|counts| counts.admit(peer.ip()));
        if let Some(None) = ticket {
            // As much as the socket takes at once: nobody waits for this client.
            let _ = stream.try_write(TOO_MANY);
            continue;
        }
        let slot = tokio::select! {
            () = &mut stop => break,
            slot = seats.free_slot(&slots) => slot,
        };
        // Without it the last part of an answer may wait for an acknowledgement; failing costs only time.
        let _ = stream.set_nodelay(true);
        let seat = seats.seat();
        let place = Place { seat: Arc::clone(&seat), _slot: slot, _ticket: ticket.flatten() };
        let io = TokioIo::new(CutStalledWrites::new(stream, limits.write, Arc::clone(&seat)));
        let service = TowerToHyperService::new(router.clone());
        let own = Arc::clone(&seat);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let begun = Turn::begin(&own).map(|turn| {
                let request = request.map(|body| turn.body(body));
                (service.call(request), turn)
            });
            async move {
                let (answer, turn) = begun.ok_or(io::ErrorKind::ConnectionAborted)?;
                let Ok(answer) = answer.await;
                Ok::<_, io::Error>(answer.map(|body| turn.answer(body)))
            }
        });
        let connection = http.serve_connection(io, service);
        let connection = graceful.watch(connection);
        let task = connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(place);
        });
        seats.take(task, seat);
        while let Some(ended) = connections.try_join_next_with_id() {
            seats.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
        }
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting off requests that did not end in time");
    }
    connections.shutdown().await;
}

/// What one connection takes of what is bounded.
struct Place {
    seat: Arc<Seat>,
    _slot: OwnedSemaphorePermit,
    _ticket: Option<Ticket>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Before the slot is free: who wants one must not wait for a connection that has ended.
        self.seat.ends();
    }
}

/// A socket that fails once nothing could be written to it for a while.
struct CutStalledWrites {
    stream: TcpStream,
    limit: Duration,
    seat: Arc<Seat>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CutStalledWrites {
    fn new(stream: TcpStream, limit: Duration, seat: Arc<Seat>) -> Self {
        Self { stream, limit, seat, stalled: None }
    }

    /// Passes a finished write on and turns a pending one into an error when the time is up.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.seat.set_untaken(false);
            }
            return written;
        }
        let deadline = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| {
            self.seat.set_untaken(true);
            Box::pin(sleep(deadline))
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes none of its answer")))
    }
}

impl AsyncRead for CutStalledWrites {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CutStalledWrites {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
