//! The fields of `withdraw`, `review` and `head`, and what the recovery chain asks of `channel`.

use super::schema_types::{put, remove};
use super::*;

fn ids(labels: &[&str]) -> Value {
    let mut ids: Vec<_> = labels.iter().map(|label| id(label)).collect();
    ids.sort();
    Value::Array(ids.iter().map(|id| id.to_string().into()).collect())
}

#[test]
fn required_and_optional_fields() {
    let (withdraw, review, head) = (withdraw(common(9)), review(common(9)), head(common(9), Some(id("r"))));
    for (statement, path, required, optional) in [
        (&withdraw, "predicate", &["records", "reason", "action"][..], &["advisory"][..]),
        (&withdraw, "predicate.advisory", &["uri", "sha256"], &[]),
        (&review, "predicate", &["records", "kind", "result", "independence", "report"], &["coverage"]),
        (&review, "predicate.coverage", &["files", "read"], &[]),
        (&review, "predicate.findings", &["count", "max", "sha256"], &[]),
        (&review, "predicate.independence", &["paidBy", "access", "nda"], &[]),
        (&review, "predicate.report", &["sha256"], &[]),
        (&head, "predicate", &["record"], &["recovery"]),
    ] {
        for field in required {
            assert_eq!(remove(statement, path, field), Some("field-missing"), "{path}.{field}");
        }
        for field in optional {
            assert_eq!(remove(statement, path, field), None, "{path}.{field}");
        }
        if path != "predicate" {
            assert_eq!(put(statement, path, "more", 1), Some("field-unknown"), "{path}");
        }
    }
}

#[test]
fn a_withdrawal_lasts_and_the_others_expire() {
    let expires = "2026-07-12T10:00:00Z";
    assert_eq!(put(&withdraw(common(9)), "predicate", "expires", expires), Some("field-not-allowed"));
    for statement in [review(common(9)), head(common(9), None)] {
        assert_eq!(remove(&statement, "predicate", "expires"), Some("field-missing"));
        assert_eq!(put(&statement, "predicate", "expires", "2026-07-09T10:00:00Z"), Some("field-disagrees"));
    }
}

#[test]
fn a_head_is_short() {
    let head = head(common(9), None);
    assert_eq!(put(&head, "predicate", "expires", "2026-08-09T10:00:00Z"), None);
    assert_eq!(put(&head, "predicate", "expires", "2026-08-09T10:00:01Z"), Some("field-range"));
    // A release may be good for longer.
    assert_eq!(put(&release(common(9)), "predicate", "expires", "2027-08-09T10:00:00Z"), None);
}

#[test]
fn a_head_is_about_the_channel() {
    let statement = Statement { subject: vec![artifact("a")], ..head(common(9), None) };
    assert_eq!(parse_payload(&statement.encode()).unwrap_err().code(), "field-disagrees");
}

