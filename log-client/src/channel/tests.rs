//! What is learned from channel files, how it is kept, and which keys and withdrawals count.

use indelible_proto::hash::sha256;
use indelible_proto::note::SignedNote;

use super::*;
use crate::publish::Body;
use crate::test_channel::{TestChannel, keys};
use crate::test_log::seconds;

const NOW: u64 = 1_800_000_000;
/// Cool-down of the channels here.
const COOLDOWN: u64 = 1000;

fn time() -> TrustedTime {
    TrustedTime::new(seconds(NOW + 100_000), None)
}

fn policy(channel: &TestChannel) -> Policy {
    channel.log.policy(2)
}

#[track_caller]
fn learn(known: Option<&KnownChannel>, channel: &TestChannel, at: u64) -> KnownChannel {
    KnownChannel::learn(known, channel.genesis(), &channel.file(at), &policy(channel), time()).unwrap().0
}

fn refusal(known: Option<&KnownChannel>, channel: &TestChannel, file: &ChannelFile) -> &'static str {
    let learned = KnownChannel::learn(known, channel.genesis(), file, &policy(channel), time());
    learned.map_or_else(|error| error.code(), |_| "learned")
}

fn channel() -> TestChannel {
    TestChannel::new("vendor.example/agent", COOLDOWN)
}

#[test]
fn is_extended_and_read_back_byte_for_byte() {
    let mut channel = channel();
    let release = channel.release(b"1", 1);
    let first = learn(None, &channel, NOW);
    channel.withdraw(Chain::Recovery, release, None, 9);
    channel.change(&[2], &[1], 0);
    channel.release(b"2", 2);
    // From what is known on; the file may also begin earlier.
    for from in [0, 1] {
        let file = channel.file_from(from, NOW + 50);
        let (known, _) =
            KnownChannel::learn(Some(&first), channel.genesis(), &file, &policy(&channel), time()).unwrap();
        assert_eq!(known.state(), channel.state());
        assert_eq!((known.records().count(), known.witnessed()), (5, Some(seconds(NOW + 50))));
        let bytes = known.encode();
        let read = KnownChannel::parse(&bytes).unwrap();
        assert_eq!(read, known);
        assert_eq!(read.encode(), bytes);
        assert!(bytes.len() <= known.encoded_len());
        assert!(known.covers(&first) && !first.covers(&known));
    }
}

#[test]
fn refuses_what_goes_back_leaves_out_or_is_another_history() {
    let mut channel = channel();
    channel.release(b"1", 1);
    let before = channel.clone();
    let mut other = channel.clone();
    channel.release(b"2", 1);
    channel.release(b"3", 1);
    other.release(b"other", 1);
    let known = learn(None, &channel, NOW);
    assert_eq!(
        refusal(Some(&known), &channel, &channel.file(NOW + 1)),
        "learned",
        "nothing new, at a later time"
    );
    assert_eq!(refusal(Some(&known), &channel, &before.file(NOW + 1)), "channel-file-behind");
    let at_one = learn(None, &before, NOW);
    assert_eq!(refusal(Some(&at_one), &channel, &channel.file_from(3, NOW)), "seq-mismatch");
    let forked = learn(None, &other, NOW);
    assert_eq!(refusal(Some(&forked), &channel, &channel.file(NOW)), "channel-file-fork");
    // A squatted name, and a file that does not begin with the genesis.
    let squatted = TestChannel::new("vendor.example/agent", 1);
    assert_eq!(refusal(None, &channel, &squatted.file(NOW)), "channel-other-genesis");
    assert_eq!(refusal(None, &channel, &channel.file_from(1, NOW)), "channel-unknown");
    let elsewhere = TestChannel::new("vendor.example/other", COOLDOWN);
    assert_eq!(refusal(Some(&known), &channel, &elsewhere.file(NOW)), "channel-file-other-channel");
}

