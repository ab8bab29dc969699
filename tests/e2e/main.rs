//! End to end: the real programs as processes, and what they do to each other and with what a stranger
//! sends them. Each test makes a world of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
mod attack_bench;
mod attack_memory;
mod attack_notes;
mod attack_pages;
mod attack_proofs;
mod attack_tiles;
mod attack_updates;
mod attacks_page;
mod bundle;
mod carry;
mod carry_forged;
mod client_channel;
mod client_paging;
mod client_rules;
mod crowds;
mod duplicates;
mod durability;
mod failures;
mod few_files;
mod frozen;
mod fsck;
mod fsck_classes;
mod help;
mod hostile;
mod import;
mod log_input;
mod lookup;
mod ml_dsa;
mod ml_dsa_log;
mod mutations;
mod operating;
mod platforms;
mod policy;
mod published;
mod recovery;
mod restart;
mod restored;
mod rules_history;
mod setup;
mod smoke;
mod sockets;
mod squatted;
mod stolen_key;
mod submit_many;
mod terminal;
mod vendor;
mod vendor_desks;
mod vendor_killed;
mod vendor_life;
mod vendor_names;
mod vendor_words;
mod verify;
mod verify_keys;
mod verify_policy;
mod verify_state;
mod watchdog;
mod watchdog_bench;
mod watchdog_input;
mod watchdog_recovery;
mod watchdog_state;
mod witness_bench;
mod witness_history;
mod witness_input;
mod witnesses;

use indelible_tests::shop;

/// Exit codes of the client.
mod exit {
    pub(crate) const VERIFIED: i32 = 0;
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const HOLD: i32 = 10;
    pub(crate) const REFUSED: i32 = 20;
    pub(crate) const EVIDENCE: i32 = 30;
    pub(crate) const UNDECIDED: i32 = 40;
}

/// Exit code of the servers when signing would risk a second history.
const REFUSES_TO_SIGN: i32 = 3;
