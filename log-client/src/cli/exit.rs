//! What a run ends with: the exit codes, and failures that say what happened and what to do next.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | verified, or done |
//! | 2 | usage: the command line or a file named in it cannot be used as it is |
//! | 10 | hold: nothing is wrong, but do not install yet |
//! | 20 | refused: a check failed |
//! | 30 | evidence: the log has said two things that cannot both be true; a file proves it |
//! | 40 | could not decide: network, disk, damaged local state, or something was not given |

use std::process::ExitCode;

use crate::verify::Outcome;

/// How a run ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Verified, or done.
    Verified = 0,
    /// The command line or a file it names cannot be used as it is.
    Usage = 2,
    /// Nothing is wrong, but do not install yet.
    Hold = 10,
    /// A check failed.
    Refused = 20,
    /// The log has said two things that cannot both be true.
    Evidence = 30,
    /// Not enough was known to decide.
    Undecided = 40,
}

impl Exit {
    /// The number the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The graver of two ends of one run. What cannot be used as it is stands just below what was refused: it
    /// was not judged.
    pub(super) fn graver(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Verified => 0,
            Self::Hold => 1,
            Self::Undecided => 2,
            Self::Usage => 3,
            Self::Refused => 4,
            Self::Evidence => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// One word for people and for `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Usage => "usage",
            Self::Hold => "hold",
            Self::Refused => "refused",
            Self::Evidence => "evidence",
            Self::Undecided => "could not decide",
        }
    }
}

/// Whose exit code a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Our own.
    Ours(Exit),
    /// That of a command that was run in turn.
    Of(u8),
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Ours(exit) => exit.into(),
            End::Of(code) => Self::from(code),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Verified => Self::Verified,
            Outcome::Hold => Self::Hold,
            Outcome::Undecided => Self::Undecided,
            Outcome::Refused => Self::Refused,
            Outcome::Evidence => Self::Evidence,
        }
    }
}

/// A run that ended early: how, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the run ends.
    pub exit: Exit,
    /// The stable name of what happened.
    pub code: &'static str,
    /// What happened, naming the file or value.
    pub message: String,
    /// The next step for the person who reads it.
    pub next: String,
}

#[expect(clippy::needless_pass_by_value, reason = "takes errors and texts alike, at the end of their use")]
impl Failure {
    /// The command line or a file named in it cannot be used as it is.
    pub fn usage(code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code, message: message.to_string(), next: next.into() }
    }

    /// A check failed.
    pub fn refused(code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, code, message: message.to_string(), next: next.into() }
    }

    /// Not enough was known to decide.
    pub fn undecided(code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        Self { exit: Exit::Undecided, code, message: message.to_string(), next: next.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_ones_scripts_rely_on() {
        let expect = [
            (Exit::Verified, 0),
            (Exit::Usage, 2),
            (Exit::Hold, 10),
            (Exit::Refused, 20),
            (Exit::Evidence, 30),
            (Exit::Undecided, 40),
        ];
        for (exit, code) in expect {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn each_outcome_has_its_own_number() {
        let outcomes =
            [Outcome::Verified, Outcome::Hold, Outcome::Undecided, Outcome::Refused, Outcome::Evidence];
        assert_eq!(outcomes.map(|outcome| Exit::from(outcome).code()), [0, 10, 40, 20, 30]);
    }
}
