use indelible_proto::hash::{Hash, leaf_hash, sha256};
use indelible_proto::log_api::{
    ApiError, Lookup, LookupAnswer, LookupEntry, LookupKey, LookupRecord, MAX_LOOKUP_ENTRIES,
};
use indelible_proto::record::{RecordId, SignedRecord};
use indelible_proto::size::LeafIndex;

use super::records::{genesis, release};
use crate::kind::LogKind;
use crate::testing::{Reply, Site};

fn index(index: u64) -> LeafIndex {
    LeafIndex::new(index).unwrap()
}

async fn ask(site: &Site, lookup: Lookup) -> Reply {
    site.get(&lookup.path()).await
}

async fn answer(site: &Site, lookup: Lookup) -> LookupAnswer {
    let reply = ask(site, lookup).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let answer = LookupAnswer::parse(&reply.body).unwrap();
    assert_eq!(reply.status, if answer.entries.is_empty() { 404 } else { 200 });
    answer
}

fn places(answer: &LookupAnswer) -> Vec<u64> {
    answer.entries.iter().map(|entry| entry.index.get()).collect()
}

/// Opens the channel and releases the same artifact so many times.
async fn with_releases(releases: u64) -> (Site, Vec<SignedRecord>) {
    let site = Site::run(LogKind::Records).await;
    let mut records = vec![genesis()];
    for seq in 1..=releases {
        records.push(release(seq, records.last().unwrap(), &[2]));
    }
    for record in &records {
        assert_eq!(site.post("/submit", &record.encode()).await.status, 200);
    }
    (site, records)
}

fn keys(record: &SignedRecord) -> [LookupKey; 2] {
    [LookupKey::Leaf(leaf_hash(&record.encode())), LookupKey::Record(record.record_id())]
}

#[tokio::test]
async fn a_record_is_found_by_its_id_and_its_leaf_hash() {
    let (site, records) = with_releases(2).await;
    for (at, record) in (0..).zip(&records) {
        for key in keys(record) {
            let answer = answer(&site, Lookup::all(key)).await;
            let expected = LookupEntry { index: index(at), record: Some(LookupRecord::of(record)) };
            assert_eq!(
                (answer.entries, answer.next, answer.size.get()),
                (vec![expected], None, 3),
                "{key:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_records_of_an_artifact_come_in_order_and_in_pages() {
    let many = MAX_LOOKUP_ENTRIES as u64 + 3;
    let (site, _) = with_releases(many).await;
    let key = LookupKey::Artifact(sha256(b"agent"));
    let first = answer(&site, Lookup::all(key)).await;
    assert_eq!(places(&first), (1..=MAX_LOOKUP_ENTRIES as u64).collect::<Vec<_>>());
    let from = first.next.unwrap();
    let rest = answer(&site, Lookup { key, from }).await;
    assert_eq!((places(&rest), rest.next), ((from.get()..=many).collect(), None));
    assert!(places(&answer(&site, Lookup { key, from: index(many + 1) }).await).is_empty());
}

#[tokio::test]
async fn a_channel_is_no_artifact() {
    let (site, records) = with_releases(0).await;
    let digest = records[0].statement().subject[0].sha256.unwrap();
    assert!(places(&answer(&site, Lookup::all(LookupKey::Artifact(digest))).await).is_empty());
}

#[tokio::test]
async fn what_is_not_found_says_how_far_was_looked_and_is_not_cached() {
    let (site, _) = with_releases(2).await;
    let nothing = sha256(b"nothing");
    for key in [
        LookupKey::Leaf(nothing),
        LookupKey::Record(RecordId::from_hash(nothing)),
        LookupKey::Artifact(nothing),
    ] {
        let reply = ask(&site, Lookup::all(key)).await;
        assert_eq!((reply.status, reply.header("cache-control")), (404, "no-store"));
        assert_eq!(LookupAnswer::parse(&reply.body).unwrap().size.get(), 3);
    }
}

#[tokio::test]
async fn what_is_found_is_open_to_all_and_cached_for_a_second() {
    let (site, records) = with_releases(1).await;
    let reply = ask(&site, Lookup::all(keys(&records[1])[0])).await;
    assert_eq!(reply.header("cache-control"), "public, max-age=1");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_raw_log_finds_entries_by_leaf_hash_and_nothing_else() {
    let site = Site::run(LogKind::Raw).await;
    for entry in 0..300u16 {
        assert_eq!(site.post("/add", &entry.to_be_bytes()).await.status, 200);
    }
    for entry in [0u16, 255, 256, 299] {
        let key = LookupKey::Leaf(leaf_hash(&entry.to_be_bytes()));
        let answer = answer(&site, Lookup::all(key)).await;
        assert_eq!(answer.entries, [LookupEntry { index: index(u64::from(entry)), record: None }]);
    }
    for key in
        [LookupKey::Record(RecordId::from_hash(Hash::from_bytes([0; 32]))), LookupKey::Artifact(sha256(b""))]
    {
        let reply = ask(&site, Lookup::all(key)).await;
        assert_eq!(ApiError::parse(&reply.body).unwrap().code(), "kind-raw");
    }
}

#[tokio::test]
async fn other_paths_and_queries_are_refused() {
    let site = Site::run(LogKind::Records).await;
    let path = Lookup::all(LookupKey::Artifact(sha256(b"agent"))).path();
    for (path, status) in [
        (format!("{path}/from/0"), 400),
        (format!("{path}/"), 400),
        (path.to_uppercase().replace("/LOOKUP/ARTIFACT", "/lookup/artifact"), 400),
        (path.replace("/artifact/", "/%61rtifact/"), 400),
        (format!("{path}?from=1"), 404),
        ("/lookup/".to_owned(), 404),
    ] {
        let reply = site.get(&path).await;
        assert_eq!((reply.status, reply.header("cache-control")), (status, "no-store"), "{path}");
    }
}
