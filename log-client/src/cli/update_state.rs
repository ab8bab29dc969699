//! `indelible update-state`.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::channel_file::ChannelFile;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::record::{Chain, ChannelName, RecordId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{Clock, OpenState, pinned_channel, read_policy, state_dir, state_failure};
use super::publication::runtime;
use super::verify::{GivenFile, check_for_fork, config_failure, learn_failure, remember_learned};
use crate::channel::{FetchChannelError, KnownChannel, WitnessTimes, fetch_channel};
use crate::client_config::ClientConfig;
use crate::fetch::Source;
use crate::http::{HttpClient, Timeouts};
use crate::verify::TrustedTime;
use crate::verify::rules::ReviewRule;

/// Learn what channels have said since: releases, withdrawals, changes of keys, reviews
///
/// Reads the channel files that follow on what is remembered, verifies them, and remembers what they show, for
/// `indelible verify` and `indelible guard` to judge by. Run it as often as you want to hear of withdrawals. Again,
/// it reads only what is new. What was learned before an interruption stays.
///
/// Without CHANNEL: every channel and reviewer that the client's file names.
///
/// Exit codes: 0 up to date; 20 what came does not verify, ends before what is known, or is another history; 30 the
/// log has signed two histories; 40 not everything could be read; 2 usage. The gravest of all channels counts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible update-state --config client.toml
  indelible update-state --config client.toml --from /mnt/mirror vendor.example/agent
  indelible update-state --config client.toml --from agent.tlog-channel")]
pub(super) struct UpdateStateArgs {
    /// Channels to follow, each named in the client's file or pinned [default: all in the client's file]
    #[arg(value_parser = ChannelName::parse, value_name = "CHANNEL")]
    channels: Vec<ChannelName>,
    /// File with policy, state directory, channels and reviewers; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to read from: a log, a directory with what a log serves, or channel files; can be given several times
    /// [default: the URL in the policy]
    #[arg(long, value_name = "URL|DIR|FILE")]
    from: Vec<String>,
    /// Directory of what is remembered [default: the one in --config]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// One channel to follow, and where it was opened.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) name: ChannelName,
    pub(super) genesis: RecordId,
}

impl Followed {
    /// Every channel and reviewer that the client's file names.
    pub(super) fn all(config: &ClientConfig) -> Result<Vec<Self>, Failure> {
        let configured = Self::configured(config);
        if configured.is_empty() {
            let next = "name channels, or add them to the client's file with the records that opened them";
            return Err(Failure::usage("no-channels", "there is no channel to follow", next));
        }
        Ok(configured)
    }

    fn configured(config: &ClientConfig) -> Vec<Self> {
        let reviewers = config.rules.reviewers.iter().flat_map(ReviewRule::channels);
        let mut configured: Vec<Self> = Vec::new();
        for (name, genesis) in config.channels.iter().chain(reviewers) {
            if !configured.iter().any(|known| known.name == *name) {
                configured.push(Self { name: name.clone(), genesis: *genesis });
            }
        }
        configured
    }
}

pub(super) struct Update {
    pub(super) policy: Policy,
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) files: Vec<GivenFile>,
    pub(super) sources: Vec<Source>,
}

pub(super) fn run(args: &UpdateStateArgs, console: Console, clock: Clock) -> Result<Exit, Failure> {
    let config = ClientConfig::load(&args.config).map_err(|error| config_failure(&error))?;
    let policy = read_policy(&config.policy)?;
    let dir = state_dir(args.state.clone().or_else(|| config.state.clone()))?;
    let (files, sources) = places(&args.from, &policy)?;
    let update = Update { policy, dir, clock, files, sources };
    let followed = update.followed(&args.channels, &config)?;
    let bar = bar(console, followed.len());
    let mut exit = Exit::Verified;
    for channel in &followed {
        bar.set_message(channel.name.to_string());
        let done = update.follow(channel, &bar);
        bar.inc(1);
        let (ended, output) = match done {
            Ok(output) => (Exit::Verified, output),
            Err(failure) => {
                let Failure { exit, code, message, next } = failure;
                let mut output =
                    Output::line(format!("{}: {}: {message} [{code}]", exit.word(), channel.name))
                        .with("channel", channel.name.as_str())
                        .with("code", code)
                        .with("message", message)
                        .with("next", next.as_str());
                output.lines.push(format!("  next       {next}"));
                (exit, output)
            }
        };
        bar.suspend(|| console.result(ended, output));
        exit = exit.graver(ended);
    }
    bar.finish_and_clear();
    Ok(exit)
}

