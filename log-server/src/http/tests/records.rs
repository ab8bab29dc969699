use std::collections::BTreeMap;

use indelible_proto::hash::{leaf_hash, sha256};
use indelible_proto::log_api::{ApiError, ChannelHeadAnswer, SequencedAnswer};
use indelible_proto::note::KeyKind;
use indelible_proto::proof::{LogProof, Logged};
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{
    Audience, Chain, ChannelName, Common, KeySet, Predicate, RecordId, SignedRecord, Statement, Subject,
};
use indelible_proto::sign::{RecordSigner, Signer as _};

use crate::kind::LogKind;
use crate::testing::{Character, Reply, Site, TestWitness, seconds, secret};

const CHANNEL: &str = "vendor.example/agent";

pub(super) fn signer(seed: u8) -> RecordSigner {
    RecordSigner::new(secret(KeyKind::Record, &format!("vendor.example/k{seed}"), seed)).unwrap()
}

fn common(seq: u64, prev: Option<RecordId>, keys: Option<RecordId>) -> Common {
    Common {
        channel: ChannelName::parse(CHANNEL).unwrap(),
        seq,
        prev,
        keys,
        issued: seconds(1_783_591_200),
        expires: None,
        audience: Audience::Public,
        chain: Chain::Publish,
        extensions: BTreeMap::new(),
    }
}

/// Opens the channel for keys 2 and 3, of which one is enough.
pub(super) fn genesis() -> SignedRecord {
    let signers = [signer(2), signer(3)];
    let body = ChannelBody {
        owner: Owner { name: "Vendor Example AG".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/vendor.example/agent".into(),
        signers: Some(
            KeySet::new(signers.iter().map(|signer| signer.verifier().clone()).collect(), 1).unwrap(),
        ),
        recovery: None,
        cooldown_s: 259_200,
        max_age_s: 259_200,
    };
    let common = common(0, None, None);
    let subject = vec![Subject::of_channel(&common.channel)];
    let statement = Statement { subject, predicate: Predicate::Channel(common, body) };
    SignedRecord::sign(&statement, &signers.each_ref()).unwrap()
}

/// The release after `prev`, signed by these keys.
pub(super) fn release(seq: u64, prev: &SignedRecord, seeds: &[u8]) -> SignedRecord {
    let expires = Some(seconds(1_786_000_000));
    let common = common(seq, Some(prev.record_id()), Some(genesis().record_id()));
    let body =
        ReleaseBody { version: format!("1.0.{seq}"), purl: None, source: None, provenance: None, sbom: None };
    let subject = vec![Subject::of_file("agent.tar", sha256(b"agent"))];
    let statement = Statement { subject, predicate: Predicate::Release(Common { expires, ..common }, body) };
    let signers: Vec<RecordSigner> = seeds.iter().copied().map(signer).collect();
    SignedRecord::sign(&statement, &signers.iter().collect::<Vec<_>>()).unwrap()
}

fn proved(site: &Site, reply: &Reply) -> (Logged, Vec<u8>) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    let proof = LogProof::parse(&reply.body).unwrap();
    let leaf = proof.extra().unwrap().to_vec();
    (proof.verify(&leaf_hash(&leaf), &site.policy()).unwrap(), leaf)
}

fn refusal(reply: &Reply) -> (u16, ApiError) {
    assert_eq!(reply.header("content-type"), "application/json");
    (reply.status, ApiError::parse(&reply.body).unwrap())
}

#[tokio::test]
async fn a_record_is_answered_with_its_proof() {
    let site = Site::run(LogKind::Records).await;
    for (index, record) in [genesis(), release(1, &genesis(), &[2])].iter().enumerate() {
        let (logged, leaf) = proved(&site, &site.post("/submit", &record.encode()).await);
        assert_eq!((logged.index().get(), leaf), (index as u64, record.encode()));
        assert!(logged.checkpoint().head().size.get() > index as u64);
    }
}

