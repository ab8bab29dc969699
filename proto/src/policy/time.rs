//! The time a quorum vouches for.

use alloc::vec::Vec;

use super::{CosignedBy, Policy, VerifiedCheckpoint};
use crate::time::UnixSeconds;

impl Policy {
    /// The newest time for which witnesses enough for the quorum say that they saw the checkpoint then or
    /// later: with a quorum of `k` witnesses, the `k`-th newest cosignature. Fewer faulty witnesses than the
    /// quorum needs cannot move it forward.
    ///
    /// Cosignatures after `latest` are left out. `None` if the others are not enough, or if the policy asks
    /// for no witnesses: nobody vouches for a time then.
    pub fn quorum_time(&self, checkpoint: &VerifiedCheckpoint, latest: UnixSeconds) -> Option<UnixSeconds> {
        if self.quorum_met(&[]) {
            return None;
        }
        let counted = || checkpoint.cosigners().iter().filter(|cosigner| cosigner.time <= latest);
        let enough = |since: UnixSeconds| {
            let then: Vec<usize> = counted()
                .filter(|cosigner| cosigner.time >= since)
                .filter_map(|c| self.place_of(c))
                .collect();
            self.quorum_met(&then)
        };
        counted().map(|cosigner| cosigner.time).filter(|time| enough(*time)).max()
    }

    fn place_of(&self, cosigner: &CosignedBy) -> Option<usize> {
        self.witnesses.iter().position(|witness| witness.name == cosigner.witness)
    }
}

#[cfg(test)]
mod tests;
