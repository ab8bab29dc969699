//! The fields of `channel`, `release` and `rules`: required, optional, and their limits.

use alloc::format;

use super::*;

pub(super) fn remove(statement: &Statement, path: &str, field: &str) -> Option<&'static str> {
    code_after(statement, path, |object| {
        object.remove(field).unwrap();
    })
}

pub(super) fn put(
    statement: &Statement,
    path: &str,
    field: &str,
    value: impl Into<Value>,
) -> Option<&'static str> {
    code_after(statement, path, |object| {
        object.insert(field.into(), value.into());
    })
}

#[test]
fn required_fields_of_each_type_are_required() {
    let [_, channel, release, rules] = statements();
    for (statement, path, names) in [
        (&channel, "predicate", &["owner", "product", "signers", "threshold", "cooldown", "maxAge"][..]),
        (&channel, "predicate.owner", &["name", "uri"]),
        (&channel, "predicate.recovery", &["signers", "threshold"]),
        (&release, "predicate", &["version"]),
        (&release, "predicate.source", &["uri", "digest"]),
        (&release, "predicate.source.digest", &["gitCommit"]),
        (&release, "predicate.provenance", &["sha256"]),
        (&release, "predicate.sbom", &["sha256"]),
        (&rules, "predicate", &["version", "format", "bundle"]),
        (&rules, "predicate.engine", &["name"]),
        (&rules, "predicate.bundle", &["tree", "root", "files", "bytes"]),
        (&rules, "predicate.delta", &["from", "added", "changed", "removed"]),
        (&rules, "predicate.tests", &["sha256"]),
    ] {
        for field in names {
            assert_eq!(remove(statement, path, field), Some("field-missing"), "{path}.{field}");
        }
    }
}

#[test]
fn optional_fields_of_each_type_are_optional() {
    let [_, channel, release, rules] = statements();
    for (statement, path, names) in [
        (&channel, "predicate", &["recovery"][..]),
        (&release, "predicate", &["purl", "source", "provenance", "sbom"]),
        (&rules, "predicate", &["engine", "delta", "tests"]),
        (&rules, "predicate.engine", &["min"]),
    ] {
        for field in names {
            assert_eq!(remove(statement, path, field), None, "{path}.{field}");
        }
    }
}

#[test]
fn words_and_texts_have_limits() {
    let [_, channel, release, rules] = statements();
    for (statement, path, field, max, spaces) in [
        (&channel, "predicate.owner", "name", 255, true),
        (&release, "predicate", "version", 255, false),
        (&rules, "predicate", "version", 255, false),
        (&rules, "predicate", "format", 64, false),
        (&rules, "predicate.engine", "name", 64, false),
        (&rules, "predicate.engine", "min", 255, false),
        (&rules, "predicate.engine", "max", 255, false),
    ] {
        assert_eq!(put(statement, path, field, "a".repeat(max)), None, "{field}");
        assert_eq!(put(statement, path, field, "a".repeat(max + 1)), Some("field-length"), "{field}");
        assert_eq!(put(statement, path, field, ""), Some("field-length"), "{field}");
        assert_eq!(put(statement, path, field, "a b"), (!spaces).then_some("field-form"), "{field}");
        assert_eq!(put(statement, path, field, " "), Some("field-form"), "{field}");
        assert_eq!(put(statement, path, field, "a\u{e9}"), Some("json-not-printable-ascii"), "{field}");
    }
}

