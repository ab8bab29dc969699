//! The recovery chain: who signs it, what it changes, and that the publish chain cannot hold it up.

use proptest::prelude::*;

use super::follow::Story;
use super::*;

/// A channel whose publish key was stolen, and the keys that can take it back.
struct Stolen {
    story: Story,
    publish: RecordSigner,
    fresh: RecordSigner,
    recovery: RecordSigner,
}

impl Stolen {
    fn begin() -> Self {
        let (publish, fresh, recovery) = (signer("publish", 1), signer("fresh", 2), signer("recovery", 3));
        let genesis = with_recovery(channel(common(0), set(&[&publish], 1)), Some(set(&[&recovery], 1)));
        let record = SignedRecord::sign(&genesis, &[&publish]).unwrap();
        let state = may_follow(None, &record).unwrap();
        Self { story: Story { publish: publish.clone(), state }, publish, fresh, recovery }
    }

    fn state(&self) -> &ChannelState {
        &self.story.state
    }

    /// The common fields of the recovery chain's next record.
    fn next(&self) -> Common {
        next_on(self.state(), Chain::Recovery)
    }

    /// A channel record of the recovery chain.
    fn change(&self, signers: Option<KeySet>, recovery: &[&RecordSigner]) -> Statement {
        recovery_change(self.next(), signers, set(recovery, 1))
    }

    fn admit(&mut self, statement: &Statement, signers: &[&RecordSigner]) -> SignedRecord {
        self.story.admit(statement, signers)
    }

    fn refusal(&self, statement: &Statement, signers: &[&RecordSigner]) -> AdmissionError {
        self.story.refusal(statement, signers)
    }
}

fn next_on(state: &ChannelState, chain: Chain) -> Common {
    let place = state.next_place(chain).unwrap();
    Common { prev: place.prev, keys: Some(place.keys), chain, ..common(place.seq) }
}

fn recovery_change(common: Common, signers: Option<KeySet>, recovery: KeySet) -> Statement {
    let mut statement = with_recovery(channel(common, set(&[&signer("x", 99)], 1)), Some(recovery));
    if let Predicate::Channel(_, body) = &mut statement.predicate {
        body.signers = signers;
    }
    statement
}

#[test]
fn a_genesis_without_recovery_keys_has_no_recovery_chain() {
    let story = Story::begin();
    assert_eq!(story.state.next_place(Chain::Recovery), None);
    let next = Common { keys: Some(story.state.keys_record()), chain: Chain::Recovery, ..common(0) };
    let statement = withdraw(next);
    assert_eq!(story.refusal(&statement, &[&story.publish]), AdmissionError::NoRecovery);
}

#[test]
fn the_recovery_chain_opens_no_channel() {
    let publish = signer("a", 1);
    let first = Common { keys: Some(id("keys")), chain: Chain::Recovery, ..common(0) };
    let statement = recovery_change(first, Some(set(&[&publish], 1)), set(&[&signer("r", 2)], 1));
    let record = SignedRecord::sign(&statement, &[&publish]).unwrap();
    assert_eq!(may_follow(None, &record), Err(AdmissionError::ChannelUnknown { seq: 0 }));
}

