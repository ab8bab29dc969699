//! Row `append`: durable appends in this process, through the sequencer alone.
//!
//! The bound is the lower of two: the entries' bytes written one after the other and synced after each MiB,
//! and one core hashing them into a tree. The log writes every entry about twice, into its journal and into
//! an entry bundle, signs a checkpoint for every batch and keeps an index; so it stays below. With one entry
//! at a time the bound is one synced write for each.

use std::time::{Duration, Instant};

use anyhow::Result;
use indelible_server::kind::LogKind;

use crate::Plan;
use crate::cpu;
use crate::limits::{self, Preallocated};
use crate::local_log::{ENTRY_BYTES, Entries, Feed, LocalLog, append};
use crate::report::{Line, Number};
use crate::stats::{Spread, us};

/// Entries appended in one round, on a quick run, and how. One at a time there are fewer: each takes a sync.
const CASES: [(usize, usize, Feed); 5] = [
    (2_000, 200, Feed::Single { producers: 1, waiting: 1 }),
    (20_000, 2_000, Feed::Single { producers: 1, waiting: 64 }),
    (200_000, 10_000, Feed::Single { producers: 2, waiting: 2_048 }),
    (200_000, 10_000, Feed::Groups { producers: 1, group: 256 }),
    (400_000, 10_000, Feed::Groups { producers: 2, group: 2_048 }),
];

/// Bytes a batch of one entry adds to the journal: two record headers, the batch's own, the entry, the note.
const SMALLEST_COMMIT_BYTES: usize = 2 * 96 + 48 + ENTRY_BYTES + 256;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    CASES.into_iter().map(|(full, quick, feed)| case(plan, plan.of(full, quick), feed)).collect()
}

fn case(plan: &Plan, count: usize, feed: Feed) -> Result<Line> {
    let log = LocalLog::create(LogKind::Raw, plan.dir())?;
    let sequencer = log.open()?;
    let (handle, entries) = (sequencer.handle(), Entries::default());
    let disk = Preallocated::create(log.scratch(), (count * ENTRY_BYTES) as u64)?;
    let alone = matches!(feed, Feed::Single { producers: 1, waiting: 1 });

    append(&handle, &entries, count / 4, feed)?;
    let (mut rounds, mut cpu_us, mut hashing) = (Vec::new(), Vec::new(), Vec::new());
    let mut by_thread = [(SEQUENCER, Vec::new()), (INDEX, Vec::new())];
    for _ in 0..plan.rounds() {
        let hashes_per_s = limits::tree_hashes_per_s(ENTRY_BYTES, plan.of(300_000, 30_000));
        let writes_per_s = if alone {
            let writes = disk.synced_writes(count, SMALLEST_COMMIT_BYTES, Duration::ZERO)?;
            writes.count() as f64 / writes.total().as_secs_f64()
        } else {
            disk.sequential_bytes_per_s()? / ENTRY_BYTES as f64
        };
        let threads = [cpu::of_threads(SEQUENCER)?, cpu::of_threads(INDEX)?];
        let (cpu, begun) = (cpu::of_this_process(), Instant::now());
        let appended = append(&handle, &entries, count, feed)? as f64;
        let took = begun.elapsed();
        rounds.push((appended / took.as_secs_f64(), writes_per_s.min(hashes_per_s)));
        cpu_us.push(us(cpu::of_this_process() - cpu) / appended);
        for (used, before) in by_thread.iter_mut().zip(threads) {
            used.1.push(us(cpu::of_threads(used.0)?.saturating_sub(before)) / appended);
        }
        hashing.push(hashes_per_s);
    }
    sequencer.shutdown();

    let (cpu_us, hashing) = (Spread::of(cpu_us).median, Spread::of(hashing).median);
    let [sequencer, index] = by_thread.map(|(_, rounds)| Number(Spread::of(rounds).median));
    let (case, bound) = match feed {
        Feed::Single { producers: 1, waiting: 1 } => (
            "single entries, one at a time".to_owned(),
            format!("{SMALLEST_COMMIT_BYTES} B written over and fdatasync, each"),
        ),
        Feed::Single { producers, waiting } => {
            (format!("single entries, {} x {waiting} unanswered", threads(producers)), SEQUENTIAL.to_owned())
        }
        Feed::Groups { producers, group } => {
            (format!("groups of {group}, {}", threads(producers)), SEQUENTIAL.to_owned())
        }
    };
    let line = Line::new("append", case, "/s", &rounds, bound);
    let hashing_us = 1e6 / hashing;
    let line = line.note(format!(
        "CPU {} µs per entry, sequencer {sequencer}, index {index}, else submitters; SHA-256 alone {}",
        Number(cpu_us),
        Number(hashing_us)
    ));
    Ok(match feed {
        Feed::Groups { producers: 2, .. } => {
            let met = line.ratio.median >= 0.5;
            line.goal("at least half of the bound", met)
        }
        _ => line,
    })
}

fn threads(count: usize) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

/// Names of the threads that sequence, and of those that keep the index.
const SEQUENCER: &[&str] = &["sequencer", "log-sync"];
const INDEX: &[&str] = &["index", "sled-"];
const SEQUENTIAL: &str = "the entries' bytes written over in 1 MiB chunks, fdatasync each";
