//! What a forger makes of true proofs and notes without anyone's key.

use indelible_proto::note::{KeyKind, KeyName, NoteSignature, VerifierKey};
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_proto::time::UnixSeconds;

/// The same proof under other signature lines.
///
/// # Panics
///
/// If there is none among them.
pub fn with_signatures(proof: &LogProof, signatures: Vec<NoteSignature>) -> LogProof {
    let note = proof.note().with_signatures(signatures).expect("a well-formed note");
    let extra = proof.extra().map(<[u8]>::to_vec);
    LogProof::new(extra, proof.index(), proof.proof().clone(), note).expect("a well-formed proof")
}

/// A cosignature of `text` in the name and under the key id of `witness`, made with another key.
///
/// # Panics
///
/// Never: every part of it is well-formed.
pub fn cosignature(witness: &VerifierKey, text: &str) -> NoteSignature {
    let other = stranger(witness.name().as_str(), 7);
    let time = UnixSeconds::new(1_800_000_000).expect("a time");
    let made = other.cosign(text, time).expect("an Ed25519 key signs any text");
    NoteSignature::new(witness.name().clone(), witness.id(), made.signature().to_vec())
        .expect("a signature line")
}

/// A cosigner that nobody knows, with the key made of `seed`.
///
/// # Panics
///
/// If `name` is no key's name.
pub fn stranger(name: &str, seed: u8) -> CosignSigner {
    let name = KeyName::parse(name).expect("a name for a key");
    let key = SecretKey::from_seed(KeyKind::Cosigner, name, [seed; 32]);
    CosignSigner::new(key).expect("a cosigner's key")
}
