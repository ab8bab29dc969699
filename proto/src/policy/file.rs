//! Reading a policy file. Names are opaque octets here, as the specification wants them: no Unicode table
//! decides what a policy means.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::quorum::Quorum;
use super::{MAX_ITEMS, MAX_POLICY_BYTES, Policy, PolicyLog, PolicyWitness};
use crate::checkpoint::{CheckpointError, Origin};
use crate::hash::sha256;
use crate::note::{KeyError, KeyKind, VerifierKey};
use crate::wire::{Reader, parse_decimal, parse_utf8};

/// Why a policy file was refused, and at which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {kind}")]
pub struct PolicyFileError {
    /// The line, counted from one; the line after the last for what is missing in the whole file.
    pub line: usize,
    /// What was wrong there.
    pub kind: PolicyFileErrorKind,
}

impl PolicyFileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

/// What was wrong with a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileErrorKind {
    /// Longer than [`MAX_POLICY_BYTES`].
    #[error("policy of {got} bytes, at most {MAX_POLICY_BYTES} are allowed")]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// The last line has no newline.
    #[error("line without a newline at its end")]
    UnterminatedLine,
    /// A control character other than tab and newline.
    #[error("control character")]
    ControlCharacter,
    /// A line that starts with none of the four words.
    #[error("line starts with none of log, witness, group, quorum")]
    UnknownKeyword,
    /// Too few items on a line, or too many.
    #[error("wrong number of items")]
    ItemCount,
    /// A key that cannot be read, or one of the wrong kind.
    #[error("key refused: {0}")]
    Key(KeyError),
    /// A vkey that is not UTF-8.
    #[error("key is not UTF-8")]
    KeyNotUtf8,
    /// A log's key name that cannot be an origin.
    #[error("key name cannot be an origin: {0}")]
    Origin(CheckpointError),
    /// The public key of another log line.
    #[error("a log with the same public key")]
    DuplicateLog,
    /// The public key of another witness line.
    #[error("a witness with the same public key")]
    DuplicateWitness,
    /// A name already given to a witness or group, or the reserved `none`.
    #[error("name is already taken")]
    DuplicateName,
    /// A threshold that is not `all`, `any` or a number from 1 to the number of members.
    #[error("threshold is not all, any or a number from 1 to {members}")]
    Threshold {
        /// How many members the group has.
        members: usize,
    },
    /// A group without members.
    #[error("group without members")]
    EmptyGroup,
    /// `none` as a member.
    #[error("none cannot be a member")]
    NoneAsMember,
    /// A name that no line before this one defines.
    #[error("name not defined before this line")]
    UndefinedName,
    /// A name that is already a member, of this group or of another.
    #[error("already a member of a group")]
    RepeatedMember,
    /// A second quorum line.
    #[error("second quorum line")]
    SecondQuorum,
    /// No quorum line.
    #[error("no quorum line")]
    NoQuorum,
    /// More lines of one kind than [`MAX_ITEMS`].
    #[error("more than {MAX_ITEMS} lines of this kind")]
    TooManyItems,
}

impl PolicyFileErrorKind {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "policy-too-long",
            Self::UnterminatedLine => "line-unterminated",
            Self::ControlCharacter => "control-character",
            Self::UnknownKeyword => "policy-unknown-keyword",
            Self::ItemCount => "policy-item-count",
            Self::Key(error) => error.code(),
            Self::KeyNotUtf8 => "not-utf8",
            Self::Origin(error) => error.code(),
            Self::DuplicateLog => "policy-duplicate-log",
            Self::DuplicateWitness => "policy-duplicate-witness",
            Self::DuplicateName => "policy-duplicate-name",
            Self::Threshold { .. } => "policy-threshold",
            Self::EmptyGroup => "policy-empty-group",
            Self::NoneAsMember => "policy-none-as-member",
            Self::UndefinedName => "policy-undefined-name",
            Self::RepeatedMember => "policy-repeated-member",
            Self::SecondQuorum => "policy-second-quorum",
            Self::NoQuorum => "policy-no-quorum",
            Self::TooManyItems => "policy-too-many-items",
        }
    }
}

use PolicyFileErrorKind as Kind;

const NONE: &[u8] = b"none";

pub(super) fn parse(bytes: &[u8]) -> Result<Policy, PolicyFileError> {
    if bytes.len() > MAX_POLICY_BYTES {
        return Err(PolicyFileError { line: 1, kind: Kind::TooLong { got: bytes.len() } });
    }
    let mut builder = Builder::default();
    let mut reader = Reader::new(bytes);
    let mut line = 1usize;
    while !reader.is_empty() {
        let read = reader.line().map_err(|_| Kind::UnterminatedLine);
        read.and_then(|text| builder.line(text)).map_err(|kind| PolicyFileError { line, kind })?;
        line = line.saturating_add(1);
    }
    let quorum = builder.quorum.ok_or(PolicyFileError { line, kind: Kind::NoQuorum })?;
    Ok(Policy { logs: builder.logs, witnesses: builder.witnesses, quorum, fingerprint: sha256(bytes) })
}

