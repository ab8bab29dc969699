use alloc::format;
use alloc::string::String;

use super::testing::{at, checkpoint_text, cosigner, log_signer, ml_dsa_secret, note, record_signer, secret};
use super::*;
use crate::note::Algorithm;

// Keys of fixed seeds, written by another implementation.
const LOG_SECRET: &str = "PRIVATE+KEY+log.example/one+aa441aac+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const WITNESS_SECRET: &str =
    "PRIVATE+KEY+witness.example/w1+df1c0a35+BAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const RECORD_SECRET: &str = "PRIVATE+KEY+vendor.example+12aa5d28+\
     /2luZGVsaWJsZS9kc3NlLWVkMjU1MTkDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw==";

#[test]
fn a_secret_key_survives_its_text_form() {
    for text in [LOG_SECRET, WITNESS_SECRET, RECORD_SECRET] {
        assert_eq!(SecretKey::parse(text).unwrap().encode().as_str(), text);
    }
}

#[test]
fn a_seed_makes_the_key_other_implementations_make() {
    let key = secret(KeyKind::Record, "vendor.example", 3);
    assert_eq!(key.encode().as_str(), RECORD_SECRET);
    let vkey = "vendor.example+12aa5d28+/2luZGVsaWJsZS9kc3NlLWVkMjU1MTntSSjGKNHCxurpAziQWZVhKVknOlxj+TY2wUYUrIc30Q==";
    assert_eq!(key.verifier().encode(), vkey);
}

#[test]
fn refuses_other_text_as_a_secret_key() {
    let cases = [
        (String::new(), "key-form"),
        (LOG_SECRET.replace("PRIVATE", "private"), "key-form"),
        (LOG_SECRET.replace("PRIVATE+KEY+", ""), "key-form"),
        (format!("{LOG_SECRET}\n"), "key-base64"),
        (format!(" {LOG_SECRET}"), "key-form"),
        (LOG_SECRET.replace("aa441aac", "AA441AAC"), "key-id-form"),
        (LOG_SECRET.replace("aa441aac", "aa441aad"), "key-id-mismatch"),
        (LOG_SECRET.replace("log.example/one", "log.example/two"), "key-id-mismatch"),
        (LOG_SECRET.replace("log.example/one", ""), "key-name-empty"),
        (LOG_SECRET.replace("+AQEB", "+AgEB"), "key-type-unknown"),
        (LOG_SECRET.replace("AQEBAQEBAQEBAQEB", "AQEBAQEBAQEB"), "key-length"),
        // A verifier key is no secret key.
        (format!("PRIVATE+KEY+{}", log_signer("log.example/one", 1).verifier()), "key-id-mismatch"),
    ];
    for (text, code) in cases {
        assert_eq!(SecretKey::parse(&text).map_err(|error| error.code()).map(|_| ()), Err(code), "{text:?}");
    }
}

/// A seed as others write it, with the signature type of ML-DSA-44 cosigners.
#[test]
fn an_ml_dsa_secret_key_survives_its_text_form() {
    let key = ml_dsa_secret("witness.example/w1", 2);
    let text = key.encode();
    let material = WITNESS_SECRET.rsplit('+').next().unwrap().replacen("BAIC", "BgIC", 1);
    assert_eq!(*text, format!("PRIVATE+KEY+witness.example/w1+{}+{material}", key.verifier().id()));
    let again = SecretKey::parse(&text).unwrap();
    assert_eq!((again.verifier(), again.encode()), (key.verifier(), text.clone()));
    assert_eq!(again.verifier().algorithm(), Algorithm::MlDsa44);
    let code = |text: String| SecretKey::parse(&text).map_err(|error| error.code()).map(|_| ());
    let long = "n".repeat(256);
    assert_eq!(code(text.replace("witness.example/w1", &long)), Err("key-name-too-long"));
    assert_eq!(code(text.replace("AgICAgICAgICAgIC", "AgICAgIC")), Err("key-length"));
    assert_eq!(code(text.replace("BgIC", "BAIC")), Err("key-id-mismatch"), "the seed of an Ed25519 key");
}

