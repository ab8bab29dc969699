//! The decision, row by row: what the specification demands, and every edge case found in the tests of
//! other witnesses.

use indelible_proto::hash::{empty_root, sha256};
use indelible_proto::note::{KeyKind, SignedNote};

use super::*;
use crate::submission::Request;
use crate::testing::{
    CREATED_S, LEAD_S, NOW_S, ORIGIN, TestLog, WITNESS, body, no_proof, proof_of, secret, size, time,
    witness_signer,
};

/// Everything a request goes through before state is written.
fn judge_at(body: &[u8], holding: &Holding, now: u64) -> Result<u64, (u16, &'static str)> {
    let window = Window {
        not_before: match holding {
            Holding::Nothing => time(CREATED_S),
            Holding::Cosigned(_, last) => *last,
        },
        not_after: time(NOW_S + LEAD_S),
    };
    let log = log().known();
    let outcome = Request::parse(body)
        .and_then(
            |request| {
                if request.origin() == log.origin() { Ok(request) } else { Err(Refusal::UnknownOrigin) }
            },
        )
        .and_then(|request| request.authenticate(&log, witness_signer().verifier()))
        .and_then(|submission| {
            decide(&submission, holding, &window, time(now)).map(|checkpoint| checkpoint.head().size.get())
        });
    outcome.map_err(|refusal| (refusal.status().as_u16(), refusal.code()))
}

fn judge(body: &[u8], holding: &Holding) -> Result<u64, (u16, &'static str)> {
    judge_at(body, holding, NOW_S)
}

fn log() -> TestLog {
    TestLog::new(ORIGIN, 40)
}

/// After the tree of `at` entries was cosigned.
fn held(at: u64) -> Holding {
    Holding::Cosigned(log().head(at), time(NOW_S))
}

const NOTHING: Holding = Holding::Nothing;

#[test]
fn cosigns_what_is_consistent() {
    for (old, new) in [(0, 0), (0, 1), (0, 40), (1, 3), (3, 5), (4, 8), (5, 5), (7, 40), (39, 40)] {
        let holding = if old == 0 { NOTHING } else { held(old) };
        assert_eq!(judge(&log().request(old, new), &holding), Ok(new), "{old} -> {new}");
    }
    // An empty tree that was cosigned is like none.
    for new in [0, 1, 6] {
        assert_eq!(judge(&log().request(0, new), &held(0)), Ok(new), "0 -> {new}");
    }
}

#[test]
fn refuses_what_is_malformed_with_400() {
    let good = String::from_utf8(log().request(3, 5)).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from:?}");
        good.replacen(from, to, 1).into_bytes()
    };
    let rows: [(&str, Vec<u8>); 16] = [
        ("empty body", Vec::new()),
        ("no old line", replaced("old 3\n", "")),
        ("no size", replaced("old 3\n", "old\n")),
        ("leading zero", replaced("old 3\n", "old 03\n")),
        ("plus sign", replaced("old 3\n", "old +3\n")),
        ("minus zero", replaced("old 3\n", "old -0\n")),
        ("text after the size", replaced("old 3\n", "old 3 x\n")),
        ("two spaces", replaced("old 3\n", "old  3\n")),
        ("carriage return", replaced("old 3\n", "old 3\r\n")),
        ("size of 2^64-1", replaced("old 3\n", "old 18446744073709551615\n")),
        ("no empty line after the proof", replaced(&format!("\n\n{ORIGIN}"), &format!("\n{ORIGIN}"))),
        ("proof line that is not base64", replaced("old 3\n", "old 3\n!!!!\n")),
        ("proof line of 31 bytes", replaced("old 3\n", &format!("old 3\n{}\n", "A".repeat(42) + "=="))),
        ("no signature lines", good.split("\u{2014}").next().unwrap().as_bytes().to_vec()),
        ("last newline missing", good.trim_end().as_bytes().to_vec()),
        ("a NUL in the origin", replaced(ORIGIN, "log\0")),
    ];
    for (row, body) in rows {
        let refused = judge(&body, &held(3));
        assert!(matches!(refused, Err((400, _))), "{row}: {refused:?}");
    }
}

#[test]
fn refuses_every_truncation_and_what_follows_the_end() {
    let good = log().request(3, 5);
    for end in 0..good.len() {
        assert!(judge(&good[..end], &held(3)).is_err(), "cut at {end}");
    }
    for tail in ["x", "\n", "\0"] {
        let body = [&good[..], tail.as_bytes()].concat();
        assert!(matches!(judge(&body, &held(3)), Err((400, _))), "{tail:?}");
    }
}

