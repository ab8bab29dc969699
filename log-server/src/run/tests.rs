use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::CONFIG_FILE;
use crate::kind::LogKind;
use crate::publish::CHECKPOINT_FILE;
use crate::testing::{Character, Site, TestLog, TestWitness};

async fn refused(site: &mut Site) -> RunError {
    site.start().await.unwrap_err()
}

#[tokio::test]
async fn a_stopped_log_goes_on_where_it_was() {
    let mut site = Site::run(LogKind::Raw).await;
    assert_eq!(site.post("/add", b"a").await.text(), "0\n");
    site.stop().await.unwrap();
    site.start().await.unwrap();
    assert_eq!(site.post("/add", b"a").await.text(), "0\n");
    assert_eq!(site.post("/add", b"b").await.text(), "1\n");
    site.stop().await.unwrap();
}

#[tokio::test]
async fn a_log_runs_once_at_a_time() {
    let site = Site::run(LogKind::Raw).await;
    let error = Running::start(site.dir.path(), None).await.unwrap_err();
    assert!(matches!(error, RunError::Open(_)) && error.refuses_to_sign(), "{error:?}");
    assert!(error.to_string().contains("stop it"), "{error}");
    assert_eq!(site.post("/add", b"a").await.status, 200);
}

#[tokio::test]
async fn nothing_is_created_where_there_is_no_log() {
    let dir = tempfile::TempDir::new().unwrap();
    let error = Running::start(dir.path(), None).await.unwrap_err();
    assert_eq!(error.code(), "config-missing");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    let mut site = Site::new(LogKind::Raw, &[]);
    std::fs::remove_dir_all(site.dir.path().join(DATA_DIR)).unwrap();
    assert!(matches!(refused(&mut site).await, RunError::Open(_)));
    assert!(!site.dir.path().join(DATA_DIR).exists());
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    let mut site = Site::new(LogKind::Raw, &[]);
    let key = site.dir.path().join(KEY_FILE);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(refused(&mut site).await, RunError::Read(DurableError::Exposed { .. })));
}

#[tokio::test]
async fn files_of_another_log_are_refused() {
    let other = Site::new(LogKind::Raw, &[]);
    for file in [KEY_FILE, POLICY_FILE] {
        let mut site = Site::new(LogKind::Raw, &[]);
        std::fs::copy(other.dir.path().join(file), site.dir.path().join(file)).unwrap();
        assert_eq!(refused(&mut site).await.code(), "policy-other-log", "{file}");
    }
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.origin = "log.example/renamed".to_owned());
    assert_eq!(refused(&mut site).await.code(), "origin-mismatch");
}

#[tokio::test]
async fn a_log_of_one_kind_is_not_opened_as_the_other() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.kind = LogKind::Records);
    assert!(matches!(refused(&mut site).await, RunError::Open(_)));
}

#[tokio::test]
async fn missing_files_are_named() {
    for (file, code) in [(POLICY_FILE, "policy-missing"), (CONFIG_FILE, "config-missing")] {
        let mut site = Site::new(LogKind::Raw, &[]);
        std::fs::remove_file(site.dir.path().join(file)).unwrap();
        let error = refused(&mut site).await;
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(file), "{error}");
    }
}

/// Rows S7 and F4 of the failure tables: a restored backup must not sign.
#[tokio::test]
async fn old_data_under_a_newer_published_checkpoint_refuses_to_sign() {
    let mut site = Site::run(LogKind::Raw).await;
    site.stop().await.unwrap();
    let (old, data) = (tempfile::TempDir::new().unwrap(), site.dir.path().join(DATA_DIR));
    copy_dir(&data, old.path());
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    published(&site, 1).await;
    site.stop().await.unwrap();
    let checkpoint = std::fs::read(data.join(CHECKPOINT_FILE)).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy_dir(old.path(), &data);
    std::fs::write(data.join(CHECKPOINT_FILE), checkpoint).unwrap();
    let error = refused(&mut site).await;
    assert!(error.refuses_to_sign(), "{error:?}");
}

