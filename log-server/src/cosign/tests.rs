use std::sync::Arc;
use std::time::Duration;

use indelible_proto::policy::CosignedBy;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::publish::{CHECKPOINT_FILE, Published, Standing};
use crate::storage::Storage;
use crate::testing::{Character, TestLog, TestWitness, policy, signed};

/// A log, its witnesses' policy, and what it has published; not yet cosigning.
struct Rig {
    log: TestLog,
    policy: Arc<Policy>,
    publisher: Arc<Publisher>,
    dir: TempDir,
}

impl Rig {
    /// A log that has published nothing but its empty tree.
    fn new(quorum: usize, witnesses: &[&TestWitness]) -> Self {
        let log = TestLog::new();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join(CHECKPOINT_FILE), signed(log.head()).note.encode()).unwrap();
        let lines: Vec<_> = witnesses.iter().map(|witness| witness.line()).collect();
        let policy = policy(quorum, &lines);
        let publisher = Publisher::open(
            Storage::real(),
            dir.path(),
            Arc::clone(&policy),
            &log.head(),
            Arc::clone(&log.tree),
        )
        .unwrap();
        Self { log, policy, publisher: Arc::new(publisher), dir }
    }

    fn cosigner(&self) -> Cosigner {
        let (policy, publisher) = (Arc::clone(&self.policy), Arc::clone(&self.publisher));
        let config = CosignConfig::default();
        let http = Cosigner::client(&config).unwrap();
        Cosigner::new(policy, publisher, self.log.announced(), &self.log.tree, &config, &http).unwrap()
    }

    /// Runs a cosigner with the default times until the rig is dropped.
    fn run(&self) -> JoinHandle<Result<(), CosignError>> {
        tokio::spawn(self.cosigner().run())
    }

    /// What is published once it is as it should be.
    async fn published(&self, is_right: impl Fn(&Published) -> bool) -> Arc<Published> {
        let mut published = self.publisher.subscribe();
        let published = published.wait_for(|published| is_right(published)).await.unwrap();
        Arc::clone(&published)
    }

    async fn published_size(&self, size: u64) -> Arc<Published> {
        self.published(|published| published.head().size.get() == size).await
    }

    fn cosigners(&self, published: &Published) -> Vec<CosignedBy> {
        self.policy.verify(published.note()).unwrap().cosigners().to_vec()
    }

    fn names(&self, published: &Published) -> Vec<String> {
        self.cosigners(published).into_iter().map(|cosigner| cosigner.witness).collect()
    }
}

async fn honest(seed: u8) -> TestWitness {
    TestWitness::start(seed, Character::Honest).await
}

#[tokio::test]
async fn a_log_without_witnesses_publishes_what_it_signs() {
    let mut rig = Rig::new(0, &[]);
    let _running = rig.run();
    rig.log.grow(&[1, 2]);
    let published = rig.published_size(2).await;
    assert_eq!(published.standing(), Standing::Witnessed);
    assert_eq!(published.head(), rig.log.head());
}

#[tokio::test]
async fn a_new_log_has_its_empty_tree_cosigned() {
    let witness = honest(2).await;
    let rig = Rig::new(1, &[&witness]);
    let _running = rig.run();
    let published = rig.published(|published| published.standing() == Standing::Witnessed).await;
    assert!(published.head().size.is_zero());
}

#[tokio::test]
async fn every_growth_is_published_with_a_quorum() {
    let witnesses = [honest(2).await, honest(3).await];
    let mut rig = Rig::new(2, &witnesses.each_ref());
    let _running = rig.run();
    for (entry, size) in [(10, 1), (11, 2), (12, 3)] {
        rig.log.grow(&[entry]);
        let published = rig.published_size(size).await;
        assert_eq!(published.head(), rig.log.head());
        assert_eq!(rig.names(&published), ["w0", "w1"]);
        let stored = std::fs::read(rig.dir.path().join(CHECKPOINT_FILE)).unwrap();
        assert_eq!(published.bytes(), &stored);
    }
}

