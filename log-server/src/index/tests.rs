use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{leaf_hash, sha256};
use indelible_proto::log_api::LookupKey;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::sign::{CheckpointSigner, SecretKey};
use indelible_proto::tree::TreeHead;
use tempfile::TempDir;

use super::rows::{List, Row};
use super::waiting::Waiting;
use super::*;
use crate::sequencer::tests::records::chain;
use crate::sequencer::{CoreSettings, Sequencer, Submission, System, create};
use crate::storage::Storage;
use crate::testing::TestLog;

mod files;
mod repeated;

const ENTRIES: u64 = 2000;

fn entry(number: u64) -> Entry {
    Entry::new(number.to_be_bytes().to_vec()).unwrap()
}

fn key(number: u64) -> Hash {
    entry(number).leaf_hash()
}

/// A raw log of entries numbered from 0, and its tree.
fn log() -> (TempDir, Arc<TreeReader>) {
    let entries = (0..ENTRIES).map(|number| Submission::Raw(entry(number))).collect();
    log_of(LogKind::Raw, entries)
}

fn log_of(kind: LogKind, entries: Vec<Submission>) -> (TempDir, Arc<TreeReader>) {
    let dir = TempDir::new().unwrap();
    let name = KeyName::parse("log.example").unwrap();
    let settings = CoreSettings {
        data_dir: dir.path().join("data"),
        origin: Origin::parse("log.example").unwrap(),
        kind,
        signer: CheckpointSigner::new(SecretKey::from_seed(KeyKind::Log, name, [1; 32])).unwrap(),
        queue_entries: 10_000,
        queue_bytes: 1 << 20,
        index_memory_entries: DEFAULT_MEMORY_ENTRIES,
        openers: crate::openers::Openers::anyone(),
        system: System::real(),
    };
    create(&settings).unwrap();
    let sequencer = Sequencer::open(settings).unwrap();
    sequencer.handle().submit_many(entries).unwrap().blocking_recv().unwrap();
    let tree = sequencer.handle().tree();
    (dir, tree)
}

fn open(dir: &TempDir, tree: &Arc<TreeReader>, memory_entries: usize) -> Index {
    open_as(LogKind::Raw, dir, tree, memory_entries)
}

fn open_as(kind: LogKind, dir: &TempDir, tree: &Arc<TreeReader>, memory_entries: usize) -> Index {
    let identity = Identity { origin_hash: sha256(b"log.example"), kind };
    let index = Index::new(place(dir, "own-index"), identity, Arc::clone(tree), memory_entries);
    index.open().unwrap();
    index
}

fn place(dir: &TempDir, name: &str) -> Place {
    Place { storage: Storage::real(), dir: dir.path().join(name) }
}

fn is_behind(index: &Index) -> bool {
    let memory = index.memory();
    memory.filled < memory.goal
}

fn assert_knows_everything(index: &Index) {
    let keys: Vec<Hash> = (0..ENTRIES + 10).map(key).collect();
    let known = index.find(&keys).unwrap();
    for (number, known) in (0..).zip(known) {
        let expected = (number < ENTRIES)
            .then(|| Known { index: LeafIndex::new(number).unwrap(), leaf_hash: key(number) });
        assert_eq!(known, expected, "entry {number}");
    }
}

#[test]
fn knows_every_entry_wherever_its_key_is() {
    let (dir, tree) = log();
    for memory_entries in [512, 1000, 10_000] {
        let _ = std::fs::remove_dir_all(dir.path().join("own-index"));
        let index = open(&dir, &tree, memory_entries);
        assert_knows_everything(&index);
        let filled = index.memory().filled;
        assert_eq!(filled > 0, memory_entries < 2000, "{filled} in the database");
        while is_behind(&index) {
            index.move_some().unwrap();
            assert_knows_everything(&index);
        }
    }
}

/// A start knows the entries that are in the database, but the filter has none of them yet.
#[test]
fn the_filter_answers_only_once_it_has_every_key_of_the_database() {
    let (dir, tree) = log();
    filled_index(&dir, &tree);
    let index = open(&dir, &tree, 10_000);
    let full = full_bundle_entries(tree.signed_size());
    assert_eq!(index.memory().first, full);
    assert_eq!(index.memory().filtered, full);
    assert_knows_everything(&index);
    // Whether a new key was asked of the database shows by a row that is wrong.
    let new = key(ENTRIES + 5);
    index.store().unwrap().insert(&[Row { list: List::Once, key: new, index: 8 }]).unwrap();
    assert!(matches!(index.look_up(&[new]), Err(IndexError::Wrong { index: 8 })));
    index.set_mended();
    index.filter_some().unwrap();
    assert_eq!(index.memory().filtered, 0);
    assert_eq!(index.look_up(&[new]).unwrap(), [None]);
    assert_knows_everything(&index);
}

