//! The pass over all entries: every bundle's form, every leaf hash against its tile, every tile above.
//!
//! A hash of a tile that differs from the one computed says that one of two files is damaged. Which of them,
//! the hash of the tile above tells, or at the right edge the signed root; the undamaged one is used for the
//! tiles above, so that one damaged file is one finding. Memory: 32 bytes for every 256 entries, and the
//! records of [`WINDOW`] bundles.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use indelible_client::planted::{self, Bug};
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::record::{RecordError, SignedRecord};
use indelible_proto::size::TreeSize;
use indelible_proto::tile::{BundleId, RightEdge, Tile, TileId, TileWidth};
use indelible_proto::tree::TreeHead;
use indelible_proto::wire::{DecodeError, Reader};

use super::channels::{Channels, Replay};
use super::finding::{Finding, Grade, Listener};
use super::parallel;
use super::stored::{Fault, Stored};
use crate::kind::LogKind;

/// Bundles checked before their records are replayed.
const WINDOW: u64 = 128;
/// After this many files in a row that are missing or can't be read, the rest of what may have nothing is not tried.
const MAX_GAPS: u64 = 1_000;
/// Entries in a full bundle, hashes in a full tile.
const FULL: u64 = TileWidth::FULL.get() as u64;

/// What to check.
pub(crate) struct Scan<'a> {
    pub(crate) stored: &'a dyn Stored,
    pub(crate) listener: &'a dyn Listener,
    pub(crate) kind: LogKind,
    /// How many entries; a multiple of 256 if partial bundles are not stored.
    pub(crate) size: TreeSize,
    /// The signed root at that size, if it is known.
    pub(crate) signed: Option<Hash>,
    /// The size at which [`Scanned::channels_then`] is taken, a multiple of 256.
    pub(crate) snapshot_at: u64,
    pub(crate) threads: usize,
}

/// What the entries lead to.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// By level: the roots of its full tiles; `None` where they can't be known.
    full_tiles: Vec<Vec<Option<Hash>>>,
    /// The leaf hashes of the partial bundle.
    pub(crate) partial: Vec<Hash>,
    /// The channels after the last entry, in a log of records.
    pub(crate) replay: Replay,
    /// The channels at [`Scan::snapshot_at`].
    pub(crate) channels_then: Channels,
    /// Whether everything could be read and judged.
    pub(crate) complete: bool,
}

impl Scanned {
    /// The tree's edge at a size whose last, partial bundle has these leaf hashes; `None` if it can't be known.
    pub(crate) fn edge(&self, size: TreeSize, leaves: &[Hash]) -> Option<RightEdge> {
        let mut partials = vec![leaves.to_vec()];
        for (level, roots) in (1u32..).zip(&self.full_tiles) {
            let count = usize::try_from(size.get().checked_shr(level * 8).unwrap_or(0)).ok()?;
            let partial = roots.get(count / 256 * 256..count)?;
            partials.push(partial.iter().copied().collect::<Option<_>>()?);
        }
        RightEdge::from_partials(size, partials).ok()
    }
}

/// One bundle and its leaf tile.
struct Pair {
    id: BundleId,
    /// The leaf hashes as computed from the entries; `None` if there are none.
    entries: Option<Vec<Hash>>,
    /// The leaf hashes as the tile has them.
    tile: Option<Vec<Hash>>,
    records: Vec<(u64, Result<SignedRecord, RecordError>)>,
}

/// Which of two files that differ is to be believed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Believed {
    Entries,
    Tile,
    Neither,
}

