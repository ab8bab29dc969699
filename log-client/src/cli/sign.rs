//! `indelible sign`.

use std::path::PathBuf;

use clap::Args;
use indelible_proto::note::NoteSignature;
use indelible_proto::record::{MAX_RECORD_BYTES, SignedRecord, Statement, signed_message};
use indelible_proto::sign::{RecordSigner, Signer as _};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{key_failure, read_input, write_failure};
use super::publication::describe;
use crate::keys::{Passphrase, read_record_signer, replace_unless_key};

/// Sign a prepared statement, where the keys are
///
/// Reads what `--prepare` wrote, or a record that others have signed already, shows what it says, adds the
/// signatures and writes the record. Opens no connection and needs nothing else.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible publish release agent-1.2.tar.gz … --prepare statement.json      (where the network is)
  indelible sign statement.json --key publish.key --out agent.leaf           (where the key is)
  indelible submit agent.leaf --policy policy.txt --proof agent-1.2.tar.gz.tlog-proof")]
pub(super) struct SignArgs {
    /// The prepared statement, or a record to add signatures to
    file: PathBuf,
    /// Secret key file; may be given more than once
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// File with the passphrase of encrypted keys, one line [default: asked for at the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File for the signed record
    #[arg(long, value_name = "LEAF")]
    out: PathBuf,
}

pub(super) fn run(args: &SignArgs, console: Console) -> Result<Exit, Failure> {
    const NEXT: &str = "name the file that --prepare wrote, or a signed record";
    let bytes = read_input(&args.file, MAX_RECORD_BYTES, "a statement", NEXT)?;
    let (statement, mut signatures) = read(&bytes).map_err(|(code, why)| {
        Failure::usage(
            code,
            format!("{} is neither a statement nor a record: {why}", args.file.display()),
            NEXT,
        )
    })?;
    let message = signed_message(&statement.encode());
    let passphrase = Passphrase::from(args.passphrase_file.clone());
    for key in &args.keys {
        let signer: RecordSigner =
            read_record_signer(key, &passphrase).map_err(|error| key_failure(&error))?;
        // Signed again by the same key, it is the same signature: Ed25519 has one for each message.
        signatures.retain(|line| !line.names(signer.verifier()));
        signatures.push(signer.sign(&message));
    }
    let record = SignedRecord::new(&statement, signatures)
        .map_err(|error| Failure::usage(error.code(), chain(&error), NEXT))?;
    replace_unless_key(&args.out, &record.encode()).map_err(|error| write_failure(&error))?;
    let mut output = Output::line(format!("signed: {}", describe(&record)))
        .with("record", record.record_id().to_string())
        .with("signatures", record.signatures().len())
        .with("file", args.out.display().to_string());
    output.lines.push(format!("  record     {}", record.record_id()));
    output.lines.push(format!("  next       indelible submit {} --policy POLICY", args.out.display()));
    console.result(Exit::Verified, output);
    Ok(Exit::Verified)
}

/// A statement in its one spelling, with the signatures it has so far.
fn read(bytes: &[u8]) -> Result<(Statement, Vec<NoteSignature>), (&'static str, String)> {
    if bytes.starts_with(b"{") {
        let statement = Statement::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
        return Ok((statement, Vec::new()));
    }
    let record = SignedRecord::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok((record.statement().clone(), record.signatures().to_vec()))
}
