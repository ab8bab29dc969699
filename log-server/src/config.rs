//! The settings of one log, `DIR/log.toml`.
//!
//! TOML; every key is optional except `origin` and `kind`, an unknown key is refused, and so is a zero where
//! zero would mean "never" or "nothing". The file is written once by `init`, with every key and its meaning
//! ([`Config::render`]), and only read afterwards. Checking that `origin` and `kind` fit the stored log is not
//! done here but when the log is opened.

mod connections;
mod index;
mod refuse;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indelible_client::durable::{self, DurableError};
use indelible_client::listen::Net;
use indelible_proto::checkpoint::Origin;
use indelible_proto::sign::CheckpointSigner;
use serde::Deserialize;

use crate::http::clients::Rates;
use crate::kind::LogKind;
use crate::openers::{Openers, OwnerError};
use crate::sequencer::{CoreSettings, System};
use crate::space::StorageConfig;
pub use connections::HttpConfig;
pub use index::IndexConfig;
pub use refuse::{MAX_CHECKPOINT_URLS, RefuseConfig};

/// Name of the settings file in a log's directory.
pub const CONFIG_FILE: &str = "log.toml";
/// Name of the signing key's file, mode 0600.
pub const KEY_FILE: &str = "log.key";
/// Name of the file with the public key as a verifier key.
pub const VERIFIER_KEY_FILE: &str = "log.vkey";
/// Name of the policy file: this log, its witnesses and their quorum. The same file is what clients get.
pub const POLICY_FILE: &str = "policy.txt";
/// Name of the directory with everything the log stores.
pub const DATA_DIR: &str = "data";

/// Where `run` listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7380);

/// Largest settings file read, in bytes. The file `init` writes has under 5 KiB.
const CONFIG_MAX_BYTES: usize = 64 * 1024;

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such file.
    #[error("{} is missing; `indelible-server init` makes a log", path.display())]
    Missing {
        /// The settings file.
        path: PathBuf,
    },
    /// The file can't be read or is too large.
    #[error("cannot read the settings")]
    Read(#[source] DurableError),
    /// The file is not UTF-8.
    #[error("{} is not text in UTF-8", path.display())]
    NotText {
        /// The settings file.
        path: PathBuf,
    },
    /// Not the TOML this log reads, for example an unknown key.
    #[error("{} is not a valid settings file", path.display())]
    Parse {
        /// The settings file.
        path: PathBuf,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// A domain under `channels.owners` that is none, or whose keys are none.
    #[error("channels.owners.{domain:?}: {source}")]
    Owner {
        /// The domain.
        domain: String,
        /// What is wrong.
        source: OwnerError,
    },
    /// Not an address that can be asked.
    #[error("{key} has {got:?}, which is not an http:// or https:// address without a query")]
    Url {
        /// Dotted name of the key.
        key: &'static str,
        /// The refused value.
        got: String,
    },
    /// A value that is well-formed but outside its range.
    #[error("{key} is {got}, it must be {range}")]
    Range {
        /// Dotted name of the key.
        key: &'static str,
        /// The refused value.
        got: u64,
        /// The range in words.
        range: &'static str,
    },
}

impl ConfigError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "config-missing",
            Self::Read(_) => "config-read",
            Self::NotText { .. } => "config-not-utf8",
            Self::Parse { .. } => "config-parse",
            Self::Url { .. } => "config-url",
            Self::Owner { .. } => "config-channel-owner",
            Self::Range { .. } => "config-range",
        }
    }
}

/// The settings file, as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The log's identity: first line of its checkpoints and name of its key. Fixed when the log was made.
    pub origin: String,
    /// What the log stores. Fixed when the log was made.
    pub kind: LogKind,
    /// Address and port to listen on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Limits of submissions.
    #[serde(default)]
    pub submit: SubmitConfig,
    /// Limits of connections.
    #[serde(default)]
    pub http: HttpConfig,
    /// How cosignatures are collected.
    #[serde(default)]
    pub cosign: CosignConfig,
    /// How much room must be left.
    #[serde(default)]
    pub storage: StorageConfig,
    /// What of the index is in memory.
    #[serde(default)]
    pub index: IndexConfig,
    /// What is compared before the log signs.
    #[serde(default)]
    pub refuse: RefuseConfig,
    /// Who may open channels.
    #[serde(default)]
    pub channels: ChannelsConfig,
}

