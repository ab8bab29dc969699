//! Row `power-cuts`: the power goes while the log works, on real file systems with the real program.
//!
//! Each trial starts from a copy of an image with a log in it, which was left just before its journal starts
//! another segment, so that files are made and renamed close to the cut. It cuts the power at a moment that the
//! seed picks, and holds the log that starts afterwards against the ledger.
//!
//! In half of the trials no witness answers until after the cut, so that nothing is published meanwhile: every
//! publication makes the file system write its own journal, and with it names that nobody asked it to keep.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use indelible_client::planted::Bug;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, binaries};
use tempfile::TempDir;

use crate::image::{self, FileSystem, Mounted, fast_dir};
use crate::ledger::Ledger;
use crate::load::{Load, Workload};
use crate::random::Random;
use crate::row::{Outcome, Row, Scale, Trials};
use crate::site::Site;

/// The row.
pub(crate) struct PowerCuts;

impl Row for PowerCuts {
    fn name(&self) -> &'static str {
        "power-cuts"
    }

    fn trials(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Short => 8,
            Scale::Full => 1_000,
        }
    }

    fn bugs(&self) -> &'static [Bug] {
        &[Bug::NoFileSync, Bug::NoDirSync, Bug::PublishBeforePersist]
    }

    fn lacks(&self) -> Option<String> {
        image::lacks_power_cuts()
    }

    fn run(&self, trials: Trials) -> Result<Outcome> {
        let dir = TempDir::with_prefix_in("indelible-rig-", fast_dir())?;
        let templates = FileSystem::ALL.map(|file_system| {
            let name = format!("{file_system:?}");
            Template::make(file_system, &dir.path().join(&name)).context(name)
        });
        let [ext4, xfs] = templates;
        let templates = [ext4?, xfs?];
        let (mut entries, mut indices_made_again) = (0, 0);
        let trials = trials.each(|seed| {
            let (acknowledged, made_again) = cut(seed, &templates, dir.path())?;
            entries += acknowledged;
            indices_made_again += u64::from(made_again);
            Ok(())
        })?;
        let figures = format!(
            "{entries} acknowledged; ext4 and XFS; the index was made again {indices_made_again} times"
        );
        Ok(Outcome { trials, figures })
    }
}

/// One cut; how many entries were acknowledged in it, and whether the index had to be made again after it.
fn cut(seed: u64, templates: &[Template; 2], parent: &Path) -> Result<(u64, bool)> {
    let mut random = Random::new(seed, 2);
    // In turn, so that every range of seeds has all pairs, and those that tell most come first.
    let (file_system, template) = ((seed % 2) as usize, &templates[(seed % 2) as usize]);
    let workload = Workload::ALL[((seed / 2 + 2) % 4) as usize];
    let pair = format!("{:?}, {workload:?}", FileSystem::ALL[file_system]);
    let dir = TempDir::with_prefix_in("cut-", parent)?;
    let image = dir.path().join("image");
    template.copy_to(&image)?;

    let at = dir.path().join("disk");
    let mut disk = Mounted::image(&image, &at)?;
    let site = Site::at(&at.join("log"), &dir.path().join("log.out"));
    let ledger = Mutex::new(template.ledger.clone());
    if (seed / 2 + seed / 8) % 2 == 1 {
        site.set_policy(&template.unreachable_witness)?;
        sync_names(&at)?;
    }
    let log = site.start().context("before the cut")?;
    let address = log.address().to_owned();
    disk.arm()?;
    let load = Load { address: &address, workload, seed, round: 1 };
    let (enough, pause) = (random.below(workload.in_a_moment()), Duration::from_micros(random.below(2_000)));
    let acknowledged = load.until(&ledger, enough, || {
        std::thread::sleep(pause);
        disk.cut()?;
        log.kill();
        Ok(())
    });
    let acknowledged = acknowledged.with_context(|| pair.clone())?;
    disk.unmount()?;

    let disk = Mounted::image(&image, &at)?;
    // With an output of its own: the process before the cut may have lost its index to errors of the disk.
    let site = Site::at(&at.join("log"), &dir.path().join("after.out"));
    site.set_policy(&template.no_witness)?;
    let check = || -> Result<()> {
        let log = site.start_with_index()?;
        let mut ledger = ledger.lock().map_err(|_| anyhow!("a thread panicked"))?;
        ledger.check(log.url())?;
        log.kill();
        Ok(())
    };
    check().with_context(|| pair.clone())?;
    disk.unmount()?;
    Ok((acknowledged, site.made_index_again()?))
}

/// An image with a log in it.
struct Template {
    image: PathBuf,
    /// What the log in it acknowledged.
    ledger: Ledger,
    /// Its policy.
    no_witness: String,
    /// The same with a witness that nobody can reach.
    unreachable_witness: String,
}

impl Template {
    fn make(file_system: FileSystem, image: &Path) -> Result<Self> {
        file_system.make(image)?;
        let at = image.with_extension("disk");
        let disk = Mounted::image(image, &at)?;
        let site = Site::make(&at.join("log"), &image.with_extension("out"), Kind::Raw)?;
        // So that the power goes while the index writes, too.
        site.keep_few_keys_in_memory()?;
        let ledger = Mutex::new(Ledger::new(&site.policy()?));
        let log = site.start()?;
        let address = log.address().to_owned();
        let load = Load { address: &address, workload: Workload::Large, seed: 0, round: 0 };
        load.until(&ledger, NEARLY_A_SEGMENT, || {
            log.kill();
            Ok(())
        })?;
        let mut ledger = ledger.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
        let no_witness = std::fs::read_to_string(site.policy_file())?;
        let witness = unreachable_witness(&image.with_extension("witness"))?;
        let unreachable_witness = no_witness.replace("quorum none", &witness);
        ensure!(unreachable_witness != no_witness, "the log's policy has witnesses already");
        let log = site.start()?;
        ledger.check(log.url())?;
        log.kill();
        disk.unmount()?;
        Ok(Self { image: image.to_owned(), ledger, no_witness, unreachable_witness })
    }

    fn copy_to(&self, image: &Path) -> Result<()> {
        std::fs::copy(&self.image, image).map(drop).context("the image can't be copied")
    }
}

/// The lines of a policy for a witness at a port where nobody listens.
fn unreachable_witness(dir: &Path) -> Result<String> {
    let mut init = Command::new(&binaries().witness);
    init.arg("init").arg(dir).args(["--name", "witness.example/w", "--listen", "127.0.0.1:9"]);
    Finished::run(&mut init).expect(0);
    let key = std::fs::read_to_string(dir.join("witness.vkey"))?;
    Ok(format!("witness w {} http://127.0.0.1:9\nquorum w", key.trim_end()))
}

/// Puts everything that the rig itself wrote on disk.
fn sync_names(at: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(File::open(at)?)?)
}

/// How many of the largest entries leave little room in a segment of 16 MiB; a few more may come.
const NEARLY_A_SEGMENT: u64 = 251;
