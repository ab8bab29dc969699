//! Files of a log other than its journal: full tiles and bundles, the `heads` snapshot, and how they are
//! written.

pub(crate) mod disk;
pub(crate) mod entries;
pub(crate) mod heads;
pub(crate) mod tiles;

pub use disk::DiskError;
