//! Platforms: how they are written, which includes which, and where in a record they may be.

use alloc::format;

use proptest::prelude::*;

use super::*;

fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

#[test]
fn are_two_or_three_words() {
    for text in
        ["linux/amd64", "linux/arm64/v8", "windows/amd64", "darwin/arm64", "a/0", "a_b/c.d/e-f", "..a/.a/-"]
    {
        assert_eq!(platform(text).as_str(), text);
        assert_eq!(platform(text).to_string(), text);
    }
    let longest = "a".repeat(32);
    assert!(Platform::parse(&format!("{longest}/{longest}/{longest}")).is_ok());
    let too_long = "a".repeat(33);
    for (text, code) in [
        ("", "platform-parts"),
        ("linux", "platform-parts"),
        ("linux/arm64/v8/x", "platform-parts"),
        ("linux/arm64/v8/", "platform-parts"),
        ("/amd64", "platform-part-length"),
        ("linux/", "platform-part-length"),
        ("linux//v8", "platform-part-length"),
        ("linux/arm64/", "platform-part-length"),
        (&format!("{too_long}/amd64"), "platform-part-length"),
        (&format!("linux/{too_long}"), "platform-part-length"),
        (&format!("linux/arm64/{too_long}"), "platform-part-length"),
        ("../amd64", "platform-part-form"),
        ("linux/./v8", "platform-part-form"),
        ("Linux/amd64", "platform-part-form"),
        ("linux/amd64 ", "platform-part-form"),
        (" linux/amd64", "platform-part-form"),
        ("linux/amd64,linux/arm64", "platform-part-form"),
        ("linux/am*", "platform-part-form"),
        ("linux/x86+64", "platform-part-form"),
    ] {
        assert_eq!(Platform::parse(text).map_err(|error| error.code()), Err(code), "{text:?}");
    }
}

#[test]
fn include_themselves_and_their_variants() {
    for (wide, narrow, includes) in [
        ("linux/arm64", "linux/arm64", true),
        ("linux/arm64", "linux/arm64/v8", true),
        ("linux/arm64/v8", "linux/arm64/v8", true),
        ("linux/arm64/v8", "linux/arm64", false),
        ("linux/arm64/v8", "linux/arm64/v9", false),
        ("linux/arm", "linux/arm64", false),
        ("linux/arm64", "linux/arm", false),
        ("linux/arm64", "darwin/arm64", false),
        ("linux/v8", "linux/arm64/v8", false),
    ] {
        assert_eq!(platform(wide).includes(&platform(narrow)), includes, "{wide} {narrow}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_nothing_else(text in "[a-cA/. ]{0,9}") {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            !["", ".", ".."].contains(part) && part.bytes().all(|byte| b"abc.".contains(&byte))
        };
        let expected = matches!(parts.len(), 2 | 3) && parts.iter().all(word);
        prop_assert_eq!(Platform::parse(&text).is_ok(), expected);
    }

    #[test]
    fn includes_is_the_rule_on_parts(wide in "[ab]{1,2}(/[ab]{1,2}){1,2}", narrow in "[ab]{1,2}(/[ab]{1,2}){1,2}") {
        let (parts, others): (Vec<_>, Vec<_>) = (wide.split('/').collect(), narrow.split('/').collect());
        prop_assert_eq!(platform(&wide).includes(&platform(&narrow)), others.starts_with(&parts));
    }
}

