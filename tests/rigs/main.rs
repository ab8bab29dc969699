//! `rig`: breaks the log on purpose, in every way that killed others, and counts what it lost.
//!
//! A row is one way. It runs a number of trials from a range of seeds and fails at the first trial that lost an
//! acknowledged entry, signed a fork or left a log that can't be opened; it prints the seed that replays it.
//! What was acknowledged is kept in a ledger outside the process that is broken.
//!
//! Every row also names the bugs it must catch: built with the feature `planted-bugs`, `rig --planted` gives
//! the log one bug after the other, runs the row, and fails where the row does not. `tests/reliability` builds
//! both and runs them.

mod bit_flips;
mod crash_points;
mod disk;
mod disk_full;
mod fault_pairs;
mod image;
mod index_crashes;
mod kill;
mod ledger;
mod load;
mod modelled;
mod overload;
mod power_cuts;
mod random;
mod receipts;
mod restore;
mod row;
mod site;
mod strace;
mod syscalls;
mod two_writers;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use indelible_client::planted;

use row::{Outcome, Row, Scale, Trials};

/// Every row, in the order of `docs/reliability.md`.
const ROWS: &[&dyn Row] = &[
    &power_cuts::PowerCuts,
    &crash_points::CrashPoints,
    &syscalls::Syscalls,
    &fault_pairs::FaultPairs,
    &kill::Kill,
    &two_writers::TwoWriters,
    &disk_full::DiskFull,
    &receipts::Receipts,
    &bit_flips::BitFlips,
    &overload::Overload,
    &restore::Restore,
];

/// What comes before the command that makes a failed trial again.
const REPLAY: &str = "replay with:";

/// What a row that lacks a tool or a right ends with.
const LACKING: u8 = 77;

/// Breaks the log on purpose and counts what it lost.
#[derive(Debug, Parser)]
#[command(name = "rig")]
struct Args {
    /// Only these rows
    rows: Vec<String>,
    /// The full number of trials instead of the short one
    #[arg(long)]
    full: bool,
    /// This many trials of each row instead
    #[arg(long, value_name = "N", conflicts_with_all = ["full", "seed"])]
    trials: Option<u64>,
    /// Replay the one trial with this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run the rows against each bug they must catch; needs the feature `planted-bugs`
    #[arg(long)]
    planted: bool,
    /// List rows, their numbers of trials, and their bugs
    #[arg(long)]
    list: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    for name in &args.rows {
        anyhow::ensure!(ROWS.iter().any(|row| row.name() == name), "there is no row {name:?}; see --list");
    }
    let wanted = |row: &&&dyn Row| args.rows.is_empty() || args.rows.iter().any(|name| name == row.name());
    let scale = if args.full { Scale::Full } else { Scale::Short };
    let trials = |row: &dyn Row| match args.seed {
        Some(seed) => Trials { first_seed: seed, count: 1 },
        None => Trials { first_seed: 1, count: args.trials.unwrap_or_else(|| row.trials(scale)) },
    };
    let mut lacking = Vec::new();
    let mut failed = false;
    for row in ROWS.iter().filter(wanted) {
        if args.list {
            let bugs: Vec<&str> = row.bugs().iter().map(|bug| bug.name()).collect();
            let [short, full] = [Scale::Short, Scale::Full].map(|scale| row.trials(scale));
            println!("{:<14} {} trials, {} in full; catches {}", row.name(), short, full, bugs.join(", "));
            continue;
        }
        if let Some(lack) = row.lacks() {
            println!("{:<14} SKIPPED: {lack}", row.name());
            lacking.push(row.name());
            continue;
        }
        failed |= if args.planted { !plant(*row)? } else { !run(*row, scale, trials(*row)) };
    }
    if failed {
        return Ok(ExitCode::FAILURE);
    }
    if !lacking.is_empty() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("under CI=true no row may be skipped: {}", lacking.join(", "));
    }
    Ok(if lacking.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LACKING) })
}

/// Runs a row; whether nothing was lost.
fn run(row: &dyn Row, scale: Scale, trials: Trials) -> bool {
    let begun = Instant::now();
    match row.run(trials) {
        Ok(Outcome { trials: done, figures }) => {
            let last = trials.first_seed + done.saturating_sub(1);
            let took = begun.elapsed().as_secs_f64();
            println!(
                "{:<14} {done} trials, seeds {}..{last}: 0 lost, 0 forks ({took:.1} s) {figures}",
                row.name(),
                trials.first_seed
            );
            true
        }
        Err(failure) => {
            println!("{:<14} FAILED: {failure:#}", row.name());
            let full = if scale == Scale::Full { " --full" } else { "" };
            println!("{:<14} {REPLAY} tests/reliability{full} {} --seed SEED", "", row.name());
            false
        }
    }
}

/// Runs a row against each of its bugs, in a process of its own; whether it caught all of them.
fn plant(row: &dyn Row) -> Result<bool> {
    anyhow::ensure!(cfg!(feature = "planted-bugs"), "build the rig with --features planted-bugs");
    let mut caught_all = true;
    for bug in row.bugs() {
        let begun = Instant::now();
        let rig = std::env::current_exe().context("the rig's own path")?;
        let mut child = Command::new(rig);
        child.arg(row.name()).env(planted::VARIABLE, bug.name()).env_remove("CI");
        let output = child.output().context("the rig can't be started")?;
        let said = String::from_utf8_lossy(&output.stdout);
        // Of several lines if a process was asked what it had to say.
        let reason = said.split_once("FAILED: ").map(|(_, reason)| reason);
        let reason = reason.map(|reason| reason.lines().take_while(|line| !line.contains(REPLAY)));
        let reason = reason.map(|lines| lines.map(str::trim).collect::<Vec<_>>().join(" "));
        let took = begun.elapsed().as_secs_f64();
        match reason {
            Some(reason) if output.status.code() == Some(1) => {
                println!("{:<14} caught {} ({took:.1} s): {reason}", row.name(), bug.name());
            }
            _ => {
                caught_all = false;
                let errors = String::from_utf8_lossy(&output.stderr);
                println!("{:<14} MISSED {} ({took:.1} s): {said}{errors}", row.name(), bug.name());
            }
        }
    }
    Ok(caught_all)
}
