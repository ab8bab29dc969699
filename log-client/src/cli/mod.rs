//! The command line `indelible`: arguments in, a verdict and an exit code out. What it does is in the
//! library; here is only what people and scripts see of it.

mod bundle;
mod carry;
mod channel;
mod console;
mod dsse;
mod evidence;
pub mod exit;
mod from_file;
mod guard;
mod inputs;
mod inspect;
mod keygen;
mod lookup;
mod policy;
mod publication;
mod publish;
mod sign;
mod submit;
mod update_state;
mod verify;
mod watch;
mod watch_report;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use console::Console;
use exit::{End, Exit, Failure};
use inputs::Clock;

/// Publish updates to a transparency log, verify them offline, and watch the log
///
/// An update counts only if it was publicly logged, seen by independent witnesses, and can be checked by
/// anyone, offline, from one small file beside it.
#[derive(Debug, Parser)]
#[command(name = "indelible", version, after_long_help = EXAMPLES)]
struct Cli {
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::VerifyArgs),
    Guard(guard::GuardArgs),
    UpdateState(update_state::UpdateStateArgs),
    /// Carry artifacts, proofs and channels over an air gap in one file
    #[command(subcommand)]
    Carry(carry::CarryCommand),
    /// Publish a release, rules, a withdrawal, a review or a heartbeat
    #[command(subcommand)]
    Publish(publish::PublishCommand),
    /// Open a channel to publish on, change its keys, see where it stands
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// Compute the root of a bundle of rules, and prove and verify single files of it
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Find what is wrong or unwise in a policy, and show what it asks for
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Sign(sign::SignArgs),
    Submit(submit::SubmitArgs),
    Keygen(keygen::KeygenArgs),
    Inspect(inspect::InspectArgs),
    Lookup(lookup::LookupArgs),
    /// Write a record in another format
    #[command(subcommand)]
    Export(dsse::ExportCommand),
    /// Read a record from another format
    #[command(subcommand)]
    Import(dsse::ImportCommand),
    Watch(watch::WatchArgs),
    Evidence(evidence::EvidenceArgs),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let given: Vec<OsString> = std::env::args_os().collect();
    // What comes after "--" is the arguments of another command.
    let json = given.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let given = match from_file::expand(&Cli::command(), given) {
        Ok(given) => given,
        Err(failure) => {
            Console::new(json).failure(&failure);
            return failure.exit.into();
        }
    };
    let cli = match Cli::try_parse_from(given) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, Console::new(json)),
    };
    let console = Console::new(cli.json);
    match execute(cli.command, console, inputs::now) {
        Ok(end) => end.into(),
        Err(failure) => {
            console.failure(&failure);
            failure.exit.into()
        }
    }
}

/// Runs a command; `clock` says what time it is for those that judge by it.
fn execute(command: Command, console: Console, clock: Clock) -> Result<End, Failure> {
    let exit = match command {
        Command::Guard(args) => return guard::run(&args, console, clock),
        Command::Verify(args) => verify::run(&args, console, clock),
        Command::UpdateState(args) => update_state::run(&args, console, clock),
        Command::Carry(command) => carry::run(&command, console, clock),
        Command::Publish(command) => publish::run(command, console),
        Command::Channel(command) => channel::run(command, console),
        Command::Bundle(command) => bundle::run(command, console),
        Command::Policy(command) => policy::run(&command, console),
        Command::Sign(args) => sign::run(&args, console),
        Command::Submit(args) => submit::run(args, console),
        Command::Keygen(args) => keygen::run(args, console),
        Command::Inspect(args) => inspect::run(&args, console),
        Command::Lookup(args) => lookup::run(&args, console),
        Command::Export(command) => dsse::export(command, console),
        Command::Import(command) => dsse::import(command, console),
        Command::Watch(args) => watch::run(&args, console),
        Command::Evidence(args) => evidence::run(&args, console),
    };
    exit.map(End::Ours)
}

/// Prints what the parser has to say: help is no failure.
fn usage(error: &clap::Error, console: Console) -> ExitCode {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if console.is_json() && !help {
        let told = error.to_string();
        let message = told.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        console.failure(&Failure::usage("arguments", message, "run the same command with --help"));
        return Exit::Usage.into();
    }
    // Nobody reads it if it cannot be printed; the exit code says enough.
    let _ = error.print();
    if help { Exit::Verified.into() } else { Exit::Usage.into() }
}

const EXAMPLES: &str = "\
As a vendor, once:
  indelible keygen vendor.example/publish --out publish.key
  indelible channel create vendor.example/agent --key publish.key \\
      --owner 'Vendor Example AG' --policy policy.txt

As a vendor, for each release:
  indelible publish release agent-1.2.tar.gz --channel-name vendor.example/agent \\
      --version 1.2 --key publish.key --policy policy.txt

As a user, offline:
  indelible verify agent-1.2.tar.gz --policy policy.txt \\
      --channel vendor.example_agent.channel.tlog-proof

As a user, to hear of withdrawals and changes of keys:
  indelible update-state --config client.toml

As a user behind an air gap, from one side to the other:
  indelible carry export agent-1.2.tar.gz --config client.toml --out agent.carry
  indelible carry import agent.carry --config client.toml --out agent/

As anybody:
  indelible lookup agent-1.2.tar.gz --policy policy.txt
  indelible watch --policy policy.txt --state watch/
  indelible inspect agent-1.2.tar.gz.tlog-proof

Exit codes: 0 verified or done; 2 usage; 10 hold; 20 refused;
30 evidence that the log has two histories; 40 could not decide.";

#[cfg(test)]
mod tests;
