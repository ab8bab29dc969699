//! Withdrawals, changes of keys and gaps: what the channel file tells, and what is said without it.

use indelible_proto::record::{Chain, RecordId, may_follow};

use super::super::rules::Unknown;
use super::client::{COOLDOWN, Client, SEEN, assert_fails, channel, finding, learn};
use super::*;
use crate::test_channel::{TestChannel, key, keys};

#[test]
fn with_the_channel_file_nothing_is_left_open_but_what_came_later() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let verdict = Client::of(channel).verifies(b"1", one);
    assert!(verdict.hidden()[0].contains(&seconds(SEEN).to_string()), "{:?}", verdict.hidden());
}

#[test]
fn a_withdrawn_record_is_refused() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let two = channel.release(b"2", 1);
    for (chain, by) in [(Chain::Publish, 1), (Chain::Recovery, 9)] {
        let mut channel = channel.clone();
        channel.withdraw(chain, two, Some(one), by);
        let mut client = Client::of(channel);
        let expected = (CheckName::Withdrawal, Outcome::Refused, "withdrawn");
        let verdict = client.fails_only(b"2", two, expected);
        assert!(verdict.decisive().unwrap().next.contains("version 1"), "it says where to go");
        client.verifies(b"1", one);
        // The one that is safe is also the only way back from it.
        client.remember(2, two);
        client.verifies(b"1", one);
        client.known = Knowledge::Nothing;
        let rollback = (CheckName::Sequence, Outcome::Refused, "rollback");
        client.fails_only(b"1", one, rollback);
    }
}

#[test]
fn no_way_leads_back_from_what_was_not_withdrawn_nor_past_what_is_safe() {
    let mut channel = channel();
    let [zero, one, two] = [b"0", b"1", b"2"].map(|content| channel.release(content, 1));
    channel.withdraw(Chain::Publish, two, Some(one), 1);
    let three = channel.release(b"3", 1);
    let mut client = Client::of(channel);
    let rollback = (CheckName::Sequence, Outcome::Refused, "rollback");
    client.remember(3, two);
    client.verifies(b"1", one);
    client.fails_only(b"0", zero, rollback);
    client.remember(5, three);
    client.fails_only(b"1", one, rollback);
}

#[test]
fn a_refused_way_back_says_which_record_to_go_to() {
    let mut channel = channel();
    let [one, two, three] = [b"1", b"2", b"3"].map(|content| channel.release(content, 1));
    let next = |channel: &TestChannel, seq, head| {
        let mut client = Client::of(channel.clone());
        client.remember(seq, head);
        let rollback = (CheckName::Sequence, Outcome::Refused, "rollback");
        client.fails_only(b"2", two, rollback).decisive().unwrap().next.clone()
    };
    let to = |version: &str, id: RecordId| format!("do not install; get version {version}, record {id}. ");
    assert!(next(&channel, 3, three).starts_with(&to("3", three)));
    // One that is not known yet, and one that the channel never had.
    let later = RecordId::from_hash(sha256(b"later"));
    assert!(next(&channel, 9, later).contains(&format!("get record {later}, ")));
    let withdrawn = |safe: Option<RecordId>| {
        let mut channel = channel.clone();
        channel.withdraw(Chain::Publish, three, safe, 1);
        channel
    };
    assert!(next(&withdrawn(Some(one)), 3, three).starts_with(&to("1", one)));
    assert!(next(&withdrawn(None), 3, three).contains("names nothing to go to: ask the vendor"));
    // The safe one was withdrawn in turn.
    let mut again = withdrawn(Some(one));
    let zero = again.release(b"0", 1);
    assert!(next(&again, 3, three).starts_with(&to("0", zero)), "the newest comes before a way back");
    again.withdraw(Chain::Publish, zero, None, 1);
    again.withdraw(Chain::Recovery, one, None, 9);
    assert!(next(&again, 3, three).contains("names nothing to go to"));
}