#[tokio::test]
async fn a_silent_witness_does_not_delay_the_quorum_of_others() {
    let silent = TestWitness::start(2, Character::Silent).await;
    let others = [honest(3).await, honest(4).await];
    let mut rig = Rig::new(2, &[&silent, &others[0], &others[1]]);
    rig.log.grow(&[1]);
    let _running = rig.run();
    assert_eq!(rig.names(&*rig.published_size(1).await), ["w1", "w2"]);
    rig.log.grow(&[2]);
    assert_eq!(rig.names(&*rig.published_size(2).await), ["w1", "w2"]);
}

#[tokio::test]
async fn a_cosignature_that_comes_late_is_added_to_what_is_published() {
    let (prompt, late) = (honest(2).await, TestWitness::start(3, Character::Silent).await);
    let mut rig = Rig::new(1, &[&prompt, &late]);
    rig.log.grow(&[1]);
    let _running = rig.run();
    assert_eq!(rig.names(&*rig.published_size(1).await), ["w0"]);
    late.become_(Character::Honest);
    let both = rig.published(|published| rig.names(published).len() == 2).await;
    assert_eq!(both.head().size.get(), 1);
}

#[tokio::test]
async fn a_late_cosignature_counts_while_the_next_candidate_waits() {
    let (mut prompt, late) = (honest(2).await, TestWitness::start(3, Character::Silent).await);
    let mut rig = Rig::new(1, &[&prompt, &late]);
    rig.log.grow(&[1]);
    let _running = rig.run();
    rig.published_size(1).await;
    assert_eq!(prompt.asked().await, 1);
    prompt.become_(Character::Silent);
    rig.log.grow(&[2]);
    assert_eq!(prompt.asked().await, 2);
    late.become_(Character::Honest);
    let both = rig.published(|published| rig.names(published).len() == 2).await;
    assert_eq!(both.head().size.get(), 1);
    // And it is then asked for the next candidate itself.
    assert_eq!(rig.names(&*rig.published_size(2).await), ["w1"]);
}

#[tokio::test]
async fn a_cosignature_over_something_else_never_counts() {
    let mut witnesses = [honest(2).await, TestWitness::start(3, Character::Lying).await];
    let mut rig = Rig::new(2, &witnesses.each_ref());
    rig.log.grow(&[1]);
    let _running = rig.run();
    // It is asked again only after its first answer was refused.
    assert_eq!((witnesses[1].asked().await, witnesses[1].asked().await), (1, 1));
    assert!(rig.publisher.subscribe().borrow().head().size.is_zero());
    witnesses[1].become_(Character::Honest);
    assert_eq!(rig.names(&*rig.published_size(1).await), ["w0", "w1"]);
}

#[tokio::test]
async fn a_failing_witness_is_asked_again_until_it_cosigns() {
    for status in [500, 503, 429, 404, 403] {
        let mut witness = TestWitness::start(2, Character::Failing(status)).await;
        let mut rig = Rig::new(1, &[&witness]);
        rig.log.grow(&[1]);
        let _running = rig.run();
        assert_eq!(witness.asked().await, 1);
        witness.become_(Character::Honest);
        rig.published_size(1).await;
    }
}

#[tokio::test]
async fn a_witness_that_holds_another_size_is_proved_to_from_there() {
    let witness = honest(2).await;
    let mut rig = Rig::new(1, &[&witness]);
    rig.log.grow(&[1, 2, 3]);
    witness.hold(rig.log.head());
    rig.log.grow(&[4, 5]);
    let _running = rig.run();
    rig.published_size(5).await;
}

#[tokio::test]
async fn a_candidate_is_not_given_up_for_a_newer_one_before_its_deadline() {
    let mut prompt = honest(2).await;
    let silent = TestWitness::start(3, Character::Silent).await;
    let mut rig = Rig::new(2, &[&prompt, &silent]);
    rig.log.grow(&[1]);
    let _running = rig.run();
    assert_eq!(prompt.asked().await, 1);
    rig.log.grow(&[2]);
    // However slow the machine, nobody is asked for the newer one.
    assert!(timeout(Duration::from_millis(50), prompt.asked()).await.is_err());
    silent.become_(Character::Honest);
    rig.published_size(2).await;
}

