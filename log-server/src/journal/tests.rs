mod lost_sync;

use std::fs;

use bytes::Bytes;
use indelible_proto::hash::sha256;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;
use tempfile::TempDir;

use super::record::Place;
use super::*;

/// A segment with room for about six of the appends below.
const SEGMENT: u64 = SEGMENT_HEADER_BYTES as u64 + 2048;

fn identity() -> Identity {
    Identity { origin_hash: sha256(b"example.com/log"), kind: LogKind::Raw }
}

fn signed(note: &'static [u8]) -> Checkpoint {
    Checkpoint { signed_at: UnixSeconds::new(1_800_000_000).unwrap(), note: Bytes::from_static(note) }
}

fn checkpoint(note: impl Into<Bytes>) -> Payload {
    Payload::Checkpoint(Checkpoint { note: note.into(), ..signed(b"") })
}

/// A batch of one entry at `index`, and a checkpoint; of a length that needs padding.
fn append_of(index: u64) -> Vec<Payload> {
    let entry = format!("entry {index}, {}", "x".repeat(usize::try_from(index % 9).unwrap()));
    let size = TreeSize::new(index + 1).unwrap();
    let batch = Batch {
        first: LeafIndex::new(index).unwrap(),
        head: TreeHead { size, root: sha256(entry.as_bytes()) },
        entries: Bytes::from(entry),
    };
    vec![Payload::Batch(batch), checkpoint(format!("checkpoint {}", index + 1))]
}

fn first_append() -> Vec<Payload> {
    vec![checkpoint("checkpoint 0")]
}

fn create(dir: &Path) {
    Journal::create(&Storage::real(), dir, identity(), SEGMENT, signed(b"checkpoint 0")).unwrap();
}

fn open(dir: &Path) -> Result<Journal, JournalError> {
    Journal::open(&Storage::real(), dir, identity(), SEGMENT)
}

fn replayed(journal: &mut Journal) -> Vec<Vec<Payload>> {
    let mut appends = Vec::new();
    journal
        .replay(|append| {
            appends.push(append);
            Ok::<_, JournalError>(())
        })
        .unwrap();
    appends
}

/// A journal with `count` appends after the first; returns where in which segment each append ends.
fn journal_of(dir: &Path, count: u64) -> Vec<(PathBuf, usize)> {
    create(dir);
    let mut journal = open(dir).unwrap();
    let end = |journal: &Journal| {
        (journal.segments.back().unwrap().path.clone(), usize::try_from(journal.active.end).unwrap())
    };
    let mut ends = vec![end(&journal)];
    for index in 0..count {
        journal.append(&append_of(index)).unwrap();
        ends.push(end(&journal));
    }
    ends
}

fn expected(count: usize) -> Vec<Vec<Payload>> {
    let later = (0..).map(append_of);
    std::iter::once(first_append()).chain(later).take(count).collect()
}

/// In memory, if there is such a place: what is copied is opened, and synced, thousands of times.
fn copy(from: &Path) -> (TempDir, PathBuf) {
    let temporary = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let to = temporary.path().join("journal");
    fs::create_dir(&to).unwrap();
    for name in Storage::real().list(from).unwrap().unwrap() {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    (temporary, to)
}

#[test]
fn gives_back_what_was_appended_over_many_segments() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 40);
    let mut journal = open(&dir).unwrap();
    assert!(journal.segments.len() > 4, "{:?}", journal.segments);
    assert_eq!(replayed(&mut journal), expected(41));
    assert_eq!((journal.first().get(), journal.size().get()), (0, 40));
}

/// Whether an opening has kept all of it, a part, or nothing, what is replayed is the same.
#[test]
fn an_opening_keeps_no_more_than_it_has_room_for_and_the_rest_is_read_again() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 40);
    let segment_bytes = usize::try_from(SEGMENT).unwrap();
    let all = open(&dir).unwrap().segments.len();
    for (room, kept) in [
        (0, 0),
        (segment_bytes - 1, 0),
        (segment_bytes, 1),
        (3 * segment_bytes - 1, 2),
        (3 * segment_bytes, 3),
        (all * segment_bytes, all),
    ] {
        let storage = Storage::real();
        let (segments, active, tip) = open::open_keeping(&storage, &dir, identity(), room).unwrap();
        assert_eq!(segments.iter().filter(|segment| segment.kept.is_some()).count(), kept, "{room} bytes");
        let mut journal = Journal::assemble(&storage, &dir, identity(), SEGMENT, segments, active, tip);
        assert_eq!(replayed(&mut journal), expected(41), "{room} bytes");
        assert!(journal.segments.iter().all(|segment| segment.kept.is_none()), "it is let go");
        assert_eq!(replayed(&mut journal), expected(41), "{room} bytes, once more");
    }
}

