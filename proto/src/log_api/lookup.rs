//! Looking entries up by a hash: what a log is asked, and what it answers.
//!
//! | request | finds |
//! |---|---|
//! | `GET /lookup/leaf/<hash>` | the entry with this leaf hash |
//! | `GET /lookup/record/<hash>` | the record with this id |
//! | `GET /lookup/artifact/<hash>` | the records that name an artifact with this SHA-256 or `dirHash1` |
//!
//! A path may end in `/from/<index>`: only entries from there on count. The answer is a [`LookupAnswer`] with
//! status 200, or 404 and no entries. It is not signed: what it names becomes knowledge when the entry was
//! fetched and proved, and what it does not name may be in the log nevertheless.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Answer, AnswerError};
use crate::hash::Hash;
use crate::record::json::{self, ObjectBuilder, Value};
use crate::record::{ChannelName, RecordId, SignedRecord};
use crate::size::{LeafIndex, TreeSize};
use crate::wire::Reader;

/// What stands before what is looked up.
pub const LOOKUP_PATH_PREFIX: &str = "/lookup/";
/// Most entries in one answer; the rest is asked for with `from`.
pub const MAX_LOOKUP_ENTRIES: usize = 32;
/// The longest answer, in bytes: so many entries of the longest channel name.
pub const MAX_LOOKUP_BYTES: usize = 16 * 1024;

const FROM: &str = "/from/";

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKey {
    /// The leaf hash of an entry.
    Leaf(Hash),
    /// The id of a record.
    Record(RecordId),
    /// The digest of an artifact.
    Artifact(Hash),
}

impl LookupKey {
    /// The word in the path.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Leaf(_) => "leaf",
            Self::Record(_) => "record",
            Self::Artifact(_) => "artifact",
        }
    }

    /// The hash in the path.
    pub fn hash(&self) -> &Hash {
        match self {
            Self::Leaf(hash) | Self::Artifact(hash) => hash,
            Self::Record(id) => id.hash(),
        }
    }
}

/// A question about a log's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What the entries have.
    pub key: LookupKey,
    /// The first index that counts.
    pub from: LeafIndex,
}

impl Lookup {
    /// The question about the whole log.
    pub fn all(key: LookupKey) -> Self {
        Self { key, from: LeafIndex::default() }
    }

    /// The path of the question.
    pub fn path(&self) -> String {
        let (word, hash) = (self.key.word(), self.key.hash());
        match self.from.get() {
            0 => format!("{LOOKUP_PATH_PREFIX}{word}/{hash}"),
            from => format!("{LOOKUP_PATH_PREFIX}{word}/{hash}{FROM}{from}"),
        }
    }

    /// Reads exactly what [`Self::path`] writes.
    pub fn parse(path: &str) -> Result<Self, AnswerError> {
        const BAD: AnswerError = AnswerError::Field { field: "path" };
        let rest = path.strip_prefix(LOOKUP_PATH_PREFIX).ok_or(BAD)?;
        let (word, rest) = rest.split_once('/').ok_or(BAD)?;
        let (hash, from) = match rest.split_once(FROM) {
            Some((hash, from)) => (hash, Some(from)),
            None => (rest, None),
        };
        let hash = Hash::parse_hex(hash).ok_or(BAD)?;
        let key = match word {
            "leaf" => LookupKey::Leaf(hash),
            "record" => LookupKey::Record(RecordId::from_hash(hash)),
            "artifact" => LookupKey::Artifact(hash),
            _ => return Err(BAD),
        };
        let Some(from) = from else { return Ok(Self::all(key)) };
        let line = format!("{from}\n");
        let mut reader = Reader::new(line.as_bytes());
        let from = LeafIndex::new(reader.decimal_line()?).map_err(|_| BAD)?;
        reader.finish()?;
        // The beginning of the log has a path of its own.
        if from.get() == 0 { Err(BAD) } else { Ok(Self { key, from }) }
    }
}

/// One entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupEntry {
    /// Its place in the log.
    pub index: LeafIndex,
    /// What it is, in a log of records.
    pub record: Option<LookupRecord>,
}

