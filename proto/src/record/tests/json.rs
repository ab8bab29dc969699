//! The JSON profile: one spelling of every value, checked against another implementation of RFC 8785.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::super::json::{JsonError, MAX_DEPTH, MAX_INTEGER, Value, parse};

fn code(text: &str) -> &'static str {
    parse(text.as_bytes()).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn reads_what_it_writes() {
    for text in [
        "{}",
        "[]",
        "true",
        "false",
        "0",
        "7",
        "9007199254740991",
        r#""""#,
        r#"" ~""#,
        r#""a\"b\\c/d""#,
        r#"{"":[],"-":0,"A":{},"a":[1,"2",true]}"#,
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap().encode(), text);
    }
}

#[test]
fn refuses_other_spellings_of_the_same_value() {
    for text in [
        " {}",
        "{} ",
        "{}\n",
        "{\"a\": 1}",
        "[1,\t2]",
        r#""\u0041""#,
        r#""\/""#,
        r#"{"b":1,"a":1}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"\u0061":1}"#,
        r#"{"a":1,"\u0061":1}"#,
    ] {
        assert_eq!(code(text), "json-not-canonical", "{text}");
    }
}

#[test]
fn says_where_the_canonical_form_differs() {
    assert_eq!(parse(br#"{"a":1, "b":2}"#), Err(JsonError::NotCanonical { at: 7 }));
    assert_eq!(parse(br#"{"a":1} "#), Err(JsonError::NotCanonical { at: 7 }));
}

#[test]
fn refuses_numbers_that_are_not_plain_integers() {
    for text in ["1.0", "1e2", "1E2", "0.5", "-0", "-1", "-0.0", "9007199254740992", "18446744073709551616"] {
        assert_eq!(code(text), "json-not-an-integer", "{text}");
    }
    for text in ["+1", "01", "1.", ".5", "0x1", "NaN", "Infinity", "1_0", "1e999"] {
        assert_eq!(code(text), "json-syntax", "{text}");
    }
    assert_eq!(code(&format!("{MAX_INTEGER}")), "accepted");
}

#[test]
fn refuses_null_wherever_it_is() {
    for text in ["null", "[null]", r#"{"a":null}"#, r#"{"a":[{"b":null}]}"#] {
        assert_eq!(code(text), "json-null", "{text}");
    }
}

#[test]
fn refuses_text_that_is_not_printable_ascii() {
    for text in ["\u{e9}", "\u{7f}", "\u{200b}", "\\n", "\\u0000", "\\ud83d\\ude00", "\\u007f"] {
        assert_eq!(code(&format!("\"{text}\"")), "json-not-printable-ascii", "{text}");
        assert_eq!(code(&format!("{{\"{text}\":1}}")), "json-not-printable-ascii", "{text}");
    }
    for text in ["\u{1f}", "\n", "\\ud800", "\\x"] {
        assert_eq!(code(&format!("\"{text}\"")), "json-syntax", "{text:?}");
    }
    assert_eq!(parse(b"\"\xff\"").map_err(|error| error.code()), Err("json-syntax"));
}

#[test]
fn refuses_long_strings_and_names() {
    let longest = "a".repeat(1024);
    assert_eq!(code(&format!("[\"{longest}\",{{\"{longest}\":1}}]")), "accepted");
    assert_eq!(code(&format!("\"{longest}a\"")), "json-string-too-long");
    assert_eq!(code(&format!("{{\"{longest}a\":1}}")), "json-string-too-long");
    // What counts is the text, not how it is spelled.
    assert_eq!(code(&format!("[\"{}\\\\\"]", &longest[1..])), "accepted");
    assert_eq!(code(&format!("[\"{longest}\\\\\"]")), "json-string-too-long");
}

#[test]
fn refuses_the_ninth_level() {
    for (open, close, inner) in [("[", "]", "0"), ("{\"a\":", "}", "0"), ("[", "]", "\"\"")] {
        let nested = |depth| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(code(&nested(MAX_DEPTH)), "accepted");
        assert_eq!(code(&nested(MAX_DEPTH + 1)), "json-too-deep");
        assert_eq!(code(&nested(127)), "json-too-deep");
    }
    let empty = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!((code(&empty(8)), code(&empty(9))), ("accepted", "json-too-deep"));
    // Far deeper than any stack: the reader gives up before this module sees it.
    assert_eq!(code(&"[".repeat(16_000)), "json-syntax");
}

#[test]
fn refuses_what_is_not_json() {
    for text in
        ["", "{", "}", "{}{}", "{\"a\"}", "{a:1}", "[1,]", "{\"a\":1,}", "'a'", "//", "\u{feff}{}", "True"]
    {
        assert_eq!(code(text), "json-syntax", "{text:?}");
    }
}

#[test]
fn what_is_outside_the_profile_encodes_to_what_parse_refuses() {
    for value in [
        Value::Integer(MAX_INTEGER + 1),
        Value::String("\n".into()),
        Value::String("\u{e9}".into()),
        Value::String("a".repeat(1025)),
        (0..MAX_DEPTH + 1).fold(Value::Bool(true), |inner, _| Value::Array(vec![inner])),
    ] {
        let error = parse(value.encode().as_bytes()).unwrap_err();
        assert!(!matches!(error, JsonError::Syntax { .. } | JsonError::NotCanonical { .. }), "{error}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~]{0,12}";
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (0..=MAX_INTEGER).prop_map(Value::Integer),
        text.prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(text, inner, 0..6).prop_map(Value::Object),
        ]
    })
}

/// What is accepted is its value's encoding; what is refused as another spelling is not.
fn only_spelling(text: &[u8]) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(value) => prop_assert_eq!(value.encode().into_bytes(), text),
        Err(JsonError::NotCanonical { at }) => prop_assert!(at < text.len()),
        Err(_) => {}
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_value_of_the_profile_survives(value in any_value()) {
        prop_assert_eq!(parse(value.encode().as_bytes()), Ok(value));
    }

    #[test]
    fn encodes_as_another_implementation_of_rfc_8785_does(value in any_value()) {
        let ours: String = value.encode();
        let loose: serde_json::Value = serde_json::from_str(&ours).unwrap();
        prop_assert_eq!(serde_json_canonicalizer::to_string(&loose).unwrap(), ours);
    }

    #[test]
    fn accepted_bytes_are_the_only_spelling(text in r#"[\[\]{}:,"\\a-c0-2tru.eE+ -]{0,16}"#) {
        only_spelling(text.as_bytes())?;
    }

    #[test]
    fn a_changed_byte_makes_another_spelling_or_another_value(
        value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut text = value.encode().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        only_spelling(&text)?;
        text.remove(at);
        only_spelling(&text)?;
    }
}