#[test]
fn an_append_larger_than_a_segment_gets_one_of_its_own() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 1);
    let mut large = append_of(1);
    large[1] = checkpoint(vec![7; 100_000]);
    let mut journal = open(&dir).unwrap();
    journal.append(&large).unwrap();
    journal.append(&append_of(2)).unwrap();
    let appends = replayed(&mut open(&dir).unwrap());
    assert_eq!(appends[2..], [large, append_of(2)]);
}

/// Opens the journal, checks that it has exactly `count` appends, and that it can go on from there.
fn assert_opens_with(dir: &Path, count: usize, what: &str) {
    let mut journal = open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(replayed(&mut journal), expected(count), "{what}");
    journal.append(&append_of(count as u64 - 1)).unwrap();
    drop(journal);
    assert_eq!(replayed(&mut open(dir).unwrap()), expected(count + 1), "{what}, then one more");
}

#[test]
fn a_tail_of_zeros_from_any_byte_leaves_exactly_the_whole_appends_and_a_shorter_file_refuses() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 4);
    let (last, end) = ends.last().unwrap().clone();
    assert_eq!(ends[0].0, last, "all appends are in one segment");
    let whole = fs::read(&last).unwrap();
    for cut in SEGMENT_HEADER_BYTES..=end {
        // A segment has its length from the beginning: no crash makes it shorter.
        let (_temporary, shorter) = copy(&dir);
        fs::write(shorter.join(last.file_name().unwrap()), &whole[..cut]).unwrap();
        assert_eq!(open(&shorter).unwrap_err().code(), "segment-length", "cut at {cut}");
        let mut zeroed = whole.clone();
        zeroed[cut..].fill(0);
        // An append whose missing bytes are zeros anyway is not cut at all.
        let kept = ends.iter().filter(|(_, end)| zeroed[..*end] == whole[..*end]).count();
        if kept == 0 {
            continue;
        }
        let (_temporary, dir) = copy(&dir);
        fs::write(dir.join(last.file_name().unwrap()), &zeroed).unwrap();
        assert_opens_with(&dir, kept, &format!("zeros from {cut}"));
    }
}

/// Acknowledged appends that are all damaged are no torn tail: of the later ones enough is left to say so.
#[test]
fn the_last_appends_damaged_one_and_all_refuse() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 4);
    let last = ends[4].0.clone();
    let whole = fs::read(&last).unwrap();
    for damaged_appends in 1..=3 {
        let mut content = whole.clone();
        for append in 5 - damaged_appends..5 {
            let (start, end) = (ends[append - 1].1, ends[append].1);
            // Every record's hash, and the last byte that is not padding.
            for at in (start..end).step_by(record::ALIGNMENT) {
                if record::find(&whole[at..], &mark_of(&whole)).is_some() {
                    content[at] ^= 1;
                }
            }
        }
        let (_temporary, dir) = copy(&dir);
        fs::write(dir.join(last.file_name().unwrap()), &content).unwrap();
        match damaged_appends {
            // That could be torn.
            1 => assert_opens_with(&dir, 4, "the last append alone"),
            _ => assert_eq!(open(&dir).unwrap_err().code(), "record-unreadable", "{damaged_appends} of them"),
        }
    }
}

fn mark_of(segment: &[u8]) -> Mark {
    Header::parse(&segment[..SEGMENT_HEADER_BYTES]).unwrap().mark
}

/// Half a header may have the mark of a torn record before the number that an older segment had there.
#[test]
fn a_number_in_another_sector_than_its_mark_proves_nothing() {
    let mark = record::new_mark().unwrap();
    let mut bytes = Vec::new();
    let place = Place { append: 7, part: 0, parts: 1 };
    record::encode(&mut bytes, &mark, place, &Hash::from_bytes([0; 32]), &checkpoint("note"));
    for at in (0..1024).step_by(record::ALIGNMENT) {
        let split = (at + 32) / 512 != (at + 63) / 512;
        let expected = if split { None } else { Some(7) };
        assert_eq!(record::claimed_append(&bytes, at, &mark), expected, "at {at}");
    }
    assert_eq!(record::claimed_append(&bytes, 0, &record::new_mark().unwrap()), None);
    for (at, byte) in [(48, 0), (48, 3), (49, 1), (51, 1)] {
        let mut other = bytes.clone();
        other[at] = byte;
        assert_eq!(record::claimed_append(&other, 0, &mark), None, "byte {at} is {byte}");
    }
}

