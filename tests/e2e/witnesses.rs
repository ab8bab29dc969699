//! Witnesses that are down, killed, restored, or run twice: what is published has its quorum, what cannot be
//! published waits, and nothing is lost.

use std::ffi::OsStr;
use std::fs;

use indelible_proto::log_api::SequencedAnswer;
use indelible_proto::note::VerifierKey;
use indelible_proto::proof::LogProof;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, Running, World, http, wait_until};

use crate::REFUSES_TO_SIGN;
use crate::exit::{UNDECIDED, VERIFIED};
use crate::vendor::Vendor;

#[test]
fn one_of_three_down_changes_nothing() {
    let mut world = World::start(Kind::Records, 3, 2);
    world.take_witness(1).kill();
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    let release = vendor.release(&world, "agent.tar.gz", b"the agent");
    vendor.verify(&world, &release).expect(VERIFIED);
    // Back again, it is asked for the next checkpoint and catches up from where it was.
    world.start_witness(1);
    let third = VerifierKey::parse(&world.witness_vkey(1)).unwrap();
    let mut number = 0;
    wait_until("the third witness cosigns again", || {
        number += 1;
        vendor.release(&world, &format!("agent-{number}.tar.gz"), b"another");
        let signed = world.reader().checkpoint();
        third.verify_note(signed.note()).unwrap()
    });
}

#[test]
fn without_a_quorum_a_record_is_sequenced_and_its_proof_comes_with_the_witnesses() {
    let mut world = World::prepare(Kind::Records, 3, 2);
    world.configure_log("wait_s", 1);
    world.start_all();
    let policy = world.read_policy();
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    let opening = publisher.next(b"");
    http::post(world.log().address(), "/submit", &opening.encode()).expect(200);
    publisher.accepted(&opening);
    world.take_witness(0).kill();
    world.take_witness(2).kill();

    let record = publisher.next(b"the agent");
    let waiting = http::post(world.log().address(), "/submit", &record.encode()).expect(202);
    let index = SequencedAnswer::parse(&waiting.body).unwrap().index;
    assert_eq!((index.get(), waiting.header("content-type")), (1, Some("application/json")));
    // Signed but not published: only the witnesses may fetch it.
    assert_eq!(world.reader().checkpoint().head().size.get(), 1);
    http::get(world.log().address(), "/tile/entries/000.p/2").expect(200);
    let again = http::post(world.log().address(), "/submit", &record.encode()).expect(202);
    assert_eq!(again.body, waiting.body);
    // The channel goes on meanwhile.
    publisher.accepted(&record);
    let next = publisher.next(b"the next agent");
    http::post(world.log().address(), "/submit", &next.encode()).expect(202);

    world.start_witness(0);
    for (record, place) in [(&record, 1), (&next, 2)] {
        let proof = wait_until("the proof is there", || {
            let answer = http::post(world.log().address(), "/submit", &record.encode());
            (answer.status == 200).then(|| LogProof::parse(&answer.body).unwrap())
        });
        let logged = proof.verify(&record.to_entry().leaf_hash(), &policy).unwrap();
        assert_eq!(logged.index().get(), place);
    }
}

#[test]
fn a_publication_without_a_quorum_is_undecided_and_can_be_finished_later() {
    let mut world = World::prepare(Kind::Records, 1, 1);
    world.configure_log("wait_s", 1);
    world.start_all();
    let vendor = Vendor::set_up(&world, "vendor.example/agent");
    world.take_witness(0).kill();
    let publish = || vendor.release_command(&world, "agent.tar.gz", b"the agent");
    let waiting = Finished::run(publish().args(["--wait", "1"])).expect(UNDECIDED);
    assert!(waiting.stderr.contains("not-witnessed-yet"), "{waiting}");
    world.start_witness(0);
    let publish = || vendor.release_command(&world, "agent.tar.gz", b"the agent");
    Finished::run(&mut publish()).expect(VERIFIED);
    vendor.verify(&world, &vendor.file("agent.tar.gz")).expect(VERIFIED);
    assert_eq!(world.reader().checkpoint().head().size.get(), 2);
}