#[test]
fn a_record_the_channel_never_had_keeps_nobody_from_it_once_it_was_withdrawn() {
    let foreign = RecordId::from_hash(sha256(b"of another history"));
    for seq in [1, 2, 3, 4, 5, (1 << 53) - 1] {
        let mut channel = channel();
        let [zero, one] = [b"0", b"1"].map(|content| channel.release(content, 1));
        let before = channel.clone();
        channel.withdraw(Chain::Recovery, foreign, Some(one), 9);
        let two = channel.release(b"2", 1);
        let mut client = Client::of(before);
        client.remember(seq, foreign);
        let verdict = client.judge_at(b"1", one, SEEN);
        assert_eq!(verdict.outcome(), Outcome::Refused, "{seq}: not withdrawn yet");
        let mut client = Client::of(channel);
        client.remember(seq, foreign);
        client.verifies(b"1", one);
        client.verifies(b"2", two);
        let verdict = client.judge_at(b"0", zero, SEEN);
        assert_eq!(verdict.outcome(), Outcome::Refused, "{seq}: before the safe one");
    }
}

#[test]
fn a_withdrawal_under_keys_that_do_not_count_yet_holds() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    channel.change(&[2], &[1], COOLDOWN);
    channel.withdraw(Chain::Publish, one, None, 2);
    let client = Client::of(channel);
    client.fails_only(b"1", one, (CheckName::Withdrawal, Outcome::Hold, "withdrawal-pending"));
}

#[test]
fn what_is_known_is_known_up_to_its_time_and_its_last_record() {
    let mut channel = channel();
    channel.release(b"1", 1);
    let mut client = Client::of(channel.clone());
    // A record right after what is known: by the keys in force, and withdrawals of it would be newer.
    let two = client.channel.release(b"2", 1);
    let verdict = client.judge_at(b"2", two, SEEN);
    assert_eq!(verdict.outcome(), Outcome::Verified);
    assert!(matches!(finding(&verdict, CheckName::Withdrawal), Finding::Unknown { .. }));
    assert!(finding(&verdict, CheckName::Sequence) == &Finding::Passed);
    // One further is a gap.
    let three = client.channel.release(b"3", 1);
    let verdict = client.judge_at(b"3", three, SEEN);
    assert!(matches!(finding(&verdict, CheckName::Sequence), Finding::Unknown { .. }));
    client.rules.unknown = Unknown::Hold;
    assert_eq!(client.judge_at(b"2", two, SEEN).outcome(), Outcome::Hold);
    // Old knowledge is no knowledge of withdrawals, however new the proof is.
    let mut client = Client::of(channel.clone());
    let one = channel.state().head();
    client.rules.max_age_s = Some(100);
    client.now = SEEN + 200;
    let verdict = client.judge_at(b"1", one, SEEN + 200);
    assert_eq!(verdict.outcome(), Outcome::Verified);
    assert!(matches!(finding(&verdict, CheckName::Withdrawal), Finding::Unknown { .. }));
}

#[test]
fn a_record_that_the_channel_does_not_have_in_its_place_is_a_hidden_one() {
    let mut channel = channel();
    let mut other = channel.clone();
    channel.release(b"1", 1);
    let forked = other.release(b"other", 1);
    let mut client = Client::of(channel);
    client.channel = other.clone();
    let expected = (CheckName::Sequence, Outcome::Refused, "channel-forked");
    let verdict = client.judge_at(b"other", forked, SEEN);
    assert_fails(&verdict, expected);
    assert!(verdict.decisive().unwrap().message.contains(&forked.to_string()), "both are named");
    // Nor one that follows on another record than the newest known one.
    let after = client.channel.release(b"after", 1);
    assert_fails(&client.judge_at(b"after", after, SEEN), expected);
    // Nor one after a record that was verified before, and that the channel does not have.
    let mut client = Client::of(other);
    client.remember(1, RecordId::from_hash(sha256(b"gone")));
    let two = client.channel.release(b"2", 1);
    client.known = Knowledge::Channel(Box::new(learn(None, &client.channel, SEEN)));
    let verdict = client.judge_at(b"2", two, SEEN);
    assert_fails(&verdict, expected);
    let three = client.channel.release(b"3", 1);
    client.known = Knowledge::Channel(Box::new(learn(None, &client.channel, SEEN)));
    assert_fails(&client.judge_at(b"3", three, SEEN), expected);
}

