//! Logs that a publisher must not follow or believe.

use super::*;

#[test]
fn a_log_that_went_back_behind_a_proved_record_is_not_followed_even_if_told_to() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    let after_opening = log.state.lock().unwrap().clone();
    log.then([Reply::Proof]);
    publisher.publish(&log, &release("1")).unwrap();
    *log.state.lock().unwrap() = after_opening;
    let following = Publisher { disagreement: Disagreement::FollowLog, ..publisher };
    let error = following.publish(&log, &release("2")).unwrap_err();
    assert_eq!(error.code(), "channel-head-contradiction");
    *log.state.lock().unwrap() = None;
    assert_eq!(following.publish(&log, &release("2")).unwrap_err().code(), "channel-forgotten");
}

#[test]
fn a_channel_is_opened_once() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof]);
    assert!(publisher.publish(&log, &opening()).is_ok(), "the same record again is the same channel");
    let mut other = opening();
    if let Body::Channel(body) = &mut other.body {
        body.max_age_s += 1;
    }
    assert_eq!(publisher.publish(&log, &other).unwrap_err().code(), "channel-exists");
    let nobody = PlayedLog::new([]);
    assert_eq!(Publisher::new().publish(&nobody, &release("1")).unwrap_err().code(), "channel-unknown");
}

#[test]
fn a_proof_of_something_else_or_without_witnesses_is_refused_and_nothing_is_written() {
    for (reply, code) in
        [(Reply::ForeignProof, "inclusion-root-mismatch"), (Reply::Unwitnessed, "quorum-not-met")]
    {
        let log = PlayedLog::new([]);
        let publisher = Publisher::with_channel(&log);
        std::fs::remove_file(publisher.dir.path().join("a.tlog-proof")).unwrap();
        log.then([reply]);
        let error = publisher.publish(&log, &release("1")).unwrap_err();
        assert!(matches!(error, PublishError::Proof(_)), "{error}");
        assert_eq!(error.code(), code);
        assert!(!publisher.dir.path().join("a.tlog-proof").exists());
        assert_eq!(publisher.remembered().publish.unwrap().seq, 0);
    }
}

#[test]
fn the_written_proof_has_the_record_whatever_the_log_put_there() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::ProofOnly]);
    let published = publisher.publish(&log, &release("1")).unwrap();
    assert_eq!(published.proof.extra(), Some(&published.record.encode()[..]));
}

#[test]
fn a_log_that_has_another_channel_under_the_name_is_not_followed() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    let squatted = PlayedLog::new([Reply::Proof]);
    let mut other = opening();
    if let Body::Channel(body) = &mut other.body {
        body.max_age_s += 1;
    }
    Publisher::new().publish(&squatted, &other).unwrap();
    let following = Publisher { disagreement: Disagreement::FollowLog, ..publisher };
    assert_eq!(following.publish(&squatted, &release("1")).unwrap_err().code(), "channel-other-genesis");
}

#[test]
fn once_in_the_log_a_record_is_said_to_be_there_even_if_the_log_is_gone_then() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Sequenced, Reply::Unreachable]);
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "not-witnessed-yet");
}

#[test]
fn a_log_that_shows_the_publisher_another_tree_of_a_remembered_size_is_caught() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof]);
    publisher.publish(&log, &release("1")).unwrap();
    // The log replaces its oldest entry and proves the same record in that other tree.
    log.log.lock().unwrap().entries[0] = b"something else".to_vec();
    log.then([Reply::Proof]);
    let error = publisher.publish(&log, &release("1")).unwrap_err();
    let PublishError::Forked(evidence) = error else { panic!("{error}") };
    let key = log.log.lock().unwrap().signer.verifier().clone();
    assert!(evidence.verify(&key).is_ok());
}
