//! What a row of the scorecard is.

use anyhow::Result;
use indelible_client::planted::Bug;

/// How many trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// What the test command runs.
    Short,
    /// What the scorecard asks for.
    Full,
}

#[allow(dead_code)] // Until the first row is here.
/// The trials to run: one for each seed from the first on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trials {
    pub(crate) first_seed: u64,
    pub(crate) count: u64,
}

#[allow(dead_code)]
impl Trials {
    /// The seeds.
    pub(crate) fn seeds(self) -> impl Iterator<Item = u64> {
        self.first_seed..self.first_seed.saturating_add(self.count)
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
