//! Row `two-writers`: two processes on one directory, and none may sign what contradicts the other.
//!
//! First a second one is started beside the first: it must refuse at once with exit code 3 and say why.
//! Then the first is paused (SIGSTOP) in the middle of its work, and its lock file is deleted.
//!
//! - A log is then taken over: the second process starts, acknowledges, and goes on while the first does
//!   (SIGCONT). The first must acknowledge nothing more and end with exit code 3. What either of them ever showed
//!   or acknowledged goes into one ledger.
//! - A witness is not: its lock is on the directory itself, and the second must refuse again. Where it starts all
//!   the same, each of the two is asked for a cosignature of another tree, and only one may give it.
//!
//! A trial is one or the other. Not tried: two copies of one directory, which are the row `restore`.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use indelible_client::planted::Bug;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::AddCheckpointRequest;
use indelible_tests::http::{self, Connection};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Rogue, Running, binaries, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::load::{Load, Workload};
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;
use crate::strace::is_alive;

/// The row.
pub(crate) struct TwoWriters;

/// One log of so many is taken over with its index, whose own lock is waited for: 5 s. Of the others the index is
/// deleted, too.
const INDEX_STAYS: u64 = 25;
/// Ends a process that would sign a second history.
const REFUSES_TO_SIGN: i32 = 3;

impl Row for TwoWriters {
    fn name(&self) -> &'static str {
        "two-writers"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 4,
            Scale::Full => 1_000,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::NoFencing]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let (mut logs, mut witnesses, mut entries) = (0_u64, 0_u64, 0);
        let trials = trials.each(|seed| {
            if seed.is_multiple_of(4) {
                witnesses += 1;
                two_witnesses(seed).context("witness")
            } else {
                logs += 1;
                entries += take_over(seed).context("log")?;
                Ok(())
            }
        })?;
        let figures = format!(
            "{logs} logs taken over, {entries} acknowledged by two processes; {witnesses} witnesses not taken over"
        );
        Ok(Outcome { trials, figures })
    }
}

/// One log taken over from a paused process; how many entries both acknowledged.
fn take_over(seed: u64) -> Result<u64> {
    let mut random = Random::new(seed, 4);
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let log_dir = dir.path().join("log");
    let site = Site::make(&log_dir, &dir.path().join("first.out"), Kind::Raw)?;
    // The first is to end soon, whoever is connected.
    site.configure("drain_s", 1)?;
    let beside = Site::at(&log_dir, &dir.path().join("second.out"));
    let ledger = Mutex::new(Ledger::new(&site.policy()?));
    let first = site.start()?;
    is_refused(beside.try_start())?;

    let address = first.address().to_owned();
    let load = Load { address: &address, workload: Workload::ALL[random.below(3) as usize], seed, round: 0 };
    let pause = Duration::from_micros(random.below(2_000));
    let (enough, more) = (random.below(40), random.below(40) + 1);
    load.until(&ledger, enough, || {
        std::thread::sleep(pause);
        signal(&first, Signal::STOP)?;
        std::fs::remove_file(log_dir.join("data/lock")).context("the lock can't be deleted")?;
        if !seed.is_multiple_of(INDEX_STAYS) {
            match std::fs::remove_dir_all(log_dir.join("data/index")) {
                // It is made beside the start, and may not be there yet.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                deleted => deleted.context("the index can't be deleted")?,
            }
        }
        let second = beside.start()?;
        let address = second.address().to_owned();
        let load = Load { address: &address, workload: Workload::Many, seed, round: 1 };
        load.until(&ledger, more, || {
            signal(&first, Signal::CONT)?;
            wait_until_ended(&first, &ledger, seed)?;
            let (status, said) = first.wait_and_read();
            ensure!(status.code() == Some(REFUSES_TO_SIGN), "the first process ended with {status}: {said}");
            ensure!(said.contains("another process has taken over"), "it does not say why: {said}");
            Ok(())
        })?;
        ledger.lock().unwrap_or_else(PoisonError::into_inner).check(second.url())?;
        second.kill();
        Ok(())
    })?;
    let log = site.start()?;
    let mut ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
    ledger.check(log.url())?;
    log.kill();
    Ok(ledger.acknowledged())
}

