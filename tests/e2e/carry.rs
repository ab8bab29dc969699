//! Over an air gap in one file: two machines that share nothing but files, the one with the log, the other without.

use std::fs;
use std::path::{Path, PathBuf};

use indelible_client::carry::{CarryReader, Receipt};
use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::TreeSize;
use indelible_tests::killed::{at_each, can_kill};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Rogue, World, http};

use crate::exit::{EVIDENCE, HOLD, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, REVIEWS, Shop};

/// The machine behind the gap: the client's file is the same, what it remembers is its own.
pub(crate) struct Inside<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) name: &'static str,
}

impl Inside<'_> {
    fn run(&self, args: &[&str]) -> Finished {
        self.shop.run(&[args, ["--config", "client.toml", "--state", self.name].as_slice()].concat())
    }

    /// Imports into a directory named like the file.
    pub(crate) fn import(&self, carry: &str) -> Finished {
        let (out, receipt) = (self.out(carry), self.receipt());
        self.run(&["carry", "import", carry, "--out", out.to_str().unwrap(), "--receipt", &receipt])
    }

    pub(crate) fn out(&self, carry: &str) -> PathBuf {
        self.shop.file(&format!("{}-{}", self.name, carry.trim_end_matches(".carry")))
    }

    fn receipt(&self) -> String {
        format!("{}.receipt", self.name)
    }

    #[track_caller]
    fn check(&self, artifact: impl AsRef<Path>, exit: i32, reason: Option<&str>) {
        let verdict = self.run(&["verify", artifact.as_ref().to_str().unwrap()]).expect(exit);
        assert_eq!(verdict.json()["code"].as_str(), reason, "{verdict}");
    }

    /// Everything remembered, by path.
    fn memory(&self) -> Vec<(PathBuf, Vec<u8>)> {
        contents(&self.shop.file(self.name))
    }
}

pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Exports on the side of the log.
pub(crate) fn export(shop: &Shop, carry: &str, artifacts: &[&str], more: &[&str]) -> Finished {
    let fixed = ["--config", "client.toml", "--out", carry];
    shop.run(&[["carry", "export"].as_slice(), artifacts, &fixed, more].concat())
}

/// The last of several lines of JSON.
fn last(finished: &Finished) -> serde_json::Value {
    serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap()
}