#[test]
fn refuses_more_than_63_proof_lines_with_400() {
    let body = |lines: usize| {
        let hash = format!("{}\n", empty_root().to_base64());
        let note = String::from_utf8(log().note(5).encode()).unwrap();
        format!("old 3\n{}\n{note}", hash.repeat(lines)).into_bytes()
    };
    assert_eq!(judge(&body(64), &held(3)), Err((400, "consistency-proof-too-long")));
    assert_eq!(judge(&body(63), &held(3)), Err((422, "consistency-proof-length")));
}

#[test]
fn refuses_notes_that_are_no_checkpoints_with_400() {
    let root = empty_root().to_base64();
    for (text, code) in [
        (format!("{ORIGIN}\n05\n{root}\n"), "decimal-not-canonical"),
        (format!("{ORIGIN}\n+5\n{root}\n"), "decimal-not-canonical"),
        (format!("{ORIGIN}\n9223372036854775808\n{root}\n"), "decimal-not-canonical"),
        (format!("{ORIGIN}\n5\nAAAA\n"), "hash-length"),
        (format!("{ORIGIN}\n5\n{}\n", root.replace('=', "")), "base64-not-canonical"),
        (format!("{ORIGIN}\n5\n"), "line-unterminated"),
        (format!("{ORIGIN}\n5\n{root}\n\n"), "extension-empty"),
        (format!("{}\n5\n{root}\n", "x".repeat(256)), "origin-too-long"),
    ] {
        let body = body(0, &no_proof(), log().note_of(&text));
        assert_eq!(judge(&body, &NOTHING), Err((400, code)), "{text:?}");
    }
}

#[test]
fn refuses_an_unknown_origin_with_404_before_looking_at_signatures() {
    let unknown = TestLog::new("other.example/log", 5);
    assert_eq!(judge(&unknown.request(0, 5), &NOTHING), Err((404, "unknown-origin")));
    // Signed by a known log's key, of an origin that is not its own.
    let text = unknown.text(5);
    assert_eq!(judge(&body(0, &no_proof(), log().note_of(&text)), &NOTHING), Err((404, "unknown-origin")));
    // Even with all else wrong but the form.
    assert_eq!(judge(&body(9, &proof_of(2), unknown.note(5)), &held(7)), Err((404, "unknown-origin")));
    // An invisible character more is another origin.
    let lookalike = TestLog::new(&format!("{ORIGIN}\u{200b}"), 5);
    assert_eq!(judge(&lookalike.request(0, 5), &NOTHING), Err((404, "unknown-origin")));
}

#[test]
fn refuses_what_the_log_did_not_sign_with_403() {
    let text = log().text(5);
    let stranger = TestLog::with_key(ORIGIN, ORIGIN, 77, 40);
    assert_eq!(judge(&body(0, &no_proof(), stranger.note_of(&text)), &NOTHING), Err((403, "unsigned")));
    // The log's signature over another text: name and id match, the bytes do not.
    let moved = SignedNote::new(text.clone(), vec![log().sign(&log().text(6))]).unwrap();
    assert_eq!(judge(&body(0, &no_proof(), moved.clone()), &NOTHING), Err((403, "signature-invalid")));
    // A right line does not excuse a wrong one.
    let mut both = log().note(5);
    both.add_signature(moved.signatures()[0].clone()).unwrap();
    assert_eq!(judge(&body(0, &no_proof(), both), &NOTHING), Err((403, "signature-invalid")));
    // Signed as a cosigner under the log's very name and seed: another key.
    let cosigner = indelible_proto::sign::CosignSigner::new(secret(KeyKind::Cosigner, ORIGIN, 1)).unwrap();
    let cosigned = SignedNote::new(text.clone(), vec![cosigner.cosign(&text, time(NOW_S)).unwrap()]).unwrap();
    assert_eq!(judge(&body(0, &no_proof(), cosigned), &NOTHING), Err((403, "unsigned")));
    // 403 comes before everything that the state decides.
    assert_eq!(judge(&body(9, &proof_of(2), stranger.note_of(&text)), &held(7)), Err((403, "unsigned")));
}

#[test]
fn ignores_lines_of_unknown_keys() {
    let stranger = TestLog::with_key("stranger.example", "stranger.example", 9, 0);
    let mut note = log().note(5);
    note.add_signature(stranger.sign(note.text())).unwrap();
    note.add_signature(stranger.sign("something else\n")).unwrap();
    assert_eq!(judge(&body(3, &log().proof(3, 5), note), &held(3)), Ok(5));
}

#[test]
fn refuses_extension_lines_with_400_once_the_log_has_signed_them() {
    let text = format!("{}extension\n", log().text(5));
    let note = log().note_of(&text);
    assert_eq!(judge(&body(0, &no_proof(), note), &NOTHING), Err((400, "extensions")));
    let stranger = TestLog::with_key(ORIGIN, ORIGIN, 77, 40);
    assert_eq!(judge(&body(0, &no_proof(), stranger.note_of(&text)), &NOTHING), Err((403, "unsigned")));
}

