//! A published rule set taken apart: its root from wherever it lies, and single files proved and verified
//! against its record.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use indelible_proto::hash::sha256;
use indelible_tests::Finished;

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::{RULES, Room, code};

fn bundle(room: &Room, args: &[&str]) -> Finished {
    Finished::run(room.client().arg("bundle").args(args).arg("--json"))
}

/// Root and number of files of a source, as `bundle root` gives them.
fn root(room: &Room, args: &[&str]) -> (String, String) {
    let root = bundle(room, &[&["root"], args].concat()).expect(VERIFIED).json();
    (root["root"].as_str().unwrap().to_owned(), root["files"].to_string())
}

fn sh(room: &Room, script: &str) {
    Finished::run(Command::new("sh").args(["-ec", script]).current_dir(room.file(""))).expect(0);
}

#[track_caller]
fn refuse(room: &Room, args: &[&str], exit: i32, reason: &str) {
    let finished = bundle(room, args).expect(exit);
    assert_eq!(code(&finished), reason, "{finished}");
}

const RECORD: [&str; 6] = ["--record", "rules.tlog-proof", "--policy", "policy.txt", "--channel", "channel"];

#[test]
fn the_root_is_that_of_the_record_wherever_the_files_lie() {
    let room = Room::new();
    let verified = room.verify_of_vendor(&["rules", "--json"]).expect(VERIFIED).json();
    sh(
        &room,
        "tar cf a.tar -C rules . && tar czf b.tar.gz rules && tar cf c.tar --format=posix -C rules linux.yml windows",
    );
    sh(&room, "cd rules && find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2 > ../listing");
    let expected = (verified["bundleRoot"].as_str().unwrap().to_owned(), RULES.len().to_string());
    for args in [
        &["rules"][..],
        &["rules/"],
        &["a.tar"],
        &["b.tar.gz", "--folder", "rules"],
        &["c.tar"],
        &["--listing", "listing"],
        &[".", "--folder", "rules"],
    ] {
        assert_eq!(root(&room, args), expected, "{args:?}");
    }
    let mut piped = room.client();
    piped.args(["bundle", "root", "--listing", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut piped = piped.spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&room.read("listing")).unwrap();
    let piped = piped.wait_with_output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains(&expected.0));

    refuse(&room, &["root", "b.tar.gz", "--folder", "windows"], USAGE, "archive-outside-folder");
    refuse(&room, &["root", "agent-1"], USAGE, "archive-unknown-kind");
    refuse(&room, &["root", "none"], USAGE, "artifact-missing");
    fs::write(room.file("cut.tar.gz"), &room.read("b.tar.gz")[..100]).unwrap();
    refuse(&room, &["root", "cut.tar.gz"], USAGE, "archive-truncated");
    sh(&room, "ln -s linux.yml rules/link.yml && tar cf link.tar -C rules .");
    refuse(&room, &["root", "link.tar"], USAGE, "archive-not-regular");
    refuse(&room, &["root", "rules"], USAGE, "artifact-not-regular");
    sh(&room, "LC_ALL=C sort -r -k2 listing > reversed");
    refuse(&room, &["root", "--listing", "reversed"], USAGE, "bundle-listing-order");
}

/// Most bytes of memory that a line of a listing may cost: 16, in vectors that double, and what the doubling leaves.
const LINE_MEMORY: u64 = 40;

