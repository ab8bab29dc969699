//! What the log answers over HTTP.
//!
//! | request | answer | where |
//! |---|---|---|
//! | `GET /checkpoint` | the published checkpoint | [`read`] |
//! | `GET /tile/…` | hash tiles and entry bundles of any signed size, immutable | [`read`] |
//! | `GET /channel/<name>` | a channel's head | [`read`] |
//! | `GET /lookup/…` | the entries that have a hash | [`lookup`] |
//! | `POST /submit` | a record in, its proof out | [`submit`] |
//! | `POST /add` | any bytes in, their index out | [`submit`] |
//! | `GET /healthz`, `GET /` | for operators and people | [`page`] |
//!
//! Paths are c2sp.org/tlog-tiles and [`indelible_proto::log_api`]. A path is parsed into numbers or names first,
//! raw as it came; no path ever reaches the file system as text. Every refusal is JSON from one table
//! ([`error`]). There are no administrative paths.

mod body;
pub mod error;
mod lookup;
mod page;
mod read;
mod submit;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::{get, post};
use indelible_proto::checkpoint::Origin;
use indelible_proto::log_api::{ADD_PATH, HEALTH_PATH, SUBMIT_PATH};
use indelible_proto::note::VerifierKey;
use indelible_proto::policy::Policy;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::SubmitConfig;
use crate::kind::LogKind;
use crate::publish::Published;
use crate::sequencer::SequencerHandle;
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
    /// Limits of submissions.
    pub submit: SubmitConfig,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// Whether the server was told to stop; submitters are then not kept waiting for witnesses.
    pub stopping: watch::Receiver<bool>,
}

/// The log's paths and what answers them.
pub fn router(log: Arc<Log>) -> Router {
    let nosniff = HeaderValue::from_static("nosniff");
    Router::new()
        .route("/", get(page::home))
        .route(HEALTH_PATH, get(page::health))
        .route("/checkpoint", get(read::checkpoint))
        .route("/tile/{*path}", get(read::tile))
        .route("/channel/{*name}", get(read::channel))
        .route("/lookup/{*path}", get(lookup::lookup))
        .route(SUBMIT_PATH, post(submit::submit))
        .route(ADD_PATH, post(submit::add))
        .fallback(async || Problem::UnknownPath)
        .method_not_allowed_fallback(async || Problem::Method)
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff))
        .with_state(log)
}

/// Lets pages of any site read an answer: everything a log serves is public.
const ANY_SITE: (HeaderName, HeaderValue) =
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

/// Caching of answers that are never to be kept.
const NEVER_CACHED: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
