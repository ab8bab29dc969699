//! What the sequencer needs to know, and its limits.

use std::path::PathBuf;

use indelible_proto::checkpoint::Origin;
use indelible_proto::sign::CheckpointSigner;

use crate::clock::Clock;
use crate::index::Place;
use crate::journal::DEFAULT_SEGMENT_BYTES;
use crate::kind::LogKind;
use crate::openers::Openers;
use crate::storage::Storage;
use crate::tree_reader::DEFAULT_CACHE_BYTES;

/// Which log, and how much may wait for it.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// The directory with everything the log stores.
    pub data_dir: PathBuf,
    /// The log's name, as its checkpoints state it.
    pub origin: Origin,
    /// What the log stores; must be what it was created with.
    pub kind: LogKind,
    /// The key the log's checkpoints are signed with.
    pub signer: CheckpointSigner,
    /// Most entries that wait to be sequenced; more are refused.
    pub queue_entries: usize,
    /// Most bytes of entries that wait to be sequenced; more are refused.
    pub queue_bytes: usize,
    /// Most entries whose keys are in memory. Sequencing waits while more are not in the index's database.
    pub index_memory_entries: usize,
    /// Who may open channels.
    pub openers: Openers,
    /// What it runs on.
    pub system: System,
}

/// The machine a log runs on, or what stands in for it.
#[derive(Clone, Debug)]
pub struct System {
    /// Where its files are.
    pub storage: Storage,
    /// Where its index is, if not in the data directory.
    pub index: Option<Place>,
    /// What time it is.
    pub clock: Clock,
}

impl System {
    /// This machine.
    pub fn real() -> Self {
        Self { storage: Storage::real(), index: None, clock: Clock::system() }
    }
}

/// How far the clock may be behind the time of the newest checkpoint when a log is opened, in seconds: what
/// setting a clock right moves it back. Further behind, it is not the clock that time was read from, or the
/// machine is an old image of itself.
pub const CLOCK_TOLERANCE_S: u64 = 60;

/// Limits that no operator needs to touch, but tests and benchmarks do.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Length of a journal segment in bytes.
    pub segment_bytes: u64,
    /// Most entries in one batch. A group that was submitted together may exceed it.
    pub batch_entries: usize,
    /// Most bytes of entries in one batch; as above.
    pub batch_bytes: usize,
    /// After how many full bundles they are synced and the journal before them is given up.
    pub sync_bundles: u64,
    /// After how many journal bytes the same is done, if that comes first. At four times as many, sequencing
    /// waits for it.
    pub sync_bytes: u64,
    /// Whether full tiles and bundles are written, and synced, on threads beside sequencing. If not, it is done
    /// between batches, which makes a run repeatable call by call.
    pub beside: bool,
    /// Most bytes of full tiles and bundles kept in memory for readers.
    pub cache_bytes: usize,
}

impl Tuning {
    /// The limits for a log of this kind.
    pub fn of(kind: LogKind) -> Self {
        Self {
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            batch_entries: 8_192,
            batch_bytes: 4 * 1024 * 1024,
            // A start replays what came after the last sync: 65,536 raw entries in about a tenth of a second,
            // and as their signatures are verified again, 8,192 records in about half a second.
            sync_bundles: match kind {
                LogKind::Raw => 256,
                LogKind::Records => 32,
            },
            // Of longer entries so many bytes, which take a start as long.
            sync_bytes: 16 * 1024 * 1024,
            beside: true,
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }
}
