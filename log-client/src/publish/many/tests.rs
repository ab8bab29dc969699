//! A log that is played, one list of answers a request: which records are sent again, and how each ends.

use std::collections::VecDeque;
use std::sync::Mutex;

use indelible_proto::hash::sha256;
use indelible_proto::log_api::{ApiError, ChannelHeadAnswer};
use indelible_proto::record::body::{ChannelBody, Owner};
use indelible_proto::record::{Audience, ChannelName, KeySet, RecordId, SignedRecord};
use indelible_proto::sign::Signer as _;

use super::*;
use crate::http::FetchError;
use crate::publish::{Body, Disagreement, Draft, Kept, Place};
use crate::state::LastRecords;
use crate::test_log::{TestLog, seconds, vendor};

type Answers = Result<Vec<SubmitAnswer>, SubmitError>;

struct PlayedLog {
    answers: Mutex<VecDeque<Answers>>,
    received: Mutex<Vec<Vec<Vec<u8>>>>,
}

impl SubmitLog for PlayedLog {
    async fn submit(&self, _: &[u8]) -> Result<SubmitAnswer, SubmitError> {
        panic!("records are sent together")
    }

    async fn submit_many(&self, leaves: &[Vec<u8>]) -> Answers {
        self.received.lock().unwrap().push(leaves.to_vec());
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(vec![busy(); leaves.len()]))
    }

    async fn channel_head(&self, _: &ChannelName) -> Result<Option<ChannelHeadAnswer>, SubmitError> {
        Ok(None)
    }
}

/// Time passes by waiting only.
#[derive(Default)]
struct CountedPace(Mutex<Duration>);

