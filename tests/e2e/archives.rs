//! Rules travel in archives. What the record is of is the directory: it is published from either and verified from
//! either, and a file that its record names by its hash stays a file, whatever it is called.

use std::fs;
use std::io::{Cursor, Write as _};
use std::process::Command;

use indelible_proto::record::{Predicate, SignedRecord};
use indelible_tests::Finished;
use indelible_tests::shop::{CHANNEL, Shop};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::{RULES, Room, code};

const VENDOR: [&str; 4] = ["--channel-name", CHANNEL, "--key", "publish.key"];
const SIGMA: [&str; 2] = ["--format", "sigma"];

fn sh(dir: &std::path::Path, script: &str) {
    Finished::run(Command::new("sh").args(["-ec", script]).current_dir(dir)).expect(0);
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The verdict on an archive by the proof of the room's `rules/`.
fn verify(room: &Room, archive: &str, more: &[&str]) -> Finished {
    let fixed = ["--proof", "rules.tlog-proof", "--no-state", "--json"];
    room.verify_of_vendor(&[&[archive], fixed.as_slice(), more].concat())
}

#[track_caller]
fn refuse(room: &Room, archive: &str, more: &[&str], reason: &str, word: &str) {
    let refused = verify(room, archive, more).expect(REFUSED);
    assert_eq!(code(&refused), reason, "{refused}");
    assert!(refused.stdout.contains(word), "no {word:?} in {refused}");
}

#[test]
fn what_was_published_from_a_directory_is_verified_from_any_archive_of_it() {
    let room = Room::new();
    sh(
        &room.file(""),
        "tar cf a.tar -C rules . && tar czf b.tgz -C rules linux.yml windows && tar czf c.tar.gz rules && \
         cp rules.tlog-proof a.tar.tlog-proof",
    );
    room.write("d.zip", zip_of(&RULES));
    let root = room.verify_of_vendor(&["rules", "--json"]).expect(VERIFIED).json()["bundleRoot"].clone();
    for (archive, more) in
        [("a.tar", &[][..]), ("b.tgz", &[]), ("d.zip", &[]), ("c.tar.gz", &["--folder", "rules"])]
    {
        let told = verify(&room, archive, more).expect(VERIFIED).json();
        assert_eq!(told["bundleRoot"], root, "{archive}");
        assert!(told["sha256"].is_string(), "{archive}");
    }
    // By the proof beside it, and guarded.
    let guard = ["guard", "--policy", "policy.txt", "--channel", "channel", "a.tar", "--", "true"];
    Finished::run(room.client().args(guard)).expect(VERIFIED);
    // The folder that everything is in is part of each path, unless it is named.
    refuse(&room, "c.tar.gz", &[], "artifact-mismatch", "--folder");
    refuse(&room, "c.tar.gz", &["--folder", "rules/windows"], "archive-outside-folder", "rules/linux.yml");
    assert_eq!(code(&verify(&room, "rules", &["--folder", "windows"]).expect(USAGE)), "folder-of-no-archive");
    // Nothing but the archive's own bytes say that it is good.
    let by_nobody = ["a.tar", "--policy", "policy.txt", "--key", "evil.vkey", "--no-state", "--json"];
    let refused = Finished::run(room.client().arg("verify").args(by_nobody)).expect(REFUSED);
    assert_eq!(code(&refused), "record-not-signed");
}

#[test]
fn a_tampered_archive_is_refused_and_the_reason_named() {
    let room = Room::new();
    sh(&room.file(""), "tar cf good.tar -C rules . && tar czf good.tar.gz -C rules .");
    let tampered = [
        ("changed", "echo evil >> x/linux.yml"),
        ("missing", "rm x/linux.yml"),
        ("more", "echo evil > x/evil.yml"),
        ("renamed", "mv x/linux.yml x/linus.yml"),
        ("moved", "mv x/linux.yml x/windows/"),
    ];
    for (name, change) in tampered {
        sh(&room.file(""), &format!("rm -rf x && cp -r rules x && {change} && tar czf {name}.tar.gz -C x ."));
        refuse(&room, &format!("{name}.tar.gz"), &[], "artifact-mismatch", "tampered");
    }
    sh(&room.file(""), "cp -r rules y && ln -s linux.yml y/link.yml && tar cf link.tar -C y .");
    refuse(&room, "link.tar", &[], "archive-not-regular", "link.yml");
    let packed = room.read("good.tar.gz");
    room.write("cut.tar.gz", &packed[..packed.len() / 2]);
    refuse(&room, "cut.tar.gz", &[], "archive-truncated", "ends early");
    // Of the checksum, as a bit before it may be one that unpacks to the same bytes.
    let mut flipped = packed.clone();
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 0x10;
    room.write("flipped.tar.gz", &flipped);
    let refused = verify(&room, "flipped.tar.gz", &[]).expect(REFUSED);
    assert!(code(&refused).starts_with("archive-"), "{refused}");
    room.write("twice.tar.gz", [packed.as_slice(), &packed].concat());
    refuse(&room, "twice.tar.gz", &[], "archive-stray-bytes", "gzip");
    room.write("text.zip", "no archive");
    let refused = verify(&room, "text.zip", &[]).expect(REFUSED);
    assert!(code(&refused).starts_with("archive-"), "{refused}");
    // Two entries of one path: which one counts is up to whoever unpacks it.
    sh(&room.file(""), "cp good.tar twice.tar && tar rf twice.tar -C rules ./linux.yml");
    let refused = verify(&room, "twice.tar", &[]).expect(REFUSED);
    assert_eq!(code(&refused), "bundle-path-duplicate", "{refused}");
    // What is no archive by its name is not opened, and that is said.
    fs::copy(room.file("good.tar"), room.file("good.bin")).unwrap();
    refuse(&room, "good.bin", &[], "artifact-mismatch", ".tar.gz, .tgz or .zip");
    verify(&room, "none.tar", &[]).expect(USAGE);
}

#[test]
fn what_was_published_from_an_archive_is_verified_from_it_from_another_and_from_the_directory() {
    let shop = Shop::new("0");
    for (path, content) in RULES {
        let path = shop.file("sigma").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    sh(
        &shop.file(""),
        "tar czf one.tar.gz -C sigma . && tar cf two.tar sigma && head -c 99 one.tar.gz > cut.tar.gz",
    );
    sh(
        &shop.file(""),
        "cp -r sigma next && echo more >> next/linux.yml && tar cf next.tar next && echo > notes.txt",
    );
    let publish = |what: &str, more: &[&str]| {
        shop.at_log(
            &[&["publish", "rules", what, "--version", what], SIGMA.as_slice(), &VENDOR, more].concat(),
        )
    };
    for (what, more, reason) in [
        ("cut.tar.gz", &[][..], "archive-truncated"),
        ("notes.txt", &[], "archive-unknown-kind"),
        ("none.tar.gz", &[], "artifact-missing"),
        ("two.tar", &["--folder", "other"], "archive-outside-folder"),
        ("sigma", &["--folder", "windows"], "folder-of-no-archive"),
    ] {
        assert_eq!(code(&publish(what, more).expect(USAGE)), reason, "{what}");
    }
    let bundle = |record: &SignedRecord| {
        let Predicate::Rules(_, body) = &record.statement().predicate else { panic!("rules") };
        let subject = record.statement().subject[0].clone();
        (subject.name, subject.sha256, subject.dir_hash1, body.bundle, body.delta)
    };
    publish("one.tar.gz", &[]).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    let first = bundle(&shop.record("one.tar.gz.tlog-proof"));
    assert_eq!((first.0.as_str(), first.1), ("one.tar.gz", None));
    let by = ["--proof", "one.tar.gz.tlog-proof", "--config", "client.toml"];
    for what in [&["one.tar.gz"][..], &["sigma"], &["two.tar", "--folder", "sigma"]] {
        shop.run(&[&["verify"], what, &by].concat()).expect(VERIFIED);
    }
    let refused = shop.run(&[&["verify", "next.tar", "--folder", "next"], by.as_slice()].concat());
    assert_eq!(code(&refused.expect(REFUSED)), "artifact-mismatch");

    // What the log has is found by any archive of it, or by the directory.
    let look_up = |what: &[&str]| shop.at_log(&[&["lookup"], what].concat());
    for what in [&["one.tar.gz"][..], &["sigma"], &["two.tar", "--folder", "sigma"]] {
        let found = look_up(what).expect(VERIFIED);
        assert_eq!(found.json()["entries"][0]["type"], "rules", "{found}");
    }
    for (what, exit, reason) in [
        (&["two.tar"][..], UNDECIDED, "not-found"),
        (&["cut.tar.gz"], UNDECIDED, "not-found"),
        (&["two.tar", "--folder", "other"], REFUSED, "archive-outside-folder"),
        (&["notes.txt", "--folder", "sigma"], USAGE, "folder-of-no-archive"),
        (&["sigma", "--folder", "windows"], USAGE, "folder-of-no-archive"),
    ] {
        assert_eq!(code(&look_up(what).expect(exit)), reason, "{what:?}");
    }
    // And guarded under the proof beside it.
    fs::copy(shop.file("one.tar.gz.tlog-proof"), shop.file("two.tar.tlog-proof")).unwrap();
    let guard = |more: &[&str]| {
        let args = [&["guard", "two.tar", "--config", "client.toml"], more, &["--", "touch", "ran"]].concat();
        let exit = shop.run(&args);
        (exit, fs::remove_file(shop.file("ran")).is_ok())
    };
    let (held, ran) = guard(&[]);
    assert!(!ran, "{held}");
    held.expect(REFUSED);
    let (passed, ran) = guard(&["--folder", "sigma"]);
    assert!(ran, "{passed}");
    passed.expect(0);

    // The directory has the same bundle, and against it nothing has changed.
    publish("sigma", &[]).expect(VERIFIED);
    let second = bundle(&shop.record("sigma.tlog-proof"));
    assert_eq!((second.2, second.3), (first.2, first.3));
    let counts = |delta: Option<indelible_proto::record::body::Delta>| {
        delta.map(|delta| (delta.added, delta.changed, delta.removed))
    };
    assert_eq!(counts(second.4), Some((0, 0, 0)));
    // The rules before may be an archive as well, on a machine that did not publish them.
    let elsewhere = ["--state", "elsewhere", "--previous", "two.tar", "--from", "sigma.tlog-proof"];
    publish("next.tar", &elsewhere).expect(USAGE);
    sh(&shop.file(""), "mkdir all && cp -r next all/sigma && tar cf next.tar -C all sigma");
    publish("next.tar", &[elsewhere.as_slice(), &["--folder", "sigma"]].concat()).expect(VERIFIED);
    assert_eq!(counts(bundle(&shop.record("next.tar.tlog-proof")).4), Some((0, 1, 0)));

    // Over an air gap an archive goes as the file it is.
    let export = ["carry", "export", "one.tar.gz", "--config", "client.toml", "--out", "rules.carry"];
    shop.run(&export).expect(VERIFIED);
    let import =
        ["carry", "import", "rules.carry", "--config", "client.toml", "--state", "in", "--out", "got"];
    shop.run(&import).expect(VERIFIED);
    assert_eq!(fs::read(shop.file("got/one.tar.gz")).unwrap(), fs::read(shop.file("one.tar.gz")).unwrap());
}

#[test]
fn an_archive_that_is_released_as_a_file_is_that_file_and_is_not_opened() {
    let shop = Shop::new("0");
    sh(&shop.file(""), "echo agent > agent && tar cf agent.tar agent && echo none > none.zip");
    let release = ["publish", "release", "agent.tar", "none.zip", "--version", "1"];
    shop.at_log(&[&release, VENDOR.as_slice()].concat()).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    for artifact in ["agent.tar", "none.zip"] {
        let told = shop.verify(artifact).expect(VERIFIED).json();
        assert_eq!(told.get("bundleRoot"), None, "{told}");
        let folder = ["verify", artifact, "--config", "client.toml", "--folder", "agent"];
        assert_eq!(code(&shop.run(&folder).expect(USAGE)), "folder-of-no-archive");
    }
    // The same files packed again are another file.
    sh(
        &shop.file(""),
        "cp agent.tar before.tar && tar cf agent.tar --mtime=@0 agent && ! cmp -s agent.tar before.tar",
    );
    shop.check("agent.tar", REFUSED, "artifact-mismatch");
}
