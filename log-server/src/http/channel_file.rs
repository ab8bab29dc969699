//! Channel files: the records of a channel, with a proof of the newest of each chain.
//!
//! A chain is walked backwards from its newest record, each found by its id through the index and read from the
//! tree, so nothing about where records are is kept on disk. Where they were found is remembered in memory, and a
//! channel is walked only as far as it has grown since; at most [`MAX_REMEMBERED`] places are. The index only
//! helps to find: what is served is what the tree has, and proved by it. A few files are made at a time; other
//! requests wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::log_api::{BYTES_MEDIA_TYPE, ChannelFilePath, LookupKey};
use indelible_proto::record::{Chain, ChainHead, ChannelName, RecordId, SignedRecord};
use indelible_proto::size::{LeafIndex, TreeSize};
use tokio::sync::Semaphore;

use super::error::Problem;
use super::read::CACHED_BRIEFLY;
use super::{Log, respond};
use crate::blocking::blocking;
use crate::kind::LogKind;
use crate::publish::{Published, Standing};

/// How many files are made at once: each reads up to a few megabytes.
const AT_ONCE: usize = 2;
/// How many places of records are remembered, 8 bytes each; beyond it all are forgotten, and found again.
const MAX_REMEMBERED: usize = 4 * 1024 * 1024;

/// What the handler keeps between requests.
#[derive(Debug)]
pub struct ChannelFiles {
    places: Mutex<HashMap<(ChannelName, Chain), Vec<LeafIndex>>>,
    at_once: Semaphore,
}

impl Default for ChannelFiles {
    fn default() -> Self {
        Self { places: Mutex::default(), at_once: Semaphore::new(AT_ONCE) }
    }
}

pub(super) async fn channel_file(State(log): State<Arc<Log>>, uri: Uri) -> Result<Response, Problem> {
    if log.kind != LogKind::Records {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    if uri.query().is_some() {
        return Err(Problem::UnknownPath);
    }
    let path = ChannelFilePath::parse(uri.path()).map_err(Problem::ChannelPath)?;
    log.sequencer.index().wait_until_opened().await;
    let _permit = log.channel_files.at_once.acquire().await.map_err(|_| Problem::Stopping)?;
    let published = Arc::clone(&log.published.borrow());
    let maker = Arc::clone(&log);
    let file = blocking(move || maker.channel_file(&path, &published)).await?;
    Ok(respond(StatusCode::OK, BYTES_MEDIA_TYPE, CACHED_BRIEFLY, file))
}

impl Log {
    /// The file, as everything published proves it. Blocking.
    fn channel_file(&self, path: &ChannelFilePath, published: &Published) -> Result<Vec<u8>, Problem> {
        let unknown = || Problem::UnknownChannel(path.channel.clone());
        let state = self.sequencer.channel(&path.channel).ok_or_else(unknown)?;
        let size = published.head().size;
        if published.standing() != Standing::Witnessed {
            return Err(Problem::BeyondTree { size });
        }
        let mut places = Vec::new();
        for (chain, from) in [(Chain::Publish, path.publish), (Chain::Recovery, path.recovery)] {
            let Some(head) = state.chain_head(chain) else { continue };
            let all = self.places_of(&path.channel, chain, head)?;
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            let wanted = all.get(from..).unwrap_or_default().iter().filter(|index| size.contains(**index));
            places.extend(wanted.take(ChannelFile::MAX_RECORDS).copied());
        }
        places.sort_unstable();
        places.truncate(ChannelFile::MAX_RECORDS);
        let records = places.iter().map(|index| Ok((*index, self.record_at(*index)?)));
        let records = records.collect::<Result<Vec<_>, Problem>>()?;
        let publish = self.newest(&records, Chain::Publish, size)?.ok_or(Problem::BeyondTree { size })?;
        let recovery = self.newest(&records, Chain::Recovery, size)?;
        let records = records.into_iter().map(|(_, record)| record).collect();
        let file = ChannelFile::new(records, publish, recovery, published.note().clone());
        Ok(file.map_err(Problem::ChannelFile)?.encode())
    }

    /// Where the records of a chain are, by `seq`.
    fn places_of(
        &self,
        channel: &ChannelName,
        chain: Chain,
        head: ChainHead,
    ) -> Result<Vec<LeafIndex>, Problem> {
        let key = (channel.clone(), chain);
        let places = || self.channel_files.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = places().get(&key).cloned().unwrap_or_default();
        let mut found = Vec::new();
        let mut next = Some(head);
        while let Some(ChainHead { seq, record }) = next
            && seq >= all.len() as u64
        {
            let (index, before) = self.find(&LookupKey::Record(record))?;
            found.push(index);
            next = before.map(|record| ChainHead { seq: seq.saturating_sub(1), record });
        }
        if found.is_empty() {
            return Ok(all);
        }
        all.extend(found.into_iter().rev());
        let mut places = places();
        let remembered: usize = places.values().map(Vec::len).sum();
        if remembered.saturating_add(all.len()) > MAX_REMEMBERED {
            places.clear();
        }
        places.insert(key, all.clone());
        Ok(all)
    }

    /// Where a record is, and the one before it on its chain.
    fn find(&self, wanted: &LookupKey) -> Result<(LeafIndex, Option<RecordId>), Problem> {
        let places = self.sequencer.index().places(wanted, LeafIndex::default(), 1);
        let places = places.map_err(|error| match error.passes() {
            true => Problem::IndexRebuilt,
            false => Problem::Index(error),
        })?;
        let found = places.found.into_iter().next();
        // The record is in the tree; an index that lacks it is being caught up.
        let (index, record) = found.ok_or(Problem::IndexRebuilt)?;
        let record = match record {
            Some(record) => record,
            None => self.record_at(index)?,
        };
        Ok((index, record.statement().predicate.common().prev))
    }

    fn record_at(&self, index: LeafIndex) -> Result<SignedRecord, Problem> {
        let tree = self.sequencer.tree();
        let beyond = Problem::BeyondTree { size: tree.signed_size() };
        let entry = tree.entry(index).map_err(Problem::Read)?.ok_or(beyond)?;
        SignedRecord::parse(entry.as_bytes()).map_err(Problem::Record)
    }

    fn newest(
        &self,
        records: &[(LeafIndex, SignedRecord)],
        chain: Chain,
        size: TreeSize,
    ) -> Result<Option<NewestProof>, Problem> {
        let of_chain = |record: &SignedRecord| record.statement().predicate.common().chain == chain;
        let newest = records.iter().rev().find(|(_, record)| of_chain(record));
        newest
            .map(|(index, _)| {
                let proof = self.sequencer.tree().inclusion(*index, size).map_err(Problem::Read)?;
                Ok(NewestProof { index: *index, proof })
            })
            .transpose()
    }
}
