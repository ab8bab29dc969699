//! Row `bit-flips`: one bit of a stored log is wrong. `fsck` finds it, the signer does not sign over it, and no
//! reader takes what is served for true.
//!
//! | flipped bit in | `fsck` | the next start | readers |
//! |---|---|---|---|
//! | an entry, or the length before it | finds it | goes on | refuse that entry |
//! | a hash of a tile at the right edge | finds it | refuses | |
//! | a hash of another tile | finds it | goes on | refuse every proof with it |
//! | `heads` | finds it | makes it again from the journal, the authority | |
//! | the journal | finds it | refuses | |
//! | the published checkpoint | finds it | refuses | |
//! | the journal's part that is not written yet | is right: nothing is there | writes over it | |
//! | the index | does not look: nothing rests on it | makes it again if it can't be used | |
//!
//! The last two are not taken on trust: the log must start, have the same tree, know its entries, take a new
//! one, and be clean afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_client::LogClient;
use indelible_client::planted::Bug;
use indelible_proto::hash::leaf_hash;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::BundleId;
use indelible_proto::tree::TreeHead;
use indelible_tests::filling::{entry, fill};
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Reader, binaries, http};
use serde_json::Value;
use tempfile::TempDir;

use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct BitFlips;

/// How a server ends that refuses to sign.
const REFUSES_TO_SIGN: i32 = 3;
/// Entries of the log: enough for a full tile above the leaves, and not a multiple of 256.
const ENTRIES: u64 = 66_000;

/// Where the bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Leaf,
    Length,
    LeafTile,
    EdgeTile,
    UpperTile,
    Heads,
    Journal,
    Checkpoint,
    JournalTail,
    Index,
}

const PLACES: [Place; 10] = [
    Place::Leaf,
    Place::Length,
    Place::LeafTile,
    Place::EdgeTile,
    Place::UpperTile,
    Place::Heads,
    Place::Journal,
    Place::Checkpoint,
    Place::JournalTail,
    Place::Index,
];

/// What the next start must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Refuses,
    GoesOn,
}

impl Place {
    fn is_found(self) -> bool {
        !matches!(self, Self::JournalTail | Self::Index)
    }

    fn start(self) -> Start {
        match self {
            Self::EdgeTile | Self::UpperTile | Self::Journal | Self::Checkpoint => Start::Refuses,
            Self::Leaf | Self::Length | Self::LeafTile | Self::Heads | Self::JournalTail | Self::Index => {
                Start::GoesOn
            }
        }
    }
}

impl Row for BitFlips {
    fn name(&self) -> &'static str {
        "bit-flips"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            // Every place twice.
            Scale::Short => 2 * PLACES.len() as u64,
            Scale::Full => 2_000,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::UpperTilesUnread]
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let damaged = Damaged::make()?;
        let mut counts: BTreeMap<Place, u64> = BTreeMap::new();
        let (mut refused_starts, mut refused_by_readers) = (0, 0);
        let trials = trials.each(|seed| {
            let place = PLACES[usize::try_from(seed % PLACES.len() as u64)?];
            let told = damaged.trial(place, &mut Random::new(seed, 12));
            let (start, readers) = told.map_err(|error| error.context(format!("{place:?}")))?;
            *counts.entry(place).or_default() += 1;
            refused_starts += u64::from(start == Start::Refuses);
            refused_by_readers += readers;
            Ok(())
        })?;
        let found: u64 = counts.iter().filter(|(place, _)| place.is_found()).map(|(_, count)| count).sum();
        let without = trials - found;
        let figures = format!(
            "fsck found {found} of {found}, {without} proved to be without effect; {refused_starts} starts refused; 0 \
             served as valid, {refused_by_readers} answers refused by readers"
        );
        Ok(Outcome { trials, figures })
    }
}

/// A stopped log that is damaged, looked at, and mended again and again.
struct Damaged {
    site: Site,
    head: TreeHead,
    pristine: PathBuf,
    _dir: TempDir,
}

/// The bit to flip, and an entry whose proof needs it.
struct Bit {
    path: PathBuf,
    offset: usize,
    entry: Option<u64>,
}

