//! What is unwise in a policy although it can be read, and what is wrong in one that cannot.
//!
//! Some of it depends on what no policy says: how many witnesses may be bad, how many a watchdog waits for,
//! and who operates which. Whoever asks can say it ([`LintOptions`]), or the file itself can, in comments that
//! every parser of policies skips:
//!
//! ```text
//! # lint: f <count>
//! # lint: monitor-quorum <count>
//! # lint: operator <operator> <witness>...
//! ```
//!
//! `f` is the number of witnesses that may sign anything, `monitor-quorum` the number of witnesses of the
//! quorum that a watchdog waits for (else [`default_monitor_quorum`]). Items are parted as in the other lines;
//! what the caller says overrides the file. A comment that starts with `lint:` and is none of these is an
//! error, so that no misspelt one goes unheeded.

mod check;
mod refused;

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use super::Policy;
use super::default_monitor_quorum;
use super::file::readable;
use crate::wire::parse_decimal;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Works, but not as well as it seems.
    Warning,
    /// The policy does not hold what it promises, or cannot be read.
    Error,
}

impl Severity {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintFinding {
    /// How much it weighs.
    pub severity: Severity,
    /// Its stable name.
    pub code: &'static str,
    /// The line of the file, counted from one.
    pub line: usize,
    /// What was found.
    pub message: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// Witnesses in one hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Whose hand.
    pub name: String,
    /// The witnesses, by the names the policy gives them.
    pub witnesses: Vec<String>,
}

/// What the policy does not say, and the caller does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintOptions {
    /// How many witnesses may be bad.
    pub bad_witnesses: Option<usize>,
    /// How many witnesses of the quorum a watchdog waits for.
    pub monitor_quorum: Option<usize>,
    /// Who operates which witnesses.
    pub operators: Vec<Operator>,
}

/// Everything found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// By line.
    pub findings: Vec<LintFinding>,
    /// The policy, if it can be read.
    pub policy: Option<Policy>,
}

impl Lint {
    /// Whether anything found is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Looks a policy file over.
pub fn lint(file: &[u8], options: &LintOptions) -> Lint {
    let mut findings = Vec::new();
    let options = with_comments(file, options, &mut findings);
    let policy = match Policy::parse(file) {
        Ok(policy) => {
            let lines = Lines::of(file);
            check::Checker { policy: &policy, lines: &lines, options: &options, findings: &mut findings }
                .run();
            Some(policy)
        }
        Err(error) => {
            refused::explain(file, error, &mut findings);
            None
        }
    };
    findings.sort_by_key(|finding| finding.line);
    Lint { findings, policy }
}

/// Where the lines of each kind are, for a file that can be read.
struct Lines {
    /// Of the witnesses, in their order.
    witnesses: Vec<usize>,
    logs: Vec<usize>,
    quorum: usize,
}

impl Lines {
    fn of(file: &[u8]) -> Self {
        let mut lines = Self { witnesses: Vec::new(), logs: Vec::new(), quorum: 1 };
        for (line, items) in numbered_items(file) {
            match items.first() {
                Some(&b"witness") => lines.witnesses.push(line),
                Some(&b"log") => lines.logs.push(line),
                Some(&b"quorum") => lines.quorum = line,
                _ => {}
            }
        }
        lines
    }
}

/// The items of each line, with the line's number.
fn numbered_items(file: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    file.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| {
        let items = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|item| !item.is_empty());
        (index.saturating_add(1), items.collect())
    })
}

/// The caller's options, and for what the caller leaves open those of the file.
fn with_comments(file: &[u8], given: &LintOptions, findings: &mut Vec<LintFinding>) -> LintOptions {
    let mut options = given.clone();
    for (line, items) in numbered_items(file) {
        let rest = match items.as_slice() {
            [b"#", b"lint:", rest @ ..] | [b"#lint:", rest @ ..] => rest,
            _ => continue,
        };
        let count = |item: &[u8]| parse_decimal(item).ok().and_then(|count| usize::try_from(count).ok());
        let understood = match rest {
            [b"f", item] => count(item).map(|f| options.bad_witnesses = given.bad_witnesses.or(Some(f))),
            [b"monitor-quorum", item] => {
                count(item).map(|k2| options.monitor_quorum = given.monitor_quorum.or(Some(k2)))
            }
            [b"operator", name, witnesses @ ..] if !witnesses.is_empty() => {
                let name = readable(name);
                if !given.operators.iter().any(|operator| operator.name == name) {
                    let witnesses = witnesses.iter().map(|witness| readable(witness)).collect();
                    options.operators.push(Operator { name, witnesses });
                }
                Some(())
            }
            _ => None,
        };
        if understood.is_none() {
            findings.push(LintFinding {
                severity: Severity::Error,
                code: "policy-lint-comment",
                line,
                message: "a lint comment that cannot be read".to_owned(),
                why: "what it was meant to say is not taken into account",
                next: "write: # lint: f N, # lint: monitor-quorum K, or # lint: operator NAME WITNESS...",
            });
        }
    }
    options
}

#[cfg(test)]
mod tests;
