//! `indelible inspect`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::console::{Console, Output};
use super::exit::{Exit, Failure};
use super::inputs::read_input;
use crate::inspect::{Inspected, MAX_INPUT_BYTES, Node, inspect};

/// Show what a file says, without verifying anything
///
/// Knows log proofs, checkpoints and other signed notes, policies, keys, records, statements, evidence,
/// witness requests, tiles and entry bundles, and tells them apart by their content. Anybody can have
/// written what is shown: use `indelible verify` to find out whether it is true.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  indelible inspect agent-1.2.tar.gz.tlog-proof policy.txt")]
pub(super) struct InspectArgs {
    /// Files to show
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &InspectArgs, console: Console) -> Result<Exit, Failure> {
    let mut output = Output::default();
    let mut shown = Vec::new();
    for file in &args.files {
        let bytes = read_input(file, MAX_INPUT_BYTES, "any known format", "name an existing file")?;
        let Inspected { kind, view } = inspect(&bytes).map_err(|error| {
            Failure::usage(
                error.code(),
                format!("{}: {error}", file.display()),
                "name a file of a known format",
            )
        })?;
        output.lines.push(format!("{}: {kind} ({UNVERIFIED})", file.display()));
        show(&view, 1, &mut output.lines);
        shown.push(json!({
            "file": file.display().to_string(), "kind": kind, "verified": false, "content": to_json(&view),
        }));
    }
    // Not a result: its word for success is one that must not stand here.
    let output = output.with("files", shown).with("note", UNVERIFIED);
    console.report(output.with("outcome", "shown").with("exit", Exit::Verified.code()));
    Ok(Exit::Verified)
}

fn show(node: &Node, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match node {
        Node::Fields(fields) => {
            for (name, value) in fields {
                match value {
                    Node::Fields(_) | Node::List(_) => {
                        lines.push(format!("{indent}{name}:"));
                        show(value, depth + 1, lines);
                    }
                    value => lines.push(format!("{indent}{name}: {}", plain(value))),
                }
            }
        }
        Node::List(values) if values.is_empty() => lines.push(format!("{indent}(none)")),
        Node::List(values) => {
            for (position, value) in values.iter().enumerate() {
                match value {
                    Node::Fields(_) | Node::List(_) => {
                        lines.push(format!("{indent}[{position}]"));
                        show(value, depth + 1, lines);
                    }
                    value => lines.push(format!("{indent}{}", plain(value))),
                }
            }
        }
        value => lines.push(format!("{indent}{}", plain(value))),
    }
}

fn plain(node: &Node) -> String {
    match node {
        Node::Text(text) => text.clone(),
        Node::Number(number) => number.to_string(),
        Node::Bool(value) => value.to_string(),
        Node::List(_) | Node::Fields(_) => String::new(),
    }
}

fn to_json(node: &Node) -> Value {
    match node {
        Node::Text(text) => text.as_str().into(),
        Node::Number(number) => (*number).into(),
        Node::Bool(value) => (*value).into(),
        Node::List(values) => values.iter().map(to_json).collect(),
        Node::Fields(fields) => {
            let fields = fields.iter().map(|(name, value)| (camel_case(name), to_json(value)));
            Value::Object(fields.collect::<Map<String, Value>>())
        }
    }
}

/// `tree size` as the name of a JSON field, `treeSize`.
fn camel_case(name: &str) -> String {
    let mut words = name.split(' ');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    joined
}

const UNVERIFIED: &str = "nothing is verified";
