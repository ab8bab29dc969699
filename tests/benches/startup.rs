//! Rows `disk` and `startup`: a log of a million entries, made in this process, is weighed, and then started
//! as a real server.

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
use indelible_tests::{Running, binaries};
use walkdir::WalkDir;

use crate::Plan;
use crate::load::{Target, closed_loop};
use crate::local_log::{ENTRY_BYTES, Entries, Feed, LocalLog, append};
use crate::report::{Line, Number};
use crate::stats::ms;

const MAX_START: Duration = Duration::from_secs(2);
const MAX_OVERHEAD: f64 = 1.05;
const MIB: f64 = 1024.0 * 1024.0;

/// A log of many entries, stopped.
pub(crate) struct LargeLog {
    log: LocalLog,
    entries: Arc<Entries>,
    head: TreeHead,
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

    fn start(&self) -> (Running, Duration) {
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

/// Row `startup`: from starting the process to its `listening` line. Beside it, hashing everything once,
/// which a start would take that trusted nothing; the files are in the page cache for both.
pub(crate) fn startup(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let size = Number(large.head.size.get() as f64);
    large.start().0.stop();
    let mut clean = Vec::new();
    for _ in 0..plan.rounds() {
        let rehash = ms(large.rehash()?);
        let (running, took) = large.start();
        ensure!(running.stop().success(), "the server did not stop cleanly");
        clean.push((ms(took), rehash));
    }
    let mut killed = Vec::new();
    for _ in 0..plan.rounds() {
        let (running, _) = large.start();
        let entries = Arc::clone(&large.entries);
        let target = Target { address: running.address().to_owned(), path: ADD_PATH, connections: 64 };
        closed_loop(&target, Duration::from_millis(500), &{ Arc::new(move |_| Some(entries.next_bytes())) })?;
        running.kill();
        let (running, took) = large.start();
        running.stop();
        killed.push((ms(took), ms(large.rehash()?)));
    }
    let line = |case: String, rounds: &[(f64, f64)]| {
        let line = Line::new("startup", case, "ms", rounds, "reading and hashing every stored entry");
        let met = line.measured.spread.high < ms(MAX_START);
        line.goal(format!("every start below {MAX_START:?}"), met)
    };
    Ok(vec![
        line(format!("{size} entries, stopped cleanly"), &clean),
        line(format!("{size} entries, killed under load"), &killed),
    ])
}

/// Row `disk`: blocks in use, against the entries and one hash for each node that tiles keep.
pub(crate) fn disk(large: &LargeLog) -> Result<Vec<Line>> {
    let size = large.head.size;
    let needed = (size.get() * ENTRY_BYTES as u64 + tile_hashes(size) * Hash::LEN as u64) as f64;
    let data = large.log.data_dir();
    let [index, journal, all] =
        [data.join("index"), data.join("journal"), data].map(|dir| stored_bytes(&dir));
    let (index, journal, all) = (index?, journal?, all?);
    let rounds = [((all - index - journal) / MIB, needed / MIB)];
    let case = format!("{} entries, tiles and bundles", Number(size.get() as f64));
    let line =
        Line::new("disk", case, "MiB", &rounds, "the bytes of the entries, and of the hashes in tiles");
    let met = line.ratio.median <= MAX_OVERHEAD;
    let note = format!(
        "beside them the journal, {} MiB, which does not grow with the log, and the index, {} MiB",
        Number(journal / MIB),
        Number(index / MIB)
    );
    Ok(vec![line.note(note).goal(format!("at most {MAX_OVERHEAD}"), met)])
}

/// How many hashes the tiles of a tree have: one for each node at every eighth level.
fn tile_hashes(size: TreeSize) -> u64 {
    std::iter::successors(Some(size.get()), |nodes| Some(nodes / 256)).take_while(|nodes| *nodes > 0).sum()
}

/// Bytes of the blocks that the files below `dir` use.
fn stored_bytes(dir: &Path) -> Result<f64> {
    const BLOCK_UNIT: u64 = 512;
    let mut blocks = 0;
    for entry in WalkDir::new(dir) {
        blocks += entry?.metadata()?.blocks();
    }
    Ok((blocks * BLOCK_UNIT) as f64)
}
