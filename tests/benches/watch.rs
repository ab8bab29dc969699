//! Row `watch`: ten thousand signed records are admitted by a log with three witnesses, over HTTP, and then
//! verified again by one round of `indelible watch`, all real processes. The bound is verifying all their signatures
//! alone, twice, on all cores.
//!
//! Records are signed, and requests made, before anything is timed. Each round goes on after the one before: the
//! watchdog reads what is new.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use indelible_proto::log_api::{MAX_BATCH_RECORDS, SUBMIT_BATCH_PATH, encode_batch};
use indelible_tests::Finished;
use indelible_tests::load::{Target, closed_loop, posts};
use indelible_tests::records::Channel;
use indelible_tests::world::{Kind, World};

use crate::Plan;
use crate::cpu;
use crate::limits::{Signed, verify_all};
use crate::machine::cores;
use crate::report::{Line, Number};
use crate::stats::Spread;

/// Channels, each with as many records in a round, and one connection for each of them.
const CHANNELS: usize = 4;
const RECORDS: (usize, usize) = (10_000, 64);
/// Longer than any round takes.
const LONGEST: Duration = Duration::from_secs(120);
const MAX_S: f64 = 5.0;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let world = World::start(Kind::Records, 3, 2);
    let mut vendors = (0..CHANNELS).map(Channel::new).collect::<Result<Vec<_>>>()?;
    let count = plan.of(RECORDS.0, RECORDS.1);
    let (mut rounds, mut admitting, mut watching, mut watch_cpu) = (vec![], vec![], vec![], vec![]);
    // The first opens the channels and warms up.
    for round in 0..=plan.rounds() {
        let Round { requests, signatures } = Round::sign(&mut vendors, count / CHANNELS)?;
        let alone = 2 * verify_all(&signatures, cores())?;
        let target = Target::new(world.log().address(), CHANNELS)?;
        let requests: Vec<_> = requests.into_iter().map(|own| Mutex::new(own.into_iter())).collect();
        let next = move |connection: usize| {
            requests.get(connection)?.lock().unwrap_or_else(PoisonError::into_inner).next()
        };
        let begun = Instant::now();
        closed_loop(&target, LONGEST, &posts(SUBMIT_BATCH_PATH, next))?.complete()?;
        let admitted = begun.elapsed();
        let size = world.reader().checkpoint().head().size.get();
        ensure!(size == ((round + 1) * count) as u64, "{size} records are published");
        let cpu = cpu::of_children()?;
        let begun = Instant::now();
        let mut watch = world.client();
        watch.arg("watch").arg("--once").arg("--policy").arg(world.policy());
        watch.arg("--state").arg(world.file("watchdog"));
        Finished::run(&mut watch).expect(0);
        let watched = begun.elapsed();
        if round > 0 {
            rounds.push(((admitted + watched).as_secs_f64(), alone.as_secs_f64()));
            admitting.push(admitted.as_secs_f64());
            watching.push(watched.as_secs_f64());
            watch_cpu.push(cpu::of_children()?.saturating_sub(cpu).as_secs_f64());
        }
    }
    let line = Line::new(
        "watch",
        format!("{count} records admitted, then watched"),
        "s",
        &rounds,
        format!("their signatures verified twice on {} cores", cores()),
    );
    let met = line.measured.spread.median <= MAX_S;
    let [admitting, watching, cpu] = [admitting, watching, watch_cpu].map(|of| Number(Spread::of(of).median));
    Ok(vec![
        line.note(format!(
            "admitted and witnessed in {admitting} s, watched in {watching} s with {cpu} s of CPU"
        ))
        .goal(format!("at most {MAX_S} s"), met),
    ])
}

/// What is handed in in one round.
struct Round {
    /// For each connection, bodies of requests.
    requests: Vec<Vec<Vec<u8>>>,
    signatures: Vec<Signed>,
}

impl Round {
    fn sign(vendors: &mut [Channel], each: usize) -> Result<Self> {
        let (mut requests, mut signatures) = (Vec::new(), Vec::new());
        for vendor in vendors {
            let mut leaves = Vec::with_capacity(each);
            for _ in 0..each {
                let record = vendor.sign_next()?;
                signatures.push(Signed::of_record(&record, vendor.signer())?);
                leaves.push(record.encode());
            }
            let batches =
                leaves.chunks(MAX_BATCH_RECORDS).map(|batch| encode_batch(batch, MAX_BATCH_RECORDS));
            requests.push(batches.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { requests, signatures })
    }
}
