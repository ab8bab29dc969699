//! `indelible channel create`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use indelible_proto::record::body::{ChannelBody, MAX_PERIOD_S, Owner};
use indelible_proto::record::{Chain, ChannelName};
use indelible_proto::sign::Signer as _;

use super::super::console::Console;
use super::super::exit::{Exit, Failure};
use super::super::inputs::pin;
use super::super::publication::{Publication, PublicationArgs};
use super::{default_proof_path, key_set, recovery_set};
use crate::publish::{Body, Draft};
use crate::verify::TrustedChannel;

/// Open a channel: sign and publish the record that names its keys
///
/// The proof that comes back is what your users pin. Give it to them together with the log's policy:
/// whoever has both can verify everything you publish on the channel, offline.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible channel create vendor.example/agent --key publish.key \\
      --owner 'Vendor Example AG' --policy policy.txt
  indelible channel create --from-file create.toml --dry-run      (docs/config/channel.toml is a sample)")]
pub(in crate::cli) struct CreateArgs {
    /// Name of the channel: a domain you own, then words, like vendor.example/rules/sigma
    #[arg(value_parser = ChannelName::parse)]
    channel: ChannelName,
    /// Secret key file of a key of the channel; may be given more than once
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// File with the passphrase of encrypted keys, one line [default: asked for at the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Who owns the channel
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// Where to find the owner [default: https:// and the channel's domain]
    #[arg(long, value_name = "URI")]
    owner_uri: Option<String>,
    /// Package URL of the product [default: pkg:generic/ and the channel's name]
    #[arg(long, value_name = "PURL")]
    product: Option<String>,
    /// How many of the keys have to sign a record
    #[arg(long, value_name = "K", default_value_t = 1)]
    threshold: u8,
    /// Verifier key, or a file with it, of a recovery key, kept apart from all others; may be given more than once
    #[arg(long = "recovery-key", value_name = "VKEY", value_hint = ValueHint::FilePath)]
    recovery_keys: Vec<String>,
    /// How many of the recovery keys have to sign
    #[arg(long, value_name = "K", default_value_t = 1, requires = "recovery_keys")]
    recovery_threshold: u8,
    /// Seconds that a change of keys waits before clients follow it
    #[arg(long, value_name = "SECS", default_value_t = 3 * 86_400, value_parser = clap::value_parser!(u64).range(..=MAX_PERIOD_S))]
    cooldown: u64,
    /// Seconds after which clients call a checkpoint of the channel stale
    #[arg(long, value_name = "SECS", default_value_t = 3 * 86_400, value_parser = clap::value_parser!(u64).range(1..=MAX_PERIOD_S))]
    max_age: u64,
    /// File for the proof [default: the channel's name with '_' for '/', and .channel.tlog-proof]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    log: PublicationArgs,
}

pub(super) fn run(args: CreateArgs, console: Console) -> Result<Exit, Failure> {
    let publication = Publication::open(args.log, &args.keys, args.passphrase_file)?;
    let keys = publication.signers().iter().map(|signer| signer.verifier().clone()).collect();
    let signers = key_set(keys, args.threshold)?;
    let domain = args.channel.owner_domain();
    let body = ChannelBody {
        owner: Owner { name: args.owner, uri: args.owner_uri.unwrap_or_else(|| format!("https://{domain}")) },
        product: args.product.unwrap_or_else(|| format!("pkg:generic/{}", args.channel)),
        signers: Some(signers),
        recovery: recovery_set(&args.recovery_keys, args.recovery_threshold)?,
        cooldown_s: args.cooldown,
        max_age_s: args.max_age,
    };
    let out = args.out.unwrap_or_else(|| default_proof_path(&args.channel));
    let draft = Draft {
        channel: args.channel,
        chain: Chain::Publish,
        subject: Vec::new(),
        body: Body::Channel(body),
        audience: publication.audience(),
        lifetime_s: 0,
    };
    let Some(unwritten) = publication.publish(&draft, None, console)? else {
        return Ok(Exit::Verified);
    };
    let proofs = std::slice::from_ref(&out);
    let (published, state) = publication.conclude(unwritten, proofs)?;
    let trusted = TrustedChannel::from_proof(&published.proof, publication.policy())
        .map_err(|error| Failure::refused(error.code(), error, "report this to the log's operator"))?;
    pin(&state, &trusted, &published.proof)?;
    let mut output = publication.report(&published, proofs);
    output.lines.push(format!("give {} and the policy to your users; they verify with:", out.display()));
    output.lines.push(format!("  indelible verify FILE --channel {} --policy POLICY", out.display()));
    console.result(Exit::Verified, output);
    Ok(Exit::Verified)
}
