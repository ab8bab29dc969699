//! What tests need: logs that can fork, and a witness of fixed keys with a clock of theirs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::hash::{Hash, leaf_hash, node_hash};
use indelible_proto::note::{KeyKind, KeyName, NoteSignature, SignedNote, VerifierKey};
use indelible_proto::sign::{CosignSigner, LogSigner, SecretKey, Signer as _};
use indelible_proto::size::TreeSize;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::{ConsistencyPlan, ConsistencyProof, Frontier, NodeId, TreeHead};
use indelible_proto::witness_api::AddCheckpointRequest;

use crate::clock::Clock;
use crate::logs::{KnownLog, KnownLogs};
use crate::store::{Store, StoreError};
use crate::witness::Witness;

pub(crate) const ORIGIN: &str = "log.example/test";
pub(crate) const WITNESS: &str = "witness.example/w1";
/// When test states are created: 2026-01-01.
pub(crate) const CREATED_S: u64 = 1_767_225_600;
/// When test clocks start.
pub(crate) const NOW_S: u64 = CREATED_S + 1000;
pub(crate) const LEAD_S: u64 = 366 * 24 * 60 * 60;

pub(crate) fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

pub(crate) fn time(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

pub(crate) fn secret(kind: KeyKind, name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32])
}

pub(crate) fn witness_signer() -> CosignSigner {
    CosignSigner::new(secret(KeyKind::Cosigner, WITNESS, 200)).unwrap()
}

/// A log with its leaves in memory.
#[derive(Clone)]
pub(crate) struct TestLog {
    origin: Origin,
    signer: LogSigner,
    leaves: Vec<Hash>,
}

impl TestLog {
    pub(crate) fn new(origin: &str, leaves: u64) -> Self {
        Self::with_key(origin, origin, 1, leaves)
    }

    pub(crate) fn with_key(origin: &str, key_name: &str, seed: u8, leaves: u64) -> Self {
        let signer = LogSigner::new(secret(KeyKind::Log, key_name, seed)).unwrap();
        let leaves = (0..leaves).map(|index| leaf_hash(format!("leaf {index}").as_bytes())).collect();
        Self { origin: Origin::parse(origin).unwrap(), signer, leaves }
    }

    /// The same log, whose history is another one from leaf `at` on.
    pub(crate) fn forked(&self, at: usize, branch: u64) -> Self {
        let mut fork = self.clone();
        for (index, leaf) in fork.leaves.iter_mut().enumerate().skip(at) {
            *leaf = leaf_hash(format!("branch {branch} leaf {index}").as_bytes());
        }
        fork
    }

    pub(crate) fn known(&self) -> KnownLog {
        KnownLog::new(self.origin.clone(), self.signer.verifier().clone()).unwrap()
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn head(&self, at: u64) -> TreeHead {
        let mut frontier = Frontier::new();
        for leaf in &self.leaves[..at as usize] {
            frontier.append(*leaf).unwrap();
        }
        frontier.head()
    }

    pub(crate) fn text(&self, at: u64) -> String {
        Checkpoint::new(self.origin.clone(), self.head(at)).unwrap().encode()
    }

    pub(crate) fn sign(&self, text: &str) -> NoteSignature {
        self.signer.sign(text.as_bytes())
    }

    /// Any text, signed by the log.
    pub(crate) fn note_of(&self, text: &str) -> SignedNote {
        SignedNote::new(text.to_owned(), vec![self.sign(text)]).unwrap()
    }

    pub(crate) fn note(&self, at: u64) -> SignedNote {
        self.note_of(&self.text(at))
    }

    pub(crate) fn proof(&self, old: u64, new: u64) -> ConsistencyProof {
        let plan = ConsistencyPlan::new(size(old), size(new)).unwrap();
        let hashes: Vec<_> = plan.nodes().iter().map(|node| self.node(*node)).collect();
        plan.finish(&hashes).unwrap()
    }

    fn node(&self, node: NodeId) -> Hash {
        let first = node.first_leaf() as usize;
        let mut hashes = self.leaves[first..first + node.leaf_count() as usize].to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        hashes[0]
    }

    /// The body of a right request.
    pub(crate) fn request(&self, old: u64, new: u64) -> Vec<u8> {
        body(old, &self.proof(old, new), self.note(new))
    }
}

pub(crate) fn body(old: u64, proof: &ConsistencyProof, note: SignedNote) -> Vec<u8> {
    AddCheckpointRequest { old: size(old), proof: proof.clone(), note }.encode()
}

pub(crate) fn no_proof() -> ConsistencyProof {
    ConsistencyProof::new(Vec::new()).unwrap()
}

pub(crate) fn proof_of(hashes: usize) -> ConsistencyProof {
    ConsistencyProof::new(vec![leaf_hash(b"wrong"); hashes]).unwrap()
}

/// A clock that tests set.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW_S)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.0);
        Arc::new(move || time(seconds.load(Ordering::SeqCst)))
    }
}

pub(crate) fn known(logs: &[&TestLog]) -> KnownLogs {
    let mut known = KnownLogs::default();
    for log in logs {
        known.add(log.known(), witness_signer().verifier().name()).unwrap();
    }
    known
}

pub(crate) fn create_state(dir: &Path) {
    Store::create(dir, witness_signer().verifier(), time(CREATED_S)).unwrap();
}

/// Opens the witness whose state is `dir`.
pub(crate) fn open(dir: &Path, clock: &TestClock, logs: &[&TestLog]) -> Result<Witness, StoreError> {
    let store = Store::open(dir, witness_signer().verifier(), &known(logs))?;
    Ok(Witness::new(witness_signer(), store, clock.clock(), LEAD_S))
}

/// The time of `line` as this witness's cosignature of `text`; panics if it is none.
pub(crate) fn cosigned_at(line: &NoteSignature, text: &str) -> u64 {
    let note = SignedNote::new(text.to_owned(), vec![line.clone()]).unwrap();
    let key: VerifierKey = witness_signer().verifier().clone();
    key.verify_note(&note).unwrap().unwrap().timestamp().unwrap().get()
}
