//! HTTP with every wait and every length bounded: the one place that builds an HTTP client.
//!
//! What the client does not do, and why:
//!
//! * **No redirects.** A 3xx status is an error like any other: a redirect could lead to another host, to
//!   a loop, or inside the network of whoever follows it.
//! * **No proxies.** `HTTP_PROXY` and its relatives are ignored: a variable set for other programs must
//!   not decide who sees and answers our requests.
//! * **No content decoding.** It asks for no compression, and an answer with a `Content-Encoding` is
//!   refused, so a few kilobytes on the wire cannot become gigabytes in memory.
//! * **No retries.** Callers know whether a request may be repeated.
//!
//! TLS is rustls with the ring provider, which is made the process default here unless another one is
//! already; certificates are checked against the system's roots (`SSL_CERT_FILE` is honoured). On a
//! machine without any roots `http://` works and every `https://` handshake fails as unknown issuer.

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};

/// Why an exchange gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address is not an `http://` or `https://` URL.
    #[error("{url:?} is not an http or https URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// The client could not be set up.
    #[error("cannot set up the HTTP client")]
    Setup {
        /// What failed.
        source: reqwest::Error,
    },
    /// No connection: name not resolved, refused, or the TLS handshake failed.
    #[error("cannot connect")]
    Connect {
        /// What failed.
        source: reqwest::Error,
    },
    /// The time for connecting or for the whole exchange ran out.
    #[error("no complete answer in time")]
    Timeout,
    /// The connection broke, or what came was not HTTP.
    #[error("the exchange broke off")]
    Interrupted {
        /// What failed.
        source: reqwest::Error,
    },
    /// The answer is longer than it may be.
    #[error("the answer is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// The answer is compressed or otherwise encoded, which was not asked for.
    #[error("the answer has a content encoding, none was asked for")]
    Encoded,
    /// The server answered with another status than 200.
    #[error("the server answered {status}: {}", .body.escape_debug())]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the answer, for people; at most [`SNIPPET_BYTES`] bytes of it.
        body: String,
    },
}

impl FetchError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "http-url",
            Self::Setup { .. } => "http-setup",
            Self::Connect { .. } => "http-connect",
            Self::Timeout => "http-timeout",
            Self::Interrupted { .. } => "http-interrupted",
            Self::TooLarge { .. } => "http-too-large",
            Self::Encoded => "http-encoded",
            Self::Status { .. } => "http-status",
        }
    }

    /// Whether the same request may well succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Url { .. } | Self::Setup { .. } | Self::TooLarge { .. } | Self::Encoded => false,
        }
    }

    /// The HTTP status, if the server answered with one we did not want.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// How long an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first packet to an established (TLS) connection.
    pub connect: Duration,
    /// From the start of the request to the last byte of the answer. A server that sends one byte a
    /// second does not prolong it.
    pub total: Duration,
    /// How long a connection is kept for another request. Less than servers keep it: whoever computes for a while
    /// between two requests does not see that the server has closed it, and would lose the second.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// 5 seconds to connect, 30 in total: enough for a full entry bundle (16 MiB) at 5 Mbit/s. Idle for 5: our own
    /// servers keep a connection for 10.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), total: seconds(30), idle: seconds(5) }
    }
}

/// A complete answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`, if there is one and it is text.
    pub content_type: Option<String>,
    /// `Retry-After` in seconds, if the server gave it so.
    pub retry_after_s: Option<u64>,
    /// The whole body, at most as long as the caller allowed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The start of the body as text for people: at most [`SNIPPET_BYTES`] bytes, lossy.
    pub fn snippet(&self) -> String {
        let start = self.body.get(..SNIPPET_BYTES).unwrap_or(&self.body);
        String::from_utf8_lossy(start).trim_end().to_owned()
    }
}

/// How much of an unwanted answer is kept for messages, in bytes.
pub const SNIPPET_BYTES: usize = 512;

/// An HTTP client; cheap to clone, and clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: reqwest::Client,
}

impl HttpClient {
    /// A client with these time limits.
    ///
    /// # Errors
    /// [`FetchError::Setup`] if TLS cannot be set up.
    pub fn new(timeouts: Timeouts) -> Result<Self, FetchError> {
        // Fails only if the process has a provider already, which then is the one to use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .connect_timeout(timeouts.connect)
                .timeout(timeouts.total)
                .pool_idle_timeout(timeouts.idle)
                .user_agent(concat!("indelible/", env!("CARGO_PKG_VERSION")))
        };
        // Without system roots the first attempt fails; a machine that only talks to its own loopback
        // needs none.
        let inner = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        Ok(Self { inner: inner.map_err(|source| FetchError::Setup { source })? })
    }

    /// The body of `url`, which the server must answer with status 200 and at most `max_bytes` bytes.
    ///
    /// # Errors
    /// [`FetchError::Status`] for any other status, otherwise as the exchange went.
    pub async fn get_limited(&self, url: &str, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let answer = exchange(self.inner.get(checked(url)?), max_bytes).await?;
        if answer.status == StatusCode::OK.as_u16() {
            return Ok(answer.body);
        }
        Err(FetchError::Status { status: answer.status, body: answer.snippet() })
    }

    /// Posts `body` to `url` and returns the answer with whatever status, at most `max_bytes` bytes long.
    ///
    /// # Errors
    /// Never [`FetchError::Status`]; otherwise as the exchange went.
    pub async fn post_limited(
        &self,
        url: &str,
        content_type: &str,
        body: Vec<u8>,
        max_bytes: usize,
    ) -> Result<Answer, FetchError> {
        let request = self.inner.post(checked(url)?).header(CONTENT_TYPE, content_type).body(body);
        exchange(request, max_bytes).await
    }
}

/// The parsed URL, if it is one we speak.
fn checked(url: &str) -> Result<reqwest::Url, FetchError> {
    match reqwest::Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(parsed),
        _ => Err(FetchError::Url { url: url.to_owned() }),
    }
}

async fn exchange(request: reqwest::RequestBuilder, max_bytes: usize) -> Result<Answer, FetchError> {
    let mut response = request.send().await.map_err(classify)?;
    if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Encoded);
    }
    let body = read_limited(&mut response, max_bytes).await?;
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: text_header(response.headers(), CONTENT_TYPE),
        retry_after_s: text_header(response.headers(), RETRY_AFTER).and_then(|text| text.parse().ok()),
        body,
    })
}

/// The whole body, refused as soon as it is known to be longer than `max_bytes`.
async fn read_limited(response: &mut Response, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let announced = response.content_length().map(usize::try_from);
    if announced.is_some_and(|length| length.map_or(true, |length| length > max_bytes)) {
        return Err(FetchError::TooLarge { max_bytes });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if chunk.len() > max_bytes.saturating_sub(body.len()) {
            return Err(FetchError::TooLarge { max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text_header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn classify(error: reqwest::Error) -> FetchError {
    let source = error.without_url();
    if source.is_timeout() {
        FetchError::Timeout
    } else if source.is_connect() {
        FetchError::Connect { source }
    } else {
        FetchError::Interrupted { source }
    }
}

#[cfg(test)]
mod tests;
