use std::fs;

use indelible_proto::hash::sha256;
use indelible_proto::record::RecordId;
use indelible_proto::sign::Signer as _;

use super::*;
use crate::test_channel::{TestChannel, key};
use crate::test_log::{ORIGIN, TestLog, seconds};
use crate::verify::TrustedTime;

fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

fn log_of(size: usize) -> TestLog {
    let mut log = TestLog::new();
    for i in 0..size {
        log.append(format!("entry {i}").as_bytes());
    }
    log
}

fn last_record(seq: u64) -> LastRecord {
    LastRecord {
        channel: ChannelName::parse("vendor.example/agent").unwrap(),
        seq,
        genesis: RecordId::from_hash(sha256(b"genesis")),
        head: RecordId::from_hash(sha256(b"head")),
    }
}

#[test]
fn remembers_the_largest_checkpoint_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(9);
    let policy = log.policy(2);
    for (size, largest) in [(3, 3), (7, 7), (5, 7), (7, 7), (9, 9)] {
        let state = StateDir::open(dir.path()).unwrap();
        state.remember_checkpoint(&policy.verify(&log.note(size, 3)).unwrap(), &policy).unwrap();
        drop(state);
        let state = StateDir::open(dir.path()).unwrap();
        let held = state.checkpoint(&origin(), &policy).unwrap().unwrap();
        assert_eq!(held.head(), log.head(largest));
    }
}

#[test]
fn does_not_overwrite_a_checkpoint_with_one_that_contradicts_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut other = log_of(2);
    other.append(b"other");
    let policy = other.policy(2);
    state.remember_checkpoint(&policy.verify(&log_of(3).note(3, 3)).unwrap(), &policy).unwrap();
    let error = state.remember_checkpoint(&policy.verify(&other.note(3, 3)).unwrap(), &policy);
    assert_eq!(error.unwrap_err().code(), "state-contradiction");
    assert_eq!(state.checkpoint(&origin(), &policy).unwrap().unwrap().head(), log_of(3).head(3));
}

#[test]
fn a_damaged_checkpoint_is_damage_here() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let log = log_of(3);
    let policy = log.policy(2);
    let path = dir.path().join("checkpoints").join(origin().hash_hex());
    let good = log.note(3, 3).encode();
    let other_size = String::from_utf8(good.clone()).unwrap().replace("\n3\n", "\n4\n").into_bytes();
    let other_origin =
        String::from_utf8(good.clone()).unwrap().replacen(ORIGIN, "log.example/b", 1).into_bytes();
    let long = vec![b'a'; MAX_NOTE_BYTES + 1];
    for bad in [b"", &good[..good.len() - 1], &[0; 187], &other_size, &other_origin, &long] {
        fs::write(&path, bad).unwrap();
        let error = state.checkpoint(&origin(), &policy).unwrap_err();
        assert_eq!(error.code(), "state-damaged", "{error}");
        let error = state.remember_checkpoint(&policy.verify(&log.note(3, 3)).unwrap(), &policy).unwrap_err();
        assert_eq!(error.code(), "state-damaged", "overwrote damage: {error}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(state.checkpoint(&origin(), &policy).unwrap().unwrap().head(), log.head(3));
}

#[test]
fn the_checkpoint_of_another_log_of_the_policy_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let log = log_of(3);
    let other = Origin::parse("log.example/b").unwrap();
    fs::write(dir.path().join("checkpoints").join(other.hash_hex()), log.note(3, 3).encode()).unwrap();
    let error = state.checkpoint(&other, &log.policy(2)).unwrap_err();
    assert!(error.to_string().contains("other-origin"), "{error}");
}

#[test]
fn remembers_the_last_record_of_a_channel() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let record = last_record(7);
    assert_eq!(state.last_records(&record.channel).unwrap().publish, None);
    state.remember_record(Chain::Publish, &record).unwrap();
    state.remember_record(Chain::Publish, &last_record(8)).unwrap();
    assert_eq!(state.last_records(&record.channel).unwrap().publish, Some(last_record(8)));
}

#[test]
fn a_damaged_last_record_is_damage_here() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let record = last_record(7);
    let path = state.channel_path(CHANNELS, &record.channel);
    let good = record.encode(Chain::Publish);
    let other = good.replace("vendor.example/agent", "vendor.example/other");
    let bad = [
        &good[1..],
        &good[..good.len() - 1],
        "",
        &format!("{good}\n"),
        &other,
        &good.replace("\n7\n", "\n07\n"),
    ];
    let sealed_bad = bad.iter().map(|text| sealed(text.as_bytes().to_vec()));
    for bad in sealed_bad.chain([Vec::new(), vec![0; 187], good.clone().into_bytes()]) {
        fs::write(&path, bad).unwrap();
        assert_eq!(state.last_records(&record.channel).unwrap_err().code(), "state-damaged");
    }
    fs::write(&path, sealed(good.into_bytes())).unwrap();
    assert_eq!(state.last_records(&record.channel).unwrap().publish, Some(record));
}

