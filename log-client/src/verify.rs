//! Offline verification of an artifact: what the file beside it proves, and what decides.
//!
//! [`verify`] is a pure function of the artifact's digest, its proof, the policy, the keys that are trusted
//! for it, what is remembered of the log and the channel, the time, and the client's own rules. It opens
//! nothing, asks no clock and prints nothing. It authenticates first; then every check runs that has what it
//! needs, and the gravest finding decides.
//!
//! The checks' numbers are those of `docs/architecture.md`. What the files at hand cannot show is in
//! [`Verdict::hidden`]; a verdict never speaks about it.

mod authenticate;
mod channel;
mod check_name;
mod content;
mod fit;
mod freshness;
mod keys;
mod knowledge;
pub mod policy_change;
mod remembered;
mod reviews;
pub mod rules;
mod sequence;
pub mod time;
mod withdrawal;

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::note::VerifierKey;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::proof::{LogProof, Logged};
use indelible_proto::record::{RecordId, SignedRecord};
use indelible_proto::time::UnixSeconds;

pub use authenticate::describe_quorum;
pub use channel::{TrustError, TrustedChannel, claimed, claimed_channel, claimed_record};
pub use check_name::CheckName;
pub use content::claims_bundle;
pub use knowledge::{Knowledge, Reviewers};
pub use remembered::{Comparison, Remembered, claimed_origin, compare};
pub use rules::Rules;
pub use sequence::{LastKnown, LastVerified};
pub use time::TrustedTime;

use crate::files::ArtifactDigest;
use knowledge::Seen;
use rules::Unknown;

/// What a check, or all of them together, came to; the later the graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Checked and good.
    Verified,
    /// Nothing is wrong, but the artifact is not to be installed yet.
    Hold,
    /// Not enough is known.
    Undecided,
    /// A check failed.
    Refused,
    /// The log has said two things that cannot both be true.
    Evidence,
}

/// Whose signatures make a record count.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The keys of a channel whose first record is known.
    Channel(Box<TrustedChannel>),
    /// Any one of these keys, on whatever channel. Only for a channel of which nothing is known.
    Keys(Vec<VerifierKey>),
    /// Nobody was named. Nothing can be verified then.
    Nobody,
}

/// Everything a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The digest of the artifact in hand.
    pub artifact: &'a ArtifactDigest,
    /// The proof that came with it.
    pub proof: &'a LogProof,
    /// The logs and witnesses that count.
    pub policy: &'a Policy,
    /// The keys that count.
    pub trust: &'a Trust,
    /// What is remembered of the log the proof names.
    pub remembered: &'a Remembered,
    /// What is remembered of the channel the record says it belongs to.
    pub last: &'a LastKnown,
    /// What is known of the records of the trusted channel.
    pub known: &'a Knowledge,
    /// What is known of the channels of the reviewers that the rules ask for.
    pub reviewers: &'a Reviewers,
    /// What time it is.
    pub time: TrustedTime,
    /// What the client asks for besides.
    pub rules: &'a Rules,
}

impl Request<'_> {
    /// The finding for a question that the files at hand do not answer.
    fn unknown(&self, check: Check, why: &'static str) -> Check {
        match self.rules.unknown {
            Unknown::Pass => Check { finding: Finding::Unknown { why }, ..check },
            Unknown::Hold => check.held("not-known", format!("not known: {why}"), GET_CHANNEL_FILE),
        }
    }
}

const GET_CHANNEL_FILE: &str =
    "run: indelible update-state, or pass the channel's newest file with --channel-file";

impl Trust {
    /// The oldest checkpoint that the channel says its readers should accept, in seconds.
    fn max_age_s(&self) -> Option<u64> {
        match self {
            Self::Channel(channel) => Some(channel.max_age_s()),
            Self::Keys(_) | Self::Nobody => None,
        }
    }
}

