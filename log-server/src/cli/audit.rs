//! `indelible-server fsck`: what it is told, what it prints, how it ends.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use indelible_client::durable;
use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::keys;
use indelible_proto::policy::{MAX_POLICY_BYTES, Policy};
use indelible_proto::size::TreeSize;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::chain::Chain;
use crate::fsck::{Finding, Fsck, FsckError, Grade, Listener, policy_of_key};
use crate::kind::LogKind;

/// Something is damaged, or what was fetched is refused.
pub(super) const DAMAGED: u8 = 1;
/// Something could not be read, so nothing is known about it.
pub(super) const UNREAD: u8 = 40;

/// Whose checkpoints are believed.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(super) struct Trust {
    /// The log's verifier key, or a file with it; believes the log without any witness.
    #[arg(long, value_name = "VKEY")]
    pub(super) log_key: Option<String>,
    /// A policy file: the log's key, its witnesses, and how many of them must have cosigned.
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
}

/// What the command line says makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

impl Usage {
    pub(super) fn new(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

impl Trust {
    /// The policy that this makes; `None` if nothing was given.
    pub(super) fn policy(&self) -> Result<Option<Policy>, Usage> {
        match (&self.log_key, &self.policy) {
            (Some(key), _) => {
                let key = keys::parse_vkey(key).map_err(|error| Usage::new(&Chain(&error)))?;
                policy_of_key(&key).map(Some).map_err(|error| Usage::new(&error))
            }
            (None, Some(path)) => {
                let named = |error: &dyn std::fmt::Display| Usage(format!("{}: {error}", path.display()));
                let bytes = durable::read(path, MAX_POLICY_BYTES).map_err(|error| named(&Chain(&error)))?;
                let bytes = bytes.ok_or_else(|| named(&"there is no such file"))?;
                Policy::parse(&bytes).map(Some).map_err(|error| named(&error))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Recompute a log from its entries and list everything that is damaged.
///
/// TARGET is the directory of a log, whether it runs or not, or the URL of any log that serves
/// c2sp.org/tlog-tiles, ours or not. Nothing is written, and a running log is not disturbed.
///
/// Every finding is printed as it is found: the file, what is the matter, what was expected and found, and
/// what to do. Exit codes: 0 all is well, 1 something is damaged, 2 wrong usage, 40 something could not be
/// read, so nothing is known about it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible-server fsck /var/lib/indelible/log
  indelible-server fsck https://log.example.org --policy policy.txt --kind records
  indelible-server fsck https://log.example.org --log-key 'log.example.org/main+8a0b…+AW…' --json")]
pub(super) struct FsckArgs {
    /// Directory or URL of the log.
    target: String,
    #[command(flatten)]
    trust: Trust,
    /// What the log behind a URL stores; records are parsed and replayed. Of a directory it is known.
    #[arg(long, value_enum)]
    kind: Option<LogKind>,
    /// Print findings and the result as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn fsck(args: &FsckArgs) -> anyhow::Result<ExitCode> {
    let is_url = args.target.starts_with("http://") || args.target.starts_with("https://");
    let policy = args.trust.policy()?;
    let report = Report::new("fsck", args.json);
    let fsck = Fsck::new(&report);
    let checked = if is_url {
        let policy = policy.ok_or_else(|| {
            Usage::new(&"a URL needs --log-key or --policy: whose checkpoints are believed?")
        })?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        let client = HttpClient::new(Timeouts::default())?;
        let source = Source::http(&args.target, &client);
        let kind = args.kind.unwrap_or(LogKind::Raw);
        fsck.published(source, &policy, kind, runtime.handle().clone())
    } else {
        if policy.is_some() || args.kind.is_some() {
            return Err(
                Usage::new(&"the directory of a log says itself its key, its policy and its kind").into()
            );
        }
        fsck.directory(Path::new(&args.target))
    };
    report.end(&checked)
}

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
        let mut failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match failed {
            Some(error) => Err(error).context("cannot write to standard output"),
            None => Ok(ExitCode::from(code)),
        }
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