#[test]
fn one_directory_serves_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let held = StateDir::open(dir.path()).unwrap();
    assert_eq!(StateDir::open(dir.path()).map(|_| ()).unwrap_err().code(), "directory-locked");
    drop(held);
    assert!(StateDir::open(dir.path()).is_ok());
}

#[test]
fn a_directory_that_cannot_be_made_is_a_file_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert_eq!(StateDir::open(&file.join("state")).map(|_| ()).unwrap_err().code(), "file-not-written");
}

#[test]
fn the_time_floor_only_rises() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.time_floor().unwrap(), None);
    for (time, floor) in [(100, 100), (50, 100), (101, 101)] {
        state.raise_time_floor(UnixSeconds::new(time).unwrap()).unwrap();
        assert_eq!(state.time_floor().unwrap().map(UnixSeconds::get), Some(floor));
    }
}

#[test]
fn what_was_published_and_what_was_verified_are_remembered_apart() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let id = RecordId::from_hash(sha256(b"a record"));
    let channel = ChannelName::parse("vendor.example/agent").unwrap();
    let record = LastRecord { channel: channel.clone(), seq: 3, genesis: id, head: id };
    state.remember_verified(&record).unwrap();
    assert_eq!(state.last_records(&channel).unwrap().publish, None);
    assert_eq!(state.last_verified(&channel).unwrap(), Some(record));
}

#[test]
fn the_chains_of_a_channel_are_remembered_apart_and_never_an_earlier_record() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let name = last_record(0).channel;
    state.remember_record(Chain::Recovery, &last_record(3)).unwrap();
    let only = LastRecords { publish: None, recovery: Some(last_record(3)) };
    assert_eq!(state.last_records(&name).unwrap(), only);
    for (seq, last) in [(7, 7), (5, 7), (8, 8)] {
        state.remember_record(Chain::Publish, &last_record(seq)).unwrap();
        let both = LastRecords { publish: Some(last_record(last)), recovery: Some(last_record(3)) };
        assert_eq!(state.last_records(&name).unwrap(), both);
    }
    // One chain's file in place of the other's is no file of that chain.
    let file = |chain| state.published_path(&name, chain);
    fs::copy(file(Chain::Publish), file(Chain::Recovery)).unwrap();
    assert_eq!(state.last_records(&name).unwrap_err().code(), "state-damaged");
}

#[test]
fn what_is_known_of_another_channel_is_damage_here() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let time = TrustedTime::new(seconds(1_800_000_001), None);
    let [agent, other] = ["vendor.example/agent", "vendor.example/other"].map(|name| {
        let channel = TestChannel::new(name, 0);
        let (file, policy) = (channel.file(1_800_000_000), channel.log.policy(2));
        KnownChannel::learn(None, channel.genesis(), &file, &policy, time).unwrap().0
    });
    state.remember_known(&agent).unwrap();
    assert_eq!(state.known_channel(agent.name()).unwrap(), Some(agent.clone()));
    let path = state.channel_path(KNOWN, agent.name());
    fs::write(&path, sealed(other.encode())).unwrap();
    assert_eq!(state.known_channel(agent.name()).unwrap_err().code(), "state-damaged");
    fs::write(&path, agent.encode()).unwrap();
    assert_eq!(state.known_channel(agent.name()).unwrap_err().code(), "state-damaged");
}

/// A digit that became another digit is what no form gives away: an id of another record would be a fork, another time
/// another age.
#[test]
fn no_bit_of_what_is_remembered_can_change() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let channel = TestChannel::new("vendor.example/agent", 0);
    let (file, policy) = (channel.file(1_800_000_000), channel.log.policy(2));
    let time = TrustedTime::new(seconds(1_800_000_001), None);
    let (known, _) = KnownChannel::learn(None, channel.genesis(), &file, &policy, time).unwrap();
    let name = known.name().clone();
    state.remember_known(&known).unwrap();
    state.remember_record(Chain::Publish, &last_record(7)).unwrap();
    state.remember_record(Chain::Recovery, &last_record(7)).unwrap();
    state.remember_verified(&last_record(7)).unwrap();
    state.raise_time_floor(seconds(1_800_000_000)).unwrap();
    state.remember_policy(b"log a policy\n").unwrap();
    let line = known.opening().unwrap().signatures()[0].clone();
    let signed = last_signed(&name, 1, 7);
    state.remember_signed(&signed).unwrap();
    let read = [
        (state.channel_path(KNOWN, &name), state.known_channel(&name).err()),
        (state.published_path(&name, Chain::Publish), state.last_records(&name).err()),
        (state.published_path(&name, Chain::Recovery), state.last_records(&name).err()),
        (state.channel_path(VERIFIED, &name), state.last_verified(&name).err()),
        (dir.path().join(TIME_FLOOR), state.time_floor().err()),
        (dir.path().join("policy"), state.policy().err()),
        (only_file(&dir.path().join(SIGNED)), state.last_signed(&name, &line).err()),
    ];
    assert!(read.iter().all(|(_, error)| error.is_none()), "{read:?}");
    for (path, _) in read {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            let errors = [
                state.known_channel(&name).err(),
                state.last_records(&name).err(),
                state.last_verified(&name).err(),
                state.time_floor().err(),
                state.policy().err(),
                state.last_signed(&name, &line).err(),
            ];
            let codes: Vec<&str> = errors.iter().flatten().map(StateError::code).collect();
            assert_eq!(codes, ["state-damaged"], "{}, byte {at}", path.display());
        }
        fs::write(&path, whole).unwrap();
    }
}

