//! The statement and the fields every type has: what is required, what is optional, what is refused.

use alloc::format;

use super::*;

/// Every required field at its place in each type: leaving it out is refused, `null` too.
#[test]
fn refuses_a_record_without_a_required_field() {
    let everywhere = [
        ("", "_type"),
        ("", "predicateType"),
        ("", "predicate"),
        ("", "subject"),
        ("predicate", "channel"),
        ("predicate", "seq"),
        ("predicate", "issued"),
        ("predicate", "audience"),
    ];
    for statement in all_statements() {
        for (path, field) in everywhere {
            let code = code_after(&statement, path, |object| {
                object.remove(field).unwrap();
            });
            assert_eq!(code, Some("field-missing"), "{path}.{field}");
        }
    }
}

#[test]
fn refuses_a_field_it_does_not_know_at_every_place() {
    let [_, channel, release, rules] = statements();
    for (statement, paths) in [
        (&channel, &["", "predicate", "predicate.owner", "predicate.recovery"][..]),
        (
            &release,
            &["predicate.source", "predicate.source.digest", "predicate.provenance", "predicate.sbom"],
        ),
        (&rules, &["predicate.engine", "predicate.bundle", "predicate.delta", "predicate.tests"]),
    ] {
        for path in paths {
            let add = |name: &str| {
                let name = String::from(name);
                code_after(statement, path, |object| {
                    object.insert(name, Value::Integer(1));
                })
            };
            assert_eq!(add("unknown"), Some("field-unknown"), "{path}");
            assert_eq!(add("x-b"), (*path != "predicate").then_some("field-unknown"), "{path}");
        }
    }
}

#[test]
fn keeps_extension_fields_of_the_profile() {
    let nested = Value::Array(vec![Value::Bool(true), Value::Integer(1), "a b".into(), Value::Array(vec![])]);
    let mut statement = release(common(8));
    if let Predicate::Release(common, _) = &mut statement.predicate {
        common.extensions = [("x-a".into(), nested), ("x-0-z".into(), "".into())].into();
    }
    let record = signed(&statement);
    assert_eq!(record.statement(), &statement);
    assert_eq!(SignedRecord::parse(&record.encode()).unwrap(), record);
}

#[test]
fn refuses_extension_names_and_values_out_of_the_profile() {
    let add = |name: &str, value: Value| {
        let name = String::from(name);
        code_after(&release(common(8)), "predicate", |object| {
            object.insert(name, value);
        })
    };
    let longest = format!("x-{}", "a".repeat(62));
    assert_eq!(add(&longest, Value::Integer(1)), None);
    let names = ["x-", "x", "X-a", "x_a", "x-A", "x-a_b", "x-a.b", " x-a", "x-a ", &format!("{longest}a")];
    for name in names {
        assert_eq!(add(name, Value::Integer(1)), Some("field-unknown"), "{name:?}");
    }
    // The statement, its predicate and six levels of the extension's own are eight.
    let nested = |depth| (0..depth).fold(Value::Integer(1), |inner, _| Value::Array(vec![inner]));
    assert_eq!(add("x-a", nested(6)), None);
    assert_eq!(add("x-a", nested(7)), Some("json-too-deep"));
    assert_eq!(add("x-a", Value::Integer(1 << 53)), Some("json-not-an-integer"));
}

#[test]
fn refuses_a_field_of_another_kind() {
    for (path, field, value) in [
        ("", "_type", Value::Integer(1)),
        ("", "predicateType", Value::Integer(1)),
        ("", "predicate", Value::Array(vec![])),
        ("", "subject", "a".into()),
        ("predicate", "channel", Value::Integer(1)),
        ("predicate", "seq", "9".into()),
        ("predicate", "seq", Value::Bool(true)),
        ("predicate", "prev", Value::Integer(1)),
        ("predicate", "issued", Value::Integer(1_783_591_200)),
        ("predicate", "audience", Value::Bool(true)),
        ("predicate", "version", Value::Integer(2)),
        ("predicate", "bundle", Value::Array(vec![])),
    ] {
        let code = code_after(&rules(common(9)), path, |object| {
            object.insert(field.into(), value);
        });
        assert_eq!(code, Some("field-kind"), "{path}.{field}");
    }
}

