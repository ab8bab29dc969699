//! Row `sustained`: ten million durable entries of 256 bytes in this process, through journal, tree, tiles,
//! bundles and index, beside Tessera's library doing the same in its own process, in turns.
//!
//! The second bound is physical: the lower of what one core can hash into a tree and what the disk can take,
//! which is its sequential bandwidth over the bytes an entry costs: once in the journal, once in its bundle,
//! and its hash in a tile, in whole blocks.
//!
//! The index catches up in the background and may be behind at the end of a round. That is waited for, so that the
//! peer has the machine to itself, and its CPU counts; the rate with that time in it is shown, too.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use indelible_proto::tree::TreeHead;
use indelible_server::kind::LogKind;

use crate::Plan;
use crate::cpu;
use crate::limits::{self, Preallocated};
use crate::local_log::{ENTRY_BYTES, Entries, Feed, LocalLog, append, wait_until_idle};
use crate::peers::{TesseraInProcess, tessera};
use crate::report::{Line, Number};
use crate::startup::LargeLog;
use crate::stats::{Spread, us};

/// Entries of the log in the end, and on a quick run.
const ENTRIES: (usize, usize) = (10_000_000, 16_384);
/// Entries that the peer appends in a round; it takes seconds for them.
const PEER_ENTRIES: (usize, usize) = (200_000, 2_000);
/// How entries arrive: as many as two submitters have ready.
pub(crate) const FEED: Feed = Feed::Groups { producers: 2, group: 2_048 };
const MIN_OF_PEER: f64 = 6.0;
const MIN_OF_LIMIT: f64 = 0.5;
/// Bytes of an entry in its journal record, its length before it.
const JOURNAL_BYTES: f64 = ENTRY_BYTES as f64 + 2.0;
const BLOCK: f64 = 4_096.0;

/// Names of threads and what they do.
const THREADS: [(&str, &[&str]); 4] = [
    ("sequencer", &["sequencer"]),
    ("tile and bundle files", &["log-files"]),
    ("sync passes", &["log-sync"]),
    ("index", &["index", "sled-"]),
];

pub(crate) fn run(plan: &Plan) -> Result<(Vec<Line>, LargeLog)> {
    let peer = TesseraInProcess::install();
    let log = LocalLog::create(LogKind::Raw, plan.dir())?;
    let (sequencer, entries) = (log.open()?, Arc::new(Entries::default()));
    let handle = sequencer.handle();
    let each = plan.entries(ENTRIES.0, ENTRIES.1) / plan.rounds();
    let disk = Preallocated::create(log.scratch(), plan.of(256, 2) * 1024 * 1024)?;
    let (mut of_peer, mut of_limit, mut peer_cpu, mut total) = (vec![], vec![], vec![], vec![]);
    let mut by_thread = THREADS.map(|_| Vec::new());
    let (mut disk_limits, mut hash_limits, mut with_index) = (vec![], vec![], vec![]);
    for _ in 0..plan.rounds() {
        let hashes_per_s = limits::tree_hashes_per_s(ENTRY_BYTES, plan.of(1_000_000, 30_000));
        let disk_per_s = disk.sequential_bytes_per_s()? / bytes_on_disk();
        let peer =
            peer.as_ref().ok().map(|peer| peer.append(plan.dir(), plan.of(PEER_ENTRIES.0, PEER_ENTRIES.1)));
        let peer = peer.transpose()?;
        let before = THREADS.map(|(_, names)| cpu::of_threads(names));
        let (cpu, begun) = (cpu::of_this_process(), Instant::now());
        let appended = append(&handle, &entries, each, FEED)? as f64;
        let per_s = appended / begun.elapsed().as_secs_f64();
        with_index.push(appended / (begun.elapsed() + wait_until_idle()?).as_secs_f64());
        total.push(us(cpu::of_this_process() - cpu) / appended);
        for ((used, (_, names)), before) in by_thread.iter_mut().zip(THREADS).zip(before) {
            used.push(us(cpu::of_threads(names)?.saturating_sub(before?)) / appended);
        }
        of_peer.push((per_s, peer.map_or(f64::NAN, |peer| peer.per_s())));
        of_limit.push((per_s, disk_per_s.min(hashes_per_s)));
        peer_cpu.extend(peer.map(|peer| peer.cpu_us()));
        disk_limits.push(disk_per_s);
        hash_limits.push(hashes_per_s);
    }
    let head: TreeHead = handle.signed().borrow().checkpoint.head();
    sequencer.shutdown();

    let total = Number(Spread::of(total).median);
    let threads = THREADS.iter().zip(by_thread);
    let threads = threads.map(|((what, _), rounds)| format!("{what} {}", Number(Spread::of(rounds).median)));
    let threads = threads.collect::<Vec<_>>().join(", ");
    let case = format!("{} entries, durable, in process", Number(head.size.get() as f64));
    let peer_line = Line::new("sustained", case.clone(), "/s", &of_peer, format!("{} in process", tessera()));
    let peer_line = peer_line
        .note(format!("CPU {total} µs per entry: {threads}, else submitters"))
        .note(format!("until the index had caught up {}/s", Number(Spread::of(with_index).median)));
    let peer_line = match &peer {
        Ok(_) => {
            let met = peer_line.ratio.median >= MIN_OF_PEER;
            let cpu = Number(Spread::of(peer_cpu).median);
            let note = format!("the peer's CPU {cpu} µs per entry; it deduplicates nothing");
            peer_line.note(note).goal(format!("at least {MIN_OF_PEER} times the peer"), met)
        }
        Err(reason) => peer_line.note(format!("the peer can't be had: {reason:#}")),
    };
    let limit = "the lower of what the disk takes and one core hashes";
    let limit_line = Line::new("sustained", case, "/s", &of_limit, limit);
    let met = limit_line.ratio.median >= MIN_OF_LIMIT;
    let [disk, hashes] = [disk_limits, hash_limits].map(|rounds| Number(Spread::of(rounds).median));
    let limit_line = limit_line
        .note(format!("disk {disk}/s at {} bytes an entry; SHA-256 {hashes}/s", Number(bytes_on_disk())))
        .goal(format!("at least {MIN_OF_LIMIT} of it"), met);
    Ok((vec![peer_line, limit_line], LargeLog { log, entries, head }))
}

/// What an entry costs: its journal record, its part of a bundle and of the tiles.
fn bytes_on_disk() -> f64 {
    let blocks = |bytes: f64| (bytes / BLOCK).ceil() * BLOCK;
    JOURNAL_BYTES + (blocks(256.0 * JOURNAL_BYTES) + blocks(256.0 * 32.0) * (1.0 + 1.0 / 256.0)) / 256.0
}
