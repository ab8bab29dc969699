use alloc::format;
use alloc::vec;

use super::*;
use crate::note::{KeyId, NoteSignature};
use crate::policy::Quorum;
use crate::sign::testing::{at, checkpoint_text, cosigner, log_note, log_signer, ml_dsa_cosigner, note};
use crate::sign::{CosignSigner, LogSigner, Signer as _};

const ORIGIN: &str = "log.example";

fn log() -> LogSigner {
    log_signer(ORIGIN, 101)
}

fn witness(number: u8) -> CosignSigner {
    cosigner(&format!("w{number}.example"), number)
}

/// A policy of our log and witnesses `W1` to `W6`.
fn policy(rules: &str) -> Policy {
    let witnesses = (1..=6).map(|number| format!("witness W{number} {}\n", witness(number).verifier()));
    let file = format!("log {}\n{}{rules}", log().verifier(), witnesses.collect::<String>());
    Policy::parse(file.as_bytes()).unwrap()
}

/// Our log's checkpoint, cosigned by these witnesses.
fn cosigned(witnesses: &[u8]) -> SignedNote {
    let text = checkpoint_text(ORIGIN);
    let mut note = log_note(&text, &log());
    for number in witnesses {
        note.add_signature(witness(*number).cosign(&text, at(100 + u64::from(*number))).unwrap()).unwrap();
    }
    note
}

fn code(policy: &Policy, note: &SignedNote) -> &'static str {
    policy.verify(note).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn a_cosigned_checkpoint_is_verified() {
    let policy = policy("group G 2 W1 W2 W3\nquorum G\n");
    let note = cosigned(&[3, 1, 5]);
    let verified = policy.verify(&note).unwrap();
    assert_eq!(verified.note(), &note);
    assert_eq!(verified.origin().as_str(), ORIGIN);
    assert_eq!(verified.checkpoint().encode(), note.text());
    assert_eq!(verified.head(), verified.checkpoint().head());
    assert_eq!(verified.log_key(), log().verifier());
    // In the policy's order, W5 too, although the quorum does not ask for it.
    let cosigners: Vec<_> = verified.cosigners().iter().map(|by| (by.witness.as_str(), by.time)).collect();
    assert_eq!(cosigners, [("W1", at(101)), ("W3", at(103)), ("W5", at(105))]);
    assert_eq!(verified.cosigners()[0].key_name.as_str(), "w1.example");
}

#[test]
fn too_few_cosignatures_are_not_enough() {
    let policy = policy("group G 2 W1 W2 W3\nquorum G\n");
    assert_eq!(policy.verify(&cosigned(&[1])), Err(PolicyError::QuorumNotMet { cosigners: 1 }));
    // Witnesses outside the group do not help.
    assert_eq!(policy.verify(&cosigned(&[1, 4, 5, 6])), Err(PolicyError::QuorumNotMet { cosigners: 4 }));
    assert!(policy.verify_log_signature(&cosigned(&[])).is_ok());
}

/// N6.
#[test]
fn a_witness_counts_once() {
    let policy = policy("group G 2 W1 W2 W3\nquorum G\n");
    let mut note = cosigned(&[1, 1]);
    assert_eq!(policy.verify(&note), Err(PolicyError::QuorumNotMet { cosigners: 1 }));
    note.add_signature(witness(1).cosign(note.text(), at(999)).unwrap()).unwrap();
    assert_eq!(policy.verify(&note), Err(PolicyError::QuorumNotMet { cosigners: 1 }));
    note.add_signature(witness(2).cosign(note.text(), at(5)).unwrap()).unwrap();
    let verified = policy.verify(&note).unwrap();
    let times: Vec<_> = verified.cosigners().iter().map(|by| by.time).collect();
    assert_eq!(times, [at(999), at(5)]);
    assert!(!policy.quorum_met(&[0, 0, 0]));
}

#[test]
fn groups_nest() {
    let policy = policy("group X 2 W1 W2 W3\ngroup Y any W4 W5 W6\ngroup Z all X Y\nquorum Z\n");
    let cases = [
        (&[0, 1, 3][..], true),
        (&[5, 2, 0], true),
        (&[0, 1, 2], false),
        (&[0, 3, 4, 5], false),
        (&[3, 4, 5], false),
        (&[], false),
        (&[0, 1, 2, 3, 4, 5], true),
        (&[6, 7, 99, usize::MAX], false),
    ];
    for (cosigners, met) in cases {
        assert_eq!(policy.quorum_met(cosigners), met, "{cosigners:?}");
    }
    assert_eq!(code(&policy, &cosigned(&[1, 2, 4])), "ok");
    assert_eq!(code(&policy, &cosigned(&[1, 4, 5])), "quorum-not-met");
}

