use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;

use super::*;
use crate::sign::Signer as _;
use crate::sign::testing::{cosigner, log_signer, ml_dsa_cosigner};

fn vkey(name: &str, seed: u8) -> String {
    cosigner(name, seed).verifier().encode()
}

/// A log and witnesses `W1` to `W<count>`, each of a domain of its own.
fn head(count: u8) -> String {
    let log = log_signer("log.example", 101).verifier().encode();
    let witness = |seed| {
        format!("witness W{seed} {} https://w{seed}.example\n", vkey(&format!("w{seed}.example"), seed))
    };
    format!("log {log}\n{}", (1..=count).map(witness).collect::<String>())
}

fn group(k: usize, count: u8) -> String {
    let names = (1..=count).map(|seed| format!(" W{seed}")).collect::<String>();
    format!("{}group G {k}{names}\nquorum G\n", head(count))
}

/// Code and line of everything found that is at least a warning.
fn grave(file: &str, options: &LintOptions) -> Vec<(&'static str, usize)> {
    let found = lint(file.as_bytes(), options).findings;
    found.iter().filter(|f| f.severity > Severity::Note).map(|f| (f.code, f.line)).collect()
}

fn plain(file: &str) -> Vec<(&'static str, usize)> {
    grave(file, &LintOptions::default())
}

fn bad(f: usize) -> LintOptions {
    LintOptions { bad_witnesses: Some(f), ..LintOptions::default() }
}

fn operated(operators: &[(&str, &[&str])]) -> LintOptions {
    let operator = |(name, witnesses): &(&str, &[&str])| Operator {
        name: (*name).to_owned(),
        witnesses: witnesses.iter().map(|witness| (*witness).to_owned()).collect(),
    };
    LintOptions { operators: operators.iter().map(operator).collect(), ..LintOptions::default() }
}

#[test]
fn a_good_policy_has_only_notes() {
    let found = lint(group(4, 6).as_bytes(), &bad(1));
    assert!(!found.has_errors() && found.policy.is_some());
    let codes: Vec<_> = found.findings.iter().map(|finding| (finding.severity, finding.code)).collect();
    assert_eq!(
        codes,
        [(Severity::Note, "policy-operators-unknown"), (Severity::Note, "policy-ed25519-only")]
    );
}

/// Everything the parser refuses is explained: with its line, why, and what to do.
#[test]
fn every_refused_line_is_explained() {
    let (two, twice) = (head(2), vkey("other.example/name", 1));
    for (file, expected) in [
        (String::new(), vec![("policy-no-quorum", 1)]),
        (format!("{two}group G 0 W1\nquorum G\n"), vec![("policy-threshold", 4)]),
        (format!("{two}group G 3 W1 W2\nquorum G\n"), vec![("policy-threshold", 4)]),
        (format!("{two}group G all\nquorum G\n"), vec![("policy-empty-group", 4)]),
        (
            format!("{two}witness X {twice}\ngroup G 2 W1 X\nquorum G\n"),
            vec![("policy-duplicate-witness", 4)],
        ),
        (format!("{two}quorum W1\nquorum W2\n"), vec![("policy-second-quorum", 5)]),
        (format!("{two}group G 1 W1 W1\nquorum G\n"), vec![("policy-repeated-member", 4)]),
        (format!("{two}quorum W1 # one\n"), vec![("policy-item-count", 4)]),
        (format!("{two}quorum W1"), vec![("line-unterminated", 4)]),
        (format!("{two}quorum W1\r\n"), vec![("control-character", 4)]),
        // All of them, not only the first.
        (
            format!("{two}witness X {twice}\nfoo\ngroup G 9 W1 W2\ngroup H 1 X\nquorum G\nquorum W1\n"),
            vec![("policy-duplicate-witness", 4), ("policy-unknown-keyword", 5), ("policy-threshold", 6)],
        ),
    ] {
        let found = lint(file.as_bytes(), &LintOptions::default());
        assert!(found.policy.is_none() && found.has_errors());
        let lines: Vec<_> = found.findings.iter().map(|finding| (finding.code, finding.line)).collect();
        assert_eq!(lines, expected, "{file}");
        assert!(
            found.findings.iter().all(|f| !f.message.is_empty() && !f.why.is_empty() && !f.next.is_empty())
        );
    }
    let same_key = lint(format!("{two}witness X {twice}\nquorum X\n").as_bytes(), &LintOptions::default());
    assert!(same_key.findings[0].message.contains("as in line 2"), "{:?}", same_key.findings);
    let many = "foo\n".repeat(200);
    assert_eq!(lint(many.as_bytes(), &LintOptions::default()).findings.len(), 64);
}

