//! Row `syscalls`: every call on a file that one operation of the log makes fails, one at a time, with every
//! failure a disk has.
//!
//! | operation | what is special about it |
//! |---|---|
//! | add | nothing |
//! | bundle | the entry completes a bundle, which is written with its tile |
//! | segment | the entry does not fit into the journal's segment, and another is made |
//! | stop | SIGTERM: tiles are synced, the snapshot is replaced, the journal trimmed |
//!
//! First the operation is recorded, then it is done again with each call failing. Where a failure may end is
//! written down ([`State`]) and checked: an error on a file that an acknowledgement rests on is never answered
//! with an acknowledgement, and the process then ends and says why; an error in the index changes nothing.
//! After every one the log is started without the failure, held against the ledger, and takes an entry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use indelible_client::planted::Bug;
use indelible_proto::log_api::parse_index;
use indelible_tests::Running;
use indelible_tests::http::{self, Connection};
use indelible_tests::world::Kind;
use tempfile::TempDir;

use crate::image::{fast_dir, is_installed};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;
use crate::strace::{Call, Fault, Strace, is_alive};

/// The row.
pub(crate) struct Syscalls;

impl Row for Syscalls {
    fn name(&self) -> &'static str {
        "syscalls"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 10,
            // More than there are: all of them.
            Scale::Full => 1_000,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::AckOnSyncError]
    }

    fn lacks(&self) -> Option<String> {
        (!is_installed("strace")).then(|| "strace is not installed (Debian: strace)".to_owned())
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let dir = TempDir::with_prefix_in("indelible-rig-", fast_dir())?;
        let templates = Operation::ALL.into_iter().map(|operation| Template::make(operation, dir.path()));
        let templates = templates.collect::<Result<Vec<_>>>()?;
        let mut faults = Vec::new();
        for template in &templates {
            let calls = template.record(dir.path()).with_context(|| format!("{:?}", template.operation))?;
            for call in calls {
                let fitting = Fault::ALL.into_iter().filter(|fault| fault.fits(&call));
                faults.extend(fitting.map(|fault| (template, call.clone(), fault)));
            }
        }
        let faults = in_order(faults);
        let all = faults.len() as u64;
        let left = (all + 1).saturating_sub(trials.first_seed);
        let trials = Trials { count: trials.count.min(left), ..trials };
        let (mut exited, mut went_on, mut killed) = (0, 0, 0);
        let trials = trials.each(|seed| {
            let at = usize::try_from(seed.saturating_sub(1))?;
            let (template, call, fault) =
                faults.get(at).with_context(|| format!("there are {all} failures"))?;
            let what = || format!("{:?}, {fault:?} in {} number {}", template.operation, call.name, call.nth);
            match template.fail(call, *fault, dir.path()).with_context(what)? {
                State::Exited => exited += 1,
                State::WentOn => went_on += 1,
                State::Killed => killed += 1,
            }
            Ok(())
        })?;
        let figures = format!("of {all}; ended and said why {exited}, went on {went_on}, killed {killed}");
        Ok(Outcome { trials, figures })
    }
}

/// Failures in an order of no meaning, the same each time, so that any few are a sample of all; but one of three
/// is a sync that fails, which is what logs were lost to.
fn in_order<T>(mut faults: Vec<(T, Call, Fault)>) -> Vec<(T, Call, Fault)> {
    let mut random = Random::new(0, 3);
    for at in (1..faults.len()).rev() {
        faults.swap(at, random.below(at as u64 + 1) as usize);
    }
    let is_failed_sync = |(_, call, fault): &(T, Call, Fault)| {
        call.name == "fdatasync" && matches!(fault, Fault::Io | Fault::NoSpace)
    };
    let (syncs, others): (Vec<_>, Vec<_>) = faults.into_iter().partition(is_failed_sync);
    let (mut syncs, mut others) = (syncs.into_iter(), others.into_iter());
    let mut ordered = Vec::new();
    loop {
        let before = ordered.len();
        ordered.extend(syncs.next().into_iter().chain(others.by_ref().take(2)));
        if ordered.len() == before {
            return ordered;
        }
    }
}