#[tokio::test]
async fn a_witnessed_log_answers_with_the_cosigned_checkpoint() {
    let witnesses =
        [TestWitness::start(2, Character::Honest).await, TestWitness::start(3, Character::Honest).await];
    let mut site = Site::new(LogKind::Records, &witnesses.each_ref());
    site.start().await.unwrap();
    let (logged, _) = proved(&site, &site.post("/submit", &genesis().encode()).await);
    assert_eq!(logged.checkpoint().cosigners().len(), 2);
}

#[tokio::test]
async fn the_same_record_gets_the_same_place_and_a_newer_checkpoint() {
    let site = Site::run(LogKind::Records).await;
    let first = genesis();
    proved(&site, &site.post("/submit", &first.encode()).await);
    proved(&site, &site.post("/submit", &release(1, &first, &[2]).encode()).await);
    let (again, _) = proved(&site, &site.post("/submit", &first.encode()).await);
    assert_eq!((again.index().get(), again.checkpoint().head().size.get()), (0, 2));
}

#[tokio::test]
async fn a_record_under_other_signatures_gets_the_proof_of_what_is_logged() {
    let site = Site::run(LogKind::Records).await;
    proved(&site, &site.post("/submit", &genesis().encode()).await);
    let (logged, more) = (release(1, &genesis(), &[2]), release(1, &genesis(), &[2, 3]));
    assert_eq!(logged.record_id(), more.record_id());
    proved(&site, &site.post("/submit", &logged.encode()).await);
    let (place, leaf) = proved(&site, &site.post("/submit", &more.encode()).await);
    assert_eq!((place.index().get(), leaf), (1, logged.encode()));
}

#[tokio::test]
async fn a_record_that_does_not_follow_is_told_the_head() {
    let site = Site::run(LogKind::Records).await;
    let first = genesis();
    proved(&site, &site.post("/submit", &first.encode()).await);
    proved(&site, &site.post("/submit", &release(1, &first, &[2]).encode()).await);
    let newest = release(1, &first, &[2]).record_id();
    for (record, code) in
        [(release(3, &first, &[2]), "seq-mismatch"), (release(2, &first, &[2]), "prev-mismatch")]
    {
        let (status, error) = refusal(&site.post("/submit", &record.encode()).await);
        assert_eq!((status, error.code()), (409, code));
        let head = error.head().unwrap();
        assert_eq!((head.seq, head.head, head.genesis), (1, newest, first.record_id()));
    }
    // Made from that head, it follows.
    let next = release(2, &release(1, &first, &[2]), &[3]);
    proved(&site, &site.post("/submit", &next.encode()).await);
}

#[tokio::test]
async fn a_record_that_opens_no_channel_has_no_head_to_be_told() {
    let site = Site::run(LogKind::Records).await;
    let (status, error) = refusal(&site.post("/submit", &release(1, &genesis(), &[2]).encode()).await);
    assert_eq!((status, error.code(), error.head()), (409, "channel-unknown", None));
}

#[tokio::test]
async fn a_stranger_may_not_sign() {
    let site = Site::run(LogKind::Records).await;
    proved(&site, &site.post("/submit", &genesis().encode()).await);
    let (status, error) = refusal(&site.post("/submit", &release(1, &genesis(), &[9]).encode()).await);
    assert_eq!((status, error.code(), error.head()), (422, "signer-unknown", None));
}

#[tokio::test]
async fn what_is_no_record_is_refused_before_it_is_queued() {
    let site = Site::run(LogKind::Records).await;
    let good = genesis().encode();
    for bad in [&b""[..], b"hello", &good[..good.len() - 1], &[&good[..], b"\n"].concat()] {
        assert_eq!(refusal(&site.post("/submit", bad).await).0, 400);
    }
    let (status, error) = refusal(&site.post("/submit", &[b' '; 16 * 1024 + 1]).await);
    assert_eq!((status, error.code()), (413, "body-too-long"));
    assert_eq!(site.get("/tile/0/000.p/1").await.status, 404);
}

#[tokio::test]
async fn a_log_of_records_takes_nothing_else() {
    let site = Site::run(LogKind::Records).await;
    let (status, error) = refusal(&site.post("/add", b"x").await);
    assert_eq!((status, error.code()), (404, "kind-records"));
}

