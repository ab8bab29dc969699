use alloc::vec;

use super::*;
use crate::hash::sha256;
use crate::note::PreparedKey;
use crate::sign::Signer as _;
use crate::sign::testing::{log_signer, ml_dsa_cosigner, ml_dsa_vkey};

// torchwood's vkey of the name `witness.example/w1` and the ML-DSA-44 key of 32 bytes `0x02` as its seed.
const TORCHWOOD_VKEY_SHA256: &str = "b7baaa025a9863a47c607ad7307760800d91ad63ebe35f6a62b60290165b5180";
const TORCHWOOD_VKEY_ID: &str = "aff69a9d";

const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fn code(text: &str) -> &'static str {
    VerifierKey::parse(text).map_or_else(|error| error.code(), |_| "ok")
}

fn vkey_of(key: &[u8; 32], name: &str) -> String {
    let name = KeyName::parse(name).unwrap();
    let id = KeyId::of(&name, SignatureType::Log, key);
    format!("{name}+{id}+{}", wire::encode_base64([&[0x01], &key[..]].concat()))
}

fn point(hexadecimal: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_lower(hexadecimal.as_bytes(), &mut bytes).unwrap();
    bytes
}

#[test]
fn reads_the_vkey_of_the_specification() {
    let key = VerifierKey::parse(VKEY).unwrap();
    assert_eq!(key.name().as_str(), "example.com/foo");
    assert_eq!(format!("{:?}", key.id()), "530d903a");
    assert_eq!(key.kind(), KeyKind::Log);
    assert_eq!(format!("{key}"), VKEY);
}

#[test]
fn a_plus_sign_in_the_base64_of_a_key_does_not_part_it() {
    let vkey = (0..=255).map(|seed| log_signer("log.example", seed).verifier().encode());
    let vkey = vkey.into_iter().find(|vkey| vkey.matches('+').count() > 2).unwrap();
    assert_eq!(VerifierKey::parse(&vkey).unwrap().encode(), vkey);
}

/// N15.
#[test]
fn refuses_other_spellings_of_a_vkey() {
    let cases = [
        (VKEY.replace("530d903a", "530d903b"), "key-id-mismatch"),
        (VKEY.replace("530d903a", "530D903A"), "key-id-form"),
        (VKEY.replace("530d903a", "530d903"), "key-id-form"),
        (VKEY.replace("530d903a", "530d903a0"), "key-id-form"),
        (VKEY.replace("530d903a", ""), "key-id-form"),
        (VKEY.replace("example.com/foo", "example.com/fop"), "key-id-mismatch"),
        (VKEY.replace("example.com/foo", "example.com+foo"), "key-id-form"),
        (VKEY.replace("example.com/foo", ""), "key-name-empty"),
        (VKEY.replace("example.com/foo", "example com"), "key-name-character"),
        (VKEY.replace("example.com/foo", "example\tcom"), "key-name-character"),
        (VKEY.replace("2k", "2l"), "key-id-mismatch"),
        (VKEY.replace("2k", "2"), "key-base64"),
        (VKEY.replace("2k", "2k="), "key-base64"),
        (VKEY.replace("2k", "2k\n"), "key-base64"),
        (VKEY.replace("+Aeky", "+Aeky\r\n"), "key-base64"),
        (VKEY.replace("eRrm", ""), "key-length"),
        ("example.com/foo+530d903a+".into(), "key-type-unknown"),
        ("example.com/foo+530d903a+AQ==".into(), "key-length"),
        ("example.com/foo+530d903a".into(), "key-form"),
        ("example.com/foo".into(), "key-form"),
        (String::new(), "key-form"),
        (format!(" {VKEY}"), "key-name-character"),
        (format!("{VKEY} "), "key-base64"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(&text), expected, "{text:?}");
    }
}

