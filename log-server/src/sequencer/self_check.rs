//! The last look at a batch before its head is signed.
//!
//! The tree is grown a second time, by itself: from the last signed head, by the entries as they are about to be
//! journaled, hashed again. Both must come to the same head. So a bit that flipped in the edge, in a leaf hash or in an
//! entry after it was hashed stops the log before it signs what its entries do not lead to; and every head follows
//! from the one before. It costs one leaf hash and one node hash an entry, and two kilobytes.

use bytes::Bytes;
use indelible_proto::hash::leaf_hash;
use indelible_proto::size::LeafIndex;
use indelible_proto::tree::{Frontier, TreeHead};

use super::error::{OpenError, Refusal, SequencerError};
use crate::storage::entries;
use crate::tree_reader::{ReadError, TreeReader};

/// The tree up to the last head that passed.
#[derive(Clone, Debug)]
pub(super) struct SelfCheck {
    frontier: Frontier,
}

impl SelfCheck {
    /// From the stored tree with this signed head.
    pub(super) fn of(reader: &TreeReader, signed: &TreeHead) -> Result<Self, OpenError> {
        let nodes = reader.nodes(&Frontier::node_ids(signed.size), signed.size)?;
        let check = Self { frontier: Frontier::from_nodes(signed.size, &nodes).map_err(ReadError::from)? };
        let (got, expected) = (check.frontier.root(), signed.root);
        if got != expected {
            return Err(Refusal::RootDiffers { size: signed.size, got, expected }.into());
        }
        Ok(check)
    }

    /// Whether these entries, in the encoding of a bundle, lead from the last head to this one. After an error
    /// nothing may be signed any more.
    pub(super) fn follow(
        &mut self,
        first: LeafIndex,
        encoded: &Bytes,
        head: &TreeHead,
    ) -> Result<(), SequencerError> {
        if self.frontier.size().next_index() != first {
            return Err(self.differs(head));
        }
        for entry in entries::split(encoded) {
            let entry = entry.map_err(|_| self.differs(head))?;
            self.frontier.append(leaf_hash(entry.bytes())).map_err(ReadError::from)?;
        }
        self.compare(head)
    }

    fn compare(&self, head: &TreeHead) -> Result<(), SequencerError> {
        let own = TreeHead { size: self.frontier.size(), root: self.frontier.root() };
        if own == *head { Ok(()) } else { Err(self.differs(head)) }
    }

    fn differs(&self, head: &TreeHead) -> SequencerError {
        let (own, planned) = (self.frontier.size(), head.size);
        SequencerError::SelfCheck { own, planned }
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::Hash;

    use super::*;
    use crate::storage::entries::Encoder;
    use crate::testing::TestLog;

    fn index(index: u64) -> LeafIndex {
        LeafIndex::new(index).unwrap()
    }

    fn encoded(entries: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(0);
        for byte in entries {
            encoder.push(&[*byte]);
        }
        encoder.finish().to_vec()
    }

    /// A log of three entries, what follows it, and the head that then is right.
    fn case() -> (SelfCheck, Vec<u8>, TreeHead) {
        let mut log = TestLog::of(&[1, 2, 3]);
        let check = SelfCheck::of(&log.tree, &log.head()).unwrap();
        log.grow(&[4, 5]);
        (check, encoded(&[4, 5]), log.head())
    }

    #[test]
    fn every_head_follows_from_the_one_before() {
        let mut log = TestLog::new();
        let mut check = SelfCheck::of(&log.tree, &log.head()).unwrap();
        for byte in 0..70 {
            log.grow(&[byte]);
            check.follow(index(u64::from(byte)), &encoded(&[byte]).into(), &log.head()).unwrap();
            SelfCheck::of(&log.tree, &log.head()).unwrap();
        }
    }

    #[test]
    fn a_bit_flipped_in_an_entry_or_in_the_head_is_seen() {
        let (check, entries, head) = case();
        check.clone().follow(index(3), &entries.clone().into(), &head).unwrap();
        for bit in 0..entries.len() * 8 {
            let mut flipped = entries.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = check.clone().follow(index(3), &flipped.into(), &head).unwrap_err();
            assert!(matches!(error, SequencerError::SelfCheck { .. }), "bit {bit} of the entries: {error}");
        }
        for bit in 0..256 {
            let mut root = *head.root.as_bytes();
            root[bit / 8] ^= 1 << (bit % 8);
            let other = TreeHead { root: Hash::from_bytes(root), ..head };
            assert!(
                check.clone().follow(index(3), &entries.clone().into(), &other).is_err(),
                "bit {bit} of the root"
            );
        }
    }

    #[test]
    fn another_number_of_entries_or_another_place_is_seen() {
        let (check, entries, head) = case();
        for (first, entries) in [
            (3, encoded(&[4])),
            (3, encoded(&[4, 5, 6])),
            (3, Vec::new()),
            (2, entries.clone()),
            (4, entries),
        ] {
            assert!(check.clone().follow(index(first), &entries.into(), &head).is_err());
        }
    }

    #[test]
    fn a_stored_tree_that_is_not_the_signed_one_is_no_start() {
        let log = TestLog::of(&[1, 2, 3]);
        let other = TestLog::of(&[1, 2, 4]);
        assert!(SelfCheck::of(&log.tree, &other.head()).unwrap_err().refuses_to_sign());
    }
}