#[test]
fn what_was_known_before_is_found_again_by_its_newest_records() {
    let mut channel = channel();
    let early = learn(None, &channel, NOW);
    channel.release(b"1", 1);
    let recovered = channel.recover(&[2]);
    let middle = learn(None, &channel, NOW);
    channel.release(b"2", 2);
    channel.recover(&[3]);
    let whole = learn(None, &channel, NOW);
    let newest = |known: &KnownChannel, chain| known.state().chain_head(chain).map(|head| head.record);
    for known in [&early, &middle, &whole] {
        let (publish, recovery) = (newest(known, Chain::Publish), newest(known, Chain::Recovery));
        assert_eq!(whole.up_to(publish.unwrap(), recovery).as_ref(), Some(known));
    }
    // Records of another channel, or of the other chain, and a state that never was.
    let publish = newest(&middle, Chain::Publish).unwrap();
    assert_eq!(early.up_to(publish, None), None);
    assert_eq!(whole.up_to(recovered, None), None);
    assert_eq!(whole.up_to(publish, Some(publish)), None);
    assert_eq!(
        whole.up_to(newest(&whole, Chain::Publish).unwrap(), None),
        None,
        "signed by keys of the recovery"
    );
}

#[test]
fn a_damaged_file_is_no_known_channel() {
    let mut channel = channel();
    channel.release(b"1", 1);
    channel.release(b"2", 1);
    let bytes = learn(None, &channel, NOW).encode();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for damaged in
        [Vec::new(), vec![0; bytes.len()], bytes[..bytes.len() - 1].to_vec(), [&bytes[..], b"\n"].concat()]
    {
        assert!(KnownChannel::parse(&damaged).is_err());
    }
    // Every byte of the records and the state counts.
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let Ok(read) = KnownChannel::parse(&damaged) else { continue };
        assert_eq!(read.encode(), damaged, "byte {at}");
    }
    // A record left out, and the newest one missing.
    let first = text.find("record ").unwrap();
    let last = text.rfind("record ").unwrap();
    assert_eq!(KnownChannel::parse(&bytes[..last]).unwrap_err().code(), "line-unterminated");
    let fewer = text[..last].replace("records 3", "records 2");
    assert_eq!(KnownChannel::parse(fewer.as_bytes()).unwrap_err(), KnownChannelError::Broken);
    let none = text[..first].replace("records 3", "records 0");
    assert_eq!(KnownChannel::parse(none.as_bytes()).unwrap_err(), KnownChannelError::Broken);
    let second = first + 1 + text[first + 1..].find("\nrecord ").unwrap();
    let gap = [&text[..second], &text[last - 1..]].concat().replace("records 3", "records 2");
    assert_eq!(KnownChannel::parse(gap.as_bytes()).unwrap_err(), KnownChannelError::Broken);
    let genesis = format!("genesis {}", channel.genesis());
    let other = text.replacen(&genesis, &format!("genesis {}", "0".repeat(64)), 1);
    assert_eq!(KnownChannel::parse(other.as_bytes()).unwrap_err(), KnownChannelError::Broken);
    let many = text.replace("records 3", &format!("records {}", KnownChannel::MAX_RECORDS + 1));
    assert_eq!(KnownChannel::parse(many.as_bytes()).unwrap_err(), KnownChannelError::TooMany);
}

#[test]
fn a_change_of_keys_waits_for_its_cooldown_in_witness_time() {
    let mut channel = channel();
    let genesis = channel.genesis();
    let change = channel.change(&[2], &[1], 0);
    // Rests on the first, and waits with it although no time of its own is asked for.
    let next = channel.change(&[3], &[2], 0);
    let known = learn(None, &channel, NOW);
    let at = |time| Some(seconds(time));
    let pending = KeyStanding::Pending { until: seconds(NOW + COOLDOWN) };
    assert_eq!(known.key_standing(genesis, None), KeyStanding::Counts);
    for id in [change, next] {
        assert_eq!(known.key_standing(id, at(NOW + COOLDOWN - 1)), pending);
        assert_eq!(known.key_standing(id, None), pending, "no time, no cool-down");
        assert_eq!(known.key_standing(id, at(NOW + COOLDOWN)), KeyStanding::Counts);
        // Who meets the channel late need not wait for what was logged long ago; later than seen is no help.
        let logged = |time| known.key_standing_logged(id, at(NOW), at(time));
        assert_eq!(logged(NOW - COOLDOWN), KeyStanding::Counts);
        assert_eq!(logged(NOW - COOLDOWN + 1), KeyStanding::Pending { until: seconds(NOW + 1) });
        assert_eq!(logged(NOW + 5), pending);
    }
    // What is learned again later was first seen before.
    let later = learn(Some(&known), &channel, NOW + COOLDOWN);
    assert_eq!(later.key_standing(change, later.witnessed()), KeyStanding::Counts);
    let unknown = RecordId::from_hash(sha256(b"x"));
    assert_eq!(known.key_standing(unknown, at(NOW)), KeyStanding::NotKnown);
}

