//! How much of the index is in memory.

use serde::Deserialize;

use super::ConfigError;
use crate::index::{DEFAULT_MEMORY_ENTRIES, MEMORY_ENTRIES};

/// What of the index is in memory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// Most entries whose keys are in memory, of 11 to 22 bytes each.
    pub memory_entries: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self { memory_entries: DEFAULT_MEMORY_ENTRIES }
    }
}

impl IndexConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let got = self.memory_entries as u64;
        match MEMORY_ENTRIES.contains(&got) {
            true => Ok(()),
            false => Err(ConfigError::Range { key: "index.memory_entries", got, range: "512 to 67108864" }),
        }
    }
}
