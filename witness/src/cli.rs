//! The command line of `indelible-witness`.
//!
//! Exit codes: 0 done or stopped as asked, 1 failure, 2 usage, 3 refuses to sign (the state is damaged or
//! in use by another process).

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use indelible_client::keys::KeyAlgorithm;
use indelible_proto::checkpoint::Origin;
use indelible_proto::note::{KeyName, VerifierKey};
use tracing_subscriber::EnvFilter;

use crate::logs::Addition;
use crate::run::RunError;
use crate::store::StoreError;
use crate::{clock, config, init, run};

/// A witness for transparency logs: cosigns a log's checkpoints once it has proved that the log only grew.
#[derive(Debug, Parser)]
#[command(name = "indelible-witness", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a witness: its key, its configuration and its state
    Init {
        /// Directory to make; must not exist or be empty
        dir: PathBuf,
        /// Name the witness signs under, a URL without its scheme, like witness.example/w1
        #[arg(long, value_parser = parse_name)]
        name: KeyName,
        /// What the witness signs with, for all time
        #[arg(long, value_enum, default_value_t)]
        algorithm: KeyAlgorithm,
        /// Address to listen on
        #[arg(long, value_name = "ADDR", default_value_t = config::default_listen())]
        listen: SocketAddr,
    },
    /// Make a log known; a running witness learns of it by SIGHUP or restart
    AddLog {
        /// The witness's directory
        dir: PathBuf,
        /// The log's verifier key
        #[arg(value_name = "LOG_VKEY", value_parser = parse_vkey)]
        key: VerifierKey,
        /// The log's origin, if it is not its key's name
        #[arg(long, value_parser = parse_origin)]
        origin: Option<Origin>,
    },
    /// Run the witness until SIGTERM or SIGINT
    Run {
        /// The witness's directory
        dir: PathBuf,
        /// Address to listen on instead of the configured one
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("indelible-witness: {error:#}");
            exit_code(&error)
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init { dir, name, algorithm, listen } => {
            let key = init::init(&dir, name, algorithm, listen, clock::system()())?;
            print_line(&key.encode())
        }
        Command::AddLog { dir, key, origin } => {
            let (log, addition) = init::add_log(&dir, key, origin)?;
            let origin = log.origin().as_str().escape_debug();
            print_line(&match addition {
                Addition::New => format!("added {origin}"),
                Addition::Known => format!("already known: {origin}"),
            })
        }
        Command::Run { dir, listen } => {
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let announce = |address| {
                if let Err(error) = print_line(&format!("listening http://{address}")) {
                    tracing::warn!("{error:#}");
                }
            };
            Ok(runtime.block_on(run::run(&dir, listen, announce))?)
        }
    }
}

fn print_line(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to standard output")
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    const FAILURE: u8 = 1;
    const USAGE: u8 = 2;
    const REFUSES_TO_SIGN: u8 = 3;
    match error.downcast_ref::<RunError>() {
        Some(RunError::State(StoreError::Damaged { .. } | StoreError::InUse { .. })) => {
            ExitCode::from(REFUSES_TO_SIGN)
        }
        Some(RunError::Descriptors(_)) => ExitCode::from(USAGE),
        _ => ExitCode::from(FAILURE),
    }
}

fn parse_name(text: &str) -> Result<KeyName, indelible_proto::note::KeyError> {
    KeyName::parse(text)
}

fn parse_vkey(text: &str) -> Result<VerifierKey, indelible_proto::note::KeyError> {
    VerifierKey::parse(text)
}

fn parse_origin(text: &str) -> Result<Origin, indelible_proto::checkpoint::CheckpointError> {
    Origin::parse(text)
}
