//! What a customer is told, and the exit code that an installer goes by: artifacts, proofs, keys and policies
//! that do not belong together, and signatures that are not what they seem.

use std::fs;

use indelible_proto::note::{KeyName, NoteSignature, VerifierKey};
use indelible_proto::proof::LogProof;
use indelible_proto::time::UnixSeconds;
use indelible_tests::Finished;
use indelible_tests::forgery::{cosignature, stranger, with_signatures};

use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::{RULES, Room, WITNESSES, check, code};

#[test]
fn what_was_published_verifies() {
    let room = Room::new();
    for artifact in ["agent-1", "agent-2", "rules"] {
        room.verify_of_vendor(&[artifact]).expect(VERIFIED);
        room.verify(&[artifact, "--key", "vendor.vkey", "--no-state"]).expect(VERIFIED);
    }
    room.verify(&["evil", "--channel", "evil-channel"]).expect(VERIFIED);
    // A name is only a label.
    fs::rename(room.file("agent-1"), room.file("renamed")).unwrap();
    room.verify_of_vendor(&["renamed", "--proof", "agent-1.tlog-proof", "--no-state"]).expect(VERIFIED);
}

#[test]
fn a_changed_file_is_refused() {
    let room = Room::new();
    let good = room.read("agent-1");
    let changed = [
        [good.as_slice(), b"\n"].concat(),
        good[1..].to_vec(),
        Vec::new(),
        good.iter().map(|byte| byte ^ 1).collect(),
        room.read("agent-2"),
    ];
    for bytes in changed {
        room.write("agent-1", bytes);
        check(&room, &["agent-1", "--channel", "channel"], REFUSED, "artifact-mismatch");
    }
}

#[test]
fn a_changed_rule_set_is_refused() {
    type Change = fn(&Room);
    let changes: [(&str, Change); 6] = [
        ("a rule changed", |room| room.write("rules/linux.yml", "title: evil\n")),
        ("a rule added", |room| room.write("rules/more.yml", "title: targeted\n")),
        ("a rule removed", |room| fs::remove_file(room.file("rules/linux.yml")).unwrap()),
        ("a rule renamed", |room| {
            fs::rename(room.file("rules/linux.yml"), room.file("rules/linux.yaml")).unwrap();
        }),
        ("two rules swapped", |room| {
            room.write("rules/windows/a.yml", RULES[2].1);
            room.write("rules/windows/b.yml", RULES[1].1);
        }),
        ("a rule emptied", |room| room.write("rules/linux.yml", "")),
    ];
    for (what, change) in changes {
        let room = Room::new();
        change(&room);
        let verdict = room.verify_of_vendor(&["rules", "--json"]);
        assert_eq!(verdict.code(), REFUSED, "{what}: {verdict}");
        assert_eq!(code(&verdict), "artifact-mismatch", "{what}");
    }
    let room = Room::new();
    // What a link leads to is not the vendor's word. Empty folders say nothing.
    fs::create_dir(room.file("rules/empty")).unwrap();
    room.verify_of_vendor(&["rules"]).expect(VERIFIED);
    std::os::unix::fs::symlink("/etc/passwd", room.file("rules/link.yml")).unwrap();
    check(&room, &["rules", "--channel", "channel"], REFUSED, "artifact-not-regular");
}

#[test]
fn an_artifact_without_its_own_proof_is_refused() {
    let room = Room::new();
    let channel = ["--channel", "channel"];
    check(&room, &[&["vendor.vkey"], &channel[..]].concat(), REFUSED, "proof-missing");
    let of_another = ["agent-1", "--proof", "agent-2.tlog-proof"];
    check(&room, &[&of_another, &channel[..]].concat(), REFUSED, "artifact-mismatch");
    let of_rules = ["agent-1", "--proof", "rules.tlog-proof"];
    check(&room, &[&of_rules, &channel[..]].concat(), REFUSED, "artifact-mismatch");
    let of_the_channel = ["agent-1", "--proof", "channel"];
    check(
        &room,
        &[&of_the_channel[..], &["--key", "vendor.vkey", "--no-state"]].concat(),
        REFUSED,
        "record-of-no-artifact",
    );
    let folder_by_file = ["rules", "--proof", "agent-1.tlog-proof"];
    check(&room, &[&folder_by_file, &channel[..]].concat(), REFUSED, "artifact-mismatch");
}

