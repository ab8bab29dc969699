//! A log that has entries again and again, as an imported one may: the first of them counts, wherever its key is.

use indelible_proto::tile::RightEdge;

use super::*;
use crate::storage::entries::PartialBundle;
use crate::storage::tiles::TileFiles;
use crate::tree_reader::Edge;

/// How many different entries there are, and how many are added at once at most.
const DIFFERENT: u64 = 400;
const MOST_AT_ONCE: u64 = 700;

/// Numbers that look random and are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A raw log, of which an index reads nothing but the leaf tiles.
struct Repeating {
    dir: TempDir,
    files: TileFiles,
    edge: RightEdge,
    tree: Arc<TreeReader>,
    /// Where each entry is.
    places: Vec<Vec<u64>>,
}

impl Repeating {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let storage = Storage::real();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        TileFiles::create(&storage, &dir.path().join("data")).unwrap();
        let files = TileFiles::new(storage, &dir.path().join("data"));
        let edge = RightEdge::new();
        let shown = Edge { tiles: edge.clone(), bundle: PartialBundle::default() };
        let tree = Arc::new(TreeReader::new(files.clone(), shown, 1 << 20));
        Self { dir, files, edge, tree, places: vec![Vec::new(); DIFFERENT as usize + 1] }
    }

    /// Appends entries, and the rows that an index is told of.
    fn grow(&mut self, numbers: impl Iterator<Item = u64>) -> Vec<Row> {
        let mut rows = Vec::new();
        for number in numbers {
            let index = self.edge.size().get();
            rows.push(Row { list: List::Once, key: key(number), index });
            for (id, tile) in self.edge.append(key(number)).unwrap() {
                self.files.put_tile(id, &tile.encode()).unwrap();
            }
            self.places[number as usize].push(index);
        }
        let shown = Edge { tiles: self.edge.clone(), bundle: PartialBundle::default() };
        self.tree.show(Arc::new(shown));
        rows
    }

    fn assert_known(&self, index: &Index, context: &str) {
        let keys: Vec<Hash> = (0..DIFFERENT).map(key).collect();
        let known = index.find(&keys).unwrap();
        for (number, known) in (0..).zip(known) {
            let first = self.places[number as usize].first().copied();
            assert_eq!(known.map(|known| known.index.get()), first, "{context}, entry {number}");
        }
        for number in [0, 3, DIFFERENT - 1, DIFFERENT] {
            let places = &self.places[number as usize];
            for (from, max) in [(0, usize::MAX - 1), (0, 2), (places.get(1).map_or(0, |index| index + 1), 3)]
            {
                let wanted = LookupKey::Leaf(key(number));
                let found = index.places(&wanted, LeafIndex::new(from).unwrap(), max).unwrap();
                let mut left = places.iter().copied().filter(|index| *index >= from);
                let expected: Vec<u64> = left.by_ref().take(max).collect();
                let indices: Vec<u64> = found.found.iter().map(|(index, _)| index.get()).collect();
                assert_eq!(indices, expected, "{context}, entry {number}, {max} from {from}");
                assert_eq!(found.next.map(LeafIndex::get), left.next(), "{context}, entry {number}");
            }
        }
    }
}

/// Whatever of it is in memory, in how many files, and after every start.
#[test]
fn the_first_of_equal_entries_is_known_and_all_are_found_however_keys_are_split() {
    for seed in 0..4 {
        let mut draw = Draw(seed);
        let mut log = Repeating::new();
        log.grow([0, 3].into_iter());
        let mut memory_entries = 512;
        let mut index = open(&log.dir, &log.tree, memory_entries);
        for step in 0..30 {
            let added = 1 + draw.below(MOST_AT_ONCE);
            // Old and new ones: what was not there for long comes again as well.
            let newest = 10 + draw.below(DIFFERENT - 10);
            let numbers: Vec<u64> = (0..added).map(|_| draw.below(newest)).collect();
            let rows = log.grow(numbers.into_iter());
            index.add(&rows, log.tree.signed_size());
            let context = format!("seed {seed}, step {step}, {memory_entries} in memory");
            match draw.below(8) {
                0 => {
                    index.close();
                    index.keep_moving();
                    drop(index);
                    memory_entries = [512, 1000, 100_000][draw.below(3) as usize];
                    index = open(&log.dir, &log.tree, memory_entries);
                }
                1 => {
                    index.set_broken();
                    index.rebuild(&IndexError::Unwritten).unwrap();
                }
                2 => {}
                _ => {
                    index.move_some().unwrap();
                    index.filter_some().unwrap();
                }
            }
            log.assert_known(&index, &context);
        }
    }
}
