//! Reading the tree: tiles, bundles, entries and proofs, up to the newest signed and persisted size.
//!
//! Full tiles and bundles come from files, those at the right edge and those that wait to be written from
//! memory; an older partial one is the beginning of what replaced it. So whatever was served once is served
//! again with the same bytes. Every method may block on the disk; none waits for the sequencer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use indelible_proto::entry_bundle::{BundleError, Entry};
use indelible_proto::hash::Hash;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, RightEdge, Tile, TileError, TileId, TileSet, tiles_for};
use indelible_proto::tree::{
    ConsistencyError, ConsistencyPlan, ConsistencyProof, FrontierError, InclusionError, InclusionPlan,
    InclusionProof, NodeId, RootPlan, TreeHead,
};

use crate::storage::DiskError;
use crate::storage::entries::{self, PartialBundle};
pub use crate::storage::tiles::StoredError;
use crate::storage::tiles::TileFiles;

/// Most bytes of full tiles and bundles kept in memory unless told otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Why the tree can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A stored tile or bundle that the tree has is missing, damaged or unreadable.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The tree is smaller than what was asked about.
    #[error("the tree has {signed} signed entries, {asked} were asked for")]
    BeyondSigned {
        /// The size asked for.
        asked: TreeSize,
        /// The newest signed size.
        signed: TreeSize,
    },
    /// No such inclusion proof, for example of an index outside of the tree.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// No such consistency proof, for example from a larger tree to a smaller one.
    #[error(transparent)]
    Consistency(#[from] ConsistencyError),
    /// The tiles do not make up the tree.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The nodes do not make up the tree.
    #[error(transparent)]
    Frontier(#[from] FrontierError),
    /// The entries in memory are not what a log can have.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl ReadError {
    /// Whether what is stored is not the tree as it was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Stored(StoredError::Missing { .. } | StoredError::Damaged { .. })
            | Self::Tile(_)
            | Self::Frontier(_)
            | Self::Bundle(_) => true,
            Self::Stored(StoredError::Disk(_))
            | Self::BeyondSigned { .. }
            | Self::Inclusion(_)
            | Self::Consistency(_) => false,
        }
    }

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stored(error) => error.code(),
            Self::BeyondSigned { .. } => "beyond-signed",
            Self::Inclusion(error) => error.code(),
            Self::Consistency(error) => error.code(),
            Self::Tile(error) => error.code(),
            Self::Frontier(error) => error.code(),
            Self::Bundle(error) => error.code(),
        }
    }
}

/// The part of a tree that is not in full tiles and bundles.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// The partial tiles.
    pub(crate) tiles: RightEdge,
    /// The partial bundle.
    pub(crate) bundle: PartialBundle,
}

/// Tiles and bundles that have just become full, as they are stored.
#[derive(Debug, Default)]
pub(crate) struct FullParts {
    pub(crate) tiles: Vec<(TileId, Bytes)>,
    pub(crate) bundles: Vec<(BundleId, Bytes)>,
}

impl FullParts {
    /// Writes them into their files.
    pub(crate) fn write(&self, files: &TileFiles) -> Result<(), DiskError> {
        for (id, entries) in &self.bundles {
            files.put_bundle(*id, entries)?;
        }
        for (id, tile) in &self.tiles {
            files.put_tile(*id, tile)?;
        }
        Ok(())
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> usize {
        self.resources().map(|(_, bytes)| bytes.len()).sum()
    }

    fn resources(&self) -> impl Iterator<Item = (Resource, &Bytes)> {
        let bundles = self.bundles.iter().map(|(id, bytes)| (Resource::Bundle(*id), bytes));
        bundles.chain(self.tiles.iter().map(|(id, bytes)| (Resource::Tile(*id), bytes)))
    }
}

/// Where the bytes of a tile or bundle are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// In memory.
    Here(Bytes),
    /// In a file: reading it blocks.
    OnDisk,
    /// The tree has no such tile or bundle.
    Nowhere,
}

/// Reads one log's tree. Shared by everything that serves or proves.
#[derive(Debug)]
pub struct TreeReader {
    files: TileFiles,
    edge: RwLock<Arc<Edge>>,
    /// Full ones that may not be in their files yet.
    unwritten: RwLock<HashMap<Resource, Bytes>>,
    cache: RwLock<Cache>,
}

impl TreeReader {
    pub(crate) fn new(files: TileFiles, edge: Edge, cache_bytes: usize) -> Self {
        Self {
            files,
            edge: RwLock::new(Arc::new(edge)),
            unwritten: RwLock::default(),
            cache: RwLock::new(Cache { max_bytes: cache_bytes, ..Cache::default() }),
        }
    }

    /// Keeps these in memory until they are [released](Self::release), because their files are written later.
    pub(crate) fn hold(&self, parts: &FullParts) {
        let held = parts.resources().map(|(resource, bytes)| (resource, bytes.clone()));
        self.unwritten.write().unwrap_or_else(PoisonError::into_inner).extend(held);
    }

