//! Rows N1 to N20 of `docs/attacks.md` through the program: notes, keys and encodings of which one thing is wrong.
//!
//! Every note here is signed by the log and by all witnesses over just the bytes that it has, so nothing but the row
//! can be the reason.

use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::{empty_root, sha256};
use indelible_proto::note::{KeyKind, KeyName, MAX_NOTE_BYTES, NoteSignature, VerifierKey};
use indelible_proto::sign::SecretKey;
use indelible_proto::wire::encode_base64;
use indelible_tests::Finished;
use indelible_tests::forgery::{cosignature, stranger};

use crate::attack_bench::{Bench, note, now};
use crate::exit::{REFUSED, USAGE, VERIFIED};

#[test]
fn what_is_no_note_is_refused() {
    let bench = Bench::new();
    let good = String::from_utf8(bench.signed(&bench.text)).unwrap();
    bench.verifies("N1", "unchanged", &bench.with_note(good.as_bytes()));
    let refused = |row: &str, what: &str, note: &[u8], reason: &str| {
        bench.check(row, what, &bench.with_note(note), REFUSED, reason);
    };
    let changed = |row: &str, what: &str, from: &str, to: &str, reason: &str| {
        let note = good.replacen(from, to, 1);
        assert_ne!(note, good, "{what}");
        refused(row, what, note.as_bytes(), reason);
    };
    changed("N1", "no empty line", "\n\n", "\n", "note-no-empty-line");
    refused("N1", "no signatures", format!("{}\n", bench.text).as_bytes(), "note-no-signature");
    refused("N1", "no line end at the end", &good.as_bytes()[..good.len() - 1], "line-unterminated");
    refused("N1", "CR LF", good.replace('\n', "\r\n").as_bytes(), "note-no-empty-line");
    for (what, bytes, reason) in [
        ("NUL", &b"\0"[..], "control-character"),
        ("tab", b"\t", "control-character"),
        ("ESC", b"\x1b", "control-character"),
        ("no UTF-8", b"\xc3\x28", "not-utf8"),
        ("half of a surrogate pair", b"\xed\xa0\x80", "not-utf8"),
    ] {
        let signed = good.as_bytes();
        refused("N2", what, &[&signed[..4], bytes, &signed[4..]].concat(), reason);
    }
    for (what, dash, reason) in [
        ("two hyphens", "-- ", "signature-line"),
        ("a hyphen", "- ", "signature-line"),
        ("an en dash", "\u{2013} ", "signature-line"),
        ("two spaces", "\u{2014}  ", "signature-name"),
        ("a no-break space", "\u{2014}\u{a0}", "signature-line"),
    ] {
        changed("N3", what, "\u{2014} ", dash, reason);
    }
    changed("N3", "a space after the line", "=\n\u{2014}", "= \n\u{2014}", "signature-base64");
    bench.finish();
}

#[test]
fn the_last_empty_line_parts_text_and_signatures() {
    let bench = Bench::new();
    // Signed is all that comes before it: an empty line in a checkpoint is signed, and no line of a checkpoint.
    let longer = format!("{}\nmore\n", bench.text);
    bench.check("N4", "an empty line that is signed", &bench.with_text(&longer), REFUSED, "extension-empty");
    // A reader of the first empty line would take the signatures for those of the text before it.
    let around = note(&longer, &bench.lines(&bench.text));
    bench.check("N4", "text after what is signed", &bench.with_note(&around), REFUSED, "signature-invalid");
    bench.finish();
}

