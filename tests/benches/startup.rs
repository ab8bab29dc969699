//! Rows `disk` and `startup`: the log of row `sustained`, or one of a million entries if that row was not asked
//! for, is weighed, and then started as a real server.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indelible_proto::entry_bundle::EntryBundle;
use indelible_proto::hash::Hash;
use indelible_proto::log_api::ADD_PATH;
use indelible_proto::size::TreeSize;
use indelible_proto::tile::{BundleId, TileWidth};
use indelible_proto::tree::{Frontier, TreeHead};
use indelible_server::kind::LogKind;
use indelible_tests::load::{Target, closed_loop, posts};
use indelible_tests::{Running, binaries, http};
use walkdir::WalkDir;

use crate::Plan;
use crate::local_log::{ENTRY_BYTES, Entries, Feed, LocalLog, append};
use crate::report::{Line, Number};
use crate::stats::{Spread, ms};

const MAX_START: Duration = Duration::from_secs(1);
/// Length of the longer entries: about that of a signed record.
const LONGER_BYTES: usize = 1_024;
const MAX_OVERHEAD: f64 = 1.05;
const MIB: f64 = 1024.0 * 1024.0;

/// A log of many entries, stopped.
pub(crate) struct LargeLog {
    pub(crate) log: LocalLog,
    /// Makes entries that the log does not have yet.
    pub(crate) entries: Arc<Entries>,
    pub(crate) head: TreeHead,
}

impl LargeLog {
    /// Appends 2^20 entries to a new log; fewer on a quick run.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn make(plan: &Plan) -> Result<Self> {
        let log = LocalLog::create(LogKind::Raw, plan.dir())?;
        let (sequencer, entries) = (log.open()?, Arc::new(Entries::default()));
        let feed = Feed::Groups { producers: 1, group: 4_096 };
        append(&sequencer.handle(), &entries, plan.of(1 << 20, 1 << 14), feed)?;
        let head = sequencer.handle().signed().borrow().checkpoint.head();
        sequencer.shutdown();
        Ok(Self { log, entries, head })
    }

    /// A server for it, how long it took to listen, and until it had taken an entry.
    pub(crate) fn start_and_add(&self) -> Result<(Running, Duration, Duration)> {
        let begun = Instant::now();
        let (running, listening) = self.start();
        let answer = http::post(running.address(), ADD_PATH, &self.entries.next_bytes());
        ensure!(answer.status == 200, "an entry was answered {}", answer.text());
        Ok((running, listening, begun.elapsed()))
    }

    /// A server for it, and how long it took to listen.
    pub(crate) fn start(&self) -> (Running, Duration) {
        let (dir, output) = (self.log.dir(), self.log.scratch().join("server.out"));
        let begun = Instant::now();
        let running = Running::start(&binaries().server, &["run".as_ref(), dir.as_ref()], &output);
        (running, begun.elapsed())
    }

    /// How long it takes to read and hash every stored entry, and to compare the root with the signed one.
    fn rehash(&self) -> Result<Duration> {
        let begun = Instant::now();
        let (width, mut tree) = (usize::from(TileWidth::FULL.get()), Frontier::new());
        for index in 0..self.head.size.get() / width as u64 {
            let path = BundleId::new(index, TileWidth::FULL)?.path();
            let bundle = fs::read(self.log.data_dir().join(&path)).context(path)?;
            for leaf in EntryBundle::parse(TileWidth::FULL, &bundle)?.leaf_hashes() {
                tree.append(leaf)?;
            }
        }
        ensure!(tree.head() == self.head, "the stored entries lead to another root than the signed one");
        Ok(begun.elapsed())
    }
}