impl Scan<'_> {
    /// Checks everything.
    pub(crate) fn run(&self) -> Scanned {
        let bundles = self.size.get().div_ceil(FULL);
        let mut scanned = Scanned { complete: true, ..Scanned::default() };
        let gaps = AtomicU64::new(0);
        let mut open: Vec<Pair> = Vec::new();
        let mut roots = Vec::new();
        self.listener.begin(bundles);
        let mut at = 0;
        while at < bundles {
            let snapshot = self.snapshot_at / FULL;
            let window = if at < snapshot { (at + WINDOW).min(snapshot) } else { at + WINDOW };
            let pairs = parallel::map(self.threads, at..window.min(bundles), |index| self.pair(index, &gaps));
            for mut pair in pairs.into_iter().flatten() {
                let records = std::mem::take(&mut pair.records);
                let hole = pair.entries.is_none() || pair.entries != pair.tile && pair.tile.is_some();
                scanned.replay.take(records, hole && self.kind == LogKind::Records);
                let hashes = self.settle(&pair);
                if hashes.is_none() && pair.entries.is_some() && pair.tile.is_some() {
                    if pair.id.width().is_full() {
                        roots.push(None);
                    }
                    open.push(pair);
                    continue;
                }
                scanned.complete &= hashes.is_some();
                match hashes {
                    Some(hashes) if !pair.id.width().is_full() => scanned.partial = hashes,
                    hashes => roots.push(hashes.and_then(root_of)),
                }
            }
            at = window;
            if at == snapshot {
                scanned.replay.run(self.threads, self.listener);
                scanned.channels_then = scanned.replay.channels();
            }
            scanned.replay.run(self.threads, self.listener);
            if self.listener.is_stopped() {
                return Scanned { complete: false, ..scanned };
            }
            if self.is_given_up(&gaps) {
                let what = format!(
                    "more than {MAX_GAPS} files in a row are missing or unreadable, the rest was not tried"
                );
                self.listener.find(Finding::new(Grade::Unread, "gave-up", "tile", what));
                return Scanned { complete: false, ..scanned };
            }
        }
        self.settle_open(&open, &mut roots, &mut scanned);
        self.levels(roots, &mut scanned);
        scanned
    }

    fn is_given_up(&self, gaps: &AtomicU64) -> bool {
        self.stored.may_have_nothing() && gaps.load(Ordering::Relaxed) > MAX_GAPS
    }

    fn pair(&self, index: u64, gaps: &AtomicU64) -> Option<Pair> {
        if self.listener.is_stopped() || self.is_given_up(gaps) {
            return None;
        }
        let id = BundleId::for_size(index, self.size)?;
        let bundle = self.stored.bundle(id);
        let mut pair = Pair { id, entries: None, tile: None, records: Vec::new() };
        if bundle.is_ok() && !self.is_given_up(gaps) {
            gaps.store(0, Ordering::Relaxed);
        }
        match bundle {
            Ok(bytes) => match split(id.width(), &bytes) {
                Ok(entries) => {
                    pair.entries = Some(entries.iter().map(|entry| leaf_hash(entry)).collect());
                    if self.kind == LogKind::Records {
                        let parsed = entries.iter().map(|entry| SignedRecord::parse(entry));
                        pair.records = (id.first_entry()..).zip(parsed).collect();
                    }
                    self.listener.advance(u64::from(id.width().get()), bytes.len() as u64);
                }
                Err(error) => {
                    let what = format!("it is not {} entries: {error}", id.width().get());
                    self.find(Finding::damaged("bundle-form", id.path(), what));
                    self.listener.advance(0, 0);
                }
            },
            Err(fault) => {
                self.fault(&fault, &id.path(), "bundle", gaps);
                self.listener.advance(0, 0);
            }
        }
        pair.tile = self.tile(id.leaf_tile(), gaps);
        if let (Some(entries), Some(tile)) = (&pair.entries, &pair.tile)
            && entries != tile
        {
            // What can't be trusted is not replayed.
            pair.records.clear();
        }
        Some(pair)
    }

    /// A tile's hashes.
    fn tile(&self, id: TileId, gaps: &AtomicU64) -> Option<Vec<Hash>> {
        let parsed = self.stored.tile(id).map(|bytes| Tile::parse(&id, &bytes));
        match parsed {
            Ok(Ok(tile)) => Some(tile.hashes().to_vec()),
            Ok(Err(error)) => {
                self.find(Finding::damaged("tile-form", id.path(), error.to_string()));
                None
            }
            Err(fault) => {
                self.fault(&fault, &id.path(), "tile", gaps);
                None
            }
        }
    }

    /// The leaf hashes to go on with; `None` if there are none, or if it is open which of two they are.
    fn settle(&self, pair: &Pair) -> Option<Vec<Hash>> {
        let (Some(entries), Some(tile)) = (&pair.entries, &pair.tile) else {
            return pair.entries.clone().or_else(|| pair.tile.clone());
        };
        if entries == tile {
            return pair.entries.clone();
        }
        let parent = TileId::for_size(1, pair.id.index() / FULL, self.size);
        let parent = parent.filter(|id| pair.id.width().is_full() && self.is_stored(*id));
        let parent = parent.and_then(|id| Tile::parse(&id, &self.stored.tile(id).ok()?).ok())?;
        let above = parent.hashes().get(usize::try_from(pair.id.index() % FULL).ok()?).copied();
        let believed = [(Believed::Entries, entries), (Believed::Tile, tile)]
            .into_iter()
            .find(|(_, hashes)| above.is_some() && root_of((*hashes).clone()) == above);
        let (believed, hashes) = believed?;
        self.differ(pair, believed);
        Some(hashes.clone())
    }

    /// Settles by the signed root what no tile above could.
    fn settle_open(&self, open: &[Pair], roots: &mut [Option<Hash>], scanned: &mut Scanned) {
        for believed in [Believed::Entries, Believed::Tile, Believed::Neither] {
            for pair in open {
                let hashes = if believed == Believed::Tile { &pair.tile } else { &pair.entries };
                let hashes = hashes.clone().unwrap_or_default();
                match usize::try_from(pair.id.index()).ok().and_then(|index| roots.get_mut(index)) {
                    Some(root) if pair.id.width().is_full() => *root = root_of(hashes),
                    _ => scanned.partial = hashes,
                }
            }
            let head = || {
                let mut tried = Scanned { partial: scanned.partial.clone(), ..Scanned::default() };
                tried.full_tiles = levels_over(roots.to_vec());
                let edge = tried.edge(self.size, &tried.partial)?;
                Some(edge.root())
            };
            if open.is_empty()
                || believed == Believed::Neither
                || self.signed.is_some() && head() == self.signed
            {
                scanned.complete &= open.is_empty() || believed != Believed::Neither;
                open.iter().for_each(|pair| self.differ(pair, believed));
                return;
            }
        }
    }

    /// Tells that a bundle and its tile differ.
    fn differ(&self, pair: &Pair, believed: Believed) {
        let (Some(entries), Some(tile)) = (&pair.entries, &pair.tile) else {
            return;
        };
        let mut differing = (0..).zip(entries.iter().zip(tile)).filter(|(_, (entry, tile))| entry != tile);
        let Some((at, (entry, hash))) = differing.next() else {
            return;
        };
        let more = match differing.count() {
            0 => String::new(),
            more => format!(", and {more} more like it"),
        };
        let index = pair.id.first_entry() + at;
        let (bundle, tile) = (pair.id.path(), pair.id.leaf_tile().path());
        let finding = match believed {
            Believed::Tile => {
                let what = format!("entry {index} is not the one whose hash was signed{more}");
                Finding::damaged("entry-differs", bundle, what).hashes(hash, entry)
            }
            Believed::Entries => {
                let what =
                    format!("hash {at} is not that of entry {index}{more}; the entry is the signed one");
                Finding::damaged("tile-differs", tile, what).hashes(entry, hash)
            }
            Believed::Neither => {
                let what =
                    format!("entry {index} and its hash in {tile} differ{more}; one of the files is damaged");
                Finding::damaged("entry-or-tile-differs", bundle, what).hashes(hash, entry)
            }
        };
        self.find(finding);
    }

    /// Compares the tiles above the leaves with the roots of those below them.
    fn levels(&self, roots: Vec<Option<Hash>>, scanned: &mut Scanned) {
        let gaps = AtomicU64::new(0);
        let mut below = roots;
        for level in 1..8 {
            if below.is_empty() {
                return;
            }
            let tiles = (below.len() as u64).div_ceil(FULL);
            let full = parallel::map(self.threads, 0..tiles, |index| {
                let start = usize::try_from(index * FULL).unwrap_or(usize::MAX);
                let children = below.iter().skip(start).take(256).copied().collect::<Vec<_>>();
                self.upper(level, index, children, &gaps)
            });
            let filled: Vec<Option<Hash>> = full.into_iter().flatten().collect();
            scanned.complete &= filled.iter().all(Option::is_some);
            let next = full_roots(&filled);
            scanned.full_tiles.push(filled);
            below = next;
        }
    }

    /// The hashes of one tile above the leaves, unknown ones taken from the tile as it is stored.
    fn upper(
        &self,
        level: u8,
        index: u64,
        mut children: Vec<Option<Hash>>,
        gaps: &AtomicU64,
    ) -> Vec<Option<Hash>> {
        let Some(id) = TileId::for_size(level, index, self.size).filter(|id| self.is_stored(*id)) else {
            return children;
        };
        if planted::has(Bug::UpperTilesUnread) {
            return children;
        }
        let Some(tile) = self.tile(id, gaps) else {
            return children;
        };
        let known = children.iter().zip(&tile).enumerate();
        let mut differing = known.filter_map(|(at, (child, hash))| Some((at, (*child)?, *hash)));
        let mut differing = differing.by_ref().filter(|(_, child, hash)| child != hash);
        if let Some((at, child, hash)) = differing.next() {
            let more = differing.count();
            let what = format!("hash {at} is not the root of the tile below it, and {more} more like it");
            self.find(Finding::damaged("tile-differs", id.path(), what).hashes(&child, &hash));
        }
        for (child, hash) in children.iter_mut().zip(tile) {
            child.get_or_insert(hash);
        }
        children
    }

    fn is_stored(&self, id: TileId) -> bool {
        id.width().is_full() || self.stored.has_partials()
    }

    fn fault(&self, fault: &Fault, place: &str, word: &str, gaps: &AtomicU64) {
        let finding = match fault {
            Fault::NotYet => return,
            Fault::Missing => {
                let code = if word == "tile" { "tile-missing" } else { "bundle-missing" };
                Finding::damaged(code, place, "it is missing")
            }
            Fault::Malformed(what) => {
                let code = if word == "tile" { "tile-form" } else { "bundle-form" };
                Finding::damaged(code, place, what.clone())
            }
            Fault::Unread(why) => Finding::new(Grade::Unread, "unread", place, why.clone()),
        };
        gaps.fetch_add(1, Ordering::Relaxed);
        self.find(finding);
    }

    fn find(&self, finding: Finding) {
        let todo = if finding.grade == Grade::Damaged { self.stored.remedy() } else { "" };
        self.listener.find(if finding.todo.is_empty() { finding.todo(todo) } else { finding });
    }
}

