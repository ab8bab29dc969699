//! The newest entries by their keys, in memory: 11 to 22 bytes an entry.
//!
//! An open-addressing table of 64-bit slots. A slot has the first 36 bits of an entry's key, which also say
//! where probing starts, and 28 bits for where the entry is: its index relative to a base, plus one, so that
//! zero is an empty slot. Equal key bits only make a candidate. Who asks compares the whole key with the
//! entry's, and if they differ goes on with the next candidate, so that the answer is exact.
//!
//! Keys are SHA-256 hashes. Who grinds for hashes with equal first bits makes probing longer by one slot for
//! each entry that is logged, no more.

use indelible_proto::hash::Hash;

/// Bits of the key in a slot.
const TAG_BITS: u32 = 36;
/// Bits of the place in a slot.
const PLACE_BITS: u32 = 64 - TAG_BITS;
/// How far from the first entry others may be, in both directions.
const REACH: u64 = 1 << (PLACE_BITS - 1);
/// Slots of an empty table, as a power of two.
const MIN_SLOTS_LOG: u32 = 12;

/// Keys of entries and where the entries are.
#[derive(Debug)]
pub(super) struct Recent {
    /// A power of two of them, a quarter or more of them zero.
    slots: Vec<u64>,
    len: usize,
    /// What places are relative to.
    base: u64,
    /// The most slots that were looked at for a free one.
    #[cfg(test)]
    most_probed: usize,
}

impl Recent {
    /// An empty table for entries less than 2^27 away from `index`.
    pub(super) fn around(index: u64) -> Self {
        Self::with_room(index, 0)
    }

    /// The same with room for so many entries before it grows.
    fn with_room(index: u64, entries: usize) -> Self {
        let slots = (entries / 3 * 4 + 4).next_power_of_two().max(1 << MIN_SLOTS_LOG);
        Self {
            slots: vec![0; slots],
            len: 0,
            base: index.saturating_sub(REACH),
            #[cfg(test)]
            most_probed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry. The caller keeps to the distance that the table was made for.
    pub(super) fn insert(&mut self, key: &Hash, index: u64) {
        self.put(tag(key), index);
    }

    /// The indices of the entries that may have this key.
    pub(super) fn candidates(&self, key: &Hash) -> impl Iterator<Item = u64> + '_ {
        let tag = tag(key);
        let probed = self.probe(tag).map(|at| self.slots[at]).take_while(|slot| *slot != 0);
        probed.filter(move |slot| slot >> PLACE_BITS == tag).map(|slot| self.index_of(slot))
    }

    /// Gives up the entries before `first`.
    pub(super) fn retain_from(&mut self, first: u64) {
        let kept = || self.slots.iter().filter(|slot| **slot != 0 && self.index_of(**slot) >= first);
        // Room for all of them from the start: slots are in the order of the keys, and the first of them would all
        // be in one place of a table that grows.
        let mut table = Self::with_room(first, kept().count());
        for slot in kept() {
            table.put(slot >> PLACE_BITS, self.index_of(*slot));
        }
        *self = table;
    }

    fn put(&mut self, tag: u64, index: u64) {
        if self.len >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        let place = index.wrapping_sub(self.base).wrapping_add(1);
        assert!(place < 2 * REACH && place > 0, "invariant: tables are made anew before they reach that far");
        self.put_slot(tag << PLACE_BITS | place);
        self.len += 1;
    }

    fn put_slot(&mut self, slot: u64) {
        let mut probed = self.probe(slot >> PLACE_BITS).enumerate();
        let (_steps, free) = probed.find(|(_, at)| self.slots[*at] == 0).unzip();
        #[cfg(test)]
        {
            self.most_probed = self.most_probed.max(_steps.unwrap_or(0));
        }
        self.slots[free.expect("invariant: a quarter of the slots is free")] = slot;
    }

    fn grow(&mut self) {
        let doubled = vec![0; self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, doubled).into_iter().filter(|slot| *slot != 0) {
            self.put_slot(slot);
        }
    }

    /// Every slot, in the order in which a tag looks for its own.
    fn probe(&self, tag: u64) -> impl Iterator<Item = usize> + use<> {
        let start = (tag >> (TAG_BITS - self.slots.len().ilog2())) as usize;
        let mask = self.slots.len() - 1;
        (0..self.slots.len()).map(move |step| (start + step) & mask)
    }

    fn index_of(&self, slot: u64) -> u64 {
        self.base + (slot & (2 * REACH - 1)) - 1
    }
}

/// The first bits of a key.
fn tag(key: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> PLACE_BITS
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::sha256;

    use super::*;

    fn key(number: u64) -> Hash {
        sha256(&number.to_be_bytes())
    }

    fn found(table: &Recent, number: u64) -> Vec<u64> {
        table.candidates(&key(number)).collect()
    }

    #[test]
    fn no_place_of_the_table_is_crowded_when_old_entries_are_given_up() {
        let mut table = Recent::around(0);
        for number in 0..100_000 {
            table.insert(&key(number), number);
        }
        let before = table.most_probed;
        for first in [10_000, 50_000, 99_000] {
            table.retain_from(first);
            assert_eq!(table.len() as u64, 100_000 - first);
            assert!(table.most_probed <= before, "{} and {before} slots", table.most_probed);
        }
    }

    #[test]
    fn finds_every_entry_while_it_grows_and_after_old_ones_are_given_up() {
        let mut table = Recent::around(1 << 40);
        for number in 0..50_000 {
            table.insert(&key(number), (1 << 40) + number);
        }
        assert_eq!(table.len(), 50_000);
        for number in 0..50_000 {
            assert_eq!(found(&table, number), [(1 << 40) + number]);
        }
        assert!(found(&table, 50_000).is_empty());
        table.retain_from((1 << 40) + 30_000);
        assert_eq!(table.len(), 20_000);
        for number in 0..50_000 {
            let expected = if number < 30_000 { vec![] } else { vec![(1 << 40) + number] };
            assert_eq!(found(&table, number), expected);
        }
    }

    #[test]
    fn older_entries_can_be_added_and_the_first_of_all() {
        let mut table = Recent::around(1000);
        for number in (0..2000).rev() {
            table.insert(&key(number), number);
        }
        assert!((0..2000).all(|number| found(&table, number) == [number]));
    }

    #[test]
    fn keys_that_begin_alike_are_all_candidates() {
        let mut table = Recent::around(0);
        let alike = |last: u8| {
            let mut bytes = [0xff; 32];
            bytes[31] = last;
            Hash::from_bytes(bytes)
        };
        for last in 0..100 {
            table.insert(&alike(last), u64::from(last));
        }
        let candidates: Vec<u64> = table.candidates(&alike(200)).collect();
        assert_eq!(candidates, (0..100).collect::<Vec<u64>>());
    }
}
