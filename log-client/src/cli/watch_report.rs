//! What the watchdog found, for people and for programs.

use std::path::Path;

use indelible_proto::tree::TreeHead;
use indelible_proto::wire::encode_base64;
use serde_json::{Value, json};

use super::console::Output;
use crate::watch::{Alert, Check, Class, Finding, Report};

/// The lines and fields of a report.
pub(super) fn describe(report: &Report, evidence: Option<&Path>) -> Output {
    let Report { origin, source, finding } = report;
    let (word, level, code, message) = match finding {
        Finding::Good(check) => ("ok", "ok", check.code(), check.to_string()),
        Finding::Bad(alert) => (word(alert.class()), alert.class().word(), alert.code(), alert.to_string()),
    };
    let line = format!("{word:<7}  {origin}: {source}: {message}");
    let mut output = Output::line(line)
        .with("origin", origin.as_str())
        .with("source", source.as_str())
        .with("level", level)
        .with("code", code)
        .with("message", message);
    output.fields.extend(match finding {
        Finding::Good(check) => check_fields(check),
        Finding::Bad(alert) => alert_fields(alert),
    });
    if let Some(path) = evidence {
        let path = path.display();
        output.lines.push(format!("         evidence: {path}"));
        output.lines.push(format!("         to check it: indelible evidence verify {path} --log-key VKEY"));
        output = output.with("evidenceFile", path.to_string());
    }
    output
}

fn word(class: Class) -> &'static str {
    match class {
        Class::Undecided => "UNKNOWN",
        Class::Accusation => "BAD",
        Class::Evidence => "FORK",
    }
}

fn check_fields(check: &Check) -> Fields {
    match check {
        Check::EntriesMatch { from, head } => {
            vec![("from".to_owned(), json!(from.get())), head_field("head", head)]
        }
        Check::Consistent { seen, held } => vec![head_field("seen", seen), head_field("held", held)],
        Check::NotSeen => Vec::new(),
    }
}

fn alert_fields(alert: &Alert) -> Fields {
    let mut fields = vec![("accusesLog".to_owned(), json!(alert.accuses_log()))];
    let mut put = |name: &str, value: Value| fields.push((name.to_owned(), value));
    match alert {
        Alert::Fork { evidence, smaller, larger, .. } => {
            // Whole, in case it could not be written to disk.
            put("evidence", json!(encode_base64(evidence.encode())));
            fields.extend([head_field("smaller", smaller), head_field("larger", larger)]);
        }
        Alert::EntriesMismatch { signed, computed } => {
            put("computedRoot", json!(computed.to_base64()));
            fields.push(head_field("signed", signed));
        }
        Alert::TilesMismatch { size, code, .. } => {
            put("size", json!(size.get()));
            put("reason", json!(code));
        }
        Alert::QuorumMissing { head, code } => {
            put("reason", json!(code));
            fields.push(head_field("seen", head));
        }
        Alert::BadSignature { code, note } => {
            put("reason", json!(code));
            put("note", json!(encode_base64(note)));
        }
        Alert::RecordRefused { index, code, entry } => {
            put("index", json!(index.get()));
            put("reason", json!(code));
            put("entry", json!(encode_base64(entry.as_bytes())));
        }
        Alert::Unusable { code } | Alert::Unread { code, .. } => put("reason", json!(code)),
        Alert::Unproven { seen, held, .. } => {
            fields.push(head_field("seen", seen));
            fields.extend(held.as_ref().map(|held| head_field("held", held)));
        }
        Alert::TooManyUnproven { seen } => fields.push(head_field("seen", seen)),
        Alert::Latched { .. } => {}
    }
    fields
}

fn head_field(name: &str, head: &TreeHead) -> (String, Value) {
    (name.to_owned(), json!({ "size": head.size.get(), "root": head.root.to_base64() }))
}

type Fields = Vec<(String, Value)>;

#[cfg(test)]
mod tests {
    use indelible_proto::checkpoint::Origin;
    use indelible_proto::entry_bundle::Entry;
    use indelible_proto::size::LeafIndex;

    use super::*;

    #[test]
    fn an_alert_says_the_same_to_people_and_to_programs() {
        let alert = Alert::RecordRefused {
            index: LeafIndex::new(7).unwrap(),
            code: "seq-mismatch",
            entry: Entry::new(b"entry".to_vec()).unwrap(),
        };
        let report = Report {
            origin: Origin::parse("log.example/a").unwrap(),
            source: "https://log.example/a".to_owned(),
            finding: Finding::Bad(alert),
        };
        let output = describe(&report, None);
        let line = "BAD      log.example/a: https://log.example/a: \
                    the log took in entry 7, which breaks the rules for records (seq-mismatch)";
        assert_eq!(output.lines, [line]);
        let expect = [
            ("code", json!("record-refused")),
            ("level", json!("accusation")),
            ("accusesLog", json!(true)),
            ("index", json!(7)),
            ("reason", json!("seq-mismatch")),
            ("entry", json!("ZW50cnk=")),
        ];
        for (name, value) in expect {
            assert_eq!(output.fields[name], value, "{name}");
        }
    }
}
