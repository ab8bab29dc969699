//! `load`: load for a log on this machine, to see what it takes and how long it lets one wait.
//!
//! What it sends is what the field's generators send: raw bytes to `POST /add`, answered with the index on the
//! first line; reads of checkpoint, tiles and bundles. Beside these: batches, and signed records. Bounded in
//! time and number, and only to loopback addresses.

mod traffic;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use indelible_tests::load::{Latencies, Outcome, Target, closed_loop, open_loop};
use serde::Serialize;

/// Loads a log on this machine and says how long its answers took.
///
/// With --rate the load is open: requests are sent when they are due, whether or not earlier ones were answered,
/// and times are counted from when each was due, so that a stall is seen by all it held up. Without, it is
/// closed: every connection sends its next request when it has the answer to the last.
///
/// Examples:
///
///   load 127.0.0.1:2025 --rate 4000 --seconds 10
///
///   load 127.0.0.1:2025 --what batch --batch 1024 --connections 4
///
///   load 127.0.0.1:2025 --what read --connections 64 --json
#[derive(Debug, Parser)]
#[command(name = "load", verbatim_doc_comment)]
struct Args {
    /// Where the log listens, on loopback
    #[arg(value_name = "ADDRESS:PORT")]
    address: String,
    /// What to send
    #[arg(long, value_enum, default_value_t = What::Add)]
    what: What,
    /// Requests a second; without it, as many as the connections carry
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Most requests
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    count: u64,
    /// Length of an entry
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(16..))]
    bytes: u16,
    /// Entries in a batch
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    batch: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Raw bytes, one entry a request: POST /add
    Add,
    /// Raw bytes, many entries a request: POST /add-batch
    Batch,
    /// Signed records of new channels, one for each connection: POST /submit
    Submit,
    /// Full tiles and bundles, in no order
    Read,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let address = args.address.trim_start_matches("http://").trim_end_matches('/');
    let target = Target::new(address, args.connections)?;
    let requests = traffic::requests(&args, &target)?;
    let time = Duration::from_secs(args.seconds);
    let outcome = match args.rate {
        Some(per_s) => open_loop(&target, per_s, time, &requests, &Arc::new(AtomicBool::new(false))),
        None => closed_loop(&target, time, &requests),
    };
    let report = Report::of(&args, &outcome.context("the load ended early")?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    // What a script needs to know: whether the log kept up.
    Ok(if report.refused == 0 && report.answers > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came out.
#[derive(Debug, Serialize)]
struct Report {
    answers: usize,
    /// Answered with 429 or 503.
    refused: u64,
    seconds: f64,
    answers_per_s: f64,
    entries_per_s: f64,
    counted_from: &'static str,
    p50_ms: f64,
    p99_ms: f64,
    p99_9_ms: f64,
    max_ms: f64,
}

impl Report {
    fn of(args: &Args, outcome: &Outcome) -> Self {
        let Outcome { latencies, refused, took } = outcome;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let at = |latencies: &Latencies, percent| ms(latencies.percentile(percent));
        let entries = if matches!(args.what, What::Batch) { f64::from(args.batch) } else { 1.0 };
        Self {
            answers: outcome.answers(),
            refused: *refused,
            seconds: took.as_secs_f64(),
            answers_per_s: outcome.per_s(),
            entries_per_s: outcome.per_s() * entries,
            counted_from: if args.rate.is_some() { "due" } else { "sent" },
            p50_ms: at(latencies, 50.0),
            p99_ms: at(latencies, 99.0),
            p99_9_ms: at(latencies, 99.9),
            max_ms: ms(latencies.max()),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answers, refused, seconds, answers_per_s, entries_per_s, .. } = self;
        writeln!(
            f,
            "{answers} answers in {seconds:.1} s: {answers_per_s:.0}/s, {entries_per_s:.0} entries/s"
        )?;
        writeln!(f, "{refused} refused for now")?;
        let Self { counted_from, p50_ms, p99_ms, p99_9_ms, max_ms, .. } = self;
        writeln!(
            f,
            "from when each was {counted_from}: p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, p99.9 {p99_9_ms:.2} ms, \
             max {max_ms:.2} ms"
        )
    }
}
