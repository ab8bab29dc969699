//! A set of record keys and how many of them have to sign.

use alloc::vec::Vec;

use crate::note::{KeyId, KeyKind, KeyName, VerifierKey};

/// Keys and a threshold, `docs/records.md`, section 5: 1 to [`KeySet::MAX_KEYS`] record keys sorted by name
/// and id, no public key and no pair of name and id twice, threshold 1 to the number of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<VerifierKey>,
    threshold: u8,
}

/// Why keys and a threshold are not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// No key, or more than [`KeySet::MAX_KEYS`].
    #[error("{got} keys, 1 to {} are allowed", KeySet::MAX_KEYS)]
    KeyCount {
        /// How many keys there are.
        got: usize,
    },
    /// The threshold is zero or above the number of keys.
    #[error("threshold {got} of {keys} keys")]
    Threshold {
        /// The refused threshold.
        got: u8,
        /// How many keys there are.
        keys: usize,
    },
    /// A key is of a kind that does not sign records.
    #[error("key {key} is not a record key")]
    NotARecordKey {
        /// Which key, counted from 0.
        key: usize,
    },
    /// Two keys share their public key, or their name and id.
    #[error("key {key} repeats the public key, or the name and id, of another")]
    Duplicate {
        /// The later of the two, counted from 0.
        key: usize,
    },
}

impl KeySetError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyCount { .. } => "key-set-count",
            Self::Threshold { .. } => "key-set-threshold",
            Self::NotARecordKey { .. } => "key-set-kind",
            Self::Duplicate { .. } => "key-set-duplicate",
        }
    }
}

impl KeySet {
    /// The most keys in a set; sixteen signatures are what every signed-note reader has to take.
    pub const MAX_KEYS: usize = 16;

    /// The set of `keys`, in any order, of which `threshold` have to sign.
    pub fn new(mut keys: Vec<VerifierKey>, threshold: u8) -> Result<Self, KeySetError> {
        if keys.is_empty() || keys.len() > Self::MAX_KEYS {
            return Err(KeySetError::KeyCount { got: keys.len() });
        }
        if threshold == 0 || usize::from(threshold) > keys.len() {
            return Err(KeySetError::Threshold { got: threshold, keys: keys.len() });
        }
        keys.sort_by(|a, b| signer_order(a).cmp(&signer_order(b)));
        let mut earlier: &[VerifierKey] = &[];
        for (position, key) in keys.iter().enumerate() {
            if key.kind() != KeyKind::Record {
                return Err(KeySetError::NotARecordKey { key: position });
            }
            if earlier.iter().any(|other| collides(key, other)) {
                return Err(KeySetError::Duplicate { key: position });
            }
            earlier = keys.get(..=position).unwrap_or_default();
        }
        Ok(Self { keys, threshold })
    }

    /// The keys, sorted by name, then id.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// How many keys of the set have to sign.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Whether this very key, name included, is in the set.
    pub fn contains(&self, key: &VerifierKey) -> bool {
        self.keys.contains(key)
    }

    /// Whether a key of this set and one of `other` could be taken for each other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|theirs| collides(key, theirs)))
    }
}

/// What key lists and signature lines are sorted by.
pub(super) fn signer_order(key: &VerifierKey) -> (&KeyName, KeyId) {
    (key.name(), key.id())
}

fn collides(a: &VerifierKey, b: &VerifierKey) -> bool {
    a.public_key_bytes() == b.public_key_bytes() || signer_order(a) == signer_order(b)
}
