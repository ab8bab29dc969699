//! The log's clock: when each checkpoint was signed.
//!
//! The times go into the journal and nowhere else. They show a start that the clock went back, as it does on a
//! machine that was restored from an old image.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indelible_proto::time::UnixSeconds;

/// Tells the time. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixSeconds + Send + Sync>);

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self::new(|| {
            // A clock before 1970 is as wrong as one at 1970, and refused as such by a log of today.
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            UnixSeconds::new(seconds).expect("invariant: the system keeps seconds in 63 bits")
        })
    }

    /// A clock that is this function.
    pub fn new(now: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> UnixSeconds {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
