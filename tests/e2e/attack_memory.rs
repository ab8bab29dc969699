//! Rows R3 to R6 of `docs/attacks.md` through the program: how fresh what witnesses say is, and every file that a
//! client or a publisher keeps, damaged in every way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use indelible_proto::note::{KeyId, NoteSignature};
use indelible_proto::proof::LogProof;
use indelible_tests::Finished;
use indelible_tests::forgery::with_signatures;

use crate::attack_bench::{Bench, now};
use crate::exit::{HOLD, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::WITNESSES;
use crate::shop::Shop;

/// The client's limit, in seconds.
const AGE: u64 = 100_000;

/// What the program says of `agent-1` where two of three witnesses have to have cosigned within [`AGE`].
fn judge(bench: &Bench, row: &str, what: &str, lines: &[NoteSignature], exit: i32, reason: &str) {
    bench.room.write("client.toml", format!("policy = \"policy.txt\"\nmax_age_s = {AGE}\n"));
    bench.room.write("tried.tlog-proof", bench.with_lines(lines));
    let mut verify = bench.room.client();
    verify.args([
        "verify",
        "agent-1",
        "--config",
        "client.toml",
        "--key",
        "vendor.vkey",
        "--no-state",
        "--json",
    ]);
    let verdict = Finished::run(verify.args(["--proof", "tried.tlog-proof"]));
    bench.compare(row, what, &verdict, exit, reason);
}

#[test]
fn the_age_is_that_of_the_youngest_quorum() {
    let bench = Bench::new();
    let (young, old) = (now(), now() - 2 * AGE);
    let signed = |times: [u64; 3]| {
        let witness = |(n, time)| bench.witness_line(n, &bench.text, time);
        let witnesses = times.into_iter().enumerate().map(witness);
        std::iter::once(bench.log_line(&bench.text)).chain(witnesses).collect::<Vec<_>>()
    };
    judge(&bench, "R3", "all young", &signed([young; 3]), VERIFIED, "verified");
    judge(&bench, "R3", "two young", &signed([young, old, young]), VERIFIED, "verified");
    judge(&bench, "R3", "one young", &signed([old, young, old]), HOLD, "checkpoint-stale");
    judge(&bench, "R3", "at the limit", &signed([young + 60 - AGE; 3]), VERIFIED, "verified");
    judge(&bench, "R5", "all old", &signed([old; 3]), HOLD, "checkpoint-stale");
    // A time in the future is nobody's: the others have to be enough.
    judge(&bench, "R4", "one in the future", &signed([young + AGE, young, young]), VERIFIED, "verified");
    let ahead = signed([young + AGE, young + AGE, young]);
    judge(&bench, "R4", "two in the future", &ahead, UNDECIDED, "time-implausible");
    judge(&bench, "R4", "a minute ahead", &signed([young + 60; 3]), VERIFIED, "verified");
    bench.finish();
}

#[test]
fn a_cosignature_has_a_time_that_can_be() {
    let bench = Bench::new();
    let lines = bench.lines(&bench.text);
    let at = |time: u64| {
        let of = &lines[3];
        let bytes = [&time.to_be_bytes()[..], &of.signature()[8..]].concat();
        NoteSignature::new(of.name().clone(), KeyId::from_bytes(*of.id().as_bytes()), bytes).unwrap()
    };
    for (time, reason) in
        [(0, "cosignature-time"), (1 << 63, "cosignature-time"), (u64::MAX, "cosignature-time")]
    {
        let with = [&lines[..3], &[at(time)]].concat();
        judge(&bench, "R4", &format!("time {time}"), &with, REFUSED, reason);
    }
    // Nor can a time be changed that was signed.
    let with = [&lines[..3], &[at(now() + 1)]].concat();
    judge(&bench, "R4", "another time", &with, REFUSED, "signature-invalid");
    bench.finish();
}

#[test]
fn a_time_before_that_of_a_smaller_tree_moves_nothing_back() {
    let bench = Bench::new();
    let room = &bench.room;
    room.write("client.toml", format!("policy = \"policy.txt\"\nstate = \"memory\"\nmax_age_s = {AGE}\n"));
    let cosigned = |file: &str, time: u64| {
        let proof = LogProof::parse(&room.read(file)).unwrap();
        let text = proof.note().text();
        let witnesses = (0..WITNESSES).map(|n| bench.witness_line(n, text, time));
        let lines = std::iter::once(bench.log_line(text)).chain(witnesses).collect();
        room.write("tried.tlog-proof", with_signatures(&proof, lines).encode());
        proof.note().text().to_owned()
    };
    let verify = || {
        let args = ["verify", "agent-1", "--config", "client.toml", "--key", "vendor.vkey", "--json"];
        Finished::run(room.client().args(args).args(["--proof", "tried.tlog-proof"]))
    };
    let remembered = || {
        let kept = fs::read_dir(room.file("memory/checkpoints")).unwrap().next().unwrap().unwrap().path();
        (fs::read_to_string(kept).unwrap(), room.read("memory/time"))
    };
    let smaller = cosigned("agent-1.early", now());
    verify().expect(VERIFIED);
    let (kept, time) = remembered();
    assert!(kept.starts_with(&smaller));
    // All witnesses say that they saw the larger tree first. One of the two times is wrong, which does not say that
    // either tree is: the larger is remembered, and the later of the times.
    let larger = cosigned("agent-1.tlog-proof", now() - AGE / 2);
    verify().expect(VERIFIED);
    assert_ne!(smaller, larger);
    let (kept, after) = remembered();
    assert!(kept.starts_with(&larger));
    assert_eq!(after, time, "R4: the time that witnesses have vouched for is the later one");
    // What is judged has the age that its own witnesses give it.
    cosigned("agent-1.tlog-proof", now() - 2 * AGE);
    bench.compare("R4", "older than a smaller tree, and too old", &verify(), HOLD, "checkpoint-stale");
    assert_eq!(remembered().1, time);
    bench.finish();
}

/// Everything below a folder that has content, but locks.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let entries = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|file| fs::metadata(file).unwrap().len() > 0).collect()
}