#[test]
fn who_adds_waits_until_the_index_is_open_and_who_reads_waits_or_is_told_so() {
    let (dir, tree) = log();
    let identity = Identity { origin_hash: sha256(b"log.example"), kind: LogKind::Raw };
    let index = Index::new(place(&dir, "own-index"), identity, Arc::clone(&tree), 10_000);
    let error = look_for(&index, 1).unwrap_err();
    assert!(matches!(error, IndexError::Opening) && error.passes(), "{error:?}");
    std::thread::scope(|scope| {
        let adder = scope.spawn(|| assert_knows_everything(&index));
        let reader = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(index.wait_until_opened());
            look_for(&index, 1)
        });
        let opener = scope.spawn(|| index.open_and_keep_moving());
        adder.join().unwrap();
        assert!(!reader.join().unwrap().unwrap().is_empty());
        index.close();
        opener.join().unwrap().unwrap();
    });
    assert!(!index.is_broken());
}

#[test]
fn an_index_that_is_closed_before_it_is_open_is_not_filled() {
    let (dir, tree) = log();
    let identity = Identity { origin_hash: sha256(b"log.example"), kind: LogKind::Raw };
    let index = Index::new(place(&dir, "own-index"), identity, Arc::clone(&tree), 10_000);
    index.close();
    assert!(matches!(index.open(), Err(IndexError::Closed)));
    assert_eq!(index.memory().recent.len(), 0);
    let again = Index::new(place(&dir, "own-index"), identity, tree, 10_000);
    again.close();
    again.open_and_keep_moving().unwrap();
}

#[test]
fn what_is_moved_to_the_database_is_in_the_filter() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 512);
    assert_eq!(index.memory().filtered, 0);
    while is_behind(&index) {
        index.move_some().unwrap();
    }
    let full = full_bundle_entries(tree.signed_size());
    assert_eq!(index.memory().filled, full);
    assert_knows_everything(&index);
    let filter = index.filter.read().unwrap();
    assert!((0..full).all(|number| filter.may_have(&key(number))));
}

/// An index of which the database has everything it can have.
fn filled_index(dir: &TempDir, tree: &Arc<TreeReader>) {
    let index = open(dir, tree, 10_000);
    while is_behind(&index) {
        index.move_some().unwrap();
    }
    index.close();
    index.keep_moving();
}

#[test]
fn gives_up_only_what_is_in_the_database() {
    let mut memory = Memory::from(0, 0, 0);
    let max = 1024;
    for number in 0..1024 {
        assert!(memory.has_room(max));
        memory.make_room(max);
        memory.recent.insert(&key(number), number);
    }
    assert!(!memory.has_room(max), "nothing is in the database yet");
    memory.filled = 256;
    assert!(memory.has_room(max));
    memory.make_room(max);
    assert_eq!((memory.first, memory.recent.len()), (256, 768));
    assert_eq!(memory.recent.candidates(&key(255)).next(), None);
    assert_eq!(memory.recent.candidates(&key(256)).next(), Some(256));
    for number in 1024..1280 {
        memory.recent.insert(&key(number), number);
    }
    memory.filled = 1280;
    memory.make_room(max);
    assert_eq!(memory.first, 768, "half of what may be held stays");
}

#[test]
fn an_index_of_a_larger_tree_is_not_used() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 10_000);
    let larger = TreeHead { size: TreeSize::new(4096).unwrap(), root: key(0) };
    index.store().unwrap().set_watermark(&larger).unwrap();
    drop(index);
    let index = open(&dir, &tree, 10_000);
    assert_eq!(index.memory().first, 0);
    assert_knows_everything(&index);
}

/// Of entries that this log does not have, so that no hit shows it.
#[test]
fn an_index_of_another_history_is_not_used() {
    let (other, other_tree) = log_of(
        LogKind::Raw,
        (2 * ENTRIES..3 * ENTRIES).map(|number| Submission::Raw(entry(number))).collect(),
    );
    filled_index(&other, &other_tree);
    let (dir, tree) = log();
    std::fs::rename(other.path().join("own-index"), dir.path().join("own-index")).unwrap();
    let index = open(&dir, &tree, 10_000);
    assert_knows_everything(&index);
    assert_eq!(look_for(&index, 7).unwrap(), [7]);
}