/// What a found record says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// Its id.
    pub id: RecordId,
    /// Its channel.
    pub channel: ChannelName,
    /// Its place in the channel's chain.
    pub seq: u64,
}

impl LookupRecord {
    /// The same of a record.
    pub fn of(record: &SignedRecord) -> Self {
        let common = record.statement().predicate.common();
        Self { id: record.record_id(), channel: common.channel.clone(), seq: common.seq }
    }
}

/// What a log says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupAnswer {
    /// The entries found, in the order of the log, at most [`MAX_LOOKUP_ENTRIES`].
    pub entries: Vec<LookupEntry>,
    /// From where on there are more; `None` if these are all.
    pub next: Option<LeafIndex>,
    /// Up to which entry the log has looked. It says nothing about later ones.
    pub size: TreeSize,
}

impl LookupAnswer {
    /// The answer as JSON, `{"entries":[{"channel":…,"index":N,"record":…,"seq":N},…],"next":N,"size":N}`.
    pub fn encode(&self) -> String {
        let entries: Vec<Value> = self.entries.iter().map(LookupEntry::to_value).collect();
        ObjectBuilder::new()
            .with("entries", entries)
            .with_some("next", self.next.map(LeafIndex::get))
            .with("size", self.size.get())
            .build()
            .encode()
    }

    /// Reads exactly what [`Self::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        const BAD: AnswerError = AnswerError::Field { field: "entries" };
        Reader::with_limit(bytes, MAX_LOOKUP_BYTES)?;
        let mut answer = Answer::of("object", json::parse(bytes)?)?;
        let entries = match answer.optional("entries") {
            Some(Value::Array(entries)) if entries.len() <= MAX_LOOKUP_ENTRIES => entries,
            _ => return Err(BAD),
        };
        let entries = entries.into_iter().map(LookupEntry::from_value).collect::<Result<Vec<_>, _>>()?;
        if !entries.is_sorted_by(|earlier, later| earlier.index < later.index) {
            return Err(BAD);
        }
        let next = answer.optional("next").as_ref().map(index_of).transpose()?;
        // More than nothing can't be.
        if next.is_some_and(|next| entries.last().is_none_or(|last| next <= last.index)) {
            return Err(AnswerError::Field { field: "next" });
        }
        let size = answer.integer("size")?;
        let size = TreeSize::new(size).map_err(|_| AnswerError::Field { field: "size" })?;
        answer.finish()?;
        Ok(Self { entries, next, size })
    }
}

impl LookupEntry {
    fn to_value(&self) -> Value {
        let record = self.record.as_ref();
        ObjectBuilder::new()
            .with_some("channel", record.map(|record| record.channel.as_str()))
            .with("index", self.index.get())
            .with_some("record", record.map(|record| format!("{}", record.id)))
            .with_some("seq", record.map(|record| record.seq))
            .build()
    }

    fn from_value(value: Value) -> Result<Self, AnswerError> {
        let mut answer = Answer::of("entries", value)?;
        let index = answer.integer("index")?;
        let index = LeafIndex::new(index).map_err(|_| AnswerError::Field { field: "index" })?;
        let mut entry = Self { index, record: None };
        if !answer.is_empty() {
            entry.record = Some(LookupRecord {
                channel: ChannelName::parse(&answer.string("channel")?)?,
                id: answer.record_id("record")?,
                seq: answer.integer("seq")?,
            });
        }
        answer.finish()?;
        Ok(entry)
    }
}

