//! Row `growth`: does an append cost more in a large log? The same appends to a log of 10^5 entries and to the
//! one of row `sustained`, in turns; everything they cause counts, the index too.
//!
//! The small log is made anew for each round. A round has as many entries as the index moves to its database in one
//! go, so that each has the same share of that.

use std::time::Instant;

use anyhow::Result;
use indelible_server::kind::LogKind;
use indelible_server::sequencer::Sequencer;

use crate::Plan;
use crate::cpu;
use crate::local_log::{BACKGROUND, Entries, LocalLog, append, wait_until_idle};
use crate::report::{Line, Number};
use crate::startup::{LargeLog, resident_bytes};
use crate::stats::{Spread, us};
use crate::sustained::FEED;

/// Entries of the small log before anything is measured.
const SMALL: (usize, usize) = (100_000, 2_000);
/// Entries of one round.
const EACH: (usize, usize) = (1 << 20, 4_096);
const MAX_GROWTH: f64 = 1.2;
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn run(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let begun = Instant::now();
    let large_log = large.log.open()?;
    let opened = begun.elapsed();
    wait_until_idle()?;
    let caught_up = begun.elapsed();
    let (small_size, each) = (plan.of(SMALL.0, SMALL.1), plan.of(EACH.0, EACH.1));
    let (mut cpu_rounds, mut index_us) = (vec![], vec![]);
    for _ in 0..plan.rounds() {
        let small = LocalLog::create(LogKind::Raw, plan.dir())?;
        let (small, entries) = (small.open()?, Entries::default());
        append(&small.handle(), &entries, small_size, FEED)?;
        wait_until_idle()?;
        let (small_us, _) = cost(&small, &entries, each)?;
        small.shutdown();
        let (large_us, index) = cost(&large_log, &large.entries, each)?;
        cpu_rounds.push((large_us, small_us));
        index_us.push(index);
    }
    let resident = resident_bytes(std::process::id())?;
    let size = |log: &Sequencer| Number(log.handle().signed().borrow().checkpoint.head().size.get() as f64);
    let case = format!("CPU of an append to {} entries", size(&large_log));
    let line =
        Line::new("growth", case, "µs", &cpu_rounds, format!("the same to {}", Number(small_size as f64)));
    let met = line.ratio.median <= MAX_GROWTH;
    let index = Number(Spread::of(index_us).median);
    let mean = |rounds: &mut dyn Iterator<Item = f64>| rounds.sum::<f64>() / plan.rounds() as f64;
    let [of_large, of_small] = [
        mean(&mut cpu_rounds.iter().map(|round| round.0)),
        mean(&mut cpu_rounds.iter().map(|round| round.1)),
    ];
    let line = line
        .note(format!("everything counts until all is at rest: index and files {index} µs of it"))
        .note(format!(
            "the mean of all rounds {} and {} µs; resident {} MiB in the end; opened in {} ms in process, at rest {} s after that",
            Number(of_large),
            Number(of_small),
            Number(resident / MIB),
            Number(opened.as_secs_f64() * 1e3),
            Number((caught_up - opened).as_secs_f64()),
        ))
        .goal(format!("at most {MAX_GROWTH} times"), met);
    Ok(vec![line])
}

/// CPU time of one append and all that it causes; and of that, in the background.
fn cost(log: &Sequencer, entries: &Entries, count: usize) -> Result<(f64, f64)> {
    let (cpu, background) = (cpu::of_this_process(), cpu::of_threads(BACKGROUND)?);
    let appended = append(&log.handle(), entries, count, FEED)? as f64;
    wait_until_idle()?;
    let background = cpu::of_threads(BACKGROUND)?.saturating_sub(background);
    Ok((us(cpu::of_this_process() - cpu) / appended, us(background) / appended))
}
