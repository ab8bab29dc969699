//! `indelible carry receipt`, and what it says.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::checkpoint::Origin;
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::record::Chain;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{OpenState, read_policy, state_dir, state_failure};
use super::super::update_state::Followed;
use super::super::verify::config_failure;
use crate::carry::{Receipt, ReceiptChannel};
use crate::client_config::ClientConfig;
use crate::keys::replace_unless_key;
use crate::state::StateError;

/// Write down what this machine remembers, for carry export --since
///
/// The file names the largest checkpoint, and of each channel that the client's file names the newest record: what
/// is after them, the next carry has to bring. It holds no secret. `carry import --receipt` writes it as well, after
/// each import; this command is for a machine that remembers something before its first one.
///
/// Exit codes: 0 written; 40 what is remembered cannot be read; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible carry receipt --config client.toml --out this-machine.carry-receipt")]
pub(in crate::cli) struct ReceiptArgs {
    /// File with policy, state directory, channels and reviewers; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// File to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Directory of what is remembered [default: the one in --config]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn run(args: &ReceiptArgs, console: Console) -> Result<Exit, Failure> {
    let config = ClientConfig::load(&args.config).map_err(|error| config_failure(&error))?;
    let policy = read_policy(&config.policy)?;
    let state = OpenState::open(&state_dir(args.state.clone().or_else(|| config.state.clone()))?)?;
    let receipt = receipt(&state, &Followed::all(&config)?, remembered(&state, &policy)?.as_ref())?;
    write(&receipt, &args.out)?;
    let output = Output::line(format!("written: {}", args.out.display()));
    console.result(Exit::Verified, output.with("receipt", args.out.display().to_string()));
    Ok(Exit::Verified)
}

/// The remembered checkpoint of the policy's log.
fn remembered(state: &OpenState, policy: &Policy) -> Result<Option<LogSigned>, Failure> {
    let mut found = None;
    for log in policy.logs() {
        let Ok(origin) = Origin::parse(log.key.name().as_str()) else { continue };
        let checkpoint = state.state.checkpoint(&origin, policy).map_err(|error| state_failure(&error))?;
        if found.is_some() && checkpoint.is_some() {
            let next = "use a client's file whose policy has one log, and carry for each log by itself";
            let message = "checkpoints of several logs of the policy are remembered, a carry is of one";
            return Err(Failure::usage("carry-several-logs", message, next));
        }
        found = found.or(checkpoint);
    }
    Ok(found)
}

/// What is remembered, with this checkpoint.
pub(super) fn receipt(
    state: &OpenState,
    followed: &[Followed],
    checkpoint: Option<&LogSigned>,
) -> Result<Receipt, Failure> {
    let channels = followed.iter().map(|channel| of_channel(state, channel)).collect::<Result<Vec<_>, _>>();
    let mut channels = channels.map_err(|error| state_failure(&error))?;
    channels.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Receipt { note: checkpoint.map(|checkpoint| checkpoint.note().clone()), channels })
}

fn of_channel(state: &OpenState, channel: &Followed) -> Result<ReceiptChannel, StateError> {
    let Followed { name, genesis } = channel.clone();
    let known = state.state.known_channel(&name)?;
    let head = |chain| known.as_ref().and_then(|known| known.state().chain_head(chain));
    let (publish, recovery) = (head(Chain::Publish), head(Chain::Recovery));
    Ok(ReceiptChannel { name, genesis, publish, recovery })
}

/// Writes a receipt in place of an older one.
pub(super) fn write(receipt: &Receipt, path: &Path) -> Result<(), Failure> {
    replace_unless_key(path, &receipt.encode()).map_err(|error| {
        Failure::undecided(error.code(), chain(&error), "make the receipt's directory writable")
    })
}
