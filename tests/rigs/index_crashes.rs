//! Crashes of the index, as a part of row `crash-points`: its files of rows are on a modelled disk, and a copy of sled's
//! own file is taken with every moment of it.
//!
//! sled has a note of which files there are. Whatever a crash leaves, each file that the note names must be there and
//! whole, and together they must have the keys of the tree that the note is about, no more and no fewer: an index that
//! has to be made again costs a long log minutes. The log's own disk does not crash here; what a crash may do to sled's
//! file is left to the power cuts.
//!
//! The index works on a thread of its own, so that two runs of one seed do not have the very same moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_proto::entry_bundle::Entry;
use indelible_server::index::Place;
use indelible_server::sequencer::{self, CoreSettings, Sequencer, Submission};
use indelible_server::storage::Storage;
use indelible_server::storage::disk::{Disk as _, FileSystem as _};

use crate::crash_points::take_up;
use crate::disk::{Call, Image, ModelDisk, Verdict};
use crate::modelled::{self, Sequence};
use crate::random::Random;

/// How often the index crashes and goes on from there.
const GENERATIONS: u64 = 2;
/// How many batches a generation submits: enough that runs are merged, which is noted.
const BATCHES: u64 = 40;
/// New entries of a batch, a full bundle, and entries that were sent before.
const NEW: u64 = 256;
const AGAIN: u64 = 8;
const SEGMENT_BYTES: u64 = 64 * 1024;
/// How often sled's files are listed before that is given up. It moves one of them now and then.
const LISTINGS: u32 = 1000;

/// What is left of an index: its files of rows, and sled's files.
struct Left {
    image: Image,
    sled: Vec<(PathBuf, Vec<u8>)>,
}

/// One log and its index; how many crashes the index went through.
pub(crate) fn trial(seed: u64, indices: &Path) -> Result<u64> {
    let mut random = Random::new(seed, 4);
    let dir = indices.join(format!("{seed}-rows"));
    let tuning = modelled::tuning(SEGMENT_BYTES);
    let log = ModelDisk::new(Image::empty());
    modelled::create(&log, &dir, &tuning)?;
    let rig = Rig { log, dir };
    let mut left = Left { image: rig.empty_image()?, sled: Vec::new() };
    let (mut sequence, mut crashes, mut noted) = (Sequence::new(), 0, 0);
    for generation in 0..GENERATIONS {
        let moments = rig.run(left, &mut sequence, &mut random)?;
        for (number, (call, moment)) in moments.iter().enumerate() {
            let left = Left { image: moment.image.crash(&mut random), sled: moment.sled.clone() };
            let is_noted = rig.check(left, &sequence).with_context(|| {
                format!("index, generation {generation}, crash before call {number}, {call:?}")
            })?;
            crashes += 1;
            noted += u64::from(is_noted);
        }
        let moment = usize::try_from(random.below(moments.len() as u64))?;
        let (_, Left { image, sled }) = moments.into_iter().nth(moment).context("there is no moment")?;
        left = Left { image: image.crash(&mut random), sled };
    }
    ensure!(noted > 0, "no crash came after a note: nothing was tried");
    fs::remove_dir_all(&rig.dir)?;
    Ok(crashes)
}

struct Rig {
    log: ModelDisk,
    /// Where the index is: the same on the modelled disk and, for sled, on the real one.
    dir: PathBuf,
}

impl Rig {
    /// A disk with nothing but the index's directory, whose name is on it.
    fn empty_image(&self) -> Result<Image> {
        let disk = ModelDisk::new(Image::empty());
        let mut dirs: Vec<&Path> = self.dir.ancestors().filter(|dir| dir.file_name().is_some()).collect();
        dirs.reverse();
        dirs.into_iter().try_for_each(|dir| disk.create_dir(dir))?;
        disk.sync()?;
        Ok(disk.image())
    }

