//! Logs, mirrors and witnesses as directories and files; each test says who shows what, and what the
//! watchdog must make of it.

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::policy::Policy;
use indelible_proto::sign::Signer as _;
use indelible_proto::size::TreeSize;
use indelible_proto::tile::{BundleId, TileId};

use super::*;
use crate::fetch::Source;
use crate::http::{HttpClient, Timeouts};
use crate::state::StateError;
use crate::test_log::TestLog;

mod honest;
mod lies;
mod limits;
mod records;
mod restart;

/// A log with `size` entries.
fn log_of(size: usize) -> TestLog {
    let mut log = TestLog::new();
    grow(&mut log, size, "");
    log
}

/// The same log with other entries from `from` on, signed with the same key.
fn forked(log: &TestLog, from: usize, size: usize) -> TestLog {
    let mut fork = log.clone();
    fork.entries.truncate(from);
    grow(&mut fork, size, "fork of ");
    fork
}

fn grow(log: &mut TestLog, size: usize, prefix: &str) {
    for i in log.entries.len()..size {
        log.append(format!("{prefix}entry {i}").as_bytes());
    }
}

fn size(size: usize) -> TreeSize {
    TreeSize::new(size as u64).unwrap()
}

/// Directories for one test.
struct World {
    dir: tempfile::TempDir,
    policy: Policy,
    kind: LogKind,
    sources: Vec<PathBuf>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = TestLog::new().policy(2);
        Self { dir, policy, kind: LogKind::Raw, sources: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the log shows: the tree of all entries, cosigned by all witnesses.
    fn publish(&self, log: &TestLog) {
        log.publish(&self.path("log"));
    }

    /// A mirror with what `log` says.
    fn mirror(&mut self, name: &str, log: &TestLog) {
        log.publish(&self.path(name));
        self.add_source(name);
    }

    /// A checkpoint that someone received and hands in.
    fn hand_in(&mut self, name: &str, log: &TestLog, size: usize) {
        fs::write(self.path(name), log.note(size, 0).encode()).unwrap();
        self.add_source(name);
    }

    fn add_source(&mut self, name: &str) {
        let path = self.path(name);
        if !self.sources.contains(&path) {
            self.sources.push(path);
        }
    }

    fn publish_at(&self, name: &str, log: &TestLog, note: &[u8]) {
        log.publish(&self.path(name));
        write(&self.path(name).join("checkpoint"), note);
    }

    fn open_dir(&self) -> Result<WatchDir, StateError> {
        WatchDir::open(&self.path("state"), &self.path("evidence"))
    }

    /// A watchdog that starts with what is on disk.
    fn open(&self) -> Result<Follower, StateError> {
        let client = HttpClient::new(Timeouts::default()).unwrap();
        let source = |path: &PathBuf| Source::parse(path.to_str().unwrap(), &client).unwrap();
        let sources: Vec<_> = self.sources.iter().map(source).collect();
        let log = Source::directory(&self.path("log"));
        // The policy of a test may name other logs too, which are not followed.
        let places = Places::of_policy(&TestLog::new().policy(2), Some(&log), &sources, &client);
        let places = places.unwrap().remove(0);
        Follower::open(&self.open_dir()?, places, &self.policy, self.kind)
    }

    /// One round of a watchdog that starts with what is on disk and ends after it.
    async fn round(&self) -> Heard {
        round(&mut self.open().unwrap()).await
    }

    fn evidence(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.path("evidence")) else {
            return Vec::new();
        };
        files.map(|file| file.unwrap().path()).collect()
    }

    /// The one evidence file, which a stranger accepts.
    fn the_fork(&self) -> indelible_proto::evidence::Fork {
        let files = self.evidence();
        assert_eq!(files.len(), 1, "{files:?}");
        let evidence = ForkEvidence::parse(&fs::read(&files[0]).unwrap()).unwrap();
        evidence.verify(TestLog::new().signer.verifier()).unwrap()
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What a round said.
#[derive(Default)]
struct Heard {
    codes: Vec<&'static str>,
    texts: Vec<String>,
    alerts: Vec<Alert>,
    /// Whether each evidence file was there when it was spoken of.
    evidence_was_there: Vec<bool>,
    gravest: Option<Class>,
    trouble: Option<StateError>,
}

impl Listener for Heard {
    fn hear(&mut self, report: &Report, evidence: Option<&Path>) {
        match &report.finding {
            Finding::Good(check) => {
                self.codes.push(check.code());
                self.texts.push(check.to_string());
            }
            Finding::Bad(alert) => {
                self.codes.push(alert.code());
                self.texts.push(alert.to_string());
                self.alerts.push(alert.clone());
            }
        }
        self.evidence_was_there.extend(evidence.map(Path::exists));
    }
}

async fn round(follower: &mut Follower) -> Heard {
    let mut heard = Heard::default();
    let Round { gravest, trouble } = follower.round(&mut heard).await.unwrap();
    Heard { gravest, trouble, ..heard }
}
