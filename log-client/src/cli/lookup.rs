//! `indelible lookup`.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::log_api::LookupKey;
use indelible_proto::policy::Policy;
use indelible_proto::record::{ChannelName, RecordId};
use serde_json::{Value, json};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{files_failure, hashing_bar, read_input, read_policy};
use super::publication::{describe, report_witnesses};
use super::verify::open;
use crate::bundle::Format;
use crate::files::{ArtifactDigest, hash_artifact};
use crate::http::{HttpClient, Timeouts};
use crate::log_submit::{HttpLog, SubmitLog as _};
use crate::lookup::{Claims, Finder, Found, LookupError, Proved};

/// Find what a log has about a file, a folder, a hash, a record or a channel
///
/// A file or folder is hashed, of an archive also what is in it; only hashes are sent. 64 hexadecimal digits are looked up as a digest, a
/// record id and a leaf hash. A channel's name finds the newest record of that channel.
///
/// What the log answers is not believed: each entry it names is fetched and proved to be in a tree that the
/// policy accepts. Whose keys signed a record, and whether newer records exist, is not checked here: that is
/// `indelible verify`. And a log that finds nothing proves nothing by that; `indelible watch` reads all of it.
///
/// Exit codes: 0 found and proved; 10 named by the log, but not published yet; 20 the log's answer is wrong;
/// 40 not found, no policy to check with, or no answer; 2 usage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  indelible lookup agent-1.2.tar.gz --policy policy.txt
  indelible lookup vendor.example/agent --policy policy.txt
  indelible lookup 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 \\
      --log https://log.example --policy policy.txt --json")]
pub(super) struct LookupArgs {
    /// File or folder, 64 hexadecimal digits, or the name of a channel; a file comes before a name
    #[arg(value_name = "FILE|HASH|CHANNEL")]
    what: String,
    /// Which logs and witnesses count; without it nothing is proved
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Of an archive, look this folder up as the bundle; the archive must then have nothing beside it
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// Base URL of the log [default: the URL in the policy]
    #[arg(long, value_name = "URL", required_unless_present = "policy")]
    log: Option<String>,
}

/// What is looked up.
enum Sought {
    Keys(Vec<LookupKey>),
    Channel(ChannelName),
}

pub(super) fn run(args: &LookupArgs, console: Console) -> Result<Exit, Failure> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let in_policy = || policy.iter().flat_map(Policy::logs).find_map(|log| log.url.clone());
    let Some(url) = args.log.clone().or_else(in_policy) else {
        let next = "pass --log URL, or use a policy whose log line has one";
        return Err(Failure::usage("no-log-url", "nothing says where the log is", next));
    };
    let sought = sought(&args.what, args.folder.as_deref(), console)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::undecided("runtime", error, "run the command again"))?;
    let http = HttpClient::new(Timeouts::default());
    let http = http.map_err(|error| Failure::undecided(error.code(), chain(&error), ""))?;
    let (claims, proved) = runtime.block_on(async {
        let keys = match sought {
            Sought::Keys(keys) => keys,
            Sought::Channel(name) => newest(&HttpLog::new(&url, http.clone()), &name).await?,
        };
        let finder = Finder::new(&url, http);
        let claims = finder.ask(&keys).await.map_err(|error| failure(&error))?;
        let proved = match &policy {
            Some(policy) => Some(finder.prove(&claims, policy).await.map_err(|error| failure(&error))?),
            None => None,
        };
        Ok::<_, Failure>((claims, proved))
    })?;
    let (exit, output) = report(&args.what, &claims, proved.as_ref());
    console.result(exit, output);
    Ok(exit)
}

