//! Row `kill`: the process is killed under load, again and again, and started on what it left.
//!
//! In full one more log, of a million entries, is killed some times, and every start is timed: half of them must
//! answer within [`TYPICAL`], all within [`LONGEST`].

use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use indelible_client::planted::Bug;
use indelible_tests::Reader;
use indelible_tests::filling::fill;
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
const KILLS_PER_LOG: u64 = 6;
/// How many logs are killed in full.
const FULL_TRIALS: u64 = 300 / KILLS_PER_LOG;
/// Entries of the log whose starts are timed, and how many times it is killed.
const MANY: u64 = 1_000_000;
const TIMED_KILLS: u64 = 21;
/// Bounds of those times.
const TYPICAL: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(2);
/// How many acknowledged entries are proved after each of those starts.
const PROVED: usize = 64;

impl Row for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 1,
            Scale::Full => FULL_TRIALS,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::AckBeforeCommit]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let full = trials.count >= FULL_TRIALS;
        let (mut starts, mut entries) = (Vec::new(), 0);
        let trials = trials.each(|seed| {
            entries += kill(seed, &mut starts)?;
            Ok(())
        })?;
        let kills = starts.len();
        let starts = Starts::of(starts);
        let mut figures = format!("{kills} kills, {entries} acknowledged; {starts}");
        if full {
            let starts = Starts::of(kill_many(trials + 1)?);
            figures += &format!("; of {MANY} entries, {TIMED_KILLS} kills: {starts}");
            ensure!(starts.typical < TYPICAL && starts.longest < LONGEST, "starts take too long: {figures}");
        }
        Ok(Outcome { trials, figures })
    }
}

/// How long starts took until they answered.
struct Starts {
    typical: Duration,
    longest: Duration,
}

impl Starts {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |position: usize| times.get(position).copied().unwrap_or_default();
        Self { typical: at(times.len() / 2), longest: at(times.len().saturating_sub(1)) }
    }
}

impl Display for Starts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { typical, longest } = self;
        write!(f, "start until it answers: p50 {} ms, max {} ms", typical.as_millis(), longest.as_millis())
    }
}

/// One log, killed some times; how many entries it acknowledged.
fn kill(seed: u64, recovery: &mut Vec<Duration>) -> Result<u64> {
    let mut random = Random::new(seed, 1);
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
    if seed % 2 == 1 {
        site.keep_few_keys_in_memory()?;
    }
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

/// A log of many entries, killed some times; how long its starts took. What is acknowledged meanwhile is proved,
/// but not all of the log is read.
fn kill_many(seed: u64) -> Result<Vec<Duration>> {
    let mut random = Random::new(seed, 1);
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
    fill(site.dir(), MANY);
    let ledger = Mutex::new(Ledger::new(&site.policy()?));
    let mut log = site.start()?;
    // It takes nothing while so many entries wait to be published.
    Reader::new(log.url(), &site.policy()?).published(MANY);
    let mut starts = Vec::new();
    for round in 0..TIMED_KILLS {
        let workload = Workload::ALL[random.below(4) as usize];
        let address = log.address().to_owned();
        let load = Load { address: &address, workload, seed, round };
        load.until(&ledger, random.below(600), || {
            log.kill();
            Ok(())
        })?;
        let began = Instant::now();
        log = site.start()?;
        starts.push(began.elapsed());
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.check_some(log.url(), PROVED)?;
    }
    Ok(starts)
}
