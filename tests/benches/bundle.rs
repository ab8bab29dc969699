//! Row `bundle`: `indelible bundle root`, the whole process: of a directory with four thousand files, and of a
//! listing of ten million, of which one line is in memory at a time. Beside it, in turns, `sha256sum` of the same.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indelible_tests::world::World;

use crate::Plan;
use crate::report::{Line, Number};
use crate::stats::{Spread, ms};

const FILES: (usize, usize) = (4_000, 100);
/// About the length of a detection rule.
const FILE_BYTES: usize = 1_500;
const FILES_IN_FOLDER: usize = 100;
const ITEMS: (usize, usize) = (10_000_000, 20_000);
const MAX_MS: f64 = 1000.0;
/// What may be kept of each line, so that paths are refused that differ in case only.
const MAX_LINE_BYTES: f64 = 32.0;
/// The rest of the program.
const PROGRAM_MIB: f64 = 32.0;
const KIB_IN_MIB: f64 = 1024.0;
const MIB: f64 = KIB_IN_MIB * KIB_IN_MIB;
/// How often the program is asked for its memory.
const LOOK: Duration = Duration::from_millis(2);

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    Ok(vec![files(plan)?, items(plan)?])
}

fn files(plan: &Plan) -> Result<Line> {
    let count = plan.of(FILES.0, FILES.1);
    let dir = plan.dir().join("bundle");
    for number in 0..count {
        let folder = dir.join(format!("folder-{:03}", number / FILES_IN_FOLDER));
        fs::create_dir_all(&folder)?;
        let line = format!("rule {number} of the generated set\n");
        let content = line.repeat(FILE_BYTES / line.len());
        fs::write(folder.join(format!("rule-{number:05}.yml")), content)?;
    }
    let by_hand = "find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2 | sha256sum";
    let mut rounds = Vec::new();
    for round in 0..=plan.rounds() {
        let ours = root(&[dir.as_os_str()])?;
        let mut sh = Command::new("sh");
        let theirs = time(sh.args(["-ec", by_hand]).current_dir(&dir))?;
        // The first round warms up.
        if round > 0 {
            rounds.push((ms(ours.took), ms(theirs)));
        }
    }
    let line = Line::new(
        "bundle",
        format!("root of {count} files of {FILE_BYTES} B"),
        "ms",
        &rounds,
        "find, sha256sum and sort",
    );
    let met = line.measured.spread.high <= MAX_MS;
    Ok(line.goal(format!("every round at most {MAX_MS} ms"), met))
}

fn items(plan: &Plan) -> Result<Line> {
    let count = plan.of(ITEMS.0, ITEMS.1);
    let (tenth, whole) = (listing(plan.dir(), count / 10)?, listing(plan.dir(), count)?);
    let of_listing = |path: &Path| root(&["--listing".as_ref(), path.as_os_str()]);
    let small = of_listing(&tenth)?;
    let (mut rounds, mut memory) = (vec![], vec![]);
    for _ in 0..plan.of(3, 1) {
        let ours = of_listing(&whole)?;
        let theirs = time(Command::new("sha256sum").arg(&whole))?;
        rounds.push((ours.took.as_secs_f64(), theirs.as_secs_f64()));
        memory.push(ours.peak_mib);
    }
    let line = Line::new(
        "bundle",
        format!("root of a listing of {count} files"),
        "s",
        &rounds,
        "sha256sum of the listing",
    );
    let peak = Spread::of(memory).high;
    let max_mib = PROGRAM_MIB + count as f64 * MAX_LINE_BYTES / MIB;
    let met = peak <= max_mib;
    let (peak, small) = (Number(peak), Number(small.peak_mib));
    Ok(line
        .note(format!("peak memory {peak} MiB; {small} MiB with a tenth of the lines"))
        .goal(format!("peak memory at most {MAX_LINE_BYTES} bytes a line and {PROGRAM_MIB} MiB"), met))
}

/// A listing of so many files, sorted by path.
fn listing(dir: &Path, count: usize) -> Result<PathBuf> {
    let path = dir.join(format!("listing-{count}"));
    let mut file = BufWriter::new(fs::File::create(&path)?);
    let mut line = String::new();
    for number in 0..count {
        line.clear();
        // No two alike, and quick to make.
        let digest = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        writeln!(
            line,
            "{digest:032x}{digest:032x}  folder-{:05}/rule-{number:08}.yml",
            number / FILES_IN_FOLDER
        )?;
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(path)
}

/// One run of `indelible bundle root`.
struct Run {
    took: Duration,
    peak_mib: f64,
}

fn root(source: &[&std::ffi::OsStr]) -> Result<Run> {
    let mut command = World::client_command();
    command.args(["bundle", "root"]).args(source).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().context("indelible can't be started")?;
    let mut peak_kib = 0.0f64;
    let status = loop {
        // The system keeps the highest value, as long as the process is there.
        peak_kib = peak_kib.max(peak_kib_of(child.id()).unwrap_or_default());
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(LOOK),
        }
    };
    let took = begun.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Run { took, peak_mib: peak_kib / KIB_IN_MIB })
}

fn peak_kib_of(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// How long a command takes, which must succeed.
fn time(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let took = begun.elapsed();
    let status = status.with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took)
}
