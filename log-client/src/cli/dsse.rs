//! `indelible export` and `indelible import`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::{read_input, write_failure};
use super::publication::describe;
use crate::dsse;
use crate::keys::replace_unless_key;

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    Dsse(ExportArgs),
}

/// Write a record as a DSSE envelope, which other in-toto tools read
///
/// The envelope holds the statement and its signatures exactly as they were signed. It does not hold the proof
/// that the record was logged: keep the .tlog-proof. Nothing is verified here.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible export dsse agent-1.2.tar.gz.tlog-proof --out agent-1.2.dsse.json")]
pub(super) struct ExportArgs {
    /// A log proof with a record in it, or a record
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File for the envelope [default: FILE and .dsse.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    Dsse(ImportArgs),
}

/// Read a record from a DSSE envelope
///
/// Only what `export dsse` wrote, or another tool from it, is a record: the statement has to be in the canonical
/// form that records have. Nothing is verified here.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible import dsse agent-1.2.dsse.json --out agent-1.2.leaf")]
pub(super) struct ImportArgs {
    /// The envelope
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File for the record [default: FILE and .leaf]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn export(ExportCommand::Dsse(args): ExportCommand, console: Console) -> Result<Exit, Failure> {
    const NEXT: &str = "name a .tlog-proof with a record in it, or a record";
    let bytes = read_input(&args.file, LogProof::MAX_BYTES, "a log proof", NEXT)?;
    let unreadable = |code, error: &dyn std::fmt::Display| {
        Failure::usage(code, format!("{}: {error}", args.file.display()), NEXT)
    };
    let record = if bytes.starts_with(LEAF_BEGINNING) {
        SignedRecord::parse(&bytes).map_err(|error| unreadable(error.code(), &error))?
    } else {
        let proof = LogProof::parse(&bytes).map_err(|error| unreadable(error.code(), &error))?;
        let leaf = proof.extra().ok_or_else(|| unreadable("proof-without-record", &"no record in it"))?;
        SignedRecord::parse(leaf).map_err(|error| unreadable(error.code(), &error))?
    };
    let envelope = dsse::export(&record).map_err(|error| unreadable(error.code(), &error))?;
    write(&args.file, args.out, ".dsse.json", &envelope, &record, console)
}

pub(super) fn import(ImportCommand::Dsse(args): ImportCommand, console: Console) -> Result<Exit, Failure> {
    const NEXT: &str = "name a DSSE envelope of a record";
    let bytes = read_input(&args.file, dsse::MAX_ENVELOPE_BYTES, "a DSSE envelope", NEXT)?;
    let record = dsse::import(&bytes)
        .map_err(|error| Failure::usage(error.code(), format!("{}: {error}", args.file.display()), NEXT))?;
    write(&args.file, args.out, ".leaf", &record.encode(), &record, console)
}

fn write(
    from: &Path,
    out: Option<PathBuf>,
    extension: &str,
    bytes: &[u8],
    record: &SignedRecord,
    console: Console,
) -> Result<Exit, Failure> {
    let out = out.unwrap_or_else(|| {
        let mut name = from.as_os_str().to_owned();
        name.push(extension);
        name.into()
    });
    replace_unless_key(&out, bytes).map_err(|error| write_failure(&error))?;
    let mut output = Output::line(format!("{}: {}", out.display(), describe(record)));
    output.lines.push("nothing was verified".to_owned());
    let output = output.with("file", out.display().to_string()).with("verified", false);
    // Not a result: its word for success is one that must not stand here.
    let output = output.with("record", record.record_id().to_string());
    console.report(output.with("outcome", "written").with("exit", Exit::Verified.code()));
    Ok(Exit::Verified)
}

/// What every record begins with.
const LEAF_BEGINNING: &[u8] = b"DSSEv1 ";
