//! Row `kill`: the process is killed under load, again and again, and started on what it left.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use indelible_client::planted::Bug;
use indelible_tests::world::Kind;
use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::load::{Load, Workload};
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct Kill;

/// How many times one log is killed before the next trial takes a new one.
const KILLS_PER_LOG: u64 = 10;

impl Row for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 1,
            Scale::Full => 300 / KILLS_PER_LOG,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::AckBeforeCommit]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let (mut recovery, mut entries) = (Vec::new(), 0);
        let trials = trials.each(|seed| {
            entries += kill(seed, &mut recovery)?;
            Ok(())
        })?;
        recovery.sort_unstable();
        let kills = recovery.len();
        let at =
            |part: usize| recovery.get((kills * part / 100).min(kills - 1)).map_or(0, Duration::as_millis);
        let figures = format!(
            "{kills} kills, {entries} acknowledged; start until it answers: p50 {} ms, max {} ms",
            at(50),
            at(100)
        );
        Ok(Outcome { trials, figures })
    }
}

/// One log, killed some times; how many entries it acknowledged.
fn kill(seed: u64, recovery: &mut Vec<Duration>) -> Result<u64> {
    let mut random = Random::new(seed, 1);
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
    let ledger = Mutex::new(Ledger::new(&site.policy()?));
    let mut log = site.start()?;
    for round in 0..KILLS_PER_LOG {
        let workload = Workload::ALL[random.below(4) as usize];
        // At once after an acknowledgement, or some time later.
        let (enough, pause) =
            (random.below(60), Duration::from_micros(random.below(2) * random.below(3_000)));
        let address = log.address().to_owned();
        let load = Load { address: &address, workload, seed, round };
        load.until(&ledger, enough, || {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            log.kill();
            Ok(())
        })?;
        let began = Instant::now();
        log = site.start()?;
        recovery.push(began.elapsed());
        let mut ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
        ledger.check(log.url()).map_err(|error| error.context(format!("kill {round}, {workload:?}")))?;
    }
    let ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
    Ok(ledger.acknowledged())
}