#[test]
fn integers_have_limits() {
    let [_, channel, _, rules] = statements();
    let exact = (1 << 53) - 1;
    for (statement, path, field, min, max) in [
        (&channel, "predicate", "cooldown", 0, 31_622_400),
        (&channel, "predicate", "maxAge", 1, 31_622_400),
        (&channel, "predicate", "threshold", 1, 2),
        (&channel, "predicate.recovery", "threshold", 1, 1),
        (&rules, "predicate.bundle", "files", 1, 10_000_000),
        (&rules, "predicate.bundle", "bytes", 0, exact),
        (&rules, "predicate.delta", "added", 0, exact),
        (&rules, "predicate.delta", "changed", 0, exact),
        (&rules, "predicate.delta", "removed", 0, exact),
    ] {
        assert_eq!(put(statement, path, field, min), None, "{field}");
        assert_eq!(put(statement, path, field, max), None, "{field}");
        if min > 0 {
            assert_eq!(put(statement, path, field, min - 1), Some("field-range"), "{field}");
        }
        let above = if max == exact { "json-not-an-integer" } else { "field-range" };
        assert_eq!(put(statement, path, field, max + 1), Some(above), "{field}");
    }
}

#[test]
fn uris_are_absolute_and_of_uri_characters() {
    let [_, channel, release, _] = statements();
    let uri = |text: &str| put(&channel, "predicate.owner", "uri", text);
    for text in ["https://vendor.example/%41?q=(1)#f", "mailto:a@b.example", "urn:x:y", "git+ssh://h/p"] {
        assert_eq!(uri(text), None, "{text}");
    }
    for text in ["vendor.example", "//vendor.example", "https:", ":x", "1a:x", "HTTPS://x", "a b:c", "a:b c"]
    {
        assert_eq!(uri(text), Some("field-form"), "{text}");
    }
    for text in ["a:<b>", "a:\"b\"", "a:{b}", "a:b\\c", "a:b|c", "a:b^c", "a:b`c"] {
        assert_eq!(uri(text), Some("field-form"), "{text}");
    }
    assert_eq!(uri(""), Some("field-length"));
    assert_eq!(uri(&format!("a:{}", "b".repeat(1022))), None);
    assert_eq!(uri(&format!("a:{}", "b".repeat(1023))), Some("json-string-too-long"));
    assert_eq!(put(&release, "predicate.source", "uri", "v8.4.2"), Some("field-form"));
}

#[test]
fn packages_are_named_by_package_url() {
    let [_, channel, release, _] = statements();
    for (statement, field) in [(&channel, "product"), (&release, "purl")] {
        assert_eq!(put(statement, "predicate", field, "pkg:cargo/rand@0.9.0"), None);
        assert_eq!(put(statement, "predicate", field, "https://crates.io"), Some("field-form"));
        assert_eq!(put(statement, "predicate", field, "pkg:"), Some("field-form"));
    }
}

#[test]
fn digests_are_lower_case_hexadecimal() {
    let [_, _, release, rules] = statements();
    for (statement, path, field) in [
        (&release, "predicate.provenance", "sha256"),
        (&release, "predicate.sbom", "sha256"),
        (&rules, "predicate.tests", "sha256"),
        (&rules, "predicate.bundle", "root"),
        (&rules, "predicate.delta", "from"),
    ] {
        assert_eq!(put(statement, path, field, "a".repeat(64)), None);
        for text in ["a".repeat(63), "a".repeat(65), "A".repeat(64), "g".repeat(64), String::new()] {
            assert_eq!(put(statement, path, field, text), Some("field-form"), "{field}");
        }
    }
}

#[test]
fn a_git_commit_is_sha1_or_sha256() {
    let [_, _, release, _] = statements();
    let commit = |text: String| put(&release, "predicate.source.digest", "gitCommit", text);
    assert_eq!(commit("a".repeat(40)), None);
    assert_eq!(commit("a".repeat(64)), None);
    for text in ["a".repeat(39), "a".repeat(41), "a".repeat(63), "A".repeat(40), "g".repeat(40)] {
        assert_eq!(commit(text), Some("field-form"));
    }
}

#[test]
fn a_bundle_is_of_the_one_tree_type() {
    let [_, _, _, rules] = statements();
    for text in ["sha256sum-rfc6962-v2", "sha256sum-rfc6962", ""] {
        assert_eq!(put(&rules, "predicate.bundle", "tree", text), Some("field-form"));
    }
}

mod key_lists {
    use super::*;