#[test]
fn what_was_shown_and_not_yet_added_was_not_looked_at() {
    let dir = TempDir::new().unwrap();
    let mut log = TestLog::of(&[1, 2, 3]);
    let index = open(&dir, &log.tree, 10_000);
    log.grow(&[4]);
    let leaf = leaf_hash(&[4]);
    let look = || {
        let places = index.places(&LookupKey::Leaf(leaf), LeafIndex::default(), 10).unwrap();
        (places.found.len(), places.size.get())
    };
    assert_eq!(look(), (0, 3));
    index.add(&[Row { list: List::Once, key: leaf, index: 3 }], log.tree.signed_size());
    assert_eq!(look(), (1, 4));
}

#[test]
fn who_reads_while_there_is_no_database_does_not_call_for_another() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 512);
    let store = index.store();
    index.set_store(None);
    // As one that asked just before the new one is there, and looks for what is wrong just after.
    assert!(look_for(&index, 7).unwrap_err().is_of_database());
    assert!(!index.is_broken());
    index.set_store(store);
    assert_eq!(look_for(&index, 7).unwrap(), [7]);
}

fn look_for(index: &Index, number: u64) -> Result<Vec<u64>, IndexError> {
    let places = index.places(&LookupKey::Leaf(key(number)), LeafIndex::default(), 10)?;
    assert_eq!(places.size.get(), ENTRIES);
    Ok(places.found.iter().map(|(index, _)| index.get()).collect())
}

#[test]
fn an_entry_is_looked_up_wherever_its_key_is() {
    let (dir, tree) = log();
    for memory_entries in [512, 10_000] {
        let _ = std::fs::remove_dir_all(dir.path().join("own-index"));
        let index = open(&dir, &tree, memory_entries);
        for number in [0, 255, 256, 1300, ENTRIES - 1] {
            assert_eq!(look_for(&index, number).unwrap(), [number]);
        }
        assert!(look_for(&index, ENTRIES).unwrap().is_empty());
    }
}

/// Rows S9: an index whose rows were edited gives no wrong answer, and is made again while nobody adds.
#[test]
fn an_edited_row_is_no_answer_and_the_index_is_made_again_by_itself() {
    let (dir, tree) = log();
    for (number, wrong) in [(7, 8), (9, ENTRIES), (1950, u64::MAX)] {
        let index = Arc::new(open(&dir, &tree, 512));
        let row = Row { list: List::Once, key: key(number), index: wrong };
        index.store().unwrap().insert(&[row]).unwrap();
        // A look-up of the newest asks memory and the database.
        let error = look_for(&index, number).unwrap_err();
        assert!(matches!(error, IndexError::Wrong { index } if index == wrong), "{error:?}");
        assert!(
            look_for(&index, 1).unwrap_err().is_of_database(),
            "nothing is trusted until it is made again"
        );
        let mover = std::thread::spawn({
            let index = Arc::clone(&index);
            move || index.keep_moving()
        });
        drop(index.moved.wait_while(index.memory(), |_| index.is_broken()).unwrap());
        assert_eq!(look_for(&index, number).unwrap(), [number]);
        assert_knows_everything(&index);
        index.close();
        mover.join().unwrap();
    }
}

#[test]
fn who_adds_makes_a_broken_index_again_and_nobody_does_it_twice() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 512);
    let broken_store = index.store().unwrap();
    let broken = Row { list: List::Once, key: key(ENTRIES + 5), index: 8 };
    broken_store.insert(&[broken]).unwrap();
    index.filter.write().unwrap().extend([broken.key].iter());
    assert_knows_everything(&index);
    let store = index.store().unwrap();
    assert!(!Arc::ptr_eq(&store, &broken_store), "it was not made again");
    index.rebuild(&IndexError::Unwritten).unwrap();
    assert!(Arc::ptr_eq(&store, &index.store().unwrap()), "it was not broken any more");
}

#[test]
fn what_is_added_while_it_is_made_again_is_known_after() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 10_000);
    index.set_broken();
    index.rebuild(&IndexError::Unwritten).unwrap();
    // The same keys again, as from one who adds what the tree already shows.
    let again: Vec<_> =
        (1990..ENTRIES).map(|number| Row { list: List::Once, key: key(number), index: number }).collect();
    index.add(&again, tree.signed_size());
    assert_knows_everything(&index);
}

#[test]
fn a_stop_ends_the_making_of_a_broken_index_and_the_next_start_goes_on() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 10_000);
    index.set_broken();
    index.close();
    assert!(matches!(index.rebuild(&IndexError::Unwritten), Err(IndexError::Closed)));
    assert!(look_for(&index, 7).unwrap_err().is_of_database());
    index.keep_moving();
    drop(index);
    assert_knows_everything(&open(&dir, &tree, 10_000));
}

#[test]
fn a_stop_is_not_forgotten_when_memory_is_made_again() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, &TestLog::new().tree, 10_000);
    index.set_broken();
    index.close();
    // Without an entry it is done before it is asked whether to go on.
    index.rebuild(&IndexError::Unwritten).unwrap();
    index.keep_moving();
}