impl Pace for CountedPace {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn pause(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

fn busy() -> SubmitAnswer {
    SubmitAnswer::Busy { retry_after: None }
}

fn conflict() -> SubmitAnswer {
    SubmitAnswer::Conflict(Box::new(ApiError::new("seq-mismatch", "seq 1, expected 0")))
}

fn refused() -> SubmitAnswer {
    SubmitAnswer::Refused(Box::new(ApiError::new("signer-unknown", "nobody")))
}

/// A proof that parses as none: enough to see that it is judged, and that it ends the record.
fn no_proof() -> SubmitAnswer {
    SubmitAnswer::Proof(b"no proof".to_vec())
}

fn sequenced() -> SubmitAnswer {
    SubmitAnswer::Sequenced(LeafIndex::new(7).unwrap())
}

fn unreachable() -> SubmitError {
    SubmitError::Exchange { url: "http://log".into(), source: FetchError::Timeout }
}

/// Records of these channels in this order, with a `+` behind its name of the recovery chain; what else they say does
/// not matter to a log that is played.
fn records(channels: &[&str]) -> Vec<Prepared> {
    let ready = |(number, channel): (usize, &&str)| {
        let (chain, place) = match channel.ends_with('+') {
            true => (Chain::Recovery, Place::First { keys: RecordId::from_hash(sha256(b"keys")) }),
            false => (Chain::Publish, Place::Genesis),
        };
        let channel = format!("vendor.example/{}", channel.trim_end_matches('+'));
        let channel = ChannelName::parse(&channel).unwrap();
        let body = ChannelBody {
            owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
            product: "pkg:generic/agent".into(),
            signers: Some(KeySet::new(vec![vendor(7).verifier().clone()], 1).unwrap()),
            recovery: Some(KeySet::new(vec![vendor(9).verifier().clone()], 1).unwrap()),
            cooldown_s: 0,
            max_age_s: 3600 + number as u64,
        };
        let draft = Draft {
            channel,
            chain,
            subject: Vec::new(),
            body: Body::Channel(body),
            audience: Audience::Public,
            lifetime_s: 0,
        };
        let statement = draft.statement(&place, seconds(1_790_000_000));
        let record = SignedRecord::sign(&statement, &[&vendor(7)]).unwrap();
        let (leaf, genesis) = (record.encode(), record.record_id());
        Prepared { kept: Kept { record, leaf }, genesis, resumed: false }
    };
    channels.iter().enumerate().map(ready).collect()
}

/// Which records each request had, by number, and how each record ended.
fn run(
    channels: &[&str],
    answers: Vec<Answers>,
) -> (Vec<Vec<usize>>, Result<Vec<&'static str>, &'static str>) {
    let records = records(channels);
    let leaves: Vec<_> = records.iter().map(|ready| ready.kept.leaf.clone()).collect();
    let log = PlayedLog { answers: Mutex::new(answers.into()), received: Mutex::default() };
    let (dir, policy) = (tempfile::tempdir().unwrap(), TestLog::new().policy(1));
    let outbox = Outbox::open(dir.path()).unwrap();
    let terms = Terms {
        signers: &[],
        policy: &policy,
        genesis: None,
        remembered: &LastRecords::default(),
        disagreement: Disagreement::Refuse,
        renew: false,
        deadline: Duration::from_secs(30),
        now: seconds(1_790_000_000),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ends = runtime.block_on(send_many(&log, &CountedPace::default(), records, &outbox, &terms));
    let number = |leaf: &Vec<u8>| leaves.iter().position(|sent| sent == leaf).unwrap();
    let sent = log.received.lock().unwrap().iter().map(|sent| sent.iter().map(number).collect()).collect();
    let code = |end: Result<Published, PublishError>| end.map_or_else(|error| error.code(), |_| "published");
    (sent, ends.map(|ends| ends.into_iter().map(code).collect()).map_err(|error| error.code()))
}

#[test]
fn one_refused_record_does_not_stop_the_others() {
    let answers = vec![Ok(vec![no_proof(), refused(), conflict(), no_proof()])];
    let (sent, ends) = run(&["a", "b", "c", "d"], answers);
    assert_eq!(sent, [vec![0, 1, 2, 3]]);
    let ends = ends.unwrap();
    let proof = ends[0];
    assert_eq!(ends, [proof, "log-refused", "log-conflict", proof]);
    assert!(!["published", "log-refused"].contains(&proof), "{proof}");
}

#[test]
fn only_what_has_no_answer_yet_is_sent_again() {
    let answers =
        vec![Ok(vec![busy(), refused(), sequenced()]), Ok(vec![no_proof(), busy()]), Ok(vec![no_proof()])];
    let (sent, _) = run(&["a", "b", "c"], answers);
    assert_eq!(sent, [vec![0, 1, 2], vec![0, 2], vec![2]]);
}

#[test]
fn what_follows_a_record_that_had_no_room_waits_with_it() {
    let answers = vec![Ok(vec![busy(), conflict(), conflict()]), Ok(vec![refused(), conflict()])];
    let (sent, ends) = run(&["a", "a", "b"], answers);
    assert_eq!(sent, [vec![0, 1, 2], vec![0, 1]]);
    assert_eq!(ends.unwrap(), ["log-refused", "log-conflict", "log-conflict"]);
}

#[test]
fn what_names_a_record_of_the_other_chain_that_had_no_room_waits_with_it() {
    let answers = vec![Ok(vec![busy(), conflict(), conflict()]), Ok(vec![refused(), conflict()])];
    let (sent, ends) = run(&["a+", "a", "b+"], answers);
    assert_eq!(sent, [vec![0, 1, 2], vec![0, 1]]);
    assert_eq!(ends.unwrap(), ["log-refused", "log-conflict", "log-conflict"]);
}

#[test]
fn out_of_time_it_says_which_records_are_in_the_log() {
    let answers = vec![Ok(vec![sequenced(), busy(), refused()]), Ok(vec![refused(), busy()])];
    let (sent, ends) = run(&["a", "b", "c"], answers);
    assert_eq!(ends.unwrap(), ["not-witnessed-yet", "log-busy", "log-refused"]);
    assert!(sent.len() > 2 && sent.len() < 12, "{}", sent.len());
}

#[test]
fn a_failed_exchange_is_tried_again_and_then_is_the_failure_of_all() {
    let answers = vec![Err(unreachable()), Ok(vec![refused(), refused()])];
    assert_eq!(run(&["a", "b"], answers).1.unwrap(), ["log-refused", "log-refused"]);
    let never = (0..64).map(|_| Err(unreachable())).collect();
    assert_eq!(run(&["a", "b"], never).1, Err("http-timeout"));
    let other = SubmitError::NotALog { url: String::new(), status: 200, snippet: String::new() };
    assert_eq!(run(&["a", "b"], vec![Err(other)]).1, Err("not-a-log"));
}

#[test]
fn a_batch_is_what_one_request_takes() {
    let many: Vec<&str> = std::iter::repeat_n("a", MAX_BATCH_RECORDS + 1).collect();
    assert_eq!(batch_of(&records(&many)), MAX_BATCH_RECORDS);
    assert_eq!(batch_of(&records(&["a", "b"])), 2);
    assert_eq!(batch_of(&[]), 0);
}