/// Gives a process that was taken over work until it ends, beside what its old connections still send.
fn wait_until_ended(log: &Running, ledger: &Mutex<Ledger>, seed: u64) -> Result<()> {
    for n in 0_u64.. {
        if !is_alive(log.pid()) {
            break;
        }
        let entry = format!("{seed}/after it was taken over/{n}").into_bytes();
        ledger.lock().unwrap_or_else(PoisonError::into_inner).sending(&entry);
        let Ok(answer) = Connection::open(log.address()).and_then(|mut open| open.post("/add", &entry))
        else {
            continue;
        };
        if answer.status == 200 {
            bail!("FORK: a process that was taken over acknowledged an entry at {}", answer.text().trim());
        }
    }
    Ok(())
}

/// Whether a second process was kept out, and said why.
fn is_refused(started: Result<Running, Finished>) -> Result<()> {
    let Err(refused) = started else { bail!("a second process was let in") };
    ensure!(refused.code() == REFUSES_TO_SIGN, "a second process ended otherwise: {refused}");
    ensure!(refused.stderr.contains("another process"), "it does not say why: {refused}");
    Ok(())
}

fn two_witnesses(seed: u64) -> Result<()> {
    let mut random = Random::new(seed, 5);
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
    let witness = dir.path().join("witness");
    let run = |args: &[&OsStr]| Finished::run(Command::new(&binaries().witness).args(args)).expect(0);
    let init: [&str; 4] = ["--name", "witness.example/w", "--listen", "127.0.0.1:0"];
    let args = init.map(OsStr::new);
    run(&[&["init".as_ref(), witness.as_os_str()], &args[..]].concat());
    let key = std::fs::read_to_string(site.dir().join("log.vkey"))?;
    run(&["add-log".as_ref(), witness.as_os_str(), key.trim_end().as_ref()]);

    // Its log's operator has two trees that are the same at first.
    let (common, more) = (1 + random.below(8), 1 + random.below(8));
    let tree = |branch: &str| -> Result<Rogue> {
        let entry = |n| Entry::new(format!("{n}/{}", if n < common { "" } else { branch }).into_bytes());
        let entries = (0..common + more).map(entry).collect::<Result<_, _>>()?;
        Ok(Rogue::new(&site.dir().join("log.key"), entries))
    };
    let (one, other) = (tree("one")?, tree("other")?);
    let start = |output: &str| {
        let args: [&OsStr; 2] = ["run".as_ref(), witness.as_ref()];
        Running::try_start(&binaries().witness, &args, &dir.path().join(output))
    };
    let first = start("first.out").map_err(|refused| anyhow!("no witness starts: {refused}"))?;
    ensure!(cosigns(&first, &one, 0, common)?, "a healthy witness does not cosign");
    is_refused(start("second.out"))?;
    signal(&first, Signal::STOP)?;
    delete_locks(&witness)?;
    let second = start("second.out");
    signal(&first, Signal::CONT)?;
    let size = common + more;
    match second {
        Ok(second) => {
            let both = cosigns(&second, &one, common, size)? && cosigns(&first, &other, common, size)?;
            ensure!(!both, "FORK: two trees of size {size} were cosigned by one witness in two processes");
            bail!("a second process was let in beside a paused one");
        }
        refused => is_refused(refused)?,
    }
    ensure!(cosigns(&first, &one, common, size)?, "the first process does not go on");
    ensure!(!cosigns(&first, &other, size, size)?, "FORK: two trees of size {size} were cosigned");
    Ok(())
}

/// Deletes every lock file of a witness.
fn delete_locks(witness: &Path) -> Result<()> {
    let mut deleted = 0_u64;
    for file in walkdir::WalkDir::new(witness) {
        let file = file?;
        if file.file_name() == "lock" {
            std::fs::remove_file(file.path())?;
            deleted += 1;
        }
    }
    ensure!(deleted > 0, "a witness has no lock file any more");
    Ok(())
}

/// Whether a witness cosigns a tree.
fn cosigns(witness: &Running, tree: &Rogue, old: u64, new: u64) -> Result<bool> {
    let (old, new) = (TreeSize::new(old)?, TreeSize::new(new)?);
    let proof = if old.is_zero() || old == new {
        ConsistencyProof::new(Vec::new()).map_err(|error| anyhow!("an empty proof: {error}"))?
    } else {
        tree.consistency(old, new)
    };
    let request = AddCheckpointRequest { old, proof, note: tree.checkpoint(new) };
    let answer = http::post(witness.address(), "/add-checkpoint", &request.encode());
    Ok(answer.status == 200)
}

/// Signals a process; a stop has been carried out when this returns.
fn signal(process: &Running, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(process.pid().try_into()?).context("a process has a number")?;
    kill_process(pid, signal).context("it can't be signalled")?;
    if signal == Signal::STOP {
        wait_until("the process stops", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).ok()?;
            stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
        });
    }
    Ok(())
}