#[test]
fn one_step_moves_no_more_rows_than_its_limit_and_the_bundle_it_is_in() {
    let (dir, tree) = log();
    let index = open(&dir, &tree, 10_000);
    let store = Store::open(&place(&dir, "steps"), index.identity).unwrap();
    let end = index.step(&store, &mut 0, 0, 1536).unwrap();
    assert_eq!(end, 1536, "a raw log has one row an entry");
}

/// What is looked up, and the entries that have it.
type Wanted = Vec<(LookupKey, Vec<u64>)>;

/// A log of 600 records, the record ids, leaf hashes and artifacts of some of them, and where these are.
fn log_of_records() -> (TempDir, Arc<TreeReader>, Wanted) {
    let records = chain(0, 600);
    let submissions = records.iter().cloned().map(|record| Submission::Record(Box::new(record)));
    let (dir, tree) = log_of(LogKind::Records, submissions.collect());
    let mut keys = Vec::new();
    for index in [1, 255, 256, 511, 512, 599] {
        let record = &records[index];
        let artifact = record.statement().subject[0].sha256.unwrap();
        let of_record = [
            LookupKey::Record(record.record_id()),
            LookupKey::Leaf(record.to_entry().leaf_hash()),
            LookupKey::Artifact(artifact),
        ];
        keys.extend(of_record.into_iter().map(|key| (key, vec![index as u64])));
    }
    (dir, tree, keys)
}

/// Where the index finds each key, and up to where it looked.
fn found_of(index: &Index, keys: &[(LookupKey, Vec<u64>)]) -> Vec<(Vec<u64>, u64)> {
    let look = |key: &LookupKey| {
        let places = index.places(key, LeafIndex::default(), 10).unwrap();
        (places.found.iter().map(|(index, _)| index.get()).collect(), places.size.get())
    };
    keys.iter().map(|(key, _)| look(key)).collect()
}

#[test]
fn a_record_is_looked_up_wherever_its_rows_are() {
    let (dir, tree, keys) = log_of_records();
    let all: Vec<_> = keys.iter().map(|(_, indices)| (indices.clone(), 600)).collect();
    // Once without a database, once with one that has two bundles.
    for in_database in [0, 512] {
        let index = open_as(LogKind::Records, &dir, &tree, 10_000);
        assert_eq!(index.memory().filled, in_database);
        assert_eq!(found_of(&index, &keys), all);
        while is_behind(&index) {
            index.move_some().unwrap();
            assert_eq!(found_of(&index, &keys), all);
        }
        let memory = index.memory();
        assert_eq!((memory.filled, memory.waiting.first(), memory.waiting.end()), (512, 512, 600));
        drop(memory);
        index.close();
        index.keep_moving();
    }
}

#[test]
fn records_whose_rows_are_not_in_memory_are_found_once_they_are_in_the_database() {
    let (dir, tree, keys) = log_of_records();
    let index = open_as(LogKind::Records, &dir, &tree, 10_000);
    let mut waiting = Waiting::from(512);
    for index in 512..600 {
        let artifact = Row { list: List::Artifact, key: sha256(format!("1.{index}").as_bytes()), index };
        waiting.extend([artifact].iter(), index + 1);
    }
    index.memory().waiting = waiting;
    let artifacts: Vec<_> =
        keys.into_iter().filter(|(key, _)| matches!(key, LookupKey::Artifact(_))).collect();
    assert_eq!(
        found_of(&index, &artifacts),
        vec![(vec![], 0); 6],
        "nothing is said of what was not looked at"
    );
    while is_behind(&index) {
        index.move_some().unwrap();
    }
    let all: Vec<_> = artifacts.iter().map(|(_, indices)| (indices.clone(), 600)).collect();
    assert_eq!(found_of(&index, &artifacts), all);
}

#[test]
fn rows_are_moved_from_memory_only_if_all_of_them_are_there() {
    let (dir, tree, mut keys) = log_of_records();
    let index = open_as(LogKind::Records, &dir, &tree, 10_000);
    // As if the tree had entries that have not been added yet.
    let mut waiting = Waiting::from(0);
    let first = Row { list: List::Once, key: sha256(b"of the first"), index: 0 };
    waiting.extend([first].iter(), 511);
    index.memory().waiting = waiting;
    while is_behind(&index) {
        index.move_some().unwrap();
    }
    keys.retain(|(_, indices)| indices[0] < 512);
    let all: Vec<_> = keys.iter().map(|(_, indices)| indices.clone()).collect();
    assert_eq!(found_of(&index, &keys).into_iter().map(|(found, _)| found).collect::<Vec<_>>(), all);
}