    fn settings(&self, index: &ModelDisk) -> Result<CoreSettings> {
        let mut settings = modelled::settings(&self.log, &self.dir)?;
        let storage = Storage::on(Arc::new(index.clone()));
        settings.system.index = Some(Place { storage, dir: self.dir.clone() });
        // As few as may be: nearly all keys are in files.
        settings.index_memory_entries = 0;
        Ok(settings)
    }

    /// Runs the log up to a clean stop, and remembers the index before its calls, and at the end.
    fn run(&self, left: Left, sequence: &mut Sequence, random: &mut Random) -> Result<Vec<(Call, Left)>> {
        self.put_sled(&left.sled)?;
        let disk = ModelDisk::new(left.image);
        let moments = Arc::new(Mutex::new(Ok(Vec::new())));
        let (remembered, dir) = (Arc::clone(&moments), self.dir.clone());
        disk.watch(Box::new(move |call, image| {
            // What is written is not noted before it is synced; between the writes nothing changes.
            if !matches!(call, Call::Read | Call::Write) {
                let mut moments = remembered.lock().unwrap_or_else(PoisonError::into_inner);
                let moment = sled_files(&dir).map(|sled| (call, Left { image: image.clone(), sled }));
                match (&mut *moments, moment) {
                    (Ok(moments), Ok(moment)) => moments.push(moment),
                    (moments, Err(error)) => *moments = Err(error),
                    (Err(_), Ok(_)) => {}
                }
            }
            Verdict::Go
        }));
        let tuning = modelled::tuning(SEGMENT_BYTES);
        let sequencer = Sequencer::open_tuned(self.settings(&disk)?, tuning)
            .map_err(|error| anyhow!("UNOPENABLE: {}: {error:#}", error.code()))?;
        for _ in 0..BATCHES {
            let size = sequence.size();
            let again = (0..AGAIN.min(size)).map(|_| random.below(size));
            let numbers: Vec<u64> = again.chain(size..size + NEW).collect();
            let entries = numbers.into_iter().map(|number| Entry::new(format!("row {number}").into_bytes()));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let submissions = entries.iter().cloned().map(Submission::Raw).collect();
            let answers = sequencer.handle().submit_many(submissions)?.blocking_recv()?;
            take_up(sequence, &entries, &answers)?;
        }
        drop(sequencer);
        disk.unwatch();
        let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moments = std::mem::replace(&mut *moments, Ok(Vec::new()))?;
        moments.push((Call::Read, Left { image: disk.image(), sled: sled_files(&self.dir)? }));
        Ok(moments)
    }

    /// Opens what is left and reads all of it; whether there is a note.
    fn check(&self, left: Left, sequence: &Sequence) -> Result<bool> {
        self.put_sled(&left.sled)?;
        let stored = sequencer::look_at_index(&self.settings(&ModelDisk::new(left.image))?);
        let stored =
            stored.map_err(|error| anyhow!("TO BE MADE AGAIN: what was noted is not there: {error}"))?;
        let Some(noted) = stored.noted else { return Ok(false) };
        ensure!(sequence.head(noted.size.get()) == Some(&noted), "a tree is noted that there never was");
        let size = noted.size;
        ensure!(stored.keys == sequence.keys(size.get()), "not the keys of a tree of {size} are there");
        Ok(true)
    }

    /// Makes these the files that sled finds.
    fn put_sled(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&self.dir)?,
        }
        files.iter().try_for_each(|(path, bytes)| Ok(fs::write(path, bytes)?))
    }
}

/// The files that sled has now: none while the index is made again. It gives one of them its name on a thread of its
/// own: then they are listed again.
fn sled_files(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    for _ in 0..LISTINGS {
        let listed = match fs::read_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed?,
        };
        let paths = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let read = |path: PathBuf| fs::read(&path).map(|bytes| (path, bytes));
        match paths.into_iter().filter(|path| !path.is_dir()).map(read).collect::<std::io::Result<_>>() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            files => return Ok(files?),
        }
    }
    Err(anyhow!("{} does not come to rest", dir.display()))
}
