//! Signatures of the log and of its witnesses, and that nothing of a proof can change.

use super::*;

#[test]
fn a_forged_cosignature_spoils_the_note_even_beside_a_quorum() {
    let world = World::new();
    let note = world.log.note(2, 2);
    let text = note.text().to_owned();
    let third = &world.log.witnesses[2];
    let note = with_line(&note, damaged(&third.cosign(&text, seconds(1_800_000_009)).unwrap()));
    world.under(note).assert_only(CheckName::Witnesses, Outcome::Refused, "signature-invalid");
}

#[test]
fn too_few_witnesses_are_no_quorum() {
    let world = World::new();
    let note = world.log.note(2, 1);
    let world = world.under(note);
    let verdict = world.assert_only(CheckName::Witnesses, Outcome::Refused, "quorum-not-met");
    assert!(verdict.remember().is_none(), "a checkpoint without a quorum is not remembered");
}

#[test]
fn one_witness_counts_once_however_often_it_signs() {
    let world = World::new();
    let note = world.log.note(2, 1);
    let again = world.log.witnesses[0].cosign(note.text(), seconds(1_800_000_500)).unwrap();
    let note = with_line(&note, again);
    world.under(note).assert_only(CheckName::Witnesses, Outcome::Refused, "quorum-not-met");
}

#[test]
fn unknown_signatures_are_ignored_and_said_so() {
    let world = World::new();
    let note = world.log.note(2, 2);
    let stranger = LogSigner::new(secret(KeyKind::Log, "stranger.example", 200)).unwrap();
    let note = with_line(&note, stranger.sign(note.text().as_bytes()));
    let verdict = world.under(note).verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    let witnesses = verdict.checks().iter().find(|check| check.name == CheckName::Witnesses).unwrap();
    assert_eq!(witnesses.ignored.len(), 1);
    assert!(witnesses.ignored[0].contains("stranger.example"));
}

#[test]
fn a_forged_log_signature_is_refused() {
    let world = World::new();
    let mut lines = world.proof.note().signatures().to_vec();
    lines[0] = damaged(&lines[0]);
    let note = world.proof.note().with_signatures(lines).unwrap();
    let world = world.under(note);
    let verdict = world.assert_only(CheckName::LogSignature, Outcome::Refused, "signature-invalid");
    let remembered = verdict.checks().iter().find(|check| check.name == CheckName::Remembered).unwrap();
    assert_eq!(remembered.finding, Finding::NotRun { needs: CheckName::LogSignature });
}

#[test]
fn a_log_that_the_policy_does_not_know_is_refused() {
    let world = World::new();
    let other = LogSigner::new(secret(KeyKind::Log, ORIGIN, 2)).unwrap();
    let mut lines = world.proof.note().signatures().to_vec();
    lines[0] = other.sign(world.proof.note().text().as_bytes());
    let note = world.proof.note().with_signatures(lines).unwrap();
    world.under(note).assert_only(CheckName::LogSignature, Outcome::Refused, "no-log-signature");
}

#[test]
fn a_checkpoint_of_another_origin_is_refused_although_the_log_signed_it() {
    let world = World::new();
    let text = world.log.checkpoint_text(2).replace(ORIGIN, "other.example/log");
    let mut lines = vec![world.log.signer.sign(text.as_bytes())];
    lines.extend(
        world.log.witnesses.iter().map(|witness| witness.cosign(&text, seconds(1_800_000_000)).unwrap()),
    );
    let note = SignedNote::new(text, lines).unwrap();
    world.under(note).assert_only(CheckName::LogSignature, Outcome::Refused, "origin-mismatch");
}

#[test]
fn no_single_bit_of_a_proof_can_change_unnoticed() {
    let mut world = World::new();
    let bytes = world.proof.encode();
    let mut believed = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(proof) = LogProof::parse(&changed) else { continue };
        // Who changes the name or id of one cosignature turns it into a stranger's, which is ignored.
        world.proof = proof;
        let verdict = world.verify();
        if verdict.outcome() == Outcome::Verified {
            assert!(verdict.logged().unwrap().checkpoint().cosigners().len() >= 2);
            assert_eq!(verdict.logged().unwrap().checkpoint().head(), TreeHead { ..world.log.head(2) });
            believed += 1;
        }
    }
    assert!(believed > 0, "the quorum leaves room for one witness of three");
}
