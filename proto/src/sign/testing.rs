//! Fixed keys and notes for the tests of this crate.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{CosignSigner, LogSigner, RecordSigner, SecretKey, Signer};
use crate::checkpoint::{Checkpoint, Origin};
use crate::cosignature::Cosignature;
use crate::hash::{Hash, sha256};
use crate::note::{KeyKind, KeyName, NoteSignature, SignedNote};
use crate::size::TreeSize;
use crate::time::UnixSeconds;
use crate::tree::TreeHead;
use crate::wire::encode_base64;

pub(crate) fn secret(kind: KeyKind, name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32])
}

pub(crate) fn log_signer(name: &str, seed: u8) -> LogSigner {
    LogSigner::new(secret(KeyKind::Log, name, seed)).unwrap()
}

pub(crate) fn cosigner(name: &str, seed: u8) -> CosignSigner {
    CosignSigner::new(secret(KeyKind::Cosigner, name, seed)).unwrap()
}

pub(crate) fn ml_dsa_secret(name: &str, seed: u8) -> SecretKey {
    SecretKey::ml_dsa_from_seed(KeyName::parse(name).unwrap(), [seed; 32]).unwrap()
}

pub(crate) fn ml_dsa_cosigner(name: &str, seed: u8) -> CosignSigner {
    CosignSigner::new(ml_dsa_secret(name, seed)).unwrap()
}

/// The vkey of any bytes as a witness's ML-DSA-44 key.
pub(crate) fn ml_dsa_vkey(name: &str, key: &[u8]) -> String {
    let id = sha256(&[name.as_bytes(), b"\n\x06", key].concat()).to_hex();
    format!("{name}+{}+{}", &id[..8], encode_base64([b"\x06", key].concat()))
}

/// A line that states `time`, and this signer's signature of a message that may be any.
pub(crate) fn line_over(signer: &CosignSigner, time: UnixSeconds, message: &[u8]) -> NoteSignature {
    let signature = signer.0.sign(message).into_vec();
    NoteSignature::by(signer.verifier(), Cosignature::new(time, signature).encode())
}

pub(crate) fn record_signer(name: &str, seed: u8) -> RecordSigner {
    RecordSigner::new(secret(KeyKind::Record, name, seed)).unwrap()
}

pub(crate) fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

pub(crate) fn head(size: u64, root: Hash) -> TreeHead {
    TreeHead { size: TreeSize::new(size).unwrap(), root }
}

/// The text of a checkpoint of five entries with a made-up root.
pub(crate) fn checkpoint_text(origin: &str) -> String {
    let head = head(5, sha256(b"a root"));
    Checkpoint::new(Origin::parse(origin).unwrap(), head).unwrap().encode()
}

/// `text` under the log's signature alone.
pub(crate) fn log_note(text: &str, signer: &LogSigner) -> SignedNote {
    note(text, [signer.sign(text.as_bytes())])
}

pub(crate) fn note(text: &str, signatures: impl Into<Vec<NoteSignature>>) -> SignedNote {
    SignedNote::new(text.into(), signatures.into()).unwrap()
}

/// `bytes` is read and written back unchanged; every shorter start of it and every single byte more is
/// refused.
pub(crate) fn assert_exact<T, E: core::fmt::Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    assert_eq!(encode(&parse(bytes).unwrap()), bytes);
    for len in 0..bytes.len() {
        assert!(parse(&bytes[..len]).is_err(), "accepted the first {len} bytes");
    }
    for extra in [b'\n', b' ', 0, b'A', b'=', 0xff] {
        let longer = [bytes, &[extra]].concat();
        assert!(parse(&longer).is_err(), "accepted one more byte {extra:#04x}");
    }
}
