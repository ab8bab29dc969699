//! Row `http`: `POST /add` of 256-byte entries to the real server, each answered once it is durable.
//!
//! Two forms. Closed loop: so many connections, always busy; the peer is a bare server on the same HTTP
//! library under the same load. Open loop: a fixed rate, times counted from when each request was due; the
//! bound is the bare server's median at that rate plus one synced write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Result;
use indelible_proto::log_api::ADD_PATH;
use indelible_tests::Running;
use indelible_tests::load::{Requests, Target, closed_loop, open_loop, posts};
use indelible_tests::world::{Kind, World};

use crate::Plan;
use crate::bare;
use crate::cpu;
use crate::limits::Preallocated;
use crate::local_log::Entries;
use crate::report::{Line, Number};
use crate::stats::{Latencies, Spread, ms, us};

const CONNECTIONS: [usize; 2] = [64, 512];
/// Requests a second in the open loop.
const RATES: [u32; 2] = [500, 4_000];
/// Time between the synced writes that the open loop is compared with: more cannot always be kept up.
const SYNC_INTERVAL: Duration = Duration::from_millis(2);
/// Connections of the open loop: enough for a stall of 100 ms at the higher rate.
const OPEN_CONNECTIONS: usize = 400;
/// Most CPU the server may use for an entry, in microseconds, where many arrive.
const MAX_CPU_US: f64 = 25.0;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let mut logs = Logs::default();
    let mut lines = Vec::new();
    for per_s in RATES {
        lines.push(logs.with_new(|servers, dir| servers.open(plan, per_s, dir))?);
    }
    for connections in CONNECTIONS {
        lines.push(logs.with_new(|servers, _| servers.closed(plan, connections))?);
    }
    Ok(lines)
}

/// A new log for each case, so that none pays for what the one before left to be written. Their files stay
/// until all cases are through: deleting them would disturb the next one, too.
#[derive(Default)]
struct Logs {
    stopped: Vec<World>,
}

impl Logs {
    fn with_new(&mut self, measure: impl FnOnce(&Servers<'_>, &Path) -> Result<Line>) -> Result<Line> {
        let mut world = World::start(Kind::Raw, 0, 0);
        let bare = bare::start(&world.file("bare.out"))?;
        let servers = Servers { log: world.log(), bare: &bare, entries: Arc::default() };
        let line = measure(&servers, world.path());
        world.take_log().stop();
        self.stopped.push(world);
        line
    }
}

struct Servers<'a> {
    log: &'a Running,
    bare: &'a Running,
    entries: Arc<Entries>,
}

impl Servers<'_> {
    fn closed(&self, plan: &Plan, connections: usize) -> Result<Line> {
        let time = plan.of(Duration::from_secs(4), Duration::from_millis(300));
        self.load(self.log, connections, time / 2)?;
        self.load(self.bare, connections, time / 4)?;
        let (mut rounds, mut cpu_us, mut bare_cpu_us, mut own_cpu_us) = (vec![], vec![], vec![], vec![]);
        for _ in 0..plan.rounds() {
            let bare = self.load(self.bare, connections, time / 2)?;
            let log = self.load(self.log, connections, time)?;
            rounds.push((log.per_s, bare.per_s));
            cpu_us.push(log.cpu_us);
            bare_cpu_us.push(bare.cpu_us);
            own_cpu_us.push(log.own_cpu_us);
        }
        let [cpu_us, bare_cpu_us, own_cpu_us] =
            [cpu_us, bare_cpu_us, own_cpu_us].map(|rounds| Spread::of(rounds).median);
        let case = format!("POST /add, {connections} connections, always busy");
        let line = Line::new(
            "http",
            case,
            "/s",
            &rounds,
            "a bare server on the same HTTP library that only answers",
        );
        let line = line.note(format!(
            "server CPU {} µs per entry, the bare server's {}; the load generator's {}",
            Number(cpu_us),
            Number(bare_cpu_us),
            Number(own_cpu_us)
        ));
        Ok(if connections == CONNECTIONS[1] {
            line.goal(format!("at most {MAX_CPU_US} µs of server CPU per entry"), cpu_us <= MAX_CPU_US)
        } else {
            line
        })
    }

    fn open(&self, plan: &Plan, per_s: u32, dir: &Path) -> Result<Line> {
        let time = plan.of(Duration::from_secs(6), Duration::from_millis(500));
        let disk = Preallocated::create(dir, 8 * 1024 * 1024)?;
        let stop = Arc::new(AtomicBool::new(false));
        let send = |server: &Running, time| -> Result<Latencies> {
            let target = Target::new(server.address(), OPEN_CONNECTIONS)?;
            Ok(open_loop(&target, per_s, time, &self.requests(), &stop)?.complete()?.latencies)
        };
        send(self.log, time / 4)?;
        let (mut rounds, mut tails, mut sync_tails) = (vec![], vec![], vec![]);
        for _ in 0..plan.rounds() {
            let bare = send(self.bare, time / 3)?;
            let synced = disk.synced_writes(plan.of(1_000, 50), 4096, SYNC_INTERVAL)?;
            let log = send(self.log, time)?;
            rounds.push((ms(log.percentile(50.0)), ms(bare.percentile(50.0) + synced.percentile(50.0))));
            tails.push(log);
            sync_tails.push(synced);
        }
        let case = format!("POST /add, {per_s}/s, p50 from when due");
        let bound = "the bare server's p50 at this rate, and that of a synced 4 KiB write";
        let (tails, sync_tails) = (tail(tails), tail(sync_tails));
        let note = format!("all rounds: {tails}; a synced write: {sync_tails}");
        Ok(Line::new("http", case, "ms", &rounds, bound).note(note))
    }

    fn load(&self, server: &Running, connections: usize, time: Duration) -> Result<Loaded> {
        let (cpu, own_cpu) = (cpu::of_process(server.pid())?, cpu::of_this_process());
        let target = Target::new(server.address(), connections)?;
        let done = closed_loop(&target, time, &self.requests())?.complete()?;
        let each_us = |cpu: Duration| us(cpu) / done.answers() as f64;
        Ok(Loaded {
            per_s: done.per_s(),
            cpu_us: each_us(cpu::of_process(server.pid())?.saturating_sub(cpu)),
            own_cpu_us: each_us(cpu::of_this_process().saturating_sub(own_cpu)),
        })
    }

    fn requests(&self) -> Requests {
        let entries = Arc::clone(&self.entries);
        posts(ADD_PATH, move |_| Some(entries.next_bytes()))
    }
}

/// The slowest of all rounds together.
fn tail(rounds: Vec<Latencies>) -> String {
    let all = Latencies::join(rounds);
    let at = |percent| Number(ms(all.percentile(percent)));
    format!("p99 {} ms, p99.9 {} ms", at(99.0), at(99.9))
}

struct Loaded {
    per_s: f64,
    cpu_us: f64,
    own_cpu_us: f64,
}
