//! CPU time, as the system accounts it. Less noisy than rates: what other processes take does not count.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// CPU time this process has used so far, all threads together.
pub(crate) fn of_this_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

/// CPU time another process has used so far, in user and system mode; usually in steps of 10 ms.
///
/// # Errors
/// If it is gone, or the system has no `/proc`.
pub(crate) fn of_process(pid: u32) -> Result<Duration> {
    from_stat(&format!("/proc/{pid}/stat"), 11)
}

/// CPU time that the processes have used that this one started and that have ended.
///
/// # Errors
/// If the system has no `/proc`.
pub(crate) fn of_children() -> Result<Duration> {
    from_stat("/proc/self/stat", 13)
}

/// Two fields of a `stat` file, user and system time, by where the first is after the process's name.
fn from_stat(path: &str, first: usize) -> Result<Duration> {
    let stat = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    // The second field is the name in parentheses and may have spaces; user and system time are the 14th
    // and 15th.
    let after_name = stat.rsplit_once(')').map(|(_, fields)| fields);
    let fields: Vec<&str> = after_name.unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok());
    let ticks = ticks(first).zip(ticks(first + 1)).map(|(user, system)| user + system);
    let ticks = ticks.with_context(|| format!("{path} has no CPU times"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// CPU time that threads of this process have used so far whose names begin with one of `names`. Those that
/// have ended do not count.
///
/// # Errors
/// If the system has no `/proc`.
pub(crate) fn of_threads(names: &[&str]) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        // A thread that ends between two of these calls is one that has ended.
        let Ok(name) = std::fs::read_to_string(thread.join("comm")) else { continue };
        if names.iter().any(|wanted| name.starts_with(wanted)) {
            let stat = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            nanoseconds += stat.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}