#[test]
fn named_records_are_1_to_32_sorted_and_unique() {
    let many = |count: usize| {
        let labels: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        ids(&labels.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for statement in [withdraw(common(9)), review(common(9))] {
        let records = |value| put(&statement, "predicate", "records", value);
        assert_eq!(records(many(1)), None);
        assert_eq!(records(many(32)), None);
        assert_eq!(records(many(33)), Some("field-length"));
        assert_eq!(records(many(0)), Some("field-length"));
        assert_eq!(records(ids(&["a", "a"])), Some("field-order"));
        let Value::Array(mut reversed) = ids(&["a", "b"]) else { unreachable!() };
        reversed.reverse();
        assert_eq!(records(Value::Array(reversed)), Some("field-order"));
        assert_eq!(records(Value::Array(vec!["a".into()])), Some("field-form"));
        assert_eq!(records(id("a").to_string().into()), Some("field-kind"));
    }
}

#[test]
fn words_are_of_their_lists() {
    let (withdraw, review) = (withdraw(common(9)), review(common(9)));
    for (statement, path, field, words) in [
        (&withdraw, "predicate", "reason", &["defective", "malicious", "key-compromise", "legal"][..]),
        (
            &review,
            "predicate",
            "kind",
            &["rebuild", "source-audit", "rules-semantic", "fp-test", "data-processing", "process-audit"],
        ),
        (&review, "predicate", "result", &["pass-with-findings", "fail", "inconclusive"]),
        (&review, "predicate.findings", "max", &["info", "low", "medium", "high", "critical"]),
    ] {
        for word in words {
            assert_eq!(put(statement, path, field, *word), None, "{field} {word}");
            assert_eq!(put(statement, path, field, word.to_uppercase()), Some("field-form"), "{field}");
        }
        for word in ["", "other", " "] {
            assert_eq!(put(statement, path, field, word), Some("field-form"), "{field} {word:?}");
        }
    }
}

#[test]
fn safe_is_there_exactly_for_a_rollback() {
    let rollback = withdraw(common(9));
    assert_eq!(remove(&rollback, "predicate", "safe"), Some("field-missing"));
    for action in ["stop", "uninstall"] {
        assert_eq!(put(&rollback, "predicate", "action", action), Some("field-not-allowed"));
        let without = code_after(&rollback, "predicate", |object| {
            object.remove("safe");
            object.insert("action".into(), action.into());
        });
        assert_eq!(without, None, "{action}");
    }
    assert_eq!(put(&rollback, "predicate", "action", "pause"), Some("field-form"));
}

#[test]
fn safe_is_not_withdrawn_by_the_same_record() {
    for bad in ["bad", "worse"] {
        let code = put(&withdraw(common(9)), "predicate", "safe", id(bad).to_string());
        assert_eq!(code, Some("field-disagrees"), "{bad}");
    }
}

#[test]
fn findings_agree_with_the_result() {
    let review = review(common(9));
    assert_eq!(put(&review, "predicate", "result", "pass"), Some("field-not-allowed"));
    assert_eq!(remove(&review, "predicate", "findings"), Some("field-missing"));
    assert_eq!(put(&review, "predicate.findings", "count", 0), Some("field-range"));
    for result in ["pass", "fail", "inconclusive"] {
        let without = code_after(&review, "predicate", |object| {
            object.remove("findings");
            object.insert("result".into(), result.into());
        });
        assert_eq!(without, None, "{result}");
    }
}

#[test]
fn no_more_files_were_read_than_there_are() {
    let review = review(common(9));
    assert_eq!(put(&review, "predicate.coverage", "read", 3769), None);
    assert_eq!(put(&review, "predicate.coverage", "read", 3770), Some("field-range"));
}

#[test]
fn nda_is_true_or_false() {
    let review = review(common(9));
    assert_eq!(put(&review, "predicate.independence", "nda", Value::Bool(false)), None);
    for value in [Value::Integer(0), "true".into()] {
        assert_eq!(put(&review, "predicate.independence", "nda", value), Some("field-kind"));
    }
}

#[test]
fn the_recovery_chain_always_names_its_keys_and_may_leave_out_the_others() {
    let all = all_statements();
    let on_recovery = |frozen: bool| {
        let found = all.iter().find(|statement| match &statement.predicate {
            Predicate::Channel(common, body) => {
                common.chain == Chain::Recovery && body.signers.is_none() == frozen
            }
            _ => false,
        });
        found.unwrap()
    };
    for frozen in [true, false] {
        assert_eq!(remove(on_recovery(frozen), "predicate", "recovery"), Some("field-missing"));
    }
    assert_eq!(put(on_recovery(true), "predicate", "threshold", 1), Some("field-missing"));
    assert_eq!(remove(on_recovery(false), "predicate", "threshold"), Some("field-missing"));
    // Nobody can freeze the publish chain from within.
    let [_, later, ..] = statements();
    let frozen = code_after(&later, "predicate", |object| {
        object.remove("signers");
        object.remove("threshold");
    });
    assert_eq!(frozen, Some("field-missing"));
}
