//! Where tiles and bundles are read from.

use bytes::Bytes;
use indelible_client::fetch::{Source, SourceError};
use indelible_proto::entry_bundle::BUNDLE_MAX_BYTES;
use indelible_proto::hash::Hash;
use indelible_proto::tile::{BundleId, TILE_MAX_BYTES, TileId};
use tokio::runtime::Handle;
use tokio::time::{Duration, sleep};

use crate::chain::Chain;
use crate::storage::entries;

/// Why a tile or bundle can't be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It should be there and is not.
    Missing,
    /// It is not there and need not be: the next start of the log writes it.
    NotYet,
    /// It has not the form it must have.
    Malformed(String),
    /// It could not be read, so nothing is known.
    Unread(String),
}

/// A log's tiles and bundles. Methods block.
pub(crate) trait Stored: Sync {
    /// The bundle's bytes, as they are.
    fn bundle(&self, id: BundleId) -> Result<Bytes, Fault>;

    /// The tile's bytes, as they are.
    fn tile(&self, id: TileId) -> Result<Bytes, Fault>;

    /// Whether partial tiles and bundles are stored, too.
    fn has_partials(&self) -> bool;

    /// What to do about a damaged file.
    fn remedy(&self) -> &'static str;

    /// Whether it is no use to go on when very many files in a row are not there: of a log's own directory every defect
    /// is told, a server may have nothing at all.
    fn may_have_nothing(&self) -> bool;
}

/// How often a request is made before the answer counts as unreadable.
const ATTEMPTS: u32 = 4;
/// How long to wait after the first attempt that failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A log behind a URL, or any directory laid out like one.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) source: Source,
    pub(crate) runtime: Handle,
}

impl Published {
    /// What is at `path`; failures of the network are tried again.
    pub(crate) fn get(&self, path: &str, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
        self.runtime.block_on(async {
            let mut pause = FIRST_PAUSE;
            for _ in 1..ATTEMPTS {
                match self.source.get(path, max_bytes).await {
                    Err(SourceError::Network { source, .. }) if source.is_passing() => {
                        sleep(pause).await;
                        pause *= 2;
                    }
                    answer => return answer,
                }
            }
            self.source.get(path, max_bytes).await
        })
    }

    fn resource(&self, path: &str, max_bytes: usize) -> Result<Bytes, Fault> {
        match self.get(path, max_bytes) {
            Ok(bytes) => Ok(Bytes::from(bytes)),
            Err(error) if error.is_not_found() => Err(Fault::Missing),
            Err(error) if error.code() == "http-too-large" => {
                Err(Fault::Malformed(format!("it has more than {max_bytes} bytes")))
            }
            Err(error) => Err(Fault::Unread(Chain(&error).to_string())),
        }
    }
}

impl Stored for Published {
    fn bundle(&self, id: BundleId) -> Result<Bytes, Fault> {
        let found = self.resource(&id.path(), BUNDLE_MAX_BYTES);
        if found != Err(Fault::Missing) || id.width().is_full() {
            return found;
        }
        // A log may drop a partial bundle once there is the full one.
        let full = self.resource(&id.full().path(), BUNDLE_MAX_BYTES)?;
        let end = entries::end_of(&full, usize::from(id.width().get()));
        Ok(end.map_or(full.clone(), |end| full.slice(..end)))
    }

    fn tile(&self, id: TileId) -> Result<Bytes, Fault> {
        let found = self.resource(&id.path(), TILE_MAX_BYTES);
        if found != Err(Fault::Missing) || id.width().is_full() {
            return found;
        }
        let full = self.resource(&id.full().path(), TILE_MAX_BYTES)?;
        Ok(full.slice(..full.len().min(usize::from(id.width().get()) * Hash::LEN)))
    }

    fn may_have_nothing(&self) -> bool {
        true
    }

    fn has_partials(&self) -> bool {
        true
    }

    fn remedy(&self) -> &'static str {
        "tell the log's operator, and keep this report and the checkpoint; if you run the log, run fsck on its \
         directory"
    }
}