fn evidence(dir: &Path) -> Vec<PathBuf> {
    let is_evidence = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "evidence");
    files(dir).into_iter().filter(is_evidence).collect()
}

/// Runs a command with each file damaged in each way: it does its work in spite of it, or calls it local damage.
#[track_caller]
fn damage_every_file(dir: &Path, run: &mut dyn FnMut() -> Finished) {
    let kept: Vec<PathBuf> = files(dir).into_iter().collect();
    for (at, file) in kept.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        let another = &kept[(at + 1) % kept.len()];
        let damages: [(&str, Option<Vec<u8>>); 8] = [
            ("empty", Some(Vec::new())),
            ("zeros", Some(vec![0; whole.len()])),
            ("cut off", Some(whole[..whole.len() / 2].to_vec())),
            ("one byte short", Some(whole[..whole.len() - 1].to_vec())),
            ("one byte long", Some([&whole[..], b"x"].concat())),
            ("of something else", Some(fs::read(another).unwrap())),
            ("too long", Some(vec![b'9'; 1 << 20])),
            ("a folder", None),
        ];
        for (what, bytes) in damages {
            fs::remove_file(file).unwrap();
            match &bytes {
                Some(bytes) => fs::write(file, bytes).unwrap(),
                // It can be neither read nor written, whoever runs this.
                None => fs::create_dir_all(file.join("full")).unwrap(),
            }
            let told = run();
            let what = format!("{}: {what}: {told}", file.display());
            assert!([VERIFIED, UNDECIDED].contains(&told.code()), "{what}");
            assert!(!told.stdout.contains("\"accusesLog\":true"), "{what}");
            assert!(evidence(dir).is_empty(), "{what}");
            if told.code() == UNDECIDED {
                let unread = bytes.is_none();
                let code =
                    serde_json::from_str::<serde_json::Value>(told.stdout.lines().last().unwrap()).unwrap();
                let code = code["code"].as_str().unwrap_or("no code").to_owned();
                assert!(code == "state-damaged" || unread && code.starts_with("file-"), "{what}");
            }
            fs::remove_file(file).or_else(|_| fs::remove_dir_all(file)).unwrap();
            fs::write(file, &whole).unwrap();
        }
    }
    run().expect(VERIFIED);
}

