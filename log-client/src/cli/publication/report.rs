//! What is told of a publication.

use std::path::PathBuf;

use indelible_proto::policy::VerifiedCheckpoint;
use indelible_proto::record::body::{Delta, RulesBody};
use indelible_proto::record::{Audience, Predicate, SignedRecord, Statement, Subject};
use serde_json::{Map, Value, json};

use super::super::console::Output;
use super::Publication;
use crate::publish::Published;

impl Publication {
    /// What was published, and where the proofs are.
    pub(in crate::cli) fn report(&self, published: &Published, proofs: &[PathBuf]) -> Output {
        let statement = published.record.statement();
        let common = statement.predicate.common();
        let logged = &published.logged;
        let checkpoint = logged.checkpoint();
        let (id, index, size) = (published.record.record_id(), logged.index(), checkpoint.head().size);
        let mut output = Output::line(format!("published: {}", describe(&published.record)))
            .with("channel", common.channel.as_str())
            .with("seq", common.seq)
            .with("record", id.to_string())
            .with("type", statement.predicate.type_name())
            .with("origin", checkpoint.origin().as_str())
            .with("index", index.get())
            .with("treeSize", size.get())
            .with("resumed", published.resumed)
            .with("proofs", proofs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
        output.lines.push(format!("  record     {id}"));
        if let Audience::Cohort { cohort, reason } = common.audience {
            let reason = reason.as_str();
            output.lines.push(format!("  audience   only cohort {cohort} ({reason})"));
            output = output.with("audience", json!({ "cohort": cohort.to_hex(), "reason": reason }));
        }
        let platforms = report_platforms(&statement.subject, &mut output.lines);
        if !platforms.is_empty() {
            output = output.with("platforms", platforms);
        }
        output.lines.push(format!("  log        {}, entry {index} of {size}", checkpoint.origin()));
        if let Predicate::Rules(_, RulesBody { delta: Some(delta), .. }) = &statement.predicate {
            let Delta { from, added, changed, removed } = delta;
            output.lines.push(format!(
                "  changes    {added} added, {changed} changed, {removed} removed since record {from}"
            ));
            output = output.with(
                "delta",
                json!({
                    "from": from.to_string(), "added": added, "changed": changed, "removed": removed,
                    "fromNewest": !is_from_older_record(statement),
                }),
            );
        }
        let witnesses = report_witnesses(checkpoint, &mut output.lines);
        for path in proofs {
            output.lines.push(format!("  proof      {}", path.display()));
        }
        self.telling(output.with("witnesses", witnesses))
    }
}

/// Whether rules count what changed from a record that is not the newest of the channel: there may be newer rules, which
/// another machine has published.
pub(super) fn is_from_older_record(statement: &Statement) -> bool {
    match &statement.predicate {
        Predicate::Rules(common, RulesBody { delta: Some(delta), .. }) => common.prev != Some(delta.from),
        _ => false,
    }
}

/// Adds a line for each artifact that is for one platform, and gives the same for programs, by the artifacts' names.
fn report_platforms(artifacts: &[Subject], lines: &mut Vec<String>) -> Map<String, Value> {
    let named = artifacts.iter().filter_map(|artifact| Some((&artifact.name, artifact.platform.as_ref()?)));
    named
        .map(|(name, platform)| {
            lines.push(format!("  platform   {platform}: {name}"));
            (name.clone(), platform.as_str().into())
        })
        .collect()
}

/// Adds a line for each witness that cosigned, and gives the same for programs.
pub(in crate::cli) fn report_witnesses(
    checkpoint: &VerifiedCheckpoint,
    lines: &mut Vec<String>,
) -> Vec<Value> {
    let mut label = "witnesses";
    let mut witnesses = Vec::new();
    for cosigner in checkpoint.cosigners() {
        let (name, key, time) = (&cosigner.witness, cosigner.key_name.as_str(), cosigner.time);
        // The name is the policy's own; the key's is worth showing where it says more.
        let key_shown = if name == key { String::new() } else { format!(" ({key})") };
        lines.push(format!("  {label:<9}  {name}{key_shown} at {time}"));
        witnesses.push(json!({ "name": name, "key": key, "time": time.to_string() }));
        label = "";
    }
    witnesses
}

/// A record in one line.
pub(in crate::cli) fn describe(record: &SignedRecord) -> String {
    let predicate = &record.statement().predicate;
    let common = predicate.common();
    let what = match predicate {
        Predicate::Channel(_, body) => format!("channel of {}", body.owner.name),
        Predicate::Release(_, body) => format!("release {}", body.version),
        Predicate::Rules(_, body) => format!("{} rules {}", body.format, body.version),
        Predicate::Withdraw(_, body) => format!("withdrawal of {} records", body.records.len()),
        Predicate::Review(_, body) => {
            format!("review of {} records: {}", body.records.len(), body.result.as_str())
        }
        Predicate::Head(_, body) => format!("heartbeat that renews record {}", body.record),
    };
    format!("{what}, record {} of {}", common.seq, common.channel)
}
