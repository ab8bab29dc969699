//! Row `crash-points`: the real sequencer on a modelled disk, with a crash before every call it makes.
//!
//! One trial is one log through some generations: each starts on what a crash left of the one before. While it
//! runs, the disk is remembered before every call that changes something, with what the log has promised by
//! then. Of each of these moments, crashes lose what they may, and what is left is opened and held against the
//! promise. Segments are small, so that they are changed, given up and used again all the time.
//!
//! The index of these logs is on no modelled disk; some more logs have one that is ([`index_crashes`]).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::planted::Bug;
use indelible_proto::entry_bundle::Entry;
use indelible_server::publish::Publisher;
use indelible_server::sequencer::{Occurrence, Outcome as Answer, Sequencer, Tuning};

use crate::disk::{Call, Image, ModelDisk, Verdict, data_dir};
use crate::index_crashes;
use crate::modelled::{self, Promised, Sequence, Witnessed};
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};

/// The row.
pub(crate) struct CrashPoints;

/// How often a log crashes and goes on from there.
const GENERATIONS: u64 = 3;
/// How many crashes of each moment are tried.
const CRASHES: u64 = 2;
/// How many crashes of a log that was just made are tried.
const CRASHES_OF_NEW: u64 = 6;
/// With every how manieth log an index crashes, too.
const INDEX_EVERY: u64 = 8;

impl Row for CrashPoints {
    fn name(&self) -> &'static str {
        "crash-points"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 4,
            Scale::Full => 160,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[
            Bug::NoFileSync,
            Bug::NoDirSync,
            Bug::NoParentDirSync,
            Bug::TornCheckpoint,
            Bug::AckBeforeCommit,
            Bug::PublishBeforePersist,
            Bug::IndexNoteBeforeSync,
        ]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let indices = modelled::index_dir()?;
        let (mut points, mut index_points) = (0, 0);
        let trials = trials.each(|seed| {
            points += trial(seed, indices.path())?;
            if seed % INDEX_EVERY == 1 {
                index_points += index_crashes::trial(seed, indices.path())?;
            }
            Ok(())
        })?;
        let figures = format!("{points} crash points, and {index_points} of an index");
        Ok(Outcome { trials, figures })
    }
}

/// What is submitted.
#[derive(Clone, Copy, Debug)]
enum Workload {
    Single,
    Batch,
    Duplicates,
    Large,
}

impl Workload {
    fn of(seed: u64) -> Self {
        [Self::Single, Self::Batch, Self::Duplicates, Self::Large][usize::try_from(seed % 4).unwrap_or(0)]
    }

    /// How many batches a generation submits.
    fn batches(self) -> u64 {
        match self {
            Self::Single | Self::Duplicates => 25,
            Self::Batch => 15,
            Self::Large => 6,
        }
    }

    fn segment_bytes(self) -> u64 {
        match self {
            Self::Large => 160 * 1024,
            Self::Single | Self::Batch | Self::Duplicates => 16 * 1024,
        }
    }

    fn batch(self, random: &mut Random, generation: u64, batch: u64) -> Result<Vec<Entry>> {
        let count = match self {
            // The first batch brings the log close to a full bundle.
            _ if batch == 0 => 200 + random.below(56),
            Self::Single => 1,
            Self::Batch => 1 + random.below(150),
            Self::Duplicates => 1 + random.below(30),
            Self::Large => 1 + random.below(2),
        };
        let entries = (0..count).map(|n| {
            let text = match self {
                Self::Duplicates if random.below(4) > 0 => format!("often {}", random.below(300)),
                _ => format!("{generation}/{batch}/{n}/{}", random.next()),
            };
            let mut bytes = text.into_bytes();
            if matches!(self, Self::Large) && batch > 0 {
                bytes.resize(usize::from(u16::MAX), b'.');
            }
            Ok(Entry::new(bytes)?)
        });
        entries.collect()
    }
}

/// A moment of the disk, and what was promised by then.
struct Moment {
    call: Call,
    image: Image,
    promised: Promised,
}

