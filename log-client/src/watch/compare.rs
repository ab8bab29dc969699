//! Whether two checkpoints of one log can both be true: plan, fetch, finish.
//!
//! Two of one size agree or contradict each other as they are. For two sizes the hashes of tree nodes are
//! needed, and those of the larger tree answer both ways: they give the root the smaller tree must have
//! had and a proof from that root to the signed larger one. The proof shows that the hashes are the right
//! ones, whoever served them; if it does, the smaller checkpoint either has that root or is a lie that
//! the proof now documents. If it does not, the hashes are wrong, and nothing has been learned about the
//! two checkpoints.

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::Hash;
use indelible_proto::policy::LogSigned;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{ConsistencyPlan, ConsistencyProof, NodeId, RootPlan};

/// What two checkpoints of one log say about each other.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// Both can be true.
    Agree,
    /// They cannot both be true, and this shows it.
    Contradict(Box<ForkEvidence>),
    /// The nodes of the larger tree have to be looked at.
    Open(Box<OpenComparison>),
}

/// The tree served for a checkpoint does not lead to the checkpoint's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash tiles do not lead to the signed root of size {size}: {code}")]
pub struct WrongTiles {
    /// The size of the larger tree.
    pub size: TreeSize,
    /// The stable name of how the proof failed.
    pub code: &'static str,
}

/// Two checkpoints of different sizes whose relation the nodes of the larger tree decide.
#[derive(Clone, Debug)]
pub struct OpenComparison {
    smaller: LogSigned,
    larger: LogSigned,
    root: RootPlan,
    proof: ConsistencyPlan,
    nodes: Vec<NodeId>,
}

impl Comparison {
    /// Compares two checkpoints, which must be signed by one log.
    pub fn of(one: &LogSigned, other: &LogSigned) -> Self {
        let (smaller, larger) =
            if one.head().size <= other.head().size { (one, other) } else { (other, one) };
        let (small, large) = (smaller.head(), larger.head());
        // A checkpoint of size zero has the one possible root and every tree grows from it.
        if small == large || small.size.is_zero() {
            return Self::Agree;
        }
        if small.size == large.size {
            let nothing = ConsistencyProof::new(Vec::new()).expect("invariant: a proof may have no hashes");
            return Self::Contradict(Box::new(evidence(smaller, larger, large.root, nothing)));
        }
        let root = RootPlan::new(small.size);
        let proof = ConsistencyPlan::new(small.size, large.size).expect("invariant: the sizes are in order");
        let nodes = [root.nodes(), proof.nodes()].concat();
        let (smaller, larger) = (smaller.clone(), larger.clone());
        Self::Open(Box::new(OpenComparison { smaller, larger, root, proof, nodes }))
    }
}

impl OpenComparison {
    /// The nodes whose hashes [`Self::finish`] wants, in order.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The size of the tree the nodes are of.
    pub fn size(&self) -> TreeSize {
        self.larger.head().size
    }

    /// Decides with the hashes of [`Self::nodes`]: `None` if both checkpoints can be true.
    ///
    /// # Errors
    /// [`WrongTiles`] if the hashes are not those of the larger tree; ask someone else.
    pub fn finish(&self, hashes: &[Hash]) -> Result<Option<Box<ForkEvidence>>, WrongTiles> {
        let wrong = |code| WrongTiles { size: self.size(), code };
        let (root, proof) = hashes.split_at_checked(self.root.nodes().len()).ok_or(wrong("node-count"))?;
        let true_head = self.root.finish(root).map_err(|error| wrong(error.code()))?;
        let proof = self.proof.finish(proof).map_err(|error| wrong(error.code()))?;
        proof.verify(&true_head, &self.larger.head()).map_err(|error| wrong(error.code()))?;
        if true_head == self.smaller.head() {
            return Ok(None);
        }
        Ok(Some(Box::new(evidence(&self.smaller, &self.larger, true_head.root, proof))))
    }
}

fn evidence(smaller: &LogSigned, larger: &LogSigned, root: Hash, proof: ConsistencyProof) -> ForkEvidence {
    ForkEvidence::new(smaller.note().clone(), larger.note().clone(), root, proof)
}