#[test]
fn refuses_an_old_size_above_the_checkpoints_with_400_even_at_first_contact() {
    for holding in [NOTHING, held(5), held(6)] {
        let body = body(6, &no_proof(), log().note(5));
        assert_eq!(judge(&body, &holding), Err((400, "old-above-size")), "{holding:?}");
    }
}

#[test]
fn refuses_an_old_size_that_is_not_the_held_one_with_409() {
    for (old, new, holding) in
        [(1, 5, held(3)), (0, 5, held(5)), (0, 0, held(5)), (3, 5, NOTHING), (3, 5, held(5)), (4, 4, held(5))]
    {
        assert_eq!(judge(&log().request(old, new), &holding), Err((409, "other-size")), "{old} -> {new}");
    }
    // A smaller checkpoint, however it is asked for.
    assert_eq!(judge(&log().request(3, 3), &held(5)), Err((409, "other-size")));
    // 409 comes before 422: a bad proof from the wrong size, an odd empty root.
    assert_eq!(judge(&body(1, &proof_of(9), log().note(5)), &held(3)), Err((409, "other-size")));
    let odd = format!("{ORIGIN}\n0\n{}\n", sha256(b"x").to_base64());
    assert_eq!(judge(&body(0, &no_proof(), log().note_of(&odd)), &held(3)), Err((409, "other-size")));
}

#[test]
fn a_conflict_says_whether_it_shows_a_fork() {
    let fork = log().forked(2, 1);
    let refusal = |body: &[u8]| {
        let submission = Request::parse(body).unwrap();
        let submission = submission.authenticate(&log().known(), witness_signer().verifier()).unwrap();
        let window = Window { not_before: time(0), not_after: time(NOW_S) };
        decide(&submission, &held(5), &window, time(NOW_S)).unwrap_err()
    };
    let shown = Refusal::OtherSize { held: size(5), fork: Fork::Yes };
    assert_eq!(refusal(&fork.request(0, 5)), shown);
    assert_eq!(refusal(&fork.request(3, 5)), shown);
    let not_shown = Refusal::OtherSize { held: size(5), fork: Fork::NotShown };
    assert_eq!(refusal(&log().request(0, 5)), not_shown);
    assert_eq!(refusal(&fork.request(0, 6)), not_shown);
    assert_eq!(refusal(&fork.request(0, 4)), not_shown);
    assert_eq!(shown.suspicion(), Some(crate::refusal::Suspicion::Fork));
    assert_eq!(not_shown.suspicion(), None);
}

#[test]
fn refuses_a_root_of_size_zero_that_is_not_the_empty_trees_with_422() {
    for root in [sha256(b"x"), indelible_proto::hash::Hash::from_bytes([0; 32])] {
        let text = format!("{ORIGIN}\n0\n{}\n", root.to_base64());
        for holding in [NOTHING, held(0)] {
            let odd = body(0, &no_proof(), log().note_of(&text));
            assert_eq!(judge(&odd, &holding), Err((422, "empty-tree-root")));
        }
        // The checks before it: origin, signature, old size.
        let old = body(1, &no_proof(), log().note_of(&text));
        assert_eq!(judge(&old, &NOTHING), Err((400, "old-above-size")));
        let stranger = TestLog::with_key(ORIGIN, ORIGIN, 77, 0);
        assert_eq!(judge(&body(0, &no_proof(), stranger.note_of(&text)), &NOTHING), Err((403, "unsigned")));
        let elsewhere = text.replace(ORIGIN, "other.example/log");
        let elsewhere = body(0, &no_proof(), log().note_of(&elsewhere));
        assert_eq!(judge(&elsewhere, &NOTHING), Err((404, "unknown-origin")));
    }
}

#[test]
fn refuses_a_proof_from_size_zero_with_422() {
    for (new, holding) in [(5, NOTHING), (5, held(0)), (0, NOTHING), (0, held(0))] {
        let body = body(0, &proof_of(1), log().note(new));
        assert_eq!(judge(&body, &holding), Err((422, "consistency-proof-length")), "0 -> {new}");
    }
}

