//! The whole way once, and that every command says the same to people and to programs.

use std::fs;
use std::process::Command;

use indelible_tests::world::Kind;
use indelible_tests::{Finished, World, http};
use serde_json::Value;

use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::vendor::{Vendor, proof_of};

const RULES: [(&str, &str); 3] =
    [("windows/a.yml", "title: a\n"), ("windows/b.yml", "title: b\n"), ("linux.yml", "title: c\n")];

#[test]
fn an_update_goes_from_the_vendors_key_to_a_verified_install_without_any_server() {
    let mut world = World::start(Kind::Records, 3, 2);
    let agent = Vendor::set_up(&world, "vendor.example/agent");
    let sigma = Vendor::set_up(&world, "vendor.example/rules/sigma");
    let release = agent.release(&world, "agent-1.0.tar.gz", b"the agent");
    Finished::run(&mut sigma.rules_command(&world, "sigma", &RULES)).expect(VERIFIED);
    let watched = Finished::run(&mut watch(&world)).expect(VERIFIED);
    assert!(watched.stdout.contains("all well"), "{watched}");

    assert!(world.take_log().stop().success());
    for n in 0..3 {
        assert!(world.take_witness(n).stop().success());
    }
    let verified = agent.verify(&world, &release).expect(VERIFIED);
    assert!(verified.stdout.contains("verified") && verified.stdout.contains("install it"), "{verified}");
    sigma.verify(&world, &sigma.file("sigma")).expect(VERIFIED);

    // From now on the channel's name in the record is enough: it was pinned.
    let mut again = agent.command(&world, &["verify"]);
    Finished::run(again.arg(&release)).expect(VERIFIED);
    // Nothing is trusted by someone who was told of nobody.
    let mut stranger = agent.command(&world, &["verify", "--no-state"]);
    Finished::run(stranger.arg(&release)).expect(UNDECIDED);
}