/// Where a failure ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The process ended with 1 and said which file failed.
    Exited,
    /// It goes on.
    WentOn,
    /// It was killed in the call.
    Killed,
}

/// What a log does while a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Bundle,
    Segment,
    Stop,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Add, Self::Bundle, Self::Segment, Self::Stop];

    /// Entry number `n` of the log that does this.
    fn entry(self, n: u64) -> Vec<u8> {
        let mut entry = format!("{self:?}/{n}/").into_bytes();
        if self == Self::Segment {
            entry.resize(65_535, b'.');
        }
        entry
    }
}

/// A killed log that is about to do an operation, and what it acknowledged.
struct Template {
    operation: Operation,
    dir: PathBuf,
    entries: u64,
    ledger: Ledger,
}

impl Template {
    fn make(operation: Operation, parent: &Path) -> Result<Self> {
        let entries = match operation {
            Operation::Add => 10,
            Operation::Bundle => 255,
            Operation::Stop => 300,
            // As many as fit: one less than made another.
            Operation::Segment => Self::with(operation, u64::MAX, &parent.join("measure"))?.entries - 1,
        };
        Self::with(operation, entries, &parent.join(format!("{operation:?}").to_lowercase()))
    }

    /// A log with so many entries, or as many as make its journal start a second segment.
    fn with(operation: Operation, most: u64, dir: &Path) -> Result<Self> {
        let site = Site::make(dir, &dir.with_extension("out"), Kind::Raw)?;
        let ledger = Mutex::new(Ledger::new(&site.policy()?));
        let log = site.start_with_index()?;
        let mut connection = Connection::open(log.address())?;
        let journal = dir.join("data/journal");
        let mut entries = 0;
        while entries < most && std::fs::read_dir(&journal)?.count() < 2 {
            let answer = add(&mut connection, &ledger, &operation.entry(entries))?;
            ensure!(answer == Answer::Acknowledged, "a healthy log refuses an entry");
            entries += 1;
        }
        log.kill();
        let ledger = ledger.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
        Ok(Self { operation, dir: dir.to_owned(), entries, ledger })
    }

    /// A copy that can be broken.
    fn copy(&self, parent: &Path) -> Result<(TempDir, Site)> {
        let copy = TempDir::with_prefix_in("copy-", parent)?;
        copy_dir(&self.dir, &copy.path().join("log"))?;
        let site = Site::at(&copy.path().join("log"), &copy.path().join("log.out"));
        Ok((copy, site))
    }

    /// The calls of the operation when nothing fails.
    fn record(&self, parent: &Path) -> Result<BTreeSet<Call>> {
        let (copy, site) = self.copy(parent)?;
        // Or the index is opened in an operation in one run and not in the next: a failure is found by counting.
        let log = site.start_with_index()?;
        let strace = Strace::attach(log.pid(), &copy.path().join("strace.out"), None)?;
        let ledger = Mutex::new(self.ledger.clone());
        match self.operation {
            Operation::Stop => ensure!(log.stop().success(), "a healthy log does not stop cleanly"),
            _ => {
                let answer = add(&mut Connection::open(log.address())?, &ledger, &self.next())?;
                ensure!(answer == Answer::Acknowledged, "a healthy log refuses an entry");
                // What follows the answer belongs to it: the checkpoint with the entry is published.
                ledger.lock().map_err(|_| anyhow!("a thread panicked"))?.check(log.url())?;
            }
        }
        let calls = strace.detach()?.calls(&site.dir().join("data"))?;
        ensure!(calls.iter().any(|call| call.name == "fdatasync"), "nothing was synced: {calls:?}");
        Ok(calls)
    }

    fn next(&self) -> Vec<u8> {
        self.operation.entry(self.entries)
    }

