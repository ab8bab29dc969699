//! Whom to trust and what to ask for, as `verify` and `guard` take it, and which arguments contradict each other.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::record::Platform;

use super::super::exit::Failure;
use super::knowledge::GivenFile;
use crate::client_config::ClientConfig;
use crate::verify::Rules;
use crate::verify::rules::ReviewRule;

/// Whom to trust and what to ask for.
#[derive(Debug, Args)]
pub(in crate::cli) struct TrustArgs {
    /// File with policy, pinned channels and further rules of this client; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    pub(super) config: Option<PathBuf>,
    /// Which logs and witnesses count [default: the one in --config]
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// Proof file of the vendor's channel, or the name of a channel pinned before; without it or --key, any
    /// pinned channel may vouch for the artifact
    #[arg(long, value_name = "PROOFFILE|NAME", conflicts_with = "keys")]
    pub(super) channel: Option<String>,
    /// Newest file of the vendor's channel, or of a reviewer's; can be given several times [default: what is
    /// remembered of the channel]
    #[arg(long = "channel-file", value_name = "FILE")]
    pub(super) channel_files: Vec<PathBuf>,
    /// Verifier key of the vendor, or a file with it; one of those given has to have signed. For a client that names no
    /// channels; what is remembered of a channel counts all the same
    #[arg(long = "key", value_name = "VKEY")]
    pub(super) keys: Vec<String>,
    /// Platform the artifact is to run on, OS/ARCH or OS/ARCH/VARIANT like linux/amd64; what the record has for another one
    /// is refused [default: the one in --config; without any, not checked]
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    pub(super) platform: Option<Platform>,
    /// Directory of what is remembered [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Remember nothing and compare with nothing remembered
    #[arg(long, conflicts_with = "state")]
    pub(super) no_state: bool,
    /// Show every check with what it looked at, also those that passed, and what was ignored
    #[arg(long)]
    pub(super) explain: bool,
}

impl TrustArgs {
    /// Trust in what a client's file says, and nothing else.
    pub(in crate::cli) fn of_file(config: &Path, state: &Path, explain: bool) -> Self {
        Self {
            config: Some(config.to_owned()),
            policy: None,
            channel: None,
            channel_files: Vec::new(),
            keys: Vec::new(),
            platform: None,
            state: Some(state.to_owned()),
            no_state: false,
            explain,
        }
    }
}

/// Keys are for whoever has no channels: beside channels that are named they would count for more than those, or what is
/// said of a channel would count for nothing. Either is a mistake that is better told than guessed at.
pub(super) fn check_keys(
    config: Option<&ClientConfig>,
    rules: &Rules,
    files: &[GivenFile],
) -> Result<(), Failure> {
    if config.is_some_and(|config| !config.channels.is_empty()) {
        let message = "the client's file names the channels that count, so a key given with --key does not";
        let next = "leave --key out; a channel that is to count belongs in [channels] of the client's file";
        return Err(Failure::usage("key-beside-channels", message, next));
    }
    let is_reviewers = |file: &&GivenFile| {
        rules.reviewers.iter().flat_map(ReviewRule::channels).any(|(name, _)| name == file.channel())
    };
    match files.iter().find(|file| !is_reviewers(file)) {
        None => Ok(()),
        Some(file) => {
            let (path, channel) = (file.path().display(), file.channel());
            let message = format!(
                "{path} says nothing beside --key: a key names no record that opened channel {channel}"
            );
            let next =
                "pass --channel with the channel's proof in place of --key, or leave the channel file out";
            Err(Failure::usage("key-beside-channel-file", message, next))
        }
    }
}
