//! The logs a witness knows, and the file that lists them.
//!
//! One line a log, in the order they were added:
//!
//! ```text
//! <vkey of the log> <origin>
//! ```
//!
//! The origin is the rest of the line, spaces included. The list only grows: a log is never given another
//! key, because the witness could not tell the owner of the new key from a thief of the name. Nothing here
//! says what was cosigned; that is the state's part.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use indelible_proto::checkpoint::{CheckpointError, Origin};
use indelible_proto::note::{KeyError, KeyName, VerifierKey};

/// Longest list in bytes: more than 40,000 logs with long names.
pub const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;

/// A log whose checkpoints may be cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    origin: Origin,
    key: VerifierKey,
}

impl KnownLog {
    /// The log with this origin and key.
    ///
    /// # Errors
    /// [`LogsError::Key`] if the key is not a log's.
    pub fn new(origin: Origin, key: VerifierKey) -> Result<Self, LogsError> {
        key.require_of_log()?;
        Ok(Self { origin, key })
    }

    /// The log's name in its checkpoints.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that signs the log's checkpoints; its name may differ from the origin.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }
}

/// All known logs, one for an origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownLogs {
    by_origin: BTreeMap<Origin, KnownLog>,
}

/// What adding a log changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// The log is new.
    New,
    /// The same log with the same key was known already.
    Known,
}

