use alloc::format;
use alloc::string::ToString;

use super::*;
use crate::hash::{Hash, empty_root};
use crate::sign::testing::{assert_exact, head};

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
const EMPTY_ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn code(text: &str) -> &'static str {
    Checkpoint::parse(text).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn reads_the_checkpoint_of_the_specification() {
    let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.origin().as_str(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.head().size.get(), 20_852_163);
    assert_eq!(checkpoint.head().root.to_base64(), ROOT);
    assert!(checkpoint.extensions().is_empty());
}

/// Extension lines aside, cutting lines off the end never leaves a checkpoint.
#[test]
fn a_checkpoint_has_one_spelling() {
    let parse = |bytes: &[u8]| {
        Checkpoint::parse(core::str::from_utf8(bytes).map_err(|_| "not-utf8")?).map_err(|e| e.code())
    };
    assert_exact(format!("log.example\n7\n{ROOT}\n").as_bytes(), parse, |read| read.encode().into_bytes());
}

/// N17.
#[test]
fn refuses_an_origin_that_is_empty_or_too_long() {
    assert_eq!(code(&format!("\n1\n{ROOT}\n")), "origin-empty");
    assert_eq!(Origin::parse(&"o".repeat(255)).map(|origin| origin.as_str().len()), Ok(255));
    assert_eq!(code(&format!("{}\n1\n{ROOT}\n", "o".repeat(255))), "ok");
    assert_eq!(code(&format!("{}\n1\n{ROOT}\n", "o".repeat(256))), "origin-too-long");
    // Bytes count, not characters.
    assert_eq!(code(&format!("{}\n1\n{ROOT}\n", "\u{e9}".repeat(128))), "origin-too-long");
}

#[test]
fn an_origin_is_any_line_without_control_characters() {
    for origin in ["a b", "a+b", "\u{212a}", "a\u{301}", "a\u{200b}", "\u{202e}a", " "] {
        assert_eq!(Origin::parse(origin).map(|read| read.to_string()).as_deref(), Ok(origin));
    }
    for origin in ["a\nb", "a\r", "\t", "\0", "\u{1b}[2J"] {
        assert_eq!(Origin::parse(origin), Err(CheckpointError::ControlCharacter), "{origin:?}");
    }
}

/// N16.
#[test]
fn origins_that_look_alike_are_different() {
    let origins = ["K.example", "\u{212a}.example", "\u{e9}", "e\u{301}", "ab", "a\u{200b}b", "\u{202e}ab"];
    for (place, one) in origins.iter().enumerate() {
        let one = Origin::parse(one).unwrap();
        for other in &origins[..place] {
            let other = Origin::parse(other).unwrap();
            assert_ne!(one, other);
            assert_ne!(one.hash_hex(), other.hash_hex());
        }
    }
}

#[test]
fn witnesses_name_a_log_by_the_hash_of_its_origin() {
    let origin = Origin::parse("example.com/log42").unwrap();
    assert_eq!(origin.hash_hex(), "4e08c70cc7f225871fda7dc115566008e6954b26a25896be01faa45cdd0f63eb");
}

/// N18.
#[test]
fn refuses_every_other_spelling_of_the_size() {
    for size in ["0", "1", "9223372036854775807"] {
        let root = if size == "0" { EMPTY_ROOT } else { ROOT };
        assert_eq!(code(&format!("log.example\n{size}\n{root}\n")), "ok", "{size:?}");
    }
    for size in [
        "+5",
        "05",
        "5 ",
        " 5",
        "-1",
        "0x5",
        "5e1",
        "",
        "00",
        "-0",
        "5\r",
        "\u{665}",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1234567890123456789012345678901234567890",
    ] {
        assert_eq!(code(&format!("log.example\n{size}\n{ROOT}\n")), "decimal-not-canonical", "{size:?}");
    }
}

/// N19.
#[test]
fn refuses_a_root_of_another_length_or_spelling() {
    for len in [0usize, 31, 33] {
        let root = crate::wire::encode_base64(alloc::vec![7; len]);
        assert_eq!(code(&format!("log.example\n1\n{root}\n")), "hash-length");
    }
    for root in
        [ROOT.trim_end_matches('='), &format!("{ROOT}="), &ROOT.replace("2I=", "2J="), &format!(" {ROOT}")]
    {
        assert_eq!(code(&format!("log.example\n1\n{root}\n")), "base64-not-canonical");
    }
}

/// N19.
#[test]
fn the_empty_tree_has_the_empty_root() {
    assert_eq!(code(&format!("log.example\n0\n{EMPTY_ROOT}\n")), "ok");
    assert_eq!(code(&format!("log.example\n0\n{ROOT}\n")), "empty-tree-root");
    let origin = || Origin::parse("log.example").unwrap();
    assert!(Checkpoint::new(origin(), head(0, empty_root())).is_ok());
    let other = Checkpoint::new(origin(), head(0, Hash::from_bytes([0; 32])));
    assert_eq!(other, Err(CheckpointError::EmptyTreeRoot));
}

/// N20.
#[test]
fn keeps_extension_lines_as_they_are() {
    let looks_like_a_signature = "\u{2014} log.example AAAAAAA=";
    let thousand = alloc::vec!["x"; 1000];
    for lines in [&["one"][..], &["one", " two ", looks_like_a_signature], &thousand] {
        let text = format!("log.example\n7\n{ROOT}\n{}\n", lines.join("\n"));
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.extensions(), lines);
        assert_eq!(checkpoint.encode(), text);
    }
}

#[test]
fn refuses_extension_lines_that_are_empty_or_have_control_characters() {
    let start = format!("log.example\n7\n{ROOT}\n");
    for (end, expected) in [
        ("\n", "extension-empty"),
        ("one\n\n", "extension-empty"),
        ("\none\n", "extension-empty"),
        ("one\r\n", "control-character"),
        ("one", "line-unterminated"),
    ] {
        assert_eq!(code(&format!("{start}{end}")), expected, "{end:?}");
    }
}

#[test]
fn refuses_a_checkpoint_that_ends_early() {
    for text in ["", "log.example", "log.example\n", "log.example\n7\n", "log.example\n7"] {
        assert_eq!(code(text), "line-unterminated", "{text:?}");
    }
}
