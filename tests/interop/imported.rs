//! A log in POSIX files made by Tessera, checked and imported by ours.

use std::fs;
use std::path::Path;

use indelible_tests::site::{Manner, Site};
use indelible_tests::{Finished, Reader, Running, World, http};

use crate::go_in;

const SIZE: u64 = 600;

#[test]
fn a_tessera_log_is_checked_and_imported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    go_in("interop/tessera", &["run", ".", path, &SIZE.to_string()], &[]).expect(0);
    let site = Site::serve(&dir.path().join("log"), Manner::Honest);
    let vkey = dir.path().join("vkey");
    let server = || std::process::Command::new(&World::binaries().server);
    let checked = Finished::run(server().args(["fsck", &site.url(), "--log-key"]).arg(&vkey)).expect(0);
    assert!(checked.stdout.contains("clean: 600 entries"), "{checked}");

    let new = dir.path().join("new");
    let mut import = server();
    import.args(["import", &site.url()]).arg(&new).args(["--kind", "raw", "--log-key"]).arg(&vkey);
    Finished::run(import.args(["--origin", "log.example/moved", "--no-witnesses"])).expect(0);
    for file in ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"] {
        let read = |root: &Path| fs::read(root.join(file)).unwrap();
        assert!(read(&new.join("data")) == read(&dir.path().join("log")), "{file} is not the same");
    }

    let args = ["run".as_ref(), new.as_os_str(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
    let log = Running::start(&World::binaries().server, &args, &dir.path().join("log.out"));
    let policy = indelible_proto::policy::Policy::parse(&fs::read(new.join("policy.txt")).unwrap()).unwrap();
    let reader = Reader::new(log.url(), &policy);
    http::post(log.address(), "/add", b"the first of its own").expect(200);
    let entries = reader.entries(&reader.published(SIZE + 1).head());
    let texts = entries.iter().map(|entry| String::from_utf8(entry.as_bytes().to_vec()).unwrap());
    let mut numbers: Vec<u64> =
        texts.filter_map(|text| text.strip_prefix("tessera entry ")?.parse().ok()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..SIZE));
}
