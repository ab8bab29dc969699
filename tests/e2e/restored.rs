//! Directories that are not what they were: missing, used twice, restored from an old copy. A log that would
//! sign a second history of itself does not start.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use indelible_tests::filling::fill;
use indelible_tests::world::{Kind, ORIGIN};
use indelible_tests::{Finished, Running, World, http};

use crate::REFUSES_TO_SIGN;

const FAILED: i32 = 1;

#[test]
fn run_never_makes_a_log() {
    let world = World::prepare(Kind::Raw, 0, 0);
    let empty = world.file("empty");
    fs::create_dir(&empty).unwrap();
    let refused = run(&world, &empty).expect(FAILED);
    assert!(refused.stderr.contains("indelible-server init"), "{refused}");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    run(&world, &world.file("none")).expect(FAILED);
    assert!(!world.file("none").exists());
}

#[test]
fn a_log_that_lost_its_data_is_not_started_empty_under_its_key() {
    for lost in ["data", "data/journal", "data/journal/0000000000000000", "log.key", "policy.txt", "log.toml"]
    {
        let mut world = raw_log_of(3);
        let path = world.log_dir().join(lost);
        world.take_log().kill();
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let refused = world.try_start_log().unwrap_err();
        // Without data it could sign another history; without key or settings it can't even try.
        let expected = if lost.starts_with("data") { REFUSES_TO_SIGN } else { FAILED };
        assert_eq!(refused.code(), expected, "without {lost}: {refused}");
        assert!(
            expected == FAILED || refused.stderr.contains("restore undamaged data"),
            "without {lost}: {refused}"
        );
        assert!(!path.exists(), "{lost} was made anew");
    }
}

/// The newest data, and damaged: the log says so, what to do, and that starting it again does not help.
#[test]
fn damaged_data_is_not_signed_over() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let flip = |bytes: &mut Vec<u8>| bytes[100] ^= 1;
    for (file, damage) in [
        ("data/tile/0/000", &flip as &dyn Fn(&mut Vec<u8>)),
        ("data/tile/0/000", &cut),
        ("data/journal/0000000000000000", &flip),
        ("data/journal/0000000000000000", &cut),
    ] {
        let mut world = World::prepare(Kind::Raw, 0, 0);
        fill(&world.log_dir(), 300);
        let path = world.log_dir().join(file);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
        assert!(refused.stderr.contains("restore undamaged data"), "{refused}");
        assert!(refused.stderr.contains("indelible-server fsck"), "{refused}");
    }
}

#[test]
fn init_overwrites_nothing() {
    let mut world = raw_log_of(3);
    world.take_log().kill();
    let before = contents(&world.log_dir());
    let mut init = world.server();
    init.arg("init").arg(world.log_dir()).args(["--origin", ORIGIN, "--no-witnesses"]);
    Finished::run(&mut init).expect(FAILED);
    assert!(contents(&world.log_dir()) == before);
    // Nor over a part of a log.
    for kept in ["log.key", "policy.txt", "data"] {
        let dir = world.file(format!("only {kept}"));
        fs::create_dir(&dir).unwrap();
        copy(&world.log_dir().join(kept), &dir.join(kept));
        let mut init = world.server();
        init.arg("init").arg(&dir).args(["--origin", ORIGIN, "--no-witnesses"]);
        Finished::run(&mut init).expect(FAILED);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "beside {kept}");
    }
}

#[test]
fn a_second_server_does_not_use_the_directory_of_a_running_one() {
    let world = raw_log_of(3);
    let refused = run(&world, &world.log_dir());
    let refused = refused.expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("another process") && refused.stderr.contains("stop it"), "{refused}");
    add(&world, 3, 4);
    let reader = world.reader();
    assert_eq!(reader.entries(&reader.published(4).head()).len(), 4);
}

#[test]
fn data_restored_from_before_what_was_published_is_not_signed_over() {
    let (mut world, old) = grown_since_copy(0);
    // The backup had everything but the file that all readers have copies of.
    let published = fs::read(world.log_dir().join("data/checkpoint")).unwrap();
    restore(&world, &old);
    fs::write(world.log_dir().join("data/checkpoint"), published).unwrap();
    let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("old copy") && refused.stderr.contains("restore"), "{refused}");
}

#[test]
fn data_restored_from_before_what_a_witness_saw_is_not_signed_over() {
    let (mut world, old) = grown_since_copy(1);
    restore(&world, &old);
    let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("witness.example/w0"), "{refused}");
    // It is no better the second time, nor does it write anything that would make it so.
    world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
}

