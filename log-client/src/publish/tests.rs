//! A publisher against a log that is played: each test says what the log answers, one answer a request.

use std::collections::VecDeque;
use std::sync::Mutex;

use indelible_proto::hash::sha256;
use indelible_proto::log_api::ChannelHeadAnswer;
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{Audience, Chain, ChannelName, ChannelState, KeySet, Subject};
use indelible_proto::sign::Signer as _;

use super::*;
use crate::http::FetchError;
use crate::test_log::{TestLog, seconds, vendor};

mod distrust;
mod recovery;

const CHANNEL: &str = "vendor.example/agent";

/// What the played log does with a submission.
#[derive(Clone, Debug)]
enum Reply {
    /// Admits the record and answers with its proof.
    Proof,
    /// Admits the record, but its witnesses are slow.
    Sequenced,
    /// Admits the record, and the answer is lost on the way.
    Lost,
    Busy(u64),
    Refused,
    /// Answers with the proof of the log's first entry, whatever was sent.
    ForeignProof,
    /// Answers with the proof without the record in it.
    ProofOnly,
    /// Answers with a proof that one witness cosigned.
    Unwitnessed,
    /// Whatever an honest log would say.
    Honest,
    Unreachable,
}

struct PlayedLog {
    log: Mutex<TestLog>,
    replies: Mutex<VecDeque<Reply>>,
    state: Mutex<Option<ChannelState>>,
    received: Mutex<Vec<Vec<u8>>>,
}

impl PlayedLog {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut log = TestLog::new();
        log.append(b"something older");
        Self {
            log: Mutex::new(log),
            replies: Mutex::new(replies.into_iter().collect()),
            state: Mutex::new(None),
            received: Mutex::new(Vec::new()),
        }
    }

    fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.replies.lock().unwrap() = replies.into_iter().collect();
    }

    /// Admits the record if it may follow; the index if it is in the log now.
    fn admit(&self, leaf: &[u8]) -> Result<LeafIndex, SubmitAnswer> {
        let mut log = self.log.lock().unwrap();
        if let Some(index) = log.entries.iter().position(|entry| entry == leaf) {
            return Ok(LeafIndex::new(index as u64).unwrap());
        }
        let record = SignedRecord::parse(leaf).unwrap();
        let mut state = self.state.lock().unwrap();
        match may_follow(state.as_ref(), &record) {
            Ok(next) => *state = Some(next),
            Err(error) => {
                return Err(SubmitAnswer::Conflict(Box::new(ApiError::new(error.code(), "does not follow"))));
            }
        }
        Ok(log.append(leaf))
    }

    fn honest(&self, leaf: &[u8]) -> SubmitAnswer {
        match self.admit(leaf) {
            Ok(index) => SubmitAnswer::Proof(self.log.lock().unwrap().proof(index).encode()),
            Err(answer) => answer,
        }
    }

    fn policy(&self) -> Policy {
        self.log.lock().unwrap().policy(2)
    }

    fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap().clone()
    }

    fn entries(&self) -> usize {
        self.log.lock().unwrap().entries.len()
    }
}

impl SubmitLog for PlayedLog {
    async fn submit(&self, leaf: &[u8]) -> Result<SubmitAnswer, SubmitError> {
        self.received.lock().unwrap().push(leaf.to_vec());
        let reply = self.replies.lock().unwrap().pop_front().expect("the log was asked too often");
        let failed = |source| SubmitError::Exchange { url: "http://log.example".into(), source };
        Ok(match reply {
            Reply::Honest | Reply::Proof => self.honest(leaf),
            Reply::Sequenced => SubmitAnswer::Sequenced(self.admit(leaf).unwrap()),
            Reply::Lost => {
                self.admit(leaf).unwrap();
                return Err(failed(FetchError::Timeout));
            }
            Reply::Busy(seconds) => SubmitAnswer::Busy { retry_after: Some(Duration::from_secs(seconds)) },
            Reply::Refused => {
                SubmitAnswer::Refused(Box::new(ApiError::new("owner-unknown", "not your domain")))
            }
            Reply::ForeignProof => {
                let log = self.log.lock().unwrap();
                SubmitAnswer::Proof(log.proof(LeafIndex::new(0).unwrap()).encode())
            }
            Reply::ProofOnly => {
                let index = self.admit(leaf).unwrap();
                let proof = self.log.lock().unwrap().proof(index);
                let (path, note) = (proof.proof().clone(), proof.note().clone());
                SubmitAnswer::Proof(LogProof::new(None, index, path, note).unwrap().encode())
            }
            Reply::Unwitnessed => {
                let index = self.admit(leaf).unwrap();
                let log = self.log.lock().unwrap();
                SubmitAnswer::Proof(log.proof_with(index, log.note(log.entries.len(), 1)).encode())
            }
            Reply::Unreachable => return Err(failed(FetchError::Url { url: "x".into() })),
        })
    }

