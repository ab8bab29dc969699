//! Processes: servers that run until they are stopped, commands that finish.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::waiting::wait_until;

/// How long a server may take until it says where it listens. Long, because machines are shared.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server process. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Running {
    /// Starts a server and waits until it prints `listening http://…`. Its output goes to `log`.
    ///
    /// # Panics
    ///
    /// If it stops before that, or says nothing in time; the message has the end of its output.
    pub fn start(program: &Path, args: &[&OsStr], log: &Path) -> Self {
        let started = Self::try_start(program, args, log);
        started.unwrap_or_else(|finished| panic!("{} did not start: {finished:?}", program.display()))
    }

    /// Like [`Running::start`], but a server that stops by itself is an answer.
    ///
    /// # Panics
    ///
    /// If it cannot be started at all, or neither listens nor stops in time.
    pub fn try_start(program: &Path, args: &[&OsStr], log: &Path) -> Result<Self, Finished> {
        let errors =
            File::options().create(true).append(true).open(log).expect("the log file can be written");
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdout = child.stdout.take().expect("stdout is piped");
        let (send, first_line) = mpsc::channel();
        let mut copy = File::options().append(true).open(log).expect("the log file can be written");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = writeln!(copy, "{line}");
                let _ = send.send(line);
            }
        });
        match first_line.recv_timeout(READY_WITHIN) {
            Ok(line) => {
                let url = line.strip_prefix("listening ").unwrap_or_else(|| panic!("first line is {line:?}"));
                Ok(Self { url: url.trim_end_matches('/').to_owned(), child, log: log.to_owned() })
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("{} neither listens nor stops:\n{}", program.display(), tail(log));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("the child can be waited for");
                Err(Finished { status, stdout: String::new(), stderr: tail(log) })
            }
        }
    }

    /// Base URL without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port` it listens on.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How much of its memory is resident, in KiB.
    ///
    /// # Panics
    ///
    /// If the system does not say.
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS is there");
        let number = line.trim().trim_end_matches(" kB");
        number.parse().expect("a number of KiB")
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        tail(&self.log)
    }

    /// Asks it to stop, and waits.
    ///
    /// # Panics
    ///
    /// If it has not stopped within a minute.
    pub fn stop(self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.wait()
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it stops by itself; how it ended and the end of its output.
    ///
    /// # Panics
    ///
    /// If it does not within a minute.
    pub fn wait_and_read(self) -> (ExitStatus, String) {
        let log = self.log.clone();
        (self.wait(), tail(&log))
    }

    /// Waits until it stops.
    ///
    /// # Panics
    ///
    /// If it does not within a minute.
    pub fn wait(mut self) -> ExitStatus {
        wait_until("the server stops", || self.child.try_wait().expect("the child can be waited for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn run(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Exit code; -1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// This, if the exit code is `code`.
    ///
    /// # Panics
    ///
    /// If it is another one; the message has all that was printed.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code() == code, "expected exit code {code}, got {self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}: {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n--- stdout\n{}\n--- stderr\n{}", self.code(), self.stdout, self.stderr)
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
