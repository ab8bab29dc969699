//! A directory of records that were signed elsewhere, handed in many at a time.

use std::path::{Path, PathBuf};

use indelible_proto::proof::LogProof;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, World};

use crate::exit::{REFUSED, VERIFIED};

/// More than one request takes.
const RECORDS: usize = 260;

struct Room {
    world: World,
}

impl Room {
    /// Two channels with records one after the other, and one record by a key that is not its channel's.
    fn new() -> Self {
        let room = Self { world: World::start(Kind::Records, 1, 1) };
        std::fs::create_dir(room.records()).unwrap();
        for (name, seed) in [("vendor.example/a", 7), ("vendor.example/b", 8)] {
            let mut publisher = Publisher::new(name, seed);
            let label = name.trim_start_matches("vendor.example/");
            for number in 0..RECORDS / 2 {
                let record = publisher.next(number.to_string().as_bytes());
                publisher.accepted(&record);
                // Names in another order than the records'.
                room.write(&format!("{label}-{}", RECORDS - number), &record.encode());
            }
        }
        let mut victim = Publisher::new("vendor.example/c", 9);
        let opening = victim.next(b"");
        victim.accepted(&opening);
        room.write("c-1", &opening.encode());
        let mut thief = Publisher::new("vendor.example/c", 10);
        let other = thief.next(b"");
        thief.accepted(&other);
        room.write("c-2", &thief.next(b"stolen").encode());
        room
    }

    fn records(&self) -> PathBuf {
        self.world.file("records")
    }

    fn write(&self, name: &str, leaf: &[u8]) {
        std::fs::write(self.records().join(format!("{name}.leaf")), leaf).unwrap();
    }

    fn submit(&self) -> Finished {
        Finished::run(
            self.world.client().args(["--json", "submit", "records", "--policy"]).arg(self.world.policy()),
        )
    }

    /// Every proof by its path.
    fn proofs(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let paths = std::fs::read_dir(self.records()).unwrap().map(|entry| entry.unwrap().path());
        let mut proofs: Vec<_> = paths.filter(|path| is_proof(path)).collect();
        proofs.sort();
        proofs.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

fn is_proof(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "tlog-proof")
}

fn summary(finished: &Finished) -> serde_json::Value {
    serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn each_record_ends_on_its_own_and_another_run_ends_with_the_same_proofs() {
    let room = Room::new();
    let first = room.submit().expect(REFUSED);
    let end = summary(&first);
    assert_eq!((&end["records"], &end["notPublished"]), (&(RECORDS + 1).into(), &1.into()), "{end}");
    assert!(first.stdout.lines().any(|line| line.contains("c-2.leaf") && line.contains("log-")), "{first}");
    let proofs = room.proofs();
    assert_eq!(proofs.len(), RECORDS + 1);

    // As if it had been stopped half-way: before some proofs were written, and while one was.
    for (path, _) in proofs.iter().step_by(2) {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::write(&proofs[1].0, &proofs[1].1[..proofs[1].1.len() / 2]).unwrap();
    std::fs::remove_file(room.records().join("c-2.leaf")).unwrap();
    let second = summary(&room.submit().expect(VERIFIED));
    assert_eq!(second["records"], RECORDS + 1);
    assert_eq!(second["already"], RECORDS / 2 - 1);
    let index = |bytes: &[u8]| LogProof::parse(bytes).unwrap().index();
    let again = room.proofs();
    assert_eq!(again.len(), proofs.len());
    for ((path, before), (_, after)) in proofs.iter().zip(&again) {
        assert_eq!(index(before), index(after), "{}", path.display());
    }
    assert_eq!(summary(&room.submit().expect(VERIFIED))["already"], RECORDS + 1);
    assert_eq!(room.proofs(), again);
}
