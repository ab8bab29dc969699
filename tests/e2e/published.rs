//! What a vendor has published, for the tests of what customers do with it: made once by a real log with
//! real witnesses, which are gone by then. Each test gets a room of its own with copies of the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::VerifierKey;
use indelible_proto::proof::LogProof;
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Rogue, World, http, wait_until};
use tempfile::TempDir;

use crate::vendor::{Vendor, proof_of};

/// Three witnesses, of which two have to cosign.
pub(crate) const WITNESSES: usize = 3;

/// The rule set, relative to its folder.
pub(crate) const RULES: [(&str, &str); 3] =
    [("linux.yml", "title: c\n"), ("windows/a.yml", "title: a\n"), ("windows/b.yml", "title: b\n")];

/// A folder with everything a customer can have of the log, and a bit more:
///
/// | file | |
/// |---|---|
/// | `agent-1`, `agent-2` | releases of one channel, with proofs |
/// | `rules/` | a rule set of the same channel, with a proof |
/// | `agent-1.early` | the proof of `agent-1` as its publication gave it, in a smaller tree |
/// | `beta` | a release on another channel under the same key, with a proof |
/// | `evil` | a release on another vendor's channel in the same log, with a proof |
/// | `channel`, `evil-channel` | the channels' proofs |
/// | `vendor.vkey`, `evil.vkey` | the vendors' keys |
/// | `policy.txt`, `log.vkey`, `witness-0.vkey`… | the log's |
/// | `log.key` | the log's secret, for an operator who lies |
///
/// Every `.tlog-proof` is in the whole tree and has the cosignatures of all three witnesses.
pub(crate) struct Room {
    dir: TempDir,
}

impl Room {
    pub(crate) fn new() -> Self {
        static FILES: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
        let room = Self { dir: TempDir::with_prefix("indelible-room-").unwrap() };
        for (name, bytes) in FILES.get_or_init(publish) {
            fs::create_dir_all(room.file(name).parent().unwrap()).unwrap();
            fs::write(room.file(name), bytes).unwrap();
        }
        room
    }

    /// A path in the room.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the room.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(name), bytes).unwrap();
    }

    /// The bytes of a file of the room.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    /// The proof of an artifact of the room.
    pub(crate) fn proof(&self, artifact: &str) -> LogProof {
        LogProof::parse(&self.read(&format!("{artifact}.tlog-proof"))).unwrap()
    }

    /// A key of the room.
    pub(crate) fn vkey(&self, name: &str) -> VerifierKey {
        VerifierKey::parse(String::from_utf8(self.read(name)).unwrap().trim_end()).unwrap()
    }

    /// A witness, as whoever has its key; `None` if there is none of this number.
    pub(crate) fn witness_signer(&self, n: usize) -> Option<CosignSigner> {
        let text = String::from_utf8(fs::read(self.file(format!("witness-{n}.key"))).ok()?).unwrap();
        Some(CosignSigner::new(SecretKey::parse(text.trim_end()).unwrap()).unwrap())
    }

    /// `indelible` with the room as its working directory and a state folder in it.
    pub(crate) fn client(&self) -> Command {
        let mut command = Command::new(&World::binaries().client);
        command.env("XDG_STATE_HOME", self.file("home")).current_dir(self.dir.path());
        command
    }

    /// `indelible verify ARGS` under the room's policy.
    pub(crate) fn verify(&self, args: &[&str]) -> Finished {
        Finished::run(self.client().args(["verify", "--policy", "policy.txt"]).args(args))
    }

    /// The same with the vendor's channel.
    pub(crate) fn verify_of_vendor(&self, args: &[&str]) -> Finished {
        self.verify(&[&["--channel", "channel"], args].concat())
    }

    /// The verdict on `agent-1` if its proof were these bytes, by someone who remembers nothing.
    pub(crate) fn verify_with(&self, proof: &[u8]) -> Finished {
        self.write("tried.tlog-proof", proof);
        self.verify_of_vendor(&["agent-1", "--proof", "tried.tlog-proof", "--no-state"])
    }

    /// The log's operator, lying about these entries.
    pub(crate) fn rogue(&self, entries: Vec<Entry>) -> Rogue {
        Rogue::new(&self.file("log.key"), entries)
    }
}

/// The code by which a program tells why.
#[track_caller]
pub(crate) fn code(finished: &Finished) -> String {
    finished.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {finished}")).to_owned()
}

/// Checks how `indelible verify ARGS` ends, and the reason that it tells programs.
#[track_caller]
pub(crate) fn check(room: &Room, args: &[&str], exit: i32, reason: &str) {
    let verdict = room.verify(&[args, &["--json"]].concat()).expect(exit);
    assert_eq!(code(&verdict), reason, "{verdict}");
}

fn publish() -> BTreeMap<PathBuf, Vec<u8>> {
    let world = World::start(Kind::Records, WITNESSES, 2);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let evil = Vendor::set_up(&world, "evil.example/agent");
    vendor.release(&world, "agent-1", b"the first agent");
    vendor.release(&world, "agent-2", b"the second agent");
    Finished::run(&mut vendor.rules_command(&world, "rules", &RULES)).expect(0);
    let beta = vendor.with_another_channel(&world, "vendor.example/agent/beta");
    beta.release(&world, "beta", b"an agent for testers");
    evil.release(&world, "evil", b"an agent of somebody else");

    let mut files = BTreeMap::new();
    let mut put = |name: &str, from: PathBuf| files.insert(PathBuf::from(name), fs::read(from).unwrap());
    for artifact in ["agent-1", "agent-2", "beta", "rules"] {
        put(&format!("{artifact}.tlog-proof"), proof_of(&vendor.file(artifact)));
    }
    for artifact in ["agent-1", "agent-2", "beta"] {
        put(artifact, vendor.file(artifact));
    }
    for (rule, _) in RULES {
        put(&format!("rules/{rule}"), vendor.file("rules").join(rule));
    }
    put("agent-1.early", proof_of(&vendor.file("agent-1")));
    put("evil", evil.file("evil"));
    put("evil.tlog-proof", proof_of(&evil.file("evil")));
    put("channel", vendor.channel_proof());
    put("evil-channel", evil.channel_proof());
    put("vendor.vkey", vendor.file("publish.key.vkey"));
    put("evil.vkey", evil.file("publish.key.vkey"));
    put("policy.txt", world.policy());
    for name in ["log.key", "log.vkey"] {
        put(name, world.log_dir().join(name));
    }
    for n in 0..WITNESSES {
        put(&format!("witness-{n}.vkey"), world.witness_dir(n).join("witness.vkey"));
        put(&format!("witness-{n}.key"), world.witness_dir(n).join("witness.key"));
    }
    for (name, bytes) in &mut files {
        if name.extension().is_some_and(|ending| ending == "tlog-proof") {
            *bytes = with_every_cosignature(&world, bytes);
        }
    }
    files
}

/// A proof of the same record that has the cosignatures of all witnesses, not only of the first that answered.
fn with_every_cosignature(world: &World, proof: &[u8]) -> Vec<u8> {
    let leaf = LogProof::parse(proof).unwrap().extra().unwrap().to_vec();
    wait_until("all witnesses have cosigned", || {
        let answer = http::post(world.log().address(), "/submit", &leaf).expect(200);
        let lines = LogProof::parse(&answer.body).unwrap().note().signatures().len();
        (lines == 1 + WITNESSES).then_some(answer.body)
    })
}