fn last_signed(channel: &ChannelName, seed: u8, seq: u64) -> LastSigned {
    let key = key(seed).verifier().clone();
    LastSigned { channel: channel.clone(), key, seq, head: RecordId::from_hash(sha256(b"head")) }
}

fn only_file(dir: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn what_a_key_signed_is_remembered_of_each_channel_and_key_apart() {
    let dir = tempfile::tempdir().unwrap();
    let [agent, other] =
        ["vendor.example/agent", "vendor.example/other"].map(|name| ChannelName::parse(name).unwrap());
    let lines = [1, 2].map(|seed| key(seed).sign(b"anything"));
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.last_signed(&agent, &lines[0]).unwrap(), None);
    let signed = last_signed(&agent, 1, 10);
    state.remember_signed(&signed).unwrap();
    let file = only_file(&dir.path().join(SIGNED));
    state.remember_signed(&last_signed(&agent, 2, 3)).unwrap();
    state.remember_signed(&last_signed(&other, 1, 4)).unwrap();
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    let seq = |channel, line| state.last_signed(channel, line).unwrap().map(|signed| signed.seq);
    assert_eq!(state.last_signed(&agent, &lines[0]).unwrap(), Some(signed));
    assert_eq!(
        (seq(&agent, &lines[1]), seq(&other, &lines[0]), seq(&other, &lines[1])),
        (Some(3), Some(4), None)
    );
    // One file in the place of another is not what was written there.
    for elsewhere in [last_signed(&other, 1, 10), last_signed(&agent, 2, 10)] {
        state.remember_signed(&elsewhere).unwrap();
        fs::copy(state.signed_path(&elsewhere.channel, elsewhere.key.name(), elsewhere.key.id()), &file)
            .unwrap();
        assert_eq!(state.last_signed(&agent, &lines[0]).unwrap_err().code(), "state-damaged");
    }
}

#[test]
fn the_policy_is_remembered_as_it_was_up_to_its_largest() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.policy().unwrap(), None);
    let largest = vec![b'#'; indelible_proto::policy::MAX_POLICY_BYTES];
    for policy in [&b"quorum none\n"[..], b"", b"no newline", &largest] {
        state.remember_policy(policy).unwrap();
        assert_eq!(state.policy().unwrap().as_deref(), Some(policy));
    }
    let whole = fs::read(dir.path().join("policy")).unwrap();
    fs::write(dir.path().join("policy"), [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(state.policy().unwrap_err().code(), "state-damaged");
}

#[test]
fn what_was_withdrawn_is_remembered_and_damage_of_it_is_damage_here() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let leaf = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/withdraw.leaf")).unwrap();
    let record = indelible_proto::record::SignedRecord::parse(&leaf).unwrap();
    let indelible_proto::record::Predicate::Withdraw(_, body) = &record.statement().predicate else {
        panic!("a withdrawal")
    };
    let withdrawn = body.records[0];
    assert_eq!(state.withdrawn_by(withdrawn).unwrap(), None);
    state.remember_withdrawal(&record).unwrap();
    assert_eq!(state.withdrawn_by(withdrawn).unwrap(), Some(record.record_id()));
    assert_eq!(state.withdrawn_by(record.record_id()).unwrap(), None);
    let whole = fs::read(state.withdrawn_path(withdrawn)).unwrap();
    fs::write(state.withdrawn_path(record.record_id()), &whole).unwrap();
    assert_eq!(state.withdrawn_by(record.record_id()).unwrap_err().code(), "state-damaged");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(state.withdrawn_path(withdrawn), changed).unwrap();
        assert_eq!(state.withdrawn_by(withdrawn).unwrap_err().code(), "state-damaged", "byte {at}");
    }
}
