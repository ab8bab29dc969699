//! A log with a watchdog beside it, and the log's operator turned rogue.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::size::TreeSize;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, World, http, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exit::VERIFIED;

/// A log of records that two of its three witnesses have to cosign.
pub(crate) fn watched_world() -> World {
    World::start(Kind::Records, 3, 2)
}

/// The same with so many records.
pub(crate) fn watched_world_of(records: usize) -> World {
    let world = watched_world();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    for number in 0..records {
        publish(&world, &mut publisher, format!("release {number}").as_bytes());
    }
    world
}

pub(crate) fn publish(world: &World, publisher: &mut Publisher, content: &[u8]) {
    let record = publisher.next(content);
    http::post(world.log().address(), "/submit", &record.encode()).expect(200);
    publisher.accepted(&record);
}

pub(crate) fn watch_command(world: &World, args: &[&str]) -> Command {
    let mut watch = world.client();
    watch.args(["--json", "watch", "--policy"]).arg(world.policy());
    watch.arg("--state").arg(world.file("watchdog")).args(args);
    watch
}

/// Looks once, and returns what was reported.
#[track_caller]
pub(crate) fn watch(world: &World, args: &[&str], exit: i32) -> Vec<Value> {
    let watched = Finished::run(watch_command(world, &["--once"]).args(args)).expect(exit);
    let mut lines: Vec<Value> =
        watched.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.pop().unwrap()["exit"], exit, "{watched}");
    lines
}

pub(crate) fn of_code<'a>(reports: &'a [Value], code: &str) -> Vec<&'a Value> {
    reports.iter().filter(|report| report["code"] == code).collect()
}

/// A watchdog that keeps looking, also at the checkpoint in a file. Killed when dropped.
pub(crate) struct Watchdog {
    child: Child,
    output: PathBuf,
}

impl Watchdog {
    pub(crate) fn start(world: &World, shown: &Path) -> Self {
        let output = world.file("watchdog.out");
        let file = fs::File::create(&output).unwrap();
        let mut watch = watch_command(world, &["--interval", "1", "--source"]);
        let child = watch.arg(shown).stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn();
        Self { child: child.unwrap(), output }
    }

    /// Returns once it has looked at the file and found nothing.
    pub(crate) fn until_it_has_looked(&self) {
        wait_until("the watchdog has looked at the checkpoint it was shown", || {
            let said = fs::read_to_string(&self.output).unwrap();
            said.lines().any(|line| line.contains("/shown") && line.contains("consistent")).then_some(())
        });
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// How it ends.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        wait_until("the watchdog ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn entries(world: &World) -> Vec<Entry> {
    let reader = world.reader();
    reader.entries(&reader.checkpoint().head())
}

/// The log's operator, with all that is in the log.
pub(crate) fn rogue(world: &World) -> Rogue {
    Rogue::new(&world.log_dir().join("log.key"), entries(world))
}

pub(crate) fn other_entry() -> Entry {
    Entry::new(b"an entry for one customer only".to_vec()).unwrap()
}

/// Writes the rogue's checkpoint of that size to a file, for the watchdog to be shown.
pub(crate) fn hand_in(world: &World, rogue: &Rogue, size: u64) -> String {
    let file = world.file(format!("handed-in-{size}"));
    fs::write(&file, rogue.checkpoint(TreeSize::new(size).unwrap()).encode()).unwrap();
    file.display().to_string()
}

pub(crate) fn evidence_files(world: &World) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(world.file("watchdog/evidence")) else { return Vec::new() };
    files.map(|entry| entry.unwrap().path()).collect()
}

/// There is one piece of evidence, and the log's key is enough to be convinced by it.
#[track_caller]
pub(crate) fn convinces_a_stranger(world: &World) {
    let evidence = evidence_files(world);
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    let mut judge = world.client();
    judge.env_clear().args(["evidence", "verify"]).arg(&evidence[0]).args(["--log-key", &world.log_vkey()]);
    Finished::run(&mut judge).expect(VERIFIED);
}
