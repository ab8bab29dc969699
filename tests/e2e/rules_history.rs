//! A channel of rules over its versions: what each record says has changed since the one before, whichever way that
//! one was published, and that it says nothing where it does not know.

use std::path::{Path, PathBuf};

use indelible_proto::proof::LogProof;
use indelible_proto::record::body::Delta;
use indelible_proto::record::{Predicate, SignedRecord};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, World};

use crate::exit::{UNDECIDED, USAGE, VERIFIED};
use crate::published::code;

const CHANNEL: &str = "vendor.example/rules/sigma";

struct Desk {
    world: World,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { world: World::start(Kind::Records, 1, 1) };
        desk.run(&["keygen", "vendor.example/publish", "--out", "k"]).expect(VERIFIED);
        let create = ["channel", "create", CHANNEL, "--owner", "Vendor", "--key", "k", "--out", "channel"];
        desk.at_log(&create).expect(VERIFIED);
        desk
    }

    fn run(&self, args: &[&str]) -> Finished {
        Finished::run(self.world.client().arg("--json").args(args))
    }

    fn at_log(&self, args: &[&str]) -> Finished {
        Finished::run(self.world.client().arg("--json").args(args).arg("--policy").arg(self.world.policy()))
    }

    /// A version in a directory of its own: file names and their content.
    fn version(&self, dir: &str, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.world.file(dir).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    fn publish(&self, dir: &str, more: &[&str]) -> Finished {
        let fixed =
            ["publish", "rules", dir, "--version", dir, "--format", "sigma", "--channel-name", CHANNEL];
        self.at_log(&[&fixed, more].concat())
    }

    fn signed(&self, dir: &str, more: &[&str]) -> Finished {
        self.publish(dir, &[&["--key", "k"], more].concat())
    }

    fn record(&self, dir: &str) -> SignedRecord {
        let proof = LogProof::parse(&std::fs::read(self.world.file(format!("{dir}.tlog-proof"))).unwrap());
        SignedRecord::parse(proof.unwrap().extra().unwrap()).unwrap()
    }

    fn delta(&self, dir: &str) -> Option<Delta> {
        match &self.record(dir).statement().predicate {
            Predicate::Rules(_, body) => body.delta,
            other => panic!("{other:?}"),
        }
    }

    fn expect_delta(&self, dir: &str, from: &str, counts: (u64, u64, u64)) {
        let (added, changed, removed) = counts;
        let delta = Delta { from: self.record(from).record_id(), added, changed, removed };
        assert_eq!(self.delta(dir), Some(delta), "{dir}");
    }

    /// People are told this of the changes, and how they are counted.
    fn expect_remark(&self, dir: &str, more: &[&str], remark: &str) {
        let mut command = self.world.client();
        command.args(["publish", "rules", dir, "--version", dir, "--format", "sigma"]).args(more);
        command.args(["--channel-name", CHANNEL, "--key", "k", "--policy"]).arg(self.world.policy());
        let told = Finished::run(&mut command).expect(VERIFIED).stderr;
        let line = told.lines().find(|line| line.starts_with(remark));
        assert!(line.is_some_and(|line| line.contains("--previous") && line.contains("--from")), "{told}");
    }

    /// Where the client keeps the newest rules and their listing.
    fn kept(&self, state: &Path) -> (PathBuf, PathBuf) {
        let channel = std::fs::read_dir(state.join("rules")).unwrap().next().unwrap().unwrap().path();
        let files = std::fs::read_dir(&channel).unwrap().map(|entry| entry.unwrap().path());
        let listings: Vec<_> = files.filter(|path| !path.ends_with("newest")).collect();
        assert_eq!(listings.len(), 1, "{listings:?}");
        (channel.join("newest"), listings[0].clone())
    }
}

