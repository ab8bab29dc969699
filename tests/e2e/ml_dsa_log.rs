//! A log and witnesses that sign with ML-DSA-44 keys, from the first record to the last check, with the real programs.

use std::fs;

use indelible_proto::cosignature::Cosignature;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::{Algorithm, SignedNote, VerifierKey};
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_proto::time::UnixSeconds;
use indelible_tests::shop::{CHANNEL, Shop};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Running, World, http};

use crate::exit::{EVIDENCE, REFUSED, USAGE, VERIFIED};
use crate::watchdog_bench::{
    convinces_a_stranger, evidence_files, hand_in, of_code, other_entry, publish, rogue, watch,
};

fn running() -> World {
    let mut world = World::prepare_ml_dsa(Kind::Records, 3, 2);
    world.start_all();
    world
}

#[test]
fn publishes_and_verifies_and_is_the_same_log_after_a_start_and_after_a_loss() {
    let mut shop = Shop::in_world(running(), "60");
    shop.release("v1", "publish");
    shop.update().expect(VERIFIED);
    shop.verify("v1").expect(VERIFIED);
    let proof = LogProof::parse(&fs::read(shop.file("v1.tlog-proof")).unwrap()).unwrap();
    let lines = proof.note().signatures();
    assert!(lines.len() >= 3, "the log and two witnesses: {lines:?}");
    for line in lines {
        assert_eq!(line.signature().len(), Cosignature::len_of(Algorithm::MlDsa44), "{}", line.name());
    }

    // Everybody ends and starts again: what was signed before is read and believed.
    shop.world.take_log().stop();
    for n in 0..3 {
        shop.world.take_witness(n).stop();
    }
    shop.world.start_all();
    shop.release("v2", "publish");
    shop.update().expect(VERIFIED);
    shop.verify("v2").expect(VERIFIED);
    let url = shop.world.url().to_owned();
    for _ in 0..2 {
        shop.at_log(&["watch", "--once", "--state", "watchdog", "--log", &url]).expect(VERIFIED);
    }
    let found = shop.run(&["policy", "lint", shop.world.policy().to_str().unwrap()]).expect(VERIFIED);
    assert!(!found.stdout.contains("policy-ed25519"), "{found}");

    // The disk is lost: the key and a copy make the log again.
    let again = shop.file("again");
    let mut import = shop.world.server();
    import
        .args(["import", &url])
        .arg(&again)
        .args(["--kind", "records", "--policy"])
        .arg(shop.world.policy());
    Finished::run(import.arg("--key").arg(shop.world.log_dir().join("log.key"))).expect(0);
    Finished::run(shop.world.server().arg("fsck").arg(&again)).expect(0);
    shop.world.take_log().stop();
    let log =
        Running::start(&World::binaries().server, &["run".as_ref(), again.as_os_str()], &shop.file("out"));
    assert_eq!(published(log.address()), 3, "the channel and two releases");
}

fn published(address: &str) -> u64 {
    let note = SignedNote::parse(&http::get(address, "/checkpoint").expect(200).body).unwrap();
    note.text().lines().nth(1).unwrap().parse().unwrap()
}

