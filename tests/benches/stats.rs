//! What several rounds, or many requests, come to.

use std::time::Duration;

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

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Of these times, in any order.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// All of several together.
    pub(crate) fn join(parts: Vec<Self>) -> Self {
        Self::of(parts.into_iter().flat_map(|part| part.sorted).collect())
    }

    /// The time that `percent` of them do not exceed; zero without any.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let rank = (percent / 100.0 * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// All of them together.
    pub(crate) fn total(&self) -> Duration {
        self.sorted.iter().sum()
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
