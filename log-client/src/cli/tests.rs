//! The command line as scripts see it: arguments and files in, an exit code and files out.

use clap::CommandFactory as _;
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{Audience, Chain, ChannelName, KeySet, SignedRecord, Subject};
use indelible_proto::sign::{RecordSigner, Signer as _};
use indelible_proto::size::LeafIndex;
use std::path::Path;

use super::*;
use crate::durable::DurableError;
use crate::keys::KeyFileError;
use crate::publish::{Body, Draft, Place};
use crate::test_log::{TestLog, seconds, vendor};

#[test]
fn the_arguments_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn each_command_of_the_examples_parses() {
    let mut joined = EXAMPLES.replace("\\\n", " ");
    joined.push('\n');
    let commands: Vec<&str> =
        joined.split('\n').map(str::trim).filter(|line| line.starts_with("indelible ")).collect();
    assert_eq!(commands.len(), 10);
    for command in commands {
        let words = command.replace("'Vendor Example AG'", "Vendor");
        assert!(Cli::try_parse_from(words.split_ascii_whitespace()).is_ok(), "{command}");
    }
}

#[test]
fn every_command_says_what_it_does_and_every_argument_what_it_is() {
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        let name = command.get_name().to_owned();
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {}", argument.get_id());
        }
        commands.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn json_is_asked_for_before_or_after_the_command() {
    for words in ["indelible --json inspect x", "indelible inspect x --json"] {
        assert!(Cli::try_parse_from(words.split(' ')).unwrap().json, "{words}");
    }
}

#[test]
fn a_channel_and_keys_are_not_both_trusted() {
    let words = "indelible verify x --policy p --channel c --key k";
    assert!(Cli::try_parse_from(words.split(' ')).is_err());
}

/// A directory with everything a user has: an artifact with its proof, the policy, the channel proof.
struct Desk {
    dir: tempfile::TempDir,
    log: TestLog,
}

/// Shortly after the witnesses of [`TestLog`] cosign.
const NOW: u64 = 1_800_000_010;

impl Desk {
    fn new() -> Self {
        let mut log = TestLog::new();
        let genesis = opening(1_790_000_000);
        log.append(&genesis.encode());
        let id = genesis.record_id();
        let place = Place::After { seq: 0, head: id, keys: id };
        log.append(&sign(&release_of_agent(), &place, 1_790_000_001, &vendor(7)).encode());
        let desk = Self { dir: tempfile::tempdir().unwrap(), log };
        desk.write("agent", b"release");
        desk.write("agent.tlog-proof", &desk.proof(1));
        desk.write("channel", &desk.proof(0));
        desk.write("policy", desk.log.policy_text(2).as_bytes());
        desk
    }

    fn proof(&self, index: u64) -> Vec<u8> {
        self.log.proof(LeafIndex::new(index).unwrap()).encode()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs a command; names with a leading `@` are files on the desk.
    fn run(&self, words: &str) -> Result<Exit, Failure> {
        let words = words.split(' ').map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        });
        let cli = Cli::try_parse_from(std::iter::once("indelible".to_owned()).chain(words)).unwrap();
        match execute(cli.command, Console::new(true), || Ok(seconds(NOW)))? {
            End::Ours(exit) => Ok(exit),
            End::Of(code) => panic!("a command was run and ended with {code}"),
        }
    }

    #[track_caller]
    fn assert_code(&self, words: &str, exit: Exit, code: &str) -> Failure {
        let failure = self.run(words).unwrap_err();
        assert_eq!((failure.exit, failure.code), (exit, code), "{failure:?}");
        assert!(!failure.next.is_empty());
        failure
    }
}

const CHANNEL: &str = "vendor.example/agent";
const VERIFY: &str = "verify @agent --policy @policy --state @state";

fn release_of_agent() -> Draft {
    let subject = Subject::of_file("agent", indelible_proto::hash::sha256(b"release"));
    let body = ReleaseBody { version: "1".into(), purl: None, source: None, provenance: None, sbom: None };
    Draft {
        channel: ChannelName::parse(CHANNEL).unwrap(),
        chain: Chain::Publish,
        subject: vec![subject],
        body: Body::Release(body),
        audience: Audience::Public,
        lifetime_s: NOW - 1_790_000_001 + 3600,
    }
}

fn opening(issued: u64) -> SignedRecord {
    opening_of(CHANNEL, issued)
}

fn opening_of(channel: &str, issued: u64) -> SignedRecord {
    let body = ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/agent".into(),
        signers: Some(KeySet::new(vec![vendor(7).verifier().clone()], 1).unwrap()),
        recovery: None,
        cooldown_s: 0,
        max_age_s: 3600,
    };
    let channel = ChannelName::parse(channel).unwrap();
    let draft = Draft {
        channel,
        chain: Chain::Publish,
        subject: Vec::new(),
        body: Body::Channel(body),
        audience: Audience::Public,
        lifetime_s: 0,
    };
    sign(&draft, &Place::Genesis, issued, &vendor(7))
}

