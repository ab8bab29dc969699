//! A log with witnesses in memory, for tests: fixed keys, honest trees, and notes signed by whoever a test
//! wants.

use std::fs;
use std::path::Path;

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::entry_bundle::{Entry, EntryBundle};
use indelible_proto::hash::{Hash, leaf_hash, node_hash};
use indelible_proto::note::{KeyKind, KeyName, SignedNote};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CosignSigner, LogSigner, RecordSigner, SecretKey, Signer as _};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, Tile, TileId};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::{Frontier, InclusionPlan, NodeId, TreeHead};

pub(crate) const ORIGIN: &str = "log.example/test";

/// A key that is the same in every run.
pub(crate) fn secret(kind: KeyKind, name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32])
}

pub(crate) fn vendor(seed: u8) -> RecordSigner {
    RecordSigner::new(secret(KeyKind::Record, "vendor.example/publish", seed)).unwrap()
}

pub(crate) fn seconds(time: u64) -> UnixSeconds {
    UnixSeconds::new(time).unwrap()
}

#[derive(Clone)]
pub(crate) struct TestLog {
    pub(crate) signer: LogSigner,
    pub(crate) witnesses: Vec<CosignSigner>,
    pub(crate) entries: Vec<Vec<u8>>,
}

impl TestLog {
    /// An empty log with three witnesses.
    pub(crate) fn new() -> Self {
        let witness = |seed: u8| {
            let name = format!("witness{seed}.example");
            CosignSigner::new(secret(KeyKind::Cosigner, &name, 100 + seed)).unwrap()
        };
        let signer = LogSigner::new(secret(KeyKind::Log, ORIGIN, 1)).unwrap();
        Self { signer, witnesses: vec![witness(1), witness(2), witness(3)], entries: Vec::new() }
    }

    /// A policy of this log that wants `threshold` of its witnesses.
    pub(crate) fn policy(&self, threshold: usize) -> Policy {
        Policy::parse(self.policy_text(threshold).as_bytes()).unwrap()
    }

    pub(crate) fn policy_text(&self, threshold: usize) -> String {
        let mut text = format!("log {} http://127.0.0.1:1\n", self.signer.verifier());
        let mut names = String::new();
        for (i, witness) in self.witnesses.iter().enumerate() {
            text.push_str(&format!("witness w{i} {}\n", witness.verifier()));
            names.push_str(&format!(" w{i}"));
        }
        text.push_str(&format!("group all {threshold}{names}\nquorum all\n"));
        text
    }

    pub(crate) fn append(&mut self, entry: &[u8]) -> LeafIndex {
        self.entries.push(entry.to_vec());
        LeafIndex::new(self.entries.len() as u64 - 1).unwrap()
    }

    pub(crate) fn head(&self, size: usize) -> TreeHead {
        let mut frontier = Frontier::new();
        for entry in &self.entries[..size] {
            frontier.append(leaf_hash(entry)).unwrap();
        }
        frontier.head()
    }

    pub(crate) fn checkpoint_text(&self, size: usize) -> String {
        Checkpoint::new(Origin::parse(ORIGIN).unwrap(), self.head(size)).unwrap().encode()
    }

    /// The tree of `size` entries signed by the log and cosigned by the first `witnesses` witnesses.
    pub(crate) fn note(&self, size: usize, witnesses: usize) -> SignedNote {
        let text = self.checkpoint_text(size);
        let mut lines = vec![self.signer.sign(text.as_bytes())];
        for (i, witness) in self.witnesses.iter().take(witnesses).enumerate() {
            lines.push(witness.cosign(&text, seconds(1_800_000_000 + i as u64)).unwrap());
        }
        SignedNote::new(text, lines).unwrap()
    }

    /// The proof of entry `index` in the whole tree, cosigned by all, with the entry as `extra`.
    pub(crate) fn proof(&self, index: LeafIndex) -> LogProof {
        self.proof_with(index, self.note(self.entries.len(), self.witnesses.len()))
    }

    /// The same proof under another note of the same size.
    pub(crate) fn proof_with(&self, index: LeafIndex, note: SignedNote) -> LogProof {
        let size = TreeSize::new(self.entries.len() as u64).unwrap();
        let plan = InclusionPlan::new(index, size).unwrap();
        let hashes: Vec<Hash> = plan.nodes().iter().map(|node| self.node(*node)).collect();
        let extra = self.entries[usize::try_from(index.get()).unwrap()].clone();
        LogProof::new(Some(extra), index, plan.finish(&hashes).unwrap(), note).unwrap()
    }

    /// Writes what the log serves, as a directory of files: the tree of all entries and only its tiles,
    /// and its checkpoint, cosigned by all witnesses.
    pub(crate) fn publish(&self, dir: &Path) {
        let _ = fs::remove_dir_all(dir.join("tile"));
        let write = |path: &str, bytes: &[u8]| {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let size = TreeSize::new(self.entries.len() as u64).unwrap();
        for level in 0..2 {
            for id in (0..).map_while(|index| TileId::for_size(level, index, size)) {
                let indices = (id.index() * 256..).take(id.width().get().into());
                let nodes = indices.map(|index| self.node(NodeId::new(level * 8, index).unwrap()));
                write(&id.path(), &Tile::new(nodes.collect()).unwrap().encode());
            }
        }
        for id in (0..).map_while(|index| BundleId::for_size(index, size)) {
            let first = usize::try_from(id.first_entry()).unwrap();
            let entries = self.entries.iter().skip(first).take(id.width().get().into());
            let entries = entries.map(|entry| Entry::new(entry.clone()).unwrap()).collect();
            write(&id.path(), &EntryBundle::new(entries).unwrap().encode());
        }
        write("checkpoint", &self.note(self.entries.len(), self.witnesses.len()).encode());
    }

    pub(crate) fn node(&self, node: NodeId) -> Hash {
        self.subtree(node.level(), node.index())
    }

    fn subtree(&self, level: u8, index: u64) -> Hash {
        if level == 0 {
            return leaf_hash(&self.entries[usize::try_from(index).unwrap()]);
        }
        node_hash(&self.subtree(level - 1, index * 2), &self.subtree(level - 1, index * 2 + 1))
    }
}
