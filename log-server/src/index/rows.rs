//! What the entries are found by: the rows of the index, and which of them an entry has.
//!
//! Every entry has one row that keeps it from being logged twice: its record id in a log of records, its leaf
//! hash in a raw log. A record has more: its leaf hash, and each digest of the artifacts it names. A record
//! that opens or changes a channel names no artifact.

use indelible_proto::hash::{Hash, leaf_hash, sha256};
use indelible_proto::log_api::LookupKey;
use indelible_proto::record::{Predicate, SignedRecord};

use super::IndexError;
use crate::kind::LogKind;

/// In which list of the index a row is. The order is the one rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    /// The keys that keep entries from being logged twice.
    Once,
    /// The leaf hashes of records.
    Leaf,
    /// The digests of artifacts; several entries may have one.
    Artifact,
}

impl List {
    pub(super) const ALL: [Self; 3] = [Self::Once, Self::Leaf, Self::Artifact];

    /// The list as one byte in the database, in the same order.
    pub(super) fn as_byte(self) -> u8 {
        match self {
            Self::Once => 1,
            Self::Leaf => 2,
            Self::Artifact => 3,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.as_byte() == byte)
    }
}

/// One entry under one of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) list: List,
    pub(crate) key: Hash,
    pub(crate) index: u64,
}

/// The list that has what is looked up.
pub(super) fn list_of(wanted: &LookupKey, kind: LogKind) -> List {
    match (wanted, kind) {
        (LookupKey::Leaf(_), LogKind::Raw) | (LookupKey::Record(_), _) => List::Once,
        (LookupKey::Leaf(_), LogKind::Records) => List::Leaf,
        (LookupKey::Artifact(_), _) => List::Artifact,
    }
}

/// Whether this record is what was looked up: its bytes decide, not the index.
pub(super) fn has(record: &SignedRecord, leaf: &Hash, wanted: &LookupKey) -> bool {
    match wanted {
        LookupKey::Leaf(hash) => hash == leaf,
        LookupKey::Record(id) => *id == record.record_id(),
        LookupKey::Artifact(digest) => artifacts(record).any(|artifact| artifact == *digest),
    }
}

/// The record id of the record that is this entry: of what was signed, which goes to the first newline
/// (docs/records.md, section 1). `None` if it is no record.
pub(super) fn record_id(entry: &[u8]) -> Option<Hash> {
    let end = entry.iter().position(|byte| *byte == b'\n')?;
    Some(sha256(&entry[..end]))
}

/// The rows of the record at `index`, from the bytes of its entry.
pub(super) fn rows_of_record(entry: &[u8], index: u64) -> Result<Vec<Row>, IndexError> {
    let record = SignedRecord::parse(entry).map_err(|source| IndexError::Record { index, source })?;
    let mut rows = Vec::new();
    push_rows(*record.record_id().hash(), leaf_hash(entry), Some(&record), index, &mut rows);
    Ok(rows)
}

/// Adds the rows of the entry at `index`, each once: `key` keeps it from being logged twice, and in a log of records
/// it is this record, with this leaf hash.
pub(crate) fn push_rows(
    key: Hash,
    leaf: Hash,
    record: Option<&SignedRecord>,
    index: u64,
    rows: &mut Vec<Row>,
) {
    rows.push(Row { list: List::Once, key, index });
    let Some(record) = record else { return };
    rows.push(Row { list: List::Leaf, key: leaf, index });
    let mut artifacts: Vec<Hash> = artifacts(record).collect();
    artifacts.sort_unstable();
    artifacts.dedup();
    rows.extend(artifacts.into_iter().map(|key| Row { list: List::Artifact, key, index }));
}

/// The digests of the artifacts a record names.
fn artifacts(record: &SignedRecord) -> impl Iterator<Item = Hash> + '_ {
    let statement = record.statement();
    let subjects = match statement.predicate {
        Predicate::Channel(..) => &[][..],
        _ => &statement.subject,
    };
    subjects.iter().flat_map(|subject| [subject.sha256, subject.dir_hash1]).flatten()
}
