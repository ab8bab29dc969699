//! Batches, and limits of clients.

use std::num::NonZeroUsize;

use indelible_proto::hash::leaf_hash;
use indelible_proto::log_api::{
    ApiError, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_BATCH_RECORDS, RecordAnswer, SequencedAnswer,
    encode_batch,
};
use indelible_proto::proof::LogProof;

use super::records::{genesis, release};
use crate::kind::LogKind;
use crate::testing::{Character, Reply, Site, TestWitness};

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, ApiError::parse(&reply.body).unwrap().code().to_owned())
}

fn batch(entries: &[&[u8]]) -> Vec<u8> {
    encode_batch(entries, MAX_BATCH_ENTRIES).unwrap()
}

async fn size(site: &Site) -> u64 {
    site.get("/checkpoint").await.text().lines().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn many_entries_are_answered_with_their_indices_in_order() {
    let site = Site::run(LogKind::Raw).await;
    assert_eq!(site.post("/add", b"b").await.text(), "0\n");
    let reply = site.post("/add-batch", &batch(&[b"a", b"b", b"", b"a", &[7; 65_535]])).await;
    assert_eq!((reply.status, reply.text()), (200, "1\n0\n2\n1\n3\n"));
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    let full: Vec<Vec<u8>> =
        (0..MAX_BATCH_ENTRIES).map(|number| format!("entry {number}").into_bytes()).collect();
    let reply = site.post("/add-batch", &encode_batch(&full, MAX_BATCH_ENTRIES).unwrap()).await;
    let expected: String = (4..4 + MAX_BATCH_ENTRIES).map(|index| format!("{index}\n")).collect();
    assert_eq!((reply.status, reply.text()), (200, expected.as_str()));
}

#[tokio::test]
async fn nothing_of_a_batch_that_is_refused_is_taken() {
    let site = Site::run(LogKind::Raw).await;
    let whole = batch(&[b"a", b"b"]);
    for cut in [&whole[..1], &whole[..4], &whole[..5]] {
        assert_eq!(code(&site.post("/add-batch", cut).await), (400, "batch-framing".to_owned()));
    }
    assert_eq!(code(&site.post("/add-batch", b"").await), (400, "batch-empty".to_owned()));
    let many = encode_batch(&vec![b"x"; MAX_BATCH_ENTRIES + 1], usize::MAX).unwrap();
    assert_eq!(code(&site.post("/add-batch", &many).await), (413, "batch-too-many".to_owned()));
    let long = vec![0; MAX_BATCH_BYTES + 1];
    assert_eq!(code(&site.post("/add-batch", &long).await), (413, "body-too-long".to_owned()));
    let reply = site.call("POST /add-batch HTTP/1.1\r\ncontent-length: 1073741824\r\n", b"").await;
    assert_eq!(code(&reply), (413, "body-too-long".to_owned()));
    assert_eq!(site.get("/tile/0/000.p/1").await.status, 404);
}

#[tokio::test]
async fn a_batch_that_never_fits_into_the_queue_is_told_when_to_come_back() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.submit.queue_entries = NonZeroUsize::new(2).unwrap());
    site.start().await.unwrap();
    assert_eq!(site.post("/add-batch", &batch(&[b"a", b"b"])).await.status, 200);
    let reply = site.post("/add-batch", &batch(&[b"c", b"d", b"e"])).await;
    assert_eq!((code(&reply), reply.header("retry-after")), ((503, "queue-full".to_owned()), "1"));
    assert_eq!(site.get("/tile/0/000.p/3").await.status, 404);
}

#[tokio::test]
async fn a_batch_is_of_the_kind_of_its_log() {
    let (raw, records) = (Site::run(LogKind::Raw).await, Site::run(LogKind::Records).await);
    let body = batch(&[b"a"]);
    assert_eq!(code(&raw.post("/submit-batch", &body).await), (404, "kind-raw".to_owned()));
    assert_eq!(code(&records.post("/add-batch", &body).await), (404, "kind-records".to_owned()));
    assert_eq!(raw.get("/add-batch").await.status, 405);
}

