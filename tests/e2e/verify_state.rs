//! What a customer remembers: pinned channels and checkpoints. Damage on the customer's own disk is never
//! held against the log; two trees of one size are, and the proof of it convinces others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::sign::SecretKey;
use indelible_tests::{Finished, Rogue};

use crate::exit::{EVIDENCE, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::Room;

/// A room in which `agent-2` has been verified, so that a checkpoint and the channel are remembered.
fn room_with_memory() -> (Room, PathBuf) {
    let room = Room::new();
    room.verify_of_vendor(&["agent-2"]).expect(VERIFIED);
    let remembered = only_file(&room.file("home/indelible/checkpoints"));
    (room, remembered)
}

#[test]
fn damage_of_the_remembered_checkpoint_is_local_damage() {
    let (room, remembered) = room_with_memory();
    let whole = fs::read(&remembered).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let other_note = text.replacen("log.example/updates", "log.example/another", 1);
    let damaged: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("zeros", vec![0; whole.len()]),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("one byte short", whole[..whole.len() - 1].to_vec()),
        ("something after it", [whole.as_slice(), b"x"].concat()),
        ("garbage", b"\xff\xfe garbage".to_vec()),
        ("a note of another log", other_note.into_bytes()),
        ("too long", vec![b'a'; 1 << 20]),
        ("one bit of the root changed", flip(&whole, 30)),
    ];
    for (what, bytes) in damaged {
        fs::write(&remembered, &bytes).unwrap();
        let verdict = room.verify_of_vendor(&["agent-2", "--json"]);
        assert_eq!(verdict.code(), UNDECIDED, "{what}: {verdict}");
        assert_eq!(verdict.json()["code"], "state-damaged", "{what}");
        assert!(!room.file("home/indelible/evidence").exists(), "{what} became evidence");
        assert!(fs::read(&remembered).unwrap() == bytes, "{what} was written over");
        // The artifact's own fault is graver than that.
        let proof = ["vendor.vkey", "--proof", "agent-2.tlog-proof"];
        room.verify_of_vendor(&proof).expect(REFUSED);
    }
    fs::remove_file(&remembered).unwrap();
    room.verify_of_vendor(&["agent-2"]).expect(VERIFIED);
}

#[test]
fn any_single_bit_of_the_remembered_checkpoint_may_rot() {
    let (room, remembered) = room_with_memory();
    let whole = fs::read(&remembered).unwrap();
    // Every part of it is hit: text, root, names, signatures.
    for at in (0..whole.len()).step_by(23) {
        fs::write(&remembered, flip(&whole, at)).unwrap();
        let verdict = room.verify_of_vendor(&["agent-2"]);
        // A witness's line counts for nothing here; everything else is covered by the log's signature.
        assert!([VERIFIED, UNDECIDED].contains(&verdict.code()), "byte {at}: {verdict}");
    }
    assert!(!room.file("home/indelible/evidence").exists());
}

#[test]
fn damage_of_a_pin_is_local_damage() {
    let (room, _) = room_with_memory();
    let pin = walkdir::WalkDir::new(room.file("home/indelible"))
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| fs::read(entry.path()).is_ok_and(|bytes| bytes.starts_with(b"c2sp.org/tlog-proof")))
        .expect("the channel is pinned by its proof");
    let whole = fs::read(pin.path()).unwrap();
    for bytes in [Vec::new(), vec![0; whole.len()], whole[..100].to_vec(), room.read("evil-channel")] {
        fs::write(pin.path(), bytes).unwrap();
        let verdict = room.verify(&["agent-2"]);
        assert_eq!(verdict.code(), UNDECIDED, "{verdict}");
    }
    fs::write(pin.path(), whole).unwrap();
    room.verify(&["agent-2"]).expect(VERIFIED);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_no_verdict() {
    let room = Room::new();
    room.write("a-file", "not a directory");
    room.verify_of_vendor(&["agent-1", "--state", "a-file"]).expect(UNDECIDED);
    room.verify_of_vendor(&["agent-1", "--state", "a-file/below"]).expect(UNDECIDED);
    room.verify_of_vendor(&["agent-1", "--state", "made/when/needed"]).expect(VERIFIED);
}