#[test]
fn a_record_under_changed_keys_verifies_once_they_count() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    channel.change(&[2], &[1], COOLDOWN);
    let two = channel.release(b"2", 2);
    let mut client = Client::of(channel);
    client.fails_only(b"2", two, (CheckName::KeyChange, Outcome::Hold, "key-change-pending"));
    client.verifies(b"1", one);
    // Logged long ago, says its proof: then it counts already, to who meets the channel today.
    client.rules.max_age_s = Some(10_000);
    assert_eq!(client.judge_at(b"2", two, SEEN - COOLDOWN).outcome(), Outcome::Verified);
    // Or after its time.
    let Knowledge::Channel(known) = &client.known else { panic!("known") };
    let later = learn(Some(known), &client.channel, SEEN + COOLDOWN);
    client.known = Knowledge::Channel(Box::new(later));
    client.now = SEEN + COOLDOWN;
    client.verifies(b"2", two);
    // Under keys that are known, a record that is not yet: its own proof makes nothing older.
    client.known = Knowledge::Channel(Box::new(learn(None, &client.channel, SEEN)));
    client.now = SEEN + 10;
    let three = client.channel.release(b"3", 2);
    let pending = (CheckName::KeyChange, Outcome::Hold, "key-change-pending");
    assert_fails(&client.judge_at(b"3", three, SEEN - COOLDOWN), pending);
    // Without the channel file the keys are unknown.
    client.known = Knowledge::Nothing;
    let verdict = client.judge_at(b"2", two, SEEN);
    assert_eq!(verdict.outcome(), Outcome::Refused);
}

#[test]
fn a_record_after_the_known_ones_has_to_be_by_the_keys_in_force() {
    let mut channel = channel();
    channel.release(b"1", 1);
    let client = Client::of(channel.clone());
    let mut client = Client { channel, ..client };
    client.channel.change(&[2], &[1], 0);
    let two = client.channel.release(b"2", 2);
    let verdict = client.judge_at(b"2", two, SEEN);
    let failed: Vec<_> =
        verdict.checks().iter().filter_map(Check::reason).map(|reason| reason.code).collect();
    assert!(failed.contains(&"record-other-keys") && failed.contains(&"record-not-signed"), "{failed:?}");
}

#[test]
fn the_recovery_keys_make_a_thiefs_release_void() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    channel.change(&[3], &[1], 0);
    let evil = channel.release(b"evil", 3);
    channel.recover(&[2]);
    let two = channel.release(b"2", 2);
    let client = Client::of(channel);
    client.fails_only(b"evil", evil, (CheckName::KeyChange, Outcome::Refused, "key-change-void"));
    client.verifies(b"1", one);
    client.verifies(b"2", two);
}

#[test]
fn a_frozen_channel_signs_nothing_new() {
    let mut channel = channel();
    channel.release(b"1", 1);
    let next = {
        let mut next = channel.clone();
        (next.release(b"2", 1), next)
    };
    channel.recover(&[]);
    let mut client = Client::of(channel);
    client.channel = next.1;
    let verdict = client.judge_at(b"2", next.0, SEEN);
    let failed: Vec<_> =
        verdict.checks().iter().filter_map(Check::reason).map(|reason| reason.code).collect();
    assert!(failed.contains(&"channel-frozen"), "{failed:?}");
}

