//! The time of day, behind a function so that tests can choose it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indelible_proto::time::UnixSeconds;

/// Tells the time. The witness asks it once a request, and never trusts it: see [`crate::decide`].
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// The machine's clock; a time before 1970 reads as the epoch, which is refused as too early.
pub fn system() -> Clock {
    Arc::new(|| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        UnixSeconds::new(seconds).expect("invariant: the system keeps seconds in 63 bits")
    })
}