#[test]
fn one_lying_witness_does_not_make_a_change_older() {
    let mut channel = channel();
    let change = channel.change(&[2], &[1], 0);
    let text = channel.log.checkpoint_text(channel.log.entries.len());
    let mut lines = channel.note_at(NOW).signatures()[..2].to_vec();
    lines.push(channel.log.witnesses[1].cosign(&text, seconds(5)).unwrap());
    let note = SignedNote::new(text, lines).unwrap();
    let file = channel.file(NOW);
    let mut bytes = file.encode();
    bytes.truncate(bytes.len() - file.note().encode().len());
    bytes.extend_from_slice(&note.encode());
    let file = ChannelFile::parse(&bytes).unwrap();
    let (known, _) = KnownChannel::learn(None, channel.genesis(), &file, &policy(&channel), time()).unwrap();
    assert_eq!(known.witnessed(), Some(seconds(5)), "a quorum of two does not vouch for more");
    let pending = KeyStanding::Pending { until: seconds(NOW + COOLDOWN) };
    assert_eq!(known.key_standing(change, Some(seconds(NOW))), pending);
}

#[test]
fn the_recovery_keys_make_void_what_did_not_count_yet_and_nothing_else() {
    let mut channel = channel();
    let counted = channel.change(&[2], &[1], COOLDOWN);
    let known = learn(None, &channel, NOW);
    let known = learn(Some(&known), &channel, NOW + COOLDOWN);
    let stolen = channel.change(&[3], &[2], 0);
    let known = learn(Some(&known), &channel, NOW + COOLDOWN + 1);
    let under_stolen = channel.change(&[4], &[3], 0);
    let recovered = channel.recover(&[5]);
    // The recovery is heard of only when the stolen keys' time would have come.
    let known = learn(Some(&known), &channel, NOW + 3 * COOLDOWN);
    let now = known.witnessed();
    assert_eq!(known.key_standing(counted, now), KeyStanding::Counts);
    assert_eq!(known.key_standing(stolen, now), KeyStanding::Void);
    assert_eq!(known.key_standing(under_stolen, now), KeyStanding::Void);
    assert_eq!(known.key_standing(recovered, now), KeyStanding::Counts);
    // Read back, it is the same.
    let read = KnownChannel::parse(&known.encode()).unwrap();
    assert_eq!(read.key_standing(stolen, now), KeyStanding::Void);
}

#[test]
fn a_recovery_set_that_a_thief_added_waits_as_well() {
    // A channel without recovery keys, whose publish key was stolen.
    let mut channel = TestChannel::opened("vendor.example/agent", keys(&[1], None, COOLDOWN));
    let added = channel.add(Chain::Publish, Body::Change(keys(&[1], Some(9), COOLDOWN)), Vec::new(), &[1]);
    let taken = channel.recover(&[3]);
    let known = learn(None, &channel, NOW);
    let pending = KeyStanding::Pending { until: seconds(NOW + COOLDOWN) };
    assert_eq!(known.key_standing(taken, Some(seconds(NOW))), pending);
    assert_eq!(
        known.key_standing(added, Some(seconds(NOW))),
        pending,
        "what waits itself makes nothing void"
    );
}

#[test]
fn a_withdrawal_leads_back_over_withdrawn_ones_and_nowhere_else() {
    let mut channel = channel();
    let [one, two, three, four] = [b"1", b"2", b"3", b"4"].map(|content| channel.release(content, 1));
    channel.withdraw(Chain::Publish, three, Some(two), 1);
    channel.withdraw(Chain::Recovery, two, Some(one), 9);
    let known = learn(None, &channel, NOW);
    let now = known.witnessed();
    assert!(known.leads_back(two, one, now) && known.leads_back(three, one, now));
    assert!(!known.leads_back(three, two, now), "it was withdrawn in turn");
    assert!(!known.leads_back(four, one, now) && !known.leads_back(one, one, now));
    assert_eq!(known.withdrawals(one, now).count(), 0);
    assert_eq!(known.withdrawals(two, now).count(), 1);
    // Two that name each other as safe lead round in a circle, which ends.
    channel.withdraw(Chain::Publish, one, Some(three), 1);
    let known = learn(None, &channel, NOW);
    assert!(!known.leads_back(three, one, now) && !known.leads_back(three, four, now));
}

