//! What one client trusts and asks for, in a file of its own: `client.toml`.
//!
//! TOML; only `policy` is required; an unknown key is refused. Paths are relative to the file. At most 64 KiB.
//! `docs/config/client.toml` has every key with its meaning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indelible_proto::hash::Hash;
use indelible_proto::record::body::ReviewKind;
use indelible_proto::record::{ChannelName, Platform, RecordId};
use indelible_proto::time::UnixSeconds;
use serde::Deserialize;

use crate::durable::{self, DurableError};
use crate::verify::Rules;
use crate::verify::rules::{Engine, ReviewRule, Unknown};

/// Largest file read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The longest grace, in seconds: 30 days. What lasts longer is another policy, not an exception.
pub const MAX_GRACE_S: u64 = 30 * 86_400;
/// The largest age that can be asked for, in seconds: 366 days, as in records.
const MAX_AGE_S: u64 = 366 * 86_400;

/// Why a client's file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] DurableError),
    /// Not UTF-8, not TOML, an unknown key, or a value of another type.
    #[error("{} is not a client's file", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// A value that is well-formed and can't be.
    #[error("{}: {key} is {got:?}, it must be {must}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Dotted name of the key.
        key: String,
        /// The refused value.
        got: String,
        /// What it must be.
        must: &'static str,
    },
}

impl ClientConfigError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "client-config-missing",
            Self::Read(error) => error.code(),
            Self::Parse { .. } => "client-config-parse",
            Self::Value { .. } => "client-config-value",
        }
    }
}

/// A checked `client.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The policy file.
    pub policy: PathBuf,
    /// The state directory; `None` leaves it to the program.
    pub state: Option<PathBuf>,
    /// The channels that count, each by its first record; empty leaves it to the program.
    pub channels: BTreeMap<ChannelName, RecordId>,
    /// Channel files to read besides what is remembered.
    pub channel_files: Vec<PathBuf>,
    /// What is asked for besides.
    pub rules: Rules,
    /// A written exception for a time.
    pub grace: Option<Grace>,
}

/// A written, time-boxed exception, for the days on which witnesses are down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grace {
    /// From when it counts.
    pub from: UnixSeconds,
    /// Up to when; at most [`MAX_GRACE_S`] after `from`.
    pub until: UnixSeconds,
    /// Why; shown each time it is used.
    pub reason: String,
    /// The oldest checkpoint that counts meanwhile, in seconds.
    pub max_age_s: Option<u64>,
    /// The policy that counts meanwhile where the other's quorum is missing.
    pub policy: Option<PathBuf>,
}

