use indelible_proto::policy::Policy;
use tempfile::TempDir;

use super::*;
use crate::testing::{TestLog, cosigner, policy, seconds, signed};

fn silent(source: &str, why: &str) -> Doubt {
    Doubt::Silent(Silent { source: source.to_owned(), why: why.to_owned() })
}

fn heads() -> (TreeHead, TreeHead) {
    (TestLog::of(&[1, 2]).head(), TestLog::of(&[1]).head())
}

fn situation(dir: &TempDir) -> Situation<'_> {
    let (signed, published) = heads();
    Situation { dir: dir.path(), origin: "log.example/test", signed, published }
}

fn refused(situation: &Situation<'_>, doubts: &[Doubt], given: Option<&str>) -> String {
    match overrule(situation, doubts.to_vec(), given, seconds(7)) {
        Err(DoubtError::Standing { token, .. }) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_works_once_and_is_written_down_first() {
    let dir = TempDir::new().unwrap();
    let doubts = [silent("w0", "refused"), silent("w1", "timeout")];
    let token = refused(&situation(&dir), &doubts, None);
    assert!(!dir.path().join(OVERRULED_FILE).exists(), "a refusal writes nothing");
    // In other words and another order it is the same situation.
    let again = [silent("w1", "refused"), silent("w0", "no route")];
    assert_eq!(refused(&situation(&dir), &again, Some("0123")), token);
    overrule(&situation(&dir), again.to_vec(), Some(&token), seconds(7)).unwrap();
    let used = std::fs::read_to_string(dir.path().join(OVERRULED_FILE)).unwrap();
    assert_eq!(used, format!("{token} 1970-01-01T00:00:07Z source-silent,source-silent\n"));
    let next = refused(&situation(&dir), &doubts, Some(&token));
    assert_ne!(next, token);
    overrule(&situation(&dir), doubts.to_vec(), Some(&next), seconds(8)).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join(OVERRULED_FILE)).unwrap().lines().count(), 2);
}

#[test]
fn a_token_is_of_no_use_in_any_other_situation() {
    let dir = TempDir::new().unwrap();
    let one = [silent("w0", "refused")];
    let token = refused(&situation(&dir), &one, None);
    let (signed, published) = heads();
    let here = || situation(&dir);
    let other_log = Situation { origin: "log.example/other", ..here() };
    let other_signed = Situation { signed: published, ..here() };
    let other_published = Situation { published: signed, ..here() };
    for situation in [other_log, other_signed, other_published] {
        assert_ne!(refused(&situation, &one, Some(&token)), token);
    }
    let clock = Doubt::ClockBehind { now: seconds(1), attested: seconds(2) };
    for doubts in
        [vec![silent("w1", "refused")], vec![one[0].clone(), silent("w1", "")], vec![one[0].clone(), clock]]
    {
        assert_ne!(refused(&here(), &doubts, Some(&token)), token);
    }
}

#[test]
fn without_doubts_a_token_is_neither_needed_nor_used() {
    let dir = TempDir::new().unwrap();
    overrule(&situation(&dir), Vec::new(), None, seconds(7)).unwrap();
    overrule(&situation(&dir), Vec::new(), Some("0123"), seconds(7)).unwrap();
    assert!(!dir.path().join(OVERRULED_FILE).exists());
}

#[test]
fn what_cannot_be_written_down_does_not_happen() {
    let dir = TempDir::new().unwrap();
    let doubts = [silent("w0", "refused")];
    let full = vec![b'x'; OVERRULED_MAX_BYTES];
    std::fs::write(dir.path().join(OVERRULED_FILE), &full).unwrap();
    let token = refused(&situation(&dir), &doubts, None);
    let error = overrule(&situation(&dir), doubts.to_vec(), Some(&token), seconds(7)).unwrap_err();
    assert_eq!(error.code(), "file-too-large");
    assert!(std::fs::read(dir.path().join(OVERRULED_FILE)).unwrap() == full);
    std::fs::remove_file(dir.path().join(OVERRULED_FILE)).unwrap();
    let token = refused(&situation(&dir), &doubts, None);
    let gone = Situation { dir: &dir.path().join("gone"), ..situation(&dir) };
    assert!(matches!(overrule(&gone, doubts.to_vec(), Some(&token), seconds(7)), Err(DoubtError::File(_))));
}

#[test]
fn the_message_names_every_doubt_the_token_and_what_to_do() {
    let dir = TempDir::new().unwrap();
    let clock = Doubt::ClockBehind { now: seconds(1), attested: seconds(1000) };
    let error =
        overrule(&situation(&dir), vec![silent("w\r\n0", "refused"), clock], None, seconds(1)).unwrap_err();
    let DoubtError::Standing { token, .. } = &error else { panic!("{error:?}") };
    let text = error.to_string();
    for part in ["w\\r\\n0", "refused", "set the clock", token, "--sign-anyway", OVERRULED_FILE] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A checkpoint cosigned by witnesses at these times, and a policy with which two of three are enough.
fn cosigned(times: &[u64]) -> (std::sync::Arc<Policy>, SignedNote) {
    let witnesses: Vec<_> = (0..3u8).map(|n| cosigner(n + 2)).collect();
    let lines: Vec<_> =
        witnesses.iter().map(|witness| (witness.verifier().clone(), "http://w".to_owned())).collect();
    let note = signed(TestLog::of(&[1]).head()).note;
    let cosignatures = witnesses
        .iter()
        .zip(times)
        .map(|(witness, time)| witness.cosign(note.text(), seconds(*time)).unwrap());
    let signatures = note.signatures().iter().cloned().chain(cosignatures).collect();
    (policy(2, &lines), note.with_signatures(signatures).unwrap())
}

#[test]
fn the_attested_time_is_what_a_quorum_says_and_one_clock_alone_does_not_move_it() {
    for (times, expected) in [
        (&[1000, 2000, 3000][..], Some(2000)),
        (&[9_000_000_000, 2000, 1000], Some(2000)),
        (&[1000, 1000], Some(1000)),
        (&[1000], None),
        (&[], None),
    ] {
        let (policy, note) = cosigned(times);
        assert_eq!(attested_time(&policy, &note).map(UnixSeconds::get), expected, "{times:?}");
    }
}

#[test]
fn the_clock_is_in_doubt_only_beyond_what_clocks_differ() {
    let attested = Some(seconds(10_000));
    for (now, doubted) in
        [(10_000 - CLOCK_SLACK_S, false), (10_000 - CLOCK_SLACK_S - 1, true), (20_000, false)]
    {
        assert_eq!(clock_doubt(seconds(now), attested).is_some(), doubted, "{now}");
    }
    assert_eq!(clock_doubt(seconds(0), None), None);
}
