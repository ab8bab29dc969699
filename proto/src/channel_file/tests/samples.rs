//! The files of `docs/samples` are what this code writes, and what `docs/records.md` says they are.

use super::*;
use crate::record::tests::{for_platforms, review};

/// Each record of the history in [`World::new`], a review, and a release for platforms: its file, and who signed it.
const RECORDS: [(&str, &[u8]); 8] = [
    ("channel", include_bytes!("../../../../docs/samples/channel.leaf")),
    ("release", include_bytes!("../../../../docs/samples/release.leaf")),
    ("rules", include_bytes!("../../../../docs/samples/rules.leaf")),
    ("withdraw", include_bytes!("../../../../docs/samples/withdraw.leaf")),
    ("head", include_bytes!("../../../../docs/samples/head.leaf")),
    ("recovery", include_bytes!("../../../../docs/samples/recovery.leaf")),
    ("review", include_bytes!("../../../../docs/samples/review.leaf")),
    ("platforms", include_bytes!("../../../../docs/samples/platforms.leaf")),
];
const CHANNEL_FILE: &[u8] = include_bytes!("../../../../docs/samples/sample.tlog-channel");
const POLICY: &[u8] = include_bytes!("../../../../docs/samples/policy.txt");

fn made() -> (World, Vec<SignedRecord>) {
    let world = World::new();
    let mut records: Vec<SignedRecord> =
        world.history.iter().take(6).map(|(record, ..)| record.clone()).collect();
    let apart = [review(common(1)), for_platforms(release(common(1)))];
    let publish = signer("publish", 1);
    records.extend(apart.map(|statement| SignedRecord::sign(&statement, &[&publish]).unwrap()));
    (world, records)
}

#[test]
fn the_records_are_what_this_code_writes() {
    let page = include_str!("../../../../docs/records.md");
    for ((name, bytes), record) in RECORDS.iter().zip(made().1) {
        assert!(*bytes == record.encode(), "{name}");
        assert!(SignedRecord::parse(bytes).as_ref() == Ok(&record), "{name}");
        let row = format!(
            "| [{name}.leaf](samples/{name}.leaf) | `{}` | `{}` |",
            record.record_id(),
            leaf_hash(bytes)
        );
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn the_channel_file_is_what_this_code_writes_and_verifies_under_the_policy() {
    let (world, records) = made();
    assert!(CHANNEL_FILE == world.file().encode());
    let policy = Policy::parse(POLICY).unwrap();
    let file = ChannelFile::parse(CHANNEL_FILE).unwrap();
    let verified = file.verify(Start::Genesis(records[0].record_id()), &policy).unwrap();
    assert_eq!(verified.state(), world.state());
    assert!(verified.records()[..6] == records[..6]);
    let other = Start::Genesis(records[1].record_id());
    assert!(file.verify(other, &policy).is_err());
}
