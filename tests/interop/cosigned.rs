//! A running log whose only witness is Go's, with an ML-DSA-44 key.

use std::ffi::OsStr;
use std::process::Command;

use indelible_proto::note::{Algorithm, SignedNote};
use indelible_proto::policy::Policy;
use indelible_tests::world::free_address;
use indelible_tests::{Finished, Running, World, http, wait_until};

use crate::go;

/// The log publishes nothing but its first, empty checkpoint without its witness: what it publishes after an
/// entry has the witness's cosignature.
#[test]
fn a_log_publishes_what_an_ml_dsa_witness_of_go_cosigned() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let program = dir.join("cosigner");
    go(&["build", "-o", program.to_str().unwrap(), "./cosigner"], &[]).expect(0);
    let (vkey, log) = (dir.join("vkey"), dir.join("log"));
    let witness = Running::start(&program, &[vkey.as_os_str()], &dir.join("cosigner.out"));
    let named = format!("{} {}", std::fs::read_to_string(&vkey).unwrap(), witness.url());
    let server = &World::binaries().server;
    let mut init = Command::new(server);
    init.arg("init").arg(&log).args(["--origin", "log.example/pq", "--kind", "raw"]);
    Finished::run(init.args(["--witness", &named, "--listen", &free_address()])).expect(0);
    let run: [&OsStr; 2] = ["run".as_ref(), log.as_os_str()];
    let running = Running::start(server, &run, &dir.join("log.out"));
    http::post(running.address(), "/add", b"an entry").expect(200);

    let policy = Policy::parse(&std::fs::read(log.join("policy.txt")).unwrap()).unwrap();
    let note = wait_until("the log publishes the entry", || {
        let note = SignedNote::parse(&http::get(running.address(), "/checkpoint").body).unwrap();
        (policy.verify_log_signature(&note).unwrap().head().size.get() == 1).then_some(note)
    });
    let verified = policy.verify(&note).unwrap();
    assert_eq!(verified.cosigners()[0].key_name.as_str(), "witness.foreign.example/pq");
    assert_eq!(policy.witnesses()[0].key.algorithm(), Algorithm::MlDsa44);
}
