//! `indelible verify`.

mod args;
mod beside;
mod grace;
mod judge;
mod knowledge;
mod memory;
mod report;
mod trust;

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::inputs::Clock;
pub(super) use args::TrustArgs;
pub(super) use beside::{hash, open, read_proof};
pub(super) use judge::{Judge, Judged, config_failure};
pub(super) use knowledge::{
    GivenFile, Learning, check_for_fork, fork_failure, learn_failure, remember_learned,
};

/// Verify a file, or rules as a directory or an archive, offline
///
/// Checks that the vendor published exactly this, that it is in the public log, that enough witnesses have
/// seen that log lately, that the log and the channel agree with what is remembered of them, and that the
/// record has not expired and is meant for this client. Opens no connection: everything is in the proof beside
/// the artifact.
///
/// What a single proof cannot show is in the channel file: withdrawals, changes of keys, reviews. `indelible
/// update-state` fetches it, or --channel-file names it; without one the verdict says what it could not know.
///
/// A file is what its record says by its SHA-256, archive or not. Where the record is of rules and names no such file,
/// an archive (.tar, .tar.gz, .tgz, .zip) is read and compared by what is in it, which is not unpacked: however it was
/// packed, it has to hold the directory that was published, no file more or less. Modes, owners and times are no part
/// of that. One that two programs could unpack in two ways is refused.
///
/// Whom to trust is said by --channel, by the channels that --config names, or by --key. A channel proof has to be given
/// once; it is pinned then. A key is for a channel of which nothing is known: of one that is pinned or followed, what is
/// known counts and the key has to have signed besides. Beside channels in --config, or a file of the channel, it is a
/// mistake (2).
///
/// If the policy is another one than when something was verified last, that is said, with what changed; it counts.
///
/// Exit codes: 0 verified; 10 hold; 20 refused; 30 the log has signed two histories, and the evidence is
/// written to a file; 40 could not decide; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible verify agent-1.2.tar.gz --policy policy.txt \\
      --channel vendor.example_agent.channel.tlog-proof
  indelible verify agent-1.2.tar.gz --policy policy.txt          (channel pinned before)
  indelible verify sigma/ --policy policy.txt --key publish.vkey --explain
  indelible verify sigma.tar.gz --folder sigma --proof sigma.tlog-proof --policy policy.txt")]
pub(super) struct VerifyArgs {
    /// File, directory or archive to verify
    artifact: PathBuf,
    /// Take this folder of an archive of rules as the bundle; the archive must then have nothing beside it
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// Its proof [default: ARTIFACT.tlog-proof]
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &VerifyArgs, console: Console, clock: Clock) -> Result<Exit, Failure> {
    let judge = Judge::new(&args.trust, clock()?)?;
    let judged = judge.judge(&args.artifact, args.folder.as_deref(), args.proof.as_deref(), console)?;
    console.result(judged.exit, judged.output);
    Ok(judged.exit)
}
