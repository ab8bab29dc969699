//! `indelible keygen`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indelible_proto::note::{KeyKind, KeyName};

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::key_failure;
use crate::keys::{self, KeyAlgorithm};

/// Make a key pair
///
/// Writes the secret key to FILE, readable by you only, and the verifier key to FILE.vkey: that one you
/// give to others. Existing files are never overwritten. Back the secret key up: nobody can make it again.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible keygen vendor.example/publish --out publish.key
  indelible keygen vendor.example/publish --out publish.key --encrypt
  indelible keygen log.example/main --kind log --algorithm ml-dsa-44 --out log.key")]
pub(super) struct KeygenArgs {
    /// Name of the key: by convention a domain you own and a word, without spaces and '+'
    #[arg(value_parser = KeyName::parse)]
    name: KeyName,
    /// File for the secret key; the verifier key goes to FILE.vkey
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Encrypt the secret key under a passphrase; only keys that sign records can be
    #[arg(long)]
    encrypt: bool,
    /// File with the passphrase, one line [default: asked for at the terminal]
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    passphrase_file: Option<PathBuf>,
    /// What the key signs
    #[arg(long, value_enum, default_value_t = Kind::Record)]
    kind: Kind,
    /// What the key signs with; records are signed with Ed25519 only
    #[arg(long, value_enum, default_value_t)]
    algorithm: KeyAlgorithm,
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
    if args.encrypt && kind != KeyKind::Record {
        let next = "leave --encrypt out: a server has to start without anybody at a terminal";
        return Err(Failure::usage("key-wrong-kind", "only keys that sign records can be encrypted", next));
    }
    let secret = keys::generate(kind, args.algorithm, args.name).map_err(|error| key_failure(&error))?;
    let written = match args.encrypt {
        true => keys::Passphrase::from(args.passphrase_file)
            .choose(&args.out)
            .and_then(|passphrase| keys::write_encrypted_pair(&args.out, &secret, &passphrase)),
        false => keys::write_pair(&args.out, &secret),
    };
    let vkey_path = written.map_err(|error| key_failure(&error))?;
    let vkey = secret.verifier().encode();
    let output = Output::line(vkey.as_str())
        .with("vkey", vkey.as_str())
        .with("secretFile", args.out.display().to_string())
        .with("vkeyFile", vkey_path.display().to_string());
    console.result(Exit::Verified, output);
    Ok(Exit::Verified)
}
