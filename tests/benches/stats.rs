//! What several rounds, or many requests, come to.

use std::time::Duration;

pub(crate) use indelible_tests::load::Latencies;
use serde::Serialize;

/// Median and extremes of one value over the rounds of a measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    /// The middle round; of an even number, the lower of the two in the middle.
    pub(crate) median: f64,
    /// The lowest round.
    pub(crate) low: f64,
    /// The highest round.
    pub(crate) high: f64,
}

impl Spread {
    /// Of these rounds; all zero without any.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
        let last = rounds.len().saturating_sub(1);
        Self { median: at(last / 2), low: at(0), high: at(last) }
    }
}

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A time in microseconds.
pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
