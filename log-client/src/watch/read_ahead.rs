//! Fetching entry bundles in order, a few of them ahead.

use std::collections::VecDeque;

use indelible_proto::entry_bundle::Entry;
use indelible_proto::size::TreeSize;
use tokio::task::{JoinHandle, spawn};

use crate::log_client::{BundleSpan, LogClient, ReadError, bundle_spans};

/// Bundles in flight. More would not make one log's disk or line faster, and each can have 16 MiB.
const BUNDLES_AHEAD: usize = 4;

/// Reads the entries of a log from one size to another.
pub(super) struct ReadAhead {
    client: LogClient,
    spans: Box<dyn Iterator<Item = BundleSpan> + Send>,
    fetching: VecDeque<JoinHandle<Result<Vec<Entry>, ReadError>>>,
    at: TreeSize,
    to: TreeSize,
}

impl ReadAhead {
    pub(super) fn new(client: LogClient, from: TreeSize, to: TreeSize) -> Self {
        let spans = Box::new(bundle_spans(from, to));
        Self { client, spans, fetching: VecDeque::new(), at: from, to }
    }

    /// Whether this stands where a reading from `from` to `to` would begin.
    pub(super) fn stands_at(&self, from: TreeSize, to: TreeSize) -> bool {
        self.at == from && self.to == to
    }

    /// The next entries, none after the last.
    pub(super) async fn next(&mut self) -> Result<Vec<Entry>, ReadError> {
        while self.fetching.len() < BUNDLES_AHEAD
            && let Some(span) = self.spans.next()
        {
            let client = self.client.clone();
            self.fetching.push_back(spawn(async move { client.entries(span).await }));
        }
        let Some(first) = self.fetching.pop_front() else {
            return Ok(Vec::new());
        };
        let entries = first.await.expect("invariant: fetching does not panic and is only aborted on drop")?;
        self.at = self.at.plus(entries.len() as u64).unwrap_or(TreeSize::MAX);
        Ok(entries)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.fetching.iter().for_each(JoinHandle::abort);
    }
}