impl Damaged {
    fn make() -> Result<Self> {
        let dir = TempDir::with_prefix("indelible-rig-")?;
        let site = Site::make(&dir.path().join("log"), &dir.path().join("log.out"), Kind::Raw)?;
        site.keep_few_keys_in_memory()?;
        fill(site.dir(), ENTRIES);
        let log = site.start()?;
        let head = Reader::new(log.url(), &site.policy()?).published(ENTRIES).head();
        ensure!(log.stop().success(), "the log does not stop");
        let pristine = dir.path().join("pristine");
        copy(&site.dir().join("data"), &pristine)?;
        let damaged = Self { site, head, pristine, _dir: dir };
        ensure!(damaged.fsck()?.0 == 0, "fsck finds damage in a sound log");
        Ok(damaged)
    }

    /// One flip: what the start did, and how many answers readers refused.
    fn trial(&self, place: Place, random: &mut Random) -> Result<(Start, u64)> {
        let bit = self.pick(place, random)?;
        let path = self.site.dir().join("data").join(&bit.path);
        let mut bytes = fs::read(&path)?;
        bytes[bit.offset] ^= 1 << random.below(8);
        fs::write(&path, &bytes)?;
        let at = format!("{} at byte {}", bit.path.display(), bit.offset);

        let (code, findings) = self.fsck()?;
        let name = bit.path.to_string_lossy().into_owned();
        let names = |finding: &Value| finding["place"].as_str().is_some_and(|place| place.contains(&name));
        let found = findings.iter().any(|finding| finding["grade"] == "damaged" && names(finding));
        if place.is_found() {
            ensure!(code == 1 && found, "fsck does not find {at}: exit code {code}, {findings:?}");
        } else {
            ensure!(code == 0, "fsck calls {at} damage: {findings:?}");
        }
        let told = self.start(place, &bit).with_context(|| at.clone());
        // A start that refuses leaves everything as it was; mend all the same.
        self.mend()?;
        told
    }

    fn start(&self, place: Place, bit: &Bit) -> Result<(Start, u64)> {
        let log = match self.site.try_start() {
            Err(refused) => {
                ensure!(place.start() == Start::Refuses, "the log does not start: {refused}");
                ensure!(refused.code() == REFUSES_TO_SIGN, "the log ends otherwise: {refused}");
                return Ok((Start::Refuses, 0));
            }
            Ok(log) => log,
        };
        ensure!(place.start() == Start::GoesOn, "SIGNED OVER: the log started");
        let reader = Reader::new(log.url(), &self.site.policy()?);
        ensure!(reader.checkpoint().head() == self.head, "the log has another tree");
        let mut refused = 0;
        if let Some(index) = bit.entry {
            refused += u64::from(!is_taken_for_true(log.url(), index, &self.head)?);
            ensure!(place == Place::LeafTile || refused == 1, "SERVED AS VALID: entry {index}");
        }
        if !place.is_found() || place == Place::Heads {
            for index in [0, ENTRIES / 2, ENTRIES - 1] {
                let answer = http::post(log.address(), "/add", &entry(index));
                let known = answer.status == 200 && answer.text().trim() == index.to_string();
                ensure!(known, "entry {index} is not known any more: {}", answer.text());
            }
            let answer = http::post(log.address(), "/add", b"a new one");
            ensure!(answer.status == 200, "no entry is taken: {}", answer.text());
            let new = reader.published(ENTRIES + 1).head();
            reader.check_consistent(&self.head, &new);
            ensure!(log.stop().success(), "the log does not stop");
            let (code, findings) = self.fsck()?;
            ensure!(code == 0, "the log is not clean afterwards: {findings:?}");
        }
        Ok((Start::GoesOn, refused))
    }

