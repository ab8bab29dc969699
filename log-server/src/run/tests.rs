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
    assert!(matches!(error, RunError::Open(_)) && !error.refuses_to_sign(), "{error:?}");
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
    let key = std::fs::read_to_string(site.dir.path().join(KEY_FILE)).unwrap();
    let signer = LogSigner::new(SecretKey::parse(key.trim_end()).unwrap()).unwrap();
    witness.hold_signed(TestLog::of(&[1, 2]).head(), &signer);
    witness.become_(Character::Honest);
    let error = site.ended().await.unwrap_err();
    assert!(error.refuses_to_sign(), "{error:?}");
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
