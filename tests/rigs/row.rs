//! What a row of the scorecard is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result, bail};
use indelible_client::planted::Bug;

/// How many trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// What the test command runs.
    Short,
    /// What the scorecard asks for.
    Full,
}

/// The trials to run: one for each seed from the first on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trials {
    pub(crate) first_seed: u64,
    pub(crate) count: u64,
}

impl Trials {
    /// The seeds.
    pub(crate) fn seeds(self) -> impl Iterator<Item = u64> {
        self.first_seed..self.first_seed.saturating_add(self.count)
    }

    /// Makes the trial of one seed after the other; how many.
    ///
    /// # Errors
    /// That of the first trial that failed or panicked, with its seed.
    pub(crate) fn each(self, mut trial: impl FnMut(u64) -> Result<()>) -> Result<u64> {
        for seed in self.seeds() {
            let outcome = catch_unwind(AssertUnwindSafe(|| trial(seed)));
            let outcome = outcome.unwrap_or_else(|panic| {
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
                bail!("the trial panicked: {}", said.unwrap_or_default())
            });
            outcome.with_context(|| format!("seed {seed}"))?;
        }
        Ok(self.count)
    }
}

/// What came of a row in which nothing was lost.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many trials were really made.
    pub(crate) trials: u64,
    /// What else was counted, in words; goes to the end of the row's line.
    pub(crate) figures: String,
}

/// One way to break the log.
pub(crate) trait Row: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// How many trials it makes.
    fn trials(&self, scale: Scale) -> u64;

    /// The bugs it must catch with its short number of trials.
    fn bugs(&self) -> &'static [Bug];

    /// What this machine or user lacks to run it; `None` if nothing.
    fn lacks(&self) -> Option<String> {
        None
    }

    /// Makes the trials.
    ///
    /// # Errors
    /// The first trial that lost something, with its seed: `seed 17: entry 4 was acknowledged and is gone`.
    fn run(&self, trials: Trials) -> Result<Outcome>;
}
