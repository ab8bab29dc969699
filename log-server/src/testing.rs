//! What several tests of this crate need: fixed keys, a log's tree without a sequencer, witnesses of every
//! character, and whole logs on ports of their own.

mod site;
mod witness;

use std::path::Path;
use std::sync::Arc;

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::hash::leaf_hash;
use indelible_proto::note::{KeyKind, KeyName, SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::sign::{CheckpointSigner, CosignSigner, SecretKey};
use indelible_proto::tile::RightEdge;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use tokio::sync::watch;

use crate::sequencer::SignedHead;
use crate::storage::Storage;
use crate::storage::entries::PartialBundle;
use crate::storage::tiles::TileFiles;
use crate::tree_reader::{Edge, TreeReader};

pub(crate) use site::{Reply, Site};
pub(crate) use witness::{Character, TestWitness};

/// The origin of every log of these tests.
pub(crate) const ORIGIN: &str = "log.example/test";

pub(crate) fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

/// A secret key that is the same in every run.
pub(crate) fn secret(kind: KeyKind, name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32])
}

pub(crate) fn log_signer() -> CheckpointSigner {
    CheckpointSigner::new(secret(KeyKind::Log, ORIGIN, 1)).unwrap()
}

pub(crate) fn cosigner(seed: u8) -> CosignSigner {
    CosignSigner::new(secret(KeyKind::Cosigner, &format!("witness.example/w{seed}"), seed)).unwrap()
}

pub(crate) fn seconds(time: u64) -> UnixSeconds {
    UnixSeconds::new(time).unwrap()
}

/// The signed checkpoint of a tree head.
pub(crate) fn signed(head: TreeHead) -> SignedHead {
    signed_by(head, &log_signer())
}

fn signed_by(head: TreeHead, signer: &CheckpointSigner) -> SignedHead {
    let checkpoint = Checkpoint::new(origin(), head).unwrap();
    let text = checkpoint.encode();
    let signature = signer.sign(&text, seconds(1)).unwrap();
    SignedHead { checkpoint, note: SignedNote::new(text, vec![signature]).unwrap() }
}

/// A policy of the test log and these witnesses, of whom `quorum` are enough.
pub(crate) fn policy(quorum: usize, witnesses: &[(VerifierKey, String)]) -> Arc<Policy> {
    let mut text = format!("log {}\n", log_signer().verifier());
    let mut names = String::new();
    for (number, (key, url)) in witnesses.iter().enumerate() {
        text.push_str(&format!("witness w{number} {key} {url}\n"));
        names.push_str(&format!(" w{number}"));
    }
    text.push_str(&match quorum {
        0 => "quorum none\n".to_owned(),
        _ => format!("group all-witnesses {quorum}{names}\nquorum all-witnesses\n"),
    });
    Arc::new(Policy::parse(text.as_bytes()).unwrap())
}

/// The tree of a log of up to 255 entries, which is the part that a sequencer would keep in memory.
pub(crate) struct TestLog {
    edge: RightEdge,
    pub(crate) tree: Arc<TreeReader>,
    signed: watch::Sender<Arc<SignedHead>>,
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let edge = RightEdge::new();
        let shown = Edge { tiles: edge.clone(), bundle: PartialBundle::default() };
        let files = TileFiles::new(Storage::real(), Path::new("/nonexistent"));
        let tree = Arc::new(TreeReader::new(files, shown, 0));
        let signed = watch::Sender::new(Arc::new(signed(edge.head())));
        Self { edge, tree, signed }
    }

    /// A log with entries of these bytes, one each.
    pub(crate) fn of(entries: &[u8]) -> Self {
        let mut log = Self::new();
        log.grow(entries);
        log
    }

    /// Appends an entry of each byte, and signs the whole.
    pub(crate) fn grow(&mut self, entries: &[u8]) {
        for byte in entries {
            self.edge.append(leaf_hash(&[*byte])).unwrap();
        }
        let shown = Edge { tiles: self.edge.clone(), bundle: PartialBundle::default() };
        self.tree.show(Arc::new(shown));
        self.signed.send_replace(Arc::new(signed(self.edge.head())));
    }

    pub(crate) fn head(&self) -> TreeHead {
        self.edge.head()
    }

    /// The newest signed head, as the sequencer announces it.
    pub(crate) fn announced(&self) -> watch::Receiver<Arc<SignedHead>> {
        self.signed.subscribe()
    }
}