#[test]
fn a_quorum_of_nobody_is_an_error() {
    assert_eq!(plain(&format!("{}quorum none\n", head(1))), [("policy-no-witnesses", 3)]);
    let no_log = format!("{}quorum W1\n", head(1).split_once('\n').unwrap().1);
    assert!(plain(&no_log).contains(&("policy-no-logs", 2)));
}

#[test]
fn one_witness_with_two_keys_counts_twice() {
    let file = |second: &str, quorum: &str| format!("{}witness X {second}\n{quorum}", head(4));
    let all = "group G 3 W1 W2 W3 W4 X\nquorum G\n";
    let twice = ("policy-witness-twice", 6);
    // Another key under the same key name, or at the same address.
    assert!(plain(&file(&vkey("w1.example", 9), all)).contains(&twice));
    assert!(plain(&file(&format!("{} https://w2.example", vkey("x.example", 9)), all)).contains(&twice));
    assert!(!plain(&file(&vkey("x.example", 9), all)).contains(&twice));
    // That neither has an address is no sign.
    let nowhere =
        format!("{}witness X {}\nwitness Y {}\n", head(4), vkey("x.example", 9), vkey("y.example", 10));
    let found = plain(&format!("{nowhere}group G 4 W1 W2 W3 W4 X Y\nquorum G\n"));
    assert!(!found.iter().any(|(code, _)| *code == "policy-witness-twice"), "{found:?}");
    // Not in the quorum, it does not count at all.
    let outside = "group G 3 W1 W2 W3 W4\nquorum G\n";
    assert!(!plain(&file(&vkey("w1.example", 9), outside)).contains(&twice));
    let found = lint(file(&vkey("w1.example", 9), outside).as_bytes(), &bad(1));
    assert!(found.findings.iter().any(|f| (f.code, f.line) == ("policy-witness-unused", 6)));
}

fn ml_dsa(name: &str, seed: u8) -> String {
    ml_dsa_cosigner(name, seed).verifier().encode()
}

/// Witnesses `W1` to `W<count>` with an Ed25519 key, and `M1` to `M<count>`: the same with an ML-DSA-44 key.
fn both_keys(count: u8) -> String {
    let second = |seed| {
        format!("witness M{seed} {} https://w{seed}.example\n", ml_dsa(&format!("w{seed}.example"), seed))
    };
    head(count) + &(1..=count).map(second).collect::<String>()
}

fn codes(file: &str, options: &LintOptions) -> Vec<&'static str> {
    lint(file.as_bytes(), options).findings.iter().map(|finding| finding.code).collect()
}

/// Two keys of one witness are one witness if they stand in a group of their own, and only then.
#[test]
fn an_ml_dsa_key_beside_an_ed25519_key_makes_no_second_witness() {
    let each = |word: &str| {
        (1..=4).map(|seed| format!("group G{seed} {word} W{seed} M{seed}\n")).collect::<String>()
    };
    for word in ["any", "all"] {
        let file = format!("{}{}group Q 3 G1 G2 G3 G4\nquorum Q\n", both_keys(4), each(word));
        // What is counted are witnesses, as with one key each.
        assert_eq!(grave(&file, &bad(1)), [], "{word}");
        assert_eq!(grave(&file, &bad(2)), [("policy-split-view", 15)], "{word}");
        let numbers = lint(file.as_bytes(), &bad(1)).policy.unwrap().quorum_by_witness().numbers();
        let single = lint(group(3, 4).as_bytes(), &bad(1)).policy.unwrap().quorum().numbers();
        assert_eq!(numbers, single, "{word}");
    }
    let flat = format!("{}group Q 3 W1 M1 W2 M2\nquorum Q\n", both_keys(2));
    let twice: Vec<_> =
        plain(&flat).into_iter().filter(|(code, _)| *code == "policy-witness-twice").collect();
    assert_eq!(twice, [("policy-witness-twice", 4), ("policy-witness-twice", 5)]);
    // Somebody else in the group: the second key can meet it for the first.
    let shared = format!("{}group A any W1 W2\ngroup Q all A M1\nquorum Q\n", both_keys(2));
    assert!(plain(&shared).contains(&("policy-witness-twice", 4)), "{:?}", plain(&shared));
    // Both keys of one witness are enough alone, if nobody else is asked.
    let alone = format!("{}group A all W1 M1\nquorum A\n", both_keys(1));
    assert!(plain(&alone).contains(&("policy-operator-quorum", 5)), "{:?}", plain(&alone));
}