#[test]
fn lines_are_counted_once_and_up_to_a_limit() {
    let bench = Bench::new();
    let (text, then) = (bench.text.as_str(), now());
    let log = bench.log_line(text);
    let witness = |n: usize| bench.witness_line(n, text, then);
    let strangers = |count: usize| {
        let stranger = stranger("stranger.example/s", 9).cosign(text, UNIX_TIME).unwrap();
        std::iter::repeat_n(stranger, count).collect::<Vec<NoteSignature>>()
    };
    let all = bench.lines(text);
    bench.verifies("N5", "16 signatures", &bench.with_lines(&[strangers(12), all.clone()].concat()));
    let room = MAX_NOTE_BYTES / strangers(1)[0].encode_line().len();
    for (what, count, reason) in
        [("one too many", room, "note-too-long"), ("10,000 signatures", 10_000, "file-too-large")]
    {
        let lines = [all.clone(), strangers(count)].concat();
        bench.check("N5", what, &bench.with_lines(&lines), REFUSED, reason);
    }
    let again = bench.witness_line(0, text, then + 1);
    for (what, lines) in [
        ("one witness alone", vec![log.clone(), witness(0)]),
        ("one line twice", vec![log.clone(), witness(0), witness(0)]),
        ("two times of one witness", vec![log.clone(), witness(0), again.clone()]),
    ] {
        bench.check("N6", what, &bench.with_lines(&lines), REFUSED, "quorum-not-met");
    }
    bench.verifies("N6", "and one more", &bench.with_lines(&[log.clone(), again, witness(1), witness(0)]));
    bench.verifies("N8", "100 strangers first", &bench.with_lines(&[strangers(100), all.clone()].concat()));

    let w2 = bench.room.vkey("witness-2.vkey");
    let forged = cosignature(&w2, text);
    let quorum = [log.clone(), witness(0), witness(1)];
    bench.verifies("N9", "the quorum", &bench.with_lines(&quorum));
    for (row, what, lines) in [
        ("N9", "a forged line beside the quorum", [&quorum[..], std::slice::from_ref(&forged)].concat()),
        // Whoever finds a key of the same id can sign only with that key.
        (
            "N10",
            "a line of another key of that name and id",
            [std::slice::from_ref(&forged), &all[..]].concat(),
        ),
    ] {
        bench.check(row, what, &bench.with_lines(&lines), REFUSED, "signature-invalid");
    }
    let renamed =
        NoteSignature::new(KeyName::parse("other.example/w").unwrap(), w2.id(), vec![1; 72]).unwrap();
    let other_id = NoteSignature::new(w2.name().clone(), log.id(), vec![1; 72]).unwrap();
    bench.verifies(
        "N11",
        "id and name apart",
        &bench.with_lines(&[&[renamed, other_id], &quorum[..]].concat()),
    );
    bench.finish();
}

const UNIX_TIME: indelible_proto::time::UnixSeconds =
    match indelible_proto::time::UnixSeconds::new(1_800_000_000) {
        Ok(time) => time,
        Err(_) => panic!("a time"),
    };

#[test]
fn base64_and_numbers_of_what_is_signed_have_one_spelling() {
    let bench = Bench::new();
    let mut lines = bench.text.lines();
    let (origin, size, root) = (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap());
    let refused = |row: &str, what: &str, text: &str, reason: &str| {
        bench.check(row, what, &bench.with_text(text), REFUSED, reason);
    };
    let of_root = |root: &str| format!("{origin}\n{size}\n{root}\n");
    let bare = root.trim_end_matches('=');
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = ALPHABET.iter().position(|letter| bare.ends_with(*letter as char)).unwrap();
    let stray = format!("{}{}=", &bare[..42], ALPHABET[last + 1] as char);
    let signed = [
        ("no padding", bare.to_owned()),
        ("padding twice", format!("{root}=")),
        ("bits that say nothing", stray),
        ("letters of URLs", format!("-_{}", &root[2..])),
        ("a space within", format!("{} {}", &root[..9], &root[9..])),
    ];
    for (what, root) in signed {
        refused("N12", what, &of_root(&root), "base64-not-canonical");
    }
    refused("N12", "a line end within", &of_root(&format!("{}\n{}", &root[..8], &root[8..])), "hash-length");
    for (size, reason) in [
        ("+5", "decimal-not-canonical"),
        ("05", "decimal-not-canonical"),
        ("5 ", "decimal-not-canonical"),
        ("-1", "decimal-not-canonical"),
        ("0x5", "decimal-not-canonical"),
        ("5e1", "decimal-not-canonical"),
        ("", "decimal-not-canonical"),
        ("9223372036854775808", "decimal-not-canonical"),
        ("18446744073709551615", "decimal-not-canonical"),
        ("18446744073709551616", "decimal-not-canonical"),
        ("1111111111111111111111111111111111111111", "decimal-not-canonical"),
    ] {
        refused("N18", size, &format!("{origin}\n{size}\n{root}\n"), reason);
    }
    for length in [31, 33] {
        let root = encode_base64(vec![1; length]);
        refused("N19", &format!("a root of {length} bytes"), &of_root(&root), "hash-length");
    }
    refused("N19", "an empty tree of another root", &Bench::checkpoint(0, &sha256(b"x")), "empty-tree-root");
    let empty = Bench::checkpoint(0, &empty_root());
    refused("N19", "an empty tree has no entry", &empty, "inclusion-index-outside-tree");
    bench.finish();
}

