//! Every way a request can fail, and the one table that turns it into an answer.
//!
//! The body is an [`ApiError`]: a stable code for programs, and a message with the value, the limit and what to
//! do next. Nothing of the server's inside is in it; that goes to the server's own log.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indelible_proto::channel_file::ChannelFileError;
use indelible_proto::log_api::{
    AnswerError, ApiError, BatchError, ChannelHeadAnswer, JSON_MEDIA_TYPE, RecordAnswer,
};
use indelible_proto::proof::ProofError;
use indelible_proto::record::{AdmissionError, ChannelName, ChannelState, RecordError};
use indelible_proto::size::TreeSize;
use indelible_proto::tile::TileError;

use super::{NEVER_CACHED, respond};
use crate::index::IndexError;
use crate::kind::LogKind;
use crate::openers::OpeningError;
use crate::tree_reader::ReadError;

/// What clients are told to wait when the log can't say better, in seconds.
const RETRY_AFTER_S: u64 = 1;
/// What clients are told to wait while there is too little room, in seconds: someone has to make it.
const DISK_RETRY_AFTER_S: u64 = 60;
/// What clients are told to wait while witnesses are behind, in seconds.
const BACKLOG_RETRY_AFTER_S: u64 = 10;
/// What clients are told to wait while the index is made again, in seconds.
const INDEX_RETRY_AFTER_S: u64 = 10;

/// Why a request is refused.
#[derive(Debug)]
pub enum Problem {
    /// A path this log does not have.
    UnknownPath,
    /// A path it has, with another method.
    Method,
    /// A path below `/tile/` that names no tile.
    TilePath(TileError),
    /// A path below `/channel/` that names no channel.
    ChannelPath(AnswerError),
    /// A path below `/lookup/` that asks for nothing.
    LookupPath(AnswerError),
    /// The index is being made again.
    IndexRebuilt,
    /// A tile or bundle that is not in the tree, or not yet.
    BeyondTree {
        /// How many entries the newest signed tree has.
        size: TreeSize,
    },
    /// A channel without a record.
    UnknownChannel(ChannelName),
    /// A path of the other kind of log.
    OtherKind {
        /// What this log stores.
        kind: LogKind,
    },
    /// More bytes than the path takes.
    BodyTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The body did not arrive in time.
    BodySlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The body ended early or is not what HTTP makes of it.
    BodyBroken,
    /// Bytes that are no batch of entries.
    Batch(BatchError),
    /// Bytes that are no record.
    Record(RecordError),
    /// A record that may not follow what its channel has come to.
    Refused {
        /// The rule it breaks.
        error: AdmissionError,
        /// What the channel has come to; boxed because it is large and rarely there.
        head: Option<Box<ChannelState>>,
    },
    /// This client has used up what it may submit.
    ClientLimit {
        /// When there is enough for this request, in seconds.
        retry_after_s: u64,
    },
    /// Too much is on its way in.
    Crowded,
    /// A record that would open a channel its signers may not open in this log.
    MayNotOpen(OpeningError),
    /// Too much waits to be sequenced.
    QueueFull {
        /// When to ask again, in seconds.
        retry_after_s: u64,
    },
    /// Too much is sequenced but not published.
    Backlog {
        /// How many entries are.
        unpublished: u64,
        /// How many may be.
        max: u64,
    },
    /// The disk is nearly full.
    DiskSpace {
        /// MiB that are free.
        free_mib: u64,
        /// MiB that must be.
        min_mib: u64,
    },
    /// The server is about to end.
    Stopping,
    /// The entry was taken, but whether it is in the log is not known.
    OutcomeUnknown,
    /// The stored tree can't be read.
    Read(ReadError),
    /// The stored entries can't be looked up.
    Index(IndexError),
    /// The log made a channel file that no reader would take.
    ChannelFile(ChannelFileError),
    /// The log made a proof that its own policy refuses.
    SelfCheck(ProofError),
}