/// Whether the quorum can be met without an ML-DSA-44 key, and whether it has any.
#[test]
fn a_quorum_that_ed25519_keys_can_meet_is_noted() {
    let notes = |file: &str| {
        let found = codes(file, &bad(0)).into_iter().filter(|code| code.starts_with("policy-ed25519"));
        found.collect::<Vec<_>>()
    };
    let groups: String = (1..=3).map(|seed| format!("group G{seed} any W{seed} M{seed}\n")).collect();
    let keys = both_keys(3);
    for (rules, expected) in [
        ("group Q 2 W1 W2 W3\nquorum Q\n".to_string(), &["policy-ed25519-only"][..]),
        (format!("{groups}group Q 2 G1 G2 G3\nquorum Q\n"), &["policy-ed25519-enough"]),
        (format!("{}group Q 2 G1 G2 G3\nquorum Q\n", groups.replace("any", "all")), &[]),
        ("group Q 2 M1 M2 M3\nquorum Q\n".into(), &[]),
        // Two of three with one of each kind: never by Ed25519 alone.
        ("group Q 2 W1 M2 M3\nquorum Q\n".into(), &[]),
    ] {
        assert_eq!(notes(&format!("{keys}{rules}")), expected, "{rules}");
    }
}

#[test]
fn a_log_is_not_its_own_witness() {
    let log = crate::sign::LogSigner::new(crate::sign::SecretKey::from_seed(
        crate::note::KeyKind::Log,
        crate::note::KeyName::parse("log.example").unwrap(),
        [1; 32],
    ));
    let log = log.unwrap().verifier().encode();
    let file = head(3).split_once('\n').unwrap().1.to_string();
    let file = format!("log {log}\n{file}group G 3 W1 W2 W3\nquorum G\n");
    assert!(plain(&file).contains(&("policy-log-is-witness", 2)), "{:?}", plain(&file));
}

#[test]
fn one_operator_with_a_quorum_is_an_error() {
    let file = group(3, 5);
    let quorum = 8;
    let enough = operated(&[("alice", &["W1", "W2", "W3"]), ("bob", &["W4", "W5"])]);
    assert!(grave(&file, &enough).contains(&("policy-operator-quorum", quorum)));
    assert!(grave(&file, &enough).contains(&("policy-operator-veto", quorum)));
    let apart = operated(&[("alice", &["W1", "W2"]), ("bob", &["W3", "W4"]), ("carol", &["W5"])]);
    assert_eq!(grave(&file, &LintOptions { bad_witnesses: Some(1), ..apart }), []);
    let unknown = operated(&[("alice", &["W9"])]);
    assert!(grave(&file, &unknown).contains(&("policy-operator-unknown-witness", quorum)));
    // One witness is one operator at least.
    assert!(
        plain(&format!("{}group G 1 W1 W2\nquorum G\n", head(2))).contains(&("policy-operator-quorum", 5))
    );
    // A quorum of quorums.
    let nested = format!("{}group X 2 W1 W2 W3\ngroup Y 1 W4 W5\ngroup Z 2 X Y\nquorum Z\n", head(5));
    let across = operated(&[("alice", &["W1", "W2", "W4"])]);
    assert!(grave(&nested, &across).contains(&("policy-operator-quorum", 10)));
    let within = operated(&[("alice", &["W1", "W2", "W3"])]);
    assert!(!grave(&nested, &within).contains(&("policy-operator-quorum", 10)));
}