/// Channel files, and places that have some.
fn places(from: &[String], policy: &Policy) -> Result<(Vec<GivenFile>, Vec<Source>), Failure> {
    let http = http_client()?;
    let (mut files, mut sources) = (Vec::new(), Vec::new());
    for text in from {
        if Path::new(text).is_file() {
            files.push(GivenFile::read(Path::new(text))?);
            continue;
        }
        let next = "name a log's URL, a directory, or a .tlog-channel file";
        sources.push(named_source(text, &http, next)?);
    }
    if from.is_empty() {
        sources.push(log_of(policy, &http)?);
    }
    Ok((files, sources))
}

/// The place that is named, or else the policy's log.
pub(super) fn source(from: Option<&str>, policy: &Policy) -> Result<Source, Failure> {
    let http = http_client()?;
    match from {
        Some(text) => named_source(text, &http, "name a log's URL, or a directory with what a log serves"),
        None => log_of(policy, &http),
    }
}

fn http_client() -> Result<HttpClient, Failure> {
    let http = HttpClient::new(Timeouts::default());
    http.map_err(|error| Failure::undecided(error.code(), chain(&error), ""))
}

fn named_source(text: &str, http: &HttpClient, next: &str) -> Result<Source, Failure> {
    Source::parse(text, http).map_err(|error| Failure::usage(error.code(), chain(&error), next))
}

fn log_of(policy: &Policy, http: &HttpClient) -> Result<Source, Failure> {
    let url = policy.logs().iter().find_map(|log| log.url.as_deref());
    let url = url.ok_or_else(|| {
        let next = "pass --from, or use a policy whose log line has a URL";
        Failure::usage("no-log-url", "nothing says where the log is", next)
    })?;
    Ok(Source::http(url, http))
}

impl Update {
    /// The channels asked for, or all of the client's file.
    pub(super) fn followed(
        &self,
        asked: &[ChannelName],
        config: &ClientConfig,
    ) -> Result<Vec<Followed>, Failure> {
        if asked.is_empty() {
            return Followed::all(config);
        }
        let configured = Followed::configured(config);
        let state = OpenState::open(&self.dir)?;
        let mut followed = Vec::new();
        for name in asked {
            let genesis = match configured.iter().find(|known| known.name == *name) {
                Some(known) => known.genesis,
                None => {
                    let pinned = pinned_channel(&state, name, &self.policy)?;
                    let missing = || {
                        let message = format!("nothing says which record opened channel {name}");
                        let next = "add it to the client's file, or verify an artifact with --channel once";
                        Failure::usage("channel-not-pinned", message, next)
                    };
                    pinned.ok_or_else(missing)?.genesis()
                }
            };
            followed.push(Followed { name: name.clone(), genesis });
        }
        Ok(followed)
    }

    /// Reads what there is of one channel, and remembers it file by file.
    pub(super) fn follow(&self, channel: &Followed, bar: &ProgressBar) -> Result<Output, Failure> {
        let state = OpenState::open(&self.dir)?;
        let held = state.state.known_channel(&channel.name).map_err(|error| state_failure(&error))?;
        let floor = state.state.time_floor().map_err(|error| state_failure(&error))?;
        // Reading may take long, and others may use the directory meanwhile.
        drop(state);
        if let Some(held) = held.as_ref().filter(|held| held.state().genesis() != channel.genesis) {
            let message = format!(
                "remembered is a channel that record {} opened, asked for is {}",
                held.state().genesis(),
                channel.genesis
            );
            let next = "find out which record is right; to forget the other, use another state directory";
            return Err(Failure::undecided("known-channel-other-genesis", message, next));
        }
        let time = TrustedTime::new((self.clock)()?, floor);
        let before = held.as_ref().map_or(0, |held| held.records().count());
        let mut known = held;
        for given in self.files.iter().filter(|given| *given.channel() == channel.name) {
            self.check_for_fork(given.note())?;
            let (after, checkpoint) = given.learn(known.as_ref(), channel.genesis, &self.policy, time)?;
            self.remember(&after, &checkpoint, time)?;
            known = Some(after);
        }
        for source in &self.sources {
            known = self.fetch(source, channel, known, time, bar)?;
        }
        let Some(known) = known else {
            let message = format!("none of the files is of channel {}", channel.name);
            let next = "get its channel file, or pass --from with a log or a mirror";
            return Err(Failure::undecided("channel-file-missing", message, next));
        };
        Ok(report(&known, before))
    }

