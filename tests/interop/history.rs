//! Several versions of a real rule set as the history of a channel: what each record says has changed is what
//! `sha256sum` over both versions says. `tests/run` fetches them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use indelible_tests::world::Kind;
use indelible_tests::{Finished, World};
use walkdir::WalkDir;

const CHANNEL: &str = "vendor.example/rules/guarddog";

/// The fetched versions, oldest first: folders with a wheel and what it unpacks to.
pub(crate) fn versions() -> Vec<PathBuf> {
    let fetched = std::env::var_os("RULE_VERSIONS").expect("run this through tests/run interop");
    let mut versions: Vec<_> =
        std::fs::read_dir(fetched).unwrap().map(|entry| entry.unwrap().path()).collect();
    let number = |path: &PathBuf| -> Vec<u32> {
        path.file_name().unwrap().to_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect()
    };
    versions.sort_by_key(number);
    versions
}

/// Copies what a wheel unpacked to.
pub(crate) fn unpacked(version: &Path, into: &Path) {
    for file in
        WalkDir::new(version).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file())
    {
        if file.path().extension().is_none_or(|ending| ending != "whl") {
            let to = into.join(file.path().strip_prefix(version).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file.path(), to).unwrap();
        }
    }
}

/// Path and hash of every file, by coreutils.
fn listing(dir: &Path) -> BTreeMap<String, String> {
    let script = "find * -type f -print0 | xargs -0 sha256sum";
    let listed = Finished::run(Command::new("bash").args(["-ec", script]).current_dir(dir)).expect(0);
    let line =
        |line: &str| line.split_once("  ").map(|(hash, path)| (path.to_owned(), hash.to_owned())).unwrap();
    listed.stdout.lines().map(line).collect()
}

#[test]
fn the_versions_of_a_real_rule_set_say_what_changed() {
    let world = World::start(Kind::Records, 1, 1);
    let run = |args: &[&str]| Finished::run(world.client().arg("--json").args(args)).expect(0).json();
    let policy = world.policy();
    let policy = policy.to_str().unwrap();
    run(&["keygen", "vendor.example/publish", "--out", "k"]);
    run(&[
        "channel", "create", CHANNEL, "--owner", "V", "--key", "k", "--out", "channel", "--policy", policy,
    ]);
    let versions = versions();
    assert!(versions.len() >= 4, "{versions:?}");
    let mut before: Option<(BTreeMap<String, String>, String)> = None;
    for version in versions {
        let name = version.file_name().unwrap().to_str().unwrap();
        unpacked(&version, &world.file(name));
        let fixed = ["publish", "rules", name, "--version", name, "--format", "guarddog", "--key", "k"];
        let said = run(&[&fixed, ["--channel-name", CHANNEL, "--policy", policy].as_slice()].concat());
        let files = listing(&world.file(name));
        if let Some((earlier, record)) = before {
            let added = files.keys().filter(|path| !earlier.contains_key(*path)).count();
            let removed = earlier.keys().filter(|path| !files.contains_key(*path)).count();
            let changed = files
                .iter()
                .filter(|(path, hash)| earlier.get(*path).is_some_and(|old| old != *hash))
                .count();
            let expected = serde_json::json!({
                "from": record, "fromNewest": true, "added": added, "changed": changed, "removed": removed
            });
            assert_eq!(said["delta"], expected, "{name}");
            assert!(changed > 0, "{name}");
        }
        // A user has each version verified by its own proof.
        run(&["verify", name, "--channel", "channel", "--policy", policy]);
        before = Some((files, said["record"].as_str().unwrap().to_owned()));
    }
}
