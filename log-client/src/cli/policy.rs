//! `indelible policy`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indelible_proto::policy::{
    LintFinding, LintOptions, MAX_POLICY_BYTES, Operator, Policy, Quorum, QuorumNumbers, Severity,
    default_monitor_quorum, lint, tolerated,
};
use serde_json::{Value, json};

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::{read_input, read_policy};
use crate::verify::describe_quorum;

/// `indelible policy …`
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    Lint(LintArgs),
    Explain(ExplainArgs),
}

/// Find what is wrong or unwise in a policy
///
/// A policy that cannot be read is explained line by line. In one that can be read, looks for
/// witnesses that count twice, one operator who is enough alone, thresholds under which bad witnesses
/// can show two histories (k1 + k2 > n + f must hold: n witnesses in the quorum, f of them bad,
/// clients wait for k1, watchdogs for k2), witnesses that cannot be missed, and keys that a quantum
/// computer would break. A witness with an Ed25519 and an ML-DSA-44 key has a line for each; in a
/// group of their own (any: one is enough, all: it must sign with both) they are one witness:
///   group alice any alice-ed25519 alice-mldsa
///
/// The file itself can say what the options say, in comments that nothing else reads:
///   # lint: f 1
///   # lint: monitor-quorum 4
///   # lint: operator NAME WITNESS...
///
/// Exit codes: 0 no error (there may be warnings); 20 at least one error; 2 usage; 40 could not read
/// the file.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:
  indelible policy lint policy.txt --f 1 --operator alice=w1,w2 --operator bob=w3"
)]
pub(super) struct LintArgs {
    /// Policy file
    file: PathBuf,
    /// How many witnesses may be bad
    #[arg(long = "f", value_name = "N")]
    bad_witnesses: Option<usize>,
    /// How many witnesses a watchdog waits for [default: max(k1, n - k1/2)]
    #[arg(long, value_name = "K")]
    monitor_quorum: Option<usize>,
    /// Who operates which witnesses, by their names in the policy; may be given several times
    #[arg(long = "operator", value_name = "NAME=W1,W2", value_parser = parse_operator)]
    operators: Vec<Operator>,
}

/// Show what a policy asks for: who is enough, how many may fail or collude, who is asked where
///
/// Prints the policy's hash. A client that notes it sees when the policy changes under it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible policy explain policy.txt")]
pub(super) struct ExplainArgs {
    /// Policy file
    file: PathBuf,
}

/// Most sets of witnesses that are listed; beyond that a number says more.
const MAX_SETS: usize = 32;

pub(super) fn run(command: &PolicyCommand, console: Console) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Lint(args) => run_lint(args, console),
        PolicyCommand::Explain(args) => {
            explain(&args.file, &read_policy(&args.file)?, console);
            Ok(Exit::Verified)
        }
    }
}

fn parse_operator(text: &str) -> Result<Operator, &'static str> {
    let (name, witnesses) = text.split_once('=').ok_or("not of the form NAME=W1,W2")?;
    let witnesses: Vec<String> = witnesses.split(',').map(str::to_owned).collect();
    if name.is_empty() || witnesses.iter().any(String::is_empty) {
        return Err("a name is empty");
    }
    Ok(Operator { name: name.to_owned(), witnesses })
}

fn run_lint(args: &LintArgs, console: Console) -> Result<Exit, Failure> {
    let bytes =
        read_input(&args.file, MAX_POLICY_BYTES, "a policy", "get the policy from the log's operator")?;
    let options = LintOptions {
        bad_witnesses: args.bad_witnesses,
        monitor_quorum: args.monitor_quorum,
        operators: args.operators.clone(),
    };
    let found = lint(&bytes, &options);
    let count = |severity| found.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let exit = if found.has_errors() { Exit::Refused } else { Exit::Verified };
    let mut output = Output::default()
        .with("file", args.file.display().to_string())
        .with("findings", found.findings.iter().map(finding_json).collect::<Vec<_>>())
        .with("errors", errors)
        .with("warnings", warnings)
        .with("notes", notes);
    for LintFinding { severity, code, line, message, why, next } in &found.findings {
        let (file, severity) = (args.file.display(), severity.word());
        output.lines.push(format!("{file}:{line}: {severity}: {message} [{code}]"));
        output.lines.push(format!("  why   {why}"));
        output.lines.push(format!("  next  {next}"));
    }
    output.lines.push(format!("{errors} errors, {warnings} warnings, {notes} notes"));
    if let Some(policy) = &found.policy {
        output = output.with("policy", policy.fingerprint().to_hex());
    }
    // Not a result: the word for success there is one that must not stand here.
    let outcome = if found.has_errors() { "errors" } else { "no errors" };
    console.report(output.with("outcome", outcome).with("exit", exit.code()));
    Ok(exit)
}

