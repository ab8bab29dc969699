//! Failures of single system calls, put into a running server by `strace`.
//!
//! A call is named by what it is and the how-manieth of its kind its thread makes. Threads are not told apart,
//! so that a failure may meet more than one of them: that is more than was asked for, never less.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Every call that changes files or makes them durable. A log's files are never written with `write`, which is
/// what sockets and wake-ups use; [`Recorded`] makes sure of it.
const CALLS: &str = "openat,open,creat,pwrite64,pwritev,fsync,fdatasync,sync_file_range,syncfs,rename,renameat,\
                     renameat2,link,linkat,unlink,unlinkat,ftruncate,fallocate,mkdir,mkdirat,rmdir,write";

/// How long strace may take to let a process go before it is made to.
const DETACHES_WITHIN: Duration = Duration::from_secs(3);
/// The same for a process that has ended.
const ENDS_WITHIN: Duration = Duration::from_millis(300);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A system call of one kind, counted within its thread from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) nth: u64,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and nothing was done.
    Io,
    /// The same, for want of room.
    NoSpace,
    /// The process is killed in it.
    Kill,
    /// It says that it was done and was not.
    Lie,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Io, Self::NoSpace, Self::Kill, Self::Lie];

    /// Whether it makes sense for a call. A lie about anything but a sync is no failure that disks have.
    pub(crate) fn fits(self, call: &Call) -> bool {
        self != Self::Lie || call.name.contains("sync")
    }

    fn injection(self, call: &Call) -> String {
        let what = match self {
            Self::Io => "error=EIO",
            Self::NoSpace => "error=ENOSPC",
            Self::Kill => "signal=KILL",
            Self::Lie => "retval=0",
        };
        format!("inject={}:{what}:when={}", call.name, call.nth)
    }
}

/// `strace` attached to a process.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    output: PathBuf,
    /// The process that is watched.
    pid: u32,
}

impl Strace {
    /// Attaches, to record or to make a call fail. Every thread is watched when this returns.
    pub(crate) fn attach(pid: u32, output: &Path, fault: Option<(&Call, Fault)>) -> Result<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-p", &pid.to_string(), "-o"]).arg(output);
        match fault {
            None => strace.args(["-e", &format!("trace=?{}", CALLS.replace(',', ",?"))]),
            Some((call, fault)) => {
                strace.args(["-e", &format!("trace={}", call.name), "-e", &fault.injection(call)])
            }
        };
        let mut child = strace.stderr(Stdio::piped()).spawn().context("strace can't be started")?;
        let errors = child.stderr.take().context("its errors are a pipe")?;
        let mut lines = BufReader::new(errors).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        ensure!(first.contains("attached"), "strace can't watch the log: {first}");
        // It goes on saying who comes and goes.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, output: output.to_owned(), pid })
    }

    /// Lets the process go; what was recorded.
    pub(crate) fn detach(mut self) -> Result<Recorded> {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().try_into()?) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        // A thread that was killed in the middle can leave strace waiting for it for ever.
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            let within = if is_alive(self.pid) { DETACHES_WITHIN } else { ENDS_WITHIN };
            if began.elapsed() > within {
                self.child.kill()?;
                self.child.wait()?;
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        Ok(Recorded(std::fs::read_to_string(&self.output)?))
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process has not ended. One that has and was not waited for is a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// What `strace` wrote: one line for each call, after the thread's number.
#[derive(Debug)]
pub(crate) struct Recorded(String);

impl Recorded {
    /// The calls on files below `dir`, with what tells them apart.
    pub(crate) fn calls(&self, dir: &Path) -> Result<BTreeSet<Call>> {
        let dir = dir.to_string_lossy();
        let (mut counts, mut calls) = (HashMap::<(&str, &str), u64>::new(), BTreeSet::new());
        for line in self.0.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                continue;
            }
            let nth = counts.entry((thread, name)).or_default();
            *nth += 1;
            if !rest.contains(&*dir) {
                continue;
            }
            ensure!(
                name != "write",
                "a file of the log is written with write(2), which is not tried: {line}"
            );
            calls.insert(Call { name: name.to_owned(), nth: *nth });
        }
        Ok(calls)
    }

    /// The paths below `dir` that calls were made to fail on.
    pub(crate) fn failed(&self, dir: &Path) -> Vec<String> {
        let dir = dir.to_string_lossy();
        // A call that another thread's came between is written in two lines; the first has the path.
        let (mut begun, mut failed) = (HashMap::<&str, &str>::new(), Vec::new());
        for line in self.0.lines() {
            let thread = line.split(' ').next().unwrap_or_default();
            if line.contains("<unfinished ...>") {
                begun.insert(thread, line);
            }
            let first = if line.contains(" resumed>") { begun.remove(thread) } else { None };
            if line.contains("(INJECTED") {
                failed.extend(path_below(first.unwrap_or(line), &dir));
            }
        }
        failed
    }
}

/// The last path below `dir` that a line has, relative to it.
fn path_below(line: &str, dir: &str) -> Option<String> {
    let (_, rest) = line.rsplit_once(dir)?;
    let end = rest.find(['>', '"', ',', ')']).unwrap_or(rest.len());
    Some(rest[..end].trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_is_found_in_one_line_or_two() {
        let recorded = Recorded(
            "7 fdatasync(5</log/data/journal/1>) = -1 EIO (Input/output error) (INJECTED)\n\
             8 pwrite64(6</log/data/tile/x>, \"..\", 2, 0 <unfinished ...>\n\
             9 pwrite64(7</log/data/heads>, \"..\", 2, 0 <unfinished ...>\n\
             9 <... pwrite64 resumed>) = 2\n\
             8 <... pwrite64 resumed>) = -1 EIO (Input/output error) (INJECTED)\n"
                .to_owned(),
        );
        assert_eq!(recorded.failed(Path::new("/log/data")), ["journal/1", "tile/x"]);
    }
}
