//! `indelible verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;
use serde_json::{Value, json};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{
    OpenState, files_failure, hashing_bar, key_failure, pinned_channel, read_policy, save_evidence,
    state_dir, state_failure, trusted_channel,
};
use super::publication::{describe, report_witnesses};
use crate::durable::{self, DurableError};
use crate::files::{ArtifactDigest, FilesError, hash_artifact, proof_path};
use crate::keys::parse_record_vkey;
use crate::verify::{
    Check, Finding, NOT_CHECKED, Outcome, Remembered, Request, Trust, Verdict, claimed_channel,
    claimed_origin, verify,
};

/// Verify a file or a directory of rules, offline
///
/// Checks that the vendor published exactly this, that it is in the public log, that enough witnesses have
/// seen that log, and that the log agrees with what is remembered of it. Opens no connection: everything is
/// in the proof beside the artifact.
///
/// Whom to trust is said by --channel or --key. A channel proof has to be given once; it is pinned then.
///
/// Exit codes: 0 verified; 10 hold; 20 refused; 30 the log has signed two histories, and the evidence is
/// written to a file; 40 could not decide; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible verify agent-1.2.tar.gz --policy policy.txt \\
      --channel vendor.example_agent.channel.tlog-proof
  indelible verify agent-1.2.tar.gz --policy policy.txt          (channel pinned before)
  indelible verify sigma/ --policy policy.txt --key publish.vkey --explain")]