fn index_of(value: &Value) -> Result<LeafIndex, AnswerError> {
    match value {
        Value::Integer(index) => LeafIndex::new(*index).map_err(|_| AnswerError::Field { field: "index" }),
        _ => Err(AnswerError::Field { field: "index" }),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::*;
    use crate::hash::sha256;

    fn index(index: u64) -> LeafIndex {
        LeafIndex::new(index).unwrap()
    }

    fn entry(at: u64, channel: &str) -> LookupEntry {
        let channel = ChannelName::parse(channel).unwrap();
        let record = LookupRecord { id: RecordId::from_hash(sha256(b"r")), channel, seq: 7 };
        LookupEntry { index: index(at), record: Some(record) }
    }

    fn answer() -> LookupAnswer {
        let raw = LookupEntry { index: index(4), record: None };
        let entries = vec![entry(3, "vendor.example/a"), raw];
        LookupAnswer { entries, next: Some(index(9)), size: TreeSize::new(12).unwrap() }
    }

    #[test]
    fn paths_are_read_as_they_are_written() {
        let hash = sha256(b"a");
        let keys =
            [LookupKey::Leaf(hash), LookupKey::Record(RecordId::from_hash(hash)), LookupKey::Artifact(hash)];
        for key in keys {
            for from in [0, 1, 1 << 40] {
                let lookup = Lookup { key, from: index(from) };
                assert_eq!(Lookup::parse(&lookup.path()), Ok(lookup));
            }
        }
    }

    #[test]
    fn other_paths_are_refused() {
        let hash = sha256(b"a").to_hex();
        let (short, upper) = (&hash[1..], hash.to_uppercase());
        let tails = [
            "/from/0",
            "/from/",
            "/from/+1",
            "/from/01",
            "/from/1/",
            "/from/1\n",
            "/from/-1",
            "/",
            "?from=1",
        ];
        let mut bad = vec![
            "/lookup/leaf/".to_string(),
            format!("/lookup/leaf/{short}"),
            format!("/lookup/leaf/{upper}"),
            format!("/lookup/leaves/{hash}"),
            format!("/lookup//{hash}"),
            format!("/lookup/{hash}"),
            format!("lookup/leaf/{hash}"),
            format!("/lookup/leaf/{hash}/from/9223372036854775808"),
        ];
        bad.extend(tails.iter().map(|tail| format!("/lookup/artifact/{hash}{tail}")));
        for path in bad {
            assert!(Lookup::parse(&path).is_err(), "{path}");
        }
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let none = LookupAnswer { entries: Vec::new(), next: None, size: TreeSize::ZERO };
        for answer in [answer(), none] {
            assert_eq!(LookupAnswer::parse(answer.encode().as_bytes()), Ok(answer));
        }
        let id = sha256(b"r").to_hex();
        let expected = format!(
            "{{\"entries\":[{{\"channel\":\"vendor.example/a\",\"index\":3,\"record\":\"{id}\",\"seq\":7}},\
             {{\"index\":4}}],\"next\":9,\"size\":12}}"
        );
        assert_eq!(answer().encode(), expected);
    }

    #[test]
    fn other_answers_are_refused() {
        let text = answer().encode();
        let changed = [
            ("\"next\":9", "\"next\":4"),
            ("\"size\":12", "\"size\":\"12\""),
            ("\"index\":4", "\"index\":3"),
            ("\"index\":4", "\"index\":4,\"seq\":1"),
            ("\"size\":12", "\"size\":12,\"then\":1"),
            ("\"seq\":7", "\"seq\":7 "),
        ];
        for (from, to) in changed {
            let text = text.replace(from, to);
            assert!(LookupAnswer::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(LookupAnswer::parse(b"{\"entries\":[],\"next\":1,\"size\":2}").is_err());
    }

    #[test]
    fn a_full_answer_fits_and_one_entry_more_is_refused() {
        let longest =
            format!("vendor.example/{}", ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join("/"));
        let channel = (1..=longest.len()).rev().find(|len| ChannelName::parse(&longest[..*len]).is_ok());
        let channel = &longest[..channel.unwrap()];
        let many = |count: usize| LookupAnswer {
            entries: (0..count as u64).map(|at| entry((1 << 52) + at, channel)).collect(),
            next: Some(index((1 << 53) - 1)),
            size: TreeSize::new((1 << 53) - 1).unwrap(),
        };
        let full = many(MAX_LOOKUP_ENTRIES);
        assert_eq!(LookupAnswer::parse(full.encode().as_bytes()), Ok(full));
        assert!(LookupAnswer::parse(many(MAX_LOOKUP_ENTRIES + 1).encode().as_bytes()).is_err());
    }
}
