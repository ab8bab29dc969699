//! Waiting for something to become so, where nothing says when it has.

use std::time::{Duration, Instant};

/// How long anything may take. Long, because machines are shared; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The first thing that `look` finds.
///
/// # Panics
///
/// If it finds nothing for a minute; the message says `what` was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}