fn sign(draft: &Draft, place: &Place, now: u64, signer: &RecordSigner) -> SignedRecord {
    SignedRecord::sign(&draft.statement(place, seconds(now)), &[signer]).unwrap()
}

fn files_in(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir).map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

#[test]
fn a_channel_given_once_is_pinned_and_not_asked_for_again() {
    let desk = Desk::new();
    assert_eq!(desk.run(VERIFY), Ok(Exit::Undecided), "nobody is trusted yet");
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    assert_eq!(desk.run(VERIFY), Ok(Exit::Verified));
    assert_eq!(desk.run(&format!("{VERIFY} --channel {CHANNEL}")), Ok(Exit::Verified));
    let unknown = format!("{VERIFY} --channel other.example/agent");
    desk.assert_code(&unknown, Exit::Undecided, "channel-not-pinned");
}

#[test]
fn another_first_record_for_a_pinned_channel_is_refused() {
    let mut desk = Desk::new();
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    let index = desk.log.append(&opening(1_790_000_500).encode());
    desk.write("squatted", &desk.log.proof(index).encode());
    desk.assert_code(&format!("{VERIFY} --channel @squatted"), Exit::Refused, "channel-pinned-otherwise");
    assert_eq!(desk.run(VERIFY), Ok(Exit::Verified), "the pin is as it was");
}

#[test]
fn a_file_whose_path_spells_a_pinned_channel_does_not_stand_in_for_it() {
    let mut desk = Desk::new();
    let domain = format!("squatted-{}.example", std::process::id());
    let channel = format!("{domain}/agent");
    let index = desk.log.append(&opening_of(&channel, 1_790_000_500).encode());
    desk.write("wanted", &desk.log.proof(index).encode());
    assert_eq!(desk.run(&format!("{VERIFY} --channel @wanted")), Ok(Exit::Refused), "pinned all the same");

    // As if it had come with the artifact, unpacked where the command is run.
    let unpacked = tempfile::Builder::new().prefix(&domain).rand_bytes(0).tempdir_in(".").unwrap();
    std::fs::write(unpacked.path().join("agent"), desk.proof(0)).unwrap();
    assert_eq!(desk.run(&format!("{VERIFY} --channel {channel}")), Ok(Exit::Refused));
    assert_eq!(desk.run(VERIFY), Ok(Exit::Undecided), "nothing else was pinned");
}

#[test]
fn what_is_refused_stays_refused_where_nothing_can_be_remembered() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("state")).unwrap();
    // A directory in which nobody can make a file.
    std::os::unix::fs::symlink("/proc/self/task", desk.path("state/checkpoints")).unwrap();
    let words = format!("{VERIFY} --key {}", vendor(7).verifier());
    desk.assert_code(&words, Exit::Undecided, "file-not-written");
    desk.write("agent", b"releasf");
    assert_eq!(desk.run(&words), Ok(Exit::Refused));
}

#[test]
fn without_a_state_directory_nothing_is_written() {
    let desk = Desk::new();
    let words = "verify @agent --policy @policy --no-state --channel @channel";
    assert_eq!(desk.run(words), Ok(Exit::Verified));
    assert!(!desk.path("state").exists());
}

#[test]
fn a_missing_proof_means_not_logged() {
    let desk = Desk::new();
    std::fs::remove_file(desk.path("agent.tlog-proof")).unwrap();
    let failure = desk.assert_code(VERIFY, Exit::Refused, "proof-missing");
    assert!(failure.message.starts_with("not logged: no proof beside the file"));
    desk.write("agent.tlog-proof", b"");
    assert_eq!(desk.run(VERIFY).unwrap_err().exit, Exit::Refused);
}

#[test]
fn what_is_wrong_with_the_command_line_is_usage() {
    let desk = Desk::new();
    desk.assert_code("verify @missing --policy @policy --state @state", Exit::Usage, "artifact-missing");
    desk.assert_code("verify @agent --policy @missing --state @state", Exit::Usage, "file-missing");
    assert_eq!(desk.run("verify @agent --policy @agent --state @state").unwrap_err().exit, Exit::Usage);
    desk.assert_code(&format!("{VERIFY} --key @missing"), Exit::Usage, "key-missing");
}