#[test]
fn refuses_a_proof_that_does_not_verify_with_422() {
    let note = |at| log().note(at);
    let rows = [
        ("missing", body(3, &no_proof(), note(5)), held(3)),
        ("garbage", body(3, &proof_of(log().proof(3, 5).hashes().len()), note(5)), held(3)),
        ("of other sizes", body(3, &log().proof(2, 5), note(5)), held(3)),
        ("to another size", body(3, &log().proof(3, 6), note(5)), held(3)),
        ("of a fork", body(3, &log().forked(1, 1).proof(3, 5), note(5)), held(3)),
        ("for an equal size", body(5, &proof_of(1), note(5)), held(5)),
        ("right, of a forked tree", log().forked(1, 1).request(3, 5), held(3)),
        ("missing, old size a power of two", body(4, &no_proof(), note(8)), held(4)),
    ];
    for (row, body, holding) in rows {
        let refused = judge(&body, &holding);
        assert!(matches!(refused, Err((422, _))), "{row}: {refused:?}");
    }
    let mut hashes = log().proof(7, 40).hashes().to_vec();
    for change in 0..hashes.len() {
        let right = hashes[change];
        hashes[change] = sha256(right.as_bytes());
        let proof = indelible_proto::tree::ConsistencyProof::new(hashes.clone()).unwrap();
        assert!(matches!(judge(&body(7, &proof, note(40)), &held(7)), Err((422, _))), "hash {change}");
        hashes[change] = right;
    }
}

#[test]
fn refuses_the_same_size_with_another_root_with_422() {
    let fork = log().forked(2, 1);
    assert_eq!(judge(&fork.request(5, 5), &held(5)), Err((422, "other-root")));
    // With a proof too it is the fork that counts.
    assert_eq!(judge(&body(5, &proof_of(3), fork.note(5)), &held(5)), Err((422, "other-root")));
}

#[test]
fn does_not_sign_while_the_clock_is_behind_what_was_signed() {
    assert_eq!(judge_at(&log().request(3, 5), &held(3), NOW_S - 1), Err((503, "clock-behind")));
    assert_eq!(judge_at(&log().request(3, 5), &held(3), NOW_S), Ok(5));
    assert_eq!(judge_at(&log().request(0, 5), &NOTHING, CREATED_S - 1), Err((503, "clock-behind")));
    assert_eq!(judge_at(&log().request(0, 5), &NOTHING, 0), Err((503, "clock-behind")));
}

#[test]
fn does_not_sign_an_implausible_time() {
    assert_eq!(judge_at(&log().request(3, 5), &held(3), NOW_S + LEAD_S), Ok(5));
    assert_eq!(judge_at(&log().request(3, 5), &held(3), NOW_S + LEAD_S + 1), Err((503, "clock-ahead")));
    assert_eq!(judge_at(&log().request(0, 5), &NOTHING, u64::MAX >> 1), Err((503, "clock-ahead")));
    // What is wrong with the checkpoint is said first.
    assert_eq!(judge_at(&log().request(1, 5), &held(3), 0), Err((409, "other-size")));
}

#[test]
fn refuses_when_a_cosignature_of_ours_is_newer_than_the_state() {
    let with_ours = |at: u64, seconds: u64| {
        let mut note = log().note(at);
        let line = witness_signer().cosign(note.text(), time(seconds)).unwrap();
        note.add_signature(line).unwrap();
        note
    };
    // A larger tree, a later time, or a log the state knows nothing of: the state is an old copy.
    for (row, body, holding) in [
        ("larger", body(5, &log().proof(5, 8), with_ours(8, NOW_S - 10)), held(5)),
        ("later", body(5, &no_proof(), with_ours(5, NOW_S + 1)), held(5)),
        ("smaller but later", body(5, &no_proof(), with_ours(5, NOW_S + 1)), held(7)),
        ("never cosigned", body(0, &no_proof(), with_ours(8, NOW_S - 10)), NOTHING),
    ] {
        assert_eq!(judge(&body, &holding), Err((503, "state-behind")), "{row}");
    }
    // The same size with another root.
    let fork = log().forked(2, 1);
    let mut note = fork.note(5);
    note.add_signature(witness_signer().cosign(note.text(), time(NOW_S)).unwrap()).unwrap();
    assert_eq!(judge(&body(5, &no_proof(), note), &held(5)), Err((503, "state-behind")));
    // What the state accounts for is no cause.
    assert_eq!(judge(&body(5, &no_proof(), with_ours(5, NOW_S)), &held(5)), Ok(5));
    assert_eq!(
        judge(&body(3, &log().proof(3, 5), with_ours(5, NOW_S - 9)), &held(8)),
        Err((409, "other-size"))
    );
}

#[test]
fn a_line_in_our_name_that_is_not_ours_is_ignored() {
    let mut note = log().note(5);
    // Our line over another checkpoint, and one by a key of our name.
    note.add_signature(witness_signer().cosign(&log().text(6), time(NOW_S + 5)).unwrap()).unwrap();
    let namesake = indelible_proto::sign::CosignSigner::new(secret(KeyKind::Cosigner, WITNESS, 3)).unwrap();
    note.add_signature(namesake.cosign(note.text(), time(NOW_S + 5)).unwrap()).unwrap();
    assert_eq!(judge(&body(3, &log().proof(3, 5), note), &held(3)), Ok(5));
}
