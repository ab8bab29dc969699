use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::*;
use crate::checkpoint::{Checkpoint, Origin};
use crate::hash::{leaf_hash, node_hash};
use crate::policy::Policy;
use crate::record::tests::{channel, common, head, release, rules, set, signer, with_recovery, withdraw};
use crate::record::{
    AdmissionError, ChainHead, ChannelState, Common, Predicate, RecordId, Statement, may_follow,
};
use crate::sign::testing::{assert_exact, at, cosigner, head as tree_head, log_note, log_signer};
use crate::sign::{RecordSigner, Signer as _};

mod samples;

const ORIGIN: &str = "log.example";

/// A log with one channel in it, and entries of others between its records.
struct World {
    log: Vec<Vec<u8>>,
    state: Option<ChannelState>,
    /// The channel's records, each with its place and the state after it.
    history: Vec<(SignedRecord, usize, ChannelState)>,
    publish: RecordSigner,
    recovery: RecordSigner,
}

impl World {
    /// Genesis, two releases, a withdrawal by the recovery keys, a head, new keys from the recovery chain, rules.
    fn new() -> Self {
        let mut world = Self {
            log: vec![b"another entry".to_vec()],
            state: None,
            history: Vec::new(),
            publish: signer("publish", 1),
            recovery: signer("recovery", 3),
        };
        let (publish, fresh, recovery) = (signer("publish", 1), signer("fresh", 2), signer("recovery", 3));
        let set_of = |signer: &RecordSigner| set(&[signer], 1);
        world.admit(
            &with_recovery(channel(common(0), set_of(&publish)), Some(set_of(&recovery))),
            &[&publish],
        );
        world.admit(&release(world.next(Chain::Publish)), &[&publish]);
        world.admit(&rules(world.next(Chain::Publish)), &[&publish]);
        world.admit(&withdraw(world.next(Chain::Recovery)), &[&recovery]);
        let newest = world.state().recovery_head().map(|head| head.record);
        world.admit(&head(world.next(Chain::Publish), newest), &[&publish]);
        let change = channel(world.next(Chain::Recovery), set_of(&fresh));
        world.admit(&with_recovery(change, Some(set_of(&recovery))), &[&fresh, &recovery]);
        world.admit(&rules(world.next(Chain::Publish)), &[&fresh]);
        world
    }

    fn state(&self) -> &ChannelState {
        self.state.as_ref().unwrap()
    }

    fn genesis(&self) -> RecordId {
        self.state().genesis()
    }

    fn next(&self, chain: Chain) -> Common {
        let place = self.state().next_place(chain).unwrap();
        Common { prev: place.prev, keys: Some(place.keys), chain, ..common(place.seq) }
    }

    fn admit(&mut self, statement: &Statement, signers: &[&RecordSigner]) {
        let record = SignedRecord::sign(statement, signers).unwrap();
        let state = may_follow(self.state.as_ref(), &record).unwrap();
        self.history.push((record.clone(), self.log.len(), state.clone()));
        self.log.push(record.encode());
        self.log.push(format!("entry {}", self.log.len()).into_bytes());
        self.state = Some(state);
    }

    fn leaves(&self) -> Vec<Hash> {
        self.log.iter().map(|entry| leaf_hash(entry)).collect()
    }

    fn note(&self) -> SignedNote {
        let leaves = self.leaves();
        let head = tree_head(leaves.len() as u64, root(&leaves));
        let text = Checkpoint::new(Origin::parse(ORIGIN).unwrap(), head).unwrap().encode();
        let mut note = log_note(&text, &log_signer(ORIGIN, 1));
        note.add_signature(cosigner("w.example", 2).cosign(&text, at(100)).unwrap()).unwrap();
        note
    }

    fn prove(&self, index: usize) -> NewestProof {
        let proof = InclusionProof::new(path(index, &self.leaves())).unwrap();
        NewestProof { index: LeafIndex::new(index as u64).unwrap(), proof }
    }

    /// The file of these records of the history.
    fn file_of(&self, positions: impl IntoIterator<Item = usize>) -> Result<ChannelFile, ChannelFileError> {
        let chosen: Vec<_> = positions.into_iter().map(|position| &self.history[position]).collect();
        let newest = |chain| {
            let of_chain = |(record, ..): &&&(SignedRecord, usize, ChannelState)| {
                record.statement().predicate.common().chain == chain
            };
            chosen.iter().rev().find(of_chain).map(|(_, index, _)| self.prove(*index))
        };
        let publish = newest(Chain::Publish).unwrap_or_else(|| self.prove(0));
        let records = chosen.iter().map(|(record, ..)| record.clone()).collect();
        ChannelFile::new(records, publish, newest(Chain::Recovery), self.note())
    }

    fn file(&self) -> ChannelFile {
        self.file_of(0..self.history.len()).unwrap()
    }
}

