//! The arguments of a publication, whatever it says.

use std::path::{Path, PathBuf};

use clap::Args;

use super::audience::AudienceArgs;

/// The log, its policy, and what is remembered of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// Policy of the log: which log, which witnesses, how many of them
    #[arg(long, value_name = "FILE")]
    pub(super) policy: PathBuf,
    /// Base URL of the log [default: the URL in the policy]
    #[arg(long, value_name = "URL")]
    pub(super) log: Option<String>,
    /// Directory of what is remembered [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Keep every cosignature in the proof; without this, those of ML-DSA-44 keys, 3 KB each, are left out where the
    /// policy is satisfied by the others
    #[arg(long)]
    pub(super) all_cosignatures: bool,
    /// Seconds to wait until enough witnesses have seen the record
    #[arg(long, value_name = "SECS", default_value_t = 120)]
    pub(super) wait: u64,
}

/// The same, and how a statement gets its place there, or is only made.
#[derive(Debug, Args)]
pub(in crate::cli) struct PublicationArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    #[command(flatten)]
    pub(super) audience: AudienceArgs,
    /// Take what is not given here from a TOML or JSON file: keys are the long names of arguments
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Publish a new record even if the last one says the same
    #[arg(long)]
    pub(super) renew: bool,
    /// Go on from the log's head although it is not the remembered one
    #[arg(long)]
    pub(super) accept_log_head: bool,
    /// Print the statement that would be signed, and publish nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write the statement that is to be signed to FILE, and publish nothing; sign it elsewhere with `indelible
    /// sign`, then hand it in with `indelible submit`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(super) prepare: Option<PathBuf>,
}

impl PublicationArgs {
    /// The policy's file.
    pub(in crate::cli) fn policy(&self) -> &Path {
        &self.log.policy
    }
}

/// For what was signed elsewhere: it has its place already.
impl From<LogArgs> for PublicationArgs {
    fn from(log: LogArgs) -> Self {
        let audience = AudienceArgs::default();
        Self {
            log,
            audience,
            from_file: None,
            renew: false,
            accept_log_head: false,
            dry_run: false,
            prepare: None,
        }
    }
}
