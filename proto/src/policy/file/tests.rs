use alloc::format;
use alloc::string::ToString as _;

use super::*;
use crate::note::Algorithm;
use crate::sign::Signer as _;
use crate::sign::testing::{cosigner, log_signer, ml_dsa_cosigner, ml_dsa_vkey, record_signer};

fn log(name: &str, seed: u8) -> String {
    log_signer(name, seed).verifier().encode()
}

fn witness(seed: u8) -> String {
    cosigner(&format!("w{seed}.example"), seed).verifier().encode()
}

/// Lines that name witnesses `W1` to `W<count>`.
fn witnesses(count: u8) -> String {
    (1..=count).map(|seed| format!("witness W{seed} {}\n", witness(seed))).collect()
}

fn code(file: impl AsRef<[u8]>) -> &'static str {
    Policy::parse(file.as_ref()).map_or_else(|error| error.code(), |_| "ok")
}

fn line(file: &str) -> usize {
    Policy::parse(file.as_bytes()).unwrap_err().line
}

#[test]
fn reads_every_kind_of_line() {
    let (log, w1, w2) = (log("log.example", 101), witness(1), witness(2));
    let file = format!(
        "# our log\n\nlog {log} https://log.example/\n \t # indented\n\t\nwitness W1 {w1} https://w1.example/\n\
         witness\tW2 \t {w2}\t\ngroup both all W1 W2\n  quorum both  \n"
    );
    let policy = Policy::parse(file.as_bytes()).unwrap();
    assert_eq!(policy.logs().len(), 1);
    assert_eq!(policy.logs()[0].key.encode(), log);
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log.example/"));
    let names: Vec<_> = policy.witnesses().iter().map(|witness| witness.name.as_str()).collect();
    assert_eq!(names, ["W1", "W2"]);
    assert_eq!(policy.witnesses()[0].url.as_deref(), Some("https://w1.example/"));
    assert_eq!(policy.witnesses()[1].url, None);
    let members = [Quorum::Witness(0), Quorum::Witness(1)].to_vec();
    assert_eq!(policy.quorum(), &Quorum::Group { threshold: 2, members });
    assert_eq!(policy.fingerprint(), sha256(file.as_bytes()));
}

#[test]
fn a_policy_needs_a_quorum_line_and_nothing_else() {
    assert_eq!(code("quorum none\n"), "ok");
    assert_eq!(code(""), "policy-no-quorum");
    assert_eq!(code("\n# quorum none\n"), "policy-no-quorum");
    assert_eq!(code(witnesses(1)), "policy-no-quorum");
    assert_eq!(line("\n\n"), 3);
}

#[test]
fn there_is_one_quorum_line() {
    assert_eq!(code("quorum none\nquorum none\n"), "policy-second-quorum");
    assert_eq!(code(format!("{}quorum W1\nquorum none\n", witnesses(1))), "policy-second-quorum");
    assert_eq!(line("# one\nquorum none\nquorum none\n"), 3);
}

#[test]
fn only_tabs_and_spaces_part_items() {
    for byte in (0..=0x1f).chain([0x7f]).filter(|byte| !matches!(byte, b'\t' | b'\n')) {
        for file in [
            &[b"quorum", &[byte][..], b"none\n"].concat(),
            &[b"# ", &[byte][..], b"\nquorum none\n"].concat(),
        ] {
            assert_eq!(code(file), "control-character", "{byte:#04x}");
        }
    }
    assert_eq!(code("quorum none\r\n"), "control-character");
    assert_eq!(code("quorum\u{a0}none\n"), "policy-unknown-keyword");
}

#[test]
fn every_line_ends_in_a_newline() {
    assert_eq!(code("quorum none"), "line-unterminated");
    assert_eq!(code("quorum none\n# end"), "line-unterminated");
}

#[test]
fn refuses_lines_with_other_words_or_other_counts() {
    let (log, w1) = (log("log.example", 101), witness(1));
    let one = witnesses(1);
    let cases = [
        ("QUORUM none\n".to_string(), "policy-unknown-keyword"),
        ("threshold 1\nquorum none\n".into(), "policy-unknown-keyword"),
        ("quorum\n".into(), "policy-item-count"),
        ("quorum none # a comment\n".into(), "policy-item-count"),
        (format!("{one}quorum W1 W1\n"), "policy-item-count"),
        ("log\nquorum none\n".into(), "policy-item-count"),
        (format!("log {log} https://log.example/ # a comment\nquorum none\n"), "policy-item-count"),
        ("witness\nquorum none\n".into(), "policy-item-count"),
        ("witness W1\nquorum none\n".into(), "policy-item-count"),
        (format!("witness W1 {w1} https://w1.example/ more\nquorum none\n"), "policy-item-count"),
        ("group\nquorum none\n".into(), "policy-item-count"),
        ("group G\nquorum none\n".into(), "policy-item-count"),
    ];
    for (file, expected) in cases {
        assert_eq!(code(&file), expected, "{file:?}");
    }
}

