//! Row `publish`: from signing a record to holding its witnessed proof, verified; three local witnesses, two
//! of which must cosign, all real processes on loopback.
//!
//! The bound is what must be on disk on the way, one after the other: the journal's append, the witness's new
//! checkpoint, the published checkpoint. The first is one synced write into a preallocated file, the others
//! are durable replacements of a small file with two syncs each.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_submit::{HttpLog, SubmitAnswer, SubmitLog as _};
use indelible_proto::hash::leaf_hash;
use indelible_proto::log_api::SUBMIT_PATH;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_tests::load::{Requests, Target, open_loop, posts, runtime};
use indelible_tests::records::Channel;
use indelible_tests::world::{Kind, World};
use tokio::runtime::Runtime;

use crate::Plan;
use crate::limits::{Preallocated, durable_replaces};
use crate::report::{Line, Number};
use crate::stats::{Latencies, Spread, ms};

/// Records a second on other channels, in the second case.
const BACKGROUND_PER_S: u32 = 1_000;
/// Other channels, each with one record at a time under way.
const BACKGROUND_CHANNELS: usize = 64;
/// What the median has to stay below, and all but one in a hundred, in milliseconds.
const MAX_P50_MS: f64 = 10.0;
const MAX_P99_MS: f64 = 50.0;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let world = World::start(Kind::Records, 3, 2);
    let mut publisher = Publisher::new(&world)?;
    publisher.publish(plan.of(30, 3))?;
    let idle = case(plan, &mut publisher, &world, "idle")?;
    let background = Background::prepare(plan, &world)?;
    let busy = background.during(|| {
        publisher.publish(plan.of(30, 3))?;
        case(plan, &mut publisher, &world, &format!("{BACKGROUND_PER_S}/s beside"))
    })?;
    Ok(vec![idle, busy])
}

fn case(plan: &Plan, publisher: &mut Publisher, world: &World, what: &str) -> Result<Line> {
    let count = plan.of(120, 10);
    let disk = Preallocated::create(world.path(), 8 * 1024 * 1024)?;
    let (mut rounds, mut all, mut journal, mut replace) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.rounds() {
        let (write, replacement) = floor(plan, &disk, world.path())?;
        let times = publisher.publish(count)?;
        rounds.push((ms(Latencies::of(times.clone()).percentile(50.0)), ms(write + 2 * replacement)));
        all.extend(times);
        journal.push(ms(write));
        replace.push(ms(replacement));
    }
    let all = Latencies::of(all);
    let [journal, replace] = [journal, replace].map(|rounds| Number(Spread::of(rounds).median));
    let (count, p99) = (all.count(), ms(all.percentile(99.0)));
    let case = format!("signing to verified proof, {what}, p50");
    let line = Line::new("publish", case, "ms", &rounds, "the five syncs on the way, one after the other");
    let met = line.measured.spread.median <= MAX_P50_MS && p99 <= MAX_P99_MS;
    let p99 = Number(p99);
    Ok(line
        .note(format!(
            "p99 {p99} ms of all {count}; one synced write {journal} ms, one replacement {replace} ms"
        ))
        .goal(format!("p50 at most {MAX_P50_MS} ms, p99 at most {MAX_P99_MS} ms"), met))
}

/// What a synced write and a durable replacement take at the moment.
fn floor(plan: &Plan, disk: &Preallocated, dir: &Path) -> Result<(Duration, Duration)> {
    let count = plan.of(100, 10);
    let write = disk.synced_writes(count, 2048, Duration::ZERO)?.percentile(50.0);
    Ok((write, durable_replaces(dir, count)?.percentile(50.0)))
}

/// One vendor that publishes record after record.
struct Publisher {
    channel: Channel,
    log: HttpLog,
    policy: Policy,
    runtime: Runtime,
}

impl Publisher {
    fn new(world: &World) -> Result<Self> {
        let log = HttpLog::new(world.url(), HttpClient::new(Timeouts::default())?);
        let policy = Policy::parse(&std::fs::read(world.policy())?)?;
        Ok(Self { channel: Channel::new(usize::MAX)?, log, policy, runtime: runtime()? })
    }

    /// Publishes `count` records one after the other; how long each took.
    fn publish(&mut self, count: usize) -> Result<Vec<Duration>> {
        (0..count).map(|_| self.publish_one()).collect()
    }

    fn publish_one(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let leaf = self.channel.sign_next()?.encode();
        let proof = match self.runtime.block_on(self.log.submit(&leaf))? {
            SubmitAnswer::Proof(proof) => LogProof::parse(&proof)?,
            other => bail!("no proof: {other:?}"),
        };
        proof.verify(&leaf_hash(&leaf), &self.policy)?;
        Ok(begun.elapsed())
    }
}

/// Other vendors, whose records were signed before anything is measured.
struct Background {
    target: Target,
    requests: Requests,
    longest: Duration,
}

impl Background {
    fn prepare(plan: &Plan, world: &World) -> Result<Self> {
        let longest = plan.of(Duration::from_secs(60), Duration::from_secs(4));
        let each = longest.as_secs() as usize * BACKGROUND_PER_S as usize / BACKGROUND_CHANNELS * 2;
        let mut leaves = Vec::new();
        for number in 0..BACKGROUND_CHANNELS {
            let mut channel = Channel::new(number)?;
            let signed = (0..each).map(|_| Ok(channel.sign_next()?.encode())).collect::<Result<Vec<_>>>()?;
            leaves.push(Mutex::new(signed.into_iter()));
        }
        let requests = posts(SUBMIT_PATH, move |connection: usize| {
            leaves.get(connection)?.lock().unwrap_or_else(PoisonError::into_inner).next()
        });
        let target = Target::new(world.log().address(), BACKGROUND_CHANNELS)?;
        Ok(Self { target, requests, longest })
    }

    /// Publishes them while `work` runs.
    fn during(&self, work: impl FnOnce() -> Result<Line>) -> Result<Line> {
        let stop = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let load = scope
                .spawn(|| open_loop(&self.target, BACKGROUND_PER_S, self.longest, &self.requests, &stop));
            let begun = Instant::now();
            let worked = work();
            let took = begun.elapsed();
            stop.store(true, Ordering::Relaxed);
            let load = load.join().ok().context("the background panicked")??.complete()?.latencies;
            let line = worked?;
            if took > self.longest {
                bail!("the background ended before the measurement: {took:?}");
            }
            let rate = Number(load.count() as f64 / took.as_secs_f64());
            let (p50, p99) = (Number(ms(load.percentile(50.0))), Number(ms(load.percentile(99.0))));
            Ok(line.note(format!("the others: {rate}/s, p50 {p50} ms, p99 {p99} ms from when each was due")))
        })
    }
}
