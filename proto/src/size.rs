//! Counting entries: tree sizes and leaf indices, `0..=2^63-1`, and the only arithmetic between them.

use core::fmt;

/// A value above `2^63-1`, which no tree size or leaf index may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} is above the largest tree size, {}", TreeSize::MAX)]
pub struct SizeError {
    /// The refused value.
    pub got: u64,
}

impl SizeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "size-too-large"
    }
}

/// How many entries a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreeSize(u64);

/// The position of an entry in the log, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeafIndex(u64);

impl TreeSize {
    /// The tree without entries.
    pub const ZERO: Self = Self(0);
    /// The largest tree, `2^63-1` entries.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// A tree size, if it is at most [`TreeSize::MAX`].
    pub const fn new(size: u64) -> Result<Self, SizeError> {
        if size > Self::MAX.0 { Err(SizeError { got: size }) } else { Ok(Self(size)) }
    }

    /// The number of entries.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether the tree has no entries.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This tree with `count` more entries.
    pub const fn plus(self, count: u64) -> Result<Self, SizeError> {
        Self::new(self.0.saturating_add(count))
    }

    /// Whether the tree has an entry at `index`.
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }

    /// The index the next entry will get.
    pub const fn next_index(self) -> LeafIndex {
        LeafIndex(self.0)
    }
}

impl LeafIndex {
    /// A leaf index, if it is below [`TreeSize::MAX`] plus one.
    pub const fn new(index: u64) -> Result<Self, SizeError> {
        if index > TreeSize::MAX.0 { Err(SizeError { got: index }) } else { Ok(Self(index)) }
    }

    /// The index as a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit_63_bits() {
        assert_eq!(TreeSize::new(1 << 63), Err(SizeError { got: 1 << 63 }));
        assert_eq!(TreeSize::new(u64::MAX), Err(SizeError { got: u64::MAX }));
        assert_eq!(LeafIndex::new(1 << 63), Err(SizeError { got: 1 << 63 }));
        assert!(TreeSize::MAX.plus(1).is_err());
        assert!(TreeSize::MAX.plus(u64::MAX).is_err());
        assert_eq!(TreeSize::MAX.plus(0), Ok(TreeSize::MAX));
    }

    #[test]
    fn an_index_is_contained_below_the_size() {
        let index = LeafIndex::new(4).unwrap();
        assert!(!TreeSize::new(4).unwrap().contains(index));
        assert!(TreeSize::new(5).unwrap().contains(index));
        assert_eq!(TreeSize::new(4).unwrap().next_index(), index);
    }
}