    fn vkeys(keys: &[VerifierKey]) -> Value {
        Value::Array(keys.iter().map(|key| key.encode().into()).collect())
    }

    fn with_signers(keys: &[VerifierKey]) -> Option<&'static str> {
        let [genesis, ..] = statements();
        put(&genesis, "predicate", "signers", vkeys(keys))
    }

    #[test]
    fn have_1_to_16_keys() {
        let many =
            |count: u8| (0..count).map(|seed| key(&format!("key-{seed:02}"), seed)).collect::<Vec<_>>();
        assert_eq!(with_signers(&many(1)), None);
        assert_eq!(with_signers(&many(16)), None);
        assert_eq!(with_signers(&many(17)), Some("field-length"));
        assert_eq!(with_signers(&[]), Some("field-length"));
    }

    #[test]
    fn are_sorted_by_name_then_id() {
        let mut same_name = [key("a", 1), key("a", 2)];
        same_name.sort_by_key(VerifierKey::id);
        let [low, high] = same_name;
        assert_eq!(with_signers(&[low.clone(), high.clone(), key("b", 3)]), None);
        assert_eq!(with_signers(&[high, low]), Some("field-order"));
        assert_eq!(with_signers(&[key("b", 3), key("a", 1)]), Some("field-order"));
        // By name, not by the text of the key: "+" sorts before "-".
        assert_eq!(with_signers(&[key("a", 1), key("a!", 2)]), None);
        assert_eq!(with_signers(&[key("a!", 2), key("a", 1)]), Some("field-order"));
    }

    #[test]
    fn have_no_key_twice() {
        assert_eq!(with_signers(&[key("a", 1), key("a", 1)]), Some("field-order"));
        assert_eq!(with_signers(&[key("a", 1), key("b", 1)]), Some("key-set-duplicate"));
    }

    #[test]
    fn have_record_keys_only() {
        for kind in [KeyKind::Log, KeyKind::Cosigner] {
            let name = KeyName::parse("a").unwrap();
            let other = SecretKey::from_seed(kind, name, [1; 32]).verifier().clone();
            assert_eq!(with_signers(&[other]), Some("key-set-kind"));
        }
    }

    #[test]
    fn have_printable_names() {
        let code = with_signers(&[key("\u{e9}", 1)]);
        assert_eq!(code, Some("json-not-printable-ascii"));
    }

    #[test]
    fn have_nothing_but_keys() {
        let [genesis, ..] = statements();
        for text in ["", "a", "a+00000000+AQ=="] {
            let list = Value::Array(vec![text.into()]);
            assert_eq!(put(&genesis, "predicate", "signers", list), Some("field-form"));
        }
    }

    #[test]
    fn of_signers_and_recovery_share_no_key() {
        let [_, later, ..] = statements();
        for shared in [key("vendor.example/publish", 1), key("vendor.example/other-name", 1)] {
            let code = put(&later, "predicate.recovery", "signers", vkeys(&[shared]));
            assert_eq!(code, Some("field-disagrees"));
        }
        assert_eq!(put(&later, "predicate.recovery", "signers", vkeys(&[key("a", 9)])), None);
    }

    #[test]
    fn are_sorted_when_made_by_hand() {
        let made = KeySet::new(vec![key("b", 2), key("a", 1)], 1).unwrap();
        assert_eq!(made.keys(), [key("a", 1), key("b", 2)]);
        assert_eq!(KeySet::new(vec![], 1).unwrap_err().code(), "key-set-count");
        assert_eq!(KeySet::new(vec![key("a", 1)], 0).unwrap_err().code(), "key-set-threshold");
        assert_eq!(KeySet::new(vec![key("a", 1)], 2).unwrap_err().code(), "key-set-threshold");
        let seventeen = (0..17).map(|seed| key(&format!("{seed}"), seed)).collect();
        assert_eq!(KeySet::new(seventeen, 1).unwrap_err(), KeySetError::KeyCount { got: 17 });
    }
}
