//! Two of the attacks on updates, against a real log: fast-forward, and data that never ends. The others are where
//! `docs/attacks.md` says.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::hash::{leaf_hash, sha256};
use indelible_proto::log_api::{LookupAnswer, LookupEntry};
use indelible_proto::note::SignedNote;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{Predicate, RecordId, SignedRecord};
use indelible_proto::sign::{CosignSigner, LogSigner, RecordSigner, SecretKey, Signer as _};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::time::UnixSeconds;
use indelible_tests::{Between, Deed, Finished, http};

use crate::attack_bench::{Bench, climb, hashes, note, now, proof};
use crate::exit::{EVIDENCE, HOLD, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, REVIEWS, Shop};
use crate::watchdog_bench::{other_entry, rogue};

/// The last number that a record can have.
const LAST: u64 = (1 << 53) - 1;

/// A shop whose log, witness and publish key are all in one thief's hands. Only the recovery key is not.
struct Thief<'a> {
    shop: &'a Shop,
}

impl Thief<'_> {
    fn secret(&self, path: &str) -> SecretKey {
        let text = fs::read_to_string(self.shop.file(path)).unwrap();
        SecretKey::parse(text.trim_end()).unwrap()
    }

    /// A release far ahead of the channel, made of a true one.
    fn release(&self, of: &str, content: &[u8], seq: u64) -> SignedRecord {
        let good = LogProof::parse(&fs::read(self.shop.file(&format!("{of}.tlog-proof"))).unwrap()).unwrap();
        let mut statement = SignedRecord::parse(good.extra().unwrap()).unwrap().statement().clone();
        statement.subject[0].sha256 = Some(sha256(content));
        let Predicate::Release(common, _) = &mut statement.predicate else { panic!("a release") };
        (common.seq, common.prev) = (seq, Some(RecordId::from_hash(sha256(b"nothing"))));
        let signer = RecordSigner::new(self.secret("publish.key")).unwrap();
        SignedRecord::sign(&statement, &[&signer]).unwrap()
    }

    /// Publishes a file under a checkpoint of any size, cosigned at any time.
    fn prove(&self, name: &str, leaf: &[u8], size: u64, time: u64) {
        let (root, path) = climb(leaf_hash(leaf), size - 1, size, hashes());
        let text = Bench::checkpoint(size, &root);
        let log = LogSigner::new(self.secret("log/log.key")).unwrap();
        let witness = CosignSigner::new(self.secret("witness-0/witness.key")).unwrap();
        let lines =
            [log.sign(text.as_bytes()), witness.cosign(&text, UnixSeconds::new(time).unwrap()).unwrap()];
        let bytes = proof(leaf, size - 1, &path, &note(&text, &lines));
        fs::write(self.shop.file(&format!("{name}.tlog-proof")), bytes).unwrap();
    }
}

#[test]
fn a_leap_of_a_channel_is_not_admitted_and_undone_by_the_recovery_keys() {
    let shop = Shop::new("0");
    let thief = Thief { shop: &shop };
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);

    // An honest log does not take a record that leaps.
    let leap = thief.release("agent-1", b"evil", LAST);
    let refused = http::post(shop.world.log().address(), "/submit", &leap.encode()).expect(409);
    assert_eq!(refused.json()["code"], "seq-mismatch");

    // A log and its witnesses that do as the thief says: whoever waits for what lies between holds it, and
    // remembers nothing of it.
    fs::write(shop.file("evil"), "evil").unwrap();
    thief.prove("evil", &leap.encode(), 1 << 62, now());
    shop.configure("unknown = \"hold\"");
    shop.check("evil", HOLD, "not-known");
    shop.verify("agent-1").expect(VERIFIED);
    // Whoever lets that pass installs it, and takes what is true for a rollback.
    shop.configure("");
    shop.verify("evil").expect(VERIFIED);
    shop.check("agent-1", REFUSED, "rollback");
    // The largest tree that can be is no obstacle: what the log says of its channels is learned under smaller ones.
    shop.update().expect(VERIFIED);

    // The recovery keys lead back, and from there on all is as before.
    let withdraw = ["publish", "withdraw", "--record", "evil.tlog-proof", "--safe", "agent-1.tlog-proof"];
    let how =
        ["--reason", "key-compromise", "--recovery", "--channel-name", CHANNEL, "--key", "recovery.key"];
    shop.at_log(&[&withdraw, how.as_slice()].concat()).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    shop.check("evil", REFUSED, "withdrawn");
    shop.verify("agent-1").expect(VERIFIED);
    let new = ["--signer", "next.key.vkey", "--key", "recovery.key", "--key", "next.key", "--recovery"];
    shop.rotate(&[&["--in-force", "channel", "--out", "channel-2"], new.as_slice()].concat());
    shop.release("agent-2", "next");
    shop.update().expect(VERIFIED);
    shop.verify("agent-2").expect(VERIFIED);
    shop.verify("evil").expect(REFUSED);
    shop.check("agent-1", REFUSED, "rollback");
}

