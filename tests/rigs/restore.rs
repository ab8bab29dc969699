//! Row `restore`: the drills an operator needs on a bad day.
//!
//! * The index is deleted: it is made again from tiles and bundles, and every look-up answers as before.
//! * The index is replaced by that of another history of the same log: every look-up answers as before.
//! * The disk is lost: `import --key` makes the log again from a mirror, byte for byte; it goes on, and its
//!   witnesses accept it.
//! * A backup of N entries is put in place of N + K: the log refuses to sign, whether its own published
//!   checkpoint knows better or only the witnesses do, and nothing in its directory or at them changes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indelible_client::planted::Bug;
use indelible_proto::log_api::{ADD_BATCH_PATH, MAX_BATCH_ENTRIES, encode_batch};
use indelible_tests::filling::{entry, fill};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, World, http};

use crate::bit_flips::copy;
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct Restore;

/// Ends a start that would sign a second history.
const REFUSES_TO_SIGN: i32 = 3;
/// Entries whose restoration is timed in full.
const MANY: u64 = 1_000_000;
/// Ten of each drill.
const FULL_TRIALS: u64 = 50;

impl Row for Restore {
    fn name(&self) -> &'static str {
        "restore"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 5,
            Scale::Full => FULL_TRIALS,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::AcceptStaleCopy, Bug::TrustIndex]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let full = trials.count >= FULL_TRIALS;
        let trials = trials.each(|seed| {
            let random = &mut Random::new(seed, 16);
            match seed % 5 {
                0 => index_from_tiles(random).context("index from tiles"),
                1 => everything_from_a_mirror(random).context("everything from a mirror"),
                2 => {
                    stale_backup(random, Knows::PublishedCheckpoint).context("stale backup, checkpoint newer")
                }
                3 => index_of_another(random).context("index of another history"),
                _ => stale_backup(random, Knows::WitnessesOnly).context("stale backup, only witnesses know"),
            }
        })?;
        let figures = if full { time_many()? } else { "in full: times for 1,000,000 entries".to_owned() };
        Ok(Outcome { trials, figures })
    }
}

fn index_from_tiles(random: &mut Random) -> Result<()> {
    let size = 1 + random.below(3_000);
    let mut world = World::prepare(Kind::Raw, 0, 0);
    if random.below(2) == 1 {
        Site::at(&world.log_dir(), &world.file("out")).keep_few_keys_in_memory()?;
    }
    fill(&world.log_dir(), size);
    world.start_log();
    look_up(&world, size, random)?;
    world.take_log().stop();
    fs::remove_dir_all(world.log_dir().join("data/index"))?;
    world.start_log();
    look_up(&world, size, random).context("with a new index")
}

/// Submits entries that a filled log of `size` has: each must be answered with its index, and none taken again.
fn look_up(world: &World, size: u64, random: &mut Random) -> Result<()> {
    let asked = (0..20).map(|_| random.below(size)).chain([0, size - 1]);
    for index in asked.collect::<Vec<_>>() {
        let answer = http::post(world.log().address(), "/add", &entry(index));
        let told = answer.text();
        ensure!(answer.status == 200, "a look-up of entry {index} fails: {told}");
        ensure!(told.trim() == index.to_string(), "entry {index} is answered with the index {}", told.trim());
    }
    ensure!(world.reader().published(size).head().size.get() == size, "an entry was taken twice");
    Ok(())
}

