//! Looking entries up: `indelible_proto::log_api::lookup` has the paths and the answer.
//!
//! Answers come from the index, each entry checked against its own bytes, up to the size that the answer
//! names. They are hints for whoever then fetches and proves the entries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use indelible_proto::log_api::{
    JSON_MEDIA_TYPE, Lookup, LookupAnswer, LookupEntry, LookupKey, LookupRecord, MAX_LOOKUP_ENTRIES,
};

use super::error::Problem;
use super::read::CACHED_BRIEFLY;
use super::{Log, NEVER_CACHED, respond};
use crate::blocking::blocking;
use crate::kind::LogKind;

pub(super) async fn lookup(State(log): State<Arc<Log>>, uri: Uri) -> Result<Response, Problem> {
    if uri.query().is_some() {
        return Err(Problem::UnknownPath);
    }
    let Lookup { key, from } = Lookup::parse(uri.path()).map_err(Problem::LookupPath)?;
    if log.kind == LogKind::Raw && !matches!(key, LookupKey::Leaf(_)) {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let index = log.sequencer.index();
    index.wait_until_opened().await;
    let places = blocking(move || index.places(&key, from, MAX_LOOKUP_ENTRIES)).await;
    let places = places.map_err(|error| match error.passes() {
        true => Problem::IndexRebuilt,
        false => Problem::Index(error),
    })?;
    let entries = places
        .found
        .iter()
        .map(|(index, record)| LookupEntry { index: *index, record: record.as_ref().map(LookupRecord::of) });
    let answer = LookupAnswer { entries: entries.collect(), next: places.next, size: places.size };
    // What is not there may be a moment later; what is there stays, and more may come.
    let (status, caching) = match answer.entries.is_empty() {
        true => (StatusCode::NOT_FOUND, NEVER_CACHED),
        false => (StatusCode::OK, CACHED_BRIEFLY),
    };
    Ok(respond(status, JSON_MEDIA_TYPE, caching, answer.encode()))
}
