//! The read paths: the published checkpoint, tiles, entry bundles, channel heads.
//!
//! Tiles are served up to the newest *signed* size, not only the published one: a witness that was just asked
//! may fetch what it needs. Only `/checkpoint` waits for the quorum.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use indelible_proto::log_api::{
    BYTES_MEDIA_TYPE, ChannelHeadAnswer, JSON_MEDIA_TYPE, TEXT_MEDIA_TYPE, parse_channel_path,
};
use indelible_proto::tile::ResourcePath;

use super::error::Problem;
use super::{ANY_SITE, Log, NEVER_CACHED};
use crate::blocking::blocking;
use crate::kind::LogKind;

/// Long enough to spare the log a crowd, short enough for c2sp.org/tlog-tiles ("a few seconds").
pub(super) const CACHED_BRIEFLY: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
/// What a tile of some width holds never changes.
const CACHED_FOR_EVER: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));

pub(super) async fn checkpoint(State(log): State<Arc<Log>>) -> Response {
    let bytes = log.published.borrow().bytes().clone();
    ([content_type(TEXT_MEDIA_TYPE), CACHED_BRIEFLY, ANY_SITE], bytes).into_response()
}

pub(super) async fn tile(State(log): State<Arc<Log>>, uri: Uri) -> Result<Response, Problem> {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let path = ResourcePath::parse(path).map_err(Problem::TilePath)?;
    let tree = log.sequencer.tree();
    let size = tree.signed_size();
    let read = move || match path {
        ResourcePath::Tile(id) => tree.tile(&id),
        ResourcePath::Bundle(id) => tree.bundle(&id),
    };
    let bytes: Option<Bytes> = blocking(read).await.map_err(Problem::Read)?;
    let bytes = bytes.ok_or(Problem::BeyondTree { size })?;
    Ok(([content_type(BYTES_MEDIA_TYPE), CACHED_FOR_EVER, ANY_SITE], bytes).into_response())
}

pub(super) async fn channel(State(log): State<Arc<Log>>, uri: Uri) -> Result<Response, Problem> {
    if log.kind != LogKind::Records {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let name = parse_channel_path(uri.path()).map_err(Problem::ChannelPath)?;
    let Some(state) = log.sequencer.channel(&name) else {
        return Err(Problem::UnknownChannel(name));
    };
    let head = ChannelHeadAnswer::of(&state).encode();
    Ok(([content_type(JSON_MEDIA_TYPE), NEVER_CACHED, ANY_SITE], head).into_response())
}

pub(super) fn content_type(media_type: &'static str) -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static(media_type))
}