#[tokio::test]
async fn a_record_without_its_witnesses_is_202_and_its_proof_comes_later() {
    let witness = TestWitness::start(2, Character::Failing(500)).await;
    let mut site = Site::new(LogKind::Records, &[&witness]);
    site.configure(|config| config.submit.wait_s = 0);
    site.start().await.unwrap();
    let reply = site.post("/submit", &genesis().encode()).await;
    assert_eq!((reply.status, reply.header("content-type")), (202, "application/json"));
    assert_eq!(SequencedAnswer::parse(&reply.body).unwrap().index.get(), 0);
    witness.become_(Character::Honest);
    site.stop().await.unwrap();
    site.configure(|config| config.submit.wait_s = 60);
    site.start().await.unwrap();
    let (logged, _) = proved(&site, &site.post("/submit", &genesis().encode()).await);
    assert_eq!((logged.index().get(), logged.checkpoint().cosigners().len()), (0, 1));
}

#[tokio::test]
async fn what_an_earlier_policy_let_pass_proves_nothing() {
    let site_witness = TestWitness::start(2, Character::Honest).await;
    let mut site = Site::new(LogKind::Records, &[&site_witness]);
    site.start().await.unwrap();
    proved(&site, &site.post("/submit", &genesis().encode()).await);
    site.stop().await.unwrap();
    site.configure(|config| config.submit.wait_s = 0);
    let new_witness = TestWitness::start(3, Character::Failing(500)).await;
    site.demand(&[&site_witness, &new_witness]);
    site.start().await.unwrap();
    assert_eq!(site.post("/submit", &genesis().encode()).await.status, 202);
    assert_eq!(site.get("/checkpoint").await.text().lines().nth(1), Some("1"));
}

#[tokio::test]
async fn a_submitter_waits_for_the_witnesses() {
    let witness = TestWitness::start(2, Character::Silent).await;
    let mut site = Site::new(LogKind::Records, &[&witness]);
    site.configure(|config| config.submit.wait_s = 60);
    site.start().await.unwrap();
    let record = genesis().encode();
    let answered = async { site.post("/submit", &record).await };
    let woken = async { witness.become_(Character::Honest) };
    let (reply, ()) = tokio::join!(answered, woken);
    proved(&site, &reply);
}

#[tokio::test]
async fn a_waiting_submitter_is_told_its_index_when_the_log_stops() {
    let witness = TestWitness::start(2, Character::Silent).await;
    let mut site = Site::new(LogKind::Records, &[&witness]);
    site.configure(|config| config.submit.wait_s = 3600);
    site.start().await.unwrap();
    let record = genesis().encode();
    let answered = async { site.post("/submit", &record).await };
    let stopped = async {
        while site.get("/tile/0/000.p/1").await.status != 200 {}
        site.tell_to_stop();
    };
    let (reply, ()) = tokio::join!(answered, stopped);
    assert_eq!(reply.status, 202);
    site.ended().await.unwrap();
}

#[tokio::test]
async fn a_channels_head_is_told() {
    let site = Site::run(LogKind::Records).await;
    let path = format!("/channel/{CHANNEL}");
    assert_eq!(refusal(&site.get(&path).await).1.code(), "channel-unknown");
    let (first, second) = (genesis(), release(1, &genesis(), &[2]));
    proved(&site, &site.post("/submit", &first.encode()).await);
    proved(&site, &site.post("/submit", &second.encode()).await);
    let reply = site.get(&path).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let head = ChannelHeadAnswer::parse(&reply.body).unwrap();
    assert_eq!((head.seq, head.head, head.keys), (1, second.record_id(), first.record_id()));
    assert_eq!(head.genesis, first.record_id());
}

#[tokio::test]
async fn what_names_no_channel_is_refused() {
    let site = Site::run(LogKind::Records).await;
    for path in
        ["/channel/..", "/channel/A.example", "/channel/vendor.example/%61", "/channel/vendor.example//a"]
    {
        assert_eq!(refusal(&site.get(path).await).0, 400, "{path}");
    }
    assert_eq!(refusal(&site.get("/channel/").await).0, 404);
}
