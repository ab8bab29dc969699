//! Which keys are certainly not in the database? A Bloom filter over the keys that are in it, so that new keys need
//! not be asked of it one by one: 20 bits a key.
//!
//! A key belongs to one block of 64 bytes, which is what a processor reads at once, and sets one bit in each of the
//! block's eight words. The filter grows by parts, each for twice as many keys as the one before. Of a full part's
//! blocks 0.03 % have all the bits of a key that is not there: so many new keys are looked for in vain, once for each
//! part. Who grinds for such keys makes the log look for them, no more: the database and the entry decide.

use indelible_proto::hash::Hash;

/// Bits of a part for each key it is made for.
const BITS_PER_KEY: usize = 20;
/// Keys of the first part: 20 MiB.
const FIRST_KEYS: usize = 1 << 23;

const BLOCK_BITS: usize = 512;

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Block([u64; 8]);

/// A set of keys that is never wrong about a key it has, and seldom about one it has not.
#[derive(Debug, Default)]
pub(super) struct Filter {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    blocks: Vec<Block>,
    /// How many more keys it is made for.
    room: usize,
}

impl Filter {
    /// Adds keys.
    pub(super) fn extend<'a>(&mut self, keys: impl IntoIterator<Item = &'a Hash>) {
        for key in keys {
            let part = self.part_with_room();
            part.room -= 1;
            let (at, bits) = Self::place(key, part.blocks.len());
            for (word, bit) in part.blocks[at].0.iter_mut().zip(bits) {
                *word |= bit;
            }
        }
    }

    /// Whether the key may have been added; if not, it was not.
    pub(super) fn may_have(&self, key: &Hash) -> bool {
        self.parts.iter().any(|part| {
            let (at, bits) = Self::place(key, part.blocks.len());
            part.blocks[at].0.iter().zip(bits).all(|(word, bit)| word & bit != 0)
        })
    }

    fn part_with_room(&mut self) -> &mut Part {
        if self.parts.last().is_none_or(|part| part.room == 0) {
            let keys = FIRST_KEYS << self.parts.len();
            let blocks = keys * BITS_PER_KEY / BLOCK_BITS;
            self.parts.push(Part { blocks: vec![Block::default(); blocks], room: keys });
        }
        self.parts.last_mut().expect("invariant: one was pushed")
    }

    /// The key's block among so many, and its bit of each word. Of other bytes than the table of the newest
    /// entries probes by.
    fn place(key: &Hash, blocks: usize) -> (usize, [u64; 8]) {
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h, rest @ ..] = *key.as_bytes();
        let block = (u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h])) * blocks as u128) >> 64;
        (block as usize, std::array::from_fn(|word| 1 << (rest[word] & 63)))
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::sha256;

    use super::*;

    fn keys(numbers: std::ops::Range<u64>) -> Vec<Hash> {
        numbers.map(|number| sha256(&number.to_be_bytes())).collect()
    }

    #[test]
    fn an_empty_filter_has_nothing() {
        assert!(keys(0..1000).iter().all(|key| !Filter::default().may_have(key)));
    }

    #[test]
    fn has_every_key_it_was_given_and_few_others() {
        // As full as parts get, in small.
        let mut filter = Filter { parts: vec![Part { blocks: vec![Block::default(); 2_500], room: 64_000 }] };
        let known = keys(0..64_000);
        filter.extend(&known);
        assert!(known.iter().all(|key| filter.may_have(key)));
        let others = keys(1_000_000..1_100_000);
        let taken_for_known = others.iter().filter(|key| filter.may_have(key)).count();
        assert!((1..60).contains(&taken_for_known), "{taken_for_known} of {}", others.len());
    }

    #[test]
    fn grows_by_parts_and_forgets_nothing() {
        let mut filter = Filter { parts: vec![Part { blocks: vec![Block::default(); 1], room: 10 }] };
        let known = keys(0..1000);
        filter.extend(&known);
        assert_eq!(filter.parts.len(), 2);
        assert_eq!(filter.parts[0].room, 0);
        assert!(known.iter().all(|key| filter.may_have(key)));
    }
}
