//! Row `reads`: full tiles and bundles over HTTP, beside nginx serving the same files, in turns, under the same
//! load: fewer files than the log keeps in memory, and more.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use indelible_proto::tile::{BundleId, TileId, TileWidth};
use indelible_tests::load::{Outcome, Request, Requests, Target, closed_loop};
use indelible_tests::world::free_address;

use crate::Plan;
use crate::cpu;
use crate::peers::{PeerServer, nginx};
use crate::report::{Line, Number};
use crate::startup::LargeLog;
use crate::stats::{Spread, us};

const CONNECTIONS: usize = 64;
/// Different tiles, and as many bundles, that are asked for: 7.5 MB, within what the log keeps in memory, and ten
/// times what it keeps.
const PLACES: [(u64, &str); 2] = [(100, "hot"), (4_000, "cold")];
const MIN_RATIO: f64 = 0.7;

pub(crate) fn run(plan: &Plan, large: &LargeLog) -> Result<Vec<Line>> {
    let (log, _) = large.start();
    let dir = tempfile::tempdir_in(plan.dir())?;
    let peer = nginx().and_then(|program| start_nginx(&program, dir.path(), &large.log.data_dir()));
    let full = large.head.size.get() / u64::from(TileWidth::FULL.get());
    let time = plan.of(Duration::from_secs(3), Duration::from_millis(300));
    let mut lines = Vec::new();
    for (kind, of_tiles) in [("tiles of 8 KiB", true), ("bundles of 64 KiB", false)] {
        for (places, heat) in PLACES {
            let requests = requests(of_tiles, places.min(full));
            let load = |address: &str, time: Duration| -> Result<Outcome> {
                closed_loop(&Target::new(address, CONNECTIONS)?, time, &requests)?.complete()
            };
            load(log.address(), time / 4)?;
            let (mut rounds, mut cpu_us, mut peer_cpu_us) = (vec![], vec![], vec![]);
            for _ in 0..plan.of(3, 1) {
                let peer_per_s = match &peer {
                    Ok(peer) => {
                        let cpu = nginx_cpu(peer.pid())?;
                        let done = load(peer.address(), time)?;
                        let used = nginx_cpu(peer.pid())?.saturating_sub(cpu);
                        peer_cpu_us.push(us(used) / done.answers() as f64);
                        done.per_s()
                    }
                    Err(_) => f64::NAN,
                };
                let cpu = cpu::of_process(log.pid())?;
                let done = load(log.address(), time)?;
                let used = cpu::of_process(log.pid())?.saturating_sub(cpu);
                cpu_us.push(us(used) / done.answers() as f64);
                rounds.push((done.per_s(), peer_per_s));
            }
            let case =
                format!("{} different {kind}, {CONNECTIONS} connections", Number(places.min(full) as f64));
            let line =
                Line::new("reads", case, "/s", &rounds, format!("nginx serving the same files, {heat}"));
            let [cpu, peer_cpu] = [cpu_us, peer_cpu_us].map(|rounds| Number(Spread::of(rounds).median));
            lines.push(match &peer {
                Ok(_) => {
                    let met = line.ratio.median >= MIN_RATIO;
                    line.note(format!("server CPU {cpu} µs per answer, nginx's {peer_cpu}"))
                        .goal(format!("at least {MIN_RATIO} of nginx"), met)
                }
                Err(reason) => line.note(format!("nginx can't be had: {reason:#}")),
            });
        }
    }
    log.stop();
    Ok(lines)
}

fn requests(of_tiles: bool, places: u64) -> Requests {
    let next = AtomicU64::new(0);
    Arc::new(move |_| {
        let index = next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % places.max(1);
        let path = if of_tiles {
            TileId::new(0, index, TileWidth::FULL).ok()?.path()
        } else {
            BundleId::new(index, TileWidth::FULL).ok()?.path()
        };
        Some(Request::Get { path: format!("/{path}") })
    })
}

/// nginx as it is recommended for static files, on all cores.
fn start_nginx(program: &Path, dir: &Path, root: &Path) -> Result<PeerServer> {
    let address = free_address();
    let (root, here) = (root.display(), dir.display());
    let config = format!(
        "daemon off;
worker_processes auto;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  open_file_cache max=20000 inactive=600s;
  open_file_cache_valid 600s;
  default_type application/octet-stream;
  client_body_temp_path {here}/body;
  proxy_temp_path {here}/proxy;
  fastcgi_temp_path {here}/fastcgi;
  uwsgi_temp_path {here}/uwsgi;
  scgi_temp_path {here}/scgi;
  server {{ listen {address}; root {root}; }}
}}
"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, config)?;
    // Its workers drop root's rights unless told otherwise, and could not read the files then.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let mut command = Command::new(program);
    command.arg("-c").arg(&file).arg("-p").arg(dir);
    if !user.is_empty() {
        command.args(["-g", user]);
    }
    PeerServer::start(&mut command, &address, &dir.join("nginx.out"))
}

/// CPU time of nginx's workers, which are the master's children.
fn nginx_cpu(master: u32) -> Result<Duration> {
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
    children.split_whitespace().map(|pid| cpu::of_process(pid.parse()?)).sum()
}