#[test]
fn a_good_proof_of_another_channel_of_the_vendor_is_refused() {
    let room = Room::new();
    check(&room, &["beta", "--channel", "channel"], REFUSED, "record-other-channel");
    // Whoever trusts the key on all channels may have it.
    room.verify(&["beta", "--key", "vendor.vkey"]).expect(VERIFIED);
}

#[test]
fn a_good_proof_of_another_vendor_is_refused() {
    let room = Room::new();
    let verdict = room.verify_of_vendor(&["evil", "--json"]).expect(REFUSED);
    assert!(
        ["record-not-signed", "signer-unknown", "record-other-channel"].contains(&code(&verdict).as_str())
    );
    check(&room, &["agent-1", "--key", "evil.vkey"], REFUSED, "record-not-signed");
    check(&room, &["evil", "--key", "vendor.vkey"], REFUSED, "record-not-signed");
    // One of several keys will do.
    room.verify(&["agent-1", "--key", "vendor.vkey", "--key", "evil.vkey"]).expect(VERIFIED);
    // A log's key signs no records.
    Finished::run(room.client().args(["verify", "agent-1", "--policy", "policy.txt", "--key", "log.vkey"]))
        .expect(USAGE);
}

#[test]
fn a_proof_needs_its_quorum_and_each_witness_counts_once() {
    let room = Room::new();
    let proof = room.proof("agent-1");
    let lines = proof.note().signatures().to_vec();
    let [log, w0, w1, w2] = lines.as_slice() else { panic!("the log and three witnesses") };
    let with = |lines: &[&NoteSignature]| {
        let lines = lines.iter().map(|line| (*line).clone()).collect();
        room.verify_with(&with_signatures(&proof, lines).encode())
    };
    for enough in [&[log, w0, w1][..], &[log, w2, w0], &[w1, log, w2], &[log, log, w0, w1]] {
        with(enough).expect(VERIFIED);
    }
    for few in [&[log][..], &[log, w0], &[log, w0, w0], &[log, w2, w2, w2, w2], &[w0, w1, w2]] {
        with(few).expect(REFUSED);
    }
}

#[test]
fn two_times_of_one_witness_are_one_witness() {
    let room = Room::new();
    // A witness that works for the attacker, and whose key the policy has.
    let proof = room.proof("agent-1");
    let ours = stranger("witness.example/ours", 3);
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let log_line = policy.lines().find(|line| line.starts_with("log ")).unwrap();
    let w0 = room.vkey("witness-0.vkey");
    room.write(
        "policy.txt",
        format!("{log_line}\nwitness a {}\nwitness b {w0}\ngroup both 2 a b\nquorum both\n", ours.verifier()),
    );
    let at = |time: u64| ours.cosign(proof.note().text(), UnixSeconds::new(time).unwrap()).unwrap();
    let log = proof.note().signatures()[0].clone();
    let w0_line = proof.note().signatures().iter().find(|line| line.names(&w0)).unwrap().clone();
    let verify = |lines: Vec<NoteSignature>| {
        room.write("tried.tlog-proof", with_signatures(&proof, lines).encode());
        room.verify(&["agent-1", "--key", "vendor.vkey", "--proof", "tried.tlog-proof", "--no-state"])
    };
    let then = w0_line_time(&proof, &w0);
    verify(vec![log.clone(), at(then), at(then + 1)]).expect(REFUSED);
    verify(vec![log, at(then), w0_line, at(then + 1)]).expect(VERIFIED);
}

#[test]
fn a_forged_cosignature_spoils_a_proof_that_has_its_quorum_without_it() {
    let room = Room::new();
    let proof = room.proof("agent-1");
    for n in 0..WITNESSES {
        let witness = room.vkey(&format!("witness-{n}.vkey"));
        let forged = cosignature(&witness, proof.note().text());
        let others = proof.note().signatures().iter().filter(|line| !line.names(&witness)).cloned();
        let lines: Vec<NoteSignature> = others.chain([forged.clone()]).collect();
        assert_eq!(lines.len(), 1 + WITNESSES);
        room.verify_with(&with_signatures(&proof, lines).encode()).expect(REFUSED);
        // Nor does it help to leave the true line in.
        let both: Vec<NoteSignature> = proof.note().signatures().iter().cloned().chain([forged]).collect();
        room.verify_with(&with_signatures(&proof, both).encode()).expect(REFUSED);
    }
}