/// The statement with `annotations` put into its first subject, in the place where they belong.
fn annotated(statement: &Statement, annotations: &str) -> Result<SignedRecord, RecordError> {
    let text = String::from_utf8(statement.encode()).unwrap();
    let place = r#""subject":[{"#;
    assert!(text.contains(place));
    parse_payload(text.replacen(place, &format!(r#"{place}"annotations":{annotations},"#), 1).as_bytes())
}

const LINUX: &str = r#"{"platform":"linux/amd64"}"#;

#[test]
fn are_kept_in_the_annotations_of_what_is_published() {
    for statement in [release(common(8)), rules(common(9))] {
        let record = annotated(&statement, LINUX).unwrap();
        let expected = for_platforms(statement);
        assert_eq!(record.statement(), &expected);
        assert_eq!(record.payload(), expected.encode());
        let both: Vec<_> = record.statement().subject.iter().map(|it| it.platform.is_some()).collect();
        assert_eq!(both, [true, false], "the other artifact is for every platform");
    }
}

#[test]
fn of_the_artifacts_of_a_record_may_be_different_ones_or_one() {
    let mut statement = release(common(8));
    for platforms in [["linux/amd64", "linux/arm64/v8"], ["linux/amd64", "linux/amd64"]] {
        for (subject, text) in statement.subject.iter_mut().zip(platforms) {
            subject.platform = Some(platform(text));
        }
        assert_eq!(signed(&statement).statement(), &statement);
    }
}

/// As many as `docs/records.md` says there is room for.
#[test]
fn of_a_hundred_artifacts_fit_one_record() {
    let of =
        |number| Subject::of_file(format!("{number:03}"), sha256(b"content")).on(platform("linux/arm64/v8"));
    let subject = (0..100).map(of).collect();
    let statement = Statement { subject, ..release(common(8)) };
    assert_eq!(signed(&statement).statement(), &statement);
}

#[test]
fn are_refused_in_records_that_publish_nothing() {
    let channel = statements()[0].clone();
    for statement in [channel, head(common(9), None), withdraw(common(9)), review(common(9))] {
        let kind = FieldError::NotAllowed;
        let error = StatementError { field: "subject[].annotations", kind };
        assert_eq!(annotated(&statement, LINUX), Err(RecordError::Statement(error)));
        let name = statement.predicate.type_name();
        assert_eq!(
            parse_payload(&for_platforms(statement).encode()),
            Err(RecordError::Statement(error)),
            "{name}"
        );
    }
}

#[test]
fn are_refused_where_they_are_written_in_another_way() {
    for (annotations, code) in [
        ("{}", "field-missing"),
        ("[]", "field-kind"),
        (r#""linux/amd64""#, "field-kind"),
        ("1", "field-kind"),
        ("null", "json-null"),
        (r#"{"platform":null}"#, "json-null"),
        (r#"{"platform":1}"#, "field-kind"),
        (r#"{"platform":true}"#, "field-kind"),
        (r#"{"platform":{"os":"linux"}}"#, "field-kind"),
        (r#"{"platform":["linux/amd64"]}"#, "field-kind"),
        (r#"{"platform":""}"#, "platform-parts"),
        (r#"{"platform":"linux/"}"#, "platform-part-length"),
        (r#"{"platform":"linux/arm64/v8/x"}"#, "platform-parts"),
        (r#"{"platform":"Linux/amd64"}"#, "platform-part-form"),
        (r#"{"Platform":"linux/amd64"}"#, "field-missing"),
        (r#"{"os":"linux","platform":"linux/amd64"}"#, "field-unknown"),
        (r#"{"platform":"linux/amd64","x-a":1}"#, "field-unknown"),
        (r#"{"platform":"linux/amd64","a":1}"#, "json-not-canonical"),
        (r#"{"platform":"linux/amd64","platform":"linux/amd64"}"#, "json-not-canonical"),
    ] {
        let got = annotated(&release(common(8)), annotations).unwrap_err();
        assert_eq!(got.code(), code, "{annotations}: {got}");
    }
    // In another place of the subject than the canonical one, and as a field of the subject itself.
    let text = String::from_utf8(release(common(8)).encode()).unwrap();
    for (from, to, code) in [
        (
            r#"},"name":"agent-linux-a"#,
            format!(r#"}},"annotations":{LINUX},"name":"agent-linux-a"#),
            "json-not-canonical",
        ),
        (r#"amd64.tar.zst""#, r#"amd64.tar.zst","platform":"linux/amd64""#.into(), "field-unknown"),
    ] {
        assert!(text.contains(from));
        assert_eq!(parse_payload(text.replacen(from, &to, 1).as_bytes()).unwrap_err().code(), code);
    }
}
