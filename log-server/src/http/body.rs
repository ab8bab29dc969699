//! Reading a request's body with limits on its length and its time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Buf as _;
use tokio::time::timeout;

use super::error::Problem;

/// How much of a body that is too long is still read, in bytes, before the refusal is sent. Ending the
/// connection with much of it unread would make many clients miss the refusal.
const DISCARDED_MAX: usize = 1024 * 1024;

/// The whole body, if it has at most `max` bytes and arrives within `limit`.
pub(super) async fn read(mut body: Body, max: usize, limit: Duration) -> Result<Vec<u8>, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max.saturating_add(DISCARDED_MAX) {
        return Err(Problem::BodyTooLong { max });
    }
    let whole = async {
        let mut bytes = Vec::with_capacity(announced.min(max));
        let mut length = 0usize;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|_| Problem::BodyBroken)?.into_data() else { continue };
            length = length.saturating_add(data.remaining());
            if length <= max {
                bytes.extend_from_slice(&data);
            } else if length > max.saturating_add(DISCARDED_MAX) {
                break;
            }
        }
        if length > max { Err(Problem::BodyTooLong { max }) } else { Ok(bytes) }
    };
    timeout(limit, whole).await.unwrap_or(Err(Problem::BodySlow { limit }))
}
