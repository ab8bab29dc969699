//! `indelible keygen`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indelible_proto::note::{KeyKind, KeyName};

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::key_failure;
use crate::keys;

/// Make a key pair
///
/// Writes the secret key to FILE, readable by you only, and the verifier key to FILE.vkey: that one you
/// give to others. Existing files are never overwritten. Back the secret key up: nobody can make it again.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible keygen vendor.example/publish --out publish.key")]
pub(super) struct KeygenArgs {
    /// Name of the key: by convention a domain you own and a word, without spaces and '+'
    #[arg(value_parser = KeyName::parse)]
    name: KeyName,
    /// File for the secret key; the verifier key goes to FILE.vkey
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the key signs
    #[arg(long, value_enum, default_value_t = Kind::Record)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// What a vendor publishes
    Record,
    /// A log's checkpoints
    Log,
    /// Checkpoints of logs that a witness has seen grow
    Witness,
}

pub(super) fn run(args: KeygenArgs, console: Console) -> Result<Exit, Failure> {
    let kind = match args.kind {
        Kind::Record => KeyKind::Record,
        Kind::Log => KeyKind::Log,
        Kind::Witness => KeyKind::Cosigner,
    };
    let secret = keys::generate(kind, args.name).map_err(|error| key_failure(&error))?;
    let vkey_path = keys::write_pair(&args.out, &secret).map_err(|error| key_failure(&error))?;
    let vkey = secret.verifier().encode();
    let output = Output::line(vkey.as_str())
        .with("vkey", vkey.as_str())
        .with("secretFile", args.out.display().to_string())
        .with("vkeyFile", vkey_path.display().to_string());
    console.result(Exit::Verified, output);
    Ok(Exit::Verified)
}
