//! `indelible watch`.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use indelible_proto::policy::Policy;

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{read_policy, state_dir, state_failure};
use super::watch_report::describe;
use crate::fetch::Source;
use crate::http::{HttpClient, Timeouts};
use crate::watch::{Class, Finding, Follower, Listener, LogKind, Places, Report, WatchDir};

/// Watch a log: check every new entry, and that everyone is shown the same history
///
/// Looks at the log's checkpoint, at the copies its witnesses keep (where the policy has their URLs) and at
/// every --source, keeps each one it sees, and checks that all of them can be true together. Reads every
/// entry of the log and checks that they hash to what the log signed and that each record was allowed to
/// follow the ones before it.
///
/// If the log has signed two histories, a file that proves it to anyone is written, and the watch ends with
/// 30, each time it is started, until --clear.
///
/// Exit codes: 0 all well; 20 someone served what must not be served; 30 the log has signed two histories;
/// 40 could not decide; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible watch --policy policy.txt --state watch/
  indelible watch --policy policy.txt --state watch/ --once \\
      --source https://mirror.example/log --source received-checkpoint.txt")]
pub(super) struct WatchArgs {
    /// Which logs to watch, where they and their witnesses are
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Directory of what was checked [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the log is, if not at the URL in the policy
    #[arg(long, value_name = "URL|DIR")]
    log: Option<String>,
    /// Another place to look at: a mirror, or a file with a checkpoint that someone received; repeatable
    #[arg(long = "source", value_name = "URL|DIR|FILE")]
    sources: Vec<String>,
    /// Where evidence is written [default: evidence/ in the state directory]
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Look at every place once and end
    #[arg(long)]
    once: bool,
    /// The log takes any bytes: do not read its entries as records
    #[arg(long)]
    raw: bool,
    /// Forget that evidence was found, after a person has dealt with it; the files stay
    #[arg(long)]
    clear: bool,
}

pub(super) fn run(args: &WatchArgs, console: Console) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::undecided("runtime", error, "run the command again"))?;
    runtime.block_on(watch(args, console))
}

async fn watch(args: &WatchArgs, console: Console) -> Result<Exit, Failure> {
    let policy = read_policy(&args.policy)?;
    let mut followers = open(args, &policy)?;
    if args.clear {
        for follower in &mut followers {
            follower.clear().map_err(|error| state_failure(&error))?;
        }
    }
    let mut printer = Printer { console, gravest: None };
    // One future for the whole run: a signal that comes while none listens would be lost.
    let mut stop = pin!(stopped());
    loop {
        printer.gravest = None;
        let ended = tokio::select! {
            ended = round(&mut followers, &mut printer) => ended,
            () = &mut stop => return Ok(exit(printer.gravest.max(Some(Class::Undecided)))),
        };
        let gravest = printer.gravest;
        let unwritten = match ended {
            // What was found was told, and is graver than that it could not all be written down.
            Err(failure) if gravest > Some(Class::Undecided) => Some(failure),
            ended => ended.map(|()| None)?,
        };
        if let Some(failure) = &unwritten {
            console.failure(failure);
        }
        if args.once || unwritten.is_some() || gravest == Some(Class::Evidence) {
            console.result(exit(gravest), Output::line(summary(gravest)));
            return Ok(exit(gravest));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.interval)) => {}
            () = &mut stop => return Ok(exit(gravest)),
        }
    }
}

/// One look at every place of every log. Fails if what was found could not be written down; the other logs
/// are looked at all the same.
async fn round(followers: &mut [Follower], printer: &mut Printer) -> Result<(), Failure> {
    let mut failed = Ok(());
    for follower in followers {
        let trouble = match follower.round(printer).await {
            Ok(round) => round.trouble,
            Err(error) => Some(error),
        };
        if let Some(error) = trouble {
            failed = failed.and(Err(state_failure(&error)));
        }
    }
    failed
}

fn open(args: &WatchArgs, policy: &Policy) -> Result<Vec<Follower>, Failure> {
    let client = HttpClient::new(Timeouts::default())
        .map_err(|error| Failure::undecided(error.code(), chain(&error), "run the command again"))?;
    let source = |text: &String| {
        let next = "pass a URL, or a directory or file that exists";
        Source::parse(text, &client).map_err(|error| Failure::usage(error.code(), error, next))
    };
    let log = args.log.as_ref().map(source).transpose()?;
    let sources = args.sources.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    let places = Places::of_policy(policy, log.as_ref(), &sources, &client).map_err(|error| {
        let next = "pass --log URL, or a policy whose log line has a URL";
        Failure::usage(error.code(), error, next)
    })?;
    let state = state_dir(args.state.clone())?;
    let evidence = args.evidence.clone().unwrap_or_else(|| state.join("evidence"));
    let kind = if args.raw { LogKind::Raw } else { LogKind::Records };
    let followers = WatchDir::open(&state, &evidence).and_then(|dir| {
        places.into_iter().map(|places| Follower::open(&dir, places, policy, kind)).collect()
    });
    followers.map_err(|error| state_failure(&error))
}

/// Returns when the process is asked to stop.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler the signal's own effect ends the process.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn exit(gravest: Option<Class>) -> Exit {
    match gravest {
        None => Exit::Verified,
        Some(Class::Undecided) => Exit::Undecided,
        Some(Class::Accusation) => Exit::Refused,
        Some(Class::Evidence) => Exit::Evidence,
    }
}

fn summary(gravest: Option<Class>) -> &'static str {
    match gravest {
        None => "all well: one history, shown alike everywhere looked, of entries that were allowed in",
        Some(Class::Undecided) => "could not decide: see UNKNOWN above; nothing was found against the log",
        Some(Class::Accusation) => {
            "not well: see BAD above; what was served is wrong, but others cannot check it"
        }
        Some(Class::Evidence) => {
            "the log has signed two histories; give the evidence to others who rely on it, then run with --clear"
        }
    }
}

/// Prints what is found, and remembers how grave it is.
struct Printer {
    console: Console,
    gravest: Option<Class>,
}

impl Listener for Printer {
    fn hear(&mut self, report: &Report, evidence: Option<&Path>) {
        if let Finding::Bad(alert) = &report.finding {
            self.gravest = self.gravest.max(Some(alert.class()));
        }
        self.console.report(describe(report, evidence));
    }
}

/// Threads: hashing goes on while the next entries are fetched.
const WORKERS: usize = 2;
