//! Which places a log's checkpoints, tiles and entries are looked at.

use indelible_proto::checkpoint::{CheckpointError, Origin};
use indelible_proto::policy::Policy;
use indelible_proto::witness_api::checkpoint_path;

use super::event::{Role, Vantage};
use crate::fetch::{CHECKPOINT_PATH, Source};
use crate::http::HttpClient;
use crate::log_client::LogClient;

/// One place where a checkpoint is looked at.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose place it is.
    pub vantage: Vantage,
    /// Where to read.
    pub source: Source,
    /// Path of the checkpoint there.
    pub path: String,
}

/// All places of one log.
#[derive(Clone, Debug)]
pub struct Places {
    /// The log.
    pub origin: Origin,
    /// The log's own place.
    pub log: Place,
    /// All others, witnesses first.
    pub others: Vec<Place>,
}

/// Why no places follow from a policy and a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacesError {
    /// The policy names no log.
    #[error("the policy names no log")]
    NoLog,
    /// No log of the policy has a URL, and none was given.
    #[error("the policy has no URL for its log")]
    NoUrl,
    /// A place was given for the log, and the policy names several.
    #[error("the policy names {logs} logs, so it is unclear which one this URL is of")]
    Ambiguous {
        /// How many logs it names.
        logs: usize,
    },
    /// A log's name cannot be an origin.
    #[error(transparent)]
    Origin(#[from] CheckpointError),
}

impl PlacesError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLog => "policy-no-log",
            Self::NoUrl => "policy-no-log-url",
            Self::Ambiguous { .. } => "policy-several-logs",
            Self::Origin(error) => error.code(),
        }
    }
}

impl Places {
    /// The places of every log of the policy that can be reached: the log (at `log`, if the policy has just
    /// one), the witnesses that have URLs in the policy, and `sources`.
    ///
    /// # Errors
    /// [`PlacesError`].
    pub fn of_policy(
        policy: &Policy,
        log: Option<&Source>,
        sources: &[Source],
        client: &HttpClient,
    ) -> Result<Vec<Self>, PlacesError> {
        match policy.logs().len() {
            0 => return Err(PlacesError::NoLog),
            logs if logs > 1 && log.is_some() => return Err(PlacesError::Ambiguous { logs }),
            _ => {}
        }
        let mut all = Vec::new();
        for known in policy.logs() {
            let url = known.url.as_deref().map(|url| Source::http(url, client));
            let Some(source) = log.cloned().or(url) else {
                continue;
            };
            let origin = Origin::parse(known.key.name().as_str())?;
            let witnesses = policy.witnesses().iter().filter_map(|witness| {
                let source = Source::http(witness.url.as_deref()?, client);
                let label = format!("witness {} ({source})", witness.name);
                let path = checkpoint_path(&origin).trim_start_matches('/').to_owned();
                Some(Place { vantage: Vantage { role: Role::Witness, label }, source, path })
            });
            let elsewhere = sources.iter().map(|source| Place::newest(Role::Elsewhere, source.clone()));
            let others = witnesses.chain(elsewhere).collect();
            all.push(Self { log: Place::newest(Role::Log, source), others, origin });
        }
        if all.is_empty() { Err(PlacesError::NoUrl) } else { Ok(all) }
    }

    /// Where to ask for the tree of a checkpoint seen at `from`: the place itself if it can have one, then
    /// the log, then every other place that can.
    pub fn with_tiles(&self, from: &Vantage) -> impl Iterator<Item = (Vantage, LogClient)> {
        let can = |place: &&Place| place.vantage.role != Role::Witness && place.source.may_have_tiles();
        let own = self.others.iter().filter(can).filter(|place| place.vantage == *from);
        let rest = self.others.iter().filter(can).filter(|place| place.vantage != *from);
        own.chain([&self.log]).chain(rest).map(|place| (place.vantage.clone(), place.client()))
    }
}

impl Place {
    fn newest(role: Role, source: Source) -> Self {
        let path = CHECKPOINT_PATH.to_owned();
        Self { vantage: Vantage { role, label: source.to_string() }, source, path }
    }

    /// Reads tiles and entries at this place.
    pub fn client(&self) -> LogClient {
        LogClient::new(self.source.clone())
    }
}