#[test]
fn a_last_append_whose_pages_came_in_any_order_is_cut() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 4);
    let (last, end) = ends[4].clone();
    let start = ends[3].1;
    let whole = fs::read(&last).unwrap();
    for hole in (start..end).step_by(16) {
        let mut torn = whole.clone();
        torn[hole..hole + 16].fill(0);
        let (_temporary, dir) = copy(&dir);
        fs::write(dir.join(last.file_name().unwrap()), &torn).unwrap();
        // A hole in what is zero anyway tears nothing.
        let kept = if torn == whole { 5 } else { 4 };
        assert_opens_with(&dir, kept, &format!("hole at {hole}"));
    }
}

/// A segment is written over an earlier one. Where the last sectors of a write are missing, its payload may end by chance
/// with what was there before.
#[test]
fn a_last_append_torn_over_the_same_bytes_of_an_earlier_segment_is_cut() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 4);
    let (last, end) = ends[4].clone();
    let payload_end = ends[3].1 + record::HEADER_BYTES + append_of(3)[0].encoded_bytes();
    assert!(!payload_end.is_multiple_of(record::ALIGNMENT), "it has padding");
    let mut torn = fs::read(&last).unwrap();
    torn[payload_end..end].fill(b'.');
    fs::write(&last, torn).unwrap();
    assert_opens_with(&dir, 4, "torn in the padding");
}

#[test]
fn nothing_of_a_torn_append_is_met_again_behind_the_next_one() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 4);
    let (last, _) = ends[4].clone();
    let mut torn = fs::read(&last).unwrap();
    torn[ends[3].1 + 100] ^= 1;
    fs::write(&last, torn).unwrap();
    let mut journal = open(&dir).unwrap();
    // Without its checkpoint: ends exactly where the torn append's checkpoint begins.
    let shorter = append_of(3)[..1].to_vec();
    journal.append(&shorter).unwrap();
    drop(journal);
    assert_eq!(replayed(&mut open(&dir).unwrap()).last(), Some(&shorter));
}

#[test]
fn refuses_a_flipped_byte_anywhere_before_the_last_append() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    let ends = journal_of(&dir, 12);
    let mut start = 0;
    let mut flips = 0;
    for (at, (path, end)) in ends.iter().enumerate().take(ends.len() - 1) {
        if at > 0 && ends[at - 1].0 != *path {
            start = 0;
        }
        let whole = fs::read(path).unwrap();
        // Of the header, which is hashed as a whole, every 50th byte.
        let offsets = (start..*end).filter(|offset| *offset >= SEGMENT_HEADER_BYTES || offset % 50 == 0);
        for offset in offsets {
            let mut flipped = whole.clone();
            flipped[offset] ^= 0x20;
            let (_temporary, dir) = copy(&dir);
            fs::write(dir.join(path.file_name().unwrap()), &flipped).unwrap();
            let error = open(&dir).err().unwrap_or_else(|| panic!("byte {offset} of append {at} flipped"));
            let JournalError::Damaged { offset: reported, .. } = error else {
                panic!("byte {offset} of append {at} flipped: {error}");
            };
            assert!(reported <= offset as u64, "flip at {offset} reported at {reported}");
            flips += 1;
        }
        start = *end;
    }
    assert!(flips > 3000, "{flips}");
}

#[test]
fn an_entry_that_looks_like_a_later_record_is_no_proof_of_one() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    create(&dir);
    let mut journal = open(&dir).unwrap();
    // Everything right but the mark, which nobody outside can know.
    let place = Place { append: 99, part: 0, parts: 1 };
    let mut forged = vec![0; 80];
    let note = checkpoint("forged");
    record::encode(&mut forged, &[0; 16], place, &journal.tip.previous, &note);
    let Payload::Batch(mut batch) = append_of(0).remove(0) else { panic!() };
    batch.entries = Bytes::from(forged);
    let start = usize::try_from(journal.active.end).unwrap();
    journal.append(&[Payload::Batch(batch)]).unwrap();
    let path = journal.segments[0].path.clone();
    drop(journal);
    let mut torn = fs::read(&path).unwrap();
    torn[start..start + 8].fill(0);
    fs::write(&path, &torn).unwrap();
    assert_opens_with(&dir, 1, "torn append with a forged record inside");
}

#[test]
fn trimming_keeps_what_is_not_integrated_and_writes_over_old_segments() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 40);
    let mut journal = open(&dir).unwrap();
    journal.trim(TreeSize::new(20).unwrap()).unwrap();
    let first = journal.first().get();
    assert!((1..=20).contains(&first), "{first}");
    assert_eq!(replayed(&mut journal), (first..40).map(append_of).collect::<Vec<_>>());
    let spares = journal.spares.len();
    assert!(spares > 1);
    for index in 40..60 {
        journal.append(&append_of(index)).unwrap();
    }
    assert!(journal.spares.len() < spares, "spares were used");
    drop(journal);
    let mut journal = open(&dir).unwrap();
    assert_eq!(replayed(&mut journal), (first..60).map(append_of).collect::<Vec<_>>());
    journal.trim(TreeSize::new(60).unwrap()).unwrap();
    let rest = replayed(&mut journal);
    assert_eq!(rest.last(), Some(&append_of(59)), "the last append is always kept");
    assert!(rest.len() < 10);
    drop(journal);
    assert_eq!(replayed(&mut open(&dir).unwrap()), rest);
}

