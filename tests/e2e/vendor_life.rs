//! A vendor over the years: keys change and are stolen, a release turns out bad, records are signed where there
//! is no network. All with the real programs and a real log.

use std::path::PathBuf;
use std::process::Command;

use indelible_proto::proof::LogProof;
use indelible_proto::record::{Chain, Predicate, SignedRecord};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, World};

use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::code;

pub(crate) const CHANNEL: &str = "vendor.example/agent";

/// A vendor's desk: keys by name, and the channel with a recovery key that is kept apart.
pub(crate) struct Desk {
    pub(crate) world: World,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { world: World::start(Kind::Records, 1, 1) };
        for key in ["publish", "recovery", "next", "thief"] {
            let name = format!("vendor.example/{key}");
            desk.run(&["keygen", &name, "--out", &format!("{key}.key")]).expect(VERIFIED);
        }
        let create = ["channel", "create", CHANNEL, "--owner", "Vendor", "--key", "publish.key"];
        let recovery = ["--recovery-key", "recovery.key.vkey", "--out", "channel"];
        desk.at_log(&[&create, recovery.as_slice()].concat()).expect(VERIFIED);
        desk
    }

    fn client(&self) -> Command {
        let mut client = self.world.client();
        client.arg("--json");
        client
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.world.file(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        Finished::run(self.client().args(args))
    }

    /// A command that asks the log.
    pub(crate) fn at_log(&self, args: &[&str]) -> Finished {
        Finished::run(self.client().args(args).arg("--policy").arg(self.world.policy()))
    }

    pub(crate) fn release(&self, name: &str, key: &str) -> Finished {
        std::fs::write(self.file(name), name).unwrap();
        self.at_log(&["publish", "release", name, "--version", name, "--channel-name", CHANNEL, "--key", key])
    }

    /// Rotates to the keys of these names, signed by those; on the recovery chain if the recovery key is one.
    pub(crate) fn rotate(&self, in_force: &str, to: &[&str], by: &[&str], out: &str) -> Finished {
        let mut args = vec!["channel", "rotate", CHANNEL, "--in-force", in_force, "--out", out];
        let (to, by): (Vec<String>, Vec<String>) = (
            to.iter().map(|name| format!("{name}.key.vkey")).collect(),
            by.iter().map(|name| format!("{name}.key")).collect(),
        );
        to.iter().for_each(|key| args.extend(["--signer", key]));
        by.iter().for_each(|key| args.extend(["--key", key]));
        if to.is_empty() {
            args.push("--freeze");
        }
        if by.iter().any(|key| key == "recovery.key") {
            args.push("--recovery");
        }
        self.at_log(&args)
    }

    pub(crate) fn record(&self, proof: &str) -> SignedRecord {
        let proof = LogProof::parse(&std::fs::read(self.file(proof)).unwrap()).unwrap();
        SignedRecord::parse(proof.extra().unwrap()).unwrap()
    }
}

#[test]
fn keys_change_hands_and_the_old_one_signs_nothing_more() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    // A new key has to sign, too: nobody can be made to answer for a key that is not theirs.
    desk.rotate("channel", &["next"], &["publish"], "channel-2").expect(REFUSED);
    desk.rotate("channel", &["next"], &["publish", "next"], "channel-2").expect(VERIFIED);
    desk.release("agent-2", "publish.key").expect(REFUSED);
    desk.release("agent-2", "next.key").expect(VERIFIED);
    let shown = desk.at_log(&["channel", "show", CHANNEL]).expect(VERIFIED).json();
    assert_eq!((&shown["seq"], &shown["frozen"], &shown["pinned"]), (&3.into(), &false.into(), &true.into()));
    assert_eq!(shown["keys"], desk.record("channel-2").record_id().to_string());
}

#[test]
fn a_thief_who_keeps_publishing_cannot_hold_up_the_recovery() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    // The thief has the publish key, and makes it his own.
    desk.rotate("channel", &["thief"], &["publish", "thief"], "stolen").expect(VERIFIED);
    for n in 0..3 {
        desk.release(&format!("evil-{n}"), "thief.key").expect(VERIFIED);
    }
    // The recovery keys need to know nothing of that: the record in force is the one they remember.
    desk.rotate("channel", &[], &["recovery"], "frozen").expect(VERIFIED);
    let refused = desk.release("evil-3", "thief.key").expect(REFUSED);
    assert_eq!(code(&refused), "channel-frozen");
    assert_eq!(desk.at_log(&["channel", "show", CHANNEL]).expect(VERIFIED).json()["frozen"], true);
    desk.rotate("channel", &["next"], &["recovery", "next"], "recovered").expect(VERIFIED);
    desk.release("evil-4", "thief.key").expect(REFUSED);
    desk.release("agent-2", "next.key").expect(VERIFIED);
    let Predicate::Channel(common, body) = desk.record("recovered").statement().predicate.clone() else {
        panic!("a channel record")
    };
    assert_eq!((common.chain, common.seq), (Chain::Recovery, 1));
    assert_eq!(body.signers.unwrap().keys().len(), 1);
}