pub(super) struct VerifyArgs {
    /// File or directory to verify
    artifact: PathBuf,
    /// Its proof [default: ARTIFACT.tlog-proof]
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Which logs and witnesses count
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Proof file of the vendor's channel, or the name of a channel pinned before; without it or --key, any
    /// pinned channel may vouch for the artifact
    #[arg(long, value_name = "PROOFFILE|NAME", conflicts_with = "keys")]
    channel: Option<String>,
    /// Verifier key of the vendor, or a file with it; one of those given has to have signed
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// Directory of what is remembered [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Remember nothing and compare with nothing remembered
    #[arg(long, conflicts_with = "state")]
    no_state: bool,
    /// Show every check with what it looked at, also those that passed, and what was ignored
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(args: &VerifyArgs, console: Console) -> Result<Exit, Failure> {
    let policy = read_policy(&args.policy)?;
    let keys = args.keys.iter().map(|key| parse_record_vkey(key)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| key_failure(&error))?;
    // The long part comes first, so that the state directory is held only for a moment.
    let artifact = hash(&args.artifact, console)?;
    let proof = read_proof(args)?;
    let state = match args.no_state {
        true => None,
        false => Some(OpenState::open(&state_dir(args.state.clone())?)?),
    };
    let trust = match &args.channel {
        Some(channel) => Trust::Channel(Box::new(trusted_channel(channel, &policy, state.as_ref())?)),
        None if keys.is_empty() => pinned(&proof, &policy, state.as_ref())?,
        None => Trust::Keys(keys),
    };
    let remembered = recall(&proof, &policy, state.as_ref());
    let request = Request {
        artifact: &artifact,
        proof: &proof,
        policy: &policy,
        trust: &trust,
        remembered: &remembered,
    };
    let verdict = verify(&request);
    let evidence = match verdict.evidence() {
        Some(evidence) => {
            let dir = state.as_ref().map_or_else(|| PathBuf::from("."), OpenState::evidence_dir);
            Some(save_evidence(&dir, evidence))
        }
        None => None,
    };
    let exit = Exit::from(verdict.outcome());
    let remembered = match (&state, verdict.remember()) {
        (Some(state), Some(checkpoint)) => state.state.remember_checkpoint(checkpoint, &policy),
        _ => Ok(()),
    };
    let mut output = report(&args.artifact, &verdict, &artifact);
    match remembered {
        // What is graver than a fault of this machine is said in spite of it.
        Err(error) if verdict.outcome() > Outcome::Undecided => {
            output.lines.push(format!("  state      not remembered: {}", chain(&error)));
        }
        remembered => remembered.map_err(|error| state_failure(&error))?,
    }
    match evidence {
        Some(Ok(path)) => {
            output.lines.push(format!("  evidence   {}", path.display()));
            output = output.with("evidence", path.display().to_string());
        }
        // The verdict stands even where the file that would convince others cannot be written.
        Some(Err(failure)) => output.lines.push(format!("  evidence   not saved: {}", failure.message)),
        None => {}
    }
    if args.explain {
        explain(&verdict, &mut output.lines);
    }
    console.result(exit, output);
    Ok(exit)
}

fn hash(path: &Path, console: Console) -> Result<ArtifactDigest, Failure> {
    let bar = hashing_bar(console, path);
    let digest =
        hash_artifact(path, &mut |bytes| bar.inc(bytes)).map_err(|error| unhashable(path, &error))?;
    bar.finish_and_clear();
    Ok(digest)
}

/// A directory with something in it that no bundle can have is not the one that was published.
fn unhashable(artifact: &Path, error: &FilesError) -> Failure {
    let in_the_way = match error {
        FilesError::Special { path, .. } => path != artifact,
        FilesError::Name { .. } | FilesError::TooMany { .. } | FilesError::Bundle { .. } => true,
        FilesError::Missing { .. } | FilesError::Read { .. } | FilesError::Nameless { .. } => false,
    };
    if !in_the_way {
        return files_failure(error);
    }
    let next = "remove what does not belong there, or fetch the directory again from the vendor";
    Failure::refused(error.code(), format!("tampered: {}", chain(error)), next)
}

/// The proof beside the artifact. Without one nothing says that the artifact was ever published.
fn read_proof(args: &VerifyArgs) -> Result<LogProof, Failure> {
    let path = match &args.proof {
        Some(path) => path.clone(),
        None => proof_path(&args.artifact).map_err(|error| files_failure(&error))?,
    };
    let bytes = match durable::read(&path, LogProof::MAX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let message = format!("not logged: no proof beside the file, {} is missing", path.display());
            let next = "get the .tlog-proof from where the artifact came from, or name it with --proof";
            return Err(Failure::refused("proof-missing", message, next));
        }
        Err(error @ DurableError::TooLarge { .. }) => {
            let message = format!("not logged: {} is too large for a proof", path.display());
            return Err(Failure::refused(error.code(), message, "get the .tlog-proof again"));
        }
        Err(error) => {
            return Err(Failure::undecided(error.code(), chain(&error), "make the proof readable"));
        }
    };
    LogProof::parse(&bytes).map_err(|error| {
        let message = format!("not logged: {} is not a log proof: {error}", path.display());
        Failure::refused(error.code(), message, "get the .tlog-proof again; if it stays so, do not install")
    })
}

/// Trust in the channel the record names, if that channel was pinned before.
fn pinned(proof: &LogProof, policy: &Policy, state: Option<&OpenState>) -> Result<Trust, Failure> {
    let (Some(state), Some(name)) = (state, claimed_channel(proof)) else {
        return Ok(Trust::Nobody);
    };
    let pinned = pinned_channel(state, &name, policy)?;
    Ok(pinned.map_or(Trust::Nobody, |pinned| Trust::Channel(Box::new(pinned))))
}

fn recall(proof: &LogProof, policy: &Policy, state: Option<&OpenState>) -> Remembered {
    let Some(state) = state else {
        return Remembered::NotKept;
    };
    let Some(origin) = claimed_origin(proof) else {
        return Remembered::Nothing;
    };
    match state.state.checkpoint(&origin, policy) {
        Ok(None) => Remembered::Nothing,
        Ok(Some(checkpoint)) => Remembered::Checkpoint(Box::new(checkpoint)),
        Err(error) => Remembered::Damaged { code: error.code(), message: chain(&error) },
    }
}

