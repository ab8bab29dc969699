//! `indelible publish`.

mod head;
mod named;
mod platform;
mod release;
mod review;
mod rules;
mod withdraw;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use indelible_proto::hash::Hash;
use indelible_proto::record::{Chain, ChannelName, RecordId, Subject};

use super::console::Console;
use super::exit::{Exit, Failure};
use super::inputs::{files_failure, hashing_bar};
use super::publication::{Publication, PublicationArgs};
use crate::files::hash_file;
use crate::publish::{Body, Draft};

pub(super) use named::{of_channel, proved_record};

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
    Place::open(log, record)?.publish(Chain::Publish, said, proofs, console)
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
        let Some(unwritten) = publication.publish(&draft, genesis, console)? else {
            return Ok(Exit::Verified);
        };
        let (published, _) = publication.conclude(unwritten, proofs)?;
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