/// The other history has the same entries, last first, or other ones.
fn index_of_another(random: &mut Random) -> Result<()> {
    let size = 2_000 + random.below(1_000);
    let mut world = World::prepare(Kind::Raw, 0, 0);
    let other = world.file("other");
    // Or the database is hardly asked.
    Site::at(&world.log_dir(), &other).keep_few_keys_in_memory()?;
    copy(&world.log_dir(), &other)?;
    fill(&world.log_dir(), size);
    let site = Site::at(&other, &world.file("other.out"));
    let log = site.start()?;
    let entries: Vec<_> = match random.below(2) {
        0 => (0..size).rev().map(entry).collect(),
        _ => (size..2 * size).map(entry).collect(),
    };
    let body = encode_batch(&entries, MAX_BATCH_ENTRIES)?;
    let answer = http::post(log.address(), ADD_BATCH_PATH, &body);
    ensure!(answer.status == 200, "a batch is not taken: {}", answer.text());
    ensure!(log.stop().success(), "the other log does not stop");
    // A start puts into the database what memory has no room for.
    ensure!(site.start()?.stop().success(), "the other log does not stop");
    let index = world.log_dir().join("data/index");
    fs::remove_dir_all(&index)?;
    copy(&other.join("data/index"), &index)?;
    world.start_log();
    look_up(&world, size, random)
}

fn everything_from_a_mirror(random: &mut Random) -> Result<()> {
    let size = 1 + random.below(3_000);
    let mut world = World::prepare(Kind::Raw, 2, 2);
    fill(&world.log_dir(), size);
    world.start_all();
    let head = world.reader().published(size).head();
    let again = world.file("again");
    import(&world, world.url(), &again)?;
    ensure!(world.take_log().stop().success(), "the log does not stop");
    // A tile that only its journal had is written now: what is compared is all there is.
    compare_tiles(&world.log_dir().join("data"), &again.join("data"))?;
    put_in_place(&world, &again)?;
    world.start_log();
    let answer = http::post(world.log().address(), "/add", b"the first after");
    ensure!(answer.status == 200 && answer.text().trim() == size.to_string(), "{}", answer.text());
    let reader = world.reader();
    let new = reader.published(size + 1).head();
    reader.check_consistent(&head, &new);
    reader.entries(&new);
    Ok(())
}

/// What knows of the entries after the backup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knows {
    PublishedCheckpoint,
    WitnessesOnly,
}

fn stale_backup(random: &mut Random, knows: Knows) -> Result<()> {
    let (old, more) = (1 + random.below(1_500), 1 + random.below(700));
    let witnesses = if knows == Knows::WitnessesOnly { 2 } else { 0 };
    let mut world = World::prepare(Kind::Raw, witnesses, witnesses);
    fill(&world.log_dir(), old);
    world.start_all();
    world.reader().published(old);
    ensure!(world.take_log().stop().success(), "the log does not stop");
    let backup = world.file("backup");
    copy(&world.log_dir(), &backup)?;
    fill(&world.log_dir(), old + more);
    world.start_log();
    world.reader().published(old + more);
    ensure!(world.take_log().stop().success(), "the log does not stop");
    let published = fs::read(world.log_dir().join("data/checkpoint"))?;
    let newest = world.file("newest");
    fs::rename(world.log_dir(), &newest)?;
    copy(&backup, &world.log_dir())?;
    if knows == Knows::PublishedCheckpoint {
        fs::write(world.log_dir().join("data/checkpoint"), &published)?;
    }
    let (signed, held) = (signed_by(&world.log_dir())?, held_by_witnesses(&world)?);
    match world.try_start_log() {
        Ok(()) => anyhow::bail!("FORK: an old copy of {old} entries was started, {more} more were published"),
        Err(refused) => ensure!(refused.code() == REFUSES_TO_SIGN, "the log ends otherwise: {refused}"),
    }
    ensure!(
        signed_by(&world.log_dir())? == signed,
        "FORK: the old copy's journal grew or its checkpoint changed"
    );
    ensure!(held_by_witnesses(&world)? == held, "FORK: what the witnesses hold changed");
    // The newest data goes on.
    fs::remove_dir_all(world.log_dir())?;
    fs::rename(&newest, world.log_dir())?;
    world.start_log();
    let answer = http::post(world.log().address(), "/add", b"the first after");
    ensure!(answer.status == 200, "the newest data does not go on: {}", answer.text());
    Ok(())
}