fn report(path: &Path, verdict: &Verdict, artifact: &ArtifactDigest) -> Output {
    let exit = Exit::from(verdict.outcome());
    let mut output = Output::line(format!("{}: {}", exit.word(), path.display()))
        .with("artifact", path.display().to_string())
        .with("checks", verdict.checks().iter().map(check_json).collect::<Vec<_>>())
        .with("notChecked", NOT_CHECKED.to_vec());
    output = match artifact {
        ArtifactDigest::File(file) => output.with("sha256", file.sha256.to_hex()),
        ArtifactDigest::Directory(tree) => output.with("bundleRoot", tree.root().to_hex()),
    };
    if let Some(reason) = verdict.decisive() {
        output.lines.push(format!("  why        {} [{}]", reason.message, reason.code));
        output.lines.push(format!("  next       {}", reason.next));
        output = output
            .with("code", reason.code)
            .with("message", reason.message.as_str())
            .with("next", reason.next.as_str());
    }
    if let Some(record) = verdict.record().filter(|_| verdict.logged().is_some()) {
        output = report_record(output, record);
    }
    if let Some(logged) = verdict.logged() {
        let checkpoint = logged.checkpoint();
        let (index, size) = (logged.index(), checkpoint.head().size);
        output.lines.push(format!("  log        {}, entry {index} of {size}", checkpoint.origin()));
        let witnesses = report_witnesses(checkpoint, &mut output.lines);
        output = output
            .with("origin", checkpoint.origin().as_str())
            .with("index", index.get())
            .with("treeSize", size.get())
            .with("witnesses", witnesses);
    }
    if verdict.outcome() == Outcome::Verified {
        output.lines.push(UNCHECKED.to_owned());
        output.lines.push("  next       install it".to_owned());
        output = output.with("next", "install it");
    }
    output
}

/// What a verified artifact's report says besides; `--explain` has it in full.
const UNCHECKED: &str = "  unchecked  expiry, age, newer records, withdrawals, key changes, audience";

fn report_record(mut output: Output, record: &SignedRecord) -> Output {
    let common = record.statement().predicate.common();
    output.lines.push(format!("  record     {}", describe(record)));
    let expires = common.expires.map_or_else(String::new, |expires| format!(", expires {expires}"));
    output.lines.push(format!("  issued     {}{expires} (the vendor's word)", common.issued));
    output
        .with("record", record.record_id().to_string())
        .with("channel", common.channel.as_str())
        .with("seq", common.seq)
        .with("issued", common.issued.to_string())
        .with("expires", common.expires.map(|expires| expires.to_string()))
}

fn explain(verdict: &Verdict, lines: &mut Vec<String>) {
    lines.push(String::new());
    for check in verdict.checks() {
        let (mark, statement) = match &check.finding {
            Finding::Passed => ("pass", check.name.statement().to_owned()),
            Finding::Failed(reason) => ("FAIL", format!("{} [{}]", reason.message, reason.code)),
            Finding::NotRun { needs } => ("  --", format!("not run, needs the check {}", needs.code())),
            Finding::NotApplicable { why } => ("  --", (*why).to_owned()),
        };
        lines.push(format!("{mark}  {:<13}  {statement}", check.name.code()));
        for (name, value) in &check.details {
            lines.push(format!("        {name}: {value}"));
        }
        for ignored in &check.ignored {
            lines.push(format!("        ignored: {ignored}"));
        }
    }
    lines.push(String::new());
    lines.push("not checked:".to_owned());
    lines.extend(NOT_CHECKED.iter().map(|what| format!("  {what}")));
}

fn check_json(check: &Check) -> Value {
    let details: Vec<Value> =
        check.details.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mut fields = json!({
        "name": check.name.code(), "row": check.name.row(), "details": details, "ignored": check.ignored,
    });
    let (result, why) = match &check.finding {
        Finding::Passed => ("passed", None),
        Finding::Failed(reason) => {
            fields["code"] = reason.code.into();
            fields["next"] = reason.next.as_str().into();
            (Exit::from(reason.outcome).word(), Some(reason.message.clone()))
        }
        Finding::NotRun { needs } => ("not run", Some(format!("needs {}", needs.code()))),
        Finding::NotApplicable { why } => ("not applicable", Some((*why).to_owned())),
    };
    fields["result"] = result.into();
    if let Some(why) = why {
        fields["message"] = why.into();
    }
    fields
}