#[test]
fn refuses_an_array_for_a_statement() {
    assert_eq!(parse_payload(b"[]").unwrap_err().code(), "field-kind");
    assert_eq!(parse_payload(b"{}").unwrap_err().code(), "field-missing");
}

#[test]
fn refuses_other_statement_and_predicate_types() {
    let change = |field: &str, value: &str| {
        let (field, value) = (String::from(field), String::from(value));
        code_after(&rules(common(9)), "", |object| {
            object.insert(field, value.into());
        })
    };
    for text in ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1/", ""] {
        assert_eq!(change("_type", text), Some("field-form"));
    }
    for text in
        ["urn:indelible:rules:v2", "urn:indelible:rules", "urn:indelible::v1", "URN:indelible:rules:v1", ""]
    {
        assert_eq!(change("predicateType", text), Some("field-form"));
    }
    for name in ["promote", "notice"] {
        assert_eq!(
            change("predicateType", &format!("urn:indelible:{name}:v1")),
            Some("record-type-reserved")
        );
    }
    // The body has to be of the type it is said to be.
    assert_eq!(change("predicateType", "urn:indelible:release:v1"), Some("field-unknown"));
}

#[test]
fn binds_prev_and_keys_to_the_position() {
    let [genesis, later, release, _] = statements();
    for field in ["prev", "keys"] {
        let added = code_after(&genesis, "predicate", |object| {
            object.insert(field.into(), id("x").to_string().into());
        });
        assert_eq!(added, Some("field-not-allowed"), "{field}");
        for statement in [&later, &release] {
            let removed = code_after(statement, "predicate", |object| {
                object.remove(field);
            });
            assert_eq!(removed, Some("field-missing"), "{field}");
        }
        let upper = code_after(&release, "predicate", |object| {
            object.insert(field.into(), id("x").to_string().to_uppercase().into());
        });
        assert_eq!(upper, Some("field-form"), "{field}");
    }
}

#[test]
fn only_a_channel_record_opens_a_channel() {
    for statement in
        [release(common(0)), rules(common(0)), withdraw(common(0)), review(common(0)), head(common(0), None)]
    {
        assert_eq!(parse_payload(&statement.encode()).unwrap_err().code(), "field-not-allowed");
    }
}

#[test]
fn seq_ends_at_the_largest_exact_integer() {
    assert!(parse_payload(&rules(common((1 << 53) - 1)).encode()).is_ok());
    assert_eq!(parse_payload(&rules(common(1 << 53)).encode()).unwrap_err().code(), "json-not-an-integer");
}

#[test]
fn releases_and_rules_expire_and_channels_do_not() {
    let [genesis, later, release, rules] = statements();
    for statement in [&genesis, &later] {
        let code = code_after(statement, "predicate", |object| {
            object.insert("expires".into(), "2026-08-09T10:00:00Z".into());
        });
        assert_eq!(code, Some("field-not-allowed"));
    }
    for statement in [&release, &rules] {
        let set = |text: &str| {
            let text = String::from(text);
            code_after(statement, "predicate", |object| {
                object.insert("expires".into(), text.into());
            })
        };
        assert_eq!(set("2026-07-09T10:00:01Z"), None);
        assert_eq!(set("2026-07-09T10:00:00Z"), Some("field-disagrees"));
        assert_eq!(set("2026-07-09T09:59:59Z"), Some("field-disagrees"));
        assert_eq!(set("2026-07-10T10:00:00+00:00"), Some("field-form"));
        assert_eq!(set("2026-07-10"), Some("field-form"));
        let removed = code_after(statement, "predicate", |object| {
            object.remove("expires");
        });
        assert_eq!(removed, Some("field-missing"));
    }
}