/// Compares what the entries lead to with a signed head.
pub(crate) fn compare(listener: &dyn Listener, place: &str, signed: &TreeHead, got: Option<Hash>) {
    let size = signed.size;
    match got {
        Some(root) if root == signed.root => {}
        Some(root) => {
            let what = format!("the entries do not lead to the root signed at size {size}");
            let todo = "keep the data and every checkpoint; if no damaged file is named, the log has signed \
                        another history than it stores";
            let finding = Finding::damaged("root-differs", place, what).hashes(&signed.root, &root);
            listener.find(finding.todo(todo));
        }
        None => {
            let what = format!("the root at size {size} can't be computed from what could be read");
            listener.find(Finding::new(Grade::Unread, "root-unknown", place, what));
        }
    }
}

/// The entries of a bundle of this width, not copied.
pub(crate) fn split(width: TileWidth, bytes: &Bytes) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::with_capacity(usize::from(width.get()));
    for _ in 0..width.get() {
        let length = reader.u16()?;
        entries.push(reader.take(usize::from(length))?);
    }
    reader.finish()?;
    Ok(entries)
}

/// The root of a full tile.
fn root_of(hashes: Vec<Hash>) -> Option<Hash> {
    Tile::new(hashes).ok()?.node(8, 0)
}

/// The roots of the full tiles that these hashes make.
fn full_roots(hashes: &[Option<Hash>]) -> Vec<Option<Hash>> {
    let root = |tile: &[Option<Hash>]| root_of(tile.iter().copied().collect::<Option<_>>()?);
    hashes.chunks_exact(256).map(root).collect()
}

/// The roots of the full tiles of every level over those of level 0.
fn levels_over(roots: Vec<Option<Hash>>) -> Vec<Vec<Option<Hash>>> {
    let mut levels = Vec::new();
    let mut below = roots;
    while !below.is_empty() {
        let next = full_roots(&below);
        levels.push(below);
        below = next;
    }
    levels
}

#[cfg(test)]
mod tests;