#[test]
fn a_single_witness_can_be_the_quorum() {
    let policy = policy("quorum W2\n");
    assert_eq!(code(&policy, &cosigned(&[2])), "ok");
    assert_eq!(code(&policy, &cosigned(&[1, 3])), "quorum-not-met");
}

#[test]
fn no_quorum_asks_for_the_log_only() {
    let policy = policy("quorum none\n");
    assert!(policy.verify(&cosigned(&[])).unwrap().cosigners().is_empty());
    assert_eq!(policy.verify(&cosigned(&[4])).unwrap().cosigners().len(), 1);
}

#[test]
fn cosignatures_do_not_replace_the_log() {
    let policy = policy("quorum W1\n");
    let text = checkpoint_text(ORIGIN);
    let only_witness = note(&text, [witness(1).cosign(&text, at(100)).unwrap()]);
    assert_eq!(code(&policy, &only_witness), "no-log-signature");
    let other_log = note(&text, [log_signer(ORIGIN, 102).sign(text.as_bytes())]);
    assert_eq!(code(&policy, &other_log), "no-log-signature");
    // Without logs nothing is believed.
    let no_logs = Policy::parse(b"quorum none\n").unwrap();
    assert_eq!(code(&no_logs, &cosigned(&[])), "no-log-signature");
}

#[test]
fn the_origin_is_the_name_of_the_log_that_signed() {
    let (one, two) = (log_signer("one.example", 1), log_signer("two.example", 2));
    let file = format!("log {}\nlog {}\nquorum none\n", one.verifier(), two.verifier());
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let text = checkpoint_text("one.example");
    assert_eq!(code(&policy, &log_note(&text, &one)), "ok");
    assert_eq!(code(&policy, &log_note(&text, &two)), "origin-mismatch");
    let both = note(&text, [two.sign(text.as_bytes()), one.sign(text.as_bytes())]);
    assert_eq!(policy.verify(&both).unwrap().log_key(), one.verifier());
    // N16: an origin that only looks like the log's name.
    let text = checkpoint_text("one.example\u{200b}");
    assert_eq!(code(&policy, &log_note(&text, &one)), "origin-mismatch");
}

#[test]
fn either_key_of_a_log_will_do() {
    let (old, new) = (log_signer(ORIGIN, 1), log_signer(ORIGIN, 2));
    let file = format!("log {}\nlog {}\nquorum none\n", old.verifier(), new.verifier());
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let text = checkpoint_text(ORIGIN);
    for signer in [&old, &new] {
        assert_eq!(policy.verify(&log_note(&text, signer)).unwrap().log_key(), signer.verifier());
    }
}

