//! A log of one kind with its witnesses, as real processes in a folder of their own.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use indelible_proto::policy::Policy;
use tempfile::TempDir;

use crate::binaries::{Binaries, binaries};
use crate::process::{Finished, Running};
use crate::reader::Reader;

/// Origin of the logs made here.
pub const ORIGIN: &str = "log.example/updates";

/// What a log of the world takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed records.
    Records,
    /// Any bytes.
    Raw,
}

/// Who signs with an ML-DSA-44 key.
#[derive(Debug, Default)]
struct Keys {
    log: bool,
    witnesses: Vec<usize>,
}

impl Keys {
    /// What `init` is told.
    fn argument(ml_dsa: bool) -> &'static [&'static str] {
        if ml_dsa { &["--algorithm", "ml-dsa-44"] } else { &[] }
    }
}

/// A running log with its running witnesses. Everything is stopped and deleted when this is dropped.
#[derive(Debug)]
pub struct World {
    log: Option<Running>,
    witnesses: Vec<Option<Running>>,
    dir: TempDir,
}

impl World {
    /// A running log with `witnesses` running witnesses of which `quorum` must cosign.
    ///
    /// # Panics
    ///
    /// If any of it cannot be made or started.
    pub fn start(kind: Kind, witnesses: usize, quorum: usize) -> Self {
        let mut world = Self::prepare(kind, witnesses, quorum);
        world.start_all();
        world
    }

    /// The same, made and not started.
    ///
    /// # Panics
    ///
    /// If any of it cannot be made.
    pub fn prepare(kind: Kind, witnesses: usize, quorum: usize) -> Self {
        Self::prepare_with(&Keys::default(), kind, witnesses, quorum)
    }

    /// The same, of a log and witnesses that all sign with ML-DSA-44 keys.
    ///
    /// # Panics
    ///
    /// If any of it cannot be made.
    pub fn prepare_ml_dsa(kind: Kind, witnesses: usize, quorum: usize) -> Self {
        Self::prepare_with(&Keys { log: true, witnesses: (0..witnesses).collect() }, kind, witnesses, quorum)
    }

    /// The same, of which only these witnesses have ML-DSA-44 keys.
    ///
    /// # Panics
    ///
    /// If any of it cannot be made.
    pub fn prepare_mixed(ml_dsa: &[usize], kind: Kind, witnesses: usize, quorum: usize) -> Self {
        Self::prepare_with(&Keys { log: false, witnesses: ml_dsa.to_vec() }, kind, witnesses, quorum)
    }

    fn prepare_with(keys: &Keys, kind: Kind, witnesses: usize, quorum: usize) -> Self {
        let dir = TempDir::with_prefix("indelible-").expect("a folder can be made");
        let world = Self { log: None, witnesses: (0..witnesses).map(|_| None).collect(), dir };
        let mut init = world.server();
        init.arg("init")
            .arg(world.log_dir())
            .args(["--origin", ORIGIN, "--listen", &free_address()])
            .args(Keys::argument(keys.log));
        init.args(["--kind", if kind == Kind::Raw { "raw" } else { "records" }]);
        for n in 0..witnesses {
            let (name, address) = (format!("witness.example/w{n}"), free_address());
            let mut made = Command::new(&binaries().witness);
            made.arg("init").arg(world.witness_dir(n)).args(["--name", &name, "--listen", &address]);
            made.args(Keys::argument(keys.witnesses.contains(&n)));
            Finished::run(&mut made).expect(0);
            init.arg("--witness").arg(format!("{} http://{address}", world.witness_vkey(n)));
        }
        if witnesses == 0 {
            init.arg("--no-witnesses");
        } else {
            init.args(["--quorum", &quorum.to_string()]);
        }
        Finished::run(&mut init).expect(0);
        let log_key = world.log_vkey();
        for n in 0..witnesses {
            let mut add = Command::new(&binaries().witness);
            Finished::run(add.arg("add-log").arg(world.witness_dir(n)).arg(&log_key)).expect(0);
        }
        world
    }

    /// Starts the witnesses, then the log; none of them may run.
    pub fn start_all(&mut self) {
        for n in 0..self.witnesses.len() {
            self.start_witness(n);
        }
        self.start_log();
    }