#[test]
fn a_bad_release_is_withdrawn_by_its_publisher_or_by_the_recovery_keys() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    desk.release("agent-2", "publish.key").expect(VERIFIED);
    let withdraw = |args: &[&str]| {
        let fixed = ["publish", "withdraw", "--record", "agent-2.tlog-proof", "--channel-name", CHANNEL];
        desk.at_log(&[&fixed, args].concat())
    };
    let back = ["--reason", "defective", "--safe", "agent-1.tlog-proof"];
    withdraw(&[&back, ["--key", "publish.key"].as_slice()].concat()).expect(VERIFIED);
    let Predicate::Withdraw(common, body) =
        desk.record("agent-2.withdrawn.tlog-proof").statement().predicate.clone()
    else {
        panic!("a withdrawal")
    };
    assert_eq!((common.chain, common.seq), (Chain::Publish, 3));
    assert_eq!(body.records, [desk.record("agent-2.tlog-proof").record_id()]);
    // The recovery keys on their own chain, and no other key there.
    let bad = ["--reason", "malicious", "--uninstall", "--recovery", "--out", "gone"];
    withdraw(&[&bad, ["--key", "publish.key"].as_slice()].concat()).expect(REFUSED);
    withdraw(&[&bad, ["--key", "recovery.key"].as_slice()].concat()).expect(VERIFIED);
    // What is in no log can't be taken back, and no reason is none.
    withdraw(&["--reason", "defective", "--safe", "agent-2", "--key", "publish.key"]).expect(USAGE);
    withdraw(&["--reason", "because", "--key", "publish.key"]).expect(USAGE);
}

#[test]
fn a_reviewer_says_what_was_found_and_a_heartbeat_renews() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    desk.run(&["keygen", "reviewer.example/reviews", "--out", "reviewer.key"]).expect(VERIFIED);
    let create =
        ["channel", "create", "reviewer.example/rebuilds", "--owner", "Reviewer", "--out", "reviews"];
    desk.at_log(&[&create, ["--key", "reviewer.key"].as_slice()].concat()).expect(VERIFIED);
    std::fs::write(desk.file("report.txt"), "it does not rebuild").unwrap();
    let review = |result: &[&str]| {
        let fixed = [
            "publish",
            "review",
            "--record",
            "agent-1.tlog-proof",
            "--kind",
            "rebuild",
            "--report",
            "report.txt",
        ];
        let whose =
            ["--paid-by", "nobody", "--access", "source", "--channel-name", "reviewer.example/rebuilds"];
        desk.at_log(&[&fixed, whose.as_slice(), &["--key", "reviewer.key"], result].concat())
    };
    review(&["--result", "pass-with-findings"]).expect(USAGE);
    review(&["--result", "fail"]).expect(VERIFIED);
    let head =
        ["publish", "head", "--record", "agent-1.tlog-proof", "--out", "head", "--channel-name", CHANNEL];
    desk.at_log(&[&head, ["--key", "publish.key"].as_slice()].concat()).expect(VERIFIED);
    let Predicate::Head(common, body) = desk.record("head").statement().predicate.clone() else {
        panic!("a heartbeat")
    };
    assert_eq!((common.seq, body.record), (2, desk.record("agent-1.tlog-proof").record_id()));
    // Once the recovery chain has come to something, a heartbeat names it.
    desk.rotate("channel", &["next"], &["recovery", "next"], "recovered").expect(VERIFIED);
    let again = [&head, ["--key", "next.key", "--renew"].as_slice()].concat();
    desk.at_log(&again).expect(VERIFIED);
    let Predicate::Head(_, body) = desk.record("head").statement().predicate.clone() else {
        panic!("a heartbeat")
    };
    assert_eq!(body.recovery, Some(desk.record("recovered").record_id()));
}

