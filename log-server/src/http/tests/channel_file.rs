use indelible_proto::channel_file::{ChannelFile, Start, VerifiedChannel};
use indelible_proto::log_api::{ApiError, ChannelFilePath};
use indelible_proto::record::{Chain, ChannelName, ChannelState, SignedRecord, may_follow};

use super::records::{genesis, release};
use crate::kind::LogKind;
use crate::testing::{Reply, Site};

fn name() -> ChannelName {
    genesis().statement().predicate.common().channel.clone()
}

/// A log with the first `count` records of the channel.
async fn site(count: u64) -> (Site, Vec<SignedRecord>) {
    let site = Site::run(LogKind::Records).await;
    let mut records = vec![genesis()];
    for seq in 1..count {
        records.push(release(seq, records.last().unwrap(), &[2]));
    }
    for record in &records {
        assert_eq!(site.post("/submit", &record.encode()).await.status, 200);
    }
    (site, records)
}

async fn verified(site: &Site, path: &ChannelFilePath, start: Start<'_>) -> VerifiedChannel {
    let reply = site.get(&path.encode()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "public, max-age=1");
    let file = ChannelFile::parse(&reply.body).unwrap();
    file.verify(start, &site.policy()).unwrap()
}

fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status, ApiError::parse(&reply.body).unwrap().code().to_owned())
}

fn replayed(records: &[SignedRecord]) -> ChannelState {
    let mut state = None;
    for record in records {
        state = Some(may_follow(state.as_ref(), record).unwrap());
    }
    state.unwrap()
}

#[tokio::test]
async fn a_channel_comes_as_one_file_that_a_reader_verifies() {
    let (site, records) = site(4).await;
    let start = Start::Genesis(genesis().record_id());
    let whole = verified(&site, &ChannelFilePath::whole(name()), start).await;
    assert_eq!(whole.records(), records);
    assert_eq!(whole.state(), &replayed(&records));
    assert_eq!((whole.index(Chain::Publish).unwrap().get(), whole.index(Chain::Recovery)), (3, None));
    // What was found once is found again, and what came since, too.
    let next = release(4, &records[3], &[2]);
    assert_eq!(site.post("/submit", &next.encode()).await.status, 200);
    let more = verified(&site, &ChannelFilePath::whole(name()), start).await;
    assert_eq!(more.state().head(), next.record_id());
}

#[tokio::test]
async fn a_reader_asks_from_what_it_knows() {
    let (site, records) = site(4).await;
    for known in 1..=4 {
        let state = replayed(&records[..known]);
        let verified = verified(&site, &ChannelFilePath::after(&state), Start::After(&state)).await;
        assert_eq!(verified.records(), &records[known..]);
        assert_eq!(verified.state(), &replayed(&records));
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let (site, _) = site(2).await;
    let at = |publish| ChannelFilePath { publish, ..ChannelFilePath::whole(name()) }.encode();
    assert_eq!(refusal(&site.get(&at(2)).await), (404, "beyond-tree".into()));
    assert_eq!(refusal(&site.get(&at((1 << 53) - 1)).await), (404, "beyond-tree".into()));
    let other = ChannelFilePath::whole(ChannelName::parse("other.example/agent").unwrap()).encode();
    assert_eq!(refusal(&site.get(&other).await), (404, "channel-unknown".into()));
    assert_eq!(refusal(&site.get("/channel-file/0/vendor.example").await), (400, "answer-field".into()));
    // A cache that ignores the query would mix answers up, so there is none.
    let query = format!("{}?since=1", at(0));
    assert_eq!(refusal(&site.get(&query).await), (404, "path-unknown".into()));
    let raw = Site::run(LogKind::Raw).await;
    assert_eq!(refusal(&raw.get(&at(0)).await), (404, "kind-raw".into()));
}
