//! Settings of connections: how many, from whom, and for how long.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use indelible_client::listen::{Limits, Needs, Net, PerClient, TooFewDescriptors};
use serde::{Deserialize, Deserializer};

use super::{Config, nonzero};
use crate::http::clients;

/// Files that a log itself has open at most: runs of the index, at most 16 on each of six levels and as many again
/// while readers still use those that were merged; sled, the journal, tiles that are written, and the runtime.
const OWN_FILES: usize = 224;
/// For each place that is asked: a connection that is kept, and a new one or the look-up of its name.
const FILES_A_PLACE: usize = 2;
/// Requests that may each read a tile or a bundle from its file at the same time: as many as the runtime has threads
/// for blocking work.
const READS_AT_ONCE: usize = 512;

/// Limits of connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Connections served at once, if the limit of open files allows as many. For one more the one is closed that has
    /// waited for its client for longest.
    pub max_connections: NonZeroU32,
    /// Connections of one client at once; further ones are answered 429. 0 for no limit.
    pub max_connections_per_client: u32,
    /// Proxies that are believed what they append to `X-Forwarded-For`, as addresses or nets.
    #[serde(deserialize_with = "nets")]
    pub trusted_proxies: Vec<Net>,
    /// Seconds a client has to send a request's head; also how long an idle connection is kept.
    pub header_timeout_s: NonZeroU64,
    /// Seconds a client has to send a request's body.
    pub body_timeout_s: NonZeroU64,
    /// Seconds a client may take none of the answer before it is cut off.
    pub write_timeout_s: NonZeroU64,
    /// Seconds running requests get to end when the server is stopped.
    pub drain_s: u64,
}

impl Config {
    /// The bounds of the connections of a log with so many witnesses, no more than the process can have open.
    ///
    /// # Errors
    /// [`TooFewDescriptors`]
    pub(crate) fn connections(&self, witnesses: usize) -> Result<Limits, TooFewDescriptors> {
        let limits = self.http.limits();
        let places = witnesses + self.refuse.checkpoints.len();
        let needs = Needs { own: OWN_FILES + FILES_A_PLACE * places, with_file: READS_AT_ONCE };
        Ok(Limits { connections: needs.connections(limits.connections)?, ..limits })
    }
}

impl HttpConfig {
    /// The same as bounds of connections.
    fn limits(&self) -> Limits {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let exempt = clients::loopback().into_iter().chain(self.trusted_proxies.iter().copied());
        let per_client =
            PerClient { connections: count(self.max_connections_per_client), exempt: exempt.collect() };
        Limits {
            connections: count(self.max_connections.get()),
            per_client: (self.max_connections_per_client > 0).then_some(per_client),
            header: Duration::from_secs(self.header_timeout_s.get()),
            write: Duration::from_secs(self.write_timeout_s.get()),
            drain: Duration::from_secs(self.drain_s),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_connections: NonZeroU32::new(4096).expect("invariant: not zero"),
            max_connections_per_client: 256,
            trusted_proxies: Vec::new(),
            header_timeout_s: nonzero(10),
            body_timeout_s: nonzero(10),
            write_timeout_s: nonzero(10),
            drain_s: 5,
        }
    }
}

fn nets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Net>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}