/// Limits of submissions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmitConfig {
    /// Seconds a submitter waits for the witnessed proof before it is told to ask again.
    pub wait_s: u64,
    /// Entries that may wait to be sequenced; more are answered 503.
    pub queue_entries: NonZeroUsize,
    /// Bytes of entries that may wait to be sequenced; more are answered 503.
    pub queue_bytes: NonZeroUsize,
    /// Entries that may be sequenced but not yet published; beyond it submissions are answered 503.
    pub max_unpublished_entries: NonZeroU64,
    /// Entries a second from one client, over ten seconds; more are answered 429. 0 for no limit.
    pub client_entries_per_s: u64,
    /// Bytes a second from one client; as above.
    pub client_bytes_per_s: u64,
}

impl SubmitConfig {
    /// The steady rates of one client.
    pub fn rates(&self) -> Rates {
        Rates { entries_per_s: self.client_entries_per_s, bytes_per_s: self.client_bytes_per_s }
    }
}

/// Who may open channels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelsConfig {
    /// Whether anyone may open a channel of a domain that `owners` does not name.
    pub open: bool,
    /// For each domain the keys, one of which has to sign the record that opens a channel.
    pub owners: BTreeMap<String, Vec<String>>,
}

impl ChannelsConfig {
    fn openers(&self) -> Result<Openers, ConfigError> {
        let openers = Openers::new(self.open, &self.owners);
        openers.map_err(|(domain, source)| ConfigError::Owner { domain, source })
    }
}

/// How cosignatures are collected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosignConfig {
    /// Seconds a checkpoint is pinned while its quorum is missing, before a newer one takes its place.
    pub deadline_s: NonZeroU64,
    /// Seconds a witness has to answer one request.
    pub request_timeout_s: NonZeroU64,
    /// Seconds after which an unchanged tree is cosigned again.
    pub refresh_interval_s: NonZeroU64,
    /// Seconds between two requests to one witness, at least; 0 for no limit.
    pub min_interval_s: u64,
    /// The same for single witnesses, by the name the policy gives them.
    pub witness_min_interval_s: BTreeMap<String, u64>,
}

impl Config {
    /// Settings of a new log, with the defaults.
    pub fn new(origin: String, kind: LogKind, listen: SocketAddr) -> Self {
        Self {
            origin,
            kind,
            listen,
            submit: SubmitConfig::default(),
            http: HttpConfig::default(),
            cosign: CosignConfig::default(),
            storage: StorageConfig::default(),
            index: IndexConfig::default(),
            refuse: RefuseConfig::default(),
            channels: ChannelsConfig::default(),
        }
    }

