//! Row `receipts`: what the log hands out while it grows verifies at once, the first time it is tried.
//!
//! Half of the receipts are the proofs that `POST /submit` answers with, while all connections submit to channels
//! of their own, alone and in batches. Half are inclusion proofs that clients of a raw log make themselves, from
//! the published checkpoint and tiles that they fetch one after the other, while others add entries all the time.
//! A log that takes index, path or checkpoint of one answer from two states of its tree fails here.
//!
//! A trial is one receipt. Which entries are sent does not depend on chance; how requests meet does, and that no
//! seed replays.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_client::LogClient;
use indelible_client::planted::Bug;
use indelible_proto::hash::leaf_hash;
use indelible_proto::log_api::{
    ADD_PATH, MAX_BATCH_RECORDS, RecordAnswer, SUBMIT_BATCH_PATH, SUBMIT_PATH, encode_batch, parse_index,
};
use indelible_proto::size::LeafIndex;
use indelible_proto::tree::TreeHead;
use indelible_tests::http::Connection;
use indelible_tests::world::Kind;
use indelible_tests::{Publisher, Running};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::ledger::Ledger;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct Receipts;

/// Connections that ask for receipts.
const ASKING: u64 = 6;
/// Connections that make the raw log grow besides.
const GROWING: u64 = 3;
/// Records of a batch, which every other turn of a connection is.
const BATCH: u64 = 4;
/// How long a log may take to publish an entry. Long, because machines are shared.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

impl Row for Receipts {
    fn name(&self) -> &'static str {
        "receipts"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 500,
            Scale::Full => 100_000,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::MixedSnapshots]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let (seed, half) = (trials.first_seed, trials.count.div_ceil(2));
        let proofs = submitted(half).with_context(|| format!("seed {seed}"))?;
        let (made, size) = fetched(half, seed).with_context(|| format!("seed {seed}"))?;
        let figures = format!(
            "{proofs} proofs of records and {made} made from tiles verified on the first try; \
             the raw log grew to {size}"
        );
        Ok(Outcome { trials: proofs + made, figures })
    }
}

/// Counts receipts until there are enough.
struct Count {
    wanted: u64,
    begun: AtomicU64,
}

impl Count {
    /// How many of the next few are to be made.
    fn take(&self, few: u64) -> u64 {
        let before = self.begun.fetch_add(few, Ordering::Relaxed);
        few.min(self.wanted.saturating_sub(before))
    }
}

/// A running log and what is known of it.
struct Watched {
    log: Running,
    ledger: Mutex<Ledger>,
    _dir: TempDir,
}

impl Watched {
    fn start(kind: Kind) -> Result<Self> {
        let dir = TempDir::with_prefix("indelible-rig-")?;
        let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), kind)?;
        let ledger = Mutex::new(Ledger::new(&site.policy()?));
        Ok(Self { log: site.start()?, ledger, _dir: dir })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs so many threads of one kind; the first error of any.
fn all<'s, 'e>(
    scope: &'s thread::Scope<'s, 'e>,
    count: u64,
    work: impl Fn(u64) -> Result<()> + Send + Copy + 's,
) -> Vec<thread::ScopedJoinHandle<'s, Result<()>>> {
    (0..count).map(|number| scope.spawn(move || work(number))).collect()
}

fn join(threads: Vec<thread::ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    let ended = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
    // All of them have to end before the first error is told.
    ended.collect::<Vec<_>>().into_iter().collect()
}

/// Proofs that a log of records answers with.
fn submitted(wanted: u64) -> Result<u64> {
    let log = Watched::start(Kind::Records)?;
    let count = Count { wanted, begun: AtomicU64::new(0) };
    thread::scope(|scope| join(all(scope, ASKING, |number| submit(&log, &count, number))))?;
    let mut ledger = log.ledger();
    ledger.check(log.log.url())?;
    Ok(ledger.acknowledged())
}

