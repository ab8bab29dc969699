//! A vendor at the command line: a key, a channel, artifacts with their proofs beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use indelible_tests::{Finished, World};

/// The vendor of one channel.
pub(crate) struct Vendor {
    channel: String,
    dir: PathBuf,
}

impl Vendor {
    /// Makes a key and opens `channel`.
    pub(crate) fn set_up(world: &World, channel: &str) -> Self {
        let dir = world.file(format!("vendor of {}", channel.replace('/', "_")));
        fs::create_dir(&dir).unwrap();
        let vendor = Self { channel: channel.to_owned(), dir };
        let domain = channel.split('/').next().unwrap();
        let mut keygen = world.client();
        keygen.arg("keygen").arg(format!("{domain}/publish")).arg("--out").arg(vendor.key());
        Finished::run(&mut keygen).expect(0);
        vendor.open_channel(world);
        vendor
    }

    /// The same vendor, who opens another channel with the same key.
    pub(crate) fn with_another_channel(&self, world: &World, channel: &str) -> Self {
        let other = Self { channel: channel.to_owned(), dir: self.dir.clone() };
        other.open_channel(world);
        other
    }

    fn open_channel(&self, world: &World) {
        let mut create = self.command(world, &["channel", "create", &self.channel]);
        create.args(["--owner", "Vendor Example AG", "--out"]).arg(self.channel_proof());
        Finished::run(&mut create).expect(0);
    }

    /// The secret key's file.
    pub(crate) fn key(&self) -> PathBuf {
        self.dir.join("publish.key")
    }

    /// The channel's proof.
    pub(crate) fn channel_proof(&self) -> PathBuf {
        self.dir.join(format!("{}.channel", self.channel.replace('/', "_")))
    }

    /// A path of an artifact.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `indelible ARGS` with the log's policy, and with the key where something is to be signed.
    pub(crate) fn command(&self, world: &World, args: &[&str]) -> Command {
        let mut command = world.client();
        command.args(args).arg("--policy").arg(world.policy());
        if args[0] != "verify" {
            command.arg("--key").arg(self.key());
        }
        command
    }

    /// The command that publishes a file of that name and content.
    pub(crate) fn release_command(&self, world: &World, name: &str, content: &[u8]) -> Command {
        fs::write(self.file(name), content).unwrap();
        let mut publish = self.command(world, &["publish", "release"]);
        publish.arg(self.file(name)).args(["--channel-name", &self.channel, "--version", "1.0"]);
        publish
    }

    /// Publishes a file of that name and content.
    pub(crate) fn release(&self, world: &World, name: &str, content: &[u8]) -> PathBuf {
        Finished::run(&mut self.release_command(world, name, content)).expect(0);
        self.file(name)
    }

    /// The command that publishes a folder of rules.
    pub(crate) fn rules_command(&self, world: &World, name: &str, files: &[(&str, &str)]) -> Command {
        for (file, content) in files {
            let path = self.file(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mut publish = self.command(world, &["publish", "rules"]);
        publish.arg(self.file(name)).args(["--channel-name", &self.channel, "--version", "7"]);
        publish.args(["--format", "sigma"]);
        publish
    }

    /// `indelible verify ARTIFACT` under the log's policy and the vendor's channel.
    pub(crate) fn verify(&self, world: &World, artifact: &Path) -> Finished {
        let mut verify = self.command(world, &["verify"]);
        Finished::run(verify.arg(artifact).arg("--channel").arg(self.channel_proof()))
    }
}

/// Where the proof of an artifact lies.
pub(crate) fn proof_of(artifact: &Path) -> PathBuf {
    let mut name = artifact.as_os_str().to_owned();
    name.push(".tlog-proof");
    name.into()
}
