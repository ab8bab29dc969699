//! What the measurements were made on.

use std::path::Path;

use serde::Serialize;

/// The machine, as far as it explains the numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    cpu: String,
    /// Cores this process may use.
    cores: usize,
    /// Whether the processor has instructions for SHA-256.
    sha: bool,
    /// File system of the folder in which the logs are made.
    file_system: String,
    /// Release of the kernel.
    kernel: String,
    /// Processes that wanted to run, on average over the last minute, when the benchmark began.
    load: String,
}

impl Machine {
    /// This machine.
    pub(crate) fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let cpu = read("/proc/cpuinfo");
        let value = |name: &str| {
            let line = cpu.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let has_sha = |flags: String| flags.split(' ').any(|flag| matches!(flag, "sha_ni" | "sha2"));
        Self {
            cpu: value("model name").unwrap_or_else(unknown),
            cores: cores(),
            sha: value("flags").or_else(|| value("Features")).is_some_and(has_sha),
            file_system: file_system(&std::env::temp_dir()).unwrap_or_else(unknown),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// All of it in one line.
    pub(crate) fn line(&self) -> String {
        let Self { cpu, cores, sha, file_system, kernel, load } = self;
        let sha = if *sha { "with" } else { "without" };
        format!(
            "{cpu}, {cores} cores, {sha} SHA instructions; {file_system}; Linux {kernel}; load {load} before"
        )
    }

    /// Whether what is called synced may be in memory only.
    pub(crate) fn forgets(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs" | "unknown")
    }
}

/// Cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// The file system type of the longest mount point above `dir`.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = read("/proc/self/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(point, _)| dir.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
