//! Row `overload`: ten times as much as the log can take, for as long as it takes, from a clock that does not wait
//! for answers.
//!
//! First it is measured what the log takes when each connection waits for its answer. Then batches are due at
//! ten times that rate, and every time is counted from when its batch was due, whether or not a connection was
//! free then. A reader asks for checkpoint and tile all the while, and before, when nothing else is asked.
//!
//! - a batch is taken (200) or refused with 429 or 503 and a `Retry-After`; nothing else, and not nothing
//! - what is taken is taken soon: its delay is bounded
//! - reads are not much slower than when the log is idle
//! - the process does not grow
//! - every acknowledged entry is in the log: the ledger says so afterwards, of all in full, else of [`PROVED`]
//!
//! A trial is five seconds of it. Fewer than the full number are shorter, have smaller batches, and are judged by
//! [`LENIENT`]: other tests run beside them, and two cores shared by a log, its load and others say little about times.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use indelible_client::planted::Bug;
use indelible_proto::log_api::{ADD_BATCH_PATH, MAX_BATCH_ENTRIES, encode_batch, parse_indices};
use indelible_proto::size::LeafIndex;
use indelible_tests::http::Connection;
use indelible_tests::world::Kind;
use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct Overload;

/// How many times as much as the log takes is sent.
const TIMES: u32 = 10;
/// How long a trial overloads the log.
const TRIAL: Duration = Duration::from_secs(5);
const SHORT_TRIAL: Duration = Duration::from_secs(2);
const FULL_TRIALS: u64 = 12;
/// How long it is measured what the log takes, and how fast an idle log is read.
const MEASURED: Duration = Duration::from_millis(600);
/// Connections: so many batches can be under way, four times what the queue holds.
const CONNECTIONS: usize = 64;
/// Batches that the queue holds.
const QUEUED: usize = 16;
/// How late batches are still sent: a log that takes everything makes its senders wait.
const LATE: Duration = Duration::from_secs(2);
/// How often the reader asks.
const READ_EVERY: Duration = Duration::from_millis(5);

/// What is asked of the log.
#[derive(Debug)]
struct Bounds {
    /// Of the delay of what is taken.
    p99: Duration,
    max: Duration,
    /// Of the p99 of reads, as a multiple of the idle log's.
    read_times: u32,
    /// A p99 of reads below this is good whatever it was before: the machine's other work costs so much.
    read_floor: Duration,
}

const STRICT: Bounds = Bounds {
    p99: Duration::from_secs(1),
    max: Duration::from_secs(5),
    read_times: 2,
    read_floor: Duration::from_millis(25),
};
const LENIENT: Bounds = Bounds {
    p99: Duration::from_secs(5),
    max: Duration::from_secs(20),
    read_times: 10,
    read_floor: Duration::from_millis(500),
};
/// How much the process may grow meanwhile: caches fill, and the index keeps up to 22 bytes in memory for each of
/// the newest 25 million entries.
const MAX_GROWTH_BYTES: u64 = 256 << 20;
const MAX_GROWTH_BYTES_PER_ENTRY: u64 = 24;
/// At most so many acknowledged entries are proved, of which the short form reads no more.
const PROVED: usize = 500;
/// The same in the full form, which reads all of them: tens of millions.
const PROVED_IN_FULL: usize = 1_000_000;

impl Row for Overload {
    fn name(&self) -> &'static str {
        "overload"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 1,
            Scale::Full => FULL_TRIALS,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::UnboundedQueue]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let seed = trials.first_seed;
        let figures = overload(trials).with_context(|| format!("seed {seed}"))?;
        Ok(Outcome { trials: trials.count, figures })
    }
}