fn policy(quorum: &str) -> Policy {
    let (log, witness, other) =
        (log_signer(ORIGIN, 1), cosigner("w.example", 2), cosigner("other.example", 3));
    let file = format!(
        "log {}\nwitness W {}\nwitness Other {}\nquorum {quorum}\n",
        log.verifier(),
        witness.verifier(),
        other.verifier()
    );
    Policy::parse(file.as_bytes()).unwrap()
}

/// RFC 6962, section 2.1, read aloud.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// RFC 6962, section 2.1.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut hashes, other) = match index.checked_sub(left.len()) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    hashes.push(other);
    hashes
}

fn code(bytes: &[u8]) -> &'static str {
    ChannelFile::parse(bytes).map_or_else(|error| error.code(), |_| "accepted")
}

fn verify(file: &ChannelFile, start: Start<'_>) -> Result<VerifiedChannel, ChannelFileRefusal> {
    // What is verified is what a stranger reads.
    ChannelFile::parse(&file.encode()).unwrap().verify(start, &policy("W"))
}

#[test]
fn a_file_has_one_spelling() {
    let world = World::new();
    for positions in [0..7, 0..1, 6..7, 2..5] {
        let mut file = world.file_of(positions).unwrap();
        // With one signature line no shorter start is a note.
        file.note = file.note.with_signatures(file.note.signatures()[..1].to_vec()).unwrap();
        assert_exact(&file.encode(), ChannelFile::parse, ChannelFile::encode);
    }
}

#[test]
fn a_file_begins_as_documented() {
    let file = World::new().file_of(0..1).unwrap();
    let text = String::from_utf8(file.encode()).unwrap();
    let leaf = String::from_utf8(file.records()[0].encode()).unwrap();
    let expected = format!(
        "indelible-channel-file/v1\nchannel vendor.example/rules/sigma/canary\nrecords 1\nrecord {}\n{leaf}publish 1\n",
        leaf.len()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains("\n\nrecovery none\nlog.example\n"), "{text}");
}

#[test]
fn a_whole_channel_is_replayed_from_its_genesis() {
    let world = World::new();
    let verified = verify(&world.file(), Start::Genesis(world.genesis())).unwrap();
    assert_eq!(verified.state(), world.state());
    assert_eq!(verified.records().len(), 7);
    assert_eq!(verified.index(Chain::Publish).unwrap().get(), 13);
    assert_eq!(verified.index(Chain::Recovery).unwrap().get(), 11);
    assert_eq!(verified.checkpoint().cosigners().len(), 1);
}

#[test]
fn another_genesis_than_the_pinned_one_is_refused() {
    let world = World::new();
    let expected = world.history[1].0.record_id();
    let got = world.genesis();
    let refused = verify(&world.file(), Start::Genesis(expected));
    assert_eq!(refused, Err(ChannelFileRefusal::OtherGenesis { got, expected }));
}

/// From every state on, with every overlap that has what a reader asks for.
#[test]
fn a_channel_is_followed_from_any_remembered_state() {
    let world = World::new();
    for (known, (.., state)) in world.history.iter().enumerate() {
        // Its newest record of the recovery chain has to be there, too.
        for first in 0..=known.min(5) {
            let Ok(file) = world.file_of(first..7) else { panic!("from {first}") };
            let verified = verify(&file, Start::After(state)).unwrap();
            assert_eq!(verified.state(), world.state(), "known {known}, from {first}");
            assert_eq!(verified.records().len(), 6 - known);
        }
    }
}

#[test]
fn a_file_that_ends_before_what_is_known_is_refused() {
    let world = World::new();
    let known = world.state().clone();
    let refused = verify(&world.file_of(0..6).unwrap(), Start::After(&known));
    assert_eq!(refused, Err(ChannelFileRefusal::Behind { chain: Chain::Publish, seq: 4 }));
    // The recovery chain left out, or its newest record.
    let publish_only = [0, 1, 2, 4, 6];
    let refused = verify(&world.file_of(publish_only).unwrap(), Start::After(&known));
    assert_eq!(refused, Err(ChannelFileRefusal::Behind { chain: Chain::Recovery, seq: 1 }));
    let refused = verify(&world.file_of([0, 1, 2, 3, 4, 6]).unwrap(), Start::After(&known));
    assert_eq!(refused, Err(ChannelFileRefusal::Behind { chain: Chain::Recovery, seq: 1 }));
}