#[test]
fn the_recovery_chain_has_its_own_seq_and_prev() {
    let mut stolen = Stolen::begin();
    let genesis = stolen.state().genesis();
    let publish = stolen.publish.clone();
    let rules = rules(next_on(stolen.state(), Chain::Publish));
    let published = stolen.admit(&rules, &[&publish]).record_id();

    let recovery = stolen.recovery.clone();
    let first = stolen.admit(&withdraw(stolen.next()), &[&recovery]).record_id();
    assert_eq!(stolen.state().recovery_head(), Some(ChainHead { seq: 0, record: first }));
    // The publish chain stands where it stood, and goes on from there.
    assert_eq!((stolen.state().seq(), stolen.state().head()), (1, published));
    assert_eq!(stolen.state().keys_record(), genesis);
    stolen.admit(&super::rules(next_on(stolen.state(), Chain::Publish)), &[&publish]);
    let second = stolen.admit(&withdraw(stolen.next()), &[&recovery]).record_id();
    assert_eq!(stolen.state().recovery_head(), Some(ChainHead { seq: 1, record: second }));

    for (common, expected) in [
        (Common { seq: 1, ..stolen.next() }, AdmissionError::Seq { got: 1, expected: 2 }),
        (
            Common { prev: Some(first), ..stolen.next() },
            AdmissionError::Prev { got: Some(first), expected: second },
        ),
        (
            Common { keys: Some(second), ..stolen.next() },
            AdmissionError::Keys { got: Some(second), expected: genesis },
        ),
    ] {
        assert_eq!(stolen.refusal(&withdraw(common), &[&recovery]), expected);
        assert!(expected.is_conflict());
    }
}

#[test]
fn only_recovery_keys_sign_a_withdrawal_on_the_recovery_chain() {
    let stolen = Stolen::begin();
    let statement = withdraw(stolen.next());
    let unknown = |line| AdmissionError::UnknownSigner { line };
    assert_eq!(stolen.refusal(&statement, &[&stolen.publish]), unknown(0));
    assert_eq!(stolen.refusal(&statement, &[&stolen.publish, &stolen.recovery]), unknown(0));
    // And only publish keys one on the publish chain.
    let statement = withdraw(next_on(stolen.state(), Chain::Publish));
    assert_eq!(stolen.refusal(&statement, &[&stolen.recovery]), unknown(0));
    may_follow(Some(stolen.state()), &SignedRecord::sign(&statement, &[&stolen.publish]).unwrap()).unwrap();
}

#[test]
fn the_recovery_chain_asks_for_its_own_threshold() {
    let (publish, r, s) = (signer("a", 1), signer("r", 2), signer("s", 3));
    let genesis = with_recovery(channel(common(0), set(&[&publish], 1)), Some(set(&[&r, &s], 2)));
    let record = SignedRecord::sign(&genesis, &[&publish]).unwrap();
    let mut story = Story { publish, state: may_follow(None, &record).unwrap() };
    let statement = withdraw(next_on(&story.state, Chain::Recovery));
    assert_eq!(story.refusal(&statement, &[&s]), AdmissionError::Threshold { got: 1, needed: 2 });
    story.admit(&statement, &[&r, &s]);
}

#[test]
fn recovery_names_new_publish_keys_at_once() {
    let mut stolen = Stolen::begin();
    let (publish, fresh, recovery) = (stolen.publish.clone(), stolen.fresh.clone(), stolen.recovery.clone());
    let statement = stolen.change(Some(set(&[&fresh], 1)), &[&recovery]);
    let unsigned = AdmissionError::NewKeyUnsigned { key: 0 };
    assert_eq!(stolen.refusal(&statement, &[&recovery]), unsigned);
    let unmet = AdmissionError::Threshold { got: 0, needed: 1 };
    assert_eq!(stolen.refusal(&statement, &[&fresh]), unmet);
    let stranger = AdmissionError::UnknownSigner { line: 1 };
    assert_eq!(stolen.refusal(&statement, &[&fresh, &recovery, &publish]), stranger);
    let change = stolen.admit(&statement, &[&fresh, &recovery]).record_id();
    assert_eq!(stolen.state().keys_record(), change);
    assert_eq!(stolen.state().recovery_keys_record(), Some(change));

    let next = rules(next_on(stolen.state(), Chain::Publish));
    assert_eq!(stolen.refusal(&next, &[&publish]), AdmissionError::UnknownSigner { line: 0 });
    stolen.admit(&next, &[&fresh]);
}