#[test]
fn an_origin_is_its_bytes() {
    let bench = Bench::new();
    let rest = bench.text.split_once('\n').unwrap().1;
    for (what, origin) in [
        ("a Kelvin sign", "log.example/updates\u{212a}"),
        ("a letter of another alphabet", "log.ex\u{430}mple/updates"),
        ("a letter and its accent apart", "log.example/update\u{301}s"),
        ("a letter with its accent", "log.example/updat\u{e9}s"),
        ("an invisible letter", "log.example/\u{200b}updates"),
        ("the other way round", "log.example/\u{202e}updates"),
        ("other case", "log.example/Updates"),
    ] {
        bench.room.write("tried.tlog-proof", bench.with_text(&format!("{origin}\n{rest}")));
        let args = ["agent-1", "--channel", "channel", "--proof", "tried.tlog-proof", "--no-state"];
        let verdict = bench.room.verify(&[&args[..], &["--json"]].concat());
        bench.compare("N16", what, &verdict, REFUSED, "origin-mismatch");
        for shown in [verdict, bench.room.verify(&[&args[..], &["--explain"]].concat())] {
            let raw = |text: &str| {
                text.contains(['\u{212a}', '\u{430}', '\u{301}', '\u{e9}', '\u{200b}', '\u{202e}'])
            };
            assert!(!raw(&shown.stdout) && !raw(&shown.stderr), "{what} is printed as it is: {shown}");
        }
    }
    let longest = "o".repeat(Origin::MAX_LEN);
    for (what, origin, reason) in [
        ("none", "", "origin-empty"),
        ("255 bytes, of no log of the policy", &longest, "origin-mismatch"),
        ("256 bytes", &format!("{longest}o"), "origin-too-long"),
    ] {
        bench.check("N17", what, &bench.with_text(&format!("{origin}\n{rest}")), REFUSED, reason);
    }
    bench.finish();
}

#[test]
fn extension_lines_are_signed_and_say_nothing() {
    let bench = Bench::new();
    for count in [1, 3, 1000] {
        let text = format!("{}{}", bench.text, "an extension\n".repeat(count));
        bench.verifies("N20", &format!("{count} lines"), &bench.with_text(&text));
    }
    let like_a_signature = format!("{}{}", bench.text, bench.log_line(&bench.text).encode_line());
    bench.verifies("N20", "a line like a signature", &bench.with_text(&like_a_signature));
    let added = note(&format!("{}an extension\n", bench.text), &bench.lines(&bench.text));
    bench.check("N20", "a line nobody signed", &bench.with_note(&added), REFUSED, "signature-invalid");
    bench.finish();
}

#[test]
fn policies_with_a_hole_are_not_read() {
    let bench = Bench::new();
    let policy = bench.policy();
    bench.check_policy("N7", "unchanged", &policy, VERIFIED, "verified");
    let w0 = bench.room.vkey("witness-0.vkey");
    let group = policy.lines().find(|line| line.starts_with("group ")).unwrap();
    let name = group.split(' ').nth(1).unwrap();
    let threshold = |k: &str| policy.replace(" 2 witness.example/w0", &format!(" {k} witness.example/w0"));
    for (what, text, reason) in [
        (
            "one key under two names",
            policy.replace(group, &format!("witness twice {w0}\n{group}")),
            "policy-duplicate-witness",
        ),
        ("a threshold of 0", threshold("0"), "policy-threshold"),
        ("a threshold above the members", threshold("4"), "policy-threshold"),
        ("a group without members", policy.replace(group, &format!("group {name} 1")), "policy-empty-group"),
        (
            "a group of itself",
            policy.replace(group, &format!("group {name} 1 {name}")),
            "policy-undefined-name",
        ),
        (
            "a group of a later one",
            policy.replace(group, &format!("group a 1 {name}\n{group}")),
            "policy-undefined-name",
        ),
        ("two quorums", format!("{policy}quorum {name}\n"), "policy-second-quorum"),
        ("no quorum", policy.replace(&format!("quorum {name}\n"), ""), "policy-no-quorum"),
    ] {
        assert_ne!(text, policy, "{what}");
        bench.check_policy("N7", what, &text, USAGE, reason);
    }
    bench.finish();
}

/// A key as it is written, whether or not it can be one: its id is right.
fn vkey(name: &str, material: &[u8]) -> String {
    let id = &sha256(&[name.as_bytes(), b"\n", material].concat()).to_hex()[..8];
    format!("{name}+{id}+{}", encode_base64(material))
}

