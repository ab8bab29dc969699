//! The watchdog of the demo: one process from the first entry to the last attack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use indelible_tests::World;

use crate::stage::Stage;

/// How long it may take to find what it was handed.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// A running `indelible watch`. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
    handed_in: PathBuf,
    evidence: PathBuf,
}

impl Watchdog {
    /// Starts it on the log, the witnesses, and a file with a checkpoint that a customer was shown.
    pub(crate) fn start(stage: &mut Stage, world: &World) -> Self {
        let (handed_in, evidence) = (world.file("shown-to-a-customer.txt"), world.file("evidence"));
        fs::copy(world.log_dir().join("data/checkpoint"), &handed_in).expect("the log has a checkpoint");
        let output = fs::File::create(world.file("watchdog.out")).expect("a file can be made");
        let errors = output.try_clone().expect("a file can be shared");
        let mut watch = world.client();
        watch.arg("watch").arg("--policy").arg(world.policy()).arg("--state").arg(world.file("watchdog"));
        watch.arg("--source").arg(&handed_in).arg("--evidence").arg(&evidence).args(["--interval", "1"]);
        let child =
            watch.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("the watchdog starts");
        stage.say(
            "A watchdog follows the log, the witnesses' own copies, and a checkpoint a customer was shown.",
        );
        Self { child, handed_in, evidence }
    }

    /// Whether it runs, so has found nothing.
    pub(crate) fn is_quiet(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands it another checkpoint that the customer was shown.
    pub(crate) fn hand_in(&self, note: &[u8]) {
        // As a whole, so that it never reads half a file.
        let part = self.handed_in.with_extension("part");
        fs::write(&part, note).expect("a file can be written");
        fs::rename(&part, &self.handed_in).expect("a file can be renamed");
    }

    /// Its exit code, if it ends in time.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < FOUND_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            // The standard library can wait for a child or look, not wait with a limit.
            std::thread::park_timeout(Duration::from_millis(20));
        }
        None
    }

    /// Where it writes evidence.
    pub(crate) fn evidence(&self) -> &Path {
        &self.evidence
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