impl KnownLogs {
    /// Reads the list of a witness named `witness`.
    ///
    /// # Errors
    /// [`LogsError::Line`] with the number of the first line that is not right.
    pub fn parse(text: &str, witness: &KeyName) -> Result<Self, LogsError> {
        let mut logs = Self::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let added = Self::parse_line(line).and_then(|log| logs.add(log, witness));
            match added {
                Ok(Addition::New) => {}
                Ok(Addition::Known) => return Err(LogsError::at(index, LogsError::Twice)),
                Err(error) => return Err(LogsError::at(index, error)),
            }
        }
        Ok(logs)
    }

    fn parse_line(line: &str) -> Result<KnownLog, LogsError> {
        let line = line.strip_suffix('\n').ok_or(LogsError::Form)?;
        let (key, origin) = line.split_once(' ').ok_or(LogsError::Form)?;
        KnownLog::new(Origin::parse(origin)?, VerifierKey::parse(key)?)
    }

    /// The line of `log` in the list.
    pub fn line(log: &KnownLog) -> String {
        format!("{} {}\n", log.key, log.origin)
    }

    /// Adds a log to those of a witness named `witness`.
    ///
    /// # Errors
    /// [`LogsError::OtherKey`] if the origin is known with another key; [`LogsError::OwnName`] if the log
    /// calls itself as the witness does, so that its lines would look like the witness's.
    pub fn add(&mut self, log: KnownLog, witness: &KeyName) -> Result<Addition, LogsError> {
        if log.origin.as_str() == witness.as_str() || log.key.name() == witness {
            return Err(LogsError::OwnName);
        }
        match self.by_origin.entry(log.origin.clone()) {
            Entry::Vacant(place) => {
                place.insert(log);
                Ok(Addition::New)
            }
            Entry::Occupied(known) if known.get().key == log.key => Ok(Addition::Known),
            Entry::Occupied(_) => Err(LogsError::OtherKey),
        }
    }

    /// The log with this origin.
    pub fn find(&self, origin: &Origin) -> Option<&KnownLog> {
        self.by_origin.get(origin)
    }

    /// All logs, ordered by origin.
    pub fn iter(&self) -> impl Iterator<Item = &KnownLog> {
        self.by_origin.values()
    }

    /// How many logs are known.
    pub fn len(&self) -> usize {
        self.by_origin.len()
    }

    /// Whether no log is known.
    pub fn is_empty(&self) -> bool {
        self.by_origin.is_empty()
    }

    /// Checks that `newer` has every log of `self`, with its key.
    ///
    /// # Errors
    /// [`LogsError::Removed`] or [`LogsError::OtherKey`].
    pub fn check_grows_to(&self, newer: &Self) -> Result<(), LogsError> {
        for log in self.iter() {
            match newer.find(&log.origin) {
                None => return Err(LogsError::Removed),
                Some(found) if found != log => return Err(LogsError::OtherKey),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Why a log or a list of logs was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// Line `number` is not right.
    #[error("line {number} of the list of logs")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong there.
        source: Box<LogsError>,
    },
    /// Not a vkey, a space and an origin.
    #[error("not a log's vkey, a space and its origin")]
    Form,
    /// The key is not one, or not a log's.
    #[error("bad log key")]
    Key(#[from] KeyError),
    /// The origin is not one.
    #[error("bad origin")]
    Origin(#[from] CheckpointError),
    /// The origin is listed twice.
    #[error("the log is listed twice")]
    Twice,
    /// The origin is known with another key; a log's key is never changed.
    #[error("the log is known with another key, and a log's key is never changed")]
    OtherKey,
    /// The log bears the witness's name.
    #[error("the log bears the witness's own name")]
    OwnName,
    /// A log that is known would be forgotten.
    #[error("a known log is missing from the new list")]
    Removed,
}

impl LogsError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Line { source, .. } => source.code(),
            Self::Form => "logs-form",
            Self::Key(error) => error.code(),
            Self::Origin(error) => error.code(),
            Self::Twice => "logs-twice",
            Self::OtherKey => "logs-other-key",
            Self::OwnName => "logs-own-name",
            Self::Removed => "logs-removed",
        }
    }

    fn at(index: usize, source: Self) -> Self {
        Self::Line { number: index.saturating_add(1), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use indelible_proto::note::KeyKind;
    use indelible_proto::sign::SecretKey;

    use super::*;

    fn key(kind: KeyKind, name: &str, seed: u8) -> VerifierKey {
        SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32]).verifier().clone()
    }

    fn witness() -> KeyName {
        KeyName::parse("witness.example/w").unwrap()
    }

    fn log(origin: &str, seed: u8) -> KnownLog {
        KnownLog::new(Origin::parse(origin).unwrap(), key(KeyKind::Log, "key.example", seed)).unwrap()
    }

    fn code(text: &str) -> Result<usize, &'static str> {
        KnownLogs::parse(text, &witness()).map(|logs| logs.len()).map_err(|error| error.code())
    }

    #[test]
    fn reads_back_the_lines_it_writes() {
        let lines =
            [log("a.example/log", 1), log("an origin with  spaces", 2)].map(|log| KnownLogs::line(&log));
        let logs = KnownLogs::parse(&lines.concat(), &witness()).unwrap();
        assert_eq!(
            logs.iter().cloned().collect::<Vec<_>>(),
            [log("a.example/log", 1), log("an origin with  spaces", 2)]
        );
        assert_eq!(code(""), Ok(0));
    }

    #[test]
    fn refuses_lists_that_are_not_in_form() {
        let good = KnownLogs::line(&log("a", 1));
        assert_eq!(code(good.trim_end()), Err("logs-form"));
        assert_eq!(code(&format!("{good}\n")), Err("logs-form"));
        assert_eq!(code(&good.replace('\n', "\r\n")), Err("control-character"));
        assert_eq!(code(&format!("{good}{good}")), Err("logs-twice"));
        assert_eq!(code(&good.replace(" a", " ")), Err("origin-empty"));
        let other = KnownLogs::line(&log("a", 2));
        assert_eq!(code(&format!("{good}{other}")), Err("logs-other-key"));
        let error = KnownLogs::parse(&format!("{good}{other}"), &witness()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 of the list of logs");
    }

    #[test]
    fn refuses_keys_that_are_not_a_logs() {
        for kind in [KeyKind::Cosigner, KeyKind::Record] {
            let error = KnownLog::new(Origin::parse("a").unwrap(), key(kind, "a", 1)).unwrap_err();
            assert_eq!(error.code(), "key-wrong-kind");
        }
        let ml_dsa = SecretKey::ml_dsa_from_seed(KeyName::parse("a").unwrap(), [1; 32]).unwrap();
        assert!(KnownLog::new(Origin::parse("a").unwrap(), ml_dsa.verifier().clone()).is_ok());
    }

    #[test]
    fn refuses_a_log_named_as_the_witness() {
        let mut logs = KnownLogs::default();
        assert_eq!(logs.add(log("witness.example/w", 1), &witness()), Err(LogsError::OwnName));
        let named =
            KnownLog::new(Origin::parse("a").unwrap(), key(KeyKind::Log, "witness.example/w", 1)).unwrap();
        assert_eq!(logs.add(named, &witness()), Err(LogsError::OwnName));
    }

    #[test]
    fn a_list_only_grows() {
        let (one, two) = (KnownLogs::line(&log("a", 1)), KnownLogs::line(&log("b", 1)));
        let parse = |text: &str| KnownLogs::parse(text, &witness()).unwrap();
        let both = parse(&format!("{one}{two}"));
        assert_eq!(parse(&one).check_grows_to(&both), Ok(()));
        assert_eq!(both.check_grows_to(&parse(&one)), Err(LogsError::Removed));
        let changed = parse(&KnownLogs::line(&log("a", 2)));
        assert_eq!(parse(&one).check_grows_to(&changed), Err(LogsError::OtherKey));
    }
}