#[test]
fn reads_every_audience_and_no_other() {
    let mut statement = rules(common(9));
    for reason in [CohortReason::Hotfix, CohortReason::Region, CohortReason::Licence, CohortReason::Beta] {
        let audience = Audience::Cohort { cohort: sha256(b"cohort"), reason };
        if let Predicate::Rules(common, _) = &mut statement.predicate {
            common.audience = audience;
        }
        assert_eq!(signed(&statement).statement().predicate.common().audience, audience);
    }
    let edit = |field: &str, value: &str| {
        let (field, value) = (String::from(field), String::from(value));
        code_after(&statement, "predicate.audience", |object| {
            object.insert(field, value.into());
        })
    };
    assert_eq!(edit("reason", "hotfix"), None);
    assert_eq!(edit("reason", "Hotfix"), Some("field-form"));
    assert_eq!(edit("reason", "other"), Some("field-form"));
    assert_eq!(edit("cohort", "abc"), Some("field-form"));
    assert_eq!(edit("name", "abc"), Some("field-unknown"));
    for field in ["cohort", "reason"] {
        let removed = code_after(&statement, "predicate.audience", |object| {
            object.remove(field);
        });
        assert_eq!(removed, Some("field-missing"));
    }
    let everybody = code_after(&statement, "predicate", |object| {
        object.insert("audience".into(), "everybody".into());
    });
    assert_eq!(everybody, Some("field-kind"));
}

#[test]
fn only_channel_and_withdraw_records_are_on_the_recovery_chain() {
    let [_, later, release, rules] = statements();
    let with_chain = |statement: &Statement, chain: &str| {
        let chain = String::from(chain);
        code_after(statement, "predicate", |object| {
            object.insert("chain".into(), chain.into());
        })
    };
    assert_eq!(with_chain(&later, "recovery"), None);
    assert_eq!(with_chain(&withdraw(common(9)), "recovery"), None);
    assert_eq!(with_chain(&review(common(9)), "recovery"), Some("field-not-allowed"));
    assert_eq!(with_chain(&head(common(9), None), "recovery"), Some("field-not-allowed"));
    assert_eq!(with_chain(&later, "publish"), Some("field-form"));
    assert_eq!(with_chain(&release, "recovery"), Some("field-not-allowed"));
    assert_eq!(with_chain(&rules, "recovery"), Some("field-not-allowed"));

    // Its first record follows none of its own chain, but names the channel record in force.
    let first = Common { chain: Chain::Recovery, keys: Some(id("keys")), ..common(0) };
    let recovery = || Some(set(&[&signer("r", 2)], 1));
    let statement = with_recovery(channel(first, set(&[&signer("a", 1)], 1)), recovery());
    assert_eq!(signed(&statement).statement(), &statement);
    let without = Common { chain: Chain::Recovery, ..common(0) };
    let statement = with_recovery(channel(without, set(&[&signer("a", 1)], 1)), recovery());
    assert_eq!(parse_payload(&statement.encode()).unwrap_err().code(), "field-missing");
}

#[test]
fn names_the_field_that_is_wrong() {
    let error = error_after(&rules(common(9)), "predicate.bundle", |object| {
        object.insert("files".into(), Value::Integer(0));
    });
    let kind = FieldError::Range { got: 0, min: 1, max: 10_000_000 };
    assert_eq!(error, Some(RecordError::Statement(StatementError { field: "predicate.bundle.files", kind })));
}

#[test]
fn refuses_a_channel_name_that_is_not_one() {
    for (name, code) in [
        ("vendor", "channel-name-domain"),
        ("Vendor.example", "channel-name-label"),
        ("vendor.example/../x", "channel-name-label"),
        ("", "channel-name-length"),
    ] {
        let got = code_after(&rules(common(9)), "predicate", |object| {
            object.insert("channel".into(), name.into());
        });
        assert_eq!(got, Some(code), "{name:?}");
    }
}

