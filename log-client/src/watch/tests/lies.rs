//! The log, or someone who speaks for it, says what cannot be true.

use super::*;

#[tokio::test]
async fn two_roots_of_one_size_are_evidence() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "fork"], Some(Class::Evidence)));
    assert_eq!(heard.evidence_was_there, [true]);
    let fork = world.the_fork();
    assert_eq!((fork.smaller().size, fork.larger().size), (size(300), size(300)));
}

#[tokio::test]
async fn a_smaller_checkpoint_of_another_history_is_evidence() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "fork"], Some(Class::Evidence)));
    let fork = world.the_fork();
    assert_eq!((fork.smaller().size, fork.larger().size), (size(300), size(600)));
    assert_eq!(*fork.true_root(), log.head(300).root);
}

#[tokio::test]
async fn a_larger_checkpoint_of_another_history_is_evidence_with_its_own_tiles() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.mirror("mirror", &forked(&log, 10, 600));
    let heard = world.round().await;
    assert_eq!(heard.gravest, Some(Class::Evidence));
    let fork = world.the_fork();
    assert_eq!((fork.smaller().root, fork.larger().size), (log.head(300).root, size(600)));
}

#[tokio::test]
async fn a_log_that_goes_on_from_another_history_is_caught_and_not_followed() {
    let world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.round().await;
    world.publish(&forked(&log, 299, 600));
    let mut follower = world.open().unwrap();
    let heard = round(&mut follower).await;
    assert_eq!((heard.codes, heard.gravest), (vec!["fork"], Some(Class::Evidence)));
    assert_eq!(world.the_fork().true_root(), &forked(&log, 299, 300).head(300).root);
    assert_eq!(follower.watch().held().checkpoint.as_ref().unwrap().head(), log.head(300));
}

#[tokio::test]
async fn a_fork_that_waited_for_tiles_is_caught_when_they_come() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log_of(260));
    world.hand_in("received.note", &forked(&log, 10, 400), 400);
    assert_eq!(world.round().await.gravest, Some(Class::Undecided));
    world.sources.clear();
    world.publish(&log);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "fork"], Some(Class::Evidence)));
    world.the_fork();
}

#[tokio::test]
async fn a_log_restored_from_a_backup_is_caught_by_the_notes_kept() {
    let world = World::new();
    let log = log_of(300);
    for size in [250, 280, 300] {
        let mut then = log.clone();
        then.entries.truncate(size);
        world.publish(&then);
        world.round().await;
    }
    // It lost what came after 250, and with it the tiles that could prove it, and took in other entries.
    world.publish(&forked(&log, 250, 280));
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["fork"], Some(Class::Evidence)));
    assert_eq!(world.the_fork().smaller().size, size(280));
}

#[tokio::test]
async fn a_fork_latches_until_a_person_clears_it() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    world.round().await;

    world.sources.clear();
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["latched", "consistent"], Some(Class::Evidence)));
    world.open().unwrap().clear().unwrap();
    assert_eq!(world.round().await.gravest, None);
    world.the_fork();

    // Who still shows it brings it back.
    world.add_source("received.note");
    assert_eq!(world.round().await.gravest, Some(Class::Evidence));
    assert_eq!(world.round().await.codes, ["latched", "consistent", "fork"]);
    world.the_fork();
}

#[tokio::test]
async fn a_fork_still_shown_after_it_was_cleared_latches_again() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    world.round().await;
    let mut follower = world.open().unwrap();
    follower.clear().unwrap();
    assert_eq!(round(&mut follower).await.gravest, Some(Class::Evidence));
    assert_eq!(follower.store().latches().unwrap().len(), 1);
    world.the_fork();
}

#[tokio::test]
async fn a_fork_is_told_even_if_it_cannot_be_written_down() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    let mut follower = world.open().unwrap();
    fs::remove_dir(world.path("evidence")).unwrap();
    let heard = round(&mut follower).await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match", "fork"], Some(Class::Evidence)));
    assert_eq!(heard.trouble.unwrap().code(), "file-not-written");
    drop(follower);
    assert!(world.open().unwrap().store().latches().unwrap().is_empty(), "latched without evidence");
}

