//! Settings of what is compared before this log signs.

use std::num::NonZeroU64;

use serde::Deserialize;

use super::ConfigError;

/// Most addresses in `refuse.checkpoints`: each is asked at every interval.
pub const MAX_CHECKPOINT_URLS: usize = 64;

/// Where checkpoints of this log are looked for, and which of these must have answered before it signs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefuseConfig {
    /// Addresses that serve a checkpoint of this log, besides the witnesses of the policy: mirrors, and
    /// witnesses that can be read elsewhere than they are asked.
    pub checkpoints: Vec<String>,
    /// Which of those addresses, and of the policy's witnesses by their names, must have answered.
    pub must_answer: Vec<String>,
    /// Seconds the log waits at its start for those that must answer.
    pub wait_s: u64,
    /// Seconds between two looks at each of those addresses while the log runs.
    pub interval_s: NonZeroU64,
}

impl Default for RefuseConfig {
    fn default() -> Self {
        Self {
            checkpoints: Vec::new(),
            must_answer: Vec::new(),
            wait_s: 30,
            interval_s: NonZeroU64::new(60).expect("invariant: not zero"),
        }
    }
}

impl RefuseConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let got = self.checkpoints.len() as u64;
        if self.checkpoints.len() > MAX_CHECKPOINT_URLS {
            return Err(ConfigError::Range { key: "refuse.checkpoints", got, range: "at most 64 addresses" });
        }
        match self.checkpoints.iter().find(|url| crate::init::parse_url(url).is_err()) {
            Some(got) => Err(ConfigError::Url { key: "refuse.checkpoints", got: got.clone() }),
            None => Ok(()),
        }
    }
}
