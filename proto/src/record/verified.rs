//! Signatures of records that were verified before anyone asked whether the record may follow.
//!
//! Verifying is nearly all of what admission costs, and needs no order: it can be done by whoever brings the
//! record. Which keys count is only known later, by [`super::may_follow_verified`], which takes from here what
//! fits and verifies the rest itself. So nothing here can admit a record; it can only save time.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::leaf::SIGNATURE_BYTES;
use super::{Chain, ChannelState, KeySet, Predicate, RecordId, SignedRecord};
use crate::note::{NoteSignature, PreparedKey, VerifierKey};

/// Signatures over one record, each with the key under which it was verified.
///
/// Made by [`VerifiedSignatures::verify`] only. A signature counts for exactly the message, the public key
/// and the bytes it was verified with; to any other it says nothing.
#[derive(Clone, Debug, Default)]
pub struct VerifiedSignatures {
    record: Option<RecordId>,
    verified: Vec<(VerifierKey, [u8; SIGNATURE_BYTES])>,
}

impl VerifiedSignatures {
    /// Nothing verified yet.
    pub const fn none() -> Self {
        Self { record: None, verified: Vec::new() }
    }

    /// Verifies the record's signatures by the keys that may sign it if the channel is in this state: those
    /// in force and those the record adds. What does not verify, or is by another key, is left out.
    ///
    /// At most one verification for each line and key of the same name and id.
    pub fn verify(state: Option<&ChannelState>, record: &SignedRecord) -> Self {
        Self::verify_prepared(state, record, |_| None)
    }

    /// The same, faster for keys that the caller has prepared.
    pub fn verify_prepared(
        state: Option<&ChannelState>,
        record: &SignedRecord,
        prepared: impl Fn(&VerifierKey) -> Option<Arc<PreparedKey>>,
    ) -> Self {
        let mut verified = Vec::new();
        for key in keys_that_may_sign(state, record) {
            let lines = record.signatures().iter().filter(|line| line.names(key));
            let signatures =
                lines.filter_map(|line| <&[u8; SIGNATURE_BYTES]>::try_from(line.signature()).ok());
            for signature in signatures {
                // Whatever the caller has: another key's table says nothing.
                let verdict = match prepared(key).filter(|prepared| prepared.is_of(key)) {
                    Some(prepared) => prepared.verify_raw(record.message(), signature),
                    None => key.verify_raw(record.message(), signature),
                };
                if verdict.is_ok() {
                    verified.push((key.clone(), *signature));
                }
            }
        }
        Self { record: Some(record.record_id()), verified }
    }

    /// Whether this signature over this record was verified under this key.
    pub fn has(&self, record: &SignedRecord, key: &VerifierKey, line: &NoteSignature) -> bool {
        // The id is the hash of the signed message.
        self.record == Some(record.record_id())
            && self.verified.iter().any(|(by, verified)| by == key && verified == line.signature())
    }
}