fn last_code(finished: &Finished) -> String {
    last(finished)["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn releases_rules_reviews_and_withdrawals_get_over_the_gap_and_only_what_is_new() {
    let mut shop = Shop::new("0");
    shop.release("agent-1", "publish");
    fs::create_dir_all(shop.file("rules/windows")).unwrap();
    for (path, content) in [("rules/a.yml", "title: a\n"), ("rules/windows/b.yml", "")] {
        fs::write(shop.file(path), content).unwrap();
    }
    let rules = ["publish", "rules", "rules", "--version", "1", "--format", "sigma"];
    shop.at_log(&[&rules, ["--channel-name", CHANNEL, "--key", "publish.key"].as_slice()].concat())
        .expect(VERIFIED);
    shop.run(&["keygen", "reviewer.example/reviews", "--out", "reviewer.key"]).expect(VERIFIED);
    let create =
        ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews", "--key", "reviewer.key"];
    shop.at_log(&create).expect(VERIFIED);
    let of = format!("{{ {REVIEWS:?} = \"{}\" }}", shop.id("reviews"));
    shop.configure(&format!("[[reviewers]]\nkind = \"rebuild\"\nno_fail_by = {of}\n"));
    fs::write(shop.file("report.txt"), "report").unwrap();

    let inside = Inside { shop: &shop, name: "inside" };
    let told = export(&shop, "1.carry", &["agent-1", "rules"], &[]).expect(VERIFIED).json();
    assert_eq!((&told["since"], &told["treeSize"]), (&0.into(), &4.into()), "{told}");
    let imported = inside.import("1.carry").expect(VERIFIED);
    let told = last(&imported);
    assert_eq!(told["artifacts"], serde_json::json!(["agent-1", "rules"]), "{told}");
    // By name: the reviewer's channel has its first record, the vendor's three.
    assert_eq!(
        (&told["channels"][0]["newRecords"], &told["channels"][1]["newRecords"]),
        (&1.into(), &3.into())
    );
    let first = inside.out("1.carry");
    assert_eq!(fs::read(first.join("rules/windows/b.yml")).unwrap(), b"");
    assert_eq!(fs::read(first.join("agent-1")).unwrap(), fs::read(shop.file("agent-1")).unwrap());
    assert_eq!(contents(&first).len(), 5);
    inside.check(first.join("agent-1"), VERIFIED, None);
    inside.check(first.join("rules"), VERIFIED, None);
    // The same file again changes nothing.
    let before = (inside.memory(), contents(&first));
    inside.import("1.carry").expect(VERIFIED);
    assert!(before == (inside.memory(), contents(&first)));

    shop.release("agent-2", "publish");
    shop.withdraw("rules", "agent-1");
    let what =
        ["publish", "review", "--record", "agent-2.tlog-proof", "--kind", "rebuild", "--result", "fail"];
    let how = ["--report", "report.txt", "--paid-by", "nobody", "--access", "source"];
    let whose = ["--channel-name", REVIEWS, "--key", "reviewer.key"];
    shop.at_log(&[&what, how.as_slice(), whose.as_slice()].concat()).expect(VERIFIED);
    let since = ["--since", "inside.receipt"];
    // What the importer would not install is not put into a carry.
    let refused = export(&shop, "2.carry", &["agent-2"], &since).expect(HOLD);
    assert!(refused.stdout.contains("review-failed") && !shop.file("2.carry").exists(), "{refused}");
    shop.release("agent-3", "publish");
    let told = export(&shop, "2.carry", &["agent-3"], &since).expect(VERIFIED).json();
    assert_eq!((&told["since"], &told["treeSize"]), (&4.into(), &8.into()), "{told}");
    // Of each channel the newest known record, so that its place shows, and what is new.
    let bytes = fs::read(shop.file("2.carry")).unwrap();
    let (carry, _) = CarryReader::open(bytes.as_slice()).unwrap();
    let records: Vec<usize> = carry.channel_files.iter().map(|file| file.records().len()).collect();
    assert_eq!(records.iter().sum::<usize>(), 2 + 4 + records.len() - 2, "{records:?}");
    // From here on there is no log.
    shop.world.take_log().kill();
    let inside = Inside { shop: &shop, name: "inside" };
    inside.import("2.carry").expect(VERIFIED);
    let second = inside.out("2.carry");
    inside.check(first.join("rules"), REFUSED, Some("withdrawn"));
    inside.check(second.join("agent-3"), VERIFIED, None);
    let artifact = second.join("agent-3").display().to_string();
    inside.run(&["guard", &artifact]).expect(USAGE);
    let guard = ["guard", "--config", "client.toml", "--state", "inside"];
    shop.run(&[&guard, [artifact.as_str(), "--", "touch", "installed"].as_slice()].concat()).expect(VERIFIED);
    assert!(shop.file("installed").exists());
}

#[test]
fn gaps_and_older_carries_are_refused_and_change_nothing() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    let other = Inside { shop: &shop, name: "other" };
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &["agent-1"], &[]).expect(VERIFIED);
    for machine in [&inside, &other] {
        machine.import("1.carry").expect(VERIFIED);
    }
    shop.release("agent-1.1", "publish");
    shop.release("agent-2", "publish");
    export(&shop, "2.carry", &["agent-2"], &["--since", "inside.receipt"]).expect(VERIFIED);
    inside.import("2.carry").expect(VERIFIED);
    shop.release("agent-3", "publish");
    export(&shop, "3.carry", &["agent-3"], &["--since", "inside.receipt"]).expect(VERIFIED);
    // One that missed the second, and one that has nothing.
    for (name, missing) in [("other", "one of size 2"), ("fresh", "one of size 0")] {
        let machine = Inside { shop: &shop, name };
        let before = machine.memory();
        let refused = machine.import("3.carry").expect(REFUSED);
        assert_eq!(code(&refused), "carry-missing", "{refused}");
        assert!(refused.json()["message"].as_str().unwrap().contains(missing), "{refused}");
        assert!(!machine.out("3.carry").exists());
        if name == "other" {
            assert!(machine.memory() == before);
        }
    }
    // The log is where it has to be, and the channel is not: the gap is named.
    let whole = fs::read(shop.file("3.carry")).unwrap();
    let (carry, _) = CarryReader::open(whole.as_slice()).unwrap();
    let known = inside.memory();
    let channel = fs::read_dir(shop.file("inside/known")).unwrap().next().unwrap().unwrap().path();
    let older = fs::read_dir(shop.file("other/known")).unwrap().next().unwrap().unwrap().path();
    fs::copy(older, &channel).unwrap();
    let refused = inside.import("3.carry").expect(REFUSED);
    assert_eq!(code(&refused), "carry-gap", "{refused}");
    assert!(refused.json()["message"].as_str().unwrap().contains("from record 2 to 2"), "{refused}");
    assert_eq!(carry.channel_files[0].records().len(), 2);
    for (path, bytes) in known {
        fs::write(path, bytes).unwrap();
    }

    inside.import("3.carry").expect(VERIFIED);
    inside.check(inside.out("3.carry").join("agent-3"), VERIFIED, None);
    // What is older is refused, and lowers nothing.
    let before = inside.memory();
    fs::remove_dir_all(inside.out("2.carry")).unwrap();
    for older in ["1.carry", "2.carry"] {
        assert_eq!(code(&inside.import(older).expect(REFUSED)), "carry-rollback");
    }
    assert!(!inside.out("2.carry").exists());
    assert!(inside.memory() == before);
    // A whole carry proves nothing about what is remembered, unless it is the same tree.
    shop.release("agent-4", "publish");
    export(&shop, "whole.carry", &["agent-4"], &[]).expect(VERIFIED);
    assert_eq!(code(&inside.import("whole.carry").expect(REFUSED)), "carry-moved-on");
    assert!(inside.memory() == before);
    Inside { shop: &shop, name: "new" }.import("whole.carry").expect(VERIFIED);
    // An old release in a new carry gets over, and is not installed where a newer one was.
    export(&shop, "back.carry", &["agent-1"], &["--since", "inside.receipt"]).expect(VERIFIED);
    inside.import("back.carry").expect(VERIFIED);
    inside.check(inside.out("back.carry").join("agent-1"), REFUSED, Some("rollback"));
}

