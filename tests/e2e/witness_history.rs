//! The witness program and the one history that it cosigns: whoever asks, however many at once, and however
//! it ends.

use std::fs;
use std::path::Path;
use std::thread;

use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::SignedNote;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::{AddCheckpointRequest, parse_cosignatures};
use indelible_tests::Rogue;
use indelible_tests::http::{Answer, Connection};

use crate::witness_bench::{Bench, nothing, request, size};

#[test]
fn cosigns_growth_and_serves_exactly_what_it_cosigned() {
    let bench = Bench::new();
    bench.latest().expect(404);
    for (old, new) in [(0, 1), (1, 3), (3, 3), (3, 4), (4, 8), (8, 8)] {
        let answer = bench.add(old, new).expect(200);
        let lines = parse_cosignatures(&answer.body).unwrap();
        let note = bench.rogue.checkpoint(size(new)).with_signatures(lines).unwrap();
        let cosigned = bench.key.verify_note(&note).unwrap().expect("a cosignature");
        assert!(cosigned.timestamp().unwrap().get() > 1_700_000_000);
        let served = SignedNote::parse(&bench.latest().expect(200).body).unwrap();
        assert_eq!(served.text(), note.text());
        assert_eq!(served.signatures().len(), 2, "the log's line and its own");
    }
    assert_eq!(bench.latest().header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn two_histories_are_never_cosigned_and_the_second_is_kept_as_evidence() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let fork = bench.fork_at(2, "another");
    let served = bench.latest().body;

    // The same size with another root, however it is dressed.
    let same_size = AddCheckpointRequest { old: size(4), proof: nothing(), note: fork.checkpoint(size(4)) };
    bench.post(&same_size.encode()).expect(422);
    // Growth from another history, with a proof that holds there.
    bench.post(&request(&fork, 4, 8).encode()).expect(422);
    // Growth of its own history with no proof, too little, too much, or another.
    let honest = request(&bench.rogue, 4, 8);
    let hashes = honest.proof.hashes().to_vec();
    let with = |hashes: Vec<Hash>| {
        let proof = ConsistencyProof::new(hashes).unwrap();
        bench.post(&AddCheckpointRequest { proof, ..honest.clone() }.encode())
    };
    with(Vec::new()).expect(422);
    with([&hashes[..], &hashes[..1]].concat()).expect(422);
    with(request(&bench.rogue, 4, 7).proof.hashes().to_vec()).expect(422);
    with(vec![sha256(b"garbage"); hashes.len()]).expect(422);
    with(vec![sha256(b"garbage"); 63]).expect(422);
    // A proof where none belongs.
    let same = AddCheckpointRequest {
        old: size(4),
        proof: honest.proof.clone(),
        note: bench.rogue.checkpoint(size(4)),
    };
    bench.post(&same.encode()).expect(422);

    assert_eq!(bench.latest().body, served);
    let kept = walkdir::WalkDir::new(bench.witness_dir().join("state/conflicts"));
    let kept = kept.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let kept: Vec<String> = kept.map(|entry| fs::read_to_string(entry.path()).unwrap()).collect();
    let root = fork.head(size(4)).root.to_base64();
    assert!(kept.iter().any(|note| note.contains(&root)), "the fork of the same size is kept");
    bench.add(4, 8).expect(200);
}

#[test]
fn of_many_conflicting_growths_at_once_one_history_is_cosigned() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let branches: Vec<Rogue> = (0..60).map(|branch| bench.fork_at(5, &format!("branch {branch}"))).collect();
    let answers: Vec<(usize, Answer)> = thread::scope(|scope| {
        let asked: Vec<_> = branches
            .iter()
            .enumerate()
            .map(|(branch, rogue)| {
                let (bench, new) = (&bench, 6 + branch as u64 % 3);
                scope.spawn(move || (branch, bench.post(&request(rogue, 4, new).encode())))
            })
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let cosigned: Vec<usize> =
        answers.iter().filter(|(_, answer)| answer.status == 200).map(|(branch, _)| *branch).collect();
    assert_eq!(cosigned.len(), 1, "{cosigned:?}");
    assert!(answers.iter().all(|(_, answer)| [200, 409].contains(&answer.status)));
    let winner = &branches[cosigned[0]];
    assert_eq!(bench.cosigned(), 6 + cosigned[0] as u64 % 3);
    bench.post(&request(winner, bench.cosigned(), 8).encode()).expect(200);
}

#[test]
fn killed_while_it_cosigns_it_never_forgets_a_cosignature_it_gave() {
    let mut bench = Bench::new();
    let mut given = 0;
    for new in 1..=8 {
        // Whoever was asked may have been killed before or after the answer.
        let body = request(&bench.rogue, given, new).encode();
        let head =
            format!("POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut connection = Connection::open(bench.address()).unwrap();
        connection.send(&[head.as_bytes(), &body].concat()).unwrap();
        let answered =
            if new % 2 == 0 { connection.answer(false).ok().map(|answer| answer.status) } else { None };
        bench.kill();
        bench.start();
        let held = bench.latest();
        let held = if held.status == 404 { 0 } else { bench.cosigned() };
        assert!(held == given || held == new, "{held} after {given} and {new}");
        assert!(answered != Some(200) || held == new, "an answer went out before it was on disk");
        given = held;
    }
}

#[test]
fn a_state_restored_from_before_its_own_cosignature_signs_no_more() {
    let mut bench = Bench::new();
    bench.add(0, 3).expect(200);
    bench.kill();
    let (state, old) = (bench.witness_dir().join("state"), bench.file("old-state"));
    copy(&state, &old);
    bench.start();
    bench.add(3, 6).expect(200);
    let newest = SignedNote::parse(&bench.latest().body).unwrap();
    bench.kill();
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&old, &state).unwrap();
    bench.start();
    assert_eq!(bench.cosigned(), 3);
    // The log brings what it has: a checkpoint with the witness's own cosignature, newer than its state.
    let own = AddCheckpointRequest { old: size(3), proof: request(&bench.rogue, 3, 6).proof, note: newest };
    bench.post(&own.encode()).expect(503);
    // From then on nothing of this log is signed, not even what would be right, also after a restart.
    bench.add(3, 8).expect(503);
    bench.kill();
    bench.start();
    bench.add(3, 8).expect(503);
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let copied = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir(copied).unwrap();
        } else {
            fs::copy(entry.path(), copied).unwrap();
        }
    }
}
