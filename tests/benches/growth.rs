//! Row `growth`: does an append cost more in a large log? The same appends to a log of 10^5 entries and to the
//! one of row `sustained`, in turns; everything they cause counts, the index too.

use std::time::{Duration, Instant};

use anyhow::Result;
use indelible_server::kind::LogKind;
use indelible_server::sequencer::Sequencer;

use crate::Plan;
use crate::cpu;
use crate::local_log::{Entries, LocalLog, append};
use crate::report::{Line, Number};
use crate::startup::{LargeLog, resident_bytes};
use crate::stats::{Spread, us};
use crate::sustained::FEED;

/// Entries of the small log before anything is measured.
const SMALL: (usize, usize) = (100_000, 2_000);
/// Entries of one round.
const EACH: (usize, usize) = (131_072, 4_096);
/// The index has caught up when it has used no CPU time for this long.
const IDLE: Duration = Duration::from_millis(400);
/// How long that may take.
const MAX_WAIT: Duration = Duration::from_secs(300);
const MAX_GROWTH: f64 = 1.2;
const BACKGROUND: &[&str] = &["index", "sled-", "log-"];
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn run(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let small = LocalLog::create(LogKind::Raw, plan.dir())?;
    let (small, entries) = (small.open()?, Entries::default());
    append(&small.handle(), &entries, plan.of(SMALL.0, SMALL.1), FEED)?;
    let begun = Instant::now();
    let large_log = large.log.open()?;
    let opened = begun.elapsed();
    wait_until_idle()?;
    let resident = resident_bytes(std::process::id())?;
    let each = plan.of(EACH.0, EACH.1);
    let (mut cpu_rounds, mut index_us) = (vec![], vec![]);
    for _ in 0..plan.rounds() {
        let (small_us, _) = cost(&small, &entries, each)?;
        let (large_us, index) = cost(&large_log, &large.entries, each)?;
        cpu_rounds.push((large_us, small_us));
        index_us.push(index);
    }
    let size = |log: &Sequencer| Number(log.handle().signed().borrow().checkpoint.head().size.get() as f64);
    let case = format!("CPU of an append to {} entries", size(&large_log));
    let line = Line::new("growth", case, "µs", &cpu_rounds, format!("the same to {}", size(&small)));
    let met = line.ratio.median <= MAX_GROWTH;
    let index = Number(Spread::of(index_us).median);
    let line = line
        .note(format!("everything counts until all is at rest: index and files {index} µs of it"))
        .note(format!(
            "resident {} MiB with both logs open; opened in {} ms in process, index caught up with",
            Number(resident / MIB),
            Number(opened.as_secs_f64() * 1e3)
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

/// Waits until no log in this process has anything left to do.
pub(crate) fn wait_until_idle() -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < MAX_WAIT {
        let before = cpu::of_threads(BACKGROUND)?;
        std::thread::sleep(IDLE);
        // sled looks every now and then whether there is something to do.
        if cpu::of_threads(BACKGROUND)?.saturating_sub(before) < IDLE / 50 {
            return Ok(());
        }
    }
    anyhow::bail!("the index has not caught up within {MAX_WAIT:?}")
}
