//! `cargo bench -p indelible-tests`: what the log costs and how fast it is, each figure beside the physical
//! limit or the peer that bounds it, measured in the same run. `docs/performance.md` explains the rows.
//!
//! ```text
//! cargo bench -p indelible-tests                          the table
//! cargo bench -p indelible-tests -- append verify         only these rows
//! cargo bench -p indelible-tests -- --json                as one JSON object
//! cargo bench -p indelible-tests -- sustained disk startup growth --entries 100000000    with so large a log
//! cargo bench -p indelible-tests -- --quick               small, within seconds: does every row still run?
//! ```
//!
//! A measurement warms up, then alternates with what bounds it for several rounds; a figure is the median
//! round, a ratio the median of the rounds' own ratios. Logs are made in the system's folder for temporary
//! files (`TMPDIR`), which should be on a real disk.

mod admission;
mod append;
mod bare;
mod batches;
mod bundle;
mod cpu;
mod growth;
mod hammer;
mod http;
mod limits;
mod local_log;
mod machine;
mod peers;
mod process;
mod publish;
mod reads;
mod report;
mod startup;
mod stats;
mod sustained;
mod verify;
mod watch;

use std::cell::OnceCell;
use std::path::Path;

use anyhow::{Result, ensure};
use clap::Parser;
use tempfile::TempDir;

use machine::Machine;
use report::{Line, Report, heading};
use startup::LargeLog;

/// Measures the log against what bounds it, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "cargo bench -p indelible-tests --")]
struct Args {
    /// Only these rows: sustained, growth, append, batches, hammer, http, publish, reads, verify, disk, startup, admission, process, watch, bundle
    rows: Vec<String>,
    /// Small amounts: whether every row runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Entries of the large log that row `sustained` makes [default: 10,000,000]; each needs 350 bytes of disk
    #[arg(long)]
    entries: Option<usize>,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the bare server that others are measured against
    #[arg(long = "bare-server", hide = true)]
    bare_server: bool,
}

/// How much is measured, and where.
#[derive(Debug)]
pub(crate) struct Plan {
    scale: Scale,
    entries: Option<usize>,
    dir: TempDir,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Enough for figures.
    Full,
    /// Enough to see that it runs.
    Quick,
}

impl Plan {
    /// The amount to measure.
    pub(crate) fn of<T>(&self, full: T, quick: T) -> T {
        match self.scale {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }

    /// Entries of the large log: what was asked for, or else the amount to measure.
    pub(crate) fn entries(&self, full: usize, quick: usize) -> usize {
        self.entries.unwrap_or_else(|| self.of(full, quick))
    }

    /// How many rounds there are after warming up.
    pub(crate) fn rounds(&self) -> usize {
        self.of(5, 2)
    }

    /// A folder for logs, deleted at the very end.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The rows in the order of the table.
const ROWS: [&str; 15] = [
    "sustained",
    "append",
    "batches",
    "hammer",
    "http",
    "publish",
    "verify",
    "disk",
    "startup",
    "reads",
    "growth",
    "admission",
    "process",
    "watch",
    "bundle",
];
/// Those that start the project's programs.
const PROCESS_ROWS: [&str; 9] =
    ["batches", "hammer", "http", "publish", "startup", "reads", "process", "watch", "bundle"];

fn main() -> Result<()> {
    let args = Args::parse();
    if args.bare_server {
        return bare::serve();
    }
    for row in &args.rows {
        ensure!(ROWS.contains(&row.as_str()), "there is no row {row:?}; there are {}", ROWS.join(", "));
    }
    let wanted = |row: &str| args.rows.is_empty() || args.rows.iter().any(|wanted| wanted == row);
    let scale = if args.quick { Scale::Quick } else { Scale::Full };
    let plan = Plan { scale, entries: args.entries, dir: TempDir::with_prefix("indelible-bench-")? };
    let command = command(&args);
    if PROCESS_ROWS.into_iter().any(wanted) {
        // Built before anything is measured.
        indelible_tests::binaries();
    }
    let machine = Machine::look();
    if machine.forgets() {
        eprintln!("warning: the temporary folder may be in memory, so nothing here is durable; set TMPDIR");
    }
    if !args.json {
        println!("{}", heading(&machine, &command));
    }
    let large = OnceCell::new();
    let mut lines = Vec::new();
    for row in ROWS.into_iter().filter(|row| wanted(row)) {
        for line in measure(row, &plan, &large)? {
            if !args.json {
                print!("{line}");
            }
            lines.push(line);
        }
    }
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&Report { command: &command, machine: &machine, lines: &lines })?
        );
    }
    Ok(())
}

fn measure(row: &str, plan: &Plan, made: &OnceCell<LargeLog>) -> Result<Vec<Line>> {
    let large = || -> Result<&LargeLog> {
        if let Some(made) = made.get() {
            return Ok(made);
        }
        let new = LargeLog::make(plan)?;
        Ok(made.get_or_init(|| new))
    };
    match row {
        "sustained" => {
            let (lines, large) = sustained::run(plan)?;
            made.get_or_init(|| large);
            Ok(lines)
        }
        "growth" => growth::run(plan, large()?),
        "batches" => batches::run(plan),
        "hammer" => hammer::run(plan),
        "reads" => reads::run(plan, large()?),
        "append" => append::run(plan),
        "http" => http::run(plan),
        "publish" => publish::run(plan),
        "verify" => verify::run(plan),
        "startup" => startup::startup(plan, large()?),
        "disk" => startup::disk(plan, large()?),
        "process" => process::run(plan),
        "watch" => watch::run(plan),
        "bundle" => bundle::run(plan),
        _ => admission::run(plan),
    }
}

/// The command that this was started with, as a person would type it.
fn command(args: &Args) -> String {
    let flags = [(args.quick, "--quick"), (args.json, "--json")];
    let flags = flags.into_iter().filter_map(|(given, flag)| given.then_some(flag));
    let entries = args.entries.map(|entries| format!("--entries {entries}"));
    let words: Vec<&str> =
        flags.chain(entries.as_deref()).chain(args.rows.iter().map(String::as_str)).collect();
    let separator = if words.is_empty() { "" } else { " -- " };
    format!("cargo bench -p indelible-tests{separator}{}", words.join(" "))
}