impl Grace {
    /// Whether the exception counts at this time.
    pub fn is_active(&self, now: UnixSeconds) -> bool {
        self.from <= now && now < self.until
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: PathBuf,
    state: Option<PathBuf>,
    max_age_s: Option<u64>,
    unknown: Option<UnknownWord>,
    #[serde(default)]
    cohorts: Vec<String>,
    platform: Option<String>,
    engine: Option<EngineTable>,
    #[serde(default)]
    channels: BTreeMap<String, String>,
    #[serde(default)]
    channel_files: Vec<PathBuf>,
    #[serde(default)]
    reviewers: Vec<ReviewersTable>,
    grace: Option<GraceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewersTable {
    kind: String,
    #[serde(default)]
    at_least: u64,
    #[serde(default)]
    of: BTreeMap<String, String>,
    #[serde(default)]
    no_fail_by: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownWord {
    Pass,
    Hold,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineTable {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GraceTable {
    from: String,
    until: String,
    reason: String,
    max_age_s: Option<u64>,
    policy: Option<PathBuf>,
}

impl ClientConfig {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ClientConfigError`], naming the file and the key.
    pub fn load(path: &Path) -> Result<Self, ClientConfigError> {
        let bytes = durable::read(path, MAX_BYTES)?;
        let bytes = bytes.ok_or_else(|| ClientConfigError::Missing { path: path.to_owned() })?;
        let file: File = toml::from_slice(&bytes)
            .map_err(|source| ClientConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        Reader { path }.read(file)
    }
}

/// Checks values; knows the file for its errors and as what paths are relative to.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn read(&self, file: File) -> Result<ClientConfig, ClientConfigError> {
        let max_age_s = file.max_age_s.map(|s| self.age("max_age_s", s)).transpose()?;
        let cohorts = file.cohorts.iter().map(|text| {
            Hash::parse_hex(text)
                .ok_or_else(|| self.value("cohorts", text, "64 lower-case hexadecimal digits"))
        });
        let channels = self.channels("channels", &file.channels)?;
        let reviewers = file.reviewers.iter().map(|table| self.reviewers(table)).collect::<Result<_, _>>()?;
        let rules = Rules {
            max_age_s,
            platform: file.platform.map(|text| self.platform(&text)).transpose()?,
            engine: file.engine.map(|engine| Engine { name: engine.name, version: engine.version }),
            cohorts: cohorts.collect::<Result<_, _>>()?,
            unknown: match file.unknown {
                Some(UnknownWord::Hold) => Unknown::Hold,
                Some(UnknownWord::Pass) | None => Unknown::Pass,
            },
            reviewers,
        };
        Ok(ClientConfig {
            policy: self.relative(&file.policy),
            state: file.state.map(|state| self.relative(&state)),
            channels,
            channel_files: file.channel_files.iter().map(|path| self.relative(path)).collect(),
            rules,
            grace: file.grace.map(|grace| self.grace(grace)).transpose()?,
        })
    }

    /// Channels by name, each with the record that opened it.
    fn channels(
        &self,
        table: &str,
        named: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<ChannelName, RecordId>, ClientConfigError> {
        let channel = |(name, genesis): (&String, &String)| {
            let key = format!("{table}.{name}");
            let channel = ChannelName::parse(name);
            let channel = channel.map_err(|_| self.value(&key, name, "named by a channel's name"))?;
            let id = RecordId::parse(genesis);
            Ok((channel, id.ok_or_else(|| self.value(&key, genesis, "the record id of its first record"))?))
        };
        named.iter().map(channel).collect()
    }

    fn reviewers(&self, table: &ReviewersTable) -> Result<ReviewRule, ClientConfigError> {
        const KINDS: &str = "a kind of review, as docs/records.md has them";
        let kind = ReviewKind::parse(&table.kind);
        let kind = kind.ok_or_else(|| self.value("reviewers.kind", &table.kind, KINDS))?;
        let of = self.channels("reviewers.of", &table.of)?;
        let no_fail_by = self.channels("reviewers.no_fail_by", &table.no_fail_by)?;
        if let Some((name, _)) =
            of.iter().find(|(name, id)| no_fail_by.get(*name).is_some_and(|other| other != *id))
        {
            return Err(self.value("reviewers", name.as_str(), "opened by one record in both tables"));
        }
        if table.at_least > of.len() as u64 || (table.at_least == 0 && no_fail_by.is_empty()) {
            let must =
                "at most the number of channels in reviewers.of, and 1 at least where none is in no_fail_by";
            return Err(self.value("reviewers.at_least", &table.at_least.to_string(), must));
        }
        Ok(ReviewRule { kind, at_least: table.at_least, of, no_fail_by })
    }

    fn grace(&self, table: GraceTable) -> Result<Grace, ClientConfigError> {
        let time = |key, text: &str| {
            let time = UnixSeconds::parse_rfc3339(text);
            time.map_err(|_| self.value(key, text, "a time written YYYY-MM-DDThh:mm:ssZ"))
        };
        let (from, until) = (time("grace.from", &table.from)?, time("grace.until", &table.until)?);
        if until <= from || until.get() - from.get() > MAX_GRACE_S {
            return Err(self.value("grace.until", &table.until, "after grace.from, by 30 days at most"));
        }
        if table.reason.trim().is_empty() {
            return Err(self.value("grace.reason", &table.reason, "the reason in words"));
        }
        if table.max_age_s.is_none() && table.policy.is_none() {
            return Err(self.value("grace", "empty", "a max_age_s or a policy that counts meanwhile"));
        }
        let max_age_s = table.max_age_s.map(|s| self.age("grace.max_age_s", s)).transpose()?;
        let policy = table.policy.map(|path| self.relative(&path));
        Ok(Grace { from, until, reason: table.reason, max_age_s, policy })
    }

    fn platform(&self, text: &str) -> Result<Platform, ClientConfigError> {
        const MUST: &str = "os/architecture or os/architecture/variant in lower case, like linux/amd64";
        Platform::parse(text).map_err(|_| self.value("platform", text, MUST))
    }

    fn age(&self, key: &str, seconds: u64) -> Result<u64, ClientConfigError> {
        match seconds {
            1..=MAX_AGE_S => Ok(seconds),
            _ => Err(self.value(key, &seconds.to_string(), "1 to 31622400 seconds")),
        }
    }

    fn relative(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |dir| dir.join(path))
    }

    fn value(&self, key: &str, got: &str, must: &'static str) -> ClientConfigError {
        ClientConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            got: got.to_owned(),
            must,
        }
    }
}

#[cfg(test)]
mod tests;