#[test]
fn inspect_shows_every_file_of_the_way_and_claims_nothing() {
    let world = World::start(Kind::Records, 1, 1);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let release = vendor.release(&world, "agent.tar.gz", b"the agent");
    let checkpoint = world.file("checkpoint.txt");
    fs::write(&checkpoint, http::get(world.log().address(), "/checkpoint").expect(200).body).unwrap();
    let vkey = vendor.file("publish.key.vkey");
    let files = [proof_of(&release), vendor.channel_proof(), world.policy(), checkpoint, vkey, vendor.key()];
    let mut inspect = world.client();
    let shown = Finished::run(inspect.arg("--json").arg("inspect").args(&files)).expect(VERIFIED).json();
    let kinds: Vec<&str> =
        shown["files"].as_array().unwrap().iter().map(|file| file["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["log proof", "log proof", "policy", "checkpoint", "verifier key", "secret key"]);
    assert!(shown["files"].as_array().unwrap().iter().all(|file| file["verified"] == false));
    assert_eq!(shown["files"][0]["content"]["index"], 1);

    // A secret is never shown.
    let secret = fs::read_to_string(vendor.key()).unwrap();
    let material = secret.trim_end().rsplit('+').next().unwrap();
    assert!(!shown.to_string().contains(material));
    Finished::run(world.client().arg("inspect").arg(&release)).expect(USAGE);
}

#[test]
fn every_command_says_in_json_how_it_ended() {
    let world = World::start(Kind::Records, 1, 1);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let key = world.file("other.key");
    let keygen = || {
        let mut keygen = world.client();
        keygen.args(["--json", "keygen", "other.example/key", "--out"]).arg(&key);
        keygen
    };
    let made = outcome(&mut keygen(), VERIFIED);
    assert_eq!(made["vkey"], fs::read_to_string(made["vkeyFile"].as_str().unwrap()).unwrap().trim_end());
    assert_eq!(outcome(&mut keygen(), USAGE)["code"], "file-exists");

    let mut create = vendor.command(&world, &["channel", "create", "vendor.example/other", "--json"]);
    create.args(["--owner", "Vendor"]);
    let created = outcome(&mut create, VERIFIED);
    assert_eq!((&created["seq"], &created["index"]), (&0.into(), &1.into()));

    let mut release = vendor.release_command(&world, "agent.tar.gz", b"the agent");
    let published = outcome(release.arg("--json"), VERIFIED);
    assert_eq!((&published["seq"], &published["index"]), (&1.into(), &2.into()));
    let mut rules = vendor.rules_command(&world, "sigma", &RULES);
    assert_eq!(outcome(rules.arg("--json"), VERIFIED)["type"], "rules");

    let verify = || vendor.command(&world, &["verify", "--json"]);
    let verified = outcome(verify().arg(vendor.file("agent.tar.gz")), VERIFIED);
    assert_eq!(verified["record"], published["record"]);
    assert_eq!(verified["witnesses"].as_array().unwrap().len(), 1);
    assert_eq!(outcome(verify().arg(vendor.key()), REFUSED)["code"], "proof-missing");
    assert_eq!(outcome(verify().arg(world.file("none")), USAGE)["code"], "artifact-missing");

    let watched = Finished::run(watch(&world).arg("--json")).expect(VERIFIED);
    let lines: Vec<Value> = watched.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 1 && lines.iter().rev().skip(1).all(|line| line["level"] == "ok"), "{watched}");
    assert_eq!(lines.last().unwrap()["outcome"], "verified");
}

#[test]
fn publishing_again_is_the_same_publication() {
    let world = World::start(Kind::Records, 1, 1);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let publish = |more: &[&str]| {
        let mut release = vendor.release_command(&world, "agent.tar.gz", b"the agent");
        outcome(release.arg("--json").args(more), VERIFIED)
    };
    let first = publish(&[]);
    fs::remove_file(proof_of(&vendor.file("agent.tar.gz"))).unwrap();
    let again = publish(&[]);
    assert_eq!((&again["record"], &again["index"]), (&first["record"], &first["index"]));
    vendor.verify(&world, &vendor.file("agent.tar.gz")).expect(VERIFIED);
    let renewed = publish(&["--renew"]);
    assert_eq!((&renewed["seq"], &renewed["index"]), (&2.into(), &2.into()));
}

#[test]
fn a_publication_that_meets_a_dead_log_goes_on_with_the_same_record() {
    let mut world = World::start(Kind::Records, 1, 1);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let mut shown = vendor.release_command(&world, "agent.tar.gz", b"the agent");
    Finished::run(shown.arg("--dry-run")).expect(VERIFIED);
    world.take_log().kill();
    Finished::run(&mut vendor.release_command(&world, "agent.tar.gz", b"the agent")).expect(UNDECIDED);
    assert!(!proof_of(&vendor.file("agent.tar.gz")).exists());
    world.start_log();
    Finished::run(&mut vendor.release_command(&world, "agent.tar.gz", b"the agent")).expect(VERIFIED);
    vendor.verify(&world, &vendor.file("agent.tar.gz")).expect(VERIFIED);
    assert_eq!(world.reader().checkpoint().head().size.get(), 2);
}

#[test]
fn a_vendor_cannot_publish_on_the_channel_of_another() {
    let world = World::start(Kind::Records, 1, 1);
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let mallory = Vendor::set_up(&world, "mallory.example/agent");
    fs::write(world.file("evil.tar.gz"), "evil").unwrap();
    let mut publish = mallory.command(&world, &["publish", "release"]);
    publish.arg(world.file("evil.tar.gz")).args(["--channel-name", "vendor.example/agent"]);
    let refused = Finished::run(publish.args(["--version", "1"])).expect(REFUSED);
    assert!(refused.stderr.contains("signer-unknown"), "{refused}");
    // Nor open it a second time.
    let mut create = mallory.command(&world, &["channel", "create", "vendor.example/agent"]);
    Finished::run(create.args(["--owner", "Mallory"])).expect(REFUSED);
    vendor.release(&world, "agent.tar.gz", b"the agent");
}

fn watch(world: &World) -> Command {
    let mut watch = world.client();
    watch.args(["watch", "--once", "--policy"]).arg(world.policy());
    watch
}

/// The one JSON object that a command prints, which says the exit code too.
#[track_caller]
fn outcome(command: &mut Command, code: i32) -> Value {
    let printed = Finished::run(command).expect(code).json();
    assert_eq!(printed["exit"], code, "{printed}");
    printed
}