    /// Reads `DIR/log.toml`.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(CONFIG_FILE);
        let bytes = match durable::read(&path, CONFIG_MAX_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(ConfigError::Missing { path }),
            Err(source) => return Err(ConfigError::Read(source)),
        };
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotText { path: path.clone() })?;
        Self::parse(&text, &path)
    }

    /// Reads settings from `text`; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// The settings file with every key and its meaning.
    pub fn render(&self) -> String {
        let mut text = format!(
            r#"# Settings of one Indelible log. Durations are in seconds. Restart the server after a change.

# The log's identity and what it stores ("records" or "raw"). Fixed when the log was made: never change them.
origin = {origin}
kind = {kind}

# Address and port to listen on. Put a TLS-terminating proxy before it to serve the Internet.
listen = {listen}

[submit]
# How long a submitter waits for its witnessed proof before it gets "202, ask again".
wait_s = {wait_s}
# Entries, and bytes of entries, that may wait to be sequenced. Beyond either: 503 with Retry-After.
queue_entries = {queue_entries}
queue_bytes = {queue_bytes}
# Entries that may be sequenced but not yet published, for example while witnesses are down. Beyond it: 503.
max_unpublished_entries = {max_unpublished_entries}
# Entries, and bytes, that one client (an IPv4 address or an IPv6 /64) may submit a second. Ten seconds' worth
# may come at once. Beyond either: 429 with Retry-After. 0: no limit. This machine itself is not limited.
client_entries_per_s = {client_entries_per_s}
client_bytes_per_s = {client_bytes_per_s}

[http]
# Connections served at once, or as many as the limit of open files allows (LimitNOFILE= in the unit; the log warns).
# For one more the one is closed that has waited for its client for longest; none that is being answered.
max_connections = {max_connections}
# Connections of one client at once. Further ones get 429. 0: no limit.
max_connections_per_client = {max_connections_per_client}
# Addresses or nets of proxies before this server. Whom these name at the end of X-Forwarded-For is the client,
# and they may have any number of connections. Anybody else's X-Forwarded-For is ignored.
trusted_proxies = {trusted_proxies}
# How long a client may take to send a request's head, which is also how long an idle connection is kept.
header_timeout_s = {header_timeout_s}
# How long a client may take to send a request's body.
body_timeout_s = {body_timeout_s}
# How long a client may take none of an answer before the connection is cut.
write_timeout_s = {write_timeout_s}
# How long running requests may go on after the server was told to stop.
drain_s = {drain_s}

[storage]
# MiB free on the file system of the data below which the log warns, in its own log and on /healthz.
warn_free_mib = {warn_free_mib}
# MiB below which submissions are answered 503 until there is room again. Reads go on. A start needs about 40.
min_free_mib = {min_free_mib}

[index]
# Entries whose keys are in memory, the newest: 11 to 22 bytes each, as the log grows. Older ones are looked up in
# files. 512 to 67108864.
memory_entries = {memory_entries}

[cosign]
# How long one checkpoint is offered to the witnesses while its quorum is missing, before a newer one is.
deadline_s = {deadline_s}
# How long a witness may take to answer one request.
request_timeout_s = {request_timeout_s}
# How often a tree that does not grow is cosigned again, so that clients see it is fresh.
refresh_interval_s = {refresh_interval_s}
# The least time between two requests to one witness. 0: no limit.
min_interval_s = {min_interval_s}

[refuse]
# Before it signs, the log compares its data with its published checkpoint and with what its witnesses hold. If any
# of them has a newer or another checkpoint signed by this log, the data is an old copy, and it refuses (exit code 3).
# More places to look at: addresses of checkpoints, for example of mirrors. They are looked at again while it runs.
checkpoints = {checkpoints}
# Which of these addresses, and of the witnesses by their names in policy.txt, must have answered before it signs. An
# old copy that is started while none of them can be reached signs a second history, unless one of them must answer.
# With none, an outage of others never keeps a healthy log from starting; with enough witnesses that the rest is no
# quorum, no outage lets an old copy sign.
must_answer = {must_answer}
# How long it waits at its start for those that must answer.
wait_s = {refuse_wait_s}
# How often each of the addresses is looked at while it runs.
interval_s = {refuse_interval_s}

# cosign.min_interval_s for single witnesses with a quota of their own, by their names in policy.txt.
[cosign.witness_min_interval_s]
"#,
            origin = toml::Value::from(self.origin.as_str()),
            kind = toml::Value::from(self.kind.to_string()),
            listen = toml::Value::from(self.listen.to_string()),
            wait_s = self.submit.wait_s,
            queue_entries = self.submit.queue_entries,
            queue_bytes = self.submit.queue_bytes,
            max_unpublished_entries = self.submit.max_unpublished_entries,
            client_entries_per_s = self.submit.client_entries_per_s,
            client_bytes_per_s = self.submit.client_bytes_per_s,
            max_connections = self.http.max_connections,
            max_connections_per_client = self.http.max_connections_per_client,
            trusted_proxies =
                toml::Value::from(self.http.trusted_proxies.iter().map(Net::to_string).collect::<Vec<_>>()),
            header_timeout_s = self.http.header_timeout_s,
            body_timeout_s = self.http.body_timeout_s,
            write_timeout_s = self.http.write_timeout_s,
            drain_s = self.http.drain_s,
            warn_free_mib = self.storage.warn_free_mib,
            min_free_mib = self.storage.min_free_mib,
            memory_entries = self.index.memory_entries,
            deadline_s = self.cosign.deadline_s,
            request_timeout_s = self.cosign.request_timeout_s,
            refresh_interval_s = self.cosign.refresh_interval_s,
            min_interval_s = self.cosign.min_interval_s,
            checkpoints = toml::Value::from(self.refuse.checkpoints.clone()),
            must_answer = toml::Value::from(self.refuse.must_answer.clone()),
            refuse_wait_s = self.refuse.wait_s,
            refuse_interval_s = self.refuse.interval_s,
        );
        for (name, seconds) in &self.cosign.witness_min_interval_s {
            text.push_str(&format!("{} = {seconds}\n", toml::Value::from(name.as_str())));
        }
        text.push_str(&format!(
            r#"
[channels]
# Whether anyone may open a channel of a domain that is not listed below. The domain is the first label of the
# channel's name. Only opening is asked about; what follows is decided by the channel's own keys.
open = {}

# Domains and their owners' keys, as verifier keys. One of a domain's keys has to sign what opens its channels:
# "vendor.example" = ["vendor.example/publish+…"]
[channels.owners]
"#,
            self.channels.open
        ));
        for (domain, keys) in &self.channels.owners {
            let keys: Vec<toml::Value> = keys.iter().map(|key| key.as_str().into()).collect();
            text.push_str(&format!("{} = {}\n", toml::Value::from(domain.as_str()), toml::Value::from(keys)));
        }
        text
    }

    /// What the sequencer of the log in `dir` needs to know.
    pub fn core_settings(&self, dir: &Path, origin: Origin, signer: CheckpointSigner) -> CoreSettings {
        // Checked when the settings were read. Settings made in code with owners that are none open nothing.
        let openers = self.channels.openers().unwrap_or_else(|_| Openers::nobody());
        CoreSettings {
            openers,
            data_dir: dir.join(DATA_DIR),
            origin,
            kind: self.kind,
            signer,
            queue_entries: self.submit.queue_entries.get(),
            queue_bytes: self.submit.queue_bytes.get(),
            index_memory_entries: self.index.memory_entries,
            system: System::real(),
        }
    }

    /// Waits beyond this make no sense for a server and could overflow a deadline.
    fn check(&self) -> Result<(), ConfigError> {
        self.channels.openers()?;
        const MAX_SECONDS: u64 = 7 * 24 * 3600;
        let durations = [
            ("submit.wait_s", self.submit.wait_s),
            ("http.header_timeout_s", self.http.header_timeout_s.get()),
            ("http.body_timeout_s", self.http.body_timeout_s.get()),
            ("http.write_timeout_s", self.http.write_timeout_s.get()),
            ("http.drain_s", self.http.drain_s),
            ("cosign.deadline_s", self.cosign.deadline_s.get()),
            ("cosign.request_timeout_s", self.cosign.request_timeout_s.get()),
            ("cosign.refresh_interval_s", self.cosign.refresh_interval_s.get()),
            ("cosign.min_interval_s", self.cosign.min_interval_s),
            ("refuse.wait_s", self.refuse.wait_s),
            ("refuse.interval_s", self.refuse.interval_s.get()),
        ];
        let named = self.cosign.witness_min_interval_s.values();
        let named = named.map(|seconds| ("cosign.witness_min_interval_s", *seconds));
        match durations.into_iter().chain(named).find(|(_, seconds)| *seconds > MAX_SECONDS) {
            Some((key, got)) => Err(ConfigError::Range { key, got, range: "at most 604800, one week" }),
            None => self.index.check().and_then(|()| self.refuse.check()),
        }
    }
}

