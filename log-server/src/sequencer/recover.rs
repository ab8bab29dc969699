//! Opening a log: from snapshot, tiles and journal to the state it was left in.
//!
//! The snapshot says up to where tiles and bundles are durable. The tree's edge there is computed from the
//! full tiles, and the journal is replayed from there through the code that committed it, batch by batch,
//! each of which must lead to the root it recorded. The last must lead to the last signed checkpoint.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use indelible_proto::hash::{Hash, leaf_hash, sha256};
use indelible_proto::note::{MAX_NOTE_BYTES, VerifierKey};
use indelible_proto::record::{ChannelState, SignedRecord, may_follow};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::{BundleId, RightEdge, Tile, TileError, TileId, TileWidth};
use indelible_proto::time::UnixSeconds;

use super::checkpoint::SignedHead;
use super::commit::Integrated;
use super::error::{OpenError, Refusal, SignError};
use super::settings::{CLOCK_TOLERANCE_S, CoreSettings, Tuning};
use super::state::{Channels, NewEntry, Step};
use crate::journal::{Batch, Checkpoint, Identity, Journal, Payload};
use crate::kind::LogKind;
use crate::storage::entries::{self, EncodedEntry, PartialBundle};
use crate::storage::heads::Heads;
use crate::storage::tiles::{BUNDLE_ENTRIES, TileFiles};
use crate::tree_reader::{Edge, ReadError, TreeReader};

/// Name of the journal's directory in the data directory.
pub(crate) const JOURNAL_DIR: &str = "journal";
/// Name of the published checkpoint's file, which the publisher writes.
const PUBLISHED_FILE: &str = "checkpoint";

/// A log as it was left.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) journal: Journal,
    pub(super) integrated: Integrated,
    pub(super) reader: Arc<TreeReader>,
    pub(super) signed: SignedHead,
    pub(super) signed_at: UnixSeconds,
    /// Up to which entry tiles and bundles are known to be durable.
    pub(super) synced: TreeSize,
    /// Bytes of the entries from there on.
    pub(super) unsynced_bytes: u64,
}

/// Whose journal a log with these settings has.
pub(super) fn identity(settings: &CoreSettings) -> Identity {
    let origin_hash = sha256(settings.origin.as_str().as_bytes());
    Identity { origin_hash, kind: settings.kind }
}

/// Recovers the log. The caller holds the directory's lock.
pub(super) fn recover(settings: &CoreSettings, tuning: &Tuning) -> Result<Recovered, OpenError> {
    let (storage, dir) = (&settings.system.storage, &settings.data_dir);
    let identity = identity(settings);
    let mut journal = Journal::open(storage, &dir.join(JOURNAL_DIR), identity, tuning.segment_bytes)?;
    let heads = Heads::load(storage, dir, identity)?;
    if let Some(heads) = &heads
        && journal.size() < heads.signed.size
    {
        return Err(Refusal::JournalBehind { known: heads.signed.size, stored: journal.size() }.into());
    }
    let usable = heads.as_ref().filter(|heads| journal.first().get() <= heads.integrated.size.get());
    let files = TileFiles::new(storage.clone(), dir);
    let mut replay = Replay::start(files.clone(), settings.kind, &journal, usable)?;
    let synced = replay.integrated.edge.tiles.size();
    journal.replay(|append| replay.append(append))?;
    let unsynced_bytes = replay.bytes;
    let (integrated, checkpoint) = replay.finish();

    let head = integrated.edge.tiles.head();
    let Checkpoint { signed_at, note } = checkpoint.ok_or(Refusal::CheckpointMissing { size: head.size })?;
    let signed = SignedHead::read(&note, &settings.origin, settings.signer.verifier());
    let signed = signed.map_err(|reason| Refusal::CheckpointForeign { reason })?;
    let expected = signed.checkpoint.head();
    if expected != head {
        let (size, got, expected) = (head.size, head.root, expected.root);
        return Err(Refusal::RootDiffers { size, got, expected }.into());
    }
    let reader = TreeReader::new(files, Edge::clone(&integrated.edge), tuning.cache_bytes);
    if let Some(heads) = heads {
        check_signed_before(&reader, &heads)?;
    }
    check_published(&reader, settings)?;
    check_clock(signed_at, settings.system.clock.now())?;
    let reader = Arc::new(reader);
    Ok(Recovered { journal, integrated, reader, signed, signed_at, synced, unsynced_bytes })
}

/// A clock far behind the newest signature shows an old image of the machine, or signs in the wrong order.
fn check_clock(signed_at: UnixSeconds, now: UnixSeconds) -> Result<(), Refusal> {
    if now.get().saturating_add(CLOCK_TOLERANCE_S) < signed_at.get() {
        return Err(Refusal::ClockBehind { signed_at, now });
    }
    Ok(())
}

