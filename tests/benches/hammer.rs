//! Row `hammer`: `POST /add` as Tessera's own load generator sends it, unchanged, to this log and to Tessera's
//! HTTP server on POSIX files, in turns. The generator takes more CPU than either server may.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indelible_tests::world::{Kind, World, free_address};

use crate::Plan;
use crate::cpu;
use crate::local_log::ENTRY_BYTES;
use crate::peers::{PeerServer, TesseraInProcess, TesseraPrograms, tessera};
use crate::report::{Line, Number};
use crate::stats::{Spread, us};

/// Entries that hammer writes in a round: enough that it does not matter that it looks once a second whether it
/// is done.
const ENTRIES: (usize, usize) = (200_000, 2_000);
/// The same to the peer, which is slower.
const PEER_ENTRIES: (usize, usize) = (60_000, 1_000);
const WRITERS: (usize, usize) = (2_000, 200);
const MAX_RUNTIME: Duration = Duration::from_secs(120);
const MIN_OF_PEER: f64 = 3.0;
const MAX_CPU_US: f64 = 25.0;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let installed =
        TesseraPrograms::install().and_then(|programs| Ok((programs, TesseraInProcess::install()?)));
    let (programs, peer) = match installed {
        Ok(installed) => installed,
        Err(reason) => {
            let line =
                Line::new("hammer", "POST /add driven by hammer", "/s", &[(f64::NAN, f64::NAN)], tessera());
            return Ok(vec![line.note(format!("hammer and its log can't be had: {reason:#}"))]);
        }
    };
    let world = World::start(Kind::Raw, 0, 0);
    let dir = tempfile::tempdir_in(plan.dir())?;
    let (key, verifier) = peer.make_key(dir.path())?;
    let address = free_address();
    let mut server = Command::new(&programs.server);
    server.arg("--storage_dir").arg(dir.path().join("log")).arg("--private_key").arg(key);
    let server = PeerServer::start(server.args(["--listen", &address]), &address, &dir.path().join("out"))?;
    let ours = Driven { url: world.url().to_owned(), key: world.log_vkey(), pid: world.log().pid() };
    let theirs = Driven { url: format!("http://{}", server.address()), key: verifier, pid: server.pid() };

    let hammer = |log: &Driven, entries| log.hammer(&programs.hammer, plan.of(WRITERS.0, WRITERS.1), entries);
    let (entries, peer_entries) = (plan.of(ENTRIES.0, ENTRIES.1), plan.of(PEER_ENTRIES.0, PEER_ENTRIES.1));
    hammer(&ours, entries / 4)?;
    hammer(&theirs, peer_entries / 4)?;
    let (mut rounds, mut cpu_us, mut peer_cpu_us, mut hammer_us) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.of(3, 1) {
        let peer = hammer(&theirs, peer_entries)?;
        let own = hammer(&ours, entries)?;
        rounds.push((own.per_s, peer.per_s));
        cpu_us.push(own.cpu_us);
        peer_cpu_us.push(peer.cpu_us);
        hammer_us.push(own.hammer_us);
    }
    let case = format!("POST /add, hammer with {} writers", plan.of(WRITERS.0, WRITERS.1));
    let line = Line::new("hammer", case, "/s", &rounds, format!("{} on POSIX files, over HTTP", tessera()));
    let cpu = Spread::of(cpu_us).median;
    let met = line.ratio.median >= MIN_OF_PEER && cpu <= MAX_CPU_US;
    let [peer_cpu, hammer] = [peer_cpu_us, hammer_us].map(|rounds| Number(Spread::of(rounds).median));
    let note = format!(
        "server CPU {} µs per entry, the peer's {peer_cpu}; hammer's own {hammer} on the same cores",
        Number(cpu)
    );
    let goal = format!("at least {MIN_OF_PEER} times the peer, at most {MAX_CPU_US} µs of server CPU");
    Ok(vec![line.note(note).goal(goal, met)])
}

/// A log that is driven.
struct Driven {
    url: String,
    key: String,
    pid: u32,
}

struct Drive {
    per_s: f64,
    cpu_us: f64,
    hammer_us: f64,
}

impl Driven {
    /// Lets hammer write so many entries.
    fn hammer(&self, hammer: &Path, writers: usize, entries: usize) -> Result<Drive> {
        let (cpu, own) = (cpu::of_process(self.pid)?, cpu::of_children()?);
        let begun = Instant::now();
        let mut command = Command::new(hammer);
        command.args([
            "--show_ui=false",
            "--max_read_ops=0",
            "--num_readers_random=0",
            "--num_readers_full=0",
        ]);
        command.args([
            format!("--log_url={}/", self.url),
            format!("--log_public_key={}", self.key),
            format!("--num_writers={writers}"),
            "--max_write_ops=1000000".to_owned(),
            "--dup_chance=0".to_owned(),
            format!("--leaf_min_size={ENTRY_BYTES}"),
            format!("--leaf_write_goal={entries}"),
            format!("--max_runtime={}s", MAX_RUNTIME.as_secs()),
        ]);
        let output = command.stdin(Stdio::null()).output().context("hammer")?;
        let took = begun.elapsed();
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        ensure!(output.status.success(), "hammer at {}: {}: {last}", self.url, output.status);
        let each_us = |cpu: Duration| us(cpu) / entries as f64;
        Ok(Drive {
            per_s: entries as f64 / took.as_secs_f64(),
            cpu_us: each_us(cpu::of_process(self.pid)?.saturating_sub(cpu)),
            hammer_us: each_us(cpu::of_children()?.saturating_sub(own)),
        })
    }
}