/// What a problem is answered with.
struct Answer {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// The table. No arm for "everything else": a new problem gets its line here.
    fn answer(&self) -> Answer {
        use StatusCode as Is;
        let answer = |status, code, message: String| Answer { status, code, message, retry_after_s: None };
        let wait = |status, code, message: String, retry_after_s| Answer {
            status,
            code,
            message: format!("{message}; ask again in {retry_after_s} s"),
            retry_after_s: Some(retry_after_s),
        };
        let later =
            |code, message, retry_after_s| wait(Is::SERVICE_UNAVAILABLE, code, message, retry_after_s);
        match self {
            Self::UnknownPath => {
                answer(Is::NOT_FOUND, "path-unknown", "there is no such path; GET / lists them".into())
            }
            Self::Method => answer(
                Is::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path takes only the methods named in the Allow header".into(),
            ),
            Self::TilePath(error) => answer(
                Is::BAD_REQUEST,
                error.code(),
                format!("{error}; paths are written as in c2sp.org/tlog-tiles"),
            ),
            Self::ChannelPath(error) => answer(
                Is::BAD_REQUEST,
                error.code(),
                format!("{error}; the path is /channel/ and the channel's name, not percent-encoded"),
            ),
            Self::LookupPath(error) => answer(
                Is::BAD_REQUEST,
                error.code(),
                format!(
                    "{error}; the path is /lookup/leaf/HASH, /lookup/record/HASH or /lookup/artifact/HASH"
                ),
            ),
            Self::IndexRebuilt => {
                later("index-rebuilt", "the index is being made again".into(), INDEX_RETRY_AFTER_S)
            }
            Self::BeyondTree { size } => answer(
                Is::NOT_FOUND,
                "beyond-tree",
                format!("not in the tree, whose newest signed size is {size}; take sizes from a checkpoint"),
            ),
            Self::UnknownChannel(name) => answer(
                Is::NOT_FOUND,
                "channel-unknown",
                format!("channel {name} has no record; a channel record with seq 0 opens it"),
            ),
            Self::OtherKind { kind: LogKind::Records } => answer(
                Is::NOT_FOUND,
                "kind-records",
                "this log takes records only; send them to POST /submit".into(),
            ),
            Self::OtherKind { kind: LogKind::Raw } => answer(
                Is::NOT_FOUND,
                "kind-raw",
                "this log takes any bytes and knows no records; send entries to POST /add".into(),
            ),
            Self::BodyTooLong { max } => answer(
                Is::PAYLOAD_TOO_LARGE,
                "body-too-long",
                format!("the body is longer than {max} bytes; log a digest of what is larger"),
            ),
            Self::BodySlow { limit } => answer(
                Is::REQUEST_TIMEOUT,
                "body-slow",
                format!("the body did not arrive within {} s; send it again", limit.as_secs()),
            ),
            Self::BodyBroken => {
                answer(Is::BAD_REQUEST, "body-broken", "the body ended early; send it again".into())
            }
            Self::Batch(error @ (BatchError::TooMany { .. } | BatchError::TooLong { .. })) => {
                answer(Is::PAYLOAD_TOO_LARGE, error.code(), error.to_string())
            }
            Self::Batch(error) => answer(
                Is::BAD_REQUEST,
                error.code(),
                format!("{error}; each entry has its length in two bytes before it, and nothing was taken"),
            ),
            Self::Record(error) => answer(
                Is::BAD_REQUEST,
                error.code(),
                format!("not a record: {error}; docs/records.md has the format"),
            ),
            Self::Refused { error, .. } if error.is_conflict() => answer(
                Is::CONFLICT,
                error.code(),
                format!("{error}; make the record anew from the channel's heads"),
            ),
            Self::Refused { error, .. } => answer(
                Is::UNPROCESSABLE_ENTITY,
                error.code(),
                format!("{error}; the same record will be refused again"),
            ),
            Self::ClientLimit { retry_after_s } => wait(
                Is::TOO_MANY_REQUESTS,
                "client-limit",
                "your address or IPv6 net has submitted as much as one client may".into(),
                *retry_after_s,
            ),
            Self::Crowded => later("bodies-full", "too many bytes are on their way in".into(), RETRY_AFTER_S),
            Self::MayNotOpen(error) => answer(
                Is::FORBIDDEN,
                error.code(),
                format!("{error}; ask the log's operator to add your domain and key"),
            ),
            Self::QueueFull { retry_after_s } => {
                later("queue-full", "too many entries wait to be sequenced".into(), *retry_after_s)
            }
            Self::Backlog { unpublished, max } => later(
                "unpublished-backlog",
                format!("{unpublished} entries wait for witnesses, at most {max} may"),
                BACKLOG_RETRY_AFTER_S,
            ),
            Self::DiskSpace { free_mib, min_mib } => later(
                "disk-space",
                format!("{free_mib} MiB of disk are free, no entries are taken below {min_mib} MiB"),
                DISK_RETRY_AFTER_S,
            ),
            Self::Stopping => later("stopping", "the log is being stopped".into(), RETRY_AFTER_S),
            Self::OutcomeUnknown => later(
                "outcome-unknown",
                "the entry was taken, but it is not known to be in the log: send the same bytes again".into(),
                RETRY_AFTER_S,
            ),
            Self::Read(_) | Self::Index(_) => answer(
                Is::INTERNAL_SERVER_ERROR,
                "storage-unreadable",
                "the log could not read its own data; its operator has been told".into(),
            ),
            Self::ChannelFile(_) => answer(
                Is::INTERNAL_SERVER_ERROR,
                "channel-file-not-made",
                "the log made a channel file that no reader would take; its operator has been told".into(),
            ),
            Self::SelfCheck(_) => answer(
                Is::INTERNAL_SERVER_ERROR,
                "self-check-failed",
                "the log made a proof that its own policy refuses; its operator has been told".into(),
            ),
        }
    }

    /// What only the operator gets to see.
    fn report(&self) {
        match self {
            Self::Read(error) => tracing::error!(code = error.code(), %error, "cannot read the stored tree"),
            Self::Index(error) => tracing::error!(code = error.code(), %error, "cannot look entries up"),
            Self::ChannelFile(error) => {
                tracing::error!(code = error.code(), %error, "cannot make a channel file");
            }
            Self::SelfCheck(error) => {
                tracing::error!(code = error.code(), %error, "a proof failed the check before it was sent");
            }
            _ => {}
        }
    }
}

impl Problem {
    /// The body of the answer.
    fn body(&self, answer: &Answer) -> String {
        let error = ApiError::new(answer.code, &answer.message);
        match self {
            Self::Refused { error: refusal, head: Some(head) } if refusal.is_conflict() => {
                error.with_head(ChannelHeadAnswer::of(head)).encode()
            }
            _ => error.encode(),
        }
    }

    /// The same answer to one record of many.
    pub(super) fn record_answer(&self) -> RecordAnswer {
        self.report();
        let answer = self.answer();
        RecordAnswer { status: answer.status.as_u16(), body: self.body(&answer).into_bytes() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.report();
        let answer = self.answer();
        let mut response = respond(answer.status, JSON_MEDIA_TYPE, NEVER_CACHED, self.body(&answer));
        if let Some(seconds) = answer.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests;