    /// Changes one of the log's settings; it counts from the log's next start on.
    ///
    /// # Panics
    ///
    /// If there is no such setting.
    pub fn configure_log(&self, key: &str, value: u64) {
        let path = self.log_dir().join("log.toml");
        let text = std::fs::read_to_string(&path).expect("the settings can be read");
        let is_it = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "));
        assert!(text.lines().any(is_it), "the log has no setting {key}");
        let change = |line| if is_it(line) { format!("{key} = {value}\n") } else { format!("{line}\n") };
        std::fs::write(&path, text.lines().map(change).collect::<String>()).expect("they can be written");
    }

    /// The folder of everything.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in that folder.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The log's directory.
    pub fn log_dir(&self) -> PathBuf {
        self.file("log")
    }

    /// A witness's directory.
    pub fn witness_dir(&self, n: usize) -> PathBuf {
        self.file(format!("witness-{n}"))
    }

    /// The policy that clients get.
    pub fn policy(&self) -> PathBuf {
        self.log_dir().join("policy.txt")
    }

    /// That policy, read.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn read_policy(&self) -> Policy {
        let bytes = std::fs::read(self.policy()).expect("the policy can be read");
        Policy::parse(&bytes).expect("it is a policy")
    }

    /// A reader of the running log.
    pub fn reader(&self) -> Reader {
        Reader::new(self.url(), &self.read_policy())
    }

    /// The log's verifier key.
    pub fn log_vkey(&self) -> String {
        read_line(&self.log_dir().join("log.vkey"))
    }

    /// A witness's verifier key.
    pub fn witness_vkey(&self, n: usize) -> String {
        read_line(&self.witness_dir(n).join("witness.vkey"))
    }

    /// The running log.
    ///
    /// # Panics
    ///
    /// If it was stopped.
    pub fn log(&self) -> &Running {
        self.log.as_ref().expect("the log runs")
    }

    /// The log's base URL.
    pub fn url(&self) -> &str {
        self.log().url()
    }

    /// A running witness.
    ///
    /// # Panics
    ///
    /// If it was stopped.
    pub fn witness(&self, n: usize) -> &Running {
        self.witnesses[n].as_ref().expect("the witness runs")
    }

    /// Starts the log, which must not run.
    pub fn start_log(&mut self) {
        let started = self.try_start_log();
        started.unwrap_or_else(|finished| panic!("the log did not start: {finished}"));
    }

    /// Starts the log; a log that refuses is an answer.
    pub fn try_start_log(&mut self) -> Result<(), Finished> {
        assert!(self.log.is_none(), "the log runs already");
        let dir = self.log_dir();
        let args: [&OsStr; 2] = ["run".as_ref(), dir.as_ref()];
        self.log = Some(Running::try_start(&binaries().server, &args, &self.file("log.out"))?);
        Ok(())
    }

    /// Takes the log out of the world, to stop or kill it.
    pub fn take_log(&mut self) -> Running {
        self.log.take().expect("the log runs")
    }

    /// Takes a witness out of the world, to stop or kill it.
    pub fn take_witness(&mut self, n: usize) -> Running {
        self.witnesses[n].take().expect("the witness runs")
    }

    /// Starts a witness, which must not run, at the address it was made with.
    pub fn start_witness(&mut self, n: usize) {
        assert!(self.witnesses[n].is_none(), "the witness runs already");
        let dir = self.witness_dir(n);
        let args: [&OsStr; 2] = ["run".as_ref(), dir.as_ref()];
        let output = self.file(format!("witness-{n}.out"));
        self.witnesses[n] = Some(Running::start(&binaries().witness, &args, &output));
    }

    /// `indelible` with this world's state folder.
    pub fn client(&self) -> Command {
        let mut command = Self::client_command();
        command.env("XDG_STATE_HOME", self.file("state")).current_dir(self.path());
        command
    }

    /// `indelible` for someone who has no part in any world.
    pub fn client_command() -> Command {
        Command::new(&Self::binaries().client)
    }

    /// `indelible-server`.
    pub fn server(&self) -> Command {
        Command::new(&Self::binaries().server)
    }

    /// The binaries in use.
    pub fn binaries() -> &'static Binaries {
        binaries()
    }
}

/// An address on loopback that nobody listens on, and that a restarted server can have again: below the ports
/// that the system hands out for outgoing connections.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    // Processes start at different places, so that they seldom try the same port.
    let start = u16::try_from(std::process::id().wrapping_mul(7919) % u32::from(COUNT)).unwrap_or(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + offset) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

fn read_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end_matches('\n').to_owned()
}
