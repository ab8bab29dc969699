use alloc::format;
use alloc::string::String;

use super::*;
use crate::sign::Signer as _;
use crate::sign::testing::{at, checkpoint_text, cosigner, log_note, log_signer};

const ORIGIN: &str = "log.example";

/// The quorum's time for cosignatures of `W1`, `W2`, … at these times.
fn time(rules: &str, times: &[u64], latest: u64) -> Option<u64> {
    let witness = |place: usize| cosigner(&format!("w{place}.example"), u8::try_from(place + 1).unwrap());
    let lines = (0..5).map(|place| format!("witness W{} {}\n", place + 1, witness(place).verifier()));
    let log = log_signer(ORIGIN, 101);
    let file = format!("log {}\n{}{rules}", log.verifier(), lines.collect::<String>());
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let text = checkpoint_text(ORIGIN);
    let mut note = log_note(&text, &log);
    for (place, time) in times.iter().enumerate() {
        note.add_signature(witness(place).cosign(&text, at(*time)).unwrap()).unwrap();
    }
    let checkpoint = policy.verify(&note).unwrap();
    policy.quorum_time(&checkpoint, at(latest)).map(UnixSeconds::get)
}

const TWO_OF_THREE: &str = "group G 2 W1 W2 W3\nquorum G\n";

#[test]
fn of_two_of_three_the_second_newest_counts() {
    assert_eq!(time(TWO_OF_THREE, &[100, 300, 200], 1000), Some(200));
    assert_eq!(time(TWO_OF_THREE, &[100, 300], 1000), Some(100));
}

#[test]
fn one_witness_alone_cannot_move_the_time_forward() {
    assert_eq!(time(TWO_OF_THREE, &[100, 999, 101], 1000), Some(101));
}

#[test]
fn a_cosignature_from_the_future_is_left_out() {
    assert_eq!(time(TWO_OF_THREE, &[100, 300, 200], 299), Some(100));
    assert_eq!(time(TWO_OF_THREE, &[100, 300, 200], 300), Some(200));
    // What is left is no quorum.
    assert_eq!(time(TWO_OF_THREE, &[100, 300, 200], 100), None);
}

#[test]
fn a_witness_outside_the_quorum_vouches_for_nothing() {
    assert_eq!(time(TWO_OF_THREE, &[100, 200, 300, 900, 901], 1000), Some(200));
}

#[test]
fn in_nested_groups_each_has_to_be_met() {
    let rules = "group A 1 W1 W2\ngroup B 2 W3 W4 W5\ngroup G all A B\nquorum G\n";
    assert_eq!(time(rules, &[10, 400, 100, 300, 200], 1000), Some(200));
    assert_eq!(time(rules, &[10, 20, 100, 300, 200], 1000), Some(20));
}

#[test]
fn without_witnesses_nobody_vouches() {
    assert_eq!(time("quorum none\n", &[100, 200], 1000), None);
}
