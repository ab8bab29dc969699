//! What the sequencer knows: the tree's edge and what every channel has come to; and one step of both.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use indelible_proto::hash::Hash;
use indelible_proto::record::{ChannelName, ChannelState};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, RightEdgeError, TileWidth};
use indelible_proto::tree::TreeHead;

use crate::storage::tiles::BUNDLE_ENTRIES;
use crate::tree_reader::{Edge, FullParts};

/// An entry that is about to be in the tree.
#[derive(Clone, Debug)]
pub(super) struct NewEntry {
    pub(super) leaf_hash: Hash,
    /// Bytes that it takes in its batch.
    pub(super) encoded_bytes: usize,
    /// In a log of records: the state of its channel after it.
    pub(super) channel: Option<Arc<ChannelState>>,
}

/// What a batch changes. Made without I/O, by the sequencer and by recovery alike.
#[derive(Debug)]
pub(super) struct Step {
    /// The edge after it.
    pub(super) edge: Arc<Edge>,
    /// The tiles and bundles that it makes full.
    pub(super) full: FullParts,
    /// The channels that move, in the order of the log.
    pub(super) moves: Vec<(LeafIndex, Arc<ChannelState>)>,
}

impl Step {
    /// The step from `edge` by these entries, which stand one after the other in `encoded`.
    pub(super) fn grow(
        edge: &Edge,
        encoded: &Bytes,
        entries: impl IntoIterator<Item = NewEntry>,
    ) -> Result<Self, RightEdgeError> {
        let (mut edge, mut full, mut moves) = (edge.clone(), FullParts::default(), Vec::new());
        // The piece of `encoded` that goes into the bundle that is being filled.
        let (mut start, mut end, mut count) = (0, 0, 0);
        for entry in entries {
            let index = edge.tiles.size().next_index();
            let tiles = edge.tiles.append(entry.leaf_hash)?;
            full.tiles.extend(tiles.into_iter().map(|(id, tile)| (id, Bytes::from(tile.encode()))));
            (end, count) = (end + entry.encoded_bytes, count + 1);
            if edge.bundle.entries() + count == BUNDLE_ENTRIES {
                let id = BundleId::new(bundle_of(index.get()), TileWidth::FULL);
                let id = id.expect("invariant: the tree has this bundle");
                let mut bundle = std::mem::take(&mut edge.bundle);
                bundle.push(encoded.slice(start..end), count);
                full.bundles.push((id, bundle.encoded()));
                (start, count) = (end, 0);
            }
            moves.extend(entry.channel.map(|channel| (index, channel)));
        }
        if count > 0 {
            edge.bundle.push(encoded.slice(start..end), count);
        }
        Ok(Self { edge: Arc::new(edge), full, moves })
    }

    pub(super) fn head(&self) -> TreeHead {
        self.edge.tiles.head()
    }
}

/// What every channel has come to, now and at the last full bundle.
#[derive(Debug, Default)]
pub(super) struct Channels {
    now: HashMap<ChannelName, Arc<ChannelState>>,
    /// The bundle that is being filled.
    bundle: u64,
    /// What channels were before each move since that bundle was begun, in order.
    before: Vec<(ChannelName, Option<Arc<ChannelState>>)>,
}

impl Channels {
    /// The channels of a log of `size` entries, all in full bundles.
    pub(super) fn new(channels: Vec<Arc<ChannelState>>, size: TreeSize) -> Self {
        let now = channels.into_iter().map(|channel| (channel.channel().clone(), channel)).collect();
        Self { now, bundle: bundle_of(size.get()), before: Vec::new() }
    }

    pub(super) fn get(&self, name: &ChannelName) -> Option<&Arc<ChannelState>> {
        self.now.get(name)
    }

    /// Makes the moves of a step after which the tree has `size` entries.
    pub(super) fn apply(&mut self, moves: Vec<(LeafIndex, Arc<ChannelState>)>, size: TreeSize) {
        for (index, channel) in moves {
            self.fill_bundle(bundle_of(index.get()));
            let before = self.now.insert(channel.channel().clone(), Arc::clone(&channel));
            self.before.push((channel.channel().clone(), before));
        }
        self.fill_bundle(bundle_of(size.get()));
    }

    fn fill_bundle(&mut self, bundle: u64) {
        if self.bundle != bundle {
            self.bundle = bundle;
            self.before.clear();
        }
    }

    /// The channels as they were when the last bundle became full.
    pub(super) fn at_last_full_bundle(&self) -> Vec<Arc<ChannelState>> {
        let mut then = self.now.clone();
        for (name, before) in self.before.iter().rev() {
            match before {
                Some(channel) => then.insert(name.clone(), Arc::clone(channel)),
                None => then.remove(name),
            };
        }
        then.into_values().collect()
    }
}

fn bundle_of(index: u64) -> u64 {
    index / BUNDLE_ENTRIES
}
