//! The watchdog beside a real log and its witnesses: quiet while all is well, and loud, for ever and with a
//! file that convinces others, once the log has shown somebody another history.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::VerifierKey;
use indelible_proto::size::TreeSize;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Rogue, World, http, wait_until};
use serde_json::Value;

use crate::exit::{EVIDENCE, REFUSED, UNDECIDED, USAGE, VERIFIED};

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
    let mut watchdog = start(&world, &shown);
    until_it_has_looked(&world);
    let pid = rustix::process::Pid::from_child(&watchdog);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(watchdog.wait().unwrap().code(), Some(VERIFIED));

    // Killed in the middle of whatever it does, the next one goes on.
    let mut watchdog = start(&world, &shown);
    watchdog.kill().unwrap();
    watchdog.wait().unwrap();
    let mut watchdog = start(&world, &shown);
    let mut rogue = rogue(&world);
    rogue.replace(1, other_entry());
    fs::write(&shown, rogue.checkpoint(rogue.size()).encode()).unwrap();
    assert_eq!(watchdog.wait().unwrap().code(), Some(EVIDENCE));
    convinces_a_stranger(&world);
}

#[test]
fn two_watchdogs_do_not_share_a_state() {
    let world = watched_world_of(3);
    let shown = world.file("shown");
    fs::write(&shown, http::get(world.log().address(), "/checkpoint").expect(200).body).unwrap();
    let mut first = start(&world, &shown);
    until_it_has_looked(&world);
    let second = Finished::run(&mut watch_command(&world, &["--once"])).expect(UNDECIDED);
    assert_eq!(second.json()["exit"], UNDECIDED);
    first.kill().unwrap();
    first.wait().unwrap();
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

/// A log of records that two of its three witnesses have to cosign.
fn watched_world() -> World {
    World::start(Kind::Records, 3, 2)
}

/// The same with so many records.
fn watched_world_of(records: usize) -> World {
    let world = watched_world();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    for number in 0..records {
        publish(&world, &mut publisher, format!("release {number}").as_bytes());
    }
    world
}

fn publish(world: &World, publisher: &mut Publisher, content: &[u8]) {
    let record = publisher.next(content);
    http::post(world.log().address(), "/submit", &record.encode()).expect(200);
    publisher.accepted(&record);
}

fn watch_command(world: &World, args: &[&str]) -> std::process::Command {
    let mut watch = world.client();
    watch.args(["--json", "watch", "--policy"]).arg(world.policy());
    watch.arg("--state").arg(world.file("watchdog")).args(args);
    watch
}

/// Looks once, and returns what was reported.
#[track_caller]
fn watch(world: &World, args: &[&str], exit: i32) -> Vec<Value> {
    let watched = Finished::run(watch_command(world, &["--once"]).args(args)).expect(exit);
    let mut lines: Vec<Value> =
        watched.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.pop().unwrap()["exit"], exit, "{watched}");
    lines
}

fn of_code<'a>(reports: &'a [Value], code: &str) -> Vec<&'a Value> {
    reports.iter().filter(|report| report["code"] == code).collect()
}

/// A watchdog that keeps looking, also at the checkpoint in `shown`.
fn start(world: &World, shown: &Path) -> Child {
    let mut watch = watch_command(world, &["--interval", "1", "--source"]);
    let output = fs::File::options().create(true).append(true).open(world.file("watchdog.out")).unwrap();
    watch.arg(shown).stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn().unwrap()
}

fn until_it_has_looked(world: &World) {
    wait_until("the watchdog has looked at the checkpoint it was shown", || {
        let said = fs::read_to_string(world.file("watchdog.out")).unwrap();
        said.lines().any(|line| line.contains("/shown") && line.contains("consistent")).then_some(())
    });
}

fn entries(world: &World) -> Vec<Entry> {
    let reader = world.reader();
    reader.entries(&reader.checkpoint().head())
}

/// The log's operator, with all that is in the log.
fn rogue(world: &World) -> Rogue {
    Rogue::new(&world.log_dir().join("log.key"), entries(world))
}

fn other_entry() -> Entry {
    Entry::new(b"an entry for one customer only".to_vec()).unwrap()
}

/// Writes the rogue's checkpoint of that size to a file, for the watchdog to be shown.
fn hand_in(world: &World, rogue: &Rogue, size: u64) -> String {
    let file = world.file(format!("handed-in-{size}"));
    fs::write(&file, rogue.checkpoint(TreeSize::new(size).unwrap()).encode()).unwrap();
    file.display().to_string()
}

fn evidence_files(world: &World) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(world.file("watchdog/evidence")) else { return Vec::new() };
    files.map(|entry| entry.unwrap().path()).collect()
}

/// There is one piece of evidence, and the log's key is enough to be convinced by it.
#[track_caller]
fn convinces_a_stranger(world: &World) {
    let evidence = evidence_files(world);
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    let mut judge = world.client();
    judge.env_clear().args(["evidence", "verify"]).arg(&evidence[0]).args(["--log-key", &world.log_vkey()]);
    Finished::run(&mut judge).expect(VERIFIED);
}
