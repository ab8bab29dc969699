//! The read paths: the published checkpoint, tiles, entry bundles, channel heads.
//!
//! Tiles are served up to the newest *signed* size, not only the published one: a witness that was just asked
//! may fetch what it needs. Only `/checkpoint` waits for the quorum.
//!
//! What is in memory is answered at once. What is on disk is read on a thread for blocking work, of which there
//! are as many as the runtime has; further requests wait.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use indelible_proto::log_api::{
    BYTES_MEDIA_TYPE, ChannelHeadAnswer, JSON_MEDIA_TYPE, TEXT_MEDIA_TYPE, parse_channel_path,
};
use indelible_proto::tile::ResourcePath;

use super::error::Problem;
use super::{Log, NEVER_CACHED, respond};
use crate::blocking::blocking;
use crate::kind::LogKind;
use crate::tree_reader::Held;

/// Long enough to spare the log a crowd, short enough for c2sp.org/tlog-tiles ("a few seconds").
pub(super) const CACHED_BRIEFLY: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// What a tile of some width holds never changes.
const CACHED_FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(super) async fn checkpoint(State(log): State<Arc<Log>>) -> Response {
    let bytes = log.published.borrow().bytes().clone();
    respond(StatusCode::OK, TEXT_MEDIA_TYPE, CACHED_BRIEFLY, bytes)
}

pub(super) async fn tile(State(log): State<Arc<Log>>, uri: Uri) -> Result<Response, Problem> {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let path = ResourcePath::parse(path).map_err(Problem::TilePath)?;
    let tree = log.sequencer.tree();
    let held = match &path {
        ResourcePath::Tile(id) => tree.held_tile(id),
        ResourcePath::Bundle(id) => tree.held_bundle(id),
    };
    let bytes = match held {
        Held::Here(bytes) => Some(bytes),
        Held::Nowhere => None,
        Held::OnDisk => {
            let tree = Arc::clone(&tree);
            let read = move || match path {
                ResourcePath::Tile(id) => tree.tile(&id),
                ResourcePath::Bundle(id) => tree.bundle(&id),
            };
            blocking(read).await.map_err(Problem::Read)?
        }
    };
    let bytes = bytes.ok_or_else(|| Problem::BeyondTree { size: tree.signed_size() })?;
    Ok(respond(StatusCode::OK, BYTES_MEDIA_TYPE, CACHED_FOR_EVER, bytes))
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
    Ok(respond(StatusCode::OK, JSON_MEDIA_TYPE, NEVER_CACHED, head))
}