/// The head that the snapshot knows was signed must be part of the tree.
fn check_signed_before(reader: &TreeReader, heads: &Heads) -> Result<(), OpenError> {
    let (known, stored) = (heads.signed, reader.head(heads.signed.size)?);
    if known == stored {
        return Ok(());
    }
    Err(Refusal::RootDiffers { size: known.size, got: stored.root, expected: known.root }.into())
}

/// The published checkpoint, if there is one, must be part of the tree.
fn check_published(reader: &TreeReader, settings: &CoreSettings) -> Result<(), OpenError> {
    let path = settings.data_dir.join(PUBLISHED_FILE);
    let Some(bytes) = settings.system.storage.read_at_most(&path, MAX_NOTE_BYTES)? else {
        return Ok(());
    };
    let key: &VerifierKey = settings.signer.verifier();
    let published = SignedHead::read(&bytes, &settings.origin, key)
        .map_err(|reason| Refusal::PublishedUnreadable { path, reason })?;
    let (published, stored) = (published.checkpoint.head(), reader.signed_size());
    if published.size > stored {
        return Err(Refusal::PublishedAhead { published: published.size, stored }.into());
    }
    let own = reader.head(published.size)?;
    if own != published {
        let (size, published, stored) = (published.size, published.root, own.root);
        return Err(Refusal::PublishedDiffers { size, published, stored }.into());
    }
    Ok(())
}

/// The journal being replayed.
struct Replay {
    kind: LogKind,
    files: TileFiles,
    integrated: Integrated,
    /// The last checkpoint so far.
    checkpoint: Option<Checkpoint>,
    /// Bytes of the entries so far.
    bytes: u64,
}

impl Replay {
    /// At the last full bundle that is known to be durable.
    fn start(
        files: TileFiles,
        kind: LogKind,
        journal: &Journal,
        heads: Option<&Heads>,
    ) -> Result<Self, OpenError> {
        // Without a snapshot: the journal gives up only what full bundles cover, so those before the first
        // that it has all entries of are durable.
        let size = match heads {
            Some(heads) => heads.integrated.size,
            None => TreeSize::new(journal.first().get().next_multiple_of(BUNDLE_ENTRIES)).unwrap_or_default(),
        };
        if journal.first().get() > size.get() || journal.size() < size {
            return Err(OpenError::Gap { integrated: size, first: journal.first() });
        }
        let edge = Edge { tiles: right_edge(&files, size)?, bundle: PartialBundle::default() };
        let channels = match heads {
            Some(heads) => {
                let (got, expected) = (edge.tiles.root(), heads.integrated.root);
                if got != expected {
                    return Err(OpenError::TilesDiffer { size, got, expected });
                }
                Channels::new(heads.channels.clone(), size)
            }
            None => channels_from_bundles(&files, kind, size)?,
        };
        let channels = Arc::new(RwLock::new(channels));
        let integrated = Integrated { edge: Arc::new(edge), channels };
        Ok(Self { kind, files, integrated, checkpoint: None, bytes: 0 })
    }