    fn pick(&self, place: Place, random: &mut Random) -> Result<Bit> {
        let whole = |path: PathBuf, random: &mut Random, entry| -> Result<Bit> {
            let length = fs::metadata(self.pristine.join(&path))?.len();
            ensure!(length > 0, "{} is empty", path.display());
            Ok(Bit { offset: usize::try_from(random.below(length))?, path, entry })
        };
        let bundles = ENTRIES / 256;
        match place {
            Place::Leaf | Place::Length => {
                let bundle = random.below(bundles);
                let path = PathBuf::from(bundle_path(bundle)?);
                let bytes = fs::read(self.pristine.join(&path))?;
                let position = random.below(256);
                let mut start = 0;
                for _ in 0..position {
                    start += 2 + usize::from(u16::from_be_bytes([bytes[start], bytes[start + 1]]));
                }
                let length = u64::from(u16::from_be_bytes([bytes[start], bytes[start + 1]]));
                let offset = match place {
                    Place::Leaf => start + 2 + usize::try_from(random.below(length))?,
                    _ => start + usize::try_from(random.below(2))?,
                };
                Ok(Bit { path, offset, entry: Some(bundle * 256 + position) })
            }
            // The tile that is not below the full tile above it is the one at the right edge.
            Place::LeafTile | Place::EdgeTile => {
                let tile = if place == Place::EdgeTile { bundles - 1 } else { random.below(256) };
                let path = PathBuf::from(bundle_path(tile)?.replace("entries", "0"));
                let mut bit = whole(path, random, None)?;
                // The proof of its neighbour needs the hash.
                bit.entry = (place == Place::LeafTile).then(|| tile * 256 + ((bit.offset as u64 / 32) ^ 1));
                Ok(bit)
            }
            Place::UpperTile => whole(PathBuf::from("tile/1/000"), random, None),
            Place::Heads => whole(PathBuf::from("heads"), random, None),
            Place::Checkpoint => whole(PathBuf::from("checkpoint"), random, None),
            Place::Journal | Place::JournalTail => {
                let path = last_file(&self.pristine, "journal")?;
                let bytes = fs::read(self.pristine.join(&path))?;
                let written =
                    1 + bytes.iter().rposition(|byte| *byte != 0).context("the journal is empty")?;
                let (from, to) = match place {
                    Place::Journal => (0, written),
                    // The last record's padding belongs to it.
                    _ => (written.next_multiple_of(8), bytes.len()),
                };
                let offset = from + usize::try_from(random.below((to - from) as u64))?;
                Ok(Bit { path, offset, entry: None })
            }
            Place::Index => {
                let files = files(&self.pristine, "index")?;
                let path = files[usize::try_from(random.below(files.len() as u64))?].clone();
                whole(path, random, None)
            }
        }
    }

    fn fsck(&self) -> Result<(i32, Vec<Value>)> {
        let finished =
            Finished::run(Command::new(&binaries().server).arg("fsck").arg(self.site.dir()).arg("--json"));
        let lines = finished.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((finished.code(), lines.with_context(|| finished.to_string())?))
    }

    /// Gives every file that differs the content it had.
    fn mend(&self) -> Result<()> {
        let data = self.site.dir().join("data");
        fs::remove_dir_all(data.join("index"))?;
        copy(&self.pristine.join("index"), &data.join("index"))?;
        for path in files(&self.pristine, "")? {
            let right = fs::read(self.pristine.join(&path))?;
            if fs::read(data.join(&path)).ok().as_ref() != Some(&right) {
                fs::write(data.join(&path), right)?;
            }
        }
        Ok(())
    }
}

/// Whether a reader takes the entry that is served at `index` for the log's.
fn is_taken_for_true(url: &str, index: u64, head: &TreeHead) -> Result<bool> {
    let http = HttpClient::new(Timeouts::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = LogClient::new(Source::http(url, &http));
    let place = LeafIndex::new(index)?;
    let (id, position) = BundleId::of_entry(place, head.size)?;
    let served = runtime.block_on(async { (log.bundle(id).await, log.inclusion(place, head.size).await) });
    let (Ok(entries), Ok(proof)) = served else {
        return Ok(false);
    };
    let served = entries.get(position).ok_or_else(|| anyhow!("a bundle without its entry was taken"))?;
    let taken = proof.verify(&leaf_hash(served.as_bytes()), place, head).is_ok();
    ensure!(!taken || served.as_bytes() == entry(index), "SERVED AS VALID: another entry at {index}");
    Ok(taken)
}

fn bundle_path(index: u64) -> Result<String> {
    let size = TreeSize::new(ENTRIES)?;
    Ok(BundleId::for_size(index, size).context("no such bundle")?.full().path())
}

/// The files below a folder of `root`, as paths below `root`.
fn files(root: &Path, below: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in walkdir::WalkDir::new(root.join(below)).sort_by_file_name() {
        let file = file?;
        if file.file_type().is_file() {
            files.push(file.path().strip_prefix(root)?.to_owned());
        }
    }
    Ok(files)
}

fn last_file(root: &Path, below: &str) -> Result<PathBuf> {
    files(root, below)?.pop().with_context(|| format!("no file in {below}"))
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
