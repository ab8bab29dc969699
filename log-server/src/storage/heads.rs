//! The `heads` file: what a start needs besides tiles and journal.
//!
//! Written after each sync pass, replaced as a whole. It says up to which entry tiles and bundles are durable
//! (the integrated size, a multiple of 256), what every channel had come to there, and which tree head was
//! signed by then. Without it a start takes the integrated size from the journal and the channels from the
//! bundles. Integers are big-endian.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `IjHeads2` |
//! | 1 | kind of log: 1 records, 2 raw |
//! | 32 | SHA-256 of the log's origin |
//! | 8, 32 | integrated size and the root at that size |
//! | 8, 32 | size and root of the newest signed head |
//! | 8 | number of channels |
//! | | for each channel: 4 bytes length, then its state as `ChannelState` writes it |
//! | 32 | SHA-256 of everything above |

use std::path::Path;
use std::sync::Arc;

use bytes::BufMut as _;
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::record::ChannelState;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::TreeHead;
use indelible_proto::wire::Reader;

use crate::journal::Identity;
use crate::kind::LogKind;
use crate::storage::{DiskError, Storage};

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "heads";
/// Largest file read, in bytes: a million channels of 1 KiB.
const MAX_BYTES: usize = 1 << 30;
const MAGIC: [u8; 8] = *b"IjHeads2";

/// A snapshot of a log at an integrated size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// The tree whose tiles and bundles are durable; its size is a multiple of 256.
    pub(crate) integrated: TreeHead,
    /// The newest signed head when the snapshot was taken.
    pub(crate) signed: TreeHead,
    /// Every channel at the integrated size.
    pub(crate) channels: Vec<Arc<ChannelState>>,
}

impl Heads {
    /// Replaces the file; on disk when the call returns.
    pub(crate) fn store(
        &self,
        storage: &Storage,
        data_dir: &Path,
        identity: Identity,
    ) -> Result<(), DiskError> {
        storage.replace(&data_dir.join(FILE), &self.encode(identity))
    }

    /// The stored snapshot; `None` if there is none, or none that is whole and of this log.
    pub(crate) fn load(
        storage: &Storage,
        data_dir: &Path,
        identity: Identity,
    ) -> Result<Option<Self>, DiskError> {
        let Some(bytes) = storage.read_at_most(&data_dir.join(FILE), MAX_BYTES)? else {
            return Ok(None);
        };
        let heads = Self::parse(&bytes, identity);
        if heads.is_none() {
            tracing::warn!(file = FILE, "the snapshot is damaged and is made again");
        }
        Ok(heads)
    }

    fn encode(&self, identity: Identity) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_slice(&MAGIC);
        out.put_u8(identity.kind.as_byte());
        out.put_slice(identity.origin_hash.as_bytes());
        for head in [self.integrated, self.signed] {
            out.put_u64(head.size.get());
            out.put_slice(head.root.as_bytes());
        }
        out.put_u64(self.channels.len() as u64);
        for channel in &self.channels {
            let text = channel.encode();
            out.put_u32(u32::try_from(text.len()).expect("invariant: a channel's state is at most 40 KiB"));
            out.put_slice(text.as_bytes());
        }
        let hash = sha256(&out);
        out.put_slice(hash.as_bytes());
        out
    }

    /// The snapshot in these bytes; `None` if they are none of this log.
    pub(crate) fn parse(bytes: &[u8], identity: Identity) -> Option<Self> {
        let (covered, hash) = bytes.split_at_checked(bytes.len().checked_sub(Hash::LEN)?)?;
        if sha256(covered).as_bytes() != hash {
            return None;
        }
        let mut reader = Reader::new(covered);
        if reader.array().ok()? != MAGIC {
            return None;
        }
        let [kind] = reader.array().ok()?;
        let kind = LogKind::from_byte(kind)?;
        if (Identity { kind, origin_hash: reader.hash().ok()? }) != identity {
            return None;
        }
        let integrated = read_head(&mut reader)?;
        let signed = read_head(&mut reader)?;
        let count = reader.u64().ok()?;
        let mut channels = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(reader.u32().ok()?).ok()?;
            channels.push(Arc::new(ChannelState::parse(reader.take(length).ok()?).ok()?));
        }
        reader.finish().ok()?;
        Some(Self { integrated, signed, channels })
    }
}

fn read_head(reader: &mut Reader<'_>) -> Option<TreeHead> {
    Some(TreeHead { size: TreeSize::new(reader.u64().ok()?).ok()?, root: reader.hash().ok()? })
}