fn submit(log: &Watched, count: &Count, number: u64) -> Result<()> {
    let mut open = Connection::open(log.log.address())?;
    let mut publisher = Publisher::new(&format!("vendor.example/channel-{number}"), number as u8 + 1);
    let mut leaves = |few: u64| -> Vec<Vec<u8>> {
        let next = |_| {
            let record = publisher.next(b"artifact");
            publisher.accepted(&record);
            record.encode()
        };
        (0..few).map(next).collect()
    };
    for turn in 0_u64.. {
        let few = count.take(if turn.is_multiple_of(2) { 1 } else { BATCH });
        if few == 0 {
            return Ok(());
        }
        let leaves = leaves(few);
        {
            let mut ledger = log.ledger();
            leaves.iter().for_each(|leaf| ledger.sending(leaf));
        }
        let answers = match &leaves[..] {
            [leaf] => {
                let answer = open.post(SUBMIT_PATH, leaf)?;
                vec![RecordAnswer { status: answer.status, body: answer.body }]
            }
            many => {
                let answer = open.post(SUBMIT_BATCH_PATH, &encode_batch(many, MAX_BATCH_RECORDS)?)?;
                ensure!(answer.status == 200, "a batch was answered {} {}", answer.status, answer.text());
                RecordAnswer::parse_all(&answer.body, many.len())?
            }
        };
        for (leaf, RecordAnswer { status, body }) in leaves.iter().zip(answers) {
            let text = String::from_utf8_lossy(&body);
            ensure!(status == 200, "a record was answered {status} {text}");
            log.ledger().prove(leaf, &body).with_context(|| format!("the receipt is no proof:\n{text}"))?;
        }
    }
    Ok(())
}

/// Proofs that clients of a raw log make from its checkpoint and tiles; and how far it grew.
fn fetched(wanted: u64, seed: u64) -> Result<(u64, u64)> {
    let log = Watched::start(Kind::Raw)?;
    let count = Count { wanted, begun: AtomicU64::new(0) };
    let (made, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let growing = all(scope, GROWING, |number| {
            let mut open = Connection::open(log.log.address())?;
            let mut turn = 0_u64;
            while !done.load(Ordering::Acquire) {
                add(&log, &mut open, format!("{seed}/growth/{number}/{turn}").as_bytes())?;
                turn += 1;
            }
            Ok(())
        });
        let asking = join(all(scope, ASKING, |number| {
            let client = Client::new(log.log.url())?;
            let mut open = Connection::open(log.log.address())?;
            for turn in 0_u64.. {
                if count.take(1) == 0 {
                    break;
                }
                let entry = format!("{seed}/asked/{number}/{turn}").into_bytes();
                let index = add(&log, &mut open, &entry)?;
                client.prove(&log, &entry, index)?;
                made.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
        done.store(true, Ordering::Release);
        asking.and(join(growing))
    })?;
    let size = log.ledger().check(log.log.url())?.size.get();
    Ok((made.into_inner(), size))
}

fn add(log: &Watched, open: &mut Connection, entry: &[u8]) -> Result<LeafIndex> {
    log.ledger().sending(entry);
    let answer = open.post(ADD_PATH, entry)?;
    ensure!(answer.status == 200, "an entry was answered {} {}", answer.status, answer.text());
    let index = parse_index(&answer.body)?;
    log.ledger().acknowledge(entry, index)?;
    Ok(index)
}

/// Someone who makes proofs from what a log serves.
struct Client {
    runtime: Runtime,
    log: LogClient,
}

impl Client {
    fn new(url: &str) -> Result<Self> {
        let http = HttpClient::new(Timeouts::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, log: LogClient::new(Source::http(url, &http)) })
    }

    /// Proves an entry under the first checkpoint that covers it. There is no second try.
    fn prove(&self, log: &Watched, entry: &[u8], index: LeafIndex) -> Result<()> {
        let head = self.covering(log, index)?;
        let proof = self.runtime.block_on(self.log.inclusion(index, head.size))?;
        let verified = proof.verify(&leaf_hash(entry), index, &head);
        verified.map_err(|error| anyhow!("no proof of entry {index} in the tree of {}: {error}", head.size))
    }

    fn covering(&self, log: &Watched, index: LeafIndex) -> Result<TreeHead> {
        let began = Instant::now();
        loop {
            let note = self.runtime.block_on(self.log.checkpoint())?;
            let head = log.ledger().show(&note)?;
            if head.size.contains(index) {
                return Ok(head);
            }
            ensure!(began.elapsed() < PUBLISHED_WITHIN, "entry {index} is not published");
        }
    }
}
