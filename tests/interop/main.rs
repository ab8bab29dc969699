//! Foreign implementations judge ours, and ours judges theirs. Needs Go and Python: `tests/run interop`.

#![allow(clippy::unwrap_used, reason = "a test may end anywhere")]

mod cosigned;
mod dsse;
mod history;
mod imported;
mod ours;
mod rules;
mod scenarios;
mod theirs;

use std::path::Path;
use std::process::Command;

use indelible_tests::Finished;

/// Sizes where trees change their shape: one around each power of two and each multiple of 256, up to 70,000.
fn sizes() -> Vec<u64> {
    let powers = (0..=16).map(|k| 1u64 << k);
    let tiles = (1..=273).map(|k| k * 256);
    let mut sizes: Vec<u64> = powers.chain(tiles).flat_map(|size| [size - 1, size, size + 1]).collect();
    sizes.push(70_000);
    sizes.retain(|size| *size <= 70_000);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Runs Go in `tests/interop`.
fn go(args: &[&str], env: &[(&str, &Path)]) -> Finished {
    go_in("interop", args, env)
}

/// Runs Go in a folder of `tests`.
fn go_in(folder: &str, args: &[&str], env: &[(&str, &Path)]) -> Finished {
    let mut go = Command::new("go");
    go.args(args).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    for (name, value) in env {
        go.env(name, value);
    }
    Finished::run(&mut go)
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct InclusionLine {
    index: u64,
    size: u64,
    leaf: String,
    proof: Vec<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsistencyLine {
    old: u64,
    new: u64,
    proof: Vec<String>,
}
