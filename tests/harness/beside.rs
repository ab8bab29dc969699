//! Another log beside that of a world, under the eyes of the same witness.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Finished, Running};
use crate::world::{World, free_address};

/// A running log of records; stopped when dropped.
#[derive(Debug)]
pub struct Beside {
    log: Running,
    dir: PathBuf,
    both: PathBuf,
}

impl Beside {
    /// Beside a world that is made and not started, which is started as well. Its first witness cosigns both logs.
    ///
    /// # Panics
    ///
    /// If any of it cannot be made or started.
    pub fn start(world: &mut World, origin: &str) -> Self {
        let (dir, both) = (world.file("beside"), world.file("both-logs.txt"));
        let settings = fs::read_to_string(world.policy()).expect("the policy can be read");
        let witness = settings.lines().find_map(|line| line.strip_prefix("witness "));
        let (_, witness) = witness.and_then(|rest| rest.split_once(' ')).expect("the world has a witness");
        let mut init = world.server();
        init.arg("init").arg(&dir).args(["--origin", origin, "--listen", &free_address()]);
        Finished::run(init.args(["--kind", "records", "--witness", witness])).expect(0);
        let key = fs::read_to_string(dir.join("log.vkey")).expect("the log has a key");
        let mut add = Command::new(&World::binaries().witness);
        Finished::run(add.arg("add-log").arg(world.witness_dir(0)).arg(key.trim_end())).expect(0);
        world.start_all();
        let args: [&OsStr; 2] = ["run".as_ref(), dir.as_ref()];
        let log = Running::start(&World::binaries().server, &args, &world.file("beside.out"));

        let policy = fs::read_to_string(dir.join("policy.txt")).expect("the policy can be read");
        let line = |text: &str| text.lines().find(|line| line.starts_with("log ")).map(str::to_owned);
        let (ours, its) = (line(&settings).expect("a log"), line(&policy).expect("a log"));
        fs::write(&both, settings.replace(&ours, &format!("{ours}\n{its}"))).expect("a file can be written");
        Self { log, dir, both }
    }

    /// Runs the client of somebody with a key and memory of their own on this log, which must verify.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[track_caller]
    pub fn squat(&self, world: &World, args: &[&str]) -> Finished {
        let mut client = world.client();
        client.arg("--json").args(args).args(["--state", "squatter", "--key", "squatter.key"]);
        Finished::run(client.arg("--policy").arg(self.policy())).expect(0)
    }

    /// Lets somebody open a channel of this name here first, under a key of the name that the vendor's has: that is
    /// nobody's either. The channel's proof is `squatted`.
    ///
    /// # Panics
    ///
    /// If it can't be opened.
    pub fn squat_channel(&self, world: &World, channel: &str) {
        let mut keygen = world.client();
        Finished::run(keygen.args(["keygen", "vendor.example/publish", "--out", "squatter.key"])).expect(0);
        self.squat(world, &["channel", "create", channel, "--owner", "Vendor", "--out", "squatted"]);
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        self.log.url()
    }

    /// The policy of those who know only this log.
    pub fn policy(&self) -> PathBuf {
        self.dir.join("policy.txt")
    }

    /// The policy of those who take proofs of either log; the world's is the first.
    pub fn policy_of_both(&self) -> &Path {
        &self.both
    }
}