mod subjects {
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::of_file(name, sha256(b"content"))
    }

    fn release_code(subject: Vec<Subject>) -> Option<&'static str> {
        let statement = Statement { subject, ..release(common(8)) };
        parse_payload(&statement.encode()).map_or_else(|error| Some(error.code()), |_| None)
    }

    #[test]
    fn are_sorted_by_name_and_unique() {
        assert_eq!(release_code(vec![subject("B"), subject("a"), subject("a b")]), None);
        assert_eq!(release_code(vec![subject("b"), subject("a")]), Some("field-order"));
        assert_eq!(release_code(vec![subject("a"), subject("a")]), Some("field-order"));
    }

    #[test]
    fn are_one_to_128() {
        let many = |count| (0..count).map(|number| subject(&format!("{number:03}"))).collect();
        assert_eq!(release_code(vec![]), Some("field-length"));
        // 128 subjects with a digest each stay below 16 KiB only with short names.
        assert_eq!(release_code(many(129)), Some("field-length"));
        assert_eq!(release_code(many(100)), None);
    }

    #[test]
    fn have_a_name_and_at_least_one_digest() {
        let both = Subject { dir_hash1: Some(sha256(b"tree")), ..subject("a") };
        assert_eq!(release_code(vec![both]), None);
        assert_eq!(release_code(vec![Subject { sha256: None, ..subject("a") }]), Some("field-missing"));
        assert_eq!(release_code(vec![subject("")]), Some("field-length"));
        assert_eq!(release_code(vec![subject(&"a".repeat(255))]), None);
        assert_eq!(release_code(vec![subject(&"a".repeat(256))]), Some("field-length"));
        assert_eq!(release_code(vec![subject(" a")]), Some("field-form"));
        assert_eq!(release_code(vec![subject("a ")]), Some("field-form"));
    }

    #[test]
    fn have_no_other_field_or_digest() {
        let text = String::from_utf8(release(common(8)).encode()).unwrap();
        for (from, to, code) in [
            (r#""digest":{"sha256":"#, r#""digest":{"md5":"a","sha256":"#, "field-unknown"),
            (r#"},"name":"agent-linux-a"#, r#"},"more":1,"name":"agent-linux-a"#, "field-unknown"),
            (r#"}]}"#, r#"},1]}"#, "field-kind"),
        ] {
            assert!(text.contains(from));
            assert_eq!(parse_payload(text.replacen(from, to, 1).as_bytes()).unwrap_err().code(), code);
        }
    }

    #[test]
    fn of_rules_have_exactly_one_dir_hash1() {
        let tree = |name: &str| Subject { dir_hash1: Some(sha256(b"tree")), ..subject(name) };
        let code = |subject| {
            let statement = Statement { subject, ..rules(common(9)) };
            parse_payload(&statement.encode()).map_or_else(|error| Some(error.code()), |_| None)
        };
        assert_eq!(code(vec![subject("a"), tree("b")]), None);
        assert_eq!(code(vec![subject("a"), subject("b")]), Some("field-form"));
        assert_eq!(code(vec![tree("a"), tree("b")]), Some("field-form"));
    }

    #[test]
    fn of_a_channel_are_its_name_and_the_hash_of_it() {
        let [genesis, ..] = statements();
        let own = Subject::of_channel(&ChannelName::parse(CHANNEL).unwrap());
        assert_eq!(own.sha256, Some(sha256(CHANNEL.as_bytes())));
        for subject in [
            vec![Subject { sha256: Some(sha256(b"other")), ..own.clone() }],
            vec![Subject { name: "vendor.example".into(), ..own.clone() }],
            vec![Subject { dir_hash1: own.sha256, ..own.clone() }],
            vec![own, subject("z")],
        ] {
            let error = parse_payload(&Statement { subject, ..genesis.clone() }.encode()).unwrap_err();
            assert_eq!(error.code(), "field-disagrees");
        }
    }
}