/// What a log has signed. A start writes the last segment again, with the same appends.
#[derive(PartialEq)]
struct Signed {
    checkpoint: Vec<u8>,
    /// How much is in each segment of its journal.
    segments: BTreeMap<OsString, usize>,
}

fn signed_by(dir: &Path) -> Result<Signed> {
    let mut segments = BTreeMap::new();
    for segment in fs::read_dir(dir.join("data/journal"))? {
        let segment = segment?;
        let bytes = fs::read(segment.path())?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // An append is padded with zeros.
        segments.insert(segment.file_name(), end.next_multiple_of(8));
    }
    Ok(Signed { checkpoint: fs::read(dir.join("data/checkpoint"))?, segments })
}

fn held_by_witnesses(world: &World) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut held = Vec::new();
    for witness in 0.. {
        let dir = world.witness_dir(witness);
        if !dir.exists() {
            break;
        }
        for file in walkdir::WalkDir::new(dir).sort_by_file_name() {
            let file = file?;
            if file.file_type().is_file() {
                held.push((file.path().to_owned(), fs::read(file.path())?));
            }
        }
    }
    Ok(held)
}

fn import(world: &World, url: &str, dir: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut command = world.server();
    command.args(["import", url]).arg(dir).args(["--kind", "raw", "--policy"]).arg(world.policy());
    let done = Finished::run(command.arg("--key").arg(world.log_dir().join("log.key")));
    ensure!(done.code() == 0, "the mirror can't be imported: {done}");
    Ok(began.elapsed())
}

/// Puts what was imported in the place of the lost disk, with the settings of before.
fn put_in_place(world: &World, again: &Path) -> Result<()> {
    let settings = fs::read(world.log_dir().join("log.toml"))?;
    fs::remove_dir_all(world.log_dir())?;
    fs::rename(again, world.log_dir())?;
    Ok(fs::write(world.log_dir().join("log.toml"), settings)?)
}

/// Compares every tile and bundle of two data directories.
fn compare_tiles(one: &Path, other: &Path) -> Result<()> {
    let tiles = |dir: &Path| -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
        let mut all = Vec::new();
        for file in walkdir::WalkDir::new(dir.join("tile")).sort_by_file_name() {
            let file = file?;
            if file.file_type().is_file() {
                all.push((file.path().strip_prefix(dir)?.to_owned(), fs::read(file.path())?));
            }
        }
        Ok(all)
    };
    let (one, other) = (tiles(one)?, tiles(other)?);
    let names = |tiles: &[(std::path::PathBuf, Vec<u8>)]| {
        tiles.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    ensure!(names(&one) == names(&other), "the copy has other files: {:?}, {:?}", names(&one), names(&other));
    for ((path, here), (_, there)) in one.iter().zip(&other) {
        ensure!(here == there, "{} is not the same in the copy", path.display());
    }
    Ok(())
}

/// How long each way takes for a million entries.
fn time_many() -> Result<String> {
    let mut world = World::prepare(Kind::Raw, 0, 0);
    fill(&world.log_dir(), MANY);
    world.start_log();
    world.reader().published(MANY);
    let again = world.file("again");
    let imported = import(&world, world.url(), &again)?;
    world.take_log().stop();
    compare_tiles(&world.log_dir().join("data"), &again.join("data"))?;
    let began = Instant::now();
    let checked = Finished::run(world.server().arg("fsck").arg(world.log_dir()));
    ensure!(checked.code() == 0, "not clean: {checked}");
    let fsck = began.elapsed();
    fs::remove_dir_all(world.log_dir().join("data/index"))?;
    let began = Instant::now();
    world.start_log();
    let answer = http::post(world.log().address(), "/add", &entry(7));
    ensure!(answer.text().trim() == "7", "entry 7 is not known: {}", answer.text());
    let index = began.elapsed();
    Ok(format!(
        "{MANY} entries: import from a mirror {:.1} s, fsck {:.1} s, start with a new index until it answers {:.1} s",
        imported.as_secs_f64(),
        fsck.as_secs_f64(),
        index.as_secs_f64()
    ))
}
