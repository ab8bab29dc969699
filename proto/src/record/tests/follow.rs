//! What may follow: positions in the chain, and who has to sign. One test for each rule that refuses.

use super::*;

/// A channel with one signer, and how to make its next records.
pub(super) struct Story {
    pub(super) publish: RecordSigner,
    pub(super) state: ChannelState,
}

impl Story {
    pub(super) fn begin() -> Self {
        let publish = signer("vendor.example/publish", 1);
        let record = SignedRecord::sign(&channel(common(0), set(&[&publish], 1)), &[&publish]).unwrap();
        let state = may_follow(None, &record).unwrap();
        Self { publish, state }
    }

    /// A channel whose `threshold` of `signers` sign its records.
    pub(super) fn with(signers: &[&RecordSigner], threshold: u8) -> Self {
        let record = SignedRecord::sign(&channel(common(0), set(signers, threshold)), signers).unwrap();
        let state = may_follow(None, &record).unwrap();
        Self { publish: signer("vendor.example/publish", 1), state }
    }

    /// The common fields of the next record.
    pub(super) fn next(&self) -> Common {
        Common {
            prev: Some(self.state.head()),
            keys: Some(self.state.keys_record()),
            ..common(self.state.seq() + 1)
        }
    }

    pub(super) fn admit(&mut self, statement: &Statement, signers: &[&RecordSigner]) -> SignedRecord {
        let record = SignedRecord::sign(statement, signers).unwrap();
        self.state = may_follow(Some(&self.state), &record).unwrap();
        record
    }

    pub(super) fn refusal(&self, statement: &Statement, signers: &[&RecordSigner]) -> AdmissionError {
        may_follow(Some(&self.state), &SignedRecord::sign(statement, signers).unwrap()).unwrap_err()
    }
}

#[test]
fn a_genesis_opens_a_channel() {
    let publish = signer("vendor.example/publish", 1);
    let record = SignedRecord::sign(&channel(common(0), set(&[&publish], 1)), &[&publish]).unwrap();
    let state = may_follow(None, &record).unwrap();
    let id = record.record_id();
    assert_eq!((state.genesis(), state.head(), state.keys_record(), state.seq()), (id, id, id, 0));
    assert_eq!(state.channel().as_str(), CHANNEL);
    assert_eq!(state.signers(), Some(&set(&[&publish], 1)));
    assert_eq!(state.recovery(), None);
}

#[test]
fn records_follow_one_another() {
    let mut story = Story::begin();
    let genesis = story.state.head();
    let publish = story.publish.clone();
    let first = story.admit(&rules(story.next()), &[&publish]);
    assert_eq!((story.state.seq(), story.state.head()), (1, first.record_id()));
    let second = story.admit(&release(story.next()), &[&publish]);
    assert_eq!((story.state.seq(), story.state.head()), (2, second.record_id()));
    assert_eq!((story.state.genesis(), story.state.keys_record()), (genesis, genesis));
}

#[test]
fn only_a_genesis_opens_a_channel() {
    let publish = signer("vendor.example/publish", 1);
    for statement in statements().into_iter().skip(1) {
        let record = SignedRecord::sign(&statement, &[&publish]).unwrap();
        let seq = statement.predicate.common().seq;
        assert_eq!(may_follow(None, &record), Err(AdmissionError::ChannelUnknown { seq }));
    }
}

#[test]
fn refuses_a_second_genesis() {
    let story = Story::begin();
    let publish = &story.publish;
    let again = channel(common(0), set(&[publish], 1));
    assert_eq!(story.refusal(&again, &[publish]), AdmissionError::ChannelExists { expected: 1 });
}

#[test]
fn refuses_a_record_of_another_channel() {
    let story = Story::begin();
    let other = Common { channel: ChannelName::parse("vendor.example/other").unwrap(), ..story.next() };
    assert_eq!(story.refusal(&rules(other), &[&story.publish]), AdmissionError::OtherChannel);
}

#[test]
fn refuses_a_repeated_or_skipped_seq() {
    let mut story = Story::begin();
    let publish = story.publish.clone();
    story.admit(&rules(story.next()), &[&publish]);
    for got in [1, 3, (1 << 53) - 1] {
        let statement = rules(Common { seq: got, ..story.next() });
        assert_eq!(story.refusal(&statement, &[&publish]), AdmissionError::Seq { got, expected: 2 });
    }
}

#[test]
fn refuses_another_prev_than_the_head() {
    let mut story = Story::begin();
    let publish = story.publish.clone();
    let genesis = story.state.head();
    story.admit(&rules(story.next()), &[&publish]);
    let expected = story.state.head();
    for got in [Some(genesis), Some(id("other"))] {
        let statement = rules(Common { prev: got, ..story.next() });
        assert_eq!(story.refusal(&statement, &[&publish]), AdmissionError::Prev { got, expected });
    }
}

#[test]
fn refuses_another_channel_record_than_the_one_in_force() {
    let mut story = Story::begin();
    let publish = story.publish.clone();
    let expected = story.state.keys_record();
    let newest = story.admit(&rules(story.next()), &[&publish]).record_id();
    for got in [Some(newest), Some(id("other"))] {
        let statement = rules(Common { keys: got, ..story.next() });
        assert_eq!(story.refusal(&statement, &[&publish]), AdmissionError::Keys { got, expected });
    }
}

#[test]
fn the_same_record_does_not_follow_itself() {
    let mut story = Story::begin();
    let publish = story.publish.clone();
    let record = story.admit(&rules(story.next()), &[&publish]);
    let again = may_follow(Some(&story.state), &record);
    assert_eq!(again, Err(AdmissionError::Seq { got: 1, expected: 2 }));
}

#[test]
fn every_type_follows_on_the_publish_chain() {
    let mut story = Story::begin();
    let publish = story.publish.clone();
    for make in [release, rules, withdraw, review, |common| head(common, None)] {
        let statement = make(story.next());
        let stranger = story.refusal(&statement, &[&signer("stranger", 9)]);
        assert_eq!(stranger, AdmissionError::UnknownSigner { line: 0 });
        let record = story.admit(&statement, &[&publish]);
        assert_eq!(story.state.head(), record.record_id());
    }
}

#[test]
fn conflicts_are_told_from_refusals() {
    let story = Story::begin();
    let publish = &story.publish;
    let late = rules(Common { seq: 5, ..story.next() });
    assert!(story.refusal(&late, &[publish]).is_conflict());
    let stranger = signer("stranger", 9);
    assert!(!story.refusal(&rules(story.next()), &[&stranger]).is_conflict());
}
