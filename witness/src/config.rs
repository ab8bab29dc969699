//! The configuration file, `witness.toml`. Every key, its unit and its default are described in the
//! sample, `docs/config/witness.toml`, which is also what `init` writes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use indelible_client::durable::{self, DurableError};
use serde::Deserialize;

/// The sample configuration: all defaults, with comments.
pub const SAMPLE: &str = include_str!("../../docs/config/witness.toml");

/// What the file says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections served at one time.
    pub max_connections: usize,
    /// How long a client may take for the head, and for the body, of a request.
    pub request_timeout: Duration,
    /// How far ahead of everything signed before the clock is believed, in seconds.
    pub clock_lead_s: u64,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = durable::read(path, MAX_BYTES)?.ok_or(ConfigError::Missing)?;
        Self::parse(std::str::from_utf8(&bytes).map_err(|_| ConfigError::Utf8)?)
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Form`] for what is not TOML of known keys, [`ConfigError::Range`] for a value outside
    /// its range.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::Form(Box::new(error)))?;
        let max_connections = in_range("max_connections", file.max_connections, 100_000)?;
        let request_timeout_s = in_range("request_timeout_s", file.request_timeout_s, 300)?;
        let clock_lead_days = in_range("clock_lead_days", file.clock_lead_days, 3650)?;
        Ok(Self {
            listen: file.listen,
            max_connections: max_connections as usize,
            request_timeout: Duration::from_secs(request_timeout_s.into()),
            clock_lead_s: u64::from(clock_lead_days) * SECONDS_A_DAY,
        })
    }
}

/// The text of a configuration that listens on `listen` and is otherwise the sample.
pub fn sample_listening_on(listen: SocketAddr) -> String {
    let line = |address: SocketAddr| format!("\nlisten = \"{address}\"\n");
    SAMPLE.replacen(&line(default_listen()), &line(listen), 1)
}

/// Where a witness listens unless told otherwise.
pub fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8100))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: SocketAddr,
    max_connections: u32,
    request_timeout_s: u32,
    clock_lead_days: u32,
}

impl Default for File {
    fn default() -> Self {
        let listen = default_listen();
        Self { listen, max_connections: 1024, request_timeout_s: 10, clock_lead_days: 366 }
    }
}

fn in_range(key: &'static str, got: u32, max: u32) -> Result<u32, ConfigError> {
    if (1..=max).contains(&got) { Ok(got) } else { Err(ConfigError::Range { key, got, max }) }
}

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
const MAX_BYTES: usize = 64 * 1024;

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such file.
    #[error("there is no configuration; is this a witness's directory?")]
    Missing,
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] DurableError),
    /// Not text.
    #[error("configuration is not UTF-8")]
    Utf8,
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("configuration is not in form")]
    Form(#[source] Box<toml::de::Error>),
    /// A value outside its range.
    #[error("{key} = {got}, allowed is 1 to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        got: u32,
        /// The largest value allowed.
        max: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_says_what_the_defaults_are() {
        assert_eq!(Config::parse(SAMPLE).unwrap(), Config::parse("").unwrap());
        let keys = SAMPLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        assert_eq!(keys, 4, "the sample names every key");
    }

    #[test]
    fn the_address_given_at_init_replaces_the_samples() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let text = sample_listening_on(address);
        assert_eq!(Config::parse(&text).unwrap().listen, address);
        assert_eq!(text.lines().count(), SAMPLE.lines().count());
    }

    #[test]
    fn refuses_unknown_keys_and_values_out_of_range() {
        for text in ["lisen = \"127.0.0.1:1\"", "listen = 5", "listen", "[log]\nx = 1"] {
            assert!(matches!(Config::parse(text), Err(ConfigError::Form(_))), "{text}");
        }
        for key in ["max_connections", "request_timeout_s", "clock_lead_days"] {
            for value in ["0", "4000000"] {
                let text = format!("{key} = {value}");
                assert!(matches!(Config::parse(&text), Err(ConfigError::Range { .. })), "{text}");
            }
        }
    }
}
