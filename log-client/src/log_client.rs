//! The read side of a log: checkpoint bytes, tree nodes, proofs and entries, from any [`Source`].
//!
//! Everything returned is a claim of the source. A proof becomes knowledge when the caller verifies it
//! against a checkpoint it trusts; entries when the root recomputed from them is the signed one.
//!
//! A partial tile or bundle that is not there is cut from the full one: a log may drop partial ones once
//! the tree has grown past them (c2sp.org/tlog-tiles).

use indelible_proto::entry_bundle::{BUNDLE_MAX_BYTES, Entry, EntryBundle};
use indelible_proto::hash::Hash;
use indelible_proto::note::MAX_NOTE_BYTES;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, Tile, TileId, TileSet, TileWidth, tiles_for};
use indelible_proto::tree::{ConsistencyPlan, ConsistencyProof, InclusionPlan, InclusionProof, NodeId};

use crate::fetch::{CHECKPOINT_PATH, Source, SourceError};

/// Why tree data could not be had. Like [`SourceError`], no accusation: what was served did not even have
/// the form that could be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The source did not deliver.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What came does not have the form of what was asked for.
    #[error("{from} answered {path} with {bytes} bytes that are not that resource: {code}")]
    Malformed {
        /// The source asked.
        from: String,
        /// The path below it.
        path: String,
        /// Length of the answer in bytes.
        bytes: usize,
        /// The stable name of what is wrong with it.
        code: &'static str,
    },
    /// The question makes no sense: an index outside of the tree, a size larger than the newer one.
    #[error("no tree data can answer this: {code}")]
    Question {
        /// The stable name of what is wrong with it.
        code: &'static str,
    },
}

impl ReadError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Malformed { code, .. } | Self::Question { code } => code,
        }
    }
}

/// Reads one log's published data from one source.
#[derive(Clone, Debug)]
pub struct LogClient {
    source: Source,
}

impl LogClient {
    /// A reader of what `source` publishes.
    pub fn new(source: Source) -> Self {
        Self { source }
    }

