//! The decisions alone, without a file or a directory.

use super::*;

fn watch(kind: LogKind) -> Watch {
    let policy = TestLog::new().policy(2);
    let origin = indelible_proto::checkpoint::Origin::parse(crate::test_log::ORIGIN).unwrap();
    Watch::new(policy, origin, kind, Held::default(), None)
}

fn seen(role: Role, log: &TestLog) -> Event {
    let from = Vantage { role, label: "somewhere".into() };
    Event::Seen { from, note: log.note(log.entries.len(), 3).encode() }
}

fn entries_of(log: &TestLog) -> Event {
    Event::Entries(Ok(log.entries.iter().map(|entry| Entry::new(entry.clone()).unwrap()).collect()))
}

fn codes(actions: &[Action]) -> Vec<&'static str> {
    let codes = actions.iter().map(|action| match action {
        Action::Report(Report { finding: Finding::Good(check), .. }) => check.code(),
        Action::Report(Report { finding: Finding::Bad(alert), .. }) => alert.code(),
        Action::SaveEvidence(_) => "(save evidence)",
        Action::Ask(_) => "(ask)",
        Action::Read { .. } => "(read)",
        Action::Save => "(save)",
        Action::SaveAhead => "(save ahead)",
    });
    codes.collect()
}

#[test]
fn a_fork_is_saved_before_it_is_told() {
    let mut watch = watch(LogKind::Raw);
    let log = log_of(3);
    watch.step(seen(Role::Log, &log));
    let actions = watch.step(seen(Role::Witness, &forked(&log, 1, 3)));
    assert_eq!(codes(&actions), ["(save evidence)", "fork"]);
}

#[test]
fn a_refused_record_is_told_before_progress_is_saved() {
    let mut watch = watch(LogKind::Records);
    let log = log_of(2);
    assert_eq!(codes(&watch.step(seen(Role::Log, &log))), ["(read)"]);
    let actions = watch.step(entries_of(&log));
    assert_eq!(codes(&actions), ["record-refused", "record-refused", "entries-match", "(save)"]);
}

#[test]
fn more_entries_than_asked_for_are_not_taken_in() {
    let mut watch = watch(LogKind::Raw);
    watch.step(seen(Role::Log, &log_of(2)));
    assert_eq!(codes(&watch.step(entries_of(&log_of(5)))), ["entries-match", "(save)"]);
    assert_eq!(watch.held().scan.size(), size(2));
}

#[test]
fn a_reading_without_entries_ends() {
    let mut watch = watch(LogKind::Raw);
    watch.step(seen(Role::Log, &log_of(2)));
    assert_eq!(codes(&watch.step(entries_of(&log_of(0)))), ["unread", "(save ahead)"]);
    assert_eq!(codes(&watch.step(entries_of(&log_of(2)))), [""; 0]);
}

#[test]
fn only_so_many_checkpoints_wait() {
    let mut watch = watch(LogKind::Raw);
    let mut log = TestLog::new();
    for waiting in 1..=70 {
        log.append(b"entry");
        let expected: &[_] = if waiting <= 64 { &["unproven", "(save)"] } else { &["too-many-unproven"] };
        assert_eq!(codes(&watch.step(seen(Role::Elsewhere, &log))), expected, "{waiting}");
    }
    assert_eq!(watch.held().pending.len(), 64);
}

#[test]
fn a_long_reading_is_saved_now_and_then() {
    let mut watch = watch(LogKind::Raw);
    let mut log = TestLog::new();
    log.entries = vec![b"entry".to_vec(); 256];
    let bundle = entries_of(&log);
    log.entries = vec![b"entry".to_vec(); 70_000];
    let mut actions = watch.step(seen(Role::Log, &log));
    let mut saved_at = Vec::new();
    while let Some(Action::Read { from, .. }) = actions.last() {
        if codes(&actions).contains(&"(save ahead)") {
            saved_at.push(from.get());
        }
        actions = watch.step(bundle.clone());
    }
    assert_eq!(codes(&actions), ["entries-match", "(save)"]);
    assert_eq!(saved_at, [65_536]);
}
