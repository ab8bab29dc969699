//! Whose checkpoints of a log behind a URL are believed, as the command line says it.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_client::durable;
use indelible_client::keys;
use indelible_proto::policy::{MAX_POLICY_BYTES, Policy};

use crate::chain::Chain;
use crate::fsck::policy_of_key;

/// Whose checkpoints are believed.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(super) struct Trust {
    /// The log's verifier key, or a file with it; believes the log without any witness.
    #[arg(long, value_name = "VKEY")]
    pub(super) log_key: Option<String>,
    /// A policy file: the log's key, its witnesses, and how many of them must have cosigned.
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
}

/// What the command line says makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

impl Usage {
    pub(super) fn new(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

impl Trust {
    /// The policy that this makes; `None` if nothing was given.
    pub(super) fn policy(&self) -> Result<Option<Policy>, Usage> {
        match (&self.log_key, &self.policy) {
            (Some(key), _) => {
                let key = keys::parse_vkey(key).map_err(|error| Usage::new(&Chain(&error)))?;
                policy_of_key(&key).map(Some).map_err(|error| Usage::new(&error))
            }
            (None, Some(path)) => {
                let bytes = read(path)?;
                Policy::parse(&bytes).map(Some).map_err(|error| named(path, &error))
            }
            (None, None) => Ok(None),
        }
    }

    /// The text of the policy file.
    pub(super) fn policy_text(&self) -> Result<String, Usage> {
        let path = self.policy.as_ref().ok_or_else(|| Usage::new(&"--policy is needed"))?;
        String::from_utf8(read(path)?).map_err(|error| named(path, &error))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Usage> {
    let bytes = durable::read(path, MAX_POLICY_BYTES).map_err(|error| named(path, &Chain(&error)))?;
    bytes.ok_or_else(|| named(path, &"there is no such file"))
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> Usage {
    Usage(format!("{}: {error}", path.display()))
}