/// Two witnesses with Ed25519 keys and one with an ML-DSA-44 key, all of whom the log waits for.
#[test]
fn a_proof_has_no_ml_dsa_cosignature_that_its_policy_does_not_need() {
    let mut world = World::prepare_mixed(&[2], Kind::Records, 3, 3);
    world.start_all();
    let shop = Shop::in_world(world, "0");
    let of_all = fs::read_to_string(shop.world.policy()).unwrap();
    let of_two = of_all.replace("group all-witnesses 3 ", "group all-witnesses 2 ");
    assert_ne!(of_all, of_two);
    fs::write(shop.file("two.txt"), of_two).unwrap();
    let lengths = |artifact: &str, policy: &str, more: &[&str]| {
        fs::write(shop.file(artifact), artifact).unwrap();
        let release = ["publish", "release", artifact, "--version", artifact, "--channel-name", CHANNEL];
        let whose = ["--key", "publish.key", "--policy", policy];
        shop.run(&[&release[..], &whose, more].concat()).expect(VERIFIED);
        shop.run(&["verify", artifact, "--policy", policy, "--channel", "channel", "--no-state"])
            .expect(VERIFIED);
        let proof =
            LogProof::parse(&fs::read(shop.file(&format!("{artifact}.tlog-proof"))).unwrap()).unwrap();
        let mut lengths: Vec<_> =
            proof.note().signatures().iter().map(|line| line.signature().len()).collect();
        lengths.sort_unstable();
        lengths
    };
    let (log, [ed25519, ml_dsa]) = (64, [Algorithm::Ed25519, Algorithm::MlDsa44].map(Cosignature::len_of));
    assert_eq!(lengths("a", "two.txt", &[]), [log, ed25519, ed25519]);
    assert_eq!(lengths("b", "two.txt", &["--all-cosignatures"]), [log, ed25519, ed25519, ml_dsa]);
    let all = shop.world.policy().display().to_string();
    assert_eq!(lengths("c", &all, &[]), [log, ed25519, ed25519, ml_dsa]);
}

#[test]
fn a_fork_is_evidence_by_the_key_of_the_log_and_by_no_witnesss() {
    let world = running();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    for number in 0..4 {
        publish(&world, &mut publisher, format!("release {number}").as_bytes());
    }
    watch(&world, &[], VERIFIED);
    let mut rogue = rogue(&world);
    rogue.replace(2, other_entry());
    let fork = hand_in(&world, &rogue, 4);
    let reports = watch(&world, &["--source", &fork], EVIDENCE);
    assert_eq!(of_code(&reports, "fork").len(), 1, "{reports:?}");
    convinces_a_stranger(&world);

    let evidence = evidence_files(&world).remove(0);
    let judged = |key: &str, exit: i32, code: &str| {
        let mut judge = world.client();
        judge.args(["--json", "evidence", "verify"]).arg(&evidence).args(["--log-key", key]);
        assert_eq!(Finished::run(&mut judge).expect(exit).json()["code"], code);
    };
    judged(&world.witness_vkey(0), REFUSED, "evidence-not-signed");
    // A witness may sign as many trees of one size as it likes: that says nothing of the log.
    let witness = fs::read_to_string(world.witness_dir(0).join("witness.key")).unwrap();
    let witness = CosignSigner::new(SecretKey::parse(witness.trim_end()).unwrap()).unwrap();
    let cosigned = |note: &SignedNote| {
        let line = witness.cosign(note.text(), UnixSeconds::new(1_800_000_000).unwrap()).unwrap();
        SignedNote::new(note.text().to_owned(), vec![line]).unwrap()
    };
    let fork = ForkEvidence::parse(&fs::read(&evidence).unwrap()).unwrap();
    let (smaller, larger) = (cosigned(fork.smaller()), cosigned(fork.larger()));
    let forged = ForkEvidence::new(smaller, larger, *fork.root(), fork.proof().clone());
    fs::write(&evidence, forged.encode()).unwrap();
    judged(&world.witness_vkey(0), REFUSED, "evidence-not-of-the-log");
}

#[test]
fn keys_are_made_for_what_can_be_signed_with_them() {
    let world = World::prepare_ml_dsa(Kind::Raw, 0, 0);
    let keygen = |kind: &str, out: &str| {
        let mut made = world.client();
        made.args(["--json", "keygen", "log.example/main", "--algorithm", "ml-dsa-44", "--kind", kind]);
        Finished::run(made.args(["--out", out]))
    };
    for kind in ["log", "witness"] {
        let made = keygen(kind, &format!("{kind}.key")).expect(VERIFIED);
        let key = VerifierKey::parse(made.json()["vkey"].as_str().unwrap()).unwrap();
        assert_eq!(key.algorithm(), Algorithm::MlDsa44);
    }
    assert_eq!(keygen("record", "record.key").expect(USAGE).json()["code"], "key-no-ml-dsa-record");
    assert!(!world.file("record.key").exists());
}
