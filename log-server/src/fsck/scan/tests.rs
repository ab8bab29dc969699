use std::sync::Mutex;

use super::*;

/// A log of which only every so many-th bundle and leaf tile are there, and these differ.
struct Holes {
    there: u64,
    may_have_nothing: bool,
}

const BUNDLES: u64 = 3 * MAX_GAPS;

impl Stored for Holes {
    fn bundle(&self, id: BundleId) -> Result<Bytes, Fault> {
        match (id.index() + 1).is_multiple_of(self.there) {
            true => Ok(Bytes::from(vec![0; 2 * FULL as usize])),
            false => Err(Fault::Missing),
        }
    }

    fn tile(&self, id: TileId) -> Result<Bytes, Fault> {
        match id.level() == 0 && (id.index() + 1).is_multiple_of(self.there) {
            true => Ok(Bytes::from(vec![7; Hash::LEN * FULL as usize])),
            false => Err(Fault::Missing),
        }
    }

    fn may_have_nothing(&self) -> bool {
        self.may_have_nothing
    }

    fn has_partials(&self) -> bool {
        false
    }

    fn remedy(&self) -> &'static str {
        ""
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<(&'static str, String)>>);

impl Listener for Heard {
    fn find(&self, finding: Finding) {
        self.0.lock().unwrap().push((finding.code, finding.place));
    }
}

/// How often each of these was found.
fn found(there: u64, may_have_nothing: bool, codes: [&str; 3]) -> [usize; 3] {
    let (stored, listener) = (Holes { there, may_have_nothing }, Heard::default());
    let size = TreeSize::new(BUNDLES * FULL).unwrap();
    let scan = Scan {
        stored: &stored,
        listener: &listener,
        kind: LogKind::Raw,
        size,
        signed: None,
        snapshot_at: 0,
        threads: 2,
    };
    scan.run();
    let heard = listener.0.into_inner().unwrap();
    codes.map(|code| heard.iter().filter(|(found, _)| *found == code).count())
}

const CODES: [&str; 3] = ["bundle-missing", "entry-or-tile-differs", "gave-up"];

#[test]
fn of_a_logs_own_directory_every_defect_is_told_however_many_files_are_missing() {
    let missing = usize::try_from(BUNDLES).unwrap() - 1;
    assert_eq!(found(BUNDLES, false, CODES), [missing, 1, 0]);
}

#[test]
fn what_has_nothing_is_given_up_and_what_has_some_is_not() {
    let [missing, differ, gave_up] = found(BUNDLES, true, CODES);
    assert!(missing as u64 <= MAX_GAPS && (differ, gave_up) == (0, 1), "{missing} were tried");
    let there = MAX_GAPS / 4;
    let different = (BUNDLES / there) as usize;
    assert_eq!(found(there, true, CODES), [BUNDLES as usize - different, different, 0]);
}