#[test]
fn many_who_verify_at_once_wait_for_each_other() {
    let room = Room::new();
    let start = || {
        let mut verify = room.client();
        verify.args(["verify", "agent-2", "--policy", "policy.txt", "--channel", "channel"]);
        verify.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = (0..12).map(|_| start()).collect();
    for mut child in running {
        assert_eq!(child.wait().unwrap().code(), Some(VERIFIED));
    }
}

#[test]
fn an_older_checkpoint_is_no_fault_and_the_larger_one_is_kept() {
    let room = Room::new();
    let remembered = || {
        let note = fs::read_to_string(only_file(&room.file("home/indelible/checkpoints"))).unwrap();
        note.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let early = ["agent-1", "--proof", "agent-1.early"];
    room.verify_of_vendor(&early).expect(VERIFIED);
    let smaller = remembered();
    room.verify_of_vendor(&["agent-1"]).expect(VERIFIED);
    let larger = remembered();
    assert!(smaller < larger);
    room.verify_of_vendor(&early).expect(VERIFIED);
    assert_eq!(remembered(), larger);
}

#[test]
fn the_pinned_channel_counts_and_another_of_its_name_does_not_take_its_place() {
    let (room, _) = room_with_memory();
    room.verify(&["agent-2"]).expect(VERIFIED);
    room.verify(&["agent-2", "--channel", "vendor.example/agent"]).expect(VERIFIED);
    room.verify(&["evil"]).expect(UNDECIDED);
    room.verify(&["evil", "--channel", "vendor.example/agent"]).expect(REFUSED);
}

#[test]
fn two_trees_of_one_size_are_evidence_that_convinces_others() {
    let (room, remembered) = room_with_memory();
    let (fork, proof) = fork_of_the_same_size(&room, "agent-2");
    room.write("fork.tlog-proof", proof.encode());
    let verdict =
        room.verify_of_vendor(&["agent-2", "--proof", "fork.tlog-proof", "--json"]).expect(EVIDENCE);
    let told = verdict.json();
    assert_eq!((&told["code"], &told["outcome"]), (&"log-forked".into(), &"evidence".into()));
    let evidence = told["evidence"].as_str().unwrap();
    assert_eq!(only_file(&room.file("home/indelible/evidence")), Path::new(evidence));
    let remembered_after = fs::read_to_string(&remembered).unwrap();
    assert!(!remembered_after.contains(&fork.head(fork.size()).root.to_base64()), "the fork is not believed");

    let judge = |args: &[&str]| {
        let mut judge = room.client();
        Finished::run(judge.args(["evidence", "verify", evidence]).args(args))
    };
    let log_key = room.vkey("log.vkey").encode();
    let proved = judge(&["--log-key", &log_key]).expect(VERIFIED);
    assert!(proved.stdout.contains("has signed two histories"), "{proved}");
    judge(&["--policy", "policy.txt"]).expect(VERIFIED);
    let name = KeyName::parse("log.example/updates").unwrap();
    let other = SecretKey::from_seed(KeyKind::Log, name, [5; 32]).verifier().encode();
    judge(&["--log-key", &other]).expect(REFUSED);
    judge(&["--log-key", &room.vkey("witness-0.vkey").encode()]).expect(USAGE);
    judge(&["--log-key", "garbage"]).expect(USAGE);

    // Said again each time, and the good one still verifies.
    room.verify_of_vendor(&["agent-2", "--proof", "fork.tlog-proof"]).expect(EVIDENCE);
    only_file(&room.file("home/indelible/evidence"));
    room.verify_of_vendor(&["agent-2"]).expect(VERIFIED);
}

#[test]
fn a_fork_is_graver_than_anything_else_that_is_wrong() {
    let (room, _) = room_with_memory();
    let (_, proof) = fork_of_the_same_size(&room, "agent-2");
    room.write("fork.tlog-proof", proof.encode());
    // No quorum, another artifact, nobody trusted: all that would be refused or undecided.
    room.verify(&["vendor.vkey", "--proof", "fork.tlog-proof"]).expect(EVIDENCE);
    room.verify(&["agent-1", "--key", "evil.vkey", "--proof", "fork.tlog-proof"]).expect(EVIDENCE);
    // A proof that does not even hold in the forked tree.
    let spoiled = LogProof::new(None, proof.index(), proof.proof().clone(), proof.note().clone()).unwrap();
    room.write("fork.tlog-proof", spoiled.encode());
    room.verify(&["agent-1", "--proof", "fork.tlog-proof"]).expect(EVIDENCE);
}

#[test]
fn a_fork_shows_against_the_channels_own_checkpoint_too() {
    let room = Room::new();
    let channel = LogProof::parse(&room.read("channel")).unwrap();
    let (_, proof) = fork_at(&room, size_of(&room, &channel), &room.proof("agent-1"));
    room.write("fork.tlog-proof", proof.encode());
    let args = ["agent-1", "--proof", "fork.tlog-proof", "--no-state", "--json"];
    let told = room.verify_of_vendor(&args).expect(EVIDENCE).json();
    let evidence = room.file(told["evidence"].as_str().unwrap());
    let mut judge = room.client();
    judge.args(["evidence", "verify"]).arg(evidence).args(["--policy", "policy.txt"]);
    Finished::run(&mut judge).expect(VERIFIED);
}

#[test]
fn two_forks_that_nobody_compares_are_told_apart_by_the_quorum() {
    // Of the rogue's tree nothing is remembered: it is refused because no witness has seen it.
    let room = Room::new();
    let (_, proof) = fork_of_the_same_size(&room, "agent-2");
    room.write("fork.tlog-proof", proof.encode());
    let verdict = room.verify_of_vendor(&["agent-2", "--proof", "fork.tlog-proof", "--json"]).expect(REFUSED);
    assert_eq!(verdict.json()["code"], "quorum-not-met");
    assert!(!room.file("home/indelible/evidence").exists());
}

/// A tree of the size that the artifact's proof has, with its record in it, but otherwise another one.
fn fork_of_the_same_size(room: &Room, artifact: &str) -> (Rogue, LogProof) {
    let proof = room.proof(artifact);
    fork_at(room, size_of(room, &proof), &proof)
}

fn size_of(room: &Room, proof: &LogProof) -> u64 {
    let policy = Policy::parse(&room.read("policy.txt")).unwrap();
    policy.verify_log_signature(proof.note()).unwrap().head().size.get()
}

fn fork_at(room: &Room, size: u64, with: &LogProof) -> (Rogue, LogProof) {
    let other = |n: u64| Entry::new(format!("another history, entry {n}").into_bytes()).unwrap();
    let mut rogue = room.rogue((0..size).map(other).collect());
    rogue.replace(0, Entry::new(with.extra().unwrap().to_vec()).unwrap());
    let note = rogue.checkpoint(rogue.size());
    let proof = rogue.proof(0, rogue.size(), note);
    (rogue, proof)
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << (at % 8);
    flipped
}

#[track_caller]
fn only_file(dir: &Path) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}