/// N14: a key stands only where its kind belongs.
#[test]
fn refuses_keys_of_another_kind() {
    let log = log("a.example", 1);
    let cosigner = cosigner("a.example", 2).verifier().encode();
    let record = record_signer("a.example", 3).verifier().encode();
    assert_eq!(code(format!("log {log}\nwitness W {cosigner}\nquorum W\n")), "ok");
    for key in [&cosigner, &record] {
        assert_eq!(code(format!("log {key}\nquorum none\n")), "key-wrong-kind");
    }
    for key in [&log, &record] {
        assert_eq!(code(format!("witness W {key}\nquorum W\n")), "key-wrong-kind");
    }
}

/// Keys of both algorithms are witnesses' keys; a log's is an Ed25519 key of its own kind, or an ML-DSA-44 key.
#[test]
fn a_witness_has_a_key_of_either_algorithm() {
    let (ed25519, ml_dsa) = (cosigner("w.example", 1), ml_dsa_cosigner("w.example", 1));
    let file = format!(
        "witness E {}\nwitness M {} https://w.example/\ngroup W any E M\nquorum W\n",
        ed25519.verifier(),
        ml_dsa.verifier()
    );
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let algorithms: Vec<_> = policy.witnesses().iter().map(|witness| witness.key.algorithm()).collect();
    assert_eq!(algorithms, [Algorithm::Ed25519, Algorithm::MlDsa44]);
    assert_eq!(code(format!("log {}\nquorum none\n", ml_dsa.verifier())), "ok");
    assert_eq!(code(format!("log {}\nquorum none\n", ed25519.verifier())), "key-wrong-kind");
    // N7: the public key counts here too.
    let renamed = ml_dsa_cosigner("other.example", 1);
    let twice = format!("witness A {}\nwitness B {}\nquorum A\n", ml_dsa.verifier(), renamed.verifier());
    assert_eq!(code(twice), "policy-duplicate-witness");
}

/// As many witnesses as a policy may have, each with the longer key: the file is not too long.
#[test]
fn there_is_room_for_ml_dsa_keys_of_all_witnesses() {
    let key = |place: usize| {
        let key = [&place.to_be_bytes()[..], &[7; 1304]].concat();
        ml_dsa_vkey("witness.example.org/transparency/w1", &key)
    };
    let line = |place: usize| format!("witness w{place} {} https://witness.example.org/api\n", key(place));
    let witnesses = |count: usize| (0..count).map(line).collect::<String>();
    assert_eq!(code(format!("{}quorum w255\n", witnesses(MAX_ITEMS))), "ok");
    assert_eq!(code(format!("{}quorum w255\n", witnesses(MAX_ITEMS + 1))), "policy-too-many-items");
}

#[test]
fn refuses_keys_that_cannot_be_read() {
    assert_eq!(code("log key\nquorum none\n"), "key-form");
    assert_eq!(code(b"log \xff+aa441aac+AQ==\nquorum none\n"), "not-utf8");
    let weak =
        format!("weak.example+00000000+{}", crate::wire::encode_base64([[1].as_slice(), &[0; 32]].concat()));
    assert_eq!(code(format!("log {weak}\nquorum none\n")), "key-weak");
}

#[test]
fn a_log_key_has_a_name_that_can_be_an_origin() {
    assert_eq!(code(format!("log {}\nquorum none\n", log(&"o".repeat(255), 1))), "ok");
    assert_eq!(code(format!("log {}\nquorum none\n", log(&"o".repeat(256), 1))), "origin-too-long");
}

/// N7: the public key counts, not its name or id.
#[test]
fn refuses_one_public_key_twice() {
    let (one, other) = (log("one.example", 1), log("other.example", 1));
    assert_eq!(code(format!("log {one}\nlog {other}\nquorum none\n")), "policy-duplicate-log");
    let [one, other] = ["one.example", "other.example"].map(|name| cosigner(name, 1).verifier().encode());
    assert_eq!(
        code(format!("witness W1 {one}\nwitness W2 {other}\nquorum W1\n")),
        "policy-duplicate-witness"
    );
    // Two keys of one log: a log whose key is being changed.
    let (old, new) = (log("log.example", 1), log("log.example", 2));
    assert_eq!(code(format!("log {old}\nlog {new}\nquorum none\n")), "ok");
}

