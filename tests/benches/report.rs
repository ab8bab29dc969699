//! The table: one line for each measurement, beside what bounds it, from the same run.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;
use crate::stats::Spread;

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figure {
    /// Over the rounds.
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// What it is counted in.
    pub(crate) unit: &'static str,
}

impl Figure {
    /// The median and extremes of these rounds.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>, unit: &'static str) -> Self {
        Self { spread: Spread::of(rounds), unit }
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The row it belongs to.
    pub(crate) row: &'static str,
    /// What exactly was measured.
    pub(crate) case: String,
    /// What came out.
    pub(crate) measured: Figure,
    /// What bounds it: a physical limit or a peer, measured in the same rounds.
    pub(crate) bound: Figure,
    /// What that is.
    pub(crate) bound_is: String,
    /// Measured over bound, each round with its own.
    pub(crate) ratio: Spread,
    /// What it must reach, if anything is demanded, and whether it does.
    pub(crate) goal: Option<Goal>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

/// What a measurement has to reach.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) text: String,
    /// Whether the median does.
    pub(crate) met: bool,
}

impl Line {
    /// A line from rounds of a measured value and what bounds it.
    pub(crate) fn new(
        row: &'static str,
        case: impl Into<String>,
        unit: &'static str,
        rounds: &[(f64, f64)],
        bound_is: impl Into<String>,
    ) -> Self {
        Self {
            row,
            case: case.into(),
            measured: Figure::of(rounds.iter().map(|(measured, _)| *measured), unit),
            bound: Figure::of(rounds.iter().map(|(_, bound)| *bound), unit),
            bound_is: bound_is.into(),
            ratio: Spread::of(rounds.iter().map(|(measured, bound)| measured / bound)),
            goal: None,
            notes: Vec::new(),
        }
    }

    /// The same line with one more note.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same line with what it has to reach.
    #[must_use]
    pub(crate) fn goal(self, text: impl Into<String>, met: bool) -> Self {
        Self { goal: Some(Goal { text: text.into(), met }), ..self }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, case, measured: Figure { spread, unit }, bound, bound_is, ratio, .. } = self;
        let value = format!("{} {unit}", Number(spread.median));
        writeln!(f, "{row:<9} {case:<50} {value:>16}  {:>24}", Range(*spread).to_string())?;
        let mut indented = |text: &str| writeln!(f, "{:<12}{text}", "");
        if ratio.median.is_nan() {
            indented(&format!("without what bounds it: {bound_is}"))?;
        } else {
            let (ratio, range) = (Number(ratio.median), Range(*ratio));
            let (bound, unit) = (Number(bound.spread.median), bound.unit);
            indented(&format!("{ratio} ({range}) of {bound} {unit}: {bound_is}"))?;
        }
        for note in &self.notes {
            indented(note)?;
        }
        if let Some(Goal { text, met }) = &self.goal {
            indented(&format!("goal: {text}: {}", if *met { "met" } else { "NOT MET" }))?;
        }
        Ok(())
    }
}

/// What stands above the lines.
pub(crate) fn heading(machine: &Machine, command: &str) -> String {
    let columns = format!("{:<9} {:<50} {:>16}  {:>24}", "row", "case", "median round", "lowest .. highest");
    let ratio = "ratio (lowest .. highest) of what bounds it, measured in the same rounds";
    format!("{command}\n{}\n\n{columns}\n{:<12}{ratio}\n", machine.line(), "")
}

/// The extremes of a spread.
struct Range(Spread);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .. {}", Number(self.0.low), Number(self.0.high))
    }
}

/// Everything as one JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    /// How to measure it again.
    pub(crate) command: &'a str,
    /// What it was measured on.
    pub(crate) machine: &'a Machine,
    /// The lines.
    pub(crate) lines: &'a [Line],
}

/// A number with three or four digits that mean something, thousands parted by commas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        match value.abs() {
            1000.0.. => f.write_str(&grouped(value.round() as i64)),
            100.0.. => write!(f, "{value:.0}"),
            10.0.. => write!(f, "{value:.1}"),
            1.0.. => write!(f, "{value:.2}"),
            _ => write!(f, "{value:.3}"),
        }
    }
}

fn grouped(value: i64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
