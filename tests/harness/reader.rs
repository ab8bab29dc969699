//! A suspicious reader of a log: believes only what proofs show.

use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_client::{LogClient, bundle_spans};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::leaf_hash;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::{Frontier, TreeHead};
use tokio::runtime::Runtime;

use crate::waiting::wait_until;

/// Reads one log over HTTP and checks everything it is given.
#[derive(Debug)]
pub struct Reader {
    runtime: Runtime,
    log: LogClient,
    policy: Policy,
}

impl Reader {
    /// A reader of the log at `url`, whose checkpoints must satisfy `policy`.
    ///
    /// # Panics
    ///
    /// If it cannot be set up.
    pub fn new(url: &str, policy: &Policy) -> Self {
        let http = HttpClient::new(Timeouts::default()).expect("an HTTP client");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, log: LogClient::new(Source::http(url, &http)), policy: policy.clone() }
    }

    /// The published checkpoint. It has the quorum, unless the log is empty.
    ///
    /// # Panics
    ///
    /// If it has not, or there is none.
    pub fn checkpoint(&self) -> LogSigned {
        let bytes = self.runtime.block_on(self.log.checkpoint()).expect("the log has a checkpoint");
        let note = SignedNote::parse(&bytes).expect("the checkpoint is a note");
        let signed = self.policy.verify_log_signature(&note).expect("the log signed its checkpoint");
        if !signed.head().size.is_zero() {
            self.policy.verify(&note).expect("what is published is witnessed");
        }
        signed
    }

    /// The published checkpoint once the log has published at least `size` entries.
    ///
    /// # Panics
    ///
    /// If it does not within a minute.
    pub fn published(&self, size: u64) -> LogSigned {
        wait_until(&format!("{size} entries are published"), || {
            Some(self.checkpoint()).filter(|signed| signed.head().size.get() >= size)
        })
    }

    /// All entries of the tree.
    ///
    /// # Panics
    ///
    /// If they do not hash to its root.
    pub fn entries(&self, head: &TreeHead) -> Vec<Entry> {
        let mut entries = Vec::new();
        for span in bundle_spans(TreeSize::ZERO, head.size) {
            entries
                .extend(self.runtime.block_on(self.log.entries(span)).expect("the log serves its entries"));
        }
        let mut frontier = Frontier::new();
        for entry in &entries {
            frontier.append(entry.leaf_hash()).expect("the tree fits in memory");
        }
        assert_eq!(frontier.head(), *head, "the entries served are not those of the signed tree");
        entries
    }

    /// Checks that `entry` is in the tree at `index`.
    ///
    /// # Panics
    ///
    /// If no proof shows it.
    pub fn check_included(&self, entry: &[u8], index: LeafIndex, head: &TreeHead) {
        let proof = self.runtime.block_on(self.log.inclusion(index, head.size));
        let proof = proof.unwrap_or_else(|error| panic!("no proof of entry {index}: {error}"));
        let verified = proof.verify(&leaf_hash(entry), index, head);
        verified.unwrap_or_else(|error| panic!("entry {index} is not what was acknowledged: {error}"));
    }

    /// Checks that the tree `new` starts with the tree `old`.
    ///
    /// # Panics
    ///
    /// If no proof shows it.
    pub fn check_consistent(&self, old: &TreeHead, new: &TreeHead) {
        let proof = self.runtime.block_on(self.log.consistency(old.size, new.size));
        let proof = proof.unwrap_or_else(|error| panic!("no proof from {old:?} to {new:?}: {error}"));
        let verified = proof.verify(old, new);
        verified.unwrap_or_else(|error| panic!("{new:?} does not continue {old:?}: {error}"));
    }
}