    async fn channel_head(&self, _: &ChannelName) -> Result<Option<ChannelHeadAnswer>, SubmitError> {
        Ok(self.state.lock().unwrap().as_ref().map(ChannelHeadAnswer::of))
    }
}

/// Time that passes only by pausing.
#[derive(Default)]
struct CountedPace(Mutex<Vec<Duration>>);

impl Pace for CountedPace {
    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().iter().sum()
    }

    async fn pause(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }
}

/// A publisher with its own state directory.
struct Publisher {
    dir: tempfile::TempDir,
    pace: CountedPace,
    disagreement: Disagreement,
    renew: bool,
    now: u64,
}

impl Publisher {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pace = CountedPace::default();
        Self { dir, pace, disagreement: Disagreement::Refuse, renew: false, now: 1_790_000_000 }
    }

    fn remembered(&self) -> LastRecords {
        StateDir::open(self.dir.path()).unwrap().last_records(&channel()).unwrap()
    }

    fn publish(&self, log: &PlayedLog, draft: &Draft) -> Result<Published, PublishError> {
        let published = self.send(log, draft)?;
        let state = StateDir::open(self.dir.path()).unwrap();
        conclude(&state, &published, &log.policy(), &[self.dir.path().join("a.tlog-proof")])?;
        Outbox::open(self.dir.path()).unwrap().settle(&published.record)?;
        Ok(published)
    }

    /// As far as the verified proof; a run that ends here has been interrupted before writing anything.
    fn send(&self, log: &PlayedLog, draft: &Draft) -> Result<Published, PublishError> {
        let signer = match draft.chain {
            Chain::Publish => vendor(7),
            Chain::Recovery => vendor(9),
        };
        let (policy, signers, remembered) = (log.policy(), [signer], self.remembered());
        let terms = Terms {
            signers: &signers,
            policy: &policy,
            genesis: None,
            remembered: &remembered,
            disagreement: self.disagreement,
            renew: self.renew,
            deadline: Duration::from_secs(60),
            now: seconds(self.now),
        };
        let outbox = Outbox::open(self.dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let prepared = prepare(log, draft, &outbox, &terms).await?;
            send(log, &self.pace, prepared, &outbox, &terms).await
        })
    }

    /// A publisher whose channel is open and who remembers it.
    fn with_channel(log: &PlayedLog) -> Self {
        let publisher = Self::new();
        log.then([Reply::Proof]);
        publisher.publish(log, &opening()).unwrap();
        publisher
    }
}

fn channel() -> ChannelName {
    ChannelName::parse(CHANNEL).unwrap()
}

fn opening() -> Draft {
    let body = ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/agent".into(),
        signers: Some(KeySet::new(vec![vendor(7).verifier().clone()], 1).unwrap()),
        recovery: None,
        cooldown_s: 0,
        max_age_s: 3600,
    };
    Draft {
        channel: channel(),
        chain: Chain::Publish,
        subject: Vec::new(),
        body: Body::Channel(body),
        audience: Audience::Public,
        lifetime_s: 0,
    }
}

fn release(version: &str) -> Draft {
    let subject = |name: &str| Subject::of_file(name, sha256(b"x"));
    let body =
        ReleaseBody { version: version.into(), purl: None, source: None, provenance: None, sbom: None };
    Draft {
        channel: channel(),
        chain: Chain::Publish,
        subject: vec![subject("b"), subject("a")],
        body: Body::Release(body),
        audience: Audience::Public,
        lifetime_s: 3600,
    }
}

