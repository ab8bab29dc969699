//! A key that verifies many signatures: the same answers in two thirds of the time.
//!
//! Verifying is two multiplications of points, one of them of the curve's base point, which libraries keep a table
//! of multiples of. Here the key's point has such a table, too. The arithmetic is `curve25519-dalek`'s; what is
//! compared, and what is refused, is that of [`VerifierKey::verify_raw`], which the tests hold against it.

use alloc::boxed::Box;
use core::fmt;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTable, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable as _;
use ed25519_dalek::Signature;
use sha2::{Digest as _, Sha512};

use super::public_key::PublicKey;
use super::{InvalidSignature, VerifierKey};

/// An Ed25519 public key with a table of 30 KiB. Making it takes as long as some 25 signatures take without.
pub struct PreparedKey {
    key: [u8; 32],
    /// Of the negated point.
    table: Box<EdwardsBasepointTable>,
}

impl PreparedKey {
    /// Prepares a key; `None` if it is not an Ed25519 key, others keep what they compute ahead in themselves.
    pub fn new(key: &VerifierKey) -> Option<Self> {
        let PublicKey::Ed25519(key) = &key.key else { return None };
        let table = Box::new(EdwardsBasepointTable::create(&-key.to_edwards()));
        Some(Self { key: key.to_bytes(), table })
    }

    /// Whether it verifies what this key does.
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.key == key.public_key_bytes()
    }

    /// What [`VerifierKey::verify_raw`] of the key says.
    ///
    /// # Errors
    /// [`InvalidSignature`], as there: RFC 8032, section 5.1.7, without a factor of eight, and nothing of low order.
    pub fn verify_raw(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let signature = Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
        let r = CompressedEdwardsY(*signature.r_bytes());
        // Of all numbers that are the same modulo the group's order, only the least.
        let s: Option<Scalar> = Scalar::from_canonical_bytes(*signature.s_bytes()).into();
        let s = s.ok_or(InvalidSignature)?;
        let hash = Sha512::new().chain_update(r.as_bytes()).chain_update(self.key).chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        // R = [S]B - [k]A. The key itself is not of low order, or it would be none.
        let expected = EdwardsPoint::mul_base(&s) + self.table.mul_base(&k);
        if expected.is_small_order() || expected.compress() != r {
            return Err(InvalidSignature);
        }
        Ok(())
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sign::Signer as _;
    use crate::sign::testing::log_signer;

    proptest! {
        /// Whatever is changed: the verdict is that of the key.
        #[test]
        fn verdicts_are_those_of_the_key(
            seed: u8,
            message in proptest::collection::vec(any::<u8>(), 0..200),
            flipped in proptest::option::of(0_usize..512),
            other: bool,
        ) {
            let signer = log_signer("log.example", seed);
            let mut signature = signer.sign(&message).signature().to_vec();
            if let Some(bit) = flipped {
                signature[bit / 8] ^= 1 << (bit % 8);
            }
            let other = log_signer("log.example", seed.wrapping_add(u8::from(other)));
            let key = other.verifier();
            let prepared = PreparedKey::new(key).unwrap();
            prop_assert!(prepared.is_of(key));
            let expected = key.verify_raw(&message, &signature);
            prop_assert_eq!(prepared.verify_raw(&message, &signature), expected);
        }
    }

    #[test]
    fn is_of_its_key_only() {
        let [one, other] = [1, 2].map(|seed| log_signer("log.example", seed));
        assert!(!PreparedKey::new(one.verifier()).unwrap().is_of(other.verifier()));
        // The name and the kind are for those who ask which key it is.
        assert!(PreparedKey::new(one.verifier()).unwrap().is_of(log_signer("log2.example", 1).verifier()));
    }
}
