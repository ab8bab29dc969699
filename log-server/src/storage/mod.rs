//! Storage of a log other than its journal: full tiles and bundles, the `heads` snapshot; and the disk that all
//! of a log's files are on.

pub mod disk;
pub(crate) mod entries;
pub(crate) mod heads;
mod owner;
mod store;
pub(crate) mod tiles;

pub use store::{DiskError, Storage};
pub(crate) use store::{LogFile, WholeDisk};