    fn fetch(
        &self,
        source: &Source,
        channel: &Followed,
        known: Option<KnownChannel>,
        time: TrustedTime,
        bar: &ProgressBar,
    ) -> Result<Option<KnownChannel>, Failure> {
        let mut newest = known.clone();
        let mut stopped = None;
        let mut page = |_: &ChannelFile, after: &KnownChannel, checkpoint: &VerifiedCheckpoint| {
            bar.set_message(format!("{} up to record {}", channel.name, after.state().seq()));
            newest = Some(after.clone());
            let kept = self.remember(after, checkpoint, time);
            let goes_on = kept.is_ok();
            stopped = kept.err();
            goes_on
        };
        let reading =
            fetch_channel(source, &channel.name, channel.genesis, known, &self.policy, time, &mut page);
        let read = runtime()?.block_on(reading);
        match (stopped, read) {
            (Some(failure), _) => Err(failure),
            (None, Ok(())) => Ok(newest),
            (None, Err(error)) => {
                if let FetchChannelError::Learn { note, .. } = &error {
                    self.check_for_fork(note)?;
                }
                Err(fetch_failure(&error))
            }
        }
    }

    fn check_for_fork(&self, note: &SignedNote) -> Result<(), Failure> {
        check_for_fork(note, &self.policy, Some(&OpenState::open(&self.dir)?), None)
    }

    fn remember(
        &self,
        known: &KnownChannel,
        checkpoint: &VerifiedCheckpoint,
        time: TrustedTime,
    ) -> Result<(), Failure> {
        let state = OpenState::open(&self.dir)?;
        check_for_fork(checkpoint.note(), &self.policy, Some(&state), None)?;
        let learned = [(known.clone(), checkpoint.clone())];
        remember_learned(&state, &learned, &self.policy).map_err(|error| state_failure(&error))?;
        match WitnessTimes::of(checkpoint, &self.policy, time).quorum {
            Some(vouched) => state.state.raise_time_floor(vouched).map_err(|error| state_failure(&error)),
            None => Ok(()),
        }
    }
}

/// How a channel that is not read to its end ends a run.
pub(super) fn fetch_failure(error: &FetchChannelError) -> Failure {
    match error {
        FetchChannelError::Learn { from, error, .. } => learn_failure(from, error),
        FetchChannelError::NoFile { .. } => {
            let next = "check the log's URL; if it is right, get the channel file from another place";
            Failure::refused(error.code(), chain(error), next)
        }
        _ => {
            let next = "check the URL or directory, and run it again; what is remembered stays as it is";
            Failure::undecided(error.code(), chain(error), next)
        }
    }
}

fn report(known: &KnownChannel, before: usize) -> Output {
    let state = known.state();
    let count = known.records().count();
    let fresh = count.saturating_sub(before);
    let witnessed = known.witnessed().map(|witnessed| witnessed.to_string());
    let as_of = witnessed.as_deref().unwrap_or("a time that no witness vouches for");
    let mut output = Output::line(format!("{}: {fresh} new records, known as of {as_of}", known.name()))
        .with("channel", known.name().as_str())
        .with("newRecords", fresh)
        .with("records", count)
        .with("seq", state.seq())
        .with("recoverySeq", state.chain_head(Chain::Recovery).map(|head| head.seq))
        .with("knownAsOf", witnessed)
        .with("frozen", state.signers().is_none());
    if state.signers().is_none() {
        output
            .lines
            .push("  FROZEN     the recovery keys let nobody sign until they name new keys".to_owned());
    }
    let mut withdrawn: Vec<Value> = Vec::new();
    for record in known.records() {
        let id = record.record_id();
        for withdrawal in known.withdrawals(id, known.witnessed()) {
            let (reason, action) = (withdrawal.body.reason.as_str(), withdrawal.body.action.as_str());
            output.lines.push(format!("  withdrawn  record {id} ({reason}, {action})"));
            withdrawn
                .push(json!({ "record": id.to_string(), "by": withdrawal.id.to_string(), "reason": reason,
                "action": action, "safe": withdrawal.body.action.safe().map(|safe| safe.to_string()) }));
        }
    }
    output.with("withdrawn", withdrawn)
}

/// One step for each channel: on a terminal, for people.
pub(super) fn bar(console: Console, channels: usize) -> ProgressBar {
    if console.is_json() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(channels as u64);
    match ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