/// The gap that comparing with witnesses leaves: none of them can be reached when the old copy is started.
#[test]
fn an_old_copy_signs_nothing_while_a_witness_that_must_answer_is_away() {
    let (mut world, old) = grown_since_copy(1);
    let set = |world: &World| {
        let path = world.log_dir().join("log.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("must_answer = []", "must_answer = [\"witness.example/w0\"]");
        fs::write(&path, text.replace("wait_s = 30", "wait_s = 0")).unwrap();
    };
    restore(&world, &old);
    set(&world);
    world.take_witness(0).kill();
    let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    let (_, token) = refused.stderr.split_once("--sign-anyway ").unwrap();
    let token = token.split(';').next().unwrap().to_owned();
    assert!(refused.stderr.contains("witness.example/w0"), "{refused}");
    // Not with another token, and not by itself the second time.
    let anyway = |world: &World, token: &str| {
        let mut run = world.server();
        Finished::run(run.arg("run").arg(world.log_dir()).args(["--sign-anyway", token]))
    };
    anyway(&world, &token.replace(|_| true, "0")).expect(REFUSES_TO_SIGN);
    world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    // Once the witness is back, it is known that the copy is old, and that no token overrules.
    world.start_witness(0);
    let known = anyway(&world, &token).expect(REFUSES_TO_SIGN);
    assert!(known.stderr.contains("old or incomplete copy"), "{known}");
    assert!(!world.log_dir().join("overruled").exists());
}

#[test]
fn newest_data_restored_goes_on() {
    let (mut world, old) = grown_since_copy(1);
    let newest = world.file("newest");
    copy(&world.log_dir(), &newest);
    restore(&world, &old);
    world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    restore(&world, &newest);
    world.start_log();
    add(&world, 6, 7);
    let reader = world.reader();
    assert_eq!(reader.entries(&reader.published(7).head()).len(), 7);
}

#[test]
fn the_data_of_another_log_of_the_same_name_is_not_signed_over() {
    let mut world = raw_log_of(3);
    let other = raw_log_of(5);
    world.take_log().kill();
    fs::remove_dir_all(world.log_dir().join("data")).unwrap();
    copy(&other.log_dir().join("data"), &world.log_dir().join("data"));
    world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
}

#[test]
fn a_journal_cut_below_what_was_published_is_not_signed_over() {
    let mut world = raw_log_of(12);
    world.reader().published(12);
    world.take_log().kill();
    let journal = world.log_dir().join("data/journal/0000000000000000");
    let bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = bytes.clone();
    torn[end - 100..=end].fill(0);
    fs::write(&journal, &torn).unwrap();
    world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    fs::write(&journal, &bytes).unwrap();
    world.start_log();
}

#[test]
fn a_journal_damaged_before_its_end_is_not_opened() {
    let mut world = raw_log_of(12);
    world.reader().published(12);
    world.take_log().kill();
    let journal = world.log_dir().join("data/journal/0000000000000000");
    let bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    // The header, an early append, one in the middle.
    for at in [20, 4096 + 200, end / 2] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&journal, &damaged).unwrap();
        let refused = world.try_start_log().unwrap_err();
        assert!([FAILED, REFUSES_TO_SIGN].contains(&refused.code()), "byte {at}: {refused}");
        assert!(fs::read(&journal).unwrap() == damaged, "byte {at}: the damage was written over");
    }
    fs::write(&journal, &bytes).unwrap();
    world.start_log();
}

/// A running log without witnesses that has taken `count` entries.
fn raw_log_of(count: usize) -> World {
    let world = World::start(Kind::Raw, 0, 0);
    add(&world, 0, count);
    world
}

/// A stopped log of six entries, and a copy of its directory as it was with three of them.
fn grown_since_copy(witnesses: usize) -> (World, std::path::PathBuf) {
    let mut world = World::start(Kind::Raw, witnesses, witnesses);
    let old = world.file("old");
    add(&world, 0, 3);
    world.reader().published(3);
    assert!(world.take_log().stop().success());
    copy(&world.log_dir(), &old);
    world.start_log();
    add(&world, 3, 6);
    world.reader().published(6);
    assert!(world.take_log().stop().success());
    (world, old)
}

fn add(world: &World, from: usize, to: usize) {
    for entry in from..to {
        http::post(world.log().address(), "/add", format!("entry {entry}").as_bytes()).expect(200);
    }
}

/// `indelible-server run`, which is expected to end by itself. The port is another one, so that it is the
/// directory that decides.
fn run(world: &World, dir: &Path) -> Finished {
    let args: [&OsStr; 4] = ["run".as_ref(), dir.as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
    Running::try_start(&World::binaries().server, &args, &world.file("second-log.out")).unwrap_err()
}

fn restore(world: &World, copied: &Path) {
    fs::remove_dir_all(world.log_dir()).unwrap();
    copy(copied, &world.log_dir());
}

/// Copies a file or a folder, permissions included.
fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Every file below a folder with its content.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().is_file());
    files.map(|file| (file.path().to_owned(), fs::read(file.path()).unwrap())).collect()
}
