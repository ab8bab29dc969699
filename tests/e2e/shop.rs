//! A vendor's channel with its log, and a client that follows it.

use std::fs;
use std::path::PathBuf;

use indelible_proto::proof::LogProof;
use indelible_proto::record::{RecordId, SignedRecord};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, World, http};

use crate::exit::VERIFIED;
use crate::published::code;

pub(crate) const CHANNEL: &str = "vendor.example/agent";
pub(crate) const REVIEWS: &str = "reviewer.example/rebuilds";

/// A vendor with keys by name, a log, and a client whose file names the vendor's channel by its first record.
pub(crate) struct Shop {
    pub(crate) world: World,
}

impl Shop {
    /// The channel's changes of keys wait for so many seconds.
    pub(crate) fn new(cooldown: &str) -> Self {
        Self::in_world(World::start(Kind::Records, 1, 1), cooldown)
    }

    /// The same at this log.
    pub(crate) fn in_world(world: World, cooldown: &str) -> Self {
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
    pub(crate) fn configure(&self, lines: &str) {
        let (policy, genesis) = (self.world.policy(), self.id("channel"));
        let text = format!(
            "policy = {:?}\nstate = \"memory\"\n{lines}\n[channels]\n{CHANNEL:?} = \"{genesis}\"\n",
            policy.display().to_string()
        );
        fs::write(self.file("client.toml"), text).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.world.file(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        Finished::run(self.world.client().arg("--json").args(args))
    }

    /// A command of the vendor's, with the log's policy.
    pub(crate) fn at_log(&self, args: &[&str]) -> Finished {
        let mut command = self.world.client();
        Finished::run(command.arg("--json").args(args).arg("--policy").arg(self.world.policy()))
    }

    pub(crate) fn release(&self, name: &str, key: &str) {
        fs::write(self.file(name), name).unwrap();
        let key = format!("{key}.key");
        let publish =
            ["publish", "release", name, "--version", name, "--channel-name", CHANNEL, "--key", &key];
        self.at_log(&publish).expect(VERIFIED);
    }

    pub(crate) fn withdraw(&self, name: &str, safe: &str) {
        let (record, safe) = (format!("{name}.tlog-proof"), format!("{safe}.tlog-proof"));
        let what = ["publish", "withdraw", "--record", &record, "--safe", &safe, "--reason", "malicious"];
        let whose = ["--channel-name", CHANNEL, "--key", "publish.key"];
        self.at_log(&[&what, whose.as_slice()].concat()).expect(VERIFIED);
    }

    pub(crate) fn rotate(&self, args: &[&str]) {
        self.at_log(&[&["channel", "rotate", CHANNEL], args].concat()).expect(VERIFIED);
    }

    /// The client hears what is new, from the log itself.
    pub(crate) fn update(&self) -> Finished {
        self.run(&["update-state", "--config", "client.toml"])
    }

    pub(crate) fn verify(&self, artifact: &str) -> Finished {
        self.run(&["verify", artifact, "--config", "client.toml"])
    }

    #[track_caller]
    pub(crate) fn check(&self, artifact: &str, exit: i32, reason: &str) {
        let verdict = self.verify(artifact).expect(exit);
        assert_eq!(code(&verdict), reason, "{verdict}");
    }

    pub(crate) fn id(&self, proof: &str) -> RecordId {
        let proof = LogProof::parse(&fs::read(self.file(proof)).unwrap()).unwrap();
        SignedRecord::parse(proof.extra().unwrap()).unwrap().record_id()
    }

    /// The channel file from these places on, as the log serves it.
    pub(crate) fn channel_file(&self, publish: u64) -> Vec<u8> {
        let path = format!("/channel-file/{publish}/0/{CHANNEL}");
        http::get(self.world.log().address(), &path).expect(200).body
    }
}