/// What was published since names what was left out: a head the newest record of the recovery chain, every
/// record the channel record in force.
#[test]
fn a_recovery_chain_that_is_left_out_shows() {
    let world = World::new();
    let start = Start::Genesis(world.genesis());
    let withdrawal = world.history[3].0.record_id();
    let refused = verify(&world.file_of([0, 1, 2, 4]).unwrap(), start);
    let error = AdmissionError::RecoveryHead { got: Some(withdrawal), expected: None };
    assert_eq!(refused, Err(ChannelFileRefusal::Admission { position: 3, error }));
    let refused = verify(&world.file_of([0, 1, 2, 3, 4, 6]).unwrap(), start);
    let Err(ChannelFileRefusal::Admission { position: 5, error }) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code(), "keys-mismatch");
}

#[test]
fn a_gap_after_what_is_known_is_refused() {
    let world = World::new();
    let (.., known) = &world.history[0];
    let refused = verify(&world.file_of(2..7).unwrap(), Start::After(known));
    let error = AdmissionError::Seq { got: 2, expected: 1 };
    assert_eq!(refused, Err(ChannelFileRefusal::Admission { position: 0, error }));
    let refused = verify(&world.file_of(2..7).unwrap(), Start::Genesis(world.genesis()));
    let error = AdmissionError::ChannelUnknown { seq: 2 };
    assert_eq!(refused, Err(ChannelFileRefusal::Admission { position: 0, error }));
}

#[test]
fn another_record_where_one_is_known_is_a_fork() {
    let world = World::new();
    let (expected, _, known) = &world.history[2];
    let mut other = World::new();
    other.history.truncate(2);
    other.state = other.history.last().map(|(.., state)| state.clone());
    let publish = other.publish.clone();
    other.admit(&release(other.next(Chain::Publish)), &[&publish]);
    let got = other.state().head();
    let refused = verify(&other.file(), Start::After(known));
    let (chain, seq, expected) = (Chain::Publish, 2, expected.record_id());
    assert_eq!(refused, Err(ChannelFileRefusal::Fork { chain, seq, got, expected }));
}

#[test]
fn a_file_of_another_channel_is_refused() {
    let world = World::new();
    let mut statement = channel(common(0), set(&[&world.publish], 1));
    if let Predicate::Channel(common, _) = &mut statement.predicate {
        common.channel = ChannelName::parse("vendor.example/other").unwrap();
        statement.subject = vec![crate::record::Subject::of_channel(&common.channel)];
    }
    let record = SignedRecord::sign(&statement, &[&world.publish]).unwrap();
    let other = may_follow(None, &record).unwrap();
    assert_eq!(verify(&world.file(), Start::After(&other)), Err(ChannelFileRefusal::OtherChannel));
    // And a record of another channel among those of one.
    let records = vec![world.history[0].0.clone(), record];
    let file = ChannelFile::new(records, world.prove(1), None, world.note());
    assert_eq!(file, Err(ChannelFileError::OtherChannel { position: 1 }));
}

#[test]
fn the_newest_record_of_each_chain_has_to_be_in_the_log() {
    let world = World::new();
    let start = Start::Genesis(world.genesis());
    for chain in [Chain::Publish, Chain::Recovery] {
        let mut file = world.file();
        let newest = match chain {
            Chain::Publish => &mut file.publish,
            Chain::Recovery => file.recovery.as_mut().unwrap(),
        };
        *newest = world.prove(2);
        let refused = verify(&file, start).unwrap_err();
        assert!(matches!(refused, ChannelFileRefusal::Inclusion { chain: of, .. } if of == chain));
    }
    let refused = world.file().verify(start, &policy("Other")).unwrap_err();
    assert_eq!(refused.code(), "quorum-not-met");
}

/// A signature that is not the one that was logged: `prev` does not cover it, the rules do.
#[test]
fn a_record_with_another_signature_is_refused() {
    let world = World::new();
    let mut records: Vec<_> = world.history.iter().map(|(record, ..)| record.clone()).collect();
    let thief = signer("thief", 9);
    records[1] = SignedRecord::sign(records[1].statement(), &[&thief]).unwrap();
    let file = ChannelFile { records, ..world.file() };
    let refused = verify(&file, Start::Genesis(world.genesis()));
    let error = AdmissionError::UnknownSigner { line: 0 };
    assert_eq!(refused, Err(ChannelFileRefusal::Admission { position: 1, error }));
}

#[test]
fn records_of_a_chain_are_consecutive() {
    let world = World::new();
    for (positions, position) in [(&[0, 2][..], 1), (&[1, 0], 1), (&[0, 0], 1), (&[0, 1, 3, 5, 4], 4)] {
        let file = world.file_of(positions.iter().copied());
        assert_eq!(file, Err(ChannelFileError::Gap { position }), "{positions:?}");
    }
}

