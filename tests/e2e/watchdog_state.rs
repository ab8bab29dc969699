//! What the watchdog keeps between its rounds: a fork stays said, evidence is for others, damage on its own
//! disk is nobody's fault.

use std::fs;
use std::path::Path;

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::VerifierKey;
use indelible_proto::size::TreeSize;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, World, http};

use crate::exit::{EVIDENCE, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::watchdog_bench::{
    Watchdog, convinces_a_stranger, entries, evidence_files, hand_in, of_code, other_entry, publish, rogue,
    watch, watch_command, watched_world_of,
};

#[test]
fn a_fork_stays_said_until_a_person_clears_it() {
    let world = watched_world_of(4);
    let mut rogue = rogue(&world);
    rogue.replace(1, other_entry());
    let fork = hand_in(&world, &rogue, 4);
    watch(&world, &["--source", &fork], EVIDENCE);
    let evidence = evidence_files(&world);
    assert_eq!(evidence.len(), 1);
    for _ in 0..2 {
        let reports = watch(&world, &[], EVIDENCE);
        assert_eq!(of_code(&reports, "latched").len(), 1, "{reports:?}");
    }
    // Growth does not make it unsaid.
    publish(&world, &mut Publisher::new("vendor.example/other", 2), b"");
    watch(&world, &[], EVIDENCE);
    watch(&world, &["--clear"], VERIFIED);
    watch(&world, &[], VERIFIED);
    assert_eq!(evidence_files(&world), evidence, "evidence is never deleted");
    // Shown again, it is said again.
    watch(&world, &["--source", &fork], EVIDENCE);
}

#[test]
fn evidence_is_verified_by_a_stranger_with_an_exit_code_for_each_answer() {
    let world = watched_world_of(4);
    let mut rogue = rogue(&world);
    rogue.replace(1, other_entry());
    watch(&world, &["--source", &hand_in(&world, &rogue, 4)], EVIDENCE);
    let evidence = evidence_files(&world).remove(0);
    let judge = |file: &Path, args: &[&str]| {
        let mut judge = world.client();
        judge.env_clear().args(["--json", "evidence", "verify"]).arg(file).args(args);
        Finished::run(&mut judge)
    };
    let log_key = world.log_vkey();
    let told = judge(&evidence, &["--log-key", &log_key]).expect(VERIFIED).json();
    assert_eq!(
        (&told["kind"], &told["smaller"]["size"], &told["larger"]["size"]),
        (&"fork".into(), &4.into(), &4.into())
    );
    judge(&evidence, &["--policy", world.policy().to_str().unwrap()]).expect(VERIFIED);
    let other = World::prepare(Kind::Raw, 0, 0).log_vkey();
    judge(&evidence, &["--log-key", &other]).expect(REFUSED);
    judge(&evidence, &["--log-key", &world.witness_vkey(0)]).expect(USAGE);
    judge(&world.file("none"), &["--log-key", &log_key]).expect(UNDECIDED);
    judge(&evidence, &[]).expect(USAGE);
    judge(&evidence, &["--log-key", "nonsense"]).expect(USAGE);

    let good = fs::read(&evidence).unwrap();
    let key = VerifierKey::parse(&log_key).unwrap();
    let proves =
        |bytes: &[u8]| ForkEvidence::parse(bytes).is_ok_and(|evidence| evidence.verify(&key).is_ok());
    assert!(proves(&good));
    let file = world.file("doctored");
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        // Lines of witnesses are of no account, so they may change. Whatever the file says then, it cannot
        // be what nobody signed.
        if let Ok(evidence) = ForkEvidence::parse(&changed)
            && let Ok(fork) = evidence.verify(&key)
        {
            let (smaller, larger) = (ForkEvidence::parse(&good).unwrap(), &evidence);
            assert_eq!(
                (smaller.smaller().text(), smaller.larger().text()),
                (larger.smaller().text(), larger.larger().text())
            );
            assert_ne!(fork.smaller().root, *fork.true_root());
        }
        if at.is_multiple_of(67) {
            fs::write(&file, &changed).unwrap();
            let exit = if proves(&changed) { VERIFIED } else { REFUSED };
            judge(&file, &["--log-key", &log_key]).expect(exit);
        }
    }
    for bytes in [&good[1..], &good[..good.len() - 1], &[good.as_slice(), b"\n"].concat(), b""] {
        fs::write(&file, bytes).unwrap();
        judge(&file, &["--log-key", &log_key]).expect(REFUSED);
    }
    // Two checkpoints of one history prove nothing, whatever is claimed of them.
    let honest = Rogue::new(&world.log_dir().join("log.key"), entries(&world));
    let (four, three) = (TreeSize::new(4).unwrap(), TreeSize::new(3).unwrap());
    let claim = ForkEvidence::new(
        honest.checkpoint(three),
        honest.checkpoint(four),
        honest.head(three).root,
        honest.consistency(three, four),
    );
    fs::write(&file, claim.encode()).unwrap();
    judge(&file, &["--log-key", &log_key]).expect(REFUSED);
}

