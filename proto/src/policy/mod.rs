//! Trust policies: which logs are believed, and how many witnesses must agree (c2sp.org/tlog-policy).
//!
//! ```text
//! # a comment on a line of its own
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> all|any|<k> <member>...
//! quorum <name>|none
//! ```
//!
//! Keys are Ed25519 or ML-DSA-44. A witness that has both has a line for each, and whether they count as one is
//! what the groups say. A log that has both has a line for each, and either is enough. Items are parted by spaces and tabs; every line ends in a newline; at most [`MAX_POLICY_BYTES`] and
//! [`MAX_ITEMS`] of each kind. The file as a whole is the trust: there is no default quorum, and a policy
//! that could be read in two ways is refused ([`PolicyFileError`]).
//!
//! [`lint()`] looks a file over: what is unwise in one that can be read, and every line of one that cannot. It
//! reads comments of the form `# lint: ...`, which mean nothing to anyone else.
//!
//! [`Policy::verify`] is the only way to a [`VerifiedCheckpoint`].

mod arithmetic;
mod file;
mod lighten;
mod lint;
mod quorum;
mod time;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;

pub use arithmetic::{QuorumNumbers, default_monitor_quorum, tolerated};
pub use file::{PolicyFileError, PolicyFileErrorKind};
pub use lint::{Lint, LintFinding, LintOptions, Operator, Severity, lint};
pub use quorum::Quorum;
pub use verify::{CosignedBy, LogSigned, PolicyError, VerifiedCheckpoint};

use crate::hash::Hash;
use crate::note::VerifierKey;

/// Largest policy file in bytes: room for [`MAX_ITEMS`] witnesses with ML-DSA-44 keys, 2 KiB for the line of each.
pub const MAX_POLICY_BYTES: usize = 512 * 1024;

/// Most logs, most witnesses and most groups in one policy; the specification asks for 32 at least.
pub const MAX_ITEMS: usize = 256;

/// A log the policy believes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyLog {
    /// The log's key, as [`VerifierKey::require_of_log`] wants it; its name is the log's origin.
    pub key: VerifierKey,
    /// Where the log is reached.
    pub url: Option<String>,
}

/// A witness the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyWitness {
    /// The name the policy file gives it, without meaning elsewhere; octets that are not UTF-8 are
    /// written `\xNN`.
    pub name: String,
    /// The witness's key, of kind [`crate::note::KeyKind::Cosigner`] and of either algorithm.
    pub key: VerifierKey,
    /// Where the witness takes checkpoints.
    pub url: Option<String>,
}

impl PolicyWitness {
    /// Whether the two look like keys of one witness: one key name, or one address.
    fn is_same_as(&self, other: &Self) -> bool {
        self.key.name() == other.key.name() || (self.url.is_some() && self.url == other.url)
    }
}

/// A checked policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    quorum: Quorum,
    fingerprint: Hash,
}

impl Policy {
    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyFileError> {
        file::parse(bytes)
    }

    /// The logs in the file's order; any of them is believed. May be empty, and then no checkpoint is.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses in the file's order, in the quorum or not.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Which sets of witnesses are enough.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The quorum as a rule over witnesses, some of which have several keys: [`Policy::witnesses`] has a line for
    /// each key, and a group of nothing but keys of one witness is one witness here, by its first place.
    ///
    /// What looks like one witness has one key name or one address. Keys of one witness that do not stand in a
    /// group of their own are several witnesses to the quorum, and here too.
    pub fn quorum_by_witness(&self) -> Quorum {
        let is_same = |one: usize, other: usize| match (self.witnesses.get(one), self.witnesses.get(other)) {
            (Some(one), Some(other)) => one.is_same_as(other),
            _ => false,
        };
        self.quorum.by_witness(&is_same)
    }

    /// SHA-256 of the policy file, to see whether it changed.
    pub fn fingerprint(&self) -> Hash {
        self.fingerprint
    }

    /// Whether these witnesses, given by their places in [`Policy::witnesses`], are enough. A place named
    /// twice counts once, one that does not exist not at all.
    pub fn quorum_met(&self, cosigners: &[usize]) -> bool {
        self.quorum.is_met(cosigners)
    }
}
