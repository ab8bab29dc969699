//! One log without witnesses in a directory that the rig picks: made, started, started again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_proto::policy::Policy;
use indelible_tests::http;
use indelible_tests::world::{Kind, ORIGIN};
use indelible_tests::{Finished, Running, binaries};

/// A log's directory, and where its output goes.
#[derive(Debug)]
pub(crate) struct Site {
    dir: PathBuf,
    output: PathBuf,
}

impl Site {
    /// A new log in `dir`.
    pub(crate) fn make(dir: &Path, output: &Path, kind: Kind) -> Result<Self> {
        let kind = if kind == Kind::Raw { "raw" } else { "records" };
        let mut init = Command::new(&binaries().server);
        init.arg("init").arg(dir).args(["--origin", ORIGIN, "--no-witnesses", "--kind", kind]);
        let made = Finished::run(&mut init);
        ensure!(made.code() == 0, "no log can be made: {made}");
        Ok(Self::at(dir, output))
    }

    /// The log that is in `dir`.
    pub(crate) fn at(dir: &Path, output: &Path) -> Self {
        Self { dir: dir.to_owned(), output: output.to_owned() }
    }

    /// The policy that its clients get.
    pub(crate) fn policy(&self) -> Result<Policy> {
        let bytes = std::fs::read(self.policy_file()).context("the policy can't be read")?;
        Policy::parse(&bytes).map_err(|error| anyhow!("the policy is none: {error}"))
    }

    /// That policy's file.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.dir.join("policy.txt")
    }

    /// Gives it another policy, from its next start on.
    pub(crate) fn set_policy(&self, policy: &str) -> Result<()> {
        std::fs::write(self.policy_file(), policy).context("the policy can't be written")
    }

    /// Changes one of its settings; it counts from its next start on.
    pub(crate) fn configure(&self, key: &str, value: usize) -> Result<()> {
        let path = self.dir.join("log.toml");
        let text = std::fs::read_to_string(&path).context("the settings can't be read")?;
        let is_it = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "));
        ensure!(text.lines().any(is_it), "the log has no setting {key}");
        let change = |line| if is_it(line) { format!("{key} = {value}\n") } else { format!("{line}\n") };
        std::fs::write(&path, text.lines().map(change).collect::<String>()).context("they can't be written")
    }

    /// Keeps as few keys in memory as may be, so that most are in the index's files, and more are put there with every
    /// bundle.
    pub(crate) fn keep_few_keys_in_memory(&self) -> Result<()> {
        self.configure("memory_entries", 512)
    }

    /// Starts it on a port that the system picks; what it says if it does not start.
    pub(crate) fn start(&self) -> Result<Running> {
        self.try_start().map_err(|finished| anyhow!("UNOPENABLE: the log does not start: {finished}"))
    }

    /// The same, where a log that does not start is an answer.
    pub(crate) fn try_start(&self) -> Result<Running, Finished> {
        let args: [&OsStr; 4] =
            ["run".as_ref(), self.dir.as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
        Running::try_start(&binaries().server, &args, &self.output)
    }

    /// Starts it and waits until its index is open, which is opened beside the start.
    pub(crate) fn start_with_index(&self) -> Result<Running> {
        let log = self.start()?;
        let ask = format!("GET /lookup/leaf/{} HTTP/1.1\r\nhost: test\r\n\r\n", "00".repeat(32));
        let asked = http::exchange(log.address(), ask.as_bytes(), false)?;
        ensure!(asked.status == 404, "the index is not open: {} {}", asked.status, asked.text());
        Ok(log)
    }

    /// Whether its index was found unusable since the output began.
    pub(crate) fn made_index_again(&self) -> Result<bool> {
        let said = std::fs::read_to_string(&self.output).context("the log's output can't be read")?;
        Ok(said.contains("the index is made again"))
    }

    /// The log's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}