#[test]
fn a_record_is_signed_where_there_is_no_network() {
    let desk = Desk::new();
    std::fs::write(desk.file("agent-1"), "agent").unwrap();
    let prepare = |file: &str| {
        let fixed = ["publish", "release", "agent-1", "--version", "1", "--channel-name", CHANNEL];
        desk.at_log(&[&fixed, ["--prepare", file].as_slice()].concat())
    };
    prepare("statement").expect(VERIFIED);
    prepare("statement").expect(USAGE);
    // Signed twice by one key is signed once; a stranger's signature is found out by the log.
    desk.run(&["sign", "statement", "--key", "publish.key", "--key", "publish.key", "--out", "leaf"])
        .expect(VERIFIED);
    desk.run(&["sign", "leaf", "--key", "thief.key", "--out", "other.leaf"]).expect(VERIFIED);
    desk.run(&["sign", "agent-1", "--key", "publish.key", "--out", "none"]).expect(USAGE);
    let refused =
        desk.run(&["sign", "statement", "--key", "publish.key", "--out", "publish.key"]).expect(USAGE);
    assert!(refused.stdout.contains("file-exists"), "{refused}");
    let submit = |leaf: &str| desk.at_log(&["submit", leaf, "--proof", "agent-1.tlog-proof"]);
    submit("other.leaf").expect(REFUSED);
    submit("leaf").expect(VERIFIED);
    let first = std::fs::read(desk.file("agent-1.tlog-proof")).unwrap();
    // Again, it is the same record in the same place.
    let again = submit("leaf").expect(VERIFIED).json();
    assert_eq!(again["index"], 1);
    let index = |bytes: &[u8]| LogProof::parse(bytes).unwrap().index().get();
    assert_eq!(index(&first), 1);
    let state = ["--state", "elsewhere", "--channel", "channel"];
    desk.at_log(&[["verify", "agent-1"].as_slice(), &state].concat()).expect(VERIFIED);
    submit("statement").expect(USAGE);
}

#[test]
fn a_directory_of_records_is_handed_in_in_the_order_of_its_channels() {
    let desk = Desk::new();
    std::fs::create_dir(desk.file("records")).unwrap();
    let mut signers = Vec::new();
    for n in 0..3 {
        let key = format!("v{n}.key");
        let channel = format!("vendor{n}.example/agent");
        desk.run(&["keygen", &format!("vendor{n}.example/publish"), "--out", &key]).expect(VERIFIED);
        let create = ["channel", "create", &channel, "--owner", "V", "--key", &key, "--prepare", "prepared"];
        desk.at_log(&create).expect(VERIFIED);
        let leaf = format!("records/{n}.leaf");
        desk.run(&["sign", "prepared", "--key", &key, "--out", &leaf]).expect(VERIFIED);
        std::fs::remove_file(desk.file("prepared")).unwrap();
        signers.push(key);
    }
    std::fs::write(desk.file("records/readme.txt"), "not a record").unwrap();
    desk.at_log(&["submit", "records"]).expect(VERIFIED);
    for n in 0..3 {
        assert_eq!(
            desk.record(&format!("records/{n}.leaf.tlog-proof")).statement().predicate.common().seq,
            0
        );
    }
    desk.at_log(&["submit", "records", "--proof", "one"]).expect(USAGE);
}

#[test]
fn a_publication_is_written_down_in_a_file() {
    let desk = Desk::new();
    std::fs::create_dir(desk.file("files")).unwrap();
    std::fs::write(desk.file("files/agent-1"), "agent").unwrap();
    let lines = format!("files = [\"agent-1\"]\nversion = \"1\"\nchannel-name = \"{CHANNEL}\"\n");
    std::fs::write(desk.file("files/release.toml"), format!("{lines}key = \"../thief.key\"\n")).unwrap();
    let release = |more: &[&str]| {
        desk.at_log(&[["publish", "release", "--from-file", "files/release.toml"].as_slice(), more].concat())
    };
    release(&[]).expect(REFUSED);
    release(&["--key", "publish.key", "--version", "1.0"]).expect(VERIFIED);
    let Predicate::Release(_, body) = desk.record("files/agent-1.tlog-proof").statement().predicate.clone()
    else {
        panic!("a release")
    };
    assert_eq!(body.version, "1.0");
    std::fs::write(desk.file("files/release.toml"), format!("{lines}keys = \"k\"\n")).unwrap();
    assert_eq!(code(&release(&[]).expect(USAGE)), "from-file-key");
}

#[test]
fn an_encrypted_key_signs_with_its_passphrase_only() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    for (name, words) in [("words", "open sesame\n"), ("other", "open\n")] {
        std::fs::write(desk.file(name), words).unwrap();
        std::fs::set_permissions(desk.file(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let keygen = ["keygen", "vendor.example/sealed", "--out", "sealed.key", "--encrypt"];
    desk.run(&keygen).expect(USAGE);
    desk.run(&[&keygen, ["--passphrase-file", "words", "--kind", "log"].as_slice()].concat()).expect(USAGE);
    desk.run(&[&keygen, ["--passphrase-file", "words"].as_slice()].concat()).expect(VERIFIED);
    let create = ["channel", "create", "vendor.example/sealed", "--owner", "V", "--key", "sealed.key"];
    let with =
        |passphrase: &[&str]| desk.at_log(&[&create, ["--out", "sealed"].as_slice(), passphrase].concat());
    assert_eq!(code(&with(&[]).expect(USAGE)), "no-passphrase");
    assert_eq!(code(&with(&["--passphrase-file", "other"]).expect(USAGE)), "passphrase-wrong");
    with(&["--passphrase-file", "words"]).expect(VERIFIED);
}
