//! What a verdict looks like, to people and to programs.

use std::path::Path;

use indelible_proto::record::SignedRecord;
use serde_json::{Value, json};

use super::super::console::Output;
use super::super::exit::Exit;
use super::super::publication::{describe, report_witnesses};
use crate::files::ArtifactDigest;
use crate::verify::policy_change::PolicyChange;
use crate::verify::{Check, Finding, Outcome, Verdict};

pub(super) fn report(path: &Path, verdict: &Verdict, artifact: &ArtifactDigest) -> Output {
    let exit = Exit::from(verdict.outcome());
    let mut output = Output::line(format!("{}: {}", exit.word(), path.display()))
        .with("artifact", path.display().to_string())
        .with("checks", verdict.checks().iter().map(check_json).collect::<Vec<_>>())
        .with("notChecked", verdict.hidden().to_vec());
    output = match artifact {
        ArtifactDigest::File(file) => output.with("sha256", file.sha256.to_hex()),
        ArtifactDigest::Directory(tree) => output.with("bundleRoot", tree.root().to_hex()),
        ArtifactDigest::Archive { file, tree } => {
            output.with("sha256", file.sha256.to_hex()).with("bundleRoot", tree.root().to_hex())
        }
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
        output.lines.extend(verdict.hidden().iter().map(|what| format!("  unchecked  {what}")));
        output.lines.push("  next       install it".to_owned());
        output = output.with("next", "install it");
    }
    output
}

/// Says that the policy is another one. It is what counts, so this changes no verdict.
pub(super) fn report_policy_change(mut output: Output, change: &PolicyChange) -> Output {
    let PolicyChange { before, now, changes } = change;
    let told = changes.join("; ");
    output.lines.push(format!(
        "  policy     CHANGED since something was verified last, and counts as it is now: {told} (SHA-256 {before} before, \
         {now} now)"
    ));
    let fields = json!({ "before": before.to_hex(), "now": now.to_hex(), "changes": changes });
    output.with("policyChanged", fields)
}

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

pub(super) fn explain(verdict: &Verdict, lines: &mut Vec<String>) {
    lines.push(String::new());
    for check in verdict.checks() {
        let (mark, statement) = match &check.finding {
            Finding::Passed => ("pass", check.name.statement().to_owned()),
            Finding::Failed(reason) => ("FAIL", format!("{} [{}]", reason.message, reason.code)),
            Finding::Unknown { why } => ("  ??", format!("not known: {why}")),
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
    lines.extend(verdict.hidden().iter().map(|what| format!("  {what}")));
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
        Finding::Unknown { why } => ("not known", Some((*why).to_owned())),
        Finding::NotRun { needs } => ("not run", Some(format!("needs {}", needs.code()))),
        Finding::NotApplicable { why } => ("not applicable", Some((*why).to_owned())),
    };
    fields["result"] = result.into();
    if let Some(why) = why {
        fields["message"] = why.into();
    }
    fields
}
