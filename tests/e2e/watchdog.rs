//! The watchdog beside a real log and its witnesses: quiet while all is well, and loud, for ever and with a
//! file that convinces others, once the log has shown somebody another history.

use std::fs;

use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, World, http};
use serde_json::Value;

use crate::exit::{EVIDENCE, REFUSED, UNDECIDED, VERIFIED};
use crate::watchdog_bench::{
    convinces_a_stranger, evidence_files, hand_in, of_code, other_entry, publish, rogue, watch,
    watched_world, watched_world_of,
};

#[test]
fn is_quiet_about_a_log_that_only_grows() {
    let mut world = watched_world();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let mut held = 0;
    for round in 0..4 {
        for number in 0..round {
            publish(&world, &mut publisher, format!("release {round}.{number}").as_bytes());
        }
        // A copy that somebody kept of an earlier checkpoint fits, too.
        let copy = world.file(format!("copy-{round}"));
        fs::write(&copy, http::get(world.log().address(), "/checkpoint").expect(200).body).unwrap();
        let copies: Vec<String> =
            (0..=round).map(|n| world.file(format!("copy-{n}")).display().to_string()).collect();
        let sources: Vec<&str> = copies.iter().flat_map(|copy| ["--source", copy]).collect();
        let reports = watch(&world, &sources, VERIFIED);
        let read = of_code(&reports, "entries-match");
        if round > 0 {
            // Goes on where the round before ended.
            assert_eq!((read.len(), &read[0]["from"]), (1, &held.into()), "{read:?}");
            held = read[0]["head"]["size"].as_u64().unwrap();
        }
        if round == 2 {
            world.take_log().kill();
            world.start_log();
        }
    }
    assert_eq!(held, 6);
    assert!(evidence_files(&world).is_empty());
}

#[test]
fn another_tree_of_the_same_size_is_evidence() {
    let world = watched_world_of(5);
    watch(&world, &[], VERIFIED);
    let mut rogue = rogue(&world);
    rogue.replace(2, other_entry());
    let fork = hand_in(&world, &rogue, 5);
    let reports = watch(&world, &["--source", &fork], EVIDENCE);
    let found = of_code(&reports, "fork");
    assert_eq!((found.len(), &found[0]["accusesLog"]), (1, &true.into()), "{reports:?}");
    convinces_a_stranger(&world);
    assert!(found[0]["evidenceFile"].as_str().unwrap().contains("evidence/fork-5-"));
}

#[test]
fn an_earlier_tree_that_was_never_part_of_the_log_is_evidence() {
    let world = watched_world_of(5);
    watch(&world, &[], VERIFIED);
    let mut rogue = rogue(&world);
    rogue.replace(2, other_entry());
    let fork = hand_in(&world, &rogue, 3);
    let reports = watch(&world, &["--source", &fork], EVIDENCE);
    assert_eq!(of_code(&reports, "fork").len(), 1, "{reports:?}");
    convinces_a_stranger(&world);
}

#[test]
fn an_earlier_tree_that_was_part_of_the_log_is_none() {
    let world = watched_world_of(5);
    watch(&world, &[], VERIFIED);
    let mut rogue = rogue(&world);
    // The lie begins after it.
    rogue.replace(3, other_entry());
    for size in [1, 2, 3] {
        let honest = hand_in(&world, &rogue, size);
        watch(&world, &["--source", &honest], VERIFIED);
    }
    let fork = hand_in(&world, &rogue, 4);
    watch(&world, &["--source", &fork], EVIDENCE);
}

#[test]
fn a_larger_tree_of_another_history_is_evidence_once_anyone_has_its_tiles() {
    let world = watched_world_of(5);
    watch(&world, &[], VERIFIED);
    let mut rogue = rogue(&world);
    rogue.replace(2, other_entry());
    for _ in 0..300 {
        rogue.push(other_entry());
    }
    // The note alone shows nothing: the log may have grown to it. That is said, and kept for later.
    let fork = hand_in(&world, &rogue, rogue.size().get());
    let reports = watch(&world, &["--source", &fork], UNDECIDED);
    assert_eq!(of_code(&reports, "unproven").len(), 1, "{reports:?}");
    assert!(evidence_files(&world).is_empty());
    // Whoever was shown that tree could verify something in it, so its tiles are somewhere.
    let mirror = world.file("mirror");
    rogue.write_mirror(&mirror);
    let reports = watch(&world, &["--source", mirror.to_str().unwrap()], EVIDENCE);
    assert!(!of_code(&reports, "fork").is_empty(), "{reports:?}");
    convinces_a_stranger(&world);
}

#[test]
fn a_mirror_that_is_behind_or_ahead_of_the_log_is_none() {
    let world = watched_world_of(5);
    let mirror = world.file("mirror");
    rogue(&world).write_mirror(&mirror);
    watch(&world, &[], VERIFIED);
    let mut publisher = Publisher::new("vendor.example/other", 2);
    for number in 0..3 {
        publish(&world, &mut publisher, format!("{number}").as_bytes());
    }
    watch(&world, &["--source", mirror.to_str().unwrap()], VERIFIED);
    rogue(&world).write_mirror(&mirror);
    watch(&world, &["--source", mirror.to_str().unwrap()], VERIFIED);
}

#[test]
fn what_is_not_signed_by_the_log_is_complained_about_and_is_no_evidence() {
    let world = watched_world_of(3);
    let other = World::prepare(Kind::Records, 0, 0);
    watch(&world, &[], VERIFIED);
    let checkpoint = http::get(world.log().address(), "/checkpoint").expect(200).text();
    let unsigned = checkpoint.replacen("\n3\n", "\n4\n", 1);
    assert_ne!(unsigned, checkpoint);
    let notes = [
        // A log of the same name that somebody else made.
        fs::read(other.log_dir().join("data/checkpoint")).unwrap(),
        unsigned.into_bytes(),
        checkpoint.replace("log.example/updates", "log.example/else").into_bytes(),
        b"<html>not found</html>".to_vec(),
        b"\0".to_vec(),
        Vec::new(),
    ];
    for (number, note) in notes.iter().enumerate() {
        let file = world.file(format!("note-{number}"));
        fs::write(&file, note).unwrap();
        let reports = watch(&world, &["--source", file.to_str().unwrap()], UNDECIDED);
        let bad: Vec<&Value> = reports.iter().filter(|report| report["level"] == "undecided").collect();
        assert_eq!((bad.len(), &bad[0]["accusesLog"]), (1, &false.into()), "note {number}: {reports:?}");
    }
    assert!(evidence_files(&world).is_empty());
    // It is not held against anyone later.
    watch(&world, &[], VERIFIED);
}

#[test]
fn follows_a_log_of_any_bytes_too() {
    let world = World::start(Kind::Raw, 1, 1);
    for number in 0..300 {
        http::post(world.log().address(), "/add", format!("entry {number}").as_bytes()).expect(200);
    }
    world.reader().published(300);
    watch(&world, &["--raw"], VERIFIED);
    // Taken for a log of records, each of its entries is one that should not be there.
    let mut watch_records = world.client();
    watch_records.args(["watch", "--once", "--policy"]).arg(world.policy());
    Finished::run(watch_records.arg("--state").arg(world.file("another"))).expect(REFUSED);
}