    /// Reads these from their files from now on: they are written.
    pub(crate) fn release(&self, parts: &FullParts) {
        let mut unwritten = self.unwritten.write().unwrap_or_else(PoisonError::into_inner);
        for (resource, _) in parts.resources() {
            unwritten.remove(&resource);
        }
    }

    /// Shows the tree with this edge from now on. Its full tiles and bundles are in their files or
    /// [held](Self::hold), and its head is signed and persisted.
    pub(crate) fn show(&self, edge: Arc<Edge>) {
        *self.edge.write().unwrap_or_else(PoisonError::into_inner) = edge;
    }

    /// The newest signed and persisted size. Nothing beyond it can be read.
    pub fn signed_size(&self) -> TreeSize {
        self.edge().tiles.size()
    }

    /// A tile's bytes; `None` if the tree has no such tile.
    ///
    /// # Errors
    /// [`ReadError::Stored`] if its file is missing or damaged.
    pub fn tile(&self, id: &TileId) -> Result<Option<Bytes>, ReadError> {
        match self.held_tile(id) {
            Held::Here(bytes) => Ok(Some(bytes)),
            Held::Nowhere => Ok(None),
            Held::OnDisk => Ok(Some(tile_prefix(&self.full_tile(id.full())?, id))),
        }
    }

    /// The same without waiting for the disk.
    pub fn held_tile(&self, id: &TileId) -> Held {
        let edge = self.edge();
        if !id.within(edge.tiles.size()) {
            return Held::Nowhere;
        }
        if id.full().within(edge.tiles.size()) {
            let full = self.at_hand(Resource::Tile(id.full()));
            return full.map_or(Held::OnDisk, |full| Held::Here(tile_prefix(&full, id)));
        }
        let hashes = edge.tiles.partial(id.level()).iter().take(usize::from(id.width().get()));
        Held::Here(hashes.flat_map(Hash::as_bytes).copied().collect())
    }

    /// A bundle's bytes; `None` if the log has no such bundle.
    ///
    /// # Errors
    /// [`ReadError::Stored`] if its file is missing or damaged.
    pub fn bundle(&self, id: &BundleId) -> Result<Option<Bytes>, ReadError> {
        match self.held_bundle(id) {
            Held::Here(bytes) => Ok(Some(bytes)),
            Held::Nowhere => Ok(None),
            Held::OnDisk => Ok(bundle_prefix(&self.full_bundle(id.full())?, id)),
        }
    }

    /// The same without waiting for the disk.
    pub fn held_bundle(&self, id: &BundleId) -> Held {
        let edge = self.edge();
        if !id.within(edge.tiles.size()) {
            return Held::Nowhere;
        }
        if id.full().within(edge.tiles.size()) {
            let full = self.at_hand(Resource::Bundle(id.full()));
            return full.and_then(|full| bundle_prefix(&full, id)).map_or(Held::OnDisk, Held::Here);
        }
        bundle_prefix(&edge.bundle.encoded(), id).map_or(Held::Nowhere, Held::Here)
    }

    /// The entry at an index; `None` if the log has none there.
    ///
    /// # Errors
    /// [`ReadError::Stored`] if its bundle's file is missing or damaged.
    pub fn entry(&self, index: LeafIndex) -> Result<Option<Entry>, ReadError> {
        let edge = self.edge();
        let Ok((id, position)) = BundleId::of_entry(index, edge.tiles.size()) else {
            return Ok(None);
        };
        if !id.width().is_full() {
            let entry = edge.bundle.entry(position).map_err(BundleError::from)?;
            return Ok(entry.map(|entry| Entry::new(entry.bytes().to_vec())).transpose()?);
        }
        let bundle = self.full_bundle(id)?;
        let entry = entries::split(&bundle).nth(position).transpose().map_err(BundleError::from)?;
        Ok(entry.map(|entry| Entry::new(entry.bytes().to_vec())).transpose()?)
    }

    /// The hash of the entry at an index, from the leaf tiles; `None` if the log has none there.
    ///
    /// # Errors
    /// [`ReadError::Stored`] if the tile's file is missing or damaged.
    pub fn leaf_hash(&self, index: LeafIndex) -> Result<Option<Hash>, ReadError> {
        let Ok((bundle, position)) = BundleId::of_entry(index, self.signed_size()) else {
            return Ok(None);
        };
        let Some(bytes) = self.tile(&bundle.leaf_tile())? else {
            return Ok(None);
        };
        let (hashes, _) = bytes.as_chunks::<{ Hash::LEN }>();
        Ok(hashes.get(position).copied().map(Hash::from_bytes))
    }