#[test]
fn damage_of_any_file_of_a_client_is_local_damage() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    let config = ["--config", "client.toml", "--channel", "channel"];
    let verify = || shop.run(&[&["verify", "agent-1"], &config[..]].concat());
    verify().expect(VERIFIED);
    let memory = shop.file("memory");
    let folders: BTreeSet<_> = files(&memory).iter().map(|file| file.parent().unwrap().to_owned()).collect();
    // Checkpoint, time, last verified record, pin, and what is known of the channel.
    assert!(files(&memory).len() >= 5, "{folders:?}");
    damage_every_file(&memory, &mut || verify());
    damage_every_file(&memory, &mut || shop.update());
}

#[test]
fn damage_of_any_file_of_a_publisher_is_local_damage() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    // Of both chains there is something to remember.
    let withdraw =
        ["publish", "withdraw", "--record", "agent-1.tlog-proof", "--reason", "legal", "--recovery"];
    let whose = ["--channel-name", crate::shop::CHANNEL, "--key", "recovery.key"];
    shop.at_log(&[&withdraw, &whose[..]].concat()).expect(VERIFIED);
    let state = shop.file("state");
    let of_recovery = files(&state.join("indelible/channels"));
    assert!(of_recovery.iter().any(|path| path.to_string_lossy().ends_with("-recovery")), "{of_recovery:?}");
    let mut number = 2;
    damage_every_file(&state, &mut || {
        let name = format!("agent-{number}");
        fs::write(shop.file(&name), &name).unwrap();
        let whose = ["--channel-name", crate::shop::CHANNEL, "--key", "publish.key"];
        let told = shop.at_log(&[&["publish", "release", &name, "--version", &name], &whose[..]].concat());
        // What was begun is finished first; then something new, so that there is something to remember.
        number += i32::from(told.code() == VERIFIED);
        told
    });
}

#[test]
fn a_state_that_cannot_be_written_is_no_verdict() {
    let bench = Bench::new();
    // Nobody can make a file there, not even root.
    for state in ["/proc/none", "/dev/null", "/dev/null/below"] {
        let args = ["agent-1", "--channel", "channel", "--state", state, "--json"];
        let told = bench.room.verify(&args).expect(UNDECIDED);
        let code = told.json()["code"].as_str().unwrap().to_owned();
        assert!(code.starts_with("file-"), "{state}: {told}");
        // What is wrong with the artifact is said all the same.
        let args = ["vendor.vkey", "--channel", "channel", "--proof", "agent-1.tlog-proof", "--state", state];
        let told = bench.room.verify(&args);
        assert!([UNDECIDED, REFUSED].contains(&told.code()), "{state}: {told}");
    }
    bench.finish();
}

#[test]
fn processes_that_share_a_state_wait_or_say_so() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    let start = |args: &[&str]| {
        let mut command = shop.world.client();
        command.arg("--json").args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let verify = ["verify", "agent-1", "--config", "client.toml", "--channel", "channel"];
    let update = ["update-state", "--config", "client.toml"];
    let running: Vec<_> = (0..6).flat_map(|_| [start(&verify), start(&update)]).collect();
    for mut child in running {
        assert_eq!(child.wait().unwrap().code(), Some(VERIFIED));
    }
    shop.verify("agent-1").expect(VERIFIED);
    assert!(evidence(&shop.file("memory")).is_empty());
    shop.run(&["verify"]).expect(USAGE);
}