fn three_versions(desk: &Desk) {
    desk.version("v1", &[("a.yml", "1"), ("b/c.yml", "1"), ("d.yml", "1")]);
    desk.version("v2", &[("a.yml", "2"), ("b/c.yml", "1"), ("e.yml", "1"), ("f.yml", "1")]);
    desk.version("v3", &[("a.yml", "2")]);
}

#[test]
fn each_record_counts_what_changed_since_the_one_before() {
    let desk = Desk::new();
    three_versions(&desk);
    let first = desk.signed("v1", &[]).expect(VERIFIED).json();
    assert_eq!((desk.delta("v1"), first.get("delta")), (None, None));
    assert_eq!(first["noDelta"], "no-rules-published-here");
    let second = desk.signed("v2", &[]).expect(VERIFIED).json();
    desk.expect_delta("v2", "v1", (2, 1, 1));
    assert_eq!(second["delta"]["changed"], 1);
    assert_eq!((&second["delta"]["fromNewest"], second.get("noDelta")), (&true.into(), None));
    // Published again it is the same record, although the rules before are now these.
    let again = desk.signed("v2", &[]).expect(VERIFIED).json();
    assert_eq!((&again["record"], &again["resumed"]), (&second["record"], &true.into()));
    desk.expect_delta("v2", "v1", (2, 1, 1));
    // What stands between two versions and is no version does not count.
    let head = ["publish", "head", "--record", "v2.tlog-proof", "--out", "head", "--channel-name", CHANNEL];
    desk.at_log(&[&head, ["--key", "k"].as_slice()].concat()).expect(VERIFIED);
    // Only looking changes nothing.
    desk.signed("v1", &["--dry-run"]).expect(VERIFIED);
    // Signed where there is no network, then handed in.
    desk.publish("v3", &["--prepare", "statement"]).expect(VERIFIED);
    desk.run(&["sign", "statement", "--key", "k", "--out", "leaf"]).expect(VERIFIED);
    desk.at_log(&["submit", "leaf", "--proof", "v3.tlog-proof"]).expect(VERIFIED);
    desk.expect_delta("v3", "v2", (0, 0, 3));
    desk.signed("v1", &["--renew"]).expect(VERIFIED);
    desk.expect_delta("v1", "v3", (2, 1, 0));
    let uncounted = desk.signed("v2", &["--no-delta"]).expect(VERIFIED).json();
    assert_eq!((desk.delta("v2"), uncounted.get("noDelta")), (None, None));
}

