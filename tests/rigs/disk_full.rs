//! Row `disk-full`: the disk fills up under load, stays full for a while, and gets room again.
//!
//! The file system is a small one in memory, where nothing is left but what the log may not use. Then the log's own
//! entries fill it up. From then on the same process, with no restart, has to refuse entries with 503, serve
//! what it has, say on `/healthz` what is wrong, and take entries again as soon as there is room.
//!
//! At the end of each trial another program takes the very last of the room, which the log can't prevent, and
//! the log is killed on top of it. It must start again once there is room, and say what is missing until then.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use indelible_client::planted::Bug;
use indelible_proto::log_api::parse_index;
use indelible_tests::http::{self, Connection};
use indelible_tests::world::Kind;
use indelible_tests::{Running, wait_until};
use tempfile::TempDir;

use crate::image::{Mounted, lacks_mounting};
use crate::ledger::Ledger;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct DiskFull;

/// How often one log's disk fills up.
const CYCLES: u64 = 5;

const MIB: u64 = 1024 * 1024;
/// Room for the log's first segments, what must stay free, and what a start writes.
const DISK_BYTES: u64 = 256 * MIB;
/// What a log keeps free unless its settings say otherwise.
const MUST_STAY_FREE: u64 = 64 * MIB;

impl Row for DiskFull {
    fn name(&self) -> &'static str {
        "disk-full"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 1,
            Scale::Full => 50 / CYCLES,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::FillDisk]
    }

    fn lacks(&self) -> Option<String> {
        lacks_mounting()
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let (mut entries, mut refused) = (0, 0);
        let trials = trials.each(|seed| {
            let counted = fill(seed)?;
            (entries, refused) = (entries + counted.0, refused + counted.1);
            Ok(())
        })?;
        let cycles = trials * CYCLES;
        Ok(Outcome {
            trials,
            figures: format!("{cycles} times full; {entries} acknowledged, {refused} refused"),
        })
    }
}

/// One log whose disk fills up some times; how many entries it acknowledged and refused.
fn fill(seed: u64) -> Result<(u64, u64)> {
    let dir = TempDir::with_prefix("indelible-rig-")?;
    let at = dir.path().join("disk");
    let disk = Mounted::memory(DISK_BYTES, &at)?;
    let output = dir.path().join("log.out");
    let site = Site::make(&at.join("log"), &output, Kind::Raw)?;
    site.keep_few_keys_in_memory()?;
    let ledger = Mutex::new(Ledger::new(&site.policy()?));
    let log = site.start()?;
    let mut connection = Connection::open(log.address())?;
    let (mut number, mut refused) = (0, 0);
    for cycle in 0..CYCLES {
        let context = || format!("time {cycle} that the disk is full");
        ballast(&at, MUST_STAY_FREE + 3 * MIB).with_context(context)?;
        // The log itself takes what is left.
        while add(&mut connection, &ledger, seed, number).with_context(context)? {
            number += 1;
            ensure!(number < 10_000, "the log never refuses an entry");
        }
        for _ in 0..20 {
            refused += u64::from(!add(&mut connection, &ledger, seed, number).with_context(context)?);
        }
        let health = http::get(log.address(), "/healthz");
        ensure!(health.status == 503 && health.text().contains("disk-space"), "health: {}", health.text());
        check(&ledger, &log).with_context(context)?;
        // Room, by deleting something or by making the disk larger, and nothing else.
        if cycle % 2 == 0 {
            std::fs::remove_file(at.join("ballast"))?;
        } else {
            disk.resize(2 * DISK_BYTES)?;
        }
        wait_until("entries are taken again", || {
            add(&mut connection, &ledger, seed, number).ok().filter(|taken| *taken)
        });
        number += 1;
        check(&ledger, &log).with_context(context)?;
        if cycle % 2 == 1 {
            std::fs::remove_file(at.join("ballast"))?;
            disk.resize(DISK_BYTES)?;
        }
    }
    last_byte(&at, &site, log, &ledger).context("a start on a disk without any room")?;
    let log = site.start()?;
    ensure!(add(&mut Connection::open(log.address())?, &ledger, seed, number)?, "it takes no entries");
    check(&ledger, &log)?;
    log.kill();
    disk.unmount()?;
    let ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
    Ok((ledger.acknowledged(), refused))
}

/// Takes all room there is, kills the log, and starts it on that; then gives room.
fn last_byte(at: &Path, site: &Site, log: Running, ledger: &Mutex<Ledger>) -> Result<()> {
    ballast(at, 0)?;
    check(ledger, &log)?;
    log.kill();
    match site.try_start() {
        Ok(log) => check(ledger, &log)?,
        Err(finished) => {
            let said = finished.stderr.contains("No space left on device");
            ensure!(finished.code() == 1 && said, "it does not say what is missing: {finished}");
        }
    }
    Ok(std::fs::remove_file(at.join("ballast"))?)
}

/// Fills the disk up to where so many bytes are free.
fn ballast(at: &Path, leave: u64) -> Result<()> {
    let status = rustix::fs::statvfs(at)?;
    let mut left = (status.f_bavail * status.f_frsize).saturating_sub(leave);
    let mut file = File::options().create(true).append(true).open(at.join("ballast"))?;
    let block = vec![0; MIB as usize];
    while left > 0 {
        let length = left.min(MIB);
        match file.write_all(&block[..length as usize]) {
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            written => written?,
        }
        left -= length;
    }
    Ok(())
}

/// Sends an entry; whether it was acknowledged or else refused for want of room.
fn add(connection: &mut Connection, ledger: &Mutex<Ledger>, seed: u64, number: u64) -> Result<bool> {
    let mut entry = format!("{seed}/{number}/").into_bytes();
    entry.resize(60_000, b'.');
    let mut ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
    ledger.sending(&entry);
    let answer = connection.post("/add", &entry).context("the log does not answer")?;
    match answer.status {
        200 => {
            let index = parse_index(&answer.body).map_err(|error| anyhow!("not an index: {error}"))?;
            ledger.acknowledge(&entry, index)?;
            Ok(true)
        }
        503 => {
            ensure!(answer.header("retry-after").is_some(), "503 without Retry-After");
            Ok(false)
        }
        other => bail!("POST /add was answered {other} {}", answer.text()),
    }
}

fn check(ledger: &Mutex<Ledger>, log: &Running) -> Result<()> {
    ledger.lock().map_err(|_| anyhow!("a thread panicked"))?.check(log.url()).map(drop)
}
