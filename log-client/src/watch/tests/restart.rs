//! What a watchdog finds on disk when it starts again.

use super::*;

fn log_dir(world: &World) -> PathBuf {
    let mut dirs = fs::read_dir(world.path("state/watch")).unwrap().map(|entry| entry.unwrap().path());
    dirs.find(|path| path.is_dir()).unwrap()
}

#[tokio::test]
async fn a_restart_reads_only_what_is_new() {
    let world = World::new();
    world.publish(&log_of(520));
    world.round().await;
    world.publish(&log_of(600));
    for index in 0..2 {
        let bundle = BundleId::for_size(index, size(600)).unwrap();
        fs::remove_file(world.path("log").join(bundle.path())).unwrap();
    }
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None));
    assert!(heard.texts[0].starts_with("80 new entries"), "{}", heard.texts[0]);
}

#[tokio::test]
async fn an_interrupted_reading_goes_on_where_it_stopped() {
    let world = World::new();
    let log = log_of(700);
    world.publish(&log);
    let bundle = |index| world.path("log").join(BundleId::for_size(index, size(700)).unwrap().path());
    fs::rename(bundle(1), world.path("aside")).unwrap();
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["unread"], Some(Class::Undecided)));

    fs::rename(world.path("aside"), bundle(1)).unwrap();
    fs::remove_file(bundle(0)).unwrap();
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None));
}

#[tokio::test]
async fn damaged_state_is_damage_here_and_no_accusation() {
    let world = World::new();
    world.publish(&log_of(300));
    world.round().await;
    let path = log_dir(&world).join("held");
    let good = fs::read(&path).unwrap();
    let changed = {
        let mut bytes = good.clone();
        bytes[100] ^= 1;
        bytes
    };
    for bad in [&good[..good.len() / 2], &vec![0; good.len()], b"", &changed, &[&good[..], b"\n"].concat()] {
        fs::write(&path, bad).unwrap();
        let error = world.open().map(|_| ()).unwrap_err();
        assert_eq!(error.code(), "state-damaged", "{error}");
        assert!(error.to_string().contains("not misbehaviour of a log"), "{error}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(world.round().await.codes, ["consistent"]);
}

#[tokio::test]
async fn a_change_that_still_parses_is_damage_too() {
    let mut world = World::new();
    world.publish(&log_of(260));
    world.hand_in("ahead.note", &log_of(600), 600);
    world.round().await;
    let path = log_dir(&world).join("held");
    let good = fs::read(&path).unwrap();
    let label = good.windows(10).position(|window| window == b"ahead.note").unwrap();
    let mut bad = good.clone();
    bad[label] ^= 1;
    fs::write(&path, &bad).unwrap();
    assert!(world.open().map(|_| ()).unwrap_err().to_string().contains("checksum"));
}

#[tokio::test]
async fn a_held_root_that_the_held_entries_do_not_have_is_damage() {
    let world = World::new();
    let log = log_of(300);
    let checkpoint = world.policy.verify_log_signature(&log.note(300, 3)).unwrap();
    let mut held = Held { checkpoint: Some(checkpoint), ..Held::default() };
    let mut ahead = held.scan.ahead();
    for entry in &forked(&log, 299, 300).entries {
        ahead.frontier.append(indelible_proto::hash::leaf_hash(entry)).unwrap();
    }
    held.scan.advance(ahead);
    let store = world.open().unwrap();
    store.store().save(&held).unwrap();
    drop(store);
    assert!(world.open().map(|_| ()).unwrap_err().to_string().contains("root-mismatch"));
}

#[tokio::test]
async fn the_state_of_another_log_is_damage() {
    let world = World::new();
    world.publish(&log_of(3));
    world.round().await;
    let dir = log_dir(&world);
    let other = indelible_proto::checkpoint::Origin::parse("other.example/log").unwrap();
    fs::rename(&dir, dir.with_file_name(other.hash_hex())).unwrap();
    let store = world.open_dir().unwrap().log(&other, LogKind::Raw, &world.policy).unwrap();
    assert!(store.load().unwrap_err().to_string().contains("other-origin"));
}

#[tokio::test]
async fn the_state_of_a_log_of_another_kind_is_refused() {
    let mut world = World::new();
    world.publish(&log_of(3));
    world.round().await;
    world.kind = LogKind::Records;
    assert_eq!(world.open().map(|_| ()).unwrap_err().code(), "state-other-kind");
}

#[tokio::test]
async fn a_damaged_latch_does_not_come_off() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    world.round().await;
    fs::write(log_dir(&world).join("latched"), b"").unwrap();
    assert_eq!(world.open().map(|_| ()).unwrap_err().code(), "state-damaged");
}

#[test]
fn one_directory_serves_one_watchdog() {
    let world = World::new();
    let _held = world.open_dir().unwrap();
    assert_eq!(world.open_dir().map(|_| ()).unwrap_err().code(), "directory-locked");
}

#[tokio::test]
async fn every_note_is_kept_once_byte_for_byte() {
    let mut world = World::new();
    let log = log_of(300);
    world.publish(&log);
    world.hand_in("same.note", &log, 300);
    world.hand_in("forged.note", &log, 299);
    let mut forged = fs::read(world.path("forged.note")).unwrap();
    *forged.last_chunk_mut::<6>().unwrap().first_mut().unwrap() ^= 1;
    fs::write(world.path("forged.note"), &forged).unwrap();
    world.round().await;
    world.round().await;
    let kept: Vec<_> = world.open().unwrap().store().notes().collect();
    assert_eq!(kept, [log.note(300, 3).encode(), forged]);
}

#[tokio::test]
async fn an_interrupted_reading_is_begun_again_for_a_smaller_checkpoint() {
    let world = World::new();
    let log = log_of(700);
    world.publish(&log);
    let last = world.path("log").join(BundleId::for_size(2, size(700)).unwrap().path());
    fs::remove_file(last).unwrap();
    assert_eq!(world.round().await.codes, ["unread"]);
    write(&world.path("log/checkpoint"), &log.note(300, 3).encode());
    let heard = world.round().await;
    assert_eq!((heard.codes, heard.gravest), (vec!["entries-match"], None));
}

#[tokio::test]
async fn a_dispute_latches_once_however_often_it_is_seen() {
    let mut world = World::new();
    let mut log = log_of(300);
    world.publish(&log);
    world.hand_in("received.note", &forked(&log, 10, 300), 300);
    let mut follower = world.open().unwrap();
    for size in [300, 310, 320] {
        grow(&mut log, size, "");
        world.publish(&log);
        assert_eq!(round(&mut follower).await.codes.last(), Some(&"fork"));
        assert_eq!(follower.store().latches().unwrap().len(), 1);
    }
    drop(follower);
    world.round().await;
    assert_eq!(world.open().unwrap().store().latches().unwrap().len(), 1);
    world.the_fork();
}
