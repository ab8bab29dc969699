//! One segment's header and file. The layout is in the [module's](super) documentation.

use std::path::{Path, PathBuf};

use bytes::BufMut as _;
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::wire::Reader;

use super::record::Mark;
use super::{Damage, Identity};
use crate::kind::LogKind;

/// Length of the header in bytes: one page, so that writing the first record never touches it.
pub(super) const SEGMENT_HEADER_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"IjSegmnt";
const VERSION: u32 = 1;
/// The hash stands at the end of the header and covers everything before it.
const HASHED_BYTES: usize = SEGMENT_HEADER_BYTES - Hash::LEN;

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    /// Number of the segment, one more than its predecessor's; also its name.
    pub(super) generation: u64,
    /// Length of the file in bytes.
    pub(super) capacity: u64,
    /// Number of the first append in this segment.
    pub(super) first_append: u64,
    pub(super) mark: Mark,
    /// Hash of the last record before this segment; zeros in the first one.
    pub(super) previous: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.put_slice(&MAGIC);
        out.put_u32(VERSION);
        out.put_slice(&[self.identity.kind.as_byte(), 0, 0, 0]);
        out.put_u64(self.generation);
        out.put_u64(self.capacity);
        out.put_u64(self.first_append);
        out.put_slice(&self.mark);
        out.put_slice(self.identity.origin_hash.as_bytes());
        out.put_slice(self.previous.as_bytes());
        out.resize(HASHED_BYTES, 0);
        let hash = sha256(&out);
        out.put_slice(hash.as_bytes());
        out
    }

    /// The header at the start of a segment.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let (covered, rest) = bytes.split_at_checked(HASHED_BYTES).ok_or(Damage::Header)?;
        if rest.get(..Hash::LEN) != Some(sha256(covered).as_bytes().as_slice()) {
            return Err(Damage::Header);
        }
        Self::parse_covered(covered).ok_or(Damage::Version)
    }

    fn parse_covered(covered: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(covered);
        if reader.array().ok()? != MAGIC || reader.u32().ok()? != VERSION {
            return None;
        }
        let [kind, 0, 0, 0] = reader.array().ok()? else {
            return None;
        };
        let kind = LogKind::from_byte(kind)?;
        let generation = reader.u64().ok()?;
        let capacity = reader.u64().ok()?;
        let first_append = reader.u64().ok()?;
        let mark = reader.array().ok()?;
        let origin_hash = reader.hash().ok()?;
        let previous = reader.hash().ok()?;
        let identity = Identity { origin_hash, kind };
        Some(Self { identity, generation, capacity, first_append, mark, previous })
    }
}

/// The file of the segment with this generation.
pub(super) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{generation:016x}"))
}

/// The generation a file's name says; `None` for a name no segment has.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    let digits = name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits { u64::from_str_radix(name, 16).ok() } else { None }
}
