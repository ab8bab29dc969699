//! A program that is killed at every system call of some kinds in turn, by `strace`: what it leaves behind is as it is
//! when the machine goes away there, but for what was not yet on disk.
//!
//! Calls of a kind are counted within each thread, so a kill may come earlier than meant, and never later.

use std::process::Command;

use crate::process::Finished;

/// Whether a program can be killed here; on the machines that judge changes it has to be.
///
/// # Panics
///
/// If it cannot on one of them.
pub fn can_kill() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "strace is missing");
    if !found {
        eprintln!("SKIPPED: strace is missing");
    }
    found
}

/// One place where a program is killed.
#[derive(Clone, Debug)]
pub struct Kill {
    call: &'static str,
    nth: u32,
}

impl Kill {
    /// Runs a command and kills it there; whether it was, or had come to its end before.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or fails by itself.
    #[track_caller]
    pub fn run(&self, command: &Command) -> bool {
        let Self { call, nth } = self;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
        strace.arg(format!("inject={call}:signal=KILL:when={nth}"));
        strace.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            strace.current_dir(dir);
        }
        let finished = Finished::run(&mut strace);
        // strace ends the way its program did: by the signal, or with its code.
        if finished.code() == -1 {
            return true;
        }
        finished.expect(0);
        false
    }
}

/// Goes through the calls of each kind, the first and then every `step`th; `round` runs the program and says whether it
/// was killed. After a run that was not, the next kind's turn has come. How often it was killed.
pub fn at_each(calls: &[&'static str], step: usize, mut round: impl FnMut(&Kill) -> bool) -> usize {
    let mut killed = 0;
    for call in calls {
        let places = (1..).step_by(step).map(|nth| Kill { call, nth });
        killed += places.take_while(|kill| round(kill)).count();
    }
    killed
}
