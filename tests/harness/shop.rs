//! A vendor's channel with its log, and a client that follows it.

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::proof::LogProof;
use indelible_proto::record::{RecordId, SignedRecord};

use crate::http;
use crate::process::Finished;
use crate::world::{Kind, World};

/// The vendor's channel.
pub const CHANNEL: &str = "vendor.example/agent";
/// The channel of somebody who looks at what the vendor releases.
pub const REVIEWS: &str = "reviewer.example/rebuilds";

/// Exit code of the client.
const VERIFIED: i32 = 0;

/// A vendor with keys by name, a log, and a client whose file names the vendor's channel by its first record.
#[derive(Debug)]
pub struct Shop {
    /// The log.
    pub world: World,
}

impl Shop {
    /// The channel's changes of keys wait for so many seconds.
    pub fn new(cooldown: &str) -> Self {
        Self::in_world(World::start(Kind::Records, 1, 1), cooldown)
    }

    /// The same at this log.
    pub fn in_world(world: World, cooldown: &str) -> Self {
        let shop = Self { world };
        for key in ["publish", "recovery", "next", "thief"] {
            let name = format!("vendor.example/{key}");
            shop.run(&["keygen", &name, "--out", &format!("{key}.key")]).expect(VERIFIED);
        }
        let create = ["channel", "create", CHANNEL, "--owner", "Vendor", "--key", "publish.key"];
        let recovery = ["--recovery-key", "recovery.key.vkey", "--out", "channel", "--cooldown", cooldown];
        shop.at_log(&[&create, recovery.as_slice()].concat()).expect(VERIFIED);
        shop.configure("");
        shop
    }

    /// Writes the client's file, with these lines before the channels.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn configure(&self, lines: &str) {
        self.configure_under(&self.world.policy(), lines);
    }

    /// The same under another policy.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn configure_under(&self, policy: &Path, lines: &str) {
        let genesis = self.id("channel");
        let text = format!(
            "policy = {:?}\nstate = \"memory\"\n{lines}\n[channels]\n{CHANNEL:?} = \"{genesis}\"\n",
            policy.display().to_string()
        );
        fs::write(self.file("client.toml"), text).expect("the client's file can be written");
    }

    /// A path in the world's folder, which is everybody's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.world.file(name)
    }

    /// A command of anybody's.
    pub fn run(&self, args: &[&str]) -> Finished {
        Finished::run(self.world.client().arg("--json").args(args))
    }

    /// A command of the vendor's, with the log's policy.
    pub fn at_log(&self, args: &[&str]) -> Finished {
        let mut command = self.world.client();
        Finished::run(command.arg("--json").args(args).arg("--policy").arg(self.world.policy()))
    }

    /// Releases a file of this name, signed by the key of that.
    ///
    /// # Panics
    ///
    /// If that fails, as in all that the vendor does here.
    pub fn release(&self, name: &str, key: &str) {
        fs::write(self.file(name), name).expect("the file can be written");
        let key = format!("{key}.key");
        let publish =
            ["publish", "release", name, "--version", name, "--channel-name", CHANNEL, "--key", &key];
        self.at_log(&publish).expect(VERIFIED);
    }

    /// Withdraws a release with the publish key; another one is safe.
    pub fn withdraw(&self, name: &str, safe: &str) {
        let (record, safe) = (format!("{name}.tlog-proof"), format!("{safe}.tlog-proof"));
        let what = ["publish", "withdraw", "--record", &record, "--safe", &safe, "--reason", "malicious"];
        let whose = ["--channel-name", CHANNEL, "--key", "publish.key"];
        self.at_log(&[&what, whose.as_slice()].concat()).expect(VERIFIED);
    }

    /// Changes the channel's keys.
    pub fn rotate(&self, args: &[&str]) {
        self.at_log(&[&["channel", "rotate", CHANNEL], args].concat()).expect(VERIFIED);
    }

    /// The client hears what is new, from the log itself.
    pub fn update(&self) -> Finished {
        self.run(&["update-state", "--config", "client.toml"])
    }

    /// What the client says of an artifact.
    pub fn verify(&self, artifact: &str) -> Finished {
        self.run(&["verify", artifact, "--config", "client.toml"])
    }

    /// The client ends so on an artifact, for this reason.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[track_caller]
    pub fn check(&self, artifact: &str, exit: i32, reason: &str) {
        let verdict = self.verify(artifact).expect(exit);
        assert_eq!(verdict.json()["code"], reason, "{verdict}");
    }

    /// The id of the record in a proof file.
    pub fn id(&self, proof: &str) -> RecordId {
        self.record(proof).record_id()
    }

    /// The record in a proof file.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn record(&self, proof: &str) -> SignedRecord {
        let bytes = fs::read(self.file(proof)).expect("the proof file can be read");
        let proof = LogProof::parse(&bytes).expect("it is a proof");
        SignedRecord::parse(proof.extra().expect("it has a leaf")).expect("the leaf is a record")
    }

    /// The channel file from these places on, as the log serves it.
    pub fn channel_file(&self, publish: u64) -> Vec<u8> {
        let path = format!("/channel-file/{publish}/0/{CHANNEL}");
        http::get(self.world.log().address(), &path).expect(200).body
    }
}
