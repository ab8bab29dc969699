//! `indelible channel`.

mod create;
mod rotate;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use indelible_proto::note::VerifierKey;
use indelible_proto::record::{ChannelName, KeySet};

use super::console::{Console, chain};
use super::exit::{Exit, Failure};
use super::inputs::key_failure;
use crate::keys::parse_record_vkey;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    Create(create::CreateArgs),
    Rotate(rotate::RotateArgs),
    Show(show::ShowArgs),
}

pub(super) fn run(command: ChannelCommand, console: Console) -> Result<Exit, Failure> {
    match command {
        ChannelCommand::Create(args) => create::run(args, console),
        ChannelCommand::Rotate(args) => rotate::run(args, console),
        ChannelCommand::Show(args) => show::run(&args, console),
    }
}

fn default_proof_path(channel: &ChannelName) -> PathBuf {
    PathBuf::from(format!("{}.channel.tlog-proof", channel.as_str().replace('/', "_")))
}

fn key_set(keys: Vec<VerifierKey>, threshold: u8) -> Result<KeySet, Failure> {
    KeySet::new(keys, threshold)
        .map_err(|error| Failure::usage(error.code(), chain(&error), "correct the keys and their threshold"))
}

/// The keys that were named; `None` if none was.
fn recovery_set(keys: &[String], threshold: u8) -> Result<Option<KeySet>, Failure> {
    if keys.is_empty() {
        return Ok(None);
    }
    let keys = keys.iter().map(|key| parse_record_vkey(key)).collect::<Result<_, _>>();
    key_set(keys.map_err(|error| key_failure(&error))?, threshold).map(Some)
}