#[test]
fn refuses_one_name_twice() {
    let two = witnesses(2);
    let w3 = witness(3);
    for end in [
        format!("witness W1 {w3}\n"),
        "group W1 any W2\n".into(),
        "group G any W1\ngroup G any W2\n".into(),
        format!("group G any W1\nwitness G {w3}\n"),
        format!("witness none {w3}\n"),
        "group none any W1\n".into(),
    ] {
        assert_eq!(code(format!("{two}{end}quorum none\n")), "policy-duplicate-name", "{end:?}");
    }
}

/// N7.
#[test]
fn a_threshold_lies_between_one_and_the_number_of_members() {
    let three = witnesses(3);
    for (threshold, expected) in [("any", 1), ("all", 3), ("1", 1), ("2", 2), ("3", 3)] {
        let policy =
            Policy::parse(format!("{three}group G {threshold} W1 W2 W3\nquorum G\n").as_bytes()).unwrap();
        assert!(matches!(policy.quorum(), Quorum::Group { threshold, .. } if *threshold == expected));
    }
    for threshold in
        ["0", "4", "-1", "+1", "01", "1.0", "ANY", "both", "18446744073709551616", "9223372036854775807"]
    {
        let file = format!("{three}group G {threshold} W1 W2 W3\nquorum G\n");
        assert_eq!(code(file), "policy-threshold", "{threshold:?}");
    }
}

/// N7.
#[test]
fn refuses_a_group_without_members() {
    for threshold in ["all", "any", "0", "1"] {
        assert_eq!(code(format!("group G {threshold}\nquorum G\n")), "policy-empty-group");
    }
}

#[test]
fn refuses_names_that_are_not_defined_before() {
    let two = witnesses(2);
    for end in [
        "quorum W3\n",
        "group G all W1 W3\nquorum G\n",
        "quorum G\ngroup G all W1\n",
        "group G all H W1\ngroup H all W2\nquorum G\n",
        "group G any G\nquorum G\n",
        "group G any H\ngroup H any G\nquorum G\n",
        "quorum w1\n",
        "quorum None\n",
    ] {
        assert_eq!(code(format!("{two}{end}")), "policy-undefined-name", "{end:?}");
    }
    assert_eq!(code(format!("quorum W1\n{two}")), "policy-undefined-name");
}

#[test]
fn a_name_is_a_member_once() {
    let three = witnesses(3);
    for end in [
        "group G any W1 W1\n",
        "group G 2 W1 W2 W1\n",
        "group G any W1 W2\ngroup H any W2 W3\n",
        "group G any W1\ngroup H any G\ngroup I any G W2\n",
    ] {
        assert_eq!(code(format!("{three}{end}quorum none\n")), "policy-repeated-member", "{end:?}");
    }
}

#[test]
fn none_is_no_member() {
    assert_eq!(code("group G any none\nquorum G\n"), "policy-none-as-member");
}

#[test]
fn a_quorum_can_name_a_member_of_a_group() {
    assert_eq!(code(format!("{}group G any W1 W2\nquorum W1\n", witnesses(2))), "ok");
}

/// Names are octets: look-alikes differ, and what is not UTF-8 is a name too.
#[test]
fn names_are_opaque_octets() {
    let (w1, w2) = (witness(1), witness(2));
    assert_eq!(code(format!("witness K {w1}\nwitness \u{212a} {w2}\nquorum \u{212a}\n")), "ok");
    assert_eq!(code(format!("witness \u{e9} {w1}\nquorum e\u{301}\n")), "policy-undefined-name");
    let file =
        [&b"# \xff\nwitness \xffa\xc3 "[..], w1.as_bytes(), b" http://\xfe/\nquorum \xffa\xc3\n"].concat();
    let policy = Policy::parse(&file).unwrap();
    assert_eq!(policy.witnesses()[0].name, "\\xffa\\xc3");
    assert_eq!(policy.witnesses()[0].url.as_deref(), Some("http://\\xfe/"));
    assert_eq!(policy.quorum(), &Quorum::Witness(0));
}

#[test]
fn words_of_the_format_can_be_names() {
    let (w1, w2) = (witness(1), witness(2));
    assert_eq!(
        code(format!("witness all {w1}\nwitness 2 {w2}\ngroup quorum 2 all 2\nquorum quorum\n")),
        "ok"
    );
}

#[test]
fn refuses_a_file_above_the_limit() {
    let comment = |len: usize| format!("quorum none\n#{}\n", "x".repeat(len - 14));
    assert_eq!(code(comment(MAX_POLICY_BYTES)), "ok");
    assert_eq!(code(comment(MAX_POLICY_BYTES + 1)), "policy-too-long");
}