#[test]
fn no_way_leads_back_to_what_cannot_be_installed() {
    let mut channel = channel();
    let one = channel.release(b"1", 1);
    let change = channel.change(&[2], &[1], 0);
    channel.withdraw(Chain::Recovery, one, Some(change), 9);
    let known = learn(None, &channel, NOW);
    assert!(!known.leads_back(one, change, known.witnessed()));
}

#[test]
fn what_the_channel_never_had_leads_back_to_all_that_is_not_before_the_safe_record() {
    let mut channel = channel();
    let [one, two, three] = [b"1", b"2", b"3"].map(|content| channel.release(content, 1));
    let foreign = RecordId::from_hash(sha256(b"of another history"));
    let known = learn(None, &channel, NOW);
    assert!(!known.leads_back(foreign, two, known.witnessed()), "nobody has said so");
    channel.withdraw(Chain::Recovery, foreign, Some(two), 9);
    channel.withdraw(Chain::Recovery, three, None, 9);
    let four = channel.release(b"4", 1);
    let known = learn(None, &channel, NOW);
    let leads = |to| known.leads_back(foreign, to, known.witnessed());
    assert!(leads(two) && leads(four));
    assert!(!leads(one), "it comes before the safe one");
    assert!(!leads(three), "it was withdrawn");
    assert!(!leads(foreign) && !leads(channel.genesis()));
}

#[test]
fn a_withdrawal_under_keys_that_do_not_count_leads_nowhere_back() {
    let mut channel = channel();
    let [one, two] = [b"1", b"2"].map(|content| channel.release(content, 1));
    channel.change(&[2], &[1], COOLDOWN);
    channel.withdraw(Chain::Publish, two, Some(one), 2);
    let known = learn(None, &channel, NOW);
    let standing =
        |known: &KnownChannel, time| known.withdrawals(two, Some(seconds(time))).map(|w| w.standing).next();
    assert!(!known.leads_back(two, one, Some(seconds(NOW))));
    assert!(matches!(standing(&known, NOW), Some(KeyStanding::Pending { .. })));
    assert!(known.leads_back(two, one, Some(seconds(NOW + COOLDOWN))));
    channel.recover(&[3]);
    let known = learn(Some(&known), &channel, NOW + 1);
    assert_eq!(standing(&known, NOW + COOLDOWN), None, "void");
}

#[test]
fn a_heartbeat_renews_what_it_names_if_its_keys_count() {
    let mut channel = channel();
    let (one, two) = (channel.release(b"1", 1), channel.release(b"2", 1));
    channel.change(&[2], &[1], COOLDOWN);
    let head = channel.head(one, 2);
    channel.head(two, 2);
    channel.withdraw(Chain::Recovery, two, None, 9);
    let three = channel.release(b"3", 2);
    let known = learn(None, &channel, NOW);
    let expires = |known: &KnownChannel, id, time| {
        known.expires(known.record(id).unwrap(), Some(seconds(time))).unwrap().get()
    };
    assert_eq!(expires(&known, one, NOW), channel.expires(one));
    assert_eq!(expires(&known, one, NOW + COOLDOWN), channel.expires(head));
    assert_eq!(expires(&known, two, NOW + COOLDOWN), channel.expires(two), "it was withdrawn");
    assert_eq!(expires(&known, three, NOW + COOLDOWN), channel.expires(three), "no heartbeat names it");
}

#[test]
fn more_records_than_are_kept_are_refused() {
    let mut channel = channel();
    channel.release(b"1", 1);
    let mut known = learn(None, &channel, NOW);
    let filler = known.records[1].clone();
    known.records.resize(KnownChannel::MAX_RECORDS, filler);
    assert_eq!(refusal(Some(&known), &channel, &channel.file(NOW)), "learned");
    channel.release(b"2", 1);
    assert_eq!(refusal(Some(&known), &channel, &channel.file(NOW)), "channel-too-many-records");
}

#[test]
fn without_witnesses_nobody_measures_a_cooldown() {
    let mut channel = channel();
    let change = channel.change(&[2], &[1], 0);
    let text = channel.log.policy_text(2).replace("quorum all", "quorum none");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let file = channel.file(NOW);
    let (known, _) = KnownChannel::learn(None, channel.genesis(), &file, &policy, time()).unwrap();
    assert_eq!(known.witnessed(), None);
    assert_eq!(known.key_standing(change, None), KeyStanding::Unmeasured);
    assert_eq!(known.key_standing(channel.genesis(), None), KeyStanding::Counts);
}
