//! Where an index is.

use std::path::PathBuf;

use crate::storage::Storage;

/// The directory of an index, and the disk that its files of rows are on. sled's own file is in the directory of this
/// name on the real disk: sled writes to no other.
#[derive(Clone, Debug)]
pub struct Place {
    /// The disk.
    pub storage: Storage,
    /// The directory.
    pub dir: PathBuf,
}
