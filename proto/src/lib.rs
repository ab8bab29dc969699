//! Every format and every check of the Indelible transparency log.
//!
//! No I/O, clock, randomness, threads or async: time is an argument, and code that needs tree data says
//! which nodes it needs, lets the caller fetch them, and finishes with what was fetched. Input can be
//! refused but never panics.
//!
//! | format | module | specification | size limit |
//! |---|---|---|---|
//! | entry, entry bundle | [`entry_bundle`] | c2sp.org/tlog-tiles | 65,535 bytes an entry, 256 entries |
//! | hash tile, tile paths | [`tile`] | c2sp.org/tlog-tiles | 8,192 bytes |
//! | signed note | [`note`] | c2sp.org/signed-note | 128 KiB |
//! | checkpoint | [`checkpoint`] | c2sp.org/tlog-checkpoint | as a note |
//! | cosignature | [`cosignature`] | c2sp.org/tlog-cosignature, types `0x04`, `0x06` | 72 or 2,428 bytes |
//! | witness request and answer | [`witness_api`] | c2sp.org/tlog-witness | 256 KiB |
//! | policy | [`policy`] | c2sp.org/tlog-policy | 512 KiB |
//! | log proof (`.tlog-proof`) | [`proof`] | c2sp.org/tlog-proof | 256 KiB |
//! | channel file (`.tlog-channel`) | [`channel_file`] | the module's documentation | 18 MiB, 1,024 records |
//! | record leaf | [`record`] | `docs/records.md` | 16 KiB |
//! | bundle tree | [`bundle_tree`] | `docs/records.md` | 10,000,000 files |
//! | bundle proof (`.bundle-proof`) | [`bundle_tree::BundleProof`] | `docs/records.md` | 4,096 files |
//! | evidence | [`evidence`] | the module's documentation | 512 KiB |
//! | submission | [`log_api`] | the module's documentation | 65,535 bytes |

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bundle_tree;
pub mod channel_file;
pub mod checkpoint;
pub mod cosignature;
pub mod entry_bundle;
pub mod evidence;
pub mod hash;
pub mod log_api;
pub mod note;
pub mod policy;
pub mod proof;
pub mod record;
pub mod sign;
pub mod size;
pub mod tile;
pub mod time;
pub mod tree;
pub mod wire;
pub mod witness_api;