#[test]
fn a_running_watchdog_stops_when_told_and_ends_by_itself_on_evidence() {
    let world = watched_world_of(3);
    let shown = world.file("shown");
    fs::write(&shown, http::get(world.log().address(), "/checkpoint").expect(200).body).unwrap();
    let watchdog = Watchdog::start(&world, &shown);
    watchdog.until_it_has_looked();
    watchdog.terminate();
    assert_eq!(watchdog.exit_code(), Some(VERIFIED));

    // Killed in the middle of whatever it does, the next one goes on.
    drop(Watchdog::start(&world, &shown));
    let watchdog = Watchdog::start(&world, &shown);
    let mut rogue = rogue(&world);
    rogue.replace(1, other_entry());
    fs::write(&shown, rogue.checkpoint(rogue.size()).encode()).unwrap();
    assert_eq!(watchdog.exit_code(), Some(EVIDENCE));
    convinces_a_stranger(&world);
}

#[test]
fn two_watchdogs_do_not_share_a_state() {
    let world = watched_world_of(3);
    let shown = world.file("shown");
    fs::write(&shown, http::get(world.log().address(), "/checkpoint").expect(200).body).unwrap();
    let first = Watchdog::start(&world, &shown);
    first.until_it_has_looked();
    let second = Finished::run(&mut watch_command(&world, &["--once"])).expect(UNDECIDED);
    assert_eq!(second.json()["exit"], UNDECIDED);
    drop(first);
    watch(&world, &[], VERIFIED);
}

#[test]
fn damage_of_the_watchdogs_own_files_is_local_damage() {
    let world = watched_world_of(3);
    watch(&world, &[], VERIFIED);
    let held = walkdir::WalkDir::new(world.file("watchdog"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .find(|path| path.file_name().is_some_and(|name| name == "held"))
        .unwrap();
    let whole = fs::read(&held).unwrap();
    for bytes in [Vec::new(), vec![0; whole.len()], whole[..whole.len() / 2].to_vec()] {
        fs::write(&held, bytes).unwrap();
        let told = Finished::run(&mut watch_command(&world, &["--once"])).expect(UNDECIDED).json();
        assert_eq!(told["code"], "state-damaged");
    }
    assert!(evidence_files(&world).is_empty());
    fs::remove_file(&held).unwrap();
    watch(&world, &[], VERIFIED);
}

#[test]
fn says_what_it_cannot_reach_and_accuses_nobody_of_it() {
    let mut world = watched_world_of(3);
    watch(&world, &[], VERIFIED);
    world.take_witness(0).kill();
    let reports = watch(&world, &[], UNDECIDED);
    assert_eq!(of_code(&reports, "unread").len(), 1, "{reports:?}");
    world.take_log().kill();
    let reports = watch(&world, &[], UNDECIDED);
    assert!(reports.iter().all(|report| report["accusesLog"] != true), "{reports:?}");
    world.start_log();
    world.start_witness(0);
    watch(&world, &[], VERIFIED);
}