#[test]
fn a_changed_file_is_refused_and_the_key_of_another_vendor_too() {
    let desk = Desk::new();
    let (ours, theirs) = (vendor(7), vendor(8));
    assert_eq!(desk.run(&format!("{VERIFY} --key {}", ours.verifier())), Ok(Exit::Verified));
    assert_eq!(desk.run(&format!("{VERIFY} --key {}", theirs.verifier())), Ok(Exit::Refused));
    desk.write("agent", b"releasf");
    assert_eq!(desk.run(&format!("{VERIFY} --key {}", ours.verifier())), Ok(Exit::Refused));
}

#[test]
fn what_no_bundle_can_have_makes_a_directory_refused_and_not_a_mistake_of_the_user() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("rules")).unwrap();
    desk.write("rules/a.yml", b"a");
    std::os::unix::fs::symlink("a.yml", desk.path("rules/link")).unwrap();
    desk.assert_code("verify @rules --policy @policy --state @state", Exit::Refused, "artifact-not-regular");
    desk.assert_code("verify /dev/null --policy @policy --state @state", Exit::Usage, "artifact-not-regular");
}

#[test]
fn a_fork_ends_with_30_and_a_file_that_anybody_can_check() {
    let desk = Desk::new();
    let words = format!("{VERIFY} --key {}", vendor(7).verifier());
    assert_eq!(desk.run(&words), Ok(Exit::Verified));
    let mut other = desk.log.clone();
    other.entries[0] = b"something else".to_vec();
    desk.write("agent.tlog-proof", &other.proof(LeafIndex::new(1).unwrap()).encode());
    assert_eq!(desk.run(&words), Ok(Exit::Evidence));
    assert_eq!(desk.run(&words), Ok(Exit::Evidence), "and so it stays");
    let evidence = files_in(&desk.path("state/evidence"));
    assert_eq!(evidence.len(), 1, "the same evidence is written once");
    let checked = format!("evidence verify {} --policy @policy", evidence[0].display());
    assert_eq!(desk.run(&checked), Ok(Exit::Verified));
}

#[test]
fn a_damaged_memory_decides_nothing() {
    // A power cut once left a client's saved checkpoint as 187 zero bytes, and the log was accused.
    let desk = Desk::new();
    let words = format!("{VERIFY} --key {}", vendor(7).verifier());
    assert_eq!(desk.run(&words), Ok(Exit::Verified));
    for checkpoint in files_in(&desk.path("state/checkpoints")) {
        std::fs::write(checkpoint, [0; 187]).unwrap();
    }
    assert_eq!(desk.run(&words), Ok(Exit::Undecided));
    assert!(files_in(&desk.path("state/evidence")).is_empty());
}

#[test]
fn a_damaged_pin_decides_nothing() {
    let desk = Desk::new();
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    for pin in files_in(&desk.path("state/pins")) {
        std::fs::write(pin, [0; 187]).unwrap();
    }
    desk.assert_code(VERIFY, Exit::Undecided, "state-damaged");
}

#[test]
fn a_pin_is_of_the_channel_it_is_filed_under() {
    let desk = Desk::new();
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    let pin = files_in(&desk.path("state/pins")).remove(0);
    let other = indelible_proto::hash::sha256(b"other.example/agent").to_hex();
    std::fs::rename(&pin, pin.with_file_name(other)).unwrap();
    let words = format!("{VERIFY} --channel other.example/agent");
    desk.assert_code(&words, Exit::Undecided, "state-damaged");
}

#[test]
fn a_pin_is_proved_again_under_the_policy_of_today() {
    let desk = Desk::new();
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    let one_of_three = desk.log.note(2, 1);
    let first = desk.log.proof_with(LeafIndex::new(0).unwrap(), one_of_three);
    for pin in files_in(&desk.path("state/pins")) {
        std::fs::write(pin, first.encode()).unwrap();
    }
    desk.assert_code(VERIFY, Exit::Undecided, "quorum-not-met");
}

#[test]
fn a_new_key_signs_and_is_never_overwritten() {
    let desk = Desk::new();
    assert_eq!(desk.run("keygen vendor.example/new --out @new.key"), Ok(Exit::Verified));
    assert!(crate::keys::read_record_signer(&desk.path("new.key"), &crate::keys::Passphrase::Ask).is_ok());
    desk.assert_code("keygen vendor.example/new --out @new.key", Exit::Usage, "file-exists");
}

#[test]
fn inspect_shows_files_and_calls_unknown_ones_unknown() {
    let desk = Desk::new();
    assert_eq!(desk.run("inspect @agent.tlog-proof @policy @channel"), Ok(Exit::Verified));
    desk.assert_code("inspect @agent", Exit::Usage, "format-unknown");
}

#[test]
fn a_publication_without_a_reachable_log_decides_nothing() {
    let desk = Desk::new();
    assert_eq!(desk.run("keygen vendor.example/new --out @new.key"), Ok(Exit::Verified));
    let words = "publish release @agent --channel-name vendor.example/agent --version 1 --key @new.key \
                 --policy @policy --state @state --log http://127.0.0.1:1";
    let words = words.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    desk.assert_code(&words, Exit::Undecided, "http-connect");
}

