use alloc::vec::Vec;

use super::*;
use crate::hash::sha256;

fn id(label: &str) -> RecordId {
    RecordId::from_hash(sha256(label.as_bytes()))
}

fn head() -> ChannelHeadAnswer {
    ChannelHeadAnswer {
        channel: ChannelName::parse("vendor.example/agent").unwrap(),
        seq: 7,
        head: id("head"),
        keys: id("keys"),
        genesis: id("genesis"),
        frozen: false,
        recovery: None,
    }
}

fn index(value: u64) -> LeafIndex {
    LeafIndex::new(value).unwrap()
}

#[test]
fn a_sequenced_answer_has_one_spelling() {
    let answer = SequencedAnswer { index: index(41) };
    assert_eq!(answer.encode(), r#"{"index":41,"state":"sequenced"}"#);
    assert_eq!(SequencedAnswer::parse(answer.encode().as_bytes()), Ok(answer));
    for (text, code) in [
        (r#"{"state":"sequenced","index":41}"#, "json-not-canonical"),
        (r#"{"index":41,"state":"sequenced"} "#, "json-not-canonical"),
        (r#"{"index":-1,"state":"sequenced"}"#, "json-not-an-integer"),
        (r#"{"index":"41","state":"sequenced"}"#, "answer-field"),
        (r#"{"index":41,"state":"integrated"}"#, "answer-field"),
        (r#"{"index":41}"#, "answer-field"),
        (r#"{"a":1,"index":41,"state":"sequenced"}"#, "answer-field"),
        (r#"[41]"#, "answer-field"),
        ("<html>", "json-syntax"),
    ] {
        assert_eq!(SequencedAnswer::parse(text.as_bytes()).unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn a_channel_head_has_one_spelling() {
    let text = head().encode();
    let (genesis, newest, keys) = (id("genesis"), id("head"), id("keys"));
    let expected = format!(
        r#"{{"channel":"vendor.example/agent","genesis":"{genesis}","head":"{newest}","keys":"{keys}","seq":7}}"#
    );
    assert_eq!(text, expected);
    assert_eq!(ChannelHeadAnswer::parse(text.as_bytes()), Ok(head()));
    for (from, to, code) in [
        ("\"seq\":7", "\"seq\":7,\"x\":1", "answer-field"),
        ("\"seq\":7", "\"seq\":\"7\"", "answer-field"),
        (",\"seq\":7", "", "answer-field"),
        ("vendor.example", "vendor", "channel-name-domain"),
        (&newest.to_string(), &newest.to_string().to_uppercase(), "answer-field"),
        (&keys.to_string(), "", "answer-field"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(ChannelHeadAnswer::parse(changed.as_bytes()).unwrap_err().code(), code, "{changed}");
    }
}

#[test]
fn the_heads_of_both_chains_have_one_spelling() {
    let (keys, newest) = (id("keys"), id("recovery"));
    for (frozen, recovery, expected) in [
        (true, None, r#""frozen":true,"genesis""#.to_string()),
        (
            false,
            Some(RecoveryHeadAnswer { keys, newest: None }),
            format!(r#","recovery":{{"keys":"{keys}"}},"seq":7"#),
        ),
        (
            true,
            Some(RecoveryHeadAnswer { keys, newest: Some((0, newest)) }),
            format!(r#","recovery":{{"head":"{newest}","keys":"{keys}","seq":0}},"seq":7"#),
        ),
    ] {
        let head = ChannelHeadAnswer { frozen, recovery, ..head() };
        assert!(head.encode().contains(&expected), "{}", head.encode());
        assert_eq!(ChannelHeadAnswer::parse(head.encode().as_bytes()), Ok(head.clone()));
        for (from, to) in [
            (r#""frozen":true"#, r#""frozen":false"#.to_string()),
            (r#""frozen":true"#, r#""frozen":1"#.to_string()),
            (&format!(r#""head":"{newest}","keys""#), r#""keys""#.to_string()),
            (r#","seq":0}"#, "}".to_string()),
            (r#","seq":0}"#, r#","seq":"0"}"#.to_string()),
            (r#""recovery":{"#, r#""recovery":{"a":1,"#.to_string()),
        ] {
            let changed = head.encode().replacen(from, &to, 1);
            if changed != head.encode() {
                assert!(ChannelHeadAnswer::parse(changed.as_bytes()).is_err(), "{changed}");
            }
        }
    }
}

#[test]
fn every_truncation_of_an_answer_is_refused() {
    let error = ApiError::new("prev-mismatch", "prev is not \"x\"").with_head(head());
    let text = error.encode();
    assert_eq!(ApiError::parse(text.as_bytes()), Ok(error));
    for end in 0..text.len() {
        assert!(ApiError::parse(&text.as_bytes()[..end]).is_err());
    }
    let text = head().encode();
    assert!((0..text.len()).all(|end| ChannelHeadAnswer::parse(&text.as_bytes()[..end]).is_err()));
}

#[test]
fn an_error_carries_code_message_and_perhaps_a_head() {
    let plain = ApiError::new("too-long", "17000 bytes");
    assert_eq!(plain.encode(), r#"{"code":"too-long","message":"17000 bytes"}"#);
    let read = ApiError::parse(plain.encode().as_bytes()).unwrap();
    assert_eq!((read.code(), read.message(), read.head()), ("too-long", "17000 bytes", None));
    let with_head = plain.with_head(head());
    assert_eq!(ApiError::parse(with_head.encode().as_bytes()).unwrap().head(), Some(&head()));
}

#[test]
fn an_error_with_more_or_other_fields_is_refused() {
    for text in [
        r#"{"code":"a"}"#,
        r#"{"message":"a"}"#,
        r#"{"code":"","message":"a"}"#,
        r#"{"code":"A","message":"a"}"#,
        r#"{"code":"a b","message":"a"}"#,
        r#"{"code":"a","message":1}"#,
        r#"{"code":"a","head":1,"message":"a"}"#,
        r#"{"code":"a","head":{},"message":"a"}"#,
        r#"{"code":"a","message":"a","more":1}"#,
    ] {
        assert_eq!(ApiError::parse(text.as_bytes()).unwrap_err().code(), "answer-field", "{text}");
    }
    let longest = format!(r#"{{"code":"{}","message":"a"}}"#, "a".repeat(64));
    assert!(ApiError::parse(longest.as_bytes()).is_ok());
    let longer = format!(r#"{{"code":"{}","message":"a"}}"#, "a".repeat(65));
    assert_eq!(ApiError::parse(longer.as_bytes()).unwrap_err().code(), "answer-field");
}

#[test]
fn what_a_stranger_sent_cannot_spoil_a_message() {
    for message in ["a\nb", "\u{1b}[31m", "\u{e9}", "\u{202e}", "\"\\<script>", "\0"] {
        let error = ApiError::new("code", message);
        assert!(error.message().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message:?}");
        assert_eq!(ApiError::parse(error.encode().as_bytes()), Ok(error));
    }
    let long = ApiError::new("code", &"\"".repeat(5000));
    assert_eq!(long.message().len(), 1024);
    assert_eq!(ApiError::parse(long.encode().as_bytes()), Ok(long));
}

#[test]
fn the_longest_answer_fits_its_limit() {
    let channel = ChannelName::parse(&format!("a.b/{}", "c".repeat(251))).unwrap();
    let recovery = Some(RecoveryHeadAnswer { keys: id("keys"), newest: Some(((1 << 53) - 1, id("head"))) });
    let head = ChannelHeadAnswer { channel, seq: (1 << 53) - 1, frozen: true, recovery, ..head() };
    let code: &'static str = "the-longest-code-of-all-has-sixty-four-characters-and-ends-here-";
    assert_eq!(code.len(), MAX_CODE_BYTES);
    let error = ApiError::new(code, &"\"".repeat(1024)).with_head(head);
    assert!(error.encode().len() <= MAX_ANSWER_BYTES);
    assert_eq!(ApiError::parse(error.encode().as_bytes()), Ok(error));
}

#[test]
fn answers_above_the_limit_are_refused_before_reading() {
    let long: Vec<u8> = alloc::vec![b' '; MAX_ANSWER_BYTES + 1];
    assert_eq!(ApiError::parse(&long).unwrap_err().code(), "too-long");
    assert_eq!(SequencedAnswer::parse(&long).unwrap_err().code(), "too-long");
    assert_eq!(ChannelHeadAnswer::parse(&long).unwrap_err().code(), "too-long");
}

#[test]
fn an_index_is_one_decimal_line() {
    assert_eq!(encode_index(index(0)), "0\n");
    assert_eq!(parse_index(b"9223372036854775807\n"), Ok(index(i64::MAX as u64)));
    for text in ["", "\n", "1", "1\n\n", "01\n", "+1\n", " 1\n", "1\r\n", "9223372036854775808\n"] {
        assert!(parse_index(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn a_channel_path_is_the_name_after_the_prefix() {
    let channel = head().channel;
    assert_eq!(channel_path(&channel), "/channel/vendor.example/agent");
    assert_eq!(parse_channel_path(&channel_path(&channel)), Ok(channel));
    for path in
        ["/channel/", "/channel", "/chan/vendor.example", "/channel/a.b/../c", "/channel/a%2eb", "a.b"]
    {
        assert!(parse_channel_path(path).is_err(), "{path}");
    }
}
