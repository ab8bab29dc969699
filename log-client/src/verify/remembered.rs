//! The check against what is remembered of a log: one size has one root.
//!
//! Offline there is no consistency proof, so two checkpoints of different sizes cannot contradict each
//! other here; two of one size can, and two signed notes then convince anyone.

use indelible_proto::checkpoint::{Checkpoint, CheckpointError, Origin};
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, VerifiedCheckpoint};
use indelible_proto::proof::{LogProof, Logged};
use indelible_proto::tree::ConsistencyProof;

use super::{Check, CheckName, Finding, Outcome, Reason, Request, Trust};

/// What is remembered of the log a proof names.
#[derive(Clone, Debug)]
pub enum Remembered {
    /// Nothing is remembered, by choice.
    NotKept,
    /// The log is new.
    Nothing,
    /// The largest checkpoint of the log that was verified.
    Checkpoint(Box<LogSigned>),
    /// There is something, and it cannot be read.
    Damaged {
        /// The stable name of the damage.
        code: &'static str,
        /// What is wrong, and where.
        message: String,
    },
}

/// How a checkpoint stands to one seen before, as far as can be told without a consistency proof.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// The same tree head.
    Same,
    /// A larger tree.
    Larger,
    /// A smaller tree.
    Smaller,
    /// One size, two roots, one key: the log has forked.
    Fork(Box<ForkEvidence>),
    /// One size and two roots, signed by two keys of one origin: it proves nothing against either key.
    OtherKey,
    /// Not the same log.
    OtherLog,
}

pub(super) struct RememberedCheck {
    pub(super) check: Check,
    pub(super) evidence: Option<ForkEvidence>,
    pub(super) remember: Option<VerifiedCheckpoint>,
}

/// The origin the proof's checkpoint states, before anything is verified. Good for looking up what is
/// remembered under that name, and for nothing else.
pub fn claimed_origin(proof: &LogProof) -> Option<Origin> {
    claimed_checkpoint(proof.note()).ok().map(|checkpoint| checkpoint.origin().clone())
}

pub(super) fn claimed_checkpoint(note: &SignedNote) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::parse(note.text())
}

/// How `seen` stands to `held`, both signed by a log of one policy.
pub fn compare(held: &LogSigned, seen: &LogSigned) -> Comparison {
    if held.checkpoint().origin() != seen.checkpoint().origin() {
        return Comparison::OtherLog;
    }
    let (old, new) = (held.head(), seen.head());
    if new.size != old.size {
        return if new.size > old.size { Comparison::Larger } else { Comparison::Smaller };
    }
    if new.root == old.root {
        return Comparison::Same;
    }
    match fork(held, seen) {
        Some(evidence) => Comparison::Fork(Box::new(evidence)),
        None => Comparison::OtherKey,
    }
}

/// The evidence that `held` and `seen` cannot both be true, once a verification confirms that it is one.
fn fork(held: &LogSigned, seen: &LogSigned) -> Option<ForkEvidence> {
    let nothing_between = ConsistencyProof::new(Vec::new()).ok()?;
    let evidence =
        ForkEvidence::new(held.note().clone(), seen.note().clone(), seen.head().root, nothing_between);
    evidence.verify(seen.log_key()).is_ok().then_some(evidence)
}

/// The checkpoint agrees with what is remembered, and with the one the trusted channel was proved in.
pub(super) fn check(request: &Request<'_>, logged: Option<&Logged>) -> RememberedCheck {
    let check = Check::new(CheckName::Remembered);
    // Any note the log signed counts as its word, whether or not witnesses saw it.
    let Ok(seen) = request.policy.verify_log_signature(request.proof.note()) else {
        let check = Check { finding: Finding::NotRun { needs: CheckName::LogSignature }, ..check };
        return RememberedCheck { check, evidence: None, remember: None };
    };
    let newest = logged.map(|logged| logged.checkpoint().clone());
    let against_channel = channel_checkpoint(request).map(|held| compare(&held, &seen));
    let (check, compared) = match request.remembered {
        Remembered::NotKept => {
            let why = "no state directory is used, so nothing is remembered";
            (check.not_applicable(why), None)
        }
        Remembered::Nothing => (check.detail("remembered", "nothing yet of this log"), None),
        Remembered::Damaged { code, message } => {
            let next = "restore the file, or delete it to start afresh; the artifact was not judged by it";
            (check.undecided(code, message, next), None)
        }
        Remembered::Checkpoint(held) => {
            let check = check
                .detail("remembered size", held.head().size)
                .detail("remembered root", held.head().root.to_base64());
            (check, Some(compare(held, &seen)))
        }
    };
    let first_use = matches!(request.remembered, Remembered::Nothing);
    let larger = matches!(compared, Some(Comparison::Larger));
    let check = match &compared {
        Some(Comparison::Same) => check.detail("compared", "the same tree"),
        Some(Comparison::Larger) => check.detail("compared", "a larger tree, remembered from now on"),
        Some(Comparison::Smaller) => check.detail("compared", "a smaller tree, so the larger one is kept"),
        Some(Comparison::OtherKey | Comparison::OtherLog) => check.undecided(
            "remembered-other-key",
            "the remembered checkpoint has this size and another root, but was signed by another key",
            "find out from the log's operator which of its keys is right before you go on",
        ),
        Some(Comparison::Fork(_)) | None => check,
    };
    let compared = compared.map(|comparison| (comparison, "what is remembered of it"));
    let against_channel = against_channel.map(|comparison| (comparison, "the channel's proof"));
    let fork =
        [compared, against_channel].into_iter().flatten().find_map(|(comparison, held)| match comparison {
            Comparison::Fork(evidence) => Some((*evidence, held)),
            _ => None,
        });
    let Some((evidence, held)) = fork else {
        return RememberedCheck { check, evidence: None, remember: newest.filter(|_| larger || first_use) };
    };
    RememberedCheck {
        check: check.failed(misbehaviour(&seen, held)),
        evidence: Some(evidence),
        remember: None,
    }
}

fn misbehaviour(seen: &LogSigned, held: &str) -> Reason {
    Reason {
        outcome: Outcome::Evidence,
        code: "log-forked",
        message: format!(
            "the log {} has signed two different trees of size {}, this one and that of {held}",
            seen.checkpoint().origin(),
            seen.head().size
        ),
        next: "install nothing from this log; give the evidence file to its operator, its witnesses and the vendor"
            .to_owned(),
    }
}

/// The checkpoint in which the trusted channel's first record was proved.
fn channel_checkpoint(request: &Request<'_>) -> Option<LogSigned> {
    match request.trust {
        Trust::Channel(channel) => request.policy.verify_log_signature(channel.note()?).ok(),
        Trust::Keys(_) | Trust::Nobody => None,
    }
}