#[test]
fn a_file_that_cannot_be_written_is_no_fault_of_the_command_line_unless_its_name_is() {
    let written =
        |kind: std::io::ErrorKind| DurableError::NotWritten { path: "k".into(), source: kind.into() };
    let full = written(std::io::ErrorKind::StorageFull);
    assert_eq!(inputs::write_failure(&full).exit, Exit::Undecided);
    assert_eq!(inputs::write_failure(&written(std::io::ErrorKind::NotFound)).exit, Exit::Usage);
    assert_eq!(inputs::write_failure(&DurableError::Exists { path: "k".into() }).exit, Exit::Usage);
    // A key that is made is written too: its file is not one that was named wrongly.
    let key = inputs::key_failure(&KeyFileError::File(full));
    assert_eq!((key.exit, key.code), (Exit::Undecided, "file-not-written"));
    assert!(key.next.contains("make room"), "{key:?}");
}

#[test]
fn a_key_overrules_nothing_that_is_known() {
    let mut desk = Desk::new();
    let (ours, theirs) = (vendor(7).verifier().clone(), vendor(8).verifier().clone());
    assert_eq!(desk.run(&format!("{VERIFY} --channel @channel")), Ok(Exit::Verified));
    assert_eq!(desk.run(&format!("{VERIFY} --key {ours}")), Ok(Exit::Verified));
    assert_eq!(desk.run(&format!("{VERIFY} --key {theirs}")), Ok(Exit::Refused), "it has to have signed");
    assert_eq!(desk.run(&format!("{VERIFY} --key {theirs} --key {ours}")), Ok(Exit::Verified));
    // Another channel of that name is another channel, whoever signed for it.
    let squatted = opening(1_790_000_500);
    desk.log.append(&squatted.encode());
    // So far on that what was verified before does not tell them apart.
    let place = Place::After { seq: 5, head: squatted.record_id(), keys: squatted.record_id() };
    let index = desk.log.append(&sign(&release_of_agent(), &place, 1_790_000_600, &vendor(7)).encode());
    desk.write("agent.tlog-proof", &desk.log.proof(index).encode());
    assert_eq!(desk.run(VERIFY), Ok(Exit::Refused));
    assert_eq!(desk.run(&format!("{VERIFY} --key {ours}")), Ok(Exit::Refused));
}

#[test]
fn a_key_beside_named_channels_or_their_files_is_a_mistake() {
    let desk = Desk::new();
    let key = vendor(7).verifier().clone();
    let words = format!("verify @agent --config @client.toml --state @state --key {key}");
    desk.write("client.toml", b"policy = \"policy\"\n");
    assert_eq!(desk.run(&words), Ok(Exit::Verified));
    let genesis = opening(1_790_000_000).record_id();
    let named = format!("policy = \"policy\"\n[channels]\n{CHANNEL:?} = \"{genesis}\"\n");
    desk.write("client.toml", named.as_bytes());
    desk.assert_code(&words, Exit::Usage, "key-beside-channels");
    // One that is not of the file is nobody's, with a key as without.
    desk.write("client.toml", named.replace(CHANNEL, "vendor.example/other").as_bytes());
    desk.assert_code(&words, Exit::Usage, "key-beside-channels");
    assert_eq!(desk.run("verify @agent --config @client.toml --state @state"), Ok(Exit::Undecided));
}

#[test]
fn a_policy_that_changed_is_remembered_once_something_was_verified_under_it() {
    let desk = Desk::new();
    let key = vendor(7).verifier().clone();
    let words = format!("{VERIFY} --key {key}");
    let remembered = || std::fs::read(desk.path("state/policy")).unwrap_or_default();
    let is = |policy: &str| remembered().windows(policy.len()).any(|part| part == policy.as_bytes());
    let (two, one) = (desk.log.policy_text(2), desk.log.policy_text(1));
    desk.write("agent", b"releasf");
    assert_eq!(desk.run(&words), Ok(Exit::Refused));
    assert_eq!(remembered(), b"", "nothing was verified");
    desk.write("agent", b"release");
    assert_eq!(desk.run(&words), Ok(Exit::Verified));
    assert!(is(&two));
    desk.write("policy", one.as_bytes());
    desk.write("agent", b"releasf");
    assert_eq!(desk.run(&words), Ok(Exit::Refused));
    assert!(is(&two));
    desk.write("agent", b"release");
    assert_eq!(desk.run(&words), Ok(Exit::Verified), "the policy is the trust");
    assert!(is(&one) && !is(&two));
}
