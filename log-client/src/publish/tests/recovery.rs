//! Publishers of the recovery chain, who remember it as they do the other one.

use indelible_proto::record::body::{HeadBody, WithdrawAction, WithdrawBody, WithdrawReason};

use super::*;

/// A log with a channel that names a recovery key, and a publisher who opened it.
fn channel_with_recovery() -> (PlayedLog, Publisher) {
    let (log, publisher) = (PlayedLog::new([Reply::Proof]), Publisher::new());
    let mut opening = opening();
    if let Body::Channel(body) = &mut opening.body {
        body.recovery = Some(KeySet::new(vec![vendor(9).verifier().clone()], 1).unwrap());
    }
    publisher.publish(&log, &opening).unwrap();
    (log, publisher)
}

fn withdrawal(of: &str) -> Draft {
    let body = WithdrawBody {
        records: vec![RecordId::from_hash(sha256(of.as_bytes()))],
        reason: WithdrawReason::Defective,
        action: WithdrawAction::Stop,
        advisory: None,
    };
    Draft { chain: Chain::Recovery, body: Body::Withdraw(body), lifetime_s: 0, ..release("1") }
}

#[test]
fn the_last_record_of_each_chain_is_remembered() {
    let (log, publisher) = channel_with_recovery();
    log.then([Reply::Proof, Reply::Proof, Reply::Proof]);
    publisher.publish(&log, &withdrawal("a")).unwrap();
    let last = publisher.publish(&log, &withdrawal("b")).unwrap();
    publisher.publish(&log, &release("1")).unwrap();
    let remembered = publisher.remembered();
    assert_eq!(remembered.publish.unwrap().seq, 1);
    let recovery = remembered.recovery.unwrap();
    assert_eq!((recovery.seq, recovery.head), (1, last.record.record_id()));
}

#[test]
fn a_record_somebody_else_put_there_is_told_and_not_taken_for_an_unfinished_one() {
    let (log, first) = channel_with_recovery();
    log.then([Reply::Proof, Reply::Proof, Reply::Proof]);
    first.publish(&log, &withdrawal("a")).unwrap();
    first.publish(&log, &withdrawal("b")).unwrap();
    let second = Publisher::new();
    second.publish(&log, &withdrawal("c")).unwrap();
    let error = first.publish(&log, &withdrawal("d")).unwrap_err();
    let PublishError::Place(PlaceError::Behind { chain, remembered, at_log }) = error else {
        panic!("{error}")
    };
    assert_eq!((chain, remembered.seq, at_log.seq), (Chain::Recovery, 1, 2));
    // It stands in nobody's way on the other chain.
    log.then([Reply::Proof, Reply::Proof]);
    first.publish(&log, &release("1")).unwrap();
    let following = Publisher { disagreement: Disagreement::FollowLog, ..first };
    assert_eq!(
        following.publish(&log, &withdrawal("d")).unwrap().record.statement().predicate.common().seq,
        3
    );
}

#[test]
fn an_unfinished_one_is_not_forgotten_for_another() {
    let (log, publisher) = channel_with_recovery();
    log.then([Reply::Unreachable]);
    publisher.publish(&log, &withdrawal("a")).unwrap_err();
    let error = publisher.publish(&log, &withdrawal("b")).unwrap_err();
    assert!(matches!(error, PublishError::Unfinished { seq: 0, .. }), "{error}");
}

#[test]
fn a_log_that_hides_a_proved_recovery_record_gets_no_record_of_either_chain() {
    let (log, publisher) = channel_with_recovery();
    let before = log.state.lock().unwrap().clone();
    log.then([Reply::Proof]);
    publisher.publish(&log, &withdrawal("a")).unwrap();
    *log.state.lock().unwrap() = before;
    let publisher = Publisher { disagreement: Disagreement::FollowLog, ..publisher };
    let renewed = RecordId::from_hash(sha256(b"a release"));
    let body = Body::Head(HeadBody { record: renewed, recovery: None });
    let heartbeat = Draft { body, ..release("1") };
    for draft in [withdrawal("b"), heartbeat] {
        let error = publisher.publish(&log, &draft).unwrap_err();
        assert_eq!(error.code(), "channel-head-contradiction");
        assert!(error.to_string().starts_with("the recovery chain is empty"), "{error}");
    }
}
