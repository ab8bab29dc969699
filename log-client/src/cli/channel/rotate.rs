//! `indelible channel rotate`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use indelible_proto::note::VerifierKey;
use indelible_proto::record::body::{ChannelBody, MAX_PERIOD_S, Owner};
use indelible_proto::record::{Chain, ChannelName, Predicate};

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::{key_failure, read_policy};
use super::super::publication::{Publication, PublicationArgs};
use super::super::publish::{of_channel, proved_record};
use super::{key_set, recovery_set};
use crate::keys::parse_record_vkey;
use crate::publish::{Body, Draft};

/// Change who signs a channel: sign and publish a channel record
///
/// On the publish chain the keys in force sign, as many as the threshold says, and every new key signs too; clients
/// follow after the channel's cool-down. With --recovery the recovery keys sign instead, and clients follow at once:
/// so a channel is taken back from whoever has its keys. --freeze names no keys at all until the next change.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible channel rotate vendor.example/agent --in-force vendor.example_agent.channel.tlog-proof \\
      --signer new.vkey --key publish.key --key new.key --out agent.channel-2.tlog-proof --policy policy.txt
  indelible channel rotate vendor.example/agent --in-force vendor.example_agent.channel.tlog-proof --recovery \\
      --freeze --key recovery.key --out agent.frozen.tlog-proof --policy policy.txt
  indelible channel rotate --from-file rotate.toml --dry-run      (docs/config/channel.toml is a sample)")]
pub(in crate::cli) struct RotateArgs {
    /// Name of the channel
    #[arg(value_parser = ChannelName::parse)]
    channel: ChannelName,
    /// Proof file of the channel record in force: what is not changed is taken from it
    #[arg(long, value_name = "PROOFFILE")]
    in_force: PathBuf,
    /// Verifier key, or a file with it, of everyone who may sign from now on; may be given more than once
    #[arg(long = "signer", value_name = "VKEY", value_hint = ValueHint::FilePath, required_unless_present = "freeze")]
    signers: Vec<String>,
    /// How many of them have to sign a record
    #[arg(long, value_name = "K", default_value_t = 1)]
    threshold: u8,
    /// Name nobody: nothing can be published until the recovery keys name new keys
    #[arg(long, requires = "recovery", conflicts_with = "signers")]
    freeze: bool,
    /// Sign with the recovery keys, on the recovery chain
    #[arg(long)]
    recovery: bool,
    /// Verifier key, or a file with it, of each recovery key from now on, in place of those in force
    #[arg(long = "recovery-key", value_name = "VKEY", value_hint = ValueHint::FilePath)]
    recovery_keys: Vec<String>,
    /// How many of the recovery keys have to sign
    #[arg(long, value_name = "K", default_value_t = 1, requires = "recovery_keys")]
    recovery_threshold: u8,
    /// Seconds that the next change of keys waits [default: as before]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(..=MAX_PERIOD_S))]
    cooldown: Option<u64>,
    /// Seconds after which clients call a checkpoint of the channel stale [default: as before]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    max_age: Option<u64>,
    /// Secret key file of each key that has to sign: those in force and every new one
    #[arg(long = "key", value_name = "FILE", required_unless_present_any = ["dry_run", "prepare"])]
    keys: Vec<PathBuf>,
    /// File with the passphrase of encrypted keys, one line [default: asked for at the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File for the proof
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: RotateArgs, console: Console) -> Result<Exit, Failure> {
    let in_force = proved_record(&args.in_force, &read_policy(args.log.policy())?)?;
    let Predicate::Channel(_, before) = &in_force.statement().predicate else {
        let message = format!("{} is not the proof of a channel record", args.in_force.display());
        return Err(Failure::usage(
            "not-a-channel-record",
            message,
            "name the newest channel record's proof",
        ));
    };
    of_channel(&in_force, &args.in_force, &args.channel)?;
    let named =
        args.signers.iter().map(|key| parse_record_vkey(key)).collect::<Result<Vec<VerifierKey>, _>>();
    let named = named.map_err(|error| key_failure(&error))?;
    let signers = if args.freeze { None } else { Some(key_set(named, args.threshold)?) };
    let recovery = recovery_set(&args.recovery_keys, args.recovery_threshold)?;
    let body = ChannelBody {
        owner: Owner { name: before.owner.name.clone(), uri: before.owner.uri.clone() },
        product: before.product.clone(),
        signers,
        recovery: recovery.or_else(|| before.recovery.clone()),
        cooldown_s: args.cooldown.unwrap_or(before.cooldown_s),
        max_age_s: args.max_age.unwrap_or(before.max_age_s),
    };
    let chain = if args.recovery { Chain::Recovery } else { Chain::Publish };
    let publication = Publication::open(args.log, &args.keys, args.passphrase_file)?;
    let draft = Draft {
        channel: args.channel.clone(),
        chain,
        subject: Vec::new(),
        body: Body::Change(body),
        audience: publication.audience(),
        lifetime_s: 0,
    };
    let (_, genesis) = publication.channel(None, Some(args.channel))?;
    let Some(unwritten) = publication.publish(&draft, genesis, console)? else {
        return Ok(Exit::Verified);
    };
    let proofs = std::slice::from_ref(&args.out);
    let (published, _) = publication.conclude(unwritten, proofs)?;
    console.result(Exit::Verified, publication.report(&published, proofs));
    Ok(Exit::Verified)
}