#[test]
fn witnesses_that_lie_about_the_time_move_it_by_ten_minutes_at_most() {
    let shop = Shop::new("0");
    let thief = Thief { shop: &shop };
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    let leaf = LogProof::parse(&fs::read(shop.file("agent-1.tlog-proof")).unwrap()).unwrap();
    let leaf = leaf.extra().unwrap().to_vec();
    fs::copy(shop.file("agent-1"), shop.file("late")).unwrap();
    // Ever further ahead, each time as far as is believed.
    for step in 1..8 {
        thief.prove("late", &leaf, 1 << (20 + step), now() + step * 590);
        let verdict = shop.verify("late");
        if step > 1 {
            assert_eq!(
                (verdict.code(), code(&verdict).as_str()),
                (UNDECIDED, "time-implausible"),
                "{verdict}"
            );
        }
        let floor = fs::read_to_string(shop.file("memory/time")).unwrap();
        let floor: u64 = floor.lines().nth(1).unwrap().parse().unwrap();
        assert!(floor <= now() + 600, "step {step}");
    }
    shop.verify("agent-1").expect(VERIFIED);
    shop.update().expect(VERIFIED);
}

/// The program within 1 GiB of address space: who takes in what never ends does not end well.
fn bounded<S: AsRef<OsStr>>(shop: &Shop, args: &[S]) -> Finished {
    let client = &indelible_tests::World::binaries().client;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1048576; exec \"$@\"", "sh"]).arg(client).arg("--json").args(args);
    Finished::run(command.env("XDG_STATE_HOME", shop.file("state")).current_dir(shop.world.path()))
}

/// The commands that ask a log, a mirror or a file, each with the paths that it reads.
fn questions<'a>(url: &'a str, policy: &'a str, record: &'a str) -> [(&'static str, Vec<&'a str>); 7] {
    let watch = vec!["watch", "--once", "--policy", policy, "--log", url, "--state", "watchdog"];
    let beside = vec!["watch", "--once", "--policy", policy, "--source", url, "--state", "watchdog"];
    let lookup = vec!["lookup", record, "--policy", policy, "--log", url];
    [
        ("/channel-file/", vec!["update-state", "--config", "client.toml", "--from", url]),
        ("/checkpoint", watch.clone()),
        ("/tile/entries/", watch),
        ("/checkpoint", beside),
        ("/lookup/", lookup.clone()),
        ("/tile/", lookup.clone()),
        ("/channel/", vec!["lookup", CHANNEL, "--policy", policy, "--log", url]),
    ]
}

#[test]
fn an_answer_without_end_ends_at_its_limit() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    let between = Between::start(shop.world.log().address());
    let (url, policy) = (between.url(), shop.world.policy().display().to_string());
    let record = shop.id("agent-1.tlog-proof").to_string();
    for (path, command) in questions(&url, &policy, &record) {
        between.honest();
        bounded(&shop, &command).expect(VERIFIED);
        let _ = fs::remove_dir_all(shop.file("watchdog"));
        between.at(path, Deed::Endless);
        let told = bounded(&shop, &command).expect(UNDECIDED);
        assert!(told.stdout.contains("http-too-large"), "{path}, {command:?}: {told}");
        let _ = fs::remove_dir_all(shop.file("watchdog"));
    }
    // Nothing of it is remembered, and what was known still is.
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn an_answer_that_stalls_ends_at_the_deadline() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    let between = Between::start(shop.world.log().address());
    between.at("/", Deed::Stall);
    let (url, policy) = (between.url(), shop.world.policy().display().to_string());
    let record = shop.id("agent-1.tlog-proof").to_string();
    // All at once: each waits for as long as a client waits, and no longer.
    std::thread::scope(|scope| {
        for (number, (_, command)) in questions(&url, &policy, &record).into_iter().enumerate() {
            let shop = &shop;
            scope.spawn(move || {
                let state = format!("watchdog-{number}");
                let own = |word: &&str| if *word == "watchdog" { state.clone() } else { (*word).to_owned() };
                let command: Vec<String> = command.iter().map(own).collect();
                let told = bounded(shop, &command).expect(UNDECIDED);
                assert!(told.stdout.contains("http-timeout"), "{command:?}: {told}");
            });
        }
    });
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn a_file_without_end_is_read_to_its_limit() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    let policy = shop.world.policy().display().to_string();
    let verify = ["verify", "agent-1", "--config", "client.toml"];
    let with = |more: &[&'static str]| [&verify[..], more].concat();
    for (command, exit, reason) in [
        (with(&["--proof", "/dev/zero"]), REFUSED, "file-too-large"),
        (with(&["--channel-file", "/dev/zero"]), USAGE, "file-too-large"),
        (vec!["verify", "agent-1", "--policy", "/dev/zero"], USAGE, "file-too-large"),
        (vec!["verify", "agent-1", "--config", "/dev/zero"], USAGE, "file-too-large"),
        (vec!["verify", "/dev/zero", "--config", "client.toml"], USAGE, "artifact-not-regular"),
        (vec!["evidence", "verify", "/dev/zero", "--policy", &policy], REFUSED, "file-too-large"),
        (vec!["inspect", "/dev/zero"], USAGE, "file-too-large"),
    ] {
        let told = bounded(&shop, &command);
        assert_eq!((told.code(), code(&told).as_str()), (exit, reason), "{command:?}: {told}");
    }
}

