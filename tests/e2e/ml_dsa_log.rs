//! A log and witnesses that sign with ML-DSA-44 keys, from the first record to the last check, with the real programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use indelible_proto::checkpoint::Origin;
use indelible_proto::cosignature::Cosignature;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::{Algorithm, SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_proto::time::UnixSeconds;
use indelible_proto::witness_api::checkpoint_path;
use indelible_tests::shop::{CHANNEL, Shop};
use indelible_tests::world::{Kind, free_address};
use indelible_tests::{Finished, Publisher, Running, World, http, wait_until};

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

/// One witness runs twice under one name, with a key of each algorithm: it is one member of the quorum, and either of
/// its programs is enough.
#[test]
fn a_witness_with_a_program_for_each_key_is_one_witness() {
    let home = World::prepare(Kind::Raw, 0, 0);
    let binaries = World::binaries();
    let made = |dir: &str, name: &str, keys: &[&str]| {
        let (dir, address) = (home.file(dir), free_address());
        let mut init = Command::new(&binaries.witness);
        init.arg("init").arg(&dir).args(["--name", name, "--listen", &address]);
        let vkey = Finished::run(init.args(keys)).expect(0).stdout;
        (dir, format!("{} http://{address}", vkey.trim()))
    };
    let witnesses = [
        made("a", "witness.example/a", &[]),
        made("a-ml-dsa", "witness.example/a", &["--algorithm", "ml-dsa-44"]),
        made("b", "witness.example/b", &[]),
    ];
    let log = home.file("witnessed");
    let mut init = home.server();
    init.arg("init").arg(&log).args([
        "--origin",
        "log.example/two",
        "--kind",
        "raw",
        "--listen",
        &free_address(),
    ]);
    for (_, named) in &witnesses {
        init.args(["--witness", named]);
    }
    let vkey = Finished::run(init.args(["--quorum", "2"])).expect(0).stdout;
    let policy = Policy::parse(&fs::read(log.join("policy.txt")).unwrap()).unwrap();
    let run = |dir: &Path| {
        let mut add = Command::new(&binaries.witness);
        Finished::run(add.arg("add-log").arg(dir).arg(vkey.trim())).expect(0);
        Running::start(&binaries.witness, &["run".as_ref(), dir.as_os_str()], &dir.join("out"))
    };
    let [a, a_ml_dsa, b] = [0, 1, 2].map(|n| run(&witnesses[n].0));
    let server = Running::start(&binaries.server, &["run".as_ref(), log.as_os_str()], &log.join("out"));
    let cosigned = |size: u64, keys: &[usize]| {
        http::post(server.address(), "/add", format!("entry {size}").as_bytes()).expect(200);
        let verified = wait_until("the log publishes the entry with these cosignatures", || {
            let note =
                SignedNote::parse(&http::get(server.address(), "/checkpoint").expect(200).body).unwrap();
            let verified = policy.verify(&note).ok().filter(|verified| verified.head().size.get() == size)?;
            (policy.verified_cosignatures(&note).unwrap().len() >= keys.len()).then_some(verified)
        });
        let names: Vec<_> = verified.cosigners().iter().map(|by| by.witness.clone()).collect();
        let expected: Vec<_> = keys.iter().map(|place| policy.witnesses()[*place].name.clone()).collect();
        assert_eq!(names, expected);
    };
    cosigned(1, &[0, 1, 2]);
    a.stop();
    cosigned(2, &[1, 2]);
    // Without the other witness the two keys of this one are not enough: nothing is published.
    let a = run(&witnesses[0].0);
    b.stop();
    http::post(server.address(), "/add", b"entry 3").expect(200);
    wait_until("both keys of the one witness have cosigned", || {
        let served = |witness: &Running| {
            let latest =
                http::get(witness.address(), &checkpoint_path(&Origin::parse("log.example/two").unwrap()));
            latest.text().lines().nth(1).map(str::to_owned)
        };
        ([&a, &a_ml_dsa].iter().all(|witness| served(witness).as_deref() == Some("3"))).then_some(())
    });
    let note = SignedNote::parse(&http::get(server.address(), "/checkpoint").expect(200).body).unwrap();
    assert_eq!(policy.verify(&note).unwrap().head().size.get(), 2);
}
