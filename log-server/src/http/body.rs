//! Reading a request's body with limits on its length and its time, and on all bodies together.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Buf as _, Bytes};
use tokio::time::timeout;

use super::error::Problem;

/// How much of a body that is refused is still read, in bytes, before the refusal is sent. Ending the
/// connection with much of it unread would make many clients miss the refusal.
const DISCARDED_MAX: usize = 1024 * 1024;
/// How much memory a body gets before any of it has arrived: enough for an entry. An announced length alone
/// takes no more.
const RESERVED_MAX: usize = 64 * 1024;

/// Bodies on their way in, of all requests together.
#[derive(Debug)]
pub struct Bodies {
    /// How long one may take to arrive.
    limit: Duration,
    /// Bytes that may have arrived of bodies that are not complete.
    max_bytes: usize,
    bytes: AtomicUsize,
}

impl Bodies {
    /// None so far. Each has to arrive within `limit`, and they have at most `max_bytes` together.
    pub fn new(limit: Duration, max_bytes: usize) -> Self {
        Self { limit, max_bytes, bytes: AtomicUsize::new(0) }
    }

    /// The whole body, if it has at most `max` bytes and arrives in time.
    pub(super) async fn read(&self, mut body: Body, max: usize) -> Result<Vec<u8>, Problem> {
        let announced = announced(&body);
        if announced > max.saturating_add(DISCARDED_MAX) {
            return Err(Problem::BodyTooLong { max });
        }
        let mut held = Held { of: self, bytes: 0 };
        let whole = async {
            let mut bytes = Vec::with_capacity(announced.min(max).min(RESERVED_MAX));
            let mut length = 0usize;
            while let Some(data) = next(&mut body).await? {
                length = length.saturating_add(data.remaining());
                if length <= max {
                    held.grow(data.remaining())?;
                    bytes.extend_from_slice(&data);
                } else if length > max.saturating_add(DISCARDED_MAX) {
                    break;
                }
            }
            if length > max { Err(Problem::BodyTooLong { max }) } else { Ok(bytes) }
        };
        timeout(self.limit, whole).await.unwrap_or(Err(Problem::BodySlow { limit: self.limit }))
    }

    /// Reads what a client is likely to send before it looks at the answer, and keeps none of it.
    pub(super) async fn discard(&self, mut body: Body) {
        if announced(&body) > DISCARDED_MAX {
            return;
        }
        let mut length = 0usize;
        let whole = async {
            while let Ok(Some(data)) = next(&mut body).await {
                length = length.saturating_add(data.remaining());
                if length > DISCARDED_MAX {
                    break;
                }
            }
        };
        // However it ends: the answer is the same.
        let _ = timeout(self.limit, whole).await;
    }
}

/// How long a body is at least, as its head says.
pub(super) fn announced(body: &Body) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        // Trailers are no part of it.
        if let Ok(data) = frame.map_err(|_| Problem::BodyBroken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The share of one body, given back when dropped.
#[derive(Debug)]
struct Held<'a> {
    of: &'a Bodies,
    bytes: usize,
}

impl Held<'_> {
    fn grow(&mut self, more: usize) -> Result<(), Problem> {
        self.bytes += more;
        let before = self.of.bytes.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.of.max_bytes { Err(Problem::Crowded) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn bodies(max_bytes: usize) -> Bodies {
        Bodies::new(LONG, max_bytes)
    }

    #[tokio::test]
    async fn one_byte_more_than_all_bodies_may_have_is_refused() {
        let bodies = bodies(10);
        assert_eq!(bodies.read(Body::from("0123456789"), 100).await.unwrap(), b"0123456789");
        let refused = bodies.read(Body::from("0123456789a"), 100).await;
        assert!(matches!(refused, Err(Problem::Crowded)), "{refused:?}");
        assert_eq!(bodies.bytes.load(Ordering::Relaxed), 0, "what was refused is given back");
    }

    #[tokio::test]
    async fn bodies_share_what_they_may_have_while_they_arrive() {
        let bodies = bodies(10);
        let mut other = Held { of: &bodies, bytes: 0 };
        other.grow(6).unwrap();
        assert!(matches!(bodies.read(Body::from("12345"), 100).await, Err(Problem::Crowded)));
        assert!(bodies.read(Body::from("1234"), 100).await.is_ok());
        drop(other);
        assert!(bodies.read(Body::from("12345"), 100).await.is_ok());
    }

    #[tokio::test]
    async fn one_byte_more_than_one_body_may_have_is_refused() {
        let bodies = bodies(1 << 30);
        assert!(bodies.read(Body::from(vec![0; 100]), 100).await.is_ok());
        let refused = bodies.read(Body::from(vec![0; 101]), 100).await;
        assert!(matches!(refused, Err(Problem::BodyTooLong { max: 100 })));
    }
}
