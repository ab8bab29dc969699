//! A log whose operator has stopped looking at what it takes: the same key, tree and witnesses, and any entry.

use std::fs;

use indelible_proto::proof::LogProof;

use crate::http;
use crate::process::Finished;
use crate::rogue::Rogue;
use crate::world::World;

/// Starts the world's log of records again as one that takes any entry, as its operator can: it is imported from itself
/// as one of the other kind.
///
/// # Panics
///
/// If any of that fails.
pub fn take_anything(world: &mut World) {
    let (dir, again) = (world.log_dir(), world.file("careless"));
    let mut import = world.server();
    import.args(["import", world.url()]).arg(&again).args(["--kind", "raw", "--policy"]).arg(world.policy());
    Finished::run(import.arg("--key").arg(dir.join("log.key"))).expect(0);
    assert!(world.take_log().stop().success(), "the log does not stop as it should");
    let settings = fs::read_to_string(dir.join("log.toml")).expect("the settings can be read");
    let of_records = "kind = \"records\"";
    assert!(settings.contains(of_records), "the log takes any entry already");
    fs::remove_dir_all(&dir).expect("the log can be removed");
    fs::rename(&again, &dir).expect("its copy can take its place");
    let settings = settings.replace(of_records, "kind = \"raw\"");
    fs::write(dir.join("log.toml"), settings).expect("the settings can be written");
    world.start_log();
}

/// Hands an entry in there, and proves it under the checkpoint that the log then publishes.
///
/// # Panics
///
/// If the log does not take it.
pub fn logged(world: &World, leaf: &[u8]) -> LogProof {
    let answer = http::post(world.log().address(), "/add", leaf).expect(200).text();
    let index: u64 = answer.trim_end().parse().expect("the answer is a place");
    let reader = world.reader();
    let signed = reader.published(index + 1);
    let tree = Rogue::new(&world.log_dir().join("log.key"), reader.entries(&signed.head()));
    tree.proof(index, tree.size(), signed.note().clone())
}
