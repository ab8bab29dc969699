//! Settings of connections: how many, from whom, and for how long.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use indelible_client::listen::{Limits, Net, PerClient};
use serde::{Deserialize, Deserializer};

use super::nonzero;
use crate::http::clients;

/// Limits of connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Connections served at once; further ones wait unaccepted.
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

impl HttpConfig {
    /// The same as bounds of connections.
    pub fn limits(&self) -> Limits {
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
