//! What `fsck` and `import` print: findings as they come, and how it ended; for people or, one JSON object a
//! line, for programs.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use indelible_proto::size::TreeSize;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::chain::Chain;
use crate::fsck::{Finding, FsckError, Grade, Listener};

/// Something is damaged, or what was fetched is refused.
const DAMAGED: u8 = 1;
/// Something could not be read, so nothing is known about it.
pub(super) const UNREAD: u8 = 40;

/// Prints findings as they come, and counts.
pub(super) struct Report {
    json: bool,
    bar: ProgressBar,
    began: Instant,
    entries: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    unread: AtomicU64,
    failed: Mutex<Option<std::io::Error>>,
}

impl Report {
    /// A report about work with this name.
    pub(super) fn new(work: &'static str, json: bool) -> Self {
        let bar = if json || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let template = format!("{work} {{wide_bar}} {{pos}}/{{len}} bundles {{eta}} {{msg}}");
            ProgressBar::new(0).with_style(
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        };
        Self {
            json,
            bar,
            began: Instant::now(),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            failed: Mutex::new(None),
        }
    }

    /// Prints a line to standard output, escaped: what is in it comes from strangers.
    fn print(&self, line: &str) {
        let clean: String = line
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.bar.suspend(|| writeln!(std::io::stdout().lock(), "{clean}"));
        if let Err(error) = written {
            failed.get_or_insert(error);
        }
    }

    fn print_fields(&self, fields: Map<String, Value>) {
        self.print(&Value::Object(fields).to_string());
    }

    /// Whether anything was found, how grave.
    pub(super) fn verdict(&self) -> Grade {
        match (self.damaged.load(Ordering::Relaxed), self.unread.load(Ordering::Relaxed)) {
            (0, 0) => Grade::Note,
            (0, _) => Grade::Unread,
            _ => Grade::Damaged,
        }
    }

    /// Prints how it ended; the exit code for it.
    pub(super) fn end(&self, checked: &Result<TreeSize, FsckError>) -> anyhow::Result<ExitCode> {
        self.bar.finish_and_clear();
        let (code, word, error) = match (checked, self.verdict()) {
            (_, Grade::Damaged) => (DAMAGED, "damaged", checked.as_ref().err()),
            (Err(error), _) if error.is_damage() => (DAMAGED, "damaged", Some(error)),
            (Err(error), _) => (UNREAD, "unread", Some(error)),
            (Ok(_), Grade::Unread) => (UNREAD, "unread", None),
            (Ok(_), Grade::Note) => (0, "clean", None),
        };
        let error = error.map(|error| (error.code(), Chain(error).to_string()));
        let seconds = self.began.elapsed().as_secs_f64();
        let [entries, bytes, damaged, unread] = [&self.entries, &self.bytes, &self.damaged, &self.unread]
            .map(|count| count.load(Ordering::Relaxed));
        if self.json {
            let mut fields = Map::new();
            fields.insert("outcome".to_owned(), word.into());
            fields.insert("exit".to_owned(), code.into());
            if let Ok(size) = checked {
                fields.insert("size".to_owned(), size.get().into());
            }
            for (name, value) in
                [("entries", entries), ("bytes", bytes), ("damaged", damaged), ("unread", unread)]
            {
                fields.insert(name.to_owned(), value.into());
            }
            fields.insert("seconds".to_owned(), seconds.into());
            if let Some((code, message)) = &error {
                fields.insert("code".to_owned(), (*code).into());
                fields.insert("message".to_owned(), message.as_str().into());
            }
            self.print_fields(fields);
        } else {
            if let Some((code, message)) = &error {
                self.print(&format!("{word:<8} {message} [{code}]"));
            }
            let size = checked.as_ref().map_or_else(|_| "?".to_owned(), ToString::to_string);
            let rate = |count: u64| format!("{:.1}", count as f64 / seconds.max(1e-9) / 1e6);
            self.print(&format!(
                "{word}: {size} entries in the log; {entries} in bundles read, {:.1} MB in {seconds:.2} s ({} MB/s, {} \
                 M entries/s); {damaged} damaged, {unread} unread",
                bytes as f64 / 1e6,
                rate(bytes),
                rate(entries),
            ));
        }
        self.written().map(|()| ExitCode::from(code))
    }

    /// Prints that a log of this size was imported, and its verifier key.
    pub(super) fn imported(&self, size: TreeSize, reused: u64, key: &str) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if self.json {
            let fields = [
                ("outcome", Value::from("imported")),
                ("exit", 0.into()),
                ("size", size.get().into()),
                ("reused", reused.into()),
                ("vkey", key.into()),
            ];
            self.print_fields(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        } else {
            let seconds = self.began.elapsed().as_secs_f64();
            self.print(&format!(
                "imported {size} entries in {seconds:.2} s, all compared with the signed checkpoint and read back; \
                 {reused} bundles were there already"
            ));
            self.print(key);
        }
        self.written()
    }

    /// Prints why nothing was made.
    pub(super) fn failed(&self, code: &str, error: &dyn Error) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        let message = Chain(error).to_string();
        if self.json {
            let fields = [("outcome", "failed"), ("code", code), ("message", message.as_str())];
            self.print_fields(
                fields.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect(),
            );
        } else {
            self.print(&format!("failed   {message} [{code}]"));
        }
        self.written()
    }

    fn written(&self) -> anyhow::Result<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(error).context("cannot write to standard output"))
    }
}

impl Listener for Report {
    fn find(&self, finding: Finding) {
        match finding.grade {
            Grade::Damaged => drop(self.damaged.fetch_add(1, Ordering::Relaxed)),
            Grade::Unread => drop(self.unread.fetch_add(1, Ordering::Relaxed)),
            Grade::Note => {}
        }
        if self.json {
            self.print_fields(finding.fields());
        } else {
            for line in finding.lines() {
                self.print(&line);
            }
        }
    }

    fn begin(&self, bundles: u64) {
        self.bar.set_length(bundles);
        self.bar.set_position(0);
    }

    fn advance(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(1);
    }
}