/// Row `startup`: from starting the process to its `listening` line; and, apart from that, until it has taken an
/// entry, which it does once its index has caught up. Beside it, hashing everything once, which a start would take
/// that trusted nothing; the files are in the page cache for both.
pub(crate) fn startup(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let size = Number(large.head.size.get() as f64);
    large.start().0.stop();
    let mut clean = Vec::new();
    let rehash = ms(large.rehash()?);
    let (mut resident, mut clean_added, mut killed_added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds() {
        let (running, took, added) = large.start_and_add()?;
        clean_added.push(ms(added));
        resident.push(resident_bytes(running.pid())? / MIB);
        ensure!(running.stop().success(), "the server did not stop cleanly");
        clean.push((ms(took), rehash));
    }
    let mut killed = Vec::new();
    for _ in 0..plan.rounds() {
        let (running, _) = large.start();
        let entries = Arc::clone(&large.entries);
        let target = Target::new(running.address(), 64)?;
        let requests = posts(ADD_PATH, move |_| Some(entries.next_bytes()));
        closed_loop(&target, Duration::from_millis(500), &requests)?;
        running.kill();
        let (running, took, added) = large.start_and_add()?;
        running.stop();
        killed.push((ms(took), rehash));
        killed_added.push(ms(added));
    }
    let line = |case: String, rounds: &[(f64, f64)], added: Vec<f64>| {
        let line = Line::new("startup", case, "ms", rounds, "reading and hashing every stored entry");
        let met = line.measured.spread.high < ms(MAX_START);
        let added = Spread::of(added);
        let (median, high) = (Number(added.median), Number(added.high));
        let line =
            line.note(format!("index caught up and an entry taken after {median} ms, {high} ms at most"));
        line.goal(format!("every start below {MAX_START:?}"), met)
    };
    Ok(vec![
        line(format!("{size} entries, stopped cleanly"), &clean, clean_added)
            .note(format!("resident {} MiB when it has taken an entry", Number(Spread::of(resident).median))),
        line(format!("{size} entries, killed under load"), &killed, killed_added),
    ])
}

/// Row `disk`: what files take, against the entries and one hash for each node that tiles keep; of the large log,
/// and of one with longer entries.
pub(crate) fn disk(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let longer = LocalLog::create(LogKind::Raw, plan.dir())?;
    let (sequencer, entries) = (longer.open()?, Entries::of_length(LONGER_BYTES));
    let feed = Feed::Groups { producers: 1, group: 1_024 };
    append(&sequencer.handle(), &entries, plan.of(1 << 17, 1 << 13), feed)?;
    let size = sequencer.handle().signed().borrow().checkpoint.head().size;
    sequencer.shutdown();
    Ok(vec![weigh(&large.log, large.head.size, ENTRY_BYTES)?, weigh(&longer, size, LONGER_BYTES)?])
}

fn weigh(log: &LocalLog, size: TreeSize, entry_bytes: usize) -> Result<Line> {
    let needed = (size.get() * entry_bytes as u64 + tile_hashes(size) * Hash::LEN as u64) as f64;
    let data = log.data_dir();
    let [index, journal, tiles] =
        [data.join("index"), data.join("journal"), data.join("tile")].map(|dir| Stored::below(&dir));
    let (index, journal, tiles) = (index?, journal?, tiles?);
    let rounds = [(tiles.blocks / MIB, needed / MIB)];
    let case = format!("{} entries of {entry_bytes} B, tiles and bundles", Number(size.get() as f64));
    let line =
        Line::new("disk", case, "MiB", &rounds, "the bytes of the entries, and of the hashes in tiles");
    let met = line.ratio.median <= MAX_OVERHEAD;
    let note = format!(
        "the files' own bytes are {} of it; the rest fills up blocks, and is directories",
        Number(tiles.bytes / needed)
    );
    let beside = format!(
        "beside them the journal, {} MiB, which does not grow with the log, and the index, {} MiB",
        Number(journal.blocks / MIB),
        Number(index.blocks / MIB)
    );
    Ok(line.note(note).note(beside).goal(format!("blocks at most {MAX_OVERHEAD}"), met))
}

/// How many hashes the tiles of a tree have: one for each node at every eighth level.
fn tile_hashes(size: TreeSize) -> u64 {
    std::iter::successors(Some(size.get()), |nodes| Some(nodes / 256)).take_while(|nodes| *nodes > 0).sum()
}

/// What files take.
struct Stored {
    /// Bytes of the blocks that they and their directories use.
    blocks: f64,
    /// Bytes that the files have.
    bytes: f64,
}

impl Stored {
    /// Of everything below `dir`.
    fn below(dir: &Path) -> Result<Self> {
        const BLOCK_UNIT: u64 = 512;
        let (mut blocks, mut bytes) = (0, 0);
        for entry in WalkDir::new(dir) {
            let metadata = entry?.metadata()?;
            blocks += metadata.blocks() * BLOCK_UNIT;
            bytes += if metadata.is_file() { metadata.len() } else { 0 };
        }
        Ok(Self { blocks: blocks as f64, bytes: bytes as f64 })
    }
}

/// Memory of a process that is in RAM, in bytes.
///
/// # Errors
/// If it is gone, or the system has no `/proc`.
pub(crate) fn resident_bytes(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}
