//! The Indelible transparency log: takes entries in, commits them durably, has the tree heads witnessed, and
//! serves everything a reader needs to check it.
//!
//! | module | what it does |
//! |---|---|
//! | [`sequencer`] | owns the log on one thread: admits, commits, signs |
//! | [`journal`] | what an acknowledgement rests on |
//! | [`clock`] | when checkpoints were signed |
//! | [`storage`], [`tree_reader`] | full tiles and bundles on disk, and reading the tree |
//! | [`index`] | rebuildable look-ups |
//! | [`cosign`], [`publish`] | collects cosignatures, and publishes what a quorum has cosigned |
//! | [`space`] | refuses entries before the disk is full |
//! | [`history`], [`sources`] | refuses to go on from data that lacks what was signed, wherever that is found |
//! | [`overrule`] | what else keeps a log from signing, and how an operator overrules it |
//! | [`http`] | the public interface |
//! | [`fsck`] | recomputes everything from the entries, of a directory or of any log's URL |
//! | [`import`] | copies any tlog-tiles log into a new log, or makes a lost log again from a mirror |
//! | [`init`], [`run`], [`config`], [`cli`] | making a log, running it, its settings, the command line |
//!
//! A record's way in: [`http`] parses, [`sequencer`] puts it into the tree and signs the new head, [`cosign`] takes
//! that head to the witnesses, [`publish`] makes it public, and [`http`] answers with the proof.

mod blocking;
mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cosign;
pub mod fsck;
pub mod history;
pub mod http;
pub mod import;
pub mod index;
pub mod init;
pub mod journal;
pub mod kind;
pub mod openers;
pub mod overrule;
pub mod publish;
pub mod run;
pub mod sequencer;
pub mod sources;
pub mod space;
pub mod storage;
#[cfg(test)]
mod testing;
pub mod tree_reader;