/// N14: bytes of a type this crate does not know, ECDSA or another crate's `0xff`, are no key.
#[test]
fn refuses_other_signature_types() {
    let key = VerifierKey::parse(VKEY).unwrap();
    for signature_type in
        [&b"\x00"[..], b"\x02", b"\x03", b"\x05", b"\x07", b"\xfa", b"\xff", b"\xffother/type"]
    {
        let material = wire::encode_base64([signature_type, key.public_key_bytes()].concat());
        assert_eq!(code(&format!("example.com/foo+530d903a+{material}")), "key-type-unknown");
    }
}

/// The id and the text are those that Go's torchwood gives the key of this seed.
#[test]
fn reads_an_ml_dsa_vkey() {
    let key = ml_dsa_cosigner("witness.example/w1", 2).verifier().clone();
    let text = key.encode();
    assert_eq!(sha256(text.as_bytes()).to_hex(), TORCHWOOD_VKEY_SHA256);
    assert_eq!(VerifierKey::parse(&text), Ok(key.clone()));
    assert_eq!((key.kind(), key.algorithm()), (KeyKind::Cosigner, Algorithm::MlDsa44));
    assert_eq!(key.public_key_bytes().len(), 1312);
    assert_eq!(format!("{:?}", key.id()), TORCHWOOD_VKEY_ID);
    assert!(PreparedKey::new(&key).is_none());
    assert_eq!(code(&text.replacen("+aff6", "+bff6", 1)), "key-id-mismatch");
    assert_eq!(code(&text.replacen("w1", "w2", 1)), "key-id-mismatch");
}

/// N14, N17: of one length, and under a name that a signature can cover.
#[test]
fn refuses_ml_dsa_keys_of_other_lengths_and_under_long_names() {
    for len in [0, 1, 32, 1311, 1313, 1952, 2592] {
        assert_eq!(code(&ml_dsa_vkey("w", &vec![7; len])), "key-length", "{len} bytes");
    }
    assert_eq!(code(&ml_dsa_vkey(&"n".repeat(255), &[7; 1312])), "ok");
    assert_eq!(code(&ml_dsa_vkey(&"n".repeat(256), &[7; 1312])), "key-name-too-long");
    // An Ed25519 cosignature does not cover the name.
    let long = crate::sign::testing::cosigner(&"n".repeat(256), 1).verifier().encode();
    assert_eq!(code(&long), "ok");
}

#[test]
fn one_public_key_has_another_id_for_each_kind_and_name() {
    let key = VerifierKey::parse(VKEY).unwrap();
    let id = |name: &str, known| KeyId::of(&KeyName::parse(name).unwrap(), known, key.public_key_bytes());
    let ids = SignatureType::ALL.map(|known| [id("a", known), id("b", known)]).concat();
    for (place, one) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(one));
    }
}

/// N15: Unicode spaces, the plus sign and control characters.
#[test]
fn refuses_key_names_that_cannot_stand_in_a_line() {
    assert_eq!(KeyName::parse(""), Err(KeyError::NameEmpty));
    let spaces = ['\u{20}', '\u{85}', '\u{a0}', '\u{1680}', '\u{2003}', '\u{2028}', '\u{202f}', '\u{3000}'];
    for found in spaces.into_iter().chain(['+']).chain('\0'..' ') {
        for name in [format!("{found}"), format!("a{found}"), format!("{found}a"), format!("a{found}b")] {
            assert_eq!(KeyName::parse(&name), Err(KeyError::NameCharacter { found }), "{name:?}");
        }
    }
}

/// N16: names that look alike are different names.
#[test]
fn names_are_compared_byte_by_byte() {
    let names = [
        "K.example",
        "\u{212a}.example",
        "\u{e9}",
        "e\u{301}",
        "a\u{200b}b",
        "ab",
        "\u{202e}ab",
        "k.example",
    ];
    for (place, one) in names.iter().enumerate() {
        let one = KeyName::parse(one).unwrap();
        assert!(names[..place].iter().all(|other| KeyName::parse(other).unwrap() != one));
    }
}

/// N13: the eight points of low order, and the two second spellings that are below 2^255.
#[test]
fn refuses_keys_of_low_order() {
    let low_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    for hexadecimal in low_order {
        assert_eq!(code(&vkey_of(&point(hexadecimal), "weak.example")), "key-weak", "{hexadecimal}");
    }
    for hexadecimal in [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        assert_eq!(code(&vkey_of(&point(hexadecimal), "weak.example")), "key-not-a-point", "{hexadecimal}");
    }
}