#[test]
fn a_log_with_two_histories_is_found_out_on_both_sides_and_the_evidence_is_kept() {
    let shop = Shop::in_world(World::start(Kind::Records, 0, 0), "0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &["agent-1"], &[]).expect(VERIFIED);
    inside.import("1.carry").expect(VERIFIED);

    // The operator shows others a tree in which something else came before the release.
    let reader = shop.world.reader();
    let entries = reader.entries(&reader.published(2).head());
    let lie = Entry::new(b"something else".to_vec()).unwrap();
    let tree = vec![entries[0].clone(), lie, entries[1].clone()];
    let rogue = Rogue::new(&shop.world.log_dir().join("log.key"), tree);
    let mirror = shop.file("mirror");
    rogue.write_mirror(&mirror);
    let note = rogue.checkpoint(rogue.size());
    let records = [&entries[0], &entries[1]].map(|entry| SignedRecord::parse(entry.as_bytes()).unwrap());
    let proof = rogue.proof(2, rogue.size(), note.clone());
    let newest = NewestProof { index: proof.index(), proof: proof.proof().clone() };
    let file = ChannelFile::new(records.to_vec(), newest, None, note).unwrap();
    let path = mirror.join("channel-file/0/0").join(CHANNEL);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, file.encode()).unwrap();

    // Whoever exports there for the machine inside sees it.
    let there = ["--from", "mirror", "--state", "outside"];
    let found =
        export(&shop, "2.carry", &["agent-1"], &[there.as_slice(), &["--since", "inside.receipt"]].concat());
    assert_eq!(last_code(&found), "log-forked", "{found}");
    assert_eq!(found.code(), EVIDENCE);
    assert!(!shop.file("2.carry").exists());
    convinces(&shop, "outside");

    // And the machine inside sees it in what was made for one that believes the lie.
    let size = TreeSize::new(2).unwrap();
    let believed = Receipt { note: Some(rogue.checkpoint(size)), channels: Vec::new() };
    fs::write(shop.file("believed.receipt"), believed.encode()).unwrap();
    fs::write(shop.file("agent-1.tlog-proof"), proof.encode()).unwrap();
    let args = [there.as_slice(), &["--since", "believed.receipt"]].concat();
    export(&shop, "3.carry", &["agent-1"], &args).expect(VERIFIED);
    let before = inside.memory();
    let found = inside.import("3.carry").expect(EVIDENCE);
    assert_eq!(code(&found), "log-forked");
    assert!(!inside.out("3.carry").exists());
    convinces(&shop, "inside");
    let after =
        inside.memory().into_iter().filter(|(path, _)| path.extension().is_none_or(|end| end != "evidence"));
    assert!(after.eq(before), "nothing of it is remembered");
}

