//! Other places that may have checkpoints of this log: addresses in the settings, asked at start and again and
//! again while the log runs. The policy's witnesses are asked by [`crate::cosign`], for the same reason.
//!
//! A checkpoint counts if this log's key signed it, whoever serves it. One that the stored log does not contain
//! means that the stored data is an old copy or another history: nothing may be signed. A source that serves
//! nothing of this log, or does not answer, says nothing; the settings name those that must answer.

use std::sync::Arc;
use std::time::Duration;

use indelible_client::http::{FetchError, HttpClient, Timeouts};
use indelible_proto::note::{MAX_NOTE_BYTES, NoteError, SignedNote};
use indelible_proto::policy::{Policy, PolicyError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::blocking::blocking;
use crate::chain::Chain;
use crate::config::RefuseConfig;
use crate::history::{FoundAt, HistoryError, check_part_of};
use crate::sequencer::SignedHead;
use crate::tree_reader::TreeReader;

/// How long one source may take. A start waits for the slowest.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A source that has not told what it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silent {
    /// The witness's name in the policy, or the address.
    pub source: String,
    /// What happened, in words.
    pub why: String,
}

/// Why a source's answer says nothing.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it serves no signed note: {0}")]
    Note(#[from] NoteError),
    #[error("it serves no checkpoint of this log: {0}")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    History(HistoryError),
}

/// The addresses of the settings.
#[derive(Debug)]
pub struct Sources {
    asker: Arc<Asker>,
    urls: Vec<String>,
    interval: Duration,
}

#[derive(Debug)]
struct Asker {
    policy: Arc<Policy>,
    tree: Arc<TreeReader>,
    signed: watch::Receiver<Arc<SignedHead>>,
    http: HttpClient,
}

impl Sources {
    /// The sources of these settings, asked with [`Sources::client`].
    pub fn new(
        config: &RefuseConfig,
        policy: Arc<Policy>,
        tree: Arc<TreeReader>,
        signed: watch::Receiver<Arc<SignedHead>>,
        http: HttpClient,
    ) -> Self {
        let asker = Arc::new(Asker { policy, tree, signed, http });
        let interval = Duration::from_secs(config.interval_s.get());
        Self { asker, urls: config.checkpoints.clone(), interval }
    }

    /// The client that asks them. It takes some time to make.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn client() -> Result<HttpClient, FetchError> {
        HttpClient::new(Timeouts { total: ANSWER_TIME, ..Timeouts::default() })
    }

    /// Asks every source once; which of them said nothing.
    ///
    /// # Errors
    /// [`HistoryError`] that refuses to sign, if one has a checkpoint the stored log does not contain.
    pub async fn compare(&self) -> Result<Vec<Silent>, HistoryError> {
        let mut asked = JoinSet::new();
        for url in self.urls.clone() {
            let asker = Arc::clone(&self.asker);
            asked.spawn(async move {
                let answer = asker.ask(&url).await;
                (url, answer)
            });
        }
        let mut silent = Vec::new();
        let mut outcome = Ok(());
        while let Some(joined) = asked.join_next().await {
            let Ok((source, answer)) = joined else { continue };
            match answer {
                Ok(()) => {}
                Err(SourceError::History(error)) if error.refuses_to_sign() => outcome = Err(error),
                Err(error) => silent.push(Silent { source, why: Chain(&error).to_string() }),
            }
        }
        outcome.map(|()| silent)
    }

    /// Asks again and again; ends only when the log must stop signing.
    pub async fn watch(&self) -> HistoryError {
        let mut silent = Vec::new();
        loop {
            if self.urls.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.interval).await;
            let before = silent;
            silent = match self.compare().await {
                Ok(silent) => silent,
                Err(error) => return error,
            };
            for Silent { source, why } in &silent {
                if !before.iter().any(|before: &Silent| before.source == *source) {
                    tracing::warn!(%source, %why, "cannot see what it has of this log, asking again");
                }
            }
        }
    }
}

impl Asker {
    async fn ask(&self, url: &str) -> Result<(), SourceError> {
        let note = SignedNote::parse(&self.http.get_limited(url, MAX_NOTE_BYTES).await?)?;
        let found = self.policy.verify_log_signature(&note)?.head();
        // Looked at only now: what the source has may have been signed while it was asked.
        let stored = self.signed.borrow().checkpoint.head();
        let (tree, found_at) = (Arc::clone(&self.tree), FoundAt::Url(url.to_owned()));
        blocking(move || check_part_of(&tree, &stored, &found, &found_at)).await.map_err(SourceError::History)
    }
}