#[test]
fn publishes_a_channel_and_then_releases_one_after_the_other() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof, Reply::Proof]);
    let first = publisher.publish(&log, &release("1")).unwrap();
    let second = publisher.publish(&log, &release("2")).unwrap();
    let common = second.record.statement().predicate.common();
    assert_eq!((common.seq, common.prev), (2, Some(first.record.record_id())));
    assert_eq!(common.keys, Some(first.genesis));
    let remembered = publisher.remembered().publish.unwrap();
    assert_eq!((remembered.seq, remembered.head), (2, second.record.record_id()));
    let written = std::fs::read(publisher.dir.path().join("a.tlog-proof")).unwrap();
    assert_eq!(LogProof::parse(&written).unwrap(), second.proof);
    assert_eq!(second.proof.extra(), Some(&second.record.encode()[..]));
}

#[test]
fn sends_the_same_bytes_until_witnesses_have_seen_the_record() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Busy(3), Reply::Sequenced, Reply::Lost, Reply::Proof]);
    publisher.publish(&log, &release("1")).unwrap();
    let sent = log.received();
    assert_eq!(sent.len(), 5);
    assert!(sent[1..].windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(publisher.pace.0.lock().unwrap()[0], Duration::from_secs(3), "the log said when to come back");
}

#[test]
fn out_of_time_it_says_that_the_record_is_in_the_log_and_another_run_ends_with_the_same_record() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then(std::iter::once(Reply::Sequenced).chain(std::iter::repeat_n(Reply::Lost, 50)));
    let error = publisher.publish(&log, &release("1")).unwrap_err();
    assert_eq!(error.code(), "not-witnessed-yet");
    assert!(publisher.pace.elapsed() <= Duration::from_secs(60));
    assert_eq!(publisher.remembered().publish.unwrap().seq, 0, "nothing is remembered before it is proved");

    log.then([Reply::Proof]);
    let later = Publisher { now: publisher.now + 60, pace: CountedPace::default(), ..publisher };
    let published = later.publish(&log, &release("1")).unwrap();
    assert!(published.resumed);
    assert_eq!(published.record.encode(), log.received()[1]);
    assert_eq!(log.entries(), 3);
}

#[test]
fn interrupted_before_the_proof_was_written_it_goes_on_with_the_same_record_and_proof() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof]);
    let lost = publisher.send(&log, &release("1")).unwrap();
    log.log.lock().unwrap().append(b"something newer");
    // The log is not asked again.
    let published = publisher.publish(&log, &release("1")).unwrap();
    assert_eq!(published.record.encode(), lost.record.encode());
    assert_eq!(published.proof.encode(), lost.proof.encode());
    assert_eq!(log.entries(), 4);
    // Once it has ended, another run is there for a newer proof.
    log.then([Reply::Proof]);
    let newer = publisher.publish(&log, &release("1")).unwrap();
    assert!(newer.resumed && newer.proof.index() == lost.proof.index());
    assert_ne!(newer.proof.encode(), lost.proof.encode());
}

#[test]
fn a_kept_proof_that_does_not_hold_is_as_good_as_none() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof]);
    let lost = publisher.send(&log, &release("1")).unwrap();
    let mut name = sha256(CHANNEL.as_bytes()).to_hex();
    name.push_str(".tlog-proof");
    let path = publisher.dir.path().join("outbox").join(name);
    let whole = std::fs::read(&path).unwrap();
    let foreign = log.log.lock().unwrap().proof(LeafIndex::new(0).unwrap()).encode();
    for bad in
        [Vec::new(), vec![0; whole.len()], whole[..whole.len() / 2].to_vec(), foreign, vec![b'a'; 1 << 20]]
    {
        std::fs::write(&path, bad).unwrap();
        log.then([Reply::Proof]);
        let published = publisher.send(&log, &release("1")).unwrap();
        assert_eq!(published.record.encode(), lost.record.encode());
        assert_eq!(std::fs::read(&path).unwrap(), published.proof.encode(), "it is replaced");
    }
}

#[test]
fn published_again_it_ends_with_a_proof_of_the_same_record() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof, Reply::Proof, Reply::Proof]);
    let first = publisher.publish(&log, &release("1")).unwrap();
    let again = publisher.publish(&log, &release("1")).unwrap();
    assert_eq!(first.record.record_id(), again.record.record_id());
    // Unless a new record is what is wanted.
    let renewing = Publisher { renew: true, now: publisher.now + 10, ..publisher };
    let renewed = renewing.publish(&log, &release("1")).unwrap();
    assert_eq!(renewed.record.statement().predicate.common().seq, 2);
}