/// What the lines read so far define. `'a` is the file.
#[derive(Default)]
struct Builder<'a> {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: usize,
    /// Witnesses and groups by name.
    names: BTreeMap<&'a [u8], Quorum>,
    /// Names that are members of some group.
    members: BTreeSet<&'a [u8]>,
    quorum: Option<Quorum>,
}

impl<'a> Builder<'a> {
    fn line(&mut self, line: &'a [u8]) -> Result<(), Kind> {
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(Kind::ControlCharacter);
        }
        let mut items = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|item| !item.is_empty());
        let Some(keyword) = items.next() else { return Ok(()) };
        if keyword.starts_with(b"#") {
            return Ok(());
        }
        let items: Vec<&[u8]> = items.collect();
        match keyword {
            b"log" => self.log(&items),
            b"witness" => self.witness(&items),
            b"group" => self.group(&items),
            b"quorum" => self.quorum(&items),
            _ => Err(Kind::UnknownKeyword),
        }
    }

    fn log(&mut self, items: &[&'a [u8]]) -> Result<(), Kind> {
        let (key, url) = match items {
            [key] => (key, None),
            [key, url] => (key, Some(readable(url))),
            _ => return Err(Kind::ItemCount),
        };
        let key = parse_key(key)?;
        key.require_of_log().map_err(Kind::Key)?;
        Origin::parse(key.name().as_str()).map_err(Kind::Origin)?;
        if self.logs.iter().any(|log| log.key.public_key_bytes() == key.public_key_bytes()) {
            return Err(Kind::DuplicateLog);
        }
        check_room(self.logs.len())?;
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn witness(&mut self, items: &[&'a [u8]]) -> Result<(), Kind> {
        let (name, key, url) = match items {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(readable(url))),
            _ => return Err(Kind::ItemCount),
        };
        let key = parse_key(key)?;
        key.kind().require(KeyKind::Cosigner).map_err(Kind::Key)?;
        if self.witnesses.iter().any(|known| known.key.public_key_bytes() == key.public_key_bytes()) {
            return Err(Kind::DuplicateWitness);
        }
        let place = self.witnesses.len();
        check_room(place)?;
        self.define(name, Quorum::Witness(place))?;
        self.witnesses.push(PolicyWitness { name: readable(name), key, url });
        Ok(())
    }

    fn group(&mut self, items: &[&'a [u8]]) -> Result<(), Kind> {
        let [name, threshold, names @ ..] = items else { return Err(Kind::ItemCount) };
        if names.is_empty() {
            return Err(Kind::EmptyGroup);
        }
        let threshold = parse_threshold(threshold, names.len())?;
        check_room(self.groups)?;
        self.groups = self.groups.saturating_add(1);
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            if *member == NONE {
                return Err(Kind::NoneAsMember);
            }
            let rule = self.names.get(member).ok_or(Kind::UndefinedName)?;
            if !self.members.insert(member) {
                return Err(Kind::RepeatedMember);
            }
            members.push(rule.clone());
        }
        self.define(name, Quorum::Group { threshold, members })
    }

    fn quorum(&mut self, items: &[&'a [u8]]) -> Result<(), Kind> {
        let [name] = items else { return Err(Kind::ItemCount) };
        if self.quorum.is_some() {
            return Err(Kind::SecondQuorum);
        }
        self.quorum = Some(match self.names.get(name) {
            Some(rule) => rule.clone(),
            None if *name == NONE => Quorum::None,
            None => return Err(Kind::UndefinedName),
        });
        Ok(())
    }

    fn define(&mut self, name: &'a [u8], rule: Quorum) -> Result<(), Kind> {
        if name == NONE || self.names.contains_key(name) {
            return Err(Kind::DuplicateName);
        }
        self.names.insert(name, rule);
        Ok(())
    }
}

fn parse_key(item: &[u8]) -> Result<VerifierKey, Kind> {
    let text = parse_utf8(item).map_err(|_| Kind::KeyNotUtf8)?;
    VerifierKey::parse(text).map_err(Kind::Key)
}

fn parse_threshold(item: &[u8], members: usize) -> Result<usize, Kind> {
    match item {
        b"all" => Ok(members),
        b"any" => Ok(1),
        number => {
            let threshold = parse_decimal(number).ok().and_then(|k| usize::try_from(k).ok());
            let in_range = threshold.filter(|k| (1..=members).contains(k));
            in_range.ok_or(Kind::Threshold { members })
        }
    }
}

fn check_room(count: usize) -> Result<(), Kind> {
    if count < MAX_ITEMS { Ok(()) } else { Err(Kind::TooManyItems) }
}

/// Octets as text; those that are not UTF-8 as `\xNN`, so that nothing is lost.
pub(super) fn readable(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("invariant: writing to a string does not fail");
        }
    }
    text
}

#[cfg(test)]
mod tests;
