//! The marker file: that the state was initialised, for which key, when, and which logs it must hold.
//!
//! ```text
//! indelible witness state 1
//! key <vkey of the witness>
//! created <seconds since 1970>
//! logs <how many follow>
//! <origin hash>                 (each log ever registered, ascending)
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use indelible_client::durable;
use indelible_proto::hash::Hash;
use indelible_proto::note::VerifierKey;
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::{DecodeError, Reader, parse_decimal, parse_utf8};

use super::StoreError;

/// The content of the marker file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    key: VerifierKey,
    created: UnixSeconds,
    logs: BTreeSet<String>,
}

impl Marker {
    pub(super) fn new(key: VerifierKey, created: UnixSeconds) -> Self {
        Self { key, created, logs: BTreeSet::new() }
    }

    /// Reads the marker of the witness with key `own`.
    pub(super) fn load(path: &Path, own: &VerifierKey) -> Result<Self, StoreError> {
        let bytes = durable::read(path, MAX_BYTES)?
            .ok_or_else(|| StoreError::damaged(path, "the marker of an initialised state is missing"))?;
        let marker =
            Self::parse(&bytes).ok_or_else(|| StoreError::damaged(path, "not the marker of a state"))?;
        if marker.key != *own {
            return Err(StoreError::damaged(path, "the state is another witness key's"));
        }
        Ok(marker)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let marker = Self::read(bytes).ok().flatten()?;
        // One spelling only; it also settles that the logs ascend and are as many as it says.
        (marker.encode().as_bytes() == bytes).then_some(marker)
    }

    fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.expect_line(FIRST_LINE)?;
        let key = parse_utf8(reader.line_after("key")?).ok().and_then(|text| VerifierKey::parse(text).ok());
        let created = parse_decimal(reader.line_after("created")?).ok();
        let created = created.and_then(|seconds| UnixSeconds::new(seconds).ok());
        // Their number, so that no truncation is another right marker.
        reader.line_after("logs")?;
        let mut logs = BTreeSet::new();
        while !reader.is_empty() {
            let line = parse_utf8(reader.line()?).unwrap_or_default();
            let Some(hash) = Hash::parse_hex(line) else { return Ok(None) };
            logs.insert(hash.to_hex());
        }
        Ok(key.zip(created).map(|(key, created)| Self { key, created, logs }))
    }

    pub(super) fn encode(&self) -> String {
        let (created, count) = (self.created.get(), self.logs.len());
        let mut text = format!("{FIRST_LINE}\nkey {}\ncreated {created}\nlogs {count}\n", self.key);
        for hex in &self.logs {
            text.push_str(hex);
            text.push('\n');
        }
        text
    }

    pub(super) fn created(&self) -> UnixSeconds {
        self.created
    }

    pub(super) fn has(&self, hex: &str) -> bool {
        self.logs.contains(hex)
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = &str> {
        self.logs.iter().map(String::as_str)
    }

    /// The marker with these logs registered too.
    pub(super) fn with(&self, hexes: Vec<String>) -> Self {
        let mut grown = self.clone();
        grown.logs.extend(hexes);
        grown
    }
}

const FIRST_LINE: &str = "indelible witness state 1";

/// Longest marker in bytes: more than 250,000 logs.
const MAX_BYTES: usize = 16 * 1024 * 1024;
