//! `indelible evidence`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use indelible_proto::evidence::{EvidenceError, Fork, ForkEvidence, Side};
use indelible_proto::note::VerifierKey;
use indelible_proto::tree::TreeHead;
use serde_json::{Value, json};

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::read_policy;
use crate::durable::{self, DurableError};

/// Check what someone says proves that a log has signed two histories
#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    #[command(subcommand)]
    command: EvidenceCommand,
}

#[derive(Debug, Subcommand)]
enum EvidenceCommand {
    Verify(VerifyArgs),
}

/// Check that a file proves that a log has signed two histories, offline
///
/// The file has two checkpoints that the log's key signed and that cannot both be true. It needs no one's
/// word: not who sent it, nor any witness.
///
/// Exit codes: 0 it proves it; 20 it does not; 40 the file could not be read; 2 usage.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("whose").required(true)))]
struct VerifyArgs {
    /// Evidence file
    file: PathBuf,
    /// Verifier key of the log
    #[arg(long, value_name = "VKEY", group = "whose")]
    log_key: Option<String>,
    /// Policy with the log's verifier key
    #[arg(long, value_name = "FILE", group = "whose")]
    policy: Option<PathBuf>,
}

pub(super) fn run(args: &EvidenceArgs, console: Console) -> Result<Exit, Failure> {
    let EvidenceCommand::Verify(args) = &args.command;
    let fork = proven_fork(args)?;
    console.result(Exit::Verified, explain(&fork));
    Ok(Exit::Verified)
}

fn proven_fork(args: &VerifyArgs) -> Result<Fork, Failure> {
    let keys = log_keys(args)?;
    read(args)?.and_then(|evidence| verify(&evidence, &keys)).map_err(|error| {
        let message = format!("{} is no evidence against this log: {error}", args.file.display());
        let next = "nothing is proved by it; ask who sent it, or check that the log's key is the right one";
        Failure::refused(error.code(), message, next)
    })
}

/// The evidence in the file, or why it is none.
fn read(args: &VerifyArgs) -> Result<Result<ForkEvidence, EvidenceError>, Failure> {
    match durable::read(&args.file, ForkEvidence::MAX_BYTES) {
        Ok(Some(bytes)) => Ok(ForkEvidence::parse(&bytes)),
        Ok(None) => {
            let message = format!("{}: no such file", args.file.display());
            Err(Failure::undecided("file-missing", message, "check the name of the evidence file"))
        }
        Err(error @ DurableError::TooLarge { .. }) => {
            let next = "evidence is never that large; ask who sent it for the right file";
            Err(Failure::refused(error.code(), chain(&error), next))
        }
        Err(error) => Err(Failure::undecided(error.code(), chain(&error), "make the file readable")),
    }
}

fn log_keys(args: &VerifyArgs) -> Result<Vec<VerifierKey>, Failure> {
    let mut keys = Vec::new();
    if let Some(vkey) = &args.log_key {
        let next = "pass the log's verifier key as its operator publishes it, in quotes";
        let key = VerifierKey::parse(vkey).map_err(|error| Failure::usage(error.code(), error, next))?;
        if key.require_of_log().is_err() {
            return Err(Failure::usage("not-a-log-key", format!("{vkey} is not the key of a log"), next));
        }
        keys.push(key);
    }
    if let Some(path) = &args.policy {
        keys.extend(read_policy(path)?.logs().iter().map(|log| log.key.clone()));
    }
    Ok(keys)
}

/// The fork, if one of the keys signed both notes; otherwise the most telling reason why there is none.
fn verify(evidence: &ForkEvidence, keys: &[VerifierKey]) -> Result<Fork, EvidenceError> {
    let not_signed = EvidenceError::NotSigned { side: Side::Smaller };
    let verdicts = keys.iter().map(|key| evidence.verify(key));
    let telling = |verdict: &Result<_, _>| !matches!(verdict, Err(EvidenceError::NotSigned { .. }));
    verdicts.into_iter().find(telling).unwrap_or(Err(not_signed))
}