#[test]
fn keys_that_are_none_are_not_loaded() {
    let bench = Bench::new();
    let policy = bench.policy();
    let witness = bench.room.vkey("witness-0.vkey");
    let log = bench.room.vkey("log.vkey");
    let with = |key: &str| policy.replacen(&witness.encode(), key, 1);
    let refused = |row: &str, what: &str, text: String, reason: &str| {
        assert_ne!(text, policy, "{what}");
        bench.check_policy(row, what, &text, USAGE, reason);
    };
    let name = "witness.example/w0";
    let good = vkey(name, &[&[4][..], witness.public_key_bytes()].concat());
    bench.check_policy("N13", "unchanged", &with(&good), VERIFIED, "verified");
    // The neutral element: any signature of zeros is one of it, of any text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    refused("N13", "a key of low order", with(&vkey(name, &[&[4], &neutral[..]].concat())), "key-weak");
    refused("N13", "no point", with(&vkey(name, &[&[4], &[2; 32][..]].concat())), "key-not-a-point");
    let mut twice = [0xff; 32];
    (twice[0], twice[31]) = (0xee, 0x7f);
    refused(
        "N13",
        "a second spelling of a point",
        with(&vkey(name, &[&[4], &twice[..]].concat())),
        "key-not-a-point",
    );
    let of_kind = |kind: u8| vkey(name, &[&[kind][..], witness.public_key_bytes()].concat());
    refused("N14", "a log's key as a witness", with(&of_kind(1)), "key-wrong-kind");
    refused("N14", "an Ed25519 key as one of ML-DSA-44", with(&of_kind(6)), "key-length");
    refused("N14", "a key of another algorithm", with(&of_kind(2)), "key-type-unknown");
    let as_log = vkey("log.example/updates", &[&[4][..], log.public_key_bytes()].concat());
    refused(
        "N14",
        "a witness's key as the log",
        policy.replacen(&log.encode(), &as_log, 1),
        "key-wrong-kind",
    );
    let id = witness.id().to_string();
    let text = witness.encode();
    let upper = text.replacen(&id, &id.to_uppercase(), 1);
    let other = if id.starts_with('0') { "1" } else { "0" };
    for (what, key, reason) in [
        ("another id", text.replacen(&id, &format!("{other}{}", &id[1..]), 1), "key-id-mismatch"),
        ("7 digits", text.replacen(&id, &id[..7], 1), "key-id-form"),
        ("'+' in the name", text.replacen("example", "exa+mple", 1), "key-id-form"),
        ("no name", text.replacen(name, "", 1), "key-name-empty"),
        ("a no-break space", text.replacen("example", "exa\u{a0}mple", 1), "key-name-character"),
        ("an em space", text.replacen("example", "exa\u{2003}mple", 1), "key-name-character"),
        ("an ideographic space", text.replacen("example", "exa\u{3000}mple", 1), "key-name-character"),
        ("no padding", text.trim_end_matches('=').to_owned(), "key-base64"),
    ] {
        if key != text {
            refused("N15", what, with(&key), reason);
        }
    }
    // An id of digits only has no upper case.
    if upper != text {
        refused("N15", "upper-case digits", with(&upper), "key-id-form");
    }
    bench.finish();
}

#[test]
fn a_key_of_another_kind_is_no_vendors() {
    let bench = Bench::new();
    let verify = |row: &str, what: &str, key: &VerifierKey, exit: i32, reason: &str| {
        let mut verify = bench.room.client();
        verify.args(["verify", "agent-1", "--policy", "policy.txt", "--no-state", "--json", "--key"]);
        bench.compare(row, what, &Finished::run(verify.arg(key.encode())), exit, reason);
    };
    verify("N14", "the vendor's key", &bench.room.vkey("vendor.vkey"), VERIFIED, "verified");
    verify("N14", "a log's key", &bench.room.vkey("log.vkey"), USAGE, "key-wrong-kind");
    verify("N14", "a witness's key", &bench.room.vkey("witness-0.vkey"), USAGE, "key-wrong-kind");
    let name = bench.room.vkey("vendor.vkey").name().clone();
    let other = SecretKey::from_seed(KeyKind::Record, name, [9; 32]);
    verify("N14", "another key of that name", other.verifier(), REFUSED, "record-not-signed");
    bench.finish();
}