/// The thief has put his own keys in force, and the owner's are out. What he did is void from there on.
#[test]
fn recovery_ends_what_the_publish_chain_changed() {
    let mut stolen = Stolen::begin();
    let (publish, fresh, recovery) = (stolen.publish.clone(), stolen.fresh.clone(), stolen.recovery.clone());
    let thief = signer("thief", 66);
    let theft = with_recovery(
        channel(next_on(stolen.state(), Chain::Publish), set(&[&thief], 1)),
        Some(set(&[&recovery], 1)),
    );
    let stolen_keys = stolen.admit(&theft, &[&publish, &thief]).record_id();
    stolen.admit(&stolen.change(Some(set(&[&fresh], 1)), &[&recovery]), &[&fresh, &recovery]);
    let late = Common { keys: Some(stolen_keys), ..next_on(stolen.state(), Chain::Publish) };
    let expected = stolen.state().keys_record();
    assert_eq!(
        stolen.refusal(&rules(late), &[&thief]),
        AdmissionError::Keys { got: Some(stolen_keys), expected }
    );
    let next = rules(next_on(stolen.state(), Chain::Publish));
    assert_eq!(stolen.refusal(&next, &[&thief]), AdmissionError::UnknownSigner { line: 0 });
    stolen.admit(&next, &[&fresh]);
}

#[test]
fn every_publish_key_that_recovery_names_signs_also_one_in_force() {
    let stolen = Stolen::begin();
    let statement = stolen.change(Some(set(&[&stolen.publish], 1)), &[&stolen.recovery]);
    let unsigned = AdmissionError::NewKeyUnsigned { key: 0 };
    assert_eq!(stolen.refusal(&statement, &[&stolen.recovery]), unsigned);
    let record = SignedRecord::sign(&statement, &[&stolen.recovery, &stolen.publish]).unwrap();
    may_follow(Some(stolen.state()), &record).unwrap();
}

#[test]
fn a_frozen_publish_chain_takes_nothing_until_recovery_names_keys() {
    let mut stolen = Stolen::begin();
    let (publish, fresh, recovery) = (stolen.publish.clone(), stolen.fresh.clone(), stolen.recovery.clone());
    let freeze = stolen.admit(&stolen.change(None, &[&recovery]), &[&recovery]).record_id();
    assert_eq!(stolen.state().signers(), None);
    assert_eq!(stolen.state().keys_record(), freeze);
    let next = || next_on(stolen.state(), Chain::Publish);
    let change = with_recovery(channel(next(), set(&[&publish], 1)), Some(set(&[&recovery], 1)));
    for statement in [rules(next()), release(next()), withdraw(next()), review(next()), change] {
        assert_eq!(stolen.refusal(&statement, &[&publish]), AdmissionError::Frozen);
    }
    assert!(AdmissionError::Frozen.is_conflict());
    // The recovery chain goes on: it withdraws, and thaws with keys that sign.
    stolen.admit(&withdraw(stolen.next()), &[&recovery]);
    stolen.admit(&stolen.change(Some(set(&[&fresh], 1)), &[&recovery]), &[&fresh, &recovery]);
    stolen.admit(&rules(next_on(stolen.state(), Chain::Publish)), &[&fresh]);
}

#[test]
fn only_the_recovery_chain_changes_the_recovery_set() {
    let mut stolen = Stolen::begin();
    let (publish, recovery, spare) = (stolen.publish.clone(), stolen.recovery.clone(), signer("spare", 7));
    let by_publish = with_recovery(
        channel(next_on(stolen.state(), Chain::Publish), set(&[&publish], 1)),
        Some(set(&[&spare], 1)),
    );
    assert_eq!(stolen.refusal(&by_publish, &[&publish]), AdmissionError::RecoveryChanged);

    let statement = stolen.change(Some(set(&[&publish], 1)), &[&spare]);
    let unsigned = AdmissionError::NewRecoveryKeyUnsigned { key: 0 };
    assert_eq!(stolen.refusal(&statement, &[&publish, &recovery]), unsigned);
    assert_eq!(
        stolen.refusal(&statement, &[&publish, &spare]),
        AdmissionError::Threshold { got: 0, needed: 1 }
    );
    stolen.admit(&statement, &[&publish, &recovery, &spare]);
    assert_eq!(stolen.state().recovery(), Some(&set(&[&spare], 1)));
    let statement = withdraw(stolen.next());
    assert_eq!(stolen.refusal(&statement, &[&recovery]), AdmissionError::UnknownSigner { line: 0 });
    stolen.admit(&statement, &[&spare]);
}