#[test]
fn another_machine_is_told_which_rules_came_before() {
    let desk = Desk::new();
    three_versions(&desk);
    desk.signed("v1", &[]).expect(VERIFIED);
    let other = |dir: &str, more: &[&str]| desk.signed(dir, &[&["--state", "other"], more].concat());
    let listing = desk.run(&["bundle", "root", "v1"]).expect(VERIFIED);
    assert!(!listing.stdout.is_empty());
    let (_, kept) = desk.kept(&desk.world.file("state/indelible"));
    std::fs::copy(kept, desk.world.file("listing")).unwrap();
    // Another directory than the one that was published, no rules, no proof, one without the other.
    for (previous, from) in
        [("v3", "v1.tlog-proof"), ("v1", "channel"), ("v1", "v1/a.yml"), ("none", "v1.tlog-proof")]
    {
        other("v2", &["--previous", previous, "--from", from]).expect(USAGE);
    }
    other("v2", &["--previous", "v1"]).expect(USAGE);
    other("v2", &["--previous", "listing", "--from", "v1.tlog-proof"]).expect(VERIFIED);
    desk.expect_delta("v2", "v1", (2, 1, 1));
    // The first machine counts against the newest it knows of, and names it.
    let older = format!("changes are counted from record {}, and", desk.record("v1").record_id());
    desk.expect_remark("v3", &["--accept-log-head", "--dry-run"], &older);
    let told = desk.signed("v3", &["--accept-log-head"]).expect(VERIFIED).json();
    desk.expect_delta("v3", "v1", (0, 1, 2));
    assert_eq!(told["delta"]["fromNewest"], false);
    other("v1", &["--accept-log-head", "--previous", "v3", "--from", "v3.tlog-proof"]).expect(VERIFIED);
    desk.expect_delta("v1", "v3", (2, 1, 0));
    // A third one that is told nothing counts nothing, and says so.
    let third = ["--state", "third"];
    let none = "changes are not counted: no rules of the channel were published from here";
    desk.expect_remark("v2", &[&third, ["--dry-run"].as_slice()].concat(), none);
    let dry = desk.signed("v2", &[&third, ["--dry-run"].as_slice()].concat()).expect(VERIFIED).json();
    assert_eq!(dry["noDelta"], "no-rules-published-here");
    desk.signed("v2", &third).expect(VERIFIED);
    assert_eq!(desk.delta("v2"), None);
    // Rules that were handed in from here, and were made elsewhere.
    let prepared = ["--prepare", "statement", "--no-delta", "--state", "fourth"];
    desk.publish("v3", &prepared).expect(VERIFIED);
    desk.run(&["sign", "statement", "--key", "k", "--out", "leaf"]).expect(VERIFIED);
    desk.at_log(&["submit", "leaf", "--proof", "v3.tlog-proof", "--state", "third"]).expect(VERIFIED);
    let dry = desk.signed("v1", &[&third, ["--dry-run"].as_slice()].concat()).expect(VERIFIED).json();
    assert_eq!(dry["noDelta"], "rules-made-elsewhere");
    // By the way that the remarks name, the count is there again.
    desk.signed("v1", &[&third, ["--previous", "v3", "--from", "v3.tlog-proof"].as_slice()].concat())
        .expect(VERIFIED);
    desk.expect_delta("v1", "v3", (2, 1, 0));
}

#[test]
fn damage_to_what_is_kept_never_gives_a_wrong_count() {
    let desk = Desk::new();
    three_versions(&desk);
    desk.signed("v1", &[]).expect(VERIFIED);
    let (newest, listing) = desk.kept(&desk.world.file("state/indelible"));
    let (proof, lines) = (std::fs::read(&newest).unwrap(), std::fs::read(&listing).unwrap());
    let last = lines.iter().rposition(|byte| *byte == b'd').unwrap();
    let other_name = [&lines[..last], b"e", &lines[last + 1..]].concat();
    let one_line_less =
        lines[..=lines[..lines.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap()].to_vec();
    let nul = |length: usize| vec![0; length];
    let channel = std::fs::read(desk.world.file("channel")).unwrap();
    for (path, damaged) in [
        (&listing, nul(lines.len())),
        (&listing, Vec::new()),
        (&listing, lines[..lines.len() - 1].to_vec()),
        (&listing, one_line_less),
        (&listing, other_name),
        (&newest, nul(proof.len())),
        (&newest, Vec::new()),
        (&newest, proof[..proof.len() / 2].to_vec()),
        (&newest, channel),
        (&newest, b"x".repeat(LogProof::MAX_BYTES + 1)),
    ] {
        std::fs::write(&newest, &proof).unwrap();
        std::fs::write(&listing, &lines).unwrap();
        std::fs::write(path, damaged).unwrap();
        let refused = desk.signed("v2", &[]).expect(UNDECIDED);
        assert_eq!(code(&refused), "state-damaged");
        assert!(refused.stdout.contains("--no-delta"), "{}", refused.stdout);
        assert!(!desk.world.file("v2.tlog-proof").exists());
    }
    // It says how to go on, and that mends it.
    desk.signed("v2", &["--previous", "v1", "--from", "v1.tlog-proof"]).expect(VERIFIED);
    desk.expect_delta("v2", "v1", (2, 1, 1));
    desk.signed("v3", &[]).expect(VERIFIED);
    desk.expect_delta("v3", "v2", (0, 0, 3));
}
