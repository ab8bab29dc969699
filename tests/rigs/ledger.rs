//! The ledger: what a log was sent, what it acknowledged, and every checkpoint it let out; kept outside the
//! process that is broken, and held against what the log serves after its restart.
//!
//! [`Ledger::check`] believes nothing that the log says about itself. It reads every entry back and recomputes
//! the root at every size that was ever signed, so that one answer settles all of it:
//!
//! - every acknowledged entry is at its index, with its bytes, and an inclusion proof shows it
//! - every checkpoint that ever left the process is of the tree that is served now: no fork
//! - no bytes are in the log twice, so a duplicate got the first index
//! - nothing is in the log that nobody sent
//!
//! Not checked: that records may follow their channels (`verify` and `watch` have their own tests), and how
//! long anything took.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_client::{LogClient, bundle_spans};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::note::SignedNote;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::{Frontier, InclusionPlan, TreeHead};
use tokio::runtime::Runtime;

/// How long a log may take to publish what it has. Long, because machines are shared.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Everything that is known about one log.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    policy: Policy,
    /// Leaf hashes of everything sent, answered or not.
    sent: HashSet<Hash>,
    /// What was acknowledged, by index.
    acknowledged: BTreeMap<u64, Hash>,
    /// The same by leaf hash.
    indices: HashMap<Hash, u64>,
    /// Every tree head that a signed checkpoint of the log was seen for.
    shown: BTreeMap<TreeSize, TreeHead>,
    /// Acknowledged entries below this were proved one by one in an earlier check.
    proved: u64,
}