/// Why a check failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How grave it is.
    pub outcome: Outcome,
    /// The stable name of the failure.
    pub code: &'static str,
    /// What was found.
    pub message: String,
    /// The next step.
    pub next: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed(Reason),
    /// The files at hand do not answer the question, and the client's rules let that pass.
    Unknown {
        /// What is missing.
        why: &'static str,
    },
    /// The check needs another one to have passed.
    NotRun {
        /// The check that did not pass.
        needs: CheckName,
    },
    /// The check has nothing to say in this case.
    NotApplicable {
        /// Why not.
        why: &'static str,
    },
}

/// One check with everything worth showing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which check.
    pub name: CheckName,
    /// What it found.
    pub finding: Finding,
    /// The values it looked at.
    pub details: Vec<(&'static str, String)>,
    /// What it left out of account, and why.
    pub ignored: Vec<String>,
}

#[expect(clippy::needless_pass_by_value, reason = "takes errors, texts and values alike")]
impl Check {
    fn new(name: CheckName) -> Self {
        Self { name, finding: Finding::Passed, details: Vec::new(), ignored: Vec::new() }
    }

    fn not_run(name: CheckName, needs: CheckName) -> Self {
        Self { finding: Finding::NotRun { needs }, ..Self::new(name) }
    }

    fn detail(mut self, name: &'static str, value: impl ToString) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    fn not_applicable(self, why: &'static str) -> Self {
        Self { finding: Finding::NotApplicable { why }, ..self }
    }

    fn failed(mut self, reason: Reason) -> Self {
        self.finding = Finding::Failed(reason);
        self
    }

    fn refused(self, code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        self.failed(Reason {
            outcome: Outcome::Refused,
            code,
            message: message.to_string(),
            next: next.into(),
        })
    }

    fn held(self, code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        self.failed(Reason { outcome: Outcome::Hold, code, message: message.to_string(), next: next.into() })
    }

    fn undecided(self, code: &'static str, message: impl ToString, next: impl Into<String>) -> Self {
        self.failed(Reason {
            outcome: Outcome::Undecided,
            code,
            message: message.to_string(),
            next: next.into(),
        })
    }

    /// Whether the check found everything as it should be.
    pub fn passed(&self) -> bool {
        self.finding == Finding::Passed
    }

    /// Why the check failed, if it did.
    pub fn reason(&self) -> Option<&Reason> {
        match &self.finding {
            Finding::Failed(reason) => Some(reason),
            Finding::Passed
            | Finding::Unknown { .. }
            | Finding::NotRun { .. }
            | Finding::NotApplicable { .. } => None,
        }
    }
}

/// The answer of [`verify`].
#[derive(Clone, Debug)]
pub struct Verdict {
    checks: Vec<Check>,
    logged: Option<Logged>,
    record: Option<SignedRecord>,
    evidence: Option<ForkEvidence>,
    remember: Option<VerifiedCheckpoint>,
    vouched: Option<UnixSeconds>,
    genesis: Option<RecordId>,
    hidden: Vec<String>,
}

impl Verdict {
    /// The gravest finding of all checks.
    pub fn outcome(&self) -> Outcome {
        self.decisive().map_or(Outcome::Verified, |reason| reason.outcome)
    }

    /// The failure that decides; `None` if the artifact is verified.
    pub fn decisive(&self) -> Option<&Reason> {
        // `max_by_key` would take the last of equals; the first is the more basic one.
        self.checks.iter().rev().filter_map(Check::reason).max_by_key(|reason| reason.outcome)
    }

    /// Every check, in the order they ran.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The proven entry: log signature, quorum and inclusion hold. Says nothing about the artifact.
    pub fn logged(&self) -> Option<&Logged> {
        self.logged.as_ref()
    }

    /// The record, once its bytes are the ones the proof is about.
    pub fn record(&self) -> Option<&SignedRecord> {
        self.record.as_ref()
    }

    /// What convinces a stranger that the log has forked.
    pub fn evidence(&self) -> Option<&ForkEvidence> {
        self.evidence.as_ref()
    }