#[test]
fn a_recovery_key_can_become_a_publish_key() {
    let mut stolen = Stolen::begin();
    let (recovery, spare) = (stolen.recovery.clone(), signer("spare", 7));
    let statement = stolen.change(Some(set(&[&recovery], 1)), &[&spare]);
    stolen.admit(&statement, &[&recovery, &spare]);
    stolen.admit(&rules(next_on(stolen.state(), Chain::Publish)), &[&recovery]);
}

#[test]
fn a_head_names_the_newest_record_of_the_recovery_chain() {
    let mut stolen = Stolen::begin();
    let (publish, recovery) = (stolen.publish.clone(), stolen.recovery.clone());
    let head = |state: &ChannelState, recovery| head(next_on(state, Chain::Publish), recovery);
    stolen.admit(&head(stolen.state(), None), &[&publish]);
    let first = stolen.admit(&withdraw(stolen.next()), &[&recovery]).record_id();
    let hidden = AdmissionError::RecoveryHead { got: None, expected: Some(first) };
    assert_eq!(stolen.refusal(&head(stolen.state(), None), &[&publish]), hidden);
    assert!(hidden.is_conflict());
    let other = stolen.refusal(&head(stolen.state(), Some(id("other"))), &[&publish]);
    assert_eq!(other, AdmissionError::RecoveryHead { got: Some(id("other")), expected: Some(first) });
    stolen.admit(&head(stolen.state(), Some(first)), &[&publish]);
}

/// What a thief with the publish key can do to the publish chain.
#[derive(Clone, Debug)]
enum Theft {
    Publish,
    Rotate(u8),
    Withdraw,
}

fn theft() -> impl Strategy<Value = Theft> {
    prop_oneof![Just(Theft::Publish), (60..70u8).prop_map(Theft::Rotate), Just(Theft::Withdraw)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However far the thief gets ahead, the record the owner signed before still follows.
    #[test]
    fn the_publish_chain_cannot_hold_up_the_recovery_chain(
        thefts in prop::collection::vec(theft(), 0..8),
        freezes: bool,
    ) {
        let mut stolen = Stolen::begin();
        let (fresh, recovery) = (stolen.fresh.clone(), stolen.recovery.clone());
        let (signers, by) = if freezes {
            (None, vec![&recovery])
        } else {
            (Some(set(&[&fresh, &stolen.publish], 1)), vec![&recovery, &fresh, &stolen.publish])
        };
        let rescue = SignedRecord::sign(&stolen.change(signers, &[&recovery]), &by).unwrap();

        let mut holder = stolen.publish.clone();
        for theft in thefts {
            let next = next_on(&stolen.story.state, Chain::Publish);
            match theft {
                Theft::Publish => stolen.story.admit(&rules(next), &[&holder]),
                Theft::Withdraw => stolen.story.admit(&withdraw(next), &[&holder]),
                Theft::Rotate(seed) => {
                    let thief = signer("thief", seed);
                    let set = set(&[&thief], 1);
                    let change = with_recovery(channel(next, set), stolen.story.state.recovery().cloned());
                    let by = if thief.verifier() == holder.verifier() { vec![&holder] } else { vec![&holder, &thief] };
                    let record = SignedRecord::sign(&change, &by).unwrap();
                    stolen.story.state = may_follow(Some(&stolen.story.state), &record).unwrap();
                    holder = thief.clone();
                    record
                }
            };
            prop_assert!(may_follow(Some(&stolen.story.state), &rescue).is_ok());
        }
        let state = may_follow(Some(&stolen.story.state), &rescue).unwrap();
        prop_assert_eq!(ChannelState::parse(state.encode().as_bytes()), Ok(state));
    }
}