#[test]
fn a_long_listing_is_not_kept_in_memory() {
    const LINES: u64 = 300_000;
    let room = Room::new();
    let mut command = room.client();
    command.args(["bundle", "root", "--json", "--listing", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let digest = sha256(b"");
    let mut bytes = 0;
    let mut lines = |from: u64, to: u64| {
        for folder in from / 1000..to / 1000 {
            let line = |n: u64| format!("{digest}  folder-{folder:03}/{}-{n:03}\n", "a".repeat(150));
            let text: String = (0..1000).map(line).collect();
            bytes += text.len() as u64;
            // A pipe holds less than one of these, so what was written before is read.
            input.write_all(text.as_bytes()).unwrap();
        }
    };
    lines(0, 2000);
    let before = peak_kib(child.id());
    lines(2000, LINES);
    let grown = (peak_kib(child.id()) - before) * 1024;
    assert!(grown <= LINES * LINE_MEMORY, "{grown} bytes for {LINES} lines");
    assert!(bytes > 4 * LINES * LINE_MEMORY, "the listing itself would fit");
    drop(input);
    let told = child.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["files"], LINES, "{told}");
    println!("{grown} bytes of memory for a listing of {LINES} lines and {bytes} bytes");
}

/// The most memory that a running process has had resident, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_file_is_verified_by_its_proof_and_the_record() {
    let room = Room::new();
    let (root, files) = root(&room, &["rules"]);
    let given = ["--root", &root, "--files", &files];
    bundle(&room, &["prove", "rules", "windows/a.yml", "--out", "one"]).expect(VERIFIED);
    bundle(&room, &["prove", "rules", "windows/b.yml", "linux.yml", "--out", "two"]).expect(VERIFIED);
    // The customer has these files and no others.
    sh(&room, "mkdir some && cp -r rules/windows some/");
    let of = |paths: &[&str], proof: &str, how: &[&str]| {
        let args = [&["verify"], paths, &["--dir", "some", "--proof", proof], how].concat();
        bundle(&room, &args)
    };
    for how in [
        &RECORD[..],
        &given,
        &["--record", "rules.tlog-proof", "--policy", "policy.txt", "--key", "vendor.vkey"],
    ] {
        let told = of(&["windows/a.yml"], "one", how).expect(VERIFIED).json();
        // By the record's proof alone, some of what `verify` checks stays open, and that is said.
        let open = told["notChecked"].as_array().unwrap().iter().map(|what| what.as_str().unwrap());
        assert_eq!(open.filter(|what| what.contains("withdraws")).count(), usize::from(how[0] == "--record"));
        of(&[], "one", how).expect(VERIFIED);
        of(&["windows/b.yml"], "two", how).expect(VERIFIED);
    }
    for (paths, proof, how, exit, reason) in [
        // Proved, but not there; there, but not proved.
        (&[][..], "two", &RECORD[..], USAGE, "artifact-missing"),
        (&["windows/b.yml"], "one", &RECORD, REFUSED, "bundle-file-not-proved"),
        (&["a.yml"], "one", &RECORD, REFUSED, "bundle-file-not-proved"),
        (&["windows/a.yml"], "one", &["--root", &root, "--files", "9"], REFUSED, "bundle-proof-hash-count"),
        (&["windows/a.yml"], "one", &["--root", &root, "--files", "0"], REFUSED, "bundle-file-count"),
        (&["windows/a.yml"], "one", &["--root", "abc", "--files", "3"], USAGE, "bundle-root-form"),
        (&["windows/a.yml"], "rules.tlog-proof", &RECORD, REFUSED, "unexpected-word"),
    ] {
        let finished = of(paths, proof, how).expect(exit);
        assert_eq!(code(&finished), reason, "{paths:?} {proof} {how:?}");
    }
    fs::write(room.file("some/windows/a.yml"), "title: evil\n").unwrap();
    for how in [&RECORD[..], &given] {
        let finished = of(&["windows/a.yml"], "one", how).expect(REFUSED);
        assert_eq!(code(&finished), "bundle-file-mismatch");
    }
    fs::remove_file(room.file("some/windows/a.yml")).unwrap();
    std::os::unix::fs::symlink("b.yml", room.file("some/windows/a.yml")).unwrap();
    assert_eq!(code(&of(&["windows/a.yml"], "one", &given).expect(USAGE)), "artifact-not-regular");
}

#[test]
fn a_record_that_is_not_verified_vouches_for_no_file() {
    let room = Room::new();
    bundle(&room, &["prove", "rules", "windows/a.yml", "--out", "one"]).expect(VERIFIED);
    let by = |how: &[&str], exit: i32, reason: &str| {
        let args = [&["verify", "--dir", "rules", "--proof", "one", "--policy", "policy.txt"], how].concat();
        refuse(&room, &args, exit, reason);
    };
    by(&["--record", "rules.tlog-proof"], UNDECIDED, "no-trusted-keys");
    by(&["--record", "rules.tlog-proof", "--key", "evil.vkey"], REFUSED, "record-not-signed");
    by(&["--record", "agent-1.tlog-proof", "--channel", "channel"], REFUSED, "record-of-no-bundle");
    by(&["--record", "evil.tlog-proof", "--key", "evil.vkey"], REFUSED, "record-of-no-bundle");
    let mut bent = room.read("rules.tlog-proof");
    let index = bent.windows(6).position(|six| six == b"index ").unwrap() + 6;
    bent[index] = if bent[index] == b'1' { b'2' } else { b'1' };
    room.write("bent", &bent);
    let finished = bundle(
        &room,
        &[
            "verify",
            "--dir",
            "rules",
            "--proof",
            "one",
            "--policy",
            "policy.txt",
            "--channel",
            "channel",
            "--record",
            "bent",
        ],
    );
    assert_eq!(finished.code(), REFUSED, "{finished}");
}

#[test]
fn absence_is_proved_of_what_is_absent_only() {
    let room = Room::new();
    for (path, out) in [("windows/a.yml.bak", "between"), ("a", "before"), ("zzz", "after")] {
        bundle(&room, &["prove", "rules", "--absent", path, "--out", out]).expect(VERIFIED);
        bundle(&room, &[&["verify", "--absent", path, "--proof", out], &RECORD[..]].concat())
            .expect(VERIFIED);
    }
    refuse(&room, &["prove", "rules", "--absent", "linux.yml", "--out", "x"], REFUSED, "bundle-file-present");
    refuse(&room, &["prove", "rules", "windows/evil.yml", "--out", "x"], USAGE, "bundle-file-missing");
    refuse(&room, &["prove", "rules", "linux.yml", "--out", "between"], USAGE, "file-exists");
    for path in ["windows/a.yml", "windows/b.yml", "linux.yml", "zzz"] {
        let args = [&["verify", "--absent", path, "--proof", "between"], &RECORD[..]].concat();
        refuse(&room, &args, REFUSED, "bundle-proof-other-place");
    }
    // Whoever asks for files is not answered by what is absent, nor the reverse.
    refuse(
        &room,
        &[&["verify", "--proof", "between"], &RECORD[..]].concat(),
        REFUSED,
        "bundle-proof-other-claim",
    );
    bundle(&room, &["prove", "rules", "linux.yml", "--out", "present"]).expect(VERIFIED);
    let args = [&["verify", "--absent", "a", "--proof", "present"], &RECORD[..]].concat();
    refuse(&room, &args, REFUSED, "bundle-proof-other-claim");
}