/// The one evidence file in a state directory convinces a stranger.
fn convinces(shop: &Shop, state: &str) {
    let found: Vec<_> = fs::read_dir(shop.file(state).join("evidence")).unwrap().collect();
    let [Ok(evidence)] = found.as_slice() else { panic!("{found:?}") };
    let file = evidence.path().display().to_string();
    shop.run(&["evidence", "verify", &file, "--log-key", &shop.world.log_vkey()]).expect(VERIFIED);
}

#[test]
fn a_receipt_that_the_log_does_not_bear_out_makes_no_carry() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &[], &[]).expect(VERIFIED);
    inside.import("1.carry").expect(VERIFIED);
    let receipt = fs::read_to_string(shop.file("inside.receipt")).unwrap();
    let newest = shop.id("agent-1.tlog-proof").to_string();
    let genesis = format!("genesis {}", shop.id("channel"));
    let size = |n: u64| format!("log.example/updates\n{n}\n");
    for (from, to, reason) in [
        (newest.as_str(), "0".repeat(64), "carry-receipt-unknown-record"),
        (&genesis, format!("genesis {newest}"), "channel-pinned-otherwise"),
        (&size(2), size(3), "signature-invalid"),
    ] {
        assert!(receipt.contains(from));
        fs::write(shop.file("bad.receipt"), receipt.replacen(from, &to, 1)).unwrap();
        let refused = export(&shop, "2.carry", &[], &["--since", "bad.receipt"]).expect(REFUSED);
        assert_eq!(code(&refused), reason, "{refused}");
    }
    assert!(!shop.file("2.carry").exists() && !shop.file(".2.carry.carry.tmp").exists());
    export(&shop, "2.carry", &[], &["--since", "inside.receipt"]).expect(VERIFIED);
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &["agent-1"], &[]).expect(VERIFIED);
    assert_eq!(code(&export(&shop, "1.carry", &["agent-1"], &[]).expect(USAGE)), "file-exists");
    let out = inside.out("1.carry");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "mine").unwrap();
    assert_eq!(last_code(&inside.import("1.carry").expect(USAGE)), "carry-out-in-the-way");
    assert_eq!(contents(&out).len(), 1);
    assert!(contents(&shop.file("inside/known")).is_empty(), "nothing is remembered");
    fs::remove_file(out.join("mine")).unwrap();
    inside.import("1.carry").expect(VERIFIED);
    // Without artifacts: only what is to be remembered, and nothing appears.
    shop.release("agent-2", "publish");
    shop.withdraw("agent-2", "agent-1");
    export(&shop, "2.carry", &[], &["--since", "inside.receipt"]).expect(VERIFIED);
    inside.import("2.carry").expect(VERIFIED);
    assert!(!inside.out("2.carry").exists());
    inside.check("agent-2", REFUSED, Some("withdrawn"));
}

