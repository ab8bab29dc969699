//! The same thing handed in again: one place in the log, and a proof of it at any time.

use std::thread;

use indelible_proto::log_api::parse_index;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::proof::LogProof;
use indelible_proto::record::{SignedRecord, signed_message};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_tests::http::{self, Answer};
use indelible_tests::world::Kind;
use indelible_tests::{Publisher, World};

#[test]
fn a_record_handed_in_again_gets_its_first_place_and_a_proof_that_holds() {
    let mut world = World::start(Kind::Records, 1, 1);
    let policy = world.read_policy();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let mut records = Vec::new();
    for number in 0..5 {
        let record = publisher.next(format!("release {number}").as_bytes());
        let proof = submit(&world, &record);
        publisher.accepted(&record);
        assert_eq!(proof.index().get(), number);
        records.push(record);
    }
    for restart in [false, true] {
        if restart {
            world.take_log().kill();
            world.start_log();
        }
        for (record, place) in records.iter().zip(0..) {
            let proof = submit(&world, record);
            assert_eq!(proof.index().get(), place);
            let logged = proof.verify(&record.to_entry().leaf_hash(), &policy).unwrap();
            assert_eq!(logged.checkpoint().head().size.get(), 5);
        }
    }
}

#[test]
fn bytes_handed_in_again_get_their_first_place() {
    let mut world = World::start(Kind::Raw, 0, 0);
    let index = |world: &World, entry: &[u8]| {
        let answer = http::post(world.log().address(), "/add", entry).expect(200);
        parse_index(&answer.body).unwrap().get()
    };
    for (entry, place) in [("", 0), ("a", 1), ("b", 2), ("a", 1), ("", 0), ("c", 3), ("b", 2)] {
        assert_eq!(index(&world, entry.as_bytes()), place, "{entry:?}");
    }
    world.take_log().kill();
    world.start_log();
    for (entry, place) in [("c", 3), ("", 0), ("d", 4), ("a", 1), ("d", 4)] {
        assert_eq!(index(&world, entry.as_bytes()), place, "{entry:?}");
    }
    assert_eq!(world.reader().published(5).head().size.get(), 5);
}

#[test]
fn many_who_hand_in_the_same_at_once_get_one_place() {
    let world = World::start(Kind::Records, 1, 1);
    let publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    let answers = at_once(16, |_| submit(&world, &opening));
    assert!(answers.iter().all(|proof| proof.index().get() == 0));
    assert_eq!(world.reader().checkpoint().head().size.get(), 1);
}

#[test]
fn of_rivals_for_one_place_one_wins_and_the_others_learn_what_came_before() {
    let world = World::start(Kind::Records, 1, 1);
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    submit(&world, &opening);
    publisher.accepted(&opening);
    let rivals: Vec<SignedRecord> =
        (0..16).map(|number| publisher.next(format!("rival {number}").as_bytes())).collect();
    let answers: Vec<Answer> =
        at_once(16, |number| http::post(world.log().address(), "/submit", &rivals[number].encode()));
    let winners: Vec<usize> = (0..16).filter(|number| answers[*number].status == 200).collect();
    assert_eq!(winners.len(), 1);
    let winner = rivals[winners[0]].record_id().to_string();
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 409);
        assert_eq!(
            (&answer.json()["head"]["seq"], &answer.json()["head"]["head"]),
            (&1.into(), &winner.as_str().into())
        );
    }
    assert_eq!(world.reader().checkpoint().head().size.get(), 2);
}

#[test]
fn a_record_handed_in_under_other_signatures_has_the_place_and_bytes_it_had() {
    let world = World::start(Kind::Records, 1, 1);
    let policy = world.read_policy();
    let publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    submit(&world, &opening);
    // One record is one entry, whoever signs it once more.
    let other = KeyName::parse("other.example/key").unwrap();
    let other = RecordSigner::new(SecretKey::from_seed(KeyKind::Record, other, [9; 32])).unwrap();
    let more = opening.with_signature(other.sign(&signed_message(opening.payload()))).unwrap();
    assert_eq!(more.record_id(), opening.record_id());
    let proof = submit(&world, &more);
    assert_eq!(proof.extra(), Some(opening.encode().as_slice()));
    proof.verify(&opening.to_entry().leaf_hash(), &policy).unwrap();
}

#[track_caller]
fn submit(world: &World, record: &SignedRecord) -> LogProof {
    let answer = http::post(world.log().address(), "/submit", &record.encode()).expect(200);
    LogProof::parse(&answer.body).unwrap()
}

/// Does something on so many threads, and collects what they say in their order.
fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(count);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