#[tokio::test]
async fn old_data_that_a_witness_knows_more_of_refuses_to_sign() {
    let witness = TestWitness::start(2, Character::Honest).await;
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.start().await.unwrap();
    site.stop().await.unwrap();
    let (old, data) = (tempfile::TempDir::new().unwrap(), site.dir.path().join(DATA_DIR));
    copy_dir(&data, old.path());
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    published(&site, 1).await;
    site.stop().await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy_dir(old.path(), &data);
    let error = refused(&mut site).await;
    assert!(error.refuses_to_sign(), "{error:?}");
    assert_eq!(error.code(), "data-behind-signed");
}

#[tokio::test]
async fn a_witness_that_shows_more_later_stops_the_running_log() {
    let witness = TestWitness::start(2, Character::Failing(503)).await;
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    // Signed with this log's key, by another server that has its data.
    witness.hold_signed(TestLog::of(&[1, 2]).head(), &own_signer(&site));
    witness.become_(Character::Honest);
    let error = site.ended().await.unwrap_err();
    assert!(error.refuses_to_sign(), "{error:?}");
}

/// An address where nobody answers.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/checkpoint", listener.local_addr().unwrap())
}

fn must_answer(site: &Site, url: &str) {
    site.configure(|config| {
        config.refuse.checkpoints = vec![url.to_owned()];
        config.refuse.must_answer = vec![url.to_owned()];
        config.refuse.wait_s = 0;
    });
}

/// The address where the witness serves what it holds.
fn held_at(witness: &TestWitness) -> String {
    format!(
        "{}{}",
        witness.line().1,
        indelible_proto::witness_api::checkpoint_path(&crate::testing::origin())
    )
}