/// What the argument names.
fn sought(what: &str, folder: Option<&str>, console: Console) -> Result<Sought, Failure> {
    let path = Path::new(what);
    if folder.is_some() && (path.is_dir() || Format::of(path).is_none()) {
        let message = format!("{what} is no archive, of which there could be a folder");
        return Err(Failure::usage("folder-of-no-archive", message, "leave out --folder"));
    }
    if path.exists() {
        let bar = hashing_bar(console, path);
        let digest = hash_artifact(path, &mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        let digest = digest.map_err(|error| files_failure(&error))?;
        return Ok(Sought::Keys(match digest {
            ArtifactDigest::File(file) => {
                let tree = inside(path, folder, console)?;
                let content = tree.map(|tree| LookupKey::Artifact(tree.dir_hash1()));
                [Some(LookupKey::Artifact(file.sha256)), content, as_entry(path, file.bytes)?]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            ArtifactDigest::Directory(tree) => vec![LookupKey::Artifact(tree.dir_hash1())],
            ArtifactDigest::Archive { file, tree } => {
                vec![LookupKey::Artifact(file.sha256), LookupKey::Artifact(tree.dir_hash1())]
            }
        }));
    }
    if let Some(hash) = Hash::parse_hex(what) {
        let record = LookupKey::Record(RecordId::from_hash(hash));
        return Ok(Sought::Keys(vec![LookupKey::Artifact(hash), record, LookupKey::Leaf(hash)]));
    }
    ChannelName::parse(what).map(Sought::Channel).map_err(|_| {
        let message =
            format!("{what}: no such file, no 64 lower-case hexadecimal digits, nor the name of a channel");
        Failure::usage("nothing-to-look-up", message, "name one of these")
    })
}

/// What is in the file, if that is an archive of what can be a bundle.
fn inside(path: &Path, folder: Option<&str>, console: Console) -> Result<Option<BundleTree>, Failure> {
    match folder {
        Some(_) => open(path, folder, console).map(Some),
        // A release is an archive, too, and none of rules: its own hash is asked for.
        None if Format::of(path).is_some() => Ok(open(path, None, console).ok()),
        None => Ok(None),
    }
}

/// The file as an entry of its own, as logs of any bytes have them; `None` if it is too long for one.
fn as_entry(path: &Path, bytes: u64) -> Result<Option<LookupKey>, Failure> {
    if bytes > Entry::MAX_LEN as u64 {
        return Ok(None);
    }
    let content = read_input(path, Entry::MAX_LEN, "an entry", "leave the file alone while it is looked up")?;
    Ok(Some(LookupKey::Leaf(leaf_hash(&content))))
}

/// The newest record of a channel, as the log says.
async fn newest(log: &HttpLog, name: &ChannelName) -> Result<Vec<LookupKey>, Failure> {
    match log.channel_head(name).await {
        Ok(Some(head)) => Ok(vec![LookupKey::Record(head.head)]),
        Ok(None) => Err(Failure::undecided("not-found", format!("the log has no channel {name}"), NOTHING)),
        Err(error) => Err(Failure::undecided(error.code(), chain(&error), ASK_AGAIN)),
    }
}

fn failure(error: &LookupError) -> Failure {
    if error.is_refusal() {
        let next =
            "check that the policy is the log's; if it is, keep what was served and tell its witnesses";
        return Failure::refused(error.code(), chain(error), next);
    }
    Failure::undecided(error.code(), chain(error), ASK_AGAIN)
}

fn report(what: &str, claims: &Claims, proved: Option<&Proved>) -> (Exit, Output) {
    let (exit, code, title, next) = match proved {
        _ if claims.entries.is_empty() => (Exit::Undecided, "not-found", "not found", NOTHING),
        None => (Exit::Undecided, "no-policy", "named by the log, nothing is proved", "pass --policy FILE"),
        Some(proved) if proved.found.is_empty() => {
            (Exit::Hold, "not-published", "named by the log, but not published yet", "ask again later")
        }
        Some(_) => (Exit::Verified, "found", "found", "verify an artifact with: indelible verify"),
    };
    let mut output = Output::line(format!("{title}: {what}"))
        .with("what", what)
        .with("code", code)
        .with("lookedUpTo", claims.size.get())
        .with("more", claims.more)
        .with("notChecked", NOT_CHECKED.to_vec())
        .with("next", next);
    let mut entries = Vec::new();
    match proved {
        Some(proved) => {
            for found in &proved.found {
                entries.push(report_found(found, &mut output.lines));
            }
            for index in &proved.waiting {
                output.lines.push(format!("  entry {index}, not published yet"));
                entries.push(json!({ "index": index.get(), "proved": false }));
            }
            let (origin, size) = (proved.checkpoint.origin(), proved.checkpoint.head().size);
            output.lines.push(format!("  log        {origin}, {size} entries"));
            let witnesses = report_witnesses(&proved.checkpoint, &mut output.lines);
            let fields = output.with("origin", origin.as_str()).with("treeSize", size.get());
            output = fields.with("witnesses", witnesses);
        }
        None => {
            for (index, key) in &claims.entries {
                output.lines.push(format!("  entry {index}, it says, has {} {}", key.word(), key.hash()));
                entries.push(json!({ "index": index.get(), "proved": false }));
            }
        }
    }
    if claims.more {
        output.lines.push("  and more, which were not asked for".to_owned());
    }
    if claims.entries.is_empty() {
        output.lines.push(format!("  looked     up to entry {}, it says", claims.size));
    } else {
        output.lines.push(format!("  unchecked  {}", NOT_CHECKED.join(", ")));
    }
    output.lines.push(format!("  next       {next}"));
    (exit, output.with("entries", entries))
}

fn report_found(found: &Found, lines: &mut Vec<String>) -> Value {
    let Found { index, key, leaf, record } = found;
    let mut entry = json!({
        "index": index.get(), "proved": true, "by": key.word(), "leafHash": leaf.to_hex(),
    });
    match record {
        Some(record) => {
            let predicate = &record.statement().predicate;
            let common = predicate.common();
            lines.push(format!("  entry {index}: {}, by its {}", describe(record), key.word()));
            lines.push(format!("    record   {}", record.record_id()));
            entry["record"] = record.record_id().to_string().into();
            entry["type"] = predicate.type_name().into();
            entry["channel"] = common.channel.as_str().into();
            entry["seq"] = common.seq.into();
        }
        None => lines.push(format!("  entry {index}: leaf hash {leaf}")),
    }
    entry
}

/// What even a found and proved entry leaves open.
const NOT_CHECKED: [&str; 3] = ["whose keys signed it", "newer records", "what is remembered of the log"];
/// What to make of it when a log finds nothing.
const NOTHING: &str =
    "this proves nothing: a log can keep quiet; the publisher's .tlog-proof, or indelible watch, can tell";
const ASK_AGAIN: &str = "check the log's URL and your network, then run the command again";
