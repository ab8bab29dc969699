//! `indelible guard`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::console::{Console, Output};
use super::exit::{End, Exit, Failure};
use super::inputs::Clock;
use super::verify::{Judge, TrustArgs};

/// Most artifacts of one run: each is hashed before the command may start.
const MAX_ARTIFACTS: usize = 1024;

/// Run a command only if every artifact verifies
///
/// Judges each artifact as `indelible verify` does, then runs COMMAND, whose exit code becomes this one's. If
/// one artifact does not verify, COMMAND is not run and the exit code is that of the gravest verdict.
///
/// What is verified is the content at that moment: keep the artifacts where nobody else can write, and let
/// COMMAND use the same paths.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible guard --config client.toml agent-1.2.deb agent-data-1.2.deb -- \\
      dpkg -i agent-1.2.deb agent-data-1.2.deb

Exit codes: the command's own if it ran; otherwise 10 hold, 20 refused, 30 evidence, 40 could not
decide, 2 usage. --json prints one line for each artifact, before the command's output.")]
pub(super) struct GuardArgs {
    /// Files, directories or archives to verify, each with its .tlog-proof beside it
    #[arg(required = true)]
    artifacts: Vec<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Take this folder of every artifact, which are archives of rules, as the bundle; nothing else may be in them
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &GuardArgs, console: Console, clock: Clock) -> Result<End, Failure> {
    if args.artifacts.len() > MAX_ARTIFACTS {
        let message =
            format!("{} artifacts, at most {MAX_ARTIFACTS} can be guarded at once", args.artifacts.len());
        return Err(Failure::usage("too-many-artifacts", message, "publish them as one directory of rules"));
    }
    let judge = Judge::new(&args.trust, clock()?)?;
    let mut gravest = Exit::Verified;
    for artifact in &args.artifacts {
        let exit = match judge.judge(artifact, args.folder.as_deref(), None, console) {
            Ok(judged) => {
                console.result(judged.exit, judged.output);
                judged.exit
            }
            Err(failure) => {
                console.failure(&failure);
                failure.exit
            }
        };
        gravest = gravest.graver(exit);
    }
    if gravest != Exit::Verified {
        let line =
            format!("not run, as not everything was verified: {}", args.command.join(" ".as_ref()).display());
        console.result(gravest, Output::line(line).with("ran", false));
        return Ok(End::Ours(gravest));
    }
    execute(&args.command)
}

/// Runs the command with this process's own input and output.
fn execute(command: &[OsString]) -> Result<End, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("no-command", "there is no command to run", "name one after --"));
    };
    let status = Command::new(program).args(arguments).status().map_err(|error| {
        let message = format!("everything was verified, but {} cannot be run: {error}", program.display());
        Failure::undecided("command-not-run", message, "correct the command after --")
    })?;
    // Ended by a signal: what shells say for it is more than 128, for whichever signal.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(End::Of(code.unwrap_or(ENDED_BY_SIGNAL)))
}

const ENDED_BY_SIGNAL: u8 = 128;