#[test]
fn a_forged_or_misused_signature_of_the_log_is_refused() {
    let room = Room::new();
    let proof = room.proof("agent-1");
    let lines = proof.note().signatures();
    let (log, witnesses) = (&lines[0], &lines[1..]);
    let replaced = |bytes: Vec<u8>| {
        let line = NoteSignature::new(log.name().clone(), log.id(), bytes).unwrap();
        let lines = [&[line], witnesses].concat();
        room.verify_with(&with_signatures(&proof, lines).encode())
    };
    let true_bytes = log.signature().to_vec();
    replaced(true_bytes.clone()).expect(VERIFIED);
    replaced(vec![0; 64]).expect(REFUSED);
    replaced([true_bytes.as_slice(), &[0]].concat()).expect(REFUSED);
    replaced(true_bytes[..63].to_vec()).expect(REFUSED);
    // A witness's bytes, which are a time and a signature, in the log's name.
    replaced(witnesses[0].signature().to_vec()).expect(REFUSED);
    replaced(witnesses[0].signature()[8..].to_vec()).expect(REFUSED);
    // The signature plus the group order: the same to a lax verifier.
    replaced(plus_group_order(&true_bytes)).expect(REFUSED);
}

/// The signature with the order of the curve's group added to its second half.
fn plus_group_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = signature.to_vec();
    let mut carry = 0u16;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    sum
}

#[test]
fn lines_of_keys_nobody_knows_change_nothing() {
    let room = Room::new();
    let proof = room.proof("agent-1");
    let unknown = |seed: u8| {
        stranger(&format!("stranger.example/{seed}"), seed)
            .cosign(proof.note().text(), UnixSeconds::new(1_800_000_000).unwrap())
            .unwrap()
    };
    let many: Vec<NoteSignature> =
        (0..100).map(unknown).chain(proof.note().signatures().iter().cloned()).collect();
    let verdict = room.verify_with(&with_signatures(&proof, many).encode()).expect(VERIFIED);
    assert!(!verdict.stdout.contains("stranger"), "{verdict}");

    // The log's name with another id, and its id with another name.
    let lines = proof.note().signatures();
    let renamed = KeyName::parse("log.example/other").unwrap();
    let other_name = NoteSignature::new(renamed, lines[0].id(), vec![1; 64]).unwrap();
    let other_id = NoteSignature::new(lines[0].name().clone(), lines[1].id(), vec![1; 64]).unwrap();
    let odd: Vec<NoteSignature> = [other_name, other_id].into_iter().chain(lines.iter().cloned()).collect();
    room.verify_with(&with_signatures(&proof, odd).encode()).expect(VERIFIED);
}

#[test]
fn the_leaf_in_a_proof_counts_only_if_it_is_the_one_that_was_logged() {
    let room = Room::new();
    let (first, second) = (room.proof("agent-1"), room.proof("agent-2"));
    let with_extra = |extra: Option<Vec<u8>>| {
        LogProof::new(extra, first.index(), first.proof().clone(), first.note().clone()).unwrap().encode()
    };
    room.verify_with(&with_extra(first.extra().map(<[u8]>::to_vec))).expect(VERIFIED);
    room.verify_with(&with_extra(None)).expect(REFUSED);
    room.verify_with(&with_extra(second.extra().map(<[u8]>::to_vec))).expect(REFUSED);
    room.verify_with(&with_extra(Some(b"not a record".to_vec()))).expect(REFUSED);
    // The right leaf with the place of the other.
    let moved = LogProof::new(
        first.extra().map(<[u8]>::to_vec),
        second.index(),
        second.proof().clone(),
        second.note().clone(),
    );
    room.verify_with(&moved.unwrap().encode()).expect(REFUSED);
}

/// When the witness says it cosigned the proof's checkpoint, in seconds since 1970.
fn w0_line_time(proof: &LogProof, witness: &VerifierKey) -> u64 {
    let verified = witness.verify_note(proof.note()).unwrap().unwrap();
    verified.timestamp().unwrap().get()
}
