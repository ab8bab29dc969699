//! `cargo demo`: the main job, shown end to end with real processes on real input, and then attacked.
//!
//! Builds the binaries, starts a log, three witnesses (two must cosign) and a watchdog on loopback, publishes
//! a real rule set and real releases, verifies them with the log stopped, and tries to cheat. Exits 0 only if
//! everything held.

mod attacks;
mod input;
mod stage;
mod vendor;
mod watchdog;

use std::process::ExitCode;

use clap::Parser;
use indelible_tests::world::{Kind, World};

use stage::Stage;
use vendor::Vendor;
use watchdog::Watchdog;

/// A witnessed log of software updates, shown and attacked.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version)]
struct Args {
    /// Leave everything running, print the addresses and the commands to try, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Use generated rules and releases even where real ones can be had
    #[arg(long)]
    generated: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    println!("   Building the log server, the witness and the client.");
    indelible_tests::binaries();

    let mut stage = Stage::new();
    stage.act("A log, three witnesses, a watchdog, a vendor");
    let mut world = World::start(Kind::Records, 3, 2);
    stage.say(&format!("The log listens on {}. Its three witnesses run on ports of their own;", world.url()));
    stage.say("a checkpoint is published only when two of them have seen that the log merely grew.");
    let mut watchdog = Watchdog::start(&mut stage, &world);
    let vendor = Vendor::set_up(&mut stage, &world, args.generated);
    vendor.publish(&mut stage, &world);
    if args.serve {
        return serve(&mut stage, &world, &vendor);
    }

    stage.act("The customer's side, offline");
    let log = world.take_log();
    let stopped = log.stop();
    stage.check(
        "the log is stopped: what follows opens no connection",
        stopped.success(),
        &stopped.to_string(),
    );
    vendor.verify_all(&mut stage, &world);
    world.start_log();

    attacks::run(&mut stage, &world, &vendor, &mut watchdog);
    stage.finish()
}

fn serve(stage: &mut Stage, world: &World, vendor: &Vendor) -> ExitCode {
    stage.act("Left running");
    let dir = world.path().display();
    let client = World::binaries().client.display();
    let (policy, channel) = (world.policy(), vendor.channel_proof());
    stage.say(&format!("log        {}", world.url()));
    for n in 0..3 {
        stage.say(&format!("witness    {}", world.witness(n).url()));
    }
    stage.say(&format!("files      {dir}"));
    stage.say("Commands to try:");
    let (policy, channel) = (policy.display(), channel.display());
    for artifact in vendor.artifacts().take(2) {
        let artifact = artifact.display();
        stage.say(&format!("  {client} verify {artifact} --policy {policy} --channel {channel} --explain"));
    }
    stage.say(&format!("  {client} watch --policy {policy} --state {dir}/my-watchdog --once"));
    stage.say(&format!("  {client} inspect {policy}"));
    stage.say(&format!("  curl {}/checkpoint", world.url()));
    stage.say("Ctrl-C stops everything and deletes the files.");
    let waited = tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
    if let Err(error) = waited {
        stage.check("waits for Ctrl-C", false, &error.to_string());
    }
    stage.finish()
}