#[tokio::test]
async fn entries_that_do_not_hash_to_the_signed_root_are_an_accusation() {
    let world = World::new();
    let log = log_of(300);
    world.publish(&log);
    let bundle = BundleId::for_size(0, size(300)).unwrap().path();
    let good = fs::read(world.path("log").join(&bundle)).unwrap();
    let mut bad = good.clone();
    bad[2] ^= 1;
    write(&world.path("log").join(&bundle), &bad);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-mismatch"], Some(Class::Accusation)));
    assert!(heard.alerts[0].accuses_log());
    assert!(world.evidence().is_empty());

    write(&world.path("log").join(&bundle), &good);
    assert_eq!(world.round().await.codes, ["entries-match"]);
}

#[tokio::test]
async fn tiles_that_do_not_lead_to_the_signed_root_are_an_accusation_and_not_evidence() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log);
    world.hand_in("received.note", &log, 300);
    let path = world.path("log").join(TileId::for_size(1, 0, size(600)).unwrap().path());
    let mut tile = fs::read(&path).unwrap();
    tile[0] ^= 1;
    write(&path, &tile);
    let heard = world.round().await;
    assert_eq!(heard.codes, ["entries-match", "tiles-mismatch", "unproven"]);
    assert_eq!(heard.gravest, Some(Class::Accusation));
    assert!(world.evidence().is_empty());
}

#[tokio::test]
async fn wrong_tiles_of_a_mirror_do_not_accuse_the_log() {
    let mut world = World::new();
    world.publish(&log_of(300));
    let log = log_of(600);
    world.publish_at("mirror", &forked(&log, 10, 600), &log.note(600, 3).encode());
    world.add_source("mirror");
    let heard = world.round().await;
    assert_eq!(heard.codes, ["entries-match", "tiles-mismatch", "unproven"]);
    assert!(!heard.alerts[0].accuses_log());
}

#[tokio::test]
async fn a_checkpoint_without_its_witnesses_is_an_accusation() {
    let world = World::new();
    let log = log_of(300);
    world.publish_at("log", &log, &log.note(300, 1).encode());
    let heard = world.round().await;
    assert_eq!(heard.codes, ["quorum-missing", "entries-match"]);
    assert_eq!(heard.gravest, Some(Class::Accusation));
}

#[tokio::test]
async fn a_signature_that_does_not_verify_accuses_the_log_only_at_its_own_place() {
    let mut world = World::new();
    let log = log_of(300);
    let mut note = log.note(300, 3).encode();
    note[ORIGIN_LINE + 1] ^= 1; // another size
    world.publish_at("log", &log, &note);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["bad-signature"], Some(Class::Accusation)));

    world.publish(&log);
    fs::write(world.path("received.note"), note).unwrap();
    world.add_source("received.note");
    let heard = world.round().await;
    assert_eq!(
        (heard.codes, heard.gravest),
        (vec!["entries-match", "unusable-note"], Some(Class::Undecided))
    );
}

/// Length of the first line of a checkpoint of the test log, newline included.
const ORIGIN_LINE: usize = crate::test_log::ORIGIN.len() + 1;

#[tokio::test]
async fn what_is_withheld_is_no_accusation() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log);
    world.hand_in("received.note", &log, 300);
    world.round().await;
    fs::remove_dir_all(world.path("log/tile")).unwrap();
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["consistent", "unproven"], Some(Class::Undecided)));
    assert!(!heard.alerts[0].accuses_log());
    fs::remove_dir_all(world.path("log")).unwrap();
    let heard = world.round().await;
    assert_eq!((heard.codes[0], heard.gravest), ("unread", Some(Class::Undecided)));
}

#[tokio::test]
async fn a_web_page_is_no_accusation() {
    let world = World::new();
    let log = log_of(300);
    let page = b"<!DOCTYPE html><html><title>502</title></html>";
    world.publish(&log);
    write(&world.path("log/checkpoint"), page);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["unread"], Some(Class::Undecided)));

    world.publish(&log);
    write(&world.path("log").join(BundleId::for_size(0, size(300)).unwrap().path()), page);
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["unread"], Some(Class::Undecided)));
    assert!(heard.texts[0].contains("web page"), "{}", heard.texts[0]);
}

#[tokio::test]
async fn who_shows_the_honest_checkpoint_is_not_blamed_for_the_forged_one_of_its_size() {
    let mut world = World::new();
    let log = log_of(600);
    world.publish(&log);
    world.hand_in("forged.note", &forked(&log, 10, 300), 300);
    world.hand_in("honest.note", &log, 300);
    let heard = world.round().await;
    assert_eq!(heard.codes, ["entries-match", "fork", "consistent"]);
}