    /// The record that opened the channel the artifact was verified for; `None` if no channel was trusted.
    pub fn genesis(&self) -> Option<RecordId> {
        self.genesis
    }

    /// What the files at hand cannot show, so that the verdict does not speak about it, and since when.
    pub fn hidden(&self) -> &[String] {
        &self.hidden
    }

    /// The time that a whole quorum vouched for; `None` if the checkpoint was not verified.
    pub fn vouched(&self) -> Option<UnixSeconds> {
        self.vouched
    }

    /// The checkpoint to remember instead of the one that was, if it is to be replaced.
    pub fn remember(&self) -> Option<&VerifiedCheckpoint> {
        self.remember.as_ref()
    }
}

/// Runs every check and gives the verdict.
pub fn verify(request: &Request<'_>) -> Verdict {
    let log = authenticate::log_signature(request);
    let inclusion = authenticate::inclusion(request);
    let witnesses = authenticate::witnesses(request);
    // The rows above give each reason by itself. The value that carries the proof is made in one step,
    // and without it nothing is verified, whatever the rows say.
    let logged = authenticate::logged(request);
    let remembered = remembered::check(request, logged.as_ref());

    let mut checks = vec![log, inclusion, witnesses, remembered.check];
    let mut record = None;
    if checks.iter().any(|check| check.name == CheckName::Inclusion && check.passed()) {
        let content = content::checks(request);
        checks.extend(content.checks);
        record = content.record;
    } else {
        let unread = [CheckName::Record, CheckName::Signers, CheckName::Channel, CheckName::Artifact];
        checks.extend(unread.map(|name| Check::not_run(name, CheckName::Inclusion)));
    }
    checks.extend(standing(request, &checks, logged.as_ref(), record.as_ref()));
    if logged.is_none() && checks.iter().all(|check| check.reason().is_none()) {
        checks.push(authenticate::unexplained());
    }
    let vouched = logged.as_ref().and_then(|logged| freshness::vouched(request, logged.checkpoint()));
    let genesis = match request.trust {
        Trust::Channel(channel) => Some(channel.genesis()),
        Trust::Keys(_) | Trust::Nobody => None,
    };
    let (evidence, remember) = (remembered.evidence, remembered.remember);
    let hidden = knowledge::hidden(request);
    Verdict { checks, logged, record, evidence, remember, vouched, genesis, hidden }
}

/// The checks of a record that is the vendor's: what it says about itself counts for nothing before.
fn standing(
    request: &Request<'_>,
    before: &[Check],
    logged: Option<&Logged>,
    record: Option<&SignedRecord>,
) -> Vec<Check> {
    const NAMES: [CheckName; 9] = [
        CheckName::Sequence,
        CheckName::Expiry,
        CheckName::Age,
        CheckName::Withdrawal,
        CheckName::Audience,
        CheckName::Platform,
        CheckName::Engine,
        CheckName::Reviews,
        CheckName::KeyChange,
    ];
    const NEEDED: [CheckName; 4] =
        [CheckName::Inclusion, CheckName::Witnesses, CheckName::Record, CheckName::Signers];
    let missing =
        NEEDED.into_iter().find(|needed| !before.iter().any(|check| check.name == *needed && check.passed()));
    match (missing, logged, record) {
        (None, Some(logged), Some(record)) => {
            let seen = Seen::new(request, logged.checkpoint());
            vec![
                sequence::sequence(request, record, &seen),
                freshness::expiry(request, record, &seen),
                freshness::age(request, record, &seen),
                withdrawal::withdrawal(request, record, &seen),
                fit::audience(request, record),
                fit::platform(request, record),
                fit::engine(request, record),
                reviews::reviews(request, record),
                keys::key_change(request, record, &seen),
            ]
        }
        (missing, _, _) => {
            let needs = missing.unwrap_or(CheckName::LogSignature);
            NAMES.map(|name| Check::not_run(name, needs)).to_vec()
        }
    }
}

#[cfg(test)]
mod tests;