#[test]
fn refuses_more_lines_of_a_kind_than_the_limit() {
    let cosigner = |seed: usize| {
        let seed = u8::try_from(seed % 251).unwrap() as usize + seed / 251 * 256;
        let (low, high) = ((seed & 0xff) as u8, (seed >> 8) as u8);
        let mut bytes = [low; 32];
        bytes[31] = high;
        let name = crate::note::KeyName::parse("w").unwrap();
        crate::sign::SecretKey::from_seed(KeyKind::Cosigner, name, bytes).verifier().encode()
    };
    let witnesses = |count| (0..count).map(|i| format!("witness w{i} {}\n", cosigner(i))).collect::<String>();
    let full = witnesses(MAX_ITEMS);
    assert_eq!(code(format!("{full}quorum none\n")), "ok");
    assert_eq!(code(format!("{}quorum none\n", witnesses(MAX_ITEMS + 1))), "policy-too-many-items");
    // Groups of one member each, the deepest nesting there is.
    let groups = |count: usize| {
        let nested = (1..count).map(|i| format!("group g{i} all g{}\n", i - 1));
        format!(
            "{}group g0 all W1\n{}quorum g{}\n",
            self::witnesses(1),
            nested.collect::<String>(),
            count - 1
        )
    };
    let policy = Policy::parse(groups(MAX_ITEMS).as_bytes()).unwrap();
    assert!(policy.quorum_met(&[0]) && !policy.quorum_met(&[]));
    assert_eq!(code(groups(MAX_ITEMS + 1)), "policy-too-many-items");
}

#[test]
fn says_which_line_is_wrong() {
    let file = format!("# one\n\n{}group G 5 W1 W2\nquorum G\n", witnesses(2));
    let error = Policy::parse(file.as_bytes()).unwrap_err();
    assert_eq!(error.line, 5);
    assert_eq!(format!("{error}"), "policy line 5: threshold is not all, any or a number from 1 to 2");
}

/// Where parsers in use read a policy in several ways; all of it is refused, or means what the specification says.
#[test]
fn what_other_parsers_read_otherwise_has_one_meaning() {
    let (one, three, log) = (witnesses(1), witnesses(3), log("log.example", 101));
    let renamed = cosigner("another.example", 1).verifier().encode();
    for (what, file, expected) in [
        (
            "a threshold of 0, taken as always met",
            format!("{one}group G 0 W1\nquorum G\n"),
            "policy-threshold",
        ),
        ("all of nobody, taken as always met", "group G all\nquorum G\n".into(), "policy-empty-group"),
        (
            "one key under two names, counted twice",
            format!("{one}witness W2 {renamed}\ngroup G 2 W1 W2\nquorum G\n"),
            "policy-duplicate-witness",
        ),
        ("two quorums, the last one taken", format!("{one}quorum none\nquorum W1\n"), "policy-second-quorum"),
        ("a member twice", format!("{three}group G 2 W1 W1\nquorum G\n"), "policy-repeated-member"),
        (
            "a member of two groups",
            format!("{three}group G 1 W1 W2\ngroup H 1 W1 W3\ngroup I 2 G H\nquorum I\n"),
            "policy-repeated-member",
        ),
        ("a comment after text", format!("{one}quorum W1 # mine\n"), "policy-item-count"),
        ("a comment joined to text", format!("{one}quorum W1#mine\n"), "policy-undefined-name"),
        ("a witness without an address, refused by some", format!("{one}quorum W1\n"), "ok"),
        ("nothing", String::new(), "policy-no-quorum"),
        ("a form feed", format!("{one}\u{c}quorum W1\n"), "control-character"),
        ("a delete character", format!("{one}# \u{7f}\nquorum W1\n"), "control-character"),
        ("one log twice", format!("log {log}\nlog {log}\nquorum none\n"), "policy-duplicate-log"),
        (
            "one witness twice",
            format!("{one}{}quorum W1\n", one.replace("W1", "W2")),
            "policy-duplicate-witness",
        ),
        ("one name twice", format!("{one}witness W1 {}\nquorum W1\n", witness(9)), "policy-duplicate-name"),
        ("none as a name", format!("witness none {}\nquorum none\n", witness(9)), "policy-duplicate-name"),
        ("a name nobody has", format!("{one}quorum W2\n"), "policy-undefined-name"),
        ("no quorum", one.clone(), "policy-no-quorum"),
        ("none as a member", format!("{one}group G 1 W1 none\nquorum G\n"), "policy-none-as-member"),
    ] {
        assert_eq!(code(&file), expected, "{what}");
    }
}