fn overload(trials: Trials) -> Result<String> {
    let full = trials.count >= FULL_TRIALS;
    // Fewer entries of a batch where all of it is to be over soon.
    let (bounds, entries, trial) = if full { (STRICT, 1_024, TRIAL) } else { (LENIENT, 128, SHORT_TRIAL) };
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
    site.configure("queue_entries", QUEUED * entries)?;
    let log = site.start()?;
    let load = Load::new(log.address(), trials.first_seed, entries);

    let warm = load.run(Pace::Closed, MEASURED / 2)?;
    ensure!(!warm.taken.is_empty(), "the log takes nothing");
    let idle = load.read_for(MEASURED)?;
    let closed = load.run(Pace::Closed, MEASURED)?;
    let capacity = closed.taken.len() as f64 / MEASURED.as_secs_f64();
    let before = log.resident_kib();
    let interval = Duration::from_secs_f64(1.0 / (capacity * f64::from(TIMES)));
    let time = trial * u32::try_from(trials.count)?;
    let over = load.run(Pace::Open { interval }, time)?;
    let grown = log.resident_kib().saturating_sub(before);

    let [delays, reads, idle_reads] = [&over.delays, &over.reads, &idle.reads].map(Times::of);
    let figures = format!(
        "{:.0} batches/s of {entries} taken when asked one by one; {:.0}/s sent, {} taken, {} refused; \
         delay p99 {} ms, max {} ms; read p99 {:.1} ms, {:.1} ms idle; {} MiB more",
        capacity,
        over.sent as f64 / time.as_secs_f64(),
        delays.0.len(),
        over.refused,
        delays.p99().as_millis(),
        delays.max().as_millis(),
        reads.p99().as_secs_f64() * 1e3,
        idle_reads.p99().as_secs_f64() * 1e3,
        grown / 1024,
    );
    let judge = |good: bool, what: &str| {
        if good { Ok(()) } else { Err(anyhow!("{what}: {figures}")) }
    };
    judge(over.refused > 0, "nothing was refused, so nothing bounds what waits")?;
    judge(delays.p99() < bounds.p99, "the p99 of the delay is too long")?;
    judge(delays.max() < bounds.max, "the longest delay is too long")?;
    let read_bound = (idle_reads.p99() * bounds.read_times).max(bounds.read_floor);
    judge(reads.p99() < read_bound, "reads suffer")?;
    let kept = (delays.0.len() * entries) as u64 * MAX_GROWTH_BYTES_PER_ENTRY;
    judge(grown * 1024 < MAX_GROWTH_BYTES + kept, "the process grows")?;

    let mut ledger = Ledger::new(&site.policy()?);
    for note in idle.notes.iter().chain(&over.notes) {
        ledger.show(note)?;
    }
    let taken = [&warm, &closed, &over].into_iter().flat_map(|run| &run.taken);
    load.enter(&mut ledger, taken)?;
    let looked_at = if full {
        ledger.check_proving(log.url(), PROVED_IN_FULL)?;
        format!("all of them read, up to {PROVED_IN_FULL} proved")
    } else {
        ledger.check_some(log.url(), PROVED)?;
        format!("up to {PROVED} of them proved")
    };
    Ok(format!("{figures}; {} acknowledged, {looked_at}", ledger.acknowledged()))
}

/// When a batch is sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As soon as there is the answer to the one before, of few connections.
    Closed,
    /// One after each such time, whatever was answered.
    Open { interval: Duration },
}

/// What came of a run.
#[derive(Debug, Default)]
struct Run {
    /// Acknowledged batches and where their entries are.
    taken: Vec<(u64, Vec<LeafIndex>)>,
    /// How long they took from when they were due.
    delays: Vec<Duration>,
    sent: u64,
    refused: u64,
    /// How long each read took.
    reads: Vec<Duration>,
    /// The checkpoints read.
    notes: Vec<Vec<u8>>,
}

struct Load<'a> {
    address: &'a str,
    seed: u64,
    /// Entries of a batch.
    entries: usize,
    /// How many batches there are.
    made: AtomicU64,
    /// Those that were refused, to be sent again: a batch is made only if all others are taken.
    again: Mutex<Vec<u64>>,
}

impl<'a> Load<'a> {
    fn new(address: &'a str, seed: u64, entries: usize) -> Self {
        Self { address, seed, entries, made: AtomicU64::new(0), again: Mutex::default() }
    }