    /// Does the operation with a failure in it, and then starts what is left without.
    fn fail(&self, call: &Call, fault: Fault, parent: &Path) -> Result<State> {
        let (copy, site) = self.copy(parent)?;
        let data = site.dir().join("data");
        let ledger = Mutex::new(self.ledger.clone());
        let log = site.start_with_index()?;
        let mut connection = Connection::open(log.address())?;
        let strace = Strace::attach(log.pid(), &copy.path().join("strace.out"), Some((call, fault)))?;
        let state = if self.operation == Operation::Stop {
            drop(connection);
            let status = log.stop();
            let failed = strace.detach()?.failed(&data);
            match (status.code(), must_end(&failed, fault)) {
                (None, _) if fault == Fault::Kill => State::Killed,
                (Some(0), false) => State::WentOn,
                (Some(1), true) => State::Exited,
                _ => bail!("told to stop, it ended with {status} after failures in {failed:?}"),
            }
        } else {
            let answer = add(&mut connection, &ledger, &self.next())?;
            wait_until_published(&log, self.entries + 1)?;
            let failed = strace.detach()?.failed(&data);
            settle(log, &mut connection, &ledger, answer, fault, &failed)?
        };

        let log = site.start().context("the next start")?;
        let after = add(&mut Connection::open(log.address())?, &ledger, b"after the next start")?;
        ensure!(after == Answer::Acknowledged, "the log takes no entry after the next start");
        ledger.lock().map_err(|_| anyhow!("a thread panicked"))?.check(log.url())?;
        Ok(state)
    }
}

/// Sees to it that the log ends where it must after the failure.
fn settle(
    log: Running,
    connection: &mut Connection,
    ledger: &Mutex<Ledger>,
    answer: Answer,
    fault: Fault,
    failed: &[String],
) -> Result<State> {
    if fault == Fault::Kill && !is_alive(log.pid()) {
        let status = log.wait();
        ensure!(status.code().is_none(), "it was not killed: {status}");
        return Ok(State::Killed);
    }
    if !must_end(failed, fault) {
        ensure!(
            answer == Answer::Acknowledged,
            "it does not acknowledge: {answer:?}, failures in {failed:?}"
        );
        let next = add(connection, ledger, b"after the failure")?;
        ensure!(next == Answer::Acknowledged, "it does not go on after failures in {failed:?}: {next:?}");
        log.kill();
        return Ok(State::WentOn);
    }
    let in_journal = failed.iter().any(|path| path.starts_with("journal"));
    if in_journal && answer == Answer::Acknowledged {
        bail!("ACKNOWLEDGED although {failed:?} failed");
    }
    let (status, said) = log.wait_and_read();
    ensure!(status.code() == Some(1), "it ended with {status} after failures in {failed:?}");
    ensure!(said.contains("indelible-server: "), "it does not say why it ended: {said}");
    Ok(State::Exited)
}

/// Whether the process has to end: after an error where anything but the index is written. That can be made
/// again, and a failure that says it was none can't be noticed.
fn must_end(failed: &[String], fault: Fault) -> bool {
    matches!(fault, Fault::Io | Fault::NoSpace) && failed.iter().any(|path| !path.starts_with("index"))
}

/// Waits until a tree of `size` is published or the log has ended.
fn wait_until_published(log: &Running, size: u64) -> Result<()> {
    indelible_tests::wait_until("the entry is published or the log has ended", || {
        if !is_alive(log.pid()) {
            return Some(());
        }
        let asked = http::exchange(log.address(), b"GET /checkpoint HTTP/1.1\r\nhost: test\r\n\r\n", false);
        let published = asked.ok()?.text().lines().nth(1)?.parse::<u64>().ok()?;
        (published >= size).then_some(())
    });
    Ok(())
}

/// What an entry was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Acknowledged,
    /// 500 or 503.
    Refused,
    /// The connection ended.
    None,
}

fn add(connection: &mut Connection, ledger: &Mutex<Ledger>, entry: &[u8]) -> Result<Answer> {
    let mut ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
    ledger.sending(entry);
    let Ok(answer) = connection.post("/add", entry) else { return Ok(Answer::None) };
    match answer.status {
        200 => {
            let index = parse_index(&answer.body).map_err(|error| anyhow!("not an index: {error}"))?;
            ledger.acknowledge(entry, index)?;
            Ok(Answer::Acknowledged)
        }
        500 | 503 => Ok(Answer::Refused),
        other => bail!("POST /add was answered {other} {}", answer.text()),
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(&target)?,
            // With the mode: a key that others may read is refused.
            false => drop(std::fs::copy(entry.path(), &target)?),
        }
    }
    Ok(())
}
