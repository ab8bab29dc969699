//! Our verdicts beside those of whoever made the tests.

/// How many were accepted and refused, and which of them wrongly.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    accepted: usize,
    refused: usize,
    wrong: Vec<String>,
}

impl Verdicts {
    /// Notes whether we accept one test, named by `what`, and whether it is to be accepted.
    pub(crate) fn note(&mut self, ours: bool, theirs: bool, what: &str) {
        match ours {
            true => self.accepted += 1,
            false => self.refused += 1,
        }
        if ours != theirs {
            self.wrong(format!("{what}: ours {ours}, theirs {theirs}"));
        }
    }

    /// Notes something that may not be.
    pub(crate) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// # Panics
    ///
    /// If a verdict was wrong, or fewer than `least` tests were accepted or refused: then they are not all there.
    #[track_caller]
    pub(crate) fn assert_right(&self, least: usize) {
        let Self { accepted, refused, wrong } = self;
        assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
        let are_there = *accepted >= least && *refused >= least;
        assert!(are_there, "{accepted} accepted, {refused} refused: the tests are not all there");
        println!("{accepted} accepted, {refused} refused");
    }
}