#[test]
fn too_many_entries_without_witnesses_are_refused_for_now() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    world.configure_log("max_unpublished_entries", 3);
    world.start_log();
    // The empty log is public before any witness has seen it.
    assert_eq!(world.reader().checkpoint().head().size.get(), 0);
    for entry in ["a", "b", "c"] {
        http::post(world.log().address(), "/add", entry.as_bytes()).expect(200);
    }
    let refused = http::post(world.log().address(), "/add", b"d").expect(503);
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(refused.json()["code"], "unpublished-backlog");
    world.start_witness(0);
    world.reader().published(3);
    http::post(world.log().address(), "/add", b"d").expect(200);
}

#[test]
fn a_killed_witness_goes_on_from_what_it_cosigned() {
    let mut world = World::start(Kind::Raw, 1, 1);
    add(&world, 0..5);
    let path = witness_checkpoint_path(&world);
    let before = http::get(world.witness(0).address(), &path).expect(200).body;
    world.take_witness(0).kill();
    world.start_witness(0);
    assert_eq!(http::get(world.witness(0).address(), &path).expect(200).body, before);
    add(&world, 5..9);
}

#[test]
fn a_log_restarted_among_its_witnesses_goes_on() {
    let mut world = World::start(Kind::Raw, 3, 2);
    for round in 0..3 {
        add(&world, round * 4..round * 4 + 4);
        world.take_witness(round).kill();
        world.take_log().kill();
        world.start_log();
        add(&world, 100 + round..101 + round);
        world.start_witness(round);
    }
    let reader = world.reader();
    let head = reader.published(15).head();
    assert_eq!(reader.entries(&head).len(), 15);
}

#[test]
fn a_witness_without_its_state_refuses_to_sign() {
    let mut world = World::start(Kind::Raw, 1, 1);
    add(&world, 0..2);
    let state = world.witness_dir(0).join("state");
    world.take_witness(0).kill();
    let files: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept = files.iter().filter(|path| path.file_name() != Some(OsStr::new("lock")));
    for path in kept {
        let away = world.file("away");
        fs::rename(path, &away).unwrap();
        let refused = run_witness(&world);
        assert_eq!(refused.code(), REFUSES_TO_SIGN, "without {}: {refused}", path.display());
        fs::rename(&away, path).unwrap();
    }
    fs::remove_dir_all(&state).unwrap();
    run_witness(&world).expect(REFUSES_TO_SIGN);
    assert!(!state.exists());
}

#[test]
fn a_second_process_of_one_witness_refuses_to_sign() {
    let world = World::start(Kind::Raw, 1, 1);
    let refused = run_witness(&world).expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("another process"), "{refused}");
    add(&world, 0..2);
}

#[test]
fn a_witness_in_the_policy_without_the_log_in_its_list_only_slows_nothing_down() {
    let mut world = World::prepare(Kind::Raw, 2, 1);
    fs::write(world.witness_dir(1).join("logs.txt"), "").unwrap();
    world.start_all();
    add(&world, 0..3);
    http::get(world.witness(1).address(), &witness_checkpoint_path(&world)).expect(404);
}

/// Hands in entries and waits until they are published.
fn add(world: &World, numbers: std::ops::Range<usize>) {
    let mut last = 0;
    for number in numbers {
        let answer = http::post(world.log().address(), "/add", format!("entry {number}").as_bytes());
        last = answer.expect(200).text().trim_end().parse().unwrap();
    }
    world.reader().published(last + 1);
}

/// Where a witness serves what it cosigned of the world's log.
fn witness_checkpoint_path(world: &World) -> String {
    indelible_proto::witness_api::checkpoint_path(world.reader().checkpoint().checkpoint().origin())
}

/// `indelible-witness run` of the first witness on a port of its own, which is expected to end by itself.
fn run_witness(world: &World) -> Finished {
    let dir = world.witness_dir(0);
    let args: [&OsStr; 4] = ["run".as_ref(), dir.as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
    Running::try_start(&World::binaries().witness, &args, &world.file("second-witness.out")).unwrap_err()
}
