//! A log operator who has the log's key and lies.
//!
//! Builds any tree, signs any checkpoint with the true key, makes proofs that hold in that tree. What stops
//! him are witnesses, and readers who compare.

use std::path::Path;

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::entry_bundle::{Entry, EntryBundle};
use indelible_proto::hash::{Hash, node_hash};
use indelible_proto::note::SignedNote;
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, Tile, TileId};
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::{ConsistencyPlan, ConsistencyProof, InclusionPlan, NodeId, RootPlan, TreeHead};

/// A tree of the rogue's own making.
#[derive(Debug)]
pub struct Rogue {
    signer: CheckpointSigner,
    entries: Vec<Entry>,
}

impl Rogue {
    /// A rogue with the key in `key_file`, whose tree has `entries`.
    ///
    /// # Panics
    ///
    /// If the file holds no log key.
    pub fn new(key_file: &Path, entries: Vec<Entry>) -> Self {
        let text = std::fs::read_to_string(key_file).expect("the stolen key can be read");
        let key = SecretKey::parse(text.trim_end_matches('\n')).expect("the stolen key is a key");
        Self { signer: CheckpointSigner::new(key).expect("the stolen key is a log key"), entries }
    }

    /// Changes the entry at `index`.
    pub fn replace(&mut self, index: usize, entry: Entry) {
        self.entries[index] = entry;
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The tree's entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Size of the whole tree.
    pub fn size(&self) -> TreeSize {
        TreeSize::new(self.entries.len() as u64).expect("the tree fits in memory")
    }

    /// Head of the tree of the first `size` entries.
    pub fn head(&self, size: TreeSize) -> TreeHead {
        let plan = RootPlan::new(size);
        plan.finish(&self.nodes(plan.nodes())).expect("the plan's own nodes")
    }

    /// A checkpoint of that tree, signed with the true key and by no witness.
    pub fn checkpoint(&self, size: TreeSize) -> SignedNote {
        let origin =
            Origin::parse(self.signer.verifier().name().as_str()).expect("the key's name is its origin");
        let text = Checkpoint::new(origin, self.head(size)).expect("a possible head").encode();
        let time = UnixSeconds::new(1_800_000_000).expect("a time");
        let signature = self.signer.sign(&text, time).expect("a checkpoint can be signed");
        SignedNote::new(text, vec![signature]).expect("a well-formed note")
    }

    /// A `.tlog-proof` of entry `index` under `note`, which is of the tree of `size` entries.
    pub fn proof(&self, index: u64, size: TreeSize, note: SignedNote) -> LogProof {
        let index = LeafIndex::new(index).expect("an index in memory");
        let plan = InclusionPlan::new(index, size).expect("the index is in the tree");
        let proof = plan.finish(&self.nodes(plan.nodes())).expect("the plan's own nodes");
        let entry = usize::try_from(index.get()).expect("an index in memory");
        let extra = self.entries[entry].as_bytes().to_vec();
        LogProof::new(Some(extra), index, proof, note).expect("a well-formed proof")
    }

    /// A consistency proof between two trees of the rogue's entries.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> ConsistencyProof {
        let plan = ConsistencyPlan::new(old, new).expect("the sizes are in order");
        plan.finish(&self.nodes(plan.nodes())).expect("the plan's own nodes")
    }

    /// Writes the rogue's whole tree as a static mirror: `checkpoint` and the paths of tlog-tiles.
    ///
    /// # Panics
    ///
    /// If a file cannot be written.
    pub fn write_mirror(&self, dir: &Path) {
        let size = self.size();
        let put = |path: &str, bytes: &[u8]| {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().expect("a path in a folder"))
                .expect("a folder can be made");
            std::fs::write(path, bytes).expect("a file can be written");
        };
        put("checkpoint", &self.checkpoint(size).encode());
        let ids = (0..8).flat_map(|level| (0..).map_while(move |index| TileId::for_size(level, index, size)));
        for id in ids {
            let first = id.index() * 256;
            let level = u32::from(id.level()) * 8;
            let ids: Vec<NodeId> = (first..first + u64::from(id.width().get()))
                .map(|index| {
                    NodeId::new(u8::try_from(level).expect("a tree in memory"), index).expect("a node of it")
                })
                .collect();
            put(&id.path(), &Tile::new(self.nodes(&ids)).expect("the tile's width").encode());
        }
        for (index, entries) in self.entries.chunks(256).enumerate() {
            let id = BundleId::for_size(index as u64, size).expect("a bundle of the tree");
            put(&id.path(), &EntryBundle::new(entries.to_vec()).expect("at most 256 entries").encode());
        }
    }

    fn nodes(&self, ids: &[NodeId]) -> Vec<Hash> {
        ids.iter().map(|id| self.node(id.level(), id.index())).collect()
    }

    fn node(&self, level: u8, index: u64) -> Hash {
        let Some(below) = level.checked_sub(1) else {
            return self.entries[usize::try_from(index).expect("an index in memory")].leaf_hash();
        };
        node_hash(&self.node(below, index * 2), &self.node(below, index * 2 + 1))
    }
}