    /// The proof that the tree of `size` entries has the one at `index`.
    ///
    /// # Errors
    /// [`ReadError::BeyondSigned`] for a size that is not signed yet, [`ReadError::Inclusion`] for an index
    /// outside of it, [`ReadError::Stored`] if tiles are missing or damaged.
    pub fn inclusion(&self, index: LeafIndex, size: TreeSize) -> Result<InclusionProof, ReadError> {
        let plan = InclusionPlan::new(index, size)?;
        Ok(plan.finish(&self.nodes(plan.nodes(), size)?)?)
    }

    /// The proof that the tree of `old` entries is the beginning of the tree of `new` entries.
    ///
    /// # Errors
    /// [`ReadError::BeyondSigned`] for a size that is not signed yet, [`ReadError::Consistency`] if `old` is
    /// the larger one, [`ReadError::Stored`] if tiles are missing or damaged.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<ConsistencyProof, ReadError> {
        let plan = ConsistencyPlan::new(old, new)?;
        Ok(plan.finish(&self.nodes(plan.nodes(), new)?)?)
    }

    /// Size and root of the tree when it had `size` entries.
    ///
    /// # Errors
    /// [`ReadError::BeyondSigned`] for a size that is not signed yet, [`ReadError::Stored`] if tiles are
    /// missing or damaged.
    pub fn head(&self, size: TreeSize) -> Result<TreeHead, ReadError> {
        let plan = RootPlan::new(size);
        Ok(plan.finish(&self.nodes(plan.nodes(), size)?)?)
    }

    /// The hashes of these nodes of the tree of `size` entries, in order.
    pub(crate) fn nodes(&self, nodes: &[NodeId], size: TreeSize) -> Result<Vec<Hash>, ReadError> {
        let signed = self.signed_size();
        if size > signed {
            return Err(ReadError::BeyondSigned { asked: size, signed });
        }
        let mut tiles = TileSet::new(size);
        for id in tiles_for(nodes, size)? {
            let bytes = self.tile(&id)?.ok_or(ReadError::BeyondSigned { asked: size, signed })?;
            tiles.insert(id, Tile::parse(&id, &bytes)?)?;
        }
        Ok(tiles.nodes(nodes)?)
    }

    fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn full_tile(&self, id: TileId) -> Result<Bytes, StoredError> {
        self.cached(Resource::Tile(id), || self.files.tile(id))
    }

    fn full_bundle(&self, id: BundleId) -> Result<Bytes, StoredError> {
        self.cached(Resource::Bundle(id), || self.files.bundle(id))
    }

    fn cached(
        &self,
        resource: Resource,
        read: impl FnOnce() -> Result<Bytes, StoredError>,
    ) -> Result<Bytes, StoredError> {
        if let Some(bytes) = self.in_memory(resource) {
            return Ok(bytes);
        }
        let bytes = read()?;
        self.cache.write().unwrap_or_else(PoisonError::into_inner).insert(resource, bytes.clone());
        Ok(bytes)
    }

    /// From memory, this process's or the system's.
    fn at_hand(&self, resource: Resource) -> Option<Bytes> {
        if let Some(bytes) = self.in_memory(resource) {
            return Some(bytes);
        }
        let bytes = match resource {
            Resource::Tile(id) => self.files.tile_at_hand(id),
            Resource::Bundle(id) => self.files.bundle_at_hand(id),
        }?;
        self.cache.write().unwrap_or_else(PoisonError::into_inner).insert(resource, bytes.clone());
        Some(bytes)
    }

    fn in_memory(&self, resource: Resource) -> Option<Bytes> {
        let cached = self.cache.read().unwrap_or_else(PoisonError::into_inner).get(resource);
        let unwritten =
            || self.unwritten.read().unwrap_or_else(PoisonError::into_inner).get(&resource).cloned();
        cached.or_else(unwritten)
    }
}

/// The beginning of a full tile that a narrower one is.
fn tile_prefix(full: &Bytes, id: &TileId) -> Bytes {
    full.slice(..usize::from(id.width().get()) * Hash::LEN)
}

/// The same of a bundle.
fn bundle_prefix(bundle: &Bytes, id: &BundleId) -> Option<Bytes> {
    if id.width().is_full() {
        return Some(bundle.clone());
    }
    entries::end_of(bundle, usize::from(id.width().get())).map(|end| bundle.slice(..end))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Resource {
    Tile(TileId),
    Bundle(BundleId),
}

/// Full tiles and bundles by name, the longest held given up first.
#[derive(Debug, Default)]
struct Cache {
    held: HashMap<Resource, Bytes>,
    order: VecDeque<Resource>,
    bytes: usize,
    max_bytes: usize,
}

impl Cache {
    fn get(&self, resource: Resource) -> Option<Bytes> {
        self.held.get(&resource).cloned()
    }

    fn insert(&mut self, resource: Resource, bytes: Bytes) {
        // One bundle of the longest entries must not push out everything else.
        if bytes.len() > self.max_bytes / 4 || self.held.contains_key(&resource) {
            return;
        }
        self.bytes += bytes.len();
        self.held.insert(resource, bytes);
        self.order.push_back(resource);
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.held.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