#[test]
fn signed_text_that_is_no_checkpoint_is_refused() {
    let policy = policy("quorum none\n");
    assert_eq!(code(&policy, &log_note("log.example\n5\n", &log())), "line-unterminated");
    let forged_empty = format!("{ORIGIN}\n0\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
    assert_eq!(code(&policy, &log_note(&forged_empty, &log())), "empty-tree-root");
}

/// N9.
#[test]
fn one_bad_line_of_a_known_witness_spoils_the_note() {
    let policy = policy("quorum W1\n");
    let mut note = cosigned(&[1]);
    let key = witness(6);
    let key = key.verifier();
    let mut bad = vec![7; 72];
    bad[0] = 0;
    note.add_signature(NoteSignature::new(key.name().clone(), key.id(), bad).unwrap()).unwrap();
    assert_eq!(code(&policy, &note), "signature-invalid");
    // Who asks for the log only is not disturbed by it.
    assert!(policy.verify_log_signature(&note).is_ok());
}

/// N9: also when another log of the policy signed well.
#[test]
fn one_bad_line_of_a_known_log_spoils_the_note() {
    let (one, two) = (log_signer(ORIGIN, 1), log_signer("two.example", 2));
    let file = format!("log {}\nlog {}\nquorum none\n", one.verifier(), two.verifier());
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let text = checkpoint_text(ORIGIN);
    let note = note(&text, [one.sign(text.as_bytes()), two.sign(b"other text\n")]);
    assert_eq!(policy.verify_log_signature(&note), Err(PolicyError::Note(NoteError::SignatureInvalid)));
}

/// N8.
#[test]
fn unknown_lines_are_kept_and_ignored() {
    let policy = policy("quorum W1\n");
    let name = log().verifier().name().clone();
    let unknown =
        (0..100).map(|id| NoteSignature::new(name.clone(), KeyId::from_bytes([id; 4]), vec![id]).unwrap());
    let signatures: Vec<_> = unknown.chain(cosigned(&[1]).signatures().iter().cloned()).collect();
    let note = note(&checkpoint_text(ORIGIN), signatures);
    assert_eq!(policy.verify(&note).unwrap().note().signatures().len(), 102);
}

/// R4.
#[test]
fn a_cosignature_without_a_time_is_refused() {
    let policy = policy("quorum W1\n");
    let mut note = cosigned(&[]);
    note.add_signature(witness(1).cosign(note.text(), at(0)).unwrap()).unwrap();
    assert_eq!(code(&policy, &note), "cosignature-time");
}

#[test]
fn verified_cosignatures_ask_for_nothing_else() {
    let policy = policy("quorum W1\n");
    let note = note(
        "any text\n",
        [witness(2).cosign("any text\n", at(7)).unwrap(), witness(4).cosign("any text\n", at(8)).unwrap()],
    );
    let verified = policy.verified_cosignatures(&note).unwrap();
    let seen: Vec<_> = verified.iter().map(|(place, by)| (*place, by.timestamp())).collect();
    assert_eq!(seen, [(1, Some(at(7))), (3, Some(at(8)))]);
}

/// The extension lines of N20 are covered by the Ed25519 forms of both signatures.
#[test]
fn extension_lines_are_accepted_and_signed() {
    let policy = policy("quorum W1\n");
    let text = checkpoint_text(ORIGIN) + "\u{2014} log.example AAAAAAA=\n";
    let note = note(&text, [log().sign(text.as_bytes()), witness(1).cosign(&text, at(100)).unwrap()]);
    assert_eq!(policy.verify(&note).unwrap().checkpoint().extensions().len(), 1);
    let stripped = SignedNote::new(checkpoint_text(ORIGIN), note.signatures().to_vec()).unwrap();
    assert_eq!(code(&policy, &stripped), "signature-invalid");
}

/// Our log, a witness `A` with a key of each algorithm, `B` with one of Ed25519, `C` with one of ML-DSA-44.
fn mixed(rules: &str) -> Policy {
    let file = format!(
        "log {}\nwitness A {}\nwitness AM {}\nwitness B {}\nwitness CM {}\n{rules}",
        log().verifier(),
        witness(1).verifier(),
        ml_dsa_cosigner("w1.example", 1).verifier(),
        witness(2).verifier(),
        ml_dsa_cosigner("w3.example", 3).verifier()
    );
    Policy::parse(file.as_bytes()).unwrap()
}

fn cosigned_by(lines: &[NoteSignature]) -> SignedNote {
    let mut note = log_note(&checkpoint_text(ORIGIN), &log());
    lines.iter().for_each(|line| note.add_signature(line.clone()).unwrap());
    note
}

/// A log that signs with an ML-DSA-44 key, alone and beside its Ed25519 key; its own line is nobody's cosignature.
#[test]
fn a_log_may_sign_with_an_ml_dsa_key() {
    let key = ml_dsa_cosigner(ORIGIN, 1);
    let (text, rules) = (checkpoint_text(ORIGIN), format!("witness A {}\nquorum A\n", witness(1).verifier()));
    let ml_dsa = format!("log {}\n", key.verifier());
    let both = format!("log {}\n{ml_dsa}", log().verifier());
    let policy = |logs: &str| Policy::parse(format!("{logs}{rules}").as_bytes()).unwrap();
    let signed = key.cosign(&text, at(50)).unwrap();
    let (cosigned, by_ed25519) = (witness(1).cosign(&text, at(100)).unwrap(), log().sign(text.as_bytes()));
    let verified = policy(&ml_dsa).verify(&note(&text, [signed.clone(), cosigned.clone()])).unwrap();
    assert_eq!((verified.log_key(), verified.cosigners().len()), (key.verifier(), 1));
    assert_eq!(code(&policy(&ml_dsa), &note(&text, [signed.clone()])), "quorum-not-met");
    assert_eq!(
        code(&policy(&ml_dsa), &note(&text, [by_ed25519.clone(), cosigned.clone()])),
        "no-log-signature"
    );
    for lines in [vec![signed.clone(), cosigned.clone()], vec![by_ed25519.clone(), cosigned.clone()]] {
        assert_eq!(code(&policy(&both), &note(&text, lines)), "ok");
    }
    let own = note(&text, [signed.clone(), cosigned.clone()]);
    assert_eq!(policy(&ml_dsa).lighten(&own), Ok(own), "the log's own line stays");
    // One line of a known key that does not verify spoils the note, the other key's notwithstanding.
    let other = checkpoint_text("log.example/other");
    let damaged = key.cosign(&other, at(50)).unwrap();
    let lines = [damaged.clone(), by_ed25519, cosigned.clone()];
    assert_eq!(code(&policy(&both), &note(&text, lines)), "signature-invalid");
    // The key of another log, in a note of this one.
    let stranger = format!("log {}\n", ml_dsa_cosigner("log.example/other", 1).verifier());
    let theirs = ml_dsa_cosigner("log.example/other", 1).cosign(&text, at(50)).unwrap();
    assert_eq!(code(&policy(&stranger), &note(&text, [theirs, cosigned])), "origin-mismatch");
}

#[test]
fn ml_dsa_cosignatures_count_for_the_quorum() {
    let text = checkpoint_text(ORIGIN);
    let [am, cm] = [("w1.example", 1), ("w3.example", 3)].map(|(name, seed)| ml_dsa_cosigner(name, seed));
    let (am, cm) = (am.cosign(&text, at(200)).unwrap(), cm.cosign(&text, at(300)).unwrap());
    let (a, b) = (witness(1).cosign(&text, at(100)).unwrap(), witness(2).cosign(&text, at(150)).unwrap());
    let all_ml_dsa = mixed("group G all AM CM\nquorum G\n");
    let verified = all_ml_dsa.verify(&cosigned_by(&[cm.clone(), am.clone()])).unwrap();
    let cosigners: Vec<_> = verified.cosigners().iter().map(|by| (by.witness.as_str(), by.time)).collect();
    assert_eq!(cosigners, [("AM", at(200)), ("CM", at(300))]);
    assert_eq!(all_ml_dsa.quorum_time(&verified, at(1000)), Some(at(200)));
    // Ed25519 cosignatures of the same witnesses stand for nothing there.
    assert_eq!(code(&all_ml_dsa, &cosigned_by(&[a.clone(), b.clone(), cm.clone()])), "quorum-not-met");

    // A witness with two keys in a group of its own counts once, whichever it signs with.
    let once = mixed("group W any A AM\ngroup G 2 W B CM\nquorum G\n");
    for (lines, expected) in [
        (&[a.clone(), am.clone()][..], "quorum-not-met"),
        (&[a.clone(), b.clone()], "ok"),
        (&[am.clone(), b.clone()], "ok"),
        (&[am.clone(), cm.clone()], "ok"),
        (&[b.clone(), cm.clone()], "ok"),
    ] {
        assert_eq!(code(&once, &cosigned_by(lines)), expected, "{lines:?}");
    }
    // What goes with an artifact: no ML-DSA-44 cosignature where the others are enough, every one where they are not.
    let names = |policy: &Policy, lines: &[NoteSignature]| {
        let light = policy.lighten(&cosigned_by(lines)).map_err(|error| error.code())?;
        policy.verify(&light).unwrap();
        Ok::<_, &str>(light.signatures()[1..].to_vec())
    };
    let all = [a.clone(), am.clone(), b.clone(), cm.clone()];
    assert_eq!(names(&once, &all), Ok(vec![a.clone(), b.clone()]));
    assert_eq!(
        names(&once, &[a.clone(), am.clone(), cm.clone()]),
        Ok(vec![a.clone(), am.clone(), cm.clone()])
    );
    assert_eq!(names(&all_ml_dsa, &all), Ok(all.to_vec()));
    assert_eq!(names(&once, &all[..2]), Err("quorum-not-met"));
    // As the file says: two members of the quorum are two.
    let twice = mixed("group G 2 A AM B CM\nquorum G\n");
    assert_eq!(code(&twice, &cosigned_by(&[a.clone(), am.clone()])), "ok");
    let both = mixed("group W all A AM\ngroup G 2 W B CM\nquorum G\n");
    assert_eq!(code(&both, &cosigned_by(&[a.clone(), b.clone()])), "quorum-not-met");
    assert_eq!(code(&both, &cosigned_by(&[a.clone(), am.clone(), b.clone()])), "ok");

    // N9: one bad line of a known key spoils the note, however many are good.
    let bad = NoteSignature::new(am.name().clone(), am.id(), cm.signature().to_vec()).unwrap();
    assert_eq!(code(&once, &cosigned_by(&[a, b, cm, bad])), "signature-invalid");
}

/// Keys of both algorithms are known by their places: a quorum by witness names the first of a witness's.
#[test]
fn a_quorum_by_witness_joins_groups_of_one_witness() {
    let by_witness = |rules: &str| mixed(rules).quorum_by_witness().numbers();
    for rules in ["group W any A AM\n", "group W all A AM\n", "group V any AM\ngroup W all A V\n"] {
        let joined = by_witness(&format!("{rules}group G 2 W B CM\nquorum G\n"));
        assert_eq!(
            (joined.witnesses, joined.fewest, joined.may_fail, joined.overlap),
            (3, 2, 1, 1),
            "{rules}"
        );
    }
    // Not in a group of their own, they are two to the quorum.
    assert_eq!(by_witness("group W any A B\ngroup G 2 W AM CM\nquorum G\n").witnesses, 4);
    assert_eq!(by_witness("group G 3 A AM B CM\nquorum G\n").witnesses, 4);
    assert_eq!(mixed("group W all A AM\nquorum W\n").quorum_by_witness(), Quorum::Witness(0));
    assert_eq!(mixed("quorum none\n").quorum_by_witness(), Quorum::None);
}
