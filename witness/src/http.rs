//! The witness's HTTP interface (c2sp.org/tlog-witness).
//!
//! | request | answer |
//! |---|---|
//! | `POST /add-checkpoint` | 200 and one cosignature line, or what [`Refusal::status`] says and why |
//! | `GET /<origin hash>/checkpoint` | the note last cosigned; 404 if there is none |
//! | `GET /` | name, key and number of logs, for people |
//! | `GET /healthz` | 200 while the witness signs, 503 once it has stopped |
//!
//! A 409 carries the held size as `text/x.tlog.size`; every other error is one line `<code>: <message>`.
//! A body above the limit gets 413, one that does not come in time 408. Answers may be read by scripts of
//! any web page: everything here is public.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use indelible_proto::witness_api::{
    ADD_CHECKPOINT_PATH, AddCheckpointRequest, SIZE_MEDIA_TYPE, encode_cosignatures, encode_size,
};
use tokio::sync::Semaphore;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::refusal::Refusal;
use crate::witness::Witness;

/// Requests decided at one time; more wait. Each may hold a thread through a write to disk.
pub(crate) const MAX_DECIDING: usize = 64;

/// The router over `witness`. A body must come, and a turn to decide on it, within `timeout` each.
pub fn router(witness: Arc<Witness>, timeout: Duration) -> Router {
    let app = App { witness, timeout, deciding: Arc::new(Semaphore::new(MAX_DECIDING)) };
    let constant = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    Router::new()
        .route("/", get(front_page))
        .route("/healthz", get(health))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .route(ADD_CHECKPOINT_PATH, post(add_checkpoint))
        .layer(DefaultBodyLimit::max(AddCheckpointRequest::MAX_BYTES))
        .layer(constant(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .layer(constant(header::CACHE_CONTROL, "no-cache"))
        .layer(constant(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .with_state(app)
}

#[derive(Clone)]
struct App {
    witness: Arc<Witness>,
    timeout: Duration,
    deciding: Arc<Semaphore>,
}

async fn add_checkpoint(State(app): State<App>, request: Request) -> Response {
    let max = AddCheckpointRequest::MAX_BYTES;
    let too_large = || {
        let message = format!("too-large: the body is longer than {max} bytes\n");
        (StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
    };
    // What is announced as too long is refused before a byte of it is waited for.
    if usize::try_from(request.body().size_hint().lower()).map_or(true, |length| length > max) {
        return too_large();
    }
    let body = match tokio::time::timeout(app.timeout, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => return too_large(),
        Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "truncated: the body broke off\n").into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "slow: the body came too slowly\n").into_response(),
    };
    let turn = tokio::time::timeout(app.timeout, app.deciding.acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let retry = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "busy: too many requests\n").into_response();
    };
    let decided = tokio::task::spawn_blocking(move || {
        // The turn ends with the work, not with the client's patience.
        let _turn = turn;
        app.witness.add_checkpoint(&body)
    });
    match decided.await {
        Ok(Ok(cosignature)) => encode_cosignatures(&[cosignature]).into_response(),
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal: the request failed\n").into_response(),
    }
}

async fn checkpoint(State(app): State<App>, Path(origin_hash): Path<String>) -> Response {
    match app.witness.latest(&origin_hash) {
        Some(note) => ([(header::CONTENT_TYPE, TEXT)], note).into_response(),
        None => (StatusCode::NOT_FOUND, "not-found: no checkpoint cosigned\n").into_response(),
    }
}

async fn front_page(State(app): State<App>) -> String {
    let key = app.witness.key();
    let (name, logs) = (key.name(), app.witness.store().log_count());
    format!("witness {name}\nkey {key}\nlogs {logs}\nprotocol https://c2sp.org/tlog-witness\n")
}

async fn health(State(app): State<App>) -> Response {
    if app.witness.store().has_failed() {
        return Refusal::Stopped.into_response();
    }
    "ok\n".into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Self::OtherSize { held, .. } = self {
            return (self.status(), [(header::CONTENT_TYPE, SIZE_MEDIA_TYPE)], encode_size(held))
                .into_response();
        }
        (self.status(), format!("{}: {self}\n", self.code())).into_response()
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