    fn append(&mut self, payloads: Vec<Payload>) -> Result<(), OpenError> {
        for payload in payloads {
            match payload {
                Payload::Batch(batch) => self.batch(&batch)?,
                Payload::Checkpoint(checkpoint) => self.checkpoint = Some(checkpoint),
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), OpenError> {
        let size = self.integrated.edge.tiles.size();
        if batch.head.size <= size {
            return Ok(());
        }
        let skip = size.get().saturating_sub(batch.first.get());
        let encoded: Result<Vec<_>, _> = entries::split(&batch.entries).collect();
        let mut encoded = encoded.map_err(|source| OpenError::Batch { first: batch.first, source })?;
        let kept = encoded.split_off(usize::try_from(skip).unwrap_or(usize::MAX).min(encoded.len()));
        let skipped_bytes: usize = encoded.iter().map(EncodedEntry::encoded_bytes).sum();
        let new = {
            let channels = self.integrated.channels.read().unwrap_or_else(PoisonError::into_inner);
            new_entries(self.kind, &channels, size, kept)?
        };
        let entries = batch.entries.slice(skipped_bytes..);
        self.bytes += entries.len() as u64;
        let step = Step::grow(&self.integrated.edge, &entries, new).map_err(SignError::from)?;
        let (got, expected) = (step.head(), batch.head);
        if got != expected {
            let refusal =
                Refusal::RootDiffers { size: expected.size, got: got.root, expected: expected.root };
            return Err(refusal.into());
        }
        Ok(self.integrated.apply(step).write(&self.files)?)
    }

    fn finish(mut self) -> (Integrated, Option<Checkpoint>) {
        // The entries of the partial bundle are slices of whole segments; keep copies of the entries alone.
        let edge = Arc::make_mut(&mut self.integrated.edge);
        edge.bundle = edge.bundle.detached();
        (self.integrated, self.checkpoint)
    }
}

/// Entries on their way into the tree of `size` entries, with the states of their channels.
fn new_entries(
    kind: LogKind,
    channels: &Channels,
    size: TreeSize,
    encoded: Vec<EncodedEntry>,
) -> Result<Vec<NewEntry>, OpenError> {
    let mut moved = HashMap::new();
    let indices = (size.get()..).map(|index| LeafIndex::new(index).unwrap_or_default());
    let entries = indices.zip(encoded).map(|(index, encoded)| {
        let channel = match kind {
            LogKind::Raw => None,
            LogKind::Records => {
                let record = read_record(index, encoded.bytes())?;
                let name = &record.statement().predicate.common().channel;
                let head = moved.get(name).or_else(|| channels.get(name));
                let after = follow(index, head.map(AsRef::as_ref), &record)?;
                moved.insert(name.clone(), Arc::clone(&after));
                Some(after)
            }
        };
        let (leaf_hash, encoded_bytes) = (leaf_hash(encoded.bytes()), encoded.encoded_bytes());
        Ok(NewEntry { leaf_hash, encoded_bytes, channel })
    });
    entries.collect()
}

/// What every channel had come to at `size`, by replaying every record.
fn channels_from_bundles(files: &TileFiles, kind: LogKind, size: TreeSize) -> Result<Channels, OpenError> {
    let mut channels = Channels::default();
    if kind == LogKind::Raw || size.is_zero() {
        return Ok(Channels::new(Vec::new(), size));
    }
    tracing::warn!(entries = size.get(), "there is no snapshot; every record is replayed");
    for bundle in 0..size.get() / BUNDLE_ENTRIES {
        let id = BundleId::new(bundle, TileWidth::FULL).map_err(ReadError::from)?;
        let encoded: Result<Vec<_>, _> = entries::split(&files.bundle(id)?).collect();
        let first = LeafIndex::new(id.first_entry()).unwrap_or_default();
        let encoded = encoded.map_err(|source| OpenError::Batch { first, source })?;
        let before = TreeSize::new(id.first_entry()).unwrap_or_default();
        let moves = new_entries(kind, &channels, before, encoded)?;
        let moves = (id.first_entry()..)
            .zip(moves)
            .filter_map(|(index, entry)| Some((LeafIndex::new(index).ok()?, entry.channel?)));
        let moves = moves.collect();
        channels.apply(moves, before.plus(BUNDLE_ENTRIES).unwrap_or(before));
    }
    Ok(channels)
}

fn read_record(index: LeafIndex, entry: &[u8]) -> Result<SignedRecord, OpenError> {
    SignedRecord::parse(entry).map_err(|source| OpenError::Record { index, source })
}

fn follow(
    index: LeafIndex,
    state: Option<&ChannelState>,
    record: &SignedRecord,
) -> Result<Arc<ChannelState>, OpenError> {
    may_follow(state, record).map(Arc::new).map_err(|source| OpenError::Admission { index, source })
}

/// The right edge of the tree of `size` entries, all in full bundles: the hashes of each partial tile are the
/// roots of the full tiles below it.
fn right_edge(files: &TileFiles, size: TreeSize) -> Result<RightEdge, OpenError> {
    let mut partials: Vec<Vec<Hash>> = Vec::new();
    for id in RightEdge::partial_ids(size) {
        partials.resize(usize::from(id.level()) + 1, Vec::new());
        let first = id.index() * BUNDLE_ENTRIES;
        let below = (first..first + u64::from(id.width().get())).map(|index| tile_root(files, id, index));
        let hashes: Result<Vec<Hash>, OpenError> = below.collect();
        partials[usize::from(id.level())] = hashes?;
    }
    RightEdge::from_partials(size, partials).map_err(|error| SignError::from(error).into())
}

/// The root of a full tile of the level below `above`.
fn tile_root(files: &TileFiles, above: TileId, index: u64) -> Result<Hash, OpenError> {
    let read_error = ReadError::from;
    let level = above.level().saturating_sub(1);
    let id = TileId::new(level, index, TileWidth::FULL).map_err(read_error)?;
    let tile = Tile::parse(&id, &files.tile(id)?).map_err(read_error)?;
    Ok(tile.node(TILE_HEIGHT, 0).ok_or(TileError::Missing(id)).map_err(read_error)?)
}

/// Levels of the tree within a tile.
const TILE_HEIGHT: u8 = 8;
