//! Row `fault-pairs`: every pair of failing file calls in one piece of work of the real sequencer.
//!
//! For each piece of work the calls it makes are counted, those of the stop and the restart after it included.
//! Then it is done again for every two of them, in which both fail, each without and with having had its effect.
//! A log that goes on must keep what it promises; one that stops must be startable again as soon as the disk
//! works, from what the system has in memory as well as after a power cut that leaves only what was synced.
//! Failures are the input/output error and the full disk in turn.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::planted::Bug;
use indelible_proto::entry_bundle::Entry;
use indelible_server::publish::Publisher;
use indelible_server::sequencer::{self, OpenError, Sequencer, SequencerError};

use crate::disk::{Image, ModelDisk, Verdict, data_dir};
use crate::modelled::{self, Promised, Sequence, Witnessed};
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};

/// The row.
pub(crate) struct FaultPairs;

/// In how many trials all pairs of one piece of work are made.
const PARTS: u64 = 100;
const SEGMENT_BYTES: u64 = 16 * 1024;
/// Entries a log has before the work: nearly a full bundle.
const ENTRIES: u64 = 250;

/// What is done while two calls fail.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// One entry is added.
    Add,
    /// A checkpoint is published.
    Publish,
    /// An entry is added that needs a new segment.
    Segment,
    /// A bundle becomes full, and a sync pass is made.
    Pass,
    /// The log is opened.
    Start,
}

const WORKS: [Work; 5] = [Work::Add, Work::Publish, Work::Segment, Work::Pass, Work::Start];

impl Row for FaultPairs {
    fn name(&self) -> &'static str {
        "fault-pairs"
    }

    fn trials(&self, scale: Scale) -> u64 {
        let works = WORKS.len() as u64;
        match scale {
            Scale::Short => 2 * works,
            Scale::Full => PARTS * works,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::IgnoreSecondFailure, Bug::AckOnSyncError]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let index_dir = modelled::index_dir()?;
        let mut pairs = 0;
        let bases =
            WORKS.iter().map(|work| Base::new(*work, index_dir.path())).collect::<Result<Vec<_>>>()?;
        let calls: Vec<String> = bases.iter().map(|base| format!("{:?} {}", base.work, base.calls)).collect();
        let trials = trials.each(|seed| {
            let works = WORKS.len() as u64;
            let base = &bases[usize::try_from(seed % works)?];
            pairs += base.part(seed / works % PARTS, seed, index_dir.path())?;
            Ok(())
        })?;
        Ok(Outcome { trials, figures: format!("{pairs} pairs of failures; calls: {}", calls.join(", ")) })
    }
}

/// A log before the work.
struct Base {
    work: Work,
    image: Image,
    sequence: Sequence,
    /// How many calls the work, the stop and the restart make.
    calls: u64,
}

/// A call that fails: which, and whether it has its effect.
type Fault = (u64, bool);

impl Base {
    fn new(work: Work, index_dir: &Path) -> Result<Self> {
        let disk = ModelDisk::new(Image::empty());
        let tuning = modelled::tuning(SEGMENT_BYTES);
        modelled::create(&disk, index_dir, &tuning)?;
        let mut sequence = Sequence::new();
        let sequencer = Sequencer::open_tuned(modelled::settings(&disk, index_dir)?, tuning)?;
        let entries = (0..ENTRIES).map(|n| entry(n, 8)).collect::<Result<Vec<_>>>()?;
        let promised = Witnessed::new(Promised::default());
        promised.submit(&sequencer.handle(), &entries)?.context("the log stopped")?;
        entries.iter().try_for_each(|entry| sequence.push(entry.leaf_hash()))?;
        drop(sequencer);
        let mut base = Self { work, image: disk.image(), sequence, calls: 0 };
        base.calls = base.trial(&[], 0, index_dir)?;
        Ok(base)
    }

    /// One part of all pairs, and of all single failures; how many.
    fn part(&self, part: u64, seed: u64, index_dir: &Path) -> Result<u64> {
        let mut number = 0;
        let mut made = 0;
        for first in 0..self.calls {
            for second in first + 1..=self.calls {
                for effects in 0..4 {
                    number += 1;
                    if number % PARTS != part {
                        continue;
                    }
                    // The last second one is never reached: the first is a failure alone then.
                    let faults = [(first, effects & 1 == 1), (second, effects & 2 == 2)];
                    self.trial(&faults, seed, index_dir)
                        .with_context(|| format!("{:?} with failures {faults:?}", self.work))?;
                    made += 1;
                }
            }
        }
        Ok(made)
    }