impl Ledger {
    /// An empty ledger of the log that `policy` names.
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            sent: HashSet::new(),
            acknowledged: BTreeMap::new(),
            indices: HashMap::new(),
            shown: BTreeMap::new(),
            proved: 0,
        }
    }

    /// How many entries were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Notes an entry that is about to be sent.
    pub(crate) fn sending(&mut self, entry: &[u8]) {
        self.sent.insert(leaf_hash(entry));
    }

    /// Notes that the log acknowledged `entry` at `index`.
    ///
    /// # Errors
    /// If it acknowledged another entry there, or the same one elsewhere.
    pub(crate) fn acknowledge(&mut self, entry: &[u8], index: LeafIndex) -> Result<()> {
        let (leaf, index) = (leaf_hash(entry), index.get());
        let before = *self.indices.entry(leaf).or_insert(index);
        ensure!(before == index, "an entry was acknowledged at {before} and, sent again, at {index}");
        let before = *self.acknowledged.entry(index).or_insert(leaf);
        ensure!(before == leaf, "two entries were acknowledged at {index}");
        Ok(())
    }

    /// Notes a signed checkpoint that left the process.
    ///
    /// # Errors
    /// If it is none of this log, or contradicts another of the same size. Other forks show in [`Self::check`].
    pub(crate) fn show(&mut self, note: &[u8]) -> Result<TreeHead> {
        let note = SignedNote::parse(note).context("what the log shows is no signed note")?;
        let signed =
            self.policy.verify_log_signature(&note).context("the log did not sign its checkpoint")?;
        let head = signed.head();
        let before = *self.shown.entry(head.size).or_insert(head);
        ensure!(before == head, "FORK: two trees of size {} were signed: {before:?}, {head:?}", head.size);
        Ok(head)
    }

    /// Notes the proof that a record was acknowledged with.
    ///
    /// # Errors
    /// If it does not prove the record, or its checkpoint can't be noted.
    pub(crate) fn prove(&mut self, entry: &[u8], proof: &[u8]) -> Result<()> {
        let proof = LogProof::parse(proof).context("the answer is no proof")?;
        proof.verify(&leaf_hash(entry), &self.policy).context("the answer proves nothing")?;
        self.show(&proof.note().encode())?;
        self.acknowledge(entry, proof.index())
    }

    /// Holds everything against what the log at `url` serves now; its published tree head.
    ///
    /// # Errors
    /// The first acknowledged entry that is lost, or checkpoint that is of another tree.
    pub(crate) fn check(&mut self, url: &str) -> Result<TreeHead> {
        self.check_proving(url, usize::MAX)
    }

    /// The same, with proofs of at most `most` entries, evenly spaced: of a log that has taken tens of millions.
    pub(crate) fn check_proving(&mut self, url: &str, most: usize) -> Result<TreeHead> {
        let log = Reading::new(url)?;
        if let Some(last) = self.acknowledged.last_key_value().map(|(index, _)| *index) {
            ensure!(log.has(last)?, "LOST: entry {last} was acknowledged and is gone");
        }
        if let Some(last) = self.largest_shown().checked_sub(1) {
            ensure!(log.has(last)?, "FORK: a tree of {} was signed and entry {last} is gone", last + 1);
        }
        let head = self.published(&log)?;
        self.check_entries(&log, &head)?;
        self.check_proofs(&log, &head, most)?;
        self.proved = head.size.get();
        Ok(head)
    }

    /// The same without reading the log: at most `most` of the acknowledged entries are proved to be in the
    /// published tree, evenly spaced, and that many of the trees shown to be its beginnings.
    ///
    /// # Errors
    /// As [`Self::check`], as far as it looks.
    pub(crate) fn check_some(&mut self, url: &str, most: usize) -> Result<TreeHead> {
        let log = Reading::new(url)?;
        let head = self.published(&log)?;
        let some = |count: usize| count.div_ceil(most.max(1)).max(1);
        let entries = self.acknowledged.iter().step_by(some(self.acknowledged.len()));
        let entries = entries.map(|(index, leaf)| Ok((LeafIndex::new(*index)?, *leaf)));
        log.prove_included(&entries.collect::<Result<Vec<_>>>()?, &head)?;
        for shown in self.shown.values().step_by(some(self.shown.len())) {
            if !shown.size.is_zero() {
                log.prove_consistent(shown, &head)?;
            }
        }
        Ok(head)
    }

    /// The published head, once everything acknowledged and everything ever shown is in it.
    fn published(&mut self, log: &Reading) -> Result<TreeHead> {
        let acknowledged = self.acknowledged.last_key_value().map_or(0, |(index, _)| index + 1);
        let began = Instant::now();
        loop {
            let bytes = log.checkpoint()?;
            let head = self.show(&bytes)?;
            let shown = self.largest_shown();
            if head.size.get() >= acknowledged.max(shown) {
                let note = SignedNote::parse(&bytes).context("the checkpoint is no signed note")?;
                if !head.size.is_zero() {
                    self.policy.verify(&note).context("what is published has no quorum")?;
                }
                return Ok(head);
            }
            ensure!(
                began.elapsed() < PUBLISHED_WITHIN,
                "LOST: the log publishes {} entries; {acknowledged} were acknowledged, a tree of {shown} was signed",
                head.size
            );
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// The size of the largest tree that was signed.
    fn largest_shown(&self) -> u64 {
        self.shown.keys().next_back().map_or(0, |size| size.get())
    }

    /// Reads every entry, and with them every tree that was ever signed.
    fn check_entries(&self, log: &Reading, head: &TreeHead) -> Result<()> {
        let mut frontier = Frontier::new();
        let mut seen = HashMap::new();
        let check_root = |frontier: &Frontier| match self.shown.get(&frontier.size()) {
            Some(shown) if frontier.head() != *shown => {
                Err(anyhow!("FORK: a tree of size {} was signed that is not the one served", shown.size))
            }
            _ => Ok(()),
        };
        check_root(&frontier)?;
        for leaf in log.leaves(head.size)? {
            let index = frontier.size().get();
            if let Some(acknowledged) = self.acknowledged.get(&index) {
                ensure!(*acknowledged == leaf, "LOST: entry {index} is not what was acknowledged");
            }
            if let Some(first) = seen.insert(leaf, index) {
                return Err(anyhow!("TWICE: the entry at {index} is the one at {first}"));
            }
            ensure!(self.sent.contains(&leaf), "entry {index} was never sent");
            frontier.append(leaf).map_err(|error| anyhow!("entry {index}: {error}"))?;
            check_root(&frontier)?;
        }
        ensure!(frontier.head() == *head, "FORK: the entries served are not those of the published tree");
        Ok(())
    }

    /// What a reader without the entries would ask for: proofs, made from the served tiles.
    fn check_proofs(&self, log: &Reading, head: &TreeHead, most: usize) -> Result<()> {
        let count = self.acknowledged.range(self.proved..).count();
        let new: Vec<(LeafIndex, Hash)> = self
            .acknowledged
            .range(self.proved..)
            .step_by(count.div_ceil(most.max(1)).max(1))
            .map(|(index, leaf)| Ok((LeafIndex::new(*index)?, *leaf)))
            .collect::<Result<_>>()?;
        log.prove_included(&new, head)?;
        let mut before = self.shown.range(..head.size).map(|(_, head)| head);
        if let Some(before) = before.next_back() {
            log.prove_consistent(before, head)?;
        }
        Ok(())
    }
}

/// A log as it is read over HTTP.
struct Reading {
    runtime: Runtime,
    log: LogClient,
}

impl Reading {
    fn new(url: &str) -> Result<Self> {
        let http = HttpClient::new(Timeouts::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, log: LogClient::new(Source::http(url, &http)) })
    }

    fn checkpoint(&self) -> Result<Vec<u8>> {
        Ok(self.runtime.block_on(self.log.checkpoint())?)
    }

    /// Whether the log has signed a tree with an entry at `index`.
    fn has(&self, index: u64) -> Result<bool> {
        let size = TreeSize::new(index + 1)?;
        let Some(span) = bundle_spans(TreeSize::new(index)?, size).next() else {
            return Ok(false);
        };
        match self.runtime.block_on(self.log.entries(span)) {
            Ok(entries) => Ok(!entries.is_empty()),
            Err(error) if error.code() == "not-found" => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The leaf hashes of all entries of the tree.
    fn leaves(&self, size: TreeSize) -> Result<Vec<Hash>> {
        let mut leaves = Vec::new();
        for span in bundle_spans(TreeSize::ZERO, size) {
            let entries = self.runtime.block_on(self.log.entries(span))?;
            leaves.extend(entries.iter().map(Entry::leaf_hash));
        }
        Ok(leaves)
    }

    fn prove_included(&self, entries: &[(LeafIndex, Hash)], head: &TreeHead) -> Result<()> {
        // Few at a time: a question has all the nodes of its proofs.
        for entries in entries.chunks(256) {
            let plans: Vec<InclusionPlan> = entries
                .iter()
                .map(|(index, _)| InclusionPlan::new(*index, head.size))
                .collect::<Result<_, _>>()
                .map_err(|error| anyhow!("an acknowledged entry can't be in the tree: {error}"))?;
            let nodes: Vec<_> = plans.iter().flat_map(InclusionPlan::nodes).copied().collect();
            let mut hashes = &self.runtime.block_on(self.log.nodes(&nodes, head.size))?[..];
            for (plan, (index, leaf)) in plans.iter().zip(entries) {
                let (own, rest) = hashes.split_at(plan.nodes().len());
                hashes = rest;
                let proof = plan.clone().finish(own)?;
                proof.verify(leaf, *index, head).map_err(|error| {
                    anyhow!("LOST: no proof shows the acknowledged entry {index}: {error}")
                })?;
            }
        }
        Ok(())
    }

    fn prove_consistent(&self, old: &TreeHead, new: &TreeHead) -> Result<()> {
        let proof = self.runtime.block_on(self.log.consistency(old.size, new.size))?;
        proof
            .verify(old, new)
            .map_err(|error| anyhow!("FORK: no proof leads from {old:?} to {new:?}: {error}"))
    }
}