/// A crash before its first append leaves a segment without any, and what comes next may need a larger one.
#[test]
fn a_segment_without_an_append_does_not_keep_those_before_it() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 10);
    let mut journal = open(&dir).unwrap();
    journal.start_next_segment(0).unwrap();
    drop(journal);
    let mut journal = open(&dir).unwrap();
    let kept = replayed(&mut journal).len();
    journal.trim(TreeSize::new(10).unwrap()).unwrap();
    assert_eq!(replayed(&mut journal).last(), Some(&append_of(9)), "the last append is always kept");
    assert!(replayed(&mut journal).len() < kept);
    let mut large = append_of(10);
    large.push(checkpoint(vec![0; usize::try_from(SEGMENT).unwrap()]));
    journal.append(&large).unwrap();
    journal.trim(TreeSize::new(10).unwrap()).unwrap();
    assert!(replayed(&mut open(&dir).unwrap()) == [large]);
}

#[test]
fn a_torn_append_in_a_recycled_segment_is_cut_before_the_old_records() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 40);
    let mut journal = open(&dir).unwrap();
    journal.trim(TreeSize::new(40).unwrap()).unwrap();
    let generation = journal.active.generation;
    let mut next = 40;
    while journal.active.generation == generation {
        journal.append(&append_of(next)).unwrap();
        next += 1;
    }
    journal.append(&append_of(next)).unwrap();
    let path = journal.segments.back().unwrap().path.clone();
    let end = usize::try_from(journal.active.end).unwrap();
    drop(journal);
    let mut torn = fs::read(&path).unwrap();
    assert!(torn[end..].iter().any(|byte| *byte != 0), "the segment has old records behind the new ones");
    torn[end - 40] ^= 1;
    fs::write(&path, &torn).unwrap();
    let mut journal = open(&dir).unwrap();
    assert_eq!(journal.size().get(), next);
    journal.append(&append_of(next)).unwrap();
    drop(journal);
    assert_eq!(replayed(&mut open(&dir).unwrap()).last(), Some(&append_of(next)));
}

#[test]
fn segments_below_a_missing_one_do_not_count() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 40);
    fs::remove_file(segment::path(&dir, 2)).unwrap();
    let mut journal = open(&dir).unwrap();
    assert!(journal.first().get() > 10);
    assert_eq!(replayed(&mut journal), (journal.first().get()..40).map(append_of).collect::<Vec<_>>());
}

#[test]
fn refuses_a_segment_whose_end_is_missing_when_another_follows() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    journal_of(&dir, 20);
    let path = segment::path(&dir, 1);
    let content = fs::read(&path).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&path, &content[..end - 200]).unwrap();
    assert_eq!(open(&dir).map(|_| ()).unwrap_err().code(), "segment-length");
    let mut zeroed = content;
    zeroed[end - 200..].fill(0);
    fs::write(&path, zeroed).unwrap();
    assert_eq!(open(&dir).map(|_| ()).unwrap_err().code(), "segment-gap");
}

#[test]
fn refuses_the_journal_of_another_log() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    create(&dir);
    let code =
        |identity| Journal::open(&Storage::real(), &dir, identity, SEGMENT).map(|_| ()).unwrap_err().code();
    let identity = identity();
    assert_eq!(code(Identity { origin_hash: sha256(b"other"), ..identity }), "journal-other-origin");
    assert_eq!(code(Identity { kind: LogKind::Records, ..identity }), "journal-other-kind");
    assert_eq!(open(temporary.path()).map(|_| ()).unwrap_err().code(), "journal-missing");
    assert_eq!(open(&temporary.path().join("nowhere")).map(|_| ()).unwrap_err().code(), "journal-missing");
}

#[test]
fn creating_refuses_an_existing_directory() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    create(&dir);
    let again = Journal::create(&Storage::real(), &dir, identity(), SEGMENT, signed(b""));
    assert_eq!(again.unwrap_err().code(), "disk");
}

#[test]
fn takes_nothing_more_after_a_failed_write() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("journal");
    create(&dir);
    let mut journal = open(&dir).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let large = checkpoint(vec![7; 100_000]);
    assert_eq!(journal.append(&[large]).unwrap_err().code(), "disk");
    assert_eq!(journal.append(&append_of(0)).unwrap_err().code(), "journal-poisoned");
}