/// What the log states with its own ML-DSA-44 key, and what only a text that is no checkpoint is refused for.
#[test]
fn a_checkpoint_is_signed_with_a_key_of_either_algorithm() {
    let text = checkpoint_text("log.example/one");
    let note_key = CheckpointSigner::from(log_signer("log.example/one", 1));
    let ml_dsa = CheckpointSigner::new(ml_dsa_secret("log.example/one", 1)).unwrap();
    for (signer, time) in [(&note_key, None), (&ml_dsa, Some(at(100)))] {
        let line = signer.sign(&text, at(100)).unwrap();
        let verified = signer.verifier().verify_note(&note(&text, [line.clone()])).unwrap().unwrap();
        assert_eq!(verified.timestamp(), time);
        assert_eq!(signer.sign(&text, at(100)).unwrap(), line, "signing is deterministic");
    }
    assert!(note_key.sign("no checkpoint\n", at(100)).is_ok());
    assert_eq!(ml_dsa.sign("no checkpoint\n", at(100)).unwrap_err().code(), "signature-invalid");
}

#[test]
fn a_secret_key_is_never_printed() {
    let key = SecretKey::parse(LOG_SECRET).unwrap();
    let ml_dsa = ml_dsa_secret("log.example/one", 1);
    for key in [key, ml_dsa] {
        let signer = CheckpointSigner::new(key.clone()).unwrap();
        for printed in
            [format!("{key:?}"), format!("{key:#?}"), format!("{signer:?}"), format!("{signer:#?}")]
        {
            assert!(!printed.contains("AQEBAQEBAQEBAQEB"), "{printed}");
            assert!(!printed.contains("1, 1, 1"), "{printed}");
            assert!(printed.contains(&format!("log.example/one+{}", key.verifier().id())), "{printed}");
        }
    }
}

#[test]
fn a_signer_takes_keys_of_its_own_kind_only() {
    for kind in [KeyKind::Log, KeyKind::Cosigner, KeyKind::Record] {
        let key = || secret(kind, "name.example", 7);
        assert_eq!(LogSigner::new(key()).is_ok(), kind == KeyKind::Log);
        assert_eq!(CosignSigner::new(key()).is_ok(), kind == KeyKind::Cosigner);
        assert_eq!(RecordSigner::new(key()).is_ok(), kind == KeyKind::Record);
    }
    let (record, ml_dsa) = (secret(KeyKind::Record, "name.example", 7), ml_dsa_secret("name.example", 7));
    let checkpoints = |key: SecretKey| CheckpointSigner::new(key).map_err(|error| error.code()).map(|_| ());
    assert_eq!(checkpoints(secret(KeyKind::Log, "name.example", 7)), Ok(()));
    assert_eq!(checkpoints(ml_dsa), Ok(()));
    assert_eq!(checkpoints(record), Err("key-wrong-kind"));
    assert_eq!(checkpoints(secret(KeyKind::Cosigner, "name.example", 7)), Err("key-wrong-kind"));
    let error = LogSigner::new(secret(KeyKind::Cosigner, "name.example", 7)).unwrap_err();
    assert_eq!(error.code(), "key-wrong-kind");
    assert_eq!(format!("{error}"), "witness key where a log key is needed");
}

#[test]
fn signatures_are_the_ones_other_implementations_make() {
    let text = "log.example/one\n1\n2cLWa1IsJSJyj1Of+fZ7hdQN7/8JX8ilKMmU9PNbs94=\n";
    let by_log = log_signer("log.example/one", 1).sign(text.as_bytes());
    assert_eq!(
        by_log.encode_line(),
        "\u{2014} log.example/one qkQarB5TgR4fCwfnMAiw8Efrcj5RgU8jDIyqAO+cwUiTNKtSfCvTfkybiYP8kacL4+RV51OMpz/\
         Vzi5avbnTDjUX4Aw=\n"
    );
    let by_witness = cosigner("witness.example/w1", 2).cosign(text, at(1_700_000_000)).unwrap();
    assert_eq!(
        by_witness.encode_line(),
        "\u{2014} witness.example/w1 3xwKNQAAAABlU/EA5PcN56Ddsn2UFFyveAmRE+2bgKT5zp2hElMO6AQKOZnFt5Jsi92CJK0hycUr\
         s5ULedCkYuLr1jNuzLZtr2fMAg==\n"
    );
    let by_vendor = record_signer("vendor.example", 3).sign(b"a record");
    assert_eq!(
        by_vendor.encode_line(),
        "\u{2014} vendor.example EqpdKLYn11IW4b2dzqcHN8kcjTHiI0AQccK/4m/zt75USmhkk4sQMU+ZG54bOiMxK6tMMz2N4No7yycP\
         4yqaUZEPjgI=\n"
    );
}
