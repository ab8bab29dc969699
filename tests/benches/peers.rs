//! Other people's programs that rows are measured against, installed when a row needs them: Go programs through
//! the module proxy into `target/tools`, nginx as a Debian package. A row whose peer can't be had says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// The release of Tessera that is measured.
const TESSERA: &str = "github.com/transparency-dev/tessera";
const TESSERA_VERSION: &str = "v1.0.4";
/// How long a peer may take until it listens.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What Tessera did in its own process.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct PeerAppends {
    entries: f64,
    seconds: f64,
    cpu_seconds: f64,
}

impl PeerAppends {
    pub(crate) fn per_s(&self) -> f64 {
        self.entries / self.seconds
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds / self.entries * 1e6
    }
}

/// Our own small program around Tessera's library.
#[derive(Debug)]
pub(crate) struct TesseraInProcess(PathBuf);

impl TesseraInProcess {
    /// Builds it.
    ///
    /// # Errors
    /// If there is no Go, or its modules can't be had.
    pub(crate) fn install() -> Result<Self> {
        let program = tools().join("peer");
        fs::create_dir_all(tools())?;
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer");
        run(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(module))?;
        Ok(Self(program))
    }

    /// Appends to a new log in `dir`, which is deleted afterwards.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn append(&self, dir: &Path, entries: usize) -> Result<PeerAppends> {
        let dir = tempfile::tempdir_in(dir)?;
        let mut command = Command::new(&self.0);
        command.arg("-dir").arg(dir.path().join("log")).args(["-entries", &entries.to_string()]);
        Ok(serde_json::from_str(&run(&mut command)?)?)
    }

    /// Makes a key for a Tessera server: the secret's file, and the verifier key.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn make_key(&self, dir: &Path) -> Result<(PathBuf, String)> {
        let file = dir.join("tessera.key");
        let verifier = run(Command::new(&self.0).arg("-key").arg(&file))?;
        Ok((file, verifier.trim().to_owned()))
    }
}

/// Tessera's HTTP server on POSIX files, and its load generator, both as released.
#[derive(Debug)]
pub(crate) struct TesseraPrograms {
    pub(crate) server: PathBuf,
    pub(crate) hammer: PathBuf,
}

impl TesseraPrograms {
    /// Builds them.
    ///
    /// # Errors
    /// If there is no Go, or the module can't be had.
    pub(crate) fn install() -> Result<Self> {
        let packages = ["cmd/conformance/posix", "internal/hammer"]
            .map(|package| format!("{TESSERA}/{package}@{TESSERA_VERSION}"));
        run(Command::new("go").arg("install").args(packages).env("GOBIN", tools()))?;
        Ok(Self { server: tools().join("posix"), hammer: tools().join("hammer") })
    }
}

/// The version that is measured, as a person writes it.
pub(crate) fn tessera() -> String {
    format!("Tessera {TESSERA_VERSION}")
}

/// nginx, the machine's own or Debian's.
///
/// # Errors
/// If it is not there and can't be installed.
pub(crate) fn nginx() -> Result<PathBuf> {
    if let Some(found) = find("nginx") {
        return Ok(found);
    }
    run(Command::new("apt-get").args(["-qq", "update"]))?;
    // The package would start a server of its own on port 80.
    let mut install = Command::new("apt-get");
    install.args(["-qq", "install", "-y", "--no-install-recommends", "nginx-light"]);
    run(install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))?;
    find("nginx").context("the package nginx-light has no nginx")
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A peer's server. Killed when dropped.
#[derive(Debug)]
pub(crate) struct PeerServer {
    child: Child,
    address: String,
}

impl PeerServer {
    /// Starts a program that will listen on `address`, and waits until it does.
    ///
    /// # Errors
    /// If it can't be started, ends, or does not listen in time.
    pub(crate) fn start(command: &mut Command, address: &str, output: &Path) -> Result<Self> {
        let output = fs::File::create(output)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
        let child = child.with_context(|| command.get_program().display().to_string())?;
        let mut started = Self { child, address: address.to_owned() };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = started.child.try_wait()? {
                bail!("{} ended: {status}", command.get_program().display());
            }
            ensure!(begun.elapsed() < READY_WITHIN, "{} does not listen", command.get_program().display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(started)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/benches")
}

/// Runs a command to its end; what it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| command.get_program().display().to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    ensure!(output.status.success(), "{}: {}: {last}", command.get_program().display(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}