#[test]
fn a_list_without_end_is_read_for_so_many_pages() {
    const PAGES: u64 = 8;
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    let between = Between::start(shop.world.log().address());
    let (url, policy) = (between.url(), shop.world.policy().display().to_string());
    let hash = sha256(b"agent-1").to_hex();
    let lookup = ["lookup", &hash, "--policy", &policy, "--log", &url];
    let pages = Arc::new(AtomicU64::new(0));
    // Ever more, all of it beyond the tree; or the same again, which leads back to where it was asked.
    for (forward, expected, exit) in [(true, 3 * PAGES, HOLD), (false, 3 * 2, REFUSED)] {
        pages.store(0, Ordering::SeqCst);
        let counted = Arc::clone(&pages);
        between.says_with("/lookup/", move || {
            let page = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let index = LeafIndex::new(if forward { 1000 + page } else { 0 }).unwrap();
            let next = LeafIndex::new(index.get() + 1).ok();
            let entries = vec![LookupEntry { index, record: None }];
            let size = TreeSize::new(5000).unwrap();
            LookupAnswer { entries, next, size }.encode().into_bytes()
        });
        bounded(&shop, &lookup).expect(exit);
        // Of each of the three kinds of key so many.
        assert_eq!(pages.load(Ordering::SeqCst), expected, "{forward}");
    }
}

#[test]
fn a_channel_file_under_another_tree_of_a_known_size_is_evidence() {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    // An entry of somebody else, which the log exchanges for another one.
    let create =
        ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews", "--key", "next.key"];
    shop.at_log(&create).expect(VERIFIED);
    shop.update().expect(VERIFIED);
    let thief = Thief { shop: &shop };
    let mut tree = rogue(&shop.world);
    let size = tree.size();
    tree.replace(2, other_entry());
    let text = tree.checkpoint(size).text().to_owned();
    let log = LogSigner::new(thief.secret("log/log.key")).unwrap();
    let witness = CosignSigner::new(thief.secret("witness-0/witness.key")).unwrap();
    let lines =
        vec![log.sign(text.as_bytes()), witness.cosign(&text, UnixSeconds::new(now()).unwrap()).unwrap()];
    let note = SignedNote::new(text, lines).unwrap();
    let newest = tree.proof(1, size, note.clone());
    let newest = NewestProof { index: newest.index(), proof: newest.proof().clone() };
    let records = ChannelFile::parse(&shop.channel_file(0)).unwrap().records().to_vec();
    let forged = ChannelFile::new(records, newest, None, note).unwrap();
    fs::write(shop.file("forged.tlog-channel"), forged.encode()).unwrap();

    let update = ["update-state", "--config", "client.toml", "--from", "forged.tlog-channel"];
    let verify = ["verify", "agent-1", "--config", "client.toml", "--channel-file", "forged.tlog-channel"];
    for command in [&update[..], &verify] {
        let told = shop.run(command).expect(EVIDENCE);
        assert_eq!(code(&told), "log-forked", "{told}");
        let evidence = fs::read_dir(shop.file("memory/evidence")).unwrap().next().unwrap().unwrap().path();
        let key = shop.world.log_vkey();
        let judge = ["evidence", "verify", evidence.to_str().unwrap(), "--log-key", &key];
        shop.run(&judge).expect(VERIFIED);
        fs::remove_dir_all(shop.file("memory/evidence")).unwrap();
    }
    // Nothing of it is remembered.
    shop.update().expect(VERIFIED);
    shop.verify("agent-1").expect(VERIFIED);
}

#[test]
fn one_more_than_a_command_takes_is_refused_at_once() {
    let shop = Shop::new("0");
    let guard = |count: usize| {
        let artifacts = vec!["none"; count];
        let args =
            [&["guard", "--config", "client.toml"], &artifacts[..], &["--", "touch", "installed"]].concat();
        let told = shop.run(&args).expect(USAGE);
        let first: serde_json::Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
        first["code"].as_str().unwrap().to_owned()
    };
    // Below the limit, the first one is looked for.
    assert_eq!((guard(1024).as_str(), guard(1025).as_str()), ("artifact-missing", "too-many-artifacts"));
    let withdraw = |count: usize| {
        let named = ["--record", "channel"].repeat(count);
        let how = ["--reason", "defective", "--channel-name", CHANNEL, "--key", "publish.key", "--out", "w"];
        let told = shop.at_log(&[&["publish", "withdraw"], &named[..], &how].concat());
        told.json()["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(withdraw(33), "too-many-records");
    assert_ne!(withdraw(32), "too-many-records");
}
