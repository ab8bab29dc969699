//! A publication that is killed anywhere, and run again: the same record, once in the log, and no half a proof.

use std::fs;

use indelible_proto::hash::sha256;
use indelible_proto::proof::LogProof;
use indelible_tests::Finished;
use indelible_tests::killed::{Kill, at_each, can_kill};

use crate::exit::VERIFIED;
use crate::vendor_life::{CHANNEL, Desk};

#[test]
fn a_publication_that_is_killed_anywhere_is_run_again_to_the_same_record_and_proof() {
    if !can_kill() {
        return;
    }
    let desk = Desk::new();
    let name = sha256(CHANNEL.as_bytes()).to_hex();
    let outbox = desk.file("state/indelible/outbox");
    let (mut round, mut kept_proofs) = (0u64, 0);
    let mut killed_at = |kill: &Kill| {
        round += 1;
        let (agent, version) = (format!("agent-{round}"), round.to_string());
        fs::write(desk.file(&agent), &agent).unwrap();
        let mut publish = desk.world.client();
        publish.args(["--json", "publish", "release", &agent, "--version", &version]);
        publish
            .args(["--channel-name", CHANNEL, "--key", "publish.key", "--policy"])
            .arg(desk.world.policy());
        let before = fs::read(outbox.join(&name)).ok();
        let killed = kill.run(&publish);
        let signed = fs::read(outbox.join(&name)).ok().filter(|signed| Some(signed) != before.as_ref());
        let verified = fs::read(outbox.join(format!("{name}.tlog-proof"))).ok();
        let written = fs::read(desk.file(&format!("{agent}.tlog-proof"))).ok();

        let told = Finished::run(&mut publish).expect(VERIFIED).json();
        assert_eq!((&told["index"], &told["seq"]), (&round.into(), &round.into()), "{kill:?}");
        assert_eq!(told["resumed"], signed.is_some(), "{kill:?}");
        let bytes = fs::read(desk.file(&format!("{agent}.tlog-proof"))).unwrap();
        let proof = LogProof::parse(&bytes).unwrap();
        if let Some(signed) = signed {
            assert_eq!(proof.extra(), Some(&signed[..]), "{kill:?}");
        }
        // What is written is whole; until the run has ended with it, the next one ends with nothing else.
        if let Some(written) = &written {
            assert_eq!(LogProof::parse(written).unwrap().extra(), proof.extra(), "{kill:?}");
        }
        if verified.is_some() {
            kept_proofs += 1;
            assert_eq!(verified, Some(bytes.clone()), "{kill:?}");
            assert!(written.is_none_or(|written| written == bytes), "{kill:?}");
        }
        assert!(!outbox.join(format!("{name}.tlog-proof")).exists(), "{kill:?}");
        killed
    };
    let killed = at_each(&["write", "rename", "fsync", "mkdir", "unlink"], 1, &mut killed_at);
    // Nearly all of what is opened is only read, three hundred times a run: some of them do.
    let opening = at_each(&["openat"], 16, &mut killed_at);
    assert!(killed > 30 && opening > 15, "killed at {killed} and {opening} places only");
    assert!(kept_proofs > 5, "after {kept_proofs} kept proofs only");
}
