//! The decision to cosign: pure, on what was submitted, what is held, and what the clock says.
//!
//! The checks are those of c2sp.org/tlog-witness in its order, with two of our own around them. First, a
//! cosignature by this witness that its state does not know means that the state is an old copy, so it
//! must not sign at all. Last, the clock: a time below one already signed would let cosignatures run
//! backwards, and one far ahead would stop the log for as long as the clock was wrong, since times never
//! decrease. The clock comes last so that a wrong one does not hide what is wrong with a checkpoint.
//!
//! The caller holds the log's lock from before [`decide`] until the new state is on disk.

use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;

use crate::refusal::{Fork, Refusal};
use crate::submission::{Statement, Submission};

/// What the witness has cosigned of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing yet; the log counts as empty.
    Nothing,
    /// A tree, last at this time.
    Cosigned(TreeHead, UnixSeconds),
}

impl Holding {
    /// The tree to grow from.
    pub fn head(&self) -> TreeHead {
        match self {
            Self::Nothing => TreeHead::empty(),
            Self::Cosigned(head, _) => *head,
        }
    }

    /// Whether this state accounts for a cosignature of ours over `head` at `time`.
    fn accounts_for(&self, head: &TreeHead, time: UnixSeconds) -> bool {
        match self {
            Self::Nothing => false,
            Self::Cosigned(held, last) => time <= *last && (head.size < held.size || head == held),
        }
    }
}

/// The times that may be signed, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The last time signed for the log.
    pub not_before: UnixSeconds,
    /// As far ahead of everything signed before as a clock is believed.
    pub not_after: UnixSeconds,
}

/// The checkpoint to cosign at `now`, or why not.
///
/// # Errors
/// The first check that fails, as the module describes.
pub fn decide<'a>(
    submission: &'a Submission,
    holding: &Holding,
    window: &Window,
    now: UnixSeconds,
) -> Result<&'a Checkpoint, Refusal> {
    let held = holding.head();
    // A root can only be odd with size 0, which no state of ours accounts for.
    let stated = match submission.statement() {
        Statement::Possible(checkpoint) => Some(checkpoint.head()),
        Statement::EmptyWithRoot => None,
    };
    if let Some(time) = submission.own_time()
        && !stated.is_some_and(|head| holding.accounts_for(&head, time))
    {
        return Err(Refusal::StateBehind);
    }
    // "check that the old size matches the size of the latest checkpoint it cosigned": 409
    if submission.old() != held.size {
        let fork = match stated {
            Some(head) if head.size == held.size && head.root != held.root => Fork::Yes,
            _ => Fork::NotShown,
        };
        return Err(Refusal::OtherSize { held: held.size, fork });
    }
    // "A checkpoint of size zero MUST have the root hash of the empty tree": 422
    let Statement::Possible(checkpoint) = submission.statement() else {
        return Err(Refusal::EmptyTreeRoot);
    };
    // "If the old size matches the checkpoint size, [...] the root hashes are also identical": 422. Before
    // the proof, because two roots of one size accuse the log and a bad proof only whoever sent it.
    let head = checkpoint.head();
    if head.size == held.size && head.root != held.root {
        return Err(Refusal::OtherRoot);
    }
    // Proof empty from size zero or to the same size; otherwise RFC 6962, section 2.1.2: 422
    submission.proof().verify(&held, &head).map_err(Refusal::BadProof)?;

    if now < window.not_before {
        return Err(Refusal::ClockBehind { now, not_before: window.not_before });
    }
    if now > window.not_after {
        return Err(Refusal::ClockAhead { now, not_after: window.not_after });
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests;