    /// The work with these failures, the stop, the restart, and the checks; how many calls that were.
    fn trial(&self, faults: &[Fault], seed: u64, index_dir: &Path) -> Result<u64> {
        let disk = ModelDisk::new(self.image.clone());
        let tuning = modelled::tuning(SEGMENT_BYTES);
        let calls = Arc::new(AtomicU64::new(0));
        let mut sequence = self.sequence.clone();
        let known = Promised { acknowledged: ENTRIES, shown: ENTRIES };
        let promised = Witnessed::new(known);
        if matches!(self.work, Work::Start) {
            fail(&disk, faults, &calls);
        } else {
            let sequencer = Sequencer::open_tuned(modelled::settings(&disk, index_dir)?, tuning)?;
            promised.attach(&sequencer.handle());
            self.work(&sequencer, &promised, &mut sequence, || fail(&disk, faults, &calls))?;
            drop(sequencer);
        }
        let mut known = promised.promised();
        promised.check_heads(&sequence)?;
        // The restart, which may fail, too.
        match sequencer::look(&modelled::settings(&disk, index_dir)?, &tuning) {
            Ok(stored) => known.shown = known.shown.max(stored.signed.checkpoint.head().size.get()),
            Err(error) => {
                ensure!(is_documented(&error), "the restart ended with {}: {error:#}", error.code());
            }
        }
        let made = calls.load(Ordering::Relaxed);
        disk.unwatch();
        // The disk works again: from what the system has in memory, and after a power cut.
        let size = modelled::check(&disk, index_dir, &tuning, &sequence, known).context("restarted")?;
        known.shown = known.shown.max(size);
        let mut random = Random::new(seed, 4);
        for _ in 0..2 {
            let left = disk.image().crash(&mut random);
            modelled::check_image(left, index_dir, &tuning, &sequence, known)
                .context("restarted, then a power cut")?;
        }
        Ok(made)
    }

    /// Does the work; `begin` is called when the calls begin to count.
    fn work(
        &self,
        sequencer: &Sequencer,
        promised: &Witnessed,
        sequence: &mut Sequence,
        begin: impl FnOnce(),
    ) -> Result<()> {
        let handle = sequencer.handle();
        let mut add = |entries: Vec<Entry>| -> Result<bool> {
            entries.iter().try_for_each(|entry| sequence.push(entry.leaf_hash()))?;
            Ok(promised.submit(&handle, &entries)?.is_some())
        };
        match self.work {
            Work::Start => {}
            Work::Add => {
                begin();
                add(vec![entry(1_000, 8)?])?;
            }
            Work::Segment => {
                begin();
                add(vec![entry(1_000, 15_000)?])?;
            }
            Work::Pass => {
                begin();
                // A pass begun by the first is made when the third comes.
                let _ = add((1_000..1_020).map(|n| entry(n, 700)).collect::<Result<_>>()?)?
                    && add(vec![entry(2_000, 8)?])?
                    && add(vec![entry(3_000, 8)?])?;
            }
            Work::Publish => {
                let policy = modelled::policy()?;
                let head = handle.signed().borrow().checkpoint.head();
                let publisher = Publisher::open(
                    handle.storage(),
                    &data_dir(),
                    Arc::clone(&policy),
                    &head,
                    handle.tree(),
                )?;
                begin();
                // A failure is one that the process stops at.
                let _ = modelled::publish(&publisher, &policy, sequencer);
            }
        }
        if let Some(failure) = sequencer.failure() {
            let documented = matches!(failure, SequencerError::Journal(_) | SequencerError::Disk(_));
            ensure!(documented, "the log stopped with {}: {failure:#}", failure.code());
        }
        Ok(())
    }
}

/// Whether a start that fails because the disk does may end with this.
fn is_documented(error: &OpenError) -> bool {
    matches!(error.code(), "disk" | "disk-full" | "file-not-written")
}

/// Lets these calls of the disk fail, counted from now on.
fn fail(disk: &ModelDisk, faults: &[Fault], calls: &Arc<AtomicU64>) {
    let (faults, calls) = (faults.to_vec(), Arc::clone(calls));
    disk.watch(Box::new(move |_, _| {
        let number = calls.fetch_add(1, Ordering::Relaxed);
        match faults.iter().find(|(call, _)| *call == number) {
            Some((_, persisted)) => {
                let kind = if number % 2 == 0 { io::ErrorKind::Other } else { io::ErrorKind::StorageFull };
                Verdict::Fail { kind, persisted: *persisted }
            }
            None => Verdict::Go,
        }
    }));
}

fn entry(number: u64, bytes: usize) -> Result<Entry> {
    let mut text = format!("{number}").into_bytes();
    text.resize(bytes.max(text.len()), b'.');
    Entry::new(text).map_err(|error| anyhow!("an entry: {error}"))
}