fn own_signer(site: &Site) -> CheckpointSigner {
    let key = std::fs::read_to_string(site.dir.path().join(KEY_FILE)).unwrap();
    CheckpointSigner::new(SecretKey::parse(key.trim_end()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_silent_source_keeps_a_log_from_signing_only_if_it_must_answer() {
    let mut site = Site::new(LogKind::Raw, &[]);
    must_answer(&site, &nobody());
    let error = refused(&mut site).await;
    assert!(error.refuses_to_sign(), "{error:?}");
    assert_eq!(error.code(), "source-silent");
    site.configure(|config| config.refuse.must_answer.clear());
    site.start().await.unwrap();
    assert_eq!(site.post("/add", b"a").await.status, 200);
}

#[tokio::test]
async fn a_refusal_in_doubt_is_overruled_once() {
    let mut site = Site::new(LogKind::Raw, &[]);
    must_answer(&site, &nobody());
    let RunError::Doubt(DoubtError::Standing { token, .. }) = refused(&mut site).await else {
        panic!("in doubt")
    };
    let start = async |token: &str| Running::start_anyway(site.dir.path(), None, Some(token)).await;
    assert!(start("00000000000000000000000000000000").await.unwrap_err().refuses_to_sign());
    let mut running = start(&token).await.unwrap();
    running.stop();
    running.ended().await.unwrap();
    assert!(start(&token).await.unwrap_err().refuses_to_sign(), "a second time");
}

#[tokio::test]
async fn what_is_known_to_fork_the_log_is_not_overruled() {
    let witness = TestWitness::start(2, Character::Honest).await;
    let mut site = Site::new(LogKind::Raw, &[]);
    must_answer(&site, &nobody());
    let RunError::Doubt(DoubtError::Standing { token, .. }) = refused(&mut site).await else {
        panic!("in doubt")
    };
    witness.hold_signed(TestLog::of(&[1, 2]).head(), &own_signer(&site));
    site.configure(|config| config.refuse.checkpoints.push(held_at(&witness)));
    let error = Running::start_anyway(site.dir.path(), None, Some(&token)).await.unwrap_err();
    assert!(matches!(error, RunError::History(HistoryError::Ahead { .. })), "{error:?}");
    assert!(error.refuses_to_sign() && !site.dir.path().join(crate::overrule::OVERRULED_FILE).exists());
}

#[tokio::test]
async fn a_source_with_nothing_of_this_log_has_not_answered() {
    let witness = TestWitness::start(2, Character::Honest).await;
    let mut site = Site::new(LogKind::Raw, &[]);
    must_answer(&site, &held_at(&witness));
    assert_eq!(refused(&mut site).await.code(), "source-silent", "404");
    witness.hold(TestLog::of(&[1, 2]).head());
    assert_eq!(refused(&mut site).await.code(), "source-silent", "another key");
    witness.hold_signed(TestLog::new().head(), &own_signer(&site));
    site.start().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_turns_up_later_stops_the_running_log() {
    let witness = TestWitness::start(2, Character::Honest).await;
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| {
        config.refuse.checkpoints = vec![held_at(&witness)];
        config.refuse.interval_s = std::num::NonZeroU64::MIN;
    });
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    witness.hold_signed(TestLog::of(&[1, 2]).head(), &own_signer(&site));
    let error = site.ended().await.unwrap_err();
    assert!(matches!(error, RunError::History(HistoryError::Ahead { .. })), "{error:?}");
    assert!(error.refuses_to_sign());
}

/// The gap that witnesses alone leave: an old copy, started while none of them can be reached.
#[tokio::test]
async fn an_old_copy_whose_witness_is_away_signs_nothing_if_that_must_answer() {
    let witness = TestWitness::start(2, Character::Honest).await;
    let name = witness.line().0.name().as_str().to_owned();
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.configure(|config| {
        config.refuse.must_answer = vec![name.clone()];
        config.refuse.wait_s = 0;
    });
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    published(&site, 1).await;
    site.stop().await.unwrap();
    site.start().await.unwrap();
    site.stop().await.unwrap();
    // It is there, but has forgotten what it cosigned; and it is not there at all.
    witness.forget();
    assert_eq!(refused(&mut site).await.code(), "source-silent");
    let policy = std::fs::read_to_string(site.dir.path().join(POLICY_FILE)).unwrap();
    let away = policy.replace(&witness.line().1, nobody().trim_end_matches("/checkpoint"));
    std::fs::write(site.dir.path().join(POLICY_FILE), away).unwrap();
    let error = refused(&mut site).await;
    assert!(error.refuses_to_sign() && error.to_string().contains(&name), "{error}");
}

#[tokio::test]
async fn a_clock_behind_what_witnesses_attested_keeps_a_log_from_signing() {
    let witness = TestWitness::start(2, Character::Honest).await;
    witness.set_clock(now().get() + 86_400);
    let mut site = Site::new(LogKind::Raw, &[&witness]);
    site.start().await.unwrap();
    site.post("/add", b"a").await;
    published(&site, 1).await;
    site.stop().await.unwrap();
    let RunError::Doubt(DoubtError::Standing { doubts, token, .. }) = refused(&mut site).await else {
        panic!("in doubt");
    };
    assert!(matches!(doubts[..], [Doubt::ClockBehind { .. }]), "{doubts:?}");
    let mut running = Running::start_anyway(site.dir.path(), None, Some(&token)).await.unwrap();
    running.stop();
    running.ended().await.unwrap();
}

/// Row S12: what could break a line of a header or of a log is no origin.
#[tokio::test]
async fn an_origin_with_control_characters_is_refused() {
    for bad in ["log.example/a\r\nx: y", "log.example/a\n", "log.example/\u{1b}[31m"] {
        let mut site = Site::new(LogKind::Raw, &[]);
        site.configure(|config| config.origin = bad.to_owned());
        assert!(matches!(refused(&mut site).await, RunError::Origin(_)), "{bad:?}");
    }
}

#[tokio::test]
async fn who_must_answer_has_to_be_asked() {
    let mut site = Site::new(LogKind::Raw, &[]);
    site.configure(|config| config.refuse.must_answer = vec!["witness.example/unknown".to_owned()]);
    let error = refused(&mut site).await;
    assert_eq!((error.code(), error.refuses_to_sign()), ("source-never-asked", false));
}

/// Waits until a checkpoint of this size is published.
async fn published(site: &Site, size: u64) {
    loop {
        let reply = site.get("/checkpoint").await;
        if reply.text().lines().nth(1) == Some(&size.to_string()) {
            return;
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
