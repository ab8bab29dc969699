//! What one machine of a vendor knows of what it published itself, and of what the others did.

use indelible_tests::Finished;

use crate::exit::{REFUSED, VERIFIED};
use crate::published::code;
use crate::vendor_life::{CHANNEL, Desk};

/// Withdraws `agent-1` by the recovery key, from the machine with this state directory.
fn withdraw(desk: &Desk, state: &str, reason: &str, more: &[&str]) -> Finished {
    let fixed = ["publish", "withdraw", "--record", "agent-1.tlog-proof", "--recovery", "--state", state];
    let whose =
        ["--channel-name", CHANNEL, "--key", "recovery.key", "--reason", reason, "--out", "withdrawn"];
    desk.at_log(&[&fixed, whose.as_slice(), more].concat())
}

#[test]
fn a_machine_knows_what_it_published_on_the_recovery_chain_from_what_another_one_did() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    withdraw(&desk, "first", "defective", &[]).expect(VERIFIED);
    withdraw(&desk, "first", "legal", &[]).expect(VERIFIED);
    withdraw(&desk, "second", "malicious", &[]).expect(VERIFIED);
    let behind = withdraw(&desk, "first", "key-compromise", &[]).expect(REFUSED);
    assert_eq!(code(&behind), "channel-head-behind", "{behind}");
    assert!(behind.json()["next"].as_str().unwrap().contains("--accept-log-head"), "{behind}");
    let told = withdraw(&desk, "first", "key-compromise", &["--accept-log-head"]).expect(VERIFIED).json();
    assert_eq!(told["seq"], 3);
    // A log that has lost it is not followed.
    let shown = desk.at_log(&["channel", "show", CHANNEL, "--state", "first"]).expect(VERIFIED).json();
    assert_eq!(shown["recovery"], format!("record {} with seq 3", told["record"].as_str().unwrap()));
}