fn finding_json(finding: &LintFinding) -> Value {
    let LintFinding { severity, code, line, message, why, next } = finding;
    json!({
        "severity": severity.word(), "code": code, "line": line, "message": message, "why": why, "next": next,
    })
}

fn explain(path: &Path, policy: &Policy, console: Console) {
    let quorum = policy.quorum();
    let numbers = policy.quorum_by_witness().numbers();
    let monitor = default_monitor_quorum(&numbers);
    let mut output = Output::line(format!("{}: policy {}", path.display(), policy.fingerprint()))
        .with("file", path.display().to_string())
        .with("policy", policy.fingerprint().to_hex())
        .with("quorum", describe_quorum(policy, quorum));
    output = logs_and_witnesses(policy, output);
    output.lines.push(format!("quorum: {}", describe_quorum(policy, quorum)));
    if *quorum == Quorum::None {
        output.lines.push("  the log alone is believed; it can show each reader another history".to_owned());
    } else {
        output = tell_numbers(output, &numbers, monitor);
        output = tell_sets(output, policy);
    }
    console.report(output.with("outcome", "explained").with("exit", Exit::Verified.code()));
}

fn logs_and_witnesses(policy: &Policy, mut output: Output) -> Output {
    let at = |url: &Option<String>| url.as_ref().map_or("no address".to_owned(), Clone::clone);
    output.lines.push("any of these logs is believed:".to_owned());
    output.lines.extend(policy.logs().iter().map(|log| format!("  {}, {}", log.key.name(), at(&log.url))));
    let places = policy.quorum().places();
    output.lines.push("these witnesses are known:".to_owned());
    let mut witnesses = Vec::new();
    for (place, witness) in policy.witnesses().iter().enumerate() {
        let counts = places.binary_search(&place).is_ok();
        let beside = if counts { "" } else { ", not in the quorum" };
        output.lines.push(format!(
            "  {} ({}, {}), {}{beside}",
            witness.name,
            witness.key.name(),
            witness.key.algorithm(),
            at(&witness.url)
        ));
        witnesses.push(json!({
            "name": witness.name, "key": witness.key.encode(), "algorithm": witness.key.algorithm().to_string(),
            "url": witness.url, "inQuorum": counts,
        }));
    }
    let logs = policy.logs().iter().map(|log| json!({ "key": log.key.encode(), "url": log.url }));
    output.with("logs", logs.collect::<Vec<_>>()).with("witnesses", witnesses)
}

fn tell_numbers(mut output: Output, numbers: &QuorumNumbers, monitor: usize) -> Output {
    let QuorumNumbers { witnesses, fewest, may_fail, overlap, .. } = *numbers;
    let holds = tolerated(numbers, monitor);
    output.lines.extend([
        format!("  witnesses in it (n)                       {witnesses}"),
        format!("  fewest that are enough (k1)               {fewest}"),
        format!("  may fail, whichever they are              {may_fail}"),
        format!("  must collude to vouch for a hidden log    {fewest}"),
        format!("  any two sufficient sets share             {overlap}"),
        format!("  a watchdog should wait for (k2)           {monitor}"),
        format!(
            "  may be bad and the watchdog still sees it {}",
            holds.map_or_else(|| "none, not even if all are honest".to_owned(), |f| f.to_string())
        ),
    ]);
    output
        .with("n", witnesses)
        .with("fewest", fewest)
        .with("mayFail", may_fail)
        .with("overlap", overlap)
        .with("monitorQuorum", monitor)
        .with("maxBad", holds)
}

fn tell_sets(mut output: Output, policy: &Policy) -> Output {
    let name = |place: &usize| policy.witnesses().get(*place).map_or("", |witness| witness.name.as_str());
    let sets: Vec<Vec<&str>> =
        policy.quorum().minimal_sets(MAX_SETS).iter().map(|set| set.iter().map(name).collect()).collect();
    let count = policy.quorum().minimal_set_count();
    let is_cut = count > sets.len() as u128;
    let total = if count == u128::MAX { format!("at least {count}") } else { count.to_string() };
    output.lines.push(match is_cut {
        true => format!("enough is any of these sets; {} of {total} are listed:", sets.len()),
        false => "enough is any of these sets:".to_owned(),
    });
    output.lines.extend(sets.iter().map(|set| format!("  {}", set.join(" "))));
    output.with("sets", sets).with("setCount", total).with("setsCut", is_cut)
}