#[test]
fn an_import_that_is_killed_anywhere_can_be_run_again() {
    if !can_kill() {
        return;
    }
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &["agent-1"], &[]).expect(VERIFIED);
    let first = Inside { shop: &shop, name: "first" };
    first.import("1.carry").expect(VERIFIED);
    shop.release("agent-2", "publish");
    // The channel's file is in an older tree than the checkpoint, as it is where the log grows meanwhile.
    let copy = |path: &str| {
        let file = shop.file("mirror").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, http::get(shop.world.log().address(), &format!("/{path}")).expect(200).body).unwrap();
    };
    copy(&format!("channel-file/0/0/{CHANNEL}"));
    shop.release("agent-3", "publish");
    copy("checkpoint");
    copy("tile/0/000.p/4");
    let there = ["--from", "mirror", "--state", "outside", "--since", "first.receipt"];
    export(&shop, "2.carry", &["agent-2"], &there).expect(VERIFIED);
    let remembered = contents(&shop.file("first"));
    let killed = at_each(&["rename", "fsync", "mkdir", "unlink", "flock", "rmdir"], 1, |kill| {
        let inside = Inside { shop: &shop, name: "inside" };
        for leftover in ["inside", "inside-2", ".inside-2.carry.tmp"] {
            let _ = fs::remove_dir_all(shop.file(leftover));
        }
        for (path, bytes) in &remembered {
            let path = shop.file("inside").join(path.strip_prefix(shop.file("first")).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let mut import = shop.world.client();
        import.args(["carry", "import", "2.carry", "--config", "client.toml", "--state", "inside"]);
        let killed = kill.run(import.args(["--out", "inside-2"]));
        // All or nothing of what is to be unpacked.
        let out = shop.file("inside-2");
        if out.exists() {
            assert_eq!(contents(&out).len(), 2, "{kill:?}");
        }
        inside.import("2.carry").expect(VERIFIED);
        inside.check(out.join("agent-2"), VERIFIED, None);
        assert!(!shop.file(".inside-2.carry.tmp").exists(), "{kill:?}");
        killed
    });
    assert!(killed > 20, "killed at {killed} places only");
}

#[test]
fn what_names_no_carry_or_no_receipt_is_a_usage_error() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    inside.import("missing.carry").expect(USAGE);
    assert_eq!(code(&inside.import("agent-1").expect(USAGE)), "carry-not-one");
    export(&shop, "1.carry", &["agent-1"], &["--since", "agent-1"]).expect(USAGE);
    export(&shop, "1.carry", &["missing"], &[]).expect(USAGE);
    export(&shop, "1.carry", &["agent-1"], &["--from", "http://127.0.0.1:9"]).expect(UNDECIDED);
    fs::remove_file(shop.file("agent-1.tlog-proof")).unwrap();
    assert_eq!(code(&export(&shop, "1.carry", &["agent-1"], &[]).expect(REFUSED)), "proof-missing");
    // Before its first import a machine remembers nothing, and says so.
    inside.run(&["carry", "receipt", "--out", "empty.receipt"]).expect(VERIFIED);
    let receipt = Receipt::parse(&fs::read(shop.file("empty.receipt")).unwrap()).unwrap();
    assert_eq!((receipt.note, receipt.channels.len()), (None, 1));
}
