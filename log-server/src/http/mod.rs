//! What the log answers over HTTP.
//!
//! | request | answer | where |
//! |---|---|---|
//! | `GET /checkpoint` | the published checkpoint | [`read`] |
//! | `GET /tile/…` | hash tiles and entry bundles of any signed size, immutable | [`read`] |
//! | `GET /channel/<name>` | a channel's head | [`read`] |
//! | `GET /channel-file/…` | the records of a channel, proved | [`channel_file`] |
//! | `GET /lookup/…` | the entries that have a hash | [`lookup`] |
//! | `POST /submit` | a record in, its proof out | [`submit`] |
//! | `POST /submit-batch` | many records in, an answer to each out | [`many`] |
//! | `POST /add` | any bytes in, their index out | [`submit`] |
//! | `POST /add-batch` | many entries in, their indices out | [`many`] |
//! | `GET /healthz`, `GET /` | for operators and people | [`page`] |
//!
//! Paths are c2sp.org/tlog-tiles and [`indelible_proto::log_api`]. A path is parsed into numbers or names first,
//! raw as it came; no path ever reaches the file system as text. Every refusal is JSON from one table
//! ([`error`]). There are no administrative paths.
//!
//! What is submitted is bounded at each step: one client's share ([`clients`]), bytes on their way in ([`body`]),
//! what waits for the sequencer, and what waits for witnesses. Each answers 429 or 503 with `Retry-After`. Reads
//! have no part in any of these: what is in memory is answered at once, the rest is read on a thread for it.

pub mod body;
mod channel_file;
pub mod clients;
pub mod error;
mod lookup;
mod many;
mod page;
mod read;
mod submit;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use indelible_proto::checkpoint::Origin;
use indelible_proto::log_api::{ADD_BATCH_PATH, ADD_PATH, HEALTH_PATH, SUBMIT_BATCH_PATH, SUBMIT_PATH};
use indelible_proto::note::VerifierKey;
use indelible_proto::policy::Policy;
use tokio::sync::watch;

pub use channel_file::ChannelFiles;

use crate::config::SubmitConfig;
use crate::kind::LogKind;
use crate::publish::Published;
use crate::sequencer::SequencerHandle;
use crate::space::Space;
use body::Bodies;
use clients::Clients;
use error::Problem;

/// What the handlers answer from.
#[derive(Debug)]
pub struct Log {
    /// The log's identity.
    pub origin: Origin,
    /// The log's public key.
    pub key: VerifierKey,
    /// What the log stores.
    pub kind: LogKind,
    /// What every proof is checked against before it is handed out.
    pub policy: Arc<Policy>,
    /// Where submissions go, and where tiles and channel heads come from.
    pub sequencer: SequencerHandle,
    /// The published checkpoint.
    pub published: watch::Receiver<Arc<Published>>,
    /// What making channel files keeps between requests.
    pub channel_files: ChannelFiles,
    /// Limits of submissions.
    pub submit: SubmitConfig,
    /// Room for what is submitted.
    pub space: Space,
    /// What each client may submit.
    pub clients: Clients,
    /// Bodies of requests on their way in.
    pub bodies: Bodies,
    /// Whether the server was told to stop; submitters are then not kept waiting for witnesses.
    pub stopping: watch::Receiver<bool>,
}

/// The log's paths and what answers them.
pub fn router(log: Arc<Log>) -> Router {
    Router::new()
        .route("/", get(page::home))
        .route(HEALTH_PATH, get(page::health))
        .route("/checkpoint", get(read::checkpoint))
        .route("/tile/{*path}", get(read::tile))
        .route("/channel/{*name}", get(read::channel))
        .route("/channel-file/{*path}", get(channel_file::channel_file))
        .route("/lookup/{*path}", get(lookup::lookup))
        .route(SUBMIT_PATH, post(submit::submit))
        .route(SUBMIT_BATCH_PATH, post(many::submit_batch))
        .route(ADD_PATH, post(submit::add))
        .route(ADD_BATCH_PATH, post(many::add_batch))
        .fallback(async || Problem::UnknownPath)
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(log)
}

/// An answer with the headers that every answer has. Everything a log serves is public: pages of any site may
/// read it.
fn respond(
    status: StatusCode,
    media_type: &'static str,
    caching: HeaderValue,
    body: impl Into<Body>,
) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, caching);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// How many headers an answer has at most, with the date and the length that are added when it is sent.
const HEADERS: usize = 8;

/// Caching of answers that are never to be kept.
const NEVER_CACHED: HeaderValue = HeaderValue::from_static("no-store");