    /// Where this reads from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The bytes of the newest checkpoint.
    ///
    /// # Errors
    /// As [`Source::get`].
    pub async fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.source.get(CHECKPOINT_PATH, MAX_NOTE_BYTES).await
    }

    /// The hashes of `nodes`, in that order, from the tiles of the tree of `size`.
    ///
    /// # Errors
    /// [`ReadError::Question`] if the tree of `size` does not have one of the nodes.
    pub async fn nodes(&self, nodes: &[NodeId], size: TreeSize) -> Result<Vec<Hash>, ReadError> {
        let wanted = tiles_for(nodes, size).map_err(|error| ReadError::Question { code: error.code() })?;
        let mut tiles = TileSet::new(size);
        for id in wanted {
            let tile = self.tile(id).await?;
            tiles.insert(id, tile).map_err(|error| ReadError::Question { code: error.code() })?;
        }
        tiles.nodes(nodes).map_err(|error| ReadError::Question { code: error.code() })
    }

    /// A proof that the entry at `index` is in the tree of `size`.
    ///
    /// # Errors
    /// [`ReadError::Question`] if `index` is not below `size`.
    pub async fn inclusion(&self, index: LeafIndex, size: TreeSize) -> Result<InclusionProof, ReadError> {
        let plan = InclusionPlan::new(index, size).map_err(|e| ReadError::Question { code: e.code() })?;
        let hashes = self.nodes(plan.nodes(), size).await?;
        plan.finish(&hashes).map_err(|error| ReadError::Question { code: error.code() })
    }

    /// A proof that the tree of `new` entries starts with the tree of `old` entries.
    ///
    /// # Errors
    /// [`ReadError::Question`] if `old` is above `new`.
    pub async fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<ConsistencyProof, ReadError> {
        let plan = ConsistencyPlan::new(old, new).map_err(|e| ReadError::Question { code: e.code() })?;
        let hashes = self.nodes(plan.nodes(), new).await?;
        plan.finish(&hashes).map_err(|error| ReadError::Question { code: error.code() })
    }

    /// The hash tile `id`.
    ///
    /// # Errors
    /// Any [`ReadError`] but `Question`.
    pub async fn tile(&self, id: TileId) -> Result<Tile, ReadError> {
        match self.tile_bytes(id).await {
            Err(ReadError::Source(error)) if error.is_not_found() && !id.width().is_full() => {
                let full = self.tile_bytes(id.full()).await?;
                let start = full.get(..usize::from(id.width().get()) * Hash::LEN).unwrap_or(&full);
                self.parse_tile(id, start)
            }
            answer => self.parse_tile(id, &answer?),
        }
    }

    /// The entry bundle `id`.
    ///
    /// # Errors
    /// Any [`ReadError`] but `Question`.
    pub async fn bundle(&self, id: BundleId) -> Result<Vec<Entry>, ReadError> {
        match self.bundle_entries(id).await {
            Err(ReadError::Source(error)) if error.is_not_found() && !id.width().is_full() => {
                let mut entries = self.bundle_entries(id.full()).await?;
                entries.truncate(usize::from(id.width().get()));
                Ok(entries)
            }
            answer => answer,
        }
    }

    /// The entries of `span`, in order.
    ///
    /// # Errors
    /// Any [`ReadError`] but `Question`.
    pub async fn entries(&self, span: BundleSpan) -> Result<Vec<Entry>, ReadError> {
        let mut entries = self.bundle(span.bundle).await?;
        Ok(entries.split_off(span.skip.min(entries.len())))
    }

    async fn tile_bytes(&self, id: TileId) -> Result<Vec<u8>, ReadError> {
        Ok(self.source.get(&id.path(), usize::from(id.width().get()) * Hash::LEN).await?)
    }

    fn parse_tile(&self, id: TileId, bytes: &[u8]) -> Result<Tile, ReadError> {
        Tile::parse(&id, bytes).map_err(|error| self.malformed(&id.path(), bytes, error.code()))
    }

    async fn bundle_entries(&self, id: BundleId) -> Result<Vec<Entry>, ReadError> {
        let path = id.path();
        let bytes = self.source.get(&path, BUNDLE_MAX_BYTES).await?;
        match EntryBundle::parse(id.width(), &bytes) {
            Ok(bundle) => Ok(bundle.into_entries()),
            Err(error) => Err(self.malformed(&path, &bytes, error.code())),
        }
    }

    fn malformed(&self, path: &str, bytes: &[u8], code: &'static str) -> ReadError {
        match self.source.web_page(path, bytes) {
            Some(page) => page.into(),
            None => ReadError::Malformed {
                from: self.source.to_string(),
                path: path.to_owned(),
                bytes: bytes.len(),
                code,
            },
        }
    }
}

/// Consecutive entries that lie in one bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleSpan {
    /// The bundle, as wide as the span needs.
    pub bundle: BundleId,
    /// Index of the first entry of the span.
    pub first: LeafIndex,
    /// How many entries of the bundle come before the span.
    pub skip: usize,
}

/// The entries from index `from` up to, not including, index `to`, bundle by bundle in order.
pub fn bundle_spans(from: TreeSize, to: TreeSize) -> impl Iterator<Item = BundleSpan> + Send {
    const WIDTH: u64 = TileWidth::FULL.get() as u64;
    let bundles = (from.get() / WIDTH..).map_while(move |index| BundleId::for_size(index, to));
    bundles.filter_map(move |bundle| {
        let skip = from.get().saturating_sub(bundle.first_entry());
        let first = LeafIndex::new(bundle.first_entry().saturating_add(skip)).ok()?;
        to.contains(first).then(|| BundleSpan {
            bundle,
            first,
            skip: usize::try_from(skip).unwrap_or(usize::MAX),
        })
    })
}

#[cfg(test)]
mod tests;
