//! Where the built binaries are.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Paths of the project's binaries.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `indelible`, the client.
    pub client: PathBuf,
    /// `indelible-server`, the log.
    pub server: PathBuf,
    /// `indelible-witness`.
    pub witness: PathBuf,
}

/// Builds the binaries from the sources as they are now, once a process, in the caller's own profile.
///
/// # Panics
///
/// If they do not build: nothing can be tested then.
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Binaries> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Binaries {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--workspace", "--bins", "--message-format=json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    if cfg!(feature = "planted-bugs") {
        // In a directory of their own, so that no other build ever finds them. With the same features as the
        // program that is running, or cargo would put another one in its place.
        let features =
            "indelible-tests/planted-bugs,indelible-server/planted-bugs,indelible-witness/planted-bugs";
        cargo.args(["--features", features, "--target-dir", "target/planted"]);
    }
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stderr(Stdio::inherit());
    // Cargo sets these for what it runs. Some build scripts would take them for changed settings, and build
    // half of the dependencies again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().expect("cargo can be started");
    assert!(output.status.success(), "the binaries do not build");
    let artifacts: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(|message: &serde_json::Value| message["reason"] == "compiler-artifact")
        .collect();
    let find = |name: &str| {
        let found = artifacts
            .iter()
            .find(|message| message["target"]["name"] == name && message["executable"].is_string());
        let path = found.and_then(|message| message["executable"].as_str());
        PathBuf::from(path.unwrap_or_else(|| panic!("cargo built no binary {name}")))
    };
    Binaries {
        client: find("indelible"),
        server: find("indelible-server"),
        witness: find("indelible-witness"),
    }
}
