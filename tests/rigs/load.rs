//! Load on a raw log, as a seed decides it. Every answer goes into the ledger before its writer sends more.
//!
//! | workload | connections | entries |
//! |---|---|---|
//! | single | 1 | short, all different |
//! | many | 16 | short, all different |
//! | duplicates | 6 | short, three of four sent before, by another connection or before a restart |
//! | large | 3 | 65,535 bytes, the most there may be |
//!
//! One more connection asks for the checkpoint all the time, and notes every one it gets.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use indelible_proto::log_api::parse_index;
use indelible_tests::http::{Answer, Connection};

use crate::ledger::Ledger;
use crate::random::Random;

/// What is sent, and by how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Single,
    Many,
    Duplicates,
    Large,
}

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::Single, Self::Many, Self::Duplicates, Self::Large];

    fn connections(self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Many => 16,
            Self::Duplicates => 6,
            Self::Large => 3,
        }
    }

    /// How many acknowledgements come in some milliseconds.
    pub(crate) fn in_a_moment(self) -> u64 {
        match self {
            Self::Single => 40,
            Self::Many => 400,
            Self::Duplicates => 150,
            Self::Large => 30,
        }
    }

    /// Entry number `n` of a connection.
    fn entry(self, random: &mut Random, seed: u64, round: u64, connection: u64, n: u64) -> Vec<u8> {
        match self {
            Self::Single | Self::Many => format!("{seed}/{round}/{connection}/{n}").into_bytes(),
            // Few different ones, so that most were sent before; a few more with each round.
            Self::Duplicates => match random.below(4) {
                0 => format!("{seed}/{round}/{connection}/{n}").into_bytes(),
                _ => format!("{seed}/often/{}", random.below(4 * (round + 1))).into_bytes(),
            },
            Self::Large => {
                let mut entry = vec![b'.'; LARGE_BYTES];
                let head = format!("{seed}/{round}/{connection}/{n}");
                entry[..head.len()].copy_from_slice(head.as_bytes());
                entry
            }
        }
    }
}

/// The largest entry.
const LARGE_BYTES: usize = 65_535;

/// How long a load may go on. Long, because machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a load goes, and what decides it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) address: &'a str,
    pub(crate) workload: Workload,
    pub(crate) seed: u64,
    /// How often the log was started before.
    pub(crate) round: u64,
}

impl Load<'_> {
    /// Sends until `enough` acknowledgements came, then does `end` to the log, with all connections still
    /// sending, and waits until they have noticed. How many acknowledgements came.
    ///
    /// # Errors
    /// If an answer contradicts the ledger, or the log stops by itself before enough.
    pub(crate) fn until(
        self,
        ledger: &Mutex<Ledger>,
        enough: u64,
        end: impl FnOnce() -> Result<()>,
    ) -> Result<u64> {
        let (acknowledged, ending) = (AtomicU64::new(0), AtomicBool::new(false));
        let state = State { ledger, acknowledged, ending, waiting: thread::current() };
        thread::scope(|scope| {
            let state = &state;
            let watcher = scope.spawn(move || watch(self.address, state));
            let writers: Vec<_> = (0..self.workload.connections())
                .map(|connection| scope.spawn(move || self.write(connection, state)))
                .collect();
            let began = Instant::now();
            let mut early = false;
            while state.acknowledged.load(Ordering::Acquire) < enough && !early {
                early =
                    writers.iter().all(thread::ScopedJoinHandle::is_finished) || began.elapsed() > PATIENCE;
                thread::park_timeout(LOOK_AGAIN);
            }
            let ended = end();
            state.ending.store(true, Ordering::Release);
            for thread in writers.into_iter().chain([watcher]) {
                thread.join().map_err(|_| anyhow!("a connection's thread panicked"))??;
            }
            ended?;
            let acknowledged = state.acknowledged.load(Ordering::Acquire);
            if early && acknowledged < enough {
                bail!("only {acknowledged} of {enough} acknowledgements came before the log stopped");
            }
            Ok(acknowledged)
        })
    }

    /// One connection: sends until the log does not answer any more.
    fn write(self, connection: u64, state: &State<'_>) -> Result<()> {
        let mut random = Random::new(self.seed, self.round << 16 | connection);
        let Ok(mut open) = Connection::open(self.address) else { return Ok(()) };
        for n in 0.. {
            if state.ending.load(Ordering::Acquire) {
                break;
            }
            let entry = self.workload.entry(&mut random, self.seed, self.round, connection, n);
            state.ledger().sending(&entry);
            let Ok(answer) = open.post("/add", &entry) else { break };
            match answer {
                Answer { status: 200, body, .. } => {
                    let index = parse_index(&body).map_err(|error| anyhow!("not an index: {error}"))?;
                    state.ledger().acknowledge(&entry, index)?;
                    state.acknowledged.fetch_add(1, Ordering::AcqRel);
                    state.waiting.unpark();
                }
                // Refused, or unknown: nothing is promised.
                Answer { status: 503 | 500, .. } => break,
                other => bail!("POST /add was answered {} {}", other.status, other.text()),
            }
        }
        Ok(())
    }
}

const LOOK_AGAIN: Duration = Duration::from_micros(200);

struct State<'a> {
    ledger: &'a Mutex<Ledger>,
    acknowledged: AtomicU64,
    ending: AtomicBool,
    /// Who waits for acknowledgements.
    waiting: Thread,
}

impl State<'_> {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for the checkpoint until nobody answers.
fn watch(address: &str, state: &State<'_>) -> Result<()> {
    let Ok(mut open) = Connection::open(address) else { return Ok(()) };
    while !state.ending.load(Ordering::Acquire) {
        let asked = open.send(b"GET /checkpoint HTTP/1.1\r\nhost: test\r\n\r\n");
        let Ok(answer) = asked.and_then(|()| open.answer(false)) else { break };
        if answer.status == 200 {
            state.ledger().show(&answer.body)?;
        }
        thread::park_timeout(LOOK_AGAIN);
    }
    Ok(())
}
