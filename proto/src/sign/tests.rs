use alloc::format;

use super::testing::{at, cosigner, log_signer, record_signer, secret};
use super::*;

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

#[test]
fn a_secret_key_is_never_printed() {
    let key = SecretKey::parse(LOG_SECRET).unwrap();
    let signer = LogSigner::new(key.clone()).unwrap();
    for printed in [format!("{key:?}"), format!("{key:#?}"), format!("{signer:?}"), format!("{signer:#?}")] {
        assert!(!printed.contains("AQEBAQEBAQEBAQEB"), "{printed}");
        assert!(!printed.contains("1, 1, 1"), "{printed}");
        assert!(printed.contains("log.example/one+aa441aac"), "{printed}");
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
    let by_witness = cosigner("witness.example/w1", 2).cosign(text, at(1_700_000_000));
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
