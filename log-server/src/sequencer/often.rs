//! The keys that sign most of what is submitted, prepared: see [`PreparedKey`].
//!
//! Preparing a key costs as much as 25 signatures without it, and 30 KiB. It is done for a key whose signatures have
//! been asked about so often that it is sure to be small beside them, whoever submits them; the key that was asked
//! about least lately makes room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indelible_proto::note::{PreparedKey, VerifierKey};

/// Most keys that are known: 8 MB when all are prepared.
const MAX_KEYS: usize = 256;
/// How often a key is asked about before it is prepared.
const ASKED: u32 = 64;

/// Keys, and how often they were asked about.
#[derive(Debug, Default)]
pub(super) struct OftenAsked(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<[u8; 32], Key>,
    asked: u64,
}

#[derive(Debug, Default)]
struct Key {
    asked: u32,
    last: u64,
    prepared: Option<Arc<PreparedKey>>,
}

impl OftenAsked {
    /// The key prepared, if it is worth it.
    pub(super) fn prepared(&self, key: &VerifierKey) -> Option<Arc<PreparedKey>> {
        // Of another algorithm: nothing is gained by preparing it.
        let bytes = key.public_key_bytes().try_into().ok()?;
        let (asked, prepared) = self.known().ask(bytes);
        if asked != ASKED {
            return prepared;
        }
        // Nobody waits for it: others go on without until it is there.
        let prepared = Arc::new(PreparedKey::new(key)?);
        if let Some(known) = self.known().keys.get_mut(&bytes) {
            known.prepared = Some(Arc::clone(&prepared));
        }
        Some(prepared)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// How often the key has been asked about by now, and what is prepared of it.
    fn ask(&mut self, key: [u8; 32]) -> (u32, Option<Arc<PreparedKey>>) {
        self.asked += 1;
        if self.keys.len() == MAX_KEYS && !self.keys.contains_key(&key) {
            let oldest = self.keys.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| *key);
            oldest.map(|key| self.keys.remove(&key));
        }
        let known = self.keys.entry(key).or_default();
        known.last = self.asked;
        known.asked = known.asked.saturating_add(1);
        (known.asked, known.prepared.clone())
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::note::{KeyKind, KeyName};
    use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};

    use super::*;

    fn key(number: usize) -> VerifierKey {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let name = KeyName::parse("a").unwrap();
        let signer = RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, seed)).unwrap();
        signer.verifier().clone()
    }

    #[test]
    fn a_key_is_prepared_once_it_was_asked_about_often() {
        let often = OftenAsked::default();
        let (one, other) = (key(1), key(2));
        for _ in 1..ASKED {
            assert!(often.prepared(&one).is_none());
        }
        let prepared = often.prepared(&one).unwrap();
        assert!(prepared.is_of(&one));
        assert!(Arc::ptr_eq(&often.prepared(&one).unwrap(), &prepared));
        assert!(often.prepared(&other).is_none());
    }

    #[test]
    fn the_key_that_was_asked_about_least_lately_makes_room() {
        let often = OftenAsked::default();
        let keys: Vec<_> = (0..=MAX_KEYS).map(key).collect();
        for _ in 0..ASKED {
            often.prepared(&keys[0]);
        }
        keys[1..MAX_KEYS].iter().for_each(|key| drop(often.prepared(key)));
        assert!(often.prepared(&keys[0]).is_some());
        often.prepared(&keys[MAX_KEYS]);
        assert_eq!(often.known().keys.len(), MAX_KEYS);
        assert!(often.prepared(&keys[0]).is_some());
        assert!(!often.known().keys.contains_key(keys[1].public_key_bytes()));
    }
}