/// The y coordinates 3 to 18 can be written a second time as p+3 to p+18: the same key by other bytes.
#[test]
fn refuses_a_second_encoding_of_a_key() {
    for low in [0xf0, 0xf1, 0xf2, 0xf3, 0xf6, 0xf7, 0xfb, 0xfc, 0xfd, 0xff_u8] {
        let mut key = [0xff; 32];
        key[0] = low;
        key[31] = 0x7f;
        assert_eq!(code(&vkey_of(&key, "twice.example")), "key-not-a-point");
        let mut canonical = [0; 32];
        canonical[0] = low - 0xed;
        assert_eq!(code(&vkey_of(&canonical, "once.example")), "ok");
    }
}

#[test]
fn refuses_bytes_that_are_no_point() {
    let mut key = [0; 32];
    key[0] = 2;
    assert_eq!(code(&vkey_of(&key, "off.example")), "key-not-a-point");
}

/// N13: verdicts that Ed25519 libraries disagree about, fixed here so that an update cannot change them.
/// Each signature fits the equation its name says; made by a separate implementation of the curve.
#[test]
fn signatures_get_the_strict_verdict() {
    const HONEST: &str = "9198ca85f1b04e479ec5c26ec0f878a327b933d5ee6bad6026a0ff98c5e64824";
    const MIXED: &str = "1053f10c0a9eb4d7145df4883d2a5db0991bf11982c56c2b563c5158f603446c";
    let cases = [
        (
            "an ordinary signature",
            HONEST,
            "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a\
             7ed7d847e16adbe4ff5dd9cf638030868da4917fb83c8e0c51e7dc965769900f",
            true,
        ),
        (
            "the same with the group order added to S",
            HONEST,
            "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a\
             6babcea4fbcded3cd6fad072427a0f9b8da4917fb83c8e0c51e7dc965769901f",
            false,
        ),
        (
            "R of low order",
            HONEST,
            "0100000000000000000000000000000000000000000000000000000000000000\
             1d5b11104d5a13f5c58484110710b9ade257bcbe3b9f576d139253db3da16609",
            false,
        ),
        (
            "R in a second encoding",
            HONEST,
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\
             b5b8b377e73870f9167c4b126174f9070bbe5be3a945e752c6737f0daf157d09",
            false,
        ),
        (
            "a key with a part of low order, equation holds only when multiplied by eight",
            MIXED,
            "72e6529f8c273f1fc66688cf15ab63195702c173034b6346c210131b79979127\
             cf832ca56187ad5108559a525a94fc84d99cd79f7195abaf4c8ff969b32b3a05",
            false,
        ),
        (
            "a key with a part of low order, equation holds as it stands",
            MIXED,
            "9c9006f72aaee3be7d986cd83df56853845e320a0a65659abae0d323b68892ce\
             044ae19294d1a2cece3bb3e1e7e8956d6f4f5b18d45e63630f5bb67e713d600b",
            true,
        ),
    ];
    for (what, key, signature, verifies) in cases {
        let key = VerifierKey::parse(&vkey_of(&point(key), "a.example")).unwrap();
        let mut bytes = [0; 64];
        hex::decode_lower(signature.as_bytes(), &mut bytes).unwrap();
        let prepared = PreparedKey::new(&key).unwrap();
        let verify = |message: &[u8], bytes: &[u8]| {
            let verdict = key.verify_raw(message, bytes);
            assert_eq!(prepared.verify_raw(message, bytes), verdict, "{what}, prepared");
            verdict.is_ok()
        };
        assert_eq!(verify(b"indelible", &bytes), verifies, "{what}");
        assert!(!verify(b"Indelible", &bytes), "{what}, other message");
        assert!(!verify(b"indelible", &bytes[..63]), "{what}, one byte less");
        assert!(!verify(b"indelible", &[&bytes[..], &[0]].concat()), "{what}, one byte more");
    }
}
