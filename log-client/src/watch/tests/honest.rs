//! Nothing is wrong, and the watchdog says so.

use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::note::{KeyKind, SignedNote};
use indelible_proto::sign::LogSigner;

use super::*;
use crate::test_log::secret;

#[tokio::test]
async fn follows_a_log_as_it_grows() {
    let world = World::new();
    let mut log = log_of(0);
    world.publish(&log);
    let mut follower = world.open().unwrap();
    for size in [0, 1, 2, 255, 256, 257, 511, 600, 600] {
        grow(&mut log, size, "");
        world.publish(&log);
        let heard = round(&mut follower).await;
        assert_eq!(heard.gravest, None, "{size}: {:?}", heard.texts);
        assert_eq!(follower.watch().held().checkpoint.as_ref().unwrap().head(), log.head(size));
    }
}

#[tokio::test]
async fn a_first_look_reads_every_entry() {
    let world = World::new();
    world.publish(&log_of(300));
    let heard = world.round().await;
    assert_eq!(heard.codes, ["entries-match"]);
    assert!(heard.texts[0].starts_with("all 300 entries read"), "{}", heard.texts[0]);
}

#[tokio::test]
async fn a_new_log_needs_no_witness_for_its_empty_tree() {
    let world = World::new();
    let log = log_of(0);
    world.publish_at("log", &log, &log.note(0, 0).encode());
    assert_eq!(world.round().await.gravest, None);
}

#[tokio::test]
async fn a_stale_mirror_and_an_old_note_are_no_error() {
    let mut world = World::new();
    let mut log = log_of(300);
    world.mirror("mirror", &log);
    world.hand_in("old.note", &log, 7);
    grow(&mut log, 520, "");
    world.publish(&log);
    let heard = world.round().await;
    assert_eq!(heard.codes, ["entries-match", "consistent", "consistent"]);
    assert_eq!(heard.gravest, None);
}

#[tokio::test]
async fn a_log_that_shows_an_older_checkpoint_again_is_no_error() {
    let world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.round().await;
    write(&world.path("log/checkpoint"), &log.note(200, 3).encode());
    let mut follower = world.open().unwrap();
    let heard = round(&mut follower).await;
    assert_eq!((heard.codes, heard.gravest), (vec!["consistent"], None));
    assert_eq!(follower.watch().held().checkpoint.as_ref().unwrap().head().size, size(300));
}

#[tokio::test]
async fn a_mirror_ahead_of_the_log_is_checked_with_its_own_tiles() {
    let mut world = World::new();
    world.publish(&log_of(260));
    world.mirror("mirror", &log_of(600));
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "consistent"], None));
}

#[tokio::test]
async fn a_checkpoint_ahead_of_the_log_waits_until_the_log_has_it() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log_of(260));
    world.hand_in("ahead.note", &log, 500);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "unproven"], Some(Class::Undecided)));

    // The one who had the note has gone; the watchdog still knows it.
    world.sources.clear();
    assert_eq!(world.round().await.codes, ["consistent", "unproven"]);
    world.publish(&log);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "consistent"], None));
    assert_eq!(world.round().await.codes, ["consistent"]);
}

#[tokio::test]
async fn partial_tiles_a_log_has_dropped_are_cut_from_full_ones() {
    let mut world = World::new();
    world.publish(&log_of(600));
    // A mirror's checkpoint of a size whose partial tiles and bundles are gone everywhere.
    let log = log_of(600);
    world.publish_at("mirror", &log, &log.note(270, 3).encode());
    world.add_source("mirror");
    let mut follower = world.open().unwrap();
    write(&world.path("log/checkpoint"), &log.note(200, 3).encode());
    let heard = round(&mut follower).await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "consistent"], None));
}

#[tokio::test]
async fn entries_alone_show_that_the_log_goes_on_as_it_was() {
    let world = World::new();
    world.publish(&log_of(300));
    world.round().await;
    world.publish(&log_of(600));
    for level in 0..2 {
        fs::remove_dir_all(world.path("log/tile").join(level.to_string())).unwrap();
    }
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None));
}

#[tokio::test]
async fn a_checkpoint_of_another_log_of_the_policy_is_not_compared_with_this_one() {
    let mut world = World::new();
    let log = log_of(300);
    let mut other = forked(&log, 10, 300);
    other.signer = LogSigner::new(secret(KeyKind::Log, "other.example/log", 5)).unwrap();
    let line = format!("log {}\n", other.signer.verifier());
    world.policy = Policy::parse(&[line.as_bytes(), log.policy_text(2).as_bytes()].concat()).unwrap();
    let checkpoint = Checkpoint::new(Origin::parse("other.example/log").unwrap(), other.head(300)).unwrap();
    let line = other.signer.sign(checkpoint.encode().as_bytes());
    let note = SignedNote::new(checkpoint.encode(), vec![line]).unwrap();
    world.publish(&log);
    write(&world.path("other.note"), &note.encode());
    world.add_source("other.note");
    let heard = world.round().await;
    assert_eq!(
        (heard.codes, heard.gravest),
        (vec!["entries-match", "unusable-note"], Some(Class::Undecided))
    );
    assert!(heard.texts[1].contains("other-origin"), "{}", heard.texts[1]);
}
