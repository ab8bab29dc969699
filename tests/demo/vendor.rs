//! The vendor of the demo: two channels, a rule set, some releases; and its customer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use indelible_tests::{Finished, World};

use crate::input::{self, Release};
use crate::stage::Stage;

/// Channel of the rule set.
pub(crate) const RULES_CHANNEL: &str = "vendor.example/rules/sagan";
/// Channel of the releases.
pub(crate) const RELEASE_CHANNEL: &str = "vendor.example/crates";

/// Keys, files and channel proofs of the vendor.
#[derive(Debug)]
pub(crate) struct Vendor {
    dir: PathBuf,
    rules: PathBuf,
    releases: Vec<Release>,
}

impl Vendor {
    /// Makes a key, opens both channels, fetches what is published.
    pub(crate) fn set_up(stage: &mut Stage, world: &World, generated: bool) -> Self {
        let dir = world.file("vendor");
        std::fs::create_dir(&dir).expect("a folder can be made");
        let mut keygen = world.client();
        keygen.arg("keygen").arg("vendor.example/publish").arg("--out").arg(dir.join("vendor.key"));
        stage.expect("the vendor has a signing key", &Finished::run(&mut keygen), 0);
        let rules = dir.join("rules");
        input::rules(stage, &rules, generated).expect("rules can be written");
        let releases = input::releases(stage, &dir, generated).expect("releases can be written");
        let vendor = Self { dir, rules, releases };
        for channel in [RULES_CHANNEL, RELEASE_CHANNEL] {
            let mut create = world.client();
            create.args(["channel", "create", channel, "--owner", "Vendor Example AG"]);
            create.arg("--out").arg(vendor.channel_file(channel));
            vendor.add_key_and_policy(&mut create, world);
            stage.expect(&format!("channel {channel} is on the record"), &Finished::run(&mut create), 0);
        }
        vendor
    }

    /// Publishes the rule set and every release.
    pub(crate) fn publish(&self, stage: &mut Stage, world: &World) {
        let mut rules = world.client();
        rules.args(["publish", "rules"]).arg(&self.rules);
        rules.args(["--channel-name", RULES_CHANNEL, "--version", "2026.11.23", "--format", "sagan"]);
        self.add_key_and_policy(&mut rules, world);
        let began = Instant::now();
        let published = Finished::run(&mut rules);
        let took = began.elapsed().as_millis();
        stage.expect("the rule set is logged, witnessed, and has its proof beside it", &published, 0);
        stage.say(&format!("hashing, signing, logging, two cosignatures and checking them took {took} ms"));
        for release in &self.releases {
            let mut publish = world.client();
            publish.args(["publish", "release"]).arg(&release.file);
            publish.args([
                "--channel-name",
                RELEASE_CHANNEL,
                "--version",
                &release.version,
                "--purl",
                &release.purl,
            ]);
            self.add_key_and_policy(&mut publish, world);
            stage.expect(&format!("{} is logged", file_name(&release.file)), &Finished::run(&mut publish), 0);
        }
    }

    /// The customer checks everything.
    pub(crate) fn verify_all(&self, stage: &mut Stage, world: &World) {
        for artifact in self.artifacts() {
            let verified = self.verify(world, artifact, &[]);
            stage.expect(&format!("{} verifies", file_name(artifact)), &verified, 0);
        }
    }

    /// `indelible verify ARTIFACT` with the customer's policy and the artifact's channel.
    pub(crate) fn verify(&self, world: &World, artifact: &Path, more: &[&str]) -> Finished {
        let channel = if artifact.extension().is_some_and(|ending| ending == "crate") {
            RELEASE_CHANNEL
        } else {
            RULES_CHANNEL
        };
        let mut verify = world.client();
        verify.arg("verify").arg(artifact).arg("--policy").arg(world.policy());
        verify.arg("--channel").arg(self.channel_file(channel)).args(more);
        Finished::run(&mut verify)
    }

    /// The rule set, then every release.
    pub(crate) fn artifacts(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.rules.as_path())
            .chain(self.releases.iter().map(|release| release.file.as_path()))
    }

    /// The published releases' files.
    pub(crate) fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The rule set's folder.
    pub(crate) fn rules(&self) -> &Path {
        &self.rules
    }

    /// Proof file of the rule set's channel.
    pub(crate) fn channel_proof(&self) -> PathBuf {
        self.channel_file(RULES_CHANNEL)
    }

    fn channel_file(&self, channel: &str) -> PathBuf {
        self.dir.join(format!("{}.channel.tlog-proof", channel.replace('/', "_")))
    }

    fn add_key_and_policy(&self, command: &mut Command, world: &World) {
        command.arg("--key").arg(self.dir.join("vendor.key")).arg("--policy").arg(world.policy());
    }
}

/// A path's last part, for people.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
