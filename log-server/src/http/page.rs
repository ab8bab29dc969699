//! Answers for people and for operators' health checks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indelible_proto::log_api::TEXT_MEDIA_TYPE;

use super::error::Problem;
use super::{Log, NEVER_CACHED, respond};
use crate::kind::LogKind;
use crate::space::Room;

/// The page loads nothing, runs nothing and is framed by nobody.
const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");

/// 200 while submissions are taken; the text warns of a disk that is filling up.
pub(super) async fn health(State(log): State<Arc<Log>>) -> Response {
    if log.sequencer.is_stopped() {
        return Problem::Stopping.into_response();
    }
    match log.space.room() {
        Room::Enough => respond(StatusCode::OK, TEXT_MEDIA_TYPE, NEVER_CACHED, "ok\n"),
        Room::Low { free_mib, warn_mib } => {
            let low =
                format!("ok, but disk-space is low: {free_mib} MiB free, warning below {warn_mib} MiB\n");
            respond(StatusCode::OK, TEXT_MEDIA_TYPE, NEVER_CACHED, low)
        }
        Room::TooLittle { free_mib, min_mib } => Problem::DiskSpace { free_mib, min_mib }.into_response(),
    }
}

/// What this is and how to use it.
pub(super) async fn home(State(log): State<Arc<Log>>) -> Response {
    let (size, origin) = (log.published.borrow().head().size, escape(log.origin.as_str()));
    let (kind, write) = match log.kind {
        LogKind::Records => (
            "records of software releases and detection-rule updates",
            "<li><code>POST /submit</code> a signed record in, its proof out</li>\n\
             <li><code>POST /submit-batch</code> many records in, an answer to each out</li>\n\
             <li><code>GET /channel/&lt;name&gt;</code> where a channel stands</li>",
        ),
        LogKind::Raw => {
            let add = "<li><code>POST /add</code> an entry in, its index out</li>\n\
                       <li><code>POST /add-batch</code> many entries in, their indices out</li>";
            ("entries of any bytes", add)
        }
    };
    let key = escape(&log.key.encode());
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{origin}</title>\n\
         <h1>{origin}</h1>\n\
         <p>An Indelible transparency log of {kind}. It has published {size} of them.</p>\n\
         <ul>\n\
         <li><a href=\"checkpoint\"><code>GET /checkpoint</code></a> the newest published tree head</li>\n\
         <li><code>GET /tile/&lt;level&gt;/&lt;index&gt;</code>, <code>GET /tile/entries/&lt;index&gt;</code> \
         everything in it, as c2sp.org/tlog-tiles says</li>\n\
         {write}\n\
         </ul>\n\
         <p>Its key: <code>{key}</code></p>\n\
         <p>Do not trust this page for the key. Get it where you learned of the log.</p>\n</html>\n"
    );
    let mut response = respond(StatusCode::OK, "text/html; charset=utf-8", NEVER_CACHED, page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    response
}

/// Text as HTML shows it, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Invisible and direction-changing characters could make one origin look like another.
            other if other.is_ascii_graphic() || other == ' ' || other.is_alphanumeric() => {
                escaped.push(other);
            }
            other => escaped.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_could_be_markup_is_escaped() {
        assert_eq!(escape("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(escape("log.example/\u{202e}a\u{200b}ü"), "log.example/\\u{202e}a\\u{200b}ü");
    }
}
