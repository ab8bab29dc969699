//! The command line: `indelible-server init`, `run`, `fsck` and `import`.
//!
//! Exit codes: 0 done or cleanly stopped, 1 failed or damaged, 2 wrong usage, 3 the log refuses to sign: its data
//! does not contain what it signed before, or may not, or another process has it; 40 what was to be checked or
//! copied could not be read.

mod fsck;
mod import;
mod report;
mod trust;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use indelible_client::keys::KeyAlgorithm;
use indelible_proto::checkpoint::Origin;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::chain::Chain;
use crate::config::DEFAULT_LISTEN;
use crate::init::{InitError, NewLog, NewWitness, Witnessing, init, parse_url};
use crate::kind::LogKind;
use crate::run::{RunError, Running};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const REFUSES_TO_SIGN: u8 = 3;

/// A transparency log for software releases and detection-rule updates.
#[derive(Debug, Parser)]
#[command(name = "indelible-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new, empty log: key, policy, settings and data. Prints its verifier key.
    Init(InitArgs),
    /// Serve a log until SIGTERM or SIGINT. Prints "listening http://ADDRESS" once it answers.
    Run(RunArgs),
    Fsck(fsck::FsckArgs),
    Import(Box<import::ImportArgs>),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("witnessing").args(["witness", "no_witnesses"]))]
struct InitArgs {
    /// Directory of the log; it may exist, but none of the log's files in it.
    dir: PathBuf,
    /// The log's identity for all time, for example log.example.org/main.
    #[arg(long, value_parser = parse_origin)]
    origin: Origin,
    /// What the log stores.
    #[arg(long, value_enum, default_value_t = LogKind::Records)]
    kind: LogKind,
    /// What the log signs its checkpoints with, for all time.
    #[arg(long, value_enum, default_value_t)]
    algorithm: KeyAlgorithm,
    /// Address and port to listen on.
    #[arg(long, default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where clients reach the log; http://LISTEN if not given.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    public_url: Option<String>,
    /// A witness: its verifier key and its address in one argument. Repeat for each; keys of one name or one
    /// address are one witness's, which counts once.
    #[arg(long, value_name = "VKEY URL", value_parser = NewWitness::parse)]
    witness: Vec<NewWitness>,
    /// How many of the witnesses must cosign; more than half if not given.
    #[arg(long, value_name = "K", requires = "witness", conflicts_with = "no_witnesses")]
    quorum: Option<usize>,
    /// Make a log without witnesses, which its readers must trust alone.
    #[arg(long)]
    no_witnesses: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Directory of the log.
    dir: PathBuf,
    /// Address and port to listen on, instead of the one in log.toml.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Overrules, once, the refusal to sign that named this token: a source that must answer is silent, or
    /// the clock is behind. What is known to fork the log cannot be overruled.
    #[arg(long, value_name = "TOKEN")]
    sign_anyway: Option<String>,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let done = match cli.command {
        Command::Init(args) => run_init(args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run(&args).map(|()| ExitCode::SUCCESS),
        Command::Fsck(args) => fsck::fsck(&args),
        Command::Import(args) => import::import(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("indelible-server: {}", Chain(error.as_ref()));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<RunError>().is_some_and(RunError::refuses_to_sign) {
        return REFUSES_TO_SIGN;
    }
    let has_no_room = matches!(error.downcast_ref(), Some(RunError::Descriptors(_)));
    if error.is::<trust::Usage>() || has_no_room {
        return USAGE;
    }
    match error.downcast_ref() {
        Some(InitError::NoWitnesses | InitError::Quorum { .. } | InitError::KeyName(_)) => USAGE,
        _ => FAILED,
    }
}

fn run_init(args: InitArgs) -> anyhow::Result<()> {
    let new = NewLog {
        dir: args.dir,
        origin: args.origin,
        kind: args.kind,
        algorithm: args.algorithm,
        listen: args.listen,
        public_url: args.public_url,
        witnessing: witnessing(args.no_witnesses, args.witness, args.quorum),
    };
    let key = init(&new)?;
    say(&key.encode())?;
    eprintln!("made {}; start it with: indelible-server run {0}", new.dir.display());
    Ok(())
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
        let token = args.sign_anyway.as_deref();
        let mut running = Running::start_anyway(&args.dir, args.listen, token).await?;
        say(&format!("listening http://{}", running.address()))?;
        tokio::select! {
            ended = running.ended() => return Ok(ended?),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        running.stop();
        Ok(running.ended().await?)
    })
}

/// A line for whoever started the program, at once.
fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("cannot write to standard output")
}

fn witnessing(none: bool, witnesses: Vec<NewWitness>, quorum: Option<usize>) -> Witnessing {
    if none { Witnessing::None } else { Witnessing::By { witnesses, quorum } }
}

fn parse_origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn witnesses_and_no_witnesses_exclude_each_other() {
        let refused = |arguments: &[&str]| {
            let fixed = ["indelible-server", "init", "dir", "--origin", "log.example/a"];
            Cli::try_parse_from(fixed.iter().chain(arguments)).is_err()
        };
        assert!(!refused(&["--no-witnesses"]));
        assert!(!refused(&[]));
        assert!(refused(&["--quorum", "1"]));
        assert!(refused(&["--no-witnesses", "--quorum", "1"]));
        assert!(refused(&["--witness", "no key"]));
    }
}