fn explain(fork: &Fork) -> Output {
    let (smaller, larger) = (fork.smaller(), fork.larger());
    let mut lines = vec![
        format!("proved: the log {} has signed two histories; its key signed both of these", fork.origin()),
        format!("  {} entries, root {}", smaller.size, smaller.root.to_base64()),
        format!("  {} entries, root {}", larger.size, larger.root.to_base64()),
    ];
    if smaller.size == larger.size {
        lines.push(
            "A tree of one size has one root: the log showed different entries to different people.".into(),
        );
    } else {
        lines.push(format!(
            "By the proof in the file, the first {} entries of the larger tree have root {}, not the smaller root:",
            smaller.size,
            fork.true_root().to_base64()
        ));
        lines.push("entries were changed or removed, or shown differently to different people.".into());
    }
    Output { lines, ..Output::default() }
        .with("kind", "fork")
        .with("origin", fork.origin().as_str())
        .with("smaller", head(smaller))
        .with("larger", head(larger))
        .with("trueRoot", fork.true_root().to_base64())
}

fn head(head: TreeHead) -> Value {
    json!({ "size": head.size.get(), "root": head.root.to_base64() })
}

#[cfg(test)]
mod tests {
    use indelible_proto::hash::Hash;
    use indelible_proto::note::KeyKind;
    use indelible_proto::sign::Signer as _;
    use indelible_proto::tree::ConsistencyProof;

    use super::*;
    use crate::test_log::{TestLog, secret};

    fn two_logs() -> (TestLog, ForkEvidence) {
        let (mut log, mut other) = (TestLog::new(), TestLog::new());
        log.append(b"one");
        other.append(b"other");
        let root: Hash = other.head(1).root;
        let proof = ConsistencyProof::new(Vec::new()).unwrap();
        let evidence = ForkEvidence::new(log.note(1, 0), other.note(1, 0), root, proof);
        (log, evidence)
    }

    fn verdict(bytes: Option<&[u8]>, log_key: &str) -> Exit {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fork.evidence");
        if let Some(bytes) = bytes {
            std::fs::write(&file, bytes).unwrap();
        }
        let args = VerifyArgs { file, log_key: Some(log_key.to_owned()), policy: None };
        proven_fork(&args).map_or_else(|failure| failure.exit, |_| Exit::Verified)
    }

    #[test]
    fn evidence_is_told_from_what_is_none() {
        let (log, evidence) = two_logs();
        let key = log.signer.verifier().encode();
        let stranger = secret(KeyKind::Log, "log.example/test", 9).verifier().encode();
        let witness = log.witnesses[0].verifier().encode();
        let bytes = evidence.encode();
        assert_eq!(verdict(Some(&bytes), &key), Exit::Verified);
        assert_eq!(verdict(Some(&bytes[1..]), &key), Exit::Refused);
        assert_eq!(verdict(Some(b""), &key), Exit::Refused);
        assert_eq!(verdict(Some(&vec![0; ForkEvidence::MAX_BYTES + 1]), &key), Exit::Refused);
        assert_eq!(verdict(Some(&bytes), &stranger), Exit::Refused);
        assert_eq!(verdict(Some(&bytes), &witness), Exit::Usage);
        assert_eq!(verdict(None, &key), Exit::Undecided);
        assert_eq!(verdict(Some(&bytes), "not a key"), Exit::Usage);
    }

    #[test]
    fn the_right_key_is_found_among_those_of_a_policy() {
        let (log, evidence) = two_logs();
        let other = secret(KeyKind::Log, "other.example", 9);
        let keys = [other.verifier().clone(), log.signer.verifier().clone()];
        assert!(verify(&evidence, &keys).is_ok());
        assert_eq!(verify(&evidence, &keys[..1]).unwrap_err().code(), "evidence-not-signed");
    }

    #[test]
    fn the_words_name_both_roots() {
        let (log, evidence) = two_logs();
        let output = explain(&evidence.verify(log.signer.verifier()).unwrap());
        let text = output.lines.join("\n");
        assert!(text.contains(&log.head(1).root.to_base64()) && text.contains(&evidence.root().to_base64()));
    }
}
