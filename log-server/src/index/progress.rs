//! How far the index has caught up, for whoever waits for a start: a bar on a terminal, lines in a log.

use std::cell::Cell;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::storage::tiles::BUNDLE_ENTRIES;

/// Fewer entries are read before anybody could see a bar.
const SHOWN_FROM: u64 = 64 * BUNDLE_ENTRIES;
/// How many lines a log gets.
const LINES: u64 = 10;

/// The catching up of one index.
pub(super) struct Progress {
    first: u64,
    size: u64,
    /// `None` where there is no terminal.
    bar: Option<ProgressBar>,
    /// At which entry there is a line again.
    next_line: Cell<u64>,
}

impl Progress {
    /// From entry `first` to `size`.
    pub(super) fn of(first: u64, size: u64) -> Self {
        let total = size.saturating_sub(first);
        let shown = total >= SHOWN_FROM;
        if shown {
            tracing::info!(from = first, to = size, "the index is catching up");
        }
        let bar = (shown && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("index {wide_bar} {human_pos}/{human_len} {eta}");
            let bar = ProgressBar::new(total);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        let next_line = if shown { first + total / LINES } else { u64::MAX };
        Self { first, size, bar, next_line: Cell::new(next_line) }
    }

    /// Every entry before `end` is done.
    pub(super) fn reached(&self, end: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(end.saturating_sub(self.first)),
            None if end >= self.next_line.get() => {
                tracing::info!(indexed = end, of = self.size, "the index is catching up");
                self.next_line.set(end + (self.size - self.first) / LINES);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
