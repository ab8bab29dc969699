//! A witness program by itself, asked by a test in the place of its log.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::{KeyKind, KeyName, SignedNote, VerifierKey};
use indelible_proto::sign::{LogSigner, SecretKey, Signer as _};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::{AddCheckpointRequest, checkpoint_path};
use indelible_tests::http::{self, Answer};
use indelible_tests::{Finished, Rogue, Running, World};
use tempfile::TempDir;

/// The log that the witness knows.
pub(crate) const ORIGIN: &str = "log.example/witnessed";

/// A running witness that knows one log, and that log's operator.
pub(crate) struct Bench {
    dir: TempDir,
    running: Option<Running>,
    /// The witness's key.
    pub(crate) key: VerifierKey,
    /// The log's.
    pub(crate) log: LogSigner,
    /// Its operator, honest so far: eight entries.
    pub(crate) rogue: Rogue,
}

impl Bench {
    /// A witness that has seen nothing of its log yet.
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("indelible-witness-").unwrap();
        let log = log_signer(ORIGIN, 1);
        let entries = (0..8).map(|n| Entry::new(format!("entry {n}").into_bytes()).unwrap()).collect();
        let rogue = rogue_with(dir.path(), ORIGIN, entries);
        let witness = dir.path().join("witness");
        let mut init = Command::new(&World::binaries().witness);
        init.arg("init").arg(&witness).args(["--name", "witness.example/w", "--listen", "127.0.0.1:0"]);
        let key = Finished::run(&mut init).expect(0).stdout;
        let mut add = Command::new(&World::binaries().witness);
        add.arg("add-log").arg(&witness).arg(log.verifier().encode());
        Finished::run(&mut add).expect(0);
        let key = VerifierKey::parse(key.trim_end()).unwrap();
        let mut bench = Self { dir, running: None, key, log, rogue };
        bench.start();
        bench
    }

    /// An operator with the key of the log `origin` and a tree of these entries.
    pub(crate) fn rogue_of(&self, origin: &str, entries: Vec<Entry>) -> Rogue {
        rogue_with(self.dir.path(), origin, entries)
    }

    /// A tree like the log's, but for the entry at `index`.
    pub(crate) fn fork_at(&self, index: usize, entry: &str) -> Rogue {
        let mut fork = self.rogue_of(ORIGIN, self.rogue.entries().to_vec());
        fork.replace(index, Entry::new(entry.as_bytes().to_vec()).unwrap());
        fork
    }

    /// A path beside the witness's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The witness's directory.
    pub(crate) fn witness_dir(&self) -> PathBuf {
        self.dir.path().join("witness")
    }

    /// Starts the witness, which must not run.
    pub(crate) fn start(&mut self) {
        let dir = self.witness_dir();
        let args: [&OsStr; 2] = ["run".as_ref(), dir.as_ref()];
        self.running = Some(Running::start(&World::binaries().witness, &args, &self.dir.path().join("out")));
    }

    /// Kills the witness.
    pub(crate) fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.running.as_ref().unwrap().address()
    }

    /// Posts any body.
    pub(crate) fn post(&self, body: &[u8]) -> Answer {
        http::post(self.address(), "/add-checkpoint", body)
    }

    /// Asks for a cosignature of the honest tree.
    pub(crate) fn add(&self, old: u64, new: u64) -> Answer {
        self.post(&request(&self.rogue, old, new).encode())
    }

    /// What the witness serves of the log.
    pub(crate) fn latest(&self) -> Answer {
        http::get(self.address(), &checkpoint_path(&Origin::parse(ORIGIN).unwrap()))
    }

    /// The size of the checkpoint it serves, whose signatures by log and witness are valid.
    pub(crate) fn cosigned(&self) -> u64 {
        let note = SignedNote::parse(&self.latest().expect(200).body).unwrap();
        assert!(self.key.verify_note(&note).unwrap().is_some());
        note.text().lines().nth(1).unwrap().parse().unwrap()
    }
}

pub(crate) fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

/// A request to cosign the rogue's tree of `new` entries, with its proof from `old` ones.
pub(crate) fn request(rogue: &Rogue, old: u64, new: u64) -> AddCheckpointRequest {
    let proof = if old == 0 { nothing() } else { rogue.consistency(size(old), size(new)) };
    AddCheckpointRequest { old: size(old), proof, note: rogue.checkpoint(size(new)) }
}

/// A proof without hashes.
pub(crate) fn nothing() -> ConsistencyProof {
    ConsistencyProof::new(Vec::new()).unwrap()
}

/// The key of the log `origin`; another one for each seed.
pub(crate) fn log_signer(origin: &str, seed: u8) -> LogSigner {
    LogSigner::new(SecretKey::from_seed(KeyKind::Log, KeyName::parse(origin).unwrap(), [seed; 32])).unwrap()
}

fn rogue_with(dir: &Path, origin: &str, entries: Vec<Entry>) -> Rogue {
    let key = dir.join("log.key");
    let secret = SecretKey::from_seed(KeyKind::Log, KeyName::parse(origin).unwrap(), [1; 32]);
    fs::write(&key, secret.encode().as_bytes()).unwrap();
    Rogue::new(&key, entries)
}
