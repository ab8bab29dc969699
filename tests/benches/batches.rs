//! Row `batches`: `POST /add-batch` to the real server, beside the same entries appended in this process by the
//! same number of submitters, in turns: what HTTP takes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use indelible_proto::log_api::{ADD_BATCH_PATH, MAX_BATCH_ENTRIES, encode_batch};
use indelible_server::kind::LogKind;
use indelible_tests::load::{Target, closed_loop, posts};
use indelible_tests::world::{Kind, World};

use crate::Plan;
use crate::cpu;
use crate::local_log::{Entries, LocalLog, append};
use crate::report::{Line, Number};
use crate::stats::{Spread, us};
use crate::sustained::FEED;

const CONNECTIONS: usize = 4;
const BATCH: usize = 2_048;
/// Entries that are appended in this process in a round.
const ENTRIES: (usize, usize) = (600_000, 8_192);
const MIN_RATIO: f64 = 0.6;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let local = LocalLog::create(LogKind::Raw, plan.dir())?;
    let (local, own_entries) = (local.open()?, Entries::default());
    let world = World::start(Kind::Raw, 0, 0);
    let entries = Arc::new(Entries::default());
    let batches = posts(ADD_BATCH_PATH, move |_| {
        let batch: Vec<Vec<u8>> = (0..BATCH).map(|_| entries.next_bytes()).collect();
        encode_batch(&batch, MAX_BATCH_ENTRIES).ok()
    });
    let target = Target::new(world.log().address(), CONNECTIONS)?;
    let time = plan.of(Duration::from_secs(3), Duration::from_millis(300));
    closed_loop(&target, time / 4, &batches)?;
    append(&local.handle(), &own_entries, plan.of(ENTRIES.0, ENTRIES.1) / 4, FEED)?;
    let (mut rounds, mut cpu_us) = (vec![], vec![]);
    for _ in 0..plan.rounds() {
        let begun = Instant::now();
        let appended = append(&local.handle(), &own_entries, plan.of(ENTRIES.0, ENTRIES.1), FEED)?;
        let in_process = appended as f64 / begun.elapsed().as_secs_f64();
        let cpu = cpu::of_process(world.log().pid())?;
        let done = closed_loop(&target, time, &batches)?.complete()?;
        let used = cpu::of_process(world.log().pid())?.saturating_sub(cpu);
        cpu_us.push(us(used) / (done.answers() * BATCH) as f64);
        rounds.push((done.per_s() * BATCH as f64, in_process));
    }
    let case = format!("entries, {BATCH} a request, {CONNECTIONS} connections");
    let line = Line::new("batches", case, "/s", &rounds, "the same appended in process");
    let met = line.ratio.median >= MIN_RATIO;
    let cpu = Number(Spread::of(cpu_us).median);
    let line = line.note(format!("server CPU {cpu} µs per entry, its index included"));
    Ok(vec![line.goal(format!("at least {MIN_RATIO} of it"), met)])
}
