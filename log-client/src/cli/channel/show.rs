//! `indelible channel show`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::log_api::ChannelHeadAnswer;
use indelible_proto::record::{Chain, ChannelName};
use serde_json::Value;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{OpenState, pinned_channel, read_policy, state_dir, state_failure};
use super::super::publication::{log_at, runtime};
use crate::log_submit::SubmitLog as _;
use crate::publish::agrees;

/// Ask the log where a channel stands, and compare that with what is pinned and remembered
///
/// What the log says about its newest records is its word: nothing here proves that there is no newer one.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Name of the channel
    #[arg(value_parser = ChannelName::parse)]
    channel: ChannelName,
    /// Policy of the log
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Base URL of the log [default: the URL in the policy]
    #[arg(long, value_name = "URL")]
    log: Option<String>,
    /// Directory of what is remembered [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn run(args: &ShowArgs, console: Console) -> Result<Exit, Failure> {
    let policy = read_policy(&args.policy)?;
    let log = log_at(args.log.as_deref(), &policy, WAIT_S)?;
    let state = OpenState::open(&state_dir(args.state.clone())?)?;
    let pinned = pinned_channel(&state, &args.channel, &policy)?.map(|pinned| pinned.genesis());
    let last = state.state.last_records(&args.channel).map_err(|error| state_failure(&error))?;
    drop(state);
    let head = runtime()?.block_on(log.channel_head(&args.channel));
    let head =
        head.map_err(|error| Failure::undecided(error.code(), chain(&error), "check the log's URL"))?;
    let Some(head) = head else {
        let message = format!("the log has no channel {}", args.channel);
        return Err(Failure::refused(
            "channel-unknown",
            message,
            "check the name, and that the URL is the log's",
        ));
    };
    if let Some(pinned) = pinned.filter(|pinned| *pinned != head.genesis) {
        let message = format!("the log says record {} opened the channel, pinned is {pinned}", head.genesis);
        return Err(Failure::refused("channel-other-genesis", message, "ask the log's operator"));
    }
    for chain in [Chain::Publish, Chain::Recovery] {
        agrees(&last, &head, chain)
            .map_err(|error| Failure::refused(error.code(), error, "the log has lost or hidden a record"))?;
    }
    let mut output = shown(&head);
    let known = if pinned.is_some() { "as pinned" } else { "not pinned, so this is only the log's word" };
    output.lines.push(format!("  opened by  record {} ({known})", head.genesis));
    console.result(Exit::Verified, output.with("pinned", pinned.is_some()));
    Ok(Exit::Verified)
}

fn shown(head: &ChannelHeadAnswer) -> Output {
    let mut output = Output::line(format!("channel {}, as the log says", head.channel))
        .with("channel", head.channel.as_str())
        .with("seq", head.seq)
        .with("head", head.head.to_string())
        .with("keys", head.keys.to_string())
        .with("genesis", head.genesis.to_string())
        .with("frozen", head.frozen);
    output.lines.push(format!("  newest     record {} with seq {}", head.head, head.seq));
    output.lines.push(format!("  keys       record {}", head.keys));
    if head.frozen {
        output.lines.push("  FROZEN     nothing follows until the recovery keys name new keys".to_owned());
    }
    let Some(recovery) = &head.recovery else {
        output.lines.push("  recovery   no recovery keys".to_owned());
        return output.with("recovery", Value::Null);
    };
    let newest = recovery.newest.map(|(seq, record)| format!("record {record} with seq {seq}"));
    output.lines.push(format!("  recovery   {}", newest.as_deref().unwrap_or("keys named, no record yet")));
    output.with("recovery", newest)
}

/// How long the log may take to answer, in seconds.
const WAIT_S: u64 = 20;