impl CosignConfig {
    /// The least time between two requests to the witness with this name in the policy.
    pub fn min_interval(&self, witness: &str) -> Duration {
        let seconds = self.witness_min_interval_s.get(witness).copied().unwrap_or(self.min_interval_s);
        Duration::from_secs(seconds)
    }
}

impl Default for ChannelsConfig {
    fn default() -> Self {
        Self { open: true, owners: BTreeMap::new() }
    }
}

impl Default for SubmitConfig {
    fn default() -> Self {
        Self {
            wait_s: 10,
            queue_entries: nonzero_usize(16_384),
            queue_bytes: nonzero_usize(64 * 1024 * 1024),
            max_unpublished_entries: nonzero(1_000_000),
            client_entries_per_s: 1_000,
            client_bytes_per_s: 4 * 1024 * 1024,
        }
    }
}

impl Default for CosignConfig {
    fn default() -> Self {
        Self {
            deadline_s: nonzero(30),
            request_timeout_s: nonzero(10),
            refresh_interval_s: nonzero(600),
            min_interval_s: 0,
            witness_min_interval_s: BTreeMap::new(),
        }
    }
}

fn default_listen() -> SocketAddr {
    DEFAULT_LISTEN
}

const fn nonzero(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).expect("invariant: the defaults are not zero")
}

const fn nonzero_usize(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("invariant: the defaults are not zero")
}

#[cfg(test)]
mod tests;