    /// Sends batches for some time, and reads.
    fn run(&self, pace: Pace, time: Duration) -> Result<Run> {
        let (begun, turn, stop) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let connections = match pace {
            Pace::Closed => 4,
            Pace::Open { .. } => CONNECTIONS,
        };
        let due = |turn: u64| match pace {
            Pace::Closed => Some(Instant::now()).filter(|now| now.duration_since(begun) < time),
            Pace::Open { interval } => {
                let after = interval.mul_f64(turn as f64);
                (after < time && begun.elapsed() < time + LATE).then(|| begun + after)
            }
        };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.read_until(&stop));
            let write = || {
                let mut run = Run::default();
                let mut open = Connection::open(self.address)?;
                while let Some(due) = due(turn.fetch_add(1, Ordering::Relaxed)) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    self.send(&mut open, due, &mut run)?;
                }
                anyhow::Ok(run)
            };
            let writers: Vec<_> = (0..connections).map(|_| scope.spawn(write)).collect();
            let mut whole = Run::default();
            let mut failed = None;
            for writer in writers {
                match writer.join().unwrap_or_else(|_| Err(anyhow!("a connection's thread panicked"))) {
                    Ok(run) => whole.add(run),
                    Err(error) => failed = Some(error),
                }
            }
            stop.store(true, Ordering::Release);
            whole.add(reader.join().map_err(|_| anyhow!("the reader panicked"))??);
            failed.map_or(Ok(whole), Err)
        })
    }

    /// Sends one batch, and notes what it was answered with.
    fn send(&self, open: &mut Connection, due: Instant, run: &mut Run) -> Result<()> {
        let again = self.again().pop();
        let batch = again.unwrap_or_else(|| self.made.fetch_add(1, Ordering::Relaxed));
        let body = encode_batch(&self.entries(batch), MAX_BATCH_ENTRIES)?;
        run.sent += 1;
        let answer = open.post(ADD_BATCH_PATH, &body).context("the log did not answer")?;
        match answer.status {
            200 => {
                run.delays.push(due.elapsed());
                run.taken.push((batch, parse_indices(&answer.body, self.entries)?));
            }
            429 | 503 => {
                let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
                ensure!(wait.is_some_and(|wait| wait > 0), "refused without Retry-After: {}", answer.text());
                run.refused += 1;
                self.again().push(batch);
            }
            status => bail!("a batch was answered {status} {}", answer.text()),
        }
        Ok(())
    }

    fn again(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of a batch, which no other has.
    fn entries(&self, batch: u64) -> Vec<[u8; 24]> {
        let entry = |number: u64| {
            let mut entry = [0; 24];
            for (part, value) in entry.chunks_exact_mut(8).zip([self.seed, batch, number]) {
                part.copy_from_slice(&value.to_be_bytes());
            }
            entry
        };
        (0..self.entries as u64).map(entry).collect()
    }

    /// Enters everything into the ledger.
    fn enter<'t>(
        &self,
        ledger: &mut Ledger,
        taken: impl Iterator<Item = &'t (u64, Vec<LeafIndex>)>,
    ) -> Result<()> {
        for batch in 0..self.made.load(Ordering::Relaxed) {
            self.entries(batch).iter().for_each(|entry| ledger.sending(entry));
        }
        for (batch, indices) in taken {
            for (entry, index) in self.entries(*batch).iter().zip(indices) {
                ledger.acknowledge(entry, *index)?;
            }
        }
        Ok(())
    }

    /// Reads an idle log.
    fn read_for(&self, time: Duration) -> Result<Run> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.read_until(&stop));
            std::thread::sleep(time);
            stop.store(true, Ordering::Release);
            reader.join().map_err(|_| anyhow!("the reader panicked"))?
        })
    }

    fn read_until(&self, stop: &AtomicBool) -> Result<Run> {
        let mut run = Run::default();
        let mut open = Connection::open(self.address)?;
        while !stop.load(Ordering::Acquire) {
            for path in ["/checkpoint", "/tile/0/000"] {
                let asked = Instant::now();
                open.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())?;
                let answer = open.answer(false).context("a read was not answered")?;
                // The first tile is there as soon as anything was taken.
                ensure!(
                    answer.status == 200 || (path.starts_with("/tile") && answer.status == 404),
                    "GET {path} was answered {} {}",
                    answer.status,
                    answer.text()
                );
                run.reads.push(asked.elapsed());
                if path == "/checkpoint" && run.notes.last() != Some(&answer.body) {
                    run.notes.push(answer.body);
                }
            }
            std::thread::sleep(READ_EVERY);
        }
        Ok(run)
    }
}

impl Run {
    fn add(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.delays.extend(other.delays);
        self.sent += other.sent;
        self.refused += other.refused;
        self.reads.extend(other.reads);
        self.notes.extend(other.notes);
    }
}

/// Times in order.
struct Times(Vec<Duration>);

impl Times {
    fn of(times: impl AsRef<[Duration]>) -> Self {
        let mut times = times.as_ref().to_vec();
        times.sort_unstable();
        Self(times)
    }

    fn p99(&self) -> Duration {
        self.0.get(self.0.len() * 99 / 100).copied().unwrap_or_default()
    }

    fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}