#[test]
fn keys_of_one_domain_look_like_one_operator() {
    let log = log_signer("log.example", 101).verifier().encode();
    let witness = |seed| format!("witness W{seed} {}\n", vkey(&format!("w.example/{seed}"), seed));
    let file =
        format!("log {log}\n{}group G 2 W1 W2 W3\nquorum G\n", (1..=3).map(witness).collect::<String>());
    assert!(plain(&file).contains(&("policy-operator-apparent", 6)));
    let said = operated(&[("a", &["W1"]), ("b", &["W2"]), ("c", &["W3"])]);
    assert!(!grave(&file, &said).contains(&("policy-operator-apparent", 6)));
}

/// `k1 + k2 > n + f`, with the watchdog's quorum given or `max(k1, n - k1/2)`.
#[test]
fn a_quorum_that_bad_witnesses_can_split_is_found() {
    let split = |k: usize, n: u8, f: Option<usize>, k2: Option<usize>| {
        let options = LintOptions { bad_witnesses: f, monitor_quorum: k2, operators: Vec::new() };
        let found = lint(group(k, n).as_bytes(), &options).findings;
        let found = found.iter().find(|f| matches!(f.code, "policy-split-view" | "policy-monitor-quorum"));
        found.map(|finding| (finding.severity, finding.code))
    };
    let (error, warning) =
        (Some((Severity::Error, "policy-split-view")), Some((Severity::Warning, "policy-split-view")));
    for (k, n, f, k2, expected) in [
        // 2 + 2 > 3 + 0, and no more.
        (2, 3, None, None, warning),
        (2, 3, Some(0), None, None),
        (2, 3, Some(1), None, error),
        (2, 3, Some(1), Some(3), None),
        (2, 3, Some(2), Some(3), error),
        // 3 + 4 > 5 + 1.
        (3, 5, None, None, None),
        (3, 5, Some(1), None, None),
        (3, 5, Some(2), None, error),
        (3, 5, Some(1), Some(3), error),
        (3, 6, None, Some(3), error),
        (1, 4, None, None, warning),
        (3, 5, None, Some(6), Some((Severity::Error, "policy-monitor-quorum"))),
    ] {
        assert_eq!(split(k, n, f, k2), expected, "{k} of {n}, f {f:?}, k2 {k2:?}");
    }
}

#[test]
fn findings_come_in_the_order_of_the_lines() {
    let file = format!("{}group G 3 W1 W2 W3\nquorum G\n# lint: f x\n# lint: F\n", head(5));
    let found = lint(file.as_bytes(), &LintOptions::default()).findings;
    let lines: Vec<usize> = found.iter().map(|finding| finding.line).collect();
    assert!(lines.is_sorted() && lines.first() < lines.last(), "{lines:?}");
}

#[test]
fn a_witness_that_cannot_be_missed_is_found() {
    assert!(plain(&group(3, 3)).contains(&("policy-no-spare", 6)));
    assert!(!plain(&group(3, 4)).iter().any(|(code, _)| *code == "policy-no-spare"));
}

#[test]
fn the_file_can_say_what_the_caller_leaves_open() {
    let file = group(3, 5);
    let with = |comments: &str| format!("{file}{comments}");
    assert_eq!(plain(&with("# lint: f 1\n#lint:\toperator a W1 W2\n")), []);
    assert_eq!(plain(&with("# lint: f 2\n")), [("policy-split-view", 8)]);
    assert_eq!(plain(&with("# lint: f 2\n# lint: monitor-quorum 5\n")), []);
    assert!(plain(&with("  # lint: operator a W1 W2 W3\n")).contains(&("policy-operator-quorum", 8)));
    // The caller knows better.
    assert_eq!(grave(&with("# lint: f 2\n"), &bad(1)), []);
    let waits = LintOptions { monitor_quorum: Some(5), ..bad(2) };
    assert_eq!(grave(&with("# lint: monitor-quorum 3\n"), &waits), []);
    let apart = operated(&[("a", &["W1"])]);
    assert_eq!(grave(&with("# lint: operator a W1 W2 W3\n"), &apart), []);
    // Others read it as a comment.
    assert!(Policy::parse(with("# lint: f 1\n").as_bytes()).is_ok());
    for comment in ["f", "f x", "f 01", "f 1 2", "operator a", "monitor-quorum", "F 1", ""] {
        let found = plain(&with(&format!("# lint: {comment}\n")));
        assert!(found.contains(&("policy-lint-comment", 9)), "{comment:?}: {found:?}");
    }
    assert_eq!(plain(&with("# linted: f 1\n# lint f 1\n")), []);
}