#[test]
fn an_expired_record_is_not_published_again_but_renewed() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof, Reply::Proof]);
    let first = publisher.publish(&log, &release("1")).unwrap();
    let later = Publisher { now: publisher.now + 3600, ..publisher };
    let second = later.publish(&log, &release("1")).unwrap();
    assert_ne!(first.record.record_id(), second.record.record_id());
}

#[test]
fn an_unfinished_publication_is_not_forgotten_for_another() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Unreachable]);
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "http-url");
    let error = publisher.publish(&log, &release("2")).unwrap_err();
    assert!(matches!(error, PublishError::Unfinished { seq: 1, .. }), "{error}");
    // It never reached the log, so once the publisher says so the place is free.
    log.then([Reply::Proof]);
    let following = Publisher { disagreement: Disagreement::FollowLog, ..publisher };
    assert!(following.publish(&log, &release("2")).is_ok());
}

#[test]
fn a_record_the_log_will_never_take_does_not_stand_in_the_way() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Refused, Reply::Proof]);
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "log-refused");
    assert!(publisher.publish(&log, &release("2")).is_ok());
}

#[test]
fn a_record_that_is_in_the_log_is_kept_even_if_the_log_then_refuses_it() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Sequenced, Reply::Refused, Reply::Proof]);
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "not-witnessed-yet");
    assert!(publisher.publish(&log, &release("1")).unwrap().resumed);
}

#[test]
fn of_two_publishers_the_second_is_told_so_and_goes_on_only_if_it_says_so() {
    let log = PlayedLog::new([]);
    let first = Publisher::with_channel(&log);
    let second = Publisher::new();
    log.then([Reply::Honest, Reply::Honest]);
    second.publish(&log, &release("1")).unwrap();
    let error = first.publish(&log, &release("2")).unwrap_err();
    let PublishError::Place(PlaceError::Behind { remembered, at_log, .. }) = error else { panic!("{error}") };
    assert_eq!((remembered.seq, at_log.seq), (0, 1));
    let first = Publisher { disagreement: Disagreement::FollowLog, ..first };
    assert_eq!(first.publish(&log, &release("2")).unwrap().record.statement().predicate.common().seq, 2);
}

#[test]
fn a_race_that_is_lost_at_the_log_is_a_conflict() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Unreachable]);
    publisher.publish(&log, &release("1")).unwrap_err();
    let winner = Publisher::new();
    log.then([Reply::Honest, Reply::Honest]);
    winner.publish(&log, &release("rival")).unwrap();
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "log-conflict");
}

#[test]
fn what_cannot_be_a_record_is_not_sent() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    let error = publisher.publish(&log, &release("with space")).unwrap_err();
    assert!(matches!(error, PublishError::Draft(_)), "{error}");
    let mut endless = release("1");
    endless.lifetime_s = u64::MAX;
    assert!(matches!(publisher.publish(&log, &endless), Err(PublishError::Draft(_))));
    assert_eq!(log.received().len(), 1);
}

#[test]
fn a_damaged_outbox_is_local_damage() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    let name = sha256(CHANNEL.as_bytes()).to_hex();
    std::fs::write(publisher.dir.path().join("outbox").join(name), [0; 187]).unwrap();
    assert_eq!(publisher.publish(&log, &release("1")).unwrap_err().code(), "state-damaged");
}

#[test]
fn only_one_publication_runs_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _held = Outbox::open(dir.path()).unwrap();
    assert_eq!(Outbox::open(dir.path()).unwrap_err().code(), "directory-locked");
}

#[test]
fn a_draft_is_said_by_a_record_that_differs_in_place_and_time_only() {
    let log = PlayedLog::new([]);
    let publisher = Publisher::with_channel(&log);
    log.then([Reply::Proof]);
    let record = publisher.publish(&log, &release("1")).unwrap().record;
    assert!(release("1").is_said_by(&record));
    assert!(!release("2").is_said_by(&record));
    assert!(!opening().is_said_by(&record));
    let (mut file, mut lifetime) = (release("1"), release("1"));
    file.subject[0].sha256 = Some(sha256(b"y"));
    lifetime.lifetime_s = 7200;
    assert!(!file.is_said_by(&record));
    assert!(!lifetime.is_said_by(&record));
}