#[test]
fn proofs_are_of_chains_that_are_there() {
    let world = World::new();
    assert_eq!(world.file_of([3]), Err(ChannelFileError::ProofWithoutRecord));
    let records: Vec<_> = world.history.iter().map(|(record, ..)| record.clone()).collect();
    let file = ChannelFile::new(records, world.prove(13), None, world.note());
    assert_eq!(file, Err(ChannelFileError::ProofWithoutRecord));
    let records = vec![world.history[0].0.clone()];
    let file = ChannelFile::new(records, world.prove(1), Some(world.prove(11)), world.note());
    assert_eq!(file, Err(ChannelFileError::ProofWithoutRecord));
    let none = ChannelFile::new(Vec::new(), world.prove(1), None, world.note());
    assert_eq!(none, Err(ChannelFileError::Count { got: 0 }));
}

#[test]
fn refuses_other_spellings_and_one_record_more_than_the_limit() {
    let text = String::from_utf8(World::new().file().encode()).unwrap();
    let length = World::new().history[0].0.encode().len();
    for (from, to, expected) in [
        ("file/v1", "file/v2".into(), "unexpected-word"),
        ("channel vendor.example/rules/sigma/canary", "channel vendor".into(), "channel-name-domain"),
        ("channel vendor.example/rules", "channel vendor.example/other".into(), "channel-file-other-channel"),
        ("records 7", "records 07".into(), "decimal-not-canonical"),
        ("records 7", "records 0".into(), "channel-file-count"),
        ("records 7", "records 1025".into(), "channel-file-count"),
        ("records 7", "records 6".into(), "unexpected-word"),
        ("records 7", "records 8".into(), "unexpected-word"),
        (&format!("record {length}\n"), format!("record +{length}\n"), "decimal-not-canonical"),
        (&format!("record {length}\n"), "record 9223372036854775807\n".into(), "truncated"),
        ("\npublish 13", "\npublish 013".into(), "decimal-not-canonical"),
        ("\nrecovery 11", "\nrecovery".into(), "unexpected-word"),
    ] {
        assert!(text.contains(from), "{from:?}");
        assert_eq!(code(text.replacen(from, &to, 1).as_bytes()), expected, "{from:?} -> {to:?}");
    }
    let long = vec![b'a'; ChannelFile::MAX_BYTES + 1];
    assert_eq!(code(&long), "too-long");
}

#[test]
fn every_changed_byte_is_refused_or_proves_no_more() {
    let world = World::new();
    let bytes = world.file().encode();
    let start = Start::Genesis(world.genesis());
    for position in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        if let Ok(file) = ChannelFile::parse(&changed) {
            assert_eq!(file.encode(), changed);
            if let Ok(verified) = file.verify(start, &policy("W")) {
                assert_eq!(verified.state(), world.state());
            }
        }
    }
}

#[test]
fn a_withdrawal_is_found_and_its_way_back_is_judged() {
    let mut world = World::new();
    let (good, bad) = (world.history[1].0.record_id(), world.history[2].0.record_id());
    let fresh = signer("fresh", 2);
    let withdrawing = |world: &World, chain, bad: RecordId, safe: RecordId| {
        let mut statement = withdraw(world.next(chain));
        if let Predicate::Withdraw(_, body) = &mut statement.predicate {
            body.records = vec![bad];
            body.action = crate::record::body::WithdrawAction::Rollback { safe };
        }
        statement
    };
    let last = |world: &World| match &world.history.last().unwrap().0.statement().predicate {
        Predicate::Withdraw(_, body) => body.clone(),
        other => panic!("{other:?}"),
    };
    let recovery = world.recovery.clone();
    world.admit(&withdrawing(&world, Chain::Recovery, bad, good), &[&recovery]);
    let body = last(&world);
    let verified = verify(&world.file(), Start::Genesis(world.genesis())).unwrap();
    assert_eq!(verified.withdrawn_by(bad).map(SignedRecord::record_id), Some(world.history[7].0.record_id()));
    assert_eq!(verified.withdrawn_by(good), None);
    assert_eq!(verified.way_back(&body).map(SignedRecord::record_id), Some(good));

    // The way back is withdrawn later; and ways that never were one.
    let genesis = world.genesis();
    world.admit(&withdrawing(&world, Chain::Publish, good, genesis), &[&fresh]);
    let verified = verify(&world.file(), Start::Genesis(world.genesis())).unwrap();
    assert_eq!(verified.way_back(&body), None);
    assert_eq!(verified.way_back(&last(&world)), None);
}

#[test]
fn a_state_carries_on_over_several_files() {
    let world = World::new();
    let mut state: Option<ChannelState> = None;
    for page in [0..2, 1..4, 2..7] {
        let start = state.as_ref().map_or(Start::Genesis(world.genesis()), Start::After);
        let verified = verify(&world.file_of(page).unwrap(), start).unwrap();
        state = Some(verified.state().clone());
    }
    assert_eq!(state.as_ref(), Some(world.state()));
    assert_eq!(
        world.state().chain_head(Chain::Publish),
        Some(ChainHead { seq: 4, record: world.history[6].0.record_id() })
    );
}