#[tokio::test]
async fn after_its_deadline_the_newest_takes_a_candidates_place() {
    let mut prompt = honest(2).await;
    let silent = TestWitness::start(3, Character::Silent).await;
    let mut rig = Rig::new(2, &[&prompt, &silent]);
    let mut cosigner = rig.cosigner();
    cosigner.deadline = Duration::from_millis(20);
    rig.log.grow(&[1]);
    let _running = tokio::spawn(cosigner.run());
    assert_eq!(prompt.asked().await, 1);
    rig.log.grow(&[2]);
    rig.log.grow(&[3, 4]);
    rig.log.grow(&[5]);
    assert_eq!(prompt.asked().await, 5);
    silent.become_(Character::Honest);
    rig.published_size(5).await;
}

#[tokio::test]
async fn an_idle_tree_is_cosigned_again_with_newer_times() {
    let witness = honest(2).await;
    let mut rig = Rig::new(1, &[&witness]);
    let mut cosigner = rig.cosigner();
    cosigner.refresh_interval = Duration::from_millis(20);
    rig.log.grow(&[1]);
    let _running = tokio::spawn(cosigner.run());
    let time = |published: &Published| rig.cosigners(published)[0].time;
    let first = time(&*rig.published_size(1).await);
    let later = rig.published(|published| published.head().size.get() == 1 && time(published) > first).await;
    assert_eq!(later.note().signatures().len(), 2);
}

#[tokio::test]
async fn a_log_that_stops_signing_ends_its_cosigner() {
    let rig = Rig::new(0, &[]);
    let running = rig.run();
    rig.published(|published| published.standing() == Standing::Witnessed).await;
    drop(rig.log);
    assert!(running.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_witness_that_shows_more_than_the_log_has_stops_it() {
    let witness = honest(2).await;
    let mut rig = Rig::new(1, &[&witness]);
    rig.log.grow(&[1, 2]);
    witness.hold(TestLog::of(&[1, 2, 3]).head());
    let refused = rig.cosigner().compare_with_witnesses().await.unwrap_err();
    assert_eq!((refused.code(), refused.refuses_to_sign()), ("data-behind-signed", true));
    // Also if it could not be asked before the start.
    let refused = rig.run().await.unwrap().unwrap_err();
    assert_eq!((refused.code(), refused.refuses_to_sign()), ("data-behind-signed", true));
    assert!(rig.publisher.subscribe().borrow().head().size.is_zero());
}

#[tokio::test]
async fn a_witness_that_shows_another_history_stops_the_log() {
    let witness = honest(2).await;
    let mut rig = Rig::new(1, &[&witness]);
    rig.log.grow(&[1, 2, 3]);
    witness.hold(TestLog::of(&[1, 9]).head());
    let refused = rig.cosigner().compare_with_witnesses().await.unwrap_err();
    assert_eq!((refused.code(), refused.refuses_to_sign()), ("data-contradicts-signed", true));
    let refused = rig.run().await.unwrap().unwrap_err();
    assert_eq!((refused.code(), refused.refuses_to_sign()), ("data-contradicts-signed", true));
}

#[tokio::test]
async fn a_witness_that_only_claims_more_stops_nothing() {
    let mut claiming = TestWitness::start(2, Character::Claiming(1_000)).await;
    let honest = honest(3).await;
    let mut rig = Rig::new(1, &[&claiming, &honest]);
    rig.log.grow(&[1]);
    let running = rig.run();
    assert_eq!((claiming.asked().await, claiming.asked().await), (1, 1));
    assert_eq!(rig.names(&*rig.published_size(1).await), ["w1"]);
    assert!(!running.is_finished());
}

#[tokio::test]
async fn unreachable_and_new_witnesses_do_not_stop_the_start() {
    let (known, new) = (honest(2).await, honest(3).await);
    let gone = (crate::testing::cosigner(4).verifier().clone(), "http://127.0.0.1:1".to_owned());
    let mut rig = Rig::new(1, &[&known, &new]);
    rig.log.grow(&[1, 2]);
    known.hold(rig.log.head());
    rig.log.grow(&[3]);
    rig.policy = policy(2, &[known.line(), new.line(), gone]);
    let mut cosigner = rig.cosigner();
    cosigner.compare_with_witnesses().await.unwrap();
    assert_eq!(cosigner.lanes.len(), 3);
    let _running = tokio::spawn(cosigner.run());
    assert_eq!(rig.names(&*rig.published_size(3).await), ["w0", "w1"]);
}