/// Whatever continues a known channel: it is verified if the function that admits records would admit it, and not
/// otherwise.
#[test]
fn what_may_not_follow_is_not_verified_and_what_may_is() {
    // Changes of keys need not cool down, which is another check.
    let channel = || {
        let mut channel = TestChannel::new(CHANNEL, 0);
        channel.release(b"1", 1);
        channel
    };
    let plain = channel();
    let rotated = {
        let mut channel = channel();
        channel.change(&[2], &[1], 0);
        channel
    };
    let frozen = {
        let mut channel = channel();
        channel.recover(&[]);
        channel
    };
    let of_two = {
        let mut channel = channel();
        let mut body = keys(&[1], Some(9), 0);
        let both = [1, 2].map(|seed| key(seed).verifier().clone());
        body.signers = Some(KeySet::new(both.to_vec(), 2).unwrap());
        channel.add(Chain::Publish, Body::Change(body), Vec::new(), &[1, 2]);
        channel
    };
    let elsewhere = TestChannel::new("vendor.example/other", COOLDOWN).genesis();
    let (mut admitted, mut refused) = (0, 0);
    for channel in [plain, rotated, frozen, of_two] {
        let state = channel.state().clone();
        let genesis = state.genesis();
        for signers in [&[1][..], &[2], &[9], &[1, 2], &[1, 3], &[2, 2]] {
            for keys in [state.keys_record(), genesis, elsewhere] {
                for (seq, prev) in [
                    (state.seq() + 1, state.head()),
                    (state.seq() + 1, elsewhere),
                    (state.seq(), state.head()),
                ] {
                    let place = Place::After { seq: seq - 1, head: prev, keys };
                    // One key that signs twice makes no record.
                    let Ok(record) = channel.release_at(&place, b"next", signers) else { continue };
                    let may = may_follow(Some(&state), &record);
                    let mut client = Client::of(channel.clone());
                    let id = client.channel.append_anyway(record);
                    let verdict = client.judge_at(b"next", id, SEEN);
                    let verified = verdict.outcome() == Outcome::Verified;
                    assert_eq!(verified, may.is_ok(), "{may:?}: {:#?}", verdict.checks());
                    if verified { admitted += 1 } else { refused += 1 }
                }
            }
        }
    }
    assert!(admitted >= 3 && refused >= 100, "{admitted} admitted, {refused} refused");
}

#[test]
fn a_heartbeat_renews_the_expiry_and_a_newer_checkpoint_the_age() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let mut client = Client::of(channel.clone());
    client.now = channel.expires(one);
    client.rules.max_age_s = Some(100_000);
    client.fails_only(b"1", one, (CheckName::Expiry, Outcome::Hold, "expired"));
    let head = channel.head(one, 1);
    let renewed = Client::of(channel.clone());
    let renewed = Client { now: channel.expires(head) - 1, rules: client.rules.clone(), ..renewed };
    renewed.verifies(b"1", one);
    Client { now: channel.expires(head), ..renewed }.fails_only(
        b"1",
        one,
        (CheckName::Expiry, Outcome::Hold, "expired"),
    );
    // The age is of the newest checkpoint that proved the channel.
    let mut client = Client::of(channel.clone());
    client.rules.max_age_s = Some(5);
    client.fails_only(b"1", one, (CheckName::Age, Outcome::Hold, "checkpoint-stale"));
    let Knowledge::Channel(known) = &client.known else { panic!("known") };
    client.known = Knowledge::Channel(Box::new(learn(Some(known), &channel, SEEN + 8)));
    client.verifies(b"1", one);
}

#[test]
fn damaged_knowledge_decides_nothing() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let mut client = Client::of(channel);
    client.known = Knowledge::Damaged { code: "state-damaged", message: "zeros".into() };
    client.fails_only(b"1", one, (CheckName::Withdrawal, Outcome::Undecided, "state-damaged"));
}

#[test]
fn a_record_after_the_known_ones_verifies_under_the_changed_keys_by_its_own_age() {
    let mut channel = TestChannel::new(CHANNEL, 0);
    channel.change(&[2], &[1], 0);
    let mut client = Client::of(channel);
    let two = client.channel.release(b"2", 2);
    assert_eq!(client.judge_at(b"2", two, SEEN).outcome(), Outcome::Verified);
    // That the channel was seen lately says nothing about a record that was not in it.
    client.rules.max_age_s = Some(100);
    assert_fails(
        &client.judge_at(b"2", two, SEEN - 200),
        (CheckName::Age, Outcome::Hold, "checkpoint-stale"),
    );
}

#[test]
fn the_age_limit_is_that_of_the_channel_record_in_force() {
    let mut channel = TestChannel::new(CHANNEL, 0);
    let body = ChannelBody { max_age_s: 5, ..keys(&[1], Some(9), 0) };
    channel.add(Chain::Publish, Body::Change(body), Vec::new(), &[1]);
    let one = channel.release(b"1", 1);
    let client = Client::of(channel);
    client.fails_only(b"1", one, (CheckName::Age, Outcome::Hold, "checkpoint-stale"));
}
