//! `indelible publish`.

mod head;
mod platform;
mod release;
mod review;
mod rules;
mod withdraw;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::body::MAX_NAMED_RECORDS;
use indelible_proto::record::{Chain, ChannelName, RecordId, SignedRecord, Subject};

use super::console::Console;
use super::exit::{Exit, Failure};
use super::inputs::{files_failure, hashing_bar, read_input};
use super::publication::{Publication, PublicationArgs};
use crate::files::hash_file;
use crate::publish::{Body, Draft};

#[derive(Debug, Subcommand)]
pub(super) enum PublishCommand {
    Release(release::ReleaseArgs),
    Rules(rules::RulesArgs),
    Withdraw(withdraw::WithdrawArgs),
    Review(review::ReviewArgs),
    Head(head::HeadArgs),
}

/// The channel and the keys.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct RecordArgs {
    /// Name of the channel
    #[arg(long, value_name = "NAME", value_parser = ChannelName::parse, required_unless_present = "channel", conflicts_with = "channel")]
    channel_name: Option<ChannelName>,
    /// Proof file of the channel, as `channel create` wrote it, in place of its name
    #[arg(long, value_name = "PROOFFILE", value_hint = ValueHint::FilePath)]
    channel: Option<String>,
    /// Secret key file of a key of the channel; more than once if the channel wants more signatures
    #[arg(long = "key", value_name = "FILE", required_unless_present_any = ["dry_run", "prepare"])]
    keys: Vec<PathBuf>,
    /// File with the passphrase of encrypted keys, one line [default: asked for at the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn run(command: PublishCommand, console: Console) -> Result<Exit, Failure> {
    match command {
        PublishCommand::Release(args) => release::run(args, console),
        PublishCommand::Rules(args) => rules::run(args, console),
        PublishCommand::Withdraw(args) => withdraw::run(args, console),
        PublishCommand::Review(args) => review::run(args, console),
        PublishCommand::Head(args) => head::run(args, console),
    }
}

/// What a record says, without its place.
pub(super) struct Said {
    subject: Vec<Subject>,
    body: Body,
    lifetime_s: u64,
}

fn publish(
    log: PublicationArgs,
    record: RecordArgs,
    said: Said,
    proofs: &[PathBuf],
    console: Console,
) -> Result<Exit, Failure> {
    publish_on(Chain::Publish, log, record, said, proofs, console)
}

fn publish_on(
    chain: Chain,
    log: PublicationArgs,
    record: RecordArgs,
    said: Said,
    proofs: &[PathBuf],
    console: Console,
) -> Result<Exit, Failure> {
    Place::open(log, record)?.publish(chain, said, proofs, console)
}

/// Where a record is to be published.
struct Place {
    publication: Publication,
    channel: ChannelName,
    genesis: Option<RecordId>,
}

impl Place {
    fn open(log: PublicationArgs, record: RecordArgs) -> Result<Self, Failure> {
        let publication = Publication::open(log, &record.keys, record.passphrase_file)?;
        let (channel, genesis) = publication.channel(record.channel.as_deref(), record.channel_name)?;
        Ok(Self { publication, channel, genesis })
    }

    fn publish(
        self,
        chain: Chain,
        said: Said,
        proofs: &[PathBuf],
        console: Console,
    ) -> Result<Exit, Failure> {
        let Self { publication, channel, genesis } = self;
        let Said { subject, body, lifetime_s } = said;
        let audience = publication.audience();
        let draft = Draft { channel, chain, subject, body, audience, lifetime_s };
        let Some(published) = publication.publish(&draft, genesis, console)? else {
            return Ok(Exit::Verified);
        };
        publication.conclude(&published, proofs)?;
        console.result(Exit::Verified, publication.report(&published, proofs));
        Ok(Exit::Verified)
    }
}

fn hash(file: &Path, console: Console) -> Result<Hash, Failure> {
    let bar = hashing_bar(console, file);
    let digest = hash_file(file, &mut |bytes| bar.inc(bytes)).map_err(|error| files_failure(&error))?;
    bar.finish_and_clear();
    Ok(digest.sha256)
}

/// Earlier records that a new one is about: their ids in order, and their artifacts.
struct Named {
    records: Vec<RecordId>,
    subject: Vec<Subject>,
}

/// Reads the records in these proof files, each proved to be in a log of the policy: nobody should speak about
/// a record that is not there.
fn named_records(files: &[PathBuf], policy: &Policy) -> Result<Named, Failure> {
    if files.len() > MAX_NAMED_RECORDS {
        let message = format!("{} records, one record names at most {MAX_NAMED_RECORDS}", files.len());
        return Err(Failure::usage("too-many-records", message, "name the others in another record"));
    }
    let mut named = Named { records: Vec::new(), subject: Vec::new() };
    for file in files {
        let record = proved_record(file, policy)?;
        named.records.push(record.record_id());
        named.subject.extend(record.statement().subject.iter().cloned());
    }
    // What is said of a record holds on every platform.
    named.subject.iter_mut().for_each(|subject| subject.platform = None);
    named.records.sort();
    named.records.dedup();
    named.subject.sort_by(|a, b| a.name.cmp(&b.name));
    named.subject.dedup_by(|a, b| a.name == b.name);
    Ok(named)
}

/// The record in a proof file.
pub(super) fn proved_record(file: &Path, policy: &Policy) -> Result<SignedRecord, Failure> {
    const NEXT: &str = "name the .tlog-proof of the record, and the policy it was published under";
    let bytes = read_input(file, LogProof::MAX_BYTES, "a proof", NEXT)?;
    let refused =
        |code, why: &dyn std::fmt::Display| Failure::usage(code, format!("{}: {why}", file.display()), NEXT);
    let proof = LogProof::parse(&bytes).map_err(|error| refused(error.code(), &error))?;
    let leaf = proof.extra().ok_or_else(|| refused("proof-without-record", &"there is no record in it"))?;
    proof.verify(&leaf_hash(leaf), policy).map_err(|error| refused(error.code(), &error))?;
    SignedRecord::parse(leaf).map_err(|error| refused(error.code(), &error))
}