fn keys_that_may_sign<'a>(state: Option<&'a ChannelState>, record: &'a SignedRecord) -> Vec<&'a VerifierKey> {
    let predicate = &record.statement().predicate;
    let chain = predicate.common().chain;
    let in_force = state.and_then(|state| match chain {
        Chain::Publish => state.signers(),
        Chain::Recovery => state.recovery(),
    });
    let added = match (predicate, chain) {
        (Predicate::Channel(_, body), Chain::Publish) => [body.signers.as_ref(), None],
        (Predicate::Channel(_, body), Chain::Recovery) => [body.signers.as_ref(), body.recovery.as_ref()],
        _ => [None, None],
    };
    let mut keys: Vec<&VerifierKey> = in_force.map(KeySet::keys).unwrap_or_default().iter().collect();
    for key in added.into_iter().flatten().flat_map(KeySet::keys) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::note::{KeyKind, KeyName};
    use crate::record::Statement;
    use crate::record::tests::{channel, common, rules, set, signer, with_recovery, withdraw};
    use crate::record::{AdmissionError, Common, may_follow, may_follow_verified};
    use crate::sign::{RecordSigner, Signer as _};

    fn opened(signers: &[&RecordSigner]) -> ChannelState {
        let record = SignedRecord::sign(&channel(common(0), set(signers, 1)), signers).unwrap();
        may_follow(None, &record).unwrap()
    }

    fn next(state: &ChannelState) -> Common {
        let (prev, keys) = (Some(state.head()), Some(state.keys_record()));
        Common { prev, keys, ..common(state.seq() + 1) }
    }

    fn verified_and_not(state: Option<&ChannelState>, record: &SignedRecord) -> Result<(), AdmissionError> {
        let verified = VerifiedSignatures::verify(state, record);
        let with = may_follow_verified(state, record, &verified);
        assert_eq!(with, may_follow(state, record), "verifying before changes nothing");
        with.map(|_| ())
    }

    #[test]
    fn the_answer_is_the_same_as_without_verifying_before() {
        let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
        let state = opened(&[&a, &b]);
        let sign = |statement: &Statement, signers: &[&RecordSigner]| {
            SignedRecord::sign(statement, signers).unwrap()
        };
        let opening = channel(common(0), set(&[&a, &b], 1));
        assert_eq!(verified_and_not(None, &sign(&opening, &[&a, &b])), Ok(()));
        let refused = verified_and_not(None, &sign(&opening, &[&a]));
        assert_eq!(refused, Err(AdmissionError::NewKeyUnsigned { key: 1 }));
        assert_eq!(verified_and_not(Some(&state), &sign(&rules(next(&state)), &[&b])), Ok(()));
        let refused = verified_and_not(Some(&state), &sign(&rules(next(&state)), &[&a, &c]));
        assert_eq!(refused, Err(AdmissionError::UnknownSigner { line: 1 }));
        let change = channel(next(&state), set(&[&a, &c], 1));
        assert_eq!(verified_and_not(Some(&state), &sign(&change, &[&a, &c])), Ok(()));
        let elsewhere = SignedRecord::new(&change, vec![a.sign(b"x"), c.sign(b"y")]).unwrap();
        let refused = verified_and_not(Some(&state), &elsewhere);
        assert_eq!(refused, Err(AdmissionError::SignatureInvalid { line: 0 }));
    }

    #[test]
    fn a_record_of_the_recovery_chain_is_verified_with_its_keys() {
        let (a, b, r, s) = (signer("a", 1), signer("b", 2), signer("r", 3), signer("s", 4));
        let genesis = with_recovery(channel(common(0), set(&[&a], 1)), Some(set(&[&r], 1)));
        let state = may_follow(None, &SignedRecord::sign(&genesis, &[&a]).unwrap()).unwrap();
        let keys = state.recovery_keys_record();
        let next = || Common { keys, chain: Chain::Recovery, ..common(0) };
        let change = with_recovery(channel(next(), set(&[&b], 1)), Some(set(&[&s], 1)));
        for (statement, signers) in [(withdraw(next()), &[&r][..]), (change, &[&r, &s, &b])] {
            let record = SignedRecord::sign(&statement, signers).unwrap();
            let verified = VerifiedSignatures::verify(Some(&state), &record);
            for signer in signers {
                let line = record.signatures().iter().find(|line| line.names(signer.verifier())).unwrap();
                assert!(verified.has(&record, signer.verifier(), line));
            }
            assert_eq!(verified_and_not(Some(&state), &record), Ok(()));
        }
    }

    #[test]
    fn what_was_verified_for_one_record_says_nothing_about_another() {
        let a = signer("a", 1);
        let state = opened(&[&a]);
        let good = SignedRecord::sign(&rules(next(&state)), &[&a]).unwrap();
        let verified = VerifiedSignatures::verify(Some(&state), &good);
        // The same signature under another statement.
        let other = channel(next(&state), set(&[&a], 1));
        let forged = SignedRecord::new(&other, good.signatures().to_vec()).unwrap();
        let refused = may_follow_verified(Some(&state), &forged, &verified);
        assert_eq!(refused, Err(AdmissionError::SignatureInvalid { line: 0 }));
    }

    #[test]
    fn another_signature_or_key_of_the_same_name_is_not_verified() {
        let a = signer("a", 1);
        let state = opened(&[&a]);
        let good = SignedRecord::sign(&rules(next(&state)), &[&a]).unwrap();
        let verified = VerifiedSignatures::verify(Some(&state), &good);
        let line = good.signatures()[0].clone();
        assert!(verified.has(&good, a.verifier(), &line));
        assert!(!verified.has(&good, signer("a", 2).verifier(), &line));
        let name = KeyName::parse("a").unwrap();
        let other_kind = VerifierKey::from_public_key(KeyKind::Log, name, a.verifier().public_key_bytes());
        assert!(!verified.has(&good, &other_kind.unwrap(), &line));
        let bad = NoteSignature::new(line.name().clone(), line.id(), vec![7; 64]).unwrap();
        assert!(!verified.has(&good, a.verifier(), &bad));
        assert!(!VerifiedSignatures::none().has(&good, a.verifier(), &line));
    }

    #[test]
    fn keys_that_went_out_of_force_meanwhile_do_not_count() {
        let (old, new) = (signer("old", 1), signer("new", 2));
        let before = opened(&[&old]);
        let change = SignedRecord::sign(&channel(next(&before), set(&[&new], 1)), &[&old, &new]).unwrap();
        let after = may_follow(Some(&before), &change).unwrap();
        let record = SignedRecord::sign(&rules(next(&after)), &[&old]).unwrap();
        let verified = VerifiedSignatures::verify(Some(&before), &record);
        assert!(verified.has(&record, old.verifier(), &record.signatures()[0]));
        let refused = may_follow_verified(Some(&after), &record, &verified);
        assert_eq!(refused, Err(AdmissionError::UnknownSigner { line: 0 }));
        // And what nobody verified before is verified then.
        let record = SignedRecord::sign(&rules(next(&after)), &[&new]).unwrap();
        let verified = VerifiedSignatures::verify(Some(&before), &record);
        assert!(!verified.has(&record, new.verifier(), &record.signatures()[0]));
        assert!(may_follow_verified(Some(&after), &record, &verified).is_ok());
    }

    #[test]
    fn prepared_keys_change_no_verdict_and_count_for_themselves_only() {
        let (a, b) = (signer("a", 1), signer("b", 2));
        let state = opened(&[&a, &b]);
        let record = SignedRecord::sign(&rules(next(&state)), &[&a, &b]).unwrap();
        let [right, wrong] = [&a, &b].map(|signer| Arc::new(PreparedKey::new(signer.verifier()).unwrap()));
        let has = |prepared: &dyn Fn(&VerifierKey) -> Option<Arc<PreparedKey>>| {
            let verified = VerifiedSignatures::verify_prepared(Some(&state), &record, prepared);
            [&a, &b].map(|by| {
                let line = record.signatures().iter().find(|line| line.names(by.verifier())).unwrap();
                verified.has(&record, by.verifier(), line)
            })
        };
        assert_eq!(has(&|key| right.is_of(key).then(|| Arc::clone(&right))), [true; 2]);
        assert_eq!(has(&|_| Some(Arc::clone(&right))), [true; 2]);
        assert_eq!(has(&|_| Some(Arc::clone(&wrong))), [true; 2]);
        let forged =
            SignedRecord::new(record.statement(), vec![a.sign(b"x"), b.sign(record.message())]).unwrap();
        let verified =
            VerifiedSignatures::verify_prepared(Some(&state), &forged, |_| Some(Arc::clone(&right)));
        assert_eq!(verified.verified.len(), 1);
        assert_eq!(verified.verified[0].0, *b.verifier());
    }

    #[test]
    fn a_signature_is_verified_once() {
        let a = signer("a", 1);
        let state = opened(&[&a]);
        let statement = rules(next(&state));
        let record = SignedRecord::new(&statement, vec![a.sign(b"something else")]).unwrap();
        let claimed = VerifiedSignatures {
            record: Some(record.record_id()),
            verified: vec![(a.verifier().clone(), record.signatures()[0].signature().try_into().unwrap())],
        };
        // No one outside of this file can make such a claim; that it is believed shows that it is used.
        assert!(may_follow_verified(Some(&state), &record, &claimed).is_ok());
    }
}
