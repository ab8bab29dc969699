//! Logs with many entries, made by the log's own storage and not one request at a time.

use std::path::Path;

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_server::config::{Config, KEY_FILE};
use indelible_server::sequencer::{CoreSettings, Sequencer, Submission, Tuning};

/// Entries that are submitted together.
const GROUP: u64 = 8_192;

/// The entry at an index of a log that is filled here: different lengths, no two equal.
pub fn entry(index: u64) -> Vec<u8> {
    let mut bytes = format!("entry {index} ").into_bytes();
    let length = bytes.len() + usize::try_from(index * 31 % 97).expect("a small number");
    bytes.resize(length, b'.');
    bytes
}

/// What the log in `dir`, which must not run, is opened with.
///
/// # Panics
///
/// If there is no log.
pub fn settings(dir: &Path) -> CoreSettings {
    let config = Config::load(dir).expect("the log has settings");
    let origin = Origin::parse(&config.origin).expect("the settings have an origin");
    let key = std::fs::read_to_string(dir.join(KEY_FILE)).expect("the log has a key");
    let key = SecretKey::parse(key.trim_end()).expect("the key is one");
    let mut settings = config.core_settings(dir, origin, CheckpointSigner::new(key).expect("it is a log's"));
    settings.queue_entries = usize::try_from(2 * GROUP).expect("a small number");
    settings
}

/// Appends entries to the raw log in `dir`, which must not run, until it has `size`; closes it cleanly.
///
/// # Panics
///
/// If that fails.
pub fn fill(dir: &Path, size: u64) {
    let settings = settings(dir);
    let tuning = Tuning::of(settings.kind);
    fill_tuned(settings, tuning, size);
}

/// The same with other limits.
///
/// # Panics
///
/// If that fails.
pub fn fill_tuned(settings: CoreSettings, tuning: Tuning, size: u64) {
    let sequencer = Sequencer::open_tuned(settings, tuning).expect("the log can be opened");
    let handle = sequencer.handle();
    let mut next = handle.signed().borrow().checkpoint.head().size.get();
    while next < size {
        let group = (next..size.min(next + GROUP))
            .map(|index| Submission::Raw(Entry::new(entry(index)).expect("short")));
        let receiver = handle.submit_many(group.collect()).expect("there is room");
        receiver.blocking_recv().expect("it is answered");
        next = size.min(next + GROUP);
    }
    sequencer.shutdown();
}