#[tokio::test]
async fn each_of_many_records_is_answered_on_its_own() {
    let site = Site::run(LogKind::Records).await;
    let first = release(1, &genesis(), &[2]);
    let leaves = [
        genesis().encode(),
        first.encode(),
        b"no record".to_vec(),
        release(1, &genesis(), &[3]).encode(),
        release(3, &first, &[2]).encode(),
        release(2, &first, &[9]).encode(),
        release(2, &first, &[3]).encode(),
        genesis().encode(),
    ];
    let reply = site.post("/submit-batch", &encode_batch(&leaves, MAX_BATCH_RECORDS).unwrap()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/octet-stream"));
    let answers = RecordAnswer::parse_all(&reply.body, leaves.len()).unwrap();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    // The fourth is the second under another signature.
    assert_eq!(statuses, [200, 200, 400, 200, 409, 422, 200, 200]);
    for (answer, index, leaf) in [(0, 0, 0), (1, 1, 1), (3, 1, 1), (6, 2, 6), (7, 0, 0)] {
        let proof = LogProof::parse(&answers[answer].body).unwrap();
        let logged = proof.verify(&leaf_hash(&leaves[leaf]), &site.policy()).unwrap();
        assert_eq!((logged.index().get(), proof.extra().unwrap()), (index, &leaves[leaf][..]));
    }
    let refusal = |answer: usize| ApiError::parse(&answers[answer].body).unwrap();
    let conflict = refusal(4);
    assert_eq!((conflict.code(), conflict.head().unwrap().seq), ("seq-mismatch", 1));
    assert_eq!((refusal(5).code(), refusal(5).head()), ("signer-unknown", None));
    assert_eq!(refusal(2).code(), refusal_alone(&site, b"no record").await);
    assert_eq!(size(&site).await, 3);
}

async fn refusal_alone(site: &Site, leaf: &[u8]) -> String {
    code(&site.post("/submit", leaf).await).1
}

#[tokio::test]
async fn one_record_more_than_a_batch_may_have_is_refused_with_all_others() {
    let site = Site::run(LogKind::Records).await;
    let leaves = vec![genesis().encode(); MAX_BATCH_RECORDS + 1];
    let reply = site.post("/submit-batch", &encode_batch(&leaves, usize::MAX).unwrap()).await;
    assert_eq!(code(&reply), (413, "batch-too-many".to_owned()));
    assert_eq!(size(&site).await, 0);
    let full = encode_batch(&leaves[1..], MAX_BATCH_RECORDS).unwrap();
    let answers = site.post("/submit-batch", &full).await;
    let answers = RecordAnswer::parse_all(&answers.body, MAX_BATCH_RECORDS).unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(size(&site).await, 1);
}

#[tokio::test]
async fn many_records_without_their_witnesses_are_told_their_places() {
    let witness = TestWitness::start(2, Character::Failing(500)).await;
    let mut site = Site::new(LogKind::Records, &[&witness]);
    site.configure(|config| config.submit.wait_s = 0);
    site.start().await.unwrap();
    let leaves = [genesis().encode(), release(1, &genesis(), &[2]).encode(), b"none".to_vec()];
    let reply = site.post("/submit-batch", &encode_batch(&leaves, MAX_BATCH_RECORDS).unwrap()).await;
    let answers = RecordAnswer::parse_all(&reply.body, 3).unwrap();
    for (answer, index) in answers.iter().zip([0, 1]) {
        assert_eq!(answer.status, 202);
        assert_eq!(SequencedAnswer::parse(&answer.body).unwrap().index.get(), index);
    }
    assert_eq!(answers[2].status, 400);
}

/// A log behind a proxy on this machine, which lets a client submit an entry a second, the largest batch at
/// once.
async fn limited() -> Site {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| {
        config.submit.client_entries_per_s = 1;
        config.submit.client_bytes_per_s = 0;

        config.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    site.start().await.unwrap();
    site
}

async fn add_as(site: &Site, client: &str, body: &[u8]) -> Reply {
    let head = format!(
        "POST /add-batch HTTP/1.1\r\nx-forwarded-for: {client}\r\ncontent-length: {}\r\n",
        body.len()
    );
    site.call(&head, body).await
}

/// Rows A4 of the failures and S4 of the attacks.
#[tokio::test]
async fn a_client_that_has_used_up_its_share_is_told_so_and_others_are_not() {
    let site = limited().await;
    let most = encode_batch(&vec![b"x"; MAX_BATCH_ENTRIES], MAX_BATCH_ENTRIES).unwrap();
    assert_eq!(add_as(&site, "2001:db8::1", &most).await.status, 200);
    let more = encode_batch(&vec![b"y"; 600], MAX_BATCH_ENTRIES).unwrap();
    let refused = add_as(&site, "2001:db8::2", &more).await;
    assert_eq!(code(&refused), (429, "client-limit".to_owned()));
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=600).contains(&retry_after), "{retry_after}");
    assert_eq!(add_as(&site, "2001:db8:0:1::1", &batch(&[b"a"])).await.status, 200);
    // Reads are not counted, and this machine is not limited.
    let head = "GET /checkpoint HTTP/1.1\r\nx-forwarded-for: 2001:db8::1\r\n";
    assert_eq!(site.call(head, b"").await.status, 200);
    assert_eq!(site.post("/add-batch", &most).await.status, 200);
}

#[tokio::test]
async fn a_client_is_not_told_to_count_as_another_by_a_header() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.submit.client_entries_per_s = 1);
    site.start().await.unwrap();
    let most = encode_batch(&vec![b"x"; MAX_BATCH_ENTRIES], MAX_BATCH_ENTRIES).unwrap();
    for _ in 0..3 {
        assert_eq!(add_as(&site, "2001:db8::1", &most).await.status, 200, "nobody trusts 127.0.0.1");
    }
}
