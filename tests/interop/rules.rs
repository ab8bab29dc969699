//! A real rule set, hashed by ours, by coreutils and by Go. `tests/run` fetches it: a wheel of Python, which is a
//! zip, and beside it what Python unpacked from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use indelible_proto::wire::parse_hash;
use indelible_tests::{Finished, World};
use walkdir::WalkDir;

use crate::go;

/// The wheel, and a copy of what it unpacks to.
fn rule_set(into: &Path) -> (PathBuf, PathBuf) {
    let fetched = PathBuf::from(std::env::var_os("RULE_SET").expect("run this through tests/run interop"));
    let (zip, rules) = (into.join("rules.zip"), into.join("rules"));
    for file in
        WalkDir::new(&fetched).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file())
    {
        let is_wheel = file.path().extension().is_some_and(|ending| ending == "whl");
        let to = if is_wheel { zip.clone() } else { rules.join(file.path().strip_prefix(&fetched).unwrap()) };
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file.path(), to).unwrap();
    }
    (zip, rules)
}

/// `indelible bundle root`: root, number of files, `dirHash1`.
fn ours(args: &[&Path]) -> (String, u64, String) {
    let root = Command::new(&World::binaries().client).args(["bundle", "root", "--json"]).args(args).output();
    let root: serde_json::Value = serde_json::from_slice(&root.unwrap().stdout).unwrap();
    let text = |name: &str| root[name].as_str().unwrap_or_else(|| panic!("{root}")).to_owned();
    (text("root"), root["files"].as_u64().unwrap(), text("dirHash1"))
}

#[test]
fn a_real_rule_set_has_the_hash_that_coreutils_and_go_give_it() {
    let dir = tempfile::tempdir().unwrap();
    let (zip, rules) = rule_set(dir.path());
    let expected = ours(&[&rules]);
    assert!(expected.1 > 100, "{expected:?}");

    let script = "cd rules && find * -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort -k2 > ../listing \
                  && sha256sum < ../listing && tar czf ../rules.tar.gz .";
    let coreutils =
        Finished::run(Command::new("bash").args(["-ec", script]).current_dir(dir.path())).expect(0);
    assert_eq!(coreutils.stdout.split(' ').next(), Some(expected.2.as_str()));

    let h1 = go(&["run", "./dirhash", rules.to_str().unwrap()], &[]).expect(0).stdout;
    let h1 = h1.trim_end().strip_prefix("h1:").unwrap().to_owned();
    assert_eq!(parse_hash(h1.as_bytes()).unwrap().to_hex(), expected.2);

    // The same wherever it lies.
    assert_eq!(ours(&[&zip]), expected);
    assert_eq!(ours(&[&dir.path().join("rules.tar.gz")]), expected);
    assert_eq!(ours(&[Path::new("--listing"), &dir.path().join("listing")]), expected);
}