/// One log; how many crashes it went through.
fn trial(seed: u64, indices: &Path) -> Result<u64> {
    let workload = Workload::of(seed);
    let tuning = modelled::tuning(workload.segment_bytes());
    let mut random = Random::new(seed, 2);
    let index_dir = indices.join(seed.to_string());
    let disk = ModelDisk::new(Image::empty());
    let unpublished = modelled::create(&disk, &index_dir, &tuning)?;
    let (mut image, mut promised) = (disk.image(), Promised::default());
    let mut sequence = Sequence::new();
    let mut crashes = 0;
    // Making a log promises nothing but that there is one.
    for _ in 0..CRASHES_OF_NEW {
        modelled::check_image(unpublished.crash(&mut random), &index_dir, &tuning, &sequence, promised)
            .context("crash of a new log")?;
        crashes += 1;
    }
    for generation in 0..GENERATIONS {
        let log = Log { workload, tuning, generation, index_dir: &index_dir };
        let moments = log.run(image, promised, &mut sequence, &mut random)?;
        crashes += log
            .crash_all(&moments, &sequence, &mut random)
            .with_context(|| format!("{workload:?}, generation {generation}"))?;
        // The next generation starts on what a crash in the later half of this one left.
        let half = moments.len() as u64 / 2;
        let moment = &moments[usize::try_from(half + random.below(moments.len() as u64 - half))?];
        (image, promised) = (moment.image.crash(&mut random), moment.promised);
        match std::fs::remove_dir_all(&index_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(crashes)
}

/// One generation of a log.
struct Log<'a> {
    workload: Workload,
    tuning: Tuning,
    generation: u64,
    index_dir: &'a Path,
}

impl Log<'_> {
    /// Runs it on what is there, up to a clean stop, and remembers the moments before all calls.
    fn run(
        &self,
        image: Image,
        promised: Promised,
        sequence: &mut Sequence,
        random: &mut Random,
    ) -> Result<Vec<Moment>> {
        let disk = ModelDisk::new(image);
        let witnessed = Witnessed::new(promised);
        let moments = Arc::new(Mutex::new(Vec::new()));
        let (watching, remembered) = (witnessed.clone(), Arc::clone(&moments));
        disk.watch(Box::new(move |call, image| {
            if call != Call::Read {
                let moment = Moment { call, image: image.clone(), promised: watching.promised() };
                remembered.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
            }
            Verdict::Go
        }));
        let policy = modelled::policy()?;
        let sequencer = Sequencer::open_tuned(modelled::settings(&disk, self.index_dir)?, self.tuning)
            .map_err(|error| anyhow!("UNOPENABLE: {}: {error:#}", error.code()))?;
        let handle = sequencer.handle();
        let head = handle.signed().borrow().checkpoint.head();
        ensure!(
            head.size.get() >= promised.acknowledged.max(promised.shown),
            "LOST: {promised:?}, {head:?} is left"
        );
        sequence.truncate(head.size.get())?;
        witnessed.attach(&handle);
        let publisher =
            Publisher::open(handle.storage(), &data_dir(), Arc::clone(&policy), &head, handle.tree())?;
        for batch in 0..self.workload.batches() {
            let entries = self.workload.batch(random, self.generation, batch)?;
            let answers = witnessed.submit(&handle, &entries)?.context("the log stopped")?;
            take_up(sequence, &entries, &answers)?;
            if random.below(4) == 0 {
                modelled::publish(&publisher, &policy, &sequencer)?;
            }
        }
        drop(sequencer);
        let last = Moment { call: Call::Read, image: disk.image(), promised: witnessed.promised() };
        disk.unwatch();
        witnessed.check_heads(sequence)?;
        let mut moments = std::mem::take(&mut *moments.lock().unwrap_or_else(PoisonError::into_inner));
        moments.push(last);
        Ok(moments)
    }

    /// Crashes at every moment and checks what is left; how many crashes that were.
    fn crash_all(&self, moments: &[Moment], sequence: &Sequence, random: &mut Random) -> Result<u64> {
        let seeds: Vec<u64> = moments.iter().map(|_| random.next()).collect();
        let all: Vec<(usize, (&Moment, u64))> = moments.iter().zip(seeds).enumerate().collect();
        let check = |part: &[(usize, (&Moment, u64))]| -> Result<u64> {
            for (number, (moment, seed)) in part {
                let mut random = Random::new(*seed, 3);
                for _ in 0..CRASHES {
                    let left = moment.image.crash(&mut random);
                    modelled::check_image(left, self.index_dir, &self.tuning, sequence, moment.promised)
                        .with_context(|| format!("crash before call {number}, {:?}", moment.call))?;
                }
            }
            Ok(part.len() as u64 * CRASHES)
        };
        let (first, second) = all.split_at(all.len() / 2);
        thread::scope(|scope| {
            let first = scope.spawn(|| check(first));
            let second = check(second)?;
            Ok(first.join().map_err(|_| anyhow!("a check panicked"))?? + second)
        })
    }
}

/// Takes the answers to a batch into the sequence.
pub(crate) fn take_up(sequence: &mut Sequence, entries: &[Entry], answers: &[Answer]) -> Result<()> {
    ensure!(entries.len() == answers.len(), "{} answers to {} entries", answers.len(), entries.len());
    for (entry, answer) in entries.iter().zip(answers) {
        let Answer::Sequenced { index, leaf_hash, occurrence } = answer else {
            return Err(anyhow!("{answer:?} to an entry of a raw log"));
        };
        ensure!(*leaf_hash == entry.leaf_hash(), "entry {index} was answered with another leaf hash");
        match occurrence {
            Occurrence::First => {
                ensure!(index.get() == sequence.size(), "entry {index} came at {}", sequence.size());
                sequence.push(*leaf_hash)?;
            }
            Occurrence::Again => {
                ensure!(sequence.has(index.get(), leaf_hash), "TWICE or LOST: entry {index} is another");
            }
        }
    }
    Ok(())
}
